/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/path.h"
#include "model/shape.h"

/* How many of each kind. */
struct pool_stock {
    guint running, paused;
    guint saved; /* saved states; one serves any number of clones */
};

extern const struct codec pool_stock_codec;

/* Why something was not served from the pool, and how often. */
struct pool_miss {
    char *reason; /* "empty", "shape", "failed", "overrun", "draining" */
    guint64 count;
};

CODEC_DECLARE(pool_miss)

/* How one path kept what was predicted of it. */
struct pool_ledger {
    enum path path;
    guint64 count;    /* reservations made ready by it */
    guint64 kept;     /* no later than predicted */
    guint64 overruns; /* given up for the next path */
    gint64 median_ms, p95_ms;
};

CODEC_DECLARE(pool_ledger)

/* The instances kept warm for a template on a host. */
struct pool {
    char *id;   /* "NAME@HOST" */
    char *name; /* of the policy's pool */
    char *host, *template;
    struct vm_shape shape, maximum; /* of a warm instance; what it may grow to */
    struct pool_stock stock, target;
    char *why; /* what the target follows from */
    char *
        held_back; /* why the stock is below the target and nothing is being done: pacing, room, failures; NULL: nothing does */
    gboolean draining;       /* by pool-drain: the target is zero */
    gboolean overridden;     /* by pool-set: floors are not the policy's */
    guint warming;           /* warm-ups under way */
    guint64 hits, misses;    /* claims since the daemon's start */
    GPtrArray *miss_reasons; /* struct pool_miss */
    GPtrArray *ledger;       /* struct pool_ledger, of the paths that were used */
    guint64 warmed, wasted;  /* instances made warm; of these destroyed without having been claimed */
    double idle_mib_hours;   /* memory times time held by warm instances since the daemon's start */
    guint idle_mib;          /* memory that they hold now */
    guint idle_budget_mib;   /* the most that they may hold, in MiB-hours per hour; 0: not bounded */
    char *saved_error;       /* why there is no saved state, after an attempt */
};

CODEC_DECLARE(pool)

/* What pool-set asks for: floors in place of the policy's, until the policy changes or the daemon is restarted. */
struct pool_setting {
    gboolean reset;                              /* back to the policy's; the rest is ignored */
    gboolean has_running, has_paused, has_saved; /* which of these are given; what is not stays */
    guint running, paused, saved;
};

/* A booted instance's state in files of Harbinger's own, from which clones are made. */
struct saved_state {
    char *id; /* "saved-..." */
    char *pool;
    char *template;
    char *fingerprint; /* of what it was made from: template, images, libvirt, QEMU; another one cannot use it */
    struct vm_shape shape, maximum;
    gint64 bytes;
    gint64 created_at;
};

CODEC_DECLARE(saved_state)
