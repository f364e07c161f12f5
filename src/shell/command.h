/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/option.h"
#include "shell/session.h"

/* The tables of commands: one group for each file cmd-*.c. Parsing, help, completion and the check against the manual all
 * read these tables and nothing else. One thread. */

/* Does the command. On success session->exit_status is what it leaves, 0 unless it says otherwise. */
typedef gboolean (*command_handler)(struct session *session, const struct arguments *arguments, GError **error);

struct command {
    const char *name;    /* "reservation-list" */
    const char *summary; /* one line, lower case, no full stop */
    const char *help;    /* some sentences; NULL: the summary says it all */
    command_handler run;
    const struct command_option *options;
    guint option_count;
    gboolean hidden;
};

struct command_group {
    const char *name;  /* "policy", for `help policy` */
    const char *title; /* "Policy" */
    const struct command *commands;
    guint command_count;
};

#define COMMAND_OPTIONS(table) table, G_N_ELEMENTS(table)
#define COMMAND_NO_OPTIONS NULL, 0

extern const struct command_group *const command_groups[]; /* NULL at the end */

const struct command *command_find(const char *name);

/* The command of that name; NULL with SHELL_ERROR_USAGE and a guess. */
const struct command *command_lookup(const char *name, GError **error);

/* Runs words[0] with the other words as its command line; prints its error. Returns the exit status. */
int command_run(struct session *session, const char *const *words);

/* The groups. */
extern const struct command_group notify_group;
extern const struct command_group exec_group;
extern const struct command_group object_group;
extern const struct command_group pool_group;
extern const struct command_group explain_group;
extern const struct command_group event_group;
extern const struct command_group host_group;
extern const struct command_group policy_group;
extern const struct command_group model_group;
extern const struct command_group daemon_group;
extern const struct command_group shell_group;
