/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "predict/predictor.h"

#include "numbers.h"
#include "traffic.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* What a training takes, and what a prediction takes as the core makes it, while a training runs beside it at the lowest priority and while none
 * does. */

#define LEARNT_RUNS 20000
#define TENANTS 20
#define LIBRARIES 30
#define MEAN_GAP (30 * G_USEC_PER_SEC)

static struct traffic *speed_traffic(const struct study *study)
{
    const struct traffic_settings settings = {
        .rows = study->all,
        .repeats = study->repeats,
        .tenants = TENANTS,
        .libraries = LIBRARIES,
        .zipf = 0.8,
        .other_input = 0.5,
        .mean_gap = MEAN_GAP,
        .seed = PARTS_SEED,
    };
    return traffic_new(&settings);
}

static GArray *speed_samples(const struct study *study)
{
    g_autoptr(traffic_auto) traffic = speed_traffic(study);
    return traffic_samples(traffic, LEARNT_RUNS);
}

static guint targets_count(const GArray *samples)
{
    guint count = 0;
    for (guint target = 0; target < TARGET_COUNT; target++)
        for (guint i = 0; i < samples->len; i++)
            if (isfinite(g_array_index(samples, struct sample, i).targets[target])) {
                count++;
                break;
            }
    return count;
}

void measure_train_time(struct study *study)
{
    g_autoptr(GArray) samples = speed_samples(study);
    const double begin = parts_seconds(CLOCK_MONOTONIC), cpu_begin = parts_seconds(CLOCK_PROCESS_CPUTIME_ID);
    g_autoptr(model_auto) model = parts_train(samples);
    const double took = parts_seconds(CLOCK_MONOTONIC) - begin;
    const double cpu = parts_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin;
    const struct model_info *info = model_get_info(model);
    g_print(
        "\ntraining with %u runs of %u functions, %u targets: %.1f s, of which %.1f s on a CPU (wanted: below 20)\n",
        samples->len, info->function_count, targets_count(samples), took, cpu);
    g_print("bench train-time n=%u targets=%u seconds=%.2f cpu_seconds=%.2f\n", samples->len, targets_count(samples),
            took, cpu);
}

/* --- Latency --- */

#define RATE 2000 /* a second */
#define ROUNDS 4
#define ROUND_PREDICTIONS 6000
#define KNOWN_RUNS 5000
#define REPEATED 100
#define FUNCTIONS_MAX 100000

struct trainer {
    const GArray *samples;
    GCancellable *cancellable;
    pthread_t thread;
};

/* One training after another, until it is cancelled. */
static void *trainer_run(void *data)
{
    const struct trainer *trainer = data;
    const struct model_settings settings = {.info = {.version = 1, .origin = (char *)"trained"}, .seed = PARTS_SEED};
    const struct sched_param none = {0};
    if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0)
        g_error("SCHED_IDLE is refused");
    while (!g_cancellable_is_cancelled(trainer->cancellable))
        model_unref(model_train((const struct sample *)(gpointer)trainer->samples->data, trainer->samples->len,
                                &settings, trainer->cancellable, NULL));
    return NULL;
}

static void trainer_start(struct trainer *trainer, const GArray *samples)
{
    *trainer = (struct trainer){.samples = samples, .cancellable = g_cancellable_new()};
    if (pthread_create(&trainer->thread, NULL, trainer_run, trainer) != 0)
        g_error("no thread to train in");
}

static void trainer_stop(struct trainer *trainer)
{
    g_cancellable_cancel(trainer->cancellable);
    pthread_join(trainer->thread, NULL);
    g_object_unref(trainer->cancellable);
}

/* Code as it is announced: every other one of a function that has run, with a payload of another size; the rest of functions that have not. */
struct caller {
    struct predictor *predictor;
    struct policy *policy;
    struct traffic *traffic;
    guint64 number;
    gint64 at;
};

static double caller_predict(struct caller *caller, gboolean is_repeated)
{
    const guint64 number = is_repeated ? caller->number % REPEATED : caller->number;
    struct code_metadata code =
        *traffic_code(caller->traffic, (guint)(number % traffic_function_count(caller->traffic)));
    g_autofree char *name = g_strdup_printf("new-%" G_GUINT64_FORMAT, number);
    code.payload_bytes = (gint64)(1000 + number);
    if (number % 2 == 0)
        code.function = name;
    caller->number++;
    const double begin = parts_seconds(CLOCK_MONOTONIC);
    struct demand *demand = predictor_predict(caller->predictor, caller->policy, &code, caller->at);
    const double took_us = 1e6 * (parts_seconds(CLOCK_MONOTONIC) - begin);
    demand_free(demand);
    return took_us;
}

static int timer_new(void)
{
    const struct itimerspec period = {{0, 1000000000 / RATE}, {0, 1000000000 / RATE}};
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (fd < 0 || timerfd_settime(fd, 0, &period, NULL) != 0)
        g_error("no timer");
    return fd;
}

/* At the rate; what came due while it was late is made up for at once, as a queue would be. */
static void caller_round(struct caller *caller, gboolean is_repeated, GArray *times_us)
{
    const int timer = timer_new();
    for (guint made = 0; made < ROUND_PREDICTIONS;) {
        guint64 due;
        if (read(timer, &due, sizeof due) != sizeof due)
            g_error("the timer cannot be read");
        for (; due > 0 && made < ROUND_PREDICTIONS; due--, made++) {
            const double took_us = caller_predict(caller, is_repeated);
            g_array_append_val(times_us, took_us);
        }
    }
    close(timer);
}

static void caller_init(struct caller *caller, const struct study *study, struct model *model)
{
    struct traffic_run run = {0};
    *caller = (struct caller){
        .predictor = predictor_new(FUNCTIONS_MAX),
        .policy = parts_policy(),
        .traffic = speed_traffic(study),
    };
    predictor_set_model(caller->predictor, model);
    for (guint i = 0; i < KNOWN_RUNS; i++) {
        traffic_next(caller->traffic, &run);
        predictor_observe(caller->predictor, caller->policy, &run.observation);
    }
    caller->at = run.observation.ended_at;
}

static void caller_clear(struct caller *caller)
{
    predictor_free(caller->predictor);
    policy_unref(caller->policy);
    traffic_free(caller->traffic);
}

static const char *const situations[SITUATIONS] = {"distinct metadata", "  while a training runs", "repeated metadata",
                                                   "  while a training runs"};

static void latency_rounds(struct caller *caller, const GArray *samples, GArray *times_us[SITUATIONS])
{
    for (guint round = 0; round < ROUNDS; round++)
        for (guint i = 0; i < SITUATIONS; i++) {
            const gboolean is_training = i == DISTINCT_TRAINING || i == REPEATED_TRAINING;
            struct trainer trainer;
            if (is_training)
                trainer_start(&trainer, samples);
            caller_round(caller, i >= REPEATED_ALONE, times_us[i]);
            if (is_training)
                trainer_stop(&trainer);
        }
}

static void measure_here(struct study *study, struct latency_figures ret_figures[SITUATIONS])
{
    g_autoptr(GArray) samples = speed_samples(study);
    g_autoptr(model_auto) model = parts_train(samples);
    GArray *times_us[SITUATIONS];
    struct caller caller;
    caller_init(&caller, study, model);
    for (guint i = 0; i < SITUATIONS; i++)
        times_us[i] = g_array_new(FALSE, FALSE, sizeof(double));
    latency_rounds(&caller, samples, times_us);
    for (guint i = 0; i < SITUATIONS; i++) {
        const double *values = (const double *)(gpointer)times_us[i]->data;
        ret_figures[i] = (struct latency_figures){
            .count = times_us[i]->len,
            .median_us = quantile_of(values, times_us[i]->len, 0.5),
            .p99_us = quantile_of(values, times_us[i]->len, 0.99),
        };
        g_array_unref(times_us[i]);
    }
    caller_clear(&caller);
}

static void figures_print(const char *where, const struct latency_figures figures[SITUATIONS])
{
    g_print("\none prediction of %d a second, %s, microseconds\n%-40s %8s %8s %8s\n", RATE, where, "", "median", "p99",
            "n");
    for (guint i = 0; i < SITUATIONS; i++)
        g_print("%-40s %8.1f %8.1f %8u\n", situations[i], figures[i].median_us, figures[i].p99_us, figures[i].count);
}

static void figures_report(const char *prefix, const struct latency_figures figures[SITUATIONS])
{
    g_print(" %sn=%u %smedian_us=%.1f %sp99_us=%.1f %straining_median_us=%.1f %straining_p99_us=%.1f %sp99_ratio=%.2f "
            "%srepeated_median_us=%.1f %srepeated_p99_us=%.1f",
            prefix, figures[DISTINCT_ALONE].count, prefix, figures[DISTINCT_ALONE].median_us, prefix,
            figures[DISTINCT_ALONE].p99_us, prefix, figures[DISTINCT_TRAINING].median_us, prefix,
            figures[DISTINCT_TRAINING].p99_us, prefix,
            figures[DISTINCT_TRAINING].p99_us / figures[DISTINCT_ALONE].p99_us, prefix,
            figures[REPEATED_ALONE].median_us, prefix, figures[REPEATED_ALONE].p99_us);
}

void measure_latency(struct study *study)
{
    struct latency_figures here[SITUATIONS], there[SITUATIONS];
    g_autoptr(traffic_auto) traffic = speed_traffic(study);
    measure_here(study, here);
    const gboolean is_learning = measure_daemon(study, traffic, there);
    figures_print("by itself", here);
    if (is_learning)
        figures_print("in harbingerd", there);
    g_print("wanted: median at most 60, p99 at most 300, and at most 1.5 times as much while a training runs\n"
            "bench predict-latency");
    figures_report(is_learning ? "alone_" : "", here);
    if (is_learning)
        figures_report("", there);
    g_print("\n");
}
