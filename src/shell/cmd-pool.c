/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/views.h"

#define POOL_FLOOR_MAX 10000

#define POOL_OPTION                                                                                       \
    {                                                                                                     \
        "pool", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "POOL", "its id, NAME@HOST", 0, 0, \
            complete_pool                                                                                 \
    }

static const struct command_option info_options[] = {POOL_OPTION};

static const struct command_option set_options[] = {
    POOL_OPTION,
    {"running", 0, OPTION_INT, 0, "COUNT", "instances that run idle", 0, POOL_FLOOR_MAX, NULL},
    {"paused", 0, OPTION_INT, 0, "COUNT", "suspended instances", 0, POOL_FLOOR_MAX, NULL},
    {"saved", 0, OPTION_INT, 0, "COUNT", "1: a saved state, from which clones are made", 0, 1, NULL},
    {"reset", 0, OPTION_BOOL, 0, NULL, "back to what the policy says", 0, 0, NULL},
};

static const struct command_option drain_options[] = {
    POOL_OPTION,
    {"end", 0, OPTION_BOOL, 0, NULL, "let it fill again", 0, 0, NULL},
};

static gboolean pool_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    g_autoptr(json_auto) answer = session_list(session, HBR_POOL, NULL, error);
    if (answer == NULL)
        return FALSE;
    output_list(&session->output, &pool_list_view, answer);
    return TRUE;
}

static gboolean pool_info_run(struct session *session, const struct arguments *arguments, GError **error)
{
    g_autoptr(json_auto) pool = session_get(session, HBR_POOL, arguments_string(arguments, "pool"), error);
    if (pool == NULL)
        return FALSE;
    output_object(&session->output, &pool_view, pool);
    return TRUE;
}

/* NULL with SHELL_ERROR_USAGE. */
static json_t *pool_setting_new(const struct arguments *arguments, GError **error)
{
    static const char *const stocks[] = {"running", "paused", "saved"};
    g_autoptr(json_auto) setting = json_object();
    for (guint i = 0; i < G_N_ELEMENTS(stocks); i++)
        if (arguments_has(arguments, stocks[i]))
            json_object_set_new(setting, stocks[i], json_integer(arguments_number(arguments, stocks[i])));
    const gboolean has_floor = json_object_size(setting) > 0, reset = arguments_has(arguments, "reset");
    if (has_floor == reset) {
        failure_usage(error, has_floor ? "--reset goes without the others"
                                       : "there is nothing to set: give --running, --paused, --saved, or --reset");
        return NULL;
    }
    if (reset)
        json_object_set_new(setting, "reset", json_true());
    return g_steal_pointer(&setting);
}

/* What the daemon says of the pool after a change. */
static gboolean pool_tell(struct session *session, bool done, char *text, struct hbr_error *remote, GError **error)
{
    if (!done)
        return failure_take(remote, error);
    g_autoptr(json_auto) pool = session_parse(text, error);
    if (pool == NULL)
        return FALSE;
    const char *id = output_string_at(pool, "id");
    const json_t *target = json_object_get(pool, "target");
    const gboolean draining = json_is_true(json_object_get(pool, "draining"));
    output_result(&session->output, pool, id, "%s: %starget %.0f running, %.0f paused, %.0f saved", id,
                  draining ? "draining, " : "", output_number_at(target, "running"), output_number_at(target, "paused"),
                  output_number_at(target, "saved"));
    return TRUE;
}

static gboolean pool_set_run(struct session *session, const struct arguments *arguments, GError **error)
{
    g_autoptr(json_auto) setting = pool_setting_new(arguments, error);
    struct hbr_client *client = setting != NULL ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL, *json = json_dumps(setting, JSON_COMPACT);
    const bool done = hbr_pool_set(client, arguments_string(arguments, "pool"), json, &text, &remote);
    free(json);
    return pool_tell(session, done, text, &remote, error);
}

static gboolean pool_drain_run(struct session *session, const struct arguments *arguments, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    const bool done =
        hbr_pool_drain(client, arguments_string(arguments, "pool"), !arguments_has(arguments, "end"), &text, &remote);
    return pool_tell(session, done, text, &remote, error);
}

static const struct command pool_commands[] = {
    {"pool-list", "list pools, the instances that are kept warm",
     "One for each pool of the policy and each host. STOCK and TARGET are running, paused and saved ones.",
     pool_list_run, COMMAND_NO_OPTIONS, FALSE},
    {"pool-info", "show a pool",
     "With the reasons for its target, its misses by reason, and how the paths kept what was predicted of them.",
     pool_info_run, COMMAND_OPTIONS(info_options), FALSE},
    {"pool-set", "set how many instances a pool keeps at least",
     "In place of the policy's numbers, until the policy changes or the daemon is restarted.", pool_set_run,
     COMMAND_OPTIONS(set_options), FALSE},
    {"pool-drain", "empty a pool and keep it empty",
     "Its warm instances and saved states go, and none is made until it is told to fill again by --end.",
     pool_drain_run, COMMAND_OPTIONS(drain_options), FALSE},
};

const struct command_group pool_group = {"pools", "Warm pools", pool_commands, G_N_ELEMENTS(pool_commands)};
