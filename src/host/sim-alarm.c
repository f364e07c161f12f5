/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

#include <math.h>

/* What simulated guests speak up about by themselves: COMMAND_ALARM. At the mark of memory the runs that want more are held back, as the kernel
 * does (memory.high), for a bounded time; then they go on to the limit. */

#define REPEAT_US (100 * CLOCK_MS)
#define NEARLY 1e-6

static void sim_post_pressure(struct sim *sim, const struct sim_instance *instance, enum pressure cause)
{
    struct event *event = sim_event(sim, EVENT_SAMPLE, instance->id);
    event->sample = g_new0(struct usage_sample, 1);
    event->sample->at = sim->now;
    event->sample->pressure = cause;
    event->sample->has_guest = TRUE;
    event->sample->runnable = sim_runs_cpu(instance->runs);
    event->sample->memory_used_mib = (guint)ceil(sim_runs_memory_mib(instance->runs));
    event->sample->memory_total_mib = event->sample->memory_limit_mib = instance->shape.memory_mib;
    event->sample->vcpus_online = instance->shape.vcpus;
    sim_post(sim, event);
}

static double sim_alarm_mark_mib(const struct sim_instance *instance)
{
    const double share = instance->alarm.memory_share;
    return share > 0 ? share * instance->shape.memory_mib : INFINITY;
}

static gboolean sim_alarm_is_passed(const struct sim_instance *instance)
{
    return sim_runs_memory_mib(instance->runs) > sim_alarm_mark_mib(instance);
}

double sim_alarm_next_mib(const struct sim_instance *instance)
{
    return sim_alarm_is_passed(instance) ? INFINITY : sim_alarm_mark_mib(instance);
}

static void sim_step_pressed(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    if (instance->pressed_at == 0 || step->number != (guint64)instance->pressed_at)
        return;
    sim_guest_catch_up(sim, instance);
    instance->is_held &= sim->now - instance->pressed_at < (gint64)(sim->model.hold_ms * CLOCK_MS);
    sim_post_pressure(sim, instance, PRESSURE_MEMORY);
    sim_plan(sim, instance, REPEAT_US, sim_step_pressed)->number = step->number;
    sim_guest_settle(sim, instance);
}

static void sim_alarm_memory(struct sim *sim, struct sim_instance *instance)
{
    const gboolean is_passed = sim_alarm_is_passed(instance);
    if (is_passed == (instance->pressed_at != 0))
        return;
    instance->is_held = is_passed;
    instance->pressed_at = is_passed ? sim->now : 0;
    if (!is_passed)
        return;
    sim_post_pressure(sim, instance, PRESSURE_MEMORY);
    sim_plan(sim, instance, REPEAT_US, sim_step_pressed)->number = (guint64)sim->now;
}

static void sim_step_stalled(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    if (instance->stalled_at == 0 || step->number != (guint64)instance->stalled_at)
        return;
    sim_guest_catch_up(sim, instance);
    sim_post_pressure(sim, instance, PRESSURE_CPU_STALL);
    sim_plan(sim, instance, MAX(instance->alarm.window_us, REPEAT_US), sim_step_stalled)->number = step->number;
    sim_guest_settle(sim, instance);
}

static void sim_alarm_cpu(struct sim *sim, struct sim_instance *instance)
{
    const gboolean is_short =
        instance->alarm.cpu_stall_us > 0 && sim_runs_cpu(instance->runs) > sim_shape_cpus(&instance->shape) + NEARLY;
    if (is_short == (instance->stalled_at != 0))
        return;
    instance->stalled_at = is_short ? sim->now : 0;
    if (is_short)
        sim_plan(sim, instance, instance->alarm.cpu_stall_us, sim_step_stalled)->number = (guint64)sim->now;
}

void sim_alarm_check(struct sim *sim, struct sim_instance *instance)
{
    sim_alarm_memory(sim, instance);
    sim_alarm_cpu(sim, instance);
}

void sim_alarm(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    if (instance == NULL || instance->state != SIM_READY || !sim_is_up(sim))
        return;
    sim_guest_catch_up(sim, instance);
    instance->alarm = command->alarm;
    sim_guest_settle(sim, instance);
}
