/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A byte buffer that grows up to a limit. Owns its memory; used by one thread at a time. A failed append (limit reached,
 * out of memory) is remembered in `failed`, so that a whole message is encoded first and checked once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit;
    bool failed;
};

/* An empty buffer that will never hold more than `limit` bytes; allocates nothing yet. */
void wire_buffer_init(struct wire_buffer *buffer, size_t limit);
void wire_buffer_clear(struct wire_buffer *buffer);

/* Forgets the content and the failure, keeps the memory. */
void wire_buffer_reset(struct wire_buffer *buffer);

/* Appends, or sets `failed` and appends nothing. */
bool wire_buffer_append(struct wire_buffer *buffer, const void *data, size_t size);

/* Room for `size` more bytes at the end, which wire_buffer_commit() then counts; NULL (and `failed`) when refused. */
uint8_t *wire_buffer_reserve(struct wire_buffer *buffer, size_t size);
void wire_buffer_commit(struct wire_buffer *buffer, size_t size);

/* Removes `size` bytes from the front. */
void wire_buffer_drop(struct wire_buffer *buffer, size_t size);

/* Cuts the content back to `size` bytes and forgets a failure: takes back a message that did not fit. */
void wire_buffer_truncate(struct wire_buffer *buffer, size_t size);
