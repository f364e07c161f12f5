/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/predictor.h"

#include "predict/blend.h"
#include "predict/courses.h"
#include "predict/history.h"
#include "predict/rules.h"
#include "predict/score.h"

#include <math.h>

/* One function of one tenant. */
struct function {
    char *tenant, *name;
    struct history history;
    struct courses courses;
    struct demand *demand; /* what the history says, until it is told more; NULL: to be computed */
    struct policy *policy; /* that `demand` was computed under */
    guint gpus;            /* that `demand` was computed for */
    guint64 revision;      /* goes on with each run */
    GList link;            /* in predictor.recent */
};

#define ASSUMED_MAX 4096

struct predictor {
    GHashTable *functions; /* struct function, each its own key */
    GQueue recent;         /* the least recently used last */
    guint functions_max;
    GHashTable *assumed;           /* what the rules say of code without history: metadata as JSON -> struct demand */
    struct policy *assumed_policy; /* that `assumed` was computed under */
    GString *key;
    struct model *model, *prior; /* NULL: none */
    struct correction *correction;
    struct shifts *shifts;
    double speed;
    GHashTable *answers; /* what is said with a model: metadata as JSON -> struct answer */
    guint64 epoch;       /* of the answers: goes on with model, speed, policy, and every so many runs */
    guint runs;
};

#define EPOCH_RUNS 16

/* Holds as long as nothing has changed that it rests on. */
struct answer {
    struct demand *demand;
    guint64 epoch, revision;
    gint64 hour;
};

static void answer_free(gpointer data)
{
    struct answer *answer = data;
    demand_free(answer->demand);
    g_free(answer);
}

static guint function_hash(gconstpointer key)
{
    const struct function *function = key;
    return g_str_hash(function->name) * 31 + g_str_hash(function->tenant);
}

static gboolean function_equal(gconstpointer a, gconstpointer b)
{
    const struct function *left = a, *right = b;
    return g_str_equal(left->name, right->name) && g_str_equal(left->tenant, right->tenant);
}

static void function_forget_demand(struct function *function)
{
    g_clear_pointer(&function->demand, demand_free);
    g_clear_pointer(&function->policy, policy_unref);
}

static void function_free(gpointer data)
{
    struct function *function = data;
    function_forget_demand(function);
    history_clear(&function->history);
    courses_clear(&function->courses);
    g_free(function->tenant);
    g_free(function->name);
    g_free(function);
}

struct predictor *predictor_new(guint functions_max)
{
    struct predictor *predictor = g_new0(struct predictor, 1);
    predictor->functions = g_hash_table_new_full(function_hash, function_equal, NULL, function_free);
    predictor->functions_max = MAX(functions_max, 1);
    predictor->assumed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)demand_free);
    predictor->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, answer_free);
    predictor->key = g_string_new(NULL);
    predictor->correction = correction_new();
    predictor->shifts = shifts_new();
    return predictor;
}

void predictor_free(struct predictor *predictor)
{
    if (predictor == NULL)
        return;
    g_hash_table_unref(predictor->functions);
    g_hash_table_unref(predictor->assumed);
    policy_unref(predictor->assumed_policy);
    g_hash_table_unref(predictor->answers);
    g_string_free(predictor->key, TRUE);
    correction_free(predictor->correction);
    shifts_free(predictor->shifts);
    model_unref(predictor->model);
    model_unref(predictor->prior);
    g_free(predictor);
}

static struct function *predictor_find(struct predictor *predictor, const struct code_metadata *code)
{
    const struct function key = {
        .tenant = code->tenant != NULL ? code->tenant : (char *)"default",
        .name = code->function != NULL ? code->function : (char *)"",
    };
    struct function *function = g_hash_table_lookup(predictor->functions, &key);
    if (function != NULL) {
        g_queue_unlink(&predictor->recent, &function->link);
        g_queue_push_head_link(&predictor->recent, &function->link);
    }
    return function;
}

static void predictor_forget_oldest(struct predictor *predictor)
{
    struct function *oldest = g_queue_pop_tail_link(&predictor->recent)->data;
    g_hash_table_remove(predictor->functions, oldest);
}

static struct function *predictor_find_or_add(struct predictor *predictor, const struct code_metadata *code)
{
    struct function *function = predictor_find(predictor, code);
    if (function != NULL)
        return function;
    if (g_hash_table_size(predictor->functions) >= predictor->functions_max)
        predictor_forget_oldest(predictor);
    function = g_new0(struct function, 1);
    function->tenant = g_strdup(code->tenant != NULL ? code->tenant : "default");
    function->name = g_strdup(code->function != NULL ? code->function : "");
    function->link.data = function;
    g_hash_table_add(predictor->functions, function);
    g_queue_push_head_link(&predictor->recent, &function->link);
    return function;
}

static void demand_explain_history(struct demand *demand, const struct policy *policy, guint whole)
{
    demand_add_reason(
        demand, g_strdup("history"),
        g_strdup_printf("%u execution%s%s, half weight after %g: p90 %.2f vCPU, %.0f MiB, %.1f Mbit/s, %.0f ms",
                        demand->sample_count, demand->sample_count == 1 ? "" : "s",
                        whole == 0 ? ", cut short, which only raises what is said without" : "",
                        policy->history.half_life_samples, demand->vcpus.p90, demand->memory_mib.p90,
                        demand->network_mbps.p90, demand->duration_ms.p90));
}

/* Amounts that no execution told stay as `demand` says, and so do those that none is known to exceed. */
static void function_tell(const struct function *function, const struct policy *policy, struct demand *demand)
{
    struct quantiles *const amounts[HISTORY_AMOUNT_COUNT] = {
        [HISTORY_VCPUS] = &demand->vcpus,
        [HISTORY_MEMORY] = &demand->memory_mib,
        [HISTORY_NETWORK] = &demand->network_mbps,
        [HISTORY_DURATION] = &demand->duration_ms,
    };
    struct history_query query = blend_query(policy, 0);
    for (guint i = 0; i < HISTORY_AMOUNT_COUNT; i++) {
        query.assumed = amounts[i];
        if (amounts[i] != NULL) /* of the disk there is a course, and no demand */
            history_quantiles(&function->history, i, &query, amounts[i]);
    }
}

static struct demand *function_compute(const struct function *function, const struct policy *policy,
                                       const struct code_metadata *code, guint gpus)
{
    const guint whole = history_count_whole(&function->history, policy->history.samples_max);
    g_autoptr(demand_auto) assumed = rules_predict(policy, code);
    struct demand *demand = g_new0(struct demand, 1);
    demand->source = DEMAND_HISTORY;
    demand->sample_count = MIN(function->history.count, policy->history.samples_max);
    demand->gpus = gpus;
    demand->vcpus = assumed->vcpus;
    demand->memory_mib = assumed->memory_mib;
    demand->network_mbps = assumed->network_mbps;
    demand->duration_ms = assumed->duration_ms;
    function_tell(function, policy, demand);
    demand_explain_history(demand, policy, whole);
    score_assign(policy, demand);
    return demand;
}

/* What the rules say, raised by runs none of which came through. Not kept: the rules see all of the code. */
static struct demand *function_raise(const struct function *function, const struct policy *policy,
                                     const struct code_metadata *code)
{
    struct demand *demand = rules_predict(policy, code);
    demand->sample_count = MIN(function->history.count, policy->history.samples_max);
    function_tell(function, policy, demand);
    demand_explain_history(demand, policy, 0);
    guint index = 0;
    g_ptr_array_find(policy->classes, policy_class_of_score(policy, demand->score), &index);
    if (score_class_index(policy, demand) > index)
        score_assign(policy, demand);
    return demand;
}

static struct demand *function_predict(struct function *function, const struct policy *policy,
                                       const struct code_metadata *code)
{
    const guint gpus = rules_gpus(policy, code);
    if (function->demand == NULL || function->policy != policy || function->gpus != gpus) {
        function_forget_demand(function);
        function->demand = function_compute(function, policy, code, gpus);
        codec_seal(&demand_codec, function->demand);
        function->policy = policy_ref((struct policy *)policy); /* its count is all that changes */
        function->gpus = gpus;
    }
    return demand_copy(function->demand);
}

static void predictor_set_key(struct predictor *predictor, const struct code_metadata *code)
{
    g_string_truncate(predictor->key, 0);
    codec_write(predictor->key, &code_metadata_codec, code, CODEC_STORE);
}

static void predictor_set_policy(struct predictor *predictor, const struct policy *policy)
{
    if (predictor->assumed_policy == policy)
        return;
    g_hash_table_remove_all(predictor->assumed);
    policy_unref(predictor->assumed_policy);
    predictor->assumed_policy = policy_ref((struct policy *)policy); /* its count is all that changes */
    predictor->epoch++;
}

/* Notifications repeat, and going through the rules costs more than most of what else is done for one. */
struct demand *predictor_assume(struct predictor *predictor, const struct policy *policy,
                                const struct code_metadata *code)
{
    predictor_set_policy(predictor, policy);
    predictor_set_key(predictor, code);
    struct demand *demand = g_hash_table_lookup(predictor->assumed, predictor->key->str);
    if (demand == NULL) {
        if (g_hash_table_size(predictor->assumed) >= ASSUMED_MAX)
            g_hash_table_remove_all(predictor->assumed);
        demand = rules_predict(policy, code);
        codec_seal(&demand_codec, demand);
        g_hash_table_insert(predictor->assumed, g_strdup(predictor->key->str), demand);
    }
    return demand_copy(demand);
}

/* --- With a model --- */

void predictor_set_model(struct predictor *predictor, struct model *model)
{
    struct model *old = predictor->model;
    predictor->model = model != NULL ? model_ref(model) : NULL;
    model_unref(old);
    correction_free(predictor->correction); /* what it holds is about the old one */
    predictor->correction = correction_new();
    predictor->epoch++;
}

const struct model *predictor_model(const struct predictor *predictor)
{
    return predictor->model;
}

void predictor_set_prior(struct predictor *predictor, struct model *prior)
{
    struct model *old = predictor->prior;
    predictor->prior = prior != NULL ? model_ref(prior) : NULL;
    model_unref(old);
    predictor->epoch++;
}

static const struct model *predictor_choose_model(const struct predictor *predictor, const struct sample *sample)
{
    const struct model *model = predictor->model, *prior = predictor->prior;
    const guint unknown = prior != NULL ? model_count_unknown(model, sample) : 0;
    return unknown > 0 && model_count_unknown(prior, sample) < unknown ? prior : model;
}

void predictor_set_speed(struct predictor *predictor, double speed)
{
    predictor->speed = speed;
    predictor->epoch++;
}

static struct blend predictor_blend(struct predictor *predictor, const struct policy *policy,
                                    const struct code_metadata *code, const struct sample *sample,
                                    const struct function *function)
{
    struct blend blend = {
        .policy = policy,
        .code = code,
        .sample = sample,
        .model = predictor_choose_model(predictor, sample),
        .correction = predictor->correction,
        .speed = predictor->speed,
        .history = function != NULL ? &function->history : NULL,
    };
    rules_say(policy, code, &blend.rules);
    blend.shift_count = shifts_get(predictor->shifts, code, blend.shifts);
    return blend;
}

static void demand_explain_model(struct demand *demand, const struct blend *blend, const struct blend_prior *memory)
{
    const struct model_info *info = model_get_info(blend->model);
    demand_add_reason(
        demand, g_strdup("model"),
        g_strdup_printf("version %u, %s, of %u runs of %u functions, %u in this language; rules weigh %ld %%",
                        info->version, info->origin, info->run_count, info->function_count,
                        model_group_count(blend->model, blend->sample, TARGET_MEMORY),
                        isnan(memory->prior.mean) ? 100 : lround(100 * memory->rules_weight)));
}

#define ROUNDED_FROM 0.1

/* To the thousandth: finer than anybody can tell, and written several times as fast. What is next to nothing is left as it is. */
static void quantiles_round(struct quantiles *quantiles)
{
    double *const amounts[] = {&quantiles->p50, &quantiles->p90, &quantiles->p99};
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++)
        if (*amounts[i] >= ROUNDED_FROM)
            *amounts[i] = round(*amounts[i] * 1000) / 1000;
}

static void demand_round(struct demand *demand)
{
    quantiles_round(&demand->vcpus);
    quantiles_round(&demand->memory_mib);
    quantiles_round(&demand->network_mbps);
    quantiles_round(&demand->duration_ms);
}

/* The function's own runs, and what the model's word weighs beside them: it is as good as so many. */
static struct demand *blend_predict(const struct blend *blend, const struct function *function)
{
    struct demand *demand = g_new0(struct demand, 1);
    struct blend_prior priors[BLEND_AMOUNTS];
    const guint count = blend->history != NULL ? MIN(blend->history->count, blend->policy->history.samples_max) : 0;
    const guint whole = count > 0 ? history_count_whole(blend->history, count) : 0;
    blend_fill(blend, demand, priors);
    demand->sample_count = count;
    demand->model_version = model_get_info(blend->model)->version;
    demand->gpus = blend->rules.demand.gpus;
    demand->source = whole > 0 && count >= blend->policy->history.samples_min ? DEMAND_HISTORY : DEMAND_MODEL;
    if (demand->source == DEMAND_MODEL)
        rules_raise(&blend->rules, demand);
    demand_explain_model(demand, blend, &priors[1]);
    if (function != NULL && count > 0)
        demand_explain_history(demand, blend->policy, whole);
    demand_round(demand);
    score_assign(blend->policy, demand);
    return demand;
}

static struct demand *predictor_answer(struct predictor *predictor, const struct policy *policy,
                                       const struct code_metadata *code, gint64 at, struct function *function)
{
    const guint64 revision = function != NULL ? function->revision : 0;
    const gint64 hour = at / ((gint64)3600 * G_USEC_PER_SEC);
    predictor_set_policy(predictor, policy);
    predictor_set_key(predictor, code);
    struct answer *answer = g_hash_table_lookup(predictor->answers, predictor->key->str);
    if (answer != NULL && answer->epoch == predictor->epoch && answer->revision == revision && answer->hour == hour)
        return demand_copy(answer->demand);
    struct sample sample;
    sample_of_code(&sample, code, at);
    const struct blend blend = predictor_blend(predictor, policy, code, &sample, function);
    struct demand *demand = blend_predict(&blend, function);
    codec_seal(&demand_codec, demand);
    if (g_hash_table_size(predictor->answers) >= ASSUMED_MAX)
        g_hash_table_remove_all(predictor->answers);
    answer = g_new(struct answer, 1);
    *answer = (struct answer){demand, predictor->epoch, revision, hour};
    g_hash_table_replace(predictor->answers, g_strdup(predictor->key->str), answer);
    return demand_copy(demand);
}

struct demand *predictor_predict(struct predictor *predictor, const struct policy *policy,
                                 const struct code_metadata *code, gint64 at)
{
    struct function *function = predictor_find(predictor, code);
    if (predictor->model != NULL)
        return predictor_answer(predictor, policy, code, at, function);
    const guint count = function != NULL ? function->history.count : 0;
    if (count == 0)
        return predictor_assume(predictor, policy, code);
    if (count >= policy->history.samples_min)
        return history_count_whole(&function->history, policy->history.samples_max) > 0
                   ? function_predict(function, policy, code)
                   : function_raise(function, policy, code);
    struct demand *demand = rules_predict(policy, code);
    demand->sample_count = count;
    demand_add_reason(
        demand, g_strdup("history"),
        g_strdup_printf("only %u executions are known, %u are asked for", count, policy->history.samples_min));
    return demand;
}

#define EXPLAINED_COLUMNS 4
#define EXPLAINED_LEAST 0.02 /* of a logarithm: what moves it by less is not worth a word beside others */

static void demand_explain_columns(struct demand *demand, const struct blend *blend, enum target target)
{
    g_autoptr(GArray) reasons = model_explain(blend->model, blend->sample, target, EXPLAINED_COLUMNS, NULL);
    if (reasons == NULL)
        return;
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < reasons->len; i++) {
        const struct model_reason *reason = &g_array_index(reasons, struct model_reason, i);
        if (i > 0 && fabs(reason->contribution) < EXPLAINED_LEAST)
            break;
        g_string_append_printf(text, "%s%s%s x %.2f", i > 0 ? ", " : "", reason->column,
                               reason->is_told ? "" : " (not told)", exp(reason->contribution));
    }
    demand_add_reason(demand, g_strdup_printf("model: %s", codec_word(&target_words, target)),
                      g_string_free(text, FALSE));
}

static void demand_explain_cover(struct demand *demand, const struct blend *blend, enum target target)
{
    struct coverage coverage;
    const gboolean is_known = blend_is_known(blend);
    correction_coverage(blend->correction, correction_group(blend->sample, is_known), target, &coverage);
    if (coverage.count == 0)
        return;
    demand_add_reason(
        demand, g_strdup_printf("coverage: %s", codec_word(&target_words, target)),
        g_strdup_printf("of %u %s runs in %s, %.0f %% were within p50, %.0f %% within p90, %.0f %% within p99",
                        coverage.count, is_known ? "later" : "first",
                        blend->code->language != NULL ? blend->code->language : "no language", 100 * coverage.shares[0],
                        100 * coverage.shares[1], 100 * coverage.shares[2]));
}

static void demand_explain_amounts(struct demand *demand, const struct blend *blend)
{
    for (guint i = 0; i < BLEND_AMOUNTS; i++) {
        demand_explain_columns(demand, blend, blend_amounts[i].target);
        demand_explain_cover(demand, blend, blend_amounts[i].target);
    }
}

#define EXPLAINED_RUNS 5

static void append_runs(GString *text, const struct history *history, guint count)
{
    guint out_of_memory = 0, told = 0;
    for (guint age = 0; age < count; age++) {
        const struct history_sample *sample = history_at(history, age);
        const double memory_mib = (double)sample->amounts[HISTORY_MEMORY];
        out_of_memory += sample->memory_factor > 0 ? 1 : 0;
        if (!isnan(memory_mib) && told++ < EXPLAINED_RUNS)
            g_string_append_printf(text, "%s%s%.4g", told == 1 ? "the newest first: " : ", ",
                                   sample->is_least ? "at least " : "", memory_mib);
    }
    g_string_append(text, told > 0 ? " MiB" : "no memory was measured");
    if (out_of_memory > 0)
        g_string_append_printf(text, "; %u of %u ran out of memory", out_of_memory, count);
}

static void append_trends(GString *text, const struct history *history, const struct history_query *query)
{
    for (guint i = 0; i < BLEND_AMOUNTS; i++) {
        const double slope = history_trend(history, blend_amounts[i].amount, query);
        if (slope != 0)
            g_string_append_printf(text, "; %s %s by %.1f %% a run", codec_word(&target_words, blend_amounts[i].target),
                                   slope > 0 ? "rises" : "falls", 100 * fabs(expm1(slope)));
    }
}

/* `query`: as the runs were asked; NULL: they were not. */
static void demand_explain_runs(struct demand *demand, const struct policy *policy, const struct function *function,
                                const struct history_query *query)
{
    const guint count = function != NULL ? MIN(function->history.count, policy->history.samples_max) : 0;
    if (count == 0)
        return;
    GString *text = g_string_new(NULL);
    append_runs(text, &function->history, count);
    if (query != NULL)
        append_trends(text, &function->history, query);
    demand_add_reason(demand, g_strdup("history: runs"), g_string_free(text, FALSE));
}

struct demand *predictor_explain(struct predictor *predictor, const struct policy *policy,
                                 const struct code_metadata *code, gint64 at)
{
    const struct function *function = predictor_find(predictor, code);
    if (predictor->model == NULL) {
        g_autoptr(demand_auto) said = predictor_predict(predictor, policy, code, at);
        struct demand *demand = codec_copy_open(&demand_codec, said);
        const struct history_query query = blend_query(policy, 0);
        demand_explain_runs(demand, policy, function, demand->source == DEMAND_HISTORY ? &query : NULL);
        return demand;
    }
    struct sample sample;
    sample_of_code(&sample, code, at);
    predictor_set_policy(predictor, policy);
    const struct blend blend = predictor_blend(predictor, policy, code, &sample, function);
    struct demand *demand = blend_predict(&blend, function);
    const struct history_query query = blend_own_query(&blend);
    demand_explain_runs(demand, policy, function, &query);
    demand_explain_amounts(demand, &blend);
    return demand;
}

void predictor_add_reasons(struct predictor *predictor, const struct policy *policy, const struct code_metadata *code,
                           gint64 at, struct demand *demand)
{
    if (predictor->model == NULL || !demand_has_model(demand))
        return;
    struct sample sample;
    sample_of_code(&sample, code, at);
    predictor_set_policy(predictor, policy);
    const struct blend blend = predictor_blend(predictor, policy, code, &sample, predictor_find(predictor, code));
    const guint version = model_get_info(blend.model)->version;
    if (version == demand->model_version)
        demand_explain_amounts(demand, &blend);
    else
        demand_add_reason(demand, g_strdup("model: columns"),
                          g_strdup_printf("not known any more: version %u would be asked now", version));
}

#define SURPRISED_FROM 3 /* runs: with fewer a function does not know what is usual */

static void surprise_set(struct surprise *surprise, double y, const double quantiles[CORRECTION_LEVELS],
                         const struct history *history)
{
    if (history_count_whole(history, history->count) < SURPRISED_FROM)
        return;
    surprise->left_over = y - quantiles[0];
    surprise->spread = (quantiles[1] - quantiles[0]) / 1.28; /* p90 of a normal variable */
}

/* How far the run was off what would be said of it, before it is known. */
static void predictor_correct(struct predictor *predictor, const struct policy *policy,
                              const struct observation *observation, const struct function *function,
                              struct history_sample *ret_said)
{
    struct sample sample;
    struct demand demand = {0};
    struct blend_prior priors[BLEND_AMOUNTS];
    struct surprise surprises[HISTORY_AMOUNT_COUNT];
    /* Of what it was trained with a model says more than it knows. */
    const gboolean is_taught =
        observation->ended_at > 0 && observation->ended_at <= model_get_info(predictor->model)->made_at;
    if (!sample_of_observation(&sample, observation))
        return;
    predictor_set_policy(predictor, policy);
    const struct blend blend = predictor_blend(predictor, policy, &observation->code, &sample, function);
    const guint64 group = correction_group(&sample, blend_is_known(&blend));
    blend_fill(&blend, &demand, priors);
    for (guint i = 0; i < BLEND_AMOUNTS; i++)
        ret_said->said[blend_amounts[i].amount] = isnan(priors[i].prior.mean) ? 0 : (float)priors[i].prior.unshifted;
    if (is_taught)
        return;
    for (guint i = 0; i < HISTORY_AMOUNT_COUNT; i++)
        surprises[i] = (struct surprise){NAN, NAN};
    for (guint i = 0; i < BLEND_AMOUNTS; i++) {
        const enum target target = blend_amounts[i].target;
        const double y = sample.targets[target];
        if (isnan(y) || isnan(priors[i].prior.mean))
            continue;
        const struct quantiles *told = G_STRUCT_MEMBER_P(&demand, blend_amounts[i].offset);
        const double quantiles[CORRECTION_LEVELS] = {target_log(target, told->p50), target_log(target, told->p90),
                                                     target_log(target, told->p99)};
        const gboolean is_least = (sample.censored & 1U << target) != 0;
        if (!is_least) {
            correction_observe_bias(predictor->correction, &sample, target, y - priors[i].uncorrected,
                                    function->history.count + 1);
            surprise_set(&surprises[blend_amounts[i].amount], y, quantiles, &function->history);
        }
        correction_observe_cover(predictor->correction, group, target, y, is_least, quantiles);
    }
    if (shifts_observe(predictor->shifts, &observation->code, observation->ended_at, surprises) ||
        ++predictor->runs % EPOCH_RUNS == 0)
        predictor->epoch++;
}

/* MB/s: anything, before a course tells it. */
static const struct quantiles disk_unknown = {1, 100, 1000};

void predictor_course(struct predictor *predictor, const struct policy *policy, const struct code_metadata *code,
                      const struct demand *demand, struct course *ret_course)
{
    const struct function *function = predictor_find(predictor, code);
    course_set_flat(ret_course, RESOURCE_CPU, &demand->vcpus);
    course_set_flat(ret_course, RESOURCE_MEMORY, &demand->memory_mib);
    course_set_flat(ret_course, RESOURCE_NETWORK, &demand->network_mbps);
    course_set_flat(ret_course, RESOURCE_DISK, &disk_unknown);
    if (function != NULL)
        courses_predict(&function->courses, policy->history.half_life_samples, ret_course);
}

static gboolean exit_teaches(enum exit_reason reason)
{
    return reason == EXIT_EXITED || exit_is_cut_short(reason);
}

/* NAN for what the guest could not tell. */
static float amount_told(double value)
{
    return isfinite(value) && value > 0 ? (float)MIN(value, 1e11) : NAN;
}

static void history_sample_of(const struct policy *policy, const struct observation *observation,
                              struct history_sample *ret_sample)
{
    const double seconds = observation->duration_ms / 1000;
    const double mean_vcpus = seconds > 0 ? observation->cpu_seconds / seconds : 0;
    ret_sample->amounts[HISTORY_VCPUS] = amount_told(MAX(observation->vcpus, mean_vcpus));
    ret_sample->amounts[HISTORY_MEMORY] = amount_told(observation_memory_mib(observation));
    ret_sample->amounts[HISTORY_NETWORK] =
        isfinite(observation->network_mbps) ? (float)CLAMP(observation->network_mbps, 0, 1e11) : NAN;
    ret_sample->amounts[HISTORY_DISK] = NAN;
    ret_sample->amounts[HISTORY_DURATION] = amount_told(observation->duration_ms);
    ret_sample->is_least = exit_is_cut_short(observation->reason);
    if (observation->reason == EXIT_OUT_OF_MEMORY)
        ret_sample->memory_factor = (float)policy->scaling.grow_to;
}

void predictor_observe(struct predictor *predictor, const struct policy *policy, const struct observation *observation)
{
    if (!exit_teaches(observation->reason))
        return;
    struct function *function = predictor_find_or_add(predictor, &observation->code);
    struct history_sample sample = {.input = code_input_octaves(&observation->code), .at = observation->ended_at};
    if (predictor->model != NULL)
        predictor_correct(predictor, policy, observation, function, &sample);
    history_sample_of(policy, observation, &sample);
    history_add(&function->history, &sample, policy->history.samples_max);
    if (!exit_is_cut_short(observation->reason)) /* of those the rest is not known */
        courses_add(&function->courses, observation->course);
    function->revision++;
    function_forget_demand(function);
}
