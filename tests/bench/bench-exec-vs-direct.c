/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include "direct.h"

#include <stdlib.h>

/* The same program in a fresh guest of the same template: asked for through the daemon with a ready reservation, against straight on the
 * agent's channel. Both guests of a round stand ready, warmed up by one program as the daemon does it, before either is asked, and the two take turns
 * at being first. */

#define ROUNDS 20
#define RATIO_TARGET 1.5
#define SOURCE "echo hi"
#define RUN_MS 30000
#define WALL_LIMIT_MS 60000
#define OUTPUT_LIMIT_BYTES 67108864
#define PIDS_LIMIT 512

static const char policy[] =
    "profiles:\n"
    "  - { name: small, template: base, vcpus: 1, memory: 256 MiB, maximum: { vcpus: 3, memory: 1 GiB } }\n"
    "classes:\n"
    "  - name: small\n"
    "    score_max: 100\n"
    "    profile: small\n"
    "    demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } }\n"
    "provisioning: { no_show: 60 s, boot_timeout: 60 s }\n";

/* From the request to the first byte of output; then the rest is waited for. */
static double direct_run(struct direct *direct, guint32 stream)
{
    const struct wire_exec exec = {
        .interpreter = wire_text("sh"),
        .code = wire_text(SOURCE),
        .wall_limit_ms = WALL_LIMIT_MS,
        .output_limit_bytes = OUTPUT_LIMIT_BYTES,
        .pids_limit = PIDS_LIMIT,
    };
    struct wire_frame frame;
    const gint64 begin = g_get_monotonic_time();
    if (!peer_send(&direct->peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, stream, &exec) ||
        !peer_expect(&direct->peer, WIRE_TYPE_STDOUT, stream, RUN_MS, &frame))
        g_error("the guest did not run it");
    const double took_ms = (double)(g_get_monotonic_time() - begin) / 1000;
    if (!peer_expect(&direct->peer, WIRE_TYPE_EXIT, stream, RUN_MS, &frame))
        g_error("the guest did not end it");
    return took_ms;
}

static void measure_daemon(struct world *world, const char *reservation, struct series *series)
{
    struct world_run run;
    world_execute(world, "echo", reservation, SOURCE, &run);
    series_add(series, run.first_output_ms);
    world_wait_gone(world, &run);
    world_run_clear(&run);
}

struct all_series {
    struct series *daemon, *direct, *cold;
};

static void one_round(struct world *world, virConnectPtr connection, guint round, struct all_series *series)
{
    struct direct direct;
    g_autofree char *id = g_strdup_printf("vm-direct-%u", round);
    direct_start(&direct, connection, id, "base");
    series_add(series->cold, direct_run(&direct, 1));
    g_autofree char *reservation = world_reserve(world, "echo");
    world_let_stand();
    if (round % 2 == 0)
        measure_daemon(world, reservation, series->daemon);
    series_add(series->direct, direct_run(&direct, 2));
    if (round % 2 == 1)
        measure_daemon(world, reservation, series->daemon);
    direct_stop(&direct);
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const guint rounds = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ROUNDS;
    struct all_series series = {
        .daemon = series_new("fresh guest, through the daemon, reservation ready"),
        .direct = series_new("fresh guest, straight on the agent's channel"),
        .cold = series_new("for comparison: straight, in a guest not warmed up"),
    };
    struct world *world = world_new(policy);
    virConnectPtr connection = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    for (guint i = 0; i < rounds; i++)
        one_round(world, connection, i, &series);
    virConnectClose(connection);
    world_free(world);
    const double ratio = series_median(series.daemon) / series_median(series.direct);
    g_print("execution request to first byte of output\n");
    series_print_head();
    series_print(series.daemon);
    series_print(series.direct);
    series_print(series.cold);
    target_print("medians: through the daemon takes so many times as long", ratio, TRUE, RATIO_TARGET);
    g_print("bench exec-vs-direct n=%u median_ms=%.2f p99_ms=%.2f ratio=%.3f direct_median_ms=%.2f direct_p99_ms=%.2f "
            "direct_cold_median_ms=%.2f\n",
            series_count(series.daemon), series_median(series.daemon), series_p99(series.daemon), ratio,
            series_median(series.direct), series_p99(series.direct), series_median(series.cold));
    series_free(series.daemon);
    series_free(series.direct);
    series_free(series.cold);
    return EXIT_SUCCESS;
}
