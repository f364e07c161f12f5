/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Large files: copies and digests that leave holes alone. They block: a worker's work. Errors are HBR_ERROR_HYPERVISOR with the path. */

/* Appends what `from` holds from `offset` on to `to`, by the file system itself where it can. `path` is for messages. */
gboolean file_copy_tail(int from, gint64 offset, int to, const char *path, GError **error);

/* A new file of mode 0600 with the same content, holes where `from` has some. */
gboolean file_copy_sparse(const char *from, const char *to, GError **error);

/* The SHA-256 of a file. Free with g_free; NULL with an error. */
char *file_digest(const char *path, GError **error);

/* A SHA-256 over the size and all blocks that are not zero, wherever the file system keeps holes. */
char *file_digest_sparse(const char *path, GError **error);

/* Makes what was written to a file, or the entries of a directory, durable. */
gboolean file_sync(const char *path, GError **error);
