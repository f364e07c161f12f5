/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/codec.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"

#include <math.h>
#include <string.h>

/* Where decoding stands: the JSON pointer is built only when something is wrong, by walking up. */
struct codec_at {
    const struct codec_at *up;
    const char *member; /* or NULL, and `index` counts */
    gsize index;
    enum codec_side side;
};

/* Member names of a client's are of any length; the start of one is enough to find it. */
#define CODEC_SHOWN_MAX 128

static void codec_at_append(const struct codec_at *at, GString *pointer)
{
    if (at == NULL)
        return;
    codec_at_append(at->up, pointer);
    if (at->up == NULL) {
        g_string_append(pointer, at->member);
    } else if (at->member != NULL) {
        g_string_append_c(pointer, '/');
        const char *end = at->member + strnlen(at->member, CODEC_SHOWN_MAX);
        while ((*end & 0xc0) == 0x80) /* inside a character of UTF-8 */
            end--;
        for (const char *c = at->member; c < end; c++) { /* RFC 6901 section 3 */
            if (*c == '~')
                g_string_append(pointer, "~0");
            else if (*c == '/')
                g_string_append(pointer, "~1");
            else
                g_string_append_c(pointer, *c);
        }
    } else {
        g_string_append_printf(pointer, "/%" G_GSIZE_FORMAT, at->index);
    }
}

static gboolean codec_fail(const struct codec_at *at, int code, GError **error, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Always FALSE, so that decoders can return it. */
static gboolean codec_fail(const struct codec_at *at, int code, GError **error, const char *format, ...)
{
    g_autoptr(GString) pointer = g_string_new(NULL);
    codec_at_append(at, pointer);
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    hbr_error_set(error, code, "%s: %s", pointer->len > 0 ? pointer->str : "/", message);
    return FALSE;
}

static const char *codec_type_name(const json_t *json)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return names[json_typeof(json)];
}

/* A value of three characters takes a hundred times as much in memory, so values are counted, and depths, before any is built. The
 * count is that of well-formed text; in other text it may be anything, and the parser refuses it. */
static gboolean codec_check_weight(const char *text, gsize length, GError **error)
{
    gsize values = 1, depth = 0, deepest = 0;
    gboolean in_string = FALSE;
    for (gsize i = 0; i < length; i++) {
        const char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        if (in_string)
            continue;
        values += c == ',' || c == '[' || c == '{';
        depth += c == '[' || c == '{';
        depth -= depth > 0 && (c == ']' || c == '}');
        deepest = MAX(deepest, depth);
    }
    if (deepest <= CODEC_DEPTH_MAX && values <= CODEC_VALUES_MAX)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_TOO_LARGE,
                  "/: the document has %" G_GSIZE_FORMAT " values in %" G_GSIZE_FORMAT
                  " levels, at most %d in %d are accepted",
                  values, deepest, CODEC_VALUES_MAX, CODEC_DEPTH_MAX);
    return FALSE;
}

json_t *codec_parse(const char *text, gsize length, gsize max, GError **error)
{
    if (length > max) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE,
                      "/: the document has %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT " are accepted", length,
                      max);
        return NULL;
    }
    if (!codec_check_weight(text, length, error))
        return NULL;
    json_error_t problem;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (json == NULL) {
        /* jansson cuts what it shows, perhaps inside a character */
        g_autofree char *valid = g_utf8_make_valid(problem.text, -1);
        hbr_error_set(error, HBR_ERROR_INVALID, "/: not valid JSON at line %d, column %d: %s", problem.line,
                      problem.column, valid);
    }
    return json;
}

static gboolean codec_expect(const struct codec_at *at, const json_t *json, gboolean is_right, const char *wanted,
                             GError **error)
{
    if (is_right)
        return TRUE;
    return codec_fail(at, HBR_ERROR_INVALID, error, "is %s, right would be %s", codec_type_name(json), wanted);
}

static gboolean codec_decode_string(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                    char **ret_string, GError **error)
{
    if (!codec_expect(at, json, json_is_string(json), "a string", error))
        return FALSE;
    const char *text = json_string_value(json);
    const gsize length = json_string_length(json);
    if (length > (gsize)field->max)
        return codec_fail(at, HBR_ERROR_TOO_LARGE, error,
                          "has %" G_GSIZE_FORMAT " bytes, at most %" G_GINT64_FORMAT " are accepted", length,
                          field->max);
    if (strlen(text) != length)
        return codec_fail(at, HBR_ERROR_INVALID, error, "contains a NUL character; right would be text without it");
    if (field->kind == CODEC_NAME && !id_is_valid_name(text, (gsize)field->max))
        return codec_fail(
            at, HBR_ERROR_INVALID, error,
            "is not a name; right would be letters, digits and ._:/@+- with a letter or digit first, without \"..\"");
    *ret_string = (field->flags & CODEC_LOWER) != 0 ? g_ascii_strdown(text, -1) : g_strdup(text);
    return TRUE;
}

static gboolean codec_decode_integer(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                     gint64 *ret_value, GError **error)
{
    if (!codec_expect(at, json, json_is_integer(json), "an integer", error))
        return FALSE;
    const gint64 value = json_integer_value(json);
    if (value < field->min || value > field->max)
        return codec_fail(at, HBR_ERROR_INVALID, error,
                          "is %" G_GINT64_FORMAT ", right would be %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, value,
                          field->min, field->max);
    *ret_value = value;
    return TRUE;
}

static gboolean codec_decode_uint(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                  gpointer slot, GError **error)
{
    gint64 value;
    if (!codec_decode_integer(at, field, json, &value, error))
        return FALSE;
    *(guint *)slot = (guint)value;
    return TRUE;
}

static gboolean codec_decode_double(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                    double *ret_value, GError **error)
{
    if (!codec_expect(at, json, json_is_number(json), "a number", error))
        return FALSE;
    const double value = json_number_value(json);
    if (!isfinite(value) || value < (double)field->min || value > (double)field->max)
        return codec_fail(at, HBR_ERROR_INVALID, error,
                          "is %g, right would be %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, value, field->min,
                          field->max);
    *ret_value = value;
    return TRUE;
}

static gboolean codec_decode_bool(const struct codec_at *at, const json_t *json, gboolean *ret_value, GError **error)
{
    if (!codec_expect(at, json, json_is_boolean(json), "true or false", error))
        return FALSE;
    *ret_value = json_is_true(json);
    return TRUE;
}

static gboolean codec_decode_time(const struct codec_at *at, const json_t *json, gint64 *ret_at, GError **error)
{
    if (!codec_expect(at, json, json_is_string(json), "a time in RFC 3339 form", error))
        return FALSE;
    if (json_string_length(json) > CODEC_SHOWN_MAX)
        return codec_fail(at, HBR_ERROR_INVALID, error,
                          "is not a time; right would be RFC 3339 with a zone, such as 2026-11-20T22:48:01Z");
    g_autoptr(GError) problem = NULL;
    if (clock_from_rfc3339(json_string_value(json), ret_at, &problem))
        return TRUE;
    return codec_fail(at, HBR_ERROR_INVALID, error, "%s", problem->message);
}

static gboolean codec_decode_enum(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                  guint *ret_value, GError **error)
{
    if (!codec_expect(at, json, json_is_string(json), "a string", error))
        return FALSE;
    const int value = codec_value(field->words, json_string_value(json));
    if (value < 0) {
        g_autoptr(GString) choices = g_string_new(NULL);
        for (guint i = 0; i < field->words->count; i++)
            g_string_append_printf(choices, "%s%s", i > 0 ? ", " : "", field->words->words[i]);
        return codec_fail(at, HBR_ERROR_INVALID, error, "is not one of: %s", choices->str);
    }
    *ret_value = (guint)value;
    return TRUE;
}

static gboolean codec_check_count(const struct codec_at *at, const struct codec_field *field, gsize count,
                                  GError **error)
{
    if (count <= (gsize)field->max)
        return TRUE;
    return codec_fail(at, HBR_ERROR_TOO_LARGE, error,
                      "has %" G_GSIZE_FORMAT " items, at most %" G_GINT64_FORMAT " are accepted", count, field->max);
}

static const struct codec_field codec_strv_item = {.kind = CODEC_STRING, .max = CODEC_STRV_ITEM_MAX};

static gboolean codec_decode_strv(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                  char ***ret_strings, GError **error)
{
    if (!codec_expect(at, json, json_is_array(json), "an array of strings", error) ||
        !codec_check_count(at, field, json_array_size(json), error))
        return FALSE;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (gsize i = 0; i < json_array_size(json); i++) {
        const struct codec_at item_at = {.up = at, .index = i, .side = at->side};
        g_autofree char *item = NULL;
        if (!codec_decode_string(&item_at, &codec_strv_item, json_array_get(json, i), &item, error))
            return FALSE;
        g_strv_builder_add(builder, item);
    }
    *ret_strings = g_strv_builder_end(builder);
    return TRUE;
}

static gboolean codec_is_env_name(const char *name)
{
    if (!g_ascii_isalpha(name[0]) && name[0] != '_')
        return FALSE;
    for (const char *c = name; *c != '\0'; c++)
        if (!g_ascii_isalnum(*c) && *c != '_')
            return FALSE;
    return TRUE;
}

static gboolean codec_decode_env(const struct codec_at *at, const struct codec_field *field, json_t *json,
                                 char ***ret_env, GError **error)
{
    if (!codec_expect(at, json, json_is_object(json), "an object of strings", error) ||
        !codec_check_count(at, field, json_object_size(json), error))
        return FALSE;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *name;
    json_t *value;
    json_object_foreach (json, name, value) {
        const struct codec_at item_at = {.up = at, .member = name, .side = at->side};
        g_autofree char *text = NULL;
        if (!codec_is_env_name(name))
            return codec_fail(&item_at, HBR_ERROR_INVALID, error,
                              "is not the name of an environment variable; right would be [A-Za-z_][A-Za-z0-9_]*");
        if (!codec_decode_string(&item_at, &codec_strv_item, value, &text, error))
            return FALSE;
        g_autofree char *pair = g_strconcat(name, "=", text, NULL);
        g_strv_builder_add(builder, pair);
    }
    *ret_env = g_strv_builder_end(builder);
    return TRUE;
}

static gboolean codec_is_base64(const char *text, gsize length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const gsize digits = strspn(text, alphabet);
    const gsize padding = strspn(text + digits, "=");
    return length % 4 == 0 && digits + padding == length && padding <= 2;
}

static gboolean codec_decode_bytes(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                   GBytes **ret_bytes, GError **error)
{
    if (!codec_expect(at, json, json_is_string(json), "a base64 string", error))
        return FALSE;
    const char *text = json_string_value(json);
    const gsize length = json_string_length(json);
    if (length / 4 * 3 > (gsize)field->max + 2)
        return codec_fail(at, HBR_ERROR_TOO_LARGE, error,
                          "has about %" G_GSIZE_FORMAT " bytes, at most %" G_GINT64_FORMAT " are accepted",
                          length / 4 * 3, field->max);
    if (!codec_is_base64(text, length))
        return codec_fail(at, HBR_ERROR_INVALID, error, "is not base64 (RFC 4648 section 4, padded)");
    gsize decoded_length;
    guchar *decoded = g_base64_decode(text, &decoded_length);
    if (decoded_length > (gsize)field->max) {
        g_free(decoded);
        return codec_fail(at, HBR_ERROR_TOO_LARGE, error,
                          "has %" G_GSIZE_FORMAT " bytes, at most %" G_GINT64_FORMAT " are accepted", decoded_length,
                          field->max);
    }
    *ret_bytes = g_bytes_new_take(decoded, decoded_length);
    return TRUE;
}

static gboolean codec_decode_into(const struct codec *codec, const struct codec_at *at, json_t *json, gpointer object,
                                  GError **error);

static gboolean codec_decode_object(const struct codec_at *at, const struct codec *codec, json_t *json,
                                    gpointer *ret_object, GError **error)
{
    gpointer object = g_malloc0(codec->size);
    if (!codec_decode_into(codec, at, json, object, error)) {
        codec_free(codec, object);
        return FALSE;
    }
    *ret_object = object;
    return TRUE;
}

static void codec_list_free(const struct codec *codec, GPtrArray *list)
{
    if (list == NULL)
        return;
    for (guint i = 0; i < list->len; i++)
        codec_free(codec, list->pdata[i]);
    g_ptr_array_unref(list);
}

static gboolean codec_decode_list(const struct codec_at *at, const struct codec_field *field, const json_t *json,
                                  GPtrArray **ret_list, GError **error)
{
    if (!codec_expect(at, json, json_is_array(json), "an array", error) ||
        !codec_check_count(at, field, json_array_size(json), error))
        return FALSE;
    GPtrArray *list = g_ptr_array_new();
    for (gsize i = 0; i < json_array_size(json); i++) {
        const struct codec_at item_at = {.up = at, .index = i, .side = at->side};
        gpointer item;
        if (!codec_decode_object(&item_at, field->nested, json_array_get(json, i), &item, error)) {
            codec_list_free(field->nested, list);
            return FALSE;
        }
        g_ptr_array_add(list, item);
    }
    *ret_list = list;
    return TRUE;
}

static gboolean codec_decode_field(const struct codec_at *at, const struct codec_field *field, json_t *json,
                                   gpointer slot, GError **error)
{
    switch (field->kind) {
    case CODEC_STRING:
    case CODEC_NAME:
        return codec_decode_string(at, field, json, slot, error);
    case CODEC_UINT:
        return codec_decode_uint(at, field, json, slot, error);
    case CODEC_INT64:
        return codec_decode_integer(at, field, json, slot, error);
    case CODEC_DOUBLE:
        return codec_decode_double(at, field, json, slot, error);
    case CODEC_BOOL:
        return codec_decode_bool(at, json, slot, error);
    case CODEC_TIME:
        return codec_decode_time(at, json, slot, error);
    case CODEC_ENUM:
        return codec_decode_enum(at, field, json, slot, error);
    case CODEC_STRV:
        return codec_decode_strv(at, field, json, slot, error);
    case CODEC_ENV:
        return codec_decode_env(at, field, json, slot, error);
    case CODEC_BYTES:
        return codec_decode_bytes(at, field, json, slot, error);
    case CODEC_STRUCT:
        return codec_decode_into(field->nested, at, json, slot, error);
    case CODEC_OBJECT:
        return codec_decode_object(at, field->nested, json, slot, error);
    case CODEC_LIST:
        return codec_decode_list(at, field, json, slot, error);
    }
    return codec_fail(at, HBR_ERROR_INTERNAL, error, "has a kind that no decoder knows");
}

static const struct codec_field *codec_find_field(const struct codec *codec, const char *name)
{
    for (guint i = 0; i < codec->field_count; i++)
        if (strcmp(codec->fields[i].name, name) == 0)
            return &codec->fields[i];
    return NULL;
}

static gboolean codec_decode_member(const struct codec *codec, const struct codec_at *at, const char *name,
                                    json_t *value, gpointer object, GError **error)
{
    const struct codec_field *field = codec_find_field(codec, name);
    const gboolean is_client = at->side == CODEC_CLIENT;
    if (field == NULL || (is_client && (field->flags & CODEC_PRIVATE) != 0))
        return is_client ? codec_fail(at, HBR_ERROR_INVALID, error, "is not a member of %s", codec->what) : TRUE;
    if (is_client && (field->flags & CODEC_OURS) != 0)
        return codec_fail(at, HBR_ERROR_INVALID, error, "is set by Harbinger; right would be to leave it out");
    if (json_is_null(value))
        return (field->flags & CODEC_REQUIRED) != 0
                   ? codec_fail(at, HBR_ERROR_INVALID, error, "is null, a value is required")
                   : TRUE;
    return codec_decode_field(at, field, value, (char *)object + field->offset, error);
}

static gboolean codec_decode_into(const struct codec *codec, const struct codec_at *at, json_t *json, gpointer object,
                                  GError **error)
{
    if (!codec_expect(at, json, json_is_object(json), "an object", error))
        return FALSE;
    const char *name;
    json_t *value;
    json_object_foreach (json, name, value) {
        const struct codec_at member_at = {.up = at, .member = name, .side = at->side};
        if (!codec_decode_member(codec, &member_at, name, value, object, error))
            return FALSE;
    }
    for (guint i = 0; i < codec->field_count; i++) {
        const struct codec_field *field = &codec->fields[i];
        const struct codec_at member_at = {.up = at, .member = field->name, .side = at->side};
        if ((field->flags & CODEC_REQUIRED) != 0 && json_object_get(json, field->name) == NULL)
            return codec_fail(&member_at, HBR_ERROR_INVALID, error, "is missing, %s requires it", codec->what);
    }
    return TRUE;
}

gpointer codec_decode(const struct codec *codec, const json_t *json, const char *pointer, enum codec_side side,
                      GError **error)
{
    const struct codec_at at = {.member = pointer, .side = side};
    gpointer object = NULL;
    /* jansson's iterators want a mutable object although they change nothing */
    return codec_decode_object(&at, codec, (json_t *)json, &object, error) ? object : NULL;
}

gpointer codec_decode_text(const struct codec *codec, const char *text, gsize length, gsize max, enum codec_side side,
                           GError **error)
{
    json_t *json = codec_parse(text, length, max, error);
    if (json == NULL)
        return NULL;
    gpointer object = codec_decode(codec, json, "", side, error);
    json_decref(json);
    return object;
}

static void codec_copy_into(const struct codec *codec, gconstpointer from, gpointer to);

static GPtrArray *codec_copy_list(const struct codec *codec, const GPtrArray *list)
{
    if (list == NULL)
        return NULL;
    GPtrArray *copy = g_ptr_array_new();
    for (guint i = 0; i < list->len; i++)
        g_ptr_array_add(copy, codec_copy(codec, list->pdata[i]));
    return copy;
}

static void codec_copy_field(const struct codec_field *field, gconstpointer from, gpointer to)
{
    switch (field->kind) {
    case CODEC_STRING:
    case CODEC_NAME:
        *(char **)to = g_strdup(*(char *const *)from);
        break;
    case CODEC_STRV:
    case CODEC_ENV:
        *(char ***)to = g_strdupv(*(char **const *)from);
        break;
    case CODEC_BYTES:
        *(GBytes **)to = *(GBytes *const *)from != NULL ? g_bytes_ref(*(GBytes *const *)from) : NULL;
        break;
    case CODEC_STRUCT:
        codec_copy_into(field->nested, from, to);
        break;
    case CODEC_OBJECT:
        *(gpointer *)to = codec_copy(field->nested, *(gconstpointer const *)from);
        break;
    case CODEC_LIST:
        *(GPtrArray **)to = codec_copy_list(field->nested, *(GPtrArray *const *)from);
        break;
    default:
        break; /* plain values came with the struct */
    }
}

static void codec_copy_into(const struct codec *codec, gconstpointer from, gpointer to)
{
    for (guint i = 0; i < codec->field_count; i++)
        codec_copy_field(&codec->fields[i], (const char *)from + codec->fields[i].offset,
                         (char *)to + codec->fields[i].offset);
}

static gsize codec_plain_size(const struct codec_field *field)
{
    switch (field->kind) {
    case CODEC_UINT:
    case CODEC_BOOL:
    case CODEC_ENUM:
        return sizeof(guint);
    case CODEC_INT64:
    case CODEC_TIME:
        return sizeof(gint64);
    case CODEC_DOUBLE:
        return sizeof(double);
    default:
        return 0;
    }
}

static void codec_fill_field(const struct codec_field *field, gpointer to, gconstpointer from)
{
    static const char zeros[sizeof(gint64)];
    const gsize size = codec_plain_size(field);
    if (field->kind == CODEC_STRUCT)
        codec_fill_absent(field->nested, to, from);
    else if (size > 0 && memcmp(to, zeros, size) == 0)
        memcpy(to, from, size);
    else if (size == 0 && *(gpointer *)to == NULL)
        codec_copy_field(field, from, to);
}

void codec_fill_absent(const struct codec *codec, gpointer to, gconstpointer from)
{
    for (guint i = 0; i < codec->field_count; i++)
        codec_fill_field(&codec->fields[i], (char *)to + codec->fields[i].offset,
                         (const char *)from + codec->fields[i].offset);
}

static struct codec_seal **codec_seal_of(const struct codec *codec, gconstpointer object)
{
    return (gpointer)((char *)object + codec->seal_offset);
}

void codec_seal(const struct codec *codec, gpointer object)
{
    g_autofree char *text = codec_encode_text(codec, object, CODEC_STORE);
    const gsize length = strlen(text);
    struct codec_seal *seal = g_malloc(sizeof *seal + length + 1);
    seal->holders = 1;
    seal->length = length;
    memcpy(seal->json, text, length + 1);
    *codec_seal_of(codec, object) = seal;
}

const struct codec_seal *codec_get_seal(const struct codec *codec, gconstpointer object)
{
    return codec->seal_offset != 0 ? *codec_seal_of(codec, object) : NULL;
}

gpointer codec_copy(const struct codec *codec, gconstpointer object)
{
    if (object == NULL)
        return NULL;
    if (codec_get_seal(codec, object) != NULL) {
        g_atomic_int_inc(&(*codec_seal_of(codec, object))->holders);
        return (gpointer)object;
    }
    return codec_copy_open(codec, object);
}

gpointer codec_copy_open(const struct codec *codec, gconstpointer object)
{
    gpointer copy = g_memdup2(object, codec->size);
    codec_copy_into(codec, object, copy);
    if (codec->seal_offset != 0)
        *codec_seal_of(codec, copy) = NULL;
    return copy;
}

static void codec_clear_field(const struct codec_field *field, gpointer slot)
{
    switch (field->kind) {
    case CODEC_STRING:
    case CODEC_NAME:
        g_clear_pointer((char **)slot, g_free);
        break;
    case CODEC_STRV:
    case CODEC_ENV:
        g_clear_pointer((char ***)slot, g_strfreev);
        break;
    case CODEC_BYTES:
        g_clear_pointer((GBytes **)slot, g_bytes_unref);
        break;
    case CODEC_STRUCT:
        codec_clear(field->nested, slot);
        break;
    case CODEC_OBJECT:
        codec_free(field->nested, *(gpointer *)slot);
        *(gpointer *)slot = NULL;
        break;
    case CODEC_LIST:
        codec_list_free(field->nested, *(GPtrArray **)slot);
        *(GPtrArray **)slot = NULL;
        break;
    default:
        break;
    }
}

void codec_clear(const struct codec *codec, gpointer object)
{
    for (guint i = 0; i < codec->field_count; i++)
        codec_clear_field(&codec->fields[i], (char *)object + codec->fields[i].offset);
}

void codec_free(const struct codec *codec, gpointer object)
{
    if (object == NULL)
        return;
    if (codec_get_seal(codec, object) != NULL) {
        if (!g_atomic_int_dec_and_test(&(*codec_seal_of(codec, object))->holders))
            return;
        g_free(*codec_seal_of(codec, object));
    }
    codec_clear(codec, object);
    g_free(object);
}

const char *codec_word(const struct codec_words *words, guint value)
{
    return value < words->count ? words->words[value] : "?";
}

int codec_value(const struct codec_words *words, const char *word)
{
    for (guint i = 0; i < words->count; i++)
        if (g_strcmp0(words->words[i], word) == 0)
            return (int)i;
    return -1;
}
