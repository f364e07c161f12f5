/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/alarm.h"

#include "guest/agent.h"
#include "guest/shape.h"
#include "guest/system.h"
#include "guest/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPEAT_MS 100u
#define REPEAT_MIN_MS 10u
#define LOOK_MIN_US INT64_C(10000)
/* How fast code may come to fill memory that it has not filled yet. */
#define BYTES_PER_US 512u
#define MARK_DEFAULT_PERMILLE 900u

static const struct {
    const char *path;
    uint32_t cause;
} stall_kinds[ALARM_STALLS] = {
    {"/proc/pressure/memory", WIRE_PRESSURE_MEMORY_STALL},
    {"/proc/pressure/cpu", WIRE_PRESSURE_CPU_STALL},
    {"/proc/pressure/io", WIRE_PRESSURE_IO_STALL},
};

uint64_t alarm_mark(const struct agent *agent, uint64_t limit)
{
    uint32_t permille = agent->alarm.is_set ? agent->alarm.wanted.memory_permille : 0;
    if (permille == 0 || permille > 1000)
        permille = MARK_DEFAULT_PERMILLE;
    return limit / 1000 * permille;
}

/*
 * Beyond memory.high the kernel makes whoever allocates sleep, for a time that grows with the square of the excess
 * (mem_cgroup_handle_over_high()): code creeps on, but would need seconds for the last twentieth below memory.max, where the kernel kills.
 * A sleep that has begun is slept out, up to 2 s, whatever is written meanwhile. So code is not held back at the mark, but half-way between
 * it and the limit. Measured under TCG from 256 MiB, marked at 850: where the host has the next 64 MiB there within 75 ms, one that
 * fills memory as fast as it can gets 1 % beyond the mark and hardly ever sleeps; where that takes it 320 ms, to 95 % of the limit, and lives.
 * To freeze the code instead (cgroup.freeze) would stop threads that ask for nothing, too.
 */
static uint64_t brake(const struct agent *agent, uint64_t mark)
{
    uint64_t limit = agent->cgroups.memory_limit;
    return limit > mark ? mark + (limit - mark) / 2 : mark;
}

static void hold_back_at(struct agent *agent, uint64_t bytes)
{
    if (agent->alarm.high != bytes && cgroup_root_hold_back(&agent->cgroups, bytes))
        agent->alarm.high = bytes;
}

static int64_t repeat_us(const struct agent *agent)
{
    uint32_t repeat_ms = agent->alarm.wanted.repeat_ms;
    if (repeat_ms == 0)
        repeat_ms = REPEAT_MS;
    return (int64_t)(repeat_ms < REPEAT_MIN_MS ? REPEAT_MIN_MS : repeat_ms) * 1000;
}

static void tell(struct agent *agent, uint32_t causes)
{
    char text[1536];
    struct cgroup_memory memory;
    cgroup_root_read_memory(&agent->cgroups, &memory);
    system_read("/proc/meminfo", text, sizeof(text));
    struct wire_pressure pressure = {
        .causes = causes,
        .at_us = (uint64_t)loop_now_us(),
        .memory_used_bytes = memory.used,
        .memory_limit_bytes = agent->cgroups.memory_limit,
        .memory_total_bytes = text_number_after(text, "MemTotal:", 0) * 1024u,
        .memory_available_bytes = text_number_after(text, "MemAvailable:", 0) * 1024u,
        .runnable = usage_count_runnable(agent),
        .vcpus_online = shape_count_online(),
        .oom_kills = agent->alarm.oom_kills,
        .swap_used_bytes = usage_read_swap(text),
    };
    agent_send(agent, WIRE_TYPE_PRESSURE, 0, agent->alarm.stream, &pressure);
}

/* Never below `current`: the agent would have to wait until the kernel has reclaimed the difference. */
static void set_brake(struct agent *agent, uint64_t current, uint64_t mark)
{
    uint64_t hold_at = current < mark ? mark : brake(agent, mark);
    bool holds = agent->alarm.high >= hold_at && agent->alarm.high != UINT64_MAX;
    if (current < hold_at)
        hold_back_at(agent, hold_at);
    else if (!holds)
        hold_back_at(agent, current);
}

/* Sets the kernel's mark by what is used now, and says when to look again; 0: when the kernel reports. */
static int64_t look_at_memory(struct agent *agent)
{
    struct alarm *alarm = &agent->alarm;
    struct cgroup_memory memory;
    alarm->is_past = false;
    if (alarm->wanted.memory_permille == 0 || agent->cgroups.memory_limit == 0 ||
        !cgroup_root_read_memory(&agent->cgroups, &memory)) {
        hold_back_at(agent, UINT64_MAX);
        return 0;
    }
    uint64_t mark = alarm_mark(agent, agent->cgroups.memory_limit);
    alarm->is_past = memory.used >= mark; /* cache alone makes no alarm: the kernel drops it at its mark */
    set_brake(agent, memory.current, mark);
    if (alarm->is_past)
        return repeat_us(agent);
    if (memory.current < mark)
        return 0;
    int64_t away_us = (int64_t)((mark - memory.used) / BYTES_PER_US);
    if (away_us < LOOK_MIN_US)
        return LOOK_MIN_US;
    return away_us < repeat_us(agent) ? away_us : repeat_us(agent);
}

/* Reading is what makes the kernel report the next change. */
static uint64_t read_oom_kills(const struct alarm *alarm)
{
    char text[512];
    ssize_t n = pread(alarm->events_fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return alarm->oom_kills;
    text[n] = '\0';
    return text_number_after(text, "oom_kill ", alarm->oom_kills);
}

static uint32_t find_causes(struct agent *agent, uint64_t oom_kills)
{
    struct alarm *alarm = &agent->alarm;
    bool is_due = loop_now_us() >= alarm->told_us + repeat_us(agent);
    uint32_t causes = alarm->is_past && (alarm->told_us == 0 || is_due) ? WIRE_PRESSURE_MEMORY : 0;
    if (oom_kills > alarm->oom_kills)
        causes |= WIRE_PRESSURE_OOM;
    return channel_is_congested(&agent->channel) ? 0 : causes;
}

/* While a timer runs the kernel's reports are not listened to: beyond its mark it has 100 of them in a second. */
static void await(struct agent *agent, int64_t delay_us)
{
    struct alarm *alarm = &agent->alarm;
    if (delay_us == 0 && loop_watch(&agent->loop, &alarm->events, alarm->events_fd, EPOLLPRI) == 0)
        return;
    loop_unwatch(&agent->loop, &alarm->events);
    loop_timer_set(&agent->loop, &alarm->timer, loop_now_us() + (delay_us ? delay_us : repeat_us(agent)));
}

static void look(struct agent *agent)
{
    struct alarm *alarm = &agent->alarm;
    if (!alarm->is_set || alarm->events_fd < 0) {
        hold_back_at(agent, UINT64_MAX);
        return;
    }
    loop_timer_cancel(&agent->loop, &alarm->timer);
    uint64_t oom_kills = read_oom_kills(alarm);
    int64_t delay_us = look_at_memory(agent);
    uint32_t causes = find_causes(agent, oom_kills);
    await(agent, delay_us);
    if (causes == 0)
        return;
    alarm->oom_kills = oom_kills;
    if (causes & WIRE_PRESSURE_MEMORY)
        alarm->told_us = loop_now_us();
    tell(agent, causes);
}

static void on_look(void *owner)
{
    struct shape now;
    shape_refresh(owner, &now); /* there may be more memory already */
    look(owner);
}

static void on_memory_event(void *owner, uint32_t events)
{
    (void)events;
    look(owner);
}

static void close_stall(struct alarm_stall *stall)
{
    int fd = stall->source.fd;
    loop_unwatch(&stall->agent->loop, &stall->source);
    if (fd >= 0)
        close(fd);
}

/* The kernel says so at most once in a window, which is all the pacing that this needs. */
static void on_stall(void *owner, uint32_t events)
{
    struct alarm_stall *stall = owner;
    if (events & EPOLLERR)
        close_stall(stall);
    else if (!channel_is_congested(&stall->agent->channel))
        tell(stall->agent, stall->cause);
}

/* A kernel without pressure information, or one that refuses the window, is no error: HELLO has said what there is. */
static void open_stall(struct agent *agent, size_t kind, uint32_t stall_us, uint32_t window_us)
{
    struct alarm_stall *stall = &agent->alarm.stalls[kind];
    char text[64];
    int fd = stall_us ? open(stall_kinds[kind].path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    int length = snprintf(text, sizeof(text), "some %u %u", stall_us, window_us);
    if (write(fd, text, (size_t)length + 1) < 0 || loop_watch(&agent->loop, &stall->source, fd, EPOLLPRI) != 0)
        close(fd);
}

/* The kernel refuses to map more than there is (mode 0), at once and without asking anybody: of memory that grows, nobody knows yet whether it is
 * there when it is touched. */
static void let_overcommit(const struct agent *agent, bool may)
{
    if (agent->options.is_init)
        system_write("/proc/sys/vm/overcommit_memory", may ? "1" : "0");
}

void alarm_start(struct agent *agent)
{
    struct alarm *alarm = &agent->alarm;
    *alarm = (struct alarm){.events_fd = -1, .high = UINT64_MAX};
    alarm->timer = (struct loop_timer){.on_due = on_look, .owner = agent};
    alarm->events = (struct loop_source){.fd = -1, .on_ready = on_memory_event, .owner = agent};
    for (size_t i = 0; i < ALARM_STALLS; i++) {
        struct alarm_stall *stall = &alarm->stalls[i];
        *stall = (struct alarm_stall){.agent = agent, .cause = stall_kinds[i].cause};
        stall->source = (struct loop_source){.fd = -1, .on_ready = on_stall, .owner = stall};
    }
}

void alarm_stop(struct agent *agent)
{
    struct alarm *alarm = &agent->alarm;
    if (alarm->is_set)
        let_overcommit(agent, false);
    alarm->is_set = false;
    loop_timer_cancel(&agent->loop, &alarm->timer);
    loop_unwatch(&agent->loop, &alarm->events);
    if (alarm->events_fd >= 0)
        close(alarm->events_fd);
    alarm->events_fd = -1;
    for (size_t i = 0; i < ALARM_STALLS; i++)
        close_stall(&alarm->stalls[i]);
    hold_back_at(agent, UINT64_MAX);
}

static bool wants_anything(const struct wire_alarm *wanted)
{
    return wanted->memory_permille || wanted->memory_stall_us || wanted->cpu_stall_us || wanted->io_stall_us;
}

void alarm_on_frame(struct agent *agent, const struct wire_frame *frame)
{
    struct alarm *alarm = &agent->alarm;
    struct wire_alarm wanted;
    if (!wire_alarm_read(frame, &wanted, NULL) || wanted.memory_permille > 1000) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "ALARM does not decode");
        return;
    }
    alarm_stop(agent);
    if (!wants_anything(&wanted))
        return;
    alarm->wanted = wanted;
    shape_limit_executions(agent);
    alarm->stream = frame->stream;
    alarm->is_set = true;
    alarm->told_us = 0;
    alarm->events_fd = cgroup_root_open_events(&agent->cgroups);
    if (alarm->events_fd >= 0)
        alarm->oom_kills = read_oom_kills(alarm);
    let_overcommit(agent, wanted.memory_permille != 0);
    open_stall(agent, 0, wanted.memory_stall_us, wanted.window_us);
    open_stall(agent, 1, wanted.cpu_stall_us, wanted.window_us);
    open_stall(agent, 2, wanted.io_stall_us, wanted.window_us);
    look(agent);
}

void alarm_on_held_back(struct agent *agent)
{
    agent->alarm.high = 0;
    look(agent);
}

void alarm_on_limit(struct agent *agent)
{
    agent->alarm.told_us = 0;
    look(agent);
}
