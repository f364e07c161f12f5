/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/vm.h"

/* Executions in an instance: commands to its guest, and what the guest tells to the core. */

#define KILL_MS 5000 /* an agent that has not ended a killed program by then is not believed any more */

static struct vm *vm_ready(struct libvirt_host *host, const char *id)
{
    struct vm *vm = g_hash_table_lookup(host->vms, id);
    return vm != NULL && vm->state == VM_READY ? vm : NULL;
}

static struct event *run_event(const struct libvirt_host *host, enum event_kind kind, const char *id,
                               const char *execution_id)
{
    struct event *event = host_event(host, kind, id);
    event->execution_id = g_strdup(execution_id);
    return event;
}

static void post_exit(const struct libvirt_host *host, const char *id, const char *execution_id,
                      struct run_result *result)
{
    struct event *event = run_event(host, EVENT_RUN_EXIT, id, execution_id);
    event->result = result;
    host_post(host, event);
}

static struct run_result *result_lost(const char *message)
{
    struct run_result *result = g_new0(struct run_result, 1);
    *result = (struct run_result){
        .reason = EXIT_LOST,
        .message = g_strdup(message),
        .wall_us = -1,
        .cpu_user_us = -1,
        .cpu_system_us = -1,
        .memory_peak_bytes = -1,
        .io_read_bytes = -1,
        .io_write_bytes = -1,
        .network_rx_bytes = -1,
        .network_tx_bytes = -1,
    };
    return result;
}

void vm_run(struct libvirt_host *host, const char *id, struct run_spec *run)
{
    struct vm *vm = vm_ready(host, id);
    if (vm == NULL) {
        post_exit(host, id, run->execution_id, result_lost("the instance is not there or not ready"));
        run_spec_free(run);
        return;
    }
    vm_warm_stop(vm);
    g_hash_table_insert(vm->runs, g_strdup(run->execution_id), NULL);
    guest_run(vm->guest, run);
    if (vm->state == VM_READY && g_hash_table_size(vm->runs) > 0)
        vm_sampling_start(vm);
}

static void post_staged(const struct libvirt_host *host, const char *id, const char *execution_id, gint64 latency_us,
                        GError *error)
{
    struct event *event = run_event(host, EVENT_STAGED, id, execution_id);
    event->count = latency_us;
    event->error = error;
    host_post(host, event);
}

void vm_stage(struct libvirt_host *host, const char *id, struct run_spec *run)
{
    struct vm *vm = vm_ready(host, id);
    if (vm == NULL) {
        post_staged(host, id, run->execution_id, 0,
                    hbr_error_new(HBR_ERROR_CONFLICT, "the instance is not there or not ready"));
        run_spec_free(run);
        return;
    }
    vm_warm_stop(vm);
    guest_stage(vm->guest, run);
}

void vm_on_staged(gpointer owner, const char *execution_id, gint64 latency_us, GError *error)
{
    const struct vm *vm = owner;
    post_staged(vm->host, vm->id, execution_id, latency_us, error);
}

void vm_stdin(struct libvirt_host *host, struct command *command)
{
    struct vm *vm = vm_ready(host, command->id);
    if (vm != NULL) {
        guest_stdin(vm->guest, command->execution_id, command->request, command->bytes, command->eof);
        return;
    }
    struct event *event = run_event(host, EVENT_STDIN_TAKEN, command->id, command->execution_id);
    event->request = command->request;
    event->error = hbr_error_new(HBR_ERROR_CONFLICT, "the instance is not there any more");
    host_post(host, event);
}

void vm_credit(struct libvirt_host *host, const struct command *command)
{
    struct vm *vm = vm_ready(host, command->id);
    if (vm != NULL)
        guest_credit(vm->guest, command->execution_id, command->count);
}

static gboolean vm_on_kill_timeout(gpointer data)
{
    struct vm *vm = data;
    timer_cancel(&vm->cancel_timer);
    GHashTableIter iter;
    gpointer cancelled;
    gboolean is_stuck = FALSE;
    g_hash_table_iter_init(&iter, vm->runs);
    while (g_hash_table_iter_next(&iter, NULL, &cancelled))
        is_stuck |= cancelled != NULL;
    if (!is_stuck)
        return G_SOURCE_REMOVE;
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_TIMEOUT, "its agent did not end a program that was to be killed");
    vm_lose(vm, error);
    return G_SOURCE_REMOVE;
}

void vm_cancel(struct libvirt_host *host, const struct command *command)
{
    struct vm *vm = vm_ready(host, command->id);
    if (vm == NULL || !g_hash_table_contains(vm->runs, command->execution_id))
        return;
    g_hash_table_insert(vm->runs, g_strdup(command->execution_id), GINT_TO_POINTER(TRUE));
    if (vm->cancel_timer == NULL)
        vm->cancel_timer = host_timer(host, KILL_MS, vm_on_kill_timeout, vm);
    guest_cancel(vm->guest, command->execution_id);
}

void vm_lose_runs(struct vm *vm, const GError *error)
{
    GHashTableIter iter;
    gpointer execution_id;
    g_hash_table_iter_init(&iter, vm->runs);
    while (g_hash_table_iter_next(&iter, &execution_id, NULL))
        post_exit(vm->host, vm->id, execution_id, result_lost(error->message));
    g_hash_table_remove_all(vm->runs);
}

/* Those that warm the instance up are nobody else's business. */
static gboolean vm_has_run(const struct vm *vm, const char *execution_id)
{
    return g_hash_table_contains(vm->runs, execution_id);
}

void vm_on_run_started(gpointer owner, const char *execution_id)
{
    const struct vm *vm = owner;
    if (vm_has_run(vm, execution_id))
        host_post(vm->host, run_event(vm->host, EVENT_RUN_STARTED, vm->id, execution_id));
}

void vm_on_run_output(gpointer owner, const char *execution_id, guint stream, GBytes *bytes)
{
    const struct vm *vm = owner;
    if (!vm_has_run(vm, execution_id)) {
        g_bytes_unref(bytes);
        return;
    }
    struct event *event = run_event(vm->host, EVENT_RUN_OUTPUT, vm->id, execution_id);
    event->stream = stream;
    event->bytes = bytes;
    host_post(vm->host, event);
}

void vm_on_run_exit(gpointer owner, const char *execution_id, struct run_result *result)
{
    struct vm *vm = owner;
    if (!vm_has_run(vm, execution_id)) {
        run_result_free(result);
        return;
    }
    post_exit(vm->host, vm->id, execution_id, result);
    g_hash_table_remove(vm->runs, execution_id);
    if (g_hash_table_size(vm->runs) == 0)
        vm_sampling_stop(vm);
}

void vm_on_stdin_taken(gpointer owner, const char *execution_id, guint64 request, GError *error)
{
    const struct vm *vm = owner;
    struct event *event = run_event(vm->host, EVENT_STDIN_TAKEN, vm->id, execution_id);
    event->request = request;
    event->error = error;
    host_post(vm->host, event);
}
