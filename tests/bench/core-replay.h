/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "scaler-baselines.h"

/* A usage course through the whole core and a simulated host, on virtual time: an execution uses what the course says, a data point a second; the
 * core looks at it once a second, and its controller changes the instance's shape as it would anywhere, with the governor, the cool-downs and the times that
 * changes take. */

#define CORE_REPLAY_POINTS 288

/* A point counts as short that was so for any part of it, however soon the core mended that. */
struct core_tally {
    struct tally points;
    double short_s; /* of as many seconds as there are points */
};

/* Adds the trial's first CORE_REPLAY_POINTS points, of CPU and of memory where it has one, from the second on. A second short of a resource costs
 * `knob` times ours_unit(). */
void core_replay(const struct trial *trial, double knob, struct core_tally tallies[RESOURCE_COUNT]);
