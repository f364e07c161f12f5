/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The byte channel to the host: a virtio-serial port in a guest, a socket in tests. Owns the frame reader and the queue of
 * frames to be written. A virtio port whose host end is closed reads as 0 for ever; the channel is edge triggered and only
 * looks again when the kernel says that something changed, so a guest without a host costs nothing.
 */

#include "guest/loop.h"
#include "wire/frame.h"

#include <stdbool.h>

struct channel {
    struct loop *loop;
    struct loop_source source;
    struct loop_timer again;
    struct wire_reader reader;
    struct wire_buffer out;
    size_t written;
    int fd;
    bool is_port;
    bool is_open; /* a host is there, as far as we know */
    bool was_drained;

    void *owner;
    void (*on_frame)(void *owner, const struct wire_frame *frame);
    void (*on_violation)(void *owner);
    void (*on_lost)(void *owner);    /* the host closed its end */
    void (*on_drained)(void *owner); /* after congestion: there is room again */
};

/* Finds the port `name` under /sys/class/virtio-ports and opens it. The fd, or -1 with errno. */
int channel_open_port(const char *name);

/* Takes over `fd`. `owner` and the call-backs are set by the caller before. 0, or -1 with errno. */
int channel_start(struct channel *channel, struct loop *loop, int fd, bool is_port);
void channel_clear(struct channel *channel);

/* Room for data frames? While congested nothing is read from the host either, so neither side can make the queue grow. */
bool channel_is_congested(const struct channel *channel);

/* Where frames are appended; call channel_flush() afterwards. */
struct wire_buffer *channel_out(struct channel *channel);
void channel_flush(struct channel *channel);

/* A new session: forgets every queued frame but not the rest of one that is half written. */
void channel_forget_output(struct channel *channel);
