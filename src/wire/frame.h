/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Frames of the guest protocol, and the reader that finds them in a stream of bytes. A frame is 12 bytes of header
 * (u32 payload length, u16 type, u16 flags, u32 stream; little endian) and its payload. A session begins with the 16
 * bytes of WIRE_PREAMBLE and a HELLO. The preamble read as a header has an impossible length, so a reader at a frame
 * border recognises a new session; one that has lost its place hunts for the next preamble. Used by one thread at a time.
 */

#include "wire/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER_SIZE 12u
#define WIRE_PREAMBLE_SIZE 16u
#define WIRE_PAYLOAD_MAX (256u * 1024u)
#define WIRE_STREAM_CONTROL 0u
#define WIRE_HELLO_MAX 4096u

/* On data frames: nothing more follows. On EXEC: complete, start at once. */
#define WIRE_FLAG_FIN 0x0001u

extern const uint8_t WIRE_PREAMBLE[WIRE_PREAMBLE_SIZE];

struct wire_frame {
    uint16_t type;
    uint16_t flags;
    uint32_t stream;
    const uint8_t *payload;
    uint32_t size;
};

enum wire_next {
    WIRE_NEXT_MORE,      /* no whole frame yet */
    WIRE_NEXT_FRAME,     /* ret_frame is valid until the reader is fed again */
    WIRE_NEXT_VIOLATION, /* not a frame: the session is over, the reader hunts for a preamble */
};

struct wire_reader {
    struct wire_buffer bytes;
    size_t at;
    bool hunting;
    bool expects_hello;
    uint64_t discarded;
};

/* Starts hunting: everything before the first preamble is discarded and counted. */
void wire_reader_init(struct wire_reader *reader);
void wire_reader_clear(struct wire_reader *reader);

/* Takes up to `size` bytes and returns how many; fewer only when frames have to be taken out first. */
size_t wire_reader_feed(struct wire_reader *reader, const void *data, size_t size);

/* The next frame. A HELLO is delivered only right after a preamble; anywhere else it is a violation. */
enum wire_next wire_reader_next(struct wire_reader *reader, struct wire_frame *ret_frame);

/*
 * True for bytes that begin with a preamble and a HELLO's header. A reader that keeps the borders of writes (a virtio port
 * does) recognises a new host by it even in the middle of a frame that the host before left unfinished.
 */
bool wire_is_session_start(const void *data, size_t size);

/* Gives up the present session: discards up to the next preamble. `forget` also discards what was fed already. */
void wire_reader_hunt(struct wire_reader *reader, bool forget);

/* Appends one frame with a payload of raw bytes. False (nothing appended) when it exceeds WIRE_PAYLOAD_MAX or the buffer. */
bool wire_frame_write(struct wire_buffer *out, uint16_t type, uint16_t flags, uint32_t stream, const void *payload,
                      size_t size);

/* The same in two steps, for payloads that are encoded in place; wire_frame_end() returns what wire_frame_write() does. */
size_t wire_frame_begin(struct wire_buffer *out, uint16_t type, uint16_t flags, uint32_t stream);
bool wire_frame_end(struct wire_buffer *out, size_t begun_at);
