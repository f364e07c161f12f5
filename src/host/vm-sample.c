/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "host/vm.h"

/* Looks at instances while code runs in them. Each guest tells its figures once in each interval, and soon after that it is looked at from outside:
 * one sample of both. What costs is waking threads with cold caches, so that those that tell at about the same time are looked at in one turn, and the
 * core gets their samples at once. On this machine the kernel is asked, since its answer waits for nobody; elsewhere libvirt is, by a worker.
 * FACTS: of libvirt's ways virDomainGetInfo() is the cheapest by far, because QEMU is not asked for it. */

#define START_DELAY_MS 100
#define GATHER_SHARE 10      /* of an interval: so long the word of one guest waits for those of others */
#define REST_SHARE 100       /* of an interval: so long those of others wait, to be read in one turn */
#define SOONEST_SHARE 3      /* so soon it is taken again: it is not the guest that says how often */
#define PRESSED_MIN_US 10000 /* the agent's own least interval */

static double mbps(gint64 bytes, gint64 elapsed_us)
{
    return elapsed_us > 0 && bytes > 0 ? (double)bytes * 8 / (double)elapsed_us : 0;
}

#define RATE_MAX 1e9 /* a guest may say anything */

/* Growth of a counter for each unit of time; 0 when it fell, or was not known before. */
static double rate(guint64 now, guint64 before, gint64 elapsed_us)
{
    return elapsed_us > 0 && before > 0 && now > before ? MIN((double)(now - before) / (double)elapsed_us, RATE_MAX)
                                                        : 0;
}

static double share(guint64 now, guint64 before, gint64 elapsed_us)
{
    return MIN(1, rate(now, before, elapsed_us));
}

static void sample_set_outside(struct vm_sampling *sampling, const struct process_figures *now, gint64 at,
                               struct usage_sample *sample)
{
    const struct process_figures *before = &sampling->outside;
    const gint64 elapsed_us = at - sampling->at;
    sample->rss_mib = now->rss_mib;
    sample->cpu_used = rate(now->cpu_us, before->cpu_us, elapsed_us);
    sample->cpu_waited = rate(now->waited_us, before->waited_us, elapsed_us);
    sample->disk_read_mbps = rate(now->read_bytes, before->read_bytes, elapsed_us);
    sample->disk_write_mbps = rate(now->written_bytes, before->written_bytes, elapsed_us);
    if (now->has_network && before->has_network) {
        sample->network_rx_mbps = mbps((gint64)(now->rx_bytes - before->rx_bytes), elapsed_us);
        sample->network_tx_mbps = mbps((gint64)(now->tx_bytes - before->tx_bytes), elapsed_us);
    }
}

/* Since the last sample. */
static gboolean vm_has_told(const struct vm *vm)
{
    return vm->sampling.usage_at > vm->sampling.sampled_at;
}

static void sample_set_guest(const struct vm_sampling *sampling, gboolean has_network, struct usage_sample *sample)
{
    const struct guest_usage *usage = &sampling->usage, *before = &sampling->sampled;
    const gint64 elapsed_us = sampling->usage_at - sampling->sampled_at;
    sample->has_guest = TRUE;
    sample->runnable = usage->runnable;
    sample->memory_used_mib = usage->memory_used_mib;
    sample->memory_total_mib = usage->memory_total_mib;
    sample->memory_limit_mib = usage->memory_limit_mib;
    sample->swap_mib = usage->swap_mib;
    sample->vcpus_online = usage->vcpus;
    sample->oom_kills = (gint64)MIN(usage->oom_kills, G_MAXINT64);
    sample->cpu_stalled = share(usage->cpu_stalled_us, before->cpu_stalled_us, elapsed_us);
    sample->memory_stalled = share(usage->memory_stalled_us, before->memory_stalled_us, elapsed_us);
    sample->io_stalled = share(usage->io_stalled_us, before->io_stalled_us, elapsed_us);
    if (has_network)
        return;
    sample->network_rx_mbps = rate(usage->network_rx_bytes, before->network_rx_bytes, elapsed_us) * 8;
    sample->network_tx_mbps = rate(usage->network_tx_bytes, before->network_tx_bytes, elapsed_us) * 8;
}

/* `now` NULL: nothing is known from outside. NULL: this was the first look, which the next is compared with. */
static struct event *vm_sample(struct vm *vm, const struct process_figures *now, const struct sample_call *call)
{
    struct vm_sampling *sampling = &vm->sampling;
    const gint64 at = call != NULL ? call->at : g_get_monotonic_time();
    const gboolean is_baseline = now != NULL && sampling->at == 0;
    struct usage_sample sample = {.at = clock_now()};
    if (call != NULL) {
        sample.memory_used_mib = call->memory_used_mib;
        sample.memory_total_mib = call->memory_total_mib;
    }
    if (now != NULL) {
        sample_set_outside(sampling, now, at, &sample);
        sampling->outside = *now;
        sampling->at = at;
    }
    if (is_baseline)
        return NULL;
    if (vm_has_told(vm)) {
        sample_set_guest(sampling, now != NULL && now->has_network, &sample);
        sampling->sampled = sampling->usage;
        sampling->sampled_at = sampling->usage_at;
    }
    struct event *event = host_event(vm->host, EVENT_SAMPLE, vm->id);
    event->sample = g_memdup2(&sample, sizeof sample);
    return event;
}

static void on_looked(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    if (vm == NULL)
        return;
    const struct sample_call *looked = error == NULL ? call : NULL;
    struct process_figures now = {0};
    if (looked != NULL)
        now = (struct process_figures){.cpu_us = looked->cpu_time_ns / 1000,
                                       .has_network = looked->has_network,
                                       .rx_bytes = (guint64)looked->rx_bytes,
                                       .tx_bytes = (guint64)looked->tx_bytes};
    vm->sampling.is_pending = FALSE;
    struct event *event = vm->sampling.is_on ? vm_sample(vm, looked != NULL ? &now : NULL, looked) : NULL;
    if (event != NULL)
        host_post(host, event);
    host_check_lost(host);
}

/* Opened anew after a growth, for the threads of the new vCPUs. */
static void vm_open_process(struct vm *vm)
{
    if (vm->process != NULL && vm->process_vcpus == vm->held.vcpus)
        return;
    g_autofree char *name = domain_name(vm->id);
    g_autofree char *path = process_pid_path(name, vm->host->is_system);
    process_free(vm->process);
    vm->process = process_open(path, vm->uuid, vm->live->nic_device);
    vm->process_vcpus = vm->held.vcpus;
}

/* FALSE: libvirt is to be asked. A guest that does not tell its memory is one of those: its balloon does. */
static gboolean vm_look_here(struct vm *vm, struct process_figures *ret_now)
{
    if (!vm->host->is_local || vm->agent == TEMPLATE_AGENT_QEMU)
        return FALSE;
    vm_open_process(vm);
    return vm->process != NULL && process_look(vm->process, vm->live->disk_device != NULL, ret_now);
}

static void vm_ask_libvirt(struct vm *vm)
{
    struct sample_call *call = g_new0(struct sample_call, 1);
    call->link = link_ref(vm->host->link);
    call->uuid = g_strdup(vm->uuid);
    call->nic_device = g_strdup(vm->live->nic_device);
    call->wants_memory = vm->agent == TEMPLATE_AGENT_QEMU;
    struct job job = host_job(vm->host, LINK_MONITOR);
    job.run = sample_call_run;
    job.call = call;
    job.call_free = sample_call_free;
    job.done = on_looked;
    job.context = g_strdup(vm->id);
    job.context_free = g_free;
    vm->sampling.is_pending = TRUE;
    workers_submit(vm->host->workers, &job);
}

/* NULL: there is no sample, or not yet. */
static struct event *vm_look(struct vm *vm)
{
    struct process_figures now = {0};
    if (vm->sampling.is_pending)
        return NULL;
    if (vm_look_here(vm, &now))
        return vm_sample(vm, &now, NULL);
    if (vm->host->link == NULL)
        return vm_sample(vm, NULL, NULL); /* the guest's figures go on while libvirt is away */
    vm_ask_libvirt(vm);
    return NULL;
}

static void host_post_all(struct libvirt_host *host, GQueue *events)
{
    for (struct event *event; (event = g_queue_pop_head(events)) != NULL;)
        host_post(host, event);
}

static gboolean host_on_look(gpointer data);

/* One timer for all instances: each wake-up of the thread goes through all timers that there are. */
static void host_look_by(struct libvirt_host *host, gint64 at)
{
    if (host->look_timer != NULL && host->look_at <= at)
        return;
    timer_cancel(&host->look_timer);
    host->look_at = at;
    host->look_timer = host_timer(host, (at - g_get_monotonic_time() + 999) / 1000, host_on_look, host);
}

/* Looks at those that have told, or were silent for too long. */
static gboolean host_on_look(gpointer data)
{
    struct libvirt_host *host = data;
    const gint64 now = g_get_monotonic_time();
    gint64 next_at = G_MAXINT64;
    GQueue events = G_QUEUE_INIT;
    GHashTableIter iter;
    gpointer value;
    timer_cancel(&host->look_timer);
    g_hash_table_iter_init(&iter, host->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct vm *vm = value;
        struct vm_sampling *sampling = &vm->sampling;
        if (!sampling->is_on || !sampling->is_subscribed)
            continue;
        if (vm_has_told(vm) || now >= sampling->silent_at) {
            const gint64 patience = vm->agent == TEMPLATE_AGENT_QEMU ? 1 : 2; /* that one never tells it */
            struct event *event = vm_look(vm);
            if (event != NULL)
                g_queue_push_tail(&events, event);
            sampling->silent_at = now + patience * sampling->interval_ms * 1000;
        }
        next_at = MIN(next_at, sampling->silent_at);
    }
    host_post_all(host, &events);
    if (next_at != G_MAXINT64)
        host_look_by(host, next_at);
    return G_SOURCE_REMOVE;
}

static gboolean vm_on_sampling_due(gpointer data)
{
    struct vm *vm = data;
    struct vm_sampling *sampling = &vm->sampling;
    timer_cancel(&sampling->start_timer);
    sampling->is_subscribed = TRUE;
    sampling->silent_at = g_get_monotonic_time();
    guest_subscribe(vm->guest, sampling->interval_ms);
    host_look_by(vm->host, sampling->silent_at);
    return G_SOURCE_REMOVE;
}

void vm_sampling_start(struct vm *vm)
{
    struct vm_sampling *sampling = &vm->sampling;
    if (sampling->is_on || sampling->interval_ms <= 0)
        return;
    const struct vm_sampling before = *sampling;
    *sampling = (struct vm_sampling){.interval_ms = before.interval_ms, .is_on = TRUE, .is_pending = before.is_pending};
    /* A look costs the guest a millisecond or two: the program comes first, and a short one is not looked at at all. */
    sampling->start_timer =
        host_timer(vm->host, MIN(sampling->interval_ms / 4, START_DELAY_MS), vm_on_sampling_due, vm);
}

void vm_sampling_stop(struct vm *vm)
{
    struct vm_sampling *sampling = &vm->sampling;
    if (!sampling->is_on)
        return;
    sampling->is_on = FALSE;
    timer_cancel(&sampling->start_timer);
    if (vm->guest != NULL && vm->state == VM_READY && sampling->is_subscribed)
        guest_subscribe(vm->guest, 0);
}

void vm_on_used(gpointer owner, const struct guest_usage *usage)
{
    struct vm *vm = owner;
    struct vm_sampling *sampling = &vm->sampling;
    if (!sampling->is_on)
        return;
    const gint64 now = g_get_monotonic_time(), interval_us = sampling->interval_ms * 1000;
    const gboolean is_first = sampling->sampled_at == 0;
    if (!is_first && now - sampling->sampled_at < interval_us / SOONEST_SHARE)
        return;
    sampling->usage = *usage;
    sampling->usage_at = now;
    if (!is_first) {
        host_look_by(vm->host, now + interval_us / GATHER_SHARE);
        /* Of guests with other clocks nobody waits for ever. */
        if (vm->host->look_at - now > interval_us / GATHER_SHARE / 2)
            channels_rest(vm->host->channels, now + interval_us / REST_SHARE);
        return;
    }
    sampling->sampled = *usage; /* it was asked before the program ran: what the next is compared with */
    sampling->sampled_at = now;
}

/* What the agent says between the looks is told at once. */
void vm_on_pressed(gpointer owner, guint causes, const struct guest_usage *usage)
{
    struct vm *vm = owner;
    struct vm_sampling *sampling = &vm->sampling;
    const gint64 now = g_get_monotonic_time();
    /* It is not the guest that says how often. */
    const guint told = now - sampling->pressed_at < PRESSED_MIN_US ? sampling->pressed_causes : 0;
    if (!sampling->is_on || (causes & ~told) == 0)
        return;
    sampling->pressed_at = told == 0 ? now : sampling->pressed_at;
    sampling->pressed_causes = told | causes;
    struct event *event = host_event(vm->host, EVENT_SAMPLE, vm->id);
    event->sample = g_new0(struct usage_sample, 1);
    *event->sample = (struct usage_sample){
        .at = clock_now(),
        .pressure = causes,
        .has_guest = TRUE,
        .runnable = usage->runnable,
        .memory_used_mib = usage->memory_used_mib,
        .memory_total_mib = usage->memory_total_mib,
        .memory_limit_mib = usage->memory_limit_mib,
        .swap_mib = usage->swap_mib,
        .vcpus_online = usage->vcpus,
        .oom_kills = (gint64)MIN(usage->oom_kills, G_MAXINT64),
    };
    host_post(vm->host, event);
}

void vm_set_alarm(struct libvirt_host *host, const char *id, const struct guest_alarm *alarm)
{
    struct vm *vm = g_hash_table_lookup(host->vms, id);
    if (vm != NULL && vm->state == VM_READY && vm->guest != NULL)
        guest_set_alarm(vm->guest, alarm);
}
