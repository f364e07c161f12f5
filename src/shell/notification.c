/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/notification.h"

#include "shell/failure.h"
#include "shell/language.h"
#include "shell/local-file.h"

#include <string.h>

static gboolean notification_add_times(json_t *notification, const struct arguments *arguments, GError **error)
{
    if (arguments_has(arguments, "arrival") && arguments_has(arguments, "arrival-in"))
        return failure_usage(error, "--arrival and --arrival-in say the same: give one of them");
    if (arguments_has(arguments, "arrival-in"))
        json_object_set_new(notification, "arrival_in_ms", json_integer(arguments_number(arguments, "arrival-in")));
    if (arguments_has(arguments, "arrival"))
        metadata_set_time(notification, "arrival_at", arguments_number(arguments, "arrival"));
    if (arguments_has(arguments, "deadline"))
        metadata_set_time(notification, "deadline_at", arguments_number(arguments, "deadline"));
    return TRUE;
}

json_t *notification_new(const struct arguments *arguments, const char *function, GError **error)
{
    g_autoptr(json_auto) notification = json_object();
    if (!notification_add_times(notification, arguments, error))
        return NULL;
    g_autoptr(json_auto) code = metadata_new(arguments, function, error);
    const char *file = arguments_string(arguments, "code");
    if (code == NULL || (file != NULL && !metadata_add_code_file(code, file, error)))
        return NULL;
    json_object_set(notification, "code", code);
    return g_steal_pointer(&notification);
}

gboolean notification_fits(const json_t *notification)
{
    char *text = json_dumps(notification, JSON_COMPACT);
    const gboolean fits = strlen(text) <= NOTIFICATION_MAX;
    free(text);
    return fits;
}

gboolean notification_add_source(json_t *notification, const char *path, GError **error)
{
    const json_t *code = json_object_get(notification, "code");
    const char *language = json_string_value(json_object_get(code, "language"));
    if (language == NULL || json_integer_value(json_object_get(code, "code_bytes")) > NOTIFICATION_MAX)
        return TRUE;
    g_autoptr(GBytes) content = local_file_read(path, NOTIFICATION_MAX, error);
    if (content == NULL)
        return FALSE;
    gsize length = 0;
    const char *text = g_bytes_get_data(content, &length);
    json_t *source = length > 0 && memchr(text, '\0', length) == NULL ? json_stringn(text, length) : NULL;
    if (source == NULL)
        return TRUE;
    json_object_set_new(notification, "program",
                        json_pack("{s:s, s:o}", "interpreter", language_program(language), "source", source));
    if (!notification_fits(notification))
        json_object_del(notification, "program");
    return TRUE;
}
