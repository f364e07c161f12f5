/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* How long a path took the last times, and so how long it will take: a window of the newest durations, each weighing less the older it is.
 * Embedded; zeros are an empty one. */

#define LATENCY_WINDOW 64

struct latency {
    struct {
        gint64 duration_ms, at;
    } newest[LATENCY_WINDOW];
    guint count, next;
};

/* `at`: when it was seen; see base/clock.h. */
void latency_add(struct latency *latency, gint64 duration_ms, gint64 at);

/* NULL stands for an empty one. The duration that is not exceeded with probability `quantile`, in ms; `fallback_ms` while nothing is known. A duration weighs half after
 * `half_life_ms` (0: all weigh the same). With fewer than 1 / (1 - quantile) of them, by Kish's effective count of the weights, no sample quantile
 * exists, and the longest one times 1.25 stands in for it. */
gint64 latency_quantile(const struct latency *latency, double quantile, gint64 now, gint64 half_life_ms,
                        gint64 fallback_ms);
