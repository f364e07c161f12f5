/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/governor.h"

#define MINUTE_US G_GINT64_CONSTANT(60000000)
#define SOON 16 /* dwell times between a shrink and a growth that shows that it was wrong */
#define REST 64 /* dwell times without a change, after which the dwell time halves */

static gint64 governor_dwell(const struct governor *governor, const struct governor_settings *settings)
{
    return MAX(governor->dwell_us, settings->dwell_us);
}

static gint64 governor_changed_at(const struct governor *governor)
{
    return MAX(governor->grown_at, governor->shrunk_at);
}

static void governor_rest(struct governor *governor, const struct governor_settings *settings, gint64 now)
{
    const gint64 dwell_us = governor_dwell(governor, settings);
    if (dwell_us <= settings->dwell_us || now - governor_changed_at(governor) < REST * dwell_us)
        return;
    governor->dwell_us = dwell_us / 2;
}

static gboolean governor_is_spent(const struct governor *governor, const struct governor_settings *settings, gint64 now)
{
    const guint most = MIN(settings->changes_per_minute, GOVERNOR_CHANGES_MAX);
    if (most == 0 || governor->change_count < most)
        return FALSE;
    return now - governor->changes[(governor->change_count - most) % GOVERNOR_CHANGES_MAX] < MINUTE_US;
}

/* Follows how long, and how far, less was wanted. */
static void governor_watch(struct governor *governor, gint64 now, guint has, guint down)
{
    if (down >= has) {
        governor->low_since = 0;
        return;
    }
    if (governor->low_since == 0) {
        governor->low_since = now;
        governor->low_most = down;
    }
    governor->low_most = MAX(governor->low_most, down);
}

static guint governor_step(guint has, guint to, double step_max)
{
    if (to > has)
        return MIN(to, MAX((guint)(has * step_max), has + 1));
    return MAX(to, MIN((guint)(has / step_max), has - 1));
}

guint governor_decide(struct governor *governor, const struct governor_settings *settings, gint64 now, guint has,
                      guint up, guint down, gboolean pressure)
{
    governor_rest(governor, settings, now);
    governor_watch(governor, now, has, down);
    const gboolean is_spent = governor_is_spent(governor, settings, now);
    if (up > has) {
        const gboolean waits = governor->grown_at != 0 && now - governor->grown_at < settings->grow_pause_us;
        return pressure || (!waits && !is_spent) ? governor_step(has, up, settings->step_max) : has;
    }
    const gboolean dwelt = governor->low_since != 0 && now - governor->low_since >= governor_dwell(governor, settings);
    const gint64 changed_at = governor_changed_at(governor);
    if (!dwelt || is_spent || (changed_at != 0 && now - changed_at < settings->shrink_pause_us))
        return has;
    return governor_step(has, governor->low_most, settings->step_max);
}

void governor_changed(struct governor *governor, const struct governor_settings *settings, gint64 now, guint has,
                      guint to)
{
    const gint64 dwell_us = governor_dwell(governor, settings);
    governor->changes[governor->change_count++ % GOVERNOR_CHANGES_MAX] = now;
    governor->low_since = 0;
    if (to < has) {
        governor->shrunk_at = now;
        return;
    }
    if (governor->shrunk_at > governor->grown_at && now - governor->shrunk_at < SOON * dwell_us)
        governor->dwell_us = MIN(dwell_us * 2, MAX(settings->dwell_max_us, settings->dwell_us));
    governor->grown_at = now;
}
