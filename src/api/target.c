/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/target.h"

#include "base/error.h"

#include <string.h>

static gboolean target_is_text(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (g_ascii_iscntrl(*c))
            return FALSE;
    return g_utf8_validate(text, -1, NULL);
}

/* Percent-decodes in place; FALSE for a bad escape, an encoded NUL or what is not text. */
static gboolean target_decode(char *text, gboolean plus_is_space)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        if (*in == '%') {
            if (!g_ascii_isxdigit(in[1]) || !g_ascii_isxdigit(in[2]))
                return FALSE;
            *out = (char)(g_ascii_xdigit_value(in[1]) << 4 | g_ascii_xdigit_value(in[2]));
            in += 2;
            if (*out++ == '\0')
                return FALSE;
        } else {
            *out++ = plus_is_space && *in == '+' ? ' ' : *in;
        }
    }
    *out = '\0';
    return target_is_text(text);
}

/* Ends the part that starts at `text` at the first `separator` and returns what follows it, NULL at the end. */
static char *target_cut(char *text, char separator)
{
    char *end = strchr(text, separator);
    if (end == NULL)
        return NULL;
    *end = '\0';
    return end + 1;
}

static gboolean target_parse_path(struct target *target, char *path, GError **error)
{
    for (char *segment = path, *next; segment != NULL; segment = next) {
        next = target_cut(segment, '/');
        if (target->segment_count == TARGET_SEGMENTS_MAX) {
            hbr_error_set(error, HBR_ERROR_INVALID, "the path has more than %d segments", TARGET_SEGMENTS_MAX);
            return FALSE;
        }
        if (!target_decode(segment, FALSE)) {
            hbr_error_set(error, HBR_ERROR_INVALID, "the path is not percent-encoded UTF-8 (RFC 3986)");
            return FALSE;
        }
        target->segments[target->segment_count++] = segment;
    }
    return TRUE;
}

static gboolean target_add_parameter(struct target *target, char *text, GError **error)
{
    char *value = target_cut(text, '=');
    if (!target_decode(text, TRUE) || (value != NULL && !target_decode(value, TRUE))) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the query is not percent-encoded UTF-8 (RFC 3986)");
        return FALSE;
    }
    if (target_get(target, text) != NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the query parameter \"%s\" is given twice", text);
        return FALSE;
    }
    if (target->parameter_count == TARGET_PARAMETERS_MAX) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the query has more than %d parameters", TARGET_PARAMETERS_MAX);
        return FALSE;
    }
    target->parameters[target->parameter_count++] =
        (struct target_parameter){.name = text, .value = value != NULL ? value : ""};
    return TRUE;
}

static gboolean target_parse_query(struct target *target, char *query, GError **error)
{
    for (char *text = query, *next; text != NULL; text = next) {
        next = target_cut(text, '&');
        if (*text != '\0' && !target_add_parameter(target, text, error))
            return FALSE;
    }
    return TRUE;
}

gboolean target_parse(struct target *target, char *uri, GError **error)
{
    memset(target, 0, sizeof *target);
    if (uri[0] != '/') {
        hbr_error_set(error, HBR_ERROR_INVALID, "the request target does not start with \"/\"");
        return FALSE;
    }
    char *query = target_cut(uri, '?');
    return target_parse_path(target, uri + 1, error) && target_parse_query(target, query, error);
}

const char *target_get(const struct target *target, const char *name)
{
    for (guint i = 0; i < target->parameter_count; i++)
        if (strcmp(target->parameters[i].name, name) == 0)
            return target->parameters[i].value;
    return NULL;
}
