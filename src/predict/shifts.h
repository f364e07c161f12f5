/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/execution.h"
#include "predict/history.h"

/* Changes that all code with one library shares: a new version of it that needs 1.6 times as much. A function's own runs show such a change to that
 * function alone, and late; here the runs of all of its users vote on it. One thread.
 *
 * A vote is how far a run lay from what was said of it, its function's own runs included, in logarithms, over how unsure that was (z, at most 3 either
 * way). Among a tenant's own functions each has one vote, its newest; among all tenants each tenant has one, so that two others have to agree before
 * anything changes for a tenant. When the newest m votes (3 to 6) all have the same sign and are at least 0.2 off, and the sum of z is above 4.5 sqrt(m) (Stouffer's method), the
 * library has shifted by their median since the first of them: what was seen before then counts with so much added. */

struct shifts;

#define SHIFTS_MAX 16

struct shifts *shifts_new(void);
void shifts_free(struct shifts *shifts);

/* What a run was off. */
struct surprise {
    double left_over, spread; /* in logarithms; NAN: nothing was said of it */
};

/* One run that ended `at`. TRUE: a library was found to have shifted. */
gboolean shifts_observe(struct shifts *shifts, const struct code_metadata *code, gint64 at,
                        const struct surprise surprises[HISTORY_AMOUNT_COUNT]);

/* Of the code's libraries. Returns how many. */
guint shifts_get(const struct shifts *shifts, const struct code_metadata *code,
                 struct history_shift ret_shifts[SHIFTS_MAX]);
