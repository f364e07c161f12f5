/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

#include "base/clock.h"
#include "base/error.h"

/* Warm instances whose state is written to files, which is their end. */

#define SAVE_MS 120000 /* memory of some GiB to a disk, and its checksum */

char *host_saved_dir(const struct libvirt_host *host)
{
    g_autofree char *name = g_uri_escape_string(host->base.name, NULL, FALSE);
    return g_build_filename(host->settings.state_dir, "saved", name, NULL);
}

struct saved_origin host_saved_origin(const struct libvirt_host *host)
{
    return (struct saved_origin){
        .template_dir = g_strdup(host->settings.template_dir),
        .image_dir = g_strdup(host->spec->images != NULL ? host->spec->images : host->settings.image_dir),
        .network = g_strdup(host->spec->network),
        .libvirt_version = host->link->facts.libvirt_version,
        .qemu_version = host->link->facts.qemu_version,
        .acceleration = host->acceleration,
    };
}

static void on_saved(gpointer owner, gpointer context, gpointer data, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    struct save_call *call = data;
    if (vm != NULL) {
        if (error != NULL)
            vm->end_error = g_error_copy(error);
        else
            vm->saved = g_steal_pointer(&call->state);
        vm_called(vm);
    }
    host_check_lost(host);
}

/* What the core asked for, with what is known here. */
static struct saved_state *state_to_save(struct vm *vm)
{
    struct saved_state *state = g_steal_pointer(&vm->saved);
    if (state->shape.vcpus == 0)
        state->shape = vm->shape;
    if (state->maximum.vcpus == 0)
        state->maximum = vm->boot.maximum;
    if (state->template == NULL)
        state->template = g_strdup(vm->boot.template);
    if (state->pool == NULL)
        state->pool = g_strdup(vm->boot.pool);
    if (state->created_at == 0)
        state->created_at = clock_now();
    return state;
}

void vm_save_begin(struct vm *vm)
{
    struct libvirt_host *host = vm->host;
    if (host->link == NULL) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
        vm_end(vm, VM_END_SAVED, error);
        return;
    }
    struct save_call *call = g_new0(struct save_call, 1);
    call->link = link_ref(host->link);
    call->uuid = g_strdup(vm->uuid);
    call->instance_id = g_strdup(vm->id);
    call->owner = g_strdup(host->settings.owner);
    call->disk_dir = g_strdup(host->disk_dir);
    call->saved_dir = host_saved_dir(host);
    call->origin = host_saved_origin(host);
    call->fingerprint = g_strdup(vm->fingerprint);
    call->state = state_to_save(vm);
    call->is_running = vm->state == VM_READY;
    struct job job = host_job(host, LINK_SLOW);
    job.key = g_strdup(vm->id);
    job.timeout_ms = SAVE_MS;
    job.run = save_call_run;
    job.call = call;
    job.call_free = save_call_free;
    job.done = on_saved;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    vm->is_calling = TRUE;
    vm_end(vm, VM_END_SAVED, NULL);
    workers_submit(host->workers, &job);
}

static GError *save_obstacle(const struct vm *vm)
{
    const char *use = vm_use(vm);
    if (use == NULL && vm->wish != VM_WISH_NONE)
        use = "the instance is being paused";
    if (use != NULL)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s", use);
    if (vm->agent == TEMPLATE_AGENT_QEMU)
        return hbr_error_new(HBR_ERROR_UNSUPPORTED, "clones cannot be told apart by qemu-guest-agent");
    if (vm_gpu_count(vm) > 0)
        return hbr_error_new(HBR_ERROR_UNSUPPORTED, "an instance with a GPU cannot be saved");
    GError *error = NULL;
    if (vm->host->link != NULL)
        clone_is_supported(&vm->host->link->facts, vm->host->disk_dir, &error);
    return error;
}

void vm_save(struct libvirt_host *host, const char *id, const struct saved_state *state)
{
    struct vm *vm = g_hash_table_lookup(host->vms, id);
    if (vm == NULL || vm->state == VM_ENDING) {
        struct event *event = host_event(host, EVENT_INSTANCE_SAVED, id);
        event->error = hbr_error_new(HBR_ERROR_NOT_FOUND, "the instance is not there any more");
        host_post(host, event);
        return;
    }
    g_autoptr(GError) error = save_obstacle(vm);
    if (error != NULL) {
        vm_refuse_wish(vm, "it is destroyed");
        vm_end(vm, VM_END_SAVED, error);
        return;
    }
    saved_state_free(vm->saved);
    vm->saved = saved_state_copy(state);
    g_free(vm->saved_id);
    vm->saved_id = g_strdup(state->id);
    vm->wish = VM_WISH_SAVE;
    vm_grant_wish(vm);
}

static void on_forgotten(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    (void)context, (void)call, (void)error;
    host_check_lost(owner);
}

void vm_forget_saved(struct libvirt_host *host, const char *saved_id)
{
    struct forget_call *call = g_new0(struct forget_call, 1);
    call->saved_dir = host_saved_dir(host);
    call->id = g_strdup(saved_id);
    saved_disown(call->saved_dir, saved_id); /* a boot that is commanded next must not find it */
    struct job job = host_job(host, LINK_SLOW);
    job.run = forget_call_run;
    job.call = call;
    job.call_free = forget_call_free;
    job.done = on_forgotten;
    workers_submit(host->workers, &job);
}
