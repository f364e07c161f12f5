/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/shrink.h"

#include "guest/agent.h"
#include "guest/helper.h"
#include "guest/shape.h"
#include "guest/system.h"
#include "guest/usage.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_MAX_MS 600000u
/* A thread that happened to be seen once in four looks does not count. */
#define RUNNABLE_GRACE_PERMILLE 250u

static uint64_t target_kib(const struct agent *agent, uint32_t memory_mib)
{
    uint64_t memory_kib = (uint64_t)memory_mib * 1024u;
    return memory_kib > agent->reserved_kib ? memory_kib - agent->reserved_kib : 0;
}

uint32_t shrink_cpus(const struct agent *agent, uint32_t present)
{
    uint32_t vcpus = agent->shrink.hold.vcpus;
    return vcpus && vcpus < present ? vcpus : present;
}

uint64_t shrink_bound(const struct agent *agent, uint64_t limit)
{
    const struct shrink *shrink = &agent->shrink;
    bool holds = shrink->hold.memory_mib && !shrink->helper;
    return holds && shrink->hold.bound < limit ? shrink->hold.bound : limit;
}

static void answer(struct agent *agent, const char *veto)
{
    struct cgroup_memory memory;
    struct shape now;
    shape_refresh(agent, &now);
    cgroup_root_read_memory(&agent->cgroups, &memory);
    struct wire_shrink_ack ack = {
        .vetoed = veto != NULL,
        .text = wire_text(veto ? veto : ""),
        .vcpus_online = now.vcpus_online,
        .memory_mib = now.memory_mib,
        .memory_used_bytes = memory.used,
        .runnable = usage_count_runnable(agent),
    };
    agent_send(agent, WIRE_TYPE_SHRINK_ACK, 0, agent->shrink.stream, &ack);
}

/* The executions are bounded by what is there again. */
static void lift_bound(struct agent *agent)
{
    agent->shrink.hold.memory_mib = 0;
    loop_timer_cancel(&agent->loop, &agent->shrink.timer);
    shape_limit_executions(agent);
}

static void on_timeout(void *owner)
{
    struct agent *agent = owner;
    if (agent->shrink.helper)
        agent->shrink.hold_before.memory_mib = 0;
    else
        lift_bound(agent);
}

static bool vetoes_cpus(const struct agent *agent, uint32_t vcpus, const struct shape *now, char *ret_text, size_t size)
{
    uint32_t runnable_permille = usage_mean_runnable(agent);
    if (vcpus == 0 || vcpus >= now->vcpus_online)
        return false;
    if (!agent->options.is_init)
        snprintf(ret_text, size, "the CPUs of this machine are not the agent's");
    else if (runnable_permille > vcpus * 1000u + RUNNABLE_GRACE_PERMILLE)
        snprintf(ret_text, size, "%u.%u threads run or wait for a CPU, of which %u would be left",
                 runnable_permille / 1000, runnable_permille % 1000 / 100, vcpus);
    else
        return false;
    return true;
}

static bool vetoes_memory(struct agent *agent, uint32_t memory_mib, const struct shape *now, char *ret_text,
                          size_t size)
{
    struct cgroup_memory memory;
    if (memory_mib == 0 || memory_mib >= now->memory_mib)
        return false;
    uint64_t may_use = alarm_mark(agent, shape_limit_for(agent, target_kib(agent, memory_mib)));
    if (!cgroup_root_read_memory(&agent->cgroups, &memory))
        snprintf(ret_text, size, "memory is not accounted here");
    else if (memory.used > may_use)
        snprintf(ret_text, size, "%llu MiB are in use, of %u MiB there would be room for %llu",
                 (unsigned long long)memory.used >> 20, memory_mib, (unsigned long long)may_use >> 20);
    else
        return false;
    return true;
}

/* In a child. memory.high makes the kernel reclaim, and never kills as memory.max would: that is set to what then surely holds. */
static int bound_memory(struct agent *agent)
{
    struct cgroup_memory memory;
    uint64_t bound = agent->shrink.hold.bound;
    if (!cgroup_root_hold_back(&agent->cgroups, alarm_mark(agent, bound)) ||
        !cgroup_root_read_memory(&agent->cgroups, &memory) || memory.current > bound)
        return -1;
    cgroup_root_limit_memory(&agent->cgroups, bound);
    return agent->cgroups.memory_limit == bound ? 0 : -1;
}

static int shrink_work(void *argument)
{
    struct agent *agent = argument;
    const struct wire_shrink *request = &agent->shrink.request;
    system_hurry();
    if (request->memory_mib && bound_memory(agent) != 0)
        return -1;
    return request->vcpus ? shape_set_cpus(request->vcpus) : 0;
}

static void undo(struct agent *agent, const char *why)
{
    struct shrink *shrink = &agent->shrink;
    if (!shrink->is_overtaken)
        shrink->hold.vcpus = shrink->hold_before.vcpus;
    if (shrink->request.memory_mib) {
        uint32_t vcpus = shrink->hold.vcpus;
        shrink->hold = shrink->hold_before;
        shrink->hold.vcpus = vcpus;
        if (shrink->is_overtaken)
            shrink->hold.memory_mib = 0;
        agent->cgroups.memory_limit = 0; /* not known: the child may have changed it */
        shape_limit_executions(agent);
        alarm_on_held_back(agent);
    }
    shape_bring_online(agent);
    if (!shrink->is_forgotten)
        answer(agent, why);
}

static void on_done(struct agent *agent, void *argument, bool succeeded)
{
    struct shrink *shrink = &agent->shrink;
    (void)argument;
    shrink->helper = NULL;
    if (shrink->is_overtaken || !succeeded) {
        undo(agent, shrink->is_overtaken ? "more was asked for meanwhile" : "the kernel refused");
        return;
    }
    if (shrink->request.memory_mib) {
        uint32_t timeout_ms = shrink->request.timeout_ms < TIMEOUT_MAX_MS ? shrink->request.timeout_ms : TIMEOUT_MAX_MS;
        agent->cgroups.memory_limit = shrink->hold.bound;
        alarm_on_held_back(agent);
        loop_timer_set(&agent->loop, &shrink->timer, loop_now_us() + (int64_t)timeout_ms * 1000);
    }
    if (!shrink->is_forgotten)
        answer(agent, NULL);
}

static void begin(struct agent *agent, const struct wire_shrink *request, const struct shape *now)
{
    struct shrink *shrink = &agent->shrink;
    shrink->request = *request;
    shrink->is_forgotten = shrink->is_overtaken = false;
    shrink->hold_before = shrink->hold;
    if (request->vcpus)
        shrink->hold.vcpus = request->vcpus;
    if (request->vcpus >= now->vcpus_online)
        shrink->request.vcpus = 0;
    if (request->memory_mib >= now->memory_mib)
        shrink->request.memory_mib = 0;
    if (shrink->request.memory_mib) {
        shrink->hold.memory_mib = request->memory_mib;
        shrink->hold.bound = shape_limit_for(agent, target_kib(agent, request->memory_mib));
        shrink->hold.from_kib = agent->last_memory_kib;
    }
    shrink->helper = helper_run(agent, shrink_work, agent, on_done);
    if (!shrink->helper)
        undo(agent, "no helper could be started");
}

void shrink_on_frame(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_shrink request;
    struct shape now;
    char veto[WIRE_TEXT_MAX] = "";
    if (!wire_shrink_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "SHRINK does not decode");
        return;
    }
    if (agent->shrink.helper) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_LIMIT, "one SHRINK at once is the most");
        return;
    }
    agent->shrink.stream = frame->stream;
    shape_refresh(agent, &now);
    if (agent->online_helper || shape_is_growing(agent, &now))
        snprintf(veto, sizeof(veto), "it is about to have more");
    if (veto[0] || vetoes_cpus(agent, request.vcpus, &now, veto, sizeof(veto)) ||
        vetoes_memory(agent, request.memory_mib, &now, veto, sizeof(veto)))
        answer(agent, veto);
    else
        begin(agent, &request, &now);
}

void shrink_on_wait(struct agent *agent, uint32_t vcpus, uint32_t memory_mib)
{
    struct shrink *shrink = &agent->shrink;
    bool wants_cpus = shrink->hold.vcpus && vcpus > shrink->hold.vcpus;
    bool wants_memory = shrink->hold.memory_mib && memory_mib > shrink->hold.memory_mib;
    if (wants_cpus)
        shrink->hold.vcpus = vcpus;
    if (!wants_cpus && !wants_memory)
        return;
    if (shrink->helper)
        shrink->is_overtaken = true;
    else if (wants_memory)
        lift_bound(agent);
}

void shrink_on_present(struct agent *agent, uint32_t present)
{
    if (present <= agent->shrink.hold.vcpus && !agent->shrink.helper)
        agent->shrink.hold.vcpus = 0;
}

/* Memory that came is a growth, whoever wanted it. One MiB of grace as SHAPE_WAIT has. */
void shrink_on_memory(struct agent *agent, uint64_t memory_kib)
{
    struct shrink *shrink = &agent->shrink;
    if (!shrink->hold.memory_mib)
        return;
    bool is_more = memory_kib > shrink->hold.from_kib;
    bool is_there = memory_kib <= target_kib(agent, shrink->hold.memory_mib) + 1024u;
    if (shrink->helper)
        shrink->is_overtaken |= is_more;
    else if (is_more || is_there)
        lift_bound(agent);
}

void shrink_start(struct agent *agent)
{
    agent->shrink = (struct shrink){.timer = {.on_due = on_timeout, .owner = agent}};
}

void shrink_stop(struct agent *agent)
{
    loop_timer_cancel(&agent->loop, &agent->shrink.timer);
}

void shrink_forget(struct agent *agent)
{
    agent->shrink.is_forgotten = true;
}
