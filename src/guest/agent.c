/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/agent.h"

#include "guest/exec.h"
#include "guest/helper.h"
#include "guest/hold.h"
#include "guest/session.h"
#include "guest/shape.h"
#include "guest/transfer.h"
#include "guest/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int agent_start(struct agent *agent, const struct agent_options *options, int channel_fd, bool is_port)
{
    *agent = (struct agent){.options = *options, .work_fd = -1, .channel.fd = -1, .loop.epoll_fd = -1};
    agent->child_source.fd = agent->uevent_source.fd = agent->channel.source.fd = -1;
    agent->work_fd = open(options->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (agent->work_fd < 0 || loop_init(&agent->loop) != 0 || helper_reaper_start(agent) != 0)
        return -1;
    cgroup_root_init(&agent->cgroups, options->cgroup_mount);
    alarm_start(agent);
    shrink_start(agent);
    shape_start(agent);
    session_attach(agent);
    return channel_start(&agent->channel, &agent->loop, channel_fd, is_port);
}

void agent_clear(struct agent *agent)
{
    exec_end_all(agent);
    transfer_end_all(agent);
    usage_stop(agent);
    alarm_stop(agent);
    shrink_stop(agent);
    shape_stop(agent);
    helper_reaper_stop(agent);
    channel_clear(&agent->channel);
    cgroup_root_clear(&agent->cgroups);
    loop_clear(&agent->loop);
    if (agent->has_hooks)
        hold_clear(agent);
    if (agent->work_fd >= 0)
        close(agent->work_fd);
    agent->work_fd = -1;
}

void agent_send(struct agent *agent, uint16_t type, uint16_t flags, uint32_t stream, const void *message)
{
    if (wire_message_write(channel_out(&agent->channel), type, flags, stream, message))
        channel_flush(&agent->channel);
}

void agent_send_data(struct agent *agent, uint16_t type, uint16_t flags, uint32_t stream, const void *data, size_t size)
{
    if (wire_frame_write(channel_out(&agent->channel), type, flags, stream, data, size))
        channel_flush(&agent->channel);
}

void agent_send_error(struct agent *agent, uint32_t stream, enum wire_fault fault, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct wire_failure failure = {.fault = fault, .stream = stream, .text = wire_text(text)};
    agent_send(agent, WIRE_TYPE_ERROR, 0, stream, &failure);
}
