/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

/* Warm simulated VMs: they are paused, and claimed. */

GError *sim_check_idle(const struct sim *sim, const struct sim_instance *instance, const char *id, guint states)
{
    GError *error = sim_check_state(sim, instance, id, states);
    if (error != NULL)
        return error;
    if (instance->runs->len == 0 && instance->shapings->len == 0 && instance->staging_id == NULL)
        return NULL;
    return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the domain is in use", id);
}

/* Takes `error`. */
static void sim_post_paused(struct sim *sim, const char *id, GError *error)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_PAUSED, id);
    event->error = error;
    sim_post(sim, event);
}

/* A claim may have come meanwhile, which then begins. */
static void sim_step_paused(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    if (instance->state == SIM_PAUSING)
        instance->state = SIM_PAUSED;
    sim_post_paused(sim, instance->id, NULL);
}

static void sim_step_pause_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    if (instance->state == SIM_PAUSING)
        instance->state = SIM_READY;
    sim_post_paused(sim, instance->id,
                    hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated pause failed", instance->id));
}

void sim_pause(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    GError *error = sim_check_idle(sim, instance, command->id, 1u << SIM_READY);
    if (error != NULL) {
        sim_post_paused(sim, command->id, error);
        return;
    }
    const gint64 pause_us = sim_draw_work_us(sim, instance, sim->model.pause_ms, sim->model.warm_sigma);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_pause);
    instance->state = SIM_PAUSING;
    instance->paused_at = sim->now + pause_us;
    sim_plan(sim, instance, pause_us, fails ? sim_step_pause_failed : sim_step_paused);
}

void sim_pause_lose(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    instance->state = SIM_READY;
    sim_post_paused(sim, instance->id, g_error_copy(reason));
}

static void sim_start_claim(struct sim *sim, struct sim_instance *instance, gint64 timeout_ms)
{
    const struct sim_model *model = &sim->model;
    const gint64 resume_us = sim_draw_work_us(sim, instance, model->resume_ms, model->warm_sigma);
    const gint64 claim_us = sim_draw_work_us(sim, instance, model->claim_ms, model->warm_sigma);
    const gint64 fit_us = sim_draw_fit_us(sim, instance);
    const gint64 begin_us = instance->state == SIM_PAUSING ? instance->paused_at - sim->now : 0;
    const gint64 runs_us = instance->state == SIM_READY ? 0 : begin_us + resume_us;
    struct sim_start start = {
        .length_us = runs_us + claim_us + fit_us,
        .fail = model->fail_claim,
        .hang = model->hang_claim,
        .timeout_ms = timeout_ms,
        .milestones = {{"agent answered", runs_us + claim_us / 2}},
    };
    if (instance->state != SIM_READY) {
        start.milestones[1] = start.milestones[0];
        start.milestones[0] = (struct sim_milestone){"resumed", runs_us};
    }
    instance->state = SIM_CLAIMING;
    sim_start_plan(sim, instance, &start);
}

static GError *sim_check_fit(const struct sim *sim, const struct sim_instance *instance, const struct vm_shape *fit)
{
    GError *error = sim_check_maximum(instance->id, fit, &instance->maximum);
    return error != NULL ? error : sim_check_growth(sim, instance, fit);
}

/* Of an instance whose claim is answered as failed, nothing is left, but for one that could not be claimed at all. */
void sim_claim(struct sim *sim, struct command *command)
{
    const struct boot_spec *boot = command->boot;
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    GError *error = sim_check_idle(sim, instance, command->id, 1u << SIM_READY | 1u << SIM_PAUSING | 1u << SIM_PAUSED);
    if (error != NULL) {
        sim_post_failed(sim, command->id, error);
        return;
    }
    const struct vm_shape target = sim_shape_fit(&instance->shape, &boot->shape);
    error = sim_check_fit(sim, instance, &target);
    if (error != NULL) {
        sim_post_failed(sim, command->id, error);
        g_hash_table_remove(sim->instances, command->id);
        return;
    }
    instance->target = target;
    if (boot->sample_interval_ms > 0)
        instance->sample_interval_us = boot->sample_interval_ms * CLOCK_MS;
    g_clear_pointer(&instance->staged_digest, g_free);
    sim_start_claim(sim, instance, boot->timeout_ms);
}
