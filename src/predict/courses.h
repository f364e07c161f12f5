/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/course.h"

/* The courses of the newest executions of one function: what each used in each slot of its time. One thread. */

#define COURSES_MAX 8

struct courses {
    float (*rows)[RESOURCE_COUNT][COURSE_SLOTS]; /* a ring: the newest at `next` - 1; NAN: not told */
    guint capacity, count, next;
};

void courses_clear(struct courses *courses);

/* `slots` are struct usage_slot; an empty list tells nothing. */
void courses_add(struct courses *courses, const GPtrArray *slots);

/* Replaces what `course` says of the slots that some execution has told, by its quantiles over the executions (see predict/history.h). */
void courses_predict(const struct courses *courses, double half_life, struct course *course);
