/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The agent's event loop: file descriptors through epoll, timers by their due time. One event is handled per turn, so a
 * call-back may remove any source. The agent is one thread; so is everything in this room.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop_source {
    int fd; /* -1: not watched */
    void (*on_ready)(void *owner, uint32_t events);
    void *owner;
};

struct loop_timer {
    int64_t due_us; /* 0: not set */
    void (*on_due)(void *owner);
    void *owner;
    struct loop_timer *next;
};

struct loop {
    int epoll_fd;
    bool quit;
    struct loop_timer *timers;
};

/* The monotonic clock. */
int64_t loop_now_us(void);
int64_t loop_wall_us(void);

/* 0, or -1 with errno. */
int loop_init(struct loop *loop);
void loop_clear(struct loop *loop);

/* Watches `fd` for `events`; the source must stay where it is until loop_unwatch(). Idempotent for the same fd. */
int loop_watch(struct loop *loop, struct loop_source *source, int fd, uint32_t events);
void loop_unwatch(struct loop *loop, struct loop_source *source);

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t due_us);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* Handles one event or the timers that are due; waits for either. */
void loop_turn(struct loop *loop);

/* Turns until `quit` is set. */
void loop_run(struct loop *loop);
