/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Credit based flow control of one stream, in both directions. A sender spends credit for the payload of data frames and
 * waits at zero; a receiver gives credit back as it consumes. Used by one thread at a time.
 */

#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

struct wire_credit {
    uint32_t to_send;    /* bytes that we may still send */
    uint32_t allowed;    /* bytes that the peer may still send */
    uint32_t unreturned; /* bytes consumed and not yet given back */
};

static inline void wire_credit_init(struct wire_credit *credit)
{
    *credit = (struct wire_credit){.to_send = WIRE_WINDOW_INITIAL, .allowed = WIRE_WINDOW_INITIAL};
}

/* A WINDOW frame came. False when the sum passes WIRE_WINDOW_MAX: the peer is broken. */
static inline bool wire_credit_granted(struct wire_credit *credit, uint32_t bytes)
{
    if (bytes > WIRE_WINDOW_MAX - credit->to_send)
        return false;
    credit->to_send += bytes;
    return true;
}

/* Data came. False when it was more than allowed. */
static inline bool wire_credit_received(struct wire_credit *credit, uint32_t bytes)
{
    if (bytes > credit->allowed)
        return false;
    credit->allowed -= bytes;
    return true;
}

/* Data was consumed. Returns the credit that is now due to the peer in a WINDOW frame; 0 while it is too little to send. */
static inline uint32_t wire_credit_consumed(struct wire_credit *credit, uint32_t bytes)
{
    credit->unreturned += bytes;
    if (credit->unreturned < WIRE_WINDOW_INITIAL / 4)
        return 0;
    uint32_t due = credit->unreturned;
    credit->unreturned = 0;
    credit->allowed += due;
    return due;
}
