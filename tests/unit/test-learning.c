/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of learning: what is told of one kind of code serves the next of its kind, as far as it is known to; a file is whole or refused; one
 * tenant corrects nobody else. */
#include "base/error.h"
#include "predict/blend.h"
#include "predict/correction.h"
#include "predict/kin.h"
#include "predict/library.h"
#include "predict/model.h"
#include "predict/predictor.h"
#include "predict/shifts.h"

#include "policy-fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 900
#define NOISE 0.15

static struct model *model; /* of all tests: training takes a second */
static GArray *samples;     /* that it was trained with */

static const char *const languages[] = {"python", "go", "c"};
static const double language_cost[] = {30, 8, 1};
static const char *const algorithms[] = {"sort", "matrix", "web", "graph"};
static const double algorithm_cost[] = {1, 10, 0.3, 3};

static double noise(GRand *random)
{
    double sum = 0; /* nearly normal: the sum of twelve uniform variables */
    for (guint i = 0; i < 12; i++)
        sum += g_rand_double(random);
    return NOISE * (sum - 6);
}

/* What the code truly needs, in MiB: by language, algorithm and the root of its input. */
static double need_of(guint language, guint algorithm, gint64 items)
{
    return 20 + language_cost[language] * algorithm_cost[algorithm] * sqrt((double)items) / 10;
}

static struct sample sample_of(guint language, guint algorithm, gint64 items, const char *function, double memory_mib)
{
    const struct code_metadata code = {
        .function = (char *)function,
        .language = (char *)languages[language],
        .algorithm = (char *)algorithms[algorithm],
        .payload_items = items,
        .code_bytes = 1000,
    };
    struct sample sample;
    sample_of_code(&sample, &code, 0);
    if (memory_mib > 0)
        sample.targets[TARGET_MEMORY] = (float)target_log(TARGET_MEMORY, memory_mib);
    return sample;
}

static GArray *samples_new(guint count, guint32 seed, const char *prefix)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    GArray *made = g_array_new(FALSE, FALSE, sizeof(struct sample));
    for (guint i = 0; i < count; i++) {
        const guint language = (guint)g_rand_int_range(random, 0, G_N_ELEMENTS(languages));
        const guint algorithm = (guint)g_rand_int_range(random, 0, G_N_ELEMENTS(algorithms));
        const gint64 items = (gint64)1 << (2 * g_rand_int_range(random, 1, 11));
        g_autofree char *function = g_strdup_printf("%s-%u", prefix, i / 3);
        const double memory = need_of(language, algorithm, items) * exp(noise(random));
        const struct sample sample = sample_of(language, algorithm, items, function, memory);
        g_array_append_val(made, sample);
    }
    return made;
}

static struct model *train(const GArray *runs, GError **error)
{
    const struct model_settings settings = {.info = {.version = 3, .origin = (char *)"trained"}, .seed = 1};
    return model_train((const struct sample *)(const void *)runs->data, runs->len, &settings, NULL, error);
}

static void setup_model(void)
{
    g_autoptr(GError) error = NULL;
    samples = samples_new(RUNS, 1, "known");
    model = train(samples, &error);
    ck_assert_msg(model != NULL, "%s", error != NULL ? error->message : "");
}

static void teardown_model(void)
{
    model_unref(model);
    g_array_unref(samples);
}

/* Rule: code never seen is predicted from its kind. */
START_TEST(test_new_code)
{
    g_autoptr(GArray) unseen = samples_new(300, 2, "new");
    struct model_score scores[TARGET_COUNT];
    model_judge(model, (const struct sample *)(const void *)unseen->data, unseen->len, 0, scores);
    ck_assert_uint_eq(scores[TARGET_MEMORY].run_count, 300);
    ck_assert_double_lt(scores[TARGET_MEMORY].error, 2 * NOISE);
    ck_assert_double_gt(scores[TARGET_MEMORY].within2, 0.97);
    ck_assert_uint_eq(scores[TARGET_CPU].run_count, 0); /* was never taught */
}
END_TEST

/* Code of one kind, whose need nothing tells but how many loops it has. */
static GArray *loops_new(guint count, guint32 seed, const char *prefix)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    GArray *made = g_array_new(FALSE, FALSE, sizeof(struct sample));
    for (guint i = 0; i < count; i++) {
        const guint loops = (guint)g_rand_int_range(random, 1, 41);
        g_autofree char *function = g_strdup_printf("%s-%u", prefix, i / 20);
        struct code_traits traits = {.lines = 100, .loops = loops};
        const struct code_metadata code = {.function = function, .language = (char *)"python", .traits = &traits};
        struct sample sample;
        sample_of_code(&sample, &code, 0);
        sample.targets[TARGET_MEMORY] = (float)target_log(TARGET_MEMORY, 10 * loops * exp(noise(random)));
        g_array_append_val(made, sample);
    }
    return made;
}

/* Rule: the more it learns from, the better it is, or at least no worse. */
START_TEST(test_more_runs)
{
    static const guint counts[] = {200, 6000};
    double errors[G_N_ELEMENTS(counts)];
    g_autoptr(GArray) unseen = loops_new(300, 2, "new");
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(GArray) runs = loops_new(counts[i], 3 + i, "known");
        g_autoptr(model_auto) learned = train(runs, NULL);
        struct model_score scores[TARGET_COUNT];
        ck_assert_ptr_nonnull(learned);
        model_judge(learned, (const struct sample *)(const void *)unseen->data, unseen->len, 0, scores);
        errors[i] = scores[TARGET_MEMORY].error;
    }
    ck_assert_double_lt(errors[1], errors[0] + 0.02);
    ck_assert_double_lt(errors[1], 2 * NOISE);
}
END_TEST

/* Rule: a quantile is exceeded as often as it says, of code never seen. */
START_TEST(test_quantiles_cover)
{
    static const double levels[] = {0.5, 0.9, 0.99}, tolerances[] = {0.06, 0.04, 0.015};
    g_autoptr(GArray) unseen = samples_new(1000, 3, "new");
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        guint covered = 0;
        for (guint run = 0; run < unseen->len; run++) {
            const struct sample *sample = &g_array_index(unseen, struct sample, run);
            struct model_word word;
            model_predict(model, sample, MODEL_ALL, &word);
            covered += sample->targets[TARGET_MEMORY] <=
                       word.mean[TARGET_MEMORY] + model_offset(model, sample, TARGET_MEMORY, levels[i]);
        }
        ck_assert_double_eq_tol((double)covered / unseen->len, levels[i], tolerances[i]);
    }
}
END_TEST

/* Rule: a name that was never seen is counted, and what is known of the rest still tells. */
START_TEST(test_unknown_names)
{
    struct model_word known, unknown;
    const struct sample sample = sample_of(0, 1, 1 << 12, "x", 0);
    struct sample other = sample;
    other.categories[CATEGORY_LANGUAGE] = category_hash("brainfuck");
    other.categories[CATEGORY_FAMILY] = 0;
    model_predict(model, &sample, MODEL_ALL, &known);
    model_predict(model, &other, MODEL_ALL, &unknown);
    ck_assert_uint_eq(known.unknown, 0);
    ck_assert_uint_eq(unknown.unknown, 1);
    ck_assert(isfinite(unknown.mean[TARGET_MEMORY]));
    ck_assert_double_lt(fabs(known.mean[TARGET_MEMORY] - unknown.mean[TARGET_MEMORY]), 3);
}
END_TEST

/* Rule: the same runs give the same model. */
START_TEST(test_reproducible)
{
    g_autoptr(model_auto) again = train(samples, NULL);
    g_autoptr(GBytes) left = model_save(model, NULL), right = model_save(again, NULL);
    ck_assert(g_bytes_equal(left, right));
}
END_TEST

/* Rule: what was saved predicts the same when it is loaded, and says what it was. */
START_TEST(test_file)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) saved = model_save(model, &error);
    ck_assert(saved != NULL);
    g_autoptr(model_auto) loaded = model_load(saved, &error);
    ck_assert_msg(loaded != NULL, "%s", error != NULL ? error->message : "");
    for (guint run = 0; run < 50; run++) {
        const struct sample *sample = &g_array_index(samples, struct sample, run);
        struct model_word left, right;
        model_predict(model, sample, MODEL_ALL, &left);
        ck_assert_uint_eq(model_count_unknown(model, sample), left.unknown);
        model_predict(loaded, sample, MODEL_ALL, &right);
        ck_assert_double_eq_tol(left.mean[TARGET_MEMORY], right.mean[TARGET_MEMORY], 1e-6);
        ck_assert_double_eq_tol(left.spread[TARGET_MEMORY], right.spread[TARGET_MEMORY], 1e-9);
    }
    ck_assert_uint_eq(model_get_info(loaded)->version, 3);
    ck_assert_uint_eq(model_get_info(loaded)->run_count, RUNS);
    ck_assert_str_eq(model_get_info(loaded)->origin, "trained");
    g_autoptr(model_auto) renamed = model_rename(loaded, 7, "imported");
    ck_assert_uint_eq(model_get_info(renamed)->version, 7);
    ck_assert_str_eq(model_get_info(renamed)->origin, "imported");
}
END_TEST

/* Rule: a damaged file is refused, wherever the damage is, and however much is missing. */
START_TEST(test_damaged_file)
{
    g_autoptr(GBytes) saved = model_save(model, NULL);
    gsize size;
    const guint8 *content = g_bytes_get_data(saved, &size);
    ck_assert(model_check(saved, NULL));
    for (guint i = 0; i < 40; i++) {
        const gsize at = i < 20 ? i * 5 : size / 20 * (i - 20);
        g_autofree guint8 *copy = g_memdup2(content, size);
        copy[at] ^= 0x41;
        g_autoptr(GBytes) damaged = g_bytes_new(copy, size);
        g_autoptr(GBytes) cut = g_bytes_new(copy, at);
        g_autoptr(GError) error = NULL, cut_error = NULL;
        ck_assert_ptr_null(model_load(damaged, &error));
        ck_assert_ptr_nonnull(strstr(error->message, at < 18 ? "it " : "it"));
        ck_assert_ptr_null(model_load(cut, &cut_error));
        ck_assert_ptr_nonnull(cut_error);
        ck_assert(!model_check(damaged, NULL) && !model_check(cut, NULL));
    }
}
END_TEST

/* Rule: the reasons are the largest first, and name what truly moves the prediction. */
START_TEST(test_reasons)
{
    g_autoptr(GError) error = NULL;
    const struct sample sample = sample_of(0, 1, 1 << 20, "x", 0);
    g_autoptr(GArray) reasons = model_explain(model, &sample, TARGET_MEMORY, 5, &error);
    ck_assert_msg(reasons != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_uint_eq(reasons->len, 5);
    for (guint i = 1; i < reasons->len; i++)
        ck_assert_double_le(fabs(g_array_index(reasons, struct model_reason, i).contribution),
                            fabs(g_array_index(reasons, struct model_reason, i - 1).contribution));
    const char *first = g_array_index(reasons, struct model_reason, 0).column;
    ck_assert_msg(strstr(first, "language") != NULL || strstr(first, "algorithm") != NULL ||
                      strstr(first, "family") != NULL || strstr(first, "items") != NULL,
                  "%s", first);
    ck_assert_ptr_null(model_explain(model, &sample, TARGET_NETWORK, 5, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_UNSUPPORTED);
}
END_TEST

/* Rule: a run cut short is "at least": below what its kind needs it tells nothing, above it the kind needs more. */
START_TEST(test_censored)
{
    g_autoptr(GArray) runs = g_array_copy(samples), low = g_array_copy(samples);
    for (guint i = 0; i < 60; i++) {
        g_autofree char *function = g_strdup_printf("cut-%u", i);
        struct sample cut = sample_of(1, 0, 1 << 10, function, i % 2 != 0 ? 900 : 0.5);
        cut.censored = 1U << TARGET_MEMORY;
        if (i % 2 != 0)
            g_array_append_val(runs, cut);
        else
            g_array_append_val(low, cut);
    }
    g_autoptr(model_auto) more = train(runs, NULL);
    g_autoptr(model_auto) same = train(low, NULL);
    struct model_word word, word_more, word_same;
    const struct sample sample = sample_of(1, 0, 1 << 10, "x", 0);
    model_predict(model, &sample, MODEL_ALL, &word);
    model_predict(more, &sample, MODEL_ALL, &word_more);
    model_predict(same, &sample, MODEL_ALL, &word_same);
    ck_assert_double_gt(word_more.mean[TARGET_MEMORY], word.mean[TARGET_MEMORY] + 0.3);
    ck_assert_double_eq_tol(word_same.mean[TARGET_MEMORY], word.mean[TARGET_MEMORY], 0.15);
}
END_TEST

static struct sample sample_of_library(const char *function, const char *library, double memory_mib)
{
    const char *libraries[] = {"sys", library, NULL};
    const struct code_metadata code = {
        .function = (char *)function,
        .language = (char *)"python",
        .libraries = (char **)libraries,
    };
    struct sample sample;
    sample_of_code(&sample, &code, 0);
    sample.targets[TARGET_MEMORY] = (float)target_log(TARGET_MEMORY, memory_mib);
    return sample;
}

/* Rule: of a library that no run used its family tells, and a library that comes with the language tells nothing. */
START_TEST(test_library_family)
{
    static const char *const known[] = {"torch", "keras", "requests", "httpx"};
    static const double memory_mib[] = {2000, 1800, 40, 45};
    g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(struct sample));
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    for (guint i = 0; i < 200; i++) {
        g_autofree char *function = g_strdup_printf("uses-%u", i);
        const struct sample sample = sample_of_library(function, known[i % 4], memory_mib[i % 4] * exp(noise(random)));
        g_array_append_val(runs, sample);
    }
    g_autoptr(model_auto) learned = train(runs, NULL);
    const struct sample heavy = sample_of_library("x", "tensorflow-cpu", 1),
                        light = sample_of_library("x", "aiohttp", 1);
    struct model_word heavy_word, light_word;
    model_predict(learned, &heavy, MODEL_ALL, &heavy_word);
    model_predict(learned, &light, MODEL_ALL, &light_word);
    ck_assert_uint_eq(heavy_word.unknown, 1);
    ck_assert_double_gt(heavy_word.mean[TARGET_MEMORY], light_word.mean[TARGET_MEMORY] + log(5));
    const struct sample seen = sample_of_library("x", "torch", 1);
    ck_assert_uint_eq(model_count_unknown(learned, &seen), 0);
}
END_TEST

static void kin_sample(struct sample *ret_sample, const char *function, const char *language, double code_bytes)
{
    const struct code_metadata code = {
        .function = (char *)function,
        .language = (char *)language,
        .algorithm = (char *)"sort",
        .payload_items = 1000,
        .code_bytes = (guint64)code_bytes,
    };
    sample_of_code(ret_sample, &code, 0);
}

static void kin_sample_ask(const struct kin *kin, const struct sample *sample, const struct ranks *ranks,
                           float *ret_columns)
{
    struct kin_groups groups;
    kin_groups_of(sample, ranks, &groups);
    kin_ask(kin, &groups, sample, 10, ret_columns);
}

/* Rule: the nearest of kin is the code of its family whose size is nearest, of its own language sooner than of another; never itself. */
START_TEST(test_kin)
{
    static const double y[] = {1, 3, 5, 7, 2};
    static const double weights[] = {1, 1, 1, 1, 0}; /* the last is left out */
    struct sample runs[G_N_ELEMENTS(y)], asked;
    kin_sample(&runs[0], "far", "c", 10000);
    kin_sample(&runs[1], "near", "c", 1020);
    kin_sample(&runs[2], "nearer", "c++", 1010);
    kin_sample(&runs[3], "asked", "c", 1000);
    kin_sample(&runs[4], "untold", "c", 1000);
    kin_sample(&asked, "asked", "c", 1000);
    struct ranks *ranks = ranks_new(runs, G_N_ELEMENTS(y));
    struct kin *kin = kin_new(runs, ranks, y, weights, G_N_ELEMENTS(y));
    float columns[KIN_COLUMN_COUNT];
    kin_sample_ask(kin, &asked, ranks, columns);
    ck_assert_float_eq_tol(columns[KIN_NEAREST], 10 - 3, 1e-6F);
    ck_assert_float_eq_tol(columns[KIN_DISTANCE], 0.02F, 0.001F);
    ck_assert_float_eq(columns[KIN_SAME_LANGUAGE], 1);
    ck_assert_float_eq_tol(columns[KIN_LANGUAGE_MIDDLE], 10 - 3, 1e-6F); /* of 1, 3 and 7 */
    kin_sample(&asked, "other", "rust", 1010);
    kin_sample_ask(kin, &asked, ranks, columns);
    ck_assert_float_eq_tol(columns[KIN_NEAREST], 10 - 5, 1e-6F);
    ck_assert(isnan(columns[KIN_LANGUAGE_LOW]));
    kin_sample(&asked, "other", "python", 1000);
    kin_sample_ask(kin, &asked, ranks, columns);
    ck_assert(isnan(columns[KIN_NEAREST]));
    kin_free(kin);
    ranks_free(ranks);
}
END_TEST

/* Rule: of a kind whose runs mostly end before their memory is measured the record is told, and what it needs is not taken for nothing. */
START_TEST(test_unmeasured)
{
    g_autoptr(GArray) runs = g_array_copy(samples);
    for (guint i = 0; i < 30; i++) {
        g_autofree char *function = g_strdup_printf("short-%u", i);
        const struct sample run = sample_of(2, 0, 2, function, 0.008);
        g_array_append_val(runs, run);
    }
    g_autoptr(model_auto) learned = train(runs, NULL);
    g_autoptr(GBytes) saved = model_save(learned, NULL);
    g_autoptr(model_auto) loaded = model_load(saved, NULL);
    const struct sample brief = sample_of(2, 0, 2, "x", 0), usual = sample_of(0, 1, 1 << 10, "x", 0);
    struct model_word word;
    model_predict(loaded, &brief, MODEL_ALL, &word);
    ck_assert_double_eq_tol(model_tell_record(loaded, &brief, TARGET_MEMORY, word.mean[TARGET_MEMORY]), log(0.008),
                            1e-6);
    ck_assert_double_gt(word.mean[TARGET_MEMORY], log(0.1));
    model_predict(loaded, &usual, MODEL_ALL, &word);
    ck_assert_double_eq(model_tell_record(loaded, &usual, TARGET_MEMORY, word.mean[TARGET_MEMORY]),
                        word.mean[TARGET_MEMORY] + model_offset(loaded, &usual, TARGET_MEMORY, 0.5));
}
END_TEST

/* Rule: the principal library is the heaviest, in whatever order they are told. */
START_TEST(test_principal_library)
{
    static char *const mixed[] = {(char *)"sys", (char *)"requests", (char *)"zeta", (char *)"torch-geometric", NULL};
    static char *const strangers[] = {(char *)"zeta", (char *)"alpha", (char *)"json", NULL};
    static char *const standard[] = {(char *)"os", (char *)"json", NULL};
    ck_assert_str_eq(library_principal(mixed), "torch-geometric");
    ck_assert_str_eq(library_principal(strangers), "alpha");
    ck_assert_ptr_null(library_principal(standard));
    ck_assert_ptr_null(library_principal(NULL));
    ck_assert_str_eq(library_family("torch-geometric"), "deep learning");
    ck_assert_ptr_null(library_family("torchlight"));
}
END_TEST

/* Rule: too few runs are refused in words, and a training can be stopped. */
START_TEST(test_refused)
{
    g_autoptr(GArray) few = samples_new(20, 1, "few");
    g_autoptr(GError) error = NULL, stopped = NULL;
    ck_assert_ptr_null(train(few, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "too few"));
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_cancellable_cancel(cancellable);
    const struct model_settings settings = {.info = {.origin = (char *)"trained"}};
    ck_assert_ptr_null(model_train((const struct sample *)(const void *)samples->data, samples->len, &settings,
                                   cancellable, &stopped));
    ck_assert_int_eq(stopped->code, HBR_ERROR_CANCELLED);
}
END_TEST

/* --- Correction --- */

static struct sample sample_of_tenant(const char *tenant, const char *library)
{
    const char *libraries[] = {library, NULL};
    const struct code_metadata code = {
        .function = (char *)"f",
        .tenant = (char *)tenant,
        .language = (char *)"python",
        .libraries = (char **)libraries,
    };
    struct sample sample;
    sample_of_code(&sample, &code, 0);
    return sample;
}

/* Rule: what is steadily off for one tenant is corrected for it, and for nobody else; what most tenants find is corrected for all. */
START_TEST(test_bias)
{
    struct correction *correction = correction_new();
    const struct sample poisoned = sample_of_tenant("poisoner", "numpy"), other = sample_of_tenant("other", "numpy");
    for (guint run = 1; run <= 200; run++)
        correction_observe_bias(correction, &poisoned, TARGET_MEMORY, 3, run);
    ck_assert_double_gt(correction_bias(correction, &poisoned, TARGET_MEMORY), 2);
    ck_assert_double_eq(correction_bias(correction, &other, TARGET_MEMORY), 0);
    for (guint tenant = 0; tenant < 4; tenant++) {
        g_autofree char *name = g_strdup_printf("tenant-%u", tenant);
        const struct sample sample = sample_of_tenant(name, "numpy");
        for (guint run = 1; run <= 30; run++)
            correction_observe_bias(correction, &sample, TARGET_MEMORY, 0.5, run);
    }
    ck_assert_double_eq_tol(correction_bias(correction, &other, TARGET_MEMORY), 0.5, 0.3);
    const struct sample elsewhere = sample_of_tenant("other", "pandas");
    ck_assert_double_eq(correction_bias(correction, &elsewhere, TARGET_MEMORY), 0);
    correction_free(correction);
}
END_TEST

/* Rule: each quantile is exceeded as often as it says in the long run, also when all runs are suddenly larger. */
START_TEST(test_coverage)
{
    struct correction *correction = correction_new();
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    const struct sample sample = sample_of_tenant("t", "numpy");
    const guint64 group = correction_group(&sample, FALSE);
    for (guint run = 0; run < 2000; run++) {
        const double shift = run > 1000 ? 1 : 0; /* of two spreads */
        const double y = noise(random) / NOISE + 2 * shift;
        double quantiles[CORRECTION_LEVELS];
        for (guint level = 0; level < CORRECTION_LEVELS; level++) {
            const double asked = correction_level(correction, group, TARGET_MEMORY, level);
            quantiles[level] = 1.7 * log(asked / (1 - asked)) * 0.62; /* the logistic curve is near the normal one */
        }
        correction_observe_cover(correction, group, TARGET_MEMORY, y, FALSE, quantiles);
    }
    struct coverage coverage;
    correction_coverage(correction, group, TARGET_MEMORY, &coverage);
    ck_assert_uint_eq(coverage.count, 2000);
    ck_assert_double_eq_tol(coverage.shares[0], 0.5, 0.02);
    ck_assert_double_eq_tol(coverage.shares[1], 0.9, 0.02);
    ck_assert_double_eq_tol(coverage.shares[2], 0.99, 0.02);
    correction_free(correction);
}
END_TEST

/* Rule: however many tenants and libraries come by, what is kept is bounded. */
START_TEST(test_many_groups)
{
    struct correction *correction = correction_new();
    for (guint run = 0; run < 60000; run++) {
        g_autofree char *name = g_strdup_printf("tenant-%u", run);
        const struct sample sample = sample_of_tenant(name, name);
        correction_observe_bias(correction, &sample, TARGET_MEMORY, 1, 1);
    }
    const struct sample newest = sample_of_tenant("tenant-59999", "tenant-59999");
    ck_assert_double_gt(correction_bias(correction, &newest, TARGET_MEMORY), 0.1);
    correction_free(correction);
}
END_TEST

/* --- Together with rules and history --- */

static struct policy *policy;
static struct predictor *predictor;

static void setup_predictor(void)
{
    policy = policy_shipped("quickstart.yaml");
    predictor = predictor_new(1000);
    predictor_set_model(predictor, model);
}

static void teardown_predictor(void)
{
    predictor_free(predictor);
    policy_unref(policy);
}

static struct code_metadata code_of(const char *function, gint64 items)
{
    return (struct code_metadata){
        .function = (char *)function,
        .language = (char *)"python",
        .algorithm = (char *)"sort",
        .code_bytes = 1000,
        .payload_items = items,
    };
}

static struct demand *predict(const char *function, gint64 items)
{
    const struct code_metadata code = code_of(function, items);
    return predictor_predict(predictor, policy, &code, 0);
}

static void observe(const char *function, gint64 items, double memory_mib, enum exit_reason reason)
{
    const struct observation observation = {
        .code = code_of(function, items),
        .reason = reason,
        .vcpus = 1,
        .memory_mib = memory_mib,
        .duration_ms = 2000,
        .cpu_seconds = 2,
        .shape = {.vcpus = 4, .memory_mib = 2048},
    };
    predictor_observe(predictor, policy, &observation);
}

/* Rule: of new code the model tells, and it follows the input. */
START_TEST(test_model_tells)
{
    g_autoptr(demand_auto) small = predict("f", 1 << 6), large = predict("f", 1 << 20);
    ck_assert_int_eq(small->source, DEMAND_MODEL);
    const double need = need_of(0, 0, 1 << 20);
    ck_assert_double_eq_tol(log(large->memory_mib.p50), log(need), 0.4);
    ck_assert_double_lt(small->memory_mib.p90, large->memory_mib.p50 / 5);
    ck_assert_double_le(large->memory_mib.p50, large->memory_mib.p90);
    ck_assert_double_le(large->memory_mib.p90, large->memory_mib.p99);
    /* it was never taught CPUs: those stay as the rules say */
    const struct code_metadata code = code_of("f", 1 << 20);
    g_autoptr(demand_auto) rules = predictor_assume(predictor, policy, &code);
    ck_assert_double_eq(large->vcpus.p90, rules->vcpus.p90);
}
END_TEST

/* Rule: the function's own runs take over, the sooner the more they agree. */
START_TEST(test_history_takes_over)
{
    g_autoptr(demand_auto) before = predict("odd", 1 << 12);
    const double told = before->memory_mib.p50, need = told * 4;
    double last = told;
    for (guint run = 0; run < 10; run++) {
        observe("odd", 1 << 12, need, EXIT_EXITED);
        g_autoptr(demand_auto) demand = predict("odd", 1 << 12);
        ck_assert_double_ge(demand->memory_mib.p50, last * 0.8);
        last = demand->memory_mib.p50;
    }
    ck_assert_double_eq_tol(log(last), log(need), 0.1);
    g_autoptr(demand_auto) of_another = predict("another", 1 << 12);
    ck_assert_double_lt(of_another->memory_mib.p50, need);
}
END_TEST

/* Rule: a function that doubles its need is believed after three runs. */
START_TEST(test_change_is_believed)
{
    for (guint run = 0; run < 40; run++)
        observe("drifts", 1 << 12, 100 * (1 + 0.01 * (run % 5)), EXIT_EXITED);
    for (guint run = 0; run < 3; run++)
        observe("drifts", 1 << 12, 200 * (1 + 0.01 * run), EXIT_EXITED);
    g_autoptr(demand_auto) demand = predict("drifts", 1 << 12);
    ck_assert_double_gt(demand->memory_mib.p50, 170);
}
END_TEST

/* Rule: runs with another input tell less than those with the same. */
START_TEST(test_input_matters)
{
    for (guint run = 0; run < 20; run++) {
        observe("sizes", 1 << 4, 60, EXIT_EXITED);
        observe("sizes", 1 << 18, 900, EXIT_EXITED);
    }
    g_autoptr(demand_auto) small = predict("sizes", 1 << 4), large = predict("sizes", 1 << 18);
    ck_assert_double_lt(small->memory_mib.p50, 120);
    ck_assert_double_gt(large->memory_mib.p50, 500);
}
END_TEST

/* Rule: out of memory is never taken as the need. */
START_TEST(test_out_of_memory)
{
    for (guint run = 0; run < 10; run++)
        observe("starves", 1 << 12, 2000, EXIT_OUT_OF_MEMORY);
    g_autoptr(demand_auto) demand = predict("starves", 1 << 12);
    ck_assert_double_gt(demand->memory_mib.p50, 2048);
}
END_TEST

/* Rule: runs that were all cut short leave the model its word where they used less, and raise it where they used more. */
START_TEST(test_all_cut_short)
{
    static const enum exit_reason reasons[] = {EXIT_SIGNALLED, EXIT_WALL_CLOCK, EXIT_OUTPUT_LIMIT};
    g_autoptr(demand_auto) before = predict("cut", 1 << 12);
    for (guint run = 0; run < 10; run++)
        observe("cut", 1 << 12, before->memory_mib.p50 / 20, reasons[run % 3]);
    g_autoptr(demand_auto) less = predict("cut", 1 << 12);
    ck_assert_int_eq(less->source, DEMAND_MODEL);
    ck_assert_double_eq_tol(less->memory_mib.p50, before->memory_mib.p50, 0.01);
    ck_assert_double_ge(less->memory_mib.p90, before->memory_mib.p90 * 0.9);
    observe("cut", 1 << 12, before->memory_mib.p50 * 5, EXIT_WALL_CLOCK);
    g_autoptr(demand_auto) more = predict("cut", 1 << 12);
    ck_assert_double_eq_tol(more->memory_mib.p50, before->memory_mib.p50 * 5, 0.01);
}
END_TEST

static gboolean has_reason(const struct demand *demand, const char *rule)
{
    for (guint i = 0; i < demand->reasons->len; i++)
        if (g_str_has_prefix(((struct demand_reason *)demand->reasons->pdata[i])->rule, rule))
            return TRUE;
    return FALSE;
}

/* Rule: what moved the model, what it rests on and how well it held are told when they are asked for. */
START_TEST(test_explained)
{
    for (guint run = 0; run < 5; run++)
        observe("explained", 1 << 12, 100, EXIT_EXITED);
    const struct code_metadata code = code_of("explained", 1 << 12);
    g_autoptr(demand_auto) demand = predictor_explain(predictor, policy, &code, 0);
    ck_assert(has_reason(demand, "model"));
    ck_assert(has_reason(demand, "model: memory"));
    ck_assert(has_reason(demand, "coverage: memory"));
    ck_assert(has_reason(demand, "history"));
    ck_assert(has_reason(demand, "class"));
}
END_TEST

/* Rule: of what was said earlier the same is told later, as long as that model serves; what was said stays as it is. */
START_TEST(test_explained_later)
{
    const struct code_metadata code = code_of("explained", 1 << 12);
    g_autoptr(demand_auto) said = predictor_predict(predictor, policy, &code, 0);
    const guint reason_count = said->reasons->len;
    g_autoptr(demand_auto) told = codec_copy_open(&demand_codec, said);
    predictor_add_reasons(predictor, policy, &code, 0, told);
    ck_assert(has_reason(told, "model: memory"));
    ck_assert_uint_eq(said->reasons->len, reason_count);
    g_autoptr(model_auto) next = model_rename(model, 9, "trained");
    predictor_set_model(predictor, next);
    g_autoptr(demand_auto) late = codec_copy_open(&demand_codec, said);
    predictor_add_reasons(predictor, policy, &code, 0, late);
    ck_assert(has_reason(late, "model: columns") && !has_reason(late, "model: memory"));
    predictor_set_model(predictor, NULL);
    predictor_add_reasons(predictor, policy, &code, 0, late);
    ck_assert_uint_eq(late->reasons->len, reason_count + 1);
}
END_TEST

/* Rule: what a model learned here does not know, the shipped one is asked. */
START_TEST(test_prior)
{
    g_autoptr(GArray) native = g_array_new(FALSE, FALSE, sizeof(struct sample));
    const guint64 c = sample_of(2, 0, 1, "f", 0).categories[CATEGORY_LANGUAGE];
    for (guint run = 0; run < samples->len; run++)
        if (g_array_index(samples, struct sample, run).categories[CATEGORY_LANGUAGE] == c)
            g_array_append_vals(native, &g_array_index(samples, struct sample, run), 1);
    g_autoptr(model_auto) learned = train(native, NULL);
    g_autoptr(model_auto) local = model_rename(learned, 9, "trained");
    predictor_set_prior(predictor, model);
    predictor_set_model(predictor, local);
    g_autoptr(demand_auto) python = predict("f", 1 << 20);
    ck_assert_uint_eq(python->model_version, 3);
    const struct code_metadata code = {.function = (char *)"g", .language = (char *)"c", .algorithm = (char *)"sort"};
    g_autoptr(demand_auto) known = predictor_predict(predictor, policy, &code, 0);
    ck_assert_uint_eq(known->model_version, 9);
}
END_TEST

/* Rule: without a model all is as the rules say, also after there was one. */
START_TEST(test_without_model)
{
    g_autoptr(demand_auto) with = predict("f", 1 << 20);
    predictor_set_model(predictor, NULL);
    g_autoptr(demand_auto) without = predict("f", 1 << 20);
    ck_assert_int_eq(with->source, DEMAND_MODEL);
    ck_assert_int_eq(without->source, DEMAND_RULES);
}
END_TEST

/* Rule: a run with another size of input is moved by what the model says of the one input more than of the other; one with the same is not. */
START_TEST(test_other_input)
{
    const struct history_prior prior = {.mean = 6, .unshifted = 6, .between = 0.5, .total = 0.5};
    struct history_query query = {
        .samples_max = 20, .half_life = 10, .input = 10, .levels = HISTORY_LEVELS, .prior = &prior};
    struct history_sample run = {.input = 6};
    struct history other = {0}, same = {0};
    struct quantiles quantiles;
    for (guint i = 0; i < HISTORY_AMOUNT_COUNT; i++)
        run.amounts[i] = (float)exp(4);
    run.said[HISTORY_MEMORY] = 5;
    for (guint i = 0; i < 20; i++) {
        history_add(&other, &run, 20);
        run.input = 10;
        history_add(&same, &run, 20);
        run.input = 6;
    }
    ck_assert(history_quantiles(&other, HISTORY_MEMORY, &query, &quantiles));
    ck_assert_double_eq_tol(log(quantiles.p50), 5, 0.1);
    ck_assert(history_quantiles(&same, HISTORY_MEMORY, &query, &quantiles));
    ck_assert_double_eq_tol(log(quantiles.p50), 4, 0.1);
    history_clear(&other);
    history_clear(&same);
}
END_TEST

/* --- Shifts of libraries --- */

/* A run of a function whose need is known to a tenth. */
static gboolean surprise(struct shifts *shifts, const char *tenant, const char *function, gint64 at, double left_over)
{
    static char *libraries[] = {(char *)"numpy", (char *)"os", NULL};
    const struct code_metadata code = {.function = (char *)function, .tenant = (char *)tenant, .libraries = libraries};
    struct surprise surprises[HISTORY_AMOUNT_COUNT];
    for (guint i = 0; i < HISTORY_AMOUNT_COUNT; i++)
        surprises[i] = (struct surprise){i == HISTORY_MEMORY ? left_over : NAN, 0.1};
    return shifts_observe(shifts, &code, at, surprises);
}

static double shift_of(const struct shifts *shifts, const char *tenant, char *library, gint64 at)
{
    char *libraries[] = {library, NULL};
    const struct code_metadata code = {.function = (char *)"new", .tenant = (char *)tenant, .libraries = libraries};
    struct history_shift found[SHIFTS_MAX];
    const struct history_query query = {.shifts = found, .shift_count = shifts_get(shifts, &code, found)};
    ck_assert_double_eq(history_query_shift(&query, HISTORY_DURATION, at), 0);
    return history_query_shift(&query, HISTORY_MEMORY, at);
}

/* Rule: what three tenants find of a library holds for all of its users, of what was seen before the first of them; two of them change it for nobody. */
START_TEST(test_library_shift)
{
    struct shifts *shifts = shifts_new();
    char *const library = (char *)"numpy";
    ck_assert(!surprise(shifts, "a", "f", 90, 0.01));
    ck_assert(!surprise(shifts, "a", "f", 100, 0.5));
    ck_assert(!surprise(shifts, "b", "f", 110, 0.4));
    ck_assert(!surprise(shifts, "b", "g", 120, 0.4));
    ck_assert_double_eq(shift_of(shifts, "c", library, 1), 0);
    ck_assert(surprise(shifts, "c", "f", 130, 0.6));
    ck_assert_double_eq_tol(shift_of(shifts, "d", library, 99), 0.5, 1e-9);
    ck_assert_double_eq(shift_of(shifts, "d", library, 100), 0);
    ck_assert_double_eq(shift_of(shifts, "d", (char *)"pandas", 99), 0);
    ck_assert(!surprise(shifts, "d", "f", 140, 0.05)); /* and it is not found twice */
    shifts_free(shifts);
}
END_TEST

/* Rule: what three functions of a tenant find holds for it alone, and one function, however often it runs, changes nothing. */
START_TEST(test_own_shift)
{
    struct shifts *shifts = shifts_new();
    char *const library = (char *)"numpy";
    for (guint i = 0; i < 20; i++)
        ck_assert(!surprise(shifts, "a", "f", 100 + i, -2));
    ck_assert(!surprise(shifts, "a", "g", 130, -0.5));
    ck_assert(surprise(shifts, "a", "h", 140, -0.5));
    ck_assert_double_eq_tol(shift_of(shifts, "a", library, 99), -0.5, 1e-9);
    ck_assert_double_eq(shift_of(shifts, "b", library, 99), 0);
    shifts_free(shifts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("learning");
    TCase *learned = tcase_create("learned"), *corrected = tcase_create("corrected"),
          *blended = tcase_create("blended");
    tcase_add_unchecked_fixture(learned, setup_model, teardown_model);
    tcase_set_timeout(learned, 300);
    tcase_add_test(learned, test_new_code);
    tcase_add_test(learned, test_more_runs);
    tcase_add_test(learned, test_quantiles_cover);
    tcase_add_test(learned, test_unknown_names);
    tcase_add_test(learned, test_reproducible);
    tcase_add_test(learned, test_file);
    tcase_add_test(learned, test_damaged_file);
    tcase_add_test(learned, test_reasons);
    tcase_add_test(learned, test_censored);
    tcase_add_test(learned, test_library_family);
    tcase_add_test(learned, test_kin);
    tcase_add_test(learned, test_library_shift);
    tcase_add_test(learned, test_other_input);
    tcase_add_test(learned, test_own_shift);
    tcase_add_test(learned, test_unmeasured);
    tcase_add_test(learned, test_principal_library);
    tcase_add_test(learned, test_refused);
    suite_add_tcase(suite, learned);
    tcase_set_timeout(corrected, 60);
    tcase_add_test(corrected, test_bias);
    tcase_add_test(corrected, test_coverage);
    tcase_add_test(corrected, test_many_groups);
    suite_add_tcase(suite, corrected);
    tcase_add_unchecked_fixture(blended, setup_model, teardown_model);
    tcase_add_checked_fixture(blended, setup_predictor, teardown_predictor);
    tcase_set_timeout(blended, 60);
    tcase_add_test(blended, test_model_tells);
    tcase_add_test(blended, test_history_takes_over);
    tcase_add_test(blended, test_change_is_believed);
    tcase_add_test(blended, test_input_matters);
    tcase_add_test(blended, test_out_of_memory);
    tcase_add_test(blended, test_all_cut_short);
    tcase_add_test(blended, test_explained);
    tcase_add_test(blended, test_explained_later);
    tcase_add_test(blended, test_prior);
    tcase_add_test(blended, test_without_model);
    suite_add_tcase(suite, blended);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
