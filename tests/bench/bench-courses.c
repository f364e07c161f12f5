/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace.h"
#include "world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Slack and shortage of a sample of real usage courses, played in real guests (tests/bench/player.c), by the controller that watches over them: the deep
 * one and the simple one, twice each, so that the second run knows the course of the first; and none, with a VM of the course's p95.
 * usage: bench-courses [POINT-MS [PLANETLAB [BITBRAINS]]]: how long a point takes, and how many courses of each kind.
 *
 * A course is POINTS points out of the middle of a stretch, five minutes each in the original. Its CPU is scaled so that its most is CPU_MOST percent of
 * a CPU, which two CPUs of the host can give. Its memory is scaled so that its most is MEMORY_MOST_MIB, and grows by no more than MEMORY_GROWTH_MIB
 * from point to point: an emulated guest touches no faster. That of planetlab, of which nothing is known, is MEMORY_LEAST_MIB. Times of the policy
 * are counted in looks as by default, with one look at each point: 10 of dwell, 5 between two shrinks.
 *
 * Slack: what was reserved and not used, as a share of what was used. Shortage: the share of points in which the code got less than 90 % of the CPU
 * time that it wanted, or its memory too late, or that it did not live to see. CPU time is as the guest counts it: what other VMs take from the
 * host's CPUs is not in it. */

#define EXIT_SKIPPED 77
#define POINT_MS 500
#define PLANETLAB 2
#define BITBRAINS 2
#define POINTS 40
#define CPU_MOST 180
#define MEMORY_MOST_MIB 800
#define MEMORY_LEAST_MIB 16
#define MEMORY_GROWTH_MIB 64
#define ENOUGH 0.9
#define LATE 0.1   /* of a point; less may be the host's scheduling */
#define GRAIN_MS 8 /* two ticks of the guest's clock: less is not known of CPU time */

struct course_plan {
    char *name;
    guint cpu[POINTS], mib[POINTS];
    gboolean has_memory;
};

struct tally {
    double reserved_cpu_s, used_cpu_s, reserved_mib_s, used_mib_s; /* memory: of the courses that have one */
    guint points, short_points, runs, lost, changes;
};

enum { DEEP_FIRST, DEEP, SIMPLE_FIRST, SIMPLE, STATIC, TALLIES };
static const char *const tally_names[] = {"deep, unknown code", "deep, known code", "simple, unknown code",
                                          "simple, known code", "static at p95"};

static void scale_values(const double *values, guint most, guint least, guint *ret_scaled)
{
    double top = 0;
    for (guint i = 0; i < POINTS; i++)
        top = MAX(top, values[i]);
    for (guint i = 0; i < POINTS; i++)
        ret_scaled[i] = MAX(least, (guint)lround(top > 0 ? values[i] / top * most : 0));
}

static void plan_course(const struct trace_set *set, const struct trial *trial, struct course_plan *plan)
{
    const guint first = trial->begin + (trial->end - trial->begin - POINTS) / 2;
    const GArray *cpu = trial->vm->used[RESOURCE_CPU], *memory = trial->vm->used[RESOURCE_MEMORY];
    plan->name = g_strdup_printf("%s-%s-%u", set->name, trial->vm->name, first);
    g_strcanon(plan->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", '-');
    scale_values(&g_array_index(cpu, double, first), CPU_MOST, 0, plan->cpu);
    plan->has_memory = memory != NULL;
    for (guint i = 0; i < POINTS; i++)
        plan->mib[i] = MEMORY_LEAST_MIB;
    if (memory != NULL)
        scale_values(&g_array_index(memory, double, first), MEMORY_MOST_MIB, MEMORY_LEAST_MIB, plan->mib);
    for (guint i = 0; i < POINTS; i++)
        plan->mib[i] = MIN(plan->mib[i], (i > 0 ? plan->mib[i - 1] : 0) + MEMORY_GROWTH_MIB);
}

/* Evenly out of all of the set's stretches. */
static void plan_courses(struct trace_set *(*read)(GError **), guint count, GPtrArray *plans)
{
    g_autoptr(GError) error = NULL;
    struct trace_set *set = read(&error);
    if (set == NULL) {
        g_printerr("%s\n", error->message);
        exit(EXIT_SKIPPED);
    }
    for (guint i = 0; i < count; i++) {
        struct course_plan *plan = g_new0(struct course_plan, 1);
        plan_course(set, set->trials->pdata[(i + 1) * set->trials->len / (count + 1)], plan);
        g_ptr_array_add(plans, plan);
    }
    trace_set_free(set);
}

static void plan_free(gpointer data)
{
    struct course_plan *plan = data;
    g_free(plan->name);
    g_free(plan);
}

static int compare_amounts(const void *a, const void *b)
{
    const guint first = *(const guint *)a, second = *(const guint *)b;
    return (first > second) - (first < second);
}

static guint p95(const guint *amounts)
{
    guint sorted[POINTS];
    memcpy(sorted, amounts, sizeof sorted);
    qsort(sorted, POINTS, sizeof *sorted, compare_amounts);
    return sorted[POINTS * 95 / 100];
}

static char *policy_of(const char *scaling, const char *vcpus, const char *memory)
{
    return g_strdup_printf(
        "profiles:\n"
        "  - { name: p, template: base, vcpus: 1, memory: 256 MiB, maximum: { vcpus: 3, memory: 1 GiB } }\n"
        "classes:\n"
        "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { %s }, memory: { %s } } }\n"
        "provisioning: { sizing: demand, memory_min: 256 MiB, memory_step: 128 MiB, no_show: 5 min,"
        " boot_timeout: 2 min }\n"
        "scaling: { %s }\n",
        vcpus, memory, scaling);
}

static char *policy_scaled(const char *controller, guint point_ms)
{
    g_autofree char *scaling =
        g_strdup_printf("controller: %s, sample_interval: %u ms, dwell: %u ms, dwell_max: %u ms, shrink_pause: %u ms,"
                        " changes_per_minute: 0",
                        controller, point_ms, 10 * point_ms, 600 * point_ms, 5 * point_ms);
    return policy_of(scaling, "p50: 0.5, p90: 1, p99: 1", "p50: 40 MiB, p90: 80 MiB, p99: 100 MiB");
}

static char *policy_static(const struct course_plan *plan)
{
    const guint cpu = p95(plan->cpu), mib = p95(plan->mib);
    g_autofree char *vcpus = g_strdup_printf("p50: %u.%02u, p90: %u.%02u, p99: %u.%02u", cpu / 100, cpu % 100,
                                             cpu / 100, cpu % 100, cpu / 100, cpu % 100);
    g_autofree char *memory = g_strdup_printf("p50: %u MiB, p90: %u MiB, p99: %u MiB", mib, mib, mib);
    return policy_of("enabled: false", vcpus, memory);
}

static char *player_base64(void)
{
    g_autofree char *path = g_build_filename(g_getenv("HBR_BUILD_DIR"), "tests/bench/player", NULL), *text = NULL;
    gsize length;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, &length, &error))
        g_error("%s", error->message);
    return g_base64_encode((const guchar *)text, length);
}

static json_t *play_arguments(const struct course_plan *plan, guint point_ms)
{
    json_t *arguments = json_pack("[s, o]", "./player", json_sprintf("%u", point_ms));
    for (guint i = 0; i < POINTS; i++)
        json_array_append_new(arguments, json_sprintf("%u:%u", plan->cpu[i], plan->mib[i]));
    return arguments;
}

static void play(struct world *world, const struct course_plan *plan, guint point_ms, struct world_run *ret_run)
{
    g_autofree char *reservation = world_reserve(world, plan->name), *program = player_base64();
    json_auto_t *request = json_pack("{s:{s:s}, s:{s:o, s:[{s:s, s:i, s:s}]}, s:s}", "code", "function", plan->name,
                                     "program", "argv", play_arguments(plan, point_ms), "files", "path", "player",
                                     "mode", 0755, "content_base64", program, "reservation_id", reservation);
    char *text = json_dumps(request, JSON_COMPACT);
    world_let_stand();
    world_execute_request(world, text, ret_run);
    free(text);
}

static double amount_of(const json_t *owner, const char *shape, const char *member)
{
    return json_number_value(json_object_get(json_object_get(owner, shape), member));
}

/* From the start to the end: what is more is held from the decision on, what is less until the guest has given it. */
static double reserved_s(const json_t *execution, const char *member, gint64 end_at)
{
    const json_t *adjustments = json_object_get(execution, "adjustments");
    gint64 at = world_time_us(execution, "started_at");
    size_t i;
    json_t *adjustment;
    double has = json_array_size(adjustments) > 0 ? amount_of(json_array_get(adjustments, 0), "before", member)
                                                  : amount_of(execution, "shape", member);
    double sum = 0;
    json_array_foreach (adjustments, i, adjustment) {
        const double after = amount_of(adjustment, "after", member);
        if (after == amount_of(adjustment, "before", member) || json_object_get(adjustment, "confirmed_at") == NULL)
            continue;
        const gint64 changed_at = MIN(world_time_us(adjustment, after > has ? "at" : "confirmed_at"), end_at);
        sum += has * (double)MAX(0, changed_at - at) / G_USEC_PER_SEC;
        at = MAX(at, changed_at);
        has = after;
    }
    return sum + has * (double)MAX(0, end_at - at) / G_USEC_PER_SEC;
}

static void count_points(const struct world_run *run, gboolean has_memory, guint point_ms, struct tally *tally)
{
    guint seen = 0, wanted_ms, got_ms, mib, late_ms;
    for (const char *at = run->output; (at = strstr(at, "point ")) != NULL; at++) {
        if (sscanf(at, "point %u %u %u %u", &wanted_ms, &got_ms, &mib, &late_ms) != 4)
            break;
        seen++;
        tally->short_points += got_ms + GRAIN_MS < ENOUGH * wanted_ms || late_ms > LATE * point_ms;
        tally->used_cpu_s += got_ms / 1000.0;
        tally->used_mib_s += has_memory ? mib * (point_ms / 1000.0) : 0;
    }
    tally->points += POINTS;
    tally->short_points += POINTS - MIN(seen, POINTS);
}

static void count_run(const struct world_run *run, const struct course_plan *plan, guint point_ms, struct tally *tally)
{
    const gint64 end_at = world_time_us(run->execution, "started_at") + (gint64)POINTS * point_ms * 1000;
    tally->runs++;
    tally->changes += (guint)json_array_size(json_object_get(run->execution, "adjustments"));
    tally->lost += !world_run_succeeded(run);
    count_points(run, plan->has_memory, point_ms, tally);
    tally->reserved_cpu_s += reserved_s(run->execution, "vcpus", end_at);
    tally->reserved_mib_s += plan->has_memory ? reserved_s(run->execution, "memory_mib", end_at) : 0;
}

static double tally_cpu_slack(const struct tally *tally)
{
    return (tally->reserved_cpu_s - tally->used_cpu_s) / tally->used_cpu_s;
}

static double tally_memory_slack(const struct tally *tally)
{
    return tally->used_mib_s > 0 ? (tally->reserved_mib_s - tally->used_mib_s) / tally->used_mib_s : 0;
}

static double tally_slack(const struct tally *tally)
{
    return tally->used_mib_s > 0 ? (tally_cpu_slack(tally) + tally_memory_slack(tally)) / 2 : tally_cpu_slack(tally);
}

static double tally_shortage(const struct tally *tally)
{
    return (double)tally->short_points / tally->points;
}

static void tally_add(struct tally *sum, const struct tally *tally)
{
    sum->reserved_cpu_s += tally->reserved_cpu_s;
    sum->used_cpu_s += tally->used_cpu_s;
    sum->reserved_mib_s += tally->reserved_mib_s;
    sum->used_mib_s += tally->used_mib_s;
    sum->points += tally->points;
    sum->short_points += tally->short_points;
    sum->runs += tally->runs;
    sum->lost += tally->lost;
    sum->changes += tally->changes;
}

static void print_head(const char *what)
{
    g_print("%-24s %6s %10s %13s %10s %8s %6s\n", what, "runs", "CPU slack", "memory slack", "shortage", "changes",
            "lost");
}

static void print_tally(const char *name, const struct tally *tally)
{
    g_print("%-24s %6u %10.2f %13.2f %9.1f%% %8u %6u\n", name, tally->runs, tally_cpu_slack(tally),
            tally_memory_slack(tally), 100 * tally_shortage(tally), tally->changes, tally->lost);
}

static void play_runs(const struct course_plan *plan, char *policy, guint point_ms, guint runs, guint first,
                      struct tally *tallies)
{
    struct world *world = world_new(policy);
    for (guint i = 0; i < runs; i++) {
        struct world_run run;
        play(world, plan, point_ms, &run);
        struct tally tally = {0};
        count_run(&run, plan, point_ms, &tally);
        print_tally(tally_names[first + i], &tally);
        tally_add(&tallies[first + i], &tally);
        world_wait_gone(world, &run);
        world_run_clear(&run);
    }
    world_free(world);
    g_free(policy);
}

static guint argument(char **argv, guint number, guint fallback)
{
    for (guint i = 0; i <= number; i++)
        if (argv[i] == NULL)
            return fallback;
    return (guint)strtoul(argv[number], NULL, 10);
}

int main(int argc G_GNUC_UNUSED, char **argv)
{
    world_enter(argv);
    const guint point_ms = argument(argv, 1, POINT_MS);
    g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func(plan_free);
    struct tally tallies[TALLIES] = {0};
    plan_courses(trace_planetlab, argument(argv, 2, PLANETLAB), plans);
    plan_courses(trace_bitbrains, argument(argv, 3, BITBRAINS), plans);
    for (guint i = 0; i < plans->len; i++) {
        const struct course_plan *plan = plans->pdata[i];
        print_head(plan->name);
        play_runs(plan, policy_scaled("deep", point_ms), point_ms, 2, DEEP_FIRST, tallies);
        play_runs(plan, policy_scaled("simple", point_ms), point_ms, 2, SIMPLE_FIRST, tallies);
        play_runs(plan, policy_static(plan), point_ms, 1, STATIC, tallies);
    }
    print_head("all courses");
    for (guint i = 0; i < TALLIES; i++)
        print_tally(tally_names[i], &tallies[i]);
    g_print("bench courses n=%u deep_slack=%.3f deep_shortage=%.4f simple_slack=%.3f simple_shortage=%.4f"
            " static_slack=%.3f static_shortage=%.4f lost=%u\n",
            plans->len, tally_slack(&tallies[DEEP]), tally_shortage(&tallies[DEEP]), tally_slack(&tallies[SIMPLE]),
            tally_shortage(&tallies[SIMPLE]), tally_slack(&tallies[STATIC]), tally_shortage(&tallies[STATIC]),
            tallies[DEEP_FIRST].lost + tallies[DEEP].lost);
    return EXIT_SUCCESS;
}
