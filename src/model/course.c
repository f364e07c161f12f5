/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/course.h"

#define SLOT_MS 1000
#define EVEN_SLOTS 4

gint64 course_slot_start_ms(guint slot)
{
    if (slot <= EVEN_SLOTS)
        return (gint64)slot * SLOT_MS;
    const guint octave = (slot - EVEN_SLOTS) / 2;
    const gint64 start = (gint64)EVEN_SLOTS * SLOT_MS << octave;
    return (slot - EVEN_SLOTS) % 2 == 0 ? start : start + start / 2;
}

guint course_slot(gint64 elapsed_ms)
{
    guint slot = 0;
    while (slot + 1 < COURSE_SLOTS && course_slot_start_ms(slot + 1) <= elapsed_ms)
        slot++;
    return slot;
}

void usage_course_add(struct usage_course *course, gint64 elapsed_ms, const double *used)
{
    struct usage_slot *slot = &course->slots[course_slot(elapsed_ms)];
    slot->count++;
    for (guint i = 0; i < RESOURCE_COUNT; i++) {
        if (i == RESOURCE_MEMORY)
            slot->amounts[i] = MAX(slot->amounts[i], used[i]);
        else
            slot->amounts[i] += (used[i] - slot->amounts[i]) / slot->count;
    }
}

static json_t *usage_slot_to_json(const struct usage_slot *slot)
{
    if (slot->count == 0)
        return json_null();
    json_t *amounts = json_array();
    for (guint i = 0; i < RESOURCE_COUNT; i++)
        json_array_append_new(amounts, json_real(slot->amounts[i]));
    return amounts;
}

json_t *usage_course_to_json(const struct usage_course *course)
{
    guint slots = COURSE_SLOTS;
    while (slots > 0 && course->slots[slots - 1].count == 0)
        slots--;
    if (slots == 0)
        return NULL;
    json_t *json = json_array();
    for (guint i = 0; i < slots; i++)
        json_array_append_new(json, usage_slot_to_json(&course->slots[i]));
    return json;
}

gboolean usage_course_from_json(const json_t *json, struct usage_course *ret_course)
{
    *ret_course = (struct usage_course){0};
    if (!json_is_array(json) || json_array_size(json) > COURSE_SLOTS)
        return FALSE;
    for (guint i = 0; i < json_array_size(json); i++) {
        const json_t *amounts = json_array_get(json, i);
        struct usage_slot *slot = &ret_course->slots[i];
        if (json_is_null(amounts))
            continue;
        if (!json_is_array(amounts))
            return FALSE;
        slot->count = 1;
        for (guint resource = 0; resource < MIN(RESOURCE_COUNT, json_array_size(amounts)); resource++)
            slot->amounts[resource] = MAX(0, json_number_value(json_array_get(amounts, resource)));
    }
    return TRUE;
}

void course_set_flat(struct course *course, enum resource resource, const struct quantiles *quantiles)
{
    for (guint i = 0; i < COURSE_SLOTS; i++)
        course->amounts[resource][i] = *quantiles;
}

const struct quantiles *course_at(const struct course *course, enum resource resource, gint64 elapsed_ms)
{
    return &course->amounts[resource][course_slot(elapsed_ms)];
}

struct quantiles course_most(const struct course *course, enum resource resource, gint64 from_ms, gint64 to_ms)
{
    const guint last = course_slot(to_ms);
    struct quantiles most = *course_at(course, resource, from_ms);
    for (guint i = course_slot(from_ms) + 1; i <= last; i++) {
        const struct quantiles *slot = &course->amounts[resource][i];
        most.p50 = MAX(most.p50, slot->p50);
        most.p90 = MAX(most.p90, slot->p90);
        most.p99 = MAX(most.p99, slot->p99);
    }
    return most;
}
