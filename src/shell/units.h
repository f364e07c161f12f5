/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Durations, sizes and times as people write and read them. Times are microseconds since the epoch. Returned strings are
 * freed with g_free. Any thread. */

/* "500ms", "30s", "1m30s", "2h", "1.5s", "7d"; a bare number counts seconds. FALSE with SHELL_ERROR_USAGE. */
gboolean units_parse_duration(const char *text, gint64 *ret_ms, GError **error);

/* "4096", "64K", "10MiB" (powers of 1024), "10MB" (powers of 1000), "1.5G". FALSE with SHELL_ERROR_USAGE. */
gboolean units_parse_size(const char *text, gint64 *ret_bytes, GError **error);

/* "+90s" from `now` and "-7d" before it, RFC 3339, "2026-11-20[ 22:48[:01]]" and "22:48[:01]" in local time (the next such moment).
 * FALSE with SHELL_ERROR_USAGE. */
gboolean units_parse_time(const char *text, gint64 now, gint64 *ret_at, GError **error);

/* RFC 3339 as the daemon writes it. FALSE when it is not a time. */
gboolean units_parse_rfc3339(const char *text, gint64 *ret_at);
char *units_format_rfc3339(gint64 at);

/* "830 us", "12 ms", "1.24 s", "2 min 5 s", "3 h 20 min", "2 d 4 h"; "-" before negative ones. */
char *units_format_duration(gint64 us);

/* "512 B", "1.5 KiB", "20 MiB". */
char *units_format_bytes(gint64 bytes);

/* "512 MiB", "1.5 GiB". */
char *units_format_mib(double mib);

/* At most `decimals` decimals, without trailing zeros: "1.5", "2". */
char *units_format_real(double value, guint decimals);

/* "in 30 s", "now", "12 s ago", "3 h ago": one unit. */
char *units_format_relative(gint64 at, gint64 now);

/* "22:48:01.123" and "2026-11-20 22:48:01", local time. */
char *units_format_clock(gint64 at);
char *units_format_date(gint64 at);
