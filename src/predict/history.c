/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/history.h"

#include "model/normal.h"

#include <gsl/gsl_fit.h>
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
    guint whole;                    /* of them: not cut short */
    double input_least, input_most; /* in octaves; 0: told of none */
    double near;                    /* as many runs with the size of input that is asked for */
    double weight_sum, effective, median, variance;
};

#define CHANGE_RUNS 3 /* that it takes to believe in a change */
#define CHANGE_SPREADS 3.0
#define CHANGE_KEPT 0.05

#define TREND_RUNS_MIN 6
#define TREND_RUNS_MAX 20   /* the newest */
#define TREND_ERRORS 5.0    /* of its standard error, that a slope has to be steep */
#define TREND_OCTAVES 0.5   /* that inputs may differ by: else what rises may be they */
#define FLATTER 0.7         /* of the slope, that the newer half's has to be below */
#define TREND_EXPLAINED 0.5 /* of what two levels leave over, that a line may */

void history_clear(struct history *history)
{
    g_clear_pointer(&history->samples, g_free);
    history->capacity = history->count = history->next = 0;
}

const struct history_sample *history_at(const struct history *history, guint age)
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

guint history_count_whole(const struct history *history, guint max)
{
    guint whole = 0;
    for (guint age = 0; age < MIN(history->count, max); age++)
        whole += history_at(history, age)->is_least ? 0 : 1;
    return whole;
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

double history_log(enum history_amount amount, double value)
{
    return log(MAX(value, amount_table[amount].least) + amount_table[amount].offset);
}

double history_amount(enum history_amount amount, double logarithm)
{
    return CLAMP(exp(MIN(logarithm, 27)) - amount_table[amount].offset, 0, 1e11);
}

double history_query_shift(const struct history_query *query, enum history_amount amount, gint64 at)
{
    double sum = 0;
    for (guint i = 0; i < query->shift_count; i++)
        if (query->shifts[i].amount == amount && at < query->shifts[i].at)
            sum += query->shifts[i].shift;
    return sum;
}

/* From the input that the run had to the one that is asked for, as the model says. */
static double query_move(const struct history_query *query, enum history_amount amount,
                         const struct history_sample *sample)
{
    const gboolean is_said = query->prior != NULL && sample->said[amount] != 0;
    return is_said ? query->prior->unshifted - (double)sample->said[amount] : 0;
}

/* The amount of the sample, as of a run with the input that is asked for. */
static double query_see(const struct history_query *query, enum history_amount amount,
                        const struct history_sample *sample, double octaves)
{
    return history_log(amount, sample->amounts[amount]) + history_query_shift(query, amount, sample->at) +
           (octaves > 0 ? query_move(query, amount, sample) : 0);
}

/* The told amounts, the newest first; those that are "at least" only where they are above `known`. */
static void distribution_collect(struct distribution *distribution, const struct history *history,
                                 enum history_amount amount, const struct history_query *query, double known)
{
    const double decay = exp2(-1 / query->half_life);
    const guint count = MIN(history->count, query->samples_max);
    double weight = 1;
    for (guint age = 0; age < count && weight > 1e-9; age++, weight *= decay) {
        const struct history_sample *sample = history_at(history, age);
        if (isnan(sample->amounts[amount]))
            continue;
        const double octaves = sample->input > 0 && query->input > 0 ? fabs(sample->input - query->input) : 0;
        const double nearness = exp2(-octaves / 2), y = query_see(query, amount, sample, octaves);
        if (sample->is_least && y <= known)
            continue;
        const double factor = amount == HISTORY_MEMORY && sample->memory_factor > 0 ? sample->memory_factor : 1;
        if (sample->input > 0) {
            const gboolean is_first = distribution->input_most <= 0;
            distribution->input_least = is_first ? sample->input : MIN(distribution->input_least, sample->input);
            distribution->input_most = MAX(distribution->input_most, sample->input);
        }
        distribution->near += nearness;
        distribution->whole += sample->is_least ? 0 : 1;
        distribution->points[distribution->count++] = (struct weighted){y + log(factor), weight * nearness};
    }
}

/* Mean and spread of the `count` points, their weights left aside. */
static void points_describe(const struct weighted *points, guint count, double prior_spread, double *ret_mean,
                            double *ret_spread)
{
    double sum = 0, squares = 0;
    for (guint i = 0; i < count; i++)
        sum += points[i].y;
    const double mean = sum / count;
    for (guint i = 0; i < count; i++)
        squares += (points[i].y - mean) * (points[i].y - mean);
    *ret_mean = mean;
    *ret_spread = sqrt((PRIOR_WEIGHT * prior_spread * prior_spread + squares) / (PRIOR_WEIGHT + count));
}

/* How many of the newest lie on one side of the older ones, and far from them; 0: there is no change. */
static guint distribution_find_change(const struct distribution *distribution, double prior_spread)
{
    const struct weighted *points = distribution->points;
    double low = INFINITY, high = -INFINITY, farthest = CHANGE_SPREADS;
    guint changed = 0;
    for (guint newer = 1; newer + CHANGE_RUNS <= distribution->count && newer <= 4 * CHANGE_RUNS; newer++) {
        low = MIN(low, points[newer - 1].y);
        high = MAX(high, points[newer - 1].y);
        if (newer < CHANGE_RUNS)
            continue;
        double mean, spread;
        points_describe(points + newer, distribution->count - newer, prior_spread, &mean, &spread);
        const double distance = MAX(low - mean, mean - high) / spread;
        if (distance > farthest) {
            farthest = distance;
            changed = newer;
        }
    }
    return changed;
}

/* Squares that are left over when the newest `newer` points lie on one level, and the rest of the `count` on another; the least of all such. */
static double points_least_by_levels(const struct weighted *points, guint count)
{
    double sum = 0, squares = 0, newer_sum = 0, least = INFINITY;
    for (guint i = 0; i < count; i++) {
        sum += points[i].y;
        squares += points[i].y * points[i].y;
    }
    for (guint newer = 1; newer < count; newer++) {
        newer_sum += points[newer - 1].y;
        const double older_sum = sum - newer_sum;
        least = MIN(least, squares - newer_sum * newer_sum / newer - older_sum * older_sum / (count - newer));
    }
    return least;
}

/* Of the line through the `count` newest, over their order, how steeply it rises, and the squares that it leaves over. */
static double points_fit_line(const struct weighted *points, guint count, double *ret_left_over)
{
    double order[TREND_RUNS_MAX], at_newest, slope, variance_at_newest, covariance, variance;
    for (guint age = 0; age < count; age++)
        order[age] = -(double)age;
    gsl_fit_linear(order, 1, &points[0].y, sizeof *points / sizeof(double), count, &at_newest, &slope,
                   &variance_at_newest, &covariance, &variance, ret_left_over);
    return slope;
}

/* What the newest runs lie along; slope 0: no line. */
struct trend {
    double slope; /* by how much each is above the one before it */
    guint count;
};

/* The points are in the order of their age. What becomes flatter goes on as its newer half does. */
static struct trend distribution_find_trend(const struct distribution *distribution, double prior_spread)
{
    const struct weighted *points = distribution->points;
    const guint count = MIN(distribution->count, TREND_RUNS_MAX);
    const struct trend none = {0, 0};
    double left_over, ignored;
    if (count < TREND_RUNS_MIN || distribution->whole < distribution->count ||
        distribution->input_most - distribution->input_least > TREND_OCTAVES)
        return none;
    const double slope = points_fit_line(points, count, &left_over);
    const double newer = points_fit_line(points, count / 2, &ignored);
    const double variance = (PRIOR_WEIGHT * prior_spread * prior_spread + left_over) / (PRIOR_WEIGHT + count - 2);
    const double error = sqrt(variance / (count * ((double)count * count - 1) / 12));
    if (fabs(slope) <= TREND_ERRORS * error || left_over > TREND_EXPLAINED * points_least_by_levels(points, count) ||
        slope * newer <= 0)
        return none;
    return fabs(newer) < FLATTER * fabs(slope) ? (struct trend){newer, count / 2} : (struct trend){slope, count};
}

/* Each to where it would be on the line by the next run; those that do not lie on it count for little. */
static void distribution_move(struct distribution *distribution, const struct trend *trend)
{
    for (guint age = 0; age < distribution->count; age++) {
        distribution->points[age].y += trend->slope * (MIN(age, trend->count) + 1);
        distribution->points[age].weight *= age < trend->count ? 1 : CHANGE_KEPT;
    }
}

static void distribution_forget_older(struct distribution *distribution, double prior_spread)
{
    const guint changed = distribution_find_change(distribution, prior_spread);
    for (guint i = changed; changed > 0 && i < distribution->count; i++)
        distribution->points[i].weight *= CHANGE_KEPT;
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
    distribution->effective = MIN(sum * sum / squares, distribution->near);
    distribution->median = distribution_quantile(distribution, 0.5);
}

/* Student's t by Cornish and Fisher's expansion (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5): for v above 4 right to a
 * thousandth at p99, and in a twentieth of the time that inverting the integral takes. */
static double student_quantile(double p, double v)
{
    const double z = normal_quantile(p), y = z * z;
    return z * (1 + (y + 1) / (4 * v) + ((5 * y + 16) * y + 3) / (96 * v * v) +
                (((3 * y + 19) * y + 17) * y - 15) / (384 * v * v * v) +
                ((((79 * y + 776) * y + 1482) * y - 1920) * y - 945) / (92160 * v * v * v * v));
}

static double distribution_blend(const struct distribution *distribution, enum history_amount amount,
                                 const struct history_query *query, guint level)
{
    const struct history_prior *prior = query->prior;
    const double n = distribution->effective, freedom = PRIOR_WEIGHT + n, spread = amount_table[amount].spread;
    const double within = (PRIOR_WEIGHT * spread * spread + n * distribution->variance) / freedom;
    const double p = query->levels[level];
    const double model_runs = prior != NULL ? within / MAX(prior->between * prior->between, 1e-6) : 0;
    const double mean =
        prior != NULL ? (model_runs * prior->mean + n * distribution->median) / (model_runs + n) : distribution->median;
    double quantile = student_quantile(p, freedom);
    if (prior != NULL)
        quantile = (quantile * n + prior->offsets[level] / prior->total) / (n + 1);
    const double predictive = mean + quantile * sqrt(within * (1 + 1 / (model_runs + n)));
    const double share = n / (n + 1 / (1 - p));
    return share * distribution_quantile(distribution, p) + (1 - share) * predictive;
}

static void quantiles_of_prior(enum history_amount amount, const struct history_prior *prior,
                               struct quantiles *ret_quantiles)
{
    ret_quantiles->p50 = history_amount(amount, prior->mean + prior->offsets[0]);
    ret_quantiles->p90 = history_amount(amount, prior->mean + MAX(prior->offsets[0], prior->offsets[1]));
    ret_quantiles->p99 = MAX(ret_quantiles->p90, history_amount(amount, prior->mean + prior->offsets[2]));
}

static void distribution_tell(struct distribution *distribution, enum history_amount amount,
                              const struct history_query *query, struct quantiles *ret_quantiles)
{
    const struct trend trend = distribution_find_trend(distribution, amount_table[amount].spread);
    const double least = trend.slope < 0 ? history_amount(amount, distribution->points[0].y) : 0;
    if (trend.slope != 0)
        distribution_move(distribution, &trend);
    else
        distribution_forget_older(distribution, amount_table[amount].spread);
    qsort(distribution->points, distribution->count, sizeof *distribution->points, weighted_compare);
    distribution_describe(distribution);
    const double p50 = query->prior != NULL ? distribution_blend(distribution, amount, query, 0) : distribution->median;
    ret_quantiles->p50 = history_amount(amount, p50);
    ret_quantiles->p90 =
        MAX(MAX(ret_quantiles->p50, least), history_amount(amount, distribution_blend(distribution, amount, query, 1)));
    ret_quantiles->p99 =
        MAX(ret_quantiles->p90, history_amount(amount, distribution_blend(distribution, amount, query, 2)));
}

double history_trend(const struct history *history, enum history_amount amount, const struct history_query *query)
{
    g_autofree struct weighted *points = g_new(struct weighted, MAX(history->count, 1));
    struct distribution distribution = {.points = points};
    distribution_collect(&distribution, history, amount, query, INFINITY);
    return distribution_find_trend(&distribution, amount_table[amount].spread).slope;
}

/* What is said without those that were cut short. FALSE: nothing. */
static gboolean history_tell_whole(const struct history *history, enum history_amount amount,
                                   const struct history_query *query, struct weighted *points,
                                   struct quantiles *ret_quantiles)
{
    struct distribution distribution = {.points = points};
    distribution_collect(&distribution, history, amount, query, INFINITY);
    if (distribution.count > 0)
        distribution_tell(&distribution, amount, query, ret_quantiles);
    else if (query->prior != NULL)
        quantiles_of_prior(amount, query->prior, ret_quantiles);
    else if (query->assumed != NULL)
        *ret_quantiles = *query->assumed;
    else
        return FALSE;
    return TRUE;
}

/* Nothing but "at least": one run that used the most of it. */
static void distribution_tell_most(struct distribution *distribution, enum history_amount amount,
                                   const struct history_query *query, struct quantiles *ret_quantiles)
{
    struct history_query alone = *query;
    struct weighted most = {-INFINITY, 1};
    for (guint i = 0; i < distribution->count; i++)
        most.y = MAX(most.y, distribution->points[i].y);
    struct distribution one = {.points = &most, .count = 1, .near = 1};
    alone.prior = NULL;
    distribution_tell(&one, amount, &alone, ret_quantiles);
}

gboolean history_quantiles(const struct history *history, enum history_amount amount, const struct history_query *query,
                           struct quantiles *ret_quantiles)
{
    g_autofree struct weighted *points = g_new(struct weighted, MAX(history->count, 1));
    struct distribution distribution = {.points = points};
    struct quantiles quantiles = {0}, least;
    const gboolean is_known = history_tell_whole(history, amount, query, points, &quantiles);
    const double known = is_known ? history_log(amount, quantiles.p50) : -INFINITY;
    if (history_count_whole(history, query->samples_max) < MIN(history->count, query->samples_max))
        distribution_collect(&distribution, history, amount, query, known);
    if (distribution.count > distribution.whole) {
        if (distribution.whole > 0)
            distribution_tell(&distribution, amount, query, &least);
        else
            distribution_tell_most(&distribution, amount, query, &least);
        quantiles = (struct quantiles){MAX(quantiles.p50, least.p50), MAX(quantiles.p90, least.p90),
                                       MAX(quantiles.p99, least.p99)};
    } else if (!is_known) {
        return FALSE;
    }
    *ret_quantiles = quantiles;
    return TRUE;
}
