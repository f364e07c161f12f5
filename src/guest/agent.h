/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The agent as a whole: what one process owns. main.c sets it up for a guest, tests for a socket pair. Everything in this
 * room runs on the one thread that turns the loop.
 */

#include "guest/alarm.h"
#include "guest/cgroup.h"
#include "guest/channel.h"
#include "guest/loop.h"
#include "guest/shrink.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct execution;
struct transfer;
struct shape_wait;
struct helper;

struct agent_options {
    const char *work_dir;     /* where executions get their directories */
    const char *cgroup_mount; /* NULL: no cgroups */
    bool is_init;             /* this guest is ours: identity, power, onlining */
    bool may_drop_user;       /* started as root: executions get users of their own */
    const char *trouble;      /* what went wrong while booting, NULL if nothing; told to the host after HELLO */
};

struct agent {
    struct agent_options options;
    struct loop loop;
    struct channel channel;
    struct cgroup_root cgroups;
    int work_fd;

    bool in_session;
    bool speaks; /* a version was agreed */
    uint32_t next_slot;
    bool has_hooks; /* hold.c's are laid down */

    struct execution *executions;
    struct transfer *transfers;
    struct helper *helpers;

    struct loop_source child_source; /* signalfd for SIGCHLD */
    struct loop_source uevent_source;

    struct shape_wait *shape_waits;
    struct loop_timer shape_timer;
    struct helper *online_helper;
    int64_t settle_until_us;
    uint64_t own_kib;           /* used before there were executions */
    uint64_t boot_kib;          /* MemTotal then */
    uint64_t reserved_kib;      /* kernel memory that MemTotal leaves out */
    bool memory_onlines_itself; /* the kernel does it */
    uint64_t last_memory_kib;

    struct alarm alarm;
    struct shrink shrink;

    struct loop_timer usage_timer;
    uint32_t usage_interval_ms;
    uint32_t usage_stream;
    int64_t usage_due_us;       /* the next USAGE */
    uint32_t usage_looks;       /* since the last USAGE, at how many threads run */
    uint64_t usage_runnable;    /* their sum */
    uint32_t runnable_permille; /* their mean before the last USAGE */
};

/* Opens what the agent needs and starts on `channel_fd`. 0, or -1 with errno. */
int agent_start(struct agent *agent, const struct agent_options *options, int channel_fd, bool is_port);

/* Kills all executions and closes everything. */
void agent_clear(struct agent *agent);

/* Sends one message; what does not fit is dropped with the session. */
void agent_send(struct agent *agent, uint16_t type, uint16_t flags, uint32_t stream, const void *message);

/* Sends one frame of raw bytes. */
void agent_send_data(struct agent *agent, uint16_t type, uint16_t flags, uint32_t stream, const void *data,
                     size_t size);

/* Sends ERROR about `stream`. */
void agent_send_error(struct agent *agent, uint32_t stream, enum wire_fault fault, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
