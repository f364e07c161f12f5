/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/shape.h"

#include "model/limits.h"

#include <string.h>

#define FIELD(member) #member, CODEC_UINT, G_STRUCT_OFFSET(struct vm_shape, member)

static const struct codec_field vm_shape_fields[] = {
    {FIELD(vcpus), 0, 0, MODEL_VCPUS_MAX, NULL, NULL},
    {FIELD(memory_mib), 0, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {FIELD(network_mbps), 0, 0, MODEL_NETWORK_MBPS_MAX, NULL, NULL},
    {FIELD(gpus), 0, 0, MODEL_GPUS_MAX, NULL, NULL},
    {FIELD(disk_mbps), CODEC_SPARSE, 0, MODEL_DISK_MBPS_MAX, NULL, NULL},
    {FIELD(cpu_percent), CODEC_SPARSE, 0, MODEL_VCPUS_MAX * 100, NULL, NULL},
};

CODEC_DEFINE(vm_shape, vm_shape_fields)

gboolean vm_shape_equal(const struct vm_shape *a, const struct vm_shape *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static gboolean vm_shape_limit_covers(guint a, guint b)
{
    return a == 0 || (b != 0 && a >= b);
}

gboolean vm_shape_covers(const struct vm_shape *a, const struct vm_shape *b)
{
    return a->vcpus >= b->vcpus && a->memory_mib >= b->memory_mib && a->gpus >= b->gpus &&
           vm_shape_limit_covers(a->network_mbps, b->network_mbps) &&
           vm_shape_limit_covers(a->disk_mbps, b->disk_mbps) && vm_shape_limit_covers(a->cpu_percent, b->cpu_percent);
}

char *vm_shape_to_string(const struct vm_shape *shape)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%u vCPU, %u MiB", shape->vcpus, shape->memory_mib);
    if (shape->network_mbps > 0)
        g_string_append_printf(text, ", %u Mbit/s", shape->network_mbps);
    if (shape->disk_mbps > 0)
        g_string_append_printf(text, ", %u MB/s of disk", shape->disk_mbps);
    if (shape->gpus > 0)
        g_string_append_printf(text, ", %u GPU", shape->gpus);
    if (shape->cpu_percent > 0)
        g_string_append_printf(text, ", capped at %u %% CPU", shape->cpu_percent);
    return g_string_free(text, FALSE);
}
