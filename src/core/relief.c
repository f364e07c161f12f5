/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

#include <string.h>

/* A host that is full, and code on it that needs more. In the order of what it costs: idle warm instances go; running ones that have more than they
 * want give it back, with their guests' consent; then one in which nothing runs is moved to another host (migrate.c); what is still missing waits, by
 * deadline, until something ends. */

void relief_fit(struct core *core, const struct instance_entry *instance, struct vm_shape *after)
{
    const struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    if (host == NULL)
        return;
    const struct vm_shape capacity = placing_capacity(host->doc), *present = &instance->promised;
    const guint free_vcpus = capacity.vcpus - MIN(capacity.vcpus, host->doc->committed_vcpus);
    const guint free_mib = capacity.memory_mib - MIN(capacity.memory_mib, host->doc->committed_memory_mib);
    after->vcpus = MIN(after->vcpus, present->vcpus + free_vcpus);
    after->cpu_percent = MIN(after->cpu_percent, after->vcpus * 100);
    after->memory_mib = MIN(after->memory_mib, present->memory_mib + free_mib);
}

/* Of the running instances on the host, the one that could give most of the resource. */
static struct execution_entry *relief_donor(struct core *core, const struct instance_entry *needy,
                                            enum resource resource)
{
    struct execution_entry *donor = NULL;
    guint most = 0;
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->executions);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        struct execution_entry *entry = item;
        struct instance_entry *instance = entry->doc->state == EXECUTION_RUNNING
                                              ? g_hash_table_lookup(core->instances, entry->doc->instance_id)
                                              : NULL;
        if (instance == NULL || instance == needy || instance->doc->state != INSTANCE_BUSY ||
            g_strcmp0(instance->doc->host, needy->doc->host) != 0)
            continue;
        const guint slack = scale_slack(core, entry, instance, resource);
        if (slack < most || slack == 0 ||
            (slack == most && donor != NULL && strcmp(donor->doc->id, entry->doc->id) < 0))
            continue;
        most = slack;
        donor = entry;
    }
    return donor;
}

/* FALSE when there is none. */
static gboolean relief_take_slack(struct core *core, const struct instance_entry *needy, enum resource resource)
{
    struct execution_entry *donor = relief_donor(core, needy, resource);
    if (donor != NULL)
        scale_give_up(core, donor, g_hash_table_lookup(core->instances, donor->doc->instance_id), resource);
    return donor != NULL;
}

/* What an instance will have given back when what is under way is done. */
static void relief_add_coming(const struct instance_entry *instance, struct vm_shape *room)
{
    const struct vm_shape none = {0}, *promised = &instance->promised,
                          *kept = instance->doc->state == INSTANCE_STOPPING ? &none
                                  : adjust_is_quiet(instance)               ? promised
                                                                            : &instance->aimed;
    room->vcpus += promised->vcpus - MIN(promised->vcpus, kept->vcpus);
    room->memory_mib += promised->memory_mib - MIN(promised->memory_mib, kept->memory_mib);
}

/* There is room for it, as soon as all that is under way on the host is done. */
static gboolean relief_is_coming(struct core *core, const struct instance_entry *needy, const struct vm_shape *after)
{
    struct vm_shape most = {.vcpus = G_MAXUINT, .memory_mib = G_MAXUINT}, room = {0};
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &item))
        if (item != needy && g_strcmp0(((struct instance_entry *)item)->doc->host, needy->doc->host) == 0)
            relief_add_coming(item, &room);
    relief_fit(core, needy, &most);
    return (guint64)most.vcpus + room.vcpus >= after->vcpus &&
           (guint64)most.memory_mib + room.memory_mib >= after->memory_mib;
}

void relief_make_room(struct core *core, const struct instance_entry *instance, const struct vm_shape *after)
{
    struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    if (host == NULL || relief_is_coming(core, instance, after) ||
        pools_make_room_on(core, host, "running code needs the room"))
        return;
    gboolean has_slack = FALSE;
    if (after->memory_mib > instance->promised.memory_mib)
        has_slack |= relief_take_slack(core, instance, RESOURCE_MEMORY);
    if (after->vcpus > instance->promised.vcpus)
        has_slack |= relief_take_slack(core, instance, RESOURCE_CPU);
    if (!has_slack)
        migrate_make_room(core, instance, after);
}

void relief_queue(struct core *core, struct execution_entry *entry)
{
    g_hash_table_add(core->short_executions, g_strdup(entry->doc->id));
}

static gint64 relief_rank(const struct execution_entry *entry)
{
    return entry->doc->deadline_at != 0 ? entry->doc->deadline_at : entry->doc->started_at + CORE_HORIZON;
}

static int relief_compare(gconstpointer a, gconstpointer b)
{
    const struct execution_entry *left = *(struct execution_entry *const *)a,
                                 *right = *(struct execution_entry *const *)b;
    const gint64 left_rank = relief_rank(left), right_rank = relief_rank(right);
    if (left_rank != right_rank)
        return left_rank < right_rank ? -1 : 1;
    return strcmp(left->doc->id, right->doc->id);
}

void relief_serve(struct core *core)
{
    g_autoptr(GPtrArray) line = g_ptr_array_new();
    GHashTableIter iter;
    gpointer id;
    g_hash_table_iter_init(&iter, core->short_executions);
    while (g_hash_table_iter_next(&iter, &id, NULL)) {
        struct execution_entry *entry = g_hash_table_lookup(core->executions, id);
        if (entry == NULL || entry->doc->state != EXECUTION_RUNNING || entry->scaling == NULL)
            g_hash_table_iter_remove(&iter);
        else
            g_ptr_array_add(line, entry);
    }
    g_ptr_array_sort(line, relief_compare);
    for (guint i = 0; i < line->len; i++) {
        struct execution_entry *entry = line->pdata[i];
        struct instance_entry *instance = g_hash_table_lookup(core->instances, entry->doc->instance_id);
        if (instance != NULL && instance->doc->state == INSTANCE_BUSY && scale_retry(core, entry, instance))
            g_hash_table_remove(core->short_executions, entry->doc->id);
    }
}
