/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "base/error.h"

#include <string.h>

#define MODEL_CONTENT_TYPE "application/octet-stream"
#define RECORD_CONTENT_TYPE "application/json"
#define MODEL_LATEST "latest"

static struct registry *models_get(const struct request *request, GError **error)
{
    if (request->api->models == NULL)
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "this daemon learns no models: its configuration has models=0");
    return request->api->models;
}

static gboolean model_get_version(const struct request *request, guint *ret_version, GError **error)
{
    guint64 version;
    const char *text = request->target.segments[2];
    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &version, NULL)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "\"%s\" is not a version of the model; right would be a number", text);
        return FALSE;
    }
    *ret_version = (guint)version;
    return TRUE;
}

gboolean handle_model_list(struct request *request, GError **error)
{
    struct registry *models = models_get(request, error);
    if (models == NULL)
        return FALSE;
    GString *text = g_string_new(NULL);
    registry_write_list(models, text);
    request_answer(request, MHD_HTTP_OK, RECORD_CONTENT_TYPE, g_string_free_to_bytes(text));
    return TRUE;
}

gboolean handle_model_get(struct request *request, GError **error)
{
    struct registry *models = models_get(request, error);
    guint version;
    if (models == NULL || !model_get_version(request, &version, error))
        return FALSE;
    char *text = registry_describe(models, version, error);
    if (text == NULL)
        return FALSE;
    request_answer(request, MHD_HTTP_OK, RECORD_CONTENT_TYPE, g_bytes_new_take(text, strlen(text)));
    return TRUE;
}

gboolean handle_model_content(struct request *request, GError **error)
{
    struct registry *models = models_get(request, error);
    guint version;
    if (models == NULL || !model_get_version(request, &version, error))
        return FALSE;
    GBytes *content = registry_read(models, version, error);
    if (content == NULL)
        return FALSE;
    request_answer(request, MHD_HTTP_OK, MODEL_CONTENT_TYPE, content);
    return TRUE;
}

gboolean handle_model_train(struct request *request, GError **error)
{
    gboolean wait;
    if (models_get(request, error) == NULL || !handler_get_flag(request, "wait", &wait, error))
        return FALSE;
    struct event *event = event_new(EVENT_MODEL_TRAIN);
    event->eof = wait;
    request_post(request, event);
    return TRUE;
}

gboolean handle_model_serve(struct request *request, GError **error)
{
    const gboolean is_latest = strcmp(request->target.segments[2], MODEL_LATEST) == 0;
    guint version = 0;
    if (models_get(request, error) == NULL || (!is_latest && !model_get_version(request, &version, error)))
        return FALSE;
    struct event *event = event_new(EVENT_MODEL_SERVE);
    event->count = is_latest ? -1 : (gint64)version;
    request_post(request, event);
    return TRUE;
}

gboolean handle_model_import(struct request *request, GError **error)
{
    gboolean serve;
    if (models_get(request, error) == NULL || !handler_get_flag(request, "serve", &serve, error))
        return FALSE;
    if (request->body_length == 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "/: there is no model; right would be the content of one in the body");
        return FALSE;
    }
    struct event *event = event_new(EVENT_MODEL_IMPORT);
    event->eof = serve;
    event->bytes = request_take_body(request);
    request_post(request, event);
    return TRUE;
}

/* The core's figures, and the learner's. */
void finish_metrics(struct request *request)
{
    if (request->error != NULL || request->answer == NULL || request->api->learner == NULL)
        return;
    gsize length;
    const char *core = g_bytes_get_data(request->answer, &length);
    GString *text = g_string_new_len(core, (gssize)length);
    learner_write_metrics(request->api->learner, text);
    g_bytes_unref(request->answer);
    request->answer = g_string_free_to_bytes(text);
}
