/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/hypervisor.h"

/* The hosts that are connected, by name: takes the core's commands for them, and answers where none is. A host is let go of beside the core, on a
 * thread of its own, since a hung one may draw that out. Used on the core's thread. */

struct hosts;

/* Events go to `sink`, from any thread. The settings must outlive it. */
struct hosts *hosts_new(const struct hypervisor_settings *settings, event_sink sink, gpointer sink_data);

/* Waits for all hosts, those let go of included; no event is posted after it returns. NULL is accepted. */
void hosts_free(struct hosts *hosts);

/* Takes a command that names a host. */
void hosts_submit(struct hosts *hosts, gint64 now, struct command *command);

/* As hypervisor_next_at() and hypervisor_advance(), of all of them. */
gint64 hosts_next_at(const struct hosts *hosts);
void hosts_advance(struct hosts *hosts, gint64 now);

/* TRUE for an event from a connection that was let go of since: a host of that name, if there is one, is another. */
gboolean hosts_is_stale(const struct hosts *hosts, const struct event *event);
