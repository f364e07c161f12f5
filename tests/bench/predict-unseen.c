/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "predict/correction.h"

#include "numbers.h"
#include "predict-baselines.h"

#include <gsl/gsl_randist.h>
#include <math.h>

/* Code that was never seen: programs of known languages and algorithms, and configurations of known functions. */

/* A random forest of 300 trees, as issue 5 and the data's README give it: not measured here. */
struct published {
    double within2, male;
};

static const struct target_bench {
    const char *name, *title;
    struct published forest;
} target_benches[TARGET_COUNT] = {
    [TARGET_CPU] = {"predict-cpu", "CPU time", {0.725, 0.61}},
    [TARGET_MEMORY] = {"predict-memory", "memory", {0.818, 0.43}},
    [TARGET_DURATION] = {"predict-elapsed", "elapsed time", {0.754, 0.53}},
};

#define FOREST_NAME "random forest, 300 trees (published)"
#define FOREST_SERVERLESS 0.028

static double *amounts_new(const GPtrArray *rows, enum target target)
{
    double *amounts = g_new(double, rows->len);
    for (guint i = 0; i < rows->len; i++)
        amounts[i] = row_amount(row_at(rows, i), target);
    return amounts;
}

static struct score score_baseline(const struct baseline *baseline, const GPtrArray *test, enum target target)
{
    g_autofree double *actual = amounts_new(test, target), *predicted = g_new(double, test->len);
    for (guint i = 0; i < test->len; i++)
        predicted[i] = target_amount(target, baseline_point(baseline, row_at(test, i)));
    return score_of(actual, predicted, test->len);
}

/* By the median of what it says of the run's record, or with `is_need` of what the run needs, measured or not. */
static struct score score_model(const struct model *model, const GPtrArray *test, enum target target, gboolean is_need)
{
    g_autofree double *actual = amounts_new(test, target), *predicted = g_new(double, test->len);
    for (guint i = 0; i < test->len; i++) {
        const struct sample *sample = &row_at(test, i)->sample;
        struct model_word word;
        model_predict(model, sample, MODEL_ALL, &word);
        predicted[i] = exp(is_need ? word.mean[target] + model_offset(model, sample, target, 0.5)
                                   : model_tell_record(model, sample, target, word.mean[target]));
    }
    return score_of(actual, predicted, test->len);
}

static void score_print(const char *name, const struct score *score)
{
    g_print("%-56s %8.1f %% %9.3f %9.1f %%\n", name, 100 * score->within2, score->male, 100 * score->mdape);
}

static void heading_print(const char *title, guint training, guint test)
{
    g_print("\n%s: learnt from %u, tested with %u\n%-56s %10s %9s %11s\n", title, training, test, "", "within 2x",
            "log error", "median %");
}

void measure_unseen(struct study *study, enum target target)
{
    const struct target_bench *bench = &target_benches[target];
    g_autoptr(GPtrArray) training = rows_with(study->training, target), test = rows_with(study->test, target);
    struct baseline_set set;
    struct published base = bench->forest;
    baseline_set_benchmarksgame(&set, training, target);
    heading_print(bench->title, training->len, test->len);
    for (guint i = 0; i < BASELINES_MAX && set.baselines[i] != NULL; i++) {
        const struct score score = score_baseline(set.baselines[i], test, target);
        score_print(set.names[i], &score);
        base = (struct published){MAX(base.within2, score.within2), MIN(base.male, score.male)};
    }
    g_print("%-56s %8.1f %% %9.3f\n", FOREST_NAME, 100 * bench->forest.within2, bench->forest.male);
    const struct score score = score_model(study_model(study), test, target, FALSE),
                       need = score_model(study_model(study), test, target, TRUE);
    score_print("the model", &score);
    if (need.male != score.male)
        score_print("  where it does not tell what ends before it is measured", &need);
    g_print("bench %s n=%u within2=%.4f male=%.4f base_within2=%.4f base_male=%.4f ratio=%.3f points=%.1f\n",
            bench->name, score.count, score.within2, score.male, base.within2, base.male, score.male / base.male,
            100 * (score.within2 - base.within2));
    baseline_set_clear(&set);
}

void measure_serverless(struct study *study)
{
    (void)study;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) rows = rows_serverless(&error);
    if (rows == NULL)
        g_error("%s", error != NULL ? error->message : "rethinking-serverless is empty");
    g_autoptr(GPtrArray) training = rows_of_fold(rows, 0, FALSE), test = rows_of_fold(rows, 0, TRUE);
    g_autoptr(GArray) samples = rows_samples(training);
    g_autoptr(model_auto) model = parts_train(samples);
    struct baseline_set set;
    double base = FOREST_SERVERLESS;
    baseline_set_serverless(&set, training);
    heading_print("response time of serverless functions", training->len, test->len);
    for (guint i = 0; i < BASELINES_MAX && set.baselines[i] != NULL; i++) {
        const struct score score = score_baseline(set.baselines[i], test, TARGET_DURATION);
        score_print(set.names[i], &score);
        base = MIN(base, score.mdape);
    }
    g_print("%-56s %10s %9s %9.1f %%\n", "random forest (published)", "", "", 100 * FOREST_SERVERLESS);
    const struct score score = score_model(model, test, TARGET_DURATION, FALSE);
    score_print("the model", &score);
    g_print("bench predict-serverless n=%u mdape=%.4f base_mdape=%.4f within2=%.4f male=%.4f\n", score.count,
            score.mdape, base, score.within2, score.male);
    baseline_set_clear(&set);
}

/* --- Coverage --- */

#define LANGUAGE_RUNS_MIN 30
#define SHUFFLES 20

static const enum target covered_targets[] = {TARGET_CPU, TARGET_DURATION, TARGET_MEMORY};

#define COVERED G_N_ELEMENTS(covered_targets)

struct tally {
    guint count, covered[CORRECTION_LEVELS];
};

/* One pass over the test in one order. */
struct cover {
    struct tally all, targets[COVERED];
    GHashTable *languages; /* struct tally[COVERED] by name */
    double losses[CORRECTION_LEVELS];
};

static void tally_add(struct tally *tally, double y, const double quantiles[CORRECTION_LEVELS])
{
    tally->count++;
    for (guint i = 0; i < CORRECTION_LEVELS; i++)
        tally->covered[i] += y <= quantiles[i];
}

static double tally_share(const struct tally *tally, guint level)
{
    return (double)tally->covered[level] / tally->count;
}

/* How far the worst level is from what it says, in points. */
static double tally_worst(const struct tally *tally)
{
    double worst = 0;
    for (guint i = 0; i < CORRECTION_LEVELS; i++)
        worst = MAX(worst, 100 * fabs(tally_share(tally, i) - correction_levels[i]));
    return worst;
}

static void cover_add(struct cover *cover, const char *language, guint index, double y,
                      const double quantiles[CORRECTION_LEVELS])
{
    struct tally *tallies = g_hash_table_lookup(cover->languages, language);
    if (tallies == NULL) {
        tallies = g_new0(struct tally, COVERED);
        g_hash_table_insert(cover->languages, (gpointer)language, tallies);
    }
    tally_add(&cover->all, y, quantiles);
    tally_add(&cover->targets[index], y, quantiles);
    tally_add(&tallies[index], y, quantiles);
    for (guint i = 0; i < CORRECTION_LEVELS; i++)
        cover->losses[i] += pinball_loss(y, quantiles[i], correction_levels[i]);
}

/* Predict, then learn how often the quantiles held; `correction` NULL: learn nothing. */
static void cover_row(struct cover *cover, const struct model *model, struct correction *correction,
                      const struct row *row)
{
    struct model_word word;
    const guint64 group = correction_group(&row->sample, FALSE);
    model_predict(model, &row->sample, MODEL_ALL, &word);
    for (guint i = 0; i < COVERED; i++) {
        const enum target target = covered_targets[i];
        const double y = row->sample.targets[target];
        double quantiles[CORRECTION_LEVELS];
        for (guint level = 0; level < CORRECTION_LEVELS; level++) {
            const double asked =
                correction != NULL ? correction_level(correction, group, target, level) : correction_levels[level];
            quantiles[level] = word.mean[target] + model_offset(model, &row->sample, target, asked);
        }
        if (isnan(y))
            continue;
        cover_add(cover, row->observation.code.language, i, y, quantiles);
        if (correction != NULL)
            correction_observe_cover(correction, group, target, y, FALSE, quantiles);
    }
}

static void cover_run(struct cover *cover, struct study *study, gboolean is_corrected, gulong seed)
{
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    struct correction *correction = is_corrected ? correction_new() : NULL;
    g_autofree gpointer *order = g_memdup2(study->test->pdata, study->test->len * sizeof(gpointer));
    *cover = (struct cover){.languages = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free)};
    gsl_rng_set(random, seed);
    gsl_ran_shuffle(random, order, study->test->len, sizeof *order);
    for (guint i = 0; i < study->test->len; i++)
        cover_row(cover, study_model(study), correction, order[i]);
    correction_free(correction);
    gsl_rng_free(random);
}

static void tally_join(struct tally *tally, const struct tally *other)
{
    tally->count += other->count;
    for (guint i = 0; i < CORRECTION_LEVELS; i++)
        tally->covered[i] += other->covered[i];
}

/* Of those languages that have runs enough, the farthest from what a quantile says, over the targets together. */
static double cover_worst_language(const struct cover *cover)
{
    GHashTableIter iter;
    gpointer value;
    double worst = 0;
    g_hash_table_iter_init(&iter, cover->languages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct tally *tallies = value;
        struct tally together = {0};
        for (guint i = 0; i < COVERED; i++)
            tally_join(&together, &tallies[i]);
        if (tallies[0].count >= LANGUAGE_RUNS_MIN)
            worst = MAX(worst, tally_worst(&together));
    }
    return worst;
}

/* The same of each target by itself: 30 runs are so few that chance alone makes 7 points at p50. */
static double cover_worst_language_target(const struct cover *cover)
{
    GHashTableIter iter;
    gpointer value;
    double worst = 0;
    g_hash_table_iter_init(&iter, cover->languages);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        for (guint i = 0; i < COVERED; i++) {
            const struct tally *tally = &((const struct tally *)value)[i];
            if (tally->count >= LANGUAGE_RUNS_MIN)
                worst = MAX(worst, tally_worst(tally));
        }
    return worst;
}

static double cover_worst_target(const struct cover *cover)
{
    double worst = 0;
    for (guint i = 0; i < COVERED; i++)
        worst = MAX(worst, tally_worst(&cover->targets[i]));
    return worst;
}

static void tally_print(const char *what, const char *target, const struct tally *tally, const struct tally *plain)
{
    g_print("%-12s %-14s %5u  %6.1f %6.1f %6.1f   %6.1f %6.1f %6.1f  %6.1f\n", what, target, tally->count,
            100 * tally_share(tally, 0), 100 * tally_share(tally, 1), 100 * tally_share(tally, 2),
            100 * tally_share(plain, 0), 100 * tally_share(plain, 1), 100 * tally_share(plain, 2), tally_worst(tally));
}

static int compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

static void cover_print(const struct cover *cover, const struct cover *plain)
{
    g_print("\ncoverage, %%%21s runs     p50    p90    p99   without correction    worst\n", "");
    tally_print("all", "", &cover->all, &plain->all);
    for (guint i = 0; i < COVERED; i++)
        tally_print("all", target_benches[covered_targets[i]].title, &cover->targets[i], &plain->targets[i]);
    GList *languages = g_list_sort(g_hash_table_get_keys(cover->languages), compare_texts);
    for (GList *at = languages; at != NULL; at = at->next) {
        const struct tally *tallies = g_hash_table_lookup(cover->languages, at->data);
        const struct tally *plain_tallies = g_hash_table_lookup(plain->languages, at->data);
        struct tally together = {0}, plain_together = {0};
        for (guint i = 0; i < COVERED; i++) {
            tally_join(&together, &tallies[i]);
            tally_join(&plain_together, &plain_tallies[i]);
        }
        if (tallies[0].count >= LANGUAGE_RUNS_MIN)
            tally_print(at->data, "", &together, &plain_together);
        for (guint i = 0; i < COVERED; i++)
            if (tallies[i].count >= LANGUAGE_RUNS_MIN)
                tally_print(at->data, target_benches[covered_targets[i]].title, &tallies[i], &plain_tallies[i]);
    }
    g_list_free(languages);
}

/* The least mean loss that a baseline has at each level, for each target the best one. */
static void base_losses(const struct study *study, double ret_losses[CORRECTION_LEVELS])
{
    guint count = 0;
    memset(ret_losses, 0, CORRECTION_LEVELS * sizeof *ret_losses);
    for (guint t = 0; t < COVERED; t++) {
        const enum target target = covered_targets[t];
        g_autoptr(GPtrArray) training = rows_with(study->training, target), test = rows_with(study->test, target);
        struct baseline_set set;
        baseline_set_benchmarksgame(&set, training, target);
        count += test->len;
        for (guint level = 0; level < CORRECTION_LEVELS; level++) {
            double least = INFINITY;
            for (guint i = 0; i < BASELINES_MAX && set.baselines[i] != NULL; i++) {
                double loss = 0;
                for (guint r = 0; r < test->len; r++)
                    loss += pinball_loss(row_at(test, r)->sample.targets[target],
                                         baseline_quantile(set.baselines[i], row_at(test, r), correction_levels[level]),
                                         correction_levels[level]);
                least = MIN(least, loss);
            }
            ret_losses[level] += least;
        }
        baseline_set_clear(&set);
    }
    for (guint level = 0; level < CORRECTION_LEVELS; level++)
        ret_losses[level] /= count;
}

static void cover_clear(struct cover *cover)
{
    g_hash_table_unref(cover->languages);
}

/* Over other orders of the same runs: the worst of each, averaged. */
static double other_orders(struct study *study, double (*worst)(const struct cover *))
{
    double sum = 0;
    for (guint i = 1; i <= SHUFFLES; i++) {
        struct cover cover;
        cover_run(&cover, study, TRUE, PARTS_SEED + i);
        sum += worst(&cover);
        cover_clear(&cover);
    }
    return sum / SHUFFLES;
}

static void pinball_print(const struct cover *cover, const struct cover *plain, const double base[CORRECTION_LEVELS])
{
    g_print("%-40s %8s %8s %8s\n", "pinball loss", "p50", "p90", "p99");
    g_print("%-40s %8.4f %8.4f %8.4f\n", "the best baseline of each", base[0], base[1], base[2]);
    g_print("%-40s %8.4f %8.4f %8.4f\n", "the model, without correction", plain->losses[0] / plain->all.count,
            plain->losses[1] / plain->all.count, plain->losses[2] / plain->all.count);
    g_print("%-40s %8.4f %8.4f %8.4f\n", "the model", cover->losses[0] / cover->all.count,
            cover->losses[1] / cover->all.count, cover->losses[2] / cover->all.count);
}

void measure_coverage(struct study *study)
{
    struct cover cover, plain;
    double base[CORRECTION_LEVELS];
    cover_run(&cover, study, TRUE, PARTS_SEED);
    cover_run(&plain, study, FALSE, PARTS_SEED);
    base_losses(study, base);
    cover_print(&cover, &plain);
    const double orders_language = other_orders(study, cover_worst_language);
    g_print(
        "the worst, on average over %u other orders: %.1f points of a target, %.1f of a language, %.1f of a language and "
        "target\n",
        SHUFFLES, other_orders(study, cover_worst_target), orders_language,
        other_orders(study, cover_worst_language_target));
    pinball_print(&cover, &plain, base);
    g_print("bench predict-coverage n=%u p50=%.4f p90=%.4f p99=%.4f worst=%.1f worst_target=%.1f worst_language=%.1f "
            "worst_language_target=%.1f plain_worst=%.1f plain_worst_language=%.1f orders_worst_language=%.1f",
            cover.all.count, tally_share(&cover.all, 0), tally_share(&cover.all, 1), tally_share(&cover.all, 2),
            tally_worst(&cover.all), cover_worst_target(&cover), cover_worst_language(&cover),
            cover_worst_language_target(&cover), tally_worst(&plain.all), cover_worst_language(&plain),
            orders_language);
    static const char *const names[CORRECTION_LEVELS] = {"50", "90", "99"};
    for (guint i = 0; i < CORRECTION_LEVELS; i++)
        g_print(" pinball%s=%.4f base_pinball%s=%.4f", names[i], cover.losses[i] / cover.all.count, names[i], base[i]);
    g_print("\n");
    cover_clear(&cover);
    cover_clear(&plain);
}
