/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scaler-baselines.h"

#include "numbers.h"
#include "vpa.h"

#include <math.h>
#include <string.h>

/* The recommender of the Kubernetes VPA (vpa.h): the first bucket is of 0.01 CPU or 10 MB (a network has none there: 0.01 Mbit/s); the target is
 * the end of the bucket of the percentile, plus 15 %. Of memory the peak of each day is a sample; the running day's counts from its beginning. Left
 * out: lower limits of what it recommends, and samples that an out-of-memory kill adds. */
#define VPA_HALF_LIFE TRACE_DAY

/* Neon: compute units of 1 CPU and 4 GiB, in quarters, at least one of them. */
#define NEON_STEP 0.25
#define NEON_UNIT_MIB 4096.0
#define NEON_CPU_TARGET 0.9
#define NEON_MEMORY_TARGET 0.75

#define FALSE_ALARM_LOOKS 3600

struct replay {
    const struct trial *trial;
    enum resource resource;
    double knob;
    struct quantiles predicted, peaks;
    struct scaler_settings settings;
    struct scaler scaler;
    struct vpa_histogram histogram;
    guint seen; /* samples of the histogram, with the history */
    double peak;
};

static const struct scaler_class *const ours = &scaler_deep, *const simple = &scaler_simple;

static void scaler_begin(struct replay *replay, const struct scaler_class *class)
{
    replay->scaler = (struct scaler){.class = class};
    replay->settings = (struct scaler_settings){
        .shortage_cost = 1,
        .drift_threshold = drift_threshold(FALSE_ALARM_LOOKS),
        .grow_above = 1.2,
        .grow_to = 1.5,
        .quantile = 0.9,
    };
}

static double scaler_replay_look(struct replay *replay, const double *used)
{
    const struct scaler_look look = {
        .resource = replay->resource,
        .now = replay->predicted,
        .next = replay->predicted,
        .peak = replay->peaks,
        .used = used,
        .has = used,
    };
    return replay->scaler.class->look(replay->scaler.state, &replay->settings, &look).want;
}

double ours_unit(enum resource resource)
{
    static const double units[RESOURCE_COUNT] = {
        [RESOURCE_CPU] = 0.1, [RESOURCE_MEMORY] = 100, [RESOURCE_NETWORK] = 0.1};
    return units[resource];
}

static void ours_begin(struct replay *replay)
{
    scaler_begin(replay, ours);
    replay->settings.shortage_cost = replay->knob * ours_unit(replay->resource);
}

static void simple_begin(struct replay *replay)
{
    scaler_begin(replay, simple);
    replay->settings.grow_to = replay->knob;
}

static void none_begin(struct replay *replay)
{
    (void)replay;
}

static double static_look(struct replay *replay, const double *used)
{
    (void)used;
    return ascending_quantile(replay->trial->known[replay->resource], replay->knob);
}

static void hindsight_begin(struct replay *replay)
{
    const struct trial *trial = replay->trial;
    const GArray *used = trial->vm->used[replay->resource];
    replay->peak = quantile_of(&g_array_index(used, double, trial->begin), trial->end - trial->begin, replay->knob);
}

static double hindsight_look(struct replay *replay, const double *used)
{
    (void)used;
    return replay->peak;
}

static double neon_steps(double units)
{
    return MAX(1, round(units / NEON_STEP)) * NEON_STEP;
}

/* The rule as it is: one number of compute units for all. */
static double neon_look(struct replay *replay, const double *used)
{
    const double cpu = used[RESOURCE_CPU] / replay->knob;
    const double memory = used[RESOURCE_MEMORY] / (replay->knob * NEON_MEMORY_TARGET / NEON_CPU_TARGET) / NEON_UNIT_MIB;
    const double goal = MAX(neon_steps(cpu), neon_steps(memory));
    return replay->resource == RESOURCE_CPU ? goal : goal * NEON_UNIT_MIB;
}

/* The rule at its best: each resource by itself, without steps; the network as a CPU. */
static double neon_free_look(struct replay *replay, const double *used)
{
    const double target =
        replay->resource == RESOURCE_MEMORY ? replay->knob * NEON_MEMORY_TARGET / NEON_CPU_TARGET : replay->knob;
    return used[replay->resource] / target;
}

static gboolean neon_is_for(const struct trial *trial, enum resource resource)
{
    (void)trial;
    return resource != RESOURCE_NETWORK;
}

static void vpa_add(struct replay *replay, double used)
{
    const double day = floor((double)replay->seen / TRACE_DAY);
    const double weight = exp2((double)replay->seen / VPA_HALF_LIFE);
    const gboolean is_new_day = replay->seen % TRACE_DAY == 0;
    replay->seen++;
    if (replay->resource != RESOURCE_MEMORY) {
        vpa_weigh(&replay->histogram, used, weight);
        return;
    }
    if (!is_new_day && used <= replay->peak)
        return;
    if (!is_new_day)
        vpa_weigh(&replay->histogram, replay->peak, -exp2(day));
    replay->peak = used;
    vpa_weigh(&replay->histogram, used, exp2(day));
}

static void vpa_begin(struct replay *replay)
{
    const GArray *used = replay->trial->vm->used[replay->resource];
    replay->histogram.first = replay->resource == RESOURCE_MEMORY ? VPA_MEMORY_FIRST_MIB : 0.01;
    for (guint i = 0; i < replay->trial->begin; i++)
        vpa_add(replay, g_array_index(used, double, i));
}

static double vpa_look(struct replay *replay, const double *used)
{
    vpa_add(replay, used[replay->resource]);
    return vpa_quantile(&replay->histogram, replay->knob) * VPA_MARGIN;
}

static const double costs[] = {0.03, 0.1, 0.3, 1,    2,    4,    8,    16,    32,    64,
                               128,  256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 0};
static const double grow_tos[] = {1.21, 1.35, 1.5, 2, 3, 0};
static const double targets[] = {0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1, 0};
static const double quantiles[] = {0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0};

const struct controller controllers[] = {
    {"ours", 0, costs, FALSE, NULL, ours_begin, scaler_replay_look},
    {"static", 0.95, quantiles, FALSE, NULL, none_begin, static_look},
    {"simple", 1.5, grow_tos, FALSE, NULL, simple_begin, scaler_replay_look},
    {"neon", 0.9, targets, FALSE, neon_is_for, none_begin, neon_look},
    {"neon_free", 0.9, targets, FALSE, NULL, none_begin, neon_free_look},
    {"vpa", 0.9, quantiles, FALSE, NULL, vpa_begin, vpa_look},
    {"hindsight", 0.95, quantiles, TRUE, NULL, hindsight_begin, hindsight_look},
};
const guint controller_count = G_N_ELEMENTS(controllers);

static void trial_used(const struct trial *trial, guint i, double *ret_used)
{
    for (guint resource = 0; resource < RESOURCE_COUNT; resource++) {
        const GArray *used = trial->vm->used[resource];
        ret_used[resource] = used != NULL ? g_array_index(used, double, i) : 0;
    }
}

void controller_replay(const struct controller *controller, const struct trial *trial, enum resource resource,
                       double knob, struct tally *tally)
{
    struct replay replay = {
        .trial = trial,
        .resource = resource,
        .knob = knob,
        .predicted = trial_quantiles(trial, resource),
        .peaks = resource == RESOURCE_MEMORY ? trial_peaks(trial, resource) : (struct quantiles){0},
    };
    controller->begin(&replay);
    double reserved = 0;
    for (guint i = trial->begin; i < trial->end; i++) {
        double used[RESOURCE_COUNT];
        trial_used(trial, i, used);
        if (i > trial->begin) {
            tally->looks++;
            tally->shortages += used[resource] > reserved;
            tally->used += used[resource];
            tally->idle += MAX(0, reserved - used[resource]);
        }
        reserved = controller->look(&replay, used);
    }
}
