/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "host/vm.h"

/* Changes of a running instance. To grow, libvirt and the guest are asked at the same time; it is done when libvirt has taken all of it and the
 * guest says that it has it. To shrink, the guest is asked first, and then memory is taken and QEMU asked how much is gone: a guest may lie.
 * GPUs come and go by libvirt's word alone (vm-gpu.c). What fails is told with what the instance has, and may still get, so that the core's book is never overdrawn. */

#define CONFIRM_MS 10000     /* unless the command says */
#define GRACE_MS 2000        /* for the way of the guest's answer */
#define TAKEN_MS 2000        /* QEMU tells changes of memory once a second */
#define QEMU_UNPLUGS 8000000 /* FACTS: older ones crash of it */

/* A guest may say anything; it has no more than it could be given. */
static guint vm_vcpus_said(const struct vm *vm, const struct guest_facts *facts)
{
    return MIN(facts->vcpus, MAX(vm->boot.maximum.vcpus, vm->boot.shape.vcpus));
}

static guint vm_memory_said(const struct vm *vm, const struct guest_facts *facts)
{
    return MIN(facts->memory_mib, MAX(vm->boot.maximum.memory_mib, vm->boot.shape.memory_mib));
}

void vm_shape_begin(struct vm *vm, const struct guest_facts *facts)
{
    vm->shape = (struct vm_shape){
        .vcpus = vm_vcpus_said(vm, facts),
        .memory_mib = MAX(vm_memory_said(vm, facts), vm->boot.shape.memory_mib),
        .network_mbps = vm->live->network_mbps,
        .disk_mbps = vm->live->disk_mbps,
        .gpus = vm_gpu_count(vm),
        .cpu_percent = vm->live->cpu_percent,
    };
    vm->asked = vm->held = vm->shape;
    vm->vcpus_known = vm->shape.vcpus;
    /* An adopted instance may hold what it was given in an earlier life and never took. */
    vm->held.vcpus = MAX(vm->held.vcpus, vm->live->vcpus);
    vm->held.memory_mib = MAX(vm->held.memory_mib, vm->live->boot_memory_mib + vm->live->requested_mib);
}

void vm_shape_restored(struct vm *vm, const struct guest_facts *facts)
{
    vm->shape = (struct vm_shape){
        .vcpus = vm_vcpus_said(vm, facts),
        .memory_mib = vm->live->boot_memory_mib + vm->live->requested_mib,
        .network_mbps = vm->live->network_mbps,
        .disk_mbps = vm->live->disk_mbps,
        .gpus = vm_gpu_count(vm),
        .cpu_percent = vm->live->cpu_percent,
    };
    vm->asked = vm->held = vm->shape;
    vm->vcpus_known = vm->shape.vcpus;
    vm->held.vcpus = MAX(vm->held.vcpus, vm->live->vcpus);
}

struct shaping *shaping_find(const struct vm *vm, guint64 ticket)
{
    for (guint i = 0; i < vm->shapings->len; i++) {
        struct shaping *shaping = vm->shapings->pdata[i];
        if (shaping->ticket == ticket)
            return shaping;
    }
    return NULL;
}

static void shaping_free(struct shaping *shaping)
{
    timer_cancel(&shaping->deadline);
    timer_cancel(&shaping->gpu_deadline);
    g_clear_error(&shaping->error);
    g_free(shaping);
}

/* The guest has all of the shape that it is to be ready with, or it is not to be ready. */
static void shaping_bound(struct shaping *shaping)
{
    struct vm *vm = shaping->vm;
    g_autoptr(GError) error = g_steal_pointer(&shaping->error);
    g_ptr_array_remove_fast(vm->shapings, shaping);
    shaping_free(shaping);
    if (error != NULL) {
        vm_lose(vm, error);
        return;
    }
    vm->is_shaped = TRUE;
    vm_check_ready(vm);
}

/* vCPUs that the guest keeps offline by its own consent cost the host nothing and do not come back by themselves. */
static guint vm_vcpus_to_come(const struct vm *vm)
{
    const guint offered = vm->vcpus_offered > 0 ? MIN(vm->held.vcpus, vm->vcpus_offered) : vm->held.vcpus;
    return MAX(vm->shape.vcpus, offered);
}

static void shaping_report(struct shaping *shaping)
{
    struct vm *vm = shaping->vm;
    if (shaping->changes_gpus)
        vm->asked.gpus = vm->shape.gpus;
    if (shaping->is_binding) {
        shaping_bound(shaping);
        return;
    }
    struct event *event = host_event(vm->host, EVENT_INSTANCE_SHAPED, vm->id);
    event->serial = shaping->serial;
    event->at = shaping->stepped_at;
    event->shape = vm->shape;
    event->shape.vcpus = vm_vcpus_to_come(vm);
    if (shaping->error != NULL)
        event->shape.memory_mib = MAX(vm->shape.memory_mib, vm->held.memory_mib);
    event->error = g_steal_pointer(&shaping->error);
    host_post(vm->host, event);
    g_ptr_array_remove_fast(vm->shapings, shaping);
    shaping_free(shaping);
}

void shaping_fail(struct shaping *shaping, const GError *error)
{
    if (shaping->error == NULL)
        shaping->error = g_error_copy(error);
}

void vm_forget_shapings(struct vm *vm, const GError *error)
{
    for (guint i = vm->shapings->len; error != NULL && i > 0; i--) {
        struct shaping *shaping = vm->shapings->pdata[i - 1];
        if (shaping->is_binding)
            continue; /* the end of the instance says it all */
        shaping_fail(shaping, error);
        shaping_report(shaping);
    }
    for (guint i = 0; i < vm->shapings->len; i++)
        shaping_free(vm->shapings->pdata[i]);
    g_ptr_array_set_size(vm->shapings, 0);
}

/* One call to libvirt: what it is to set, and on its way back which shaping it belongs to. */
struct step {
    const struct step_kind *kind;
    char *id;
    guint64 ticket;
    guint value;
};

struct step_kind {
    enum link_lane lane;
    gboolean (*run)(gpointer call, GError **error);
    /* What is known after it. `call` is NULL when it has not returned in time: it may or may not have been done. */
    void (*note)(struct vm *vm, guint value, const struct change_call *call, const GError *error);
    gboolean needs_guest; /* without it the guest need not be waited for */
    gboolean is_aside;    /* nobody waits for it, or fails by it */
};

static void note_vcpus(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    const guint present = error != NULL && call != NULL ? call->vcpus_present : value;
    vm->held.vcpus = MAX(vm->held.vcpus, present);
}

static void note_memory(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    if (error == NULL || call == NULL)
        vm->held.memory_mib = MAX(vm->held.memory_mib, value);
}

/* QEMU's word: `call` tells it after a failure too. */
static void note_memory_set(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    if (error != NULL && (call == NULL || call->memory_present == 0)) {
        vm->held.memory_mib = MAX(vm->held.memory_mib, value);
        vm->asked.memory_mib = vm->shape.memory_mib;
        return;
    }
    const guint present = error == NULL ? value : call->memory_present;
    vm->shape.memory_mib = vm->held.memory_mib = vm->asked.memory_mib = present;
}

static void note_nothing(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    (void)vm, (void)value, (void)call, (void)error;
}

static void note_unplugged(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    (void)call;
    vm->vcpus_known =
        value; /* after a failure the others may be there or not: what is held is the most that it can be */
    if (error == NULL)
        vm->held.vcpus = value;
}

static void note_memory_back(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    (void)call;
    if (error == NULL)
        vm->held.memory_mib = value;
}

/* A limit is in force when libvirt has taken it; until then it may be asked for again. */
static void note_limit(guint value, const GError *error, guint *in_force, guint *asked)
{
    if (error == NULL)
        *in_force = value;
    else if (*asked == value)
        *asked = *in_force;
}

static void note_network(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    (void)call;
    note_limit(value, error, &vm->shape.network_mbps, &vm->asked.network_mbps);
}

static void note_disk(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    (void)call;
    note_limit(value, error, &vm->shape.disk_mbps, &vm->asked.disk_mbps);
}

static void note_quota(struct vm *vm, guint value, const struct change_call *call, const GError *error)
{
    (void)call;
    note_limit(value, error, &vm->shape.cpu_percent, &vm->asked.cpu_percent);
}

static const struct step_kind step_vcpus = {LINK_CONTROL, change_vcpus_run, note_vcpus, TRUE},
                              step_unplug = {LINK_SLOW, unplug_vcpus_run, note_unplugged, FALSE, TRUE},
                              step_bound = {LINK_CONTROL, change_quota_run, note_nothing, FALSE, TRUE},
                              step_memory = {LINK_CONTROL, change_memory_run, note_memory, TRUE},
                              step_memory_less = {LINK_CONTROL, change_memory_run, note_nothing, TRUE},
                              step_memory_taken = {LINK_SLOW, memory_taken_run, note_memory_set, FALSE},
                              step_memory_back = {LINK_CONTROL, change_memory_run, note_memory_back, FALSE},
                              step_balloon = {LINK_SLOW, change_balloon_run, note_memory_set, FALSE},
                              step_network = {LINK_CONTROL, change_bandwidth_run, note_network, FALSE},
                              step_disk = {LINK_CONTROL, change_disk_run, note_disk, FALSE},
                              step_quota = {LINK_CONTROL, change_quota_run, note_quota, FALSE};

static void step_free(gpointer data)
{
    struct step *step = data;
    g_free(step->id);
    g_free(step);
}

static void shaping_guest_done(struct shaping *shaping)
{
    shaping->awaits_guest = FALSE;
    timer_cancel(&shaping->deadline);
}

static void on_step(gpointer owner, gpointer data, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct step *step = data;
    struct vm *vm = g_hash_table_lookup(host->vms, step->id);
    struct shaping *shaping = vm == NULL ? NULL : shaping_find(vm, step->ticket);
    if (vm != NULL)
        step->kind->note(vm, step->value, call, error);
    if (error != NULL && step->kind->is_aside)
        log_warning("host", "%s: its offline vCPUs: %s", step->id, error->message);
    if (shaping != NULL && !step->kind->is_aside) {
        shaping->stepped_at = clock_now();
        if (error != NULL && (!shaping->is_binding || step->kind != &step_network))
            shaping_fail(shaping, error);
        else if (error != NULL)
            log_warning("host", "%s is ready without a limit of bandwidth: %s", vm->id, error->message);
        if (error != NULL && step->kind->needs_guest && shaping->awaits_guest) {
            shaping_guest_done(shaping);
            shaping->references--;
        }
        shaping_release(shaping);
    }
    host_check_lost(host);
}

static struct change_call *change_new(const struct vm *vm, const struct step_kind *kind, guint value)
{
    struct change_call *call = g_new0(struct change_call, 1);
    call->link = link_ref(vm->host->link);
    call->uuid = g_strdup(vm->uuid);
    call->vcpus = call->network_mbps = call->disk_mbps = call->cpu_percent = call->memory_mib = value;
    call->nic_device = g_strdup(vm->live->nic_device);
    call->disk_device = g_strdup(vm->live->disk_device);
    if (kind->run == change_memory_run) {
        const struct vm_shape shape = {.memory_mib = value};
        call->memory_xml = domain_memory_xml(vm->live, domain_requested_mib(vm->live->boot_memory_mib, &shape));
    }
    return call;
}

static void shaping_step(struct shaping *shaping, const struct step_kind *kind, guint value)
{
    struct vm *vm = shaping->vm;
    struct step *step = g_new0(struct step, 1);
    step->kind = kind;
    step->id = g_strdup(vm->id);
    step->ticket = shaping->ticket;
    step->value = value;
    struct change_call *call = change_new(vm, kind, value);
    call->wait_ms = kind == &step_balloon ? shaping->confirm_ms : shaping->error == NULL ? TAKEN_MS : 0;
    struct job job = host_job(vm->host, kind->lane);
    job.key = kind->lane == LINK_CONTROL || kind == &step_unplug ? g_strdup(vm->id) : NULL;
    job.timeout_ms += call->wait_ms;
    job.run = kind->run;
    job.call = call;
    job.call_free = change_call_free;
    job.done = on_step;
    job.context = step;
    job.context_free = step_free;
    shaping->references += kind->is_aside ? 0 : 1;
    workers_submit(vm->host->workers, &job);
}

/* What the guest has not given, or QEMU still has, is left to it: the host's book, libvirt and the guest agree. */
static void shaping_undo_shrink(struct shaping *shaping)
{
    struct vm *vm = shaping->vm;
    if (shaping->takes_memory && vm->host->link != NULL && vm->live->memory_xml != NULL)
        shaping_step(shaping, &step_memory_back, vm->shape.memory_mib);
    shaping->takes_memory = FALSE;
}

/* vCPUs are never unplugged: those stay held. Memory that has not come is asked back, unless another change asks for it. */
static void shaping_undo(struct shaping *shaping)
{
    struct vm *vm = shaping->vm;
    if (shaping->vcpus > 0 && vm->asked.vcpus == shaping->vcpus)
        vm->asked.vcpus = vm->shape.vcpus;
    if (shaping->memory_mib > 0 && vm->asked.memory_mib == shaping->memory_mib) {
        vm->asked.memory_mib = vm->shape.memory_mib;
        if (vm->held.memory_mib > vm->shape.memory_mib && vm->host->link != NULL)
            shaping_step(shaping, &step_memory_back, vm->shape.memory_mib);
    }
    shaping->vcpus = shaping->memory_mib = 0;
}

/* One step has answered; the last one ends the whole. */
void shaping_release(struct shaping *shaping)
{
    if (--shaping->references > 0)
        return;
    if (shaping->error != NULL && shaping->is_shrink)
        shaping_undo_shrink(shaping);
    else if (shaping->error != NULL)
        shaping_undo(shaping);
    if (shaping->references == 0)
        shaping_report(shaping);
}

static gboolean on_silent(gpointer data)
{
    struct shaping *shaping = data;
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_TIMEOUT, "the guest has not answered");
    timer_cancel(&shaping->deadline);
    if (shaping->is_shrink && !shaping->takes_memory)
        vm_on_shrunk(shaping->vm, shaping->ticket, NULL, error);
    else
        vm_on_shaped(shaping->vm, shaping->ticket, NULL, error);
    return G_SOURCE_REMOVE;
}

/* Before the guest is asked, which may answer at once or be lost by it. */
static void shaping_await(struct shaping *shaping)
{
    shaping->references++;
    shaping->awaits_guest = TRUE;
    shaping->deadline = host_timer(shaping->vm->host, shaping->confirm_ms + GRACE_MS, on_silent, shaping);
}

static const char *quota_obstacle(const struct vm *vm)
{
    return vm->host->is_system ? NULL : "a session libvirt cannot cap CPU time";
}

/* Percent of one CPU that a guest may use beyond its online vCPUs: QEMU's own threads are in the same quota. */
#define BOUND_SPARE 25

/* vCPUs that a guest keeps offline and QEMU still has are held down by a quota, in case it brings them back. */
static void shaping_bound_vcpus(struct shaping *shaping, guint vcpus)
{
    const struct vm *vm = shaping->vm;
    if (vm->host->link != NULL && quota_obstacle(vm) == NULL && vm->asked.cpu_percent == 0)
        shaping_step(shaping, &step_bound, vcpus < vm->held.vcpus ? vcpus * 100 + BOUND_SPARE : 0);
}

static void vm_unplug(struct vm *vm, struct shaping *shaping)
{
    const struct libvirt_host *host = vm->host;
    if (host->settings.unplug_vcpus && host->acceleration == ACCELERATION_KVM && host->link != NULL &&
        host->link->facts.qemu_version >= QEMU_UNPLUGS) {
        shaping_step(shaping, &step_unplug, shaping->vcpus);
        vm->vcpus_known = shaping->vcpus; /* a growth asks libvirt again, after it */
    }
}

static void shaping_give_vcpus(struct shaping *shaping, const struct guest_facts *facts)
{
    struct vm *vm = shaping->vm;
    vm->shape.vcpus = vm_vcpus_said(vm, facts);
    if (facts->vcpus > shaping->vcpus) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_GUEST, "the guest consents to %u vCPU and has %u online",
                                                shaping->vcpus, facts->vcpus);
        shaping_fail(shaping, error);
        return;
    }
    vm->asked.vcpus = vm->vcpus_offered = shaping->vcpus;
    shaping_bound_vcpus(shaping, shaping->vcpus);
    vm_unplug(vm, shaping);
}

static void shaping_take_memory(struct shaping *shaping)
{
    struct vm *vm = shaping->vm;
    shaping->takes_memory = TRUE;
    if (vm->live->memory_xml == NULL) {
        shaping_step(shaping, &step_balloon, shaping->memory_mib);
        return;
    }
    shaping_step(shaping, &step_memory_less, shaping->memory_mib);
    shaping_await(shaping);
    guest_wait_shape(vm->guest, shaping->ticket, 0, 0, shaping->memory_mib, shaping->confirm_ms);
}

/* It consented too late: it is to be as the core was told. */
static void vm_take_back(struct vm *vm, const struct guest_facts *facts)
{
    vm->shape.vcpus = vm_vcpus_said(vm, facts);
    if (facts->vcpus < vm->asked.vcpus)
        guest_wait_shape(vm->guest, ++vm->next_ticket, vm->asked.vcpus, 0, 0, CONFIRM_MS);
}

void vm_on_shrunk(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error)
{
    struct vm *vm = owner;
    struct shaping *shaping = shaping_find(vm, ticket);
    if (shaping == NULL || !shaping->awaits_guest || shaping->takes_memory) {
        if (facts != NULL && error == NULL)
            vm_take_back(vm, facts);
        return;
    }
    shaping_guest_done(shaping);
    if (error != NULL)
        shaping_fail(shaping, error);
    else if (shaping->vcpus > 0)
        shaping_give_vcpus(shaping, facts);
    if (shaping->error == NULL && shaping->memory_mib > 0 && vm->host->link != NULL)
        shaping_take_memory(shaping);
    else if (shaping->error == NULL && shaping->memory_mib > 0)
        shaping->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
    shaping = shaping_find(vm, ticket); /* the guest may have been lost under it */
    if (shaping != NULL)
        shaping_release(shaping);
}

/* Its word is taken for what it did not give, and checked for what it says it did. */
static void shaping_gave(struct shaping *shaping, const GError *error)
{
    if (error != NULL)
        shaping_fail(shaping, error);
    if (shaping->vm->host->link != NULL)
        shaping_step(shaping, &step_memory_taken, shaping->memory_mib);
    else if (error == NULL)
        shaping->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
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
        vm->shape.vcpus = vm_vcpus_said(vm, facts);
        vm->vcpus_known = MAX(vm->shape.vcpus, vm->vcpus_known);
        if (vm->live->memory_xml != NULL)
            vm->shape.memory_mib = MAX(vm_memory_said(vm, facts), vm->shape.memory_mib);
    }
    if (shaping == NULL || !shaping->awaits_guest)
        return;
    shaping_guest_done(shaping);
    if (shaping->is_shrink)
        shaping_gave(shaping, error);
    else if (error != NULL)
        shaping_fail(shaping, error);
    else
        vm->shape.memory_mib = MAX(shaping->memory_mib, vm->shape.memory_mib);
    shaping_release(shaping);
}

static gboolean shape_is_shrink(const struct vm *vm, const struct vm_shape *shape)
{
    return shape->vcpus <= vm->asked.vcpus && shape->memory_mib <= vm->asked.memory_mib &&
           (shape->vcpus < vm->asked.vcpus || shape->memory_mib < vm->asked.memory_mib);
}

/* Without a device for memory the balloon gives back what it took; with it, what the guest was booted with stays. */
static const char *memory_obstacle(const struct vm *vm, guint memory_mib)
{
    const gboolean has_device = vm->live->memory_xml != NULL;
    if (memory_mib > vm->asked.memory_mib && !has_device && memory_mib > vm->live->boot_memory_mib)
        return "the instance was started without a device for more memory";
    if (memory_mib < vm->asked.memory_mib && has_device && vm->asked.memory_mib <= vm->live->boot_memory_mib)
        return "the instance has no more memory than it was booted with";
    return NULL;
}

static const char *network_obstacle(const struct vm *vm)
{
    if (vm->has_bandwidth)
        return NULL;
    if (!vm->host->is_system)
        return "a session libvirt cannot limit bandwidth";
    return vm->live->nic_device == NULL ? "the instance has no NIC on a bridge, and only that of one can be limited"
                                        : "the host's tc cannot limit bandwidth";
}

static const char *disk_obstacle(const struct vm *vm)
{
    return vm->live->disk_device != NULL ? NULL
                                         : "the instance has no disk of its own, and only that of one can be limited";
}

/* What is not in force since the start, as the core was told then, is not asked for by naming it again. */
static gboolean limit_is_change(guint wanted, guint in_force, guint at_boot)
{
    return wanted != in_force && wanted != at_boot;
}

/* Why this instance cannot be given that shape at all, or NULL. */
static GError *shape_obstacle(const struct vm *vm, const struct vm_shape *shape)
{
    const struct vm_shape *boot = &vm->boot.shape;
    const char *what = NULL;
    if (vm->host->link == NULL)
        return hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
    if (shape->memory_mib > vm->asked.memory_mib || shape_is_shrink(vm, shape))
        what = memory_obstacle(vm, shape->memory_mib);
    if (what == NULL && limit_is_change(shape->network_mbps, vm->shape.network_mbps, boot->network_mbps))
        what = network_obstacle(vm);
    if (what == NULL && shape->gpus > vm->asked.gpus &&
        host_free_gpu_count(vm->host) < shape->gpus - MIN(vm->shape.gpus, shape->gpus))
        return hbr_error_new(HBR_ERROR_EXHAUSTED, "no GPU of the host is free");
    if (what == NULL && limit_is_change(shape->disk_mbps, vm->shape.disk_mbps, boot->disk_mbps))
        what = disk_obstacle(vm);
    if (what == NULL && limit_is_change(shape->cpu_percent, vm->shape.cpu_percent, boot->cpu_percent))
        what = quota_obstacle(vm);
    return what == NULL ? NULL : hbr_error_new(HBR_ERROR_UNSUPPORTED, "%s", what);
}

static void shaping_begin_limits(struct shaping *shaping, const struct vm_shape *shape)
{
    struct vm *vm = shaping->vm;
    if (shape->network_mbps != vm->asked.network_mbps && network_obstacle(vm) == NULL) {
        vm->asked.network_mbps = shape->network_mbps;
        shaping_step(shaping, &step_network, shape->network_mbps);
    }
    if (shape->disk_mbps != vm->asked.disk_mbps && disk_obstacle(vm) == NULL) {
        vm->asked.disk_mbps = shape->disk_mbps;
        shaping_step(shaping, &step_disk, shape->disk_mbps);
    }
    if (shape->cpu_percent != vm->asked.cpu_percent && quota_obstacle(vm) == NULL) {
        vm->asked.cpu_percent = shape->cpu_percent;
        shaping_step(shaping, &step_quota, shape->cpu_percent);
        if (vm->vcpus_offered > 0)
            shaping_bound_vcpus(shaping, vm->vcpus_offered);
    }
}

/* What it has is asked for until it is gone, so that a change in between does not take it for wanted less. */
static void shaping_begin_shrink(struct shaping *shaping, const struct vm_shape *shape)
{
    const struct vm *vm = shaping->vm;
    const guint floor_mib = vm->live->memory_xml != NULL ? vm->live->boot_memory_mib : 1;
    shaping->is_shrink = TRUE;
    shaping->vcpus = shape->vcpus < vm->asked.vcpus ? shape->vcpus : 0;
    shaping->memory_mib = shape->memory_mib < vm->asked.memory_mib ? MAX(shape->memory_mib, floor_mib) : 0;
    shaping_await(shaping);
    guest_shrink(vm->guest, shaping->ticket, shaping->vcpus, shaping->memory_mib, shaping->confirm_ms);
}

static void shaping_begin_memory(struct shaping *shaping)
{
    if (shaping->vm->live->memory_xml != NULL) {
        shaping_step(shaping, &step_memory, shaping->memory_mib);
        return;
    }
    shaping_step(shaping, &step_balloon, shaping->memory_mib);
    shaping->memory_mib = 0; /* QEMU says when it is there */
}

static void shaping_begin_growth(struct shaping *shaping, const struct vm_shape *shape)
{
    struct vm *vm = shaping->vm;
    const struct vm_shape before = vm->asked;
    const guint vcpus = shaping->vcpus = shape->vcpus > before.vcpus ? shape->vcpus : 0;
    shaping->memory_mib = shape->memory_mib > before.memory_mib ? shape->memory_mib : 0;
    vm->asked.vcpus = MAX(shape->vcpus, before.vcpus);
    vm->asked.memory_mib = MAX(shape->memory_mib, before.memory_mib);
    if (shaping->memory_mib > 0)
        shaping_begin_memory(shaping);
    if (vcpus > vm->vcpus_known)
        shaping_step(shaping, &step_vcpus, MAX(vcpus, vm->held.vcpus));
    if (vcpus > 0 && vm->vcpus_offered > 0) {
        vm->vcpus_offered = MAX(vcpus, vm->vcpus_offered);
        shaping_bound_vcpus(shaping, vm->vcpus_offered);
    }
    if (vcpus > 0 || shaping->memory_mib > 0 || shaping->is_binding) {
        shaping_await(shaping);
        guest_wait_shape(vm->guest, shaping->ticket, shaping->is_binding ? shape->vcpus : vcpus,
                         shaping->is_binding ? shape->memory_mib : shaping->memory_mib, 0, shaping->confirm_ms);
    }
}

static void shaping_begin(struct shaping *shaping, const struct vm_shape *shape)
{
    shaping_begin_limits(shaping, shape);
    shaping_begin_gpus(shaping, shape->gpus);
    if (!shaping->is_binding && shape_is_shrink(shaping->vm, shape))
        shaping_begin_shrink(shaping, shape);
    else
        shaping_begin_growth(shaping, shape);
}

static void vm_shape(struct vm *vm, struct shaping *shaping, const struct vm_shape *shape, gint64 confirm_ms)
{
    const guint64 ticket = ++vm->next_ticket;
    shaping->vm = vm;
    shaping->ticket = ticket;
    shaping->references = 1;
    shaping->confirm_ms = confirm_ms > 0 ? MIN(confirm_ms, G_MAXINT / 2) : CONFIRM_MS;
    shaping->error = shape_obstacle(vm, shape);
    g_ptr_array_add(vm->shapings, shaping);
    if (shaping->error == NULL)
        shaping_begin(shaping, shape);
    shaping = shaping_find(vm, ticket); /* the guest may have been lost under it */
    if (shaping != NULL)
        shaping_release(shaping);
}

void vm_reshape(struct vm *vm, guint64 serial, const struct vm_shape *shape, gint64 confirm_ms)
{
    struct shaping *shaping = g_new0(struct shaping, 1);
    struct vm_shape wanted = *shape;
    shaping->serial = serial;
    wanted.vcpus = shape->vcpus > 0 ? shape->vcpus : vm->asked.vcpus;
    wanted.memory_mib = shape->memory_mib > 0 ? shape->memory_mib : vm->asked.memory_mib;
    wanted.gpus = shape->gpus != SHAPE_GPUS_KEPT ? shape->gpus : vm->asked.gpus;
    vm_shape(vm, shaping, &wanted, confirm_ms);
}

void vm_shape_bind(struct vm *vm)
{
    struct shaping *shaping = g_new0(struct shaping, 1);
    const struct vm_shape shape = vm->boot.shape;
    shaping->is_binding = TRUE;
    vm_shape(vm, shaping, &shape, vm->boot.timeout_ms);
}
