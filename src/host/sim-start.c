/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

#include <math.h>

/* The way of a simulated VM to being ready: by a boot, a clone or a claim. */

static guint sim_count_warm_ups(const struct sim *sim, const struct sim_instance *but)
{
    guint count = 0;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, sim->instances);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct sim_instance *instance = value;
        count += instance != but && (instance->state == SIM_BOOTING || instance->state == SIM_SAVING);
    }
    return count;
}

gint64 sim_draw_work_us(struct sim *sim, const struct sim_instance *instance, double median_ms, double sigma)
{
    const gint64 length_us = sim_draw_us(sim->random, median_ms, sigma);
    if (!sim->model.contention)
        return length_us;
    const double stretch = (sim_count_warm_ups(sim, instance) + 1.0) / sim->model.vcpus;
    return (gint64)llround((double)length_us * MAX(1, stretch));
}

void sim_post_failed(struct sim *sim, const char *id, GError *error)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_FAILED, id);
    event->error = error;
    sim_post(sim, event);
}

void sim_post_ready(struct sim *sim, const struct sim_instance *instance)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_READY, instance->id);
    event->shape = instance->shape;
    event->text = g_strdup("simulated");
    sim_post(sim, event);
}

static void sim_step_milestone(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED, struct sim_step *step)
{
    sim_post(sim, g_steal_pointer(&step->event));
}

static void sim_step_ready(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    instance->state = SIM_READY;
    instance->shape = instance->target;
    instance->settled_at = sim->now;
    sim_instance_turn(instance);
    sim_post_ready(sim, instance);
}

static void sim_step_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post_failed(sim, instance->id,
                    hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated %s failed", instance->id,
                                  instance->state == SIM_CLAIMING ? "claim" : "start"));
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_step_timeout(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_post_failed(sim, instance->id,
                    hbr_error_new(HBR_ERROR_TIMEOUT,
                                  "%s: the guest's agent did not answer within %" G_GUINT64_FORMAT " ms", instance->id,
                                  step->number));
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_plan_milestones(struct sim *sim, struct sim_instance *instance, const struct sim_start *start)
{
    for (guint i = 0; i < G_N_ELEMENTS(start->milestones) && start->milestones[i].text != NULL; i++) {
        struct event *event = sim_event(sim, EVENT_INSTANCE_PROGRESS, instance->id);
        event->text = g_strdup(start->milestones[i].text);
        sim_plan(sim, instance, start->milestones[i].after_us, sim_step_milestone)->event = event;
    }
}

/* All draws are made whatever comes of them, so that one fault does not shift the others. */
void sim_start_plan(struct sim *sim, struct sim_instance *instance, const struct sim_start *start)
{
    const gboolean fails = sim_draw_fault(sim->random, start->fail);
    const gboolean hangs = sim_draw_fault(sim->random, start->hang);
    const gint64 failure_us = (gint64)((double)start->length_us * g_rand_double(sim->random));
    if (start->timeout_ms > 0)
        sim_plan(sim, instance, start->timeout_ms * CLOCK_MS, sim_step_timeout)->number = (guint64)start->timeout_ms;
    if (fails) {
        sim_plan(sim, instance, failure_us, sim_step_failed);
    } else if (!hangs) {
        sim_plan_milestones(sim, instance, start);
        sim_plan(sim, instance, start->length_us, sim_step_ready);
    }
}
