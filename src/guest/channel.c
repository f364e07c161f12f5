/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/channel.h"

#include "guest/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUT_MAX (4u * 1024u * 1024u)
#define OUT_CONGESTED (512u * 1024u)
#define READS_PER_TURN 64
#define ABSENT_RETRY_US (INT64_C(2) * 1000000)

static bool port_has_name(const char *port, const char *name)
{
    char path[300], text[128];
    snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", port);
    return system_read(path, text, sizeof(text)) > 0 && strcmp(text_trim(text), name) == 0;
}

int channel_open_port(const char *name)
{
    char path[300];
    DIR *ports = opendir("/sys/class/virtio-ports");
    if (!ports)
        return -1;

    int fd = -1;
    errno = ENOENT;
    for (struct dirent *entry; fd < 0 && (entry = readdir(ports));) {
        if (!port_has_name(entry->d_name, name))
            continue;
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    int error = errno;
    closedir(ports);
    errno = error;
    return fd;
}

static void channel_pump(struct channel *channel);

/* The owner hears of room from here only, never from within its own write. */
static void on_again(void *owner)
{
    struct channel *channel = owner;
    if (channel->was_drained && !channel_is_congested(channel)) {
        channel->was_drained = false;
        channel->on_drained(channel->owner);
    }
    channel_pump(channel);
}

static void on_ready(void *owner, uint32_t events)
{
    struct channel *channel = owner;
    if (events & EPOLLOUT)
        channel_flush(channel);
    channel_pump(channel);
}

int channel_start(struct channel *channel, struct loop *loop, int fd, bool is_port)
{
    channel->loop = loop;
    channel->fd = fd;
    channel->is_port = is_port;
    channel->is_open = true;
    channel->source = (struct loop_source){.fd = -1, .on_ready = on_ready, .owner = channel};
    channel->again = (struct loop_timer){.on_due = on_again, .owner = channel};
    wire_reader_init(&channel->reader);
    wire_buffer_init(&channel->out, OUT_MAX);
    channel->written = 0;

    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -1;
    return loop_watch(loop, &channel->source, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void channel_clear(struct channel *channel)
{
    loop_timer_cancel(channel->loop, &channel->again);
    loop_unwatch(channel->loop, &channel->source);
    if (channel->fd >= 0)
        close(channel->fd);
    channel->fd = -1;
    wire_reader_clear(&channel->reader);
    wire_buffer_clear(&channel->out);
}

bool channel_is_congested(const struct channel *channel)
{
    return channel->out.size - channel->written > OUT_CONGESTED;
}

struct wire_buffer *channel_out(struct channel *channel)
{
    return &channel->out;
}

void channel_forget_output(struct channel *channel)
{
    /* The host looks for our preamble and discards what stands before it: half a frame does no harm. */
    wire_buffer_reset(&channel->out);
    channel->written = 0;
}

static void channel_after_write(struct channel *channel, bool was_congested)
{
    if (channel->written == channel->out.size || channel->written > OUT_CONGESTED) {
        wire_buffer_drop(&channel->out, channel->written);
        channel->written = 0;
    }
    if (was_congested && !channel_is_congested(channel)) {
        channel->was_drained = true;
        loop_timer_set(channel->loop, &channel->again, loop_now_us());
    }
}

void channel_flush(struct channel *channel)
{
    bool was_congested = channel_is_congested(channel);
    while (channel->written < channel->out.size) {
        ssize_t n = write(channel->fd, channel->out.data + channel->written, channel->out.size - channel->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        channel->written += (size_t)n;
    }
    channel_after_write(channel, was_congested);
}

static void channel_lost(struct channel *channel)
{
    bool was_open = channel->is_open;
    channel->is_open = false;
    channel_forget_output(channel);
    wire_reader_hunt(&channel->reader, true);
    /* The edge may have come and gone between two looks; looking seldom costs nothing. */
    if (channel->is_port)
        loop_timer_set(channel->loop, &channel->again, loop_now_us() + ABSENT_RETRY_US);
    if (was_open)
        channel->on_lost(channel->owner);
}

static void channel_dispatch(struct channel *channel)
{
    struct wire_frame frame;
    for (;;) {
        switch (wire_reader_next(&channel->reader, &frame)) {
        case WIRE_NEXT_MORE:
            return;
        case WIRE_NEXT_FRAME:
            channel->on_frame(channel->owner, &frame);
            break;
        case WIRE_NEXT_VIOLATION:
            channel->on_violation(channel->owner);
            break;
        }
    }
}

static void channel_feed(struct channel *channel, const uint8_t *data, size_t size)
{
    if (wire_is_session_start(data, size))
        wire_reader_hunt(&channel->reader, true);
    while (size > 0) {
        size_t taken = wire_reader_feed(&channel->reader, data, size);
        if (taken == 0) {
            wire_reader_hunt(&channel->reader, true);
            channel->on_violation(channel->owner);
            return;
        }
        data += taken;
        size -= taken;
        channel_dispatch(channel);
    }
}

/* A virtio port says 0 for "no host"; a socket says it at its end. */
static void channel_pump(struct channel *channel)
{
    uint8_t bytes[16384];
    for (int i = 0; i < READS_PER_TURN; i++) {
        if (channel_is_congested(channel))
            return;
        ssize_t n = read(channel->fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            channel->is_open = true;
            return;
        }
        if (n <= 0) {
            channel_lost(channel);
            return;
        }
        channel->is_open = true;
        channel_feed(channel, bytes, (size_t)n);
    }
    loop_timer_set(channel->loop, &channel->again, loop_now_us());
}
