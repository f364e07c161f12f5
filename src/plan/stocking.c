/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/stocking.h"

#include "base/clock.h"

#include <math.h>

double stocking_decay(double missed, gint64 elapsed, gint64 half_life_ms)
{
    return missed * exp2(-(double)elapsed / (double)(half_life_ms * CLOCK_MS));
}

gint64 stocking_decays_at(double missed, gint64 now, gint64 half_life_ms)
{
    const double below = floor(missed + 0.5) - 0.5; /* where it is rounded to one less */
    if (below <= 0)
        return CLOCK_NEVER;
    const double wait = log2(missed / below) * (double)(half_life_ms * CLOCK_MS);
    return now + (gint64)wait + CLOCK_MS;
}

/* How much of `*wanted` more fits between the floor and the ceiling. */
static void stocking_raise(guint *level, guint ceiling, guint *wanted)
{
    const guint room = ceiling > *level ? ceiling - *level : 0;
    const guint raise = MIN(room, *wanted);
    *level += raise;
    *wanted -= raise;
}

static guint stocking_cut(guint *level, guint excess)
{
    const guint cut = MIN(*level, excess);
    *level -= cut;
    return excess - cut;
}

/* Suspended instances hold as much memory as running ones, and are the slower ones: they go first. */
static gboolean stocking_keep_budget(const struct stocking *stocking, struct pool_stock *target)
{
    const guint count = target->running + target->paused;
    const guint allowed = stocking->idle_budget_mib / MAX(stocking->memory_mib, 1);
    if (stocking->idle_budget_mib == 0 || count <= allowed)
        return FALSE;
    stocking_cut(&target->running, stocking_cut(&target->paused, count - allowed));
    return TRUE;
}

struct pool_stock stocking_target(const struct stocking *stocking, char **ret_why)
{
    g_autoptr(GString) why = g_string_new(NULL);
    struct pool_stock target = {0};
    if (stocking->is_draining) {
        g_string_append(why, "draining");
    } else {
        const guint missed = (guint)(stocking->missed + 0.5);
        guint wanted = stocking->due + missed;
        target = stocking->floor;
        g_string_append_printf(why, "%s %u running, %u paused, %u saved", stocking->floor_reason, target.running,
                               target.paused, target.saved);
        if (wanted > 0)
            target.saved = MAX(target.saved, stocking->ceiling.saved);
        stocking_raise(&target.paused, stocking->ceiling.paused, &wanted);
        stocking_raise(&target.running, stocking->ceiling.running, &wanted);
        if (stocking->due > 0)
            g_string_append_printf(why, "; %u registered", stocking->due);
        if (missed > 0)
            g_string_append_printf(why, "; %u missed lately", missed);
        if (wanted > 0)
            g_string_append_printf(why, "; %u above the ceiling", wanted);
        if (stocking_keep_budget(stocking, &target))
            g_string_append_printf(why, "; cut to the idle budget of %u MiB", stocking->idle_budget_mib);
    }
    if (ret_why != NULL)
        *ret_why = g_string_free(g_steal_pointer(&why), FALSE);
    return target;
}
