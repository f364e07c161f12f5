/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Amounts with their units, as a person writes them: "2 GiB", "10 Mbit/s", "500 ms", "90 %". Any thread. */

enum quantity {
    QUANTITY_NUMBER,     /* 1.5 */
    QUANTITY_COUNT,      /* 3: whole */
    QUANTITY_MEMORY,     /* in MiB */
    QUANTITY_BYTES,      /* in bytes */
    QUANTITY_RATE,       /* in Mbit/s */
    QUANTITY_THROUGHPUT, /* in MB/s */
    QUANTITY_DURATION,   /* in milliseconds */
    QUANTITY_SHARE,      /* of 1, written "90 %" or 0.9 */
    QUANTITY_PERCENT,    /* in percent, written "150 %" */
};

/* The amount in the unit above. FALSE with a message that begins with the text in quotes and says what would be right, without a place. */
gboolean quantity_parse(enum quantity quantity, const char *text, double *ret_value, GError **error);

/* The shortest text that quantity_parse reads as the same value. Free with g_free. */
char *quantity_format(enum quantity quantity, double value);

/* "MiB, GiB, TiB"; NULL for a number without a unit. Static string. */
const char *quantity_units(enum quantity quantity);
