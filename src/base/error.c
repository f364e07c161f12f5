/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <stdarg.h>

static const struct {
    const char *id;
    const char *title;
    guint http_status;
    int exit_status;
} error_table[HBR_ERROR_LAST] = {
    [HBR_ERROR_INTERNAL] = {"internal", "Internal error", 500, 1},
    [HBR_ERROR_INVALID] = {"invalid", "The request is not valid", 400, 2},
    [HBR_ERROR_TOO_LARGE] = {"too-large", "The request is over a bound", 413, 3},
    [HBR_ERROR_NOT_FOUND] = {"not-found", "There is no such object", 404, 4},
    [HBR_ERROR_CONFLICT] = {"conflict", "The state of the object forbids it", 409, 5},
    [HBR_ERROR_EXHAUSTED] = {"exhausted", "A limit is reached", 429, 6},
    [HBR_ERROR_UNAVAILABLE] = {"unavailable", "Something needed does not answer", 503, 7},
    [HBR_ERROR_UNSATISFIABLE] = {"unsatisfiable", "No host could ever serve this", 422, 8},
    [HBR_ERROR_TIMEOUT] = {"timeout", "A deadline passed", 504, 9},
    [HBR_ERROR_CANCELLED] = {"cancelled", "It was cancelled", 409, 10},
    [HBR_ERROR_INTERRUPTED] = {"interrupted", "It was interrupted by a fault", 500, 11},
    [HBR_ERROR_UNSUPPORTED] = {"unsupported", "That is not supported here", 501, 12},
    [HBR_ERROR_DENIED] = {"denied", "That is not permitted", 403, 13},
    [HBR_ERROR_STORE] = {"store", "The database failed", 503, 14},
    [HBR_ERROR_HYPERVISOR] = {"hypervisor", "The hypervisor failed", 502, 15},
    [HBR_ERROR_GUEST] = {"guest", "The guest failed", 502, 16},
};

GQuark hbr_error_quark(void)
{
    return g_quark_from_static_string("hbr-error-quark");
}

static int error_known_code(int code)
{
    return code >= 0 && code < HBR_ERROR_LAST ? code : HBR_ERROR_INTERNAL;
}

const char *hbr_error_id(int code)
{
    return error_table[error_known_code(code)].id;
}

const char *hbr_error_title(int code)
{
    return error_table[error_known_code(code)].title;
}

guint hbr_error_http_status(int code)
{
    return error_table[error_known_code(code)].http_status;
}

int hbr_error_exit_status(int code)
{
    return error_table[error_known_code(code)].exit_status;
}

int hbr_error_code_of_id(const char *id)
{
    for (int code = 0; code < HBR_ERROR_LAST; code++)
        if (g_strcmp0(error_table[code].id, id) == 0)
            return code;
    return HBR_ERROR_INTERNAL;
}

static GError *error_new_valist(int code, const char *format, va_list args) G_GNUC_PRINTF(2, 0);

static GError *error_new_valist(int code, const char *format, va_list args)
{
    return g_error_new_valist(HBR_ERROR, code, format, args);
}

void hbr_error_set(GError **error, int code, const char *format, ...)
{
    if (error == NULL)
        return;
    va_list args;
    va_start(args, format);
    g_propagate_error(error, error_new_valist(code, format, args));
    va_end(args);
}

GError *hbr_error_new(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    GError *error = error_new_valist(code, format, args);
    va_end(args);
    return error;
}
