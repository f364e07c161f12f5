/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

#include <string.h>

/* Live migration, the last resort of a full host: an instance that waits for its request goes to another host, so that code which runs has
 * room. Never one in which code runs or stands staged: its streams, their credit and the guest's life signs belong to a session over a socket
 * of the host's, and an agent that loses its session kills what it started. To move those, a session would have to survive its socket: numbered
 * frames that are kept until they are acknowledged and sent again by whoever opens it next, and an agent that waits for that a while. */

#define MIGRATE_MS \
    30000 /* an idle guest of some 100 MiB takes a second; what takes longer is not worth a claim's wait */

static void migrate_hold(struct host_entry *host, const struct vm_shape *shape)
{
    host->doc->committed_vcpus += shape->vcpus;
    host->doc->committed_memory_mib += shape->memory_mib;
    host->doc->instance_count++;
}

static void migrate_let_go(struct host_entry *host, const struct vm_shape *shape)
{
    host->doc->committed_vcpus -= shape->vcpus;
    host->doc->committed_memory_mib -= shape->memory_mib;
    host->doc->instance_count--;
}

static struct reservation_entry *migrate_reservation(struct core *core, const struct instance_entry *entry)
{
    return entry->doc->reservation_id != NULL ? g_hash_table_lookup(core->reservations, entry->doc->reservation_id)
                                              : NULL;
}

static guint migrate_missing(guint wanted, guint has, guint capacity, guint committed)
{
    const guint more = wanted - MIN(wanted, has), room = capacity - MIN(capacity, committed);
    return more - MIN(more, room);
}

/* vCPUs and memory that the host lacks. */
static struct vm_shape migrate_shortage(const struct host *host, const struct instance_entry *needy,
                                        const struct vm_shape *after)
{
    const struct vm_shape capacity = placing_capacity(host), *has = &needy->promised;
    return (struct vm_shape){
        .vcpus = migrate_missing(after->vcpus, has->vcpus, capacity.vcpus, host->committed_vcpus),
        .memory_mib =
            migrate_missing(after->memory_mib, has->memory_mib, capacity.memory_mib, host->committed_memory_mib),
    };
}

/* Nobody's code is in it, and nobody has asked for it yet. */
static gboolean migrate_is_idle(struct core *core, const struct instance_entry *entry)
{
    const struct reservation_entry *reservation = migrate_reservation(core, entry);
    return entry->doc->state == INSTANCE_READY && !entry->doc->used && !entry->is_migrating && entry->wish == NULL &&
           adjust_is_quiet(entry) && reservation != NULL && reservation->doc->state == RESERVATION_READY &&
           reservation->doc->execution_id == NULL && reservation->code_state != CODE_STAGING &&
           reservation->code_state != CODE_STAGED;
}

static gboolean migrate_frees(const struct instance_entry *entry, const struct vm_shape *shortage)
{
    return entry->promised.vcpus >= shortage->vcpus && entry->promised.memory_mib >= shortage->memory_mib;
}

static int migrate_compare(gconstpointer a, gconstpointer b)
{
    const struct instance_entry *left = *(gconstpointer const *)a, *right = *(gconstpointer const *)b;
    if (left->promised.memory_mib != right->promised.memory_mib)
        return left->promised.memory_mib < right->promised.memory_mib ? -1 : 1;
    return strcmp(left->doc->id, right->doc->id);
}

/* Those whose leaving would be enough, the cheapest to move first. NULL when a guest there is about to give something back: that is cheaper. */
static GPtrArray *migrate_candidates(struct core *core, const struct host_entry *host, const struct vm_shape *shortage)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    GHashTableIter iter;
    gpointer item;
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        struct instance_entry *entry = item;
        if (g_strcmp0(entry->doc->host, host->doc->spec->name) != 0)
            continue;
        if (adjust_is_shrinking(entry))
            return NULL;
        if (!entry->is_pinned && entry->promised.gpus == 0 && migrate_frees(entry, shortage) &&
            migrate_is_idle(core, entry))
            g_ptr_array_add(found, entry);
    }
    g_ptr_array_sort(found, migrate_compare);
    return g_steal_pointer(&found);
}

/* A guest finds there what it was made with. */
static gboolean migrate_hosts_match(const struct host *from, const struct host *to)
{
    return from != to && from->acceleration == to->acceleration &&
           g_strcmp0(from->spec->network, to->spec->network) == 0 &&
           g_strcmp0(from->spec->images, to->spec->images) == 0;
}

static struct host_entry *migrate_choose_host(struct core *core, const struct host_entry *from,
                                              const struct instance_entry *entry)
{
    const struct reservation_entry *reservation = migrate_reservation(core, entry);
    g_autoptr(GPtrArray) hosts = host_entries_sorted(core);
    g_autofree struct placing_candidate *candidates = g_new0(struct placing_candidate, hosts->len + 1);
    for (guint i = hosts->len; i > 0; i--) {
        const struct host_entry *host = hosts->pdata[i - 1];
        if (host->migrations > 0 || !migrate_hosts_match(from->doc, host->doc))
            g_ptr_array_remove_index(hosts, i - 1);
    }
    for (guint i = 0; i < hosts->len; i++)
        candidates[i].host = ((const struct host_entry *)hosts->pdata[i])->doc;
    const int chosen =
        placing_choose(candidates, hosts->len, &entry->promised, reservation->doc->notification->code.labels, 1, NULL);
    return chosen >= 0 ? hosts->pdata[chosen] : NULL;
}

static void migrate_note(struct core *core, struct instance_entry *entry, const char *what, char *detail)
{
    struct reservation_entry *reservation = migrate_reservation(core, entry);
    timeline_add(&entry->doc->timeline, core->now, what, g_strdup(detail));
    core_touch_instance(core, entry);
    if (reservation != NULL)
        reservation_note(core, reservation, what, g_strdup(detail));
    g_free(detail);
}

static void migrate_begin(struct core *core, struct instance_entry *entry, struct host_entry *from,
                          struct host_entry *to)
{
    migrate_hold(to, &entry->promised);
    from->migrations++;
    to->migrations++;
    entry->is_migrating = TRUE;
    entry->migrating_to = g_strdup(to->doc->spec->name);
    migrate_note(core, entry, "migration",
                 g_strdup_printf("to host %s, since running code needs the room", entry->migrating_to));
    struct command *command = core_command_for(entry->doc->host, COMMAND_MIGRATE, entry->doc->id);
    command->host_spec = host_spec_copy(to->doc->spec);
    command->count = MIGRATE_MS;
    core_emit(core, command);
}

void migrate_make_room(struct core *core, const struct instance_entry *needy, const struct vm_shape *after)
{
    struct host_entry *from = g_hash_table_lookup(core->hosts, needy->doc->host);
    if (!core->policy->scaling.migrate || core->shutting_down || from == NULL || from->migrations > 0)
        return;
    const struct vm_shape shortage = migrate_shortage(from->doc, needy, after);
    g_autoptr(GPtrArray) candidates = migrate_candidates(core, from, &shortage);
    for (guint i = 0; candidates != NULL && i < candidates->len; i++) {
        struct host_entry *to = migrate_choose_host(core, from, candidates->pdata[i]);
        if (to == NULL)
            continue;
        migrate_begin(core, candidates->pdata[i], from, to);
        return;
    }
}

/* It is on the way no more; returns the host that it was on the way to, whose book still holds it, or NULL. */
static struct host_entry *migrate_end(struct core *core, struct instance_entry *entry)
{
    g_autofree char *name = g_steal_pointer(&entry->migrating_to);
    struct host_entry *from = g_hash_table_lookup(core->hosts, entry->doc->host);
    struct host_entry *to = g_hash_table_lookup(core->hosts, name);
    if (from != NULL)
        from->migrations--;
    if (to != NULL)
        to->migrations--;
    core->place_again = TRUE;
    return to;
}

void migrate_forget(struct core *core, struct instance_entry *entry)
{
    struct host_entry *to = entry->migrating_to != NULL ? migrate_end(core, entry) : NULL;
    if (to != NULL)
        migrate_let_go(to, &entry->promised);
    entry->is_migrating = FALSE;
}

static void migrate_failed(struct core *core, struct instance_entry *entry, const char *reason)
{
    struct host_entry *to = migrate_end(core, entry);
    if (to != NULL)
        migrate_let_go(to, &entry->promised);
    entry->is_pinned = TRUE;
    core->counters[COUNTER_MIGRATIONS_FAILED]++;
    migrate_note(core, entry, "migration failed", g_strdup(reason));
}

static void migrate_done(struct core *core, struct instance_entry *entry)
{
    struct reservation_entry *reservation = migrate_reservation(core, entry);
    struct host_entry *from = g_hash_table_lookup(core->hosts, entry->doc->host);
    const struct host_entry *to = migrate_end(core, entry);
    if (from != NULL)
        migrate_let_go(from, &entry->promised);
    core_set_string(&entry->doc->host, to->doc->spec->name);
    if (reservation != NULL)
        core_set_string(&reservation->doc->host, entry->doc->host);
    core->counters[COUNTER_MIGRATIONS]++;
    migrate_note(core, entry, "migrated", g_strdup_printf("it is on host %s now", entry->doc->host));
}

/* It was given up while it was on its way. */
static void migrate_stray(struct core *core, struct instance_entry *entry, const struct event *event)
{
    if (event->error == NULL && event->text != NULL && g_hash_table_contains(core->hosts, event->text))
        core_emit(core, core_command_for(event->text, COMMAND_DESTROY, event->id));
    if (entry != NULL)
        migrate_forget(core, entry);
}

void migrate_on_event(struct core *core, struct event *event)
{
    struct instance_entry *entry = g_hash_table_lookup(core->instances, event->id);
    if (entry == NULL || entry->doc->state != INSTANCE_READY) {
        migrate_stray(core, entry, event);
        return;
    }
    if (entry->migrating_to == NULL)
        return;
    if (event->error == NULL && !g_hash_table_contains(core->hosts, entry->migrating_to)) {
        instance_gone(core, entry, "the host that it was moved to is detached");
        return;
    }
    if (event->error != NULL)
        migrate_failed(core, entry, event->error->message);
    else
        migrate_done(core, entry);
    instance_adopt(core, entry); /* it is proven again, where it is now */
}

gboolean migrate_proven(struct core *core, struct instance_entry *entry)
{
    struct reservation_entry *reservation = migrate_reservation(core, entry);
    if (!entry->is_migrating || entry->migrating_to != NULL || entry->doc->state != INSTANCE_READY)
        return FALSE;
    entry->is_migrating = FALSE;
    entry->doc->ready_at = core->now; /* lists of its new host that are older do not have it */
    migrate_note(core, entry, "proven ready again", NULL);
    struct execution_entry *execution = reservation != NULL && reservation->doc->execution_id != NULL
                                            ? g_hash_table_lookup(core->executions, reservation->doc->execution_id)
                                            : NULL;
    if (execution != NULL)
        execution_go_on(core, execution);
    else if (reservation != NULL)
        stage_proceed(core, reservation);
    return TRUE;
}
