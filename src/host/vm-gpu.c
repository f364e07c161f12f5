/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/vm.h"

#include <string.h>

/* GPUs that come to a running instance and leave it. libvirt's call to attach one is the whole of it. One leaves when the guest's kernel has let
 * go of it: the call only asks, and an event says that it is done, maybe long after nobody waits for it any more. */

#define GPU_MS 60000 /* the device is bound to another driver and reset, and all memory of the guest is pinned */

static struct vm_gpu *gpu_at(const struct vm *vm, guint i)
{
    return vm->gpus->pdata[i];
}

guint vm_gpu_count(const struct vm *vm)
{
    return vm->gpus == NULL ? 0 : vm->gpus->len;
}

static struct vm_gpu *gpu_find(const struct vm *vm, const char *alias)
{
    for (guint i = 0; i < vm_gpu_count(vm); i++)
        if (strcmp(gpu_at(vm, i)->alias, alias) == 0)
            return gpu_at(vm, i);
    return NULL;
}

static void gpu_free(gpointer data)
{
    struct vm_gpu *gpu = data;
    g_free(gpu->address);
    g_free(gpu->alias);
    g_free(gpu);
}

void vm_free_gpus(struct vm *vm)
{
    g_clear_pointer(&vm->gpus, g_ptr_array_unref);
}

static void gpu_add(struct vm *vm, const char *address)
{
    struct vm_gpu *gpu = g_new0(struct vm_gpu, 1);
    gpu->address = g_strdup(address);
    gpu->alias = domain_gpu_alias(address);
    if (vm->gpus == NULL)
        vm->gpus = g_ptr_array_new_with_free_func(gpu_free);
    g_ptr_array_add(vm->gpus, gpu);
    vm->shape.gpus = vm->gpus->len;
}

static void gpu_drop(struct vm *vm, struct vm_gpu *gpu)
{
    g_ptr_array_remove(vm->gpus, gpu);
    vm->shape.gpus = vm->gpus->len;
}

static gboolean gpu_is_free(const struct libvirt_host *host, const char *address)
{
    g_autofree char *alias = domain_gpu_alias(address);
    GHashTableIter iter;
    gpointer vm;
    g_hash_table_iter_init(&iter, host->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        if (gpu_find(vm, alias) != NULL)
            return FALSE;
    return TRUE;
}

/* At most so many of the host's list. Free with g_strfreev. */
static char **host_free_gpus(const struct libvirt_host *host, guint count)
{
    g_autoptr(GStrvBuilder) gpus = g_strv_builder_new();
    char **all = host->spec == NULL ? NULL : host->spec->gpus;
    for (char **gpu = all; gpu != NULL && *gpu != NULL && count > 0; gpu++) {
        if (!gpu_is_free(host, *gpu))
            continue;
        g_strv_builder_add(gpus, *gpu);
        count--;
    }
    return g_strv_builder_end(gpus);
}

guint host_free_gpu_count(const struct libvirt_host *host)
{
    g_auto(GStrv) gpus = host_free_gpus(host, G_MAXUINT);
    return g_strv_length(gpus);
}

gboolean vm_take_gpus(struct vm *vm, guint count)
{
    g_auto(GStrv) gpus = host_free_gpus(vm->host, count);
    if (g_strv_length(gpus) < count)
        return FALSE;
    for (char **gpu = gpus; *gpu != NULL; gpu++)
        gpu_add(vm, *gpu);
    return TRUE;
}

char **vm_gpu_addresses(const struct vm *vm)
{
    g_autoptr(GStrvBuilder) gpus = g_strv_builder_new();
    for (guint i = 0; i < vm_gpu_count(vm); i++)
        g_strv_builder_add(gpus, gpu_at(vm, i)->address);
    return g_strv_builder_end(gpus);
}

void vm_adopt_gpus(struct vm *vm)
{
    for (char **gpu = vm->live->gpus; *gpu != NULL; gpu++)
        gpu_add(vm, *gpu);
}

/* One call to libvirt. */
struct gpu_step {
    char *id, *alias;
    guint64 ticket;
};

static void gpu_step_free(gpointer data)
{
    struct gpu_step *step = data;
    g_free(step->id);
    g_free(step->alias);
    g_free(step);
}

static void gpu_submit(struct shaping *shaping, const struct vm_gpu *gpu, gboolean (*run)(gpointer, GError **),
                       void (*done)(gpointer, gpointer, gpointer, const GError *))
{
    const struct vm *vm = shaping->vm;
    struct gpu_step *step = g_new0(struct gpu_step, 1);
    step->id = g_strdup(vm->id);
    step->alias = g_strdup(gpu->alias);
    step->ticket = shaping->ticket;
    struct change_call *call = g_new0(struct change_call, 1);
    call->link = link_ref(vm->host->link);
    call->uuid = g_strdup(vm->uuid);
    call->gpu = g_strdup(gpu->address);
    struct job job = host_job(vm->host, LINK_SLOW);
    job.key = g_strdup(vm->id);
    job.timeout_ms = GPU_MS;
    job.run = run;
    job.call = call;
    job.call_free = change_call_free;
    job.done = done;
    job.context = step;
    job.context_free = gpu_step_free;
    shaping->references++;
    workers_submit(vm->host->workers, &job);
}

/* What is not known may still be so: after a time-out the instance keeps it until it is asked to let go of it. */
static enum gpu_presence call_presence(const struct change_call *call)
{
    return call == NULL ? GPU_UNKNOWN : call->gpu_presence;
}

static void on_attached(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct gpu_step *step = context;
    struct vm *vm = g_hash_table_lookup(host->vms, step->id);
    struct vm_gpu *gpu = vm == NULL ? NULL : gpu_find(vm, step->alias);
    struct shaping *shaping = vm == NULL ? NULL : shaping_find(vm, step->ticket);
    const enum gpu_presence presence = call_presence(call);
    if (error != NULL && gpu != NULL && (presence == GPU_UNTOUCHED || presence == GPU_ABSENT))
        gpu_drop(vm, gpu);
    if (shaping != NULL && error != NULL)
        shaping_fail(shaping, error);
    if (shaping != NULL)
        shaping_release(shaping);
    host_check_lost(host);
}

/* The guest keeps what it has not let go of in time, and may let go of it later. */
static gboolean on_gpus_stay(gpointer data)
{
    struct shaping *shaping = data;
    const struct vm *vm = shaping->vm;
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_TIMEOUT, "the guest has not let go of its GPU");
    guint left = 0;
    timer_cancel(&shaping->gpu_deadline);
    shaping_fail(shaping, error);
    for (guint i = 0; i < vm_gpu_count(vm); i++) {
        if (gpu_at(vm, i)->awaited_by != shaping->ticket)
            continue;
        gpu_at(vm, i)->awaited_by = 0;
        left++;
    }
    while (left-- > 0)
        shaping_release(shaping);
    return G_SOURCE_REMOVE;
}

static void gpu_await(struct shaping *shaping, struct vm_gpu *gpu)
{
    gpu->awaited_by = shaping->ticket;
    if (shaping->gpu_deadline == NULL)
        shaping->gpu_deadline = host_timer(shaping->vm->host, shaping->confirm_ms, on_gpus_stay, shaping);
}

static void on_detached(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct gpu_step *step = context;
    struct vm *vm = g_hash_table_lookup(host->vms, step->id);
    struct vm_gpu *gpu = vm == NULL ? NULL : gpu_find(vm, step->alias);
    struct shaping *shaping = vm == NULL ? NULL : shaping_find(vm, step->ticket);
    if (gpu != NULL && call_presence(call) == GPU_ABSENT) {
        gpu_drop(vm, gpu);
        gpu = NULL;
    }
    if (shaping != NULL && gpu != NULL && error == NULL) {
        gpu_await(shaping, gpu);
    } else if (shaping != NULL) {
        if (gpu != NULL)
            shaping_fail(shaping, error);
        shaping_release(shaping);
    }
    host_check_lost(host);
}

static gboolean vm_is_changing_gpus(const struct vm *vm)
{
    for (guint i = 0; i < vm->shapings->len; i++)
        if (((struct shaping *)vm->shapings->pdata[i])->changes_gpus)
            return TRUE;
    return FALSE;
}

/* Nobody waits for it any more, but the host's book is to know. */
static void vm_tell_gpus(struct vm *vm)
{
    vm->asked.gpus = vm->shape.gpus;
    if (vm->state != VM_READY)
        return;
    struct event *event = host_event(vm->host, EVENT_INSTANCE_SHAPED, vm->id);
    event->shape = vm->shape;
    host_post(vm->host, event);
}

void vm_gpu_removed(struct vm *vm, const char *alias)
{
    struct vm_gpu *gpu = gpu_find(vm, alias);
    if (gpu == NULL)
        return;
    struct shaping *shaping = shaping_find(vm, gpu->awaited_by);
    gpu_drop(vm, gpu);
    if (shaping != NULL)
        shaping_release(shaping);
    else if (!vm_is_changing_gpus(vm))
        vm_tell_gpus(vm);
}

/* The newest go first. */
void shaping_begin_gpus(struct shaping *shaping, guint gpus)
{
    struct vm *vm = shaping->vm;
    const guint had = vm_gpu_count(vm);
    if (gpus == vm->asked.gpus || (gpus > had && !vm_take_gpus(vm, gpus - had)))
        return;
    vm->asked.gpus = gpus;
    shaping->changes_gpus = TRUE;
    for (guint i = had; i < gpus; i++)
        gpu_submit(shaping, gpu_at(vm, i), attach_gpu_run, on_attached);
    for (guint i = had; i > gpus; i--)
        gpu_submit(shaping, gpu_at(vm, i - 1), detach_gpu_run, on_detached);
}
