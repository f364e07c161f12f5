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
 * The median is that of the sample alone.
 *
 * A run that was cut short tells "at least": where that is no more than the median that would be told without it, it tells nothing.
 * Otherwise it counts beside runs that came through as one of them, and lowers no quantile. A history of nothing but such runs leaves what is said
 * without it (the prior, or `assumed`), and only raises each quantile to that of one run that used the most of them.
 *
 * Where a model has a word (struct history_prior), the function's own runs join it: its prediction counts as k = s^2 / b^2 runs, b^2 being how far
 * functions lie from what the model says of them, and s^2 how far runs lie from their function (the normal hierarchical model, ibid., section 5.4):
 * m becomes (k mu + n m) / (k + n), 1 / n becomes 1 / (k + n), and with few runs the model's own quantiles give the shape (weight 1 / (1 + n)).
 *
 * An execution with an input of another size than the one asked for is moved by what the model says of the one input more than of the other, weighs half for each two octaves between them, and counts for as little in n. Where the newest twenty
 * runs, six at least, lie along a line (least squares over their order) whose slope is five times its standard error, and closer to it than to any two levels, there is a
 * trend: each is moved along that slope to the next run, or where the newer half is clearly flatter along its slope, and the older half counts for little; where it falls, p90 is not below the newest run. Runs that were cut
 * short, or whose inputs differ by more than half an octave, tell no trend. Else, when the newest runs, three at
 * least, all lie further from the mean of the older ones than three times their spread, something has changed: the older ones weigh a twentieth. */

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
    double input;                     /* octaves of the size of its input; 0: not told */
    gint64 at;                        /* when it ended, microseconds since 1970 */
    float said[HISTORY_AMOUNT_COUNT]; /* what a model said of a run with that input, in logarithms; 0: nothing */
    gboolean is_least;                /* it was cut short, and needs at least the amounts */
    float memory_factor;              /* it ran out of memory: so many times that is assumed where more is not known */
};

/* Since `at` so much more is needed of one amount, in logarithms: of what was seen before, it is added. */
struct history_shift {
    enum history_amount amount;
    gint64 at;
    double shift;
};

/* What a model says of one amount, in logarithms (history_log). */
struct history_prior {
    double mean;
    double unshifted;      /* the mean without what was added for shifts */
    double between, total; /* spread of the functions around it, and of their runs */
    double offsets[3];     /* of its quantiles from the mean, one for each level */
};

/* What is asked for. */
struct history_query {
    guint samples_max; /* the newest */
    double half_life;
    double input;                       /* as in the sample */
    double levels[3];                   /* HISTORY_LEVELS, or others near to them */
    const struct history_prior *prior;  /* NULL: none */
    const struct quantiles *assumed;    /* what is said without prior and runs; NULL: nothing */
    const struct history_shift *shifts; /* since runs that are in the history */
    guint shift_count;
};

#define HISTORY_LEVELS \
    {                  \
        0.5, 0.9, 0.99 \
    }

struct history {
    struct history_sample *samples; /* a ring: the newest at `next` - 1 */
    guint capacity, count, next;
};

/* What is to be added to the amount that was seen or learnt `at`. */
double history_query_shift(const struct history_query *query, enum history_amount amount, gint64 at);

void history_clear(struct history *history);

/* Keeps the newest `max` samples. */
void history_add(struct history *history, const struct history_sample *sample, guint max);

/* The sample that is `age` executions old, below `count`. */
const struct history_sample *history_at(const struct history *history, guint age);

/* How many of the newest `max` were not cut short. */
guint history_count_whole(const struct history *history, guint max);

/* FALSE when no sample tells the amount and there is no prior; else p50 <= p90 <= p99 (at the levels asked for), all finite and not negative. */
gboolean history_quantiles(const struct history *history, enum history_amount amount, const struct history_query *query,
                           struct quantiles *ret_quantiles);

/* The trend: by how much each run's logarithm is above that of the one before it; 0: there is none. */
double history_trend(const struct history *history, enum history_amount amount, const struct history_query *query);

/* Between an amount and its logarithm, as history and model count. */
double history_log(enum history_amount amount, double value);
double history_amount(enum history_amount amount, double logarithm);
