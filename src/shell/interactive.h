/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/session.h"

/* The interactive shell: commands line by line from a terminal (with history, editing and completion) or from a pipe.
 * Returns the exit status of the last command. */
int interactive_run(struct session *session);

/* The words of a line, quoted as in sh; a word that begins with '#' ends it. NULL with SHELL_ERROR_USAGE. Free with g_strfreev. */
char **interactive_split(const char *line, GError **error);
