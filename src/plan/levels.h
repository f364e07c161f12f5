/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* How often which amount was used, over a long time: a histogram of which the older half-life counts half. Its cells are a few percent wide, and
 * reach from the highest amount that still counts down to a small part of it; what is lower is in the lowest cell. Pure. */

#define LEVELS_CELLS 128

/* Zeroed is how it begins. */
struct levels {
    float weights[LEVELS_CELLS];
    gint top; /* which of all cells the last one here is */
    gboolean has_any;
};

/* One more look. Amounts are from 0 to 1e15 times `unit`, from where on they tell apart; it is the same each time. */
void levels_add(struct levels *levels, double unit, double amount);

/* Where each cell ends, as an amount. */
void levels_ends(const struct levels *levels, double unit, double ret_ends[LEVELS_CELLS]);
