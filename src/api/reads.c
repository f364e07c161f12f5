/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "base/error.h"
#include "base/log.h"

#include <string.h>

#define HISTORY_MAX 1000
#define ACCURACY_RUNS_MAX 100000
#define ACCURACY_POINTS_MAX 2000
#define LIST_DEFAULT 1000
#define POLICY_FILES_MAX 256

static gboolean answer_member(struct request *request, const char *name, json_t *value)
{
    if (value == NULL)
        return FALSE;
    request_answer_json(request, MHD_HTTP_OK, json_pack("{s:o}", name, value));
    return TRUE;
}

gboolean handle_history(struct request *request, GError **error)
{
    guint64 limit;
    if (!handler_get_number(request, "limit", 1, HISTORY_MAX, 0, &limit, error))
        return FALSE;
    const struct store_history_query query = {
        .function = target_get(&request->target, "function"),
        .tenant = target_get(&request->target, "tenant"),
        .limit = (guint)limit,
    };
    return answer_member(request, "history", store_read_history(request->api->store, &query, error));
}

static gboolean accuracy_query(const struct request *request, guint limit_max, struct store_accuracy_query *ret_query,
                               GError **error)
{
    guint by;
    guint64 limit;
    gint64 since_at;
    if (!handler_get_word(request, "by", &accuracy_by_words, ACCURACY_BY_FUNCTION, &by, error) ||
        !handler_get_time(request, "since", &since_at, error) ||
        !handler_get_number(request, "limit", 1, limit_max, 0, &limit, error))
        return FALSE;
    *ret_query = (struct store_accuracy_query){
        .by = by,
        .function = target_get(&request->target, "function"),
        .tenant = target_get(&request->target, "tenant"),
        .language = target_get(&request->target, "language"),
        .since_at = since_at,
        .limit = (guint)limit,
    };
    return TRUE;
}

static gboolean answer_whole(struct request *request, json_t *json)
{
    if (json == NULL)
        return FALSE;
    request_answer_json(request, MHD_HTTP_OK, json);
    return TRUE;
}

gboolean handle_accuracy(struct request *request, GError **error)
{
    struct store_accuracy_query query;
    return accuracy_query(request, ACCURACY_RUNS_MAX, &query, error) &&
           answer_whole(request, store_read_accuracy(request->api->store, &query, error));
}

gboolean handle_accuracy_points(struct request *request, GError **error)
{
    struct store_accuracy_query query;
    return accuracy_query(request, ACCURACY_POINTS_MAX, &query, error) &&
           answer_whole(request, store_read_accuracy_points(request->api->store, &query, error));
}

/* What POST /v1/policies takes. */
struct policy_upload {
    GPtrArray *files; /* struct policy_source */
};

CODEC_DECLARE(policy_upload)

static const struct codec_field policy_upload_fields[] = {
    {"files", CODEC_LIST, G_STRUCT_OFFSET(struct policy_upload, files), CODEC_REQUIRED, 0, POLICY_FILES_MAX,
     &policy_source_codec, NULL},
};

CODEC_DEFINE(policy_upload, policy_upload_fields)

static void policy_source_destroy(gpointer source)
{
    policy_source_free(source);
}

/* The files of the body, as an array that frees its elements. */
static GPtrArray *policy_decode(const struct request *request, GError **error)
{
    g_autoptr(policy_upload_auto) upload =
        codec_decode_text(&policy_upload_codec, request->body != NULL ? request->body : "", request->body_length,
                          request->route->body_max, CODEC_CLIENT, error);
    if (upload == NULL)
        return NULL;
    GPtrArray *files = g_steal_pointer(&upload->files);
    if (files == NULL)
        files = g_ptr_array_new();
    g_ptr_array_set_free_func(files, policy_source_destroy);
    return files;
}

gboolean handle_policy_load(struct request *request, GError **error)
{
    gboolean check;
    if (!handler_get_flag(request, "check", &check, error))
        return FALSE;
    g_autoptr(GPtrArray) sources = policy_decode(request, error);
    if (sources == NULL)
        return FALSE;
    g_autoptr(policy_auto) policy = policy_parse(sources, error);
    if (policy == NULL)
        return FALSE;
    if (check) {
        request_answer_json(request, MHD_HTTP_OK, json_pack("{s:b}", "valid", 1));
        return TRUE;
    }
    struct event *event = event_new(EVENT_POLICY_LOAD);
    event->policy = g_steal_pointer(&policy);
    event->policy_sources = g_steal_pointer(&sources);
    request_post(request, event);
    return TRUE;
}

gboolean handle_policy_list(struct request *request, GError **error)
{
    return answer_member(request, "policies", store_read_policies(request->api->store, error));
}

/* The sources of the current policy. NULL with HBR_ERROR_NOT_FOUND when none was ever loaded. */
static GPtrArray *policy_load_current(struct store *store, guint *ret_version, GError **error)
{
    g_autoptr(GError) problem = NULL;
    GPtrArray *sources = store_load_policy(store, ret_version, &problem);
    if (sources != NULL)
        return sources;
    if (problem != NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    else
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "no policy has been loaded");
    return NULL;
}

static GPtrArray *policy_load_named(struct store *store, const char *name, guint *ret_version, GError **error)
{
    guint64 version;
    if (strcmp(name, "current") == 0)
        return policy_load_current(store, ret_version, error);
    if (!g_ascii_string_to_unsigned(name, 10, 1, G_MAXUINT32, &version, NULL)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "\"%s\" is not a policy version; right would be a number or current",
                      name);
        return NULL;
    }
    *ret_version = (guint)version;
    return store_load_policy_version(store, (guint)version, error);
}

static json_t *policy_files_to_json(const GPtrArray *sources)
{
    json_t *files = json_array();
    for (guint i = 0; i < sources->len; i++)
        json_array_append_new(files, codec_encode(&policy_source_codec, sources->pdata[i], CODEC_CLIENT));
    return files;
}

gboolean handle_policy_get(struct request *request, GError **error)
{
    guint version = 0;
    g_autoptr(GPtrArray) sources = policy_load_named(request->api->store, request->target.segments[2], &version, error);
    if (sources == NULL)
        return FALSE;
    g_autoptr(policy_auto) policy = policy_parse(sources, error);
    if (policy == NULL)
        return FALSE;
    request_answer_json(request, MHD_HTTP_OK,
                        json_pack("{s:I, s:o, s:o}", "version", (json_int_t)version, "files",
                                  policy_files_to_json(sources), "policy", policy_to_json(policy)));
    return TRUE;
}

gboolean handle_profile_list(struct request *request, GError **error)
{
    guint version;
    g_autoptr(GPtrArray) sources = policy_load_current(request->api->store, &version, error);
    if (sources == NULL)
        return FALSE;
    g_autoptr(policy_auto) policy = policy_parse(sources, error);
    if (policy == NULL)
        return FALSE;
    json_t *json = policy_profiles_to_json(policy);
    json_object_set_new(json, "version", json_integer(version));
    request_answer_json(request, MHD_HTTP_OK, json);
    return TRUE;
}

static const char *object_key(enum object_kind object)
{
    return object == OBJECT_HOST ? "name" : "id";
}

/* Hosts are known by the name in their specification. */
static const char *object_name(enum object_kind object, const json_t *json)
{
    const json_t *spec = object == OBJECT_HOST ? json_object_get(json, "spec") : json;
    return json_string_value(json_object_get(spec, object_key(object)));
}

static gboolean list_wants(const struct request *request, const json_t *item, GHashTable *seen)
{
    const char *state = target_get(&request->target, "state");
    const char *name = object_name(request->route->object, item);
    if (name == NULL || g_hash_table_contains(seen, name))
        return FALSE;
    return state == NULL || g_strcmp0(json_string_value(json_object_get(item, "state")), state) == 0;
}

/* Appends to the core's list what only the database still knows. */
static void list_append_stored(const struct request *request, json_t *list, const json_t *stored, gsize limit)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    gsize index;
    json_t *item;
    json_array_foreach (list, index, item) {
        const char *name = object_name(request->route->object, item);
        if (name != NULL)
            g_hash_table_add(seen, (gpointer)name);
    }
    json_array_foreach (stored, index, item) {
        if (json_array_size(list) >= limit)
            return;
        if (list_wants(request, item, seen))
            json_array_append(list, item);
    }
}

static gsize list_limit(const struct request *request)
{
    const char *limit = target_get(&request->target, "limit");
    return limit != NULL ? (gsize)g_ascii_strtoull(limit, NULL, 10) : LIST_DEFAULT;
}

void finish_list(struct request *request)
{
    if (request->error != NULL || request->answer == NULL ||
        g_strcmp0(target_get(&request->target, "all"), "true") != 0)
        return;
    gsize length;
    const char *text = g_bytes_get_data(request->answer, &length);
    json_auto_t *answer = json_loadb(text, length, 0, NULL);
    json_t *list = json_object_get(answer, request->target.segments[1]);
    const gsize limit = list_limit(request);
    if (!json_is_array(list) || json_array_size(list) >= limit)
        return;
    g_autoptr(GError) error = NULL;
    json_auto_t *stored =
        store_read_objects(request->api->store, request->route->object, target_get(&request->target, "function"),
                           target_get(&request->target, "tenant"), LIST_DEFAULT, &error);
    if (stored == NULL) {
        request->error = g_steal_pointer(&error);
        return;
    }
    list_append_stored(request, list, stored, limit);
    request_answer_json(request, MHD_HTTP_OK, g_steal_pointer(&answer));
}

void finish_get(struct request *request)
{
    if (!g_error_matches(request->error, HBR_ERROR, HBR_ERROR_NOT_FOUND))
        return;
    g_autoptr(GError) error = NULL;
    json_t *stored =
        store_read_object(request->api->store, request->route->object, request->target.segments[2], &error);
    if (stored != NULL) {
        g_clear_error(&request->error);
        request_answer_json(request, MHD_HTTP_OK, stored);
    } else if (!g_error_matches(error, HBR_ERROR, HBR_ERROR_NOT_FOUND)) {
        g_clear_error(&request->error);
        request->error = g_steal_pointer(&error);
    }
}
