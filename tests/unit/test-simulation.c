/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "core/core.h"
#include "host/sim.h"
#include "plan/placing.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The same core, driven by a made-up day of traffic on modelled hosts with faults, in virtual time. What must hold at every moment: no host's book
 * is overdrawn, every request is answered once, everything ends. */

struct simulation {
    struct core *core;
    GHashTable *hypervisors;
    GQueue events; /* posted by hosts and the store */
    GRand *random;
    gint64 now;
    guint64 next_request;
    guint replies, stream_ends, errors, persists;

    struct policy *policy;
};

static void simulation_post(struct event *event, gpointer data)
{
    g_queue_push_tail(&((struct simulation *)data)->events, event);
}

static void simulation_connect(struct simulation *simulation, const struct command *command)
{
    g_autoptr(GError) error = NULL;
    struct hypervisor *hypervisor = sim_hypervisor_new(command->host_spec, simulation_post, simulation, &error);
    ck_assert_msg(hypervisor != NULL, "%s", error != NULL ? error->message : "");
    g_hash_table_insert(simulation->hypervisors, g_strdup(command->host), hypervisor);
}

static void simulation_sink(struct command *command, gpointer data)
{
    struct simulation *simulation = data;
    if (command->kind == COMMAND_PERSIST) {
        struct event *event = event_new(EVENT_COMMITTED);
        event->serial = command->serial;
        simulation_post(event, simulation);
        simulation->persists++;
        command_free(command);
        return;
    }
    if (command->kind == COMMAND_REPLY || command->kind == COMMAND_STREAM) {
        simulation->replies += command->kind == COMMAND_REPLY;
        simulation->stream_ends += command->end;
        simulation->errors += command->error != NULL;
        if (command->stream != 0 && command->body != NULL) {
            struct event *event = event_new(EVENT_OUTPUT_CONSUMED);
            event->request = command->request;
            event->count = (gint64)g_bytes_get_size(command->body);
            simulation_post(event, simulation);
        }
        command_free(command);
        return;
    }
    if (command->kind == COMMAND_CODE_KEEP || command->kind == COMMAND_CODE_FETCH) {
        command_free(command);
        return;
    }
    if (command->kind == COMMAND_HOST_CONNECT)
        simulation_connect(simulation, command);
    hypervisor_submit(g_hash_table_lookup(simulation->hypervisors, command->host), simulation->now, command);
}

/* Asks the core as a client would, and reads its own answer. */
static void simulation_check_books(struct simulation *simulation)
{
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, simulation->hypervisors);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        const struct host *host = core_host(simulation->core, key);
        const struct vm_shape capacity = placing_capacity(host);
        ck_assert_uint_le(host->committed_vcpus, capacity.vcpus == 0 ? 0 : capacity.vcpus);
        ck_assert_uint_le(host->committed_memory_mib, capacity.memory_mib == 0 ? 0 : capacity.memory_mib);
    }
}

static void simulation_drain(struct simulation *simulation)
{
    for (struct event *event; (event = g_queue_pop_head(&simulation->events)) != NULL;) {
        core_handle(simulation->core, event, simulation->now);
        simulation_check_books(simulation);
    }
}

static gint64 simulation_next_at(struct simulation *simulation)
{
    gint64 next_at = core_next_at(simulation->core);
    GHashTableIter iter;
    gpointer hypervisor;
    g_hash_table_iter_init(&iter, simulation->hypervisors);
    while (g_hash_table_iter_next(&iter, NULL, &hypervisor))
        next_at = MIN(next_at, hypervisor_next_at(hypervisor));
    return next_at;
}

static void simulation_pass(struct simulation *simulation, gint64 until)
{
    simulation_drain(simulation);
    while (simulation_next_at(simulation) <= until) {
        simulation->now = MAX(simulation->now, simulation_next_at(simulation));
        GHashTableIter iter;
        gpointer hypervisor;
        g_hash_table_iter_init(&iter, simulation->hypervisors);
        while (g_hash_table_iter_next(&iter, NULL, &hypervisor))
            hypervisor_advance(hypervisor, simulation->now);
        simulation_post(event_new(EVENT_TICK), simulation);
        simulation_drain(simulation);
    }
    simulation->now = until;
}

/* Two of each kind of stock, code that may be used again, and a budget. */
static const char warm_policy[] =
    "functions:\n"
    "  - { name: again, function: \"f1*\", reuse_max: 3, reuse_keep: 20 s }\n"
    "pools:\n"
    "  - name: p\n    template: runtimes\n    vcpus: 1\n    memory: 256 MiB\n    maximum: { vcpus: 4, memory: 2 GiB }\n"
    "    floor: { running: 1, paused: 1, saved: 1 }\n    ceiling: { running: 2, paused: 3 }\n    max_age: 20 min\n"
    "warming: { warmups_per_host: 2, lead: 10 s }\n";

static void simulation_init(struct simulation *simulation, guint32 seed, gboolean is_warm)
{
    *simulation = (struct simulation){.now = G_GINT64_CONSTANT(1700000000) * CLOCK_SECOND};
    g_autofree char *path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "policies", "quickstart.yaml", NULL);
    g_autoptr(GPtrArray) sources = policy_sources_read(path, NULL);
    struct policy_source warm = {.name = (char *)"warm.yaml", .text = (char *)warm_policy};
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    g_ptr_array_extend(all, sources, NULL, NULL);
    if (is_warm)
        g_ptr_array_add(all, &warm);
    g_autoptr(GError) error = NULL;
    simulation->policy = policy_parse(all, &error);
    ck_assert_msg(simulation->policy != NULL, "%s", error != NULL ? error->message : "");
    simulation->policy->scaling.migrate = TRUE;
    simulation->random = g_rand_new_with_seed(seed);
    simulation->hypervisors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)hypervisor_free);
    const struct core_settings settings = {
        .owner = "sim", .seed = seed, .sink = simulation_sink, .sink_data = simulation};
    simulation->core = core_new(&settings, simulation->policy, simulation->now);
}

static void simulation_clear(struct simulation *simulation)
{
    g_hash_table_unref(simulation->hypervisors);
    core_free(simulation->core);
    g_queue_clear_full(&simulation->events, (GDestroyNotify)event_free);
    policy_unref(simulation->policy);
    g_rand_free(simulation->random);
}

static void simulation_attach(struct simulation *simulation, const char *name, const char *uri)
{
    struct event *event = event_new(EVENT_HOST_ATTACH);
    event->host_spec = g_new0(struct host_spec, 1);
    event->host_spec->name = g_strdup(name);
    event->host_spec->uri = g_strdup(uri);
    simulation_post(event, simulation);
}

static void simulation_notify(struct simulation *simulation, const char *function, gint64 arrival_in_ms)
{
    struct event *event = event_new(EVENT_NOTIFY);
    event->request = ++simulation->next_request;
    event->notification = g_new0(struct notification, 1);
    event->notification->code.function = g_strdup(function);
    event->notification->code.language = g_strdup("python");
    event->notification->arrival_in_ms = arrival_in_ms;
    simulation_post(event, simulation);
}

static void simulation_execute(struct simulation *simulation, const char *function, double cpu, guint memory_mib,
                               gint64 duration_ms)
{
    struct event *event = event_new(EVENT_EXECUTE);
    event->request = ++simulation->next_request;
    event->execution_request = g_new0(struct execution_request, 1);
    event->execution_request->code.function = g_strdup(function);
    event->execution_request->program.interpreter = g_strdup("python3");
    event->execution_request->program.source =
        g_strdup_printf("# sim: duration_ms=%" G_GINT64_FORMAT " cpu=%.1f memory_mib=%u output=done exit=0",
                        duration_ms, cpu, memory_mib);
    simulation_post(event, simulation);
}

static guint64 simulation_metric(struct simulation *simulation, const char *line)
{
    g_autofree char *text = core_metrics_text(simulation->core);
    const char *at = strstr(text, line);
    ck_assert_msg(at != NULL, "no metric %s", line);
    return g_ascii_strtoull(at + strlen(line), NULL, 10);
}

static void assert_zero(struct simulation *simulation, const char *const *lines, guint count)
{
    for (guint i = 0; i < count; i++)
        ck_assert_msg(simulation_metric(simulation, lines[i]) == 0, "%s%" G_GUINT64_FORMAT, lines[i],
                      simulation_metric(simulation, lines[i]));
}

/* Rule: when nothing happens any more, stocks are as the targets, and targets as the floors. */
static void assert_warm(struct simulation *simulation)
{
    static const char *const kinds[] = {"running", "paused", "saved"};
    for (guint i = 0; i < 2 * G_N_ELEMENTS(kinds); i++) {
        g_autofree char *stock =
            g_strdup_printf("harbinger_pool_%s{pool=\"p\",host=\"%c\"} ", kinds[i / 2], i % 2 ? 'b' : 'a');
        ck_assert_msg(simulation_metric(simulation, stock) == 1, "%s%" G_GUINT64_FORMAT, stock,
                      simulation_metric(simulation, stock));
    }
}

/* Rule: where there is room for stocks, every path is taken. */
static void assert_paths(struct simulation *simulation)
{
    static const char *const paths[] = {"running", "paused", "saved", "boot"};
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *taken = g_strdup_printf("harbinger_paths_total{path=\"%s\"} ", paths[i]);
        ck_assert_msg(simulation_metric(simulation, taken) > 0, "no %s", taken);
    }
}

#define REQUESTS 3000

enum day { DAY_COLD, DAY_WARM, DAY_WARM_CROWDED };

/* Rule: whatever hosts do, every request is answered, everything ends and nothing stays booked. Returns how many instances were moved. */
static guint64 run_day(const char *first_uri, const char *second_uri, guint32 seed, enum day day)
{
    struct simulation simulation;
    simulation_init(&simulation, seed, day != DAY_COLD);
    simulation_attach(&simulation, "a", first_uri);
    simulation_attach(&simulation, "b", second_uri);
    simulation_pass(&simulation, simulation.now + CLOCK_SECOND);
    for (guint i = 0; i < REQUESTS; i++) {
        g_autofree char *function = g_strdup_printf("f%u", g_rand_int_range(simulation.random, 0, 40));
        const double kind = g_rand_double(simulation.random);
        if (kind < 0.8)
            simulation_notify(&simulation, function, kind < 0.4 ? g_rand_int_range(simulation.random, 0, 60000) : 0);
        if (kind > 0.1)
            simulation_execute(&simulation, function, g_rand_double_range(simulation.random, 0.1, 5),
                               (guint)g_rand_int_range(simulation.random, 10, 1500),
                               g_rand_int_range(simulation.random, 10, 20000));
        simulation_pass(&simulation,
                        simulation.now + (gint64)(-log(1 - g_rand_double(simulation.random)) * 4 * CLOCK_SECOND));
    }
    simulation_pass(&simulation, simulation.now + 2 * CLOCK_HOUR);
    ck_assert_uint_eq(simulation.replies + simulation.stream_ends, simulation.next_request);
    static const char *const open_states[] = {
        "harbinger_reservations{state=\"scheduled\"} ", "harbinger_reservations{state=\"waiting\"} ",
        "harbinger_reservations{state=\"starting\"} ",  "harbinger_reservations{state=\"ready\"} ",
        "harbinger_reservations{state=\"claimed\"} ",   "harbinger_executions{state=\"queued\"} ",
        "harbinger_executions{state=\"starting\"} ",    "harbinger_executions{state=\"running\"} ",
        "harbinger_instances{state=\"claiming\"} ",     "harbinger_instances{state=\"ready\"} ",
        "harbinger_instances{state=\"busy\"} ",         "harbinger_instances{state=\"stopping\"} ",
    };
    static const char *const open_without_pools[] = {
        "harbinger_instances{state=\"starting\"} ",    "harbinger_instances{state=\"warm\"} ",
        "harbinger_host_instances{host=\"a\"} ",       "harbinger_host_instances{host=\"b\"} ",
        "harbinger_host_committed_vcpus{host=\"a\"} ", "harbinger_host_committed_memory_mib{host=\"b\"} ",
    };
    assert_zero(&simulation, open_states, G_N_ELEMENTS(open_states));
    if (day == DAY_WARM)
        assert_paths(&simulation);
    if (day != DAY_COLD)
        assert_warm(&simulation);
    else
        assert_zero(&simulation, open_without_pools, G_N_ELEMENTS(open_without_pools));
    ck_assert_uint_gt(simulation_metric(&simulation, "harbinger_execution_ends_total{reason=\"exited\"} "),
                      REQUESTS / 10);
    ck_assert_uint_gt(simulation_metric(&simulation, "\nharbinger_adjustments_total "), 0);
    const guint64 migrations = simulation_metric(&simulation, "\nharbinger_migrations_total ");
    simulation_clear(&simulation);
    return migrations;
}

START_TEST(test_calm_day)
{
    run_day("sim:a?vcpus=8&memory_mib=16384&boot_ms=1000&seed=1", "sim:b?vcpus=4&memory_mib=8192&boot_ms=2000&seed=2",
            1, DAY_COLD);
}
END_TEST

START_TEST(test_faulty_day)
{
    run_day("sim:a?vcpus=8&memory_mib=16384&boot_ms=1000&fail_boot=0.05&hang_boot=0.02&crash=0.05&seed=3",
            "sim:b?vcpus=4&memory_mib=8192&boot_ms=3000&down_at_s=600&up_at_s=1200&seed=4", 2, DAY_COLD);
}
END_TEST

START_TEST(test_crowded_day)
{
    ck_assert_uint_gt(run_day("sim:a?vcpus=1&memory_mib=2048&boot_ms=1000&seed=5",
                              "sim:b?vcpus=1&memory_mib=2048&boot_ms=1000&crash=0.2&seed=6", 3, DAY_COLD),
                      0);
}
END_TEST

START_TEST(test_warm_day)
{
    run_day("sim:a?vcpus=8&memory_mib=16384&boot_ms=1000&seed=7", "sim:b?vcpus=4&memory_mib=8192&boot_ms=2000&seed=8",
            4, DAY_WARM);
}
END_TEST

/* Whatever can go wrong with warm instances does. */
START_TEST(test_faulty_warm_day)
{
    run_day("sim:a?vcpus=8&memory_mib=16384&boot_ms=1000&fail_boot=0.05&fail_claim=0.1&hang_claim=0.05&fail_clone=0.1"
            "&hang_clone=0.05&fail_pause=0.1&fail_save=0.3&damage=0.1&crash=0.05&contention=1&seed=9",
            "sim:b?vcpus=4&memory_mib=8192&boot_ms=3000&hang_boot=0.02&down_at_s=600&up_at_s=1200&down_kills=1&seed=10",
            5, DAY_WARM);
}
END_TEST

START_TEST(test_crowded_warm_day)
{
    run_day("sim:a?vcpus=2&memory_mib=2560&boot_ms=1000&fail_migrate=0.3&hang_migrate=0.2&seed=11",
            "sim:b?vcpus=1&memory_mib=2048&boot_ms=1000&crash=0.2&fail_migrate=0.3&hang_migrate=0.2&seed=12", 6,
            DAY_WARM_CROWDED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("simulation");
    TCase *days = tcase_create("days");
    tcase_set_timeout(days, 120);
    tcase_add_test(days, test_calm_day);
    tcase_add_test(days, test_faulty_day);
    tcase_add_test(days, test_crowded_day);
    tcase_add_test(days, test_warm_day);
    tcase_add_test(days, test_faulty_warm_day);
    tcase_add_test(days, test_crowded_warm_day);
    suite_add_tcase(suite, days);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
