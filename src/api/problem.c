/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/problem.h"

#include "base/error.h"

#include <jansson.h>
#include <string.h>

static int problem_code(const GError *error)
{
    return error->domain == HBR_ERROR ? error->code : HBR_ERROR_INTERNAL;
}

guint problem_status(const GError *error)
{
    return hbr_error_http_status(problem_code(error));
}

/* The JSON pointer that the message begins with, or NULL. Decoders write "/" for the whole document, which is "" in RFC 6901. */
static char *problem_pointer(const char *message)
{
    const char *end = strstr(message, ": ");
    if (message[0] != '/' || end == NULL || memchr(message, ' ', (gsize)(end - message)) != NULL)
        return NULL;
    return end == message + 1 ? g_strdup("") : g_strndup(message, (gsize)(end - message));
}

GBytes *problem_document(const GError *error, guint status)
{
    const int code = problem_code(error);
    g_autofree char *detail = g_utf8_make_valid(error->message, -1);
    g_autofree char *pointer = problem_pointer(detail);
    g_autofree char *type = g_strconcat("urn:harbinger:error:", hbr_error_id(code), NULL);
    json_auto_t *json =
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:s*}", "type", type, "title", hbr_error_title(code), "status",
                  (int)status, "detail", detail, "code", hbr_error_id(code), "pointer", pointer);
    char *text = json_dumps(json, JSON_COMPACT);
    return g_bytes_new_with_free_func(text, strlen(text), free, text);
}
