/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/amount.h"
#include "model/demand.h"
#include "model/notification.h"
#include "model/path.h"
#include "model/usage.h"

enum reservation_state {
    RESERVATION_SCHEDULED, /* its instance is started later, at start_at */
    RESERVATION_WAITING,   /* due, but no host has room */
    RESERVATION_STARTING,  /* its instance is being started */
    RESERVATION_READY,     /* its instance is proven ready */
    RESERVATION_CLAIMED,   /* an execution has its instance */
    RESERVATION_DONE,
    RESERVATION_EXPIRED, /* a no-show */
    RESERVATION_CANCELLED,
    RESERVATION_FAILED,
    RESERVATION_STATE_COUNT
};

extern const struct codec_words reservation_state_words;

/* How one host stood when the host of a reservation was chosen. */
struct placement {
    char *host;
    gboolean chosen;
    double cost;   /* the lower, the better; share of the host that would be committed */
    char *verdict; /* "chosen", "full: 1024 MiB free, 2048 needed", "down", ... */
};

CODEC_DECLARE(placement)

/* The promise made for one notification. */
struct reservation {
    char *id; /* "res-..." */
    struct notification *notification;
    struct demand *demand;
    enum reservation_state state;
    char *profile, *template;
    struct vm_shape shape, maximum;
    char *host, *instance_id, *execution_id;
    guint policy_version;
    gint64 created_at;
    gint64 arrival_at; /* expected; created_at for "now" */
    gint64 start_at;   /* planned start of its instance */
    gint64 started_at, ready_at, expires_at, ended_at;
    enum path path; /* by which it gets its instance: planned, then taken */
    gint64
        path_ms; /* that the path takes at the policy's confidence, as learned when start_at was planned, or the path taken */
    GPtrArray *paths;   /* struct path_choice: the choice of the path */
    GPtrArray *amounts; /* struct amount_choice: the choice of the shape; NULL until somebody asks for it */
    gint64 margin_ms;
    guint attempts;        /* instances tried */
    GPtrArray *placements; /* struct placement: the choice of the host */
    GPtrArray *timeline;   /* struct timeline_entry */
    char *error;
};

CODEC_DECLARE(reservation)

/* What a sender of notifications acts on, without what explains it. Only for writing. */
extern const struct codec reservation_receipt_codec;

gboolean reservation_state_is_terminal(enum reservation_state state);
