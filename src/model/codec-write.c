/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/codec.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

/* Encoding writes text at once: the daemon encodes each object that changes, and a tree of JSON values would cost more than all else that
 * is done for a notification. */

/* Makes the string longer by `length` bytes, which the caller fills. */
static inline char *codec_extend(GString *out, gsize length)
{
    const gsize at = out->len;
    if (at + length >= out->allocated_len)
        g_string_set_size(out, at + length);
    out->len = at + length;
    out->str[out->len] = '\0';
    return out->str + at;
}

/* g_string_append_len() without its care for what lies within the string itself. */
static inline void codec_append(GString *out, const char *text, gsize length)
{
    memcpy(codec_extend(out, length), text, length);
}

static inline void codec_append_quoted(GString *out, const char *text, gsize length)
{
    char *at = codec_extend(out, length + 2);
    at[0] = '"';
    memcpy(at + 1, text, length);
    at[length + 1] = '"';
}

/* How much of it, from its begin on, is ASCII that JSON takes as it is. */
static inline gsize codec_plain_length(const char *text)
{
    const char *at = text;
    while (*at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
        at++;
    return (gsize)(at - text);
}

static void codec_write_escaped(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const char *run = text;; text++) {
        const guchar c = (guchar)*text;
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        codec_append(out, run, (gsize)(text - run));
        if (c == '\0')
            break;
        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", c);
        else
            g_string_append_printf(out, "\\u%04x", c);
        run = text + 1;
    }
    g_string_append_c(out, '"');
}

/* Nearly all strings are names. */
void codec_write_string(GString *out, const char *text)
{
    const gsize plain = codec_plain_length(text);
    if (text[plain] == '\0') {
        codec_append_quoted(out, text, plain);
        return;
    }
    if (g_utf8_validate(text, -1, NULL)) {
        codec_write_escaped(out, text);
        return;
    }
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    codec_write_escaped(out, valid);
}

static void codec_write_integer(GString *out, gint64 value)
{
    char text[24], *at = text + sizeof text;
    guint64 rest = value < 0 ? -(guint64)value : (guint64)value;
    do
        *--at = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        *--at = '-';
    codec_append(out, at, (gsize)(text + sizeof text - at));
}

#define CODEC_EXACT_INTEGER 1e15
#define CODEC_THOUSANDTHS 1e5 /* below, a number and its thousandths have no more than nine digits */

/* Amounts are mostly whole, or have a decimal or two: those need none of printf's care for the rest. */
static gboolean codec_write_short_double(GString *out, double value)
{
    const gint64 thousandths = llround(value * 1000);
    if (fabs(value) >= CODEC_THOUSANDTHS || value < 0 || fabs((double)thousandths / 1000 - value) > 0)
        return FALSE;
    char decimals[] = {'.', (char)('0' + thousandths / 100 % 10), (char)('0' + thousandths / 10 % 10),
                       (char)('0' + thousandths % 10)};
    gsize length = sizeof decimals;
    while (length > 2 && decimals[length - 1] == '0')
        length--;
    codec_write_integer(out, thousandths / 1000);
    codec_append(out, decimals, length);
    return TRUE;
}

static void codec_write_double(GString *out, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    if (fabs(value) < CODEC_EXACT_INTEGER && fabs(value - trunc(value)) <= 0) {
        codec_write_integer(out, (gint64)value);
        codec_append(out, ".0", 2);
    } else if (!codec_write_short_double(out, value)) {
        g_string_append(out, g_ascii_formatd(text, sizeof text, "%.9g", value));
    }
}

static void codec_write_strv(GString *out, char **strings)
{
    g_string_append_c(out, '[');
    for (char **at = strings; *at != NULL; at++) {
        if (at != strings)
            g_string_append_c(out, ',');
        codec_write_string(out, *at);
    }
    g_string_append_c(out, ']');
}

static void codec_write_env(GString *out, char **env)
{
    g_string_append_c(out, '{');
    for (char **at = env; *at != NULL; at++) {
        g_auto(GStrv) pair = g_strsplit(*at, "=", 2);
        if (at != env)
            g_string_append_c(out, ',');
        codec_write_string(out, pair[0]);
        g_string_append_c(out, ':');
        codec_write_string(out, pair[1] != NULL ? pair[1] : "");
    }
    g_string_append_c(out, '}');
}

static void codec_write_bytes(GString *out, GBytes *bytes)
{
    gsize length;
    gconstpointer data = g_bytes_get_data(bytes, &length);
    g_autofree char *text = g_base64_encode(data, length);
    g_string_append_printf(out, "\"%s\"", text);
}

static void codec_write_list(GString *out, const struct codec *codec, const GPtrArray *list, enum codec_side side)
{
    g_string_append_c(out, '[');
    for (guint i = 0; i < list->len; i++) {
        if (i > 0)
            g_string_append_c(out, ',');
        codec_write(out, codec, list->pdata[i], side);
    }
    g_string_append_c(out, ']');
}

static void codec_write_time(GString *out, gint64 at)
{
    char text[CLOCK_TEXT_SIZE] = ""; /* stays so for what is no time */
    clock_format_rfc3339(at, text);
    codec_append_quoted(out, text, strlen(text));
}

static void codec_write_value(GString *out, const struct codec_field *field, gconstpointer slot, enum codec_side side)
{
    switch (field->kind) {
    case CODEC_STRING:
    case CODEC_NAME:
        codec_write_string(out, *(char *const *)slot);
        break;
    case CODEC_UINT:
        codec_write_integer(out, *(const guint *)slot);
        break;
    case CODEC_INT64:
        codec_write_integer(out, *(const gint64 *)slot);
        break;
    case CODEC_DOUBLE:
        codec_write_double(out, *(const double *)slot);
        break;
    case CODEC_BOOL:
        g_string_append(out, *(const gboolean *)slot ? "true" : "false");
        break;
    case CODEC_TIME:
        codec_write_time(out, *(const gint64 *)slot);
        break;
    case CODEC_ENUM:
        codec_write_string(out, codec_word(field->words, *(const guint *)slot));
        break;
    case CODEC_STRV:
        codec_write_strv(out, *(char **const *)slot);
        break;
    case CODEC_ENV:
        codec_write_env(out, *(char **const *)slot);
        break;
    case CODEC_BYTES:
        codec_write_bytes(out, *(GBytes *const *)slot);
        break;
    case CODEC_STRUCT:
        codec_write(out, field->nested, slot, side);
        break;
    case CODEC_OBJECT:
        codec_write(out, field->nested, *(gconstpointer const *)slot, side);
        break;
    case CODEC_LIST:
        codec_write_list(out, field->nested, *(GPtrArray *const *)slot, side);
        break;
    }
}

#define TIME_END (G_GINT64_CONSTANT(253402300800) * CLOCK_SECOND) /* the year 10000, which RFC 3339 cannot write */

/* Pointers and times have no value that stands for nothing; plain values are left out only where the table says so. */
static gboolean codec_is_absent(const struct codec_field *field, gconstpointer slot)
{
    const gboolean is_sparse = (field->flags & CODEC_SPARSE) != 0;
    switch (field->kind) {
    case CODEC_UINT:
    case CODEC_ENUM:
    case CODEC_BOOL:
        return is_sparse && *(const guint *)slot == 0;
    case CODEC_INT64:
        return is_sparse && *(const gint64 *)slot == 0;
    case CODEC_DOUBLE: /* JSON has no infinity */
        return !isfinite(*(const double *)slot) || (is_sparse && fpclassify(*(const double *)slot) == FP_ZERO);
    case CODEC_STRUCT:
        return FALSE;
    case CODEC_TIME:
        return *(const gint64 *)slot <= 0 || *(const gint64 *)slot >= TIME_END;
    default:
        return *(gconstpointer const *)slot == NULL;
    }
}

/* {"name": or ,"name": */
static void codec_write_name(GString *out, char separator, const char *name)
{
    const gsize length = strlen(name);
    char *at = codec_extend(out, length + 4);
    at[0] = separator;
    at[1] = '"';
    memcpy(at + 2, name, length);
    at[length + 2] = '"';
    at[length + 3] = ':';
}

void codec_write(GString *out, const struct codec *codec, gconstpointer object, enum codec_side side)
{
    const struct codec_seal *seal = codec_get_seal(codec, object);
    if (seal != NULL) {
        codec_append(out, seal->json, seal->length);
        return;
    }
    char separator = '{';
    for (guint i = 0; i < codec->field_count; i++) {
        const struct codec_field *field = &codec->fields[i];
        const char *slot = (const char *)object + field->offset;
        if ((side == CODEC_CLIENT && (field->flags & CODEC_PRIVATE) != 0) || codec_is_absent(field, slot))
            continue;
        codec_write_name(out, separator, field->name);
        codec_write_value(out, field, slot, side);
        separator = ',';
    }
    if (separator == '{')
        g_string_append_c(out, '{');
    g_string_append_c(out, '}');
}

char *codec_encode_text(const struct codec *codec, gconstpointer object, enum codec_side side)
{
    GString *out = g_string_sized_new(2048);
    codec_write(out, codec, object, side);
    return g_string_free(out, FALSE);
}

json_t *codec_encode(const struct codec *codec, gconstpointer object, enum codec_side side)
{
    g_autofree char *text = codec_encode_text(codec, object, side);
    return json_loads(text, 0, NULL);
}
