/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/latency.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

struct weighted_duration {
    gint64 duration_ms;
    double weight;
};

void latency_add(struct latency *latency, gint64 duration_ms, gint64 at)
{
    latency->newest[latency->next].duration_ms = duration_ms;
    latency->newest[latency->next].at = at;
    latency->next = (latency->next + 1) % LATENCY_WINDOW;
    if (latency->count < LATENCY_WINDOW)
        latency->count++;
}

static int latency_compare(const void *a, const void *b)
{
    const gint64 x = ((const struct weighted_duration *)a)->duration_ms;
    const gint64 y = ((const struct weighted_duration *)b)->duration_ms;
    return (x > y) - (x < y);
}

static double latency_weight(gint64 age, gint64 half_life_ms)
{
    return half_life_ms > 0 ? exp2(-(double)MAX(age, 0) / (double)(half_life_ms * CLOCK_MS)) : 1;
}

gint64 latency_quantile(const struct latency *latency, double quantile, gint64 now, gint64 half_life_ms,
                        gint64 fallback_ms)
{
    struct weighted_duration sorted[LATENCY_WINDOW];
    const guint count = latency != NULL ? latency->count : 0;
    double sum = 0, squares = 0;
    if (count == 0)
        return fallback_ms;
    gint64 newest_at = 0; /* weights count from the newest on: what is old is known no less for want of newer ones */
    for (guint i = 0; i < count; i++)
        newest_at = MAX(newest_at, latency->newest[i].at);
    for (guint i = 0; i < count; i++) {
        const double weight = latency_weight(MIN(newest_at, now) - latency->newest[i].at, half_life_ms);
        sorted[i] = (struct weighted_duration){latency->newest[i].duration_ms, weight};
        sum += weight;
        squares += weight * weight;
    }
    qsort(sorted, count, sizeof sorted[0], latency_compare);
    if ((1 - quantile) * sum * sum / squares < 1)
        return sorted[count - 1].duration_ms * 5 / 4;
    double reached = 0;
    for (guint i = 0; i < count; i++) {
        reached += sorted[i].weight;
        if (reached >= quantile * sum)
            return sorted[i].duration_ms;
    }
    return sorted[count - 1].duration_ms;
}
