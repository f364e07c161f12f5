/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes from a hostile peer: whatever arrives, in pieces of any size, each frame either decodes or is refused with a
 * status, and what decodes can be encoded and decoded to the same bytes again.
 */
#include "wire/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union any_message {
    struct wire_exec exec;
    struct wire_usage usage;
    struct wire_hello hello;
    struct wire_identity identity;
    struct wire_exit exit;
};

static void check_round_trip(const struct wire_frame *frame)
{
    static union any_message message, again;
    struct wire_error error;
    if (!wire_message_read(frame, &message, &error)) {
        if (error.status == WIRE_OK || error.offset > frame->size)
            abort();
        return;
    }

    struct wire_buffer out;
    wire_buffer_init(&out, WIRE_PREAMBLE_SIZE + WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX);
    struct wire_frame copy = *frame;
    size_t skip = WIRE_HEADER_SIZE + (frame->type == WIRE_TYPE_HELLO ? WIRE_PREAMBLE_SIZE : 0);
    if (!wire_message_write(&out, frame->type, frame->flags, frame->stream, &message))
        abort();
    copy.payload = out.data + skip;
    copy.size = (uint32_t)(out.size - skip);
    if (copy.size > frame->size || !wire_message_read(&copy, &again, &error))
        abort();
    wire_buffer_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader reader;
    struct wire_frame frame;
    wire_reader_init(&reader);

    size_t at = 0, step = size ? data[0] + 1u : 1;
    while (at < size) {
        size_t piece = size - at < step ? size - at : step;
        at += wire_reader_feed(&reader, data + at, piece);
        for (enum wire_next next; (next = wire_reader_next(&reader, &frame)) != WIRE_NEXT_MORE;) {
            if (next == WIRE_NEXT_FRAME)
                check_round_trip(&frame);
        }
    }
    wire_reader_clear(&reader);
    return 0;
}
