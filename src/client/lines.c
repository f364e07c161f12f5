/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lines.h"

#include "base/error.h"
#include "client/problem.h"

#include <string.h>

#define LINE_MAX_BYTES ((gsize)64 * 1024 * 1024)

void lines_init(struct lines *lines, lines_take take, gpointer user_data)
{
    *lines = (struct lines){.take = take, .user_data = user_data, .rest = g_string_new(NULL)};
}

void lines_clear(struct lines *lines)
{
    g_string_free(lines->rest, TRUE);
    hbr_error_clear(&lines->problem);
}

static gboolean lines_take_one(struct lines *lines, const char *line, gsize length)
{
    json_auto_t *json = json_loadb(line, length, JSON_ALLOW_NUL, NULL);
    const char *event = json_string_value(json_object_get(json, "event"));
    if (event == NULL) {
        problem_set(&lines->problem, HBR_ERROR_INTERNAL, "the daemon sent a line that is no event");
        return FALSE;
    }
    g_autofree char *text = g_strndup(line, length);
    return lines->take(event, text, json, lines->user_data);
}

gboolean lines_feed(const char *data, gsize length, gpointer user_data)
{
    struct lines *lines = user_data;
    if (lines->rest->len + length > LINE_MAX_BYTES) {
        problem_set(&lines->problem, HBR_ERROR_TOO_LARGE, "the daemon sent a line that is too long");
        return FALSE;
    }
    g_string_append_len(lines->rest, data, (gssize)length);
    gsize start = 0;
    for (const char *end; (end = memchr(lines->rest->str + start, '\n', lines->rest->len - start)) != NULL;) {
        const gsize line_length = (gsize)(end - lines->rest->str) - start;
        if (!lines_take_one(lines, lines->rest->str + start, line_length))
            return FALSE;
        start += line_length + 1;
    }
    g_string_erase(lines->rest, 0, (gssize)start);
    return TRUE;
}

bool lines_take_problem(struct lines *lines, struct hbr_error *error)
{
    if (lines->problem.id == NULL)
        return false;
    if (error != NULL) {
        hbr_error_clear(error);
        *error = lines->problem;
        lines->problem = (struct hbr_error)HBR_ERROR_INIT;
    }
    return true;
}
