/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What it costs to look at instances while code runs in them: CPU time of harbingerd and of libvirtd, with a look a second and with a look an hour, at
 * the same instances. The program sleeps, so that what remains is the looking. They take turns, since the speed of a shared machine changes. */

#define INSTANCES 12
#define ROUNDS 2
#define MEASURE_S 30 /* of a round */
#define TARGET_PERCENT 0.5

#define POLICY(interval)                                                                                      \
    "profiles:\n"                                                                                             \
    "  - { name: small, template: base, vcpus: 1, memory: 160 MiB }\n"                                        \
    "classes:\n"                                                                                              \
    "  - { name: small, score_max: 100, profile: small,"                                                      \
    " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } } }\n" \
    "provisioning: { boot_timeout: 5 min, memory_min: 160 MiB }\n"                                            \
    "scaling: { sample_interval: " interval " }\n"

struct cost {
    double daemon_s, libvirtd_s;
};

/* CPU time of its threads so far, to the nanosecond. */
static double cpu_s(const char *pid)
{
    double sum = 0;
    g_autofree char *path = g_strdup_printf("/proc/%s/task", pid);
    g_autoptr(GDir) tasks = g_dir_open(path, 0, NULL);
    for (const char *task; tasks != NULL && (task = g_dir_read_name(tasks)) != NULL;) {
        g_autofree char *file = g_strdup_printf("%s/%s/schedstat", path, task);
        g_autofree char *text = NULL;
        if (g_file_get_contents(file, &text, NULL, NULL))
            sum += g_ascii_strtod(text, NULL) / 1e9;
    }
    return sum;
}

/* The processes beside us are those of this world: the name spaces are its own. */
static double cpu_of_s(const char *name)
{
    double sum = 0;
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    for (const char *pid; proc != NULL && (pid = g_dir_read_name(proc)) != NULL;) {
        g_autofree char *path = g_strdup_printf("/proc/%s/comm", pid);
        g_autofree char *text = NULL;
        if (g_ascii_isdigit(pid[0]) && g_file_get_contents(path, &text, NULL, NULL) &&
            strcmp(g_strchomp(text), name) == 0)
            sum += cpu_s(pid);
    }
    return sum;
}

static guint count_running(struct world *world)
{
    json_auto_t *list = world_get(world, "executions?state=running");
    const json_t *items = json_is_array(list) ? list : json_object_get(list, "executions");
    return (guint)json_array_size(items);
}

/* Until the daemon ends: a client of its own, since the answer lasts as long as the program. */
static gpointer sleep_in_guest(gpointer socket)
{
    static const char body[] = "{\"code\":{\"function\":\"sleeper\"},"
                               "\"program\":{\"interpreter\":\"sh\",\"source\":\"sleep 3600\"}}";
    struct hbr_error error = HBR_ERROR_INIT;
    struct hbr_response response = HBR_RESPONSE_INIT;
    struct hbr_client *client = hbr_client_new(socket, &error);
    if (client != NULL)
        hbr_client_set_timeout(client, 0);
    if (client == NULL || !hbr_request(client, "POST", "/v1/executions", NULL, body, strlen(body), &response, &error))
        g_printerr("%s\n", error.message);
    hbr_response_clear(&response);
    hbr_error_clear(&error);
    hbr_client_free(client);
    g_free(socket);
    return NULL;
}

static void start_all(struct world *world, GThread **threads)
{
    for (guint i = 0; i < INSTANCES; i++)
        threads[i] = g_thread_new("sleeper", sleep_in_guest, g_strdup(world->socket));
    while (count_running(world) < INSTANCES)
        world_let_stand();
    world_let_stand(); /* the first looks, which open what the others use */
}

/* Adds one round. */
static void measure(struct cost *cost, const char *policy)
{
    GThread *threads[INSTANCES];
    struct world *world = world_new(policy);

    g_autofree char *pid = g_strdup_printf("%d", world->daemon);
    start_all(world, threads);
    const struct cost before = {cpu_s(pid), cpu_of_s("libvirtd")};
    const gint64 until = g_get_monotonic_time() + MEASURE_S * G_USEC_PER_SEC;
    while (g_get_monotonic_time() < until)
        world_let_stand();
    const struct cost after = {cpu_s(pid), cpu_of_s("libvirtd")};
    if (count_running(world) < INSTANCES)
        g_error("not all executions have run to the end of the measurement");
    world_free(world);
    for (guint i = 0; i < INSTANCES; i++)
        g_thread_join(threads[i]);
    cost->daemon_s += after.daemon_s - before.daemon_s;
    cost->libvirtd_s += after.libvirtd_s - before.libvirtd_s;
}

static double percent_of_hundred(double seconds)
{
    return seconds / (ROUNDS * MEASURE_S) / INSTANCES * 100 * 100;
}

static void print_row(const char *what, const struct cost *cost)
{
    g_print("%-24s %12.1f %12.1f %12.3f\n", what, cost->daemon_s * 1000, cost->libvirtd_s * 1000,
            percent_of_hundred(cost->daemon_s + cost->libvirtd_s));
}

int main(int argc, char **argv)
{
    (void)argc;
    world_enter(argv);
    world_cpu_overcommit = INSTANCES + 2;
    struct cost without = {0}, with = {0};
    for (guint round = 0; round < ROUNDS; round++) {
        measure(&without, POLICY("3600 s"));
        measure(&with, POLICY("1 s"));
    }
    const double sum_with = with.daemon_s + with.libvirtd_s, sum_without = without.daemon_s + without.libvirtd_s;
    const double percent = percent_of_hundred(sum_with - sum_without);
    g_print("CPU time of %u s beside %u instances in which code runs\n", ROUNDS * MEASURE_S, INSTANCES);
    g_print("%-24s %12s %12s %12s\n", "", "harbingerd ms", "libvirtd ms", "% of 100");
    print_row("a look an hour", &without);
    print_row("a look a second", &with);
    target_print("percent of a core for 100 instances", percent, TRUE, TARGET_PERCENT);
    g_print("bench sampling-cost n=%u ratio=%.2f percent_of_core=%.3f daemon_ms=%.1f libvirtd_ms=%.1f\n", INSTANCES,
            sum_without > 0 ? sum_with / sum_without : 0, percent, with.daemon_s * 1000, with.libvirtd_s * 1000);
    return EXIT_SUCCESS;
}
