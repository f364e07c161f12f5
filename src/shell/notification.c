/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/notification.h"

#include "shell/failure.h"

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
