/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/vm.h"

struct channel *vm_open_channel(struct vm *vm, const struct guest_watch *watch, GError **error)
{
    if (vm->live->channel_path == NULL) {
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "the domain has no channel for the agent");
        return NULL;
    }
    return channel_open(vm->host->channels, vm->live->channel_path, watch, vm, error);
}
