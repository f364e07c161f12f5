/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* More notifications at once than there are warm instances: 50 for 8 on the simulated host, 12 for 4 on real guests. None may fail, those with the
 * earliest deadlines are served first, and each miss has its reason. */

static const char policy_format[] =
    "profiles:\n"
    "  - { name: small, template: base, vcpus: 1, memory: 256 MiB }\n"
    "classes:\n"
    "  - { name: small, score_max: 100, profile: small,"
    " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } } }\n"
    "provisioning: { no_show: 10 min, boot_timeout: 2 min }\n"
    "limits: { boots_per_host: 2 }\n"
    "pools:\n"
    "  - { name: p, template: base, vcpus: 1, memory: 256 MiB, floor: { running: %u, paused: %u } }\n";

struct burst {
    const char *what, *uri; /* NULL: the real one */
    guint warm, notifications;
};

struct outcome {
    guint served, failed, warm, disordered;
    gint64 misses;
    struct series *times;
};

struct notified {
    char *id;
};

/* All are sent before any is waited for. Deadlines fall from one to the next: the last is the most urgent of those that have to wait. */
static void send_all(struct world *world, guint count, struct notified *ret_notified)
{
    for (guint i = 0; i < count; i++) {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        g_autoptr(GDateTime) deadline = g_date_time_add_seconds(now, 3600 - 10 * i);
        g_autofree char *text = g_date_time_format_iso8601(deadline);
        g_autofree char *notification =
            g_strdup_printf("{\"code\":{\"function\":\"f%u\"},\"deadline_at\":\"%s\"}", i, text);
        ret_notified[i].id = world_notify(world, notification);
    }
}

static gint64 started_us(const json_t *reservation)
{
    return world_time_us(reservation, "started_at");
}

/* Of those that were started one after another, none may have overtaken one with an earlier deadline that was waiting then. */
static guint count_disorder(json_t *const *reservations, guint count)
{
    guint disordered = 0;
    const gint64 all_sent_us = world_time_us(reservations[count - 1], "created_at");
    for (guint i = 0; i < count; i++)
        for (guint k = i + 1; k < count; k++) /* k is more urgent than i */
            disordered += started_us(reservations[i]) > all_sent_us && started_us(reservations[k]) > all_sent_us &&
                          started_us(reservations[i]) < started_us(reservations[k]);
    return disordered;
}

/* The requests come in the order of their deadlines; each that ends gives its room to one that waits. */
static void serve_all(struct world *world, const struct notified *notified, guint count, struct outcome *outcome)
{
    g_autofree json_t **reservations = g_new0(json_t *, count);
    for (guint i = count; i > 0; i--) {
        struct world_run run;
        g_autofree char *function = g_strdup_printf("f%u", i - 1);
        g_autofree char *path = g_strconcat("reservations/", notified[i - 1].id, NULL);
        world_execute(world, function, notified[i - 1].id, world->is_simulated ? "# sim: output=hi exit=0" : "echo hi",
                      &run);
        reservations[i - 1] = world_get(world, path);
        const char *state = json_string_value(json_object_get(run.execution, "state"));
        const char *way = json_string_value(json_object_get(run.execution, "path"));
        outcome->served += g_strcmp0(state, "finished") == 0;
        outcome->failed += g_strcmp0(state, "finished") != 0;
        outcome->warm += g_strcmp0(way, "running") == 0 || g_strcmp0(way, "paused") == 0;
        series_add(outcome->times, world_span_ms(reservations[i - 1], "created_at", "ready_at"));
        world_run_clear(&run);
    }
    outcome->disordered = count_disorder(reservations, count);
    for (guint i = 0; i < count; i++)
        json_decref(reservations[i]);
}

static void print_misses(const json_t *pool)
{
    size_t i;
    json_t *miss;
    json_array_foreach (json_object_get(pool, "miss_reasons"), i, miss)
        g_print("    missed: %s, %" JSON_INTEGER_FORMAT " times\n", json_string_value(json_object_get(miss, "reason")),
                json_integer_value(json_object_get(miss, "count")));
}

static struct outcome run(const struct burst *burst)
{
    struct outcome outcome = {.times = series_new(burst->what)};
    g_autofree char *policy = g_strdup_printf(policy_format, burst->warm / 2, burst->warm - burst->warm / 2);
    struct world *world = burst->uri != NULL ? world_new_on(policy, burst->uri) : world_new(policy);
    g_autofree struct notified *notified = g_new0(struct notified, burst->notifications);
    json_decref(world_wait_stock(world, "p@here"));
    send_all(world, burst->notifications, notified);
    serve_all(world, notified, burst->notifications, &outcome);
    json_auto_t *pool = world_get(world, "pools/p@here");
    outcome.misses = json_integer_value(json_object_get(pool, "misses"));
    g_print("%s: %u notifications for %u warm instances: %u served, %u failed, %u from the pool, %u out of order\n",
            burst->what, burst->notifications, burst->warm, outcome.served, outcome.failed, outcome.warm,
            outcome.disordered);
    print_misses(pool);
    for (guint i = 0; i < burst->notifications; i++)
        g_free(notified[i].id);
    world_free(world);
    return outcome;
}

int main(int argc, char **argv)
{
    (void)argc;
    world_enter(argv);
    const struct burst bursts[] = {
        {"simulated host", "sim:here?vcpus=8&memory_mib=8192&boot_ms=1000", 8, 50},
        {"real guests", NULL, 4, 12},
    };
    struct outcome outcomes[G_N_ELEMENTS(bursts)];
    for (guint i = 0; i < G_N_ELEMENTS(bursts); i++)
        outcomes[i] = run(&bursts[i]);
    series_print_head();
    guint failures = 0, disordered = 0;
    for (guint i = 0; i < G_N_ELEMENTS(bursts); i++) {
        series_print(outcomes[i].times);
        failures += outcomes[i].failed;
        disordered += outcomes[i].disordered;
    }
    struct series *real = outcomes[1].times;
    g_print("bench burst n=%u median_ms=%.2f p99_ms=%.2f failures=%u disordered=%u misses=%" G_GINT64_FORMAT
            " sim_n=%u sim_misses=%" G_GINT64_FORMAT "\n",
            series_count(real), series_median(real), series_p99(real), failures, disordered, outcomes[1].misses,
            series_count(outcomes[0].times), outcomes[0].misses);
    for (guint i = 0; i < G_N_ELEMENTS(bursts); i++)
        series_free(outcomes[i].times);
    return failures + disordered == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
