/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The guest's own size: brings hotplugged CPUs and memory online when the kernel announces them, answers SHAPE_WAIT as soon
 * as what was asked for is there, and keeps the executions' common memory limit below what the guest has.
 */

#include "guest/agent.h"

struct shape {
    uint32_t vcpus_online, vcpus_present;
    uint32_t memory_mib, memory_total_mib;
};

/* Starts to listen to the kernel. What fails is left out: then SHAPE_WAIT still polls. */
void shape_start(struct agent *agent);
void shape_stop(struct agent *agent);

/* What all executions together may use of so much MemTotal. */
uint64_t shape_limit_for(const struct agent *agent, uint64_t memory_kib);

uint32_t shape_count_online(void);

/* Takes CPUs on- or offline until so many are online: in order of their numbers, the first never. Takes its time, see helper.h. 0 when they
 * are. */
int shape_set_cpus(uint32_t vcpus);

/* Brings online what may be. */
void shape_bring_online(struct agent *agent);

/* Somebody waits for more than there is. */
bool shape_is_growing(const struct agent *agent, const struct shape *now);

/* Bounds the executions anew, after what bounds them has changed. */
void shape_limit_executions(struct agent *agent);

/* Looks at what is online now and adapts the memory limit when it has changed. */
void shape_refresh(struct agent *agent, struct shape *ret_shape);

void shape_on_wait(struct agent *agent, const struct wire_frame *frame);

/* A new session: forgets those that wait. */
void shape_forget_waits(struct agent *agent);
