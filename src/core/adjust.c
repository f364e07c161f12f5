/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

#include <math.h>

/* The deep-scaling controller: each sample is compared with the prediction, each resource on its own. Above prediction x grow_above the
 * resource goes to prediction x grow_to, which is the prediction from then on. Steps are bounded, the host's book is asked before, the guest
 * confirms after. */

#define RETRY_MS 10000 /* after a growth that failed, or that the host had no room for */

void adjust_begin(struct execution_entry *entry)
{
    const double quantile = entry->policy->provisioning.quantile;
    const struct demand *demand = entry->doc->demand;
    entry->expected[RESOURCE_CPU] = quantiles_at(&demand->vcpus, quantile);
    entry->expected[RESOURCE_MEMORY] = quantiles_at(&demand->memory_mib, quantile);
    entry->expected[RESOURCE_NETWORK] = quantiles_at(&demand->network_mbps, quantile);
}

/* What the code would use if it could: CPUs busy and tasks that wait for one. */
static double adjust_cpu_wanted(const struct usage_sample *sample)
{
    return sample->has_guest ? MAX(sample->runnable, MIN(sample->cpu_used, sample->vcpus_online)) : sample->cpu_used;
}

static void adjust_note_peaks(struct execution *doc, const struct usage_sample *sample)
{
    doc->vcpus_peak = MAX(doc->vcpus_peak, adjust_cpu_wanted(sample));
    doc->memory_peak_mib = MAX(doc->memory_peak_mib, sample->memory_used_mib);
    doc->network_peak_mbps = MAX(doc->network_peak_mbps, MAX(sample->network_rx_mbps, sample->network_tx_mbps));
}

struct growth {
    enum resource resource;
    double predicted, actual, target; /* `target` is what is predicted from now on */
    gboolean is_pressure;
    struct vm_shape after;
};

/* Usage near the top of what the VM has counts as crossing the threshold, whatever was predicted. */
static gboolean adjust_is_pressed(const struct policy *policy, const struct growth *growth, double has)
{
    return has > 0 && growth->actual > policy->scaling.pressure * has;
}

/* FALSE when usage is within the prediction. */
static gboolean adjust_crosses(const struct policy *policy, struct growth *growth, double has)
{
    const struct policy_scaling *scaling = &policy->scaling;
    growth->target = growth->predicted;
    if (growth->actual > growth->predicted * scaling->grow_above) {
        growth->target = MAX(growth->predicted, 0.01) * scaling->grow_to;
        return TRUE;
    }
    growth->is_pressure = growth->resource != RESOURCE_CPU && adjust_is_pressed(policy, growth, has);
    if (growth->is_pressure)
        growth->target = MAX(growth->predicted, has) * scaling->grow_to;
    return growth->is_pressure;
}

static guint adjust_bounded(double wanted, guint present, double step_max, guint maximum)
{
    const double bounded = MIN(wanted, MAX(present * step_max, present + 1.0));
    return (guint)MIN(bounded, maximum);
}

static void adjust_aim_cpu(const struct policy *policy, const struct instance_entry *instance, struct growth *growth)
{
    const struct vm_shape *present = &instance->promised, *maximum = &instance->doc->maximum;
    growth->after.vcpus = MAX(
        present->vcpus, adjust_bounded(ceil(growth->target), present->vcpus, policy->scaling.step_max, maximum->vcpus));
    if (present->cpu_percent > 0)
        growth->after.cpu_percent = MAX(present->cpu_percent, (guint)(growth->target * 100));
    if (maximum->cpu_percent > 0)
        growth->after.cpu_percent = MIN(growth->after.cpu_percent, maximum->cpu_percent);
}

static void adjust_aim_memory(const struct policy *policy, const struct instance_entry *instance, struct growth *growth)
{
    const guint present = instance->promised.memory_mib, maximum = instance->doc->maximum.memory_mib;
    const guint wanted = sizing_memory_mib(policy, growth->target);
    growth->after.memory_mib = MAX(present, adjust_bounded(wanted, present, policy->scaling.step_max, maximum));
}

static void adjust_aim_network(const struct policy *policy, const struct instance_entry *instance,
                               struct growth *growth)
{
    const guint present = instance->promised.network_mbps, maximum = instance->doc->maximum.network_mbps;
    if (present > 0)
        growth->after.network_mbps =
            MAX(present, adjust_bounded(ceil(growth->target), present, policy->scaling.step_max,
                                        maximum > 0 ? maximum : G_MAXUINT));
}

static void (*const adjust_aim[RESOURCE_COUNT])(const struct policy *, const struct instance_entry *,
                                                struct growth *) = {adjust_aim_cpu, adjust_aim_memory,
                                                                    adjust_aim_network};

/* Reserve before growing: what the host's book has no room for is left out. TRUE when something remains. */
static gboolean adjust_fit_host(struct core *core, const struct instance_entry *instance, struct growth *growth)
{
    const struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    if (host == NULL)
        return FALSE;
    const struct vm_shape capacity = placing_capacity(host->doc), *present = &instance->promised;
    const guint free_vcpus = capacity.vcpus - MIN(capacity.vcpus, host->doc->committed_vcpus);
    const guint free_mib = capacity.memory_mib - MIN(capacity.memory_mib, host->doc->committed_memory_mib);
    growth->after.vcpus = MIN(growth->after.vcpus, present->vcpus + free_vcpus);
    growth->after.memory_mib = MIN(growth->after.memory_mib, present->memory_mib + free_mib);
    return !vm_shape_equal(&growth->after, present);
}

static char *adjust_cause(const struct policy *policy, const struct growth *growth)
{
    static const char *const what[] = {"CPUs wanted", "MiB used", "Mbit/s used"};
    if (growth->is_pressure)
        return g_strdup_printf("%.1f %s is above %.0f %% of what the VM has", growth->actual, what[growth->resource],
                               policy->scaling.pressure * 100);
    return g_strdup_printf("%.1f %s > predicted %.1f x %.1f", growth->actual, what[growth->resource], growth->predicted,
                           policy->scaling.grow_above);
}

static struct adjustment *adjust_record(struct core *core, struct execution_entry *entry, const struct growth *growth,
                                        const struct vm_shape *before)
{
    struct adjustment *adjustment = g_new0(struct adjustment, 1);
    adjustment->at = core->now;
    adjustment->resource = growth->resource;
    adjustment->cause = adjust_cause(entry->policy, growth);
    adjustment->predicted = growth->predicted;
    adjustment->actual = growth->actual;
    adjustment->before = *before;
    adjustment->after = growth->after;
    if (entry->doc->adjustments == NULL)
        entry->doc->adjustments = g_ptr_array_new();
    g_ptr_array_add(entry->doc->adjustments, adjustment);
    core_touch_execution(core, entry);
    return adjustment;
}

static void adjust_grow(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                        const struct growth *growth)
{
    const struct vm_shape before = instance->promised;
    instance_book(core, instance, &growth->after);
    struct adjustment *adjustment = adjust_record(core, entry, growth, &before);
    g_autofree char *shape = vm_shape_to_string(&growth->after);
    timeline_add(&entry->doc->timeline, core->now, "grows", g_strdup_printf("to %s: %s", shape, adjustment->cause));
    entry->expected[growth->resource] = growth->target;
    instance->shaping[growth->resource] = ++core->serial;
    core->counters[COUNTER_ADJUSTMENTS]++;
    struct command *command = core_command_for(instance->doc->host, COMMAND_SHAPE, instance->doc->id);
    command->serial = instance->shaping[growth->resource];
    command->shape = growth->after;
    command->count = entry->policy->scaling.confirm_timeout_ms;
    core_emit(core, command);
}

static struct adjustment *adjust_find_last(const struct execution *doc, enum resource resource)
{
    for (guint i = doc->adjustments != NULL ? doc->adjustments->len : 0; i > 0; i--) {
        struct adjustment *adjustment = doc->adjustments->pdata[i - 1];
        if (adjustment->resource == resource)
            return adjustment;
    }
    return NULL;
}

/* A want that the host has no room for is recorded once, however long it lasts. */
static void adjust_refuse(struct core *core, struct execution_entry *entry, const struct growth *growth,
                          const struct vm_shape *present)
{
    static const char no_room[] = "the host has no room for it";
    const struct adjustment *last = adjust_find_last(entry->doc, growth->resource);
    entry->grow_after_at[growth->resource] = core->now + RETRY_MS * CLOCK_MS;
    if (last != NULL && g_strcmp0(last->error, no_room) == 0)
        return;
    adjust_record(core, entry, growth, present)->error = g_strdup(no_room);
    core->counters[COUNTER_ADJUSTMENTS_FAILED]++;
}

/* The step wanted by one sample, if any. */
static void adjust_resource(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                            enum resource resource, double actual, double has)
{
    struct growth growth = {
        .resource = resource, .predicted = entry->expected[resource], .actual = actual, .after = instance->promised};
    if (instance->shaping[resource] != 0 || core->now < entry->grow_after_at[resource] ||
        (entry->doc->adjustments != NULL && entry->doc->adjustments->len >= MODEL_ADJUSTMENTS_MAX))
        return;
    /* a step that does not change a whole vCPU or memory step is taken without a command; the next may */
    while (adjust_crosses(entry->policy, &growth, has)) {
        adjust_aim[resource](entry->policy, instance, &growth);
        if (!vm_shape_equal(&growth.after, &instance->promised))
            break;
        entry->expected[resource] = growth.predicted = growth.target;
        if (growth.is_pressure)
            return; /* at its maximum */
    }
    if (vm_shape_equal(&growth.after, &instance->promised))
        return;
    growth.predicted = entry->expected[resource];
    if (adjust_fit_host(core, instance, &growth)) {
        adjust_grow(core, entry, instance, &growth);
        return;
    }
    adjust_refuse(core, entry, &growth, &instance->promised);
}

/* What the VM has for code: a guest keeps some of its memory for itself. */
static double adjust_usable_mib(const struct instance_entry *instance)
{
    const guint memory_mib = instance->promised.memory_mib;
    return memory_mib > SIZING_GUEST_MIB ? memory_mib - SIZING_GUEST_MIB : memory_mib;
}

void adjust_sample(struct core *core, struct instance_entry *instance, const struct usage_sample *sample)
{
    struct execution_entry *entry =
        instance->doc->execution_id != NULL ? g_hash_table_lookup(core->executions, instance->doc->execution_id) : NULL;
    if (entry == NULL || entry->doc->state != EXECUTION_RUNNING || instance->doc->state != INSTANCE_BUSY)
        return;
    adjust_note_peaks(entry->doc, sample);
    if (!entry->policy->scaling.enabled || entry->cancelled)
        return;
    adjust_resource(core, entry, instance, RESOURCE_CPU, adjust_cpu_wanted(sample), 0);
    if (sample->memory_total_mib > 0)
        adjust_resource(core, entry, instance, RESOURCE_MEMORY, sample->memory_used_mib, adjust_usable_mib(instance));
    adjust_resource(core, entry, instance, RESOURCE_NETWORK, MAX(sample->network_rx_mbps, sample->network_tx_mbps),
                    instance->promised.network_mbps);
}

/* What the guest confirmed of the resource becomes the instance's shape, and the book follows a failure back. */
static void adjust_settle(struct core *core, struct instance_entry *instance, enum resource resource,
                          const struct event *event)
{
    struct vm_shape *shape = &instance->doc->shape;
    struct vm_shape promised = instance->promised;
    const gboolean is_done = event->error == NULL;
    switch (resource) {
    case RESOURCE_CPU:
        shape->vcpus = is_done ? promised.vcpus : shape->vcpus;
        shape->cpu_percent = is_done ? event->shape.cpu_percent : shape->cpu_percent;
        promised.vcpus = MAX(shape->vcpus, event->shape.vcpus); /* what came half way stays held */
        promised.cpu_percent = shape->cpu_percent;
        break;
    case RESOURCE_MEMORY:
        shape->memory_mib = is_done ? promised.memory_mib : shape->memory_mib;
        promised.memory_mib = MAX(shape->memory_mib, event->shape.memory_mib);
        break;
    default:
        shape->network_mbps = is_done ? event->shape.network_mbps : shape->network_mbps;
        promised.network_mbps = shape->network_mbps;
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

static void adjust_report(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                          enum resource resource, const struct event *event)
{
    struct adjustment *adjustment = adjust_find_last(entry->doc, resource);
    if (adjustment == NULL || adjustment->confirmed_at != 0 || adjustment->error != NULL)
        return;
    const double took_ms = (double)(core->now - adjustment->at) / 1000;
    if (event->error == NULL) {
        adjustment->confirmed_at = core->now;
        entry->doc->shape = instance->doc->shape;
        g_autofree char *shape = vm_shape_to_string(&instance->doc->shape);
        timeline_add(&entry->doc->timeline, core->now, "growth confirmed by the guest",
                     g_strdup_printf("%s after %.0f ms", shape, took_ms));
    } else {
        adjustment->error = g_strdup(event->error->message);
        entry->grow_after_at[resource] = core->now + RETRY_MS * CLOCK_MS;
        core->counters[COUNTER_ADJUSTMENTS_FAILED]++;
        timeline_add(&entry->doc->timeline, core->now, "growth failed", g_strdup(event->error->message));
    }
    adjust_stream(core, entry, adjustment);
    core_touch_execution(core, entry);
}

void adjust_shaped(struct core *core, const struct event *event)
{
    struct instance_entry *instance = g_hash_table_lookup(core->instances, event->id);
    if (instance == NULL || instance->doc->state >= INSTANCE_STOPPING)
        return;
    for (guint resource = 0; resource < RESOURCE_COUNT; resource++) {
        if (event->serial == 0 || instance->shaping[resource] != event->serial)
            continue;
        instance->shaping[resource] = 0;
        adjust_settle(core, instance, (enum resource)resource, event);
        struct execution_entry *entry = instance->doc->execution_id != NULL
                                            ? g_hash_table_lookup(core->executions, instance->doc->execution_id)
                                            : NULL;
        if (entry != NULL && !execution_state_is_terminal(entry->doc->state))
            adjust_report(core, entry, instance, (enum resource)resource, event);
    }
}
