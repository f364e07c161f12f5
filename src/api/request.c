/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/request.h"

#include "api/problem.h"
#include "api/stream.h"
#include "base/error.h"
#include "base/log.h"
#include "model/limits.h"

#include <string.h>

#define REQUEST_SMALL_BODY (64 * 1024)           /* below, bodies are not counted */
#define REQUEST_BODIES_BYTES (256 * 1024 * 1024) /* of all large bodies being received or decoded */
#define REQUEST_ID_WITHIN 100                    /* an answer begins with its object's id */
#define JSON_CONTENT_TYPE "application/json"
#define BYTES_CONTENT_TYPE "application/octet-stream"

struct request *request_new(struct api *api, struct MHD_Connection *connection, const char *uri, gboolean is_tcp)
{
    const gsize size = strlen(uri) + 1;
    struct request *request = g_malloc0(sizeof *request + size);
    request->api = api;
    request->connection = connection;
    request->is_tcp = is_tcp;
    memcpy(request->uri, uri, size);
    return request;
}

int request_fd(const struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info != NULL ? info->connect_fd : -1;
}

static void request_release_body(struct request *request)
{
    g_clear_pointer(&request->body, g_free);
    if (request->body_reserved == 0)
        return;
    pthread_mutex_lock(&request->api->lock);
    request->api->body_bytes -= request->body_reserved;
    pthread_mutex_unlock(&request->api->lock);
    request->body_reserved = 0;
}

/* Nobody can find it any more when this returns. TRUE when the core is still at work for it. */
static gboolean request_close(struct request *request)
{
    if (request->id == 0)
        return FALSE;
    pthread_mutex_lock(&request->api->lock);
    const gboolean was_open = request->is_open;
    request->is_open = FALSE;
    if (was_open)
        g_hash_table_remove(request->api->requests, &request->id);
    pthread_mutex_unlock(&request->api->lock);
    return was_open;
}

void request_free(struct request *request)
{
    if (request->watched)
        watch_remove(request->api->watch, request_fd(request));
    if (request_close(request)) {
        struct event *event = event_new(EVENT_CLIENT_GONE);
        event->request = request->id;
        request->api->sink(event, request->api->sink_data);
    }
    request_release_body(request);
    stream_free(request->stream);
    g_clear_error(&request->refusal);
    g_clear_error(&request->error);
    g_clear_pointer(&request->answer, g_bytes_unref);
    g_free(request->location);
    g_free(request->allow);
    g_free(request);
}

GBytes *request_take_body(struct request *request)
{
    GBytes *bytes = g_bytes_new_take(g_steal_pointer(&request->body), request->body_length);
    request_release_body(request);
    request->body_length = 0;
    return bytes;
}

void request_answer(struct request *request, guint status, const char *content_type, GBytes *body)
{
    g_clear_pointer(&request->answer, g_bytes_unref);
    request->status = status;
    request->content_type = content_type;
    request->answer = body;
    request->answered = TRUE;
}

void request_answer_json(struct request *request, guint status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(json);
    request_answer(request, status, JSON_CONTENT_TYPE, g_bytes_new_with_free_func(text, strlen(text), free, text));
}

void request_post(struct request *request, struct event *event)
{
    struct api *api = request->api;
    pthread_mutex_lock(&api->lock);
    request->id = ++api->last_id;
    request->is_open = TRUE;
    g_hash_table_insert(api->requests, &request->id, request);
    pthread_mutex_unlock(&api->lock);
    event->request = request->id;
    if ((request->route->flags & ROUTE_WATCHED) != 0) {
        request->watched = TRUE;
        watch_add(api->watch, request_fd(request), request->id, request->is_tcp);
    }
    api->sink(event, api->sink_data);
}

struct MHD_Connection *request_rouse(struct request *request)
{
    if (!request->suspended)
        return NULL;
    request->suspended = FALSE;
    return request->connection;
}

void request_wake(struct request *request)
{
    struct MHD_Connection *connection = request_rouse(request);
    if (connection != NULL)
        MHD_resume_connection(connection);
}

/* No more will come of the core for it. Under the lock. */
static void request_finish(struct request *request)
{
    request->is_open = FALSE;
    g_hash_table_remove(request->api->requests, &request->id);
}

static void request_take_reply(struct request *request, struct command *command)
{
    request->status = command->status != 0 ? command->status : MHD_HTTP_OK;
    request->answer = g_steal_pointer(&command->body);
    request->error = g_steal_pointer(&command->error);
    if (command->content_type != NULL)
        request->content_type = command->content_type;
    else if (request->content_type == NULL)
        request->content_type = JSON_CONTENT_TYPE;
    request->answered = TRUE;
}

gboolean request_deliver(struct request *request, struct command *command)
{
    gboolean taken = FALSE;
    if (command->kind == COMMAND_STREAM) {
        if (request->stream == NULL)
            request->stream = stream_new();
        taken = TRUE;
        if (stream_push(request->stream, command))
            request_finish(request);
    } else {
        if (request->stream != NULL)
            stream_break(request->stream);
        else
            request_take_reply(request, command);
        request_finish(request);
    }
    return taken;
}

void request_give_up(struct request *request, enum watch_cause cause)
{
    if (cause == WATCH_GONE) {
        request->is_gone = TRUE;
    } else {
        request->error = hbr_error_new(HBR_ERROR_TIMEOUT, "the core has not answered in time");
        request->answered = TRUE;
        request_finish(request);
    }
    request_wake(request);
}

static const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* "application/json" of "application/json; charset=utf-8". */
static gboolean request_check_content_type(const struct request *request, GError **error)
{
    const char *given = request_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *wanted = (request->route->flags & ROUTE_BYTES) != 0 ? BYTES_CONTENT_TYPE : JSON_CONTENT_TYPE;
    const gsize length = strlen(wanted);
    if (given == NULL || (g_ascii_strncasecmp(given, wanted, length) == 0 && strchr("; \t", given[length]) != NULL))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "the body is \"%s\"; right would be %s", given, wanted);
    return FALSE;
}

static gboolean request_reserve_body(struct request *request, gsize size, GError **error)
{
    struct api *api = request->api;
    pthread_mutex_lock(&api->lock);
    const gboolean fits = size <= REQUEST_BODIES_BYTES - api->body_bytes;
    if (fits)
        api->body_bytes += size;
    pthread_mutex_unlock(&api->lock);
    if (fits)
        request->body_reserved = size;
    else
        hbr_error_set(error, HBR_ERROR_EXHAUSTED, "too many large requests are being received; try again later");
    return fits;
}

/* How large the body may become: what it says, or the route's bound when it comes in chunks. */
static gboolean request_announced_size(const struct request *request, gsize *ret_size)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    guint64 size = 0;
    if (length != NULL && !g_ascii_string_to_unsigned(length, 10, 0, G_MAXSIZE / 2, &size, NULL))
        size = G_MAXSIZE / 2;
    if (length == NULL && request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
        size = request->route != NULL ? request->route->body_max : 0;
    *ret_size = size;
    return length != NULL;
}

static gboolean request_check_body(struct request *request, GError **error)
{
    const gsize max = request->route->body_max;
    gsize size;
    const gboolean exact = request_announced_size(request, &size);
    if (size > max) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE,
                      "the body has %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT " are accepted here", size,
                      max);
        return FALSE;
    }
    if (size > REQUEST_SMALL_BODY && !request_reserve_body(request, size, error))
        return FALSE;
    if (exact && size > 0) {
        request->body_size = size;
        request->body = g_malloc(size + 1);
    }
    return max == 0 || request_check_content_type(request, error);
}

/* What can be said of a request before its body has come. */
static gboolean request_check(struct request *request, const char *method, GError **error)
{
    if (!target_parse(&request->target, request->uri, error))
        return FALSE;
    request->route = route_find(method, &request->target, &request->allow, error);
    if (request->route == NULL) {
        if (request->allow != NULL)
            hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "%s is not possible here; right would be: %s", method,
                          request->allow);
        return FALSE;
    }
    return route_check_parameters(request->route, &request->target, error) && request_check_body(request, error);
}

static void request_add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL)
        MHD_add_response_header(response, name, value);
}

/* 405 and 415 have no error code of their own: they are the method and the content type being "unsupported". */
static guint request_problem_status(const struct request *request, const GError *error)
{
    if (request->status >= MHD_HTTP_BAD_REQUEST)
        return request->status;
    if (request->allow != NULL)
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    if (error == request->refusal && g_error_matches(error, HBR_ERROR, HBR_ERROR_UNSUPPORTED))
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    return problem_status(error);
}

static void request_set_problem(struct request *request, const GError *error)
{
    const guint status = request_problem_status(request, error);
    request_answer(request, status, PROBLEM_CONTENT_TYPE, problem_document(error, status));
    g_clear_pointer(&request->location, g_free);
}

static void request_bytes_free(void *bytes)
{
    g_bytes_unref(bytes);
}

static struct MHD_Response *request_response_new(struct request *request)
{
    if (request->answer == NULL)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    gsize size;
    GBytes *bytes = g_steal_pointer(&request->answer);
    const void *data = g_bytes_get_data(bytes, &size);
    return MHD_create_response_from_buffer_with_free_callback_cls(size, (void *)data, request_bytes_free, bytes);
}

static enum MHD_Result request_queue(struct request *request)
{
    const gboolean has_body = request->answer != NULL;
    struct MHD_Response *response = request_response_new(request);
    if (response == NULL)
        return MHD_NO;
    if (has_body)
        request_add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->content_type);
    request_add_header(response, MHD_HTTP_HEADER_LOCATION, request->location);
    request_add_header(response, MHD_HTTP_HEADER_ALLOW, request->allow);
    if (request->status == MHD_HTTP_TOO_MANY_REQUESTS || request->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        request_add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    const enum MHD_Result result = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return result;
}

/* A refusal is answered once the body has come, so that the connection can be used again; at once when the body is too large for that. */
static enum MHD_Result request_begin(struct request *request, const char *method)
{
    gsize size;
    request->begun = TRUE;
    if (request_check(request, method, &request->refusal))
        return MHD_YES;
    request_release_body(request);
    request->body_size = 0;
    request_announced_size(request, &size);
    if (size <= REQUEST_SMALL_BODY)
        return MHD_YES;
    request_set_problem(request, request->refusal);
    return request_queue(request);
}

/* Makes room for `more` bytes of a body that came without its length. */
static void request_grow_body(struct request *request, gsize more)
{
    const gsize needed = request->body_length + more;
    if (request->body != NULL && needed <= request->body_size)
        return;
    request->body_size = MIN(MAX(needed, request->body_size * 2), request->route->body_max);
    request->body = g_realloc(request->body, request->body_size + 1);
}

/* libmicrohttpd takes no answer in the middle of a body. What is too much is dropped and refused at the end, or the connection is closed
 * when there is no end in sight. */
static enum MHD_Result request_take_upload(struct request *request, const char *data, gsize size)
{
    const gsize max = request->route != NULL && request->refusal == NULL ? request->route->body_max : 0;
    if (request->body_overflows || size > max - MIN(max, request->body_length)) {
        request->body_overflows = TRUE;
        request->body_length += size;
        return request->body_length <= 2 * max + REQUEST_SMALL_BODY ? MHD_YES : MHD_NO;
    }
    request_grow_body(request, size);
    memcpy(request->body + request->body_length, data, size);
    request->body_length += size;
    request->body[request->body_length] = '\0';
    return MHD_YES;
}

/* The body is there. */
static void request_handle(struct request *request)
{
    g_autoptr(GError) error = NULL;
    request->handled = TRUE;
    if (request->refusal != NULL) {
        request_set_problem(request, request->refusal);
    } else if (request->body_overflows) {
        request->refusal = hbr_error_new(HBR_ERROR_TOO_LARGE,
                                         "the body has more than the %" G_GSIZE_FORMAT " bytes that are accepted here",
                                         request->route->body_max);
        request_set_problem(request, request->refusal);
    } else if (!request->route->handler(request, &error)) {
        request_set_problem(request, error);
    }
    request_release_body(request);
}

/* Where the object that was made can be found. Its id, or name, is the first of its members. */
static void request_set_location(struct request *request)
{
    static const char *const plurals[OBJECT_KIND_COUNT] = {"reservations", "executions", "instances",
                                                           "hosts",        "policies",   "pools"};
    gsize length;
    const char *text = g_bytes_get_data(request->answer, &length);
    const char *key = request->route->object == OBJECT_HOST ? "\"name\":\"" : "\"id\":\"";
    const char *id = memmem(text, MIN(length, REQUEST_ID_WITHIN), key, strlen(key));
    if (id == NULL)
        return;
    id += strlen(key);
    const char *end = memchr(id, '"', length - (gsize)(id - text));
    if (end != NULL)
        request->location = g_strdup_printf("/v1/%s/%.*s", plurals[request->route->object], (int)(end - id), id);
}

enum request_step { STEP_WAIT, STEP_ANSWER, STEP_STREAM, STEP_CLOSE };

/* What to do now; waiting is begun here, under the lock, so that no answer can slip through. */
static enum request_step request_next_step(struct request *request)
{
    enum request_step step = STEP_WAIT;
    pthread_mutex_lock(&request->api->lock);
    if (request->is_gone)
        step = STEP_CLOSE;
    else if (request->answered)
        step = STEP_ANSWER;
    else if (request->stream != NULL)
        step = STEP_STREAM;
    else if (request->api->stopping)
        step = STEP_CLOSE;
    if (step == STEP_WAIT) {
        request->suspended = TRUE;
        MHD_suspend_connection(request->connection);
    }
    pthread_mutex_unlock(&request->api->lock);
    return step;
}

static enum MHD_Result request_complete(struct request *request)
{
    if (request->id != 0 && request->route->finish != NULL)
        request->route->finish(request);
    if (request->error != NULL)
        request_set_problem(request, request->error);
    else if (request->answer != NULL && (request->status == MHD_HTTP_ACCEPTED || request->status == MHD_HTTP_CREATED))
        request_set_location(request);
    return request_queue(request);
}

static enum MHD_Result request_continue(struct request *request)
{
    switch (request_next_step(request)) {
    case STEP_WAIT:
        return MHD_YES;
    case STEP_ANSWER:
        return request_complete(request);
    case STEP_STREAM:
        return stream_queue(request);
    case STEP_CLOSE:
        break;
    }
    return MHD_NO;
}

enum MHD_Result request_access(void *cls G_GNUC_UNUSED, struct MHD_Connection *connection G_GNUC_UNUSED,
                               const char *url G_GNUC_UNUSED, const char *method, const char *version G_GNUC_UNUSED,
                               const char *upload_data, size_t *upload_data_size, void **con_cls)
{
    struct request *request = *con_cls;
    if (!request->begun)
        return request_begin(request, method);
    if (*upload_data_size > 0) {
        const gsize size = *upload_data_size;
        *upload_data_size = 0;
        return request_take_upload(request, upload_data, size);
    }
    if (!request->handled)
        request_handle(request);
    return request_continue(request);
}
