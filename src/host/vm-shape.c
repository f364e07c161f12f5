/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/vm.h"

/* Growth of a running instance. libvirt and the guest are asked at the same time; it is done when the guest says that it has it. */

#define CONFIRM_MS 10000

void vm_confirm_unseen(struct vm *vm, const struct vm_shape *asked)
{
    vm->shape.network_mbps = vm->has_bandwidth ? asked->network_mbps : 0;
    vm->shape.cpu_percent = vm->host->is_system ? asked->cpu_percent : 0;
    vm->shape.gpus = vm->boot.shape.gpus;
}

static struct shaping *shaping_find(const struct vm *vm, guint64 ticket)
{
    for (guint i = 0; i < vm->shapings->len; i++) {
        struct shaping *shaping = vm->shapings->pdata[i];
        if (shaping->ticket == ticket)
            return shaping;
    }
    return NULL;
}

static void shaping_report(struct shaping *shaping, const GError *error)
{
    struct vm *vm = shaping->vm;
    struct event *event = host_event(vm->host, EVENT_INSTANCE_SHAPED, vm->id);
    event->serial = shaping->serial;
    event->shape = vm->shape;
    event->error = error == NULL ? NULL : g_error_copy(error);
    host_post(vm->host, event);
    if (error != NULL) {
        vm->asked.vcpus = vm->shape.vcpus;
        vm->asked.memory_mib = vm->shape.memory_mib;
    }
    g_ptr_array_remove_fast(vm->shapings, shaping);
    g_free(shaping);
}

void vm_forget_shapings(struct vm *vm, const GError *error)
{
    while (error != NULL && vm->shapings->len > 0)
        shaping_report(vm->shapings->pdata[0], error);
    for (guint i = 0; i < vm->shapings->len; i++)
        g_free(vm->shapings->pdata[i]);
    g_ptr_array_set_size(vm->shapings, 0);
}

/* One step has succeeded; the last one ends the whole. */
static void shaping_release(struct shaping *shaping)
{
    if (--shaping->references == 0)
        shaping_report(shaping, NULL);
}

void vm_on_shaped(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error)
{
    struct vm *vm = owner;
    if (ticket == vm->boot_ticket) {
        vm_shaped_at_boot(vm, facts, error);
        return;
    }
    struct shaping *shaping = shaping_find(vm, ticket);
    if (facts != NULL) {
        vm->shape.vcpus = facts->vcpus;
        vm->shape.memory_mib = MAX(facts->memory_mib, vm->shape.memory_mib);
    }
    if (shaping == NULL)
        return;
    if (error != NULL)
        shaping_report(shaping, error);
    else
        shaping_release(shaping);
}

struct step_context {
    char *id;
    guint64 ticket;
};

static void step_context_free(gpointer data)
{
    struct step_context *context = data;
    g_free(context->id);
    g_free(context);
}

static void on_step(gpointer owner, gpointer data, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct step_context *context = data;
    struct vm *vm = g_hash_table_lookup(host->vms, context->id);
    struct shaping *shaping = vm == NULL ? NULL : shaping_find(vm, context->ticket);
    (void)call;
    if (shaping != NULL && error != NULL)
        shaping_report(shaping, error);
    else if (shaping != NULL)
        shaping_release(shaping);
    host_check_lost(host);
}

static struct change_call *change_new(const struct vm *vm)
{
    struct change_call *call = g_new0(struct change_call, 1);
    call->link = link_ref(vm->host->link);
    call->uuid = g_strdup(vm->uuid);
    return call;
}

static void shaping_step(struct shaping *shaping, gboolean (*run)(gpointer call, GError **error),
                         struct change_call *call)
{
    struct vm *vm = shaping->vm;
    struct step_context *context = g_new0(struct step_context, 1);
    context->id = g_strdup(vm->id);
    context->ticket = shaping->ticket;
    struct job job = host_job(vm->host, LINK_CONTROL);
    job.key = g_strdup(vm->id);
    job.run = run;
    job.call = call;
    job.call_free = change_call_free;
    job.done = on_step;
    job.context = context;
    job.context_free = step_context_free;
    shaping->references++;
    workers_submit(vm->host->workers, &job);
}

static void step_vcpus(struct shaping *shaping, guint vcpus)
{
    struct change_call *call = change_new(shaping->vm);
    call->vcpus = vcpus;
    shaping_step(shaping, change_vcpus_run, call);
}

static void step_memory(struct shaping *shaping, const struct vm_shape *shape)
{
    const struct domain_live *live = shaping->vm->live;
    struct change_call *call = change_new(shaping->vm);
    call->memory_xml = domain_memory_xml(live, domain_requested_mib(live->boot_memory_mib, shape));
    shaping_step(shaping, change_memory_run, call);
}

static void step_network(struct shaping *shaping, guint network_mbps)
{
    struct change_call *call = change_new(shaping->vm);
    call->nic_device = g_strdup(shaping->vm->live->nic_device);
    call->network_mbps = network_mbps;
    shaping_step(shaping, change_bandwidth_run, call);
}

static void step_quota(struct shaping *shaping, guint cpu_percent)
{
    struct change_call *call = change_new(shaping->vm);
    call->cpu_percent = cpu_percent;
    shaping_step(shaping, change_quota_run, call);
}

/* Why this instance cannot be given that shape at all, or NULL. */
static const char *shape_obstacle(const struct vm *vm, const struct vm_shape *shape)
{
    if (vm->host->link == NULL)
        return "the host is down";
    if (shape->memory_mib > vm->asked.memory_mib && vm->live->memory_xml == NULL)
        return "the instance was started without a device for more memory";
    return NULL;
}

static void shaping_begin(struct shaping *shaping, const struct vm_shape *shape)
{
    struct vm *vm = shaping->vm;
    const struct vm_shape before = vm->asked;
    const guint vcpus = shape->vcpus > before.vcpus ? shape->vcpus : 0;
    const guint memory_mib = shape->memory_mib > before.memory_mib ? shape->memory_mib : 0;
    vm->asked = *shape;
    vm->asked.vcpus = MAX(shape->vcpus, before.vcpus);
    vm->asked.memory_mib = MAX(shape->memory_mib, before.memory_mib);
    if (memory_mib > 0)
        step_memory(shaping, shape);
    if (vcpus > 0)
        step_vcpus(shaping, vcpus);
    if (shape->network_mbps != before.network_mbps && vm->has_bandwidth)
        step_network(shaping, shape->network_mbps);
    if (shape->cpu_percent != before.cpu_percent && vm->host->is_system)
        step_quota(shaping, shape->cpu_percent);
    if (vcpus > 0 || memory_mib > 0) {
        shaping->references++;
        guest_wait_shape(vm->guest, shaping->ticket, vcpus, memory_mib, CONFIRM_MS);
    }
}

void vm_reshape(struct vm *vm, guint64 serial, const struct vm_shape *shape)
{
    struct shaping *shaping = g_new0(struct shaping, 1);
    const char *obstacle = shape_obstacle(vm, shape);
    shaping->vm = vm;
    shaping->serial = serial;
    shaping->ticket = ++vm->next_ticket;
    shaping->references = 1;
    g_ptr_array_add(vm->shapings, shaping);
    if (obstacle != NULL) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNSUPPORTED, "%s", obstacle);
        shaping_report(shaping, error);
        return;
    }
    const guint64 ticket = shaping->ticket;
    shaping_begin(shaping, shape);
    shaping = shaping_find(vm, ticket); /* the guest may have been lost under it */
    if (shaping == NULL)
        return;
    vm_confirm_unseen(vm, shape);
    shaping_release(shaping);
}
