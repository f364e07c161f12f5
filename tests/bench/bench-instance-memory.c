/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a warm instance costs in memory: the proportional set size of its QEMU, by how it came to be and by state, and 30 clones of one saved state side
 * by side. */

#define CLONES 30

#define POLICY(stock)                                                                                         \
    "profiles:\n"                                                                                             \
    "  - { name: small, template: base, vcpus: 1, memory: 256 MiB }\n"                                        \
    "classes:\n"                                                                                              \
    "  - { name: small, score_max: 100, profile: small,"                                                      \
    " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 10 MiB, p90: 40 MiB, p99: 60 MiB } } }\n" \
    "provisioning: { boot_timeout: 60 s }\n"                                                                  \
    "pools:\n"                                                                                                \
    "  - { name: p, template: base, vcpus: 1, memory: 256 MiB, floor: { " stock " } }\n"

static double pss_mib(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/smaps_rollup", pid);
    g_autofree char *text = NULL;
    const char *line = g_file_get_contents(path, &text, NULL, NULL) ? strstr(text, "\nPss:") : NULL;
    return line != NULL ? g_ascii_strtod(line + strlen("\nPss:"), NULL) / 1024 : 0;
}

/* The QEMUs beside us are those of this world: the name spaces are its own. */
static void add_all(struct series *series)
{
    GDir *proc = g_dir_open("/proc", 0, NULL);
    for (const char *name; proc != NULL && (name = g_dir_read_name(proc)) != NULL;) {
        g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", name);
        g_autofree char *line = NULL;
        if (!g_ascii_isdigit(name[0]) || !g_file_get_contents(path, &line, NULL, NULL) ||
            strstr(line, "qemu-system") == NULL)
            continue;
        series_add(series, pss_mib(name));
    }
    if (proc != NULL)
        g_dir_close(proc);
}

static struct series *measure(const char *title, const char *policy)
{
    struct series *series = series_new(title);
    struct world *world = world_new(policy);
    json_decref(world_wait_stock(world, "p@here"));
    for (guint i = 0; i < 6; i++) /* free pages are reported within some seconds */
        world_let_stand();
    add_all(series);
    world_free(world);
    return series;
}

static double series_sum(const struct series *series)
{
    double sum = 0;
    for (guint i = 0; i < series_count(series); i++)
        sum += g_array_index(series->values_ms, double, i);
    return sum;
}

int main(int argc, char **argv)
{
    (void)argc;
    world_enter(argv);
    world_cpu_overcommit = CLONES + 2;
    struct series *all[] = {
        measure("booted, running", POLICY("running: 4")),
        measure("booted, paused", POLICY("paused: 4")),
        measure("clones of one saved state, running", POLICY("running: 4, saved: 1")),
        measure("clones of one saved state, 30 paused", POLICY("paused: 30, saved: 1")),
    };
    struct series *clones = all[G_N_ELEMENTS(all) - 1];
    g_print("proportional set size of QEMU, guests of 256 MiB; columns are MiB\n");
    series_print_head();
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        series_print(all[i]);
    g_print("%u clones side by side take %.0f MiB\n", series_count(clones), series_sum(clones));
    g_print("bench instance-memory n=%u clone_paused_mib=%.1f clone_running_mib=%.1f booted_paused_mib=%.1f "
            "booted_running_mib=%.1f clones_sum_mib=%.0f\n",
            series_count(clones), series_median(clones), series_median(all[2]), series_median(all[1]),
            series_median(all[0]), series_sum(clones));
    const gboolean is_enough = series_count(clones) >= CLONES;
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        series_free(all[i]);
    return is_enough ? EXIT_SUCCESS : EXIT_FAILURE;
}
