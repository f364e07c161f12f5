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
    gpointer tag; /* of the set in the source */
    GQueue dead;  /* freed while their own session was being served */
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

static gboolean channels_dispatch(GSource *source, GSourceFunc callback G_GNUC_UNUSED, gpointer data)
{
    struct channels *channels = data;
    struct epoll_event events[EVENTS_MAX];
    if (g_source_get_ready_time(source) >= 0) {
        g_source_set_ready_time(source, -1);
        g_source_modify_unix_fd(source, channels->tag, G_IO_IN);
    }
    const int count = epoll_wait(channels->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct channel *channel = events[i].data.ptr;
        if (!channel->is_dead)
            channel_serve(channel, events[i].events);
    }
    for (struct channel *channel; (channel = g_queue_pop_head(&channels->dead)) != NULL;)
        channel_close(channel);
    return G_SOURCE_CONTINUE;
}

static gboolean channels_no_callback(gpointer data G_GNUC_UNUSED)
{
    return G_SOURCE_CONTINUE;
}

struct channels *channels_new(GMainContext *context)
{
    static GSourceFuncs functions = {.dispatch = channels_dispatch};
    struct channels *channels = g_new0(struct channels, 1);
    channels->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (channels->epoll_fd < 0)
        g_error("epoll: %s", g_strerror(errno));
    channels->source = g_source_new(&functions, sizeof(GSource));
    channels->tag = g_source_add_unix_fd(channels->source, channels->epoll_fd, G_IO_IN);
    g_source_set_can_recurse(channels->source, TRUE); /* see base/mailbox.c */
    g_source_set_callback(channels->source, channels_no_callback, channels, NULL);
    g_source_attach(channels->source, context);
    return channels;
}

void channels_rest(struct channels *channels, gint64 until)
{
    if (g_source_get_ready_time(channels->source) >= 0)
        return; /* they rest; either call below costs a turn of the loop */
    g_source_modify_unix_fd(channels->source, channels->tag, 0);
    g_source_set_ready_time(channels->source, until);
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
