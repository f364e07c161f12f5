/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Files of whoever runs the client. One thread. */

/* Its content, of at most `max` bytes: of one without an end, a pipe or device, not more is read than shows that. NULL with SHELL_ERROR_FILE or
 * SHELL_ERROR_TOO_LARGE; the message begins with the path. */
GBytes *local_file_read(const char *path, gsize max, GError **error);

/* Writes it beside and renames it, so that what was there stays until all of it is written; what is no regular file (a pipe, /dev/stdout) is written to as
 * it is. FALSE with SHELL_ERROR_FILE; the message begins with the path. */
gboolean local_file_write(const char *path, const void *data, gsize length, GError **error);
