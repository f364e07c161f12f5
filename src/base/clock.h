/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Time is a signed count of microseconds since 1970-01-01 UTC, names of such values end in `_at`; 0 means "never" or
 * "not yet". Durations carry their unit in the name. Any thread. */

#define CLOCK_MS G_GINT64_CONSTANT(1000)
#define CLOCK_SECOND G_GINT64_CONSTANT(1000000)
#define CLOCK_MINUTE (60 * CLOCK_SECOND)
#define CLOCK_HOUR (60 * CLOCK_MINUTE)
#define CLOCK_DAY (24 * CLOCK_HOUR)
#define CLOCK_NEVER G_MAXINT64

/* Wall-clock time that never runs backwards while the process lives: the wall clock read once at the first call, plus
 * the monotonic clock since. */
gint64 clock_now(void);

/* Bytes of "2026-11-20T22:48:01.123456Z" with its NUL, and room for years of more digits. */
#define CLOCK_TEXT_SIZE 40

/* Writes the time in the form of RFC 3339 and returns `text`; NULL for 0 and for what has no year. */
const char *clock_format_rfc3339(gint64 at, char text[CLOCK_TEXT_SIZE]);

/* The same as a new string. Free with g_free. */
char *clock_to_rfc3339(gint64 at);

/* The time of an RFC 3339 string with a zone. FALSE with HBR_ERROR_INVALID otherwise. */
gboolean clock_from_rfc3339(const char *text, gint64 *ret_at, GError **error);
