/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

/* How much a pool should hold. A pure function of the policy, of what is registered and missed, and of the clock (in the floor): nothing is
 * remembered, so that what raised a target lets it fall again. */

struct stocking {
    struct pool_stock floor;  /* of this moment; see policy_pool_floor() */
    const char *floor_reason; /* "floor", a window's name, "pool-set" */
    struct pool_stock ceiling;
    guint due;             /* registered reservations that will soon want a warm instance */
    double missed;         /* misses, decayed */
    guint memory_mib;      /* of one warm instance */
    guint idle_budget_mib; /* 0: not bounded */
    gboolean is_draining;
};

/* `*ret_why` (may be NULL) gets the target's reasons; free with g_free. */
struct pool_stock stocking_target(const struct stocking *stocking, char **ret_why);

/* A count of misses after some time. */
double stocking_decay(double missed, gint64 elapsed, gint64 half_life_ms);

/* When a count will have fallen so far that its rounding changes; CLOCK_NEVER when it will not. */
gint64 stocking_decays_at(double missed, gint64 now, gint64 half_life_ms);
