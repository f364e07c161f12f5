/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <stdlib.h>

/* Execution request to first byte of output: with a reservation that is ready, against the same template booted on demand. */

#define ROUNDS 20
#define RATIO_TARGET 50
#define SOURCE "echo hi"

static const char policy[] =
    "profiles:\n"
    "  - { name: small, template: base, vcpus: 1, memory: 256 MiB, maximum: { vcpus: 3, memory: 1 GiB } }\n"
    "classes:\n"
    "  - name: small\n"
    "    score_max: 100\n"
    "    profile: small\n"
    "    demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } }\n"
    "provisioning: { no_show: 60 s, boot_timeout: 60 s }\n";

static void measure_ready(struct world *world, struct series *series)
{
    struct world_run run;
    g_autofree char *reservation = world_reserve(world, "announced");
    world_let_stand();
    world_execute(world, "announced", reservation, SOURCE, &run);
    series_add(series, run.first_output_ms);
    world_wait_gone(world, &run);
    world_run_clear(&run);
}

static void measure_boot(struct world *world, struct series *series)
{
    struct world_run run;
    world_execute(world, "unannounced", NULL, SOURCE, &run);
    series_add(series, run.first_output_ms);
    world_wait_gone(world, &run);
    world_run_clear(&run);
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const guint rounds = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ROUNDS;
    struct world *world = world_new(policy);
    struct series *ready = series_new("reservation ready: request to first byte of output");
    struct series *boot = series_new("booted on demand: request to first byte of output");
    for (guint i = 0; i < rounds; i++) {
        measure_ready(world, ready);
        measure_boot(world, boot);
    }
    world_free(world);
    const double ratio = series_median(boot) / series_median(ready);
    series_print_head();
    series_print(ready);
    series_print(boot);
    target_print("medians: a ready reservation is so many times faster", ratio, FALSE, RATIO_TARGET);
    g_print("bench exec-vs-boot n=%u median_ms=%.2f p99_ms=%.2f ratio=%.1f boot_median_ms=%.1f boot_p99_ms=%.1f\n",
            series_count(ready), series_median(ready), series_p99(ready), ratio, series_median(boot), series_p99(boot));
    series_free(ready);
    series_free(boot);
    return EXIT_SUCCESS;
}
