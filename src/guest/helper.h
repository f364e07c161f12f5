/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Child processes: the reaper of the agent (as init it inherits every orphan), and helpers, forked copies of the agent for
 * work that blocks, such as bringing a CPU online.
 */

#include "guest/agent.h"

/* Takes SIGCHLD from now on. 0, or -1 with errno. */
int helper_reaper_start(struct agent *agent);
void helper_reaper_stop(struct agent *agent);

/* Runs `work(argument)` in a child; `on_done(agent, argument, succeeded)` when it has ended. NULL with errno on failure. */
struct helper *helper_run(struct agent *agent, int (*work)(void *argument), void *argument,
                          void (*on_done)(struct agent *agent, void *argument, bool succeeded));
