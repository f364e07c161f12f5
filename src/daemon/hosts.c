/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/hosts.h"

#include "base/clock.h"
#include "base/error.h"

#include <pthread.h>

/* One connection to one host: where its events go. Its number is on all of them, so that they can be told from those of another of that name. */
struct host_link {
    guint number;
    struct hypervisor *hypervisor;
    event_sink sink;
    gpointer sink_data;
};

struct hosts {
    const struct hypervisor_settings *settings;
    event_sink sink;
    gpointer sink_data;
    guint links_made;
    GHashTable *links;   /* name -> struct host_link */
    GHashTable *numbers; /* of the links in use */
    GPtrArray *partings; /* pthread_t: each lets go of one */
};

static void host_link_post(struct event *event, gpointer data)
{
    const struct host_link *link = data;
    event->link = link->number;
    link->sink(event, link->sink_data);
}

static void host_link_free(struct host_link *link)
{
    hypervisor_free(link->hypervisor);
    g_free(link);
}

struct hosts *hosts_new(const struct hypervisor_settings *settings, event_sink sink, gpointer sink_data)
{
    struct hosts *hosts = g_new0(struct hosts, 1);
    hosts->settings = settings;
    hosts->sink = sink;
    hosts->sink_data = sink_data;
    hosts->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    hosts->numbers = g_hash_table_new(NULL, NULL);
    hosts->partings = g_ptr_array_new();
    return hosts;
}

static void *hosts_part(void *link)
{
    host_link_free(link);
    return NULL;
}

/* Of the partings, those whose thread has ended. */
static void hosts_join_ended(struct hosts *hosts)
{
    for (guint i = hosts->partings->len; i > 0; i--) {
        pthread_t *thread = hosts->partings->pdata[i - 1];
        if (pthread_tryjoin_np(*thread, NULL) != 0)
            continue;
        g_ptr_array_remove_index_fast(hosts->partings, i - 1);
        g_free(thread);
    }
}

static void hosts_disconnect(struct hosts *hosts, const char *name)
{
    gpointer key, data;
    hosts_join_ended(hosts);
    if (!g_hash_table_steal_extended(hosts->links, name, &key, &data))
        return;
    struct host_link *link = data;
    g_free(key);
    g_hash_table_remove(hosts->numbers, GUINT_TO_POINTER(link->number));
    pthread_t *thread = g_new0(pthread_t, 1);
    const int code = pthread_create(thread, NULL, hosts_part, link);
    if (code != 0)
        g_error("no thread can be started to let go of host %s: %s", name, g_strerror(code));
    g_ptr_array_add(hosts->partings, thread);
}

static void hosts_post_down(struct hosts *hosts, const char *name, GError *error)
{
    struct event *event = event_new(EVENT_HOST_DOWN);
    event->host = g_strdup(name);
    event->error = error;
    hosts->sink(event, hosts->sink_data);
}

static void hosts_connect(struct hosts *hosts, gint64 now, struct command *command)
{
    hosts_disconnect(hosts, command->host);
    GError *error = NULL;
    struct host_link *link = g_new0(struct host_link, 1);
    *link = (struct host_link){.number = ++hosts->links_made, .sink = hosts->sink, .sink_data = hosts->sink_data};
    link->hypervisor = hypervisor_new(command->host_spec, hosts->settings, host_link_post, link, &error);
    if (link->hypervisor == NULL) {
        hosts_post_down(hosts, command->host, error);
        g_free(link);
        command_free(command);
        return;
    }
    g_hash_table_insert(hosts->links, g_strdup(command->host), link);
    g_hash_table_add(hosts->numbers, GUINT_TO_POINTER(link->number));
    hypervisor_submit(link->hypervisor, now, command);
}

/* What an unreachable host would answer. */
static struct event *hosts_answer_for_lost(const struct command *command)
{
    static const struct {
        enum command_kind command;
        enum event_kind event;
    } answers[] = {
        {COMMAND_BOOT, EVENT_INSTANCE_FAILED},       {COMMAND_ADOPT, EVENT_INSTANCE_FAILED},
        {COMMAND_SHAPE, EVENT_INSTANCE_SHAPED},      {COMMAND_STDIN, EVENT_STDIN_TAKEN},
        {COMMAND_DESTROY, EVENT_INSTANCE_DESTROYED}, {COMMAND_RUN, EVENT_RUN_EXIT},
        {COMMAND_PAUSE, EVENT_INSTANCE_PAUSED},      {COMMAND_CLAIM, EVENT_INSTANCE_FAILED},
        {COMMAND_SAVE, EVENT_INSTANCE_SAVED},        {COMMAND_STAGE, EVENT_STAGED},
        {COMMAND_MIGRATE, EVENT_INSTANCE_MIGRATED},
    };
    for (guint i = 0; i < G_N_ELEMENTS(answers); i++) {
        if (answers[i].command != command->kind)
            continue;
        struct event *event = event_new(answers[i].event);
        event->host = g_strdup(command->host);
        event->id = g_strdup(command->id);
        event->execution_id = g_strdup(command->execution_id);
        event->serial = command->serial;
        event->request = command->request;
        if (command->kind == COMMAND_RUN) {
            event->result = g_new0(struct run_result, 1);
            event->result->reason = EXIT_LOST;
        } else if (command->kind != COMMAND_DESTROY) {
            event->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "host %s is not connected", command->host);
        }
        return event;
    }
    return NULL;
}

static void hosts_route(struct hosts *hosts, gint64 now, struct command *command)
{
    struct host_link *link = g_hash_table_lookup(hosts->links, command->host);
    if (link != NULL) {
        hypervisor_submit(link->hypervisor, now, command);
        return;
    }
    struct event *answer = hosts_answer_for_lost(command);
    if (answer != NULL)
        hosts->sink(answer, hosts->sink_data);
    command_free(command);
}

void hosts_submit(struct hosts *hosts, gint64 now, struct command *command)
{
    if (command->kind == COMMAND_HOST_CONNECT) {
        hosts_connect(hosts, now, command);
    } else if (command->kind == COMMAND_HOST_DISCONNECT) {
        hosts_disconnect(hosts, command->host);
        command_free(command);
    } else {
        hosts_route(hosts, now, command);
    }
}

gint64 hosts_next_at(const struct hosts *hosts)
{
    gint64 next_at = CLOCK_NEVER;
    GHashTableIter iter;
    gpointer link;
    g_hash_table_iter_init(&iter, hosts->links);
    while (g_hash_table_iter_next(&iter, NULL, &link))
        next_at = MIN(next_at, hypervisor_next_at(((struct host_link *)link)->hypervisor));
    return next_at;
}

void hosts_advance(struct hosts *hosts, gint64 now)
{
    GHashTableIter iter;
    gpointer link;
    g_hash_table_iter_init(&iter, hosts->links);
    while (g_hash_table_iter_next(&iter, NULL, &link))
        hypervisor_advance(((struct host_link *)link)->hypervisor, now);
}

gboolean hosts_is_stale(const struct hosts *hosts, const struct event *event)
{
    return event->link != 0 && !g_hash_table_contains(hosts->numbers, GUINT_TO_POINTER(event->link));
}

void hosts_free(struct hosts *hosts)
{
    if (hosts == NULL)
        return;
    for (guint i = 0; i < hosts->partings->len; i++) {
        pthread_join(*(pthread_t *)hosts->partings->pdata[i], NULL);
        g_free(hosts->partings->pdata[i]);
    }
    GHashTableIter iter;
    gpointer link;
    g_hash_table_iter_init(&iter, hosts->links);
    while (g_hash_table_iter_next(&iter, NULL, &link))
        host_link_free(link);
    g_ptr_array_unref(hosts->partings);
    g_hash_table_unref(hosts->numbers);
    g_hash_table_unref(hosts->links);
    g_free(hosts);
}
