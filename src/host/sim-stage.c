/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

/* Programs put into simulated VMs before they are asked for, one at a time: the next takes the place of the one before. */

/* Takes `error`. */
static void sim_post_staged(struct sim *sim, const char *id, const char *execution_id, gint64 took_us, GError *error)
{
    struct event *event = sim_event(sim, EVENT_STAGED, id);
    event->execution_id = g_strdup(execution_id);
    event->count = took_us;
    event->error = error;
    sim_post(sim, event);
}

/* What is being staged is not any more. Takes `error`. */
static void sim_stage_end(struct sim *sim, struct sim_instance *instance, gint64 took_us, GError *error)
{
    g_autofree char *execution_id = g_steal_pointer(&instance->staging_id);
    g_clear_pointer(&instance->staging_digest, g_free);
    sim_post_staged(sim, instance->id, execution_id, took_us, error);
}

static void sim_step_staged(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    g_free(instance->staged_digest);
    instance->staged_digest = g_steal_pointer(&instance->staging_digest);
    sim_stage_end(sim, instance, (gint64)step->number, NULL);
}

static void sim_step_stage_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_stage_end(sim, instance, 0, hbr_error_new(HBR_ERROR_GUEST, "%s: the simulated staging failed", instance->id));
}

static GError *sim_check_stage(const struct sim *sim, const struct sim_instance *instance, const char *id)
{
    GError *error = sim_check_state(sim, instance, id, 1u << SIM_READY);
    if (error == NULL && instance->staging_id != NULL)
        error = hbr_error_new(HBR_ERROR_CONFLICT, "%s: another program is being staged", id);
    return error;
}

void sim_stage(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    GError *error = sim_check_stage(sim, instance, command->id);
    if (error != NULL) {
        sim_post_staged(sim, command->id, command->run->execution_id, 0, error);
        return;
    }
    const gint64 stage_us = sim_draw_work_us(sim, instance, sim->model.stage_ms, sim->model.warm_sigma);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_stage);
    g_clear_pointer(&instance->staged_digest, g_free);
    instance->staging_id = g_strdup(command->run->execution_id);
    instance->staging_digest = program_digest(&command->run->program);
    sim_plan(sim, instance, stage_us, fails ? sim_step_stage_failed : sim_step_staged)->number = (guint64)stage_us;
}

void sim_stage_lose(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    g_clear_pointer(&instance->staged_digest, g_free);
    if (instance->staging_id != NULL)
        sim_stage_end(sim, instance, 0, g_error_copy(reason));
}

gboolean sim_stage_take(struct sim_instance *instance, const struct program *program)
{
    g_autofree char *digest = program_digest(program);
    const gboolean is_staged = g_strcmp0(digest, instance->staged_digest) == 0;
    if (is_staged)
        g_clear_pointer(&instance->staged_digest, g_free);
    return is_staged;
}
