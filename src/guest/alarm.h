/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the agent speaks up about by itself, at once: that its executions need more memory than a mark, that tasks stand still for want
 * of something, that the kernel killed for memory. Owns memory.high of the executions' common group, by which the kernel holds
 * them back meanwhile.
 */

#include "guest/loop.h"
#include "wire/message.h"

#define ALARM_STALLS 3

struct agent;

struct alarm_stall {
    struct agent *agent;
    struct loop_source source;
    uint32_t cause;
};

struct alarm {
    struct wire_alarm wanted;
    uint32_t stream;
    bool is_set;
    struct loop_source events; /* memory.events */
    struct loop_timer timer;
    struct alarm_stall stalls[ALARM_STALLS];
    int events_fd;      /* -1: not open */
    uint64_t high;      /* what memory.high is; UINT64_MAX: no mark */
    uint64_t oom_kills; /* known of, or told */
    int64_t told_us;
    bool is_past;
};

void alarm_start(struct agent *agent);

/* Silence: nothing is watched, and nothing held back. */
void alarm_stop(struct agent *agent);

void alarm_on_frame(struct agent *agent, const struct wire_frame *frame);

/* What executions may use has changed: so does the mark. */
void alarm_on_limit(struct agent *agent);

/* Somebody else has written memory.high. */
void alarm_on_held_back(struct agent *agent);

/* Where the mark is of executions that may use `limit` bytes; without one, the most of it that may be used after a SHRINK. */
uint64_t alarm_mark(const struct agent *agent, uint64_t limit);
