/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harbinger/harbinger.h"

#include <glib.h>

/* Errors of the command line client: what it finds itself, and what the daemon answered. Any thread. */

#define SHELL_ERROR shell_error_quark()

enum shell_error_code {
    SHELL_ERROR_USAGE,     /* a command line that is wrong; the message says what would be right */
    SHELL_ERROR_FILE,      /* a local file that cannot be read or written */
    SHELL_ERROR_TOO_LARGE, /* a local file that is over its bound */
    SHELL_ERROR_OUTPUT,    /* standard output cannot be written */
    SHELL_ERROR_ANSWER,    /* an answer of the daemon that makes no sense */
};

/* Errors of libharbinger: the code is the exit status of its table. */
#define REMOTE_ERROR remote_error_quark()

#define FAILURE_STATUS 1
#define FAILURE_STATUS_USAGE 2
#define FAILURE_STATUS_TOO_LARGE 3

GQuark shell_error_quark(void);
GQuark remote_error_quark(void);

/* Moves what the library reported into `error` and clears it. Always FALSE, so that a caller can return it. */
gboolean failure_take(struct hbr_error *remote, GError **error);

/* As g_set_error with SHELL_ERROR_USAGE; always FALSE. */
gboolean failure_usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Exit status for an error of any domain: libharbinger's by its table, a usage error 2, a file over its bound 3, else 1. */
int failure_exit_status(const GError *error);

/* "harbinger: COMMAND: message" (no command: NULL). Control characters are replaced. Free with g_free. */
char *failure_text(const char *command, const GError *error);
