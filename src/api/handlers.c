/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "api/program-check.h"
#include "api/traits.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "model/limits.h"

#include <string.h>

#define WAIT_MAX_S 300
#define POOL_ID_MAX (2 * MODEL_NAME_MAX + 1) /* NAME@HOST */
#define LIST_MAX 1000
#define HEALTH_FRESH_US CLOCK_SECOND
#define HEALTH_DEADLINE_US (2 * CLOCK_SECOND)
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4"

gpointer handler_decode(const struct request *request, const struct codec *codec, GError **error)
{
    return codec_decode_text(codec, request->body != NULL ? request->body : "", request->body_length,
                             request->route->body_max, CODEC_CLIENT, error);
}

const char *handler_get_id(const struct request *request, GError **error)
{
    const char *id = request->target.segments[2];
    if (id_is_valid_name(id, request->route->object == OBJECT_POOL ? POOL_ID_MAX : MODEL_NAME_MAX))
        return id;
    hbr_error_set(
        error, HBR_ERROR_INVALID,
        "the path does not name an object; right would be letters, digits and ._:/@+- with a letter or digit first");
    return NULL;
}

gboolean handler_get_number(const struct request *request, const char *name, guint64 min, guint64 max, guint64 fallback,
                            guint64 *ret_value, GError **error)
{
    const char *text = target_get(&request->target, name);
    if (text == NULL) {
        *ret_value = fallback;
        return TRUE;
    }
    if (g_ascii_string_to_unsigned(text, 10, min, max, ret_value, NULL))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID,
                  "the query parameter \"%s\" is \"%s\"; right would be a whole number from %" G_GUINT64_FORMAT
                  " to %" G_GUINT64_FORMAT,
                  name, text, min, max);
    return FALSE;
}

gboolean handler_get_flag(const struct request *request, const char *name, gboolean *ret_flag, GError **error)
{
    const char *text = target_get(&request->target, name);
    *ret_flag = g_strcmp0(text, "true") == 0;
    if (text == NULL || *ret_flag || strcmp(text, "false") == 0)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "the query parameter \"%s\" is \"%s\"; right would be true or false", name,
                  text);
    return FALSE;
}

gboolean handler_get_word(const struct request *request, const char *name, const struct codec_words *words,
                          guint fallback, guint *ret_value, GError **error)
{
    const char *text = target_get(&request->target, name);
    const int value = text != NULL ? codec_value(words, text) : (int)fallback;
    if (value >= 0) {
        *ret_value = (guint)value;
        return TRUE;
    }
    g_autoptr(GString) choices = g_string_new(NULL);
    for (guint i = 0; i < words->count; i++)
        g_string_append_printf(choices, "%s%s", i > 0 ? ", " : "", words->words[i]);
    hbr_error_set(error, HBR_ERROR_INVALID, "the query parameter \"%s\" is \"%s\"; right would be one of: %s", name,
                  text, choices->str);
    return FALSE;
}

gboolean handler_get_time(const struct request *request, const char *name, gint64 *ret_at, GError **error)
{
    const char *text = target_get(&request->target, name);
    gint64 at = 0;
    if (text != NULL && !clock_from_rfc3339(text, &at, error)) {
        g_prefix_error(error, "the query parameter \"%s\": ", name);
        return FALSE;
    }
    *ret_at = at;
    return TRUE;
}

/* Checks the parameter "state" against the words of the object's kind. */
static gboolean handler_check_state(const struct request *request, GError **error)
{
    static const struct codec_words *const words[OBJECT_KIND_COUNT] = {
        [OBJECT_RESERVATION] = &reservation_state_words,
        [OBJECT_EXECUTION] = &execution_state_words,
        [OBJECT_INSTANCE] = &instance_state_words,
        [OBJECT_HOST] = &host_state_words,
    };
    guint state;
    return target_get(&request->target, "state") == NULL ||
           handler_get_word(request, "state", words[request->route->object], 0, &state, error);
}

static struct notification *handler_decode_notification(const struct request *request, GError **error)
{
    g_autoptr(notification_auto) notification = handler_decode(request, &notification_codec, error);
    if (notification == NULL ||
        (notification->program != NULL && !program_check_announced(notification->program, error)))
        return NULL;
    if (notification->program != NULL)
        traits_fill(&notification->code, &notification->code, notification->program, &request->api->traits);
    return g_steal_pointer(&notification);
}

gboolean handle_notify(struct request *request, GError **error)
{
    struct notification *notification = handler_decode_notification(request, error);
    if (notification == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_NOTIFY);
    event->notification = notification;
    request_post(request, event);
    return TRUE;
}

gboolean handle_explain(struct request *request, GError **error)
{
    struct notification *notification = handler_decode_notification(request, error);
    if (notification == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_EXPLAIN);
    event->notification = notification;
    request_post(request, event);
    return TRUE;
}

gboolean handle_execute(struct request *request, GError **error)
{
    g_autoptr(execution_request_auto) wanted = handler_decode(request, &execution_request_codec, error);
    if (wanted == NULL || !program_check(&wanted->program, error))
        return FALSE;
    g_bytes_unref(request_take_body(request));
    struct event *event = event_new(EVENT_EXECUTE);
    event->guess = g_new0(struct code_metadata, 1);
    traits_fill(&wanted->code, event->guess, &wanted->program, &request->api->traits);
    event->execution_request = g_steal_pointer(&wanted);
    request_post(request, event);
    return TRUE;
}

gboolean handle_stdin(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    gboolean eof;
    if (id == NULL || !handler_get_flag(request, "eof", &eof, error))
        return FALSE;
    if (request->body_length == 0 && !eof) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/: there is nothing to send; right would be bytes in the body, or ?eof=true");
        return FALSE;
    }
    struct event *event = event_new(EVENT_STDIN);
    event->id = g_strdup(id);
    event->eof = eof;
    event->bytes = request->body_length > 0 ? request_take_body(request) : NULL;
    request_post(request, event);
    return TRUE;
}

void finish_stdin(struct request *request)
{
    if (request->error != NULL)
        return;
    request->status = MHD_HTTP_NO_CONTENT;
    g_clear_pointer(&request->answer, g_bytes_unref);
}

static struct query *handler_query_new(const struct request *request, enum query_kind kind)
{
    struct query *query = g_new0(struct query, 1);
    query->kind = kind;
    query->object = request->route->object;
    query->function = g_strdup(target_get(&request->target, "function"));
    query->tenant = g_strdup(target_get(&request->target, "tenant"));
    query->state = g_strdup(target_get(&request->target, "state"));
    return query;
}

static void handler_post_query(struct request *request, struct query *query)
{
    struct event *event = event_new(EVENT_QUERY);
    event->query = query;
    request_post(request, event);
}

gboolean handle_list(struct request *request, GError **error)
{
    guint64 limit;
    gboolean all;
    if (!handler_check_state(request, error) || !handler_get_number(request, "limit", 1, LIST_MAX, 0, &limit, error) ||
        !handler_get_flag(request, "all", &all, error))
        return FALSE;
    struct query *query = handler_query_new(request, QUERY_LIST);
    query->limit = (guint)limit;
    query->all = all;
    handler_post_query(request, query);
    return TRUE;
}

gboolean handle_get(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    guint64 wait_s;
    gboolean explain;
    if (id == NULL || !handler_check_state(request, error) ||
        !handler_get_number(request, "wait", 0, WAIT_MAX_S, 0, &wait_s, error) ||
        !handler_get_flag(request, "explain", &explain, error))
        return FALSE;
    if (explain && wait_s > 0) {
        hbr_error_set(
            error, HBR_ERROR_INVALID,
            "the query parameters \"wait\" and \"explain\" exclude each other; right would be one after the other");
        return FALSE;
    }
    if (target_get(&request->target, "state") != NULL && target_get(&request->target, "wait") == NULL) {
        hbr_error_set(
            error, HBR_ERROR_INVALID,
            "the query parameter \"state\" means something only with \"wait\"; right would be ?wait=SECONDS&state=...");
        return FALSE;
    }
    struct query *query = handler_query_new(request, QUERY_GET);
    query->id = g_strdup(id);
    query->explain = explain;
    query->wait_until_at = wait_s > 0 ? clock_now() + (gint64)wait_s * CLOCK_SECOND : 0;
    handler_post_query(request, query);
    return TRUE;
}

gboolean handle_events(struct request *request, GError **error)
{
    const char *id = target_get(&request->target, "id");
    guint object;
    if (!handler_get_word(request, "object", &watched_kind_words, OBJECT_KIND_COUNT, &object, error))
        return FALSE;
    struct event *event = event_new(EVENT_WATCH);
    event->object = object;
    event->id = g_strdup(id);
    request_post(request, event);
    return TRUE;
}

gboolean handle_remove(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    if (id == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_REMOVE);
    event->object = request->route->object;
    event->id = g_strdup(id);
    request_post(request, event);
    return TRUE;
}

gboolean handle_host_attach(struct request *request, GError **error)
{
    struct host_spec *spec = handler_decode(request, &host_spec_codec, error);
    if (spec == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_HOST_ATTACH);
    event->host_spec = spec;
    request_post(request, event);
    return TRUE;
}

gboolean handle_metrics(struct request *request, GError **error G_GNUC_UNUSED)
{
    request->content_type = METRICS_CONTENT_TYPE;
    handler_post_query(request, handler_query_new(request, QUERY_METRICS));
    return TRUE;
}

gboolean handle_ready(struct request *request, GError **error G_GNUC_UNUSED)
{
    handler_post_query(request, handler_query_new(request, QUERY_READY));
    return TRUE;
}

static void handler_answer_healthy(struct request *request)
{
    request_answer_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", "ok"));
}

/* Healthy is a core that answers: one that did so a moment ago, or does so within the deadline, whatever its answer is. */
gboolean handle_health(struct request *request, GError **error G_GNUC_UNUSED)
{
    struct api *api = request->api;
    const gint64 now = g_get_monotonic_time();
    pthread_mutex_lock(&api->lock);
    const gint64 answered_at = api->core_answered_at;
    pthread_mutex_unlock(&api->lock);
    if (answered_at > 0 && now - answered_at < HEALTH_FRESH_US) {
        handler_answer_healthy(request);
        return TRUE;
    }
    handler_post_query(request, handler_query_new(request, QUERY_READY));
    watch_add_deadline(api->watch, request->id, now + HEALTH_DEADLINE_US);
    return TRUE;
}

void finish_health(struct request *request)
{
    if (request->error != NULL && g_error_matches(request->error, HBR_ERROR, HBR_ERROR_TIMEOUT)) {
        request->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return;
    }
    g_clear_error(&request->error);
    handler_answer_healthy(request);
}

gboolean handle_version(struct request *request, GError **error G_GNUC_UNUSED)
{
    request_answer_json(request, MHD_HTTP_OK, json_pack("{s:s, s:s}", "version", request->api->version, "api", "v1"));
    return TRUE;
}
