/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* libmicrohttpd looks at no socket whose connection is suspended, so a client that goes away while its answer is being waited for would
 * go unnoticed. One thread of this module waits for hang-ups of such sockets, and for the deadlines of requests that have one. Any thread. */

struct watch;

enum watch_cause { WATCH_GONE, WATCH_DEADLINE };

/* Called on the watching thread, at most once for each cause and id. */
typedef void (*watch_callback)(guint64 id, enum watch_cause cause, gpointer data);

struct watch *watch_new(watch_callback callback, gpointer data);

/* Stops the thread. NULL is accepted. */
void watch_free(struct watch *watch);

/* Reports WATCH_GONE when the peer of `fd` is gone. With `half` a peer that only closed its sending side counts as gone: over TCP the two cannot be
 * told apart. `fd` must be removed before it is closed. */
void watch_add(struct watch *watch, int fd, guint64 id, gboolean half);
void watch_remove(struct watch *watch, int fd);

/* Reports WATCH_DEADLINE at `deadline_at` (g_get_monotonic_time() scale). Deadlines must be added in the order in which they pass. */
void watch_add_deadline(struct watch *watch, guint64 id, gint64 deadline_at);
