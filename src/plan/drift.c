/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/drift.h"

#include <math.h>

#define SLACK 0.5 /* k */
#define OVERSHOOT 1.166
#define FAR_OUT 3.0

static double samples_between_alarms(double threshold)
{
    const double x = 2 * SLACK * (threshold + OVERSHOOT);
    return (exp(x) - x - 1) / (2 * SLACK * SLACK) / 2;
}

double drift_threshold(double samples)
{
    double low = 0, high = 40;
    for (guint i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (samples_between_alarms(middle) < samples)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void drift_add(double *sum, guint *count, double z)
{
    *sum = MAX(0, *sum + z - SLACK);
    *count = *sum > 0 ? *count + 1 : 0;
}

enum drift_finding drift_update(struct drift *drift, double z, double threshold, guint *ret_samples)
{
    const double bounded = CLAMP(z, -FAR_OUT, FAR_OUT);
    drift_add(&drift->up, &drift->up_count, bounded);
    drift_add(&drift->down, &drift->down_count, -bounded);
    const gboolean is_excess = drift->up > threshold, is_decline = drift->down > threshold;
    if (ret_samples != NULL)
        *ret_samples = is_excess ? drift->up_count : is_decline ? drift->down_count : 0;
    if (!is_excess && !is_decline)
        return z >= FAR_OUT ? DRIFT_SPIKE : DRIFT_NONE;
    *drift = (struct drift){0};
    return is_excess ? DRIFT_EXCESS : DRIFT_DECLINE;
}
