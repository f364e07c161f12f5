/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

/* Simulated VMs leave for another host. */

/* Takes `error`. */
static void sim_post_migrated(struct sim *sim, const char *id, const char *target, GError *error)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_MIGRATED, id);
    event->text = g_strdup(target);
    event->error = error;
    sim_post(sim, event);
}

/* It stays. Takes `error`. */
static void sim_migrate_end(struct sim *sim, struct sim_instance *instance, GError *error)
{
    g_autofree char *target = g_steal_pointer(&instance->migrating_to);
    instance->state = SIM_READY;
    sim_instance_turn(instance);
    sim_post_migrated(sim, instance->id, target, error);
}

static void sim_step_migrated(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post_migrated(sim, instance->id, instance->migrating_to, NULL);
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_step_migrate_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_migrate_end(sim, instance,
                    hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated migration failed", instance->id));
}

static void sim_step_migrate_late(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_migrate_end(sim, instance,
                    hbr_error_new(HBR_ERROR_TIMEOUT, "%s: it was not moved within %" G_GUINT64_FORMAT " ms",
                                  instance->id, step->number));
}

/* All draws are made whatever comes of them, as in sim_start_plan. */
void sim_migrate(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    GError *error = sim_check_idle(sim, instance, command->id, 1u << SIM_READY);
    if (error != NULL) {
        sim_post_migrated(sim, command->id, command->host_spec->name, error);
        return;
    }
    const gint64 length_us = sim_draw_work_us(sim, instance, sim->model.migrate_ms, sim->model.warm_sigma);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_migrate);
    const gboolean hangs = sim_draw_fault(sim->random, sim->model.hang_migrate);
    instance->state = SIM_MIGRATING;
    instance->migrating_to = g_strdup(command->host_spec->name);
    if (!hangs)
        sim_plan(sim, instance, length_us, fails ? sim_step_migrate_failed : sim_step_migrated);
    sim_plan(sim, instance, command->count * CLOCK_MS, sim_step_migrate_late)->number = (guint64)command->count;
}

void sim_migrate_lose(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    if (instance->state == SIM_MIGRATING)
        sim_migrate_end(sim, instance, g_error_copy(reason));
}
