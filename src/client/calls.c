/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "client/problem.h"
#include "client/transfer.h"

#include <jansson.h>
#include <string.h>

#define WAIT_STEP_S 60
#define INPUT_MAX (1024 * 1024)

#define WAIT_GRACE_MS 10000

/* How each kind of object is called in paths, and which states of it end a wait. */
static const struct {
    const char *path;
    const char *final[5];
} kinds[] = {
    [HBR_RESERVATION] = {"/v1/reservations", {"done", "expired", "cancelled", "failed"}},
    [HBR_EXECUTION] = {"/v1/executions", {"finished", "failed", "cancelled", "interrupted"}},
    [HBR_INSTANCE] = {"/v1/instances", {"gone"}},
    [HBR_HOST] = {"/v1/hosts", {"down"}},
    [HBR_POOL] = {"/v1/pools", {NULL}},
};

static bool call_take(struct transfer *transfer, char **ret_text)
{
    if (transfer == NULL)
        return false;
    if (ret_text != NULL)
        *ret_text = g_string_free(g_steal_pointer(&transfer->answer), FALSE);
    transfer_free(transfer);
    return true;
}

static bool call(struct hbr_client *client, const char *method, const char *path, const char *json, char **ret_text,
                 struct hbr_error *error)
{
    const struct transfer_spec spec = {
        .method = method,
        .path = path,
        .body = json,
        .length = json != NULL ? strlen(json) : 0,
        .timeout_ms = client->timeout_ms,
    };
    return call_take(transfer_run(client, &spec, error), ret_text);
}

bool hbr_notify(struct hbr_client *client, const char *notification_json, char **ret_json, struct hbr_error *error)
{
    return call(client, "POST", "/v1/notifications", notification_json, ret_json, error);
}

bool hbr_explain(struct hbr_client *client, const char *notification_json, char **ret_json, struct hbr_error *error)
{
    return call(client, "POST", "/v1/explanations", notification_json, ret_json, error);
}

bool hbr_host_attach(struct hbr_client *client, const char *host_json, char **ret_json, struct hbr_error *error)
{
    return call(client, "POST", "/v1/hosts", host_json, ret_json, error);
}

static void query_append(GString *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    g_string_append_c(path, strchr(path->str, '?') == NULL ? '?' : '&');
    g_string_append_printf(path, "%s=", name);
    g_string_append_uri_escaped(path, value, NULL, FALSE);
}

static void query_append_number(GString *path, const char *name, guint64 value)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);
    query_append(path, name, text);
}

static GString *path_of_object(enum hbr_kind kind, const char *id)
{
    GString *path = g_string_new(kinds[kind].path);
    g_string_append_c(path, '/');
    g_string_append_uri_escaped(path, id, NULL, FALSE);
    return path;
}

bool hbr_list(struct hbr_client *client, enum hbr_kind kind, const struct hbr_filter *filter, char **ret_json,
              struct hbr_error *error)
{
    static const struct hbr_filter everything;
    const struct hbr_filter *wanted = filter != NULL ? filter : &everything;
    g_autoptr(GString) path = g_string_new(kinds[kind].path);
    query_append(path, "function", wanted->function);
    query_append(path, "tenant", wanted->tenant);
    query_append(path, "state", wanted->state);
    if (wanted->all)
        query_append(path, "all", "true");
    if (wanted->limit > 0)
        query_append_number(path, "limit", wanted->limit);
    return call(client, "GET", path->str, NULL, ret_json, error);
}

bool hbr_get(struct hbr_client *client, enum hbr_kind kind, const char *id, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_object(kind, id);
    return call(client, "GET", path->str, NULL, ret_json, error);
}

bool hbr_explain_reservation(struct hbr_client *client, const char *id, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_object(HBR_RESERVATION, id);
    g_string_append(path, "?explain=true");
    return call(client, "GET", path->str, NULL, ret_json, error);
}

bool hbr_delete(struct hbr_client *client, enum hbr_kind kind, const char *id, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_object(kind, id);
    return call(client, "DELETE", path->str, NULL, ret_json, error);
}

static bool object_send(struct hbr_client *client, enum hbr_kind kind, const char *id, const char *what,
                        const char *json, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_object(kind, id);
    g_string_append(path, what);
    return call(client, "POST", path->str, json, ret_json, error);
}

bool hbr_pool_set(struct hbr_client *client, const char *id, const char *setting_json, char **ret_json,
                  struct hbr_error *error)
{
    return object_send(client, HBR_POOL, id, "/set", setting_json, ret_json, error);
}

bool hbr_pool_drain(struct hbr_client *client, const char *id, bool drain, char **ret_json, struct hbr_error *error)
{
    return object_send(client, HBR_POOL, id, "/drain", drain ? "{\"drain\":true}" : "{\"drain\":false}", ret_json,
                       error);
}

bool hbr_instance_shape(struct hbr_client *client, const char *id, const char *shape_json, char **ret_json,
                        struct hbr_error *error)
{
    return object_send(client, HBR_INSTANCE, id, "/shape", shape_json, ret_json, error);
}

bool hbr_code_upload(struct hbr_client *client, const char *tenant, const void *data, size_t length, char **ret_json,
                     struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new("/v1/code");
    query_append(path, "tenant", tenant);
    const struct transfer_spec spec = {
        .method = "PUT",
        .path = path->str,
        .content_type = "application/octet-stream",
        .body = length > 0 ? data : "",
        .length = length,
        .timeout_ms = client->timeout_ms,
    };
    return call_take(transfer_run(client, &spec, error), ret_json);
}

bool hbr_code_get(struct hbr_client *client, const char *tenant, const char *sha256, char **ret_json,
                  struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new("/v1/code/");
    g_string_append_uri_escaped(path, sha256, NULL, FALSE);
    query_append(path, "tenant", tenant);
    return call(client, "GET", path->str, NULL, ret_json, error);
}

/* The answer's state is the one waited for, or final. */
static gboolean wait_is_over(enum hbr_kind kind, const char *wanted, const char *text)
{
    json_auto_t *json = json_loads(text, 0, NULL);
    const char *state = json_string_value(json_object_get(json, "state"));
    if (g_strcmp0(state, wanted) == 0)
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(kinds[kind].final) && kinds[kind].final[i] != NULL; i++)
        if (g_strcmp0(state, kinds[kind].final[i]) == 0)
            return TRUE;
    return FALSE;
}

/* One long poll of at most `wait_s`. */
static char *wait_once(struct hbr_client *client, const char *base, const char *state, gint64 wait_s,
                       struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new(base);
    query_append_number(path, "wait", (guint64)wait_s);
    query_append(path, "state", state);
    /* the daemon answers when the wait is up, and is given some time for that */
    const gint64 patience_ms = wait_s * 1000 + (client->timeout_ms > 0 ? client->timeout_ms : WAIT_GRACE_MS);
    const struct transfer_spec spec = {
        .method = "GET",
        .path = path->str,
        .timeout_ms = patience_ms,
    };
    char *text = NULL;
    call_take(transfer_run(client, &spec, error), &text);
    return text;
}

bool hbr_wait(struct hbr_client *client, enum hbr_kind kind, const char *id, const char *state, int64_t timeout_ms,
              char **ret_json, struct hbr_error *error)
{
    const gint64 begun_at = g_get_monotonic_time();
    g_autoptr(GString) path = path_of_object(kind, id);
    for (;;) {
        const gint64 asked_at = g_get_monotonic_time();
        const gint64 left_ms = timeout_ms > 0 ? timeout_ms - (asked_at - begun_at) / 1000 : 0;
        if (timeout_ms > 0 && left_ms <= 0)
            return problem_set(error, HBR_ERROR_TIMEOUT, "%s was not in the state waited for in time", id);
        const gint64 wait_s = timeout_ms > 0 ? MIN((left_ms + 999) / 1000, WAIT_STEP_S) : WAIT_STEP_S;
        g_autofree char *text = wait_once(client, path->str, state, wait_s, error);
        if (text == NULL)
            return false;
        if (wait_is_over(kind, state, text)) {
            if (ret_json != NULL)
                *ret_json = g_steal_pointer(&text);
            return true;
        }
        /* The daemon waits for what it holds; an object that is only history is answered at once, and will not change. */
        if (g_get_monotonic_time() - asked_at < wait_s * G_USEC_PER_SEC / 2)
            return problem_set(error, HBR_ERROR_CONFLICT,
                               "%s is not in the state waited for, and will not come into it", id);
    }
}

bool hbr_history(struct hbr_client *client, const struct hbr_filter *filter, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new("/v1/history");
    if (filter != NULL) {
        query_append(path, "function", filter->function);
        query_append(path, "tenant", filter->tenant);
        if (filter->limit > 0)
            query_append_number(path, "limit", filter->limit);
    }
    return call(client, "GET", path->str, NULL, ret_json, error);
}

static void query_append_accuracy(GString *path, const struct hbr_accuracy_query *query)
{
    if (query == NULL)
        return;
    query_append(path, "function", query->function);
    query_append(path, "tenant", query->tenant);
    query_append(path, "language", query->language);
    query_append(path, "since", query->since);
    if (query->limit > 0)
        query_append_number(path, "limit", query->limit);
}

bool hbr_accuracy(struct hbr_client *client, const struct hbr_accuracy_query *query, char **ret_json,
                  struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new("/v1/accuracy");
    query_append(path, "by", query != NULL ? query->by : NULL);
    query_append_accuracy(path, query);
    return call(client, "GET", path->str, NULL, ret_json, error);
}

bool hbr_accuracy_points(struct hbr_client *client, const struct hbr_accuracy_query *query, char **ret_json,
                         struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new("/v1/accuracy/points");
    query_append_accuracy(path, query);
    return call(client, "GET", path->str, NULL, ret_json, error);
}

static bool policy_send(struct hbr_client *client, const char *path, const struct hbr_policy_file *files, size_t count,
                        char **ret_json, struct hbr_error *error)
{
    json_auto_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *file = json_pack("{s:s, s:s}", "name", files[i].name, "text", files[i].text);
        if (file == NULL)
            return problem_set(error, HBR_ERROR_INVALID, "%s is not UTF-8 text", files[i].name);
        json_array_append_new(list, file);
    }
    json_auto_t *body = json_pack("{s:O}", "files", list);
    char *text = json_dumps(body, JSON_COMPACT);
    const bool done = call(client, "POST", path, text, ret_json, error);
    g_free(text);
    return done;
}

bool hbr_policy_check(struct hbr_client *client, const struct hbr_policy_file *files, size_t count, char **ret_json,
                      struct hbr_error *error)
{
    return policy_send(client, "/v1/policies?check=true", files, count, ret_json, error);
}

bool hbr_policy_load(struct hbr_client *client, const struct hbr_policy_file *files, size_t count, char **ret_json,
                     struct hbr_error *error)
{
    return policy_send(client, "/v1/policies", files, count, ret_json, error);
}

bool hbr_policy_list(struct hbr_client *client, char **ret_json, struct hbr_error *error)
{
    return call(client, "GET", "/v1/policies", NULL, ret_json, error);
}

bool hbr_policy_get(struct hbr_client *client, const char *version, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = g_string_new("/v1/policies/");
    g_string_append_uri_escaped(path, version != NULL ? version : "current", NULL, FALSE);
    return call(client, "GET", path->str, NULL, ret_json, error);
}

static GString *path_of_model(const char *version, const char *what)
{
    GString *path = g_string_new("/v1/models/");
    g_string_append_uri_escaped(path, version, NULL, FALSE);
    g_string_append(path, what);
    return path;
}

bool hbr_model_list(struct hbr_client *client, char **ret_json, struct hbr_error *error)
{
    return call(client, "GET", "/v1/models", NULL, ret_json, error);
}

bool hbr_model_get(struct hbr_client *client, const char *version, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_model(version, "");
    return call(client, "GET", path->str, NULL, ret_json, error);
}

bool hbr_model_train(struct hbr_client *client, bool wait, char **ret_json, struct hbr_error *error)
{
    const struct transfer_spec spec = {
        .method = "POST",
        .path = wait ? "/v1/models/train?wait=true" : "/v1/models/train",
        .timeout_ms = wait ? 0 : client->timeout_ms,
    };
    return call_take(transfer_run(client, &spec, error), ret_json);
}

bool hbr_model_serve(struct hbr_client *client, const char *version, char **ret_json, struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_model(version != NULL ? version : "latest", "/serve");
    return call(client, "POST", path->str, NULL, ret_json, error);
}

bool hbr_model_export(struct hbr_client *client, const char *version, void **ret_data, size_t *ret_length,
                      struct hbr_error *error)
{
    g_autoptr(GString) path = path_of_model(version, "/content");
    const struct transfer_spec spec = {.method = "GET", .path = path->str, .timeout_ms = client->timeout_ms};
    struct transfer *transfer = transfer_run(client, &spec, error);
    if (transfer == NULL)
        return false;
    if (ret_length != NULL)
        *ret_length = transfer->answer->len;
    char *content = NULL;
    call_take(transfer, ret_data != NULL ? &content : NULL);
    if (ret_data != NULL)
        *ret_data = content;
    return true;
}

bool hbr_model_import(struct hbr_client *client, const void *data, size_t length, bool serve, char **ret_json,
                      struct hbr_error *error)
{
    const struct transfer_spec spec = {
        .method = "POST",
        .path = serve ? "/v1/models?serve=true" : "/v1/models",
        .content_type = "application/octet-stream",
        .body = length > 0 ? data : "",
        .length = length,
        .timeout_ms = client->timeout_ms,
    };
    return call_take(transfer_run(client, &spec, error), ret_json);
}

bool hbr_profile_list(struct hbr_client *client, char **ret_json, struct hbr_error *error)
{
    return call(client, "GET", "/v1/profiles", NULL, ret_json, error);
}

bool hbr_version(struct hbr_client *client, char **ret_json, struct hbr_error *error)
{
    return call(client, "GET", "/v1/version", NULL, ret_json, error);
}

bool hbr_ready(struct hbr_client *client, struct hbr_error *error)
{
    return call(client, "GET", "/readyz", NULL, NULL, error);
}

bool hbr_metrics(struct hbr_client *client, char **ret_text, struct hbr_error *error)
{
    return call(client, "GET", "/metrics", NULL, ret_text, error);
}

bool hbr_execution_input(struct hbr_client *client, const char *execution_id, const void *data, size_t length, bool eof,
                         struct hbr_error *error)
{
    if (length > INPUT_MAX)
        return problem_set(error, HBR_ERROR_TOO_LARGE, "at most %d bytes can be sent at a time", INPUT_MAX);
    g_autoptr(GString) path = path_of_object(HBR_EXECUTION, execution_id);
    g_string_append(path, eof ? "/stdin?eof=true" : "/stdin");
    const struct transfer_spec spec = {
        .method = "POST",
        .path = path->str,
        .content_type = "application/octet-stream",
        .body = length > 0 ? data : "",
        .length = length,
    };
    return call_take(transfer_run(client, &spec, error), NULL);
}

static char *response_header(const struct transfer *transfer, const char *name)
{
    struct curl_header *header;
    if (curl_easy_header(transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return g_strdup(header->value);
}

bool hbr_request(struct hbr_client *client, const char *method, const char *path, const char *content_type,
                 const void *body, size_t length, struct hbr_response *ret_response, struct hbr_error *error)
{
    const struct transfer_spec spec = {
        .method = method,
        .path = path,
        .content_type = content_type,
        .body = body,
        .length = length,
        .timeout_ms = client->timeout_ms,
    };
    if (path[0] != '/')
        return problem_set(error, HBR_ERROR_INVALID, "\"%s\" is not a path; right would be \"/v1/...\"", path);
    struct transfer *transfer = transfer_run(client, &spec, error);
    if (transfer != NULL && ret_response != NULL) {
        ret_response->status = transfer_status(transfer);
        ret_response->content_type = response_header(transfer, "Content-Type");
        ret_response->location = response_header(transfer, "Location");
        ret_response->length = transfer->answer->len;
    }
    return call_take(transfer, ret_response != NULL ? &ret_response->body : NULL);
}

void hbr_response_clear(struct hbr_response *response)
{
    if (response == NULL)
        return;
    g_free(response->content_type);
    g_free(response->location);
    g_free(response->body);
    *response = (struct hbr_response)HBR_RESPONSE_INIT;
}
