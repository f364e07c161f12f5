/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/model-private.h"

#include "base/error.h"

#include <gsl/gsl_sort.h>
#include <math.h>

/* How a model is made. The effects of each target are fitted first; the trees then learn what they leave over. The effects that a run is trained with
 * are of a fit without its function, so that the trees learn to trust them as far as they can be trusted for new code. What the calibration is told
 * comes from trees that did not know the run's function either. */

#define EFFECT_FOLDS 10
#define FOLDS_FEW 5 /* of the trees, while there are few runs; else 2 */
#define RUNS_FEW 8000
#define CENSORED_FACTOR 0.405 /* ln 1.5: what a run cut short is taken to need beyond what it used */
#define TENANTS_MIN 3
#define TENANT_FOLDS 6
#define DOUBT_ROUNDS 4
#define DOUBTED_FROM 1.5 /* times the usual distance */
#define DOUBT_POWER 4
#define UNMEASURED_MIN 5   /* runs that it takes to tell when that happens */
#define CREDENCE_MIN 0.5   /* of the runs that calibrate */
#define FUNCTION_SHARE 0.5 /* the runs of a function together weigh their number to this power */

static const struct booster_settings tree_settings = {
    .rounds = 8,
    .trees_per_round = 12,
    .depth = 6,
    .step = 0.3,
    .rows = 0.6,
    .columns = 0.35,
    .child_weight_min = 1,
    .regularisation = 1,
    .leaf_max = 1,
    .huber_slope = 0.25,
    .bins = 64,
};

/* The trees' word is believed by one of these shares. */
static const double trusts[] = {0, 0.25, 0.5, 0.75, 1};

/* Of the runs of a group, beside those that the effects' variances come from. Less is believed where it helps by a twentieth. */
static const double noises[] = {1, 0.25, 0.05};
#define NOISE_GAIN 0.95

/* What is less was not measured: the runs of that length end before their memory is looked at. */
static const double least[TARGET_COUNT] = {
    [TARGET_CPU] = 0, [TARGET_VCPUS] = 0, [TARGET_MEMORY] = 0.2, [TARGET_NETWORK] = 0, [TARGET_DURATION] = 0};

/* What is at hand while a model is made; arrays of one element for each run. */
struct lesson {
    const struct sample *samples;
    guint count;
    double *weights; /* of the run, for all targets */
    guint64 (*groups)[EFFECTS_MAX];
    struct view *views;                   /* with the effects that the run's function was left out of */
    guint *function_folds, *tenant_folds; /* of each run */
    guint tenant_count;
    double noise[TARGET_COUNT];
    float (*credence)[TARGET_COUNT]; /* of the run's tenant, 0 to 1 */
    double *y, *target_weights;      /* of the target at hand; weight 0: it does not tell */
    const struct ranks *ranks;
    struct kin *kin[TARGET_COUNT];
    const struct model_settings *settings;
    GCancellable *cancellable;
};

static gint64 lesson_newest(const struct lesson *lesson)
{
    gint64 newest = 0;
    for (guint run = 0; run < lesson->count; run++)
        newest = MAX(newest, lesson->samples[run].at);
    return newest;
}

/* By age, and so that a function counts by the root of its runs; 1 in the mean. */
static void lesson_weigh(struct lesson *lesson, guint *ret_functions)
{
    g_autoptr(GHashTable) runs = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint run = 0; run < lesson->count; run++) {
        const guint64 *function = &lesson->samples[run].categories[CATEGORY_FUNCTION];
        const guint known = GPOINTER_TO_UINT(g_hash_table_lookup(runs, function));
        g_hash_table_replace(runs, (gpointer)function, GUINT_TO_POINTER(known + 1));
    }
    const gint64 newest = lesson_newest(lesson), half_life = lesson->settings->half_life;
    double sum = 0;
    for (guint run = 0; run < lesson->count; run++) {
        const struct sample *sample = &lesson->samples[run];
        const guint known = GPOINTER_TO_UINT(g_hash_table_lookup(runs, &sample->categories[CATEGORY_FUNCTION]));
        const double age = half_life > 0 ? (double)(newest - sample->at) / (double)half_life : 0;
        lesson->weights[run] = exp2(-age) * pow(known, FUNCTION_SHARE - 1);
        sum += lesson->weights[run];
    }
    for (guint run = 0; run < lesson->count; run++)
        lesson->weights[run] *= lesson->count / sum;
    *ret_functions = g_hash_table_size(runs);
}

/* Hashes of names that differ in their last letter alone differ in few bits: multiplied by 2^64 over the golden ratio (Knuth), their upper half does. */
static guint category_fold(guint64 category, guint folds)
{
    return (guint)((category * G_GUINT64_CONSTANT(11400714819323198485) >> 32) % folds);
}

static guint sample_fold(const struct sample *sample, guint folds)
{
    return category_fold(sample->categories[CATEGORY_FUNCTION], folds);
}

/* Tenants in turn, so that few of them are each alone in a fold. */
static void lesson_fold(struct lesson *lesson)
{
    g_autoptr(GHashTable) tenants = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint run = 0; run < lesson->count; run++) {
        const guint64 *tenant = &lesson->samples[run].categories[CATEGORY_TENANT];
        guint index = GPOINTER_TO_UINT(g_hash_table_lookup(tenants, tenant));
        if (index == 0) {
            index = g_hash_table_size(tenants) + 1;
            g_hash_table_insert(tenants, (gpointer)tenant, GUINT_TO_POINTER(index));
        }
        lesson->tenant_folds[run] = (index - 1) % TENANT_FOLDS;
        lesson->function_folds[run] = sample_fold(&lesson->samples[run], EFFECT_FOLDS);
    }
    lesson->tenant_count = g_hash_table_size(tenants);
}

static void lesson_init(struct lesson *lesson, const struct sample *samples, guint count, const struct ranks *ranks,
                        const struct model_settings *settings, GCancellable *cancellable, guint *ret_functions)
{
    *lesson = (struct lesson){
        .samples = samples,
        .count = count,
        .ranks = ranks,
        .weights = g_new(double, count),
        .groups = g_malloc_n(count, sizeof *lesson->groups),
        .views = g_new0(struct view, count),
        .y = g_new(double, count),
        .target_weights = g_new(double, count),
        .function_folds = g_new(guint, count),
        .tenant_folds = g_new(guint, count),
        .credence = g_malloc_n(count, sizeof *lesson->credence),
        .settings = settings,
        .cancellable = cancellable,
    };
    lesson_weigh(lesson, ret_functions);
    lesson_fold(lesson);
    for (guint run = 0; run < count; run++) {
        effects_groups(&samples[run], ranks, lesson->groups[run]);
        for (guint i = 0; i < TARGET_COUNT; i++)
            lesson->credence[run][i] = 1;
    }
}

static void lesson_clear(struct lesson *lesson)
{
    g_free(lesson->weights);
    g_free(lesson->groups);
    g_free(lesson->views);
    g_free(lesson->y);
    g_free(lesson->target_weights);
    g_free(lesson->credence);
    g_free(lesson->function_folds);
    g_free(lesson->tenant_folds);
    for (guint i = 0; i < TARGET_COUNT; i++)
        kin_free(lesson->kin[i]);
}

/* The runs that tell the target for sure. */
static guint lesson_set_target(struct lesson *lesson, enum target target)
{
    guint count = 0;
    for (guint run = 0; run < lesson->count; run++) {
        const gboolean tells = sample_tells(&lesson->samples[run], target);
        lesson->y[run] = fmax(lesson->samples[run].targets[target], target_log(target, least[target]));
        lesson->target_weights[run] = tells ? lesson->weights[run] * lesson->credence[run][target] : 0;
        count += tells;
    }
    return count;
}

/* A run cut short that used more than its kind is expected to shows that its kind needs more; one that used less shows nothing. */
static void lesson_add_censored(struct lesson *lesson, enum target target)
{
    for (guint run = 0; run < lesson->count; run++) {
        const struct sample *sample = &lesson->samples[run];
        if ((sample->censored & 1U << target) == 0 || isnan(sample->targets[target]) ||
            lesson->y[run] <= lesson->views[run].sums[target])
            continue;
        lesson->y[run] += CENSORED_FACTOR;
        lesson->target_weights[run] = lesson->weights[run] * lesson->credence[run][target];
    }
}

/* The effects without the runs whose fold is `fold`. */
static struct effects *lesson_fit_without(const struct lesson *lesson, enum target target, double noise,
                                          const guint *fold_of_run, guint fold)
{
    g_autofree double *weights = g_new(double, lesson->count);
    for (guint run = 0; run < lesson->count; run++)
        weights[run] = fold_of_run[run] == fold ? 0 : lesson->target_weights[run];
    return effects_fit(target, noise, (const guint64(*)[EFFECTS_MAX])lesson->groups, lesson->y, weights, lesson->count);
}

/* The mean error of the runs of one fold that tell the target. */
static double lesson_error(const struct lesson *lesson, const struct effects *effects, guint folds, guint fold)
{
    double sum = 0, weight = 0;
    for (guint run = 0; run < lesson->count; run++) {
        if (lesson->target_weights[run] <= 0 || sample_fold(&lesson->samples[run], folds) != fold)
            continue;
        sum += lesson->target_weights[run] * fabs(lesson->y[run] - effects_predict(effects, lesson->groups[run], NULL));
        weight += lesson->target_weights[run];
    }
    return weight > 0 ? sum / weight : 0;
}

/* Tried on a tenth of the functions, as the variances' were. */
static double lesson_choose_noise(const struct lesson *lesson, enum target target)
{
    double best = INFINITY, noise = 1;
    for (guint i = 0; i < G_N_ELEMENTS(noises); i++) {
        struct effects *effects =
            lesson_fit_without(lesson, target, noises[i], lesson->function_folds, EFFECT_FOLDS - 1);
        const double error = lesson_error(lesson, effects, EFFECT_FOLDS, EFFECT_FOLDS - 1);
        effects_free(effects);
        if (error < NOISE_GAIN * best) {
            best = error;
            noise = noises[i];
        }
    }
    return noise;
}

static double median_of(GArray *values)
{
    gsl_sort((double *)(void *)values->data, 1, values->len);
    return g_array_index(values, double, values->len / 2);
}

/* How far each tenant's runs lie from what all others' say of them: tenant -> GArray of double. */
static GHashTable *lesson_ask_others(const struct lesson *lesson, enum target target)
{
    GHashTable *tenants = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)g_array_unref);
    for (guint fold = 0; fold < TENANT_FOLDS; fold++) {
        struct effects *others = lesson_fit_without(lesson, target, 1, lesson->tenant_folds, fold);
        for (guint run = 0; run < lesson->count; run++) {
            const guint64 *tenant = &lesson->samples[run].categories[CATEGORY_TENANT];
            if (lesson->tenant_folds[run] != fold || lesson->target_weights[run] <= 0)
                continue;
            GArray *known = g_hash_table_lookup(tenants, tenant);
            if (known == NULL) {
                known = g_array_new(FALSE, FALSE, sizeof(double));
                g_hash_table_insert(tenants, (gpointer)tenant, known);
            }
            const double distance = fabs(lesson->y[run] - effects_predict(others, lesson->groups[run], NULL));
            g_array_append_val(known, distance);
        }
        effects_free(others);
    }
    return tenants;
}

/* One round of doubt: the more a tenant is doubted, the better is what the others say of the rest. */
static void lesson_doubt_once(struct lesson *lesson, enum target target)
{
    g_autoptr(GHashTable) tenants = lesson_ask_others(lesson, target);
    g_autoptr(GArray) medians = g_array_new(FALSE, FALSE, sizeof(double));
    GHashTableIter iter;
    gpointer known;
    g_hash_table_iter_init(&iter, tenants);
    while (g_hash_table_iter_next(&iter, NULL, &known)) {
        const double median = median_of(known);
        g_array_append_val(medians, median);
    }
    const double usual = medians->len > 0 ? MAX(median_of(medians), 0.01) : INFINITY;
    for (guint run = 0; run < lesson->count; run++) {
        GArray *distances = g_hash_table_lookup(tenants, &lesson->samples[run].categories[CATEGORY_TENANT]);
        const double own = distances != NULL ? g_array_index(distances, double, distances->len / 2) : 0;
        lesson->credence[run][target] = (float)MIN(1, pow(own / (DOUBTED_FROM * usual), -DOUBT_POWER));
    }
    lesson_set_target(lesson, target);
}

/* A tenant whose runs lie much further from what all others' say than is usual among tenants teaches the others less: its code is of another kind, or its
 * figures are made up. It is itself served by its own runs. */
static void lesson_doubt_tenants(struct lesson *lesson, enum target target)
{
    const guint rounds = lesson->tenant_count >= TENANTS_MIN ? DOUBT_ROUNDS : 0;
    for (guint round = 0; round < rounds; round++)
        lesson_doubt_once(lesson, target);
}

/* Tenants that are doubted are nobody's kin. */
static void lesson_find_kin(struct lesson *lesson, enum target target)
{
    g_autofree double *weights = g_new(double, lesson->count);
    for (guint run = 0; run < lesson->count; run++)
        weights[run] = lesson->credence[run][target] >= CREDENCE_MIN ? lesson->target_weights[run] : 0;
    lesson->kin[target] = kin_new(lesson->samples, lesson->ranks, lesson->y, weights, lesson->count);
    for (guint run = 0; run < lesson->count; run++) {
        struct kin_groups groups;
        kin_groups_of(&lesson->samples[run], lesson->ranks, &groups);
        kin_ask(lesson->kin[target], &groups, &lesson->samples[run], lesson->views[run].sums[target],
                lesson->views[run].kin[target]);
    }
}

/* The effects of one target, each run by those that its function was left out of. */
static void lesson_fit_views(struct lesson *lesson, enum target target)
{
    lesson_doubt_tenants(lesson, target);
    lesson->noise[target] = lesson_choose_noise(lesson, target);
    for (guint fold = 0; fold < EFFECT_FOLDS; fold++) {
        struct effects *effects =
            lesson_fit_without(lesson, target, lesson->noise[target], lesson->function_folds, fold);
        for (guint run = 0; run < lesson->count; run++)
            if (sample_fold(&lesson->samples[run], EFFECT_FOLDS) == fold)
                lesson->views[run].sums[target] =
                    effects_predict(effects, lesson->groups[run], lesson->views[run].parts[target]);
        effects_free(effects);
    }
    lesson_find_kin(lesson, target);
}

/* The rows of the runs whose fold is (or, with `is_in` FALSE, is not) `fold`, and which tell the target. */
struct rows {
    GArray *runs;                      /* guint */
    GArray *values, *labels, *weights; /* float */
};

static void rows_init(struct rows *rows, const struct lesson *lesson, enum target target, guint folds, guint fold,
                      gboolean is_in)
{
    *rows = (struct rows){
        .runs = g_array_new(FALSE, FALSE, sizeof(guint)),
        .values = g_array_new(FALSE, FALSE, sizeof(float)),
        .labels = g_array_new(FALSE, FALSE, sizeof(float)),
        .weights = g_array_new(FALSE, FALSE, sizeof(float)),
    };
    for (guint run = 0; run < lesson->count; run++) {
        const struct sample *sample = &lesson->samples[run];
        if (lesson->target_weights[run] <= 0 || (folds > 1 && (sample_fold(sample, folds) == fold) != is_in))
            continue;
        float row[COLUMNS_MAX];
        const float label = (float)(lesson->y[run] - lesson->views[run].sums[target]);
        const float weight = (float)lesson->target_weights[run];
        view_fill_row(&lesson->views[run], sample, target, row);
        g_array_append_val(rows->runs, run);
        g_array_append_vals(rows->values, row, model_column_count());
        g_array_append_val(rows->labels, label);
        g_array_append_val(rows->weights, weight);
    }
}

static void rows_clear(struct rows *rows)
{
    g_array_unref(rows->runs);
    g_array_unref(rows->values);
    g_array_unref(rows->labels);
    g_array_unref(rows->weights);
}

static struct booster *lesson_grow(const struct lesson *lesson, const struct rows *rows, GError **error)
{
    struct booster_settings settings = tree_settings;
    settings.seed = lesson->settings->seed;
    return booster_train(&settings, (const float *)(const void *)rows->values->data,
                         (const float *)(const void *)rows->labels->data,
                         (const float *)(const void *)rows->weights->data, rows->runs->len, model_column_count(),
                         lesson->cancellable, error);
}

/* What trees that do not know the runs of a fold say of them. */
static gboolean lesson_ask_fold(const struct lesson *lesson, const struct rows *known, const struct rows *unknown,
                                double *words, GError **error)
{
    g_autoptr(booster_auto) trees = lesson_grow(lesson, known, error);
    for (guint i = 0; trees != NULL && i < unknown->runs->len; i++)
        words[g_array_index(unknown->runs, guint, i)] =
            booster_predict(trees, &g_array_index(unknown->values, float, (gsize)i *model_column_count()));
    return trees != NULL;
}

/* Fills `words`, NAN where nothing is told. */
static gboolean lesson_ask(const struct lesson *lesson, enum target target, double *words, GError **error)
{
    const guint folds = lesson->count > RUNS_FEW ? 2 : FOLDS_FEW;
    gboolean is_done = TRUE;
    for (guint run = 0; run < lesson->count; run++)
        words[run] = NAN;
    for (guint fold = 0; is_done && fold < folds; fold++) {
        struct rows known, unknown;
        rows_init(&known, lesson, target, folds, fold, FALSE);
        rows_init(&unknown, lesson, target, folds, fold, TRUE);
        if (known.runs->len > 0 && unknown.runs->len > 0)
            is_done = lesson_ask_fold(lesson, &known, &unknown, words, error);
        rows_clear(&known);
        rows_clear(&unknown);
    }
    return is_done;
}

/* By the mean error with code that the trees did not know. */
static double lesson_choose_trust(const struct lesson *lesson, enum target target, const double *words)
{
    double best = INFINITY, trust = 0;
    for (guint i = 0; i < G_N_ELEMENTS(trusts); i++) {
        double error = 0;
        for (guint run = 0; run < lesson->count; run++)
            if (!isnan(words[run]) && sample_tells(&lesson->samples[run], target))
                error += lesson->target_weights[run] *
                         fabs(lesson->y[run] - lesson->views[run].sums[target] - trusts[i] * words[run]);
        if (error < best) {
            best = error;
            trust = trusts[i];
        }
    }
    return trust;
}

/* What is left over of code that was not known goes to the calibration. `left_over`: the trees' words, which it replaces. */
static void model_calibrate(struct model *model, const struct lesson *lesson, enum target target, double *left_over)
{
    double missing = 0;
    guint count = 0;
    for (guint run = 0; run < lesson->count; run++) {
        left_over[run] =
            lesson->y[run] - lesson->views[run].sums[target] - model->knowledge[target].trust * left_over[run];
        if (isnan(left_over[run]) || lesson->credence[run][target] < CREDENCE_MIN ||
            !sample_tells(&lesson->samples[run], target))
            continue;
        calibration_add(model->calibration, &lesson->samples[run], target, left_over[run]);
        missing += effects_missing(target, lesson->groups[run]);
        count++;
    }
    model->knowledge[target].missing = count > 0 ? missing / count : 0;
}

/* As much is told of such runs as of short ones: the effects vary as the duration's do. */
static void lesson_learn_unmeasured(const struct lesson *lesson, enum target target, struct knowledge *knowledge)
{
    g_autofree double *y = g_new0(double, lesson->count);
    g_autoptr(GArray) records = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint run = 0; run < lesson->count; run++) {
        const double record = lesson->samples[run].targets[target];
        if (lesson->target_weights[run] <= 0 || record >= target_log(target, least[target]))
            continue;
        y[run] = 1;
        g_array_append_val(records, record);
    }
    if (records->len < UNMEASURED_MIN)
        return;
    knowledge->record = median_of(records);
    knowledge->unmeasured = effects_fit(TARGET_DURATION, 1, (const guint64(*)[EFFECTS_MAX])lesson->groups, y,
                                        lesson->target_weights, lesson->count);
}

static gboolean model_train_target(struct model *model, struct lesson *lesson, enum target target, double *left_over,
                                   GError **error)
{
    struct knowledge *knowledge = &model->knowledge[target];
    struct rows rows;
    lesson_set_target(lesson, target);
    lesson_add_censored(lesson, target);
    rows_init(&rows, lesson, target, 1, 0, TRUE);
    knowledge->trees = lesson_grow(lesson, &rows, error);
    rows_clear(&rows);
    if (knowledge->trees == NULL || !lesson_ask(lesson, target, left_over, error))
        return FALSE;
    knowledge->trust = lesson_choose_trust(lesson, target, left_over);
    model_calibrate(model, lesson, target, left_over);
    lesson_learn_unmeasured(lesson, target, knowledge);
    knowledge->kin = g_steal_pointer(&lesson->kin[target]);
    knowledge->effects = effects_fit(target, lesson->noise[target], (const guint64(*)[EFFECTS_MAX])lesson->groups,
                                     lesson->y, lesson->target_weights, lesson->count);
    return TRUE;
}

static void model_score_target(struct model *model, const struct lesson *lesson, enum target target,
                               const double *left_over)
{
    struct model_score *score = &model->info.scores[target];
    for (guint run = 0; run < lesson->count; run++) {
        if (isnan(left_over[run]) || !sample_tells(&lesson->samples[run], target))
            continue;
        double offsets[3];
        calibration_offsets(model->calibration, &lesson->samples[run], target, offsets);
        score_add(score, left_over[run], offsets[0], 0, offsets);
    }
    score_finish(score);
}

static gboolean model_learn(struct model *model, struct lesson *lesson, GError **error)
{
    g_autofree double *left_over = g_new(double, (gsize)lesson->count *TARGET_COUNT);
    gboolean is_taught[TARGET_COUNT], any = FALSE;
    for (guint i = 0; i < TARGET_COUNT; i++) {
        is_taught[i] = lesson_set_target(lesson, i) >= MODEL_RUNS_MIN;
        if (is_taught[i])
            lesson_fit_views(lesson, i);
        if (g_cancellable_is_cancelled(lesson->cancellable)) {
            hbr_error_set(error, HBR_ERROR_CANCELLED, "the training was stopped before it had any trees");
            return FALSE;
        }
        for (guint run = 0; !is_taught[i] && run < lesson->count; run++)
            lesson->views[run].sums[i] = NAN;
        any = any || is_taught[i];
    }
    if (!any) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%u runs are too few to learn from; right would be %d that ended well",
                      lesson->count, MODEL_RUNS_MIN);
        return FALSE;
    }
    for (guint i = 0; i < TARGET_COUNT; i++)
        if (is_taught[i] && !model_train_target(model, lesson, i, left_over + (gsize)i * lesson->count, error))
            return FALSE;
    calibration_finish(model->calibration);
    for (guint i = 0; i < TARGET_COUNT; i++)
        if (is_taught[i])
            model_score_target(model, lesson, i, left_over + (gsize)i * lesson->count);
    return TRUE;
}

struct model *model_train(const struct sample *samples, guint count, const struct model_settings *settings,
                          GCancellable *cancellable, GError **error)
{
    g_autoptr(model_auto) model = model_new(&settings->info);
    struct lesson lesson;
    model->calibration = calibration_new();
    model->info.run_count = count;
    model->ranks = ranks_new(samples, count);
    lesson_init(&lesson, samples, count, model->ranks, settings, cancellable, &model->info.function_count);
    const gboolean is_learnt = model_learn(model, &lesson, error);
    lesson_clear(&lesson);
    return is_learnt ? g_steal_pointer(&model) : NULL;
}
