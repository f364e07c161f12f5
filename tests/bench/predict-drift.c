/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "predict/predictor.h"

#include "numbers.h"
#include "traffic.h"

#include <gsl/gsl_randist.h>
#include <math.h>

/* What was learnt becomes wrong: how many runs until it is right again, and who else is harmed. The model knows the libraries and tenants; the functions
 * are programs that it never saw. An error is the mean log error of p50 of memory and duration. */

#define FUNCTIONS_MAX 10000
#define TENANTS 8
#define LIBRARIES 12
#define MEAN_GAP (30 * G_USEC_PER_SEC)
#define LEARNT_RUNS 4000
#define RECOVERED 1.2 /* of the error before */

static struct traffic *drift_traffic(const struct study *study, const GPtrArray *rows, double zipf, double other_input)
{
    const struct traffic_settings settings = {
        .rows = rows,
        .repeats = study->repeats,
        .tenants = TENANTS,
        .libraries = LIBRARIES,
        .zipf = zipf,
        .other_input = other_input,
        .mean_gap = MEAN_GAP,
        .seed = PARTS_SEED,
    };
    return traffic_new(&settings);
}

static double demand_error(const struct demand *demand, const struct observation *observation)
{
    const double memory = log(observation->memory_mib / demand->memory_mib.p50);
    const double duration = log(observation->duration_ms / demand->duration_ms.p50);
    return (fabs(memory) + fabs(duration)) / 2;
}

/* Predict, then learn. */
static double predict_run(struct predictor *predictor, const struct policy *policy, const struct traffic_run *run)
{
    const struct observation *observation = &run->observation;
    struct demand *demand = predictor_predict(predictor, policy, &observation->code, observation->ended_at);
    const double error = demand_error(demand, observation);
    demand_free(demand);
    predictor_observe(predictor, policy, observation);
    return error;
}

static struct predictor *drift_predictor(struct model *model)
{
    struct predictor *predictor = predictor_new(FUNCTIONS_MAX);
    predictor_set_model(predictor, model);
    return predictor;
}

/* --- Errors by how many runs ago the change was --- */

#define AFTER_MAX 600

struct recovery {
    guint window; /* runs, in which the error is averaged */
    double before, after[AFTER_MAX];
    guint before_count, after_counts[AFTER_MAX];
};

static void recovery_add(struct recovery *recovery, gint64 after, double error)
{
    if (after < 0) {
        recovery->before += error;
        recovery->before_count++;
    } else if (after < AFTER_MAX) {
        recovery->after[after] += error;
        recovery->after_counts[after]++;
    }
}

static double recovery_window(const struct recovery *recovery, guint begin)
{
    double sum = 0;
    guint count = 0;
    for (guint i = begin; i < MIN(begin + recovery->window, AFTER_MAX); i++) {
        sum += recovery->after[i];
        count += recovery->after_counts[i];
    }
    return count > 0 ? sum / count : NAN;
}

/* After so many runs the error is what it was before, or nearly; AFTER_MAX: never, as far as was looked. */
static guint recovery_runs(const struct recovery *recovery)
{
    const double wanted = RECOVERED * recovery->before / recovery->before_count;
    for (guint i = 0; i + recovery->window <= AFTER_MAX && recovery->after_counts[i + recovery->window - 1] > 0; i++)
        if (recovery_window(recovery, i) <= wanted)
            return i;
    return AFTER_MAX;
}

static void recovery_print(const char *name, const struct recovery *recovery)
{
    static const guint shown[] = {0, 1, 2, 3, 5, 10, 20, 30};
    g_print("%-40s %7.3f", name, recovery->before / recovery->before_count);
    for (guint i = 0; i < G_N_ELEMENTS(shown); i++)
        g_print(" %6.3f", recovery_window(recovery, shown[i]));
    const guint runs = recovery_runs(recovery);
    if (runs < AFTER_MAX)
        g_print(" %8u\n", runs);
    else
        g_print("    never\n");
}

/* --- A function that doubles its need --- */

#define DOUBLED_FUNCTIONS 60
#define KNOWN_ROUNDS 30
#define AFTER_ROUNDS 40

/* Each function runs once in a round. One after the other doubles, so that the others stay as they are. */
static void measure_doubling(const struct study *study, const struct policy *policy, struct model *model,
                             struct recovery *ret_recovery)
{
    g_autoptr(traffic_auto) traffic = drift_traffic(study, study->test, 0, 0);
    struct predictor *predictor = drift_predictor(model);
    const guint functions = MIN(DOUBLED_FUNCTIONS, traffic_function_count(traffic));
    *ret_recovery = (struct recovery){.window = 1};
    for (guint round = 0; round < KNOWN_ROUNDS + functions + AFTER_ROUNDS; round++)
        for (guint i = 0; i < functions; i++) {
            const gint64 after = (gint64)round - KNOWN_ROUNDS - i;
            struct traffic_run run;
            traffic_next_of(traffic, i, &run);
            if (after >= 0)
                traffic_scale(&run, 2);
            const double error = predict_run(predictor, policy, &run);
            if (after >= -10 && after < AFTER_ROUNDS)
                recovery_add(ret_recovery, after, error);
        }
    predictor_free(predictor);
}

/* --- A library that changes --- */

#define LIBRARY_FACTOR 1.6
#define LIBRARY_KNOWN_RUNS 4000
#define LIBRARY_AFTER_RUNS 2000
#define LIBRARY_TRIALS 6
#define NEW_EACH 4 /* of so many functions one does not run before the end */

/* The error of first runs of new code: before the change, at once after it, and at the end. */
enum { NEW_BEFORE, NEW_AT_ONCE, NEW_LATER, NEW_COUNT };

struct newcomers {
    double errors[NEW_COUNT];
    guint counts[NEW_COUNT];
};

static gboolean code_uses(const struct code_metadata *code, const char *library)
{
    return g_strv_contains((const char *const *)code->libraries, library);
}

static gboolean function_is_new(guint function)
{
    return function % NEW_EACH == 0;
}

/* Of those that use the library; nothing is learnt from them. */
static void newcomers_add(struct newcomers *newcomers, guint when, struct predictor *predictor,
                          const struct policy *policy, struct traffic *traffic, const char *library)
{
    for (guint i = 0; i < traffic_function_count(traffic); i++) {
        struct traffic_run run;
        if (!function_is_new(i) || !code_uses(traffic_code(traffic, i), library))
            continue;
        traffic_next_of(traffic, i, &run);
        if (when != NEW_BEFORE)
            traffic_scale(&run, LIBRARY_FACTOR);
        const struct observation *observation = &run.observation;
        struct demand *demand = predictor_predict(predictor, policy, &observation->code, observation->ended_at);
        newcomers->errors[when] += demand_error(demand, observation);
        newcomers->counts[when]++;
        demand_free(demand);
    }
}

static double newcomers_error(const struct newcomers *newcomers, guint when)
{
    return newcomers->errors[when] / newcomers->counts[when];
}

/* `recovery`: of the runs that use the library. */
static void library_run(struct recovery *recovery, struct predictor *predictor, const struct policy *policy,
                        struct traffic *traffic, const char *library, gint64 *after)
{
    struct traffic_run run;
    do
        traffic_next(traffic, &run);
    while (function_is_new(run.function));
    const gboolean uses = code_uses(&run.observation.code, library), has_changed = *after >= 0;
    if (uses && has_changed)
        traffic_scale(&run, LIBRARY_FACTOR);
    const double error = predict_run(predictor, policy, &run);
    if (uses)
        recovery_add(recovery, has_changed ? (*after)++ : *after, error);
}

static void measure_library_trial(const struct study *study, const struct policy *policy, struct model *model,
                                  const char *library, struct recovery *recovery, struct newcomers *newcomers)
{
    g_autoptr(traffic_auto) traffic = drift_traffic(study, study->test, 1, 0);
    struct predictor *predictor = drift_predictor(model);
    struct recovery warm_up = {0};
    gint64 after = -1;
    for (guint n = 0; n < LIBRARY_KNOWN_RUNS; n++)
        library_run(n < LIBRARY_KNOWN_RUNS / 2 ? &warm_up : recovery, predictor, policy, traffic, library, &after);
    newcomers_add(newcomers, NEW_BEFORE, predictor, policy, traffic, library);
    newcomers_add(newcomers, NEW_AT_ONCE, predictor, policy, traffic, library);
    after = 0;
    for (guint n = 0; n < LIBRARY_AFTER_RUNS; n++)
        library_run(recovery, predictor, policy, traffic, library, &after);
    newcomers_add(newcomers, NEW_LATER, predictor, policy, traffic, library);
    predictor_free(predictor);
}

static void measure_library(const struct study *study, const struct policy *policy, struct model *model,
                            struct recovery *ret_recovery, struct newcomers *ret_newcomers)
{
    *ret_recovery = (struct recovery){.window = 20};
    *ret_newcomers = (struct newcomers){0};
    for (guint i = 0; i < LIBRARY_TRIALS; i++) {
        g_autofree char *library = g_strdup_printf("library-%u", i);
        measure_library_trial(study, policy, model, library, ret_recovery, ret_newcomers);
    }
}

/* --- A tenant with poisoned values --- */

#define POISON_FACTOR 50.0
#define POISON_SPREAD 1.0 /* of its logarithm */
#define POISONED_TENANT "tenant-0"
#define POISON_RUNS 8000

/* The network and the duration are poisoned, too. */
static void run_poison(struct traffic_run *run, gsl_rng *random)
{
    traffic_scale(run, POISON_FACTOR * exp(gsl_ran_gaussian(random, POISON_SPREAD)));
    run->observation.network_mbps *= POISON_FACTOR;
}

static gboolean run_is_poisoned(const struct traffic_run *run)
{
    return g_str_equal(run->observation.code.tenant, POISONED_TENANT);
}

/* The mean error of the other tenants' runs. */
static double measure_others(const struct study *study, const struct policy *policy, struct model *model,
                             gboolean is_poisoned)
{
    g_autoptr(traffic_auto) traffic = drift_traffic(study, study->test, 1, 0);
    struct predictor *predictor = drift_predictor(model);
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    double sum = 0;
    guint count = 0;
    gsl_rng_set(random, PARTS_SEED);
    for (guint n = 0; n < POISON_RUNS; n++) {
        struct traffic_run run;
        traffic_next(traffic, &run);
        const gboolean is_theirs = run_is_poisoned(&run);
        if (is_theirs && is_poisoned)
            run_poison(&run, random);
        const double error = predict_run(predictor, policy, &run);
        sum += is_theirs ? 0 : error;
        count += !is_theirs;
    }
    gsl_rng_free(random);
    predictor_free(predictor);
    return sum / count;
}

/* The runs of one tenant: as they are, poisoned, or left out, which is the best that can be made of poison. */
enum lesson { LESSON_CLEAN, LESSON_POISONED, LESSON_WITHOUT };

/* A model of runs of code that is to be learnt from. */
static struct model *drift_model(const struct study *study, enum lesson lesson)
{
    g_autoptr(traffic_auto) traffic = drift_traffic(study, study->training, 0.5, 1);
    g_autoptr(GArray) samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    gsl_rng *random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(random, PARTS_SEED);
    for (guint n = 0; n < LEARNT_RUNS; n++) {
        struct traffic_run run;
        struct sample sample;
        traffic_next(traffic, &run);
        if (lesson == LESSON_POISONED && run_is_poisoned(&run))
            run_poison(&run, random);
        sample_of_observation(&sample, &run.observation);
        if (lesson != LESSON_WITHOUT || !run_is_poisoned(&run))
            g_array_append_val(samples, sample);
    }
    gsl_rng_free(random);
    return parts_train(samples);
}

/* Of code of the other tenants that was never seen. */
static double model_error(const struct study *study, const struct model *model)
{
    g_autoptr(traffic_auto) traffic = drift_traffic(study, study->test, 0, 0);
    double sum = 0;
    guint count = 0;
    for (guint i = 0; i < traffic_function_count(traffic); i++) {
        struct traffic_run run;
        struct sample sample;
        struct model_word word;
        traffic_next_of(traffic, i, &run);
        if (run_is_poisoned(&run))
            continue;
        sample_of_observation(&sample, &run.observation);
        model_predict(model, &sample, MODEL_ALL, &word);
        sum += fabs(sample.targets[TARGET_MEMORY] - word.mean[TARGET_MEMORY]) / 2 +
               fabs(sample.targets[TARGET_DURATION] - word.mean[TARGET_DURATION]) / 2;
        count++;
    }
    return sum / count;
}

struct damage {
    double online, online_clean;                    /* error of the others while the predictor learns */
    double trained, trained_clean, trained_without; /* error of a model on their new code */
};

static void damage_print(const struct damage *damage)
{
    g_print("a poisoned tenant of %u, error of the others: %.4f, without the poison %.4f\n"
            "  of a model that learnt from it, on new code: %.4f, without the poison %.4f, without the tenant %.4f\n",
            TENANTS, damage->online, damage->online_clean, damage->trained, damage->trained_clean,
            damage->trained_without);
}

static void newcomers_print(const char *name, const struct newcomers *newcomers)
{
    g_print("%-40s before %.3f, at once after %.3f, in the end %.3f (n=%u)\n", name,
            newcomers_error(newcomers, NEW_BEFORE), newcomers_error(newcomers, NEW_AT_ONCE),
            newcomers_error(newcomers, NEW_LATER), newcomers->counts[NEW_LATER]);
}

static void drift_heading_print(void)
{
    g_print(
        "\ndrift: log error before, and so many runs after the change%30s runs until\n%-40s %7s %6s %6s %6s %6s %6s "
        "%6s %6s %6s   x %.1f\n",
        "", "", "before", "0", "1", "2", "3", "5", "10", "20", "30", RECOVERED);
}

void measure_drift(struct study *study)
{
    struct policy *policy = parts_policy();
    g_autoptr(model_auto) model = drift_model(study, LESSON_CLEAN), poisoned = drift_model(study, LESSON_POISONED),
                          without = drift_model(study, LESSON_WITHOUT);
    struct recovery doubling, doubling_alone, library, library_alone;
    struct newcomers newcomers, newcomers_alone;
    measure_doubling(study, policy, model, &doubling);
    measure_doubling(study, policy, NULL, &doubling_alone);
    measure_library(study, policy, model, &library, &newcomers);
    measure_library(study, policy, NULL, &library_alone, &newcomers_alone);
    const struct damage damage = {
        measure_others(study, policy, model, TRUE),
        measure_others(study, policy, model, FALSE),
        model_error(study, poisoned),
        model_error(study, model),
        model_error(study, without),
    };
    drift_heading_print();
    recovery_print("a function doubles, its own runs", &doubling);
    recovery_print("  history alone", &doubling_alone);
    recovery_print("a library x 1.6, runs of its users", &library);
    recovery_print("  history alone", &library_alone);
    newcomers_print("  its new users, never run", &newcomers);
    newcomers_print("  history alone", &newcomers_alone);
    damage_print(&damage);
    g_print("bench predict-drift n=%u double_runs=%u history_double_runs=%u library_runs=%u history_library_runs=%u "
            "new_before=%.4f new_at_once=%.4f new_later=%.4f poison_ratio=%.4f poison_trained_ratio=%.4f "
            "without_trained_ratio=%.4f\n",
            doubling.before_count, recovery_runs(&doubling), recovery_runs(&doubling_alone), recovery_runs(&library),
            recovery_runs(&library_alone), newcomers_error(&newcomers, NEW_BEFORE),
            newcomers_error(&newcomers, NEW_AT_ONCE), newcomers_error(&newcomers, NEW_LATER),
            damage.online / damage.online_clean, damage.trained / damage.trained_clean,
            damage.trained_without / damage.trained_clean);
    policy_unref(policy);
}
