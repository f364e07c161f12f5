/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

void instance_entry_free(struct instance_entry *entry)
{
    if (entry == NULL)
        return;
    for (guint i = 0; i < RESOURCE_ALL; i++)
        adjustment_free(entry->adjusting[i]);
    g_clear_pointer(&entry->wish, shape_wish_free);
    g_free(entry->migrating_to);
    instance_free(entry->doc);
    g_free(entry);
}

gboolean instance_step(struct core *core, struct instance_entry *entry, enum instance_step step, const char *what,
                       char *detail)
{
    struct instance *doc = entry->doc;
    const int next = instance_next(doc->state, step);
    if (next == STATE_REFUSED) {
        log_debug("core", "%s: %s does not apply when %s", doc->id, codec_word(&instance_step_words, step),
                  codec_word(&instance_state_words, doc->state));
        g_free(detail);
        return FALSE;
    }
    doc->state = (enum instance_state)next;
    timeline_add(&doc->timeline, core->now, what, detail);
    core_touch_instance(core, entry);
    return TRUE;
}

/* The host's book: what is promised to an instance is `promised` from now on. */
void instance_book(struct core *core, struct instance_entry *entry, const struct vm_shape *promised)
{
    struct host_entry *host = g_hash_table_lookup(core->hosts, entry->doc->host);
    if (host != NULL) {
        host->doc->committed_vcpus += promised->vcpus - entry->promised.vcpus;
        host->doc->committed_memory_mib += promised->memory_mib - entry->promised.memory_mib;
        host->doc->committed_gpus += promised->gpus - entry->promised.gpus;
    }
    core->place_again |= promised->vcpus < entry->promised.vcpus || promised->memory_mib < entry->promised.memory_mib ||
                         promised->gpus < entry->promised.gpus;
    entry->promised = *promised;
}

/* A random version 4 UUID from the core's own source. */
static char *instance_uuid_new(struct core *core)
{
    const guint32 a = g_rand_int(core->random), b = g_rand_int(core->random), c = g_rand_int(core->random),
                  d = g_rand_int(core->random);
    return g_strdup_printf("%08x-%04x-4%03x-%04x-%04x%08x", a, b >> 16, b & 0xfff, (c >> 16 & 0x3fff) | 0x8000,
                           c & 0xffff, d);
}

static struct boot_spec *instance_boot_spec(const struct core *core, const struct instance *doc,
                                            const struct policy *policy)
{
    struct boot_spec *boot = g_new0(struct boot_spec, 1);
    boot->instance_id = g_strdup(doc->id);
    boot->uuid = g_strdup(doc->uuid);
    boot->owner = g_strdup(core->owner);
    boot->template = g_strdup(doc->template);
    boot->shape = doc->shape;
    boot->maximum = doc->maximum;
    boot->sample_interval_ms = policy->scaling.sample_interval_ms;
    boot->timeout_ms = policy->provisioning.boot_timeout_ms;
    boot->reservation_id = g_strdup(doc->reservation_id);
    boot->profile = g_strdup(doc->profile);
    boot->pool = g_strdup(doc->pool);
    boot->saved = g_strdup(doc->saved);
    return boot;
}

static struct instance_entry *instance_entry_new(struct core *core, const struct host_entry *host)
{
    struct instance_entry *entry = g_new0(struct instance_entry, 1);
    entry->doc = g_new0(struct instance, 1);
    entry->doc->id = id_new("vm", core->now, core->random);
    entry->doc->uuid = instance_uuid_new(core);
    entry->doc->host = g_strdup(host->doc->spec->name);
    entry->doc->created_at = core->now;
    entry->taken_at = core->now;
    return entry;
}

static void instance_bind(struct instance *doc, const struct reservation *reservation)
{
    core_set_string(&doc->reservation_id, reservation->id);
    core_set_string(&doc->profile, reservation->profile);
}

static void instance_count_tenant(struct core *core, const struct instance *doc, int change)
{
    const struct reservation_entry *reservation = g_hash_table_lookup(core->reservations, doc->reservation_id);
    if (reservation == NULL)
        return;
    const char *tenant = reservation->doc->notification->code.tenant;
    const int count = GPOINTER_TO_INT(g_hash_table_lookup(core->tenant_boots, tenant)) + change;
    if (count > 0)
        g_hash_table_insert(core->tenant_boots, g_strdup(tenant), GINT_TO_POINTER(count));
    else
        g_hash_table_remove(core->tenant_boots, tenant);
}

static guint guint_add(guint count, int change)
{
    return (guint)MAX(0, (int)count + change);
}

/* Of starts under way: those for reservations, claims, and warm-ups, which yield to both. */
static void instance_count_start(struct core *core, const struct instance_entry *entry, int change)
{
    struct host_entry *host = g_hash_table_lookup(core->hosts, entry->doc->host);
    const gboolean is_claim = entry->doc->state == INSTANCE_CLAIMING;
    const gboolean is_warmup = !is_claim && entry->doc->reservation_id == NULL;
    core->pools_changed = TRUE;
    if (is_warmup)
        core->warmups = guint_add(core->warmups, change);
    else if (!is_claim)
        instance_count_tenant(core, entry->doc, change);
    if (host == NULL)
        return;
    guint *count = is_claim ? &host->claims : is_warmup ? &host->warmups : &host->boots;
    *count = guint_add(*count, change);
    core->place_again |= change < 0;
}

static void instance_begin(struct core *core, struct instance_entry *entry, struct host_entry *host)
{
    g_hash_table_insert(core->instances, entry->doc->id, entry);
    host->doc->instance_count++;
    instance_count_start(core, entry, 1);
    instance_book(core, entry, &entry->doc->shape);
    entry->floor_mib = entry->doc->shape.memory_mib;
    core_touch_instance(core, entry);
    core->counters[COUNTER_BOOTS]++;
}

/* What it could grow to may be more than what its reservation was promised to. */
static void instance_bound_growth(struct instance *doc, const struct vm_shape *maximum)
{
    doc->maximum.vcpus = MAX(MIN(doc->maximum.vcpus, maximum->vcpus), doc->shape.vcpus);
    doc->maximum.memory_mib = MAX(MIN(doc->maximum.memory_mib, maximum->memory_mib), doc->shape.memory_mib);
    doc->maximum.network_mbps = maximum->network_mbps;
    doc->maximum.disk_mbps = maximum->disk_mbps;
    doc->maximum.cpu_percent = maximum->cpu_percent;
}

struct instance_entry *instance_start(struct core *core, struct reservation_entry *reservation, struct host_entry *host,
                                      const struct saved_state *saved)
{
    struct instance_entry *entry = instance_entry_new(core, host);
    struct instance *doc = entry->doc;
    doc->template = g_strdup(reservation->doc->template);
    doc->shape = reservation->doc->shape;
    doc->maximum = reservation->doc->maximum;
    if (saved != NULL) { /* what it was made with cannot be less */
        doc->saved = g_strdup(saved->id);
        doc->maximum = saved->maximum;
        entry->vcpus_added = doc->shape.vcpus - MIN(doc->shape.vcpus, saved->shape.vcpus);
        doc->shape.vcpus = MAX(doc->shape.vcpus, saved->shape.vcpus);
        doc->shape.memory_mib = MAX(doc->shape.memory_mib, saved->shape.memory_mib);
    }
    doc->path = saved != NULL ? PATH_SAVED : PATH_BOOT;
    instance_bind(doc, reservation->doc);
    instance_begin(core, entry, host);
    timeline_add(&doc->timeline, core->now, "start asked for", g_strdup(doc->saved));
    struct command *command = core_command_for(doc->host, COMMAND_BOOT, doc->id);
    command->boot = instance_boot_spec(core, doc, reservation->policy);
    command->boot->language = g_strdup(reservation->doc->notification->code.language);
    instance_bound_growth(doc, &reservation->doc->maximum);
    core_emit(core, command);
    return entry;
}

struct instance_entry *instance_warm_up(struct core *core, struct pool_entry *pool, struct host_entry *host)
{
    struct instance_entry *entry = instance_entry_new(core, host);
    struct instance *doc = entry->doc;
    doc->template = g_strdup(pool->doc->template);
    doc->pool = g_strdup(pool->doc->id);
    doc->shape = pool->doc->shape;
    doc->maximum = pool->doc->maximum;
    doc->saved = pool->saved != NULL ? g_strdup(pool->saved->id) : NULL;
    doc->path = pool->saved != NULL ? PATH_SAVED : PATH_BOOT;
    instance_begin(core, entry, host);
    pool_add(core, pool, entry);
    pool->doc->warmed++;
    timeline_add(&doc->timeline, core->now, "warm-up", g_strdup(doc->saved));
    struct command *command = core_command_for(doc->host, COMMAND_BOOT, doc->id);
    command->boot = instance_boot_spec(core, doc, core->policy);
    core_emit(core, command);
    return entry;
}

static void instance_unkeep(struct core *core, struct instance_entry *entry)
{
    if (entry->kept_until_at == 0)
        return;
    g_autofree char *key = core_key("k", entry->doc->tenant, entry->doc->function);
    GQueue *kept = g_hash_table_lookup(core->kept, key);
    entry->kept_until_at = 0;
    if (kept == NULL)
        return;
    g_queue_remove(kept, entry);
    if (kept->length == 0)
        g_hash_table_remove(core->kept, key);
}

void instance_take(struct core *core, struct instance_entry *entry, struct reservation_entry *reservation)
{
    struct instance *doc = entry->doc;
    struct vm_shape shape = reservation->doc->shape;
    shape.vcpus = MAX(shape.vcpus, doc->shape.vcpus);
    shape.memory_mib = MAX(shape.memory_mib, doc->shape.memory_mib);
    doc->path = doc->state == INSTANCE_PAUSED || entry->is_pausing ? PATH_PAUSED : PATH_RUNNING;
    pool_remove(core, entry);
    instance_unkeep(core, entry);
    entry->is_pausing = FALSE;
    entry->taken_at = core->now;
    instance_bind(doc, reservation->doc);
    instance_step(core, entry, INSTANCE_STEP_TAKE, "taken", g_strdup(doc->reservation_id));
    instance_count_start(core, entry, 1);
    entry->vcpus_added = shape.vcpus - MIN(shape.vcpus, doc->shape.vcpus);
    doc->shape = shape;
    instance_book(core, entry, &shape);
    struct command *command = core_command_for(doc->host, COMMAND_CLAIM, doc->id);
    command->boot = instance_boot_spec(core, doc, reservation->policy);
    command->boot->language = g_strdup(reservation->doc->notification->code.language);
    instance_bound_growth(doc, &reservation->doc->maximum);
    core_emit(core, command);
}

gboolean instance_keep(struct core *core, struct instance_entry *entry, const struct execution_entry *execution)
{
    const struct policy_function *function = policy_function_of(core->policy, &execution->doc->code);
    const struct run_result *result = execution->doc->result;
    struct instance *doc = entry->doc;
    if (core->shutting_down || doc->uses >= function->reuse_max || result == NULL || result->reason != EXIT_EXITED ||
        execution->cancelled || doc->state != INSTANCE_BUSY)
        return FALSE;
    for (guint resource = 0; resource < RESOURCE_ALL; resource++)
        if (entry->shaping[resource] != 0)
            return FALSE;
    core_set_string(&doc->tenant, execution->doc->code.tenant);
    core_set_string(&doc->function, execution->doc->code.function);
    g_clear_pointer(&doc->execution_id, g_free);
    g_clear_pointer(&doc->reservation_id, g_free);
    instance_step(core, entry, INSTANCE_STEP_WARM, "kept for more of the same function",
                  g_strdup_printf("%u of %u uses", doc->uses, function->reuse_max));
    entry->kept_until_at = core->now + function->reuse_keep_ms * CLOCK_MS;
    core_wake_at(core, entry->kept_until_at, OBJECT_INSTANCE, doc->id);
    char *key = core_key("k", doc->tenant, doc->function);
    GQueue *kept = g_hash_table_lookup(core->kept, key);
    if (kept == NULL) {
        kept = g_queue_new();
        g_hash_table_insert(core->kept, g_strdup(key), kept);
    }
    g_free(key);
    g_queue_push_tail(kept, entry);
    return TRUE;
}

void instance_tick(struct core *core, struct instance_entry *entry)
{
    if (entry->kept_until_at == 0 || core->now < entry->kept_until_at)
        return;
    instance_destroy(core, entry, "no more executions of its function came");
}

void instance_adopt(struct core *core, struct instance_entry *entry)
{
    struct command *command = core_command_for(entry->doc->host, COMMAND_ADOPT, entry->doc->id);
    command->boot = instance_boot_spec(core, entry->doc, core->policy);
    command->boot->is_migrated = entry->is_migrating;
    core_emit(core, command);
}

static void instance_send_destroy(struct core *core, const struct instance *doc)
{
    core_emit(core, core_command_for(doc->host, COMMAND_DESTROY, doc->id));
}

/* One that is run once more has left the instance that it ran in first. */
static gboolean instance_holds(const struct instance_entry *entry, const struct execution_entry *execution)
{
    const enum execution_state state = execution->doc->state;
    return !execution_state_is_terminal(state) && state != EXECUTION_QUEUED &&
           g_strcmp0(execution->doc->instance_id, entry->doc->id) == 0;
}

/* Those who counted on the instance hear that it is lost. */
static void instance_tell_lost(struct core *core, struct instance_entry *entry, const char *reason)
{
    struct execution_entry *execution =
        entry->doc->execution_id != NULL ? g_hash_table_lookup(core->executions, entry->doc->execution_id) : NULL;
    if (execution != NULL) {
        if (instance_holds(entry, execution))
            execution_lost(core, execution, reason);
        return;
    }
    struct reservation_entry *reservation =
        entry->doc->reservation_id != NULL ? g_hash_table_lookup(core->reservations, entry->doc->reservation_id) : NULL;
    if (reservation != NULL && reservation_owns(reservation, entry) &&
        !reservation_state_is_terminal(reservation->doc->state))
        reservation_instance_lost(core, reservation, entry, reason);
}

static void instance_stop_counting(struct core *core, const struct instance_entry *entry)
{
    if (entry->doc->state == INSTANCE_STARTING || entry->doc->state == INSTANCE_CLAIMING)
        instance_count_start(core, entry, -1);
}

static void instance_leave_save(struct core *core, const struct instance_entry *entry)
{
    struct pool_entry *pool = entry->doc->pool != NULL ? g_hash_table_lookup(core->pools, entry->doc->pool) : NULL;
    if (pool == NULL || g_strcmp0(pool->saving_id, entry->doc->id) != 0)
        return;
    g_clear_pointer(&pool->saving_id, g_free);
    core->pools_changed = TRUE;
}

/* A warm-up that failed is not tried again at once. */
static void instance_note_failure(struct core *core, const struct instance_entry *entry)
{
    if (entry->doc->saved != NULL && entry->doc->state == INSTANCE_STARTING)
        pool_note_clone(core, entry->doc, FALSE);
    if (entry->pool == NULL || entry->doc->state != INSTANCE_STARTING)
        return;
    entry->pool->retry_at = core->now + core->policy->warming.retry_ms * CLOCK_MS;
}

void instance_destroy(struct core *core, struct instance_entry *entry, const char *reason)
{
    instance_stop_counting(core, entry);
    if (!instance_step(core, entry, INSTANCE_STEP_DESTROY, "destruction asked for", g_strdup(reason)))
        return;
    pool_remove(core, entry);
    instance_unkeep(core, entry);
    core_set_string(&entry->doc->reason, reason);
    instance_send_destroy(core, entry->doc);
    if (!core->shutting_down)
        instance_tell_lost(core, entry, reason);
}

void instance_gone(struct core *core, struct instance_entry *entry, const char *reason)
{
    const enum instance_state before = entry->doc->state;
    instance_stop_counting(core, entry);
    instance_note_failure(core, entry);
    if (!instance_step(core, entry, INSTANCE_STEP_GONE, "gone", g_strdup(reason)))
        return;
    instance_leave_save(core, entry);
    pool_remove(core, entry);
    instance_unkeep(core, entry);
    entry->doc->ended_at = core->now;
    if (entry->doc->reason == NULL)
        entry->doc->reason = g_strdup(reason);
    struct host_entry *host = g_hash_table_lookup(core->hosts, entry->doc->host);
    if (host != NULL) {
        host->doc->instance_count--;
        host->evictions -= entry->is_evicted && host->evictions > 0 ? 1 : 0;
    }
    adjust_forget(core, entry);
    migrate_forget(core, entry);
    instance_book(core, entry, &(struct vm_shape){0});
    core->place_again = core->pools_changed = TRUE;
    core_retain_finished(core, OBJECT_INSTANCE, entry->doc->id);
    if (before == INSTANCE_STOPPING)
        return;
    core->counters[before == INSTANCE_STARTING ? COUNTER_BOOTS_FAILED : COUNTER_INSTANCES_LOST]++;
    instance_tell_lost(core, entry, reason);
}

static void instance_learn(struct core *core, const struct instance_entry *entry)
{
    const struct instance *doc = entry->doc;
    const guint vcpus = doc->path == PATH_BOOT ? 0 : entry->vcpus_added;
    core_latency_add(core, doc->path, doc->template, doc->host, vcpus, (core->now - entry->taken_at) / CLOCK_MS,
                     core->now);
    if (doc->saved != NULL)
        pool_note_clone(core, doc, TRUE);
}

static void instance_joins_pool(struct core *core, struct instance_entry *entry)
{
    struct pool_entry *pool = entry->pool != NULL ? entry->pool : g_hash_table_lookup(core->pools, entry->doc->pool);
    instance_step(core, entry, INSTANCE_STEP_WARM, "warm", NULL);
    entry->doc->warm_at = core->now;
    if (pool == NULL)
        instance_destroy(core, entry, "its pool is not there any more");
    else if (entry->pool == NULL)
        pool_add(core, pool, entry); /* found again after a restart */
    core->pools_changed = TRUE;
}

static void instance_joins_reservation(struct core *core, struct instance_entry *entry, const char *shape)
{
    struct reservation_entry *reservation = g_hash_table_lookup(core->reservations, entry->doc->reservation_id);
    instance_step(core, entry, INSTANCE_STEP_READY, "the guest confirms", g_strdup(shape));
    if (reservation == NULL || !reservation_owns(reservation, entry)) {
        instance_destroy(core, entry, "nobody waits for it any more");
        return;
    }
    ladder_arrived(core, reservation, entry);
    reservation_instance_ready(core, reservation);
}

static void instance_ready(struct core *core, struct instance_entry *entry, const struct event *event)
{
    g_autofree char *shape = vm_shape_to_string(&event->shape);
    if (entry->doc->state != INSTANCE_STARTING && entry->doc->state != INSTANCE_CLAIMING)
        return;
    instance_stop_counting(core, entry);
    entry->doc->shape.network_mbps = event->shape.network_mbps; /* limits are what is in force */
    entry->doc->shape.disk_mbps = event->shape.disk_mbps;
    entry->doc->shape.cpu_percent = event->shape.cpu_percent;
    entry->doc->shape.gpus = event->shape.gpus;
    instance_book(core, entry, &entry->doc->shape);
    entry->doc->ready_at = core->now;
    if (!entry->is_adopting)
        instance_learn(core, entry);
    entry->is_adopting = FALSE;
    if (entry->doc->reservation_id == NULL)
        instance_joins_pool(core, entry);
    else
        instance_joins_reservation(core, entry, shape);
}

static const char *event_reason(const struct event *event, const char *fallback)
{
    return event->error != NULL ? event->error->message : fallback;
}

void instance_on_host(struct core *core, const struct event *event)
{
    struct instance_entry *entry = g_hash_table_lookup(core->instances, event->id);
    if (entry == NULL) {
        log_debug("core", "%s of unknown instance %s", codec_word(&event_kind_words, event->kind), event->id);
        return;
    }
    switch (event->kind) {
    case EVENT_INSTANCE_PROGRESS:
        timeline_add(&entry->doc->timeline, event->at != 0 ? event->at : core->now, event->text, NULL);
        break;
    case EVENT_INSTANCE_READY:
        if (!migrate_proven(core, entry))
            instance_ready(core, entry, event);
        break;
    case EVENT_INSTANCE_FAILED:
        instance_gone(core, entry, event_reason(event, "the start failed"));
        break;
    case EVENT_INSTANCE_GONE:
        instance_gone(core, entry, event_reason(event, "the VM stopped"));
        break;
    case EVENT_INSTANCE_DESTROYED:
        if (event->error == NULL)
            instance_gone(core, entry, "destroyed");
        else
            log_warning("core", "%s could not be destroyed yet: %s", event->id, event->error->message);
        break;
    default:
        break;
    }
}

void instance_claim(struct core *core, struct instance_entry *entry, const char *execution_id)
{
    instance_step(core, entry, INSTANCE_STEP_CLAIM, "claimed", g_strdup(execution_id));
    core_set_string(&entry->doc->execution_id, execution_id);
    entry->doc->used = TRUE;
    entry->doc->uses++;
}
