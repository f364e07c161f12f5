/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/latency.h"

#include <stdlib.h>
#include <string.h>

void latency_add(struct latency *latency, gint64 duration_ms)
{
    latency->newest_ms[latency->next] = duration_ms;
    latency->next = (latency->next + 1) % LATENCY_WINDOW;
    if (latency->count < LATENCY_WINDOW)
        latency->count++;
}

static int latency_compare(const void *a, const void *b)
{
    const gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
    return (x > y) - (x < y);
}

gint64 latency_quantile(const struct latency *latency, double quantile, gint64 fallback_ms)
{
    const guint count = latency->count;
    if (count == 0)
        return fallback_ms;
    gint64 sorted[LATENCY_WINDOW];
    memcpy(sorted, latency->newest_ms, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], latency_compare);
    if ((1 - quantile) * count < 1)
        return sorted[count - 1] * 5 / 4;
    return sorted[(guint)(quantile * (count - 1) + 0.5)];
}
