/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "base/error.h"
#include "model/limits.h"

/* What POST /v1/instances/ID/shape takes: what is left out, or 0, stays as it is. 0 GPUs are none, though. */
struct shape_request {
    guint vcpus, memory_mib, network_mbps, disk_mbps, cpu_percent, gpus;
};

CODEC_DECLARE(shape_request)

#define FIELD(member) #member, CODEC_UINT, G_STRUCT_OFFSET(struct shape_request, member), 0

static const struct codec_field shape_request_fields[] = {
    {FIELD(vcpus), 0, MODEL_VCPUS_MAX, NULL, NULL},
    {FIELD(memory_mib), 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {FIELD(network_mbps), 0, MODEL_NETWORK_MBPS_MAX, NULL, NULL},
    {FIELD(disk_mbps), 0, MODEL_DISK_MBPS_MAX, NULL, NULL},
    {FIELD(cpu_percent), 0, MODEL_VCPUS_MAX * 100, NULL, NULL},
    {FIELD(gpus), 0, MODEL_GPUS_MAX, NULL, NULL},
};

CODEC_DEFINE(shape_request, shape_request_fields)

static struct shape_request *shape_request_decode(const struct request *request, GError **error)
{
    json_auto_t *json =
        codec_parse(request->body != NULL ? request->body : "", request->body_length, request->route->body_max, error);
    struct shape_request *wanted =
        json == NULL ? NULL : codec_decode(&shape_request_codec, json, "", CODEC_CLIENT, error);
    if (wanted != NULL && !json_is_integer(json_object_get(json, "gpus")))
        wanted->gpus = SHAPE_GPUS_KEPT;
    return wanted;
}

gboolean handle_instance_shape(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    g_autoptr(shape_request_auto) wanted = id != NULL ? shape_request_decode(request, error) : NULL;
    if (wanted == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_INSTANCE_SHAPE);
    event->id = g_strdup(id);
    event->shape = (struct vm_shape){.vcpus = wanted->vcpus,
                                     .memory_mib = wanted->memory_mib,
                                     .network_mbps = wanted->network_mbps,
                                     .disk_mbps = wanted->disk_mbps,
                                     .gpus = wanted->gpus,
                                     .cpu_percent = wanted->cpu_percent};
    request_post(request, event);
    return TRUE;
}
