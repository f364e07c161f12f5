/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"
#include "predict/correction.h"
#include "predict/history.h"
#include "predict/model.h"
#include "predict/rules.h"
#include "predict/shifts.h"

/* The demand of one piece of code, from all that is known: the policy's rules, the model, what the newest runs say of the model (predict/correction.h),
 * and the function's own runs (predict/history.h). Pure, apart from what it is given.
 *
 * Model and rules are joined as two measurements of the same logarithm, each weighing by the inverse of its variance (its spread: the model's
 * calibrated one, larger where language, algorithm or input are not told, and doubled for each told name that it never saw; the rules' from
 * their p50 and p90). The model knows better where it has seen runs of the language: the rules' weight is multiplied by 5 / (5 + n), n being those
 * runs, by the share of what is not told in the model's variance, or by the count of unknown names, whichever is most. The function's
 * own runs then join as history.h says. What the rules demand at least holds until the function has the policy's history.samples_min runs. */

struct blend {
    const struct policy *policy;
    const struct code_metadata *code;
    const struct sample *sample; /* of the code */
    struct rules_said rules;
    const struct model *model;
    const struct correction *correction;
    double speed;                            /* of the machines that it will run on; 0: not known */
    const struct history *history;           /* of its function; NULL: none */
    struct history_shift shifts[SHIFTS_MAX]; /* of its libraries */
    guint shift_count;
};

#define BLEND_AMOUNTS 4

/* One amount of a demand on its way: history_amount, target, and where it stands in a demand. */
struct blend_amount {
    enum history_amount amount;
    enum target target;
    gsize offset; /* of struct quantiles in struct demand */
};

extern const struct blend_amount blend_amounts[BLEND_AMOUNTS];

/* What is said of one amount before the function's own runs. */
struct blend_prior {
    struct history_prior prior;
    double uncorrected;        /* the mean without the bias, in logarithms */
    double bias, rules_weight; /* of 1 */
};

/* A run of the function came through. */
gboolean blend_is_known(const struct blend *blend);

/* One for each of blend_amounts. FALSE: the model has no word on that amount. */
gboolean blend_get_prior(const struct blend *blend, const struct model_word *word, guint index,
                         struct blend_prior *ret_prior);

/* The query for the function's own runs, without a prior. */
struct history_query blend_query(const struct policy *policy, double input);

/* With what else changes what they tell: the input and the shifts. */
struct history_query blend_own_query(const struct blend *blend);

/* Fills the amounts of `demand`. `ret_priors` (may be NULL): BLEND_AMOUNTS, with a mean of NAN where the model has no word. */
void blend_fill(const struct blend *blend, struct demand *demand, struct blend_prior *ret_priors);
