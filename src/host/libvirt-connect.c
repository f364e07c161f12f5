/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "host/kvm-proof.h"
#include "host/machine-speed.h"
#include "host/vm.h"

#include <libvirt/libvirt.h>

/* Connecting, staying connected, and what follows from either. */

#define CONNECT_MS 30000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define SECOND_LOOK_MS 400 /* FACTS: libvirt lists a QEMU that died while it was down as running for 0.1 s */
#define LOST_CALLS_MAX 8

static void host_lose_link(struct libvirt_host *host, const char *reason);

static gboolean host_on_reconnect(gpointer data)
{
    struct libvirt_host *host = data;
    timer_cancel(&host->reconnect_timer);
    host_connect(host);
    return G_SOURCE_REMOVE;
}

static void host_back_off(struct libvirt_host *host)
{
    host->state = LINK_DOWN;
    timer_cancel(&host->reconnect_timer);
    if (!host->is_wanted)
        return;
    host->reconnect_timer = host_timer(host, host->backoff_ms, host_on_reconnect, host);
    host->backoff_ms = MIN(host->backoff_ms * 2, BACKOFF_MAX_MS);
}

/* Once for each reason, not at each attempt. */
static void host_report_down(struct libvirt_host *host, const char *reason)
{
    if (g_strcmp0(host->down_reason, reason) == 0)
        return;
    g_free(host->down_reason);
    host->down_reason = g_strdup(reason);
    struct event *event = host_event(host, EVENT_HOST_DOWN, NULL);
    event->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "%s", reason);
    host_post(host, event);
}

static char *version_text(gulong version)
{
    return g_strdup_printf("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

static void host_report_up(struct libvirt_host *host)
{
    const struct link_facts *facts = &host->link->facts;
    g_autofree char *libvirt = version_text(facts->libvirt_version);
    g_autofree char *qemu = version_text(facts->qemu_version);
    struct event *event = host_event(host, EVENT_HOST_UP, NULL);
    event->host_report = g_new0(struct host_report, 1);
    *event->host_report = (struct host_report){
        .cpus = facts->cpus,
        .memory_mib = facts->memory_mib,
        .acceleration = host->acceleration,
        .acceleration_reason = g_strdup(host->acceleration_reason),
        .version = g_strdup_printf("libvirt %s, QEMU %s", libvirt, qemu),
        .speed = host->speed * (host->acceleration == ACCELERATION_TCG ? MACHINE_SPEED_TCG : 1),
    };
    host_post(host, event);
}

/* Saved states without those that the core has not been told of yet, because their instances are still being removed. */
static GPtrArray *told_states(const struct libvirt_host *host, const GPtrArray *found)
{
    g_autoptr(GHashTable) untold = g_hash_table_new(g_str_hash, g_str_equal);
    GPtrArray *told = g_ptr_array_new_with_free_func((GDestroyNotify)saved_state_free);
    GHashTableIter iter;
    gpointer vm;
    g_hash_table_iter_init(&iter, host->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm)) {
        if (((struct vm *)vm)->saved_id != NULL)
            g_hash_table_add(untold, ((struct vm *)vm)->saved_id);
    }
    for (guint i = 0; i < found->len; i++) {
        const struct saved_state *state = found->pdata[i];
        if (!g_hash_table_contains(untold, state->id))
            g_ptr_array_add(told, saved_state_copy(state));
    }
    return told;
}

static struct event *inventory_event(const struct libvirt_host *host, const struct inventory_call *call)
{
    struct event *event = host_event(host, EVENT_HOST_INVENTORY, NULL);
    event->at = call->at;
    event->inventory = g_ptr_array_new_with_free_func((GDestroyNotify)inventory_item_free);
    for (guint i = 0; i < call->found->len; i++) {
        const struct found_domain *found = call->found->pdata[i];
        struct inventory_item *item = g_new0(struct inventory_item, 1);
        item->instance_id = g_strdup(found->instance_id);
        item->owner = g_strdup(found->owner);
        item->is_running = found->is_running;
        g_ptr_array_add(event->inventory, item);
    }
    event->saved_states = told_states(host, call->saved);
    return event;
}

/* Instances of ours that libvirt does not have. */
static void host_miss(struct libvirt_host *host, const struct inventory_call *call)
{
    g_autoptr(GHashTable) found = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    for (guint i = 0; i < call->found->len; i++)
        g_hash_table_add(found, ((struct found_domain *)call->found->pdata[i])->uuid);
    GHashTableIter iter;
    gpointer uuid, vm;
    g_hash_table_iter_init(&iter, host->by_uuid);
    while (g_hash_table_iter_next(&iter, &uuid, &vm)) {
        if (!g_hash_table_contains(found, uuid) && ((struct vm *)vm)->began_at <= call->at)
            g_ptr_array_add(missing, vm);
    }
    for (guint i = 0; i < missing->len; i++)
        vm_missing(missing->pdata[i]);
}

static void host_on_inventory(gpointer owner, gpointer context, gpointer data, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct inventory_call *call = data;
    (void)context;
    if (error != NULL) {
        log_warning("host", "%s: no inventory: %s", host->base.name, error->message);
        host_check_lost(host);
        return;
    }
    if (host->state != LINK_UP || call->link != host->link)
        return;
    host_post(host, inventory_event(host, call));
    host_miss(host, call);
}

void host_take_inventory(struct libvirt_host *host)
{
    struct inventory_call *call = g_new0(struct inventory_call, 1);
    call->link = link_ref(host->link);
    call->at = clock_now();
    if (host->is_local) {
        call->owner = g_strdup(host->settings.owner);
        call->saved_dir = host_saved_dir(host);
        call->origin = host_saved_origin(host);
        call->saved_since = host->born_at;
    }
    struct job job = host_job(host, LINK_MONITOR);
    job.run = inventory_call_run;
    job.call = call;
    job.call_free = inventory_call_free;
    job.done = host_on_inventory;
    workers_submit(host->workers, &job);
}

static gboolean host_on_inventory_due(gpointer data)
{
    struct libvirt_host *host = data;
    host_take_inventory(host);
    return G_SOURCE_CONTINUE;
}

static gboolean host_on_second_look(gpointer data)
{
    struct libvirt_host *host = data;
    timer_cancel(&host->inventory_timer);
    host->inventory_timer = host_timer(host, host->settings.inventory_ms, host_on_inventory_due, host);
    host_take_inventory(host);
    return G_SOURCE_REMOVE;
}

static void host_up(struct libvirt_host *host)
{
    host->state = LINK_UP;
    host->backoff_ms = BACKOFF_MIN_MS;
    g_clear_pointer(&host->down_reason, g_free);
    host_report_up(host);
    host_end_hold(host);
    host_take_inventory(host);
    timer_cancel(&host->inventory_timer);
    host->inventory_timer = host_timer(host, SECOND_LOOK_MS, host_on_second_look, host);
}

static void host_settle_acceleration(struct libvirt_host *host, enum acceleration acceleration, const char *reason)
{
    host->acceleration = acceleration;
    g_free(host->acceleration_reason);
    host->acceleration_reason = g_strdup(reason);
    log_info("host", "%s: %s: %s", host->base.name, acceleration == ACCELERATION_KVM ? "KVM" : "TCG", reason);
}

/* A missing image or a lost connection says nothing about KVM. */
static gboolean proof_is_final(const GError *error)
{
    return error == NULL || error->code == HBR_ERROR_TIMEOUT || error->code == HBR_ERROR_INTERRUPTED ||
           error->code == HBR_ERROR_HYPERVISOR;
}

void host_proof_done(struct libvirt_host *host, const GError *error)
{
    g_autofree char *reason = error == NULL
                                  ? g_strdup("proven: a guest booted with KVM on this host")
                                  : g_strdup_printf("KVM is offered, but no guest booted with it: %s", error->message);
    const enum acceleration verdict = error == NULL ? ACCELERATION_KVM : ACCELERATION_TCG;
    if (host->state != LINK_PROVING)
        return;
    host_settle_acceleration(host, verdict, reason);
    if (host->is_local && proof_is_final(error))
        kvm_proof_remember(host->settings.state_dir, host->spec->uri, verdict, reason);
    host_up(host);
}

static void host_on_kvm_asked(gpointer owner, gpointer context, gpointer data, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct kvm_call *call = data;
    (void)context;
    if (host->state != LINK_PROVING)
        return;
    if (error == NULL && call->is_offered) {
        vm_prove_kvm(host);
        return;
    }
    host_settle_acceleration(host, ACCELERATION_TCG,
                             error == NULL ? "libvirt offers no KVM on this host"
                                           : "libvirt did not say in time whether it offers KVM");
    host_up(host);
}

static void host_ask_kvm(struct libvirt_host *host)
{
    struct kvm_call *call = g_new0(struct kvm_call, 1);
    call->link = link_ref(host->link);
    struct job job = host_job(host, LINK_SLOW);
    job.timeout_ms = host->settings.kvm_proof_ms;
    job.run = kvm_call_run;
    job.call = call;
    job.call_free = kvm_call_free;
    job.done = host_on_kvm_asked;
    workers_submit(host->workers, &job);
}

/* Connected: KVM is used when it is proven, and proven once for each boot of the host. */
static void host_decide_acceleration(struct libvirt_host *host)
{
    g_autofree char *reason = NULL;
    if (host->acceleration != ACCELERATION_UNKNOWN) {
        if (host->acceleration_reason == NULL)
            host_settle_acceleration(host, host->acceleration, "as configured");
        host_up(host);
        return;
    }
    const enum acceleration known = host->is_local
                                        ? kvm_proof_recall(host->settings.state_dir, host->spec->uri,
                                                           host->is_system ? NULL : KVM_PROOF_DEVICE, &reason)
                                        : ACCELERATION_UNKNOWN;
    if (known != ACCELERATION_UNKNOWN) {
        host_settle_acceleration(host, known, reason);
        host_up(host);
        return;
    }
    host->state = LINK_PROVING;
    host_ask_kvm(host);
}

static void host_on_connected(gpointer owner, gpointer context, gpointer data, const GError *error)
{
    struct libvirt_host *host = owner;
    struct connect_call *call = data;
    (void)context;
    if (host->state != LINK_CONNECTING)
        return;
    if (error != NULL) {
        host_report_down(host, error->message);
        host_back_off(host);
        host_check_lost(host);
        return;
    }
    if (!host->is_wanted) {
        host->state = LINK_DOWN;
        return;
    }
    host->link = g_steal_pointer(&call->link);
    if (call->speed > 0)
        host->speed = call->speed;
    host_decide_acceleration(host);
}

static struct vm *vm_of_event(struct libvirt_host *host, const struct link_event *event)
{
    return event->uuid == NULL ? NULL : g_hash_table_lookup(host->by_uuid, event->uuid);
}

static void on_closed(gpointer owner, gpointer data)
{
    static const char *const reasons[] = {
        [VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection to libvirt broke",
        [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirt closed the connection",
        [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirt does not answer",
        [VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection was closed",
    };
    struct libvirt_host *host = owner;
    struct link_event *event = data;
    if (host->link != NULL && event->generation == host->generation)
        host_lose_link(host, (gsize)event->event < G_N_ELEMENTS(reasons) ? reasons[event->event] : reasons[0]);
    link_event_free(event);
}

static const char *stopped_reason(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
        return "the guest shut down";
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
        return "its domain was destroyed by somebody else";
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
        return "the guest crashed";
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return "its QEMU died";
    default:
        return "its domain stopped";
    }
}

static void on_lifecycle(gpointer owner, gpointer data)
{
    struct link_event *event = data;
    struct vm *vm = vm_of_event(owner, event);
    if (vm != NULL && vm->state != VM_ENDING && vm->state != VM_CREATING && vm->state != VM_MIGRATING) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_INTERRUPTED, "%s", stopped_reason(event->detail));
        vm_lose(vm, error);
    }
    link_event_free(event);
}

static void on_agent(gpointer owner, gpointer data)
{
    struct link_event *event = data;
    struct vm *vm = vm_of_event(owner, event);
    if (vm != NULL && vm->state == VM_WAKING && vm->agent == TEMPLATE_AGENT_QEMU &&
        event->event == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED)
        guest_hail(vm->guest);
    link_event_free(event);
}

static void on_memory(gpointer owner, gpointer data)
{
    struct link_event *event = data;
    const struct vm *vm = vm_of_event(owner, event);
    if (vm != NULL)
        log_debug("host", "%s: %s has %" G_GUINT64_FORMAT " KiB plugged", vm->id, event->text, event->size_kib);
    link_event_free(event);
}

static void on_device_removed(gpointer owner, gpointer data)
{
    struct link_event *event = data;
    struct vm *vm = vm_of_event(owner, event);
    if (vm != NULL) {
        log_info("host", "%s: its device %s was removed", vm->id, event->text);
        vm_gpu_removed(vm, event->text);
    }
    link_event_free(event);
}

static const struct link_watch host_watch = {
    .closed = on_closed,
    .lifecycle = on_lifecycle,
    .agent = on_agent,
    .memory = on_memory,
    .device_removed = on_device_removed,
};

void host_connect(struct libvirt_host *host)
{
    host->is_wanted = TRUE;
    if (host->state != LINK_DOWN || host->reconnect_timer != NULL)
        return;
    if (host->backoff_ms == 0)
        host->backoff_ms = BACKOFF_MIN_MS;
    if (workers_lost(host->workers) > LOST_CALLS_MAX) {
        host_back_off(host);
        return;
    }
    struct connect_call *call = g_new0(struct connect_call, 1);
    call->uri = g_strdup(host->spec->uri);
    call->generation = ++host->generation;
    call->wants_speed = host->is_local && host->speed == 0;
    call->watch = host_watch;
    call->inbox = inbox_ref(host->inbox);
    struct job job = host_job(host, LINK_CONTROL);
    job.timeout_ms = CONNECT_MS;
    job.run = connect_call_run;
    job.call = call;
    job.call_free = connect_call_free;
    job.done = host_on_connected;
    host->state = LINK_CONNECTING;
    workers_submit(host->workers, &job);
}

static void host_drop_link(struct libvirt_host *host)
{
    timer_cancel(&host->inventory_timer);
    link_unref(g_steal_pointer(&host->link));
    host->state = LINK_DOWN;
    workers_drop_waiting(host->workers);
}

static void host_lose_link(struct libvirt_host *host, const char *reason)
{
    host_drop_link(host);
    host_report_down(host, reason);
    host_back_off(host);
}

void host_disconnect(struct libvirt_host *host)
{
    host->is_wanted = FALSE;
    timer_cancel(&host->reconnect_timer);
    if (host->link != NULL)
        host_drop_link(host);
}

void host_check_lost(struct libvirt_host *host)
{
    if (host->link == NULL || workers_lost(host->workers) <= LOST_CALLS_MAX)
        return;
    host_lose_link(host, "too many calls to libvirt hang");
}
