/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include <string.h>

#define LIST_DEFAULT 1000

/* How each kind of object is found, filtered and shown. */
struct object_view {
    const char *plural;
    const struct codec *codec;
    const struct codec_words *states;
};

static const struct object_view object_views[OBJECT_KIND_COUNT] = {
    [OBJECT_RESERVATION] = {"reservations", &reservation_codec, &reservation_state_words},
    [OBJECT_EXECUTION] = {"executions", &execution_codec, &execution_state_words},
    [OBJECT_INSTANCE] = {"instances", &instance_codec, &instance_state_words},
    [OBJECT_HOST] = {"hosts", &host_codec, &host_state_words},
    [OBJECT_POOL] = {"pools", &pool_codec, NULL},
};

void waiter_free(struct waiter *waiter)
{
    if (waiter == NULL)
        return;
    g_free(waiter->state);
    g_free(waiter);
}

static GHashTable *query_table(const struct core *core, enum object_kind object)
{
    GHashTable *const tables[OBJECT_KIND_COUNT] = {
        [OBJECT_RESERVATION] = core->reservations,
        [OBJECT_EXECUTION] = core->executions,
        [OBJECT_INSTANCE] = core->instances,
        [OBJECT_HOST] = core->hosts,
        [OBJECT_POOL] = core->pools,
    };
    return tables[object];
}

/* What filters look at. */
struct object_traits {
    gconstpointer doc;
    const char *id, *function, *tenant;
    guint state;
    gboolean is_final;
};

static struct object_traits query_traits(struct core *core, enum object_kind object, gpointer entry)
{
    if (object == OBJECT_RESERVATION) {
        const struct reservation *doc = ((const struct reservation_entry *)entry)->doc;
        reservation_begin_timeline(entry);
        const struct code_metadata *code = &doc->notification->code;
        return (struct object_traits){doc,          doc->id,    code->function,
                                      code->tenant, doc->state, reservation_state_is_terminal(doc->state)};
    }
    if (object == OBJECT_EXECUTION) {
        const struct execution *doc = ((const struct execution_entry *)entry)->doc;
        return (struct object_traits){
            doc, doc->id, doc->code.function, doc->code.tenant, doc->state, execution_state_is_terminal(doc->state)};
    }
    if (object == OBJECT_INSTANCE) {
        const struct instance *doc = ((const struct instance_entry *)entry)->doc;
        return (struct object_traits){doc, doc->id, NULL, NULL, doc->state, doc->state == INSTANCE_GONE};
    }
    if (object == OBJECT_POOL) {
        struct pool *doc = ((struct pool_entry *)entry)->doc;
        pool_account(core, entry);
        return (struct object_traits){doc, doc->id, NULL, NULL, 0, FALSE};
    }
    const struct host *doc = ((const struct host_entry *)entry)->doc;
    return (struct object_traits){doc, doc->spec->name, NULL, NULL, doc->state, FALSE};
}

static gboolean query_selects(const struct query *query, const struct object_traits *traits)
{
    if (query->state != NULL && codec_value(object_views[query->object].states, query->state) != (int)traits->state)
        return FALSE;
    if (traits->is_final && !query->all && query->state == NULL)
        return FALSE;
    if (query->function != NULL && g_strcmp0(query->function, traits->function) != 0)
        return FALSE;
    return query->tenant == NULL || g_strcmp0(query->tenant, traits->tenant) == 0;
}

static int query_compare_newest(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(((const struct object_traits *)b)->id, ((const struct object_traits *)a)->id);
}

static GError *query_objection(const struct query *query)
{
    const struct object_view *view = &object_views[query->object];
    if (view->codec == NULL)
        return hbr_error_new(HBR_ERROR_UNSUPPORTED, "there is no list of %s",
                             codec_word(&object_kind_words, query->object));
    if (query->state == NULL || (view->states != NULL && codec_value(view->states, query->state) >= 0))
        return NULL;
    if (view->states == NULL)
        return hbr_error_new(HBR_ERROR_INVALID, "?state=: %s have no states; right would be to leave it out",
                             view->plural);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < view->states->count; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", view->states->words[i]);
    return hbr_error_new(HBR_ERROR_INVALID, "?state=: \"%s\" is not a state of %s; right would be one of %s",
                         query->state, view->plural, text->str);
}

static void query_list(struct core *core, const struct event *event)
{
    const struct query *query = event->query;
    const struct object_view *view = &object_views[query->object];
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct object_traits));
    GHashTableIter iter;
    gpointer entry;
    g_hash_table_iter_init(&iter, query_table(core, query->object));
    while (g_hash_table_iter_next(&iter, NULL, &entry)) {
        const struct object_traits traits = query_traits(core, query->object, entry);
        if (query_selects(query, &traits))
            g_array_append_val(found, traits);
    }
    g_array_sort(found, query_compare_newest);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "{\"%s\":[", view->plural);
    for (guint i = 0; i < MIN(found->len, query->limit > 0 ? query->limit : LIST_DEFAULT); i++) {
        if (i > 0)
            g_string_append_c(text, ',');
        codec_write(text, view->codec, g_array_index(found, struct object_traits, i).doc, CODEC_CLIENT);
    }
    g_string_append(text, "]}");
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = event->request;
    reply->status = 200;
    reply->body = g_string_free_to_bytes(text);
    core_emit(core, reply);
}

static gboolean waiter_is_satisfied(enum object_kind object, const struct waiter *waiter,
                                    const struct object_traits *traits)
{
    if (traits->is_final || (object == OBJECT_HOST && traits->state == HOST_DOWN))
        return TRUE; /* that it is down is what there is to say */
    return waiter->state != NULL &&
           g_strcmp0(codec_word(object_views[object].states, traits->state), waiter->state) == 0;
}

static gpointer request_key(guint64 request)
{
    return g_memdup2(&request, sizeof request);
}

static void query_wait(struct core *core, const struct event *event, struct waiter *waiter)
{
    GPtrArray *list = g_hash_table_lookup(core->waiters, event->query->id);
    if (list == NULL) {
        list = g_ptr_array_new_with_free_func((GDestroyNotify)waiter_free);
        g_hash_table_insert(core->waiters, g_strdup(event->query->id), list);
    }
    waiter->object = event->query->object;
    g_ptr_array_add(list, waiter);
    g_hash_table_insert(core->waiter_ids, request_key(event->request), g_strdup(event->query->id));
    core_wake_at(core, waiter->until_at, event->query->object, event->query->id);
}

/* What is kept stays as it was promised. */
static void query_explain(struct core *core, const struct event *event, const struct reservation_entry *entry)
{
    struct reservation told = *entry->doc;
    told.demand = codec_copy_open(&demand_codec, entry->doc->demand);
    predictor_add_reasons(core->predictor, entry->policy, &told.notification->code, told.arrival_at, told.demand);
    core_reply_object(core, event->request, 200, NULL, &reservation_codec, &told);
    demand_free(told.demand);
}

static void query_get(struct core *core, const struct event *event)
{
    const struct query *query = event->query;
    gpointer entry = g_hash_table_lookup(query_table(core, query->object), query->id);
    if (entry == NULL) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no %s \"%s\"",
                                       codec_word(&object_kind_words, query->object), query->id));
        return;
    }
    const struct object_traits traits = query_traits(core, query->object, entry);
    struct waiter *waiter = g_new0(struct waiter, 1);
    waiter->request = event->request;
    waiter->state = g_strdup(query->state);
    waiter->until_at = query->wait_until_at;
    if (waiter->until_at > core->now && !waiter_is_satisfied(query->object, waiter, &traits)) {
        query_wait(core, event, waiter);
        return;
    }
    waiter_free(waiter);
    if (query->object == OBJECT_RESERVATION)
        reservation_weigh(entry);
    if (query->object == OBJECT_RESERVATION && query->explain)
        query_explain(core, event, entry);
    else
        core_reply_object(core, event->request, 200, NULL, object_views[query->object].codec, traits.doc);
}

/* Answers those who wait for `id` and are satisfied or out of time. */
static void query_answer_waiters(struct core *core, enum object_kind object, const char *id)
{
    GPtrArray *list = g_hash_table_lookup(core->waiters, id);
    gpointer entry = list != NULL ? g_hash_table_lookup(query_table(core, object), id) : NULL;
    if (entry == NULL)
        return;
    const struct object_traits traits = query_traits(core, object, entry);
    for (guint i = list->len; i > 0; i--) {
        const struct waiter *waiter = list->pdata[i - 1];
        if (waiter->object != object || (core->now < waiter->until_at && !waiter_is_satisfied(object, waiter, &traits)))
            continue;
        core_reply_object(core, waiter->request, 200, NULL, object_views[object].codec, traits.doc);
        g_hash_table_remove(core->waiter_ids, &waiter->request);
        g_ptr_array_remove_index_fast(list, i - 1);
    }
    if (list->len == 0)
        g_hash_table_remove(core->waiters, id);
}

void core_notify_waiters(struct core *core, enum object_kind object, const char *id)
{
    query_answer_waiters(core, object, id);
}

void core_tick_waiters(struct core *core, const char *id)
{
    for (guint object = 0; object < OBJECT_POLICY; object++)
        query_answer_waiters(core, (enum object_kind)object, id);
}

void core_answer_vanished(struct core *core, const char *id)
{
    GPtrArray *list = g_hash_table_lookup(core->waiters, id);
    for (guint i = 0; list != NULL && i < list->len; i++) {
        const struct waiter *waiter = list->pdata[i];
        core_reply_error(core, waiter->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no %s \"%s\" any more",
                                       codec_word(&object_kind_words, waiter->object), id));
        g_hash_table_remove(core->waiter_ids, &waiter->request);
    }
    g_hash_table_remove(core->waiters, id);
}

void core_waiter_gone(struct core *core, guint64 request)
{
    const char *id = g_hash_table_lookup(core->waiter_ids, &request);
    GPtrArray *list = id != NULL ? g_hash_table_lookup(core->waiters, id) : NULL;
    for (guint i = list != NULL ? list->len : 0; i > 0; i--)
        if (((struct waiter *)list->pdata[i - 1])->request == request)
            g_ptr_array_remove_index_fast(list, i - 1);
    if (list != NULL && list->len == 0)
        g_hash_table_remove(core->waiters, id);
    g_hash_table_remove(core->waiter_ids, &request);
}

static void query_metrics(struct core *core, const struct event *event)
{
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = event->request;
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4";
    char *text = core_metrics_text(core);
    reply->body = g_bytes_new_take(text, strlen(text));
    core_emit(core, reply);
}

static void query_ready(struct core *core, const struct event *event)
{
    GHashTableIter iter;
    gpointer entry;
    guint up = 0;
    g_hash_table_iter_init(&iter, core->hosts);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        up += ((struct host_entry *)entry)->doc->state == HOST_UP ? 1 : 0;
    if (core->shutting_down || up == 0) {
        core_reply_error(core, event->request,
                         core->shutting_down ? hbr_error_new(HBR_ERROR_UNAVAILABLE, "the daemon is shutting down")
                                             : hbr_error_new(HBR_ERROR_UNAVAILABLE, "no host is up (%u attached)",
                                                             g_hash_table_size(core->hosts)));
        return;
    }
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = event->request;
    reply->status = 200;
    reply->body = core_json_bytes(json_pack("{s:b, s:i}", "ready", 1, "hosts_up", (int)up));
    core_emit(core, reply);
}

void core_query(struct core *core, struct event *event)
{
    const struct query *query = event->query;
    GError *objection = query->kind <= QUERY_GET ? query_objection(query) : NULL;
    if (objection != NULL) {
        core_reply_error(core, event->request, objection);
        return;
    }
    static void (*const handlers[])(struct core *, const struct event *) = {[QUERY_LIST] = query_list,
                                                                            [QUERY_GET] = query_get,
                                                                            [QUERY_METRICS] = query_metrics,
                                                                            [QUERY_READY] = query_ready};
    handlers[query->kind](core, event);
}
