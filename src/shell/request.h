/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/metadata.h"

/* The execution request that `exec` sends, from its options. One thread. */

/* From the options of `exec` (cmd-exec.c). NULL with SHELL_ERROR_USAGE or SHELL_ERROR_FILE. json_decref it. */
json_t *request_new(const struct arguments *arguments, GError **error);

/* The program of a notification, from the options of `notify`: what `exec` would send of the file, so that the one is found to be the other. NULL with
 * SHELL_ERROR_USAGE or SHELL_ERROR_FILE. json_decref it. */
json_t *request_program_of_file(const struct arguments *arguments, const char *path, GError **error);

/* The same for code that the daemon has, or fetches: by --code-sha256 and --code-url. Adds its language to `code`. */
json_t *request_program_of_digest(const struct arguments *arguments, json_t *code, GError **error);

/* What a script's function is called when nobody says: its base name without extension, in the characters that a name may
 * have. Free with g_free. */
char *request_function_name(const char *path);
