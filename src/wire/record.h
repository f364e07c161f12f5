/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Records: plain structs as a run of fields {u16 tag, u32 length, bytes}, described by one table per struct. Decoding
 * borrows from the payload, never reads outside it, skips unknown tags, and says exactly what it refuses and where.
 * An integer that is zero and a text that is empty are not sent unless the field is required. Pure functions.
 */

#include "wire/buffer.h"
#include "wire/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_kind {
    WIRE_KIND_U32,     /* uint32_t */
    WIRE_KIND_U64,     /* uint64_t */
    WIRE_KIND_TEXT,    /* struct wire_slice without NUL bytes; `max` bounds its bytes */
    WIRE_KIND_BYTES,   /* struct wire_slice; `max` bounds its bytes */
    WIRE_KIND_TEXTS,   /* array of struct wire_slice, one field each; `max` bounds the count */
    WIRE_KIND_RECORDS, /* array of structs, one field each; `max` bounds the count */
};

struct wire_field {
    uint16_t tag;
    uint8_t kind;
    bool required;
    uint32_t max;
    uint16_t offset;
    uint16_t count_offset; /* of the uint32_t that counts TEXTS or RECORDS */
    const struct wire_layout *record;
};

struct wire_layout {
    const char *name;
    size_t size;
    const struct wire_field *fields;
    size_t n_fields;
};

enum wire_status {
    WIRE_OK,
    WIRE_TRUNCATED,    /* a field reaches over the end of its payload */
    WIRE_BAD_LENGTH,   /* an integer of another width */
    WIRE_TOO_LONG,     /* above the field's bound in bytes */
    WIRE_TOO_MANY,     /* above the field's bound in number */
    WIRE_DUPLICATE,    /* a field that may stand once stands twice */
    WIRE_MISSING,      /* a required field is absent */
    WIRE_BAD_TEXT,     /* a NUL byte in a text */
    WIRE_UNKNOWN_TYPE, /* no such message in this version */
};

/* What was refused: the field's tag, and where it begins in the payload. */
struct wire_error {
    enum wire_status status;
    uint16_t tag;
    uint32_t offset;
};

/* A short English phrase for a status, for logs and ERROR frames. */
const char *wire_status_text(enum wire_status status);

/* Fills `ret_record` (layout->size bytes). On failure the record is zeroed and `ret_error`, if given, says why. */
bool wire_record_decode(const struct wire_layout *layout, const uint8_t *payload, uint32_t size, void *ret_record,
                        struct wire_error *ret_error);

/* Appends the record's fields; out->failed tells whether they fitted. A value above its bound fails too. */
bool wire_record_encode(const struct wire_layout *layout, const void *record, struct wire_buffer *out);
