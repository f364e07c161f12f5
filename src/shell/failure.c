/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/failure.h"

#include "shell/table.h"

#include <stdarg.h>

GQuark shell_error_quark(void)
{
    return g_quark_from_static_string("shell-error-quark");
}

GQuark remote_error_quark(void)
{
    return g_quark_from_static_string("remote-error-quark");
}

gboolean failure_take(struct hbr_error *remote, GError **error)
{
    const char *message = remote->message != NULL ? remote->message : "failed without a reason";
    g_set_error(error, REMOTE_ERROR, remote->exit_status, "%s", message);
    hbr_error_clear(remote);
    return FALSE;
}

gboolean failure_usage(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, SHELL_ERROR, SHELL_ERROR_USAGE, message);
    return FALSE;
}

int failure_exit_status(const GError *error)
{
    if (error->domain == REMOTE_ERROR && error->code > 0)
        return error->code;
    if (g_error_matches(error, SHELL_ERROR, SHELL_ERROR_TOO_LARGE))
        return FAILURE_STATUS_TOO_LARGE;
    return g_error_matches(error, SHELL_ERROR, SHELL_ERROR_USAGE) ? FAILURE_STATUS_USAGE : FAILURE_STATUS;
}

/* Policy errors come as several lines, one for each culprit: they stay lines. */
static char *failure_clean_lines(const char *message)
{
    g_auto(GStrv) lines = g_strsplit(message, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        char *clean = table_clean(lines[i]);
        g_free(lines[i]);
        lines[i] = clean;
    }
    return g_strjoinv("\n  ", lines);
}

char *failure_text(const char *command, const GError *error)
{
    g_autofree char *message = failure_clean_lines(error->message);
    if (command == NULL)
        return g_strdup_printf("harbinger: %s", message);
    return g_strdup_printf("harbinger: %s: %s", command, message);
}
