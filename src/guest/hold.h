/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Interpreters that start before their program may run. Each has a way to load a file before the program's own, by its environment: ours,
 * a hook, loads modules, says so on descriptor 3, and waits there. What follows is the interpreter's own way with a program, to the letter,
 * and the hook leaves nothing behind that the program would meet.
 *
 * On the line: "DIRECTORY\nMODULE\nMODULE..." to the hook, HOLD_HELD and a line for each module that failed from it, HOLD_GO or
 * HOLD_GO_WITHOUT_STDIN to it, HOLD_STARTED from it. A held process without a hook says HOLD_HELD and hears the same.
 */

#include "guest/agent.h"

#define HOLD_LINE_FD 3

#define HOLD_FAILED 'F' /* struct exec_child_failure */
#define HOLD_HELD 'H'
#define HOLD_STARTED 'S'
#define HOLD_GO 'g'
#define HOLD_GO_WITHOUT_STDIN 'n'

struct hold_hook {
    const char *program; /* as the table of interpreters has it first */
    const char *path;    /* of the hook, below the agent's working directory */
    const char *text;
    const char *variable, *prefix, *suffix; /* of the environment: what stands before and after the hook's directory */
    char separator;                         /* before what the program wants there itself */
    /* An interpreter that would pass over a broken hook must not be able to read the program until it may run. */
    bool hides_code;
};

/* NULL: that interpreter waits before it is started. */
const struct hold_hook *hold_find(const char *program);

/* Lays the hooks down, once. False with errno. */
bool hold_prepare(struct agent *agent);
void hold_clear(struct agent *agent);

/* The assignment that makes the interpreter load the hook, and then what `wanted` (may be empty) says. False when it is too long. */
bool hold_assignment(const struct agent *agent, const struct hold_hook *hook, struct wire_slice wanted, char *ret_text,
                     size_t size);
