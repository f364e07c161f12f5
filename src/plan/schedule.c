/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/schedule.h"

#include "base/clock.h"

gint64 schedule_start_at(gint64 now, gint64 arrival_at, gint64 path_ms, gint64 margin_ms)
{
    return MAX(now, arrival_at - (path_ms + margin_ms) * CLOCK_MS);
}
