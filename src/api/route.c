/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/route.h"

#include "api/handlers.h"
#include "base/error.h"
#include "model/limits.h"

#include <string.h>

#define STDIN_MAX (1024 * 1024)
#define HOST_MAX (64 * 1024)
#define POOL_BODY_MAX 4096
#define SHAPE_BODY_MAX 4096
#define POLICY_MAX (4 * 1024 * 1024)

/* clang-format off */
static const struct route route_table[] = {
    { "POST", "v1/notifications", handle_notify, NULL, OBJECT_RESERVATION, 0, MODEL_NOTIFICATION_MAX, { NULL } },
    { "POST", "v1/executions", handle_execute, NULL, OBJECT_EXECUTION, ROUTE_WATCHED, MODEL_DOCUMENT_MAX, { NULL } },
    { "POST", "v1/executions/*/stdin", handle_stdin, finish_stdin, OBJECT_EXECUTION, ROUTE_BYTES | ROUTE_WATCHED, STDIN_MAX, { "eof" } },
    { "POST", "v1/explanations", handle_explain, NULL, OBJECT_RESERVATION, 0, MODEL_NOTIFICATION_MAX, { NULL } },
    { "POST", "v1/hosts", handle_host_attach, NULL, OBJECT_HOST, 0, HOST_MAX, { NULL } },
    { "POST", "v1/policies", handle_policy_load, NULL, OBJECT_POLICY, 0, POLICY_MAX, { "check" } },

    { "POST", "v1/pools/*/set", handle_pool_set, NULL, OBJECT_POOL, 0, POOL_BODY_MAX, { NULL } },
    { "POST", "v1/pools/*/drain", handle_pool_drain, NULL, OBJECT_POOL, 0, POOL_BODY_MAX, { NULL } },

    { "POST", "v1/instances/*/shape", handle_instance_shape, NULL, OBJECT_INSTANCE, 0, SHAPE_BODY_MAX, { NULL } },

    { "GET", "v1/reservations", handle_list, finish_list, OBJECT_RESERVATION, 0, 0, { "function", "tenant", "state", "limit", "all" } },
    { "GET", "v1/executions", handle_list, finish_list, OBJECT_EXECUTION, 0, 0, { "function", "tenant", "state", "limit", "all" } },
    { "GET", "v1/instances", handle_list, finish_list, OBJECT_INSTANCE, 0, 0, { "function", "tenant", "state", "limit", "all" } },
    { "GET", "v1/hosts", handle_list, finish_list, OBJECT_HOST, 0, 0, { "function", "tenant", "state", "limit", "all" } },
    { "GET", "v1/pools", handle_list, NULL, OBJECT_POOL, 0, 0, { NULL } },
    { "GET", "v1/reservations/*", handle_get, finish_get, OBJECT_RESERVATION, ROUTE_WATCHED, 0, { "wait", "state", "explain" } },
    { "GET", "v1/executions/*", handle_get, finish_get, OBJECT_EXECUTION, ROUTE_WATCHED, 0, { "wait", "state" } },
    { "GET", "v1/instances/*", handle_get, finish_get, OBJECT_INSTANCE, ROUTE_WATCHED, 0, { "wait", "state" } },
    { "GET", "v1/hosts/*", handle_get, finish_get, OBJECT_HOST, ROUTE_WATCHED, 0, { "wait", "state" } },
    { "GET", "v1/pools/*", handle_get, NULL, OBJECT_POOL, 0, 0, { NULL } },

    { "GET", "v1/models", handle_model_list, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "v1/models/*", handle_model_get, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "v1/models/*/content", handle_model_content, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "POST", "v1/models", handle_model_import, NULL, OBJECT_POLICY, ROUTE_BYTES | ROUTE_WATCHED, MODEL_CONTENT_MAX, { "serve" } },
    { "POST", "v1/models/train", handle_model_train, NULL, OBJECT_POLICY, ROUTE_WATCHED, 0, { "wait" } },
    { "POST", "v1/models/*/serve", handle_model_serve, NULL, OBJECT_POLICY, ROUTE_WATCHED, 0, { NULL } },

    { "DELETE", "v1/reservations/*", handle_remove, NULL, OBJECT_RESERVATION, 0, 0, { NULL } },
    { "DELETE", "v1/executions/*", handle_remove, NULL, OBJECT_EXECUTION, 0, 0, { NULL } },
    { "DELETE", "v1/instances/*", handle_remove, NULL, OBJECT_INSTANCE, 0, 0, { NULL } },
    { "DELETE", "v1/hosts/*", handle_remove, NULL, OBJECT_HOST, 0, 0, { NULL } },

    { "PUT", "v1/code", handle_code_put, NULL, OBJECT_POLICY, ROUTE_BYTES, MODEL_CODE_MAX, { "tenant" } },
    { "GET", "v1/code/*", handle_code_get, NULL, OBJECT_POLICY, 0, 0, { "tenant" } },

    { "GET", "v1/events", handle_events, NULL, OBJECT_POLICY, ROUTE_WATCHED, 0, { "object", "id" } },
    { "GET", "v1/history", handle_history, NULL, OBJECT_EXECUTION, 0, 0, { "function", "tenant", "limit" } },
    { "GET", "v1/accuracy", handle_accuracy, NULL, OBJECT_EXECUTION, 0, 0, { "by", "function", "tenant", "language", "since", "limit" } },
    { "GET", "v1/accuracy/points", handle_accuracy_points, NULL, OBJECT_EXECUTION, 0, 0, { "function", "tenant", "language", "since", "limit" } },
    { "GET", "v1/policies", handle_policy_list, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "v1/policies/*", handle_policy_get, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "v1/profiles", handle_profile_list, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "v1/version", handle_version, NULL, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "metrics", handle_metrics, finish_metrics, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "healthz", handle_health, finish_health, OBJECT_POLICY, 0, 0, { NULL } },
    { "GET", "readyz", handle_ready, NULL, OBJECT_POLICY, 0, 0, { NULL } },
};
/* clang-format on */

static gboolean route_matches_path(const char *path, const struct target *target)
{
    for (guint i = 0; i < target->segment_count; i++) {
        const char *end = strchrnul(path, '/');
        const gsize length = (gsize)(end - path);
        const char *segment = target->segments[i];
        if (path[0] == '*' ? segment[0] == '\0' : (strncmp(path, segment, length) != 0 || segment[length] != '\0'))
            return FALSE;
        if (*end == '\0')
            return i + 1 == target->segment_count;
        path = end + 1;
    }
    return FALSE;
}

/* HEAD is GET without the body, which libmicrohttpd leaves out by itself. */
static gboolean route_matches_method(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void route_append_allow(GString *allow, const char *method)
{
    g_string_append_printf(allow, "%s%s", allow->len > 0 ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        g_string_append(allow, ", HEAD");
}

const struct route *route_find(const char *method, const struct target *target, char **ret_allow, GError **error)
{
    g_autoptr(GString) allow = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(route_table); i++) {
        const struct route *route = &route_table[i];
        if (!route_matches_path(route->path, target))
            continue;
        if (route_matches_method(route, method))
            return route;
        if (allow == NULL)
            allow = g_string_new(NULL);
        route_append_allow(allow, route->method);
    }
    if (allow != NULL)
        *ret_allow = g_string_free(g_steal_pointer(&allow), FALSE);
    else
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "there is nothing at this path");
    return NULL;
}

static gboolean route_knows_parameter(const struct route *route, const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(route->parameters) && route->parameters[i] != NULL; i++)
        if (strcmp(route->parameters[i], name) == 0)
            return TRUE;
    return FALSE;
}

gboolean route_check_parameters(const struct route *route, const struct target *target, GError **error)
{
    for (guint i = 0; i < target->parameter_count; i++) {
        if (route_knows_parameter(route, target->parameters[i].name))
            continue;
        g_autoptr(GString) known = g_string_new(NULL);
        for (gsize k = 0; k < G_N_ELEMENTS(route->parameters) && route->parameters[k] != NULL; k++)
            g_string_append_printf(known, "%s%s", k > 0 ? ", " : "", route->parameters[k]);
        hbr_error_set(error, HBR_ERROR_INVALID, "the query parameter \"%s\" is not known here; right would be: %s",
                      target->parameters[i].name, known->len > 0 ? known->str : "none");
        return FALSE;
    }
    return TRUE;
}
