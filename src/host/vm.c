/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"

#include <string.h>

/* libvirt asks QEMU politely for 10 s before it kills it, and waits for the kernel to reap it. */
#define DESTROY_MS 40000
#define HAIL_MS 500
#define HAIL_CLONE_MS \
    10 /* its guest runs already, but may not hear what is sent at once after the restore, or the move */
#define HAIL_LAST_MS 2000
#define PROOF_MEMORY_MIB 256

static struct vm *vm_find(struct libvirt_host *host, const char *id)
{
    return g_hash_table_lookup(host->vms, id);
}

static struct vm *vm_new(struct libvirt_host *host, const struct boot_spec *boot)
{
    struct vm *vm = g_new0(struct vm, 1);
    vm->host = host;
    vm->id = g_strdup(boot->instance_id);
    vm->uuid = g_strdup(boot->uuid);
    boot_spec_copy_to(boot, &vm->boot);
    vm->shapings = g_ptr_array_new();
    vm->runs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    vm->sampling.interval_ms = boot->sample_interval_ms;
    g_hash_table_insert(host->vms, vm->id, vm);
    g_hash_table_insert(host->by_uuid, vm->uuid, vm);
    return vm;
}

static void vm_drop_guest(struct vm *vm)
{
    timer_cancel(&vm->boot_timer);
    timer_cancel(&vm->hail_timer);
    vm_heart_stop(vm);
    timer_cancel(&vm->cancel_timer);
    timer_cancel(&vm->warm_timer);
    timer_cancel(&vm->migrate_timer);
    vm_sampling_stop(vm);
    if (vm->channel == NULL)
        guest_free(vm->guest);
    vm->guest = NULL;
    channel_free(g_steal_pointer(&vm->channel));
}

void vm_free(gpointer data)
{
    struct vm *vm = data;
    vm_drop_guest(vm);
    process_free(vm->process);
    vm_forget_shapings(vm, NULL);
    g_ptr_array_unref(vm->shapings);
    g_hash_table_unref(vm->runs);
    boot_spec_clear(&vm->boot);
    domain_live_free(vm->live);
    saved_state_free(vm->saved);
    g_free(vm->saved_id);
    g_free(vm->fingerprint);
    g_clear_error(&vm->end_error);
    vm_free_gpus(vm);
    g_free(vm->migrating_to);
    g_free(vm->uuid);
    g_free(vm->id);
    g_free(vm);
}

static void vm_remove(struct vm *vm)
{
    struct libvirt_host *host = vm->host;
    if (g_hash_table_lookup(host->by_uuid, vm->uuid) == vm)
        g_hash_table_remove(host->by_uuid, vm->uuid);
    g_hash_table_remove(host->vms, vm->id);
}

static const enum event_kind end_events[] = {
    [VM_END_FAILED] = EVENT_INSTANCE_FAILED,
    [VM_END_GONE] = EVENT_INSTANCE_GONE,
    [VM_END_DESTROYED] = EVENT_INSTANCE_DESTROYED,
    [VM_END_SAVED] = EVENT_INSTANCE_SAVED,
};

/* The last word about an instance. A destruction that failed is told as such; else the error is the reason of the end. */
static void vm_tell_end(struct vm *vm, const GError *destroy_error)
{
    const GError *reason = vm->end == VM_END_DESTROYED ? destroy_error : vm->end_error;
    if (vm->is_proof)
        return;
    struct event *event = host_event(vm->host, end_events[vm->end], vm->id);
    event->error = reason == NULL ? NULL : g_error_copy(reason);
    if (vm->end == VM_END_SAVED && reason == NULL)
        event->saved = g_steal_pointer(&vm->saved);
    host_post(vm->host, event);
}

static void on_destroyed(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = vm_find(host, context);
    (void)call;
    if (error != NULL)
        log_warning("host", "%s: %s could not be destroyed: %s", host->base.name, (char *)context, error->message);
    if (vm == NULL || vm->state != VM_ENDING) {
        struct event *event = host_event(host, EVENT_INSTANCE_DESTROYED, context);
        event->error = error == NULL ? NULL : g_error_copy(error);
        host_post(host, event);
    } else {
        vm->is_calling = FALSE;
        vm_tell_end(vm, error);
        /* What is still there holds its GPUs; the core asks again at the next inventory. */
        if (error == NULL)
            vm_remove(vm);
        else
            vm->end = VM_END_DESTROYED;
    }
    host_check_lost(host);
}

static void host_submit_destroy(struct libvirt_host *host, const char *id)
{
    struct destroy_call *call = g_new0(struct destroy_call, 1);
    call->link = link_ref(host->link);
    call->instance_id = g_strdup(id);
    call->owner = g_strdup(host->settings.owner);
    call->disk_dir = g_strdup(host->disk_dir);
    struct job job = host_job(host, LINK_SLOW);
    job.timeout_ms = DESTROY_MS;
    job.run = destroy_call_run;
    job.call = call;
    job.call_free = destroy_call_free;
    job.done = on_destroyed;
    job.context = g_strdup(id);
    job.context_free = g_free;
    workers_submit(host->workers, &job);
}

/* Everything that is left of it goes; then the core is told. */
static void vm_tear_down(struct vm *vm)
{
    if (vm->is_calling)
        return; /* goes on when the call has returned */
    if (vm->host->link == NULL) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
        vm_tell_end(vm, error);
        vm->end = VM_END_DESTROYED;
        return;
    }
    vm->is_calling = TRUE;
    host_submit_destroy(vm->host, vm->id);
}

void vm_called(struct vm *vm)
{
    vm->is_calling = FALSE;
    vm_tear_down(vm);
}

void vm_let_go(struct vm *vm, enum vm_state state)
{
    vm_drop_guest(vm);
    vm->state = state;
}

void vm_migrated(struct vm *vm)
{
    if (vm->state == VM_ENDING)
        vm_called(vm);
    else
        vm_remove(vm);
}

void vm_end(struct vm *vm, enum vm_end end, const GError *error)
{
    if (vm->state == VM_ENDING)
        return;
    if (vm->state == VM_MIGRATING)
        vm_migrate_abort(vm);
    const GError closing = {.domain = HBR_ERROR, .code = HBR_ERROR_CANCELLED, .message = (char *)"the VM is destroyed"};
    vm_lose_runs(vm, error != NULL ? error : &closing);
    vm_forget_shapings(vm, error != NULL ? error : &closing);
    vm_let_go(vm, VM_ENDING);
    vm->end = end;
    vm->end_error = error == NULL ? NULL : g_error_copy(error);
    host_claim_ended(vm->host);
    if (vm->is_proof)
        host_proof_done(vm->host, vm->end_error);
    vm_tear_down(vm);
}

void vm_lose(struct vm *vm, const GError *error)
{
    if (vm->state == VM_ENDING)
        return;
    log_info("host", "%s: %s is lost: %s", vm->host->base.name, vm->id, error->message);
    vm_end(vm, vm->state == VM_READY || vm->state == VM_PAUSED ? VM_END_GONE : VM_END_FAILED, error);
}

void vm_missing(struct vm *vm)
{
    if (vm->state == VM_ENDING && !vm->is_calling) {
        vm_remove(vm);
        return;
    }
    if (vm->state != VM_READY && vm->state != VM_PAUSED)
        return;
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_INTERRUPTED, "its domain is not on the host any more");
    vm_lose(vm, error);
}

void vm_destroy(struct libvirt_host *host, const char *id)
{
    struct vm *vm = vm_find(host, id);
    if (vm != NULL && vm->state != VM_ENDING) {
        vm_end(vm, VM_END_DESTROYED, NULL);
    } else if (vm != NULL) {
        vm->end = VM_END_DESTROYED;
        vm_tear_down(vm);
    } else if (host->link != NULL) {
        host_submit_destroy(host, id);
    } else {
        struct event *event = host_event(host, EVENT_INSTANCE_DESTROYED, id);
        event->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
        host_post(host, event);
    }
}

void vm_progress(struct vm *vm, const char *text)
{
    if (vm->is_proof)
        return;
    struct event *event = host_event(vm->host, EVENT_INSTANCE_PROGRESS, vm->id);
    event->text = g_strdup(text);
    host_post(vm->host, event);
}

static gboolean vm_on_boot_timeout(gpointer data)
{
    struct vm *vm = data;
    timer_cancel(&vm->boot_timer);
    const char *what = vm->state == VM_CREATING               ? "libvirt has not started it"
                       : vm->is_suspending || vm->is_resuming ? "libvirt has not resumed it"
                       : !vm->is_prepared                     ? "its agent has not answered"
                                                              : "the guest has not confirmed its shape";
    g_autoptr(GError) error =
        hbr_error_new(HBR_ERROR_TIMEOUT, "%s within %" G_GINT64_FORMAT " ms", what, vm->boot.timeout_ms);
    vm_lose(vm, error);
    return G_SOURCE_REMOVE;
}

void vm_time_start(struct vm *vm)
{
    vm->boot_timer = host_timer(vm->host, vm->boot.timeout_ms, vm_on_boot_timeout, vm);
}

static void vm_hail_later(struct vm *vm, gint64 after_ms);

static gboolean vm_on_hail(gpointer data)
{
    struct vm *vm = data;
    vm_hail_later(vm, MIN(vm->hail_ms + vm->hail_ms / 4, HAIL_LAST_MS));
    guest_hail(vm->guest);
    return G_SOURCE_REMOVE;
}

/* Ever less often, so that a slow guest is not kept busy with answers. */
static void vm_hail_later(struct vm *vm, gint64 after_ms)
{
    timer_cancel(&vm->hail_timer);
    vm->hail_ms = after_ms;
    vm->hail_timer = host_timer(vm->host, after_ms, vm_on_hail, vm);
}

static void vm_heartbeat(struct vm *vm)
{
    const gint64 silent_ms = (g_get_monotonic_time() - vm->guest->heard_at) / 1000;
    if (silent_ms < vm->host->settings.heartbeat_ms)
        return; /* its usage, or anything else that it says, is as good */
    if (silent_ms < vm->host->settings.silence_ms) {
        guest_ping(vm->guest);
        return;
    }
    g_autoptr(GError) error =
        hbr_error_new(HBR_ERROR_TIMEOUT, "its agent gave no sign of life for %" G_GINT64_FORMAT " ms", silent_ms);
    vm_lose(vm, error);
}

/* One timer for all instances: each wake-up of the thread goes through all timers that there are. */
static gboolean host_on_heartbeat(gpointer data)
{
    struct libvirt_host *host = data;
    g_autoptr(GList) vms = g_hash_table_get_values(host->vms); /* one that is lost may bring another */
    gboolean is_needed = FALSE;
    for (GList *link = vms; link != NULL; link = link->next) {
        struct vm *vm = link->data;
        if (vm->has_heart)
            vm_heartbeat(vm);
        is_needed |= vm->has_heart;
    }
    if (is_needed)
        return G_SOURCE_CONTINUE;
    timer_cancel(&host->heart_timer);
    return G_SOURCE_REMOVE;
}

void vm_heart_start(struct vm *vm)
{
    struct libvirt_host *host = vm->host;
    vm->has_heart = TRUE;
    vm->guest->heard_at = g_get_monotonic_time();
    if (host->heart_timer == NULL)
        host->heart_timer = host_timer(host, host->settings.heartbeat_ms, host_on_heartbeat, host);
}

void vm_heart_stop(struct vm *vm)
{
    vm->has_heart = FALSE;
}

static void vm_tell_ready(const struct vm *vm)
{
    struct event *event = host_event(vm->host, EVENT_INSTANCE_READY, vm->id);
    event->shape = vm->shape;
    event->text = vm_shape_to_string(&vm->shape);
    host_post(vm->host, event);
}

void vm_check_ready(struct vm *vm)
{
    if (vm->state != VM_WAKING || !vm->is_prepared || !vm->is_shaped)
        return;
    timer_cancel(&vm->boot_timer);
    vm->state = VM_READY;
    if (vm->is_proof) {
        vm_end(vm, VM_END_DESTROYED, NULL);
        return;
    }
    vm_tell_ready(vm);
    if (vm->is_claim)
        vm_write_metadata(vm);
    else
        vm_warm_up(vm);
    vm->is_claim = FALSE;
    host_claim_ended(vm->host);
}

static void vm_on_answered(gpointer owner, const struct guest_facts *facts)
{
    struct vm *vm = owner;
    vm->capabilities = facts->capabilities;
    timer_cancel(&vm->hail_timer);
    vm_progress(vm, "agent answered");
    if (vm->agent == TEMPLATE_AGENT_QEMU)
        vm_progress(vm, QGA_LACKS);
    vm_heart_start(vm);
    vm_prepare(vm);
    if (vm->boot.saved != NULL && vm->state == VM_WAKING) {
        vm_shape_restored(vm, facts);
        vm_shape_bind(vm);
    }
    if (vm->boot.saved != NULL || vm->state != VM_WAKING)
        return;
    vm->boot_ticket = ++vm->next_ticket;
    guest_wait_shape(vm->guest, vm->boot_ticket, vm->boot.shape.vcpus, vm->boot.shape.memory_mib, 0,
                     vm->boot.timeout_ms);
}

static void vm_on_prepared(gpointer owner, const GError *error)
{
    struct vm *vm = owner;
    if (error != NULL) {
        vm_lose(vm, error);
        return;
    }
    if (vm_clock_again(vm))
        return;
    vm->is_prepared = TRUE;
    vm_check_ready(vm);
}

void vm_shaped_at_boot(struct vm *vm, const struct guest_facts *facts, const GError *error)
{
    if (error != NULL) {
        vm_lose(vm, error);
        return;
    }
    vm_shape_begin(vm, facts);
    vm->is_shaped = TRUE;
    vm_check_ready(vm);
}

static void vm_on_lost(gpointer owner, const GError *error)
{
    vm_lose(owner, error);
}

static const struct guest_watch vm_watch = {
    .answered = vm_on_answered,
    .prepared = vm_on_prepared,
    .shaped = vm_on_shaped,
    .used = vm_on_used,
    .pressed = vm_on_pressed,
    .shrunk = vm_on_shrunk,
    .run_started = vm_on_run_started,
    .run_output = vm_on_run_output,
    .run_exit = vm_on_warm_exit,
    .stdin_taken = vm_on_stdin_taken,
    .staged = vm_on_staged,
    .lost = vm_on_lost,
};

void vm_has_guest(struct vm *vm)
{
    vm_hail_later(vm, vm->boot.saved != NULL || vm->boot.is_migrated ? HAIL_CLONE_MS : HAIL_MS);
    guest_hail(vm->guest);
}

/* The domain runs: its agent is next. */
static void vm_wake(struct vm *vm)
{
    vm->state = VM_WAKING;
    vm->began_at = clock_now();
    vm_open_guest(vm, &vm_watch);
}

/* That a saved state is damaged matters to more than the instance that was to be its clone. */
static void vm_tell_lost_state(const struct vm *vm, const struct create_call *call, const GError *error)
{
    if (call == NULL || !call->is_saved_lost)
        return;
    struct event *event = host_event(vm->host, EVENT_SAVED_LOST, vm->boot.saved);
    event->error = g_error_copy(error);
    host_post(vm->host, event);
}

static void vm_on_created(gpointer owner, gpointer context, gpointer data, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = vm_find(host, context);
    struct create_call *call = data;
    if (vm == NULL)
        return;
    vm->is_calling = FALSE;
    if (vm->state == VM_ENDING) {
        vm_tear_down(vm);
    } else if (error != NULL) {
        vm_tell_lost_state(vm, call, error);
        vm_lose(vm, error);
    } else {
        vm->live = g_steal_pointer(&call->live);
        vm->agent = call->agent;
        vm->fingerprint = g_steal_pointer(&call->fingerprint);
        vm->has_bandwidth = host->is_system && vm->live->nic_device != NULL && !call->bandwidth_failed;
        host->bandwidth_failed |= call->bandwidth_failed;
        vm_progress(vm, vm->boot.saved != NULL ? "restored" : "started");
        vm_wake(vm);
    }
    host_check_lost(host);
}

static struct create_call *vm_create_call(const struct vm *vm)
{
    const struct libvirt_host *host = vm->host;
    struct create_call *call = g_new0(struct create_call, 1);
    call->link = link_ref(host->link);
    boot_spec_copy_to(&vm->boot, &call->boot);
    g_free(call->boot.owner);
    call->boot.owner = g_strdup(host->settings.owner);
    call->template_dir = g_strdup(host->settings.template_dir);
    call->image_dir = g_strdup(host->spec->images != NULL ? host->spec->images : host->settings.image_dir);
    call->network = g_strdup(vm->is_proof ? "none" : host->spec->network);
    call->disk_dir = g_strdup(host->disk_dir);
    call->saved_dir = host_saved_dir(host);
    call->origin = host_saved_origin(host);
    call->gpus = vm_gpu_addresses(vm);
    call->use_kvm = vm->is_proof || host->acceleration == ACCELERATION_KVM;
    call->drop_cpu_check = !host->settings.keep_cpu_check && host->link->facts.libvirt_version < 12000000;
    call->has_bandwidth = host->is_system && !host->bandwidth_failed;
    call->has_quota = host->is_system;
    call->is_local = host->is_local;
    return call;
}

static void vm_create(struct vm *vm)
{
    struct job job = host_job(vm->host, HOST_LANE_BOOT);
    job.timeout_ms = vm->boot.timeout_ms;
    job.run = create_call_run;
    job.call = vm_create_call(vm);
    job.call_free = create_call_free;
    job.done = vm_on_created;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    vm->is_calling = TRUE;
    vm_time_start(vm);
    workers_submit(vm->host->workers, &job);
}

static void host_refuse(struct libvirt_host *host, const char *id, int code, const char *text)
{
    struct event *event = host_event(host, EVENT_INSTANCE_FAILED, id);
    event->error = hbr_error_new(code, "%s", text);
    host_post(host, event);
}

/* A new entry for an instance, or NULL after telling the core why not. */
static struct vm *vm_begin(struct libvirt_host *host, const struct boot_spec *boot)
{
    if (vm_find(host, boot->instance_id) != NULL) {
        host_refuse(host, boot->instance_id, HBR_ERROR_CONFLICT, "an instance of that id is on the host already");
        return NULL;
    }
    if (host->state != LINK_UP) {
        host_refuse(host, boot->instance_id, HBR_ERROR_UNAVAILABLE, "the host is down");
        return NULL;
    }
    return vm_new(host, boot);
}

void vm_boot(struct libvirt_host *host, const struct boot_spec *boot)
{
    struct vm *vm = vm_begin(host, boot);
    if (vm == NULL)
        return;
    if (vm_take_gpus(vm, boot->shape.gpus)) {
        vm_create(vm);
        return;
    }
    vm_remove(vm);
    host_refuse(host, boot->instance_id, HBR_ERROR_EXHAUSTED, "no GPU of the host is free");
}

static void vm_on_looked(gpointer owner, gpointer context, gpointer data, const GError *error)
{
    struct vm *vm = vm_find(owner, context);
    struct look_call *call = data;
    if (vm == NULL)
        return;
    vm->is_calling = FALSE;
    if (vm->state == VM_ENDING) {
        vm_tear_down(vm);
    } else if (error != NULL) {
        vm_lose(vm, error);
    } else {
        vm->live = g_steal_pointer(&call->live);
        vm->agent = vm->live->channel_path != NULL ? TEMPLATE_AGENT_HARBINGER : TEMPLATE_AGENT_QEMU;
        vm->has_bandwidth = vm->host->is_system && vm->live->nic_device != NULL && !vm->host->bandwidth_failed;
        vm_adopt_gpus(vm);
        vm_wake(vm);
    }
}

void vm_adopt(struct libvirt_host *host, const struct boot_spec *boot)
{
    const struct vm *present = vm_find(host, boot->instance_id);
    if (present != NULL && (present->state == VM_CREATING || present->state == VM_WAKING))
        return; /* asked for again by an inventory that was taken meanwhile */
    if (present != NULL && present->state == VM_READY) {
        vm_tell_ready(present);
        return;
    }
    struct vm *vm = vm_begin(host, boot);
    if (vm == NULL)
        return;
    struct look_call *call = g_new0(struct look_call, 1);
    call->link = link_ref(host->link);
    call->uuid = g_strdup(vm->uuid);
    struct job job = host_job(host, LINK_CONTROL);
    job.run = look_call_run;
    job.call = call;
    job.call_free = look_call_free;
    job.done = vm_on_looked;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    vm->is_calling = TRUE;
    vm_time_start(vm);
    workers_submit(host->workers, &job);
}

void vm_prove_kvm(struct libvirt_host *host)
{
    g_autoptr(GRand) random = g_rand_new();
    g_autofree char *id = id_new("proof", clock_now(), random);
    g_autofree char *uuid = g_uuid_string_random();
    const struct vm_shape shape = {.vcpus = 1, .memory_mib = PROOF_MEMORY_MIB};
    const struct boot_spec boot = {
        .instance_id = id,
        .uuid = uuid,
        .owner = host->settings.owner,
        .template = (char *)"base",
        .shape = shape,
        .maximum = shape,
        .sample_interval_ms = 1000,
        .timeout_ms = host->settings.kvm_proof_ms,
    };
    struct vm *vm = vm_new(host, &boot);
    vm->is_proof = TRUE;
    vm_create(vm);
}
