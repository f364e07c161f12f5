/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim.h"

#include "host/sim-private.h"

static void sim_step_free(gpointer data)
{
    struct sim_step *step = data;
    g_free(step->instance_id);
    g_free(step->execution_id);
    event_free(step->event);
    command_free(step->command);
    g_free(step);
}

static gint sim_step_compare(gconstpointer a, gconstpointer b, gpointer data G_GNUC_UNUSED)
{
    const struct sim_step *first = a, *second = b;
    if (first->at != second->at)
        return first->at < second->at ? -1 : 1;
    return first->order < second->order ? -1 : first->order > second->order;
}

static struct sim_step *sim_plan_at(struct sim *sim, gint64 at, sim_handler handle)
{
    struct sim_step *step = g_new0(struct sim_step, 1);
    step->at = at;
    step->order = sim->step_count++;
    step->handle = handle;
    g_sequence_insert_sorted(sim->steps, step, sim_step_compare, NULL);
    return step;
}

struct sim_step *sim_plan(struct sim *sim, struct sim_instance *instance, gint64 delay_us, sim_handler handle)
{
    struct sim_step *step = sim_plan_at(sim, sim->now + delay_us, handle);
    if (instance != NULL) {
        step->instance_id = g_strdup(instance->id);
        step->epoch = instance->epoch;
    }
    return step;
}

struct event *sim_event(const struct sim *sim, enum event_kind kind, const char *id)
{
    struct event *event = event_new(kind);
    event->host = g_strdup(sim->head.name);
    event->id = g_strdup(id);
    return event;
}

static gboolean sim_loses(struct sim *sim, enum event_kind kind)
{
    return (kind == EVENT_INSTANCE_GONE || kind == EVENT_INSTANCE_DESTROYED) &&
           sim_draw_fault(sim->random, sim->model.lose_event);
}

void sim_post(struct sim *sim, struct event *event)
{
    event->at = sim->now;
    if (!sim->is_wanted || sim_loses(sim, event->kind))
        event_free(event);
    else
        sim->head.sink(event, sim->head.sink_data);
}

gboolean sim_is_up(const struct sim *sim)
{
    return sim->is_wanted && !sim->is_down;
}

GError *sim_down_error(const struct sim *sim)
{
    return hbr_error_new(HBR_ERROR_UNAVAILABLE, "%s: the host is not connected", sim->head.name);
}

static gint sim_instance_compare(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(((const struct sim_instance *)a)->id, ((const struct sim_instance *)b)->id);
}

GList *sim_sorted_instances(struct sim *sim)
{
    return g_list_sort(g_hash_table_get_values(sim->instances), sim_instance_compare);
}

static void sim_free_item(gpointer item)
{
    inventory_item_free(item);
}

static void sim_post_inventory(struct sim *sim)
{
    struct event *event = sim_event(sim, EVENT_HOST_INVENTORY, NULL);
    event->inventory = g_ptr_array_new_with_free_func(sim_free_item);
    g_autoptr(GList) instances = sim_sorted_instances(sim);
    for (const GList *link = instances; link != NULL; link = link->next) {
        const struct sim_instance *instance = link->data;
        struct inventory_item *item = g_new0(struct inventory_item, 1);
        item->instance_id = g_strdup(instance->id);
        item->owner = g_strdup(instance->owner);
        item->is_running = TRUE;
        g_ptr_array_add(event->inventory, item);
    }
    event->saved_states = sim_saved_list(sim);
    sim_post(sim, event);
}

static void sim_plan_inventory(struct sim *sim);

static void sim_step_inventory(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED, struct sim_step *step)
{
    if (!sim_is_up(sim) || step->number != sim->connection)
        return;
    sim_post_inventory(sim);
    sim_plan_inventory(sim);
}

static void sim_plan_inventory(struct sim *sim)
{
    const gint64 delay_us = MAX(CLOCK_SECOND, (gint64)(sim->model.inventory_s * CLOCK_SECOND));
    sim_plan(sim, NULL, delay_us, sim_step_inventory)->number = sim->connection;
}

static void sim_come_up(struct sim *sim)
{
    struct event *event = sim_event(sim, EVENT_HOST_UP, NULL);
    event->host_report = g_new0(struct host_report, 1);
    event->host_report->cpus = sim->model.vcpus;
    event->host_report->memory_mib = sim->model.memory_mib;
    event->host_report->acceleration = ACCELERATION_MODEL;
    event->host_report->acceleration_reason = g_strdup("simulated: times are drawn from a model");
    event->host_report->version = g_strdup("sim " PACKAGE_VERSION);
    sim_post(sim, event);
    sim_post_inventory(sim);
    sim->connection++;
    if (sim->model.inventory_s > 0)
        sim_plan_inventory(sim);
    g_autoptr(GList) instances = sim_sorted_instances(sim);
    for (const GList *link = instances; link != NULL; link = link->next)
        sim_instance_return(sim, link->data);
}

static void sim_post_down(struct sim *sim)
{
    struct event *event = sim_event(sim, EVENT_HOST_DOWN, NULL);
    event->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "%s: the simulated host is down", sim->head.name);
    sim_post(sim, event);
}

static void sim_step_down(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED,
                          struct sim_step *step G_GNUC_UNUSED)
{
    sim->is_down = TRUE;
    sim->connection++;
    sim_post_down(sim);
    g_autoptr(GList) instances = sim_sorted_instances(sim);
    for (const GList *link = instances; link != NULL; link = link->next)
        sim_instance_lose(sim, link->data);
}

static void sim_step_return(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED,
                            struct sim_step *step G_GNUC_UNUSED)
{
    sim->is_down = FALSE;
    if (sim->is_wanted)
        sim_come_up(sim);
}

static void sim_step_connected(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED, struct sim_step *step)
{
    if (!sim->is_wanted || step->number != sim->connection)
        return;
    if (sim->is_down)
        sim_post_down(sim);
    else
        sim_come_up(sim);
}

static void sim_connect(struct sim *sim, struct command *command G_GNUC_UNUSED)
{
    if (sim->is_wanted)
        return;
    sim->is_wanted = TRUE;
    sim->connection++;
    const gint64 delay_us = sim_draw_us(sim->random, sim->model.connect_ms, 0);
    sim_plan(sim, NULL, delay_us, sim_step_connected)->number = sim->connection;
    if (sim->has_connected)
        return;
    sim->has_connected = TRUE;
    if (sim->model.down_at_s > 0)
        sim_plan(sim, NULL, (gint64)(sim->model.down_at_s * CLOCK_SECOND), sim_step_down);
    if (sim->model.up_at_s > 0)
        sim_plan(sim, NULL, (gint64)(sim->model.up_at_s * CLOCK_SECOND), sim_step_return);
}

static void sim_disconnect(struct sim *sim, struct command *command G_GNUC_UNUSED)
{
    sim->is_wanted = FALSE;
    sim->connection++;
}

static const sim_command_handler sim_commands[COMMAND_KIND_COUNT] = {
    [COMMAND_HOST_CONNECT] = sim_connect,
    [COMMAND_HOST_DISCONNECT] = sim_disconnect,
    [COMMAND_BOOT] = sim_boot,
    [COMMAND_ADOPT] = sim_adopt,
    [COMMAND_SHAPE] = sim_shape,
    [COMMAND_ALARM] = sim_alarm,
    [COMMAND_RUN] = sim_guest_run,
    [COMMAND_STDIN] = sim_guest_stdin,
    [COMMAND_OUTPUT_CREDIT] = sim_guest_credit,
    [COMMAND_CANCEL_RUN] = sim_guest_cancel,
    [COMMAND_PAUSE] = sim_pause,
    [COMMAND_CLAIM] = sim_claim,
    [COMMAND_SAVE] = sim_save,
    [COMMAND_FORGET_SAVED] = sim_forget_saved,
    [COMMAND_STAGE] = sim_stage,
    [COMMAND_MIGRATE] = sim_migrate,
    [COMMAND_DESTROY] = sim_destroy,
};

static void sim_step_command(struct sim *sim, struct sim_instance *instance G_GNUC_UNUSED, struct sim_step *step)
{
    if (sim_commands[step->command->kind] != NULL)
        sim_commands[step->command->kind](sim, step->command);
}

static void sim_submit(struct hypervisor *hypervisor, gint64 now, struct command *command)
{
    struct sim *sim = (struct sim *)hypervisor;
    sim_plan_at(sim, MAX(now, sim->now), sim_step_command)->command = command;
}

static gint64 sim_next_at(struct hypervisor *hypervisor)
{
    const struct sim *sim = (const struct sim *)hypervisor;
    GSequenceIter *first = g_sequence_get_begin_iter(sim->steps);
    return g_sequence_iter_is_end(first) ? CLOCK_NEVER : ((const struct sim_step *)g_sequence_get(first))->at;
}

/* A step of an instance counts only while that is as it was when the step was planned. */
static void sim_take_step(struct sim *sim, struct sim_step *step)
{
    struct sim_instance *instance = NULL;
    sim->now = MAX(sim->now, step->at);
    if (step->instance_id != NULL) {
        instance = g_hash_table_lookup(sim->instances, step->instance_id);
        if (instance == NULL || instance->epoch != step->epoch)
            return;
    }
    step->handle(sim, instance, step);
}

static void sim_advance(struct hypervisor *hypervisor, gint64 now)
{
    struct sim *sim = (struct sim *)hypervisor;
    while (sim_next_at(hypervisor) <= now) {
        GSequenceIter *first = g_sequence_get_begin_iter(sim->steps);
        struct sim_step *step = g_sequence_get(first);
        g_sequence_remove(first);
        sim_take_step(sim, step);
        sim_step_free(step);
    }
    sim->now = MAX(sim->now, now);
}

static void sim_free(struct hypervisor *hypervisor)
{
    struct sim *sim = (struct sim *)hypervisor;
    GSequenceIter *end = g_sequence_get_end_iter(sim->steps);
    for (GSequenceIter *step = g_sequence_get_begin_iter(sim->steps); step != end; step = g_sequence_iter_next(step))
        sim_step_free(g_sequence_get(step));
    g_sequence_free(sim->steps);
    g_hash_table_unref(sim->instances);
    g_hash_table_unref(sim->saved);
    g_rand_free(sim->random);
    g_free(sim->head.name);
    g_free(sim);
}

static const struct hypervisor_class sim_class = {
    .submit = sim_submit,
    .next_at = sim_next_at,
    .advance = sim_advance,
    .free = sim_free,
};

struct hypervisor *sim_hypervisor_new(const struct host_spec *spec, event_sink sink, gpointer sink_data, GError **error)
{
    struct sim_model model;
    if (!sim_model_parse(spec->uri, &model, error))
        return NULL;
    struct sim *sim = g_new0(struct sim, 1);
    sim->head =
        (struct hypervisor){.klass = &sim_class, .name = g_strdup(spec->name), .sink = sink, .sink_data = sink_data};
    sim->model = model;
    sim->cpu_overcommit = spec->cpu_overcommit > 0 ? spec->cpu_overcommit : 4;
    sim->memory_overcommit = spec->memory_overcommit > 0 ? spec->memory_overcommit : 1;
    sim->random = g_rand_new_with_seed(model.seed);
    sim->steps = g_sequence_new(NULL);
    sim->instances = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, sim_instance_free);
    sim->saved = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, sim_saved_free);
    return &sim->head;
}
