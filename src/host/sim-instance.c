/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

/* The VMs of a simulated host: they come, by a boot or as a clone, and go. */

void sim_instance_free(gpointer data)
{
    struct sim_instance *instance = data;
    g_ptr_array_unref(instance->runs);
    g_array_unref(instance->shapings);
    saved_state_free(instance->saving);
    g_free(instance->migrating_to);
    g_free(instance->staging_id);
    g_free(instance->staging_digest);
    g_free(instance->staged_digest);
    g_free(instance->template);
    g_free(instance->owner);
    g_free(instance->id);
    g_free(instance);
}

static void sim_free_run(gpointer run)
{
    sim_run_free(run);
}

const char *sim_instance_condition(const struct sim_instance *instance)
{
    static const char *const conditions[SIM_STATE_COUNT] = {
        [SIM_BOOTING] = "the domain is being started",    [SIM_READY] = "the domain is ready",
        [SIM_PAUSING] = "the domain is being paused",     [SIM_PAUSED] = "the domain is paused",
        [SIM_CLAIMING] = "the domain is being claimed",   [SIM_SAVING] = "the domain is being saved",
        [SIM_MIGRATING] = "the domain is being migrated", [SIM_DESTROYING] = "the domain is being destroyed",
    };
    return conditions[instance->state];
}

GError *sim_check_state(const struct sim *sim, const struct sim_instance *instance, const char *id, guint states)
{
    if (!sim_is_up(sim))
        return sim_down_error(sim);
    if (instance == NULL)
        return hbr_error_new(HBR_ERROR_NOT_FOUND, "%s: no such domain runs here", id);
    if ((states & 1u << instance->state) == 0)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: %s", id, sim_instance_condition(instance));
    return NULL;
}

void sim_instance_turn(struct sim_instance *instance)
{
    instance->epoch++;
    instance->is_sampled = FALSE;
}

static GError *sim_check_boot(const struct sim *sim, const struct boot_spec *boot)
{
    if (!sim_is_up(sim))
        return sim_down_error(sim);
    if (g_hash_table_contains(sim->instances, boot->instance_id))
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the domain exists already", boot->instance_id);
    if (boot->shape.vcpus == 0 || boot->shape.memory_mib == 0)
        return hbr_error_new(HBR_ERROR_INVALID, "%s: a VM needs at least 1 vCPU and 1 MiB", boot->instance_id);
    return NULL;
}

/* `saved`: what it is a clone of, or NULL. */
static struct sim_instance *sim_instance_new(const struct boot_spec *boot, const struct saved_state *saved)
{
    struct sim_instance *instance = g_new0(struct sim_instance, 1);
    instance->id = g_strdup(boot->instance_id);
    instance->owner = g_strdup(boot->owner);
    instance->template = g_strdup(saved != NULL ? saved->template : boot->template);
    instance->shape = saved != NULL ? saved->shape : boot->shape;
    instance->target = sim_shape_fit(&instance->shape, &boot->shape);
    instance->maximum = saved != NULL ? saved->maximum : boot->maximum;
    instance->sample_interval_us = (boot->sample_interval_ms > 0 ? boot->sample_interval_ms : 1000) * CLOCK_MS;
    instance->shapings = g_array_new(FALSE, FALSE, sizeof(struct sim_shaping));
    instance->runs = g_ptr_array_new_with_free_func(sim_free_run);
    return instance;
}

static void sim_start_boot(struct sim *sim, struct sim_instance *instance, gint64 timeout_ms)
{
    const gint64 boot_us = sim_draw_work_us(sim, instance, sim->model.boot_ms, sim->model.boot_sigma);
    const struct sim_start start = {
        .length_us = boot_us,
        .fail = sim->model.fail_boot,
        .hang = sim->model.hang_boot,
        .timeout_ms = timeout_ms,
        .milestones = {{"defined", boot_us / 20}, {"started", boot_us * 3 / 10}, {"agent answered", boot_us * 19 / 20}},
    };
    sim_start_plan(sim, instance, &start);
}

static void sim_start_clone(struct sim *sim, struct sim_instance *instance, gint64 timeout_ms)
{
    const gint64 clone_us = sim_draw_work_us(sim, instance, sim->model.clone_ms, sim->model.warm_sigma);
    const struct sim_start start = {
        .length_us = clone_us + sim_draw_fit_us(sim, instance),
        .fail = sim->model.fail_clone,
        .hang = sim->model.hang_clone,
        .timeout_ms = timeout_ms,
        .milestones = {{"restored", clone_us * 8 / 10}, {"agent answered", clone_us * 19 / 20}},
    };
    sim_start_plan(sim, instance, &start);
}

/* NULL with an error when there cannot be such an instance. */
static struct sim_instance *sim_instance_define(struct sim *sim, const struct boot_spec *boot, GError **error)
{
    const struct saved_state *saved = boot->saved != NULL ? sim_saved_open(sim, boot->saved, error) : NULL;
    if (boot->saved != NULL && saved == NULL)
        return NULL;
    struct sim_instance *instance = sim_instance_new(boot, saved);
    const struct vm_shape *target = &instance->target;
    GError *refusal = saved != NULL ? sim_check_maximum(instance->id, target, &saved->maximum) : NULL;
    if (refusal == NULL)
        refusal = sim_check_room(sim, target->vcpus, target->memory_mib);
    if (refusal == NULL)
        return instance;
    sim_instance_free(instance);
    g_propagate_error(error, refusal);
    return NULL;
}

void sim_boot(struct sim *sim, struct command *command)
{
    const struct boot_spec *boot = command->boot;
    GError *error = sim_check_boot(sim, boot);
    struct sim_instance *instance = error == NULL ? sim_instance_define(sim, boot, &error) : NULL;
    if (instance == NULL) {
        sim_post_failed(sim, boot->instance_id, error);
        return;
    }
    g_hash_table_insert(sim->instances, instance->id, instance);
    if (boot->saved != NULL)
        sim_start_clone(sim, instance, boot->timeout_ms);
    else
        sim_start_boot(sim, instance, boot->timeout_ms);
}

static void sim_step_adopted(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post_ready(sim, instance);
}

/* Simulated hosts do not know each other: one that was moved comes into being where it is adopted. */
static void sim_arrive(struct sim *sim, const struct boot_spec *boot)
{
    GError *error = sim_check_room(sim, boot->shape.vcpus, boot->shape.memory_mib);
    if (error != NULL) {
        sim_post_failed(sim, boot->instance_id, error);
        return;
    }
    struct sim_instance *instance = sim_instance_new(boot, NULL);
    instance->state = SIM_READY;
    instance->epoch = sim->step_count; /* it may have been here before */
    instance->settled_at = sim->now;
    g_hash_table_insert(sim->instances, instance->id, instance);
    sim_plan(sim, instance, sim_draw_us(sim->random, sim->model.shape_other_ms, 0), sim_step_adopted);
}

void sim_adopt(struct sim *sim, struct command *command)
{
    const char *id = command->boot->instance_id;
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, id);
    if (!sim_is_up(sim)) {
        sim_post_failed(sim, id, sim_down_error(sim));
    } else if (instance == NULL && command->boot->is_migrated) {
        sim_arrive(sim, command->boot);
    } else if (instance == NULL || instance->state != SIM_READY) {
        sim_post_failed(sim, id, hbr_error_new(HBR_ERROR_NOT_FOUND, "%s: no such domain runs here", id));
    } else {
        instance->maximum = command->boot->maximum;
        sim_plan(sim, instance, sim_draw_us(sim->random, sim->model.shape_other_ms, 0), sim_step_adopted);
    }
}

/* Nothing that was under way in it goes on. */
static void sim_instance_stop(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    sim_instance_turn(instance);
    sim_guest_lose(sim, instance, reason->message);
    sim_shape_lose(sim, instance, reason);
    sim_stage_lose(sim, instance, reason);
    sim_migrate_lose(sim, instance, reason);
}

void sim_instance_die(struct sim *sim, struct sim_instance *instance, GError *reason)
{
    sim_instance_stop(sim, instance, reason);
    struct event *event = sim_event(sim, EVENT_INSTANCE_GONE, instance->id);
    event->error = reason;
    sim_post(sim, event);
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_step_destroyed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post(sim, sim_event(sim, EVENT_INSTANCE_DESTROYED, instance->id));
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_plan_destroy(struct sim *sim, struct sim_instance *instance)
{
    sim_plan(sim, instance, sim_draw_us(sim->random, sim->model.destroy_ms, 0), sim_step_destroyed);
}

void sim_destroy(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    if (instance != NULL && instance->state == SIM_DESTROYING && sim_is_up(sim))
        return; /* its one answer is on the way */
    if (instance != NULL && instance->state != SIM_DESTROYING) {
        g_autoptr(GError) reason =
            hbr_error_new(HBR_ERROR_CANCELLED, "%s: the instance is being destroyed", command->id);
        sim_guest_catch_up(sim, instance);
        sim_instance_stop(sim, instance, reason);
        instance->state = SIM_DESTROYING;
    }
    if (sim_is_up(sim) && instance != NULL) {
        sim_plan_destroy(sim, instance);
        return;
    }
    struct event *event = sim_event(sim, EVENT_INSTANCE_DESTROYED, command->id);
    event->error = sim_is_up(sim) ? NULL : sim_down_error(sim);
    sim_post(sim, event);
}

/* Its state's own answer, when the connection is lost while it is awaited. TRUE when it does not outlive that. */
static gboolean sim_instance_answer_lost(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    struct event *event;
    switch (instance->state) {
    case SIM_BOOTING:
    case SIM_CLAIMING:
        sim_post_failed(sim, instance->id, g_error_copy(reason));
        return TRUE;
    case SIM_SAVING:
        sim_post_save_failed(sim, instance, g_error_copy(reason));
        return TRUE;
    case SIM_PAUSING:
        sim_pause_lose(sim, instance, reason);
        return FALSE;
    case SIM_DESTROYING:
        event = sim_event(sim, EVENT_INSTANCE_DESTROYED, instance->id);
        event->error = g_error_copy(reason);
        sim_post(sim, event);
        return FALSE;
    default:
        return FALSE;
    }
}

void sim_instance_lose(struct sim *sim, struct sim_instance *instance)
{
    g_autoptr(GError) reason = sim_down_error(sim);
    sim_guest_catch_up(sim, instance);
    sim_instance_stop(sim, instance, reason);
    if (sim_instance_answer_lost(sim, instance, reason) || sim->model.down_kills)
        g_hash_table_remove(sim->instances, instance->id);
}

void sim_instance_return(struct sim *sim, struct sim_instance *instance)
{
    if (instance->state != SIM_DESTROYING)
        return;
    instance->epoch++; /* a destruction that was planned before a reconnection */
    sim_plan_destroy(sim, instance);
}
