/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <stdlib.h>

/* From the sample that crossed the threshold to the bigger shape as confirmed by the guest: steps of one vCPU, and of 512 MiB. Two programs take turns
 * in small VMs: one fills its memory, the other keeps three CPUs busy and, when it has got them, fills its memory. */

#define ADJUSTMENTS 20
#define ROUNDS_MAX 30
#define STEP_MIB 512
#define CPU_TARGET_MS 400
#define MEMORY_TARGET_MS 60

/* Each VM starts with 1 vCPU and 512 MiB, and makes two steps of each kind; the one that is filled has no more CPUs to get. */
static const char policy[] =
    "profiles:\n"
    "  - { name: spun, template: base, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 3, memory: 1536 MiB } }\n"
    "  - { name: filled, template: base, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 1, memory: 1536 MiB } }\n"
    "classes:\n"
    "  - name: spun\n"
    "    score_max: 50\n"
    "    profile: spun\n"
    "    demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 50 MiB, p90: 100 MiB, p99: 150 MiB } }\n"
    "  - name: filled\n"
    "    score_max: 100\n"
    "    profile: filled\n"
    "    demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 50 MiB, p90: 100 MiB, p99: 150 MiB } }\n"
    "rules:\n"
    "  - { name: fill, when: { function: [\"fill-*\"] }, then: { score: 100 } }\n"
    "provisioning: { sizing: demand, memory_min: 512 MiB, memory_step: 512 MiB, no_show: 60 s, boot_timeout: 60 s }\n"
    "scaling: { sample_interval: 250 ms, pressure: 0.35 }\n";

#define FUNCTIONS                                                             \
    "hold() { dd if=/dev/zero bs=${1}M count=1 2>/dev/null | sleep 600 & }\n" \
    "memory() { awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo; }\n"
#define SPIN                                          \
    "for i in 1 2 3; do while :; do :; done & done\n" \
    "until [ $(nproc) -ge 3 ]; do sleep 0.2; done\n"
#define FILL                                            \
    "hold 220\n"                                        \
    "until [ $(memory) -gt 900 ]; do sleep 0.2; done\n" \
    "hold 240\n"                                        \
    "until [ $(memory) -gt 1400 ]; do sleep 0.2; done\n"
#define END         \
    "echo grown\n"  \
    "trap : TERM\n" \
    "kill 0\n"

static const char fill[] = FUNCTIONS FILL END;
static const char spin_and_fill[] = FUNCTIONS SPIN FILL END;

static gint64 time_of(const json_t *adjustment, const char *name)
{
    const char *text = json_string_value(json_object_get(adjustment, name));
    g_autoptr(GDateTime) time = text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    return time == NULL ? 0 : g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time);
}

static json_int_t step_of(const json_t *adjustment, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(adjustment, "after"), name)) -
           json_integer_value(json_object_get(json_object_get(adjustment, "before"), name));
}

struct growth_series {
    struct series *cpu, *memory, *busy_memory;
    guint others, failed;
};

static void add_adjustment(struct growth_series *series, struct series *memory, const json_t *adjustment)
{
    const gint64 at = time_of(adjustment, "at"), confirmed_at = time_of(adjustment, "confirmed_at");
    const char *resource = json_string_value(json_object_get(adjustment, "resource"));
    const double took_ms = (double)(confirmed_at - at) / 1000;
    if (confirmed_at == 0)
        series->failed++;
    else if (g_strcmp0(resource, "cpu") == 0 && step_of(adjustment, "vcpus") == 1)
        series_add(series->cpu, took_ms);
    else if (g_strcmp0(resource, "memory") == 0 && step_of(adjustment, "memory_mib") == STEP_MIB)
        series_add(memory, took_ms);
    else
        series->others++;
}

/* Each round has a function of its own: of one that is known, the growth would be foreseen. */
static void one_round(struct world *world, const char *kind, const char *source, struct growth_series *series,
                      struct series *memory)
{
    struct world_run run;
    size_t i;
    json_t *adjustment;
    static guint serial;
    g_autofree char *function = g_strdup_printf("%s-%u", kind, ++serial);
    g_autofree char *reservation = world_reserve(world, function);
    world_let_stand();
    world_execute(world, function, reservation, source, &run);
    json_array_foreach (json_object_get(run.execution, "adjustments"), i, adjustment)
        add_adjustment(series, memory, adjustment);
    world_wait_gone(world, &run);
    world_run_clear(&run);
}

int main(int argc, char **argv)
{
    world_enter(argv);
    const guint wanted = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : ADJUSTMENTS;
    struct growth_series series = {
        .cpu = series_new("one more vCPU: threshold crossed to confirmed by guest"),
        .memory = series_new("512 MiB more: threshold crossed to confirmed by guest"),
        .busy_memory = series_new("for comparison: 512 MiB more, with three CPUs kept busy"),
    };
    struct world *world = world_new(policy);
    for (guint i = 0; i < ROUNDS_MAX && MIN(series_count(series.cpu), series_count(series.memory)) < wanted; i++) {
        one_round(world, "fill", fill, &series, series.memory);
        one_round(world, "spin", spin_and_fill, &series, series.busy_memory);
    }
    world_free(world);
    series_print_head();
    series_print(series.cpu);
    series_print(series.memory);
    series_print(series.busy_memory);
    g_print("steps of other sizes: %u, not confirmed: %u\n", series.others, series.failed);
    target_print("median of the CPU, ms", series_median(series.cpu), TRUE, CPU_TARGET_MS);
    target_print("median of the memory, ms", series_median(series.memory), TRUE, MEMORY_TARGET_MS);
    g_print("bench growth n=%u median_ms=%.1f p99_ms=%.1f cpu_median_ms=%.1f cpu_p99_ms=%.1f memory_median_ms=%.1f "
            "memory_p99_ms=%.1f busy_memory_median_ms=%.1f\n",
            MIN(series_count(series.cpu), series_count(series.memory)), series_median(series.cpu),
            series_p99(series.cpu), series_median(series.cpu), series_p99(series.cpu), series_median(series.memory),
            series_p99(series.memory), series_median(series.busy_memory));
    series_free(series.cpu);
    series_free(series.memory);
    series_free(series.busy_memory);
    return EXIT_SUCCESS;
}
