/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* How long a path took the last times, and so how long it will take: a window of the newest durations. Embedded; zeros are an empty
 * one. */

#define LATENCY_WINDOW 64

struct latency {
    gint64 newest_ms[LATENCY_WINDOW];
    guint count, next;
};

void latency_add(struct latency *latency, gint64 duration_ms);

/* The duration that is not exceeded with probability `quantile`, in ms; `fallback_ms` while nothing is known. With fewer than
 * 1 / (1 - quantile) durations no sample quantile exists, and the longest one times 1.25 stands in for it. */
gint64 latency_quantile(const struct latency *latency, double quantile, gint64 fallback_ms);
