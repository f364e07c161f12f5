/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/mailbox.h"
#include "store/store.h"

/* What the tests of the store share: a directory of their own, commands with records, and the events that come back. */

struct store_bed {
    char *directory, *path;
    struct mailbox *events; /* struct event */
};

void store_bed_init(struct store_bed *bed);

/* Removes the directory and all in it. */
void store_bed_clear(struct store_bed *bed);

/* An event_sink whose data is the struct mailbox of a bed. */
void store_bed_sink(struct event *event, gpointer mailbox);

/* The next event, which must come within 30 seconds. Free with event_free. */
struct event *store_bed_wait(struct store_bed *bed);

/* Waits for the answer to `serial` and checks its kind. The message of its error, or NULL; free with g_free. */
char *store_bed_expect(struct store_bed *bed, guint64 serial, enum event_kind kind);

/* A COMMAND_PERSIST without records yet. */
struct command *store_command_new(guint64 serial);

/* Appends a put of an execution with this id, function and state; `padding` makes its body longer. */
void store_command_put(struct command *command, const char *id, const char *function, enum execution_state state,
                       gint64 at, gsize padding);

/* Appends a record of no kind that the store knows how to write. */
void store_command_add_bad(struct command *command);
