/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vpa.h"

#include <math.h>

#define RATIO 1.05

/* Where bucket i begins: first x (1 + r + ... + r^(i-1)). */
static double bucket_start(const struct vpa_histogram *histogram, guint bucket)
{
    return histogram->first * (pow(RATIO, bucket) - 1) / (RATIO - 1);
}

void vpa_weigh(struct vpa_histogram *histogram, double amount, double weight)
{
    const double bucket = log(amount * (RATIO - 1) / histogram->first + 1) / log(RATIO);
    histogram->weights[(guint)CLAMP(floor(bucket), 0, VPA_BUCKETS - 1)] += weight;
    histogram->total += weight;
}

double vpa_quantile(const struct vpa_histogram *histogram, double quantile)
{
    double weight = 0;
    guint bucket = 0;
    for (; bucket < VPA_BUCKETS - 1; bucket++) {
        weight += histogram->weights[bucket];
        if (weight >= quantile * histogram->total)
            break;
    }
    return bucket_start(histogram, bucket + 1);
}
