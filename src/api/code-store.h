/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Code on disk by its digest, bounded in bytes and entries; what was not asked for the longest goes first. Each tenant has its own; one tenant's
 * cannot be found by another who knows the digest. Blocks on the disk; any thread. */

struct code_store;

struct code_store_settings {
    const char *dir;   /* made with mode 0700 */
    guint64 bytes_max; /* 0: nothing is kept */
    guint entries_max; /* 0: 16384 */
};

/* Opens the directory and counts what an earlier daemon left in it. NULL with HBR_ERROR_STORE. */
struct code_store *code_store_open(const struct code_store_settings *settings, GError **error);
void code_store_free(struct code_store *store);

/* The code of that digest, proven to be it: what is damaged is removed and not there. NULL when it is not there. `tenant` NULL: what is shared. */
GBytes *code_store_get(struct code_store *store, const char *tenant, const char *sha256);

/* Keeps `bytes`; `tenant` NULL: shared. *ret_sha256 is its digest (free with g_free), also when it was there already. FALSE with HBR_ERROR_INVALID when it
 * is no text, HBR_ERROR_TOO_LARGE when it is larger than all that may be kept, HBR_ERROR_STORE when it could not be written. */
gboolean code_store_put(struct code_store *store, const char *tenant, GBytes *bytes, char **ret_sha256, GError **error);

/* FALSE with HBR_ERROR_INVALID for what cannot be the source of a program: not UTF-8, or with a NUL in it. */
gboolean code_check_text(GBytes *bytes, GError **error);

/* What is kept now. */
guint64 code_store_bytes(struct code_store *store);
guint code_store_entries(struct code_store *store);
