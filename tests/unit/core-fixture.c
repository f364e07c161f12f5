/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core-fixture.h"

#include "base/clock.h"

#include <check.h>
#include <string.h>

struct taken {
    struct command *command;
    gboolean is_taken;
};

static void taken_free(gpointer data)
{
    struct taken *taken = data;
    command_free(taken->command);
    g_free(taken);
}

static void world_sink(struct command *command, gpointer data)
{
    struct world *world = data;
    if (command->kind == COMMAND_PERSIST) {
        g_ptr_array_add(world->persists, command);
        return;
    }
    struct taken *taken = g_new0(struct taken, 1);
    taken->command = command;
    g_ptr_array_add(world->commands, taken);
}

static struct policy *world_read_policy(const char *file, GPtrArray **ret_sources)
{
    g_autofree char *path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "policies", file, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) sources = policy_sources_read(path, &error);
    struct policy *policy = sources != NULL ? policy_parse(sources, &error) : NULL;
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : path);
    if (ret_sources != NULL)
        *ret_sources = g_steal_pointer(&sources);
    return policy;
}

struct event *world_load_policy(struct world *world, const char *file)
{
    struct event *event = event_new(EVENT_POLICY_LOAD);
    event->request = ++world->request;
    event->policy = world_read_policy(file, &event->policy_sources);
    return event;
}

struct event *world_query(struct world *world, const char *object, const char *id)
{
    struct event *event = event_new(EVENT_QUERY);
    event->request = ++world->request;
    event->query = g_new0(struct query, 1);
    event->query->kind = id != NULL ? QUERY_GET : QUERY_LIST;
    event->query->object = (enum object_kind)codec_value(&object_kind_words, object);
    event->query->id = g_strdup(id);
    return event;
}

gint64 (*world_stopwatch)(void);

struct world *world_new(const char *policy_file)
{
    return world_new_of(world_read_policy(policy_file, NULL));
}

struct world *world_new_of(struct policy *policy)
{
    struct world *world = g_new0(struct world, 1);
    world->policy = policy;
    world->commands = g_ptr_array_new_with_free_func(taken_free);
    world->records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    world->persists = g_ptr_array_new_with_free_func((GDestroyNotify)command_free);
    world->now = G_GINT64_CONSTANT(1700000000) * CLOCK_SECOND;
    const struct core_settings settings = {
        .owner = "owner-1", .seed = 7, .sink = world_sink, .sink_data = world, .stopwatch = world_stopwatch};
    world->core = core_new(&settings, world->policy, world->now);
    return world;
}

void world_free(struct world *world)
{
    core_free(world->core);
    g_ptr_array_unref(world->commands);
    g_ptr_array_unref(world->records);
    g_ptr_array_unref(world->persists);
    policy_unref(world->policy);
    g_free(world);
}

/* As the store does: the records of a failure come back. */
static void world_answer_commits(struct world *world)
{
    while (world->persists->len > 0 && !world->holds_commits) {
        g_autoptr(command_auto) persist = g_ptr_array_steal_index(world->persists, 0);
        struct event *event = event_new(world->fails_commits ? EVENT_COMMIT_FAILED : EVENT_COMMITTED);
        event->serial = persist->serial;
        if (world->fails_commits)
            event->records = g_steal_pointer(&persist->records);
        else
            g_ptr_array_extend_and_steal(world->records, g_steal_pointer(&persist->records));
        core_handle(world->core, event, world->now);
    }
}

void world_event(struct world *world, struct event *event)
{
    core_handle(world->core, event, world->now);
    world_answer_commits(world);
}

void world_pass(struct world *world, gint64 ms)
{
    const gint64 until = world->now + ms * CLOCK_MS;
    while (core_next_at(world->core) <= until) {
        world->now = MAX(world->now, core_next_at(world->core));
        world_event(world, event_new(EVENT_TICK));
    }
    world->now = until;
}

void world_add_host(struct world *world, const char *name, guint cpus, guint memory_mib)
{
    struct event *attach = event_new(EVENT_HOST_ATTACH);
    attach->host_spec = g_new0(struct host_spec, 1);
    attach->host_spec->name = g_strdup(name);
    attach->host_spec->uri = g_strdup("sim:test");
    attach->host_spec->cpu_overcommit = 1;
    world_event(world, attach);
    struct event *up = event_new(EVENT_HOST_UP);
    up->host = g_strdup(name);
    up->host_report = g_new0(struct host_report, 1);
    *up->host_report = (struct host_report){.cpus = cpus, .memory_mib = memory_mib, .acceleration = ACCELERATION_MODEL};
    world_event(world, up);
}

static struct event *world_notification(struct world *world, const char *json)
{
    g_autoptr(GError) error = NULL;
    struct event *event = event_new(EVENT_NOTIFY);
    event->request = ++world->request;
    event->notification = codec_decode_text(&notification_codec, json, strlen(json), 65536, CODEC_CLIENT, &error);
    ck_assert_msg(event->notification != NULL, "%s", error != NULL ? error->message : "");
    return event;
}

guint64 world_notify(struct world *world, const char *json)
{
    world_event(world, world_notification(world, json));
    return world->request;
}

guint64 world_notify_together(struct world *world, const char *const *json, guint count)
{
    GQueue events = G_QUEUE_INIT;
    for (guint i = 0; i < count; i++)
        g_queue_push_tail(&events, world_notification(world, json[i]));
    core_handle_all(world->core, &events, world->now);
    world_answer_commits(world);
    return world->request - count + 1;
}

guint64 world_get(struct world *world, const char *reservation_id)
{
    struct event *event = event_new(EVENT_QUERY);
    event->request = ++world->request;
    event->query = g_new0(struct query, 1);
    event->query->kind = QUERY_GET;
    event->query->object = OBJECT_RESERVATION;
    event->query->id = g_strdup(reservation_id);
    world_event(world, event);
    return world->request;
}

guint64 world_execute(struct world *world, const char *json)
{
    g_autoptr(GError) error = NULL;
    struct event *event = event_new(EVENT_EXECUTE);
    event->request = ++world->request;
    event->execution_request =
        codec_decode_text(&execution_request_codec, json, strlen(json), 65536, CODEC_CLIENT, &error);
    ck_assert_msg(event->execution_request != NULL, "%s", error != NULL ? error->message : "");
    world_event(world, event);
    return world->request;
}

struct command *world_take(struct world *world, enum command_kind kind, guint64 request)
{
    for (guint i = 0; i < world->commands->len; i++) {
        struct taken *taken = world->commands->pdata[i];
        if (taken->is_taken || taken->command->kind != kind || (request != 0 && taken->command->request != request))
            continue;
        taken->is_taken = TRUE;
        return taken->command;
    }
    return NULL;
}

struct command *world_expect(struct world *world, enum command_kind kind, guint64 request)
{
    struct command *command = world_take(world, kind, request);
    ck_assert_msg(command != NULL, "no command %s", codec_word(&command_kind_words, kind));
    return command;
}

struct event *world_answer(enum event_kind kind, const struct command *to)
{
    struct event *event = event_new(kind);
    event->host = g_strdup(to->host);
    event->id = g_strdup(to->id);
    event->execution_id = g_strdup(to->execution_id);
    event->serial = to->serial;
    event->request = to->request;
    return event;
}

const char *world_boot(struct world *world)
{
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, boot);
    ready->shape = boot->boot->shape;
    world_event(world, ready);
    return boot->id;
}

char *world_body_string(const struct command *command, const char *path)
{
    gsize length;
    const char *text = g_bytes_get_data(command->body, &length);
    json_t *json = json_loadb(text, length, 0, NULL);
    ck_assert_ptr_nonnull(json);
    g_auto(GStrv) names = g_strsplit(path, ".", -1);
    json_t *at = json;
    for (char **name = names; *name != NULL && at != NULL; name++)
        at = json_object_get(at, *name);
    char *value = json_is_string(at) ? g_strdup(json_string_value(at))
                  : at != NULL       ? json_dumps(at, JSON_ENCODE_ANY)
                                     : NULL;
    char *copy = g_strdup(value);
    if (json_is_string(at))
        g_free(value);
    else
        free(value);
    json_decref(json);
    return copy;
}
