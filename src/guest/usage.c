/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/usage.h"

#include "guest/exec.h"
#include "guest/shape.h"
#include "guest/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKS_PER_USAGE 4

static void add_interface(const char *line, uint64_t *rx_bytes, uint64_t *tx_bytes)
{
    const char *colon = strchr(line, ':');
    const char *name = line + strspn(line, " ");
    unsigned long long rx, tx;
    if (!colon || strncmp(name, "lo:", 3) == 0)
        return;
    if (sscanf(colon + 1, "%llu %*u %*u %*u %*u %*u %*u %*u %llu", &rx, &tx) == 2) {
        *rx_bytes += rx;
        *tx_bytes += tx;
    }
}

void usage_read_network(uint64_t *ret_rx_bytes, uint64_t *ret_tx_bytes)
{
    char text[4096], *rest = NULL;
    *ret_rx_bytes = *ret_tx_bytes = 0;
    system_read("/proc/net/dev", text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        add_interface(line, ret_rx_bytes, ret_tx_bytes);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" */
static uint64_t pressure_total(const char *text, const char *kind)
{
    const char *line = strstr(text, kind);
    const char *total = line ? strstr(line, "total=") : NULL;
    return total ? strtoull(total + strlen("total="), NULL, 10) : 0;
}

static void read_pressure(struct wire_usage *usage)
{
    char text[256];
    if (system_read("/proc/pressure/cpu", text, sizeof(text)) > 0)
        usage->cpu_some_us = pressure_total(text, "some");
    if (system_read("/proc/pressure/memory", text, sizeof(text)) > 0) {
        usage->memory_some_us = pressure_total(text, "some");
        usage->memory_full_us = pressure_total(text, "full");
    }
    if (system_read("/proc/pressure/io", text, sizeof(text)) > 0) {
        usage->io_some_us = pressure_total(text, "some");
        usage->io_full_us = pressure_total(text, "full");
    }
}

uint64_t usage_read_swap(const char *meminfo)
{
    uint64_t total_kib = text_number_after(meminfo, "SwapTotal:", 0);
    uint64_t free_kib = text_number_after(meminfo, "SwapFree:", 0);
    return total_kib > free_kib ? (total_kib - free_kib) * 1024u : 0;
}

static void read_memory(struct wire_usage *usage)
{
    char text[1536];
    system_read("/proc/meminfo", text, sizeof(text));
    usage->memory_total_bytes = text_number_after(text, "MemTotal:", 0) * 1024u;
    usage->memory_available_bytes = text_number_after(text, "MemAvailable:", 0) * 1024u;
    usage->swap_used_bytes = usage_read_swap(text);
}

/* Everything but idle and iowait of the first line of /proc/stat, in clock ticks. */
static void read_cpu(struct wire_usage *usage)
{
    char text[256];
    unsigned long long user, nice, system, irq, softirq, steal;
    system_read("/proc/stat", text, sizeof(text));
    if (sscanf(text, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq, &softirq, &steal) != 6)
        return;
    uint64_t ticks = user + nice + system + irq + softirq;
    usage->cpu_busy_us = ticks * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* Without cgroups from "0.00 0.01 0.05 2/77 123": the running tasks of the machine, which at times has many of its own. */
uint32_t usage_count_runnable(const struct agent *agent)
{
    char text[128];
    if (agent->cgroups.fd >= 0)
        return exec_count_runnable(agent);
    unsigned runnable;
    system_read("/proc/loadavg", text, sizeof(text));
    return sscanf(text, "%*s %*s %*s %u/", &runnable) == 1 && runnable > 0 ? runnable - 1 : 0;
}

uint32_t usage_mean_runnable(const struct agent *agent)
{
    bool is_subscribed = agent->usage_timer.due_us != 0;
    return is_subscribed ? agent->runnable_permille : usage_count_runnable(agent) * 1000u;
}

static void send_usage(struct agent *agent)
{
    static struct wire_usage usage;
    struct shape now;
    usage = (struct wire_usage){.at_us = (uint64_t)loop_now_us()};
    shape_refresh(agent, &now);
    usage.vcpus_online = now.vcpus_online;
    usage.memory_limit_bytes = agent->cgroups.memory_limit;
    usage.runnable = usage_count_runnable(agent);
    usage.runnable_permille = agent->runnable_permille;
    read_memory(&usage);
    read_cpu(&usage);
    read_pressure(&usage);
    usage_read_network(&usage.net_rx_bytes, &usage.net_tx_bytes);
    exec_fill_usage(agent, &usage);
    /* A sample that nobody takes is worth less than the room that it occupies. */
    if (!channel_is_congested(&agent->channel))
        agent_send(agent, WIRE_TYPE_USAGE, 0, agent->usage_stream, &usage);
}

static void forget_looks(struct agent *agent)
{
    agent->usage_looks = 0;
    agent->usage_runnable = 0;
}

/* Messages go out at whole multiples of the interval by the wall clock, so that all guests of a host tell at the same time and wake it once; the first
 * after one that was late, or early, when half an interval has passed at least. */
static void schedule_usage(struct agent *agent)
{
    int64_t interval_us = (int64_t)agent->usage_interval_ms * 1000;
    int64_t rest_us = interval_us - loop_wall_us() % interval_us;
    agent->usage_due_us = loop_now_us() + (rest_us < interval_us / 2 ? rest_us + interval_us : rest_us);
}

/* Between two messages how many threads run is looked at a few times: once in a while says little about a load that comes and goes. */
static void schedule_look(struct agent *agent)
{
    int64_t step_us = (int64_t)agent->usage_interval_ms * 1000 / LOOKS_PER_USAGE;
    int64_t steps_after = (agent->usage_due_us - loop_now_us() - 1) / step_us;
    loop_timer_set(&agent->loop, &agent->usage_timer, agent->usage_due_us - steps_after * step_us);
}

static void on_due(void *owner)
{
    struct agent *agent = owner;
    agent->usage_runnable += usage_count_runnable(agent);
    agent->usage_looks++;
    if (loop_now_us() >= agent->usage_due_us) {
        agent->runnable_permille = (uint32_t)(agent->usage_runnable * 1000u / agent->usage_looks);
        forget_looks(agent);
        send_usage(agent);
        schedule_usage(agent);
    }
    schedule_look(agent);
}

void usage_on_subscribe(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_usage_subscribe request;
    if (!wire_usage_subscribe_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "USAGE_SUBSCRIBE does not decode");
        return;
    }
    usage_stop(agent);
    if (request.interval_ms == 0)
        return;
    agent->usage_interval_ms =
        request.interval_ms < USAGE_INTERVAL_MIN_MS ? USAGE_INTERVAL_MIN_MS : request.interval_ms;
    agent->usage_stream = frame->stream;
    agent->usage_timer = (struct loop_timer){.on_due = on_due, .owner = agent};
    agent->runnable_permille = usage_count_runnable(agent) * 1000u;
    send_usage(agent);
    schedule_usage(agent);
    schedule_look(agent);
}

void usage_stop(struct agent *agent)
{
    loop_timer_cancel(&agent->loop, &agent->usage_timer);
    forget_looks(agent);
}
