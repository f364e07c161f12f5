/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/problem.h"

#include "base/error.h"

#include <jansson.h>

void hbr_error_clear(struct hbr_error *error)
{
    if (error == NULL)
        return;
    g_free(error->id);
    g_free(error->message);
    g_free(error->pointer);
    *error = (struct hbr_error)HBR_ERROR_INIT;
}

void hbr_free(void *memory)
{
    g_free(memory);
}

static bool problem_fill(struct hbr_error *error, int code, const char *id, char *message)
{
    hbr_error_clear(error);
    error->id = g_strdup(id);
    error->message = message;
    error->exit_status = hbr_error_exit_status(code);
    return false;
}

bool problem_set(struct hbr_error *error, int code, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list args;
    va_start(args, format);
    char *message = g_strdup_vprintf(format, args);
    va_end(args);
    return problem_fill(error, code, hbr_error_id(code), message);
}

/* The code whose errors have this status; the first that does. */
static int problem_code_of_status(int http_status)
{
    for (int code = HBR_ERROR_INVALID; code < HBR_ERROR_LAST; code++)
        if (hbr_error_http_status(code) == (guint)http_status)
            return code;
    return http_status < 500 ? HBR_ERROR_INVALID : HBR_ERROR_INTERNAL;
}

static const char *problem_text(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

bool problem_from_answer(struct hbr_error *error, int http_status, const char *body, size_t length)
{
    if (error == NULL)
        return false;
    json_auto_t *json = json_loadb(body, length, 0, NULL);
    const char *id = problem_text(json, "code");
    const char *detail = problem_text(json, "detail");
    const int code = id != NULL ? hbr_error_code_of_id(id) : problem_code_of_status(http_status);
    if (detail == NULL)
        detail = problem_text(json, "title");
    problem_fill(error, code, id != NULL ? id : hbr_error_id(code),
                 detail != NULL ? g_strdup(detail)
                                : g_strdup_printf("the daemon answered with HTTP status %d", http_status));
    error->pointer = g_strdup(problem_text(json, "pointer"));
    error->http_status = http_status;
    return false;
}
