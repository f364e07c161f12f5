/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* When an amount that a VM has follows what is wanted of it: up at once, in bounded steps; down only when less was wanted for the whole of a dwell
 * time, and then to the most that was wanted in it. A growth soon after a shrink shows that the dwell time was too short: it doubles each time, so
 * that a load which goes up and down at any period comes to rest at the top; it falls back after a long time of rest. Pure. */

struct governor_settings {
    double step_max;               /* one step multiplies or divides the amount by at most this */
    gint64 dwell_us, dwell_max_us; /* less must be wanted for so long; the longest that it becomes by doubling */
    gint64 grow_pause_us, shrink_pause_us; /* after a change of the amount, before the next one in that direction */
    guint changes_per_minute;              /* of the amount, pressure excepted; 0: any number */
};

#define GOVERNOR_CHANGES_MAX 16

struct governor {
    gint64 dwell_us;                      /* as it has become; 0: as the settings say */
    gint64 low_since;                     /* less was wanted since then; 0: it is not */
    guint low_most;                       /* and this was the most of it */
    gint64 grown_at, shrunk_at;           /* 0: never */
    gint64 changes[GOVERNOR_CHANGES_MAX]; /* the newest ones: a ring */
    guint change_count;
};

/* The amount that it should have now: `has` when nothing is to be changed. `up` is what it should have at least, and `down` the same with a margin
 * for hysteresis (down >= up), both within what is allowed; all are in whole units. Under `pressure` it grows whatever was changed before.
 * governor_changed() follows when the change is made. */
guint governor_decide(struct governor *governor, const struct governor_settings *settings, gint64 now, guint has,
                      guint up, guint down, gboolean pressure);

/* The amount was changed from `has` to `to`. */
void governor_changed(struct governor *governor, const struct governor_settings *settings, gint64 now, guint has,
                      guint to);
