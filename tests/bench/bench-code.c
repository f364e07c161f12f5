/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "direct.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* Execution request to first byte of output of a Python program of 20 lines that is in place, its interpreter started: against the same "go" sent
 * straight on the agent's channel (code-in-place), and against a request that brings the program (python-ready). */

#define ROUNDS 20
#define DIRECT_TARGET 1.5
#define READY_TARGET 5
#define TEMPLATE "runtimes"
#define RUN_MS 30000
#define WALL_LIMIT_MS 60000

static const char policy[] =
    "profiles:\n"
    "  - { name: small, template: runtimes, vcpus: 1, memory: 512 MiB }\n"
    "classes:\n"
    "  - { name: small, score_max: 100, profile: small,"
    " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } } }\n"
    "provisioning: { no_show: 10 min, boot_timeout: 60 s }\n"
    "functions:\n"
    "  - { name: in-place, function: announced, preload_libraries: true }\n"
    "  - { name: not-in-place, function: brought, stage: false }\n";

static const char source[] = "import json\n"
                             "import os\n"
                             "\n"
                             "def squares(count):\n"
                             "    for number in range(count):\n"
                             "        yield number * number\n"
                             "\n"
                             "def mean(numbers):\n"
                             "    numbers = list(numbers)\n"
                             "    return sum(numbers) / len(numbers)\n"
                             "\n"
                             "report = {\n"
                             "    'pid': os.getpid(),\n"
                             "    'mean': mean(squares(100)),\n"
                             "    'most': max(squares(100)),\n"
                             "}\n"
                             "text = json.dumps(report)\n"
                             "print(text, flush=True)\n"
                             "if not text:\n"
                             "    raise SystemExit(1)\n";

struct all_series {
    struct series *in_place, *brought, *direct;
};

static char *notification_text(const char *function)
{
    json_auto_t *json = json_pack("{s:{s:s, s:s, s:[s]}, s:{s:s, s:s}}", "code", "function", function, "language",
                                  "python", "libraries", "json", "program", "interpreter", "python3", "source", source);
    return json_dumps(json, JSON_COMPACT);
}

static gboolean has_happened(const json_t *reservation, const char *what)
{
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(reservation, "timeline"), i, entry)
        if (g_strcmp0(json_string_value(json_object_get(entry, "what")), what) == 0)
            return TRUE;
    return FALSE;
}

static void wait_in_place(struct world *world, const char *id)
{
    g_autofree char *path = g_strconcat("reservations/", id, NULL);
    for (gboolean is_there = FALSE; !is_there;) {
        json_auto_t *reservation = world_get(world, path);
        is_there = has_happened(reservation, "program in place");
        if (has_happened(reservation, "program could not be put in place"))
            g_error("the program could not be put in place");
        world_let_stand();
    }
}

static void measure_daemon(struct world *world, const char *function, gboolean is_in_place, struct series *series)
{
    struct world_run run;
    char *notification = notification_text(function);
    json_t *reservation = world_announce(world, notification, NULL);
    const char *id = json_string_value(json_object_get(reservation, "id"));
    if (is_in_place)
        wait_in_place(world, id);
    else
        world_let_stand();
    world_execute_by(world, function, id, "python3", source, &run);
    const char *place = json_string_value(json_object_get(run.execution, "code_place"));
    if (g_strcmp0(place, is_in_place ? "in-place" : "not-announced") != 0)
        g_error("the program was %s", place);
    series_add(series, run.first_output_ms);
    world_wait_gone(world, &run);
    world_run_clear(&run);
    json_decref(reservation);
    free(notification);
}

/* Held until its interpreter stands ready; then from "go" to the first byte. */
static void measure_direct(virConnectPtr connection, guint round, struct series *series)
{
    static const struct wire_slice preload = {.data = "json", .size = 4};
    const struct wire_exec exec = {
        .interpreter = wire_text("python3"),
        .code = wire_text(source),
        .wall_limit_ms = WALL_LIMIT_MS,
        .hold = 1,
        .preload = {preload},
        .n_preload = 1,
    };
    const struct wire_go go = {.wall_limit_ms = WALL_LIMIT_MS};
    struct wire_frame frame;
    struct direct direct;
    g_autofree char *id = g_strdup_printf("vm-direct-%u", round);
    direct_start(&direct, connection, id, TEMPLATE);
    if (!peer_send(&direct.peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec) ||
        !peer_expect(&direct.peer, WIRE_TYPE_HELD, 1, RUN_MS, &frame))
        g_error("the guest did not hold it");
    world_let_stand();
    const gint64 begin = g_get_monotonic_time();
    if (!peer_send(&direct.peer, WIRE_TYPE_EXEC_GO, 0, 1, &go) ||
        !peer_expect(&direct.peer, WIRE_TYPE_STDOUT, 1, RUN_MS, &frame))
        g_error("the guest did not run it");
    series_add(series, (double)(g_get_monotonic_time() - begin) / 1000);
    direct_stop(&direct);
}

static void report_in_place(struct all_series *series)
{
    const double ratio = series_median(series->in_place) / series_median(series->direct);
    target_print("medians: through the daemon takes so many times as long as the bare go", ratio, TRUE, DIRECT_TARGET);
    g_print("bench code-in-place n=%u median_ms=%.2f p99_ms=%.2f ratio=%.3f direct_median_ms=%.2f\n",
            series_count(series->in_place), series_median(series->in_place), series_p99(series->in_place), ratio,
            series_median(series->direct));
}

static void report_ready(struct all_series *series)
{
    const double ratio = series_median(series->brought) / series_median(series->in_place);
    target_print("medians: with the interpreter ready it is so many times faster", ratio, FALSE, READY_TARGET);
    g_print("bench python-ready n=%u median_ms=%.2f p99_ms=%.2f ratio=%.1f brought_median_ms=%.2f\n",
            series_count(series->in_place), series_median(series->in_place), series_p99(series->in_place), ratio,
            series_median(series->brought));
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const char *name = g_getenv("HBR_BENCH_NAME");
    const guint rounds = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ROUNDS;
    struct all_series series = {
        .in_place = series_new("in place, through the daemon"),
        .brought = series_new("brought with the request, through the daemon"),
        .direct = series_new("in place, go sent straight on the agent's channel"),
    };
    struct world *world = world_new(policy);
    virConnectPtr connection = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    for (guint i = 0; i < rounds; i++) {
        measure_daemon(world, "announced", TRUE, series.in_place);
        measure_daemon(world, "brought", FALSE, series.brought);
        measure_direct(connection, i, series.direct);
    }
    virConnectClose(connection);
    world_free(world);
    g_print("execution request to first byte of output, Python, 20 lines\n");
    series_print_head();
    series_print(series.in_place);
    series_print(series.direct);
    series_print(series.brought);
    if (g_strcmp0(name, "python-ready") != 0)
        report_in_place(&series);
    if (g_strcmp0(name, "code-in-place") != 0)
        report_ready(&series);
    series_free(series.in_place);
    series_free(series.brought);
    series_free(series.direct);
    return EXIT_SUCCESS;
}
