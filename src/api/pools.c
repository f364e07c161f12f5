/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "base/error.h"

#define POOL_FLOOR_MAX 10000

/* What POST /v1/pools/ID/set takes. */
struct pool_floors {
    gboolean reset;
    guint running, paused, saved;
};

CODEC_DECLARE(pool_floors)

#define AT(member) G_STRUCT_OFFSET(struct pool_floors, member)

static const struct codec_field pool_floors_fields[] = {
    {"reset", CODEC_BOOL, AT(reset), 0, 0, 0, NULL, NULL},
    {"running", CODEC_UINT, AT(running), 0, 0, POOL_FLOOR_MAX, NULL, NULL},
    {"paused", CODEC_UINT, AT(paused), 0, 0, POOL_FLOOR_MAX, NULL, NULL},
    {"saved", CODEC_UINT, AT(saved), 0, 0, 1, NULL, NULL},
};

CODEC_DEFINE(pool_floors, pool_floors_fields)

/* And POST /v1/pools/ID/drain. */
struct pool_drain {
    gboolean drain;
};

CODEC_DECLARE(pool_drain)

static const struct codec_field pool_drain_fields[] = {
    {"drain", CODEC_BOOL, G_STRUCT_OFFSET(struct pool_drain, drain), CODEC_REQUIRED, 0, 0, NULL, NULL},
};

CODEC_DEFINE(pool_drain, pool_drain_fields)

static gboolean pool_has(const json_t *json, const char *member)
{
    return json_is_integer(json_object_get(json, member));
}

/* A floor of 0 is not the same as none given, so the document is looked at too. */
static struct pool_setting *pool_setting_from(const json_t *json, const struct pool_floors *floors, GError **error)
{
    const struct pool_setting setting = {
        .reset = floors->reset,
        .has_running = pool_has(json, "running"),
        .has_paused = pool_has(json, "paused"),
        .has_saved = pool_has(json, "saved"),
        .running = floors->running,
        .paused = floors->paused,
        .saved = floors->saved,
    };
    const gboolean has_floor = setting.has_running || setting.has_paused || setting.has_saved;
    if (has_floor != setting.reset)
        return g_memdup2(&setting, sizeof setting);
    hbr_error_set(error, HBR_ERROR_INVALID,
                  has_floor ? "/reset: stands beside floors; right would be one or the other"
                            : "/: asks for nothing; right would be running, paused or saved, "
                              "or \"reset\": true");
    return NULL;
}

static struct pool_setting *pool_setting_decode(const struct request *request, GError **error)
{
    json_auto_t *json =
        codec_parse(request->body != NULL ? request->body : "", request->body_length, request->route->body_max, error);
    g_autoptr(pool_floors_auto) floors =
        json != NULL ? codec_decode(&pool_floors_codec, json, "", CODEC_CLIENT, error) : NULL;
    return floors != NULL ? pool_setting_from(json, floors, error) : NULL;
}

gboolean handle_pool_set(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    struct pool_setting *setting = id != NULL ? pool_setting_decode(request, error) : NULL;
    if (setting == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_POOL_SET);
    event->id = g_strdup(id);
    event->pool_setting = setting;
    request_post(request, event);
    return TRUE;
}

gboolean handle_pool_drain(struct request *request, GError **error)
{
    const char *id = handler_get_id(request, error);
    g_autoptr(pool_drain_auto) wanted = id != NULL ? handler_decode(request, &pool_drain_codec, error) : NULL;
    if (wanted == NULL)
        return FALSE;
    struct event *event = event_new(EVENT_POOL_DRAIN);
    event->id = g_strdup(id);
    event->eof = wanted->drain;
    request_post(request, event);
    return TRUE;
}
