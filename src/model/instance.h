/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/shape.h"
#include "model/usage.h"

enum instance_state {
    INSTANCE_STARTING,
    INSTANCE_READY,    /* the agent answered and confirmed the shape */
    INSTANCE_BUSY,     /* code runs in it, or was sent to it */
    INSTANCE_STOPPING, /* being destroyed */
    INSTANCE_GONE,
    INSTANCE_STATE_COUNT
};

extern const struct codec_words instance_state_words;

/* One VM of Harbinger's. Its libvirt domain is called "harbinger-" and its id. */
struct instance {
    char *id; /* "vm-..." */
    char *host;
    char *uuid; /* of the libvirt domain */
    enum instance_state state;
    char *template, *profile;
    struct vm_shape shape; /* as confirmed by the guest; as asked for until then */
    struct vm_shape maximum;
    char *reservation_id, *execution_id;
    gboolean used; /* code has run in it: it is never handed out again */
    gint64 created_at, ready_at, ended_at;
    char *reason; /* why it is gone */
    GPtrArray *timeline;
};

CODEC_DECLARE(instance)
