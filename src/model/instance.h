/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/path.h"
#include "model/shape.h"
#include "model/usage.h"

enum instance_state {
    INSTANCE_STARTING,
    INSTANCE_WARM, /* in a pool, running idle: it knows no tenant, unless it is kept for the function that ran in it */
    INSTANCE_PAUSED,   /* the same, suspended */
    INSTANCE_CLAIMING, /* it is being made ready for a reservation */
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
    char *pool;              /* that it was warmed up for; NULL: started for its reservation */
    char *saved;             /* the saved state that it is a clone of; NULL: it booted */
    enum path path;          /* by which its reservation got it */
    gboolean used;           /* code has run in it: nobody else ever gets it */
    guint uses;              /* executions that were sent to it */
    char *tenant, *function; /* whose code has run in it: with the policy's leave, more of the same may */
    gint64 created_at, ready_at, ended_at;
    gint64 warm_at; /* it joined its pool */
    char *reason;   /* why it is gone */
    GPtrArray *timeline;
};

CODEC_DECLARE(instance)
