/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

/* The VMs of a simulated host: they boot, grow, and go. */

void sim_instance_free(gpointer data)
{
    struct sim_instance *instance = data;
    g_ptr_array_unref(instance->runs);
    g_array_unref(instance->shapings);
    g_free(instance->owner);
    g_free(instance->id);
    g_free(instance);
}

static void sim_free_run(gpointer run)
{
    sim_run_free(run);
}

/* The most of each; 0 of a bandwidth or a CPU cap is no limit. */
static struct vm_shape sim_shape_up(const struct vm_shape *a, const struct vm_shape *b)
{
    const struct vm_shape up = {
        .vcpus = MAX(a->vcpus, b->vcpus),
        .memory_mib = MAX(a->memory_mib, b->memory_mib),
        .gpus = MAX(a->gpus, b->gpus),
        .network_mbps = a->network_mbps == 0 || b->network_mbps == 0 ? 0 : MAX(a->network_mbps, b->network_mbps),
        .cpu_percent = a->cpu_percent == 0 || b->cpu_percent == 0 ? 0 : MAX(a->cpu_percent, b->cpu_percent),
    };
    return up;
}

/* What it has and may be about to get. */
static struct vm_shape sim_instance_promised(const struct sim_instance *instance)
{
    struct vm_shape promised = instance->shape;
    for (guint i = 0; i < instance->shapings->len; i++)
        promised = sim_shape_up(&promised, &g_array_index(instance->shapings, struct sim_shaping, i).target);
    return promised;
}

/* An error when the machine has no room for `more` beside all that is promised. */
static GError *sim_check_room(struct sim *sim, guint64 more_vcpus, guint64 more_memory_mib)
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

static GError *sim_check_boot(struct sim *sim, const struct boot_spec *boot)
{
    if (!sim_is_up(sim))
        return sim_down_error(sim);
    if (g_hash_table_contains(sim->instances, boot->instance_id))
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the domain exists already", boot->instance_id);
    if (boot->shape.vcpus == 0 || boot->shape.memory_mib == 0)
        return hbr_error_new(HBR_ERROR_INVALID, "%s: a VM needs at least 1 vCPU and 1 MiB", boot->instance_id);
    return sim_check_room(sim, boot->shape.vcpus, boot->shape.memory_mib);
}

static void sim_post_failed(struct sim *sim, const char *id, GError *error)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_FAILED, id);
    event->error = error;
    sim_post(sim, event);
}

static void sim_post_ready(struct sim *sim, const struct sim_instance *instance)
{
    struct event *event = sim_event(sim, EVENT_INSTANCE_READY, instance->id);
    event->shape = instance->shape;
    event->text = g_strdup("simulated");
    sim_post(sim, event);
}

static void sim_step_progress(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED, struct sim_step *step)
{
    sim_post(sim, g_steal_pointer(&step->event));
}

static void sim_step_ready(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    instance->state = SIM_READY;
    instance->epoch++; /* the timeout has lost its meaning */
    instance->settled_at = sim->now;
    sim_post_ready(sim, instance);
}

static void sim_step_boot_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post_failed(sim, instance->id,
                    hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated start failed", instance->id));
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_step_boot_timeout(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_post_failed(sim, instance->id,
                    hbr_error_new(HBR_ERROR_TIMEOUT,
                                  "%s: the guest's agent did not answer within %" G_GUINT64_FORMAT " ms", instance->id,
                                  step->number));
    g_hash_table_remove(sim->instances, instance->id);
}

static void sim_plan_progress(struct sim *sim, struct sim_instance *instance, gint64 boot_us)
{
    static const struct {
        const char *text;
        double part;
    } parts[] = {{"defined", 0.05}, {"started", 0.3}, {"agent answered", 0.95}};
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        struct event *event = sim_event(sim, EVENT_INSTANCE_PROGRESS, instance->id);
        event->text = g_strdup(parts[i].text);
        sim_plan(sim, instance, (gint64)((double)boot_us * parts[i].part), sim_step_progress)->event = event;
    }
}

/* All draws are made whatever comes of them, so that one fault does not shift the others. */
static void sim_plan_boot(struct sim *sim, struct sim_instance *instance, gint64 timeout_ms)
{
    const gint64 boot_us = sim_draw_us(sim->random, sim->model.boot_ms, sim->model.boot_sigma);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_boot);
    const gboolean hangs = sim_draw_fault(sim->random, sim->model.hang_boot);
    const gint64 failure_us = (gint64)((double)boot_us * g_rand_double(sim->random));
    if (timeout_ms > 0)
        sim_plan(sim, instance, timeout_ms * CLOCK_MS, sim_step_boot_timeout)->number = (guint64)timeout_ms;
    if (fails) {
        sim_plan(sim, instance, failure_us, sim_step_boot_failed);
    } else if (!hangs) {
        sim_plan_progress(sim, instance, boot_us);
        sim_plan(sim, instance, boot_us, sim_step_ready);
    }
}

static struct sim_instance *sim_instance_new(const struct boot_spec *boot)
{
    struct sim_instance *instance = g_new0(struct sim_instance, 1);
    instance->id = g_strdup(boot->instance_id);
    instance->owner = g_strdup(boot->owner);
    instance->shape = boot->shape;
    instance->maximum = boot->maximum;
    instance->sample_interval_us = (boot->sample_interval_ms > 0 ? boot->sample_interval_ms : 1000) * CLOCK_MS;
    instance->shapings = g_array_new(FALSE, FALSE, sizeof(struct sim_shaping));
    instance->runs = g_ptr_array_new_with_free_func(sim_free_run);
    return instance;
}

void sim_boot(struct sim *sim, struct command *command)
{
    GError *error = sim_check_boot(sim, command->boot);
    if (error != NULL) {
        sim_post_failed(sim, command->boot->instance_id, error);
        return;
    }
    struct sim_instance *instance = sim_instance_new(command->boot);
    g_hash_table_insert(sim->instances, instance->id, instance);
    sim_plan_boot(sim, instance, command->boot->timeout_ms);
}

static void sim_step_adopted(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    sim_post_ready(sim, instance);
}

void sim_adopt(struct sim *sim, struct command *command)
{
    const char *id = command->boot->instance_id;
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, id);
    if (!sim_is_up(sim)) {
        sim_post_failed(sim, id, sim_down_error(sim));
    } else if (instance == NULL || instance->state != SIM_READY) {
        sim_post_failed(sim, id, hbr_error_new(HBR_ERROR_NOT_FOUND, "%s: no such domain runs here", id));
    } else {
        instance->maximum = command->boot->maximum;
        sim_plan(sim, instance, sim_draw_us(sim->random, sim->model.shape_other_ms, 0), sim_step_adopted);
    }
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
        g_array_remove_index(instance->shapings, i);
        break;
    }
    return target;
}

static void sim_step_shaped(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    const struct vm_shape target = sim_take_shaping(instance, step->number);
    sim_guest_catch_up(sim, instance);
    instance->shape = sim_shape_up(&instance->shape, &target);
    sim_post_shaped(sim, instance->id, step->number, &instance->shape, NULL);
    sim_guest_settle(sim, instance);
}

static void sim_step_shape_failed(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    sim_take_shaping(instance, step->number);
    sim_post_shaped(sim, instance->id, step->number, &instance->shape,
                    hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated change of shape failed", instance->id));
}

static GError *sim_check_shape(struct sim *sim, const struct sim_instance *instance, const struct command *command)
{
    if (!sim_is_up(sim))
        return sim_down_error(sim);
    if (instance == NULL)
        return hbr_error_new(HBR_ERROR_NOT_FOUND, "%s: no such domain runs here", command->id);
    if (instance->state != SIM_READY)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s: the domain is %s", command->id,
                             instance->state == SIM_BOOTING ? "being started" : "being destroyed");
    if (command->shape.vcpus > instance->maximum.vcpus || command->shape.memory_mib > instance->maximum.memory_mib)
        return hbr_error_new(
            HBR_ERROR_UNSUPPORTED, "%s: %u vCPUs and %u MiB wanted, it was defined for at most %u and %u", command->id,
            command->shape.vcpus, command->shape.memory_mib, instance->maximum.vcpus, instance->maximum.memory_mib);
    const struct vm_shape before = sim_instance_promised(instance), after = sim_shape_up(&before, &command->shape);
    return sim_check_room(sim, after.vcpus - before.vcpus, after.memory_mib - before.memory_mib);
}

static gint64 sim_draw_shape_us(struct sim *sim, const struct vm_shape *from, const struct vm_shape *to)
{
    const struct sim_model *model = &sim->model;
    const guint vcpus_added = to->vcpus > from->vcpus ? to->vcpus - from->vcpus : 0;
    double median_ms = model->shape_cpu_ms * vcpus_added;
    if (to->memory_mib > from->memory_mib)
        median_ms += model->shape_memory_ms;
    if (median_ms <= 0)
        median_ms = model->shape_other_ms;
    return sim_draw_us(sim->random, median_ms, model->shape_sigma);
}

void sim_shape(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    GError *error = sim_check_shape(sim, instance, command);
    if (error != NULL) {
        sim_post_shaped(sim, command->id, command->serial, instance != NULL ? &instance->shape : NULL, error);
        return;
    }
    const struct sim_shaping shaping = {command->serial, command->shape};
    const gint64 delay_us = sim_draw_shape_us(sim, &instance->shape, &command->shape);
    const gboolean fails = sim_draw_fault(sim->random, sim->model.fail_shape);
    g_array_append_val(instance->shapings, shaping);
    sim_plan(sim, instance, delay_us, fails ? sim_step_shape_failed : sim_step_shaped)->number = command->serial;
}

/* Nothing that was under way in it goes on. */
static void sim_instance_stop(struct sim *sim, struct sim_instance *instance, const GError *reason)
{
    instance->epoch++;
    sim_guest_lose(sim, instance, reason->message);
    for (guint i = 0; i < instance->shapings->len; i++)
        sim_post_shaped(sim, instance->id, g_array_index(instance->shapings, struct sim_shaping, i).serial,
                        &instance->shape, g_error_copy(reason));
    g_array_set_size(instance->shapings, 0);
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

void sim_instance_lose(struct sim *sim, struct sim_instance *instance)
{
    g_autoptr(GError) reason = sim_down_error(sim);
    sim_guest_catch_up(sim, instance);
    sim_instance_stop(sim, instance, reason);
    if (instance->state == SIM_BOOTING)
        sim_post_failed(sim, instance->id, g_steal_pointer(&reason));
    if (instance->state == SIM_DESTROYING) {
        struct event *event = sim_event(sim, EVENT_INSTANCE_DESTROYED, instance->id);
        event->error = g_steal_pointer(&reason);
        sim_post(sim, event);
    }
    if (instance->state == SIM_BOOTING || sim->model.down_kills)
        g_hash_table_remove(sim->instances, instance->id);
}

void sim_instance_return(struct sim *sim, struct sim_instance *instance)
{
    if (instance->state != SIM_DESTROYING)
        return;
    instance->epoch++; /* a destruction that was planned before a reconnection */
    sim_plan_destroy(sim, instance);
}
