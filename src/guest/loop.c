/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/loop.h"

#include <limits.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

int64_t loop_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t loop_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int loop_init(struct loop *loop)
{
    *loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll_fd < 0 ? -1 : 0;
}

void loop_clear(struct loop *loop)
{
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    loop->epoll_fd = -1;
    loop->timers = NULL;
}

int loop_watch(struct loop *loop, struct loop_source *source, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int operation = source->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->epoll_fd, operation, fd, &event) != 0)
        return -1;
    source->fd = fd;
    return 0;
}

void loop_unwatch(struct loop *loop, struct loop_source *source)
{
    if (source->fd >= 0)
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t due_us)
{
    if (timer->due_us == 0) {
        timer->next = loop->timers;
        loop->timers = timer;
    }
    timer->due_us = due_us > 0 ? due_us : 1;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    if (timer->due_us == 0)
        return;
    for (struct loop_timer **at = &loop->timers; *at; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    }
    timer->due_us = 0;
}

static struct loop_timer *loop_first_timer(struct loop *loop)
{
    struct loop_timer *first = loop->timers;
    for (struct loop_timer *timer = first; timer; timer = timer->next) {
        if (timer->due_us < first->due_us)
            first = timer;
    }
    return first;
}

/* Rounded up: a timer that is woken early would spin through the last millisecond. */
static int timeout_ms(const struct loop_timer *timer)
{
    if (!timer)
        return -1;
    int64_t left_us = timer->due_us - loop_now_us();
    if (left_us <= 0)
        return 0;
    return left_us > INT64_C(1000) * 60000 ? 60000 : (int)((left_us + 999) / 1000);
}

static void loop_fire_timers(struct loop *loop)
{
    int64_t now_us = loop_now_us();
    for (struct loop_timer *timer = loop_first_timer(loop); timer && timer->due_us <= now_us;
         timer = loop_first_timer(loop)) {
        loop_timer_cancel(loop, timer);
        timer->on_due(timer->owner);
        if (loop->quit)
            return;
    }
}

void loop_turn(struct loop *loop)
{
    struct epoll_event event;
    int n_events = epoll_wait(loop->epoll_fd, &event, 1, timeout_ms(loop_first_timer(loop)));
    if (n_events == 1) {
        struct loop_source *source = event.data.ptr;
        source->on_ready(source->owner, event.events);
    }
    loop_fire_timers(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->quit)
        loop_turn(loop);
}
