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

/* NULL with SHELL_ERROR_USAGE or SHELL_ERROR_FILE. json_decref it. */
json_t *notification_new(const struct arguments *arguments, const char *function, GError **error);
