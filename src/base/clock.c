/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include "base/error.h"

#include <string.h>
#include <time.h>

gint64 clock_now(void)
{
    static gsize offset = 0;
    if (g_once_init_enter(&offset))
        g_once_init_leave(&offset, (gsize)(g_get_real_time() - g_get_monotonic_time()));
    return (gint64)offset + g_get_monotonic_time();
}

#define DAY_TEXT "2026-11-20T"

/* A day as DAY_TEXT. Nearly all times that a thread writes are of one day or two: the newest of each parity is kept. FALSE when it has no year
 * of four digits. */
static gboolean clock_format_day(gint64 day, char text[sizeof DAY_TEXT])
{
    static _Thread_local struct {
        gint64 day;
        char text[sizeof DAY_TEXT];
    } known[2] = {{.day = -1}, {.day = -1}};
    if (known[day % 2].day != day) {
        const time_t midnight = (time_t)(day * 24 * 3600);
        struct tm date;
        if (gmtime_r(&midnight, &date) == NULL || date.tm_year + 1900 > 9999)
            return FALSE;
        strftime(known[day % 2].text, sizeof DAY_TEXT, "%Y-%m-%dT", &date);
        known[day % 2].day = day;
    }
    memcpy(text, known[day % 2].text, sizeof DAY_TEXT);
    return TRUE;
}

/* Writes `count` digits and `end` after them. Returns what follows. */
static char *clock_format_digits(char *text, guint count, guint value, char end)
{
    for (guint i = count; i > 0; i--, value /= 10)
        text[i - 1] = (char)('0' + value % 10);
    text[count] = end;
    return text + count + 1;
}

const char *clock_format_rfc3339(gint64 at, char text[CLOCK_TEXT_SIZE])
{
    if (at <= 0 || !clock_format_day(at / CLOCK_DAY, text))
        return NULL;
    const guint second = (guint)(at % CLOCK_DAY / CLOCK_SECOND);
    char *end = text + strlen(DAY_TEXT);
    end = clock_format_digits(end, 2, second / 3600, ':');
    end = clock_format_digits(end, 2, second / 60 % 60, ':');
    end = clock_format_digits(end, 2, second % 60, '.');
    end = clock_format_digits(end, 6, (guint)(at % CLOCK_SECOND), 'Z');
    *end = '\0';
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
