/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-private.h"

#include <math.h>

/* What happens inside the VMs of a simulated host: runs, their input and output, and samples of what they use. */

static struct sim_run *sim_find_run(const struct sim_instance *instance, const char *execution_id)
{
    for (guint i = 0; instance != NULL && i < instance->runs->len; i++) {
        struct sim_run *run = g_ptr_array_index(instance->runs, i);
        if (g_str_equal(sim_run_id(run), execution_id))
            return run;
    }
    return NULL;
}

static struct event *sim_run_event(const struct sim *sim, enum event_kind kind, const char *id,
                                   const char *execution_id)
{
    struct event *event = sim_event(sim, kind, id);
    event->execution_id = g_strdup(execution_id);
    return event;
}

/* Takes `result`. */
static void sim_post_exit(struct sim *sim, const char *id, const char *execution_id, struct run_result *result)
{
    struct event *event = sim_run_event(sim, EVENT_RUN_EXIT, id, execution_id);
    event->result = result;
    sim_post(sim, event);
}

struct sim_output_target {
    struct sim *sim;
    const struct sim_instance *instance;
};

static void sim_post_output(const struct sim_run *run, guint stream, GBytes *bytes, gpointer data)
{
    const struct sim_output_target *target = data;
    struct event *event = sim_run_event(target->sim, EVENT_RUN_OUTPUT, target->instance->id, sim_run_id(run));
    event->stream = stream;
    event->bytes = g_bytes_ref(bytes);
    sim_post(target->sim, event);
}

void sim_guest_catch_up(struct sim *sim, struct sim_instance *instance)
{
    if (instance->settled_at != 0 && sim->now > instance->settled_at)
        sim_runs_advance(instance->runs, sim->now - instance->settled_at, &instance->usage);
    instance->settled_at = sim->now;
}

static void sim_step_tick(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    if (step->number != instance->tick_number)
        return;
    sim_guest_catch_up(sim, instance);
    sim_guest_settle(sim, instance);
}

static void sim_plan_tick(struct sim *sim, struct sim_instance *instance)
{
    sim_alarm_check(sim, instance);
    sim_runs_balance(instance->runs, &instance->shape, instance->is_held);
    const gint64 next_at = sim_runs_next_at(instance->runs, &instance->shape, sim_alarm_next_mib(instance), sim->now);
    instance->tick_number++;
    if (next_at != CLOCK_NEVER)
        sim_plan(sim, instance, next_at - sim->now, sim_step_tick)->number = instance->tick_number;
}

/* One turn over all runs. TRUE when one of them ended, so that the others are looked at again. */
static gboolean sim_settle_runs(struct sim *sim, struct sim_instance *instance, gboolean *ret_crashed)
{
    struct sim_output_target target = {sim, instance};
    for (guint i = 0; i < instance->runs->len; i++) {
        struct sim_run *run = g_ptr_array_index(instance->runs, i);
        if (!sim_run_is_started(run))
            continue;
        const enum sim_turn turn =
            sim_run_settle(run, instance->runs, &instance->shape, sim->now, sim_post_output, &target);
        if (turn == SIM_GOES_ON)
            continue;
        *ret_crashed = turn == SIM_CRASHED;
        if (turn == SIM_ENDED) {
            sim_post_exit(sim, instance->id, sim_run_id(run), sim_run_own_result(run, sim->now));
            g_ptr_array_remove_index(instance->runs, i);
        }
        return TRUE;
    }
    return FALSE;
}

gboolean sim_guest_settle(struct sim *sim, struct sim_instance *instance)
{
    gboolean crashed = FALSE;
    while (!crashed && sim_settle_runs(sim, instance, &crashed))
        ;
    if (crashed) {
        sim_instance_die(sim, instance,
                         hbr_error_new(HBR_ERROR_HYPERVISOR, "%s: the simulated VM crashed", instance->id));
        return FALSE;
    }
    sim_plan_tick(sim, instance);
    return TRUE;
}

void sim_guest_lose(struct sim *sim, struct sim_instance *instance, const char *message)
{
    for (guint i = 0; i < instance->runs->len; i++) {
        const struct sim_run *run = g_ptr_array_index(instance->runs, i);
        sim_post_exit(sim, instance->id, sim_run_id(run), sim_run_result(run, sim->now, EXIT_LOST, message));
    }
    g_ptr_array_set_size(instance->runs, 0);
}

static struct usage_sample *sim_sample_new(const struct sim *sim, const struct sim_instance *instance)
{
    const double elapsed_ms = (double)MAX(1, sim->now - instance->sampled_at) / 1000;
    struct usage_sample *sample = g_new0(struct usage_sample, 1);
    sample->at = sim->now;
    sample->has_guest = TRUE;
    sample->cpu_used = instance->usage.cpu_ms / elapsed_ms;
    sample->runnable = instance->usage.wanted_ms / elapsed_ms;
    sample->memory_used_mib = (guint)ceil(sim_runs_memory_mib(instance->runs));
    sample->memory_total_mib = sample->memory_limit_mib = instance->shape.memory_mib;
    sample->rss_mib = sample->memory_used_mib;
    if (instance->usage.wanted_ms > instance->usage.cpu_ms)
        sample->cpu_stalled = 1 - instance->usage.cpu_ms / instance->usage.wanted_ms;
    sample->vcpus_online = instance->shape.vcpus;
    sample->network_rx_mbps = instance->usage.rx_mbit / elapsed_ms * 1000;
    sample->network_tx_mbps = instance->usage.tx_mbit / elapsed_ms * 1000;
    return sample;
}

static void sim_plan_sample(struct sim *sim, struct sim_instance *instance);

/* Sampling ends with the last run. */
static void sim_step_sample(struct sim *sim, struct sim_instance *instance, struct sim_step *step G_GNUC_UNUSED)
{
    instance->is_sampled = FALSE;
    if (instance->runs->len == 0)
        return;
    sim_guest_catch_up(sim, instance);
    struct event *event = sim_event(sim, EVENT_SAMPLE, instance->id);
    event->sample = sim_sample_new(sim, instance);
    sim_post(sim, event);
    sim_plan_sample(sim, instance);
    sim_guest_settle(sim, instance);
}

static void sim_plan_sample(struct sim *sim, struct sim_instance *instance)
{
    if (instance->is_sampled)
        return;
    instance->is_sampled = TRUE;
    instance->sampled_at = sim->now;
    instance->usage = (struct sim_usage){0};
    sim_plan(sim, instance, instance->sample_interval_us, sim_step_sample);
}

static void sim_step_run(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    struct sim_run *run = sim_find_run(instance, step->execution_id);
    if (run == NULL)
        return;
    sim_guest_catch_up(sim, instance);
    sim_run_start(run, sim->now);
    sim_post(sim, sim_run_event(sim, EVENT_RUN_STARTED, instance->id, step->execution_id));
    sim_plan_sample(sim, instance);
    sim_guest_settle(sim, instance);
}

static const char *sim_refuse_run(const struct sim *sim, const struct sim_instance *instance,
                                  const struct run_spec *spec, enum exit_reason *ret_reason)
{
    *ret_reason = EXIT_LOST;
    if (!sim_is_up(sim))
        return "the host is not connected";
    if (instance == NULL || instance->state == SIM_DESTROYING)
        return "no such domain runs here";
    *ret_reason = EXIT_REFUSED;
    if (instance->state != SIM_READY)
        return sim_instance_condition(instance);
    if (sim_find_run(instance, spec->execution_id) != NULL)
        return "an execution of that id runs already";
    return NULL;
}

/* From the command to the start of the program. */
static gint64 sim_draw_overhead_us(struct sim *sim, struct sim_instance *instance, const struct run_spec *run)
{
    if (run->is_staged && sim_stage_take(instance, &run->program))
        return sim_draw_work_us(sim, instance, sim->model.go_ms, sim->model.warm_sigma);
    return sim_draw_work_us(sim, instance, sim->model.run_overhead_ms, sim->model.shape_sigma);
}

void sim_guest_run(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    enum exit_reason reason;
    const char *refusal = sim_refuse_run(sim, instance, command->run, &reason);
    if (refusal != NULL) {
        struct run_result *result = g_new0(struct run_result, 1);
        result->reason = reason;
        result->message = g_strdup(refusal);
        sim_post_exit(sim, command->id, command->run->execution_id, result);
        return;
    }
    GPtrArray *course = sim_course_new(&command->run->program, &sim->model, sim->random);
    const gint64 overhead_us = sim_draw_overhead_us(sim, instance, command->run);
    const gboolean crashes = sim_draw_fault(sim->random, sim->model.crash);
    const double crash_part = g_rand_double(sim->random);
    const double crash_after_ms = crashes ? crash_part * sim_course_duration_ms(course) : -1;
    g_ptr_array_add(instance->runs, sim_run_new(command->run, course, crash_after_ms));
    sim_plan(sim, instance, overhead_us, sim_step_run)->execution_id = g_strdup(command->run->execution_id);
}

void sim_guest_stdin(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    struct sim_run *run = sim_find_run(instance, command->execution_id);
    struct event *event = sim_run_event(sim, EVENT_STDIN_TAKEN, command->id, command->execution_id);
    event->request = command->request;
    if (run == NULL)
        event->error = hbr_error_new(HBR_ERROR_CONFLICT, "%s: it does not run any more", command->execution_id);
    else if (!sim_run_input(run, command->bytes, command->eof))
        event->error = hbr_error_new(HBR_ERROR_CONFLICT, "%s: its standard input is closed", command->execution_id);
    const gboolean taken = event->error == NULL;
    sim_post(sim, event);
    if (!taken)
        return;
    sim_guest_catch_up(sim, instance);
    sim_guest_settle(sim, instance);
}

void sim_guest_credit(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    struct sim_run *run = sim_find_run(instance, command->execution_id);
    if (run == NULL)
        return;
    sim_guest_catch_up(sim, instance);
    sim_run_credit(run, command->count);
    sim_guest_settle(sim, instance);
}

static void sim_step_cancel(struct sim *sim, struct sim_instance *instance, struct sim_step *step)
{
    struct sim_run *run = sim_find_run(instance, step->execution_id);
    if (run == NULL)
        return;
    sim_guest_catch_up(sim, instance);
    sim_post_exit(sim, instance->id, step->execution_id,
                  sim_run_result(run, sim->now, EXIT_CANCELLED, "killed on request"));
    g_ptr_array_remove(instance->runs, run);
    sim_guest_settle(sim, instance);
}

void sim_guest_cancel(struct sim *sim, struct command *command)
{
    struct sim_instance *instance = g_hash_table_lookup(sim->instances, command->id);
    if (sim_find_run(instance, command->execution_id) == NULL || !sim_is_up(sim))
        return;
    const gint64 overhead_us = sim_draw_us(sim->random, sim->model.run_overhead_ms, sim->model.shape_sigma);
    sim_plan(sim, instance, overhead_us, sim_step_cancel)->execution_id = g_strdup(command->execution_id);
}
