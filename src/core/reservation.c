/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

void reservation_entry_free(struct reservation_entry *entry)
{
    if (entry == NULL)
        return;
    reservation_free(entry->doc);
    policy_unref(entry->policy);
    g_ptr_array_unref(entry->failed_hosts);
    g_free(entry->rival_id);
    g_free(entry->due_pool);
    g_free(entry->code_digest);
    g_free(entry->source);
    g_free(entry);
}

static int reservation_compare_rank(gconstpointer a, gconstpointer b, gpointer data G_GNUC_UNUSED)
{
    const struct reservation_entry *x = a, *y = b;
    if (x->rank_at != y->rank_at)
        return x->rank_at < y->rank_at ? -1 : 1;
    return g_strcmp0(x->doc->id, y->doc->id);
}

static void reservation_join_line(struct core *core, struct reservation_entry *entry)
{
    if (entry->place_in_line == NULL)
        entry->place_in_line = g_sequence_insert_sorted(core->waiting, entry, reservation_compare_rank, NULL);
}

static void reservation_leave_line(struct reservation_entry *entry)
{
    if (entry->place_in_line != NULL)
        g_sequence_remove(entry->place_in_line);
    entry->place_in_line = NULL;
}

void reservation_rank(struct core *core, struct reservation_entry *entry, gint64 rank_at)
{
    const gboolean stands_in_line = entry->place_in_line != NULL;
    reservation_leave_line(entry);
    entry->rank_at = rank_at;
    if (stands_in_line)
        reservation_join_line(core, entry);
}

/* Executions of its function may claim it from now on. */
void reservation_index(struct core *core, struct reservation_entry *entry)
{
    if (entry->doc->execution_id != NULL)
        return;
    const struct code_metadata *code = &entry->doc->notification->code;
    g_autofree char *key = core_key("f", code->tenant, code->function);
    entry->siblings = g_hash_table_lookup(core->by_function, key);
    if (entry->siblings == NULL) {
        entry->siblings = g_queue_new();
        g_hash_table_insert(core->by_function, g_steal_pointer(&key), entry->siblings);
    }
    g_queue_push_tail(entry->siblings, entry);
    entry->sibling_link = g_queue_peek_tail_link(entry->siblings);
}

void reservation_unindex(struct core *core, struct reservation_entry *entry)
{
    if (entry->siblings == NULL)
        return;
    g_queue_delete_link(entry->siblings, entry->sibling_link);
    if (entry->siblings->length == 0) {
        const struct code_metadata *code = &entry->doc->notification->code;
        g_autofree char *key = core_key("f", code->tenant, code->function);
        g_hash_table_remove(core->by_function, key);
    }
    entry->siblings = NULL;
    entry->sibling_link = NULL;
}

static char *reservation_explain_demand(const struct reservation *doc)
{
    const struct demand *demand = doc->demand;
    g_autofree char *shape = vm_shape_to_string(&doc->shape);
    return g_strdup_printf("%s score %.0f from %s: p90 %.1f vCPU, %.0f MiB; profile %s, shape %s",
                           demand->class_name != NULL ? demand->class_name : "?", demand->score,
                           codec_word(&demand_source_words, demand->source), demand->vcpus.p90, demand->memory_mib.p90,
                           doc->profile, shape);
}

void reservation_begin_timeline(struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    if (doc->timeline != NULL)
        return;
    timeline_add(&doc->timeline, doc->created_at, entry->is_on_demand ? "requested on demand" : "notification accepted",
                 NULL);
    timeline_add(&doc->timeline, doc->created_at, "demand predicted", reservation_explain_demand(doc));
    if (doc->start_at <= doc->created_at)
        return;
    timeline_add(&doc->timeline, doc->created_at, "start scheduled",
                 g_strdup_printf("arrival in %.1f s, less %.1f s for path %s and margin %.1f s",
                                 (double)(doc->arrival_at - doc->created_at) / CLOCK_SECOND,
                                 (double)doc->path_ms / 1000, codec_word(&path_words, doc->path),
                                 (double)doc->margin_ms / 1000));
}

void reservation_weigh(struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    if (doc->amounts == NULL && doc->demand != NULL && doc->policy_version == entry->policy->version)
        doc->amounts = sizing_weigh(entry->policy, doc->demand, doc->profile, &doc->shape);
}

gboolean reservation_step(struct core *core, struct reservation_entry *entry, enum reservation_step step,
                          const char *what, char *detail)
{
    struct reservation *doc = entry->doc;
    const int next = reservation_next(doc->state, step);
    if (next == STATE_REFUSED) {
        log_debug("core", "%s: %s does not apply when %s", doc->id, codec_word(&reservation_step_words, step),
                  codec_word(&reservation_state_words, doc->state));
        g_free(detail);
        return FALSE;
    }
    if (doc->state == RESERVATION_SCHEDULED)
        ladder_unregister(core, entry);
    doc->state = (enum reservation_state)next;
    reservation_begin_timeline(entry);
    timeline_add(&doc->timeline, core->now, what, detail);
    core_touch_reservation(core, entry);
    if (doc->state == RESERVATION_WAITING)
        reservation_join_line(core, entry);
    else
        reservation_leave_line(entry);
    if (doc->state >= RESERVATION_CLAIMED)
        reservation_unindex(core, entry);
    if (reservation_state_is_terminal(doc->state)) {
        doc->ended_at = core->now;
        core->open_reservations--;
        core_retain_finished(core, OBJECT_RESERVATION, doc->id);
    }
    return TRUE;
}

void reservation_note(struct core *core, struct reservation_entry *entry, const char *what, char *detail)
{
    reservation_begin_timeline(entry);
    timeline_add(&entry->doc->timeline, core->now, what, detail);
    core_touch_reservation(core, entry);
}

static gboolean reservation_failed_on(const struct reservation_entry *entry, const char *host)
{
    return g_ptr_array_find_with_equal_func(entry->failed_hosts, host, g_str_equal, NULL);
}

struct host_entry *reservation_choose_host(struct core *core, struct reservation_entry *entry)
{
    g_autoptr(GPtrArray) hosts = host_entries_sorted(core);
    g_autofree struct placing_candidate *candidates = g_new0(struct placing_candidate, hosts->len + 1);
    for (guint i = 0; i < hosts->len; i++) {
        const struct host_entry *host = hosts->pdata[i];
        candidates[i] =
            (struct placing_candidate){host->doc, host->boots, reservation_failed_on(entry, host->doc->spec->name)};
    }
    struct reservation *doc = entry->doc;
    for (guint i = 0; doc->placements != NULL && i < doc->placements->len; i++)
        placement_free(doc->placements->pdata[i]);
    g_clear_pointer(&doc->placements, g_ptr_array_unref);
    const int chosen = placing_choose(candidates, hosts->len, &doc->shape, doc->notification->code.labels,
                                      entry->policy->limits.boots_per_host_max, &doc->placements);
    return chosen >= 0 ? hosts->pdata[chosen] : NULL;
}

static char *reservation_verdicts(const struct reservation *doc)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < doc->placements->len; i++) {
        const struct placement *placement = doc->placements->pdata[i];
        g_string_append_printf(text, "%s%s: %s", i > 0 ? "; " : "", placement->host, placement->verdict);
    }
    if (text->len == 0)
        g_string_append(text, "no host is attached");
    return g_string_free(text, FALSE);
}

static void reservation_wait_for_room(struct core *core, struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    if (doc->state == RESERVATION_SCHEDULED)
        reservation_step(core, entry, RESERVATION_STEP_NO_ROOM, "waiting for room", reservation_verdicts(doc));
    core_wake_at(core, doc->execution_id == NULL ? doc->expires_at : 0, OBJECT_RESERVATION, doc->id);
    pools_make_room(core, entry);
}

void reservation_start(struct core *core, struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    struct ladder ladder;
    if (core->shutting_down)
        return;
    const int path = ladder_choose(core, entry, &ladder);
    if (path < 0) {
        reservation_wait_for_room(core, entry);
    } else if (reservation_step(
                   core, entry, RESERVATION_STEP_PLACE, "instance start",
                   g_strdup_printf("by path %s, template %s", codec_word(&path_words, (guint)path), doc->template))) {
        doc->attempts += path == PATH_BOOT ? 1 : 0;
        doc->started_at = core->now;
        ladder_take(core, entry, &ladder, (enum path)path);
    }
    ladder_clear(&ladder);
}

void reservation_instance_ready(struct core *core, struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    const double lead = (double)(doc->arrival_at - core->now) / CLOCK_SECOND;
    if (!reservation_step(core, entry, RESERVATION_STEP_READY, "instance proven ready",
                          g_strdup_printf("%.2f s after its start, %.2f s %s the expected arrival",
                                          (double)(core->now - doc->started_at) / CLOCK_SECOND, ABS(lead),
                                          lead >= 0 ? "before" : "after")))
        return;
    doc->ready_at = core->now;
    struct instance_entry *instance = g_hash_table_lookup(core->instances, doc->instance_id);
    struct execution_entry *execution =
        doc->execution_id != NULL ? g_hash_table_lookup(core->executions, doc->execution_id) : NULL;
    if (execution != NULL && instance != NULL) {
        execution_send(core, execution, instance);
        return;
    }
    stage_proceed(core, entry);
    doc->expires_at = MAX(doc->arrival_at, core->now) + entry->policy->provisioning.no_show_ms * CLOCK_MS;
    core_wake_at(core, doc->expires_at, OBJECT_RESERVATION, doc->id);
}

/* One of two is lost: the other goes on. FALSE: there was no other. */
static gboolean reservation_lose_one_of_two(struct core *core, struct reservation_entry *entry,
                                            const struct instance_entry *lost)
{
    if (entry->rival_id == NULL)
        return FALSE;
    if (g_strcmp0(entry->rival_id, lost->doc->id) == 0) {
        g_clear_pointer(&entry->rival_id, g_free);
    } else {
        g_free(entry->doc->instance_id);
        entry->doc->instance_id = g_steal_pointer(&entry->rival_id);
        const struct instance_entry *other = g_hash_table_lookup(core->instances, entry->doc->instance_id);
        if (other != NULL) {
            entry->doc->path = other->doc->path;
            entry->doc->path_ms = other->predicted_ms;
            core_set_string(&entry->doc->host, other->doc->host);
        }
    }
    core_touch_reservation(core, entry);
    return TRUE;
}

/* What was warm or saved costs little to have tried in vain, and each way is tried once: attempts count boots, and instances that were lost when they
 * had been ready. */
static gboolean reservation_may_try_again(struct reservation_entry *entry, const struct instance_entry *lost)
{
    struct reservation *doc = entry->doc;
    const gboolean was_ready = doc->state == RESERVATION_READY;
    if (was_ready && lost->doc->path != PATH_BOOT)
        doc->attempts++;
    if (!was_ready && lost->doc->path != PATH_BOOT)
        return TRUE;
    return doc->attempts < entry->policy->provisioning.boot_attempts;
}

void reservation_instance_lost(struct core *core, struct reservation_entry *entry, const struct instance_entry *lost,
                               const char *reason)
{
    struct reservation *doc = entry->doc;
    if (lost->doc->path != PATH_BOOT && doc->state == RESERVATION_STARTING)
        pool_miss(core, pool_for(core, doc, lost->doc->host), "failed");
    if (reservation_lose_one_of_two(core, entry, lost))
        return;
    if (lost->doc->path == PATH_BOOT && !reservation_failed_on(entry, lost->doc->host))
        g_ptr_array_add(entry->failed_hosts, g_strdup(lost->doc->host));
    if (doc->state == RESERVATION_READY)
        entry->tried_paths = 0;
    if (entry->code_state == CODE_STAGING || entry->code_state == CODE_STAGED)
        entry->code_state = CODE_LOST; /* perhaps it was what killed the instance */
    entry->overrun_at = 0;
    if (reservation_may_try_again(entry, lost)) {
        g_clear_pointer(&doc->instance_id, g_free);
        if (reservation_step(core, entry, RESERVATION_STEP_SETBACK, "instance failed, another is started",
                             g_strdup(reason)))
            core->place_again = TRUE;
        return;
    }
    core_set_string(&doc->error, reason);
    if (!reservation_step(core, entry, RESERVATION_STEP_GIVE_UP, "given up", g_strdup(reason)))
        return;
    struct execution_entry *execution =
        doc->execution_id != NULL ? g_hash_table_lookup(core->executions, doc->execution_id) : NULL;
    if (execution != NULL)
        execution_fail(core, execution, "no instance could be made ready in %u attempts: %s", doc->attempts, reason);
}

static void reservation_release_instance(struct core *core, struct reservation_entry *entry, const char *reason)
{
    g_autofree char *rival_id = g_steal_pointer(&entry->rival_id);
    const char *const ids[] = {entry->doc->instance_id, rival_id};
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        struct instance_entry *instance = ids[i] != NULL ? g_hash_table_lookup(core->instances, ids[i]) : NULL;
        if (instance != NULL && instance->doc->state < INSTANCE_STOPPING)
            instance_destroy(core, instance, reason);
    }
}

void reservation_cancel(struct core *core, struct reservation_entry *entry, const char *reason)
{
    if (reservation_step(core, entry, RESERVATION_STEP_CANCEL, "cancelled", g_strdup(reason)))
        reservation_release_instance(core, entry, reason);
}

static void reservation_expire(struct core *core, struct reservation_entry *entry)
{
    const gboolean was_ready = entry->doc->state == RESERVATION_READY;
    if (!reservation_step(core, entry, RESERVATION_STEP_EXPIRE, "expired",
                          g_strdup(was_ready ? "nobody came" : "no host had room before it expired")))
        return;
    core->counters[was_ready ? COUNTER_NO_SHOWS : COUNTER_UNPLACED]++;
    reservation_release_instance(core, entry, "its reservation expired");
}

void reservation_tick(struct core *core, struct reservation_entry *entry)
{
    const struct reservation *doc = entry->doc;
    if (doc->state == RESERVATION_SCHEDULED)
        ladder_tick(core, entry);
    if (doc->state == RESERVATION_SCHEDULED && core->now >= doc->start_at)
        reservation_start(core, entry);
    else if (doc->state == RESERVATION_STARTING && entry->overrun_at > 0 && core->now >= entry->overrun_at)
        ladder_overrun(core, entry);
    else if ((doc->state == RESERVATION_READY || doc->state == RESERVATION_WAITING) && doc->execution_id == NULL &&
             core->now >= doc->expires_at)
        reservation_expire(core, entry);
}

#define PLACING_TRIES_MAX \
    64 /* a large reservation at the head must not hide small ones behind it, nor the line cost without end */

void core_place_waiting(struct core *core)
{
    if (!core->place_again)
        return;
    core->place_again = FALSE;
    relief_serve(core); /* code that runs comes before code that will */
    g_autoptr(GPtrArray) line = g_ptr_array_new();
    for (GSequenceIter *at = g_sequence_get_begin_iter(core->waiting);
         !g_sequence_iter_is_end(at) && line->len < PLACING_TRIES_MAX; at = g_sequence_iter_next(at))
        g_ptr_array_add(line, g_sequence_get(at));
    for (guint i = 0; i < line->len; i++)
        reservation_start(core, line->pdata[i]);
}
