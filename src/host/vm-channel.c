/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "host/libvirt-stream.h"
#include "host/vm.h"

/* The way to the agent of an instance: the socket itself where it can be opened, which is ten times as fast and outlives libvirtd; else a stream
 * of libvirt's. */

struct stream_context {
    char *id;
    const struct guest_watch *watch;
};

static void stream_context_free(gpointer data)
{
    struct stream_context *context = data;
    g_free(context->id);
    g_free(context);
}

static void vm_take_channel(struct vm *vm, struct channel *channel)
{
    vm->channel = channel;
    vm->guest = channel_guest(channel);
    vm_has_guest(vm);
}

static void on_stream_open(gpointer owner, gpointer data, gpointer result, const GError *error)
{
    struct libvirt_host *host = owner;
    const struct stream_context *context = data;
    struct stream_call *call = result;
    struct vm *vm = g_hash_table_lookup(host->vms, context->id);
    if (vm == NULL || vm->state != VM_WAKING)
        return;
    if (error != NULL) {
        vm_lose(vm, error);
        return;
    }
    const int fd = call->fd;
    call->fd = -1;
    vm_take_channel(vm, channel_new(host->channels, fd, context->watch, vm));
}

static void vm_open_stream(struct vm *vm, const struct guest_watch *watch)
{
    struct stream_call *call = g_new0(struct stream_call, 1);
    struct stream_context *context = g_new0(struct stream_context, 1);
    call->link = link_ref(vm->host->link);
    call->uuid = g_strdup(vm->uuid);
    call->fd = -1;
    context->id = g_strdup(vm->id);
    context->watch = watch;
    struct job job = host_job(vm->host, LINK_AGENT);
    job.run = stream_call_run;
    job.call = call;
    job.call_free = stream_call_free;
    job.done = on_stream_open;
    job.context = context;
    job.context_free = stream_context_free;
    workers_submit(vm->host->workers, &job);
}

static struct channel *vm_open_socket(struct vm *vm, const struct guest_watch *watch, GError **error)
{
    if (!vm->host->is_local || vm->host->settings.use_streams)
        return NULL;
    return channel_open(vm->host->channels, vm->live->channel_path, watch, vm, error);
}

void vm_open_guest(struct vm *vm, const struct guest_watch *watch)
{
    g_autoptr(GError) error = NULL;
    if (vm->agent == TEMPLATE_AGENT_QEMU) {
        vm->guest = qga_guest_new(vm, watch);
        vm_has_guest(vm);
        return;
    }
    struct channel *channel = vm->live->channel_path == NULL ? NULL : vm_open_socket(vm, watch, &error);
    if (channel != NULL) {
        vm_take_channel(vm, channel);
    } else if (vm->host->link != NULL) {
        log_debug("host", "%s: through libvirt: %s", vm->id, error != NULL ? error->message : "as configured");
        vm_open_stream(vm, watch);
    } else {
        hbr_error_set(&error, HBR_ERROR_UNAVAILABLE, "the host is down");
        vm_lose(vm, error);
    }
}
