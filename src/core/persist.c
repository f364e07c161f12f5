/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include <string.h>

/* What events that came together have changed is written in one record batch at their end, and answers that promise durability go out with the
 * commit. */

#define COMMIT_RETRY_MS 1000
#define UNWRITTEN_RECORDS_MAX 100000

void core_touch_reservation(struct core *core, struct reservation_entry *entry)
{
    if (!entry->is_dirty)
        g_ptr_array_add(core->dirty_reservations, entry);
    entry->is_dirty = TRUE;
}

void core_touch_instance(struct core *core, struct instance_entry *entry)
{
    if (!entry->is_dirty)
        g_ptr_array_add(core->dirty_instances, entry);
    entry->is_dirty = TRUE;
}

void core_touch_execution(struct core *core, struct execution_entry *entry)
{
    if (!entry->is_dirty)
        g_ptr_array_add(core->dirty_executions, entry);
    entry->is_dirty = TRUE;
}

void core_touch_host(struct core *core, struct host_entry *entry)
{
    if (!entry->is_dirty)
        g_ptr_array_add(core->dirty_hosts, entry);
    entry->is_dirty = TRUE;
}

static struct record *record_put(enum object_kind object, const char *id, const struct codec *codec, gconstpointer doc)
{
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_PUT;
    record->object = object;
    record->id = g_strdup(id);
    GString *text = g_string_sized_new(1024);
    codec_write(text, codec, doc, CODEC_STORE);
    record->body = g_string_free_to_bytes(text);
    return record;
}

/* Most reservations wait for their time first, and then the record is of what was promised: what the rules of its policy say, and say again
 * after a restart, is left out. */
static struct record *record_of_reservation(const struct reservation *doc)
{
    struct reservation told = *doc;
    if (doc->timeline == NULL && doc->demand->source == DEMAND_RULES && doc->demand->sample_count == 0)
        told.demand = NULL;
    struct record *record = record_put(OBJECT_RESERVATION, doc->id, &reservation_codec, &told);
    record->function = g_strdup(doc->notification->code.function);
    record->tenant = g_strdup(doc->notification->code.tenant);
    record->state = doc->state;
    record->final = reservation_state_is_terminal(doc->state);
    record->at = doc->created_at;
    return record;
}

static struct record *record_of_instance(const struct instance *doc)
{
    struct record *record = record_put(OBJECT_INSTANCE, doc->id, &instance_codec, doc);
    record->state = doc->state;
    record->final = doc->state == INSTANCE_GONE;
    record->at = doc->created_at;
    return record;
}

static struct record *record_of_execution(const struct execution *doc)
{
    struct record *record = record_put(OBJECT_EXECUTION, doc->id, &execution_codec, doc);
    record->function = g_strdup(doc->code.function);
    record->tenant = g_strdup(doc->code.tenant);
    record->state = doc->state;
    record->final = execution_state_is_terminal(doc->state);
    record->at = doc->created_at;
    return record;
}

static struct record *record_of_host(const struct core *core, const struct host_entry *entry)
{
    struct record *record = record_put(OBJECT_HOST, entry->doc->spec->name, &host_codec, entry->doc);
    record->kind = entry->is_detached ? RECORD_DELETE : RECORD_PUT;
    record->state = entry->doc->state;
    record->at = core->now;
    return record;
}

/* "kind:id" */
static char *object_name_new(enum object_kind object, const char *id)
{
    const char kind[] = {(char)('0' + object), ':', '\0'};
    return g_strconcat(kind, id, NULL);
}

static void core_collect_dirty(struct core *core, GPtrArray *records)
{
    for (guint i = 0; i < core->dirty_hosts->len; i++) {
        struct host_entry *entry = core->dirty_hosts->pdata[i];
        entry->is_dirty = FALSE;
        g_ptr_array_add(records, record_of_host(core, entry));
    }
    for (guint i = 0; i < core->dirty_instances->len; i++) {
        struct instance_entry *entry = core->dirty_instances->pdata[i];
        entry->is_dirty = FALSE;
        g_ptr_array_add(records, record_of_instance(entry->doc));
    }
    for (guint i = 0; i < core->dirty_executions->len; i++) {
        struct execution_entry *entry = core->dirty_executions->pdata[i];
        entry->is_dirty = FALSE;
        g_ptr_array_add(records, record_of_execution(entry->doc));
    }
}

static void core_collect_reservations(struct core *core, struct pending_commit *commit, GPtrArray *records)
{
    for (guint i = 0; i < core->dirty_reservations->len; i++) {
        struct reservation_entry *entry = core->dirty_reservations->pdata[i];
        entry->is_dirty = FALSE;
        g_ptr_array_add(records, record_of_reservation(entry->doc));
        if (entry->notify_request == 0)
            continue;
        g_ptr_array_add(commit->replies, core_receipt_new(entry->notify_request, entry->doc->id));
        entry->notify_request = 0;
    }
}

static void core_notify_dirty_waiters(struct core *core)
{
    if (g_hash_table_size(core->waiters) == 0)
        return;
    for (guint i = 0; i < core->dirty_hosts->len; i++)
        core_notify_waiters(core, OBJECT_HOST, ((struct host_entry *)core->dirty_hosts->pdata[i])->doc->spec->name);
    for (guint i = 0; i < core->dirty_instances->len; i++)
        core_notify_waiters(core, OBJECT_INSTANCE, ((struct instance_entry *)core->dirty_instances->pdata[i])->doc->id);
    for (guint i = 0; i < core->dirty_reservations->len; i++)
        core_notify_waiters(core, OBJECT_RESERVATION,
                            ((struct reservation_entry *)core->dirty_reservations->pdata[i])->doc->id);
    for (guint i = 0; i < core->dirty_executions->len; i++)
        core_notify_waiters(core, OBJECT_EXECUTION,
                            ((struct execution_entry *)core->dirty_executions->pdata[i])->doc->id);
}

static void core_forget_detached_hosts(struct core *core)
{
    for (guint i = 0; i < core->dirty_hosts->len; i++) {
        struct host_entry *entry = core->dirty_hosts->pdata[i];
        if (!entry->is_detached)
            continue;
        core_answer_vanished(core, entry->doc->spec->name);
        g_hash_table_remove(core->hosts, entry->doc->spec->name);
    }
}

static void core_clear_dirty(struct core *core)
{
    g_ptr_array_set_size(core->dirty_reservations, 0);
    g_ptr_array_set_size(core->dirty_instances, 0);
    g_ptr_array_set_size(core->dirty_executions, 0);
    g_ptr_array_set_size(core->dirty_hosts, 0);
}

static gpointer serial_key(guint64 serial)
{
    return g_memdup2(&serial, sizeof serial);
}

static void core_persist(struct core *core)
{
    struct pending_commit *commit = g_new0(struct pending_commit, 1);
    commit->replies = g_ptr_array_new_with_free_func((GDestroyNotify)command_free);
    GPtrArray *records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    core_collect_dirty(core, records);
    core_collect_reservations(core, commit, records);
    g_ptr_array_extend_and_steal(records, g_steal_pointer(&core->commit_records));
    g_ptr_array_extend_and_steal(commit->replies, g_steal_pointer(&core->commit_replies));
    core->commit_records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    core->commit_replies = g_ptr_array_new_with_free_func((GDestroyNotify)command_free);
    commit->policy = g_steal_pointer(&core->commit_policy);
    struct command *persist = command_new(COMMAND_PERSIST);
    persist->serial = ++core->serial;
    persist->records = records;
    g_hash_table_insert(core->commits, serial_key(persist->serial), commit);
    core_emit(core, persist);
}

static void core_forget_key(struct core *core, const char *kind, const char *tenant, const char *key, const char *id)
{
    if (key == NULL)
        return;
    g_autofree char *name = core_key(kind, tenant, key);
    if (g_strcmp0(g_hash_table_lookup(core->keys, name), id) == 0)
        g_hash_table_remove(core->keys, name);
}

static void core_evict_reservation(struct core *core, const char *id)
{
    const struct reservation_entry *entry = g_hash_table_lookup(core->reservations, id);
    if (entry != NULL)
        core_forget_key(core, "n", entry->doc->notification->code.tenant, entry->doc->notification->idempotency_key,
                        id);
    g_hash_table_remove(core->reservations, id);
}

static void core_evict_execution(struct core *core, const char *id)
{
    const struct execution_entry *entry = g_hash_table_lookup(core->executions, id);
    if (entry != NULL)
        core_forget_key(core, "x", entry->doc->code.tenant, entry->doc->idempotency_key, id);
    g_hash_table_remove(core->executions, id);
}

/* Ended objects beyond what the policy keeps in memory are forgotten here, the database has them. */
static void core_evict(struct core *core)
{
    while (core->finished.length > core->policy->limits.finished_kept) {
        g_autofree char *name = g_queue_pop_head(&core->finished);
        const char *id = name + 2;
        switch ((enum object_kind)(name[0] - '0')) {
        case OBJECT_RESERVATION:
            core_evict_reservation(core, id);
            break;
        case OBJECT_EXECUTION:
            core_evict_execution(core, id);
            break;
        case OBJECT_INSTANCE:
            g_hash_table_remove(core->instances, id);
            break;
        default:
            break;
        }
    }
}

void core_flush(struct core *core)
{
    const guint dirty = core->dirty_reservations->len + core->dirty_instances->len + core->dirty_executions->len +
                        core->dirty_hosts->len + core->commit_records->len;
    if (dirty == 0)
        return;
    core_persist(core);
    core_notify_dirty_waiters(core);
    feed_tell_dirty(core);
    core_forget_detached_hosts(core);
    core_clear_dirty(core);
    core_evict(core);
}

void core_retain_finished(struct core *core, enum object_kind object, const char *id)
{
    g_queue_push_tail(&core->finished, object_name_new(object, id));
}

/* The answer to a notification tells the reservation as it stands when it is durable. */
static void core_send_durable(struct core *core, struct command *reply)
{
    if (reply->body == NULL && reply->error == NULL && reply->id != NULL) {
        struct reservation_entry *entry = g_hash_table_lookup(core->reservations, reply->id);
        if (entry != NULL && (entry->is_durable || entry->doc->state != RESERVATION_CANCELLED)) {
            entry->is_durable = TRUE;
            core_receipt_fill(reply, entry->doc);
        } else {
            reply->error = hbr_error_new(
                HBR_ERROR_STORE,
                "reservation %s was withdrawn: it could not be made durable; send the notification again", reply->id);
        }
    }
    core_emit(core, reply);
}

void core_committed(struct core *core, const struct event *event)
{
    struct pending_commit *commit = g_hash_table_lookup(core->commits, &event->serial);
    if (commit == NULL)
        return;
    g_autoptr(GPtrArray) replies = g_steal_pointer(&commit->replies);
    commit->replies = g_ptr_array_new();
    g_ptr_array_set_free_func(replies, NULL);
    for (guint i = 0; i < replies->len; i++)
        core_send_durable(core, replies->pdata[i]);
    if (commit->policy != NULL) {
        policy_unref(core->policy);
        core->policy = policy_ref(commit->policy);
        core->policy_loading = FALSE;
        pools_sync(core);
        log_info("core", "policy version %u is in force", core->policy->version);
    }
    g_hash_table_remove(core->commits, &event->serial);
}

static void core_touch_again(struct core *core, const char *name)
{
    gpointer entry;
    switch ((enum object_kind)(name[0] - '0')) {
    case OBJECT_RESERVATION:
        if ((entry = g_hash_table_lookup(core->reservations, name + 2)) != NULL)
            core_touch_reservation(core, entry);
        break;
    case OBJECT_EXECUTION:
        if ((entry = g_hash_table_lookup(core->executions, name + 2)) != NULL)
            core_touch_execution(core, entry);
        break;
    case OBJECT_INSTANCE:
        if ((entry = g_hash_table_lookup(core->instances, name + 2)) != NULL)
            core_touch_instance(core, entry);
        break;
    case OBJECT_HOST:
        if ((entry = g_hash_table_lookup(core->hosts, name + 2)) != NULL)
            core_touch_host(core, entry);
        break;
    default:
        break;
    }
}

static void core_withdraw(struct core *core, struct reservation_entry *entry)
{
    const struct notification *notification = entry->doc->notification;
    core_forget_key(core, "n", notification->code.tenant, notification->idempotency_key, entry->doc->id);
    reservation_cancel(core, entry, "its notification could not be made durable");
}

/* The records came back with the failure. Objects are written again as they are by then; what no object stands for, history and deletions, is
 * kept. */
static void core_keep_records(struct core *core, GPtrArray *records)
{
    for (guint i = records != NULL ? records->len : 0; i > 0; i--) {
        const struct record *record = records->pdata[i - 1];
        if (record->kind == RECORD_PUT)
            g_ptr_array_add(core->unwritten, object_name_new(record->object, record->id));
        else if (record->kind != RECORD_POLICY && core->unwritten_records->len < UNWRITTEN_RECORDS_MAX)
            g_ptr_array_add(core->unwritten_records, g_ptr_array_steal_index(records, i - 1));
    }
}

/* Nothing was promised yet: whoever waits for the commit gets the error, notifications are withdrawn, and the rest is written again a little
 * later. */
void core_commit_failed(struct core *core, struct event *event)
{
    core->counters[COUNTER_COMMITS_FAILED]++;
    struct pending_commit *commit = g_hash_table_lookup(core->commits, &event->serial);
    if (commit == NULL)
        return;
    log_error("core", "the database did not take a change: %s",
              event->error != NULL ? event->error->message : "unknown");
    for (guint i = 0; i < commit->replies->len; i++) {
        const struct command *reply = commit->replies->pdata[i];
        core_reply_error(core, reply->request,
                         event->error != NULL ? g_error_copy(event->error)
                                              : hbr_error_new(HBR_ERROR_STORE, "the database did not take it"));
        struct reservation_entry *withdrawn =
            reply->id != NULL ? g_hash_table_lookup(core->reservations, reply->id) : NULL;
        if (withdrawn != NULL && !withdrawn->is_durable)
            core_withdraw(core, withdrawn);
    }
    if (commit->policy != NULL)
        core->policy_loading = FALSE;
    g_hash_table_remove(core->commits, &event->serial);
    core_keep_records(core, event->records);
    core_wake_at(core, core->now + COMMIT_RETRY_MS * CLOCK_MS, OBJECT_POLICY, "unwritten");
}

void core_write_again(struct core *core)
{
    g_autoptr(GPtrArray) names = g_steal_pointer(&core->unwritten);
    core->unwritten = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < names->len; i++)
        core_touch_again(core, names->pdata[i]);
    g_ptr_array_extend_and_steal(core->commit_records, g_steal_pointer(&core->unwritten_records));
    core->unwritten_records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
}
