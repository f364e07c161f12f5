/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"

/* What the newest executions of one function used, and the quantiles that follow from it. One thread.
 *
 * All is done on y = ln(x + offset), since usage varies by ratios. The execution that is i executions old weighs w = 2^(-i / half_life);
 * n = (sum w)^2 / sum w^2 is how many equal executions that is worth (Kish, Survey Sampling, 1965, section 11.7). The quantile p is a blend of two,
 *
 *     y(p) = l e(p) + (1 - l) t(p),    l = n / (n + 1 / (1 - p))
 *
 * so that each counts half when there are as many executions as it takes to see one beyond the quantile on average:
 *   e(p) the weighted empirical quantile: linear between the midpoints of the cumulated weights (for equal weights definition 5 of Hyndman and
 *        Fan, Sample Quantiles in Statistical Packages, 1996);
 *   t(p) = m + T(p; v) sqrt((v0 s0^2 + n s^2) / v (1 + 1 / n)),    v = v0 + n
 *        the posterior predictive quantile of a normal variable (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.3) around the weighted
 *        median m, where the variance s^2 of the sample is joined by a prior of v0 = 4 executions that spread by s0 (see history.c): with one
 *        execution p90 is 7 % above its CPUs and 15 % above its memory, and p99 18 % and 40 %.
 * The median is that of the sample alone. */

enum history_amount {
    HISTORY_VCPUS,
    HISTORY_MEMORY,
    HISTORY_NETWORK,
    HISTORY_DURATION,
    HISTORY_DISK,
    HISTORY_AMOUNT_COUNT
};

/* NAN: not told. */
struct history_sample {
    float amounts[HISTORY_AMOUNT_COUNT];
};

struct history {
    struct history_sample *samples; /* a ring: the newest at `next` - 1 */
    guint capacity, count, next;
};

void history_clear(struct history *history);

/* Keeps the newest `max` samples. */
void history_add(struct history *history, const struct history_sample *sample, guint max);

/* Of the newest `max` samples. FALSE when none of them tells the amount; else p50 <= p90 <= p99, all finite and not negative. */
gboolean history_quantiles(const struct history *history, enum history_amount amount, guint max, double half_life,
                           struct quantiles *ret_quantiles);
