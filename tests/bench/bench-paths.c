/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "direct.h"
#include "world.h"

#include <libvirt/virterror.h>
#include <stdlib.h>

/* Notification to proven ready, by path, all on the same template in one run, against a boot of the same profile in the same run. The links
 * bench-claim-running, bench-claim-paused, bench-claim-medium and bench-restore-clone measure one path each. */

#define ROUNDS 20
#define PROFILES                                                                                               \
    "profiles:\n"                                                                                              \
    "  - { name: small, template: base, vcpus: 1, memory: 256 MiB }\n"                                         \
    "  - { name: medium, template: base, vcpus: 2, memory: 1 GiB }\n"                                          \
    "classes:\n"                                                                                               \
    "  - { name: small, score_max: 50, profile: small,"                                                        \
    " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } } }\n"  \
    "  - { name: medium, score_max: 100, profile: medium,"                                                     \
    " demand: { vcpus: { p50: 1, p90: 2, p99: 2 }, memory: { p50: 200 MiB, p90: 600 MiB, p99: 800 MiB } } }\n" \
    "rules:\n  - { name: medium, when: { algorithm: medium }, then: { score: 60 } }\n"                         \
    "provisioning: { no_show: 10 min, boot_timeout: 60 s }\n"

/* The pool of a path: its vCPUs, and its stock. What a claim plugs in is memory: bringing a vCPU online takes a third of a second without KVM, so
 * that there is a pool for each class of vCPUs. */
#define POOL(vcpus, stock)                                                                                            \
    PROFILES "pools:\n  - { name: p, template: base, vcpus: " vcpus ", memory: 256 MiB, maximum: { memory: 1 GiB }, " \
             "floor: { " stock " } }\n"

struct way {
    const char *bench, *title, *path, *policy, *notification;
    double target; /* times as fast as the boot */
};

#define SMALL "{\"code\":{\"function\":\"f\"}}"
#define MEDIUM "{\"code\":{\"function\":\"g\",\"algorithm\":\"medium\"}}"

static const struct way ways[] = {
    {"claim-running", "running, small profile", "running", POOL("1", "running: 1"), SMALL, 40},
    {"claim-paused", "paused, small profile", "paused", POOL("1", "paused: 1"), SMALL, 40},
    {"claim-medium", "paused, medium profile: memory hotplugged", "paused", POOL("2", "paused: 1"), MEDIUM, 8},
    {"restore-clone", "saved, small profile", "saved", POOL("1", "saved: 1"), SMALL, 4},
};

struct result {
    struct series *path, *core, *boot;
};

static void measure(struct world *world, const struct way *way, const char *path, struct series *client,
                    struct series *core)
{
    double took_ms;
    json_t *reservation = world_announce(world, way->notification, &took_ms);
    const char *taken = json_string_value(json_object_get(reservation, "path"));
    if (g_strcmp0(taken, path) != 0)
        g_error("%s: the path was %s", way->bench, taken);
    series_add(client, took_ms);
    if (core != NULL)
        series_add(core, world_span_ms(reservation, "created_at", "ready_at"));
    world_cancel(world, reservation);
    json_decref(reservation);
}

/* Takes turns with the boot, so that both see the same machine. */
static void run_way(const struct way *way, struct world *boots, guint rounds, struct result *ret_result)
{
    struct world *world = world_new(way->policy);
    *ret_result = (struct result){series_new(way->title), series_new("  of which in the core and the host"),
                                  series_new("  boot of the same profile")};
    for (guint i = 0; i < rounds; i++) {
        json_decref(world_wait_stock(world, "p@here"));
        world_let_stand();
        measure(world, way, way->path, ret_result->path, ret_result->core);
        json_decref(world_wait_stock(world, "p@here"));
        measure(boots, way, "boot", ret_result->boot, NULL);
    }
    world_free(world);
}

/* What nobody can do without: the hypervisor's own resume, and one round trip to the agent. */
static void measure_floor(guint rounds, struct series *resume, struct series *ping)
{
    virConnectPtr connection = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    struct direct direct;
    direct_start(&direct, connection, "vm-floor", "base");
    for (guint i = 0; i < rounds; i++) {
        if (virDomainSuspend(direct.domain) < 0)
            g_error("suspend: %s", virGetLastErrorMessage());
        world_let_stand();
        const gint64 begin = g_get_monotonic_time();
        if (virDomainResume(direct.domain) < 0)
            g_error("resume: %s", virGetLastErrorMessage());
        const gint64 resumed = g_get_monotonic_time();
        direct_ping(&direct);
        series_add(resume, (double)(resumed - begin) / 1000);
        series_add(ping, (double)(g_get_monotonic_time() - resumed) / 1000);
    }
    direct_stop(&direct);
    virConnectClose(connection);
}

static void print_line(const struct way *way, const struct result *result)
{
    const double ratio = series_median(result->boot) / series_median(result->path);
    target_print(way->title, ratio, FALSE, way->target);
    g_print("bench %s n=%u median_ms=%.2f p99_ms=%.2f ratio=%.1f boot_median_ms=%.1f core_median_ms=%.2f\n", way->bench,
            series_count(result->path), series_median(result->path), series_p99(result->path), ratio,
            series_median(result->boot), series_median(result->core));
}

/* Measures the ways wanted: NULL all. */
static void run(const char *wanted, guint rounds)
{
    struct result results[G_N_ELEMENTS(ways)] = {{NULL, NULL, NULL}};
    struct series *resume = series_new("floor: the hypervisor's resume"),
                  *ping = series_new("floor: first answer of the agent");
    struct world *boots = world_new(PROFILES);
    measure_floor(rounds, resume, ping);
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++)
        if (wanted == NULL || g_str_equal(wanted, ways[i].bench))
            run_way(&ways[i], boots, rounds, &results[i]);
    world_free(boots);
    g_print("notification to proven ready\n");
    series_print_head();
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        if (results[i].path == NULL)
            continue;
        series_print(results[i].path);
        series_print(results[i].core);
        series_print(results[i].boot);
    }
    series_print(resume);
    series_print(ping);
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        if (results[i].path == NULL)
            continue;
        print_line(&ways[i], &results[i]);
        series_free(results[i].path);
        series_free(results[i].core);
        series_free(results[i].boot);
    }
    series_free(resume);
    series_free(ping);
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const char *name = g_getenv("HBR_BENCH_NAME");
    run(g_strcmp0(name, "paths") == 0 ? NULL : name, argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ROUNDS);
    return EXIT_SUCCESS;
}
