/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

void instance_entry_free(struct instance_entry *entry)
{
    if (entry == NULL)
        return;
    instance_free(entry->doc);
    g_free(entry);
}

static gboolean instance_step(struct core *core, struct instance_entry *entry, enum instance_step step,
                              const char *what, char *detail)
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
    return boot;
}

static struct instance *instance_doc_new(struct core *core, const struct reservation *reservation)
{
    struct instance *doc = g_new0(struct instance, 1);
    doc->id = id_new("vm", core->now, core->random);
    doc->uuid = instance_uuid_new(core);
    doc->host = g_strdup(reservation->host);
    doc->template = g_strdup(reservation->template);
    doc->profile = g_strdup(reservation->profile);
    doc->shape = reservation->shape;
    doc->maximum = reservation->maximum;
    doc->reservation_id = g_strdup(reservation->id);
    doc->created_at = core->now;
    return doc;
}

static void instance_count_boot(struct core *core, const struct instance *doc, int change)
{
    struct host_entry *host = g_hash_table_lookup(core->hosts, doc->host);
    if (host == NULL)
        return;
    host->boots = (guint)MAX(0, (int)host->boots + change);
    core->place_again |= change < 0;
}

struct instance_entry *instance_boot(struct core *core, struct reservation_entry *reservation, struct host_entry *host)
{
    struct instance_entry *entry = g_new0(struct instance_entry, 1);
    entry->doc = instance_doc_new(core, reservation->doc);
    g_hash_table_insert(core->instances, entry->doc->id, entry);
    host->doc->instance_count++;
    instance_count_boot(core, entry->doc, 1);
    instance_book(core, entry, &entry->doc->shape);
    timeline_add(&entry->doc->timeline, core->now, "start asked for", NULL);
    core_touch_instance(core, entry);
    core->counters[COUNTER_BOOTS]++;
    struct command *command = core_command_for(entry->doc->host, COMMAND_BOOT, entry->doc->id);
    command->boot = instance_boot_spec(core, entry->doc, reservation->policy);
    command->boot->language = g_strdup(reservation->doc->notification->code.language);
    core_emit(core, command);
    return entry;
}

void instance_adopt(struct core *core, struct instance_entry *entry)
{
    struct command *command = core_command_for(entry->doc->host, COMMAND_ADOPT, entry->doc->id);
    command->boot = instance_boot_spec(core, entry->doc, core->policy);
    core_emit(core, command);
}

static void instance_send_destroy(struct core *core, const struct instance *doc)
{
    core_emit(core, core_command_for(doc->host, COMMAND_DESTROY, doc->id));
}

/* Those who counted on the instance hear that it is lost. */
static void instance_tell_lost(struct core *core, struct instance_entry *entry, const char *reason)
{
    struct execution_entry *execution =
        entry->doc->execution_id != NULL ? g_hash_table_lookup(core->executions, entry->doc->execution_id) : NULL;
    if (execution != NULL) {
        if (!execution_state_is_terminal(execution->doc->state))
            execution_lost(core, execution, reason);
        return;
    }
    struct reservation_entry *reservation =
        entry->doc->reservation_id != NULL ? g_hash_table_lookup(core->reservations, entry->doc->reservation_id) : NULL;
    if (reservation != NULL && g_strcmp0(reservation->doc->instance_id, entry->doc->id) == 0 &&
        !reservation_state_is_terminal(reservation->doc->state))
        reservation_instance_lost(core, reservation, reason);
}

void instance_destroy(struct core *core, struct instance_entry *entry, const char *reason)
{
    const gboolean was_starting = entry->doc->state == INSTANCE_STARTING;
    if (!instance_step(core, entry, INSTANCE_STEP_DESTROY, "destruction asked for", g_strdup(reason)))
        return;
    if (was_starting)
        instance_count_boot(core, entry->doc, -1);
    core_set_string(&entry->doc->reason, reason);
    instance_send_destroy(core, entry->doc);
    if (!core->shutting_down)
        instance_tell_lost(core, entry, reason);
}

void instance_gone(struct core *core, struct instance_entry *entry, const char *reason)
{
    const enum instance_state before = entry->doc->state;
    if (!instance_step(core, entry, INSTANCE_STEP_GONE, "gone", g_strdup(reason)))
        return;
    if (before == INSTANCE_STARTING)
        instance_count_boot(core, entry->doc, -1);
    entry->doc->ended_at = core->now;
    if (entry->doc->reason == NULL)
        entry->doc->reason = g_strdup(reason);
    struct host_entry *host = g_hash_table_lookup(core->hosts, entry->doc->host);
    if (host != NULL)
        host->doc->instance_count--;
    instance_book(core, entry, &(struct vm_shape){0});
    core->place_again = TRUE;
    core_retain_finished(core, OBJECT_INSTANCE, entry->doc->id);
    if (before == INSTANCE_STOPPING)
        return;
    core->counters[before == INSTANCE_STARTING ? COUNTER_BOOTS_FAILED : COUNTER_INSTANCES_LOST]++;
    instance_tell_lost(core, entry, reason);
}

static void instance_ready(struct core *core, struct instance_entry *entry, const struct event *event)
{
    g_autofree char *shape = vm_shape_to_string(&event->shape);
    struct reservation_entry *reservation = g_hash_table_lookup(core->reservations, entry->doc->reservation_id);
    if (!instance_step(core, entry, INSTANCE_STEP_READY, "the guest confirms", g_strdup_printf("%s", shape)))
        return;
    entry->doc->shape.network_mbps = event->shape.network_mbps; /* limits are what is in force */
    entry->doc->shape.cpu_percent = event->shape.cpu_percent;
    instance_book(core, entry, &entry->doc->shape);
    instance_count_boot(core, entry->doc, -1);
    entry->doc->ready_at = core->now;
    if (!entry->is_adopting)
        latency_add(core_latency(core, entry->doc->template, entry->doc->host),
                    (core->now - entry->doc->created_at) / CLOCK_MS);
    entry->is_adopting = FALSE;
    if (reservation != NULL && g_strcmp0(reservation->doc->instance_id, entry->doc->id) == 0)
        reservation_instance_ready(core, reservation);
    else
        instance_destroy(core, entry, "nobody waits for it any more");
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
}
