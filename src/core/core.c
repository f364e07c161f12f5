/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

static int timer_compare(gconstpointer a, gconstpointer b, gpointer data G_GNUC_UNUSED)
{
    const gint64 x = ((const struct timer *)a)->at, y = ((const struct timer *)b)->at;
    return (x > y) - (x < y);
}

static void timer_free(gpointer data)
{
    struct timer *timer = data;
    g_free(timer->id);
    g_free(timer);
}

static void function_queue_free(gpointer queue)
{
    g_queue_free(queue);
}

static void waiter_list_free(gpointer list)
{
    g_ptr_array_unref(list);
}

static void pending_commit_free(gpointer data)
{
    struct pending_commit *commit = data;
    g_ptr_array_unref(commit->replies);
    policy_unref(commit->policy);
    g_free(commit);
}

#define CORE_FUNCTIONS_MAX 100000

struct core *core_new(const struct core_settings *settings, struct policy *policy, gint64 now)
{
    struct core *core = g_new0(struct core, 1);
    core->settings = *settings;
    core->owner = g_strdup(settings->owner);
    core->random = g_rand_new_with_seed(settings->seed);
    core->now = now;
    core->policy = policy_ref(policy);
    core->predictor = predictor_new(CORE_FUNCTIONS_MAX);
    predictor_set_prior(core->predictor, settings->prior);
    core->latencies = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    core->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)host_entry_free);
    core->pools = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)pool_entry_free);
    core->kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, function_queue_free);
    core->tenant_boots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    core->instances = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)instance_entry_free);
    core->reservations = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)reservation_entry_free);
    core->executions = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)execution_entry_free);
    core->keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    core->by_function = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, function_queue_free);
    core->waiting = g_sequence_new(NULL);
    core->streams = g_hash_table_new(g_int64_hash, g_int64_equal);
    core->watchers = g_ptr_array_new_with_free_func(watcher_free);
    core->waiters = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, waiter_list_free);
    core->short_executions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    core->waiter_ids = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    core->timers = g_sequence_new(timer_free);
    core->dirty_reservations = g_ptr_array_new();
    core->dirty_instances = g_ptr_array_new();
    core->dirty_executions = g_ptr_array_new();
    core->dirty_hosts = g_ptr_array_new();
    core->commits = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, pending_commit_free);
    core->commit_replies = g_ptr_array_new_with_free_func((GDestroyNotify)command_free);
    core->commit_records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    core->unwritten_records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    core->unwritten = g_ptr_array_new_with_free_func(g_free);
    g_queue_init(&core->finished);
    return core;
}

void core_free(struct core *core)
{
    if (core == NULL)
        return;
    g_sequence_free(core->waiting);
    g_hash_table_unref(core->pools);
    g_hash_table_unref(core->kept);
    g_hash_table_unref(core->tenant_boots);
    g_hash_table_unref(core->by_function);
    g_hash_table_unref(core->streams);
    g_ptr_array_unref(core->watchers);
    g_hash_table_unref(core->executions);
    g_hash_table_unref(core->reservations);
    g_hash_table_unref(core->instances);
    g_hash_table_unref(core->hosts);
    g_hash_table_unref(core->keys);
    g_hash_table_unref(core->waiters);
    g_hash_table_unref(core->short_executions);
    g_hash_table_unref(core->waiter_ids);
    g_hash_table_unref(core->commits);
    g_hash_table_unref(core->latencies);
    g_sequence_free(core->timers);
    g_ptr_array_unref(core->dirty_reservations);
    g_ptr_array_unref(core->dirty_instances);
    g_ptr_array_unref(core->dirty_executions);
    g_ptr_array_unref(core->dirty_hosts);
    g_ptr_array_unref(core->commit_replies);
    g_ptr_array_unref(core->commit_records);
    g_ptr_array_unref(core->unwritten);
    g_ptr_array_unref(core->unwritten_records);
    policy_unref(core->commit_policy);
    g_queue_clear_full(&core->finished, g_free);
    predictor_free(core->predictor);
    policy_unref(core->policy);
    g_rand_free(core->random);
    g_free(core->owner);
    g_free(core);
}

void core_learn(struct core *core, const struct observation *observation)
{
    predictor_observe(core->predictor, core->policy, observation);
}

void core_set_string(char **slot, const char *value)
{
    char *copy = g_strdup(value);
    g_free(*slot);
    *slot = copy;
}

void core_emit(struct core *core, struct command *command)
{
    core->settings.sink(command, core->settings.sink_data);
}

struct command *core_command_for(const char *host, enum command_kind kind, const char *id)
{
    struct command *command = command_new(kind);
    command->host = g_strdup(host);
    command->id = g_strdup(id);
    return command;
}

void core_wake_at(struct core *core, gint64 at, enum object_kind object, const char *id)
{
    if (at == 0 || at == CLOCK_NEVER)
        return;
    struct timer *timer = g_new0(struct timer, 1);
    timer->at = at;
    timer->object = object;
    timer->id = g_strdup(id);
    g_sequence_insert_sorted(core->timers, timer, timer_compare, NULL);
}

gint64 core_next_at(const struct core *core)
{
    GSequenceIter *first = g_sequence_get_begin_iter(core->timers);
    return g_sequence_iter_is_end(first) ? CLOCK_NEVER : ((struct timer *)g_sequence_get(first))->at;
}

static char *latency_key(enum path path, const char *template, const char *host, guint vcpus_added)
{
    char added[16] = "";
    if (vcpus_added > 0)
        g_snprintf(added, sizeof added, "+%u", vcpus_added);
    return g_strconcat(codec_word(&path_words, path), added, " ", template, "@", host, NULL);
}

/* Only what was seen has an entry: names that clients make up take no memory. */
static void latency_learn(struct core *core, char *key, gint64 duration_ms, gint64 at)
{
    struct latency *latency = g_hash_table_lookup(core->latencies, key);
    if (latency == NULL) {
        latency = g_new0(struct latency, 1);
        g_hash_table_insert(core->latencies, g_strdup(key), latency);
    }
    latency_add(latency, duration_ms, at);
    g_free(key);
}

const struct latency *core_latency(const struct core *core, enum path path, const char *template, const char *host,
                                   guint vcpus_added)
{
    g_autofree char *key = latency_key(path, template, host, vcpus_added);
    return g_hash_table_lookup(core->latencies, key);
}

void core_latency_add(struct core *core, enum path path, const char *template, const char *host, guint vcpus_added,
                      gint64 duration_ms, gint64 at)
{
    latency_learn(core, latency_key(path, template, host, vcpus_added), duration_ms, at);
}

const struct latency *core_stage_latency(const struct core *core, const char *template, const char *host)
{
    g_autofree char *key = g_strconcat("stage ", template, "@", host, NULL);
    return g_hash_table_lookup(core->latencies, key);
}

void core_stage_latency_add(struct core *core, const char *template, const char *host, gint64 duration_ms)
{
    latency_learn(core, g_strconcat("stage ", template, "@", host, NULL), duration_ms, core->now);
}

char *core_key(const char *kind, const char *tenant, const char *key)
{
    return g_strconcat(kind, " ", tenant, " ", key, NULL); /* names hold no blanks */
}

static void core_fire(struct core *core, const struct timer *timer)
{
    gpointer entry;
    switch (timer->object) {
    case OBJECT_RESERVATION:
        if ((entry = g_hash_table_lookup(core->reservations, timer->id)) != NULL)
            reservation_tick(core, entry);
        break;
    case OBJECT_EXECUTION:
        if ((entry = g_hash_table_lookup(core->executions, timer->id)) != NULL)
            execution_tick(core, entry);
        break;
    case OBJECT_INSTANCE:
        if ((entry = g_hash_table_lookup(core->instances, timer->id)) != NULL)
            instance_tick(core, entry);
        break;
    case OBJECT_POLICY:
        core_write_again(core);
        break;
    case OBJECT_POOL:
        core->pools_changed = TRUE;
        break;
    default:
        core->place_again = TRUE;
        break;
    }
    core_tick_waiters(core, timer->id);
}

/* Timers are hints: each object looks at its own state and the time, so that one that was overtaken does no harm. */
static void core_fire_due(struct core *core)
{
    while (core_next_at(core) <= core->now) {
        GSequenceIter *first = g_sequence_get_begin_iter(core->timers);
        struct timer timer = *(struct timer *)g_sequence_get(first);
        timer.id = g_strdup(timer.id);
        g_sequence_remove(first);
        core_fire(core, &timer);
        g_free(timer.id);
    }
}

static void core_remove(struct core *core, struct event *event);

static void core_load_policy(struct core *core, struct event *event)
{
    const guint version = core->policy->version + 1;
    if (core->policy_loading) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT, "another policy is being loaded; try again"));
        return;
    }
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_POLICY;
    record->version = version;
    record->at = core->now;
    record->policy_sources = g_steal_pointer(&event->policy_sources);
    g_ptr_array_add(core->commit_records, record);
    core->commit_policy = policy_with_version(event->policy, version);
    core->policy_loading = TRUE;
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = event->request;
    reply->status = 201;
    reply->body = core_json_bytes(json_pack("{s:i}", "version", (int)version));
    g_ptr_array_add(core->commit_replies, reply);
}

/* Instances go, acknowledged reservations stay in the database for the next start. */
static void core_shut_down(struct core *core)
{
    core->shutting_down = TRUE;
    feed_end(core);
    GHashTableIter iter;
    gpointer entry;
    g_hash_table_iter_init(&iter, core->executions);
    while (g_hash_table_iter_next(&iter, NULL, &entry)) {
        struct execution_entry *execution = entry;
        if (!execution_state_is_terminal(execution->doc->state))
            execution_interrupt(core, execution, "the daemon was shut down while it ran");
    }
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &entry)) {
        struct instance_entry *instance = entry;
        if (instance->doc->state < INSTANCE_STOPPING)
            instance_destroy(core, instance, "the daemon is shutting down");
    }
}

gboolean core_is_drained(const struct core *core)
{
    if (!core->shutting_down || g_hash_table_size(core->commits) > 0)
        return FALSE;
    GHashTableIter iter;
    gpointer entry;
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        if (((struct instance_entry *)entry)->doc->state != INSTANCE_GONE)
            return FALSE;
    return TRUE;
}

static void core_client_gone(struct core *core, struct event *event)
{
    execution_client_gone(core, event->request);
    feed_client_gone(core, event->request);
    core_waiter_gone(core, event->request);
}

static void core_output_consumed(struct core *core, struct event *event)
{
    execution_output_consumed(core, event->request, event->count);
}

static void core_instance_event(struct core *core, struct event *event)
{
    instance_on_host(core, event);
}

static void core_shaped(struct core *core, struct event *event)
{
    adjust_shaped(core, event);
}

static void core_sample(struct core *core, struct event *event)
{
    struct instance_entry *instance = g_hash_table_lookup(core->instances, event->id);
    if (instance != NULL && event->sample != NULL)
        scale_sample(core, instance, event->sample);
}

static void core_on_committed(struct core *core, struct event *event)
{
    core_committed(core, event);
}

static void core_on_commit_failed(struct core *core, struct event *event)
{
    core_commit_failed(core, event);
}

static void core_on_tick(struct core *core G_GNUC_UNUSED, struct event *event G_GNUC_UNUSED)
{
    /* what is due has been fired already, as before every event */
}

static void core_on_shutdown(struct core *core, struct event *event G_GNUC_UNUSED)
{
    core_shut_down(core);
}

static void (*const core_handlers[EVENT_KIND_COUNT])(struct core *core, struct event *event) = {
    [EVENT_NOTIFY] = core_notify,
    [EVENT_EXECUTE] = core_execute,
    [EVENT_STDIN] = core_stdin,
    [EVENT_QUERY] = core_query,
    [EVENT_REMOVE] = core_remove,
    [EVENT_POLICY_LOAD] = core_load_policy,
    [EVENT_EXPLAIN] = core_explain,
    [EVENT_HOST_ATTACH] = host_attach,
    [EVENT_POOL_SET] = pool_set,
    [EVENT_POOL_DRAIN] = pool_drain,
    [EVENT_INSTANCE_SHAPE] = adjust_by_hand,
    [EVENT_MODEL_TRAIN] = core_model_ask,
    [EVENT_MODEL_SERVE] = core_model_ask,
    [EVENT_MODEL_IMPORT] = core_model_ask,
    [EVENT_WATCH] = core_watch,
    [EVENT_CLIENT_GONE] = core_client_gone,
    [EVENT_OUTPUT_CONSUMED] = core_output_consumed,
    [EVENT_HOST_UP] = host_on_event,
    [EVENT_HOST_DOWN] = host_on_event,
    [EVENT_HOST_INVENTORY] = host_on_event,
    [EVENT_INSTANCE_PROGRESS] = core_instance_event,
    [EVENT_INSTANCE_READY] = core_instance_event,
    [EVENT_INSTANCE_FAILED] = core_instance_event,
    [EVENT_INSTANCE_GONE] = core_instance_event,
    [EVENT_INSTANCE_DESTROYED] = core_instance_event,
    [EVENT_INSTANCE_SHAPED] = core_shaped,
    [EVENT_INSTANCE_PAUSED] = pool_on_event,
    [EVENT_INSTANCE_SAVED] = pool_on_event,
    [EVENT_INSTANCE_MIGRATED] = migrate_on_event,
    [EVENT_SAVED_LOST] = pool_on_event,
    [EVENT_STAGED] = stage_on_event,
    [EVENT_CODE] = stage_on_event,
    [EVENT_SAMPLE] = core_sample,
    [EVENT_RUN_STARTED] = execution_on_run,
    [EVENT_RUN_OUTPUT] = execution_on_run,
    [EVENT_RUN_EXIT] = execution_on_run,
    [EVENT_STDIN_TAKEN] = core_stdin_taken,
    [EVENT_COMMITTED] = core_on_committed,
    [EVENT_COMMIT_FAILED] = core_on_commit_failed,
    [EVENT_MODEL] = core_model_take,
    [EVENT_MODEL_ANSWER] = core_model_answer,
    [EVENT_TICK] = core_on_tick,
    [EVENT_SHUTDOWN] = core_on_shutdown,
};

#define CORE_GROUP_MAX 256 /* notifications that share a write, and its fate */

void core_handle_all(struct core *core, GQueue *events, gint64 now)
{
    core->now = MAX(core->now, now);
    core_fire_due(core);
    guint unwritten = 0;
    for (struct event *event; (event = g_queue_pop_head(events)) != NULL;) {
        const gboolean is_intake = event->kind == EVENT_NOTIFY || event->kind == EVENT_COMMITTED;
        core_handlers[event->kind](core, event);
        event_free(event);
        core_place_waiting(core);
        unwritten = is_intake ? unwritten + 1 : CORE_GROUP_MAX;
        if (unwritten < CORE_GROUP_MAX)
            continue;
        pools_maintain(core);
        core_flush(core);
        unwritten = 0;
    }
    pools_maintain(core);
    core_flush(core);
}

void core_handle(struct core *core, struct event *event, gint64 now)
{
    GQueue events = G_QUEUE_INIT;
    g_queue_push_tail(&events, event);
    core_handle_all(core, &events, now);
}

static void core_remove_reservation(struct core *core, struct event *event)
{
    struct reservation_entry *entry = g_hash_table_lookup(core->reservations, event->id);
    if (entry == NULL) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no reservation \"%s\"", event->id));
        return;
    }
    if (reservation_next(entry->doc->state, RESERVATION_STEP_CANCEL) == STATE_REFUSED) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT, "reservation %s is %s and cannot be cancelled%s", event->id,
                                       codec_word(&reservation_state_words, entry->doc->state),
                                       entry->doc->state == RESERVATION_CLAIMED ? "; cancel its execution" : ""));
        return;
    }
    struct execution_entry *execution =
        entry->doc->execution_id != NULL ? g_hash_table_lookup(core->executions, entry->doc->execution_id) : NULL;
    if (execution != NULL)
        execution_cancel(core, execution, "its reservation was cancelled");
    else
        reservation_cancel(core, entry, "cancelled on request");
    core_reply_object(core, event->request, 200, NULL, &reservation_codec, entry->doc);
}

static void core_remove_execution(struct core *core, struct event *event)
{
    struct execution_entry *entry = g_hash_table_lookup(core->executions, event->id);
    if (entry == NULL) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no execution \"%s\"", event->id));
        return;
    }
    if (execution_state_is_terminal(entry->doc->state)) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT, "execution %s has ended already: it is %s", event->id,
                                       codec_word(&execution_state_words, entry->doc->state)));
        return;
    }
    execution_cancel(core, entry, "cancelled on request");
    core_reply_object(core, event->request, 200, NULL, &execution_codec, entry->doc);
}

static void core_remove_instance(struct core *core, struct event *event)
{
    struct instance_entry *entry = g_hash_table_lookup(core->instances, event->id);
    if (entry == NULL) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no instance \"%s\"", event->id));
        return;
    }
    if (entry->doc->state < INSTANCE_STOPPING)
        instance_destroy(core, entry, "destroyed on request");
    core_reply_object(core, event->request, 200, NULL, &instance_codec, entry->doc);
}

static void core_remove(struct core *core, struct event *event)
{
    switch (event->object) {
    case OBJECT_RESERVATION:
        core_remove_reservation(core, event);
        break;
    case OBJECT_EXECUTION:
        core_remove_execution(core, event);
        break;
    case OBJECT_INSTANCE:
        core_remove_instance(core, event);
        break;
    case OBJECT_HOST:
        host_detach(core, event);
        break;
    default:
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_UNSUPPORTED, "a %s cannot be removed",
                                       codec_word(&object_kind_words, event->object)));
        break;
    }
}
