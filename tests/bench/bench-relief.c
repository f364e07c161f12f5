/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grower.h"

#include <stdlib.h>
#include <string.h>

/* How soon a guest that is short of something has more of it. Memory: from the agent's word that its code passed the mark to the memory usable in the
 * guest, as the guest confirms it, while a program touches memory at a steady rate. CPU: from the moment that a program begins to keep three
 * CPUs busy to the first further CPU online, both seen in the guest. */

#define ROUNDS 20
#define RATE_MIB 512
#define TOTAL_MIB 1400
#define SAMPLE_MS 1000

static const char spin[] = "read start _ </proc/uptime\n"
                           "for i in 1 2 3; do while :; do :; done & done\n"
                           "while [ $(nproc) -lt 2 ]; do usleep 10000; done\n"
                           "read end _ </proc/uptime\n"
                           "echo cpu $start $end\n"
                           "trap : TERM\n"
                           "kill 0\n";

static void add_memory(struct world *world, struct series *series, struct series *held, guint serial)
{
    struct world_run run;
    size_t i;
    json_t *adjustment;
    g_autofree char *function = g_strdup_printf("touch-%u", serial);
    grower_touch(world, function, RATE_MIB, TOTAL_MIB, &run);
    json_array_foreach (json_object_get(run.execution, "adjustments"), i, adjustment) {
        const gboolean is_relief =
            g_strcmp0(json_string_value(json_object_get(adjustment, "reason")), "pressure") == 0 &&
            g_strcmp0(json_string_value(json_object_get(adjustment, "resource")), "memory") == 0;
        if (is_relief && world_time_us(adjustment, "confirmed_at") > 0)
            series_add(series, world_span_ms(adjustment, "signalled_at", "confirmed_at"));
    }
    const char *longest = run.output != NULL ? strstr(run.output, "longest ") : NULL;
    if (longest != NULL)
        series_add(held, g_ascii_strtod(longest + strlen("longest "), NULL));
    world_wait_gone(world, &run);
    world_run_clear(&run);
}

static void add_cpu(struct world *world, struct series *series, guint serial)
{
    struct world_run run;
    g_autofree char *function = g_strdup_printf("spin-%u", serial);
    g_autofree char *reservation = world_reserve(world, function);
    world_let_stand();
    world_execute(world, function, reservation, spin, &run);
    const char *told = run.output != NULL ? strstr(run.output, "cpu ") : NULL;
    if (told != NULL) {
        char *end;
        const double start = g_ascii_strtod(told + strlen("cpu "), &end);
        series_add(series, (g_ascii_strtod(end, NULL) - start) * 1000);
    }
    world_wait_gone(world, &run);
    world_run_clear(&run);
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const guint rounds = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ROUNDS;
    const char *name = g_getenv("HBR_BENCH_NAME");
    const gboolean wants_memory = g_strcmp0(name, "relief-cpu") != 0, wants_cpu = g_strcmp0(name, "relief-memory") != 0;
    struct series *memory = series_new("memory: the mark passed to usable in the guest");
    struct series *held = series_new("memory: longest time that the program stood still");
    struct series *cpu = series_new("CPU: three wanted to the second online, in the guest");
    g_autofree char *policy = grower_policy("sample_interval: 1 s");
    struct world *world = world_new(policy);
    for (guint i = 0; i < rounds; i++) {
        if (wants_memory && series_count(memory) < rounds * 3)
            add_memory(world, memory, held, i);
        if (wants_cpu)
            add_cpu(world, cpu, i);
    }
    world_free(world);
    series_print_head();
    if (wants_memory) {
        series_print(memory);
        series_print(held);
        target_print("memory, median ms", series_median(memory), TRUE, 150);
        target_print("memory, p95 ms", series_quantile(memory, 0.95), TRUE, 400);
        g_print("bench relief-memory n=%u median_ms=%.1f p95_ms=%.1f p99_ms=%.1f held_back_median_ms=%.1f\n",
                series_count(memory), series_median(memory), series_quantile(memory, 0.95), series_p99(memory),
                series_median(held));
    }
    if (wants_cpu) {
        series_print(cpu);
        target_print("CPU, median ms", series_median(cpu), TRUE, SAMPLE_MS + 300);
        g_print("bench relief-cpu n=%u median_ms=%.1f p95_ms=%.1f p99_ms=%.1f\n", series_count(cpu), series_median(cpu),
                series_quantile(cpu, 0.95), series_p99(cpu));
    }
    series_free(memory);
    series_free(held);
    series_free(cpu);
    return EXIT_SUCCESS;
}
