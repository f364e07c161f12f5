/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/scaler.h"

#include "model/normal.h"
#include "plan/levels.h"

#include <math.h>

#define WINDOW 96               /* looks that are remembered */
#define HALF_LIFE_DECAY 0.98566 /* by each look: a factor counts half after 48 */
#define PRIOR_POINTS 16         /* of the prediction's spread */
#define PRIOR_LOOKS 8.0         /* that the prediction counts for, before what is seen outweighs it */
#define LOSS_DECAY 0.995        /* of what each way has cost so far, by each look */
#define STAY 0.9                /* what another way must have cost, in parts of what this one did, to be followed */
#define UNSEEN 1.0              /* looks that count as beyond all that was seen */
#define BEYOND 1.1              /* how far beyond is tried in these steps */
#define BEYOND_MAX 20.0         /* and up to this */
#define PEAKS_ODD 0.001         /* of executions: their peak is not as predicted */
#define SPREAD_MIN 0.05         /* standard deviation of the logarithm: nothing is predicted better */

/* Added before taking logarithms, so that nothing is not infinitely far from a little: what goes on in any guest. */
static const double least[RESOURCE_COUNT] = {
    [RESOURCE_CPU] = 0.02, [RESOURCE_MEMORY] = 8, [RESOURCE_NETWORK] = 0.1, [RESOURCE_DISK] = 0.1};

enum way { WAY_COURSE, WAY_LAST, FACTORS, WAY_LEVEL = FACTORS, WAYS };

/* Of what is beyond all that was seen, one in x^tail is beyond x times that; what was seen for long is left less far. */
static const double tails[WAYS] = {[WAY_COURSE] = 2, [WAY_LAST] = 2, [WAY_LEVEL] = 4};

struct deep {
    float factors[FACTORS][WINDOW]; /* of what was used to what the way had expected */
    guint8 orders[FACTORS][WINDOW]; /* the places of those that are remembered, by their factor */
    guint count, next;              /* of each; the newest stands before `next` */
    gboolean has_looked, is_adrift; /* the course is given up: it counts no more than what was seen */
    enum way way;                   /* that is followed */
    double last;
    double offers[WAYS], losses[WAYS];
    struct drift drift;
    struct levels levels; /* for WAY_LEVEL */
};

struct point {
    double amount, weight;
};

static double log_of(enum resource resource, double amount)
{
    return log(MAX(amount, 0) + least[resource]);
}

/* Standard deviation of the logarithm, by the distance from the median to the 90 % quantile of a normal variable. */
static double spread_of(enum resource resource, const struct quantiles *quantiles)
{
    return MAX(SPREAD_MIN, (log_of(resource, quantiles->p90) - log_of(resource, quantiles->p50)) / NORMAL_P90);
}

/* How many looks ago the one at this place was. */
static guint deep_age(const struct deep *deep, guint place)
{
    return (deep->next + WINDOW - 1 - place) % WINDOW;
}

static void deep_forget(struct deep *deep, guint kept)
{
    for (guint way = 0; way < FACTORS; way++)
        for (guint i = 0, count = 0; i < deep->count; i++)
            if (deep_age(deep, deep->orders[way][i]) < kept)
                deep->orders[way][count++] = deep->orders[way][i];
    deep->count = MIN(deep->count, kept);
}

static void deep_insert(struct deep *deep, enum way way, double factor)
{
    guint8 *order = deep->orders[way];
    guint i = deep->count;
    for (; i > 0 && deep->factors[way][order[i - 1]] > (float)factor; i--)
        order[i] = order[i - 1];
    order[i] = (guint8)deep->next;
    deep->factors[way][deep->next] = (float)factor;
}

static void deep_remember(struct deep *deep, const struct scaler_look *look)
{
    const enum resource resource = look->resource;
    const double used = CLAMP(look->used[resource], 0, 1e12), course = MAX(look->now.p50, 0) + least[resource];
    deep_forget(deep, WINDOW - 1);
    deep_insert(deep, WAY_COURSE, (used + least[resource]) / course);
    deep_insert(deep, WAY_LAST, (used + least[resource]) / ((deep->has_looked ? deep->last : used) + least[resource]));
    levels_add(&deep->levels, least[resource], used);
    deep->next = (deep->next + 1) % WINDOW;
    deep->count++;
    deep->last = used;
    deep->has_looked = TRUE;
}

/* The prediction's quantiles, as factors of its median. */
struct prior {
    double factors[PRIOR_POINTS];
};

/* Where each part of a normal variable lies, and how much of it there is; finer where it is rare. */
static const struct {
    double score, share;
} prior_parts[PRIOR_POINTS] = {
    {-1.695, 0.09}, {-1.103, 0.09}, {-0.755, 0.09},  {-0.482, 0.09},  {-0.240, 0.09}, {-0.0125, 0.09},
    {0.215, 0.09},  {0.454, 0.09},  {0.722, 0.09},   {1.058, 0.09},   {1.405, 0.04},  {1.695, 0.03},
    {2.054, 0.02},  {2.326, 0.005}, {2.576, 0.0025}, {2.807, 0.0025},
};

/* Lognormal from the median to p90, and from there to p99 and beyond (quantiles_at). */
static void prior_fill(struct prior *prior, const struct scaler_look *look)
{
    const double spread = spread_of(look->resource, &look->next);
    const double tail =
        (log_of(look->resource, look->next.p99) - log_of(look->resource, look->next.p90)) / (NORMAL_P99 - NORMAL_P90);
    for (guint i = 0; i < PRIOR_POINTS; i++) {
        const double score = prior_parts[i].score;
        prior->factors[i] = exp(spread * MIN(score, NORMAL_P90) + MAX(SPREAD_MIN, tail) * MAX(score - NORMAL_P90, 0));
    }
}

/* What they make of an amount; `base` has the least of the resource added. */
static void prior_collect(const struct prior *prior, enum resource resource, double base, struct point *points)
{
    for (guint i = 0; i < PRIOR_POINTS; i++)
        points[i] = (struct point){base * prior->factors[i] - least[resource], PRIOR_LOOKS * prior_parts[i].share};
}

/* The factors of a way, as amounts in ascending order. */
static guint factors_collect(const struct deep *deep, enum way way, enum resource resource, double base,
                             struct point *points)
{
    double weights[WINDOW] = {1};
    for (guint age = 1; age < WINDOW; age++)
        weights[age] = weights[age - 1] * HALF_LIFE_DECAY;
    for (guint i = 0; i < deep->count; i++) {
        const guint place = deep->orders[way][i];
        points[i] = (struct point){base * deep->factors[way][place] - least[resource], weights[deep_age(deep, place)]};
    }
    return deep->count;
}

static guint levels_collect(const struct levels *levels, enum resource resource, struct point *points)
{
    guint count = 0;
    double ends[LEVELS_CELLS];
    levels_ends(levels, least[resource], ends);
    for (guint i = 0; i < LEVELS_CELLS; i++)
        if (levels->weights[i] > 0)
            points[count++] = (struct point){ends[i], levels->weights[i]};
    return count;
}

/* Both ascend; `points` has room for both. */
static guint points_merge(struct point *points, guint count, const struct point *more, guint more_count)
{
    for (guint left = count, right = more_count; right > 0;) {
        const gboolean is_left = left > 0 && points[left - 1].amount > more[right - 1].amount;
        const guint place = left + right - 1;
        points[place] = is_left ? points[--left] : more[--right];
    }
    return count + more_count;
}

/* The amounts that a way expects, in ascending order: by what was seen, and by the prediction. */
static guint deep_collect(const struct deep *deep, enum way way, const struct scaler_look *look,
                          const struct prior *prior, struct point *points)
{
    const enum resource resource = look->resource;
    const double base = (way == WAY_LAST ? deep->last : MAX(look->next.p50, 0)) + least[resource];
    const guint count = way == WAY_LEVEL ? levels_collect(&deep->levels, resource, points)
                                         : factors_collect(deep, way, resource, base, points);
    /* The level may be known better by now; how far amounts spread is not known before there are some. */
    if (way == WAY_COURSE && deep->is_adrift)
        return count;
    struct point expected[PRIOR_POINTS];
    prior_collect(prior, resource, base, expected);
    return points_merge(points, count, expected, PRIOR_POINTS);
}

/* Of what goes beyond `most`, the share that goes beyond `times` that: as peaks are predicted, lognormal by their median and p90; of those that are not as
 * predicted, and without a prediction, `odd`. */
static double share_beyond(double most, double times, double odd, const struct quantiles *peak)
{
    if (peak->p50 <= 0)
        return odd;
    const double spread = MAX(SPREAD_MIN, log(peak->p90 / peak->p50) / NORMAL_P90),
                 from = log(most / peak->p50) / spread;
    const double beyond_most = normal_probability(-from), beyond = normal_probability(-from - log(times) / spread);
    return ((1 - PEAKS_ODD) * beyond + PEAKS_ODD * odd) / ((1 - PEAKS_ODD) * beyond_most + PEAKS_ODD);
}

/* Of all amounts that come into question, the one of least expected cost. */
static double cheapest(const struct point *points, guint count, double tail, const struct quantiles *peak,
                       double shortage_cost)
{
    double total = UNSEEN, weight = 0, sum = 0, best = 0, best_cost = INFINITY;
    for (guint i = 0; i < count; i++)
        total += points[i].weight;
    for (guint i = 0; i < count; i++) {
        weight += points[i].weight;
        sum += points[i].weight * points[i].amount;
        const double cost = points[i].amount * weight - sum + shortage_cost * (total - weight);
        if (cost < best_cost) {
            best_cost = cost;
            best = points[i].amount;
        }
    }
    const double most = points[count - 1].amount, fall = pow(BEYOND, -tail);
    double odd = fall;
    for (double times = BEYOND; times <= BEYOND_MAX; times *= BEYOND, odd *= fall) {
        const double idle = most * times * weight - sum;
        if (idle >= best_cost)
            break; /* and so is all that is further */
        const double cost = idle + shortage_cost * UNSEEN * share_beyond(most, times, odd, peak);
        if (cost < best_cost) {
            best_cost = cost;
            best = most * times;
        }
    }
    return best;
}

/* What each way had offered for this look, and what that has cost. */
static void deep_judge(struct deep *deep, const struct scaler_settings *settings, double used)
{
    for (guint way = 0; way < WAYS && deep->has_looked; way++) {
        const double rest = deep->offers[way] - used;
        deep->losses[way] = deep->losses[way] * LOSS_DECAY + (rest >= 0 ? rest : settings->shortage_cost);
    }
}

/* How far this look is from what was expected of it: from the course, or once that is given up, from what was seen since. */
static void deep_compare(struct deep *deep, const struct scaler_settings *settings, const struct scaler_look *look,
                         struct scaler_verdict *verdict)
{
    const enum resource resource = look->resource;
    double expected = 0, spread = spread_of(resource, &look->now);
    if (deep->is_adrift && deep->count > 1) {
        double squares = 0;
        for (guint i = 0; i < deep->count; i++) {
            const double factor = log(deep->factors[WAY_COURSE][deep->orders[WAY_COURSE][i]]);
            expected += factor / deep->count;
            squares += factor * factor / deep->count;
        }
        /* Few looks tell little of the spread, and of the level: else one alarm brings the next. */
        const double seen = MAX(0, squares - expected * expected) * deep->count + spread * spread * PRIOR_LOOKS;
        spread = MAX(SPREAD_MIN, sqrt(seen / (deep->count + PRIOR_LOOKS) * (1 + 1.0 / deep->count)));
    }
    guint samples;
    const double base = log_of(resource, look->now.p50);
    verdict->expected = exp(base + expected) - least[resource];
    verdict->deviation = (log_of(resource, look->used[resource]) - base - expected) / spread;
    verdict->finding = drift_update(&deep->drift, verdict->deviation, settings->drift_threshold, &samples);
    if (verdict->finding == DRIFT_EXCESS || verdict->finding == DRIFT_DECLINE) {
        deep_forget(deep, samples - 1);
        deep->is_adrift = TRUE;
    }
}

static void deep_choose(struct deep *deep)
{
    enum way cheapest_way = deep->way;
    for (guint way = 0; way < WAYS; way++)
        if (deep->losses[way] < deep->losses[cheapest_way])
            cheapest_way = way;
    if (deep->losses[cheapest_way] < STAY * deep->losses[deep->way])
        deep->way = cheapest_way;
}

static struct scaler_verdict deep_look(gpointer state, const struct scaler_settings *settings,
                                       const struct scaler_look *look)
{
    struct deep *deep = state;
    struct scaler_verdict verdict = {0};
    struct point points[MAX(WINDOW, LEVELS_CELLS) + PRIOR_POINTS];
    deep_judge(deep, settings, look->used[look->resource]);
    deep_compare(deep, settings, look, &verdict);
    deep_remember(deep, look);
    struct prior prior;
    prior_fill(&prior, look);
    for (guint way = 0; way < WAYS; way++)
        deep->offers[way] = cheapest(points, deep_collect(deep, way, look, &prior, points), tails[way], &look->peak,
                                     settings->shortage_cost);
    deep_choose(deep);
    verdict.want = MAX(0, deep->offers[deep->way]);
    return verdict;
}

G_STATIC_ASSERT(sizeof(struct deep) <= SCALER_STATE_MAX);

const struct scaler_class scaler_deep = {"deep", sizeof(struct deep), deep_look};

struct simple {
    gboolean has_looked;
    double predicted;
};

static struct scaler_verdict simple_look(gpointer state, const struct scaler_settings *settings,
                                         const struct scaler_look *look)
{
    struct simple *simple = state;
    const double used = look->used[look->resource];
    if (!simple->has_looked)
        simple->predicted = MAX(0.01, quantiles_at(&look->now, settings->quantile));
    simple->has_looked = TRUE;
    struct scaler_verdict verdict = {.expected = simple->predicted};
    if (used > simple->predicted * settings->grow_above) {
        simple->predicted *= settings->grow_to;
        verdict.finding = DRIFT_EXCESS;
    }
    verdict.want = simple->predicted;
    return verdict;
}

const struct scaler_class scaler_simple = {"simple", sizeof(struct simple), simple_look};
