/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"

/* What a VM has, or may grow to. */
struct vm_shape {
    guint vcpus;
    guint memory_mib;
    guint network_mbps; /* each way; 0: not limited, or no network */
    guint gpus;
    guint cpu_percent; /* cap on CPU time in percent of one CPU, over all vCPUs; 0: no cap */
    guint disk_mbps;   /* MB/s each way, of the instance's own disk; 0: not limited, or no disk */
};

/* Of a shape that is asked for by hand, since 0 GPUs are what may be wanted: they stay as they are. */
#define SHAPE_GPUS_KEPT G_MAXUINT

CODEC_DECLARE(vm_shape)

gboolean vm_shape_equal(const struct vm_shape *a, const struct vm_shape *b);

/* TRUE when `a` has at least as much of each resource as `b` (0 network in `a` counts as no limit, as do 0 disk and 0 cpu_percent). */
gboolean vm_shape_covers(const struct vm_shape *a, const struct vm_shape *b);

/* "2 vCPU, 512 MiB, 10 Mbit/s". Free with g_free. */
char *vm_shape_to_string(const struct vm_shape *shape);
