/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const struct {
    const char *word;
    GLogLevelFlags flags;
    const char *priority; /* syslog(3) priority, as the journal wants it */
} level_table[] = {
    [LOG_LEVEL_ERROR] = {"error", G_LOG_LEVEL_CRITICAL, "3"},
    [LOG_LEVEL_WARNING] = {"warning", G_LOG_LEVEL_WARNING, "4"},
    [LOG_LEVEL_INFO] = {"info", G_LOG_LEVEL_INFO, "6"},
    [LOG_LEVEL_DEBUG] = {"debug", G_LOG_LEVEL_DEBUG, "7"},
};

static gint log_threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    g_atomic_int_set(&log_threshold, (gint)level);
}

gboolean log_level_from_string(const char *word, enum log_level *ret_level, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(level_table); i++) {
        if (g_strcmp0(level_table[i].word, word) == 0) {
            *ret_level = (enum log_level)i;
            return TRUE;
        }
    }
    hbr_error_set(error, HBR_ERROR_INVALID, "log level \"%s\" is not one of error, warning, info, debug", word);
    return FALSE;
}

static void log_to_stderr(enum log_level level, const char *topic, const char *message)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%H:%M:%S");
    g_autofree char *line = g_strdup_printf("%s.%03d %s %s: %s\n", stamp, g_date_time_get_microsecond(now) / 1000,
                                            level_table[level].word, topic, message);
    fputs(line, stderr);
}

void log_write(enum log_level level, const char *topic, const char *format, ...)
{
    if ((gint)level > g_atomic_int_get(&log_threshold))
        return;
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    if (!g_log_writer_is_journald(STDERR_FILENO)) {
        log_to_stderr(level, topic, message);
        return;
    }
    const GLogField fields[] = {
        {"MESSAGE", message, -1},
        {"PRIORITY", level_table[level].priority, -1},
        {"GLIB_DOMAIN", topic, -1},
    };
    g_log_writer_journald(level_table[level].flags, fields, G_N_ELEMENTS(fields), NULL);
}
