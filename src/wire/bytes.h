/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Little-endian integers at unaligned addresses, and borrowed runs of bytes. Pure functions. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else: a string constant, or the payload that a message was decoded from. */
struct wire_slice {
    const void *data;
    uint32_t size;
};

static inline struct wire_slice wire_slice(const void *data, size_t size)
{
    return (struct wire_slice){.data = data, .size = (uint32_t)size};
}

static inline struct wire_slice wire_text(const char *text)
{
    return wire_slice(text, text ? strlen(text) : 0);
}

static inline uint16_t wire_get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t wire_get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t wire_get_u64(const uint8_t *at)
{
    return (uint64_t)wire_get_u32(at) | (uint64_t)wire_get_u32(at + 4) << 32;
}

static inline void wire_put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void wire_put_u32(uint8_t *at, uint32_t value)
{
    wire_put_u16(at, (uint16_t)value);
    wire_put_u16(at + 2, (uint16_t)(value >> 16));
}

static inline void wire_put_u64(uint8_t *at, uint64_t value)
{
    wire_put_u32(at, (uint32_t)value);
    wire_put_u32(at + 4, (uint32_t)(value >> 32));
}
