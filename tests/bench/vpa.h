/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The decaying histogram of the Kubernetes VPA's recommender: exponential buckets, each 5 % wider than the one before. Weights halve in 24 h: instead
 * of all old ones falling the caller lets new ones rise. */

#define VPA_BUCKETS 256
#define VPA_MARGIN 1.15
#define VPA_MEMORY_FIRST_MIB (1e7 / 1048576)

struct vpa_histogram {
    double first; /* end of the first bucket */
    double weights[VPA_BUCKETS];
    double total;
};

void vpa_weigh(struct vpa_histogram *histogram, double amount, double weight);

/* The end of the bucket that the quantile is in. */
double vpa_quantile(const struct vpa_histogram *histogram, double quantile);
