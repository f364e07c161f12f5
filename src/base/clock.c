/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include "base/error.h"

gint64 clock_now(void)
{
    static gsize offset = 0;
    if (g_once_init_enter(&offset))
        g_once_init_leave(&offset, (gsize)(g_get_real_time() - g_get_monotonic_time()));
    return (gint64)offset + g_get_monotonic_time();
}

char *clock_to_rfc3339(gint64 at)
{
    if (at == 0)
        return NULL;
    g_autoptr(GDateTime) seconds = g_date_time_new_from_unix_utc(at / CLOCK_SECOND);
    if (seconds == NULL)
        return NULL;
    g_autofree char *date = g_date_time_format(seconds, "%Y-%m-%dT%H:%M:%S");
    return g_strdup_printf("%s.%06dZ", date, (int)(at % CLOCK_SECOND));
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
