/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/target.h"
#include "core/event.h"

/* The table of what can be asked over HTTP. Any thread. */

struct request;

enum route_flags {
    ROUTE_BYTES = 1 << 0,   /* the body is application/octet-stream rather than JSON */
    ROUTE_WATCHED = 1 << 1, /* the answer may take long: notice when the client goes away meanwhile */
};

/* Runs on the connection's thread once the body is there: answers (request_answer), posts (request_post), or FALSE with an error. */
typedef gboolean (*route_handler)(struct request *request, GError **error);

/* Runs on the connection's thread when the core has answered, before the answer goes out. */
typedef void (*route_finisher)(struct request *request);

struct route {
    const char *method;
    const char *path; /* segments; "*" stands for any one */
    route_handler handler;
    route_finisher finish; /* or NULL */
    enum object_kind object;
    guint flags;
    gsize body_max;            /* 0: takes none */
    const char *parameters[6]; /* query parameters that it knows */
};

/* The route of a target. NULL with HBR_ERROR_NOT_FOUND, or, when only the method is wrong, without an error and with *ret_allow (free with
 * g_free). */
const struct route *route_find(const char *method, const struct target *target, char **ret_allow, GError **error);

/* FALSE with HBR_ERROR_INVALID for a query parameter that the route does not know. */
gboolean route_check_parameters(const struct route *route, const struct target *target, GError **error);
