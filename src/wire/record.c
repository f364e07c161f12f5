/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/record.h"

#include <string.h>

#define FIELD_HEADER_SIZE 6u

/* Records hold lists, lists hold records; one level of that is all the protocol has. */
#define RECORD_DEPTH_MAX 2

const char *wire_status_text(enum wire_status status)
{
    static const char *const texts[] = {
        [WIRE_OK] = "no error",
        [WIRE_TRUNCATED] = "field reaches over the end of the payload",
        [WIRE_BAD_LENGTH] = "integer of the wrong width",
        [WIRE_TOO_LONG] = "value longer than its bound",
        [WIRE_TOO_MANY] = "more values than its bound",
        [WIRE_DUPLICATE] = "field stands twice",
        [WIRE_MISSING] = "required field is missing",
        [WIRE_BAD_TEXT] = "NUL byte in a text",
        [WIRE_UNKNOWN_TYPE] = "unknown message type",
    };
    return (size_t)status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "unknown error";
}

static bool is_list(const struct wire_field *field)
{
    return field->kind == WIRE_KIND_TEXTS || field->kind == WIRE_KIND_RECORDS;
}

static const struct wire_field *layout_find(const struct wire_layout *layout, uint16_t tag, size_t *ret_index)
{
    for (size_t i = 0; i < layout->n_fields; i++) {
        if (layout->fields[i].tag == tag) {
            *ret_index = i;
            return &layout->fields[i];
        }
    }
    return NULL;
}

static enum wire_status decode_record(const struct wire_layout *layout, const uint8_t *payload, uint32_t size,
                                      uint32_t base, int depth, uint8_t *record, struct wire_error *error);

static enum wire_status decode_integer(const struct wire_field *field, const uint8_t *at, uint32_t size,
                                       uint8_t *member)
{
    if (field->kind == WIRE_KIND_U32) {
        if (size != sizeof(uint32_t))
            return WIRE_BAD_LENGTH;
        uint32_t value = wire_get_u32(at);
        memcpy(member, &value, sizeof(value));
        return WIRE_OK;
    }
    if (size != sizeof(uint64_t))
        return WIRE_BAD_LENGTH;
    uint64_t value = wire_get_u64(at);
    memcpy(member, &value, sizeof(value));
    return WIRE_OK;
}

static enum wire_status decode_slice(bool is_text, uint32_t max, const uint8_t *at, uint32_t size, uint8_t *member)
{
    if (size > max)
        return WIRE_TOO_LONG;
    if (is_text && size && memchr(at, 0, size))
        return WIRE_BAD_TEXT;
    struct wire_slice slice = {.data = at, .size = size};
    memcpy(member, &slice, sizeof(slice));
    return WIRE_OK;
}

static enum wire_status decode_item(const struct wire_field *field, const uint8_t *at, uint32_t size, uint32_t base,
                                    int depth, uint8_t *record, struct wire_error *error)
{
    uint32_t count;
    memcpy(&count, record + field->count_offset, sizeof(count));
    if (count >= field->max)
        return WIRE_TOO_MANY;

    size_t item_size = field->kind == WIRE_KIND_TEXTS ? sizeof(struct wire_slice) : field->record->size;
    uint8_t *item = record + field->offset + count * item_size;
    enum wire_status status = field->kind == WIRE_KIND_TEXTS
                                  ? decode_slice(true, UINT32_MAX, at, size, item)
                                  : decode_record(field->record, at, size, base, depth + 1, item, error);
    if (status != WIRE_OK)
        return status;
    count++;
    memcpy(record + field->count_offset, &count, sizeof(count));
    return WIRE_OK;
}

static enum wire_status decode_field(const struct wire_field *field, const uint8_t *at, uint32_t size, uint32_t base,
                                     int depth, uint8_t *record, struct wire_error *error)
{
    uint8_t *member = record + field->offset;
    switch ((enum wire_kind)field->kind) {
    case WIRE_KIND_U32:
    case WIRE_KIND_U64:
        return decode_integer(field, at, size, member);
    case WIRE_KIND_TEXT:
    case WIRE_KIND_BYTES:
        return decode_slice(field->kind == WIRE_KIND_TEXT, field->max, at, size, member);
    case WIRE_KIND_TEXTS:
    case WIRE_KIND_RECORDS:
        return decode_item(field, at, size, base, depth, record, error);
    }
    return WIRE_OK;
}

static enum wire_status refuse(struct wire_error *error, enum wire_status status, uint16_t tag, uint32_t offset)
{
    /* The innermost refusal is the exact one: an outer level does not write over it. */
    if (error->status == WIRE_OK)
        *error = (struct wire_error){.status = status, .tag = tag, .offset = offset};
    return status;
}

static enum wire_status check_required(const struct wire_layout *layout, uint64_t seen, uint32_t offset,
                                       struct wire_error *error)
{
    for (size_t i = 0; i < layout->n_fields; i++) {
        if (layout->fields[i].required && !(seen & UINT64_C(1) << i))
            return refuse(error, WIRE_MISSING, layout->fields[i].tag, offset);
    }
    return WIRE_OK;
}

static enum wire_status decode_record(const struct wire_layout *layout, const uint8_t *payload, uint32_t size,
                                      uint32_t base, int depth, uint8_t *record, struct wire_error *error)
{
    uint64_t seen = 0;
    uint32_t at = 0;

    if (depth > RECORD_DEPTH_MAX)
        return refuse(error, WIRE_TOO_MANY, 0, base);
    while (at < size) {
        if (size - at < FIELD_HEADER_SIZE)
            return refuse(error, WIRE_TRUNCATED, 0, base + at);
        uint16_t tag = wire_get_u16(payload + at);
        uint32_t length = wire_get_u32(payload + at + 2);
        if (length > size - at - FIELD_HEADER_SIZE)
            return refuse(error, WIRE_TRUNCATED, tag, base + at);

        size_t index = 0;
        const struct wire_field *field = layout_find(layout, tag, &index);
        uint32_t value_at = at + FIELD_HEADER_SIZE;
        if (field) {
            if ((seen & UINT64_C(1) << index) && !is_list(field))
                return refuse(error, WIRE_DUPLICATE, tag, base + at);
            seen |= UINT64_C(1) << index;
            enum wire_status status =
                decode_field(field, payload + value_at, length, base + value_at, depth, record, error);
            if (status != WIRE_OK)
                return refuse(error, status, tag, base + at);
        }
        at = value_at + length;
    }
    return check_required(layout, seen, base + size, error);
}

bool wire_record_decode(const struct wire_layout *layout, const uint8_t *payload, uint32_t size, void *ret_record,
                        struct wire_error *ret_error)
{
    struct wire_error error = {.status = WIRE_OK};
    memset(ret_record, 0, layout->size);
    bool ok = decode_record(layout, payload, size, 0, 0, ret_record, &error) == WIRE_OK;
    if (!ok)
        memset(ret_record, 0, layout->size);
    if (ret_error)
        *ret_error = error;
    return ok;
}

static bool put_field(struct wire_buffer *out, uint16_t tag, const void *data, uint32_t size)
{
    uint8_t header[FIELD_HEADER_SIZE];
    wire_put_u16(header, tag);
    wire_put_u32(header + 2, size);
    return wire_buffer_append(out, header, sizeof(header)) && wire_buffer_append(out, data, size);
}

static bool encode_integer(const struct wire_field *field, const uint8_t *member, struct wire_buffer *out)
{
    uint8_t bytes[sizeof(uint64_t)];
    if (field->kind == WIRE_KIND_U32) {
        uint32_t value;
        memcpy(&value, member, sizeof(value));
        wire_put_u32(bytes, value);
        return (value == 0 && !field->required) || put_field(out, field->tag, bytes, sizeof(value));
    }
    uint64_t value;
    memcpy(&value, member, sizeof(value));
    wire_put_u64(bytes, value);
    return (value == 0 && !field->required) || put_field(out, field->tag, bytes, sizeof(value));
}

static bool encode_slice(const struct wire_field *field, const uint8_t *member, struct wire_buffer *out)
{
    struct wire_slice slice;
    memcpy(&slice, member, sizeof(slice));
    if (slice.size > field->max)
        return false;
    if (slice.size == 0)
        return !field->required || put_field(out, field->tag, "", 0);
    return put_field(out, field->tag, slice.data, slice.size);
}

static bool encode_nested(const struct wire_field *field, const uint8_t *item, struct wire_buffer *out)
{
    size_t begun_at = out->size;
    if (!put_field(out, field->tag, "", 0) || !wire_record_encode(field->record, item, out))
        return false;
    wire_put_u32(out->data + begun_at + 2, (uint32_t)(out->size - begun_at - FIELD_HEADER_SIZE));
    return true;
}

static bool encode_list(const struct wire_field *field, const uint8_t *record, struct wire_buffer *out)
{
    uint32_t count;
    memcpy(&count, record + field->count_offset, sizeof(count));
    if (count > field->max)
        return false;

    const uint8_t *items = record + field->offset;
    for (uint32_t i = 0; i < count; i++) {
        if (field->kind == WIRE_KIND_RECORDS) {
            if (!encode_nested(field, items + i * field->record->size, out))
                return false;
            continue;
        }
        struct wire_slice slice;
        memcpy(&slice, items + i * sizeof(slice), sizeof(slice));
        if (!put_field(out, field->tag, slice.data, slice.size))
            return false;
    }
    return true;
}

static bool encode_field(const struct wire_field *field, const uint8_t *record, struct wire_buffer *out)
{
    switch ((enum wire_kind)field->kind) {
    case WIRE_KIND_U32:
    case WIRE_KIND_U64:
        return encode_integer(field, record + field->offset, out);
    case WIRE_KIND_TEXT:
    case WIRE_KIND_BYTES:
        return encode_slice(field, record + field->offset, out);
    case WIRE_KIND_TEXTS:
    case WIRE_KIND_RECORDS:
        return encode_list(field, record, out);
    }
    return false;
}

bool wire_record_encode(const struct wire_layout *layout, const void *record, struct wire_buffer *out)
{
    for (size_t i = 0; i < layout->n_fields; i++) {
        if (!encode_field(&layout->fields[i], record, out))
            out->failed = true;
    }
    return !out->failed;
}
