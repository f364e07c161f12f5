/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/session.h"

/* The I/O of the agents' sessions: all channels of a host in one epoll set on its thread. A channel is a connected stream socket: the UNIX
 * socket of a local QEMU's virtio port, or one end of a socket pair that a remote libvirt stream is copied to. What fits is written at
 * once by whoever sends. */

struct channels;
struct channel;

struct channels *channels_new(GMainContext *context);
void channels_free(struct channels *channels);

/* From a call-back of one of the sessions: nothing more is read before `until` (g_get_monotonic_time() scale), so that what many guests say at about
 * the same time wakes the thread once. */
void channels_rest(struct channels *channels, gint64 until);

/* A session on the virtio port's socket at `path`. NULL with HBR_ERROR_UNAVAILABLE. */
struct channel *channel_open(struct channels *channels, const char *path, const struct guest_watch *watch,
                             gpointer owner, GError **error);

/* The same on a connected socket, which is taken over. */
struct channel *channel_new(struct channels *channels, int fd, const struct guest_watch *watch, gpointer owner);

/* Closes it; no call-back comes any more. Allowed within a call-back of its own session. NULL is accepted. */
void channel_free(struct channel *channel);

struct guest *channel_guest(struct channel *channel);
