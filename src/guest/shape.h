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

/* Looks at what is online now and adapts the memory limit when it has changed. */
void shape_refresh(struct agent *agent, struct shape *ret_shape);

void shape_on_wait(struct agent *agent, const struct wire_frame *frame);

/* A new session: forgets those that wait. */
void shape_forget_waits(struct agent *agent);
