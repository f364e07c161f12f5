/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/courses.h"

#include "predict/history.h"

#include <math.h>

static const enum history_amount amounts[RESOURCE_COUNT] = {[RESOURCE_CPU] = HISTORY_VCPUS,
                                                            [RESOURCE_MEMORY] = HISTORY_MEMORY,
                                                            [RESOURCE_NETWORK] = HISTORY_NETWORK,
                                                            [RESOURCE_DISK] = HISTORY_DISK};

void courses_clear(struct courses *courses)
{
    g_clear_pointer(&courses->rows, g_free);
    courses->capacity = courses->count = courses->next = 0;
}

/* Until it is full it is filled from the start, so that it can grow in place. */
static void courses_make_room(struct courses *courses)
{
    if (courses->count < courses->capacity || courses->capacity == COURSES_MAX)
        return;
    courses->capacity = MIN(MAX(courses->capacity * 2, 1), COURSES_MAX);
    courses->rows = g_realloc_n(courses->rows, courses->capacity, sizeof *courses->rows);
    courses->next = courses->count;
}

void courses_add(struct courses *courses, const GPtrArray *slots)
{
    if (slots == NULL || slots->len == 0)
        return;
    courses_make_room(courses);
    float(*row)[COURSE_SLOTS] = courses->rows[courses->next];
    for (guint resource = 0; resource < RESOURCE_COUNT; resource++)
        for (guint i = 0; i < COURSE_SLOTS; i++)
            row[resource][i] = NAN;
    for (guint i = 0; i < slots->len; i++) {
        const struct usage_slot *slot = slots->pdata[i];
        for (guint resource = 0; resource < RESOURCE_COUNT; resource++)
            row[resource][course_slot(slot->from_ms)] = (float)slot->amounts[resource];
    }
    courses->next = (courses->next + 1) % courses->capacity;
    courses->count = MIN(courses->count + 1, courses->capacity);
}

/* The executions' amounts in one slot, as samples of a history of their own. */
static void courses_slot_history(const struct courses *courses, guint slot, struct history *ret_history)
{
    *ret_history = (struct history){0};
    for (guint age = courses->count; age > 0; age--) {
        const guint at = (courses->next + courses->capacity - age) % courses->capacity;
        struct history_sample sample = {.input = 0};
        for (guint i = 0; i < HISTORY_AMOUNT_COUNT; i++)
            sample.amounts[i] = NAN;
        for (guint resource = 0; resource < RESOURCE_COUNT; resource++)
            sample.amounts[amounts[resource]] = courses->rows[at][resource][slot];
        history_add(ret_history, &sample, COURSES_MAX);
    }
}

void courses_predict(const struct courses *courses, double half_life, struct course *course)
{
    const struct history_query query = {.samples_max = COURSES_MAX, .half_life = half_life, .levels = HISTORY_LEVELS};
    for (guint slot = 0; slot < COURSE_SLOTS && courses->count > 0; slot++) {
        struct history history;
        courses_slot_history(courses, slot, &history);
        for (guint resource = 0; resource < RESOURCE_COUNT; resource++)
            history_quantiles(&history, amounts[resource], &query, &course->amounts[resource][slot]);
        history_clear(&history);
    }
}
