/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The one way in which threads speak: a queue of pointers whose ownership moves with them. Any thread may post.
 * Workers that block, one or several, or one GMainContext (the core) take. Built on pthread primitives so that
 * ThreadSanitizer sees the hand-over. */

struct mailbox;

/* `message_free` frees what is still in the queue at mailbox_free(). */
struct mailbox *mailbox_new(GDestroyNotify message_free);
void mailbox_free(struct mailbox *mailbox);

/* Takes ownership of `message` (not NULL). After mailbox_close() the message is freed at once and FALSE returned. */
gboolean mailbox_post(struct mailbox *mailbox, gpointer message);

/* The oldest message; waits until `deadline` (g_get_monotonic_time() scale; -1: for ever, 0: not at all). NULL when there is none by
 * then, or when the mailbox is closed and empty. The caller owns it. */
gpointer mailbox_take(struct mailbox *mailbox, gint64 deadline);

/* All messages at once, oldest first, into `messages` (whose owner frees them). Waits as mailbox_take. Returns how many. */
guint mailbox_take_all(struct mailbox *mailbox, GQueue *messages, gint64 deadline);

/* Nothing can be posted any more; all waiting takers wake. */
void mailbox_close(struct mailbox *mailbox);
gboolean mailbox_is_closed(struct mailbox *mailbox);

/* A GSource that is ready while the mailbox has messages; the callback is a GSourceFunc. The mailbox must outlive it. */
GSource *mailbox_source_new(struct mailbox *mailbox);
