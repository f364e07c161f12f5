/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core-replay.h"

#include "base/clock.h"
#include "core/core.h"
#include "host/sim.h"
#include "plan/sizing.h"
#include "policy/policy.h"

#include <math.h>

#define START_S 60
#define VCPUS_MAX 64
#define MEMORY_MAX_GIB 512
#define LEAST_MIB 64
#define HOST "sim:h?vcpus=64&memory_mib=1048576"

struct bed {
    const struct trial *trial;
    struct core_tally *tallies;
    struct policy *policy;
    struct core *core;
    struct hypervisor *host;
    GQueue events; /* posted by the host and the store */
    gint64 now, started_at, counted_at;
    struct vm_shape shape;             /* that the instance has */
    guint short_point[RESOURCE_COUNT]; /* the last one */
};

static double bed_used(const struct bed *bed, enum resource resource, guint point)
{
    const GArray *used = bed->trial->vm->used[resource];
    return used != NULL ? g_array_index(used, double, bed->trial->begin + point) : 0;
}

static double bed_has(const struct bed *bed, enum resource resource)
{
    const struct vm_shape *shape = &bed->shape;
    if (resource == RESOURCE_CPU)
        return shape->cpu_percent > 0 ? MIN(shape->vcpus, shape->cpu_percent / 100.0) : shape->vcpus;
    return shape->memory_mib > SIZING_GUEST_MIB ? shape->memory_mib - SIZING_GUEST_MIB : 0;
}

static void bed_count_part(struct bed *bed, enum resource resource, guint point, double seconds)
{
    const double used = bed_used(bed, resource, point), idle = bed_has(bed, resource) - used;
    struct core_tally *tally = &bed->tallies[resource];
    if (point == 0 || bed->trial->vm->used[resource] == NULL)
        return;
    tally->points.used += used * seconds;
    tally->points.idle += MAX(0, idle) * seconds;
    if (idle >= 0)
        return;
    tally->short_s += seconds;
    tally->points.shortages += bed->short_point[resource] != point;
    bed->short_point[resource] = point;
}

/* Up to now, with the shape that it had. */
static void bed_count(struct bed *bed)
{
    const gint64 end_at = MIN(bed->now, bed->started_at + CORE_REPLAY_POINTS * CLOCK_SECOND);
    while (bed->started_at != 0 && bed->counted_at < end_at) {
        const gint64 point = (bed->counted_at - bed->started_at) / CLOCK_SECOND;
        const gint64 until = MIN(end_at, bed->started_at + (point + 1) * CLOCK_SECOND);
        for (enum resource resource = RESOURCE_CPU; resource <= RESOURCE_MEMORY; resource++)
            bed_count_part(bed, resource, (guint)point, (double)(until - bed->counted_at) / CLOCK_SECOND);
        bed->counted_at = until;
    }
}

/* As the host and the store tell it: seen here before the core sees it. */
static void bed_post(struct event *event, gpointer data)
{
    struct bed *bed = data;
    bed_count(bed);
    if (event->kind == EVENT_INSTANCE_READY || event->kind == EVENT_INSTANCE_SHAPED)
        bed->shape = event->shape;
    if (event->kind == EVENT_RUN_STARTED)
        bed->started_at = bed->counted_at = bed->now;
    g_queue_push_tail(&bed->events, event);
}

static void bed_connect(struct bed *bed, const struct command *command)
{
    g_autoptr(GError) error = NULL;
    bed->host = sim_hypervisor_new(command->host_spec, bed_post, bed, &error);
    if (bed->host == NULL)
        g_error("%s", error->message);
}

static void bed_sink(struct command *command, gpointer data)
{
    struct bed *bed = data;
    if (command->kind == COMMAND_PERSIST) {
        struct event *event = event_new(EVENT_COMMITTED);
        event->serial = command->serial;
        bed_post(event, bed);
    }
    if (command->kind == COMMAND_HOST_CONNECT)
        bed_connect(bed, command);
    if (command->kind == COMMAND_PERSIST || command->kind == COMMAND_REPLY || command->kind == COMMAND_STREAM ||
        command->kind == COMMAND_CODE_KEEP || command->kind == COMMAND_CODE_FETCH)
        command_free(command);
    else
        hypervisor_submit(bed->host, bed->now, command);
}

static void bed_drain(struct bed *bed)
{
    for (struct event *event; (event = g_queue_pop_head(&bed->events)) != NULL;)
        core_handle(bed->core, event, bed->now);
}

static gint64 bed_next_at(struct bed *bed)
{
    return MIN(core_next_at(bed->core), bed->host != NULL ? hypervisor_next_at(bed->host) : CLOCK_NEVER);
}

static void bed_pass(struct bed *bed, gint64 seconds)
{
    const gint64 until = bed->now + seconds * CLOCK_SECOND;
    for (bed_drain(bed); bed_next_at(bed) <= until; bed_drain(bed)) {
        bed->now = MAX(bed->now, bed_next_at(bed));
        hypervisor_advance(bed->host, bed->now);
        bed_post(event_new(EVENT_TICK), bed);
    }
    bed->now = until;
    bed_count(bed);
}

/* Scaling is as the policy has it by default, but for the prices. The VM begins with the median, below which its memory does not go; its CPUs are capped, so
 * that it can have parts of one. */
static struct policy *policy_for(const struct trial *trial, double knob)
{
    const struct quantiles cpu = trial_quantiles(trial, RESOURCE_CPU);
    struct quantiles mib = {LEAST_MIB, LEAST_MIB, LEAST_MIB};
    if (trial->vm->used[RESOURCE_MEMORY] != NULL)
        mib = trial_quantiles(trial, RESOURCE_MEMORY);
    const double begin = CLAMP(cpu.p90, 0.01, VCPUS_MAX);
    g_autofree char *text = g_strdup_printf(
        "profiles:\n"
        "  - { name: p, template: base, vcpus: %.0f, cpu_cap: %.0f %%, memory: 64 MiB,"
        " maximum: { vcpus: %d, cpu_cap: %d %%, memory: %d GiB } }\n"
        "classes:\n"
        "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: %.6f, p90: %.6f, p99: %.6f },\n"
        "      memory: { p50: %.0f MiB, p90: %.0f MiB, p99: %.0f MiB } } }\n"
        "provisioning: { headroom: 1, memory_min: 64 MiB, memory_step: 2 MiB,"
        " prices: { memory: { shortage: 1, waste: 1 } } }\n"
        "limits: { wall: 24 h }\n"
        "scaling: { cpu_shortage: %.3f, memory_shortage: %.0f MiB }\n",
        ceil(begin), ceil(begin * 100), VCPUS_MAX, VCPUS_MAX * 100, MEMORY_MAX_GIB, cpu.p50, cpu.p90, cpu.p99, mib.p50,
        mib.p90, mib.p99, knob * ours_unit(RESOURCE_CPU), knob * ours_unit(RESOURCE_MEMORY));
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    struct policy_source source = {.name = (char *)"replay.yaml", .text = text};
    g_ptr_array_add(sources, &source);
    g_autoptr(GError) error = NULL;
    struct policy *policy = policy_parse(sources, &error);
    if (policy == NULL)
        g_error("%s", error->message);
    return policy;
}

static char *course_source(const struct bed *bed)
{
    GString *source = g_string_new(NULL);
    for (guint point = 0; point < CORE_REPLAY_POINTS; point++)
        g_string_append_printf(source, "# sim: duration_ms=1000 paced=1 ramp_ms=0 cpu=%.6f memory_mib=%.3f\n",
                               bed_used(bed, RESOURCE_CPU, point), bed_used(bed, RESOURCE_MEMORY, point));
    return g_string_free(source, FALSE);
}

static void bed_attach(struct bed *bed)
{
    struct event *event = event_new(EVENT_HOST_ATTACH);
    event->host_spec = g_new0(struct host_spec, 1);
    event->host_spec->name = g_strdup("h");
    event->host_spec->uri = g_strdup(HOST);
    bed_post(event, bed);
    bed_pass(bed, 1);
}

static void bed_execute(struct bed *bed)
{
    struct event *event = event_new(EVENT_EXECUTE);
    event->request = 1;
    event->execution_request = g_new0(struct execution_request, 1);
    event->execution_request->code.function = g_strdup("f");
    event->execution_request->program.interpreter = g_strdup("sh");
    event->execution_request->program.source = course_source(bed);
    bed_post(event, bed);
}

void core_replay(const struct trial *trial, double knob, struct core_tally tallies[RESOURCE_COUNT])
{
    struct bed bed = {
        .trial = trial, .tallies = tallies, .now = 1700000000 * CLOCK_SECOND, .policy = policy_for(trial, knob)};
    const struct core_settings settings = {.owner = "bench", .seed = 1, .sink = bed_sink, .sink_data = &bed};
    bed.core = core_new(&settings, bed.policy, bed.now);
    bed_attach(&bed);
    bed_execute(&bed);
    bed_pass(&bed, START_S + CORE_REPLAY_POINTS);
    if (bed.counted_at != bed.started_at + CORE_REPLAY_POINTS * CLOCK_SECOND)
        g_error("the course of %s did not come to its end", trial->vm->name);
    for (enum resource resource = RESOURCE_CPU; resource <= RESOURCE_MEMORY; resource++)
        tallies[resource].points.looks += CORE_REPLAY_POINTS - 1;
    hypervisor_free(bed.host);
    core_free(bed.core);
    g_queue_clear_full(&bed.events, (GDestroyNotify)event_free);
    policy_unref(bed.policy);
}
