/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/output.h"

#include "shell/units.h"

#include <stdarg.h>
#include <string.h>

void output_init(struct output *output, FILE *stream, gboolean is_json, gboolean quiet, gboolean colour, gint64 now)
{
    output->ops = is_json ? &output_json_ops : &output_text_ops;
    output->stream = stream;
    output->is_json = is_json;
    output->quiet = quiet;
    output->colour = colour && !is_json;
    output->now = now;
}

void output_list(struct output *output, const struct view *view, const json_t *document)
{
    output->ops->list(output, view, document);
}

void output_object(struct output *output, const struct view *view, const json_t *object)
{
    output->ops->object(output, view, object);
}

void output_result(struct output *output, const json_t *document, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    output->ops->result(output, document, key, text);
}

void output_report(struct output *output, const json_t *document,
                   void (*render)(struct output *output, const json_t *document))
{
    output->ops->report(output, document, render);
}

void output_print(struct output *output, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(output->stream, format, args);
    va_end(args);
}

const json_t *output_at(const json_t *object, const char *path)
{
    if (strcmp(path, ".") == 0)
        return object;
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    const json_t *value = object;
    for (guint i = 0; names[i] != NULL && value != NULL; i++)
        value = json_object_get(value, names[i]);
    return json_is_null(value) ? NULL : value;
}

const char *output_string_at(const json_t *object, const char *path)
{
    return json_string_value(output_at(object, path));
}

double output_number_at(const json_t *object, const char *path)
{
    return json_number_value(output_at(object, path));
}

gboolean output_time_at(const json_t *object, const char *path, gint64 *ret_at)
{
    return units_parse_rfc3339(output_string_at(object, path), ret_at);
}
