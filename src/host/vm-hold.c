/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

#include "base/log.h"

/* Warm-ups yield to claims, not in that none begins meanwhile alone: while an instance is being claimed, those of the host that nobody waits for stand
 * still. A claim is many short steps of many threads, and each may have to wait for a booting guest's turn of a CPU to end. It is over in some
 * milliseconds; a warm-up has at least half of the time, however many claims there are. */

#define HOLD_MAX_MS 100
#define HOLD_REST_MS 100
#define HOLD_LANE LINK_MONITOR /* whose calls are all short */

static gboolean vm_may_hold(const struct vm *vm)
{
    if (vm->is_held || vm->is_proof || vm->is_claim || vm->boot.reservation_id != NULL || vm->boot.is_migrated)
        return FALSE;
    if (vm->agent == TEMPLATE_AGENT_QEMU) /* libvirt refuses to speak with the agent of a guest that stands still */
        return FALSE;
    return vm->state == VM_WAKING || (vm->state == VM_READY && vm_is_warming(vm));
}

static void on_held(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    (void)call;
    if (error != NULL)
        log_debug("host", "%s: %s does not stand still: %s", host->base.name, (char *)context, error->message);
    host_check_lost(host);
}

static void on_let_run(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    (void)call;
    if (vm != NULL && error != NULL && host->link == NULL)
        vm->is_held = TRUE; /* host_end_hold() comes with the next connection */
    else if (vm != NULL && error != NULL)
        vm_lose(vm, error);
    host_check_lost(host);
}

static void vm_hold(struct vm *vm)
{
    struct job job = vm_power_job(vm, HOLD_LANE, suspend_call_run);
    vm->is_held = TRUE;
    job.done = on_held;
    workers_submit(vm->host->workers, &job);
}

void vm_let_run(struct vm *vm)
{
    if (!vm->is_held)
        return;
    if (vm->host->link == NULL && vm->state != VM_ENDING)
        return;
    vm->is_held = FALSE;
    if (vm->state == VM_ENDING)
        return;
    struct job job = vm_power_job(vm, HOLD_LANE, resume_call_run); /* after the other: they have the same key */
    job.done = on_let_run;
    workers_submit(vm->host->workers, &job);
}

void host_end_hold(struct libvirt_host *host)
{
    g_autoptr(GList) vms = g_hash_table_get_values(host->vms);
    timer_cancel(&host->hold_timer);
    host->hold_ended_at = g_get_monotonic_time();
    for (GList *link = vms; link != NULL; link = link->next)
        vm_let_run(link->data);
}

static gboolean host_on_hold_timeout(gpointer host)
{
    host_end_hold(host);
    return G_SOURCE_REMOVE;
}

/* That they take a good part of the CPUs: else there is room beside them. */
static gboolean host_is_crowded(const struct libvirt_host *host, const GPtrArray *warmups)
{
    guint vcpus = 0;
    for (guint i = 0; i < warmups->len; i++)
        vcpus += ((const struct vm *)warmups->pdata[i])->boot.shape.vcpus;
    return vcpus > 0 && 2 * vcpus >= host->link->facts.cpus;
}

void host_hold_warmups(struct libvirt_host *host)
{
    const gint64 rest_us = g_get_monotonic_time() - host->hold_ended_at;
    if (host->link == NULL || host->hold_timer != NULL || rest_us < HOLD_REST_MS * G_TIME_SPAN_MILLISECOND)
        return;
    g_autoptr(GPtrArray) warmups = g_ptr_array_new();
    GHashTableIter iter;
    gpointer vm;
    g_hash_table_iter_init(&iter, host->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        if (vm_may_hold(vm))
            g_ptr_array_add(warmups, vm);
    if (!host_is_crowded(host, warmups))
        return;
    for (guint i = 0; i < warmups->len; i++)
        vm_hold(warmups->pdata[i]);
    host->hold_timer = host_timer(host, HOLD_MAX_MS, host_on_hold_timeout, host);
}

void host_claim_ended(struct libvirt_host *host)
{
    GHashTableIter iter;
    gpointer vm;
    if (host->hold_timer == NULL)
        return;
    g_hash_table_iter_init(&iter, host->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        if (((struct vm *)vm)->is_claim && ((struct vm *)vm)->state == VM_WAKING)
            return;
    host_end_hold(host);
}
