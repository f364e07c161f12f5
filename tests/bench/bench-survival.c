/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grower.h"

#include <stdlib.h>
#include <string.h>

/* A program in a VM of 256 MiB allocates and touches memory at a steady rate, up to 1.5 GiB: which rates does it survive, by the controller that watches
 * over it? None, the simple rule once a second, and the deep one, at the same rates in one run. A controller is not asked for higher rates once
 * nothing has survived two in a row. usage: bench-survival [MIB-PER-SECOND], the first rate. */

#define TOTAL_MIB 1536
#define RATE_MIN 16
#define RATE_MAX 2048
#define RUNS_FAST 3 /* of rates that take less than FAST_S */
#define FAST_S 30

struct controller {
    const char *name, *scaling;
    guint best; /* the highest rate that all runs survived, as all lower ones; 0: none */
    gboolean is_broken;
    guint misses;   /* rates in a row that nothing survived */
    double reached; /* the rate that the guest managed in the fastest run that survived */
};

static guint runs_at(guint rate)
{
    return TOTAL_MIB / rate < FAST_S ? RUNS_FAST : 1;
}

static double number_after(const char *text, const char *word)
{
    const char *at = text != NULL ? strstr(text, word) : NULL;
    return at != NULL ? g_ascii_strtod(at + strlen(word), NULL) : 0;
}

static void run_rate(struct controller *controller, guint rate)
{
    static guint serial;
    g_autofree char *policy = grower_policy(controller->scaling);
    guint survived = 0;
    double longest_ms = 0, reached = 0;
    const guint runs = runs_at(rate);
    struct world *world = world_new(policy);
    for (guint i = 0; i < runs; i++) {
        struct world_run run;
        g_autofree char *function = g_strdup_printf("grower-%u", ++serial); /* nothing is known of any */
        grower_touch(world, function, rate, TOTAL_MIB, &run);
        survived += world_run_succeeded(&run);
        longest_ms = MAX(longest_ms, number_after(run.output, "longest "));
        reached = MAX(reached, number_after(run.output, "rate "));
        world_wait_gone(world, &run);
        world_run_clear(&run);
    }
    world_free(world);
    g_print("%6u MiB/s  %-8s %u of %u survived, %4.0f MiB/s reached, held back at most %.0f ms\n", rate,
            controller->name, survived, runs, reached, longest_ms);
    controller->misses = survived == 0 ? controller->misses + 1 : 0;
    if (survived < runs)
        controller->is_broken = TRUE;
    if (!controller->is_broken) {
        controller->best = rate;
        controller->reached = reached;
    }
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const guint first = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : RATE_MIN;
    struct controller controllers[] = {
        {.name = "none", .scaling = "enabled: false"},
        {.name = "simple", .scaling = "controller: simple, sample_interval: 1 s"},
        {.name = "deep", .scaling = "controller: deep, sample_interval: 1 s"},
    };
    for (guint rate = MAX(first, 1); rate <= RATE_MAX; rate *= 2)
        for (guint i = 0; i < G_N_ELEMENTS(controllers); i++)
            if (controllers[i].misses < 2)
                run_rate(&controllers[i], rate);
    const guint simple = controllers[1].best, deep = controllers[2].best;
    const double ratio = (double)deep / MAX(simple, RATE_MIN / 2);
    g_print(
        "highest rate that every run survived, MiB/s: none %u, simple %u, deep %u (the guest reached %.0f under this emulation)\n",
        controllers[0].best, simple, deep, controllers[2].reached);
    target_print("deep against simple", ratio, FALSE, 8);
    g_print("bench survival n=%u ratio=%.1f deep_mib_s=%u simple_mib_s=%u none_mib_s=%u reached_mib_s=%.0f\n",
            RUNS_FAST, ratio, deep, simple, controllers[0].best, controllers[2].reached);
    return EXIT_SUCCESS;
}
