/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/blend.h"

#include "model/normal.h"

#include <math.h>

#define KNOWN_RUNS 5.0
#define RULES_SPREAD_MIN 0.3
#define WITHIN_SHARE 0.3 /* at least so much of the model's spread is between functions */

const struct blend_amount blend_amounts[BLEND_AMOUNTS] = {
    {HISTORY_VCPUS, TARGET_VCPUS, G_STRUCT_OFFSET(struct demand, vcpus)},
    {HISTORY_MEMORY, TARGET_MEMORY, G_STRUCT_OFFSET(struct demand, memory_mib)},
    {HISTORY_NETWORK, TARGET_NETWORK, G_STRUCT_OFFSET(struct demand, network_mbps)},
    {HISTORY_DURATION, TARGET_DURATION, G_STRUCT_OFFSET(struct demand, duration_ms)},
};

static struct quantiles *told_quantiles(struct demand *demand, guint index)
{
    return G_STRUCT_MEMBER_P(demand, blend_amounts[index].offset);
}

struct history_query blend_query(const struct policy *policy, double input)
{
    return (struct history_query){
        .samples_max = policy->history.samples_max,
        .half_life = policy->history.half_life_samples,
        .input = input,
        .levels = HISTORY_LEVELS,
    };
}

struct history_query blend_own_query(const struct blend *blend)
{
    struct history_query query = blend_query(blend->policy, code_input_octaves(blend->code));
    query.shifts = blend->shifts;
    query.shift_count = blend->shift_count;
    return query;
}

/* What the rules say, in logarithms. */
struct rules_word {
    double mean, spread, offsets[CORRECTION_LEVELS];
};

static struct rules_word rules_word(const struct blend *blend, guint index)
{
    const enum history_amount amount = blend_amounts[index].amount;
    const struct quantiles *quantiles = G_STRUCT_MEMBER_P(&blend->rules.demand, blend_amounts[index].offset);
    const double p50 = history_log(amount, quantiles->p50), p90 = history_log(amount, quantiles->p90);
    return (struct rules_word){
        .mean = p50,
        .spread = MAX((p90 - p50) / NORMAL_P90, RULES_SPREAD_MIN),
        .offsets = {0, p90 - p50, history_log(amount, quantiles->p99) - p50},
    };
}

/* The model's quantile where it is less sure than mostly: what is added is normal, and not as heavy in the tail as what it has from runs that it was
 * told all of. */
static double offset_widen(double offset, guint level, double told, double spread)
{
    static const double scores[CORRECTION_LEVELS] = {0, NORMAL_P90, NORMAL_P99};
    const double added = scores[level] * scores[level] * (spread * spread - told * told);
    return added > 0 ? sqrt(MAX(offset, 0) * MAX(offset, 0) + added) : offset;
}

gboolean blend_is_known(const struct blend *blend)
{
    return blend->history != NULL && history_count_whole(blend->history, blend->policy->history.samples_max) > 0;
}

static guint64 blend_group(const struct blend *blend)
{
    return correction_group(blend->sample, blend_is_known(blend));
}

gboolean blend_get_prior(const struct blend *blend, const struct model_word *word, guint index,
                         struct blend_prior *ret_prior)
{
    const enum target target = blend_amounts[index].target;
    if (isnan(word->mean[target]))
        return FALSE;
    const struct rules_word said = rules_word(blend, index);
    const double told = MAX(word->spread[target], 0.05), missing = word->missing[target];
    const double spread = ldexp(sqrt(told * told + missing), (int)word->unknown);
    const double known = model_group_count(blend->model, blend->sample, target);
    const double few = MAX(KNOWN_RUNS / (KNOWN_RUNS + known), missing / (missing + told * told));
    const double trust = MAX(few, word->unknown);
    const double rules = trust / (said.spread * said.spread), model = 1 / (spread * spread);
    const double share = rules / (rules + model);
    const struct history_query query = blend_own_query(blend);
    const double shift =
        history_query_shift(&query, blend_amounts[index].amount, model_get_info(blend->model)->made_at);
    const double model_mean = word->mean[target] + model_shift(blend->model, target, blend->speed) + shift;
    const double total = (1 - share) * spread + share * said.spread;
    const double within = MIN(0.15, total);
    struct blend_prior prior = {
        .uncorrected = (1 - share) * model_mean + share * said.mean,
        .bias = correction_bias(blend->correction, blend->sample, target),
        .rules_weight = share,
    };
    prior.prior = (struct history_prior){
        .mean = prior.uncorrected + prior.bias,
        .unshifted = prior.uncorrected + prior.bias - (1 - share) * shift,
        .total = total,
        .between = MAX(sqrt(total * total - within * within), WITHIN_SHARE * total),
    };
    const guint64 group = blend_group(blend);
    for (guint level = 0; level < CORRECTION_LEVELS; level++) {
        const double asked = correction_level(blend->correction, group, target, level);
        const double own = offset_widen(model_offset(blend->model, blend->sample, target, asked), level, told, spread);
        prior.prior.offsets[level] = (1 - share) * own + share * said.offsets[level];
    }
    *ret_prior = prior;
    return TRUE;
}

/* The levels that the function's own runs are asked for are corrected as the model's are. */
static void blend_fill_amount(const struct blend *blend, guint index, const struct history_prior *prior,
                              struct quantiles *quantiles)
{
    static const struct history none;
    const enum target target = blend_amounts[index].target;
    struct history_query query = blend_own_query(blend);
    const guint64 group = blend_group(blend);
    for (guint level = 0; prior != NULL && level < CORRECTION_LEVELS; level++)
        query.levels[level] = correction_level(blend->correction, group, target, level);
    query.prior = prior;
    query.assumed = quantiles;
    history_quantiles(blend->history != NULL ? blend->history : &none, blend_amounts[index].amount, &query, quantiles);
}

static guint blend_targets(void)
{
    guint targets = 0;
    for (guint i = 0; i < BLEND_AMOUNTS; i++)
        targets |= 1U << blend_amounts[i].target;
    return targets;
}

void blend_fill(const struct blend *blend, struct demand *demand, struct blend_prior *ret_priors)
{
    struct model_word word;
    model_predict(blend->model, blend->sample, blend_targets(), &word);
    for (guint i = 0; i < BLEND_AMOUNTS; i++) {
        struct blend_prior prior;
        const gboolean is_told = blend_get_prior(blend, &word, i, &prior);
        if (!is_told)
            prior.prior.mean = prior.uncorrected = NAN;
        if (ret_priors != NULL)
            ret_priors[i] = prior;
        *told_quantiles(demand, i) =
            *(const struct quantiles *)G_STRUCT_MEMBER_P(&blend->rules.demand, blend_amounts[i].offset);
        blend_fill_amount(blend, i, is_told ? &prior.prior : NULL, told_quantiles(demand, i));
    }
}
