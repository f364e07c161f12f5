/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/buffer.h"

#include <stdlib.h>
#include <string.h>

void wire_buffer_init(struct wire_buffer *buffer, size_t limit)
{
    *buffer = (struct wire_buffer){.limit = limit};
}

void wire_buffer_clear(struct wire_buffer *buffer)
{
    free(buffer->data);
    wire_buffer_init(buffer, buffer->limit);
}

void wire_buffer_reset(struct wire_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

static bool buffer_grow(struct wire_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > buffer->limit)
        capacity = buffer->limit;

    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *wire_buffer_reserve(struct wire_buffer *buffer, size_t size)
{
    bool fits = !buffer->failed && size <= buffer->limit - buffer->size;
    size_t needed = buffer->size + size;
    if (!fits || ((needed > buffer->capacity || !buffer->data) && !buffer_grow(buffer, needed))) {
        buffer->failed = true;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void wire_buffer_commit(struct wire_buffer *buffer, size_t size)
{
    buffer->size += size;
}

bool wire_buffer_append(struct wire_buffer *buffer, const void *data, size_t size)
{
    uint8_t *at = wire_buffer_reserve(buffer, size);
    if (!at)
        return false;
    if (size)
        memcpy(at, data, size);
    buffer->size += size;
    return true;
}

void wire_buffer_drop(struct wire_buffer *buffer, size_t size)
{
    if (size == 0)
        return;
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size);
}

void wire_buffer_truncate(struct wire_buffer *buffer, size_t size)
{
    buffer->size = size;
    buffer->failed = false;
}
