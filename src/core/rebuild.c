/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

/* After a restart: the records say what was, the hosts' inventories will say what is. Here states are set outright, where the tables know no way
 * back in time. */

static gpointer rebuild_decode(const struct codec *codec, const struct record *record)
{
    gsize length;
    const char *text = g_bytes_get_data(record->body, &length);
    g_autoptr(GError) error = NULL;
    gpointer doc = codec_decode_text(codec, text, length, G_MAXSIZE, CODEC_STORE, &error);
    if (doc == NULL)
        log_error("core", "the record of %s cannot be read and is left out: %s", record->id, error->message);
    return doc;
}

static void rebuild_host(struct core *core, const struct record *record)
{
    struct host *doc = rebuild_decode(&host_codec, record);
    if (doc == NULL)
        return;
    if (g_hash_table_lookup(core->hosts, doc->spec->name) == NULL)
        host_add(core, g_steal_pointer(&doc->spec));
    host_free(doc);
}

static void rebuild_learn_latency(struct core *core, const struct instance *doc)
{
    if (doc->ready_at > 0 && doc->path == PATH_BOOT && doc->warm_at == 0)
        core_latency_add(core, PATH_BOOT, doc->template, doc->host, 0, (doc->ready_at - doc->created_at) / CLOCK_MS,
                         doc->ready_at);
}

/* A ready instance that never had code in it is worth keeping; all others are destroyed when their host tells its inventory. */
static void rebuild_open_instance(struct core *core, struct instance_entry *entry)
{
    struct instance *doc = entry->doc;
    struct host_entry *host = g_hash_table_lookup(core->hosts, doc->host);
    if (host != NULL)
        host->doc->instance_count++;
    instance_book(core, entry, &doc->shape);
    entry->floor_mib = doc->shape.memory_mib; /* it may have begun with less; that is not known any more */
    entry->is_adopting = (doc->state == INSTANCE_READY || doc->state == INSTANCE_WARM) && !doc->used;
    doc->state = entry->is_adopting ? INSTANCE_STARTING : INSTANCE_STOPPING;
    if (entry->is_adopting && host != NULL && doc->reservation_id != NULL)
        host->boots++;
    else if (entry->is_adopting && host != NULL)
        host->warmups++;
    if (entry->is_adopting && doc->reservation_id == NULL)
        core->warmups++;
    timeline_add(&doc->timeline, core->now, "the daemon was restarted",
                 g_strdup(entry->is_adopting ? "to be adopted" : "to be destroyed"));
    core_touch_instance(core, entry);
}

static void rebuild_instance(struct core *core, const struct record *record)
{
    struct instance *doc = rebuild_decode(&instance_codec, record);
    if (doc == NULL)
        return;
    struct instance_entry *entry = g_new0(struct instance_entry, 1);
    entry->doc = doc;
    g_hash_table_insert(core->instances, doc->id, entry);
    rebuild_learn_latency(core, doc);
    if (doc->state == INSTANCE_GONE)
        core_retain_finished(core, OBJECT_INSTANCE, doc->id);
    else
        rebuild_open_instance(core, entry);
}

static struct policy *rebuild_policy(struct core *core, GHashTable *policies, guint version)
{
    struct policy *policy = policies != NULL ? g_hash_table_lookup(policies, GUINT_TO_POINTER(version)) : NULL;
    return policy_ref(policy != NULL ? policy : core->policy);
}

static void rebuild_open_reservation(struct core *core, struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    const struct instance_entry *instance =
        doc->instance_id != NULL ? g_hash_table_lookup(core->instances, doc->instance_id) : NULL;
    core->open_reservations++;
    reservation_begin_timeline(entry);
    timeline_add(&doc->timeline, core->now, "the daemon was restarted", NULL);
    core_touch_reservation(core, entry);
    if (doc->state == RESERVATION_CLAIMED || doc->execution_id != NULL)
        return; /* it ends with its execution, which is interrupted next */
    reservation_index(core, entry);
    stage_look(entry);
    stage_begin(core, entry);
    if (instance != NULL && instance->is_adopting) {
        doc->state = RESERVATION_STARTING;
        return;
    }
    g_clear_pointer(&doc->instance_id, g_free);
    doc->state = RESERVATION_SCHEDULED;
    doc->attempts = 0;
    core_wake_at(core, MAX(doc->start_at, core->now), OBJECT_RESERVATION, doc->id);
    core_wake_at(core, doc->expires_at, OBJECT_RESERVATION, doc->id);
}

static void rebuild_reservation(struct core *core, const struct record *record, GHashTable *policies)
{
    struct reservation *doc = rebuild_decode(&reservation_codec, record);
    if (doc == NULL)
        return;
    struct reservation_entry *entry = g_new0(struct reservation_entry, 1);
    entry->doc = doc;
    entry->policy = rebuild_policy(core, policies, doc->policy_version);
    if (doc->demand == NULL)
        doc->demand = predictor_assume(core->predictor, entry->policy, &doc->notification->code);
    entry->failed_hosts = g_ptr_array_new_with_free_func(g_free);
    entry->rank_at = doc->notification->deadline_at != 0 ? doc->notification->deadline_at : doc->arrival_at;
    entry->is_on_demand = doc->notification->id == NULL;
    entry->is_durable = TRUE;
    g_hash_table_insert(core->reservations, doc->id, entry);
    if (doc->notification->idempotency_key != NULL)
        g_hash_table_insert(core->keys,
                            core_key("n", doc->notification->code.tenant, doc->notification->idempotency_key),
                            g_strdup(doc->id));
    if (reservation_state_is_terminal(doc->state))
        core_retain_finished(core, OBJECT_RESERVATION, doc->id);
    else
        rebuild_open_reservation(core, entry);
}

static void rebuild_execution(struct core *core, const struct record *record, GHashTable *policies)
{
    struct execution *doc = rebuild_decode(&execution_codec, record);
    if (doc == NULL)
        return;
    struct execution_entry *entry = g_new0(struct execution_entry, 1);
    entry->doc = doc;
    entry->policy = rebuild_policy(core, policies, doc->policy_version);
    g_hash_table_insert(core->executions, doc->id, entry);
    if (doc->idempotency_key != NULL)
        g_hash_table_insert(core->keys, core_key("x", doc->code.tenant, doc->idempotency_key), g_strdup(doc->id));
    if (execution_state_is_terminal(doc->state)) {
        core_retain_finished(core, OBJECT_EXECUTION, doc->id);
        return;
    }
    core->open_executions++;
    execution_interrupt(core, entry, "the daemon was restarted while it was under way");
}

/* A reservation that an execution had bound, and whose execution is unknown: the crash came between their records. */
static void rebuild_settle_bound(struct core *core)
{
    g_autoptr(GPtrArray) bound = g_ptr_array_new();
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->reservations);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        const struct reservation *doc = ((struct reservation_entry *)item)->doc;
        if (doc->execution_id != NULL && !reservation_state_is_terminal(doc->state))
            g_ptr_array_add(bound, item);
    }
    for (guint i = 0; i < bound->len; i++)
        if (!reservation_step(core, bound->pdata[i], RESERVATION_STEP_COMPLETE, "interrupted", NULL))
            reservation_cancel(core, bound->pdata[i], "the daemon was restarted before its execution was recorded");
}

void core_rebuild(struct core *core, const GPtrArray *records, GHashTable *policies, gint64 now)
{
    static const enum object_kind order[] = {OBJECT_HOST, OBJECT_INSTANCE, OBJECT_RESERVATION, OBJECT_EXECUTION};
    core->now = MAX(core->now, now);
    for (guint pass = 0; pass < G_N_ELEMENTS(order); pass++) {
        for (guint i = 0; i < records->len; i++) {
            const struct record *record = records->pdata[i];
            if (record->object != order[pass])
                continue;
            if (record->object == OBJECT_HOST)
                rebuild_host(core, record);
            else if (record->object == OBJECT_INSTANCE)
                rebuild_instance(core, record);
            else if (record->object == OBJECT_RESERVATION)
                rebuild_reservation(core, record, policies);
            else
                rebuild_execution(core, record, policies);
        }
    }
    rebuild_settle_bound(core);
    core_flush(core);
}
