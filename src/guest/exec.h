/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Executions: one process tree each, in a cgroup, under a user and in a directory of its own, its pipes streamed under flow
 * control. An execution is its main process: when that ends, whatever it left behind is killed, the rest of the output is
 * delivered, and EXIT tells the usage.
 */

#include "guest/agent.h"

#include <sys/resource.h>

/* Frames for executions. exec_on_frame() answers itself; false when no execution has that stream. */
void exec_on_exec(struct agent *agent, const struct wire_frame *frame);
bool exec_on_frame(struct agent *agent, const struct wire_frame *frame);

/* True when the stream belongs to an execution, kept ones included. */
bool exec_has_stream(struct agent *agent, uint32_t stream);

/* The working directory of an execution, and its owner; -1 when there is none. The fd stays the execution's. */
int exec_directory(struct agent *agent, uint32_t stream, uid_t *ret_owner);

/* A child of the agent has ended. */
void exec_reaped(struct agent *agent, pid_t pid, int status, const struct rusage *usage);

/* The channel has room again. */
void exec_resume_all(struct agent *agent);

/* A new session, or the end: kills and forgets all without telling the host. */
void exec_end_all(struct agent *agent);

/* Their threads that run or wait for a CPU. */
uint32_t exec_count_runnable(const struct agent *agent);

/* Fills the list of a USAGE message. */
void exec_fill_usage(struct agent *agent, struct wire_usage *usage);

/* Which interpreters are installed: WIRE_CAN_RUN_*. */
uint64_t exec_interpreter_capabilities(void);
