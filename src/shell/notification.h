/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/metadata.h"

/* A notification from options; notify and explain share it. One thread. */

#define NOTIFICATION_OPTIONS                                                                            \
    {                                                                                                   \
        "arrival-in", 'i', OPTION_DURATION, 0, "DURATION", "the code arrives after this time (now)", 0, \
        31622400000,  NULL},                                                                            \
        {"arrival", 'a', OPTION_TIME, 0, "TIME", "the code arrives at this time", 0, 0, NULL},          \
    {                                                                                                   \
        "deadline", 'd', OPTION_TIME, 0, "TIME", "it must have ended by this time", 0, 0, NULL          \
    }

#define NOTIFICATION_MAX (64 * 1024) /* bytes; bound of the API (harbinger(1), LIMITS) */

/* NULL with SHELL_ERROR_USAGE or SHELL_ERROR_FILE. json_decref it. */
json_t *notification_new(const struct arguments *arguments, const char *function, GError **error);

/* Whether the daemon takes it, by its size. */
gboolean notification_fits(const json_t *notification);

/* Adds the file of code as the program, for the daemon to look at; nothing when it is no text, too large, or in a language that is not known.
 * FALSE with SHELL_ERROR_FILE. */
gboolean notification_add_source(json_t *notification, const char *path, GError **error);
