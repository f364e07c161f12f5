/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/session.h"

#include "guest/exec.h"
#include "guest/identity.h"
#include "guest/shape.h"
#include "guest/system.h"
#include "guest/transfer.h"
#include "guest/usage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static uint64_t capabilities(const struct agent *agent)
{
    const struct cgroup_root *cgroups = &agent->cgroups;
    uint64_t found = exec_interpreter_capabilities() | WIRE_CAN_HOLD;
    if (cgroups->has_memory && cgroups->has_pids)
        found |= WIRE_CAN_LIMIT;
    if (cgroups->has_memory)
        found |= WIRE_CAN_ALARM;
    if (cgroups->has_memory && agent->options.is_init)
        found |= WIRE_CAN_SHRINK;
    if (agent->options.may_drop_user)
        found |= WIRE_CAN_DROP_USER;
    if (agent->options.is_init)
        found |= WIRE_CAN_ONLINE | WIRE_CAN_IDENTIFY | WIRE_CAN_POWEROFF;
    if (access("/proc/pressure/cpu", R_OK) == 0)
        found |= WIRE_CAN_PSI;
    return found;
}

static void send_hello(struct agent *agent, const struct wire_hello *asked, uint32_t version)
{
    struct identity identity;
    struct shape shape;
    identity_read(&identity);
    shape_refresh(agent, &shape);
    struct wire_hello hello = {
        .version_min = version ? version : WIRE_VERSION_MIN,
        .version_max = version ? version : WIRE_VERSION_MAX,
        .nonce = asked->nonce,
        .agent_version = wire_text(PACKAGE_VERSION),
        .boot_id = wire_text(identity.boot_id),
        .machine_id = wire_text(identity.machine_id),
        .kernel = wire_text(identity.kernel),
        .capabilities = capabilities(agent),
        .vcpus_online = shape.vcpus_online,
        .vcpus_present = shape.vcpus_present,
        .memory_mib = shape.memory_mib,
        .memory_total_mib = shape.memory_total_mib,
        .uptime_ms = identity.uptime_ms,
    };
    agent_send(agent, WIRE_TYPE_HELLO, 0, WIRE_STREAM_CONTROL, &hello);
}

static uint32_t common_version(const struct wire_hello *asked)
{
    uint32_t highest = asked->version_max < WIRE_VERSION_MAX ? asked->version_max : WIRE_VERSION_MAX;
    bool fits = highest >= asked->version_min && highest >= WIRE_VERSION_MIN;
    return fits ? highest : 0;
}

/* Everything that ran belonged to the session before. */
static void end_session(struct agent *agent)
{
    usage_stop(agent);
    alarm_stop(agent);
    shrink_forget(agent);
    shape_forget_waits(agent);
    transfer_end_all(agent);
    exec_end_all(agent);
    channel_forget_output(&agent->channel);
    agent->in_session = agent->speaks = false;
}

static void on_hello(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_hello asked;
    end_session(agent);
    if (!wire_hello_read(frame, &asked, NULL)) {
        wire_reader_hunt(&agent->channel.reader, false);
        return;
    }
    uint32_t version = common_version(&asked);
    agent->in_session = true;
    agent->speaks = version != 0;
    send_hello(agent, &asked, version);
    if (!agent->speaks)
        agent_send_error(agent, WIRE_STREAM_CONTROL, WIRE_FAULT_VERSION,
                         "host speaks versions %u to %u, this agent %u to %u", asked.version_min, asked.version_max,
                         WIRE_VERSION_MIN, WIRE_VERSION_MAX);
    if (agent->options.trouble)
        agent_send_error(agent, WIRE_STREAM_CONTROL, WIRE_FAULT_SYSTEM, "%s", agent->options.trouble);
}

static void on_ping(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_ping ping;
    if (wire_ping_read(frame, &ping, NULL))
        agent_send(agent, WIRE_TYPE_PONG, 0, frame->stream, &ping);
    else
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "PING does not decode");
}

static void on_poweroff(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_poweroff request;
    if (!agent->options.is_init || !wire_poweroff_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_STATE, "POWEROFF: this agent is not the guest's init");
        return;
    }
    exec_end_all(agent);
    sync();
    reboot(request.reboot ? RB_AUTOBOOT : RB_POWER_OFF);
}

/* The host's answer to something of ours; nothing hangs on it. */
static void on_ignored(struct agent *agent, const struct wire_frame *frame)
{
    (void)agent, (void)frame;
}

static const struct {
    uint16_t type;
    bool opens_stream;
    void (*handle)(struct agent *agent, const struct wire_frame *frame);
} handlers[] = {
    {WIRE_TYPE_HELLO, false, on_hello},
    {WIRE_TYPE_PING, false, on_ping},
    {WIRE_TYPE_PONG, false, on_ignored},
    {WIRE_TYPE_ERROR, false, on_ignored},
    {WIRE_TYPE_EXEC, true, exec_on_exec},
    {WIRE_TYPE_PUT_FILE, true, transfer_on_put},
    {WIRE_TYPE_GET_FILE, true, transfer_on_get},
    {WIRE_TYPE_SHAPE_WAIT, false, shape_on_wait},
    {WIRE_TYPE_USAGE_SUBSCRIBE, false, usage_on_subscribe},
    {WIRE_TYPE_ALARM, false, alarm_on_frame},
    {WIRE_TYPE_SHRINK, false, shrink_on_frame},
    {WIRE_TYPE_IDENTITY, false, identity_on_frame},
    {WIRE_TYPE_POWEROFF, false, on_poweroff},
};

static bool stream_is_free(struct agent *agent, uint32_t stream)
{
    return stream != WIRE_STREAM_CONTROL && !exec_has_stream(agent, stream) && !transfer_has_stream(agent, stream);
}

/* A frame that came after its stream ended crossed our EXIT or FILE_DONE on the way: that is nobody's mistake. */
static bool may_come_late(uint16_t type)
{
    return type == WIRE_TYPE_WINDOW || type == WIRE_TYPE_STDIN || type == WIRE_TYPE_KILL || type == WIRE_TYPE_CODE ||
           type == WIRE_TYPE_EXEC_GO || type == WIRE_TYPE_DATA || type == WIRE_TYPE_LIMITS;
}

static void dispatch(struct agent *agent, const struct wire_frame *frame)
{
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (handlers[i].type != frame->type)
            continue;
        if (handlers[i].opens_stream && !stream_is_free(agent, frame->stream))
            agent_send_error(agent, frame->stream, WIRE_FAULT_STREAM, "stream %u is in use", frame->stream);
        else
            handlers[i].handle(agent, frame);
        return;
    }
    if (exec_on_frame(agent, frame) || transfer_on_frame(agent, frame) || may_come_late(frame->type))
        return;
    const char *name = wire_type_name(frame->type);
    if (name)
        agent_send_error(agent, frame->stream, WIRE_FAULT_STREAM, "%s for a stream that takes none", name);
    else
        agent_send_error(agent, frame->stream, WIRE_FAULT_TYPE, "unknown frame type %u", frame->type);
}

static void on_frame(void *owner, const struct wire_frame *frame)
{
    struct agent *agent = owner;
    bool is_hello = frame->type == WIRE_TYPE_HELLO;
    if (is_hello || agent->speaks)
        dispatch(agent, frame);
}

static void on_violation(void *owner)
{
    struct agent *agent = owner;
    if (!agent->in_session)
        return;
    end_session(agent);
    agent_send_error(agent, WIRE_STREAM_CONTROL, WIRE_FAULT_PROTOCOL, "framing lost: the session is over, say HELLO");
}

/* What runs goes on: a daemon that restarts says HELLO again, and that is when it ends. */
static void on_lost(void *owner)
{
    struct agent *agent = owner;
    usage_stop(agent);
    alarm_stop(agent); /* nobody would bring what the code is held back for */
    if (!agent->channel.is_port)
        agent->loop.quit = true;
}

static void on_drained(void *owner)
{
    struct agent *agent = owner;
    exec_resume_all(agent);
    transfer_resume_all(agent);
}

void session_attach(struct agent *agent)
{
    agent->channel.owner = agent;
    agent->channel.on_frame = on_frame;
    agent->channel.on_violation = on_violation;
    agent->channel.on_lost = on_lost;
    agent->channel.on_drained = on_drained;
}
