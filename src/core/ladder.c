/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"
#include "plan/schedule.h"

/* The way to an instance: what each path of the ladder has to offer for a reservation, the choice, and what is done when the choice turns out too
 * slow. */

#define OVERRUN_LEAST_MS \
    100 /* a prediction of a few milliseconds is missed by more than its double on any busy machine */

static guint ladder_added_vcpus(const struct reservation *doc, const struct vm_shape *shape)
{
    return doc->shape.vcpus > shape->vcpus ? doc->shape.vcpus - shape->vcpus : 0;
}

static gint64 ladder_estimate_ms(const struct policy *policy, enum path path, guint vcpus_added)
{
    const gint64 estimates[PATH_COUNT] = {
        [PATH_RUNNING] = policy->paths.running_estimate_ms * (1 + vcpus_added),
        [PATH_PAUSED] = policy->paths.paused_estimate_ms * (1 + vcpus_added),
        [PATH_SAVED] = policy->paths.saved_estimate_ms,
        [PATH_BOOT] = policy->provisioning.boot_estimate_ms,
    };
    return estimates[path];
}

static void ladder_offer(struct core *core, const struct reservation_entry *reservation, struct ladder *ladder,
                         enum path path, const char *host, guint vcpus_added)
{
    const struct reservation *doc = reservation->doc;
    const struct policy *policy = reservation->policy;
    const struct latency *latency = core_latency(core, path, doc->template, host, vcpus_added);
    const gint64 estimate_ms = ladder_estimate_ms(policy, path, vcpus_added);
    const gint64 stage_ms = stage_latency(core, reservation, doc->template, host);
    struct path_offer *offer = &ladder->question.offers[path];
    offer->is_there = TRUE;
    offer->ready_ms = stage_ms + latency_quantile(latency, policy->paths.confidence, core->now,
                                                  policy->paths.half_life_ms, estimate_ms);
    offer->median_ms = stage_ms + latency_quantile(latency, 0.5, core->now, policy->paths.half_life_ms, estimate_ms);
    offer->samples = latency != NULL ? latency->count : 0;
}

/* What stays true of a path whose turn it is not: how long it would take on the host where it would be. */
static void ladder_object(struct core *core, const struct reservation_entry *reservation, struct ladder *ladder,
                          enum path path, const char *objection)
{
    struct path_offer *offer = &ladder->question.offers[path];
    if (offer->is_there)
        return;
    ladder_offer(core, reservation, ladder, path, ladder->host != NULL ? ladder->host->doc->spec->name : "", 0);
    offer->is_there = FALSE;
    offer->objection = objection;
}

static gboolean ladder_labels_cover(const struct host_entry *host, char **labels)
{
    const struct host_spec *spec = host->doc->spec;
    for (; labels != NULL && *labels != NULL; labels++)
        if (spec->labels == NULL || !g_strv_contains((const char *const *)spec->labels, *labels))
            return FALSE;
    return TRUE;
}

/* The host's book has room for what the reservation needs beyond what the instance has already. */
static gboolean ladder_has_room(const struct host_entry *host, const struct vm_shape *present,
                                const struct vm_shape *wanted)
{
    const struct vm_shape capacity = placing_capacity(host->doc);
    const guint vcpus = wanted->vcpus > present->vcpus ? wanted->vcpus - present->vcpus : 0;
    const guint memory_mib = wanted->memory_mib > present->memory_mib ? wanted->memory_mib - present->memory_mib : 0;
    return host->doc->committed_vcpus + vcpus <= capacity.vcpus &&
           host->doc->committed_memory_mib + memory_mib <= capacity.memory_mib;
}

/* By "at least": an instance that is smaller serves when it can grow to all that the reservation may come to need. Why it does not, or NULL. */
static const char *ladder_mismatch(const struct core *core, const struct reservation *doc,
                                   const struct instance_entry *member)
{
    const struct host_entry *host = g_hash_table_lookup(core->hosts, member->doc->host);
    if (g_strcmp0(member->doc->template, doc->template) != 0)
        return "template";
    if (host == NULL || host->doc->state != HOST_UP)
        return "host";
    if (!ladder_labels_cover(host, doc->notification->code.labels))
        return "labels";
    if (doc->shape.gpus > 0 || member->doc->maximum.vcpus < doc->maximum.vcpus ||
        member->doc->maximum.memory_mib < doc->maximum.memory_mib)
        return "shape";
    return ladder_has_room(host, &member->promised, &doc->shape) ? NULL : "room";
}

/* The fewer vCPUs are plugged in the better, since that is what takes time; then the smallest instance that serves. */
static gboolean ladder_is_nearer(const struct reservation *doc, const struct vm_shape *shape,
                                 const struct vm_shape *best)
{
    const guint added = ladder_added_vcpus(doc, shape), best_added = ladder_added_vcpus(doc, best);
    if (added != best_added)
        return added < best_added;
    return shape->vcpus != best->vcpus ? shape->vcpus < best->vcpus : shape->memory_mib < best->memory_mib;
}

static void ladder_consider(struct core *core, const struct reservation *doc, struct ladder *ladder,
                            struct instance_entry *member)
{
    const gboolean is_paused = member->doc->state == INSTANCE_PAUSED || member->is_pausing;
    struct instance_entry **best = &ladder->warm[is_paused ? PATH_PAUSED : PATH_RUNNING];
    if (member->doc->state != INSTANCE_WARM && member->doc->state != INSTANCE_PAUSED)
        return;
    const char *mismatch = ladder_mismatch(core, doc, member);
    if (mismatch != NULL) {
        if (g_strcmp0(mismatch, "template") != 0)
            core_set_string(&ladder->reason, mismatch);
        return;
    }
    if (*best == NULL || ladder_is_nearer(doc, &member->promised, &(*best)->promised))
        *best = member;
}

/* An instance that is kept for the function is the nearest there can be. */
static void ladder_look_kept(struct core *core, const struct reservation *doc, struct ladder *ladder)
{
    const struct code_metadata *code = &doc->notification->code;
    g_autofree char *key = core_key("k", code->tenant, code->function);
    const GQueue *kept = g_hash_table_lookup(core->kept, key);
    for (GList *link = kept != NULL ? kept->head : NULL; link != NULL; link = link->next) {
        struct instance_entry *member = link->data;
        if (member->kept_until_at > doc->arrival_at &&
            member->doc->uses < policy_function_of(core->policy, code)->reuse_max)
            ladder_consider(core, doc, ladder, member);
    }
}

static struct vm_shape ladder_clone_shape(const struct reservation *doc, const struct saved_state *saved)
{
    struct vm_shape shape = doc->shape;
    shape.vcpus = MAX(shape.vcpus, saved->shape.vcpus);
    shape.memory_mib = MAX(shape.memory_mib, saved->shape.memory_mib);
    return shape;
}

static gboolean ladder_can_clone(const struct core *core, const struct reservation *doc, const struct pool_entry *pool)
{
    const struct host_entry *host = g_hash_table_lookup(core->hosts, pool->doc->host);
    if (pool->saved == NULL || host == NULL || host->doc->state != HOST_UP || doc->shape.gpus > 0)
        return FALSE;
    const struct vm_shape shape = ladder_clone_shape(doc, pool->saved);
    return pool->saved->maximum.vcpus >= doc->maximum.vcpus &&
           pool->saved->maximum.memory_mib >= doc->maximum.memory_mib &&
           ladder_labels_cover(host, doc->notification->code.labels) &&
           ladder_has_room(host, &(struct vm_shape){0}, &shape);
}

/* How many reservations may be planned on it: what it has, or may come to have for them. */
static guint ladder_plannable(const struct core *core, const struct pool_entry *pool)
{
    const struct policy_pool *policy = policy_find_pool(core->policy, pool->doc->name);
    return MAX(pool->members->len, policy != NULL ? policy->ceiling.running + policy->ceiling.paused : 0);
}

static void ladder_look_pools(struct core *core, const struct reservation_entry *reservation, struct ladder *ladder)
{
    const struct reservation *doc = reservation->doc;
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->pools);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        struct pool_entry *pool = item;
        if (g_strcmp0(pool->doc->template, doc->template) != 0)
            continue;
        ladder->is_pooled = TRUE;
        if (pool->doc->draining)
            core_set_string(&ladder->reason, "draining");
        const gboolean is_spoken_for = reservation->is_planning && pool->planned >= ladder_plannable(core, pool);
        if (is_spoken_for)
            core_set_string(&ladder->reason, "spoken for");
        for (guint i = 0; !is_spoken_for && i < pool->members->len; i++)
            ladder_consider(core, doc, ladder, pool->members->pdata[i]);
        if (ladder_can_clone(core, doc, pool) &&
            (ladder->saved == NULL || ladder_is_nearer(doc, &pool->saved->shape, &ladder->saved->saved->shape)))
            ladder->saved = pool;
    }
    if (ladder->is_pooled && ladder->reason == NULL && ladder->warm[PATH_RUNNING] == NULL &&
        ladder->warm[PATH_PAUSED] == NULL)
        ladder->reason = g_strdup("empty");
}

static gboolean ladder_was_tried(const struct reservation_entry *reservation, enum path path)
{
    return (reservation->tried_paths & (1u << path)) != 0;
}

static gboolean ladder_tenant_may_start(const struct core *core, const struct reservation_entry *reservation)
{
    const guint starting =
        GPOINTER_TO_UINT(g_hash_table_lookup(core->tenant_boots, reservation->doc->notification->code.tenant));
    return starting < reservation->policy->limits.boots_per_tenant_max;
}

/* What each path has to offer. */
static void ladder_look(struct core *core, struct reservation_entry *reservation, struct ladder *ladder)
{
    struct reservation *doc = reservation->doc;
    const guint boots_max = reservation->policy->limits.boots_per_host_max;
    const gboolean may_start = ladder_tenant_may_start(core, reservation);
    ladder->question.policy = reservation->policy;
    ladder->question.memory_mib = doc->shape.memory_mib;
    ladder->question.time_ms = (doc->arrival_at - core->now) / CLOCK_MS - reservation->policy->provisioning.margin_ms;
    ladder->host = reservation_choose_host(core, reservation);
    ladder_look_kept(core, doc, ladder);
    ladder_look_pools(core, reservation, ladder);
    for (guint path = PATH_RUNNING; path <= PATH_PAUSED; path++) {
        const struct instance_entry *member = ladder->warm[path];
        if (member != NULL && !ladder_was_tried(reservation, (enum path)path))
            ladder_offer(core, reservation, ladder, (enum path)path, member->doc->host,
                         ladder_added_vcpus(doc, &member->promised));
    }
    if (ladder->saved != NULL && may_start && !ladder_was_tried(reservation, PATH_SAVED)) {
        const struct host_entry *host = g_hash_table_lookup(core->hosts, ladder->saved->doc->host);
        if (host->boots < boots_max)
            ladder_offer(core, reservation, ladder, PATH_SAVED, ladder->saved->doc->host,
                         ladder_added_vcpus(doc, &ladder->saved->saved->shape));
    }
    if (ladder->host != NULL && may_start)
        ladder_offer(core, reservation, ladder, PATH_BOOT, ladder->host->doc->spec->name, 0);
}

int ladder_choose(struct core *core, struct reservation_entry *reservation, struct ladder *ret_ladder)
{
    struct ladder *ladder = ret_ladder;
    struct reservation *doc = reservation->doc;
    *ladder = (struct ladder){0};
    ladder_look(core, reservation, ladder);
    const char *none = ladder->reason != NULL ? ladder->reason
                       : ladder->is_pooled    ? "none in stock"
                                              : "no pool of the template";
    ladder_object(core, reservation, ladder, PATH_RUNNING, none);
    ladder_object(core, reservation, ladder, PATH_PAUSED, none);
    ladder_object(core, reservation, ladder, PATH_SAVED,
                  ladder->saved == NULL ? "no saved state" : "tried, or as many starts are under way as may be");
    ladder_object(core, reservation, ladder, PATH_BOOT, "no host has room");
    for (guint i = 0; doc->paths != NULL && i < doc->paths->len; i++)
        path_choice_free(doc->paths->pdata[i]);
    g_clear_pointer(&doc->paths, g_ptr_array_unref);
    return path_choose(&ladder->question, &doc->paths);
}

void ladder_clear(struct ladder *ladder)
{
    g_clear_pointer(&ladder->reason, g_free);
}

/* The p95 of a boot on the hosts that could take it: the slowest of those that were seen. */
static gint64 ladder_boot_ms(struct core *core, const struct reservation_entry *reservation)
{
    const struct policy *policy = reservation->policy;
    GHashTableIter iter;
    gpointer name;
    gint64 worst = 0;
    g_hash_table_iter_init(&iter, core->hosts);
    while (g_hash_table_iter_next(&iter, &name, NULL)) {
        const struct latency *latency = core_latency(core, PATH_BOOT, reservation->doc->template, name, 0);
        worst =
            MAX(worst, latency_quantile(latency, policy->paths.confidence, core->now, policy->paths.half_life_ms, 0));
    }
    return worst > 0 ? worst : policy->provisioning.boot_estimate_ms;
}

/* When to begin, by the path that would be chosen if it were now: a slow path must begin early, whatever else there will be then. */
void ladder_plan(struct core *core, struct reservation_entry *reservation)
{
    struct reservation *doc = reservation->doc;
    struct ladder ladder = {0};
    int path = -1;
    reservation->is_planning = TRUE;
    if (g_hash_table_size(core->pools) + g_hash_table_size(core->kept) > 0)
        path = ladder_choose(core, reservation, &ladder);
    reservation->is_planning = FALSE;
    doc->path = path >= 0 ? (enum path)path : PATH_BOOT;
    doc->path_ms = path >= 0 ? ladder.question.offers[path].ready_ms
                             : ladder_boot_ms(core, reservation) + stage_latency(core, reservation, doc->template, "");
    doc->margin_ms = reservation->policy->provisioning.margin_ms;
    doc->start_at = schedule_start_at(core->now, doc->arrival_at, doc->path_ms, doc->margin_ms);
    if ((path == PATH_RUNNING || path == PATH_PAUSED) && ladder.warm[path]->pool != NULL)
        core_set_string(&reservation->due_pool, ladder.warm[path]->pool->doc->id);
    ladder_clear(&ladder);
}

static gint64 ladder_due_at(const struct reservation_entry *reservation)
{
    return reservation->doc->start_at - reservation->policy->warming.lead_ms * CLOCK_MS;
}

void ladder_register(struct core *core, struct reservation_entry *reservation)
{
    struct pool_entry *pool =
        reservation->due_pool != NULL ? g_hash_table_lookup(core->pools, reservation->due_pool) : NULL;
    if (pool == NULL)
        return;
    pool->planned++;
    reservation->is_planned = TRUE;
    core_wake_at(core, ladder_due_at(reservation), OBJECT_RESERVATION, reservation->doc->id);
    ladder_tick(core, reservation);
}

void ladder_tick(struct core *core, struct reservation_entry *reservation)
{
    struct pool_entry *pool = reservation->is_planned ? g_hash_table_lookup(core->pools, reservation->due_pool) : NULL;
    if (pool == NULL || reservation->is_due || core->now < ladder_due_at(reservation))
        return;
    reservation->is_due = TRUE;
    pool->due++;
    core->pools_changed = TRUE;
}

void ladder_unregister(struct core *core, struct reservation_entry *reservation)
{
    g_autofree char *id = g_steal_pointer(&reservation->due_pool);
    struct pool_entry *pool = reservation->is_planned ? g_hash_table_lookup(core->pools, id) : NULL;
    const gboolean was_due = reservation->is_due;
    reservation->is_planned = reservation->is_due = FALSE;
    if (pool == NULL)
        return;
    pool->planned -= pool->planned > 0 ? 1 : 0;
    pool->due -= was_due && pool->due > 0 ? 1 : 0;
    core->pools_changed |= was_due;
}

/* A start that something warm would have served better is a miss of the pool. */
static void ladder_count(struct core *core, const struct reservation_entry *reservation, const struct ladder *ladder,
                         enum path path)
{
    const gboolean is_warm = path == PATH_RUNNING || path == PATH_PAUSED;
    core->paths_taken[path]++;
    if (is_warm) {
        if (ladder->warm[path]->pool != NULL)
            ladder->warm[path]->pool->doc->hits++;
        return;
    }
    if (ladder->question.offers[path].ready_ms > ladder->question.time_ms && ladder->reason != NULL)
        pool_miss(core, pool_for(core, reservation->doc, ladder->host != NULL ? ladder->host->doc->spec->name : NULL),
                  ladder->reason);
}

void ladder_take(struct core *core, struct reservation_entry *reservation, const struct ladder *ladder, enum path path)
{
    struct reservation *doc = reservation->doc;
    struct instance_entry *instance = path <= PATH_PAUSED ? ladder->warm[path] : NULL;
    const struct path_offer *offer = &ladder->question.offers[path];
    const gint64 patience_ms =
        MAX((gint64)((double)offer->ready_ms * reservation->policy->paths.overrun), OVERRUN_LEAST_MS);
    ladder_count(core, reservation, ladder, path);
    reservation->tried_paths |= 1u << path;
    reservation->overrun_at = path == PATH_BOOT ? 0 : core->now + patience_ms * CLOCK_MS;
    core_wake_at(core, reservation->overrun_at, OBJECT_RESERVATION, doc->id);
    if (instance != NULL)
        instance_take(core, instance, reservation);
    else if (path == PATH_SAVED)
        instance = instance_start(core, reservation, g_hash_table_lookup(core->hosts, ladder->saved->doc->host),
                                  ladder->saved->saved);
    else
        instance = instance_start(core, reservation, ladder->host, NULL);
    instance->predicted_ms = offer->ready_ms;
    if (doc->instance_id == NULL) {
        doc->path = path;
        doc->path_ms = offer->ready_ms;
        core_set_string(&doc->host, instance->doc->host);
        core_set_string(&doc->instance_id, instance->doc->id);
    } else {
        core_set_string(&reservation->rival_id, instance->doc->id);
    }
}

static struct pool_ledger *ladder_ledger(struct pool_entry *pool, enum path path)
{
    if (pool->doc->ledger == NULL)
        pool->doc->ledger = g_ptr_array_new();
    for (guint i = 0; i < pool->doc->ledger->len; i++)
        if (((struct pool_ledger *)pool->doc->ledger->pdata[i])->path == path)
            return pool->doc->ledger->pdata[i];
    struct pool_ledger *ledger = g_new0(struct pool_ledger, 1);
    ledger->path = path;
    g_ptr_array_add(pool->doc->ledger, ledger);
    return ledger;
}

/* It takes at least so long: a path that hangs must not go on looking fast. */
static void ladder_learn_overrun(struct core *core, struct pool_entry *pool, const struct reservation *doc)
{
    const struct instance_entry *instance = g_hash_table_lookup(core->instances, doc->instance_id);
    core->path_overruns[doc->path]++;
    if (instance != NULL)
        core_latency_add(core, doc->path, doc->template, doc->host, instance->vcpus_added,
                         (core->now - instance->taken_at) / CLOCK_MS, core->now);
    if (pool != NULL)
        ladder_ledger(pool, doc->path)->overruns++;
}

void ladder_overrun(struct core *core, struct reservation_entry *reservation)
{
    struct reservation *doc = reservation->doc;
    struct ladder ladder;
    reservation->overrun_at = 0;
    if (doc->state != RESERVATION_STARTING || reservation->rival_id != NULL || core->shutting_down)
        return;
    struct pool_entry *pool = pool_for(core, doc, doc->host);
    pool_miss(core, pool, "overrun");
    ladder_learn_overrun(core, pool, doc);
    const int path = ladder_choose(core, reservation, &ladder);
    if (path >= 0) {
        timeline_add(&doc->timeline, core->now, "overrun, another path is tried beside it",
                     g_strdup_printf("%s has taken %.2f s, %s is next", codec_word(&path_words, doc->path),
                                     (double)(core->now - doc->started_at) / CLOCK_SECOND,
                                     codec_word(&path_words, (guint)path)));
        ladder_take(core, reservation, &ladder, (enum path)path);
        core_touch_reservation(core, reservation);
    }
    ladder_clear(&ladder);
}

gboolean reservation_owns(const struct reservation_entry *reservation, const struct instance_entry *instance)
{
    return g_strcmp0(reservation->doc->instance_id, instance->doc->id) == 0 ||
           g_strcmp0(reservation->rival_id, instance->doc->id) == 0;
}

static void ladder_record(struct core *core, const struct reservation *doc, const struct instance_entry *instance)
{
    const enum path path = instance->doc->path;
    struct pool_entry *pool = pool_for(core, doc, instance->doc->host);
    const gint64 took_ms = (core->now - instance->taken_at) / CLOCK_MS;
    const gboolean is_kept = took_ms <= instance->predicted_ms;
    core->paths_kept[path] += is_kept ? 1 : 0;
    if (pool == NULL)
        return;
    struct pool_ledger *ledger = ladder_ledger(pool, path);
    latency_add(&pool->durations[path], took_ms, core->now);
    ledger->count++;
    ledger->kept += is_kept ? 1 : 0;
    ledger->median_ms = latency_quantile(&pool->durations[path], 0.5, core->now, 0, 0);
    ledger->p95_ms = latency_quantile(&pool->durations[path], 0.95, core->now, 0, 0);
}

void ladder_arrived(struct core *core, struct reservation_entry *reservation, struct instance_entry *instance)
{
    struct reservation *doc = reservation->doc;
    g_autofree char *loser = NULL;
    if (g_strcmp0(reservation->rival_id, instance->doc->id) == 0) {
        loser = g_steal_pointer(&doc->instance_id);
        doc->instance_id = g_steal_pointer(&reservation->rival_id);
        doc->path = instance->doc->path;
        doc->path_ms = instance->predicted_ms;
        core_set_string(&doc->host, instance->doc->host);
    } else {
        loser = g_steal_pointer(&reservation->rival_id);
    }
    reservation->overrun_at = 0;
    ladder_record(core, doc, instance);
    struct instance_entry *other = loser != NULL ? g_hash_table_lookup(core->instances, loser) : NULL;
    if (other != NULL && other->doc->state < INSTANCE_STOPPING)
        instance_destroy(core, other, "another path was faster");
}
