/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <poll.h>
#include <stdlib.h>

/* What a claim takes while another pool of the host is being filled, against the same without: preparing must not slow those who are there. */

#define ROUNDS 40
#define SPREAD_MS 2400 /* claims come at any time of a warm-up, not at its begin alone */
#define RATIO_TARGET 1.3

static const char policy[] =
    "profiles:\n"
    "  - { name: small, template: base, vcpus: 1, memory: 256 MiB }\n"
    "classes:\n"
    "  - { name: small, score_max: 100, profile: small,"
    " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } } }\n"
    "provisioning: { no_show: 10 min, boot_timeout: 60 s }\n"
    "pools:\n"
    "  - { name: claimed, template: base, vcpus: 1, memory: 256 MiB, floor: { paused: 1 } }\n"
    "  - { name: filled, template: runtimes, vcpus: 1, memory: 512 MiB, floor: { running: 0 } }\n";

static void wait_warming(struct world *world)
{
    for (gboolean is_warming = FALSE; !is_warming;) {
        json_auto_t *pool = world_get(world, "pools/filled@here");
        is_warming = json_integer_value(json_object_get(pool, "warming")) > 0;
    }
}

static void measure(struct world *world, gboolean beside_refill, int after_ms, struct series *series)
{
    double took_ms;
    json_decref(world_wait_stock(world, "claimed@here"));
    json_decref(world_wait_stock(world, "filled@here"));
    world_let_stand();
    if (beside_refill) {
        world_post(world, "pools/filled@here/set", "{\"running\":1}");
        wait_warming(world);
        poll(NULL, 0, after_ms);
    }
    json_t *reservation = world_announce(world, "{\"code\":{\"function\":\"f\"}}", &took_ms);
    series_add(series, took_ms);
    if (beside_refill)
        world_post(world, "pools/filled@here/set", "{\"running\":0}");
    world_cancel(world, reservation);
    json_decref(reservation);
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const guint rounds = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ROUNDS;
    struct world *world = world_new(policy);
    struct series *alone = series_new("claim of a paused instance"), *beside = series_new("the same beside a warm-up");
    for (guint i = 0; i < rounds; i++) {
        const int after_ms = (int)(SPREAD_MS * i / rounds);
        measure(world, FALSE, after_ms, alone);
        measure(world, TRUE, after_ms, beside);
    }
    world_free(world);
    const double ratio = series_quantile(beside, 0.95) / series_quantile(alone, 0.95);
    series_print_head();
    series_print(alone);
    series_print(beside);
    target_print("p95: beside a warm-up a claim takes so many times as long", ratio, TRUE, RATIO_TARGET);
    g_print("bench claim-under-refill n=%u median_ms=%.2f p99_ms=%.2f ratio=%.3f p95_ms=%.2f alone_p95_ms=%.2f "
            "alone_median_ms=%.2f\n",
            series_count(beside), series_median(beside), series_p99(beside), ratio, series_quantile(beside, 0.95),
            series_quantile(alone, 0.95), series_median(alone));
    series_free(alone);
    series_free(beside);
    return EXIT_SUCCESS;
}
