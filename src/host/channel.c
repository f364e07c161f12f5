/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/channel.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES 65536
#define READS_PER_TURN 4 /* no channel keeps the others waiting for more than this */
#define EVENTS_MAX 32

struct channels {
    int epoll_fd;
    GSource *source;
    GQueue dead; /* freed while their own session was being served */
};

struct channel {
    struct channels *channels;
    struct session *session;
    int fd;
    gboolean wants_write, is_dead;
};

static void channel_close(struct channel *channel)
{
    session_free(channel->session);
    g_free(channel);
}

static void channel_watch(struct channel *channel, gboolean wants_write)
{
    if (channel->wants_write == wants_write)
        return;
    channel->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? (guint32)EPOLLOUT : 0), .data.ptr = channel};
    epoll_ctl(channel->channels->epoll_fd, EPOLL_CTL_MOD, channel->fd, &event);
}

static void channel_fail(struct channel *channel, const char *what, int code)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_INTERRUPTED, "the channel to the guest %s%s%s", what,
                                            code != 0 ? ": " : "", code != 0 ? g_strerror(code) : "");
    session_fail(channel->session, error);
}

static void channel_send(gpointer data)
{
    struct channel *channel = data;
    struct wire_buffer *out = session_out(channel->session);
    gsize sent = 0;
    while (sent < out->size) {
        const gssize n = send(channel->fd, out->data + sent, out->size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (gsize)n;
        else if (n < 0 && errno != EINTR)
            break; /* full; a channel that is broken says so when it is read */
    }
    wire_buffer_drop(out, sent);
    channel_watch(channel, out->size > 0);
}

/* FALSE when nothing more is to be read in this turn. */
static gboolean channel_read(struct channel *channel)
{
    static _Thread_local guint8 bytes[READ_BYTES];
    const gssize n = recv(channel->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        session_feed(channel->session, bytes, (gsize)n);
    else if (n == 0)
        channel_fail(channel, "was closed: its VM is gone", 0);
    else if (errno != EAGAIN && errno != EINTR)
        channel_fail(channel, "broke", errno);
    return n == READ_BYTES && !channel->is_dead;
}

static void channel_serve(struct channel *channel, guint32 events)
{
    if ((events & EPOLLOUT) != 0)
        channel_send(channel);
    for (guint i = 0; i < READS_PER_TURN && (events & ~(guint32)EPOLLOUT) != 0; i++) {
        if (!channel_read(channel))
            break;
    }
}

static gboolean channels_dispatch(gint fd, GIOCondition condition, gpointer data)
{
    struct channels *channels = data;
    struct epoll_event events[EVENTS_MAX];
    (void)condition;
    const int count = epoll_wait(fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct channel *channel = events[i].data.ptr;
        if (!channel->is_dead)
            channel_serve(channel, events[i].events);
    }
    for (struct channel *channel; (channel = g_queue_pop_head(&channels->dead)) != NULL;)
        channel_close(channel);
    return G_SOURCE_CONTINUE;
}

/* The channels that are left out of poll(2), and until when; GLib hands nothing to its poll function, and a thread has one context. */
static _Thread_local struct {
    int fd;
    gint64 until; /* 0: none are */
} rest;

void channels_rest(struct channels *channels, gint64 until)
{
    rest.fd = channels->epoll_fd;
    rest.until = until;
}

/* Without the channels for `rest_ms`, then with them. */
static gint channels_poll_late(GPollFD *fds, guint count, GPollFD *channels, gint rest_ms, gint timeout_ms)
{
    const gboolean is_longer = timeout_ms < 0 || timeout_ms > rest_ms;
    channels->fd = -1;
    const gint ready = g_poll(fds, count, is_longer ? rest_ms : timeout_ms);
    channels->fd = rest.fd;
    if (ready != 0 || !is_longer)
        return ready;
    return g_poll(fds, count, timeout_ms < 0 ? -1 : timeout_ms - rest_ms);
}

static gint channels_poll(GPollFD *fds, guint count, gint timeout_ms)
{
    if (rest.until == 0)
        return g_poll(fds, count, timeout_ms);
    const gint64 rest_us = rest.until - g_get_monotonic_time();
    for (guint i = 0; rest_us > 0 && i < count; i++)
        if (fds[i].fd == rest.fd)
            return channels_poll_late(fds, count, &fds[i], (gint)((rest_us + 999) / 1000), timeout_ms);
    rest.until = 0;
    return g_poll(fds, count, timeout_ms);
}

struct channels *channels_new(GMainContext *context)
{
    struct channels *channels = g_new0(struct channels, 1);
    channels->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (channels->epoll_fd < 0)
        g_error("epoll: %s", g_strerror(errno));
    channels->source = g_unix_fd_source_new(channels->epoll_fd, G_IO_IN);
    g_source_set_can_recurse(channels->source, TRUE); /* see base/mailbox.c */
    g_source_set_callback(channels->source, G_SOURCE_FUNC(channels_dispatch), channels, NULL);
    g_source_attach(channels->source, context);
    g_main_context_set_poll_func(context, channels_poll);
    return channels;
}

void channels_free(struct channels *channels)
{
    if (channels == NULL)
        return;
    for (struct channel *channel; (channel = g_queue_pop_head(&channels->dead)) != NULL;)
        channel_close(channel);
    g_source_destroy(channels->source);
    g_source_unref(channels->source);
    close(channels->epoll_fd);
    g_free(channels);
}

struct channel *channel_new(struct channels *channels, int fd, const struct guest_watch *watch, gpointer owner)
{
    struct channel *channel = g_new0(struct channel, 1);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = channel};
    channel->channels = channels;
    channel->fd = fd;
    channel->session = session_new(watch, owner, &(struct session_io){.send = channel_send, .data = channel});
    if (epoll_ctl(channels->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        g_error("epoll: %s", g_strerror(errno));
    return channel;
}

struct channel *channel_open(struct channels *channels, const char *path, const struct guest_watch *watch,
                             gpointer owner, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        hbr_error_set(error, HBR_ERROR_UNAVAILABLE, "the path of the guest's channel is too long: %s", path);
        return NULL;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return channel_new(channels, fd, watch, owner);
    hbr_error_set(error, HBR_ERROR_UNAVAILABLE, "connect to the guest's channel %s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return NULL;
}

void channel_free(struct channel *channel)
{
    if (channel == NULL || channel->is_dead)
        return;
    channel->is_dead = TRUE;
    channel->session->is_lost = TRUE;
    /* Its frames may be under our feet, or it may still stand in the events of this turn: it goes when the turn ends. */
    epoll_ctl(channel->channels->epoll_fd, EPOLL_CTL_DEL, channel->fd, NULL);
    close(channel->fd);
    channel->fd = -1;
    g_queue_push_tail(&channel->channels->dead, channel);
}

struct guest *channel_guest(struct channel *channel)
{
    return &channel->session->guest;
}
