/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/sample.h"

/* What the newest runs say of the predictions, between one training and the next: how far off they were, and how often each quantile was exceeded.
 * One thread.
 *
 * The bias is the mean of what was left over (y - predicted, in logarithms, at most 3 either way), newest runs first (half weight after 20), the n-th
 * run of one function counting 1/n of a run, at least a tenth. It is shrunk from the few to the many: the mean b of a group of weight w becomes
 * (w b + k prior) / (w + k), where the tenant's runs with this principal library have the tenant's runs as their prior (k = 3), and those what other tenants
 * found (k = 5). The others' word is the median over the tenants, with one vote more for "nothing": one tenant alone, be it with runs made up on
 * purpose, changes no prediction for another.
 *
 * A quantile is right when it is exceeded as often as it says, for each tenant and language, also after a drift: its level follows the count of those that
 * exceeded it too often (integral control: Angelopoulos, Candes, Tibshirani, Conformal PID Control for Time Series Prediction, 2023). */

struct correction;

#define CORRECTION_LEVELS 3 /* p50, p90, p99 */

extern const double correction_levels[CORRECTION_LEVELS];

struct correction *correction_new(void);
void correction_free(struct correction *correction);

/* In logarithms, to be added to what the model says. */
double correction_bias(const struct correction *correction, const struct sample *sample, enum target target);

/* `nth`: which run of its function it was, from 1; `left_over` of the model's prediction without its bias. */
void correction_observe_bias(struct correction *correction, const struct sample *sample, enum target target,
                             double left_over, guint nth);

/* The group whose quantiles are watched: a tenant's code in one language, that which is known by its own runs and new code apart. */
guint64 correction_group(const struct sample *sample, gboolean is_known);

/* Which level has to be asked for so that correction_levels[level] of the group's runs are covered: 0.02 to 0.999. */
double correction_level(const struct correction *correction, guint64 group, enum target target, guint level);

/* `quantiles` as they were predicted, in logarithms. `is_least`: of a run cut short, which counts where it exceeded a quantile already. */
void correction_observe_cover(struct correction *correction, guint64 group, enum target target, double y,
                              gboolean is_least, const double quantiles[CORRECTION_LEVELS]);

/* Share of the group's runs that each quantile covered, and of how many (p50's: of the others, fewer of those cut short count). */
struct coverage {
    guint count;
    double shares[CORRECTION_LEVELS];
};

void correction_coverage(const struct correction *correction, guint64 group, enum target target,
                         struct coverage *ret_coverage);
