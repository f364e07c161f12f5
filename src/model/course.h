/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"
#include "model/usage.h"

/* What an execution uses over its time. Time is cut into slots that grow with it: the first four take a second each, from then on every two
 * double it (4 s, 6 s, 8 s, 12 s, 16 s, ...), so that the last begins after more than an hour and takes all the rest. */

#define COURSE_SLOTS 26

/* The slot of a time since the start, and when a slot begins. */
guint course_slot(gint64 elapsed_ms);
gint64 course_slot_start_ms(guint slot);

/* What one execution used in a slot: CPUs and rates in the mean, memory at its peak. Slots without a sample are left out of a list of them. */
struct usage_slot {
    gint64 from_ms; /* since the start */
    guint samples;
    double amounts[RESOURCE_COUNT];
};

CODEC_DECLARE(usage_slot)

/* Adds a sample, what was used of each resource, to a list of struct usage_slot in the order of time; made when it is NULL. */
void usage_course_add(GPtrArray **course, gint64 elapsed_ms, const double *used);

/* What is expected of an execution in each slot. */
struct course {
    struct quantiles amounts[RESOURCE_COUNT][COURSE_SLOTS];
};

/* The same in all slots. */
void course_set_flat(struct course *course, enum resource resource, const struct quantiles *quantiles);

/* What is expected at that time since the start. */
const struct quantiles *course_at(const struct course *course, enum resource resource, gint64 elapsed_ms);

/* The most that is expected between two times since the start: each quantile by itself. */
struct quantiles course_most(const struct course *course, enum resource resource, gint64 from_ms, gint64 to_ms);
