/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include "base/error.h"

#include <time.h>

gint64 clock_now(void)
{
    static gsize offset = 0;
    if (g_once_init_enter(&offset))
        g_once_init_leave(&offset, (gsize)(g_get_real_time() - g_get_monotonic_time()));
    return (gint64)offset + g_get_monotonic_time();
}

const char *clock_format_rfc3339(gint64 at, char text[CLOCK_TEXT_SIZE])
{
    const time_t seconds = (time_t)(at / CLOCK_SECOND);
    struct tm date;
    if (at <= 0 || gmtime_r(&seconds, &date) == NULL || date.tm_year + 1900 > 9999)
        return NULL;
    g_snprintf(text, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", date.tm_year + 1900, date.tm_mon + 1,
               date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec, (int)(at % CLOCK_SECOND));
    return text;
}

char *clock_to_rfc3339(gint64 at)
{
    char text[CLOCK_TEXT_SIZE];
    return g_strdup(clock_format_rfc3339(at, text));
}

gboolean clock_from_rfc3339(const char *text, gint64 *ret_at, GError **error)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(text, NULL);
    if (date == NULL || g_date_time_to_unix(date) <= 0) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "\"%s\" is not a time; right would be RFC 3339 with a zone, such as 2026-11-20T22:48:01Z", text);
        return FALSE;
    }
    *ret_at = g_date_time_to_unix(date) * CLOCK_SECOND + g_date_time_get_microsecond(date);
    return TRUE;
}
