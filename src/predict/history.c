/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/history.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

#define PRIOR_WEIGHT 4.0 /* v0 */

/* Prior spread s0 of the logarithm, offset that keeps zeros apart from minus infinity, and least value that is told from nothing. */
static const struct {
    double spread, offset, least;
} amount_table[HISTORY_AMOUNT_COUNT] = {
    [HISTORY_VCPUS] = {0.04, 0, 0.01}, [HISTORY_MEMORY] = {0.08, 0, 1}, [HISTORY_NETWORK] = {0.3, 0.1, 0},
    [HISTORY_DURATION] = {0.3, 0, 1},  [HISTORY_DISK] = {0.3, 0.1, 0},
};

/* One told amount: y, and its weight. */
struct weighted {
    double y, weight;
};

/* What there is to know of the told amounts, sorted by y. */
struct distribution {
    struct weighted *points;
    guint count;
    double weight_sum, effective, median, variance;
};

void history_clear(struct history *history)
{
    g_clear_pointer(&history->samples, g_free);
    history->capacity = history->count = history->next = 0;
}

/* The sample that is `age` executions old. */
static const struct history_sample *history_at(const struct history *history, guint age)
{
    return &history->samples[(history->next + history->capacity - 1 - age) % history->capacity];
}

/* Another capacity; the newest samples are kept, the oldest first. */
static void history_resize(struct history *history, guint capacity)
{
    struct history_sample *samples = g_new(struct history_sample, capacity);
    const guint kept = MIN(history->count, capacity);
    for (guint i = 0; i < kept; i++)
        samples[i] = *history_at(history, kept - 1 - i);
    g_free(history->samples);
    *history = (struct history){.samples = samples, .capacity = capacity, .count = kept, .next = kept % capacity};
}

void history_add(struct history *history, const struct history_sample *sample, guint max)
{
    if (history->capacity > max)
        history_resize(history, max);
    else if (history->count == history->capacity && history->capacity < max)
        history_resize(history, MIN(MAX(history->capacity * 2, 4), max));
    history->samples[history->next] = *sample;
    history->next = (history->next + 1) % history->capacity;
    history->count = MIN(history->count + 1, history->capacity);
}

static int weighted_compare(const void *a, const void *b)
{
    const struct weighted *left = a, *right = b;
    return (left->y > right->y) - (left->y < right->y);
}

static double distribution_quantile(const struct distribution *distribution, double p)
{
    const struct weighted *points = distribution->points;
    const double target = p * distribution->weight_sum;
    double middle = points[0].weight / 2;
    if (target <= middle)
        return points[0].y;
    for (guint i = 1; i < distribution->count; i++) {
        const double next = middle + (points[i - 1].weight + points[i].weight) / 2;
        if (target <= next)
            return points[i - 1].y + (points[i].y - points[i - 1].y) * (target - middle) / (next - middle);
        middle = next;
    }
    return points[distribution->count - 1].y;
}

static void distribution_collect(struct distribution *distribution, const struct history *history,
                                 enum history_amount amount, guint max, double half_life)
{
    const double decay = exp2(-1 / half_life);
    const guint count = MIN(history->count, max);
    double weight = 1;
    for (guint age = 0; age < count && weight > 1e-9; age++, weight *= decay) {
        const double value = history_at(history, age)->amounts[amount];
        if (!isnan(value))
            distribution->points[distribution->count++] = (struct weighted){
                .y = log(MAX(value, amount_table[amount].least) + amount_table[amount].offset),
                .weight = weight,
            };
    }
    qsort(distribution->points, distribution->count, sizeof *distribution->points, weighted_compare);
}

static void distribution_describe(struct distribution *distribution)
{
    double sum = 0, squares = 0, mean = 0;
    for (guint i = 0; i < distribution->count; i++) {
        const struct weighted *point = &distribution->points[i];
        sum += point->weight;
        squares += point->weight * point->weight;
        mean += point->weight * point->y;
    }
    mean /= sum;
    for (guint i = 0; i < distribution->count; i++) {
        const double distance = distribution->points[i].y - mean;
        distribution->variance += distribution->points[i].weight * distance * distance / sum;
    }
    distribution->weight_sum = sum;
    distribution->effective = sum * sum / squares;
    distribution->median = distribution_quantile(distribution, 0.5);
}

static double distribution_blend(const struct distribution *distribution, enum history_amount amount, double p)
{
    const double n = distribution->effective, freedom = PRIOR_WEIGHT + n, spread = amount_table[amount].spread;
    const double variance = (PRIOR_WEIGHT * spread * spread + n * distribution->variance) / freedom * (1 + 1 / n);
    const double predictive = distribution->median + gsl_cdf_tdist_Pinv(p, freedom) * sqrt(variance);
    const double share = n / (n + 1 / (1 - p));
    return share * distribution_quantile(distribution, p) + (1 - share) * predictive;
}

static double amount_of_log(enum history_amount amount, double y)
{
    return CLAMP(exp(MIN(y, 27)) - amount_table[amount].offset, 0, 1e11);
}

gboolean history_quantiles(const struct history *history, enum history_amount amount, guint max, double half_life,
                           struct quantiles *ret_quantiles)
{
    if (history->count == 0)
        return FALSE;
    g_autofree struct weighted *points = g_new(struct weighted, history->count);
    struct distribution distribution = {.points = points};
    distribution_collect(&distribution, history, amount, max, half_life);
    if (distribution.count == 0)
        return FALSE;
    distribution_describe(&distribution);
    struct quantiles quantiles;
    quantiles.p50 = amount_of_log(amount, distribution.median);
    quantiles.p90 = MAX(quantiles.p50, amount_of_log(amount, distribution_blend(&distribution, amount, 0.9)));
    quantiles.p99 = MAX(quantiles.p90, amount_of_log(amount, distribution_blend(&distribution, amount, 0.99)));
    *ret_quantiles = quantiles;
    return TRUE;
}
