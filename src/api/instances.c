/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "base/error.h"
#include "model/limits.h"

/* What POST /v1/instances/ID/shape takes: what is left out, or 0, stays as it is. */
struct shape_request {
    guint vcpus, memory_mib, network_mbps, disk_mbps, cpu_percent;
};

CODEC_DECLARE(shape_request)

#define FIELD(member) #member, CODEC_UINT, G_STRUCT_OFFSET(struct shape_request, member), 0

static const struct codec_field shape_request_fields[] = {
    {FIELD(vcpus), 0, MODEL_VCPUS_MAX, NULL, NULL},
    {FIELD(memory_mib), 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {FIELD(network_mbps), 0, MODEL_NETWORK_MBPS_MAX, NULL, NULL},
    {FIELD(disk_mbps), 0, MODEL_DISK_MBPS_MAX, NULL, NULL},
    {FIELD(cpu_percent), 0, MODEL_VCPUS_MAX * 100, NULL, NULL},
};

CODEC_DEFINE(shape_request, shape_request_fields)

gboolean handle_instance_shape(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    g_autoptr(shape_request_auto) wanted = id != NULL ? handler_decode(request, &shape_request_codec, error) : NULL;
    if (wanted == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_INSTANCE_SHAPE);
    event->id = g_strdup(id);
    event->shape = (struct vm_shape){.vcpus = wanted->vcpus,
                                     .memory_mib = wanted->memory_mib,
                                     .network_mbps = wanted->network_mbps,
                                     .disk_mbps = wanted->disk_mbps,
                                     .cpu_percent = wanted->cpu_percent};
    request_post(request, event);
    return TRUE;
}
