/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

/* A change of a running instance's shape, whoever wants it: the controller (scale.c), a full host's need of room (relief.c) or somebody by
 * hand. One resource at a time: what it is to have more is booked on the host before, what it has less is given back after the guest has
 * confirmed. */

gboolean adjust_is_under_way(const struct instance_entry *instance, enum resource resource)
{
    return instance->wish != NULL || instance->shaping[resource] != 0;
}

static gboolean adjustment_is_growth(const struct adjustment *adjustment)
{
    return vm_shape_covers(&adjustment->after, &adjustment->before);
}

gboolean adjust_is_shrinking(const struct instance_entry *instance)
{
    for (guint i = 0; i < RESOURCE_ALL; i++)
        if (instance->shaping[i] != 0 && !adjustment_is_growth(instance->adjusting[i]))
            return TRUE;
    return FALSE;
}

gboolean adjust_is_quiet(const struct instance_entry *instance)
{
    for (guint i = 0; i < RESOURCE_ALL; i++)
        if (instance->shaping[i] != 0)
            return FALSE;
    return TRUE;
}

const struct vm_shape *adjust_aimed(struct instance_entry *instance)
{
    if (adjust_is_quiet(instance))
        instance->aimed = instance->promised;
    return &instance->aimed;
}

static guint most_of_limits(guint a, guint b)
{
    return a == 0 || b == 0 ? 0 : MAX(a, b);
}

/* What the book holds while the change is under way: the larger of before and after. */
static struct vm_shape adjust_book_meanwhile(const struct vm_shape *before, const struct vm_shape *after)
{
    const struct vm_shape both = {
        .vcpus = MAX(before->vcpus, after->vcpus),
        .memory_mib = MAX(before->memory_mib, after->memory_mib),
        .network_mbps = most_of_limits(before->network_mbps, after->network_mbps),
        .disk_mbps = most_of_limits(before->disk_mbps, after->disk_mbps),
        .gpus = MAX(before->gpus, after->gpus),
        .cpu_percent = most_of_limits(before->cpu_percent, after->cpu_percent),
    };
    return both;
}

gboolean adjust_fits(struct core *core, const struct instance_entry *instance, const struct vm_shape *after)
{
    const struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    if (host == NULL)
        return FALSE;
    const struct vm_shape capacity = placing_capacity(host->doc), *present = &instance->promised;
    const struct vm_shape booked = adjust_book_meanwhile(present, after);
    return (booked.vcpus <= present->vcpus ||
            host->doc->committed_vcpus + (booked.vcpus - present->vcpus) <= capacity.vcpus) &&
           (booked.memory_mib <= present->memory_mib ||
            host->doc->committed_memory_mib + (booked.memory_mib - present->memory_mib) <= capacity.memory_mib) &&
           (booked.gpus <= present->gpus || host->doc->committed_gpus + (booked.gpus - present->gpus) <= capacity.gpus);
}

/* Whose code is in it, or is to be. */
static const char *adjust_tenant(struct core *core, const struct instance *doc)
{
    const struct execution_entry *execution =
        doc->execution_id != NULL ? g_hash_table_lookup(core->executions, doc->execution_id) : NULL;
    const struct reservation_entry *reservation =
        doc->reservation_id != NULL ? g_hash_table_lookup(core->reservations, doc->reservation_id) : NULL;
    if (execution != NULL)
        return execution->doc->code.tenant;
    return reservation != NULL ? reservation->doc->notification->code.tenant : NULL;
}

gboolean adjust_tenant_allows(struct core *core, const struct policy_limits *limits,
                              const struct instance_entry *instance, const struct vm_shape *after)
{
    guint64 vcpus = after->vcpus, memory_mib = after->memory_mib;
    GHashTableIter iter;
    gpointer item;
    if (limits->vcpus_per_tenant == 0 && limits->memory_per_tenant_mib == 0)
        return TRUE;
    const char *tenant = adjust_tenant(core, instance->doc);
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &item)) {
        const struct instance_entry *other = item;
        if (other == instance || other->doc->state != INSTANCE_BUSY ||
            g_strcmp0(adjust_tenant(core, other->doc), tenant) != 0)
            continue;
        vcpus += other->promised.vcpus;
        memory_mib += other->promised.memory_mib;
    }
    return (limits->vcpus_per_tenant == 0 || after->vcpus <= instance->promised.vcpus ||
            vcpus <= limits->vcpus_per_tenant) &&
           (limits->memory_per_tenant_mib == 0 || after->memory_mib <= instance->promised.memory_mib ||
            memory_mib <= limits->memory_per_tenant_mib);
}

static struct execution_entry *adjust_execution(struct core *core, const struct instance_entry *instance)
{
    struct execution_entry *entry =
        instance->doc->execution_id != NULL ? g_hash_table_lookup(core->executions, instance->doc->execution_id) : NULL;
    return entry != NULL && !execution_state_is_terminal(entry->doc->state) ? entry : NULL;
}

/* The newest are kept. */
static void adjust_keep(GPtrArray **adjustments, struct adjustment *adjustment)
{
    if (*adjustments == NULL)
        *adjustments = g_ptr_array_new();
    if ((*adjustments)->len >= MODEL_ADJUSTMENTS_MAX)
        adjustment_free(g_ptr_array_remove_index(*adjustments, 0));
    g_ptr_array_add(*adjustments, adjustment);
}

static void adjust_note(struct core *core, struct instance_entry *instance, const char *what, char *detail)
{
    struct execution_entry *entry = adjust_execution(core, instance);
    if (entry != NULL) {
        timeline_add(&entry->doc->timeline, core->now, what, detail);
        core_touch_execution(core, entry);
        return;
    }
    timeline_add(&instance->doc->timeline, core->now, what, detail);
    core_touch_instance(core, instance);
}

void adjust_refused(struct core *core, struct instance_entry *instance, struct adjustment *adjustment)
{
    struct execution_entry *entry = adjust_execution(core, instance);
    core->counters[COUNTER_ADJUSTMENTS_FAILED]++;
    if (entry == NULL) {
        adjustment_free(adjustment);
        return;
    }
    adjustment->at = core->now;
    feed_tell_adjustment(core, entry, instance, adjustment);
    adjust_keep(&entry->doc->adjustments, adjustment);
    core_touch_execution(core, entry);
}

/* What the host is told: of what the change is not about, that it stays. What became of another change may be on its way here. */
static struct vm_shape adjust_ask(const struct vm_shape *after, enum resource resource)
{
    struct vm_shape ask = *after;
    if (resource != RESOURCE_CPU)
        ask.vcpus = 0;
    if (resource != RESOURCE_MEMORY)
        ask.memory_mib = 0;
    if (resource != RESOURCE_GPU)
        ask.gpus = SHAPE_GPUS_KEPT;
    return ask;
}

void adjust_change(struct core *core, struct instance_entry *instance, struct adjustment *adjustment,
                   gint64 confirm_timeout_ms)
{
    const enum resource resource = adjustment->resource;
    const struct vm_shape after = adjustment->after, booked = adjust_book_meanwhile(&instance->promised, &after);
    g_autofree char *shape = vm_shape_to_string(&after);
    const gboolean is_growth = adjustment_is_growth(adjustment);
    adjustment->at = core->now;
    instance_book(core, instance, &booked);
    instance->aimed = after;
    instance->shaping[resource] = ++core->serial;
    core->counters[COUNTER_ADJUSTMENTS]++;
    core->adjustments[adjustment->reason]++;
    adjust_note(core, instance, is_growth ? "grows" : "shrinks",
                g_strdup_printf("to %s: %s", shape, adjustment->cause));
    struct command *command = core_command_for(instance->doc->host, COMMAND_SHAPE, instance->doc->id);
    command->serial = instance->shaping[resource];
    command->shape = adjust_ask(&after, resource);
    command->count = confirm_timeout_ms;
    core_emit(core, command);
    adjustment_free(instance->adjusting[resource]);
    instance->adjusting[resource] = adjustment;
}

/* What the guest confirmed of the resource, or still holds after a failure, becomes the instance's shape and its place in the host's book. */
static void adjust_settle(struct core *core, struct instance_entry *instance, enum resource resource,
                          const struct event *event)
{
    struct vm_shape *shape = &instance->doc->shape;
    struct vm_shape promised = instance->promised;
    switch (resource) {
    case RESOURCE_CPU:
        promised.vcpus = shape->vcpus = instance->aimed.vcpus = event->shape.vcpus;
        promised.cpu_percent = shape->cpu_percent = instance->aimed.cpu_percent = event->shape.cpu_percent;
        break;
    case RESOURCE_MEMORY:
        promised.memory_mib = shape->memory_mib = instance->aimed.memory_mib = event->shape.memory_mib;
        break;
    case RESOURCE_NETWORK:
        promised.network_mbps = shape->network_mbps = instance->aimed.network_mbps = event->shape.network_mbps;
        break;
    case RESOURCE_GPU:
        promised.gpus = shape->gpus = instance->aimed.gpus = event->shape.gpus;
        break;
    default:
        promised.disk_mbps = shape->disk_mbps = instance->aimed.disk_mbps = event->shape.disk_mbps;
        break;
    }
    instance_book(core, instance, &promised);
    core_touch_instance(core, instance);
}

static void adjust_stream(struct core *core, struct execution_entry *entry, const struct adjustment *adjustment)
{
    if (entry->request != 0)
        core_emit(core, core_line_new(entry->request, "adjusted", "adjustment", &adjustment_codec, adjustment));
}

static void adjust_observe_phases(struct core *core, const struct adjustment *adjustment)
{
    struct adjust_times *times = &core->adjust_times[adjustment->resource];
    times->count++;
    times->decide_us += adjustment->signalled_at > 0 ? MAX(0, adjustment->at - adjustment->signalled_at) : 0;
    times->hypervisor_us += adjustment->hypervisor_at > 0 ? MAX(0, adjustment->hypervisor_at - adjustment->at) : 0;
    times->confirm_us += MAX(0, adjustment->confirmed_at - adjustment->at);
}

static void adjust_report(struct core *core, struct instance_entry *instance, struct adjustment *adjustment,
                          const struct event *event)
{
    const gboolean is_growth = adjustment_is_growth(adjustment);
    const double took_ms = (double)(core->now - adjustment->at) / 1000;
    adjustment->confirmed = instance->doc->shape;
    adjustment->hypervisor_at = event->at;
    if (event->error == NULL) {
        adjustment->confirmed_at = core->now;
        adjust_observe_phases(core, adjustment);
        g_autofree char *shape = vm_shape_to_string(&instance->doc->shape);
        adjust_note(core, instance,
                    adjustment->resource == RESOURCE_GPU ? "GPUs changed"
                    : is_growth                          ? "growth confirmed by the guest"
                                                         : "shrink confirmed by the guest",
                    g_strdup_printf("%s after %.0f ms", shape, took_ms));
    } else {
        adjustment->error = g_strdup(event->error->message);
        core->counters[COUNTER_ADJUSTMENTS_FAILED]++;
        adjust_note(core, instance, is_growth ? "growth failed" : "shrink failed", g_strdup(event->error->message));
    }
    struct execution_entry *entry = adjust_execution(core, instance);
    feed_tell_adjustment(core, entry, instance, adjustment);
    if (entry == NULL)
        return;
    entry->doc->shape = instance->doc->shape;
    adjust_stream(core, entry, adjustment);
    scale_settled(core, entry, instance, adjustment, event->error);
    core_touch_execution(core, entry);
}

/* By hand, resource after resource; the answer comes after the last, or after the first that failed. Until then the instance is left alone by
 * everybody else. */
static gboolean adjust_hand_choose(const struct vm_shape *wanted, struct vm_shape *after, enum resource *ret_resource)
{
    const struct vm_shape before = *after;
    if (wanted->memory_mib != 0 && wanted->memory_mib != before.memory_mib) {
        *ret_resource = RESOURCE_MEMORY;
        after->memory_mib = wanted->memory_mib;
    } else if ((wanted->vcpus != 0 && wanted->vcpus != before.vcpus) ||
               (wanted->cpu_percent != 0 && wanted->cpu_percent != before.cpu_percent)) {
        *ret_resource = RESOURCE_CPU;
        after->vcpus = wanted->vcpus != 0 ? wanted->vcpus : before.vcpus;
        after->cpu_percent = wanted->cpu_percent != 0 ? wanted->cpu_percent : before.cpu_percent;
    } else if (wanted->network_mbps != 0 && wanted->network_mbps != before.network_mbps) {
        *ret_resource = RESOURCE_NETWORK;
        after->network_mbps = wanted->network_mbps;
    } else if (wanted->disk_mbps != 0 && wanted->disk_mbps != before.disk_mbps) {
        *ret_resource = RESOURCE_DISK;
        after->disk_mbps = wanted->disk_mbps;
    } else if (wanted->gpus != SHAPE_GPUS_KEPT && wanted->gpus != before.gpus) {
        *ret_resource = RESOURCE_GPU;
        after->gpus = wanted->gpus;
    } else {
        return FALSE;
    }
    return TRUE;
}

static void adjust_hand_answer(struct core *core, struct instance_entry *instance)
{
    struct shape_wish *wish = instance->wish;
    if (wish->error != NULL)
        core_reply_error(core, wish->request, g_steal_pointer(&wish->error));
    else
        core_reply_object(core, wish->request, 200, NULL, &instance_codec, instance->doc);
    g_clear_pointer(&instance->wish, shape_wish_free);
}

static GError *adjust_no_room(const struct instance_entry *instance)
{
    return hbr_error_new(HBR_ERROR_EXHAUSTED, "host %s has no room for it", instance->doc->host);
}

static void adjust_hand_next(struct core *core, struct instance_entry *instance)
{
    struct shape_wish *wish = instance->wish;
    const struct vm_shape before = *adjust_aimed(instance);
    struct vm_shape after = before;
    enum resource resource = RESOURCE_CPU;
    if (wish->error != NULL || !adjust_hand_choose(&wish->shape, &after, &resource)) {
        adjust_hand_answer(core, instance);
        return;
    }
    if (!adjust_fits(core, instance, &after)) { /* any more */
        wish->error = adjust_no_room(instance);
        adjust_hand_answer(core, instance);
        return;
    }
    struct adjustment *adjustment = g_new0(struct adjustment, 1);
    adjustment->resource = resource;
    adjustment->before = before;
    adjustment->after = after;
    adjustment->reason = ADJUSTMENT_HAND;
    adjustment->cause = g_strdup("asked for by hand");
    adjust_change(core, instance, adjustment, wish->confirm_timeout_ms);
}

static void adjust_hand_settled(struct core *core, struct instance_entry *instance, enum resource resource,
                                const GError *error)
{
    struct shape_wish *wish = instance->wish;
    if (wish == NULL)
        return;
    if (error != NULL)
        wish->error = g_error_copy(error);
    /* each resource is asked for once */
    if (resource == RESOURCE_MEMORY)
        wish->shape.memory_mib = 0;
    else if (resource == RESOURCE_CPU)
        wish->shape.vcpus = wish->shape.cpu_percent = 0;
    else if (resource == RESOURCE_NETWORK)
        wish->shape.network_mbps = 0;
    else if (resource == RESOURCE_DISK)
        wish->shape.disk_mbps = 0;
    else
        wish->shape.gpus = SHAPE_GPUS_KEPT;
    adjust_hand_next(core, instance);
}

/* A guest may let go of a GPU when nobody waits for that any more, so each event tells which it has. */
static void adjust_settle_gpus(struct core *core, struct instance_entry *instance, const struct event *event)
{
    const gboolean is_told = event->shape.vcpus > 0; /* not by a host that does not know the instance */
    if (is_told && instance->shaping[RESOURCE_GPU] == 0 && event->shape.gpus != instance->promised.gpus)
        adjust_settle(core, instance, RESOURCE_GPU, event);
}

void adjust_shaped(struct core *core, const struct event *event)
{
    struct instance_entry *instance = g_hash_table_lookup(core->instances, event->id);
    if (instance == NULL || instance->doc->state >= INSTANCE_STOPPING)
        return;
    for (guint resource = 0; resource < RESOURCE_ALL; resource++) {
        if (event->serial == 0 || instance->shaping[resource] != event->serial)
            continue;
        instance->shaping[resource] = 0;
        g_autoptr(adjustment_auto) adjustment = g_steal_pointer(&instance->adjusting[resource]);
        if (event->error == NULL || event->shape.vcpus > 0)
            adjust_settle(core, instance, (enum resource)resource, event);
        else /* its host does not know it: what is booked stays until it is gone */
            instance->aimed = instance->promised;
        adjust_report(core, instance, adjustment, event);
        struct execution_entry *entry = adjust_execution(core, instance);
        if (entry != NULL)
            adjust_keep(&entry->doc->adjustments, g_steal_pointer(&adjustment));
        adjust_hand_settled(core, instance, (enum resource)resource, event->error);
    }
    adjust_settle_gpus(core, instance, event);
}

void adjust_forget(struct core *core, struct instance_entry *instance)
{
    if (instance->wish != NULL)
        core_reply_error(core, instance->wish->request,
                         hbr_error_new(HBR_ERROR_CONFLICT, "%s is gone: %s", instance->doc->id,
                                       instance->doc->reason != NULL ? instance->doc->reason : "it was destroyed"));
    g_clear_pointer(&instance->wish, shape_wish_free);
    for (guint i = 0; i < RESOURCE_ALL; i++) {
        instance->shaping[i] = 0;
        g_clear_pointer(&instance->adjusting[i], adjustment_free);
    }
}

void shape_wish_free(struct shape_wish *wish)
{
    g_clear_error(&wish->error);
    g_free(wish);
}

/* The member of what is wanted that is more than the most, or NULL. 0 as the most of a limit allows any. */
static const char *adjust_excess(const struct vm_shape *wanted, const struct vm_shape *most)
{
    const struct {
        const char *member;
        guint wanted, most;
    } amounts[] = {
        {"vcpus", wanted->vcpus, most->vcpus},
        {"memory_mib", wanted->memory_mib, most->memory_mib},
        {"network_mbps", wanted->network_mbps, most->network_mbps},
        {"disk_mbps", wanted->disk_mbps, most->disk_mbps},
        {"cpu_percent", wanted->cpu_percent, most->cpu_percent},
    };
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++)
        if (amounts[i].most != 0 && amounts[i].wanted > amounts[i].most)
            return amounts[i].member;
    return wanted->gpus != SHAPE_GPUS_KEPT && wanted->gpus > most->gpus ? "gpus" : NULL;
}

/* Why an instance cannot be given that shape by hand, or NULL. */
static GError *adjust_objection(struct core *core, const struct instance_entry *instance, const struct vm_shape *wanted)
{
    const struct vm_shape *maximum = &instance->doc->maximum;
    if (instance->doc->state != INSTANCE_READY && instance->doc->state != INSTANCE_BUSY)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s is %s; only one that is ready or busy can be given another shape",
                             instance->doc->id, codec_word(&instance_state_words, instance->doc->state));
    if (instance->is_migrating)
        return hbr_error_new(HBR_ERROR_CONFLICT, "%s is being moved to another host; try again when that is done",
                             instance->doc->id);
    if (instance->wish != NULL || !adjust_is_quiet(instance))
        return hbr_error_new(HBR_ERROR_CONFLICT,
                             "the shape of %s is being changed already; try again when that is done",
                             instance->doc->id);
    const char *excess = adjust_excess(wanted, maximum);
    if (excess != NULL) {
        g_autofree char *most = vm_shape_to_string(maximum);
        return hbr_error_new(HBR_ERROR_INVALID, "/%s: is more than %s was made for; right would be at most %s", excess,
                             instance->doc->id, most);
    }
    if (wanted->memory_mib != 0 && wanted->memory_mib < instance->floor_mib)
        return hbr_error_new(HBR_ERROR_INVALID, "/memory_mib: %s cannot have less than the %u MiB it started with",
                             instance->doc->id, instance->floor_mib);
    struct vm_shape after = instance->promised;
    after.vcpus = wanted->vcpus != 0 ? wanted->vcpus : after.vcpus;
    after.memory_mib = wanted->memory_mib != 0 ? wanted->memory_mib : after.memory_mib;
    after.gpus = wanted->gpus != SHAPE_GPUS_KEPT ? wanted->gpus : after.gpus;
    if (!adjust_tenant_allows(core, &core->policy->limits, instance, &after))
        return hbr_error_new(HBR_ERROR_EXHAUSTED, "%s", ADJUST_TENANT_FULL);
    if (!adjust_fits(core, instance, &after))
        return adjust_no_room(instance);
    return NULL;
}

void adjust_by_hand(struct core *core, struct event *event)
{
    struct instance_entry *instance = g_hash_table_lookup(core->instances, event->id);
    GError *error = instance == NULL ? hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no instance \"%s\"", event->id)
                                     : adjust_objection(core, instance, &event->shape);
    if (error != NULL) {
        core_reply_error(core, event->request, error);
        return;
    }
    instance->wish = g_new0(struct shape_wish, 1);
    *instance->wish = (struct shape_wish){.shape = event->shape,
                                          .request = event->request,
                                          .confirm_timeout_ms = core->policy->scaling.confirm_timeout_ms};
    adjust_hand_next(core, instance);
}
