/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/governor.h"
#include "plan/placing.h"
#include "plan/scaler.h"

#include <math.h>

/* The deep-scaling controller. Each look at a running instance is compared with the course that was predicted of its execution; what each
 * resource should have is the scaler's choice (plan/scaler.h), and when it gets it the governor's (plan/governor.h). When the guest says that it is
 * short of something, it gets more at once. It leaves GPUs as they are: nothing tells how much of one is used. */

#define OBSTACLE_MS 10000      /* after a change that failed, doubled each time */
#define OBSTACLE_MAX_MS 600000 /* but no longer than this */
#define PRESSED_MS 500         /* the same where the guest is under pressure: what waits may die */
#define PRESSED_MAX_MS 4000
#define SHRINK_CONFIRM_MS 1000 /* nothing grows while a guest gives back */
#define AHEAD_LOOKS 2          /* what is predicted until then has to be there now */
#define MINUTE (60 * CLOCK_SECOND)
#define CALM_US CLOCK_SECOND /* without pressure for memory, and CPUs are thought of */

enum direction { DIRECTION_UP, DIRECTION_DOWN, DIRECTION_COUNT };

/* A change that failed, and what has to change before it is tried again. */
struct obstacle {
    gint64 failed_at;
    guint64 epoch; /* of the host: another one, and it is worth a try */
    guint count;   /* in a row */
};

struct scaling {
    struct course course;
    const struct scaler_class *class;
    gint64 state[RESOURCE_COUNT][SCALER_STATE_MAX / sizeof(gint64)];
    struct governor governors[RESOURCE_COUNT];
    struct obstacle obstacles[RESOURCE_COUNT][DIRECTION_COUNT];
    guint down[RESOURCE_COUNT]; /* what it could do with, as of the last look; 0: not known */
    guint short_of;             /* bits of resources that the host had no room for */
    double short_wants[RESOURCE_COUNT];
    gint64 pressed_at; /* the guest was last short of memory */
    gint64 looked_at;  /* the last look, with what the guest said */
    gboolean has_alarm, has_memory_alarm;
    double drift_threshold;
};

void scaling_free(struct scaling *scaling)
{
    g_free(scaling);
}

/* One resource at one look. */
struct need {
    enum resource resource;
    double want, actual, expected;
    enum adjustment_reason reason;
    gboolean is_pressure;
    const struct usage_sample *sample;
};

static const struct scaler_class *scale_class(const struct core *core, const struct policy *policy)
{
    if (core->settings.scaler != NULL)
        return core->settings.scaler;
    return policy->scaling.controller == CONTROLLER_SIMPLE ? &scaler_simple : &scaler_deep;
}

static void scale_alarm(struct core *core, struct execution_entry *entry, const struct instance_entry *instance)
{
    const struct policy_scaling *policy = &entry->policy->scaling;
    const gboolean can_grow = instance->promised.memory_mib < instance->doc->maximum.memory_mib;
    struct scaling *scaling = entry->scaling;
    if (scaling->class == &scaler_simple || (scaling->has_alarm && scaling->has_memory_alarm == can_grow))
        return;
    scaling->has_alarm = TRUE;
    scaling->has_memory_alarm = can_grow;
    struct command *command = core_command_for(instance->doc->host, COMMAND_ALARM, instance->doc->id);
    const gint64 stall_us = (gint64)(policy->stall * (double)policy->stall_window_ms * CLOCK_MS);
    command->alarm = (struct guest_alarm){.memory_share = can_grow ? policy->pressure : 0,
                                          .memory_most_mib = can_grow ? instance->doc->maximum.memory_mib : 0,
                                          .cpu_stall_us = stall_us,
                                          .memory_stall_us = stall_us,
                                          .io_stall_us = instance->promised.disk_mbps > 0 ? stall_us : 0,
                                          .window_us = stall_us > 0 ? policy->stall_window_ms * CLOCK_MS : 0};
    core_emit(core, command);
}

void scale_begin(struct core *core, struct execution_entry *entry, struct instance_entry *instance)
{
    if (!entry->policy->scaling.enabled)
        return;
    struct scaling *scaling = entry->scaling = g_new0(struct scaling, 1);
    instance->floor_network_mbps = instance->promised.network_mbps;
    instance->floor_disk_mbps = instance->promised.disk_mbps;
    scaling->class = scale_class(core, entry->policy);
    scaling->drift_threshold = drift_threshold(RESOURCE_COUNT * (double)entry->policy->scaling.false_alarms_ms /
                                               (double)entry->policy->scaling.sample_interval_ms);
    predictor_course(core->predictor, entry->policy, &entry->doc->code, entry->doc->demand, &scaling->course);
    scale_alarm(core, entry, instance);
}

/* What the code would use if it could: CPUs busy and tasks that wait for one. */
static double scale_cpu_wanted(const struct usage_sample *sample)
{
    return sample->has_guest ? MAX(sample->runnable, MIN(sample->cpu_used, sample->vcpus_online)) : sample->cpu_used;
}

static void scale_used(const struct usage_sample *sample, double *ret_used)
{
    ret_used[RESOURCE_CPU] = scale_cpu_wanted(sample);
    ret_used[RESOURCE_MEMORY] = sample->memory_used_mib;
    ret_used[RESOURCE_NETWORK] = MAX(sample->network_rx_mbps, sample->network_tx_mbps);
    ret_used[RESOURCE_DISK] = MAX(sample->disk_read_mbps, sample->disk_write_mbps);
}

static void scale_note_peaks(struct core *core, struct execution *doc, const struct usage_sample *sample)
{
    double used[RESOURCE_COUNT];
    scale_used(sample, used);
    doc->memory_peak_mib = MAX(doc->memory_peak_mib, sample->memory_used_mib);
    if (sample->pressure != 0)
        return; /* its figures are of a moment */
    doc->vcpus_peak = MAX(doc->vcpus_peak, used[RESOURCE_CPU]);
    doc->network_peak_mbps = MAX(doc->network_peak_mbps, used[RESOURCE_NETWORK]);
    if (sample->has_guest)
        usage_course_add(&doc->course, (core->now - doc->started_at) / CLOCK_MS, used);
}

/* What the VM has for code: a guest keeps some of its memory for itself. */
static double scale_usable_mib(guint memory_mib)
{
    return memory_mib > SIZING_GUEST_MIB ? memory_mib - SIZING_GUEST_MIB : memory_mib;
}

/* How much of a shape a resource is, in the units that it is given in: CPUs, or percent of one where they are capped. */
static guint shape_amount(const struct vm_shape *shape, enum resource resource)
{
    switch (resource) {
    case RESOURCE_CPU:
        return shape->cpu_percent > 0 ? shape->cpu_percent : shape->vcpus;
    case RESOURCE_MEMORY:
        return shape->memory_mib;
    case RESOURCE_NETWORK:
        return shape->network_mbps;
    default:
        return shape->disk_mbps;
    }
}

static double shape_cpus(const struct vm_shape *shape)
{
    return shape->cpu_percent > 0 ? shape->cpu_percent / 100.0 : shape->vcpus;
}

static void shape_set_amount(struct vm_shape *shape, enum resource resource, guint amount)
{
    switch (resource) {
    case RESOURCE_CPU:
        shape->vcpus = shape->cpu_percent > 0 ? MAX(shape->vcpus, (amount + 99) / 100) : amount;
        shape->cpu_percent = shape->cpu_percent > 0 ? amount : 0;
        break;
    case RESOURCE_MEMORY:
        shape->memory_mib = amount;
        break;
    case RESOURCE_NETWORK:
        shape->network_mbps = amount;
        break;
    default:
        shape->disk_mbps = amount;
        break;
    }
}

/* The amount that covers a want, within what the instance may have. */
static guint scale_amount(const struct policy *policy, const struct instance_entry *instance, enum resource resource,
                          double want)
{
    const struct vm_shape *maximum = &instance->doc->maximum;
    const double bounded = MIN(want, MODEL_MEMORY_MIB_MAX);
    switch (resource) {
    case RESOURCE_CPU:
        if (instance->aimed.cpu_percent > 0) {
            const guint most = maximum->cpu_percent > 0 ? maximum->cpu_percent : maximum->vcpus * 100;
            return CLAMP((guint)ceil(MIN(bounded, MODEL_VCPUS_MAX) * 100), 1, MAX(most, 1));
        }
        return CLAMP(policy_whole_vcpus(bounded), 1, MAX(maximum->vcpus, 1));
    case RESOURCE_MEMORY:
        return CLAMP(sizing_memory_mib(policy, bounded), MIN(instance->floor_mib, maximum->memory_mib),
                     maximum->memory_mib);
    case RESOURCE_NETWORK:
        return CLAMP((guint)ceil(bounded), MAX(1, instance->floor_network_mbps),
                     maximum->network_mbps > 0 ? maximum->network_mbps : G_MAXUINT);
    default:
        return CLAMP((guint)ceil(bounded), MAX(1, instance->floor_disk_mbps),
                     maximum->disk_mbps > 0 ? maximum->disk_mbps : G_MAXUINT);
    }
}

static void scale_governor_settings(const struct policy_scaling *policy, struct governor_settings *ret_settings)
{
    *ret_settings = (struct governor_settings){
        .step_max = policy->step_max,
        .dwell_us = policy->dwell_ms * CLOCK_MS,
        .dwell_max_us = policy->dwell_max_ms * CLOCK_MS,
        .grow_pause_us = policy->grow_pause_ms * CLOCK_MS,
        .shrink_pause_us = policy->shrink_pause_ms * CLOCK_MS,
        .changes_per_minute = policy->changes_per_minute,
    };
}

static void scale_scaler_settings(const struct execution_entry *entry, enum resource resource,
                                  struct scaler_settings *ret_settings)
{
    const struct policy *policy = entry->policy;
    const struct policy_scaling *scaling = &policy->scaling;
    const double costs[RESOURCE_COUNT] = {[RESOURCE_CPU] = scaling->cpu_shortage,
                                          [RESOURCE_MEMORY] = scaling->memory_shortage_mib,
                                          [RESOURCE_NETWORK] = scaling->network_shortage_mbps,
                                          [RESOURCE_DISK] = scaling->disk_shortage_mbps};
    *ret_settings = (struct scaler_settings){
        .shortage_cost = costs[resource],
        .drift_threshold = entry->scaling->drift_threshold,
        .grow_above = scaling->grow_above,
        .grow_to = scaling->grow_to,
        .quantile = policy_quantile(policy, resource),
    };
}

/* How many changes a host takes in a minute is bounded. */
static gboolean scale_host_is_spent(struct core *core, const struct execution_entry *entry,
                                    const struct instance_entry *instance)
{
    const guint most = entry->policy->scaling.host_changes_per_minute;
    struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    if (host == NULL || most == 0)
        return FALSE;
    if (core->now - host->changes_since >= MINUTE) {
        host->changes_since = core->now;
        host->changes = 0;
    }
    return host->changes >= most;
}

static char *scale_pressure_cause(const struct need *need, const char *what, double share)
{
    if (need->resource == RESOURCE_CPU)
        return g_strdup_printf("the guest's tasks wait for a CPU: %.1f wanted", need->actual);
    if (need->resource == RESOURCE_DISK && need->is_pressure)
        return g_strdup_printf("the guest's tasks wait for its disk, which is limited to %.0f MB/s", need->actual);
    if (need->sample != NULL && need->sample->pressure != 0 && (need->sample->pressure & PRESSURE_MEMORY) == 0)
        return g_strdup_printf("the guest's tasks wait for memory: %.1f %s", need->actual, what);
    return g_strdup_printf("%.1f %s is above %.0f %% of what the VM has", need->actual, what, share * 100);
}

static char *scale_cause(const struct execution_entry *entry, const struct need *need)
{
    static const char *const what[RESOURCE_COUNT] = {"CPUs wanted", "MiB used", "Mbit/s used", "MB/s used"};
    const struct policy_scaling *policy = &entry->policy->scaling;
    switch (need->reason) {
    case ADJUSTMENT_PRESSURE:
        return scale_pressure_cause(need, what[need->resource], policy->pressure);
    case ADJUSTMENT_SLACK:
        return g_strdup_printf("%.1f %s at most in the dwell time", need->actual, what[need->resource]);
    case ADJUSTMENT_ROOM:
        return g_strdup_printf("%.1f %s, and the host needs the room", need->actual, what[need->resource]);
    case ADJUSTMENT_EXCESS:
        return entry->scaling->class == &scaler_simple
                   ? g_strdup_printf("%.1f %s > predicted %.1f x %.1f", need->actual, what[need->resource],
                                     need->expected / policy->grow_to, policy->grow_above)
                   : g_strdup_printf("%.1f %s, steadily above the predicted %.1f", need->actual, what[need->resource],
                                     need->expected);
    default:
        return g_strdup_printf("%.1f %s, %.1f predicted: up to %.1f may come", need->actual, what[need->resource],
                               need->expected, need->want);
    }
}

static struct adjustment *scale_adjustment(struct execution_entry *entry, struct instance_entry *instance,
                                           const struct need *need, guint amount)
{
    struct adjustment *adjustment = g_new0(struct adjustment, 1);
    adjustment->signalled_at = need->sample != NULL ? need->sample->at : 0;
    adjustment->resource = need->resource;
    adjustment->reason = need->reason;
    adjustment->cause = scale_cause(entry, need);
    adjustment->predicted = need->expected;
    adjustment->actual = need->actual;
    adjustment->before = adjustment->after = *adjust_aimed(instance);
    adjustment->sample = need->sample != NULL ? usage_sample_copy(need->sample) : NULL;
    shape_set_amount(&adjustment->after, need->resource, amount);
    return adjustment;
}

static guint64 scale_epoch(struct core *core, const struct instance_entry *instance)
{
    const struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    return host != NULL ? host->epoch : 0;
}

static gboolean scale_is_barred(struct core *core, const struct execution_entry *entry,
                                const struct instance_entry *instance, enum resource resource, enum direction direction,
                                gboolean is_pressure)
{
    const struct obstacle *obstacle = &entry->scaling->obstacles[resource][direction];
    if (obstacle->count == 0 || obstacle->epoch != scale_epoch(core, instance))
        return FALSE;
    const guint doubled = MIN(obstacle->count - 1, 10);
    const gint64 wait_ms = is_pressure ? MIN((gint64)PRESSED_MS << doubled, PRESSED_MAX_MS)
                                       : MIN((gint64)OBSTACLE_MS << doubled, OBSTACLE_MAX_MS);
    return core->now < obstacle->failed_at + wait_ms * CLOCK_MS;
}

/* The host, or the tenant's limit, has no room: told once, however long it lasts, and asked again when something has changed. */
static void scale_wait_for_room(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                                const struct need *need, struct adjustment *adjustment, const char *why)
{
    struct scaling *scaling = entry->scaling;
    const guint bit = 1u << need->resource;
    scaling->short_wants[need->resource] = need->want;
    if ((scaling->short_of & bit) != 0) {
        adjustment_free(adjustment);
        return;
    }
    scaling->short_of |= bit;
    adjustment->error = g_strdup(why);
    adjust_refused(core, instance, adjustment);
    relief_queue(core, entry);
}

static void scale_commit(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                         const struct need *need, struct adjustment *adjustment, guint has, guint amount)
{
    struct host_entry *host = g_hash_table_lookup(core->hosts, instance->doc->host);
    struct governor_settings settings;
    scale_governor_settings(&entry->policy->scaling, &settings);
    governor_changed(&entry->scaling->governors[need->resource], &settings, core->now, has, amount);
    if (host != NULL && !need->is_pressure)
        host->changes++;
    entry->scaling->short_of &= ~(1u << need->resource);
    const gint64 confirm_ms = entry->policy->scaling.confirm_timeout_ms;
    adjust_change(core, instance, adjustment, amount < has ? MIN(confirm_ms, SHRINK_CONFIRM_MS) : confirm_ms);
    scale_alarm(core, entry, instance);
}

static void scale_grow(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                       const struct need *need, guint has, guint amount)
{
    struct adjustment *adjustment = scale_adjustment(entry, instance, need, amount);
    if (!adjust_tenant_allows(core, &entry->policy->limits, instance, &adjustment->after)) {
        scale_wait_for_room(core, entry, instance, need, adjustment, ADJUST_TENANT_FULL);
        return;
    }
    if (adjust_fits(core, instance, &adjustment->after)) {
        scale_commit(core, entry, instance, need, adjustment, has, amount);
        return;
    }
    relief_make_room(core, instance, &adjustment->after);
    struct vm_shape part = adjustment->after;
    relief_fit(core, instance, &part);
    if (shape_amount(&part, need->resource) > has) { /* better than nothing; the next look asks for the rest */
        adjustment->after = part;
        scale_commit(core, entry, instance, need, adjustment, has, shape_amount(&part, need->resource));
        return;
    }
    scale_wait_for_room(core, entry, instance, need, adjustment, "the host has no room for it");
}

static gboolean scale_may_shrink(const struct execution_entry *entry)
{
    return entry->policy->scaling.shrink && entry->scaling->class != &scaler_simple;
}

/* What an amount that is shrunk to has to cover: also that usage, as it is, does not pass the mark of pressure at once. */
static double scale_covered(const struct policy *policy, const struct need *need)
{
    return need->resource == RESOURCE_CPU ? need->want : MAX(need->want, need->actual / policy->scaling.pressure);
}

/* Without the guest's figures it is not known whether less would do: the dwell time begins anew, and nothing is to be given away. */
static void scale_apply(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                        struct need *need)
{
    const struct policy *policy = entry->policy;
    struct scaling *scaling = entry->scaling;
    struct governor_settings settings;
    const guint has = shape_amount(adjust_aimed(instance), need->resource);
    if (has == 0)
        return; /* it is not limited */
    const guint up = scale_amount(policy, instance, need->resource, need->want);
    const gboolean has_told = need->sample != NULL && need->sample->has_guest;
    const guint down =
        MAX(has_told ? up : has, scale_amount(policy, instance, need->resource,
                                              scale_covered(policy, need) * (1 + policy->scaling.hysteresis)));
    scaling->down[need->resource] = down;
    if (up <= has)
        scaling->short_of &= ~(1u << need->resource);
    if (adjust_is_under_way(instance, need->resource) || adjust_is_shrinking(instance))
        return;
    scale_governor_settings(&policy->scaling, &settings);
    const guint amount =
        governor_decide(&scaling->governors[need->resource], &settings, core->now, has, up, down, need->is_pressure);
    const enum direction direction = amount > has ? DIRECTION_UP : DIRECTION_DOWN;
    if (amount == has || scale_is_barred(core, entry, instance, need->resource, direction, need->is_pressure) ||
        (!need->is_pressure && scale_host_is_spent(core, entry, instance)))
        return;
    if (direction == DIRECTION_UP) {
        scale_grow(core, entry, instance, need, has, amount);
        return;
    }
    if (!scale_may_shrink(entry) || !adjust_is_quiet(instance))
        return;
    need->reason = ADJUSTMENT_SLACK;
    scale_commit(core, entry, instance, need, scale_adjustment(entry, instance, need, amount), has, amount);
}

/* Usage near the top of what the VM has counts as crossing the threshold, whatever was predicted. */
static void scale_mind_pressure(const struct policy_scaling *policy, struct need *need, double has)
{
    if (need->resource == RESOURCE_CPU || has <= 0 || need->actual <= policy->pressure * has)
        return;
    need->want = MAX(need->want, has * policy->grow_to);
    need->reason = ADJUSTMENT_PRESSURE;
}

/* Of runs it is known what memory they used at most; of the rest, what in the mean; and a class only seeds. */
static struct quantiles scale_peak(const struct execution_entry *entry, enum resource resource)
{
    const struct demand *demand = entry->doc->demand;
    if (resource != RESOURCE_MEMORY || demand == NULL || demand->source == DEMAND_RULES)
        return (struct quantiles){0};
    return demand->memory_mib;
}

static void scale_look(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                       enum resource resource, const double *used, const double *has, const struct usage_sample *sample)
{
    struct scaling *scaling = entry->scaling;
    struct scaler_settings settings;
    const gint64 elapsed_ms = (core->now - entry->doc->started_at) / CLOCK_MS;
    const gint64 ahead_ms = AHEAD_LOOKS * entry->policy->scaling.sample_interval_ms;
    const struct scaler_look look = {
        .resource = resource,
        .now = *course_at(&scaling->course, resource, elapsed_ms),
        .next = course_most(&scaling->course, resource, elapsed_ms, elapsed_ms + ahead_ms),
        .peak = scale_peak(entry, resource),
        .used = used,
        .has = has,
    };
    if (scaling->class == &scaler_simple && adjust_is_under_way(instance, resource))
        return; /* one step after the other */
    scale_scaler_settings(entry, resource, &settings);
    const struct scaler_verdict verdict = scaling->class->look(scaling->state[resource], &settings, &look);
    struct need need = {
        .resource = resource,
        .want = verdict.want,
        .actual = used[resource],
        .expected = verdict.expected,
        .reason = verdict.finding == DRIFT_EXCESS ? ADJUSTMENT_EXCESS : ADJUSTMENT_NEED,
        .sample = sample,
    };
    core->drifts[verdict.finding]++;
    scale_mind_pressure(&entry->policy->scaling, &need, has[resource]);
    scale_apply(core, entry, instance, &need);
}

static double scale_predicted_p90(const struct core *core, const struct execution_entry *entry, enum resource resource)
{
    return course_at(&entry->scaling->course, resource, (core->now - entry->doc->started_at) / CLOCK_MS)->p90;
}

/* The guest speaks up by itself. Memory comes first: code that lacks CPUs is slow, code that lacks memory dies, and while a CPU comes online the
 * guest's kernel takes no memory. */
static void scale_pressed(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                          const struct usage_sample *sample)
{
    const struct vm_shape *aimed = adjust_aimed(instance);
    struct scaling *scaling = entry->scaling;
    struct need need = {.reason = ADJUSTMENT_PRESSURE, .is_pressure = TRUE, .sample = sample};
    if ((sample->pressure & (PRESSURE_MEMORY | PRESSURE_MEMORY_STALL)) != 0) {
        scaling->pressed_at = core->now;
        need.resource = RESOURCE_MEMORY;
        need.actual = sample->memory_used_mib;
        need.want = aimed->memory_mib * entry->policy->scaling.step_max - SIZING_GUEST_MIB;
        need.expected = scale_predicted_p90(core, entry, RESOURCE_MEMORY);
        scale_apply(core, entry, instance, &need);
    } else if ((sample->pressure & PRESSURE_CPU_STALL) != 0 && sample->runnable > shape_cpus(aimed) &&
               !adjust_is_under_way(instance, RESOURCE_MEMORY) && core->now - scaling->pressed_at > CALM_US) {
        need.resource = RESOURCE_CPU;
        need.actual = need.want = sample->runnable;
        need.expected = scale_predicted_p90(core, entry, RESOURCE_CPU);
        scale_apply(core, entry, instance, &need);
    } else if ((sample->pressure & PRESSURE_IO_STALL) != 0 && aimed->disk_mbps > 0) {
        need.resource = RESOURCE_DISK;
        need.actual = aimed->disk_mbps;
        need.want = aimed->disk_mbps * entry->policy->scaling.grow_to;
        scale_apply(core, entry, instance, &need);
    }
}

void scale_sample(struct core *core, struct instance_entry *instance, const struct usage_sample *sample)
{
    struct execution_entry *entry =
        instance->doc->execution_id != NULL ? g_hash_table_lookup(core->executions, instance->doc->execution_id) : NULL;
    if (entry == NULL || entry->doc->state != EXECUTION_RUNNING || instance->doc->state != INSTANCE_BUSY)
        return;
    scale_note_peaks(core, entry->doc, sample);
    if (entry->scaling == NULL || entry->cancelled)
        return;
    if (sample->pressure != 0) {
        scale_pressed(core, entry, instance, sample);
        return;
    }
    if (sample->has_guest)
        entry->scaling->looked_at = core->now;
    const struct vm_shape *aimed = adjust_aimed(instance);
    double used[RESOURCE_COUNT];
    scale_used(sample, used);
    const double has[RESOURCE_COUNT] = {
        [RESOURCE_CPU] = shape_cpus(aimed),
        [RESOURCE_MEMORY] = scale_usable_mib(aimed->memory_mib),
        [RESOURCE_NETWORK] = aimed->network_mbps,
        [RESOURCE_DISK] = aimed->disk_mbps,
    };
    for (guint resource = 0; resource < RESOURCE_COUNT; resource++)
        if (has[resource] > 0 && (resource != RESOURCE_MEMORY || sample->memory_total_mib > 0)) /* 0: not limited */
            scale_look(core, entry, instance, resource, used, has, sample);
}

void scale_settled(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                   const struct adjustment *adjustment, const GError *error)
{
    if (entry->scaling == NULL || adjustment->resource >= RESOURCE_COUNT)
        return; /* of GPUs nothing is decided here */
    const guint before = shape_amount(&adjustment->before, adjustment->resource);
    const enum direction direction =
        shape_amount(&adjustment->after, adjustment->resource) > before ? DIRECTION_UP : DIRECTION_DOWN;
    struct obstacle *obstacle = &entry->scaling->obstacles[adjustment->resource][direction];
    scale_alarm(core, entry, instance);
    if (error == NULL) {
        *obstacle = (struct obstacle){0};
        return;
    }
    obstacle->count++;
    obstacle->failed_at = core->now;
    obstacle->epoch = scale_epoch(core, instance);
}

/* relief.c asks what an execution could give, and gives room to one that was waiting. */

guint scale_slack(struct core *core, const struct execution_entry *entry, struct instance_entry *instance,
                  enum resource resource)
{
    const struct scaling *scaling = entry->scaling;
    if (resource == RESOURCE_CPU && instance->promised.cpu_percent > 0)
        return 0; /* a lower cap is not fewer vCPUs on the host's book */
    if (scaling == NULL || !scale_may_shrink(entry) || instance->wish != NULL || !adjust_is_quiet(instance) ||
        scale_is_barred(core, entry, instance, resource, DIRECTION_DOWN, FALSE) ||
        core->now - scaling->looked_at > AHEAD_LOOKS * entry->policy->scaling.sample_interval_ms * CLOCK_MS)
        return 0;
    const guint has = shape_amount(adjust_aimed(instance), resource);
    return scaling->down[resource] > 0 && scaling->down[resource] < has ? has - scaling->down[resource] : 0;
}

void scale_give_up(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                   enum resource resource)
{
    const struct scaling *scaling = entry->scaling;
    const guint has = shape_amount(adjust_aimed(instance), resource);
    const struct need need = {.resource = resource,
                              .actual = scaling->down[resource],
                              .want = scaling->down[resource],
                              .reason = ADJUSTMENT_ROOM};
    scale_commit(core, entry, instance, &need, scale_adjustment(entry, instance, &need, scaling->down[resource]), has,
                 scaling->down[resource]);
}

gboolean scale_retry(struct core *core, struct execution_entry *entry, struct instance_entry *instance)
{
    for (guint resource = 0; resource < RESOURCE_COUNT; resource++) {
        if ((entry->scaling->short_of & 1u << resource) == 0)
            continue;
        struct need need = {.resource = resource,
                            .want = entry->scaling->short_wants[resource],
                            .actual = entry->scaling->short_wants[resource],
                            .reason = ADJUSTMENT_NEED};
        scale_apply(core, entry, instance, &need);
    }
    return entry->scaling->short_of == 0;
}
