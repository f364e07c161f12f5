/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* How everything reaches the thread of a host: commands of the core, results of workers, libvirt's events. A note is a function to call on that
 * thread and its data. Reference counted, since a worker that hangs in libvirt, or a call-back that libvirt still holds, may outlive
 * the host. Any thread may post. */

struct inbox;

/* Takes `data`. */
typedef void (*inbox_deliver)(gpointer owner, gpointer data);

struct inbox *inbox_new(void);
struct inbox *inbox_ref(struct inbox *inbox);
void inbox_unref(gpointer inbox);

/* After inbox_close() the data is freed at once. */
void inbox_post(struct inbox *inbox, inbox_deliver deliver, gpointer data, GDestroyNotify data_free);

/* Delivers notes to `owner` on the thread that runs `context`. Free with g_source_destroy and g_source_unref. */
GSource *inbox_attach(struct inbox *inbox, gpointer owner, GMainContext *context);

/* Frees what is in it and what is still to come. */
void inbox_close(struct inbox *inbox);
