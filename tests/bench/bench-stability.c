/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/governor.h"
#include "plan/scaler.h"
#include "policy/policy.h"

#include "picture.h"

#include <math.h>
#include <stdlib.h>

/* How often the shape of a VM changes that is scaled by scaler_deep and the governor, in simulated time, one look a second: under a load that sits
 * on a threshold, and under square waves of any period. */

#define SECOND G_GINT64_CONSTANT(1000000)
#define STEP_MIB 128
#define HYSTERESIS 1.1
#define SEEDS 20
#define SETTLING_LOOKS 60 /* in which little has been seen: what is held ready for that is given back */
#define THRESHOLD_LOOKS 600
#define THRESHOLD_CHANGES_MAX 2
#define PERIODS 25
#define PERIOD_MAX 600
#define WAVE_LOOKS (20 * PERIOD_MAX)
#define TURNS_PER_PERIOD_MAX 2
#define CHANGES_PER_MINUTE_MAX 12
#define VCPUS_MAX 8
#define MEMORY_STEPS_MAX 32

static const struct governor_settings governors[] = {
    {.step_max = 2,
     .dwell_us = 10 * SECOND,
     .dwell_max_us = 600 * SECOND,
     .changes_per_minute = CHANGES_PER_MINUTE_MAX},
    {.step_max = 2,
     .dwell_us = 10 * SECOND,
     .dwell_max_us = 600 * SECOND,
     .grow_pause_us = 5 * SECOND,
     .shrink_pause_us = 5 * SECOND,
     .changes_per_minute = CHANGES_PER_MINUTE_MAX},
};
static const char *const governor_names[] = {"no pauses", "pauses of 5 s"};

struct load {
    enum resource resource;
    double low, high;
    guint period; /* seconds; 0: noise of `spread` around `low` */
    double spread;
    GRand *rand;
    struct quantiles predicted;
};

struct outcome {
    guint changes, late_changes; /* late: in the second half */
    guint settled_changes;       /* from the second minute on */
    guint turns;                 /* changes in the other direction than the one before: steps of one climb are one */
    guint most_in_minute;
};

static double normal(GRand *rand)
{
    double sum = -6;
    for (guint i = 0; i < 12; i++)
        sum += g_rand_double(rand);
    return sum;
}

static double load_at(const struct load *load, guint second)
{
    if (load->period == 0)
        return MAX(0, load->low + load->spread * normal(load->rand));
    return second % load->period < load->period / 2.0 ? load->high : load->low;
}

/* In whole units, as the core does: vCPUs, steps of memory. */
static guint units_of(enum resource resource, double amount)
{
    if (resource == RESOURCE_CPU)
        return MIN(policy_whole_vcpus(amount), VCPUS_MAX);
    return (guint)CLAMP(ceil(amount / STEP_MIB), 1, MEMORY_STEPS_MAX);
}

static struct scaler_settings scaler_settings_of(enum resource resource)
{
    return (struct scaler_settings){
        .shortage_cost = resource == RESOURCE_CPU ? 2 : 2048, /* as the policy by default */
        .drift_threshold = drift_threshold(3600),
    };
}

/* The most changes in any minute: of the times so far, those since a minute ago. */
static guint count_in_minute(const GArray *times, guint second)
{
    guint count = 0;
    while (count < times->len && g_array_index(times, guint, times->len - 1 - count) + 60 > second)
        count++;
    return count;
}

static struct outcome simulate(const struct load *load, const struct governor_settings *settings, guint looks,
                               struct svg_point *reserved)
{
    const struct scaler_settings scaling = scaler_settings_of(load->resource);
    struct scaler scaler = {.class = &scaler_deep};
    struct governor governor = {0};
    struct outcome outcome = {0};
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(guint));
    guint has = units_of(load->resource, load->predicted.p90);
    gboolean was_up = FALSE;
    for (guint second = 0; second < looks; second++) {
        double used[RESOURCE_COUNT] = {0};
        used[load->resource] = load_at(load, second);
        const struct scaler_look look = {load->resource, load->predicted, load->predicted, {0}, used, used};
        const double want = scaler.class->look(scaler.state, &scaling, &look).want;
        const gint64 now = (second + 1) * SECOND;
        const guint up = units_of(load->resource, want), down = units_of(load->resource, want * HYSTERESIS);
        const guint to = governor_decide(&governor, settings, now, has, up, down, FALSE);
        if (to != has) {
            governor_changed(&governor, settings, now, has, to);
            outcome.turns += outcome.changes == 0 || was_up != (to > has);
            outcome.changes++;
            was_up = to > has;
            outcome.late_changes += second >= looks / 2;
            outcome.settled_changes += second >= SETTLING_LOOKS;
            g_array_append_val(times, second);
            const guint in_minute = count_in_minute(times, second);
            outcome.most_in_minute = MAX(outcome.most_in_minute, in_minute);
        }
        has = to;
        if (reserved != NULL)
            reserved[second] =
                (struct svg_point){second, load->resource == RESOURCE_CPU ? has : (double)has * STEP_MIB};
    }
    return outcome;
}

static struct quantiles predicted_around(double p50, double p90)
{
    return (struct quantiles){p50, p90, 2 * p90 - p50};
}

/* The noise is around the load where the amount wanted, and not the load alone, is whole: both are tried. */
static guint threshold_changes(const struct governor_settings *settings, enum resource resource, double level,
                               double noise)
{
    guint most = 0;
    for (guint seed = 0; seed < SEEDS; seed++) {
        struct load load = {
            .resource = resource, .low = level, .spread = level * noise, .rand = g_rand_new_with_seed(seed)};
        load.predicted = predicted_around(level, level * (1 + 1.28 * noise));
        const guint changes = simulate(&load, settings, SETTLING_LOOKS + THRESHOLD_LOOKS, NULL).settled_changes;
        most = MAX(most, changes);
        g_rand_free(load.rand);
    }
    return most;
}

/* The worst of all levels from half below a whole unit to half above it, and of little and much noise. */
static guint threshold_worst(const struct governor_settings *settings, enum resource resource)
{
    static const double noises[] = {0.005, 0.02, 0.05};
    const double unit = resource == RESOURCE_CPU ? 1 : STEP_MIB, whole = resource == RESOURCE_CPU ? 2.25 : 6 * STEP_MIB;
    guint worst = 0;
    for (guint i = 0; i < G_N_ELEMENTS(noises); i++) {
        guint most = 0;
        for (double level = whole - unit / 2; level <= whole + unit / 2; level += unit / 8) {
            const guint changes = threshold_changes(settings, resource, level, noises[i]);
            most = MAX(most, changes);
        }
        g_print("%-8s on a threshold, noise of %4.1f %%, worst of %d: %u changes in ten minutes (at most %d)\n",
                resource == RESOURCE_CPU ? "vCPUs" : "memory", 100 * noises[i], 9 * SEEDS, most, THRESHOLD_CHANGES_MAX);
        worst = MAX(worst, most);
    }
    return worst;
}

static guint period_of(guint i)
{
    return (guint)round(pow(PERIOD_MAX, (double)i / (PERIODS - 1)));
}

static struct load wave_of(enum resource resource, guint period)
{
    const gboolean is_cpu = resource == RESOURCE_CPU;
    return (struct load){
        .resource = resource,
        .low = is_cpu ? 0.5 : 200,
        .high = is_cpu ? 3.5 : 900,
        .period = period,
        .predicted = is_cpu ? predicted_around(1, 2) : predicted_around(300, 600),
    };
}

struct wave_result {
    guint periods[PERIODS];
    double per_minute[PERIODS], late_per_minute[PERIODS];
    guint most_in_minute;
    gboolean is_bounded;
};

static void waves_run(const struct governor_settings *settings, enum resource resource, struct wave_result *ret_result)
{
    ret_result->is_bounded = TRUE;
    for (guint i = 0; i < PERIODS; i++) {
        const guint period = ret_result->periods[i] = period_of(i);
        const struct load load = wave_of(resource, period);
        const struct outcome outcome = simulate(&load, settings, WAVE_LOOKS, NULL);
        ret_result->per_minute[i] = outcome.changes * 60.0 / WAVE_LOOKS;
        ret_result->late_per_minute[i] = outcome.late_changes * 120.0 / WAVE_LOOKS;
        ret_result->most_in_minute = MAX(ret_result->most_in_minute, outcome.most_in_minute);
        if (outcome.turns > TURNS_PER_PERIOD_MAX * (WAVE_LOOKS / period + 1) ||
            outcome.most_in_minute > CHANGES_PER_MINUTE_MAX)
            ret_result->is_bounded = FALSE;
    }
}

static void waves_print(const struct wave_result *result, const char *name)
{
    g_print("\n%-34s changes a minute by period:", name);
    for (guint i = 0; i < PERIODS; i++)
        g_print("%s %us %.2f/%.2f", i % 6 == 0 ? "\n   " : ",", result->periods[i], result->per_minute[i],
                result->late_per_minute[i]);
    g_print("\n    (all / in the second half)   most in any minute: %u   %s\n", result->most_in_minute,
            result->is_bounded ? "bounded" : "NOT BOUNDED");
}

static void draw_rates(struct svg *svg, enum resource resource, const struct wave_result *results)
{
    const struct svg_panel panel = {
        .title = resource == RESOURCE_CPU ? "square wave, 0.5 to 3.5 CPUs: all (line), second half (dashed)"
                                          : "square wave, 200 to 900 MiB: all (line), second half (dashed)",
        .x = {"period, s", 1, PERIOD_MAX, TRUE},
        .y = {"changes a minute", 0, 2, FALSE},
    };
    svg_begin_panel(svg, &panel);
    for (guint way = 0; way < G_N_ELEMENTS(governors); way++) {
        struct svg_point all[PERIODS], late[PERIODS];
        for (guint i = 0; i < PERIODS; i++) {
            all[i] = (struct svg_point){results[way].periods[i], results[way].per_minute[i]};
            late[i] = (struct svg_point){results[way].periods[i], results[way].late_per_minute[i]};
        }
        svg_draw(svg, way, SVG_LINE, all, PERIODS);
        svg_draw(svg, way, SVG_DASHED, late, PERIODS);
    }
}

static void draw_course(struct svg *svg, enum resource resource, guint period)
{
    const struct load load = wave_of(resource, period);
    const guint looks = CLAMP(8 * period, 60, 3600);
    g_autofree struct svg_point *reserved = g_new(struct svg_point, looks), *used = g_new(struct svg_point, looks);
    g_autofree char *title = g_strdup_printf("load and what it has, period of %u s", period);
    const struct svg_panel panel = {
        .title = title,
        .x = {"time, s", 0, looks, FALSE},
        .y = {resource == RESOURCE_CPU ? "vCPUs" : "MiB", 0, resource == RESOURCE_CPU ? 8 : 2048, FALSE},
    };
    simulate(&load, &governors[0], looks, reserved);
    for (guint i = 0; i < looks; i++)
        used[i] = (struct svg_point){i, load_at(&load, i)};
    svg_begin_panel(svg, &panel);
    svg_draw(svg, 6, SVG_STEPS, used, looks);
    svg_draw(svg, 0, SVG_STEPS, reserved, looks);
}

static gboolean draw(const struct wave_result results[RESOURCE_NETWORK][G_N_ELEMENTS(governors)])
{
    g_autoptr(svg_auto) svg = svg_new("Changes of the shape under a load that swings", 6, 2);
    draw_rates(svg, RESOURCE_CPU, results[RESOURCE_CPU]);
    draw_rates(svg, RESOURCE_MEMORY, results[RESOURCE_MEMORY]);
    draw_course(svg, RESOURCE_CPU, 6);
    draw_course(svg, RESOURCE_CPU, 60);
    draw_course(svg, RESOURCE_CPU, 600);
    draw_course(svg, RESOURCE_MEMORY, 60);
    svg_explain(svg, 0, governor_names[0]);
    svg_explain(svg, 1, governor_names[1]);
    svg_explain(svg, 6, "load");
    return picture_save(svg, "stability");
}

int main(void)
{
    struct wave_result results[RESOURCE_NETWORK][G_N_ELEMENTS(governors)];
    guint worst = 0, most = 0;
    gboolean is_bounded = TRUE;
    for (enum resource resource = RESOURCE_CPU; resource <= RESOURCE_MEMORY; resource++)
        for (guint way = 0; way < G_N_ELEMENTS(governors); way++) {
            struct wave_result *result = &results[resource][way];
            *result = (struct wave_result){0};
            g_autofree char *name =
                g_strdup_printf("%s, %s", resource == RESOURCE_CPU ? "vCPUs" : "memory", governor_names[way]);
            waves_run(&governors[way], resource, result);
            waves_print(result, name);
            const guint changes = threshold_worst(&governors[way], resource);
            worst = MAX(worst, changes);
            most = MAX(most, result->most_in_minute);
            is_bounded = is_bounded && result->is_bounded;
        }
    const gboolean is_drawn = draw(results);
    g_print("bench stability n=%d changes=%u changes_max_per_minute=%u bounded=%d\n",
            PERIODS * RESOURCE_NETWORK * (gint)G_N_ELEMENTS(governors), worst, most, is_bounded);
    return is_drawn && is_bounded && worst <= THRESHOLD_CHANGES_MAX ? EXIT_SUCCESS : EXIT_FAILURE;
}
