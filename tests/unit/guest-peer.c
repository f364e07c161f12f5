/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t peer_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void peer_open(struct peer *peer, int fd)
{
    memset(peer, 0, sizeof(*peer));
    peer->fd = fd;
    wire_reader_init(&peer->reader);
    wire_buffer_init(&peer->out, 2 * WIRE_PAYLOAD_MAX);
}

void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    wire_reader_clear(&peer->reader);
    wire_buffer_clear(&peer->out);
}

bool peer_send_raw(struct peer *peer, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = send(peer->fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static bool peer_flush(struct peer *peer)
{
    bool ok = peer_send_raw(peer, peer->out.data, peer->out.size);
    wire_buffer_reset(&peer->out);
    return ok;
}

bool peer_send(struct peer *peer, uint16_t type, uint16_t flags, uint32_t stream, const void *message)
{
    return wire_message_write(&peer->out, type, flags, stream, message) && peer_flush(peer);
}

bool peer_send_data(struct peer *peer, uint16_t type, uint16_t flags, uint32_t stream, const void *data, size_t size)
{
    return wire_frame_write(&peer->out, type, flags, stream, data, size) && peer_flush(peer);
}

static bool peer_receive(struct peer *peer, int64_t until_us)
{
    int64_t left_us = until_us - peer_now_us();
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    if (left_us < 0 || poll(&wait, 1, (int)((left_us + 999) / 1000)) != 1)
        return false;
    ssize_t n = recv(peer->fd, peer->chunk, sizeof(peer->chunk), 0);
    peer->chunk_at = 0;
    peer->chunk_size = n > 0 ? (size_t)n : 0;
    return n > 0;
}

bool peer_next(struct peer *peer, int timeout_ms, struct wire_frame *ret_frame)
{
    int64_t until_us = peer_now_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        enum wire_next next = wire_reader_next(&peer->reader, ret_frame);
        peer->received_us = peer_now_us();
        if (next == WIRE_NEXT_FRAME)
            return true;
        if (next == WIRE_NEXT_VIOLATION)
            continue;
        if (peer->chunk_at == peer->chunk_size && !peer_receive(peer, until_us))
            return false;
        peer->chunk_at +=
            wire_reader_feed(&peer->reader, peer->chunk + peer->chunk_at, peer->chunk_size - peer->chunk_at);
    }
}

bool peer_expect(struct peer *peer, uint16_t type, uint32_t stream, int timeout_ms, struct wire_frame *ret_frame)
{
    int64_t until_us = peer_now_us() + (int64_t)timeout_ms * 1000;
    while (peer_next(peer, (int)((until_us - peer_now_us()) / 1000), ret_frame)) {
        if (ret_frame->type == type && ret_frame->stream == stream)
            return true;
    }
    return false;
}

bool peer_hello(struct peer *peer, int retry_ms, int timeout_ms, struct wire_hello *ret_hello)
{
    static uint64_t serial;
    int64_t until_us = peer_now_us() + (int64_t)timeout_ms * 1000;
    struct wire_frame frame;
    struct wire_hello hello = {.version_min = WIRE_VERSION_MIN, .version_max = WIRE_VERSION_MAX};
    hello.nonce = (uint64_t)peer_now_us() * 1000u + ++serial;
    while (peer_now_us() < until_us) {
        wire_reader_hunt(&peer->reader, false);
        if (!peer_send(peer, WIRE_TYPE_HELLO, 0, WIRE_STREAM_CONTROL, &hello))
            return false;
        while (peer_expect(peer, WIRE_TYPE_HELLO, WIRE_STREAM_CONTROL, retry_ms, &frame)) {
            if (wire_hello_read(&frame, ret_hello, NULL) && ret_hello->nonce == hello.nonce)
                return true;
            wire_reader_hunt(&peer->reader, false);
        }
    }
    return false;
}

static void keep_output(char *text, size_t size, uint64_t *n_bytes, const struct wire_frame *frame)
{
    size_t room = *n_bytes < size - 1 ? size - 1 - (size_t)*n_bytes : 0;
    size_t kept = frame->size < room ? frame->size : room;
    if (kept) {
        memcpy(text + *n_bytes, frame->payload, kept);
        text[*n_bytes + kept] = '\0';
    }
    *n_bytes += frame->size;
}

static void collect_output(struct peer *peer, const struct wire_frame *frame, int64_t from_us, struct peer_run *run)
{
    struct wire_window window = {.credit = frame->size};
    if (run->first_output_us == 0 && frame->size)
        run->first_output_us = (uint64_t)(peer->received_us - from_us);
    if (frame->type == WIRE_TYPE_STDOUT)
        keep_output(run->stdout_text, sizeof(run->stdout_text), &run->n_stdout, frame);
    else
        keep_output(run->stderr_text, sizeof(run->stderr_text), &run->n_stderr, frame);
    if (frame->size)
        peer_send(peer, WIRE_TYPE_WINDOW, 0, frame->stream, &window);
}

static void collect_exit(struct peer *peer, const struct wire_frame *frame, int64_t from_us, struct peer_run *run)
{
    run->gone = !wire_exit_read(frame, &run->exit, NULL);
    run->exit_us = (uint64_t)(peer->received_us - from_us);
    snprintf(run->text, sizeof(run->text), "%.*s", (int)run->exit.text.size,
             run->exit.text.size ? (const char *)run->exit.text.data : "");
}

void peer_collect(struct peer *peer, uint32_t stream, int timeout_ms, struct peer_run *ret_run)
{
    struct wire_frame frame;
    int64_t from_us = peer_now_us(), until_us = from_us + (int64_t)timeout_ms * 1000;
    memset(ret_run, 0, sizeof(*ret_run));
    ret_run->gone = true;
    while (peer_next(peer, (int)((until_us - peer_now_us()) / 1000), &frame)) {
        if (frame.stream != stream)
            continue;
        if (frame.type == WIRE_TYPE_STARTED)
            ret_run->started = true;
        if (frame.type == WIRE_TYPE_STDOUT || frame.type == WIRE_TYPE_STDERR)
            collect_output(peer, &frame, from_us, ret_run);
        if (frame.type == WIRE_TYPE_EXIT)
            collect_exit(peer, &frame, from_us, ret_run);
        if (frame.type == WIRE_TYPE_EXIT || frame.type == WIRE_TYPE_ERROR)
            return;
    }
}

void peer_run(struct peer *peer, uint32_t stream, const struct wire_exec *exec, int timeout_ms,
              struct peer_run *ret_run)
{
    peer_send(peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, stream, exec);
    peer_collect(peer, stream, timeout_ms, ret_run);
}
