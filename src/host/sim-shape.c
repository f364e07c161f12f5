/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

/* The shapes of simulated VMs, and the room that the machine has for them. */

/* The most of each; 0 of a bandwidth or a CPU cap is no limit. */
static struct vm_shape sim_shape_up(const struct vm_shape *a, const struct vm_shape *b)
{
    const struct vm_shape up = {
        .vcpus = MAX(a->vcpus, b->vcpus),
        .memory_mib = MAX(a->memory_mib, b->memory_mib),
        .gpus = MAX(a->gpus, b->gpus),
        .network_mbps = a->network_mbps == 0 || b->network_mbps == 0 ? 0 : MAX(a->network_mbps, b->network_mbps),
        .disk_mbps = a->disk_mbps == 0 || b->disk_mbps == 0 ? 0 : MAX(a->disk_mbps, b->disk_mbps),
        .cpu_percent = a->cpu_percent == 0 || b->cpu_percent == 0 ? 0 : MAX(a->cpu_percent, b->cpu_percent),
    };
    return up;
}

/* What it has and may be about to get. */
static struct vm_shape sim_instance_promised(const struct sim_instance *instance)
{
    struct vm_shape promised = sim_shape_up(&instance->shape, &instance->target);
    for (guint i = 0; i < instance->shapings->len; i++)
        promised = sim_shape_up(&promised, &g_array_index(instance->shapings, struct sim_shaping, i).target);
    return promised;
}

GError *sim_check_room(const struct sim *sim, guint64 more_vcpus, guint64 more_memory_mib)
{
    GHashTableIter iter;
    gpointer value;
    guint64 vcpus = more_vcpus, memory_mib = more_memory_mib;
    g_hash_table_iter_init(&iter, sim->instances);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct vm_shape promised = sim_instance_promised(value);
        vcpus += promised.vcpus;
        memory_mib += promised.memory_mib;
    }
    const double vcpus_max = sim->model.vcpus * sim->cpu_overcommit;
    const double memory_max_mib = sim->model.memory_mib * sim->memory_overcommit;
    if ((double)vcpus <= vcpus_max && (double)memory_mib <= memory_max_mib)
        return NULL;
    return hbr_error_new(HBR_ERROR_EXHAUSTED,
                         "%s: the host is full: %" G_GUINT64_FORMAT " vCPUs and %" G_GUINT64_FORMAT
                         " MiB would be promised, right would be at most %.0f and %.0f",
                         sim->head.name, vcpus, memory_mib, vcpus_max, memory_max_mib);
}

GError *sim_check_growth(const struct sim *sim, const struct sim_instance *instance, const struct vm_shape *to)
{
    const struct vm_shape before = sim_instance_promised(instance), after = sim_shape_up(&before, to);
    return sim_check_room(sim, after.vcpus - before.vcpus, after.memory_mib - before.memory_mib);
}

GError *sim_check_maximum(const char *id, const struct vm_shape *shape, const struct vm_shape *maximum)
{
    if (shape->vcpus <= maximum->vcpus && shape->memory_mib <= maximum->memory_mib)
        return NULL;
    return hbr_error_new(HBR_ERROR_UNSUPPORTED, "%s: %u vCPUs and %u MiB wanted, it was defined for at most %u and %u",
                         id, shape->vcpus, shape->memory_mib, maximum->vcpus, maximum->memory_mib);
}

static double sim_shape_median_ms(const struct sim_model *model, const struct vm_shape *from, const struct vm_shape *to)
{
    const guint vcpus_added = to->vcpus > from->vcpus ? to->vcpus - from->vcpus : 0;
    const double cpu_ms = model->shape_cpu_ms * vcpus_added;
    const double median_ms = to->memory_mib > from->memory_mib ? cpu_ms + model->shape_memory_ms : cpu_ms;
    return median_ms > 0 ? median_ms : model->shape_other_ms;
}

struct vm_shape sim_shape_fit(const struct vm_shape *there, const struct vm_shape *wanted)
{
    struct vm_shape fit = *wanted;
    fit.vcpus = MAX(there->vcpus, wanted->vcpus);
    fit.memory_mib = MAX(there->memory_mib, wanted->memory_mib);
    fit.gpus = MAX(there->gpus, wanted->gpus);
    return fit;
}

gint64 sim_draw_fit_us(struct sim *sim, const struct sim_instance *instance)
{
    const struct vm_shape *from = &instance->shape, *to = &instance->target;
    const double median_ms = vm_shape_equal(from, to) ? 0 : sim_shape_median_ms(&sim->model, from, to);
    return sim_draw_work_us(sim, instance, median_ms, sim->model.shape_sigma);
}

static void sim_post_shaped(struct sim *sim, const char *id, guint64 serial, const struct vm_shape *shape,
                            GError *error)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_SHAPED, id);
    event->serial = serial;
    event->error = error;
    if (shape != NULL)
        event->shape = *shape;
    sim_post(sim, event);
}

static struct vm_shape sim_take_shaping(struct sim_instance *instance, guint64 serial)
{
    struct vm_shape target = instance->shape;
    for (guint i = 0; i < instance->shapings->len; i++) {
        const struct sim_shaping shaping = g_array_index(instance->shapings, struct sim_shaping, i);
        if (shaping.serial != serial)
            continue;
        target = shaping.target;
        if (target.network_mbps == shaping.before.network_mbps)
            target.network_mbps = instance->shape.network_mbps;
        if (target.disk_mbps == shaping.before.disk_mbps)
            target.disk_mbps = instance->shape.disk_mbps;
        if (target.cpu_percent == shaping.before.cpu_percent)
            target.cpu_percent = instance->shape.cpu_percent;
        if (target.gpus == shaping.before.gpus)
            target.gpus = instance->shape.gpus;
        g_array_remove_index(instance->shapings, i);
        break;
    }
    return target;
}

static void sim_step_shaped(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    const struct vm_shape target = sim_take_shaping(instance, step->number);
    sim_guest_catch_up(sim, instance);
    instance->shape = sim_shape_fit(&instance->shape, &target);
    instance->shape.gpus = target.gpus;
    sim_post_shaped(sim, instance->id, step->number, &instance->shape, NULL);
    sim_guest_settle(sim, instance);
}

static void sim_step_shape_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_take_shaping(instance, step->number);
    sim_post_shaped(sim, instance->id, step->number, &instance->shape,
                    hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated change of shape failed", instance->id));
}

static gboolean sim_shape_is_shrink(const struct vm_shape *there, const struct vm_shape *to)
{
    return to->vcpus <= there->vcpus && to->memory_mib <= there->memory_mib &&
           (to->vcpus < there->vcpus || to->memory_mib < there->memory_mib);
}

/* A guest does not give what its programs use. */
static GError *sim_check_consent(const struct sim_instance *instance, const struct vm_shape *to)
{
    if (to->vcpus < instance->shape.vcpus && sim_runs_cpu(instance->runs) > to->vcpus)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the guest refuses: %.1f CPUs are in use", instance->id,
                             sim_runs_cpu(instance->runs));
    if (to->memory_mib < instance->shape.memory_mib && sim_runs_memory_mib(instance->runs) > to->memory_mib)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the guest refuses: %.0f MiB are in use", instance->id,
                             sim_runs_memory_mib(instance->runs));
    return NULL;
}

static void sim_step_shrunk(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    const struct vm_shape target = sim_take_shaping(instance, step->number);
    sim_guest_catch_up(sim, instance);
    GError *error = sim_check_consent(instance, &target);
    if (error == NULL)
        instance->shape = target;
    sim_post_shaped(sim, instance->id, step->number, &instance->shape, error);
    sim_guest_settle(sim, instance);
}

static void sim_shrink_fail(struct sim *sim, struct sim_instance *instance, guint64 serial, int code, const char *text)
{
    sim_take_shaping(instance, serial);
    sim_post_shaped(sim, instance->id, serial, &instance->shape, hbr_error_new(code, "%s: %s", instance->id, text));
}

static void sim_step_refused(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_shrink_fail(sim, instance, step->number, HBR_ERROR_CONFLICT, "the guest refuses");
}

static void sim_step_silent(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_shrink_fail(sim, instance, step->number, HBR_ERROR_TIMEOUT, "the guest has not answered");
}

static void sim_step_lied(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_shrink_fail(sim, instance, step->number, HBR_ERROR_GUEST, "the guest consents, and has as much as before");
}

#define CONFIRM_MS 10000 /* unless the command says */

static void sim_plan_shrink(struct sim *sim, struct sim_instance *instance, gint64 delay_us,
                            const struct command *command)
{
    const gboolean refuses = sim_draw_fault(sim->random, sim->model.refuse_shrink);
    const gboolean hangs = sim_draw_fault(sim->random, sim->model.hang_shrink);
    const gboolean lies = sim_draw_fault(sim->random, sim->model.lie_shrink);
    const sim_handler handle = hangs     ? sim_step_silent
                               : refuses ? sim_step_refused
                               : lies    ? sim_step_lied
                                         : sim_step_shrunk;
    const gint64 confirm_ms = command->count > 0 ? command->count : CONFIRM_MS;
    sim_plan(sim, instance, hangs ? confirm_ms * CLOCK_MS : delay_us, handle)->number = command->serial;
}

static GError *sim_check_shape(struct sim *sim, const struct sim_instance *instance, const struct command *command)
{
    GError *error = sim_check_state(sim, instance, command->id, 1u << SIM_READY);
    if (error == NULL)
        error = sim_check_maximum(command->id, &command->shape, &instance->maximum);
    return error != NULL ? error : sim_check_growth(sim, instance, &command->shape);
}

/* What is to stay as it is. */
static void sim_shape_keep(const struct vm_shape *present, struct vm_shape *wanted)
{
    if (wanted->vcpus == 0)
        wanted->vcpus = present->vcpus;
    if (wanted->memory_mib == 0)
        wanted->memory_mib = present->memory_mib;
    if (wanted->gpus == SHAPE_GPUS_KEPT)
        wanted->gpus = present->gpus;
}

void sim_shape(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    if (instance != NULL)
        sim_shape_keep(&instance->shape, &command->shape);
    GError *error = sim_check_shape(sim, instance, command);
    if (error != NULL) {
        sim_post_shaped(sim, command->id, command->serial, instance != NULL ? &instance->shape : NULL, error);
        return;
    }
    const struct sim_shaping shaping = {command->serial, instance->shape, command->shape};
    const double median_ms = sim_shape_median_ms(&sim->model, &instance->shape, &command->shape);
    const gint64 delay_us = sim_draw_work_us(sim, instance, median_ms, sim->model.shape_sigma);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_shape);
    g_array_append_val(instance->shapings, shaping);
    if (!fails && sim_shape_is_shrink(&instance->shape, &command->shape))
        sim_plan_shrink(sim, instance, delay_us, command);
    else
        sim_plan(sim, instance, delay_us, fails ? sim_step_shape_failed : sim_step_shaped)->number = command->serial;
}

void sim_shape_lose(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    for (guint i = 0; i < instance->shapings->len; i++)
        sim_post_shaped(sim, instance->id, g_array_index(instance->shapings, struct sim_shaping, i).serial,
                        &instance->shape, g_error_copy(reason));
    g_array_set_size(instance->shapings, 0);
}
