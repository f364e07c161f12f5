/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qga-json.h"

#include "base/error.h"

#include <string.h>

#define ANSWER_MAX (24u * 1024 * 1024)

char *qga_command(const char *execute, json_t *arguments)
{
    json_t *command = json_pack("{s:s}", "execute", execute);
    if (arguments != NULL)
        json_object_set_new(command, "arguments", arguments);
    char *text = json_dumps(command, JSON_COMPACT);
    char *copy = g_strdup(text);
    free(text);
    json_decref(command);
    return copy;
}

json_t *qga_parse(const char *answer, GError **error)
{
    json_error_t where;
    const gsize length = strlen(answer);
    json_t *root = length > ANSWER_MAX ? NULL : json_loadb(answer, length, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        hbr_error_set(error, HBR_ERROR_GUEST, "the guest agent's answer is not JSON");
        return NULL;
    }
    json_t *value = json_incref(json_object_get(root, "return"));
    const char *text = json_string_value(json_object_get(json_object_get(root, "error"), "desc"));
    if (value == NULL)
        hbr_error_set(error, HBR_ERROR_GUEST, "the guest agent says: %s",
                      text != NULL ? text : "neither result nor error");
    json_decref(root);
    return value;
}

static json_t *json_base64(gconstpointer data, gsize size)
{
    g_autofree char *text = g_base64_encode(data, size);
    return json_string(text);
}

char *qga_exec(const char *const *argv, char **env, GBytes *input)
{
    json_t *arguments = json_pack("{s:s, s:b, s:[]}", "path", argv[0], "capture-output", 1, "arg");
    for (const char *const *argument = argv + 1; *argument != NULL; argument++)
        json_array_append_new(json_object_get(arguments, "arg"), json_string(*argument));
    if (env != NULL && env[0] != NULL)
        json_object_set_new(arguments, "env", json_array());
    for (char **entry = env; entry != NULL && *entry != NULL; entry++)
        json_array_append_new(json_object_get(arguments, "env"), json_string(*entry));
    if (input != NULL) {
        gsize size;
        const void *data = g_bytes_get_data(input, &size);
        json_object_set_new(arguments, "input-data", json_base64(data, size));
    }
    return qga_command("guest-exec", arguments);
}

static GBytes *status_bytes(const json_t *value, const char *name)
{
    const char *text = json_string_value(json_object_get(value, name));
    gsize size = 0;
    guchar *data = text == NULL ? NULL : g_base64_decode(text, &size);
    return data == NULL ? NULL : g_bytes_new_take(data, size);
}

static guint status_uint(const json_t *value, const char *name)
{
    return (guint)CLAMP(json_integer_value(json_object_get(value, name)), 0, G_MAXINT);
}

gboolean qga_status_parse(const json_t *value, struct qga_status *ret_status, GError **error)
{
    const json_t *exited = json_object_get(value, "exited");
    if (!json_is_boolean(exited)) {
        hbr_error_set(error, HBR_ERROR_GUEST, "the guest agent does not say whether the program has ended");
        return FALSE;
    }
    *ret_status = (struct qga_status){
        .has_exited = json_is_true(exited),
        .is_truncated = json_is_true(json_object_get(value, "out-truncated")) ||
                        json_is_true(json_object_get(value, "err-truncated")),
        .exit_code = status_uint(value, "exitcode"),
        .signal = status_uint(value, "signal"),
        .output = status_bytes(value, "out-data"),
        .errors = status_bytes(value, "err-data"),
    };
    return TRUE;
}

void qga_status_clear(struct qga_status *status)
{
    g_clear_pointer(&status->output, g_bytes_unref);
    g_clear_pointer(&status->errors, g_bytes_unref);
}

/* Counts the entries that are online and lists the others, with only the members `id` and online = true. */
static int count_online(const json_t *value, const char *id, json_t **ret_offline)
{
    gsize index;
    const json_t *entry;
    int online = 0;
    *ret_offline = NULL;
    if (!json_is_array(value))
        return -1;
    json_array_foreach (value, index, entry) {
        json_t *number = json_object_get(entry, id);
        if (json_is_true(json_object_get(entry, "online"))) {
            online++;
        } else if (json_is_integer(number)) {
            if (*ret_offline == NULL)
                *ret_offline = json_array();
            json_array_append_new(*ret_offline, json_pack("{s:O, s:b}", id, number, "online", 1));
        }
    }
    return online;
}

int qga_count_vcpus(const json_t *value, json_t **ret_offline)
{
    return count_online(value, "logical-id", ret_offline);
}

int qga_count_blocks(const json_t *value, json_t **ret_offline)
{
    return count_online(value, "phys-index", ret_offline);
}
