/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/database.h"

/* Removes what is too old to be kept. The thread that owns the connection. */

/* At most so many rows of each table go in one transaction: what is written waits no longer for it than for a group of its own. */
#define PRUNE_ROWS_MAX 256

/* Removes the oldest final objects that were last changed before `before_at`, and observations that ended before it, in one transaction.
 * *ret_is_done: nothing as old is left. */
gboolean prune_batch(struct database *database, gint64 before_at, gboolean *ret_is_done, GError **error);
