/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"
#include "plan/stocking.h"

#include <string.h>

/* What is kept warm. After all events that came together, each pool compares its stock with its target, which is a pure function of the policy, of
 * what is registered and missed, and of the clock; what is lacking is warmed up, paced, and what is too much goes. */

void pool_entry_free(struct pool_entry *pool)
{
    if (pool == NULL)
        return;
    for (guint i = 0; i < pool->members->len; i++)
        ((struct instance_entry *)pool->members->pdata[i])->pool = NULL;
    g_ptr_array_unref(pool->members);
    saved_state_free(pool->saved);
    g_free(pool->saving_id);
    pool_free(pool->doc);
    g_free(pool);
}

static gboolean pool_is_nearer(const struct pool_entry *pool, const struct pool_entry *best,
                               const struct reservation *doc, const char *host)
{
    const gboolean is_there = g_strcmp0(pool->doc->host, host) == 0,
                   best_is_there = g_strcmp0(best->doc->host, host) == 0;
    if (is_there != best_is_there)
        return is_there;
    const guint wanted = doc->shape.vcpus;
    const guint lacking = wanted - MIN(wanted, pool->doc->shape.vcpus);
    const guint best_lacking = wanted - MIN(wanted, best->doc->shape.vcpus);
    return lacking != best_lacking ? lacking < best_lacking : pool->doc->shape.vcpus < best->doc->shape.vcpus;
}

struct pool_entry *pool_for(struct core *core, const struct reservation *doc, const char *host)
{
    struct pool_entry *best = NULL;
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->pools);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        struct pool_entry *pool = item;
        if (g_strcmp0(pool->doc->template, doc->template) == 0 && pool->doc->maximum.vcpus >= doc->maximum.vcpus &&
            pool->doc->maximum.memory_mib >= doc->maximum.memory_mib &&
            (best == NULL || pool_is_nearer(pool, best, doc, host)))
            best = pool;
    }
    return best;
}

static gboolean member_is_warm(const struct instance_entry *member)
{
    return member->doc->state == INSTANCE_WARM || member->doc->state == INSTANCE_PAUSED;
}

static gboolean member_is_paused(const struct instance_entry *member)
{
    return member->doc->state == INSTANCE_PAUSED || member->is_pausing;
}

static void pool_count(struct pool *doc, const struct instance_entry *member)
{
    doc->warming += member->doc->state == INSTANCE_STARTING || member->is_pausing ? 1 : 0;
    if (!member_is_warm(member))
        return;
    doc->idle_mib += member->doc->shape.memory_mib;
    doc->stock.paused += member->doc->state == INSTANCE_PAUSED ? 1 : 0;
    doc->stock.running += member_is_paused(member) ? 0 : 1;
}

/* Counts what is there, and the memory-time that was held since the last count. */
void pool_account(struct core *core, struct pool_entry *pool)
{
    const double hours = (double)(core->now - pool->counted_at) / CLOCK_HOUR;
    pool->doc->idle_mib_hours += pool->doc->idle_mib * hours;
    pool->counted_at = core->now;
    pool->doc->idle_mib = 0;
    pool->doc->warming = pool->saving_id != NULL ? 1 : 0;
    pool->doc->stock = (struct pool_stock){.saved = pool->saved != NULL ? 1 : 0};
    for (guint i = 0; i < pool->members->len; i++)
        pool_count(pool->doc, pool->members->pdata[i]);
}

void pool_add(struct core *core, struct pool_entry *pool, struct instance_entry *entry)
{
    entry->pool = pool;
    entry->policy_version = core->policy->version;
    g_ptr_array_add(pool->members, entry);
    core->pools_changed = TRUE;
}

void pool_remove(struct core *core, struct instance_entry *entry)
{
    struct pool_entry *pool = entry->pool;
    if (pool == NULL)
        return;
    pool_account(core, pool);
    g_ptr_array_remove(pool->members, entry);
    entry->pool = NULL;
    pool_account(core, pool);
    core->pools_changed = TRUE;
}

/* More stock would have helped. */
static gboolean miss_wants_more(const char *reason)
{
    static const char *const reasons[] = {"empty", "failed", "overrun", NULL};
    return g_strv_contains(reasons, reason);
}

void pool_miss(struct core *core, struct pool_entry *pool, const char *reason)
{
    const gint64 half_life_ms = core->policy->warming.miss_half_life_ms;
    if (pool == NULL)
        return;
    struct pool *doc = pool->doc;
    if (miss_wants_more(reason)) {
        pool->missed = stocking_decay(pool->missed, core->now - pool->missed_at, half_life_ms) + 1;
        pool->missed_at = core->now;
        core->pools_changed = TRUE;
    }
    doc->misses++;
    if (doc->miss_reasons == NULL)
        doc->miss_reasons = g_ptr_array_new();
    for (guint i = 0; i < doc->miss_reasons->len; i++) {
        struct pool_miss *known = doc->miss_reasons->pdata[i];
        if (g_strcmp0(known->reason, reason) == 0) {
            known->count++;
            return;
        }
    }
    struct pool_miss *miss = g_new0(struct pool_miss, 1);
    miss->reason = g_strdup(reason);
    miss->count = 1;
    g_ptr_array_add(doc->miss_reasons, miss);
}

/* One more of the same would not be made today: it is replaced when there is a fresh one. */
static gboolean member_is_stale(const struct core *core, const struct policy_pool *policy,
                                const struct instance_entry *member)
{
    return member->policy_version != core->policy->version ||
           (policy->max_age_ms > 0 && member->doc->warm_at + policy->max_age_ms * CLOCK_MS <= core->now);
}

/* What a pool has. */
struct census {
    guint running, paused; /* fresh ones */
    guint warming;
    GPtrArray *fresh_running, *fresh_paused, *stale; /* the oldest first */
};

static void census_clear(struct census *census)
{
    g_ptr_array_unref(census->fresh_running);
    g_ptr_array_unref(census->fresh_paused);
    g_ptr_array_unref(census->stale);
}

static void census_take(struct core *core, struct pool_entry *pool, const struct policy_pool *policy,
                        struct census *ret_census)
{
    *ret_census = (struct census){0, 0, 0, g_ptr_array_new(), g_ptr_array_new(), g_ptr_array_new()};
    for (guint i = 0; i < pool->members->len; i++) {
        struct instance_entry *member = pool->members->pdata[i];
        ret_census->warming += member->doc->state == INSTANCE_STARTING ? 1 : 0;
        if (member_is_warm(member))
            g_ptr_array_add(member_is_stale(core, policy, member) ? ret_census->stale
                            : member_is_paused(member)            ? ret_census->fresh_paused
                                                                  : ret_census->fresh_running,
                            member);
    }
    ret_census->running = ret_census->fresh_running->len;
    ret_census->paused = ret_census->fresh_paused->len;
}

static void pool_set_target(struct core *core, struct pool_entry *pool, const struct policy_pool *policy)
{
    const struct pool_setting *setting = &pool->setting;
    const char *window = NULL;
    const gint64 half_life_ms = core->policy->warming.miss_half_life_ms;
    struct stocking stocking = {
        .floor = policy_pool_floor(core->policy, policy, core->now, &window),
        .ceiling = policy->ceiling,
        .due = pool->due,
        .missed = stocking_decay(pool->missed, core->now - pool->missed_at, half_life_ms),
        .memory_mib = policy->shape.memory_mib,
        .idle_budget_mib = policy->idle_budget_mib,
        .is_draining = pool->doc->draining,
    };
    stocking.floor_reason = pool->doc->overridden ? "pool-set" : window != NULL ? window : "floor";
    stocking.floor.running = setting->has_running ? setting->running : stocking.floor.running;
    stocking.floor.paused = setting->has_paused ? setting->paused : stocking.floor.paused;
    stocking.floor.saved = setting->has_saved ? setting->saved : stocking.floor.saved;
    g_clear_pointer(&pool->doc->why, g_free);
    pool->doc->target = stocking_target(&stocking, &pool->doc->why);
}

static void pool_destroy_member(struct core *core, struct pool_entry *pool, struct instance_entry *member,
                                const char *reason)
{
    pool->doc->wasted++;
    instance_destroy(core, member, reason);
}

static void pool_pause(struct core *core, struct instance_entry *member)
{
    member->is_pausing = TRUE;
    core_emit(core, core_command_for(member->doc->host, COMMAND_PAUSE, member->doc->id));
}

#define SAVE_PATIENCE (5 * CLOCK_MINUTE)

/* Its state becomes what clones are made from. It is no member from then on, whatever comes of it. */
static void pool_save(struct core *core, struct pool_entry *pool, struct instance_entry *member)
{
    struct command *command = core_command_for(member->doc->host, COMMAND_SAVE, member->doc->id);
    command->saved = g_new0(struct saved_state, 1);
    command->saved->id = id_new("saved", core->now, core->random);
    command->saved->pool = g_strdup(pool->doc->id);
    command->saved->template = g_strdup(member->doc->template);
    command->saved->shape = member->doc->shape;
    command->saved->maximum = member->doc->maximum;
    command->saved->created_at = core->now;
    core_set_string(&pool->saving_id, member->doc->id);
    member->saving_until_at = core->now + SAVE_PATIENCE;
    pool_remove(core, member);
    instance_step(core, member, INSTANCE_STEP_DESTROY, "becomes a saved state", g_strdup(command->saved->id));
    core_emit(core, command);
}

static gboolean pool_wants_saved(const struct core *core, const struct pool_entry *pool)
{
    return pool->doc->target.saved > 0 && pool->saved == NULL && pool->saving_id == NULL && !pool->cannot_save &&
           core->now >= pool->retry_at;
}

static gboolean member_may_change(const struct instance_entry *member)
{
    return member->doc->state == INSTANCE_WARM && !member->is_pausing;
}

/* Running instances beyond the target become what is lacking. What is left over goes, the oldest first. */
static void pool_turn_surplus(struct core *core, struct pool_entry *pool, struct census *census)
{
    const struct pool_stock *target = &pool->doc->target;
    while (census->running > target->running) {
        struct instance_entry *member = census->fresh_running->pdata[0];
        g_ptr_array_remove_index(census->fresh_running, 0);
        census->running--;
        if (pool_wants_saved(core, pool) && member_may_change(member)) {
            pool_save(core, pool, member);
        } else if (census->paused < target->paused && member_may_change(member)) {
            pool_pause(core, member);
            census->paused++;
        } else {
            pool_destroy_member(core, pool, member, "more than the pool is to hold");
        }
    }
    while (census->paused > target->paused && census->fresh_paused->len > 0) {
        pool_destroy_member(core, pool, census->fresh_paused->pdata[0], "more than the pool is to hold");
        g_ptr_array_remove_index(census->fresh_paused, 0);
        census->paused--;
    }
}

/* The stock is replaced without a dip: an old one goes when a fresh one stands in its place. */
static void pool_drop_stale(struct core *core, struct pool_entry *pool, const struct census *census)
{
    const guint wanted = pool->doc->target.running + pool->doc->target.paused;
    const guint present = census->running + census->paused + census->stale->len;
    const guint excess = present > wanted ? present - wanted : 0;
    for (guint i = 0; i < MIN(excess, census->stale->len); i++)
        pool_destroy_member(core, pool, census->stale->pdata[i], "too old, or of an earlier policy: it was replaced");
}

/* Why no warm-up may begin on the host now, or NULL. Warm-ups yield to everything that a reservation waits for. */
static const char *pool_held_back(const struct core *core, const struct pool_entry *pool, const struct host_entry *host)
{
    const struct policy_warming *warming = &core->policy->warming;
    if (host == NULL || host->doc->state != HOST_UP)
        return "the host is not up";
    if (core->now < pool->retry_at)
        return "the last warm-up failed";
    if (pool->saving_id != NULL)
        return "a saved state is being made, from which the next ones are cloned";
    if (!g_sequence_is_empty(core->waiting))
        return "reservations wait for room";
    if (host->boots + host->claims > 0)
        return "instances are being made ready for reservations on the host";
    if (core->warmups >= warming->warmups_max)
        return "as many are being warmed up as may be";
    return host->warmups >= warming->warmups_per_host ? "as many are being warmed up on the host as may be" : NULL;
}

static gboolean pool_has_room(struct core *core, const struct pool_entry *pool, const struct host_entry *host)
{
    const struct placing_candidate candidate = {host->doc, host->boots + host->warmups, FALSE};
    return placing_choose(&candidate, 1, &pool->doc->shape, NULL,
                          core->policy->limits.boots_per_host_max + core->policy->warming.warmups_per_host, NULL) == 0;
}

static guint pool_deficit(const struct core *core, const struct pool_entry *pool, const struct census *census)
{
    const struct pool_stock *target = &pool->doc->target;
    const guint wanted = target->running + target->paused + (pool_wants_saved(core, pool) ? 1 : 0);
    const guint present = census->running + census->paused + census->warming;
    return wanted > present ? wanted - present : 0;
}

static void pool_evict(struct core *core, struct host_entry *host, struct instance_entry *victim, const char *reason)
{
    if (victim->pool != NULL)
        victim->pool->doc->wasted++;
    victim->is_evicted = TRUE;
    host->evictions++;
    instance_destroy(core, victim, reason);
}

/* On a full host what is stale goes before what replaces it is there, one at a time. */
static void pool_free_room(struct core *core, struct host_entry *host, struct census *census)
{
    if (census->stale->len == 0 || host->evictions > 0)
        return;
    pool_evict(core, host, census->stale->pdata[0], "too old, or of an earlier policy: it makes room for another");
    g_ptr_array_remove_index(census->stale, 0);
}

static void pool_fill(struct core *core, struct pool_entry *pool, struct census *census)
{
    struct host_entry *host = g_hash_table_lookup(core->hosts, pool->doc->host);
    const char *held_back = NULL;
    while (held_back == NULL && pool_deficit(core, pool, census) > 0) {
        held_back = pool_held_back(core, pool, host);
        if (held_back == NULL && !pool_has_room(core, pool, host)) {
            held_back = "the host has no room for another";
            pool_free_room(core, host, census);
        }
        if (held_back != NULL)
            break;
        instance_warm_up(core, pool, host);
        census->warming++;
    }
    core_set_string(&pool->doc->held_back, held_back);
}

static void pool_wake_at(struct core *core, struct pool_entry *pool, gint64 at)
{
    if (at == CLOCK_NEVER || (pool->wake_at > core->now && pool->wake_at <= at))
        return;
    pool->wake_at = at;
    core_wake_at(core, at, OBJECT_POOL, pool->doc->id);
}

/* When the target or the worth of a member next changes by itself. */
static gint64 pool_next_at(const struct core *core, const struct pool_entry *pool, const struct policy_pool *policy)
{
    const gint64 half_life_ms = core->policy->warming.miss_half_life_ms;
    const double missed = stocking_decay(pool->missed, core->now - pool->missed_at, half_life_ms);
    gint64 next_at = MIN(policy_pool_changes_at(core->policy, policy, core->now),
                         stocking_decays_at(missed, core->now, half_life_ms));
    if (pool->retry_at > core->now)
        next_at = MIN(next_at, pool->retry_at);
    for (guint i = 0; policy->max_age_ms > 0 && i < pool->members->len; i++) {
        const struct instance *doc = ((struct instance_entry *)pool->members->pdata[i])->doc;
        const gint64 old_at = doc->warm_at + policy->max_age_ms * CLOCK_MS;
        if (doc->warm_at > 0 && old_at > core->now)
            next_at = MIN(next_at, old_at);
    }
    return next_at;
}

static void pool_forget_saved(struct core *core, struct pool_entry *pool)
{
    if (pool->saved == NULL)
        return;
    struct command *command = core_command_for(pool->doc->host, COMMAND_FORGET_SAVED, NULL);
    command->saved = g_steal_pointer(&pool->saved);
    core_emit(core, command);
}

static void pool_maintain(struct core *core, struct pool_entry *pool)
{
    const struct policy_pool *policy = policy_find_pool(core->policy, pool->doc->name);
    struct census census;
    pool_set_target(core, pool, policy);
    if (pool->doc->target.saved == 0)
        pool_forget_saved(core, pool);
    census_take(core, pool, policy, &census);
    pool_turn_surplus(core, pool, &census);
    pool_drop_stale(core, pool, &census);
    pool_fill(core, pool, &census);
    census_clear(&census);
    pool_account(core, pool);
    pool_wake_at(core, pool, pool_next_at(core, pool, policy));
}

static int pool_compare_id(gconstpointer a, gconstpointer b)
{
    const struct pool_entry *x = *(gconstpointer const *)a, *y = *(gconstpointer const *)b;
    return g_strcmp0(x->doc->id, y->doc->id);
}

GPtrArray *pools_sorted(struct core *core)
{
    GPtrArray *pools = g_ptr_array_new();
    GHashTableIter iter;
    gpointer pool;
    g_hash_table_iter_init(&iter, core->pools);
    while (g_hash_table_iter_next(&iter, NULL, &pool))
        g_ptr_array_add(pools, pool);
    g_ptr_array_sort(pools, pool_compare_id);
    return pools;
}

void pools_maintain(struct core *core)
{
    if (!core->pools_changed || core->shutting_down)
        return;
    core->pools_changed = FALSE;
    g_autoptr(GPtrArray) pools = pools_sorted(core);
    for (guint i = 0; i < pools->len; i++)
        pool_maintain(core, pools->pdata[i]);
    core->pools_changed = FALSE; /* what was just done is done */
}

static struct pool_entry *pool_new(struct core *core, const char *id, const struct policy_pool *policy,
                                   const char *host)
{
    struct pool_entry *pool = g_new0(struct pool_entry, 1);
    pool->doc = g_new0(struct pool, 1);
    pool->doc->id = g_strdup(id);
    pool->doc->name = g_strdup(policy->name);
    pool->doc->host = g_strdup(host);
    pool->members = g_ptr_array_new();
    pool->counted_at = pool->missed_at = core->now;
    g_hash_table_insert(core->pools, pool->doc->id, pool);
    return pool;
}

/* What a saved state was made with must be what the pool is to have. */
static gboolean pool_can_use(const struct pool_entry *pool, const struct saved_state *saved)
{
    return g_strcmp0(saved->template, pool->doc->template) == 0 && vm_shape_equal(&saved->shape, &pool->doc->shape) &&
           vm_shape_equal(&saved->maximum, &pool->doc->maximum);
}

static void pool_update(struct core *core, struct pool_entry *pool, const struct policy_pool *policy)
{
    struct pool *doc = pool->doc;
    core_set_string(&doc->template, policy->template);
    doc->shape = policy->shape;
    doc->maximum = policy->maximum;
    doc->idle_budget_mib = policy->idle_budget_mib;
    if (pool->setting_version != core->policy->version) {
        pool->setting = (struct pool_setting){0};
        doc->overridden = FALSE;
    }
    pool->cannot_save = FALSE; /* it may have been the template's fault */
    if (pool->saved != NULL && !pool_can_use(pool, pool->saved))
        pool_forget_saved(core, pool);
}

static gboolean pool_belongs_on(const struct policy_pool *policy, const struct host_entry *host)
{
    const struct host_spec *spec = host->doc->spec;
    if (host->is_detached)
        return FALSE;
    for (char **label = policy->labels; label != NULL && *label != NULL; label++)
        if (spec->labels == NULL || !g_strv_contains((const char *const *)spec->labels, *label))
            return FALSE;
    return TRUE;
}

static void pools_drop_others(struct core *core, GHashTable *wanted)
{
    g_autoptr(GPtrArray) pools = pools_sorted(core);
    for (guint i = 0; i < pools->len; i++) {
        struct pool_entry *pool = pools->pdata[i];
        if (g_hash_table_contains(wanted, pool->doc->id))
            continue;
        pool_forget_saved(core, pool);
        while (pool->members->len > 0)
            pool_destroy_member(core, pool, pool->members->pdata[0], "its pool is not in the policy any more");
        g_hash_table_remove(core->pools, pool->doc->id);
    }
}

void pools_sync(struct core *core)
{
    g_autoptr(GHashTable) wanted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) hosts = host_entries_sorted(core);
    for (guint i = 0; i < core->policy->pools->len * hosts->len; i++) {
        const struct policy_pool *policy = core->policy->pools->pdata[i / hosts->len];
        const struct host_entry *host = hosts->pdata[i % hosts->len];
        if (!pool_belongs_on(policy, host))
            continue;
        char *id = g_strdup_printf("%s@%s", policy->name, host->doc->spec->name);
        struct pool_entry *pool = g_hash_table_lookup(core->pools, id);
        if (pool == NULL)
            pool = pool_new(core, id, policy, host->doc->spec->name);
        pool_update(core, pool, policy);
        g_hash_table_add(wanted, id);
    }
    pools_drop_others(core, wanted);
    core->pools_changed = TRUE;
}

/* What waits on the host for code that may never come: of those kept for a function the one kept longest, else of a pool. */
static struct instance_entry *room_victim(struct core *core, const char *host)
{
    struct instance_entry *victim = NULL;
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->kept);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        for (GList *link = ((GQueue *)item)->head; link != NULL; link = link->next) {
            struct instance_entry *kept = link->data;
            if (g_strcmp0(kept->doc->host, host) == 0 &&
                (victim == NULL || kept->kept_until_at < victim->kept_until_at))
                victim = kept;
        }
    }
    g_autoptr(GPtrArray) pools = pools_sorted(core);
    for (guint i = 0; victim == NULL && i < pools->len; i++) {
        const struct pool_entry *pool = pools->pdata[i];
        for (guint k = 0; g_strcmp0(pool->doc->host, host) == 0 && victim == NULL && k < pool->members->len; k++)
            victim = pool->members->pdata[k];
    }
    return victim;
}

void pools_make_room(struct core *core, const struct reservation_entry *reservation)
{
    g_autoptr(GPtrArray) hosts = host_entries_sorted(core);
    for (guint i = 0; i < hosts->len; i++) {
        struct host_entry *host = hosts->pdata[i];
        if (!placing_is_full(host->doc, &reservation->doc->shape, reservation->doc->notification->code.labels))
            continue;
        if (pools_make_room_on(core, host, "a reservation needs the room"))
            return;
    }
}

gboolean pools_make_room_on(struct core *core, struct host_entry *host, const char *reason)
{
    if (host->evictions > 0)
        return TRUE; /* one at a time: when it is gone, what needs the room is tried again */
    struct instance_entry *victim = room_victim(core, host->doc->spec->name);
    if (victim != NULL)
        pool_evict(core, host, victim, reason);
    return victim != NULL;
}

#define CLONE_FAILURES_MAX 2

void pool_note_clone(struct core *core, const struct instance *clone, gboolean is_ready)
{
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->pools);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        struct pool_entry *pool = item;
        if (pool->saved == NULL || g_strcmp0(pool->saved->id, clone->saved) != 0)
            continue;
        pool->clone_failures = is_ready ? 0 : pool->clone_failures + 1;
        if (pool->clone_failures < CLONE_FAILURES_MAX)
            return;
        pool->clone_failures = 0;
        core_set_string(&pool->doc->saved_error,
                        "clones of it did not become ready, one after another: another is made");
        log_warning("core", "pool %s: saved state %s: %s", pool->doc->id, clone->saved, pool->doc->saved_error);
        pool_forget_saved(core, pool);
        core->pools_changed = TRUE;
        return;
    }
}

static void pool_on_paused(struct core *core, struct instance_entry *entry, const struct event *event)
{
    if (!entry->is_pausing)
        return; /* it was claimed meanwhile */
    entry->is_pausing = FALSE;
    core->pools_changed = TRUE;
    if (event->error == NULL) {
        instance_step(core, entry, INSTANCE_STEP_PAUSE, "paused", NULL);
        return;
    }
    if (entry->pool != NULL)
        entry->pool->retry_at = core->now + core->policy->warming.retry_ms * CLOCK_MS;
    instance_destroy(core, entry, "it could not be paused");
}

static void pool_keep_saved(struct core *core, struct pool_entry *pool, struct event *event)
{
    const gboolean is_wanted = pool != NULL && !pool->doc->draining && pool_can_use(pool, event->saved);
    if (is_wanted) {
        saved_state_free(pool->saved);
        pool->saved = g_steal_pointer(&event->saved);
        return;
    }
    struct command *command = core_command_for(event->host, COMMAND_FORGET_SAVED, NULL);
    command->saved = g_steal_pointer(&event->saved);
    core_emit(core, command);
}

static void pool_on_saved(struct core *core, struct instance_entry *entry, struct event *event)
{
    struct pool_entry *pool = entry->doc->pool != NULL ? g_hash_table_lookup(core->pools, entry->doc->pool) : NULL;
    const GError *error = event->error;
    entry->saving_until_at = 0;
    instance_gone(core, entry, error != NULL ? error->message : "it is a saved state now");
    if (error == NULL)
        pool_keep_saved(core, pool, event);
    if (pool == NULL)
        return;
    core_set_string(&pool->doc->saved_error, error != NULL ? error->message : NULL);
    if (error == NULL)
        return;
    pool->cannot_save = g_error_matches(error, HBR_ERROR, HBR_ERROR_UNSUPPORTED);
    pool->retry_at = core->now + core->policy->warming.retry_ms * CLOCK_MS;
    log_warning("core", "pool %s: no saved state: %s", pool->doc->id, error->message);
}

static void pool_on_saved_lost(struct core *core, const struct event *event)
{
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->pools);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        struct pool_entry *pool = item;
        if (pool->saved == NULL || g_strcmp0(pool->saved->id, event->id) != 0)
            continue;
        core_set_string(&pool->doc->saved_error, event->error != NULL ? event->error->message : "lost");
        log_warning("core", "pool %s: its saved state is lost, another is made: %s", pool->doc->id,
                    pool->doc->saved_error);
        g_clear_pointer(&pool->saved, saved_state_free);
        core->pools_changed = TRUE;
    }
}

static void pool_take_found(struct core *core, const struct event *event)
{
    for (guint i = 0; event->saved_states != NULL && i < event->saved_states->len; i++) {
        const struct saved_state *found = event->saved_states->pdata[i];
        struct pool_entry *pool = found->pool != NULL ? g_hash_table_lookup(core->pools, found->pool) : NULL;
        if (pool != NULL && pool->saved != NULL && g_strcmp0(pool->saved->id, found->id) == 0)
            continue;
        if (pool != NULL && pool->saved == NULL && pool->saving_id == NULL && pool_can_use(pool, found)) {
            pool->saved = saved_state_copy(found);
            core->pools_changed = TRUE;
            continue;
        }
        if (pool != NULL && pool->saving_id != NULL)
            continue; /* perhaps the one that is being written */
        struct command *command = core_command_for(event->host, COMMAND_FORGET_SAVED, NULL);
        command->saved = saved_state_copy(found);
        core_emit(core, command);
    }
}

void pool_on_event(struct core *core, struct event *event)
{
    struct instance_entry *entry = event->id != NULL ? g_hash_table_lookup(core->instances, event->id) : NULL;
    if (event->kind == EVENT_SAVED_LOST)
        pool_on_saved_lost(core, event);
    else if (event->kind == EVENT_HOST_INVENTORY)
        pool_take_found(core, event);
    else if (entry != NULL && event->kind == EVENT_INSTANCE_PAUSED)
        pool_on_paused(core, entry, event);
    else if (entry != NULL && event->kind == EVENT_INSTANCE_SAVED)
        pool_on_saved(core, entry, event);
}

static struct pool_entry *pool_find(struct core *core, const struct event *event)
{
    struct pool_entry *pool = g_hash_table_lookup(core->pools, event->id);
    if (pool == NULL)
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no pool \"%s\"", event->id));
    return pool;
}

void pool_set(struct core *core, struct event *event)
{
    struct pool_entry *pool = pool_find(core, event);
    const struct pool_setting *wanted = event->pool_setting;
    if (pool == NULL)
        return;
    struct pool_setting *setting = &pool->setting;
    if (wanted->reset)
        *setting = (struct pool_setting){0};
    setting->running = wanted->has_running ? wanted->running : setting->running;
    setting->paused = wanted->has_paused ? wanted->paused : setting->paused;
    setting->saved = wanted->has_saved ? wanted->saved : setting->saved;
    setting->has_running |= wanted->has_running && !wanted->reset;
    setting->has_paused |= wanted->has_paused && !wanted->reset;
    setting->has_saved |= wanted->has_saved && !wanted->reset;
    pool->setting_version = core->policy->version;
    pool->doc->overridden = setting->has_running || setting->has_paused || setting->has_saved;
    pool_maintain(core, pool);
    core_reply_object(core, event->request, 200, NULL, &pool_codec, pool->doc);
}

void pool_drain(struct core *core, struct event *event)
{
    struct pool_entry *pool = pool_find(core, event);
    if (pool == NULL)
        return;
    pool->doc->draining = event->eof;
    if (pool->doc->draining)
        pool_forget_saved(core, pool);
    pool_maintain(core, pool);
    core_reply_object(core, event->request, 200, NULL, &pool_codec, pool->doc);
}
