/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"
#include "store/database.h"

/* Writes groups of COMMAND_PERSIST: one transaction for all of a group where that works, each command alone where it does not, so that
 * a bad one takes no other with it. The thread that owns the connection. */

struct writer;

/* Prepares the statements on `database`, which must outlive it. */
struct writer *writer_new(struct database *database, GError **error);
void writer_free(struct writer *writer);

/* Writes the `commands` (struct command, in order) and posts one EVENT_COMMITTED or EVENT_COMMIT_FAILED for each, in the same
 * order. `commands` is emptied. */
void writer_write(struct writer *writer, GQueue *commands, event_sink sink, gpointer sink_data);
