/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

#include "base/error.h"
#include "base/log.h"

/* An instance in which nothing runs leaves for another host. Its agent is let go of at once, because its socket will not be there any more, and
 * hailed again where the instance is in the end: by whoever adopts it. */

#define ABORT_MS 10000      /* an aborted call returns within that */
#define ABORT_AGAIN_MS 1000 /* libvirt refuses to abort what has not begun: while the target is being connected to */

static void post_migrated(const struct libvirt_host *host, const char *id, const char *target, const GError *error)
{
    struct event *event = host_event(host, EVENT_INSTANCE_MIGRATED, id);
    event->text = g_strdup(target);
    event->error = error == NULL ? NULL : g_error_copy(error);
    host_post(host, event);
}

static void on_aborted(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    (void)call;
    if (error != NULL)
        log_debug("host", "%s: %s: %s", host->base.name, (char *)context, error->message);
    host_check_lost(host);
}

void vm_migrate_abort(const struct vm *vm)
{
    if (vm->host->link == NULL)
        return;
    struct job job = vm_power_job(vm, LINK_CONTROL, abort_call_run);
    g_clear_pointer(&job.key, g_free); /* the migration has it */
    job.done = on_aborted;
    workers_submit(vm->host->workers, &job);
}

static gboolean vm_on_migrate_timeout(gpointer data)
{
    struct vm *vm = data;
    timer_cancel(&vm->migrate_timer);
    vm->migrate_timer = host_timer(vm->host, ABORT_AGAIN_MS, vm_on_migrate_timeout, vm);
    vm_migrate_abort(vm);
    return G_SOURCE_REMOVE;
}

static void on_migrated(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    (void)call;
    if (vm != NULL) {
        post_migrated(host, vm->id, vm->migrating_to, error);
        vm->is_calling = FALSE;
        vm_migrated(vm);
    }
    host_check_lost(host);
}

/* libvirt on the target offers the name of its machine, and refuses when that means the machine itself. */
static char *migrate_address(const struct libvirt_host *host, const char *target_uri)
{
    return host->is_local && uri_is_local(target_uri) ? g_strdup("tcp://127.0.0.1") : NULL;
}

static void vm_migrate_begin(struct vm *vm, const struct host_spec *target, gint64 timeout_ms)
{
    struct libvirt_host *host = vm->host;
    struct migrate_call *call = g_new0(struct migrate_call, 1);
    call->link = link_ref(host->link);
    call->uuid = g_strdup(vm->uuid);
    call->target_uri = g_strdup(target->uri);
    call->address = migrate_address(host, target->uri);
    struct job job = host_job(host, LINK_SLOW);
    job.key = g_strdup(vm->id);
    job.timeout_ms = timeout_ms + ABORT_MS;
    job.run = migrate_call_run;
    job.call = call;
    job.call_free = migrate_call_free;
    job.done = on_migrated;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    vm_let_go(vm, VM_MIGRATING);
    vm->migrating_to = g_strdup(target->name);
    vm->is_calling = TRUE;
    vm->migrate_timer = host_timer(host, timeout_ms, vm_on_migrate_timeout, vm);
    workers_submit(host->workers, &job);
}

static GError *migrate_obstacle(const struct vm *vm)
{
    const char *use = vm == NULL ? "the instance is not there" : vm_use(vm);
    if (use == NULL && (vm->wish != VM_WISH_NONE || vm->state != VM_READY))
        use = "the instance is paused, or on its way there";
    if (use != NULL)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s", use);
    if (vm->host->link == NULL)
        return hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
    if (vm->live->disk_device != NULL)
        return hbr_error_new(HBR_ERROR_UNSUPPORTED, "the disk of the instance is a file of its host");
    if (vm_gpu_count(vm) > 0)
        return hbr_error_new(HBR_ERROR_UNSUPPORTED, "an instance with a GPU cannot be moved");
    return NULL;
}

void vm_migrate(struct libvirt_host *host, const char *id, const struct host_spec *target, gint64 timeout_ms)
{
    struct vm *vm = g_hash_table_lookup(host->vms, id);
    g_autoptr(GError) error = migrate_obstacle(vm);
    if (error == NULL)
        vm_warm_stop(vm);
    if (error == NULL && vm->state != VM_READY)
        error = hbr_error_new(HBR_ERROR_INTERRUPTED, "the instance was lost");
    if (error == NULL)
        vm_migrate_begin(vm, target, timeout_ms);
    else
        post_migrated(host, id, target->name, error);
}
