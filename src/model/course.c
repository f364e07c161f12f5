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

#define AMOUNT(name, resource)                                                           \
    {                                                                                    \
        name, CODEC_DOUBLE, G_STRUCT_OFFSET(struct usage_slot, amounts[resource]), 0, 0, \
            G_GINT64_CONSTANT(1000000000000), NULL, NULL                                 \
    }

static const struct codec_field usage_slot_fields[] = {
    {"from_ms", CODEC_INT64, G_STRUCT_OFFSET(struct usage_slot, from_ms), 0, 0, G_MAXINT64, NULL, NULL},
    {"samples", CODEC_UINT, G_STRUCT_OFFSET(struct usage_slot, samples), 0, 0, G_MAXUINT, NULL, NULL},
    AMOUNT("vcpus", RESOURCE_CPU),
    AMOUNT("memory_mib", RESOURCE_MEMORY),
    AMOUNT("network_mbps", RESOURCE_NETWORK),
    AMOUNT("disk_mbps", RESOURCE_DISK),
};

CODEC_DEFINE(usage_slot, usage_slot_fields)

static struct usage_slot *usage_course_slot(GPtrArray *course, gint64 from_ms)
{
    struct usage_slot *slot = course->len > 0 ? course->pdata[course->len - 1] : NULL;
    if (slot != NULL && slot->from_ms >= from_ms)
        return slot;
    slot = g_new0(struct usage_slot, 1);
    slot->from_ms = from_ms;
    g_ptr_array_add(course, slot);
    return slot;
}

void usage_course_add(GPtrArray **course, gint64 elapsed_ms, const double *used)
{
    if (*course == NULL)
        *course = g_ptr_array_new();
    struct usage_slot *slot = usage_course_slot(*course, course_slot_start_ms(course_slot(elapsed_ms)));
    slot->samples++;
    for (guint i = 0; i < RESOURCE_COUNT; i++) {
        if (i == RESOURCE_MEMORY)
            slot->amounts[i] = MAX(slot->amounts[i], used[i]);
        else
            slot->amounts[i] += (used[i] - slot->amounts[i]) / slot->samples;
    }
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
