/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/watch.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WATCH_WAKE 0 /* the id that stands for the wake-up descriptor; requests count from 1 */
#define WATCH_EVENTS 64

struct watch {
    int epoll_fd, wake_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    GQueue deadlines; /* struct watch_deadline */
    gboolean stopping;
    watch_callback callback;
    gpointer data;
};

struct watch_deadline {
    guint64 id;
    gint64 at;
};

static void watch_wake(struct watch *watch)
{
    const guint64 one = 1;
    if (write(watch->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        g_error("eventfd: %s", g_strerror(errno));
}

/* Takes the deadlines that have passed into `passed` and tells how long to wait for the next one; -1: for ever. */
static int watch_take_deadlines(struct watch *watch, GQueue *passed)
{
    const gint64 now = g_get_monotonic_time();
    int timeout_ms = -1;
    pthread_mutex_lock(&watch->lock);
    for (struct watch_deadline *first; (first = g_queue_peek_head(&watch->deadlines)) != NULL;) {
        if (first->at > now) {
            timeout_ms = (int)MIN((first->at - now) / 1000 + 1, G_MAXINT);
            break;
        }
        g_queue_push_tail(passed, g_queue_pop_head(&watch->deadlines));
    }
    pthread_mutex_unlock(&watch->lock);
    return timeout_ms;
}

/* Reports the deadlines that have passed; how long to wait for the next. */
static int watch_run_deadlines(struct watch *watch)
{
    GQueue passed = G_QUEUE_INIT;
    const int timeout_ms = watch_take_deadlines(watch, &passed);
    for (struct watch_deadline *deadline; (deadline = g_queue_pop_head(&passed)) != NULL; g_free(deadline))
        watch->callback(deadline->id, WATCH_DEADLINE, watch->data);
    return timeout_ms;
}

static gboolean watch_is_stopping(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    const gboolean stopping = watch->stopping;
    pthread_mutex_unlock(&watch->lock);
    return stopping;
}

static void watch_drain_wake(struct watch *watch)
{
    guint64 count;
    if (read(watch->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        g_error("eventfd: %s", g_strerror(errno));
}

static gpointer watch_run(gpointer data)
{
    struct watch *watch = data;
    while (!watch_is_stopping(watch)) {
        struct epoll_event events[WATCH_EVENTS];
        const int count = epoll_wait(watch->epoll_fd, events, WATCH_EVENTS, watch_run_deadlines(watch));
        if (count < 0 && errno != EINTR)
            g_error("epoll_wait: %s", g_strerror(errno));
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == WATCH_WAKE)
                watch_drain_wake(watch);
            else
                watch->callback(events[i].data.u64, WATCH_GONE, watch->data);
        }
    }
    return NULL;
}

struct watch *watch_new(watch_callback callback, gpointer data)
{
    struct watch *watch = g_new0(struct watch, 1);
    watch->callback = callback;
    watch->data = data;
    watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WATCH_WAKE};
    if (watch->epoll_fd < 0 || watch->wake_fd < 0 ||
        epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->wake_fd, &event) < 0)
        g_error("epoll: %s", g_strerror(errno));
    pthread_mutex_init(&watch->lock, NULL);
    g_queue_init(&watch->deadlines);
    const int result = pthread_create(&watch->thread, NULL, watch_run, watch);
    if (result != 0)
        g_error("pthread_create: %s", g_strerror(result));
    pthread_setname_np(watch->thread, "api-watch");
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->stopping = TRUE;
    pthread_mutex_unlock(&watch->lock);
    watch_wake(watch);
    pthread_join(watch->thread, NULL);
    g_queue_clear_full(&watch->deadlines, g_free);
    close(watch->wake_fd);
    close(watch->epoll_fd);
    pthread_mutex_destroy(&watch->lock);
    g_free(watch);
}

void watch_add(struct watch *watch, int fd, guint64 id, gboolean half)
{
    /* EPOLLHUP and EPOLLERR are always reported. */
    struct epoll_event event = {.events = EPOLLONESHOT | (half ? EPOLLRDHUP : 0), .data.u64 = id};
    if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        log_warning("api", "cannot watch a connection for its end: %s", g_strerror(errno));
}

void watch_remove(struct watch *watch, int fd)
{
    if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0 && errno != ENOENT)
        log_warning("api", "cannot stop watching a connection: %s", g_strerror(errno));
}

void watch_add_deadline(struct watch *watch, guint64 id, gint64 deadline_at)
{
    struct watch_deadline *deadline = g_new(struct watch_deadline, 1);
    *deadline = (struct watch_deadline){.id = id, .at = deadline_at};
    pthread_mutex_lock(&watch->lock);
    g_queue_push_tail(&watch->deadlines, deadline);
    const gboolean is_first = watch->deadlines.length == 1;
    pthread_mutex_unlock(&watch->lock);
    if (is_first)
        watch_wake(watch);
}
