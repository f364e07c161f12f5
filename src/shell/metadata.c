/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/metadata.h"

#include "shell/failure.h"
#include "shell/language.h"
#include "shell/local-file.h"
#include "shell/units.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* A payload up to this size is looked into. */
#define METADATA_PAYLOAD_MAX (16 * 1024 * 1024)
#define METADATA_DEPTH_MAX 1000

enum member_kind { MEMBER_STRING, MEMBER_LANGUAGE, MEMBER_NUMBER, MEMBER_REAL, MEMBER_TRUE, MEMBER_STRINGS };

static const struct {
    const char *option, *member;
    enum member_kind kind;
} metadata_members[] = {
    {"tenant", "tenant", MEMBER_STRING},
    {"language", "language", MEMBER_LANGUAGE},
    {"library", "libraries", MEMBER_STRINGS},
    {"algorithm", "algorithm", MEMBER_STRING},
    {"entry-point", "entry_point", MEMBER_STRING},
    {"payload-bytes", "payload_bytes", MEMBER_NUMBER},
    {"payload-items", "payload_items", MEMBER_NUMBER},
    {"payload-depth", "payload_depth", MEMBER_NUMBER},
    {"payload-keys", "payload_keys", MEMBER_NUMBER},
    {"payload-numbers", "payload_numbers", MEMBER_NUMBER},
    {"payload-strings", "payload_strings", MEMBER_NUMBER},
    {"argument-count", "argument_count", MEMBER_NUMBER},
    {"argument-max", "argument_max", MEMBER_REAL},
    {"input-bytes", "input_bytes", MEMBER_NUMBER},
    {"parallelism", "parallelism", MEMBER_NUMBER},
    {"gpu", "gpu", MEMBER_TRUE},
    {"template", "template", MEMBER_STRING},
    {"label", "labels", MEMBER_STRINGS},
};

static json_t *metadata_strings(const char *const *strings)
{
    json_t *array = json_array();
    for (guint i = 0; strings[i] != NULL; i++)
        json_array_append_new(array, json_string(strings[i]));
    return array;
}

static json_t *metadata_member(const struct arguments *arguments, const char *option, enum member_kind kind)
{
    switch (kind) {
    case MEMBER_STRING:
        return json_string(arguments_string(arguments, option));
    case MEMBER_LANGUAGE:
        return json_string(language_canonical(arguments_string(arguments, option)));
    case MEMBER_NUMBER:
        return json_integer(arguments_number(arguments, option));
    case MEMBER_REAL:
        return json_real(arguments_real(arguments, option));
    case MEMBER_STRINGS:
        return metadata_strings(arguments_strings(arguments, option));
    case MEMBER_TRUE:
        break;
    }
    return json_true();
}

static gboolean metadata_fail_file(const char *path, const char *reason, GError **error)
{
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_FILE, "%s: %s", path, reason);
    return FALSE;
}

static gboolean metadata_stat(const char *path, struct stat *status, GError **error)
{
    if (stat(path, status) != 0)
        return metadata_fail_file(path, g_strerror(errno), error);
    return S_ISDIR(status->st_mode) ? metadata_fail_file(path, "is a directory", error) : TRUE;
}

struct payload_shape {
    gsize longest; /* array */
    gsize keys, numbers, strings;
};

/* Adds what is in a value, and returns how deep it nests (a scalar: 0). */
static guint metadata_measure(json_t *value, guint depth, struct payload_shape *shape)
{
    guint deepest = 0;
    size_t index = 0;
    json_t *item = NULL;
    const char *key = NULL;
    shape->numbers += json_is_number(value) ? 1 : 0;
    shape->strings += json_is_string(value) ? 1 : 0;
    if (depth > METADATA_DEPTH_MAX || (!json_is_array(value) && !json_is_object(value)))
        return 0;
    shape->longest = MAX(shape->longest, json_array_size(value));
    shape->keys += json_object_size(value);
    json_array_foreach (value, index, item) {
        const guint inner = metadata_measure(item, depth + 1, shape);
        deepest = MAX(deepest, inner);
    }
    json_object_foreach (value, key, item) {
        const guint inner = metadata_measure(item, depth + 1, shape);
        deepest = MAX(deepest, inner);
    }
    return deepest + 1;
}

static void metadata_set_default(json_t *code, const char *member, gint64 value)
{
    if (value > 0 && json_object_get(code, member) == NULL)
        json_object_set_new(code, member, json_integer(value));
}

static gboolean metadata_add_payload(json_t *code, const char *path, GError **error)
{
    struct stat status;
    if (!metadata_stat(path, &status, error))
        return FALSE;
    metadata_set_default(code, "payload_bytes", status.st_size);
    g_autoptr(GBytes) content = local_file_read(path, METADATA_PAYLOAD_MAX, NULL);
    json_t *payload =
        content != NULL ? json_loadb(g_bytes_get_data(content, NULL), g_bytes_get_size(content), 0, NULL) : NULL;
    if (payload == NULL)
        return TRUE;
    struct payload_shape shape = {0};
    const guint depth = metadata_measure(payload, 0, &shape);
    metadata_set_default(code, "payload_depth", depth);
    metadata_set_default(code, "payload_items", (gint64)shape.longest);
    metadata_set_default(code, "payload_keys", (gint64)shape.keys);
    metadata_set_default(code, "payload_numbers", (gint64)shape.numbers);
    metadata_set_default(code, "payload_strings", (gint64)shape.strings);
    json_decref(payload);
    return TRUE;
}

static void metadata_add_language(json_t *code, const char *path)
{
    if (json_object_get(code, "language") != NULL)
        return;
    char head[256];
    FILE *file = fopen(path, "re");
    gsize length = file != NULL ? fread(head, 1, sizeof head, file) : 0;
    if (file != NULL)
        fclose(file);
    g_autofree char *interpreter = language_shebang(head, length);
    const char *language = interpreter != NULL ? language_of_interpreter(interpreter) : NULL;
    if (language == NULL)
        language = language_of_file(path);
    if (language != NULL)
        json_object_set_new(code, "language", json_string(language));
}

gboolean metadata_add_code_file(json_t *code, const char *path, GError **error)
{
    struct stat status;
    if (!metadata_stat(path, &status, error))
        return FALSE;
    metadata_set_default(code, "code_bytes", status.st_size);
    metadata_add_language(code, path);
    return TRUE;
}

json_t *metadata_new(const struct arguments *arguments, const char *function, GError **error)
{
    g_autoptr(json_auto) code = json_object();
    json_object_set_new(code, "function", json_string(function));
    for (guint i = 0; i < G_N_ELEMENTS(metadata_members); i++)
        if (arguments_has(arguments, metadata_members[i].option))
            json_object_set_new(code, metadata_members[i].member,
                                metadata_member(arguments, metadata_members[i].option, metadata_members[i].kind));
    const char *payload = arguments_string(arguments, "payload");
    if (payload != NULL && !metadata_add_payload(code, payload, error))
        return NULL;
    return g_steal_pointer(&code);
}

void metadata_set_time(json_t *object, const char *member, gint64 at)
{
    g_autofree char *text = units_format_rfc3339(at);
    json_object_set_new(object, member, json_string(text));
}
