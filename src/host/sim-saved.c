/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

#include <string.h>

/* The saved states of a simulated host: what it would have in files, so they outlive instances and connections. */

#define MIB (1024.0 * 1024)

/* Takes `error`. */
static void sim_post_saved(struct sim *sim, const char *id, const struct saved_state *saved, GError *error)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_SAVED, id);
    event->saved = saved_state_copy(saved);
    event->error = error;
    sim_post(sim, event);
}

static void sim_step_saved(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    struct saved_state *saved = g_steal_pointer(&instance->saving);
    saved->created_at = sim->now;
    g_hash_table_replace(sim->saved, saved->id, saved);
    sim_post_saved(sim, instance->id, saved, NULL);
    g_hash_table_remove(sim->instances, instance->id);
}

void sim_post_save_failed(struct sim *sim, struct sim_instance *instance, GError *error)
{
    sim_post_saved(sim, instance->id, instance->saving, error);
}

static void sim_step_save_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post_save_failed(sim, instance,
                         hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated saving failed", instance->id));
    g_hash_table_remove(sim->instances, instance->id);
}

/* What the command leaves open is as the instance is. */
static struct saved_state *sim_saved_new(const struct sim *sim, const struct sim_instance *instance,
                                         const struct saved_state *wanted)
{
    struct saved_state *saved = saved_state_copy(wanted);
    saved->shape = instance->shape;
    saved->maximum = instance->maximum;
    saved->bytes = (gint64)(sim->model.saved_mib * MIB);
    if (saved->template == NULL)
        saved->template = g_strdup(instance->template);
    if (saved->fingerprint == NULL)
        saved->fingerprint = g_strdup("sim " PACKAGE_VERSION);
    return saved;
}

static GError *sim_check_save(const struct sim *sim, const struct saved_state *wanted)
{
    if (!sim->model.saves)
        return hbr_error_new(HBR_ERROR_UNSUPPORTED, "%s: this host cannot save VMs", sim->head.name);
    if (g_hash_table_contains(sim->saved, wanted->id))
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the saved state exists already", wanted->id);
    return NULL;
}

/* The instance ends by it in any case, but for one that could not be saved for its own state. */
void sim_save(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    GError *error = sim_check_idle(sim, instance, command->id, 1u << SIM_READY | 1u << SIM_PAUSED);
    if (error != NULL) {
        sim_post_saved(sim, command->id, command->saved, error);
        return;
    }
    error = sim_check_save(sim, command->saved);
    if (error != NULL) {
        sim_post_saved(sim, command->id, command->saved, error);
        g_hash_table_remove(sim->instances, command->id);
        return;
    }
    const gint64 save_us = sim_draw_work_us(sim, instance, sim->model.save_ms, sim->model.warm_sigma);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_save);
    instance->saving = sim_saved_new(sim, instance, command->saved);
    instance->state = SIM_SAVING;
    sim_plan(sim, instance, save_us, fails ? sim_step_save_failed : sim_step_saved);
}

void sim_forget_saved(struct sim *sim, struct command *command)
{
    if (sim_is_up(sim))
        g_hash_table_remove(sim->saved, command->saved->id);
}

static GError *sim_saved_fault(const char *id, gboolean exists)
{
    if (exists)
        return hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated saved state is damaged", id);
    return hbr_error_new(HBR_ERROR_NOT_FOUND, "%s: no such saved state is here", id);
}

const struct saved_state *sim_saved_open(struct sim *sim, const char *id, GError **error)
{
    const struct saved_state *saved = g_hash_table_lookup(sim->saved, id);
    const gboolean is_damaged = sim_draw_fault(sim->random, sim->model.damage);
    if (saved != NULL && !is_damaged)
        return saved;
    GError *fault = sim_saved_fault(id, saved != NULL);
    struct event *event = sim_event(sim, EVENT_SAVED_LOST, id);
    event->error = g_error_copy(fault);
    sim_post(sim, event);
    g_hash_table_remove(sim->saved, id);
    g_propagate_error(error, fault);
    return NULL;
}

void sim_saved_free(gpointer saved)
{
    saved_state_free(saved);
}

static gint sim_compare_ids(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

GPtrArray *sim_saved_list(const struct sim *sim)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(sim_saved_free);
    GList *ids = g_list_sort(g_hash_table_get_keys(sim->saved), sim_compare_ids);
    for (const GList *link = ids; link != NULL; link = link->next)
        g_ptr_array_add(list, saved_state_copy(g_hash_table_lookup(sim->saved, link->data)));
    g_list_free(ids);
    return list;
}
