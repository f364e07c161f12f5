/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The host's end of the guest protocol, blocking and small: for tests of the agent, over a socket pair or a real port. */

#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

#define PEER_OUTPUT_MAX (1024u * 1024u)

struct peer {
    int fd;
    struct wire_reader reader;
    struct wire_buffer out;
    uint8_t chunk[65536];
    size_t chunk_at, chunk_size;
    int64_t received_us; /* when the last frame was complete */
};

/* What came back on one stream until EXIT. */
struct peer_run {
    struct wire_exit exit;
    char text[512]; /* exit.text */
    bool started;
    bool gone;                /* no EXIT came in time, or the channel was closed, or ERROR came */
    uint64_t first_output_us; /* after the request was sent */
    uint64_t exit_us;
    uint64_t n_stdout, n_stderr; /* all bytes; the first ones are kept below */
    char stdout_text[8192];
    char stderr_text[8192];
};

int64_t peer_now_us(void);
void peer_open(struct peer *peer, int fd);
void peer_close(struct peer *peer);

bool peer_send(struct peer *peer, uint16_t type, uint16_t flags, uint32_t stream, const void *message);
bool peer_send_data(struct peer *peer, uint16_t type, uint16_t flags, uint32_t stream, const void *data, size_t size);
bool peer_send_raw(struct peer *peer, const void *data, size_t size);

/* The next frame within the time, valid until the next call; false at the time's or the channel's end. */
bool peer_next(struct peer *peer, int timeout_ms, struct wire_frame *ret_frame);

/* Skips frames of other types and streams. */
bool peer_expect(struct peer *peer, uint16_t type, uint32_t stream, int timeout_ms, struct wire_frame *ret_frame);

/* HELLO and its answer, old bytes skipped; asks again each `retry_ms` until `timeout_ms`. Slices stay valid as frames do. */
bool peer_hello(struct peer *peer, int retry_ms, int timeout_ms, struct wire_hello *ret_hello);

/* Reads until the EXIT of `stream`, giving credit for what comes. */
void peer_collect(struct peer *peer, uint32_t stream, int timeout_ms, struct peer_run *ret_run);

/* EXEC, complete in one frame, and peer_collect(). */
void peer_run(struct peer *peer, uint32_t stream, const struct wire_exec *exec, int timeout_ms,
              struct peer_run *ret_run);
