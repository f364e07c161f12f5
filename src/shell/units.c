/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/units.h"

#include "shell/failure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX_MS (G_GINT64_CONSTANT(366) * 24 * 3600 * 1000)

struct unit {
    const char *name;
    double factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60000}, {"m", 60000}, {"h", 3600000.0}, {"d", 86400000.0},
};

static const struct unit size_units[] = {
    {"B", 1},      {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},   {"M", 0x1p20},   {"MiB", 0x1p20}, {"MB", 1e6},
    {"G", 0x1p30}, {"GiB", 0x1p30}, {"GB", 1e9},     {"T", 0x1p40}, {"TiB", 0x1p40}, {"TB", 1e12},
};

static const struct unit *units_find(const struct unit *units, gsize count, const char *name, gsize length)
{
    for (gsize i = 0; i < count; i++)
        if (strlen(units[i].name) == length && g_ascii_strncasecmp(units[i].name, name, length) == 0)
            return &units[i];
    return NULL;
}

/* A decimal number without sign, exponent or hexadecimal digits at the head of `text`; NULL when there is none. */
static const char *units_scan_number(const char *text, double *ret_number)
{
    gsize length = strspn(text, "0123456789.");
    if (length == 0 || length > 18 || !g_ascii_isdigit(text[0]))
        return NULL;
    g_autofree char *digits = g_strndup(text, length);
    char *end = NULL;
    double number = g_ascii_strtod(digits, &end);
    if (*end != '\0')
        return NULL;
    *ret_number = number;
    return text + length;
}

static gboolean units_fail_duration(const char *text, GError **error)
{
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_USAGE,
                "\"%s\" is not a duration: write 500ms, 30s, 1m30s, 2h or 7d, at most a year", text);
    return FALSE;
}

gboolean units_parse_duration(const char *text, gint64 *ret_ms, GError **error)
{
    double total = 0;
    const char *rest = text;
    do {
        double number = 0;
        rest = units_scan_number(rest, &number);
        if (rest == NULL)
            return units_fail_duration(text, error);
        gsize length = strspn(rest, "abcdefghijklmnopqrstuvwxyz");
        const struct unit *unit = units_find(duration_units, G_N_ELEMENTS(duration_units), rest, length);
        if (unit == NULL && !(length == 0 && *rest == '\0' && total == 0))
            return units_fail_duration(text, error);
        total += number * (unit != NULL ? unit->factor : 1000);
        rest += length;
    } while (*rest != '\0');
    if (total > (double)DURATION_MAX_MS)
        return units_fail_duration(text, error);
    *ret_ms = (gint64)(total + 0.5);
    return TRUE;
}

gboolean units_parse_size(const char *text, gint64 *ret_bytes, GError **error)
{
    double number = 0;
    const char *rest = units_scan_number(text, &number);
    if (rest != NULL && *rest == ' ')
        rest++;
    const struct unit *unit = NULL;
    if (rest != NULL)
        unit = units_find(size_units, G_N_ELEMENTS(size_units), *rest == '\0' ? "B" : rest,
                          *rest == '\0' ? 1 : strlen(rest));
    if (unit == NULL || number * unit->factor > 0x1p60) {
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_USAGE, "\"%s\" is not a size: write 4096, 64K, 10MiB, 10MB or 1.5G",
                    text);
        return FALSE;
    }
    *ret_bytes = (gint64)(number * unit->factor + 0.5);
    return TRUE;
}

static gint64 units_of_date_time(GDateTime *date_time)
{
    return g_date_time_to_unix(date_time) * G_USEC_PER_SEC + g_date_time_get_microsecond(date_time);
}

static GDateTime *units_local(gint64 at)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(at / G_USEC_PER_SEC);
    g_autoptr(GDateTime) exact = utc != NULL ? g_date_time_add(utc, at % G_USEC_PER_SEC) : NULL;
    return exact != NULL ? g_date_time_to_local(exact) : NULL;
}

gboolean units_parse_rfc3339(const char *text, gint64 *ret_at)
{
    g_autoptr(GDateTime) date_time = text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    if (date_time == NULL)
        return FALSE;
    *ret_at = units_of_date_time(date_time);
    return TRUE;
}

char *units_format_rfc3339(gint64 at)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(at / G_USEC_PER_SEC);
    if (utc == NULL)
        return NULL;
    g_autofree char *seconds = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%S");
    return g_strdup_printf("%s.%06dZ", seconds, (int)(at % G_USEC_PER_SEC));
}

/* "22:48" and "22:48:01" mean the next such moment: yesterday's time is of no use to anybody who plans. */
static GDateTime *units_parse_time_of_day(const char *text, gint64 now)
{
    if (!g_regex_match_simple("^[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?$", text, 0, 0))
        return NULL;
    g_auto(GStrv) parts = g_strsplit(text, ":", 3);
    g_autoptr(GDateTime) today = units_local(now);
    g_autoptr(GDateTime) moment = g_date_time_new_local(
        g_date_time_get_year(today), g_date_time_get_month(today), g_date_time_get_day_of_month(today),
        (int)g_ascii_strtoll(parts[0], NULL, 10), (int)g_ascii_strtoll(parts[1], NULL, 10),
        parts[2] != NULL ? (int)g_ascii_strtoll(parts[2], NULL, 10) : 0);
    if (moment == NULL)
        return NULL;
    return g_date_time_compare(moment, today) < 0 ? g_date_time_add_days(moment, 1) : g_steal_pointer(&moment);
}

static GDateTime *units_parse_date(const char *text)
{
    g_autofree char *iso = g_strdup(text);
    if (g_regex_match_simple("^[0-9]{4}-[0-9]{2}-[0-9]{2} ", text, 0, 0))
        iso[10] = 'T';
    const gboolean is_day = g_regex_match_simple("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", iso, 0, 0);
    if (is_day || g_regex_match_simple("^[^T]+T[0-9]{2}:[0-9]{2}$", iso, 0, 0)) {
        char *full = g_strconcat(iso, is_day ? "T00:00:00" : ":00", NULL);
        g_free(iso);
        iso = full;
    }
    g_autoptr(GTimeZone) local = g_time_zone_new_local();
    return g_date_time_new_from_iso8601(iso, local);
}

gboolean units_parse_time(const char *text, gint64 now, gint64 *ret_at, GError **error)
{
    gint64 offset_ms = 0;
    if ((text[0] == '+' || text[0] == '-') && units_parse_duration(text + 1, &offset_ms, NULL)) {
        *ret_at = now + offset_ms * (text[0] == '+' ? 1000 : -1000);
        return TRUE;
    }
    g_autoptr(GDateTime) date_time = units_parse_time_of_day(text, now);
    if (date_time == NULL)
        date_time = units_parse_date(text);
    if (date_time == NULL) {
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_USAGE,
                    "\"%s\" is not a time: write +90s, -7d, 22:48, \"2026-11-20 22:48\" or 2026-11-20T22:48:00Z", text);
        return FALSE;
    }
    *ret_at = units_of_date_time(date_time);
    return TRUE;
}

char *units_format_real(double value, guint decimals)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "%.*f", (int)decimals, value);
    if (strchr(text->str, '.') != NULL) {
        while (text->str[text->len - 1] == '0')
            g_string_truncate(text, text->len - 1);
        if (text->str[text->len - 1] == '.')
            g_string_truncate(text, text->len - 1);
    }
    return g_strdup(strcmp(text->str, "-0") == 0 ? "0" : text->str);
}

/* Three significant digits are as many as one reads. */
static char *units_format_scaled(double value, const char *unit)
{
    g_autofree char *number = units_format_real(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
    return g_strdup_printf("%s %s", number, unit);
}

static char *units_format_pair(gint64 count, gint64 per_unit, const char *big, const char *small)
{
    if (count % per_unit == 0)
        return g_strdup_printf("%" G_GINT64_FORMAT " %s", count / per_unit, big);
    return g_strdup_printf("%" G_GINT64_FORMAT " %s %" G_GINT64_FORMAT " %s", count / per_unit, big, count % per_unit,
                           small);
}

char *units_format_duration(gint64 us)
{
    if (us < 0) {
        g_autofree char *positive = units_format_duration(us == G_MININT64 ? G_MAXINT64 : -us);
        return g_strconcat("-", positive, NULL);
    }
    if (us == 0)
        return g_strdup("0 s");
    if (us < 1000)
        return g_strdup_printf("%d us", (int)us);
    if (us < 999500)
        return units_format_scaled((double)us / 1e3, "ms");
    if (us < 59950000)
        return units_format_scaled((double)us / 1e6, "s");
    gint64 seconds = (us + 500000) / 1000000;
    if (seconds < 3600)
        return units_format_pair(seconds, 60, "min", "s");
    gint64 minutes = (seconds + 30) / 60;
    if (minutes < 24 * 60)
        return units_format_pair(minutes, 60, "h", "min");
    return units_format_pair((minutes + 30) / 60, 24, "d", "h");
}

char *units_format_bytes(gint64 bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    guint step = 0;
    while (value >= 1023.5 && step + 1 < G_N_ELEMENTS(names)) {
        value /= 1024;
        step++;
    }
    return units_format_scaled(value, names[step]);
}

char *units_format_mib(double mib)
{
    return mib < 1023.5 ? units_format_scaled(mib, "MiB") : units_format_bytes((gint64)(mib * 0x1p20));
}

/* One unit is exact enough for "when": seconds up to two minutes, minutes up to two hours, hours up to two days. */
static char *units_format_coarse(gint64 us)
{
    static const struct {
        const char *name;
        gint64 seconds, below;
    } steps[] = {{"s", 1, 120}, {"min", 60, 7200}, {"h", 3600, 172800}, {"d", 86400, G_MAXINT64}};
    gint64 seconds = (us + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
    guint i = 0;
    while (seconds >= steps[i].below)
        i++;
    return g_strdup_printf("%" G_GINT64_FORMAT " %s", (seconds + steps[i].seconds / 2) / steps[i].seconds,
                           steps[i].name);
}

char *units_format_relative(gint64 at, gint64 now)
{
    gint64 distance = at - now;
    if (ABS(distance) < G_USEC_PER_SEC / 2)
        return g_strdup("now");
    g_autofree char *text = units_format_coarse(ABS(distance));
    return distance > 0 ? g_strconcat("in ", text, NULL) : g_strconcat(text, " ago", NULL);
}

static char *units_format_local(gint64 at, const char *format)
{
    g_autoptr(GDateTime) local = units_local(at);
    return local != NULL ? g_date_time_format(local, format) : g_strdup("?");
}

char *units_format_clock(gint64 at)
{
    g_autofree char *seconds = units_format_local(at, "%H:%M:%S");
    return g_strdup_printf("%s.%03d", seconds, (int)(at % G_USEC_PER_SEC / 1000));
}

char *units_format_date(gint64 at)
{
    return units_format_local(at, "%Y-%m-%d %H:%M:%S");
}
