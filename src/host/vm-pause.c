/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

/* A warm instance: suspended while nobody needs it, and made a reservation's own. A claim may come while it is still being suspended: it goes
 * on when libvirt has answered. */

#define CLOCK_OFF_MAX_US 40000 /* a guest's clock is wrong by at most the time between sending and acknowledgement */
#define CLOCK_TRIES 10

static void post_paused(const struct libvirt_host *host, const char *id, GError *error)
{
    struct event *event = host_event(host, EVENT_INSTANCE_PAUSED, id);
    event->error = error;
    host_post(host, event);
}

const char *vm_use(const struct vm *vm)
{
    if (vm->state != VM_READY && vm->state != VM_PAUSED)
        return "the instance is not ready";
    if (g_hash_table_size(vm->runs) > 0)
        return "code runs in the instance";
    return vm->shapings->len > 0 ? "the shape of the instance is being changed" : NULL;
}

struct job vm_power_job(const struct vm *vm, guint lane, gboolean (*run)(gpointer call, GError **error))
{
    struct power_call *call = g_new0(struct power_call, 1);
    struct job job = host_job(vm->host, lane);
    call->link = link_ref(vm->host->link);
    call->lane = lane;
    call->uuid = g_strdup(vm->uuid);
    job.key = g_strdup(vm->id);
    job.run = run;
    job.call = call;
    job.call_free = power_call_free;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    return job;
}

static void vm_resume(struct vm *vm);

static void on_suspended(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    (void)call;
    if (vm != NULL && vm->is_suspending) {
        vm->is_suspending = FALSE;
        if (error != NULL && vm->state == VM_PAUSED) {
            vm->state = VM_READY;
            vm_heart_start(vm);
        }
        if (vm->state != VM_ENDING)
            post_paused(host, vm->id, error == NULL ? NULL : g_error_copy(error));
        if (vm->state == VM_WAKING)
            vm_resume(vm); /* of what was not suspended too: nobody knows what came of a call that failed */
    }
    host_check_lost(host);
}

static void vm_suspend(struct vm *vm)
{
    if (vm->host->link == NULL) {
        post_paused(vm->host, vm->id, hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down"));
        return;
    }
    vm->state = VM_PAUSED;
    vm->is_suspending = TRUE;
    vm_heart_stop(vm);
    struct job job = vm_power_job(vm, LINK_SLOW, suspend_call_run);
    job.done = on_suspended;
    workers_submit(vm->host->workers, &job);
}

void vm_grant_wish(struct vm *vm)
{
    const enum vm_wish wish = vm->wish;
    if (vm_is_warming(vm) || wish == VM_WISH_NONE)
        return;
    vm->wish = VM_WISH_NONE;
    vm_let_run(vm); /* before, and not after */
    if (wish == VM_WISH_PAUSE)
        vm_suspend(vm);
    else
        vm_save_begin(vm);
}

void vm_refuse_wish(struct vm *vm, const char *reason)
{
    if (vm->wish != VM_WISH_PAUSE)
        return;
    vm->wish = VM_WISH_NONE;
    post_paused(vm->host, vm->id, hbr_error_new(HBR_ERROR_CONFLICT, "%s", reason));
}

void vm_pause(struct libvirt_host *host, const char *id)
{
    struct vm *vm = g_hash_table_lookup(host->vms, id);
    const char *use = vm == NULL ? "the instance is not there" : vm_use(vm);
    if (use == NULL && (vm->wish != VM_WISH_NONE || vm->state != VM_READY))
        use = "the instance is paused already, or on its way there";
    if (use == NULL && vm_gpu_count(vm) > 0)
        use = "an instance with a GPU is not paused: nobody else could have that";
    if (use != NULL) {
        post_paused(host, id, hbr_error_new(HBR_ERROR_CONFLICT, "%s", use));
        return;
    }
    vm->wish = VM_WISH_PAUSE;
    vm_grant_wish(vm);
}

/* 32 hexadecimal digits of a uuid. */
static char *uuid_digits(const char *uuid)
{
    g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);
    return g_strjoinv("", parts);
}

static const struct guest_identity as_it_is; /* only the time is told */

void vm_prepare(struct vm *vm)
{
    const gboolean is_clone = vm->boot.saved != NULL;
    const gboolean is_claim = vm->is_claim;
    g_autofree char *fresh = is_claim && g_strcmp0(vm->boot.uuid, vm->uuid) == 0 ? g_uuid_string_random() : NULL;
    const char *uuid = !is_claim ? vm->uuid : fresh != NULL || vm->boot.uuid == NULL ? fresh : vm->boot.uuid;
    g_autofree char *machine_id = uuid_digits(uuid);
    g_autofree char *hostname =
        g_strndup(is_claim && vm->boot.reservation_id != NULL ? vm->boot.reservation_id : vm->id, 63);
    const struct guest_identity identity = {
        .hostname = hostname, .machine_id = machine_id, .mac = is_clone && !is_claim ? vm->live->mac : NULL};
    vm->clock_sent_at = g_get_monotonic_time();
    vm->clock_tries = 0;
    guest_prepare(vm->guest, vm->boot.is_migrated ? &as_it_is : &identity, clock_now());
}

gboolean vm_clock_again(struct vm *vm)
{
    const gint64 now = g_get_monotonic_time();
    if (vm->agent != TEMPLATE_AGENT_HARBINGER || vm->is_proof || now - vm->clock_sent_at <= CLOCK_OFF_MAX_US)
        return FALSE;
    if (vm->clock_tries++ == CLOCK_TRIES) {
        log_warning("host", "%s: its clock may be off by %" G_GINT64_FORMAT " ms", vm->id,
                    (now - vm->clock_sent_at) / 1000);
        return FALSE;
    }
    vm->clock_sent_at = now;
    guest_prepare(vm->guest, &as_it_is, clock_now());
    return TRUE;
}

/* The guest answers: it becomes what the reservation wants, its identity and its shape at the same time. */
static void vm_bind(struct vm *vm)
{
    vm_heart_start(vm);
    vm_prepare(vm);
    if (vm->state == VM_WAKING)
        vm_shape_bind(vm);
}

static void on_resumed(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    (void)call;
    if (vm != NULL && vm->state == VM_WAKING && vm->is_resuming) {
        vm->is_resuming = FALSE;
        if (error != NULL) {
            vm_lose(vm, error);
        } else {
            vm_progress(vm, "resumed");
            vm_bind(vm);
        }
    }
    host_check_lost(host);
}

static void vm_resume(struct vm *vm)
{
    if (vm->host->link == NULL) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
        vm_lose(vm, error);
        return;
    }
    vm->is_resuming = TRUE;
    struct job job = vm_power_job(vm, LINK_CONTROL, resume_call_run);
    job.done = on_resumed;
    workers_submit(vm->host->workers, &job);
}

/* From here on it is that reservation's: whatever goes wrong with it is the failure of its claim. */
static void vm_take(struct vm *vm, const struct boot_spec *boot)
{
    boot_spec_clear(&vm->boot);
    boot_spec_copy_to(boot, &vm->boot);
    vm->sampling.interval_ms = boot->sample_interval_ms;
    vm->state = VM_WAKING;
    vm->is_claim = TRUE;
    vm->is_prepared = vm->is_shaped = FALSE;
    vm_time_start(vm);
}

static void claim_refuse(const struct libvirt_host *host, const char *id)
{
    struct event *event = host_event(host, EVENT_INSTANCE_FAILED, id);
    event->error = hbr_error_new(HBR_ERROR_NOT_FOUND, "the instance is not there any more");
    host_post(host, event);
}

void vm_claim(struct libvirt_host *host, const struct boot_spec *boot)
{
    struct vm *vm = g_hash_table_lookup(host->vms, boot->instance_id);
    if (vm == NULL) {
        claim_refuse(host, boot->instance_id);
        return;
    }
    if (vm->state == VM_ENDING) {
        if (vm->end == VM_END_GONE)
            vm->end = VM_END_FAILED; /* its end is the answer */
        return;
    }
    const char *use = vm_use(vm);
    const gboolean was_paused = vm->state == VM_PAUSED;
    if (use == NULL && vm->wish == VM_WISH_SAVE)
        use = "its state is being saved";
    if (use == NULL && !was_paused)
        vm_warm_stop(vm);
    if (vm->state == VM_ENDING)
        return;
    vm_let_run(vm);
    vm_take(vm, boot);
    if (use != NULL) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_CONFLICT, "%s", use);
        vm_lose(vm, error);
    } else if (!was_paused) {
        vm_bind(vm);
    } else if (!vm->is_suspending) {
        vm_resume(vm);
    }
    if (vm->state == VM_WAKING)
        host_hold_warmups(host);
}

static void on_metadata(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    (void)call;
    if (error != NULL)
        log_warning("host", "%s: %s: %s", host->base.name, (char *)context, error->message);
    host_check_lost(host);
}

void vm_write_metadata(struct vm *vm)
{
    if (vm->host->link == NULL)
        return;
    struct metadata_call *call = g_new0(struct metadata_call, 1);
    struct job job = host_job(vm->host, LINK_SLOW);
    char *owner = vm->boot.owner;
    call->link = link_ref(vm->host->link);
    call->uuid = g_strdup(vm->uuid);
    vm->boot.owner = vm->host->settings.owner;
    call->text = domain_metadata_text(&vm->boot);
    vm->boot.owner = owner;
    job.key = g_strdup(vm->id);
    job.run = metadata_call_run;
    job.call = call;
    job.call_free = metadata_call_free;
    job.done = on_metadata;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    workers_submit(vm->host->workers, &job);
}
