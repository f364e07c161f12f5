/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/path.h"
#include "policy/policy.h"

/* Which way to an instance: the one of least cost that is ready in time. Pure functions. */

/* What is known of a path for one reservation. */
struct path_offer {
    gboolean is_there;     /* it could be taken now */
    const char *objection; /* why not; static or borrowed */
    gint64 ready_ms;       /* how long it takes at the policy's confidence */
    gint64 median_ms;
    guint samples;
};

struct path_question {
    const struct policy *policy;
    guint memory_mib; /* of the instance */
    gint64 time_ms;   /* until the expected arrival, less the margin */
    struct path_offer offers[PATH_COUNT];
};

/* What the path costs by the policy's weights: memory-time held from the start until the arrival, CPU time spent on the way (that of a boot, of
 * reading a saved state back, or nearly none), and what it takes out of the warm stock. */
double path_cost(const struct path_question *question, enum path path);

/* The least costly of the paths that are there and ready in time; when none is, the one that is ready first. -1 when none is there.
 * `*ret_choices` (may be NULL) gets one struct path_choice for each path. */
int path_choose(const struct path_question *question, GPtrArray **ret_choices);
