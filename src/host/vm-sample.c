/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "host/vm.h"

/* Looks at an instance while code runs in it. The guest tells its figures several times in each interval, so that the number of runnable tasks
 * is a mean; each look from outside is answered with one sample of both. */

#define LOOKS_PER_SAMPLE 4
#define USAGE_MIN_MS 50
#define START_DELAY_MS 100

static double mbps(gint64 bytes, gint64 elapsed_us)
{
    return elapsed_us > 0 && bytes > 0 ? (double)bytes * 8 / (double)elapsed_us : 0;
}

static void sample_set_outside(struct vm_sampling *sampling, const struct sample_call *call,
                               struct usage_sample *sample)
{
    const gint64 elapsed_us = call->at - sampling->at;
    if (sampling->at != 0 && elapsed_us > 0 && call->cpu_time_ns > sampling->cpu_time_ns)
        sample->cpu_used = (double)(call->cpu_time_ns - sampling->cpu_time_ns) / 1000 / (double)elapsed_us;
    if (sampling->at != 0 && call->has_network) {
        sample->network_rx_mbps = mbps(call->rx_bytes - sampling->rx_bytes, elapsed_us);
        sample->network_tx_mbps = mbps(call->tx_bytes - sampling->tx_bytes, elapsed_us);
    }
    sample->memory_used_mib = call->memory_used_mib;
    sample->memory_total_mib = call->memory_total_mib;
    sampling->at = call->at;
    sampling->cpu_time_ns = call->cpu_time_ns;
    sampling->rx_bytes = call->rx_bytes;
    sampling->tx_bytes = call->tx_bytes;
}

static void sample_set_guest(struct vm_sampling *sampling, gboolean has_network, struct usage_sample *sample)
{
    const struct guest_usage *usage = &sampling->usage;
    const gint64 elapsed_us = sampling->usage_at - sampling->usage_sampled_at;
    sample->has_guest = TRUE;
    sample->runnable = sampling->runnable_sum / sampling->runnable_count;
    sample->memory_used_mib = usage->memory_used_mib;
    sample->memory_total_mib = usage->memory_total_mib;
    sample->vcpus_online = usage->vcpus;
    if (!has_network && sampling->usage_sampled_at != 0) {
        sample->network_rx_mbps = mbps((gint64)(usage->network_rx_bytes - sampling->usage_rx_bytes), elapsed_us);
        sample->network_tx_mbps = mbps((gint64)(usage->network_tx_bytes - sampling->usage_tx_bytes), elapsed_us);
    }
    sampling->usage_sampled_at = sampling->usage_at;
    sampling->usage_rx_bytes = usage->network_rx_bytes;
    sampling->usage_tx_bytes = usage->network_tx_bytes;
    sampling->runnable_sum = 0;
    sampling->runnable_count = 0;
}

static void vm_post_sample(struct vm *vm, const struct sample_call *call)
{
    struct vm_sampling *sampling = &vm->sampling;
    const gboolean is_baseline = sampling->at == 0;
    struct usage_sample *sample = g_new0(struct usage_sample, 1);
    sample->at = clock_now();
    if (call != NULL)
        sample_set_outside(sampling, call, sample);
    if (is_baseline && call != NULL) {
        g_free(sample);
        return;
    }
    if (sampling->runnable_count > 0)
        sample_set_guest(sampling, call != NULL && call->has_network, sample);
    struct event *event = host_event(vm->host, EVENT_SAMPLE, vm->id);
    event->sample = sample;
    host_post(vm->host, event);
}

static gboolean vm_on_silent_guest(gpointer data);

static void vm_watch_guest(struct vm *vm)
{
    timer_cancel(&vm->sampling.watchdog);
    vm->sampling.watchdog = host_timer(vm->host, vm->sampling.interval_ms * 2, vm_on_silent_guest, vm);
}

static void on_looked(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct libvirt_host *host = owner;
    struct vm *vm = g_hash_table_lookup(host->vms, context);
    if (vm == NULL)
        return;
    vm->sampling.is_pending = FALSE;
    if (vm->sampling.is_on)
        vm_post_sample(vm, error == NULL ? call : NULL);
    host_check_lost(host);
}

static void vm_look(struct vm *vm)
{
    if (vm->sampling.is_pending)
        return;
    if (vm->host->link == NULL) {
        vm_post_sample(vm, NULL); /* the guest's figures go on while libvirt is away */
        return;
    }
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

static gboolean vm_on_silent_guest(gpointer data)
{
    struct vm *vm = data;
    timer_cancel(&vm->sampling.watchdog);
    vm_watch_guest(vm);
    vm_look(vm);
    return G_SOURCE_REMOVE;
}

static gboolean vm_on_sampling_due(gpointer data)
{
    struct vm *vm = data;
    struct vm_sampling *sampling = &vm->sampling;
    timer_cancel(&sampling->start_timer);
    sampling->is_subscribed = TRUE;
    guest_subscribe(vm->guest, MAX(sampling->interval_ms / LOOKS_PER_SAMPLE, MIN(sampling->interval_ms, USAGE_MIN_MS)));
    vm_watch_guest(vm);
    vm_look(vm);
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
        host_timer(vm->host, MIN(sampling->interval_ms / LOOKS_PER_SAMPLE, START_DELAY_MS), vm_on_sampling_due, vm);
}

void vm_sampling_stop(struct vm *vm)
{
    struct vm_sampling *sampling = &vm->sampling;
    if (!sampling->is_on)
        return;
    sampling->is_on = FALSE;
    timer_cancel(&sampling->start_timer);
    timer_cancel(&sampling->watchdog);
    if (vm->guest != NULL && vm->state == VM_READY && sampling->is_subscribed)
        guest_subscribe(vm->guest, 0);
}

void vm_on_used(gpointer owner, const struct guest_usage *usage)
{
    struct vm *vm = owner;
    struct vm_sampling *sampling = &vm->sampling;
    if (!sampling->is_on)
        return;
    const gint64 now = g_get_monotonic_time();
    const gboolean is_first = sampling->usage_at == 0;
    sampling->usage = *usage;
    sampling->usage_at = now;
    sampling->runnable_sum += usage->runnable;
    sampling->runnable_count++;
    if (is_first) {
        sampling->usage_rx_bytes = usage->network_rx_bytes;
        sampling->usage_tx_bytes = usage->network_tx_bytes;
        sampling->usage_sampled_at = now;
        sampling->runnable_sum = sampling->runnable_count = 0; /* it was asked before the program ran */
        return;
    }
    if (now - sampling->usage_sampled_at < sampling->interval_ms * 900)
        return;
    vm_watch_guest(vm);
    vm_look(vm);
}

/* What the agent says between the looks is told at once. */
void vm_on_pressed(gpointer owner, guint causes, const struct guest_usage *usage)
{
    struct vm *vm = owner;
    if (!vm->sampling.is_on)
        return;
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
        .oom_kills = (gint64)usage->oom_kills,
    };
    host_post(vm->host, event);
}

void vm_set_alarm(struct libvirt_host *host, const char *id, const struct guest_alarm *alarm)
{
    struct vm *vm = g_hash_table_lookup(host->vms, id);
    if (vm != NULL && vm->state == VM_READY && vm->guest != NULL)
        guest_set_alarm(vm->guest, alarm);
}
