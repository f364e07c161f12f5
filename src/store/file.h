/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The files of the database as the system sees them: their directory, their mode, and the lock that keeps a second daemon out. */

/* Takes the lock of the database at `path` ("PATH.lock", an flock that the kernel drops with the process). Returns its descriptor,
 * to be closed by the owner, or -1 with HBR_ERROR_STORE, also for a directory in which others could replace the file. */
int store_file_lock(const char *path, GError **error);

/* Makes the file if need be; it is then a regular one of mode 0600. To be called before SQLite opens it: closing a descriptor drops the
 * process's POSIX locks on that file. */
gboolean store_file_prepare(const char *path, GError **error);
