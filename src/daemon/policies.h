/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"
#include "store/store.h"

/* The policies that a start begins with. The daemon's own thread. */

/* The newest of the database; else, or when that is not right any more (written by another release, damaged), the one at `path`, whose sources go
 * to *ret_new_sources (else NULL) to be loaded as the version after the one that is returned. NULL with an error when neither is right. */
struct policy *policies_initial(struct store *store, const char *path, GPtrArray **ret_new_sources, GError **error);

/* The policies of `records` (struct record) that were made under another version than `current`: struct policy by
 * GUINT_TO_POINTER(version). Those that cannot be read any more are missing, and logged. */
GHashTable *policies_of_records(struct store *store, const struct policy *current, const GPtrArray *records);
