/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/frame.h"

#include "wire/bytes.h"
#include "wire/message.h"

#include <string.h>

/* The first four bytes are a payload length far above WIRE_PAYLOAD_MAX. */
const uint8_t WIRE_PREAMBLE[WIRE_PREAMBLE_SIZE] = {0xff, 0xfe, 0xfd, 0xfc, 'H', 'a', 'r',  'b',
                                                   'i',  'n',  'g',  'e',  'r', '1', '\r', '\n'};

/* A whole frame, and one preamble in front of it. */
#define READER_CAPACITY (WIRE_PREAMBLE_SIZE + WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX)

void wire_reader_init(struct wire_reader *reader)
{
    *reader = (struct wire_reader){.hunting = true};
    wire_buffer_init(&reader->bytes, READER_CAPACITY);
}

void wire_reader_clear(struct wire_reader *reader)
{
    wire_buffer_clear(&reader->bytes);
    wire_reader_init(reader);
}

static void reader_compact(struct wire_reader *reader)
{
    wire_buffer_drop(&reader->bytes, reader->at);
    reader->at = 0;
}

size_t wire_reader_feed(struct wire_reader *reader, const void *data, size_t size)
{
    if (reader->bytes.size + size > READER_CAPACITY || reader->at == reader->bytes.size)
        reader_compact(reader);

    size_t room = READER_CAPACITY - reader->bytes.size;
    size_t taken = size < room ? size : room;
    if (!wire_buffer_append(&reader->bytes, data, taken)) {
        reader->bytes.failed = false;
        return 0;
    }
    return taken;
}

void wire_reader_hunt(struct wire_reader *reader, bool forget)
{
    reader->hunting = true;
    reader->expects_hello = false;
    if (!forget)
        return;
    reader->discarded += reader->bytes.size - reader->at;
    reader->at = 0;
    wire_buffer_reset(&reader->bytes);
}

bool wire_is_session_start(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    const uint8_t *header = bytes + WIRE_PREAMBLE_SIZE;
    return size >= WIRE_PREAMBLE_SIZE + WIRE_HEADER_SIZE && memcmp(bytes, WIRE_PREAMBLE, WIRE_PREAMBLE_SIZE) == 0 &&
           wire_get_u32(header) <= WIRE_HELLO_MAX && wire_get_u16(header + 4) == WIRE_TYPE_HELLO &&
           wire_get_u32(header + 8) == WIRE_STREAM_CONTROL;
}

static size_t reader_left(const struct wire_reader *reader)
{
    return reader->bytes.size - reader->at;
}

static void reader_discard(struct wire_reader *reader, size_t size)
{
    reader->at += size;
    reader->discarded += size;
}

/* Moves to the end of the next preamble; false when it has not arrived yet. */
static bool reader_find_preamble(struct wire_reader *reader)
{
    if (reader_left(reader) == 0)
        return false;

    const uint8_t *from = reader->bytes.data + reader->at;
    const uint8_t *found = memmem(from, reader_left(reader), WIRE_PREAMBLE, WIRE_PREAMBLE_SIZE);
    if (!found) {
        size_t keep = WIRE_PREAMBLE_SIZE - 1;
        if (reader_left(reader) > keep)
            reader_discard(reader, reader_left(reader) - keep);
        return false;
    }
    reader_discard(reader, (size_t)(found - from));
    reader->at += WIRE_PREAMBLE_SIZE;
    reader->hunting = false;
    reader->expects_hello = true;
    return true;
}

/* True when what stands at the border is a preamble or may become one with more bytes. */
static bool reader_at_preamble(const struct wire_reader *reader)
{
    size_t left = reader_left(reader);
    size_t size = left < WIRE_PREAMBLE_SIZE ? left : WIRE_PREAMBLE_SIZE;
    return memcmp(reader->bytes.data + reader->at, WIRE_PREAMBLE, size) == 0;
}

static enum wire_next reader_violation(struct wire_reader *reader)
{
    /* One byte is given up at least, so that a hunt never finds the preamble of the refused frame again. */
    reader_discard(reader, 1);
    wire_reader_hunt(reader, false);
    return WIRE_NEXT_VIOLATION;
}

static bool frame_is_acceptable(const struct wire_reader *reader, const struct wire_frame *frame)
{
    bool is_hello = frame->type == WIRE_TYPE_HELLO;
    return frame->size <= WIRE_PAYLOAD_MAX && is_hello == reader->expects_hello;
}

static enum wire_next reader_take_frame(struct wire_reader *reader, struct wire_frame *ret_frame)
{
    const uint8_t *header = reader->bytes.data + reader->at;
    struct wire_frame frame = {
        .size = wire_get_u32(header),
        .type = wire_get_u16(header + 4),
        .flags = wire_get_u16(header + 6),
        .stream = wire_get_u32(header + 8),
        .payload = header + WIRE_HEADER_SIZE,
    };
    if (!frame_is_acceptable(reader, &frame))
        return reader_violation(reader);
    if (reader_left(reader) - WIRE_HEADER_SIZE < frame.size)
        return WIRE_NEXT_MORE;

    reader->at += WIRE_HEADER_SIZE + frame.size;
    reader->expects_hello = false;
    *ret_frame = frame;
    return WIRE_NEXT_FRAME;
}

enum wire_next wire_reader_next(struct wire_reader *reader, struct wire_frame *ret_frame)
{
    if (reader->hunting && !reader_find_preamble(reader))
        return WIRE_NEXT_MORE;

    if (reader_left(reader) >= 4 && reader_at_preamble(reader) && !reader_find_preamble(reader))
        return WIRE_NEXT_MORE;
    if (reader_left(reader) < WIRE_HEADER_SIZE)
        return WIRE_NEXT_MORE;
    return reader_take_frame(reader, ret_frame);
}

size_t wire_frame_begin(struct wire_buffer *out, uint16_t type, uint16_t flags, uint32_t stream)
{
    size_t begun_at = out->size;
    uint8_t header[WIRE_HEADER_SIZE] = {0};
    wire_put_u16(header + 4, type);
    wire_put_u16(header + 6, flags);
    wire_put_u32(header + 8, stream);
    wire_buffer_append(out, header, sizeof(header));
    return begun_at;
}

bool wire_frame_end(struct wire_buffer *out, size_t begun_at)
{
    if (out->failed || out->size - begun_at > WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX) {
        wire_buffer_truncate(out, begun_at);
        return false;
    }
    wire_put_u32(out->data + begun_at, (uint32_t)(out->size - begun_at - WIRE_HEADER_SIZE));
    return true;
}

bool wire_frame_write(struct wire_buffer *out, uint16_t type, uint16_t flags, uint32_t stream, const void *payload,
                      size_t size)
{
    size_t begun_at = wire_frame_begin(out, type, flags, stream);
    wire_buffer_append(out, payload, size);
    return wire_frame_end(out, begun_at);
}
