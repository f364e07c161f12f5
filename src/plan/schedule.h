/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* When to start. Pure functions; times in microseconds, see base/clock.h. */

/* The latest start that is ready `margin_ms` before `arrival_at` in all but the slowest cases of a path that takes `path_ms`; `now` when
 * that has passed. */
gint64 schedule_start_at(gint64 now, gint64 arrival_at, gint64 path_ms, gint64 margin_ms);
