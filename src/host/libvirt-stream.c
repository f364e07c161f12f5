/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt-stream.h"

#include "base/error.h"
#include "host/libvirt-error.h"
#include "wire/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES 65536

/* Bytes of one direction that the other side did not take yet. */
struct piece {
    char bytes[PIECE_BYTES];
    gsize at, size;
};

/* On libvirt's event thread, but for its making. */
struct pump {
    gint references; /* of the socket's watch and of the stream's */
    struct link *link;
    virStreamPtr stream;
    int fd, watch;
    gboolean is_closed;
    struct piece inward, outward; /* from the guest, to the guest */
};

/* Aborting waits for libvirtd, which may hang: not on the event thread. */
static gpointer pump_finish(gpointer data)
{
    struct pump *pump = data;
    virStreamAbort(pump->stream);
    virStreamFree(pump->stream);
    close(pump->fd);
    link_unref(pump->link);
    g_free(pump);
    return NULL;
}

static void pump_unref(void *data)
{
    struct pump *pump = data;
    if (g_atomic_int_dec_and_test(&pump->references))
        g_thread_unref(g_thread_new("libvirt-stream", pump_finish, pump));
}

/* The last use of the pump by a call-back. libvirt's remote driver never calls a stream's free function, so its reference goes here. */
static void pump_close(struct pump *pump)
{
    if (pump->is_closed)
        return;
    pump->is_closed = TRUE;
    shutdown(pump->fd, SHUT_RDWR);
    virEventRemoveHandle(pump->watch);
    virStreamEventRemoveCallback(pump->stream);
    pump_unref(pump);
}

/* What each side waits for: to be read while its bytes can go on, to be written while there are bytes for it. */
static void pump_watch(struct pump *pump)
{
    const gboolean holds_in = pump->inward.size > 0, holds_out = pump->outward.size > 0;
    if (pump->is_closed)
        return;
    virEventUpdateHandle(pump->watch,
                         (holds_out ? 0 : VIR_EVENT_HANDLE_READABLE) | (holds_in ? VIR_EVENT_HANDLE_WRITABLE : 0));
    virStreamEventUpdateCallback(pump->stream, (holds_in ? 0 : VIR_STREAM_EVENT_READABLE) |
                                                   (holds_out ? VIR_STREAM_EVENT_WRITABLE : 0));
}

static void piece_consume(struct piece *piece, gsize size)
{
    piece->at += size;
    piece->size -= size;
    if (piece->size == 0)
        piece->at = 0;
}

/* FALSE when the channel is closed. */
static gboolean inward_flush(struct pump *pump)
{
    struct piece *piece = &pump->inward;
    if (piece->size == 0)
        return TRUE;
    const gssize sent = send(pump->fd, piece->bytes + piece->at, piece->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0)
        piece_consume(piece, (gsize)sent);
    return sent > 0 || errno == EAGAIN || errno == EINTR;
}

static gboolean outward_flush(struct pump *pump)
{
    struct piece *piece = &pump->outward;
    if (piece->size == 0)
        return TRUE;
    const int sent = virStreamSend(pump->stream, piece->bytes + piece->at, piece->size);
    if (sent > 0)
        piece_consume(piece, (gsize)sent);
    return sent > 0 || sent == -2;
}

static gboolean inward_read(struct pump *pump)
{
    struct piece *piece = &pump->inward;
    if (piece->size > 0)
        return TRUE;
    const int got = virStreamRecv(pump->stream, piece->bytes, sizeof piece->bytes);
    if (got == -2)
        return TRUE;
    if (got <= 0)
        return FALSE;
    piece->size = (gsize)got;
    return inward_flush(pump);
}

static gboolean outward_read(struct pump *pump)
{
    struct piece *piece = &pump->outward;
    if (piece->size > 0)
        return TRUE;
    const gssize got = recv(pump->fd, piece->bytes, sizeof piece->bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return TRUE;
    if (got <= 0)
        return FALSE;
    piece->size = (gsize)got;
    return outward_flush(pump);
}

static void pump_after(struct pump *pump, gboolean is_well)
{
    if (is_well)
        pump_watch(pump);
    else
        pump_close(pump);
}

static void on_stream(virStreamPtr stream, int events, void *data)
{
    struct pump *pump = data;
    gboolean is_well = TRUE;
    (void)stream;
    if ((events & VIR_STREAM_EVENT_WRITABLE) != 0)
        is_well = outward_flush(pump);
    if (is_well && (events & VIR_STREAM_EVENT_READABLE) != 0)
        is_well = inward_read(pump);
    else if ((events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP)) != 0)
        is_well = FALSE;
    pump_after(pump, is_well);
}

static void on_socket(int watch, int fd, int events, void *data)
{
    struct pump *pump = data;
    gboolean is_well = TRUE;
    (void)watch, (void)fd;
    if ((events & VIR_EVENT_HANDLE_WRITABLE) != 0)
        is_well = inward_flush(pump);
    if (is_well && (events & VIR_EVENT_HANDLE_READABLE) != 0)
        is_well = outward_read(pump);
    else if ((events & (VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP)) != 0)
        is_well = FALSE;
    pump_after(pump, is_well);
}

/* Takes the stream, a reference of the link and `fd`. */
static gboolean pump_start(struct link *link, virStreamPtr stream, int fd, GError **error)
{
    struct pump *pump = g_new0(struct pump, 1);
    *pump = (struct pump){.references = 2, .link = link, .stream = stream, .fd = fd};
    pump->watch = virEventAddHandle(fd, 0, on_socket, pump, pump_unref);
    if (pump->watch < 0 || virStreamEventAddCallback(stream, VIR_STREAM_EVENT_READABLE, on_stream, pump, NULL) < 0) {
        libvirt_fail(error, "watch the agent's channel");
        if (pump->watch >= 0)
            virEventRemoveHandle(pump->watch);
        else
            pump_unref(pump);
        pump_unref(pump);
        return FALSE;
    }
    virEventUpdateHandle(pump->watch, VIR_EVENT_HANDLE_READABLE);
    return TRUE;
}

gboolean stream_call_run(gpointer data, GError **error)
{
    struct stream_call *call = data;
    int ends[2];
    g_autoptr(virDomain) domain = link_find(call->link, LINK_AGENT, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    virStreamPtr stream = virStreamNew(call->link->connections[LINK_AGENT], VIR_STREAM_NONBLOCK);
    if (stream == NULL || virDomainOpenChannel(domain, WIRE_CHANNEL_NAME, stream, VIR_DOMAIN_CHANNEL_FORCE) < 0) {
        libvirt_fail(error, "open the agent's channel");
        if (stream != NULL)
            virStreamFree(stream);
        return FALSE;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        hbr_error_set(error, HBR_ERROR_INTERNAL, "socket pair: %s", g_strerror(errno));
        virStreamAbort(stream);
        virStreamFree(stream);
        return FALSE;
    }
    call->fd = ends[0];
    return pump_start(link_ref(call->link), stream, ends[1], error);
}

void stream_call_free(gpointer data)
{
    struct stream_call *call = data;
    if (call->fd >= 0)
        close(call->fd);
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call);
}
