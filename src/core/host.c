/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

#include <math.h>
#include <string.h>

#define HOSTS_MAX 4096

void host_entry_free(struct host_entry *entry)
{
    if (entry == NULL)
        return;
    host_free(entry->doc);
    g_free(entry);
}

static int host_compare_name(gconstpointer a, gconstpointer b)
{
    const struct host_entry *x = *(gconstpointer const *)a, *y = *(gconstpointer const *)b;
    return g_strcmp0(x->doc->spec->name, y->doc->spec->name);
}

GPtrArray *host_entries_sorted(struct core *core)
{
    GPtrArray *hosts = g_ptr_array_new();
    GHashTableIter iter;
    gpointer entry;
    g_hash_table_iter_init(&iter, core->hosts);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        if (!((struct host_entry *)entry)->is_detached)
            g_ptr_array_add(hosts, entry);
    g_ptr_array_sort(hosts, host_compare_name);
    return hosts;
}

const struct host *core_host(const struct core *core, const char *name)
{
    const struct host_entry *entry = g_hash_table_lookup(core->hosts, name);
    return entry != NULL ? entry->doc : NULL;
}

static void host_connect(struct core *core, const struct host_spec *spec)
{
    struct command *command = core_command_for(spec->name, COMMAND_HOST_CONNECT, NULL);
    command->host_spec = host_spec_copy(spec);
    core_emit(core, command);
}

struct host_entry *host_add(struct core *core, struct host_spec *spec)
{
    struct host_entry *entry = g_new0(struct host_entry, 1);
    entry->doc = g_new0(struct host, 1);
    entry->doc->spec = spec;
    entry->doc->since_at = core->now;
    g_hash_table_insert(core->hosts, spec->name, entry);
    host_connect(core, spec);
    return entry;
}

/* What is being asked for is not what is there. NULL when it is the same. Static string. */
static const char *host_difference(const struct host_spec *known, const struct host_spec *wanted)
{
    for (guint i = 0; i < host_spec_codec.field_count; i++) {
        const struct codec_field *field = &host_spec_codec.fields[i];
        const struct codec one = {"field", sizeof(struct host_spec), field, 1};
        g_autofree char *a = codec_encode_text(&one, known, CODEC_STORE);
        g_autofree char *b = codec_encode_text(&one, wanted, CODEC_STORE);
        if (strcmp(a, b) != 0)
            return field->name;
    }
    return NULL;
}

static gboolean host_uri_is_known(const char *uri)
{
    return g_str_has_prefix(uri, "qemu:") || g_str_has_prefix(uri, "qemu+") || g_str_has_prefix(uri, "sim:");
}

/* The configuration file has the last word: a host that the database remembers otherwise is connected anew. */
static void host_reconfigure(struct core *core, struct host_entry *entry, struct host_spec *spec)
{
    struct host_spec *before = entry->doc->spec;
    entry->doc->spec = spec;
    g_hash_table_steal(core->hosts, before->name);
    g_hash_table_insert(core->hosts, spec->name, entry);
    host_spec_free(before);
    host_connect(core, spec);
    core_touch_host(core, entry);
}

static void host_attach_known(struct core *core, struct event *event, struct host_entry *known)
{
    const char *difference = host_difference(known->doc->spec, event->host_spec);
    if (difference != NULL && event->request == 0) {
        host_reconfigure(core, known, g_steal_pointer(&event->host_spec));
    } else if (difference != NULL) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT,
                                       "/%s: host %s is attached already, with another %s; detach it first", difference,
                                       event->host_spec->name, difference));
    } else {
        core_reply_object(core, event->request, 200, NULL, &host_codec, known->doc);
    }
}

void host_attach(struct core *core, struct event *event)
{
    const struct host_spec *spec = event->host_spec;
    struct host_entry *known = g_hash_table_lookup(core->hosts, spec->name);
    if (known != NULL && known->is_detached) {
        core_flush(core); /* its going is written first, and then it is forgotten */
    } else if (known != NULL) {
        host_attach_known(core, event, known);
        return;
    }
    if (!host_uri_is_known(spec->uri)) {
        core_reply_error(
            core, event->request,
            hbr_error_new(
                HBR_ERROR_INVALID,
                "/uri: \"%s\" is of no kind that is known; right would be one of libvirt's, such as qemu:///system or qemu+ssh://host/system",
                spec->uri));
        return;
    }
    if (g_hash_table_size(core->hosts) >= HOSTS_MAX) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_EXHAUSTED, "%d hosts are attached, the most there can be", HOSTS_MAX));
        return;
    }
    struct host_entry *entry = host_add(core, g_steal_pointer(&event->host_spec));
    core_touch_host(core, entry);
    core_reply_object(core, event->request, 201, NULL, &host_codec, entry->doc);
}

void host_detach(struct core *core, struct event *event)
{
    struct host_entry *entry = g_hash_table_lookup(core->hosts, event->id);
    if (entry == NULL || entry->is_detached) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no host \"%s\"", event->id));
        return;
    }
    if (entry->doc->instance_count > 0) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT,
                                       "host %s still has %u instances; cancel their reservations and executions, and "
                                       "drain its pools (pool-drain) first",
                                       event->id, entry->doc->instance_count));
        return;
    }
    entry->is_detached = TRUE;
    pools_sync(core);
    core_touch_host(core, entry);
    core_emit(core, core_command_for(event->id, COMMAND_HOST_DISCONNECT, NULL));
    core_reply_object(core, event->request, 200, NULL, &host_codec, entry->doc);
}

static void host_set_state(struct core *core, struct host_entry *entry, enum host_state state, const char *error)
{
    if (entry->doc->state != state)
        entry->doc->since_at = core->now;
    entry->doc->state = state;
    core_set_string(&entry->doc->error, error);
    core_touch_host(core, entry);
}

/* The geometric mean over the hosts that tell it: where code will run is not known when its demand is predicted. */
static void host_tell_speed(struct core *core)
{
    double sum = 0;
    guint count = 0;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, core->hosts);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const double speed = ((struct host_entry *)value)->doc->speed;
        if (speed > 0) {
            sum += log(speed);
            count++;
        }
    }
    const double mean = count > 0 ? exp(sum / count) : 0;
    predictor_set_speed(core->predictor, mean);
    core_teach_speed(core, mean);
}

static void host_up(struct core *core, struct host_entry *entry, const struct host_report *report)
{
    struct host *doc = entry->doc;
    doc->cpus = report->cpus;
    doc->memory_mib = report->memory_mib;
    doc->acceleration = report->acceleration;
    core_set_string(&doc->acceleration_reason, report->acceleration_reason);
    core_set_string(&doc->version, report->version);
    doc->speed = report->speed;
    host_tell_speed(core);
    host_set_state(core, entry, HOST_UP, NULL);
    entry->epoch++;
    core->place_again = TRUE;
    pools_sync(core);
    log_info("core", "host %s is up: %u CPUs, %u MiB, %s (%s)", doc->spec->name, doc->cpus, doc->memory_mib,
             codec_word(&acceleration_words, doc->acceleration),
             doc->acceleration_reason != NULL ? doc->acceleration_reason : "-");
}

/* Reservations that nobody has claimed need not wait for a host that is down when another is up. Their instances there are destroyed when it is
 * back. */
static void host_evacuate(struct core *core, const struct host_entry *down)
{
    guint others_up = 0;
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->hosts);
    while (g_hash_table_iter_next(&iter, NULL, &item))
        others_up += ((struct host_entry *)item)->doc->state == HOST_UP ? 1 : 0;
    if (others_up == 0)
        return;
    g_autoptr(GPtrArray) affected = g_ptr_array_new();
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        const struct instance *doc = ((struct instance_entry *)item)->doc;
        if (doc->state <= INSTANCE_READY && g_strcmp0(doc->host, down->doc->spec->name) == 0)
            g_ptr_array_add(affected, item);
    }
    for (guint i = 0; i < affected->len; i++)
        instance_destroy(core, affected->pdata[i], "its host is down");
}

static void host_destroy_orphan(struct core *core, const struct host_entry *entry, const char *instance_id)
{
    core->counters[COUNTER_ORPHANS]++;
    log_warning("core", "host %s: removing %s, which nobody knows of", entry->doc->spec->name, instance_id);
    core_emit(core, core_command_for(entry->doc->spec->name, COMMAND_DESTROY, instance_id));
}

/* One domain of ours that the host has. */
static void host_reconcile_item(struct core *core, const struct host_entry *entry, const struct inventory_item *item)
{
    struct instance_entry *instance = g_hash_table_lookup(core->instances, item->instance_id);
    if (instance != NULL && (instance->saving_until_at > core->now || instance->is_migrating))
        return; /* its host tells what becomes of it */
    if (instance == NULL || instance->doc->state == INSTANCE_GONE)
        host_destroy_orphan(core, entry, item->instance_id);
    else if (g_strcmp0(instance->doc->host, entry->doc->spec->name) != 0)
        return; /* the list is older than its migration */
    else if (instance->doc->state == INSTANCE_STOPPING)
        core_emit(core, core_command_for(instance->doc->host, COMMAND_DESTROY, instance->doc->id));
    else if (instance->is_adopting && item->is_running)
        instance_adopt(core, instance);
    else if (!item->is_running)
        instance_gone(core, instance, "its domain is there but does not run");
}

static gboolean host_inventory_has(const GPtrArray *inventory, const char *owner, const char *id)
{
    for (guint i = 0; i < inventory->len; i++) {
        const struct inventory_item *item = inventory->pdata[i];
        if (g_strcmp0(item->owner, owner) == 0 && g_strcmp0(item->instance_id, id) == 0)
            return TRUE;
    }
    return FALSE;
}

/* An instance that was there before the list was made, and is not on it, is gone. One whose start is under way is looked after by the
 * start. */
static gboolean host_should_have(const struct instance_entry *instance, const char *host, gint64 listed_at)
{
    const struct instance *doc = instance->doc;
    if (g_strcmp0(doc->host, host) != 0 || doc->state == INSTANCE_GONE || instance->saving_until_at > listed_at ||
        instance->is_migrating)
        return FALSE;
    if (doc->state == INSTANCE_STARTING)
        return instance->is_adopting;
    return doc->ready_at <= listed_at;
}

static void host_reconcile(struct core *core, const struct host_entry *entry, const struct event *event)
{
    const gint64 listed_at = event->at != 0 ? event->at : core->now;
    const char *name = entry->doc->spec->name;
    for (guint i = 0; i < event->inventory->len; i++) {
        const struct inventory_item *item = event->inventory->pdata[i];
        if (g_strcmp0(item->owner, core->owner) == 0)
            host_reconcile_item(core, entry, item);
    }
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    GHashTableIter iter;
    gpointer instance;
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &instance))
        if (host_should_have(instance, name, listed_at) &&
            !host_inventory_has(event->inventory, core->owner, ((struct instance_entry *)instance)->doc->id))
            g_ptr_array_add(missing, instance);
    for (guint i = 0; i < missing->len; i++)
        instance_gone(core, missing->pdata[i], "its host does not have it any more");
}

void host_on_event(struct core *core, struct event *event)
{
    struct host_entry *entry = g_hash_table_lookup(core->hosts, event->host);
    if (entry == NULL || entry->is_detached)
        return;
    if (event->kind == EVENT_HOST_UP) {
        host_up(core, entry, event->host_report);
    } else if (event->kind == EVENT_HOST_INVENTORY) {
        host_reconcile(core, entry, event);
        pool_on_event(core, event);
    } else {
        const char *reason = event->error != NULL ? event->error->message : "connection lost";
        log_warning("core", "host %s is down: %s", event->host, reason);
        host_set_state(core, entry, HOST_DOWN, reason);
        host_evacuate(core, entry);
    }
}
