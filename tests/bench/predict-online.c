/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "predict/predictor.h"

#include "numbers.h"
#include "traffic.h"
#include "vpa.h"

#include <math.h>

/* Runs arrive one by one in time order; each is predicted, runs in the memory that the prediction gives, and is learnt from. Its functions are programs
 * that the model never saw. Memory fills evenly over a run: one whose memory is too small is killed when it is full, and begins anew with 1.5 times as
 * much, until it fits. */

#define RUNS 20000
#define FUNCTIONS_MAX 10000
#define MEAN_GAP (30 * G_USEC_PER_SEC)
#define RETRY_FACTOR 1.5
#define DAY ((gint64)86400 * G_USEC_PER_SEC)
#define VPA_QUANTILE 0.9
#define VPA_FLOOR_MIB 250.0
#define VPA_OOM_FACTOR 1.2
#define VPA_OOM_MIB (1e8 / 1048576)

/* Of which errors are told: after so many runs of the function. */
static const guint marks[] = {0, 1, 3, 10, 30};

#define MARKS G_N_ELEMENTS(marks)

static const struct {
    const char *name;
    enum target target;
    gsize offset; /* of struct quantiles in struct demand */
} amounts[] = {
    {"memory", TARGET_MEMORY, G_STRUCT_OFFSET(struct demand, memory_mib)},
    {"duration", TARGET_DURATION, G_STRUCT_OFFSET(struct demand, duration_ms)},
    {"vCPUs", TARGET_VCPUS, G_STRUCT_OFFSET(struct demand, vcpus)},
};

#define AMOUNTS G_N_ELEMENTS(amounts)

/* The histogram of one function: a sample is a day's peak. */
struct recommender {
    struct vpa_histogram histogram;
    gint64 begin_at;
    gint64 day;
    double peak;
};

/* One way of deciding how much memory a run gets. */
struct arm {
    const char *name, *key;
    gboolean has_model, is_histogram;
    double quantile; /* of the demand that is provided; 0: by the policy's prices */
    double floor_mib;
    struct predictor *predictor;      /* of the histogram: what it says before the first run */
    struct recommender *recommenders; /* one for each function; NULL: none */
    double errors[AMOUNTS][MARKS];
    guint error_counts[AMOUNTS][MARKS];
    double *held, *used; /* MiB x ms of each function */
    guint runs, killed, retries;
};

/* --- The recommender --- */

static void recommender_add(struct recommender *recommender, gint64 at, double mib)
{
    if (recommender->histogram.total <= 0)
        *recommender = (struct recommender){.histogram = {.first = VPA_MEMORY_FIRST_MIB}, .begin_at = at, .day = -1};
    const gint64 day = (at - recommender->begin_at) / DAY;
    const gboolean is_new_day = day != recommender->day;
    if (!is_new_day && mib <= recommender->peak)
        return;
    if (!is_new_day)
        vpa_weigh(&recommender->histogram, recommender->peak, -exp2((double)day));
    vpa_weigh(&recommender->histogram, mib, exp2((double)day));
    recommender->peak = mib;
    recommender->day = day;
}

/* --- Arms --- */

static double arm_reserve(const struct arm *arm, const struct traffic_run *run, const struct policy *policy,
                          const struct demand *demand)
{
    const struct recommender *recommender = arm->recommenders != NULL ? &arm->recommenders[run->function] : NULL;
    if (recommender != NULL && recommender->histogram.total > 0)
        return MAX(vpa_quantile(&recommender->histogram, VPA_QUANTILE) * VPA_MARGIN, arm->floor_mib);
    const double need = arm->quantile > 0 ? quantiles_at(&demand->memory_mib, arm->quantile)
                                          : policy_need(policy, demand, RESOURCE_MEMORY);
    return MAX(need * policy->provisioning.headroom, arm->floor_mib);
}

static void arm_note_errors(struct arm *arm, const struct traffic_run *run, const struct demand *demand)
{
    struct sample sample;
    sample_of_observation(&sample, &run->observation);
    for (guint mark = 0; mark < MARKS; mark++)
        for (guint i = 0; i < AMOUNTS && run->nth == marks[mark]; i++) {
            const struct quantiles *told = G_STRUCT_MEMBER_P(demand, amounts[i].offset);
            arm->errors[i][mark] += fabs(sample.targets[amounts[i].target] - target_log(amounts[i].target, told->p50));
            arm->error_counts[i][mark]++;
        }
}

static void arm_learn(struct arm *arm, const struct traffic_run *run, const struct policy *policy)
{
    const struct observation *observation = &run->observation;
    const double mib = observation->reason == EXIT_OUT_OF_MEMORY
                           ? MAX(observation->memory_mib * VPA_OOM_FACTOR, observation->memory_mib + VPA_OOM_MIB)
                           : observation->memory_mib;
    if (arm->recommenders != NULL)
        recommender_add(&arm->recommenders[run->function], observation->ended_at, mib);
    else
        predictor_observe(arm->predictor, policy, observation);
}

/* What the run was up to when its memory was full. */
static void arm_learn_kill(struct arm *arm, const struct traffic_run *run, const struct policy *policy, double mib)
{
    struct traffic_run killed = *run;
    const double share = mib / run->observation.memory_mib;
    traffic_scale(&killed, share);
    killed.observation.reason = EXIT_OUT_OF_MEMORY;
    killed.observation.shape.memory_mib = (guint)ceil(mib);
    arm_learn(arm, &killed, policy);
}

static void arm_run(struct arm *arm, const struct traffic_run *run, const struct policy *policy)
{
    const struct observation *observation = &run->observation;
    struct demand *demand = predictor_predict(arm->predictor, policy, &observation->code, observation->ended_at);
    double mib = arm_reserve(arm, run, policy, demand);
    arm_note_errors(arm, run, demand);
    demand_free(demand);
    arm->runs++;
    arm->killed += mib < observation->memory_mib;
    for (; mib < observation->memory_mib; mib *= RETRY_FACTOR, arm->retries++) {
        arm->held[run->function] += mib * observation->duration_ms * mib / observation->memory_mib;
        arm_learn_kill(arm, run, policy, mib);
    }
    arm->held[run->function] += mib * observation->duration_ms;
    arm->used[run->function] += observation->memory_mib * observation->duration_ms;
    arm_learn(arm, run, policy);
}

static void arm_init(struct arm *arm, guint functions, struct model *model)
{
    arm->predictor = predictor_new(FUNCTIONS_MAX);
    predictor_set_model(arm->predictor, arm->has_model ? model : NULL);
    if (arm->is_histogram)
        arm->recommenders = g_new0(struct recommender, functions);
    arm->held = g_new0(double, functions);
    arm->used = g_new0(double, functions);
}

static void arm_clear(struct arm *arm)
{
    predictor_free(arm->predictor);
    g_free(arm->recommenders);
    g_free(arm->held);
    g_free(arm->used);
}

/* --- Report --- */

/* The first arms are compared by their errors, too: the model, and history alone. */
enum { ARM_MODEL, ARM_HISTORY, COMPARED };

static double arm_error(const struct arm *arm, guint mark)
{
    double sum = 0;
    for (guint i = 0; i < AMOUNTS; i++)
        sum += arm->errors[i][mark] / arm->error_counts[i][mark];
    return sum / AMOUNTS;
}

/* Memory x time that was held for nothing, as a share of what was used: of all runs together, and the geometric mean of the functions' own. */
static void arm_waste(const struct arm *arm, guint functions, double *ret_all, double *ret_each)
{
    double held = 0, used = 0, logarithms = 0;
    guint count = 0;
    for (guint i = 0; i < functions; i++) {
        held += arm->held[i];
        used += arm->used[i];
        if (arm->used[i] <= 0)
            continue;
        logarithms += log(arm->held[i] / arm->used[i]);
        count++;
    }
    *ret_all = held / used - 1;
    *ret_each = exp(logarithms / count) - 1;
}

static void errors_print(const struct arm *arm)
{
    for (guint i = 0; i < AMOUNTS; i++) {
        g_print("%-37s %-10s", i == 0 ? arm->name : "", amounts[i].name);
        for (guint mark = 0; mark < MARKS; mark++)
            g_print(" %8.3f", arm->errors[i][mark] / arm->error_counts[i][mark]);
        g_print("\n");
    }
}

static void arms_print(const struct arm *arms, guint count, guint functions, const char *title)
{
    g_print(
        "\nonline: %u runs of %u programs never seen, %s;\nmean log error of p50 after so many runs of the function\n"
        "%-37s %-10s",
        RUNS, functions, title, "", "");
    for (guint mark = 0; mark < MARKS; mark++)
        g_print(" %8u", marks[mark]);
    g_print("\n");
    for (guint i = 0; i < COMPARED; i++)
        errors_print(&arms[i]);
    g_print("\n%-37s %9s %9s %9s %9s\n", "memory", "waste", "... each", "killed", "retries");
    for (guint i = 0; i < count; i++) {
        double all, each;
        arm_waste(&arms[i], functions, &all, &each);
        g_print("%-37s %7.1f %% %7.1f %% %7.2f %% %7.2f %%\n", arms[i].name, 100 * all, 100 * each,
                100.0 * arms[i].killed / arms[i].runs, 100.0 * arms[i].retries / arms[i].runs);
    }
    g_print(
        "waste: GiB x h held and not used, retries included, over those used; each: the geometric mean of functions\n");
}

static void arm_report(const struct arm *arm, guint functions, const char *prefix, GString *report)
{
    double all, each;
    arm_waste(arm, functions, &all, &each);
    g_string_append_printf(report, " %s%swaste=%.4f %s%swaste_each=%.4f %s%skilled=%.4f", prefix, arm->key, all, prefix,
                           arm->key, each, prefix, arm->key, (double)arm->killed / arm->runs);
}

/* `prefix` is before each key. */
static void arms_report(const struct arm *arms, guint count, guint functions, const char *prefix, GString *report)
{
    for (guint mark = 0; mark < MARKS; mark++)
        g_string_append_printf(report, " %serror%u=%.4f %shistory_error%u=%.4f", prefix, marks[mark],
                               arm_error(&arms[ARM_MODEL], mark), prefix, marks[mark],
                               arm_error(&arms[ARM_HISTORY], mark));
    for (guint i = 0; i < count; i++)
        arm_report(&arms[i], functions, prefix, report);
}

static void arms_run(struct model *model, struct traffic *traffic, const struct policy *policy, struct arm *arms,
                     guint count)
{
    for (guint i = 0; i < count; i++)
        arm_init(&arms[i], traffic_function_count(traffic), model);
    for (guint n = 0; n < RUNS; n++) {
        struct traffic_run run;
        traffic_next(traffic, &run);
        for (guint i = 0; i < count; i++)
            arm_run(&arms[i], &run, policy);
    }
}

static void measure_traffic(struct study *study, const struct policy *policy, double other_input, const char *title,
                            const char *prefix, GString *report)
{
    const struct traffic_settings settings = {
        .rows = study->test,
        .repeats = study->repeats,
        .tenants = 8,
        .zipf = 1,
        .other_input = other_input,
        .mean_gap = MEAN_GAP,
        .seed = PARTS_SEED,
    };
    struct arm arms[] = {
        [ARM_MODEL] = {.name = "model and history, policy's prices", .key = "", .has_model = TRUE},
        [ARM_HISTORY] = {.name = "history alone, policy's prices", .key = "history_"},
        {.name = "model and history, p99", .key = "p99_", .has_model = TRUE, .quantile = 0.99},
        {.name = "history alone, p99", .key = "history_p99_", .quantile = 0.99},
        {.name = "VPA: p90 + 15 %, at least 250 MiB", .key = "vpa_", .is_histogram = TRUE, .floor_mib = VPA_FLOOR_MIB},
        {.name = "VPA without that least", .key = "vpa_free_", .is_histogram = TRUE},
    };
    g_autoptr(traffic_auto) traffic = traffic_new(&settings);
    const guint functions = traffic_function_count(traffic);
    arms_run(study_model(study), traffic, policy, arms, G_N_ELEMENTS(arms));
    arms_print(arms, G_N_ELEMENTS(arms), functions, title);
    arms_report(arms, G_N_ELEMENTS(arms), functions, prefix, report);
    for (guint i = 0; i < G_N_ELEMENTS(arms); i++)
        arm_clear(&arms[i]);
}

void measure_online(struct study *study)
{
    struct policy *policy = parts_policy();
    g_autoptr(GString) report = g_string_new(NULL);
    measure_traffic(study, policy, 0.25, "a quarter of the runs with another size of input", "", report);
    measure_traffic(study, policy, 0, "each function with one size of input", "same_", report);
    g_print("bench predict-online n=%u%s\n", RUNS, report->str);
    policy_unref(policy);
}
