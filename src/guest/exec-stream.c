/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/exec-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* One frame's worth; small enough that many executions share the channel fairly. */
#define CHUNK_BYTES 32768u

static void on_output(void *owner, uint32_t events);
static void on_stdin_ready(void *owner, uint32_t events);

static bool open_pipe(int *ret_ours, int *ret_childs, bool we_read)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    *ret_ours = fds[we_read ? 0 : 1];
    *ret_childs = fds[we_read ? 1 : 0];
    fcntl(*ret_ours, F_SETFL, O_NONBLOCK);
    return true;
}

static bool open_stdin(struct execution *execution, int *ret_child_fd)
{
    int our_fd = -1;
    wire_buffer_init(&execution->stdin_bytes, WIRE_WINDOW_INITIAL);
    execution->stdin_source = (struct loop_source){.fd = -1, .on_ready = on_stdin_ready, .owner = execution};
    if (!execution->with_stdin) {
        *ret_child_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return *ret_child_fd >= 0;
    }
    if (!open_pipe(&our_fd, ret_child_fd, false))
        return false;
    return loop_watch(&execution->agent->loop, &execution->stdin_source, our_fd, 0) == 0;
}

static bool open_output(struct execution *execution, int index, uint16_t type, int *ret_child_fd)
{
    struct exec_output *output = &execution->outputs[index];
    output->type = type;
    return open_pipe(&output->fd, ret_child_fd, true);
}

bool exec_stream_open(struct execution *execution, int *ret_child_fds)
{
    ret_child_fds[0] = ret_child_fds[1] = ret_child_fds[2] = -1;
    if (open_stdin(execution, &ret_child_fds[0]) && open_output(execution, 0, WIRE_TYPE_STDOUT, &ret_child_fds[1]) &&
        open_output(execution, 1, WIRE_TYPE_STDERR, &ret_child_fds[2]))
        return true;

    int error = errno;
    for (int i = 0; i < 3; i++) {
        if (ret_child_fds[i] >= 0)
            close(ret_child_fds[i]);
    }
    errno = error;
    return false;
}

static void close_output(struct exec_output *output)
{
    loop_unwatch(&output->execution->agent->loop, &output->source);
    if (output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}

static void close_stdin(struct execution *execution)
{
    int fd = execution->stdin_source.fd;
    loop_unwatch(&execution->agent->loop, &execution->stdin_source);
    if (fd >= 0)
        close(fd);
    wire_buffer_clear(&execution->stdin_bytes);
}

void exec_stream_close(struct execution *execution)
{
    close_output(&execution->outputs[0]);
    close_output(&execution->outputs[1]);
    close_stdin(execution);
}

/* A pipe is watched only while what it holds may be sent: an execution that prints without end blocks nobody but itself. */
static void output_update(struct exec_output *output)
{
    struct execution *execution = output->execution;
    struct agent *agent = execution->agent;
    bool wanted = output->fd >= 0 && execution->credit.to_send > 0 && !channel_is_congested(&agent->channel);
    if (!wanted)
        loop_unwatch(&agent->loop, &output->source);
    else if (output->source.fd < 0)
        loop_watch(&agent->loop, &output->source, output->fd, EPOLLIN);
}

void exec_stream_update(struct execution *execution)
{
    if (execution->state < EXEC_RUNNING)
        return;
    for (int i = 0; i < 2; i++) {
        execution->outputs[i].source.on_ready = on_output;
        execution->outputs[i].source.owner = &execution->outputs[i];
        output_update(&execution->outputs[i]);
    }
}

static void output_ended(struct exec_output *output)
{
    struct execution *execution = output->execution;
    agent_send_data(execution->agent, output->type, WIRE_FLAG_FIN, execution->stream, NULL, 0);
    close_output(output);
    exec_finish_if_drained(execution);
}

static void on_output(void *owner, uint32_t events)
{
    static uint8_t bytes[CHUNK_BYTES];
    struct exec_output *output = owner;
    struct execution *execution = output->execution;
    uint32_t credit = execution->credit.to_send;
    size_t size = credit < sizeof(bytes) ? credit : sizeof(bytes);
    (void)events;

    ssize_t n = read(output->fd, bytes, size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        output_ended(output);
        return;
    }
    uint64_t left =
        execution->output_limit_bytes ? execution->output_limit_bytes - execution->output_bytes : UINT64_MAX;
    size_t allowed = (uint64_t)n < left ? (size_t)n : (size_t)left;
    execution->output_bytes += allowed;
    execution->credit.to_send -= (uint32_t)allowed;
    if (allowed)
        agent_send_data(execution->agent, output->type, 0, execution->stream, bytes, allowed);
    exec_stream_update(execution);
    if (allowed < (size_t)n)
        exec_end(execution, WIRE_REASON_OUTPUT_LIMIT);
    else
        exec_finish_if_drained(execution);
}

bool exec_stream_is_drained(const struct execution *execution)
{
    return execution->outputs[0].fd < 0 && execution->outputs[1].fd < 0;
}

bool exec_stream_has_bytes(const struct execution *execution)
{
    for (int i = 0; i < 2; i++) {
        int n_bytes = 0;
        if (execution->outputs[i].fd >= 0 && ioctl(execution->outputs[i].fd, FIONREAD, &n_bytes) == 0 && n_bytes > 0)
            return true;
    }
    return false;
}

static void return_credit(struct execution *execution, uint32_t bytes)
{
    struct wire_window window = {.credit = wire_credit_consumed(&execution->credit, bytes)};
    if (window.credit)
        agent_send(execution->agent, WIRE_TYPE_WINDOW, 0, execution->stream, &window);
}

static void stdin_flush(struct execution *execution)
{
    struct wire_buffer *bytes = &execution->stdin_bytes;
    while (bytes->size > 0) {
        ssize_t n = write(execution->stdin_source.fd, bytes->data, bytes->size);
        if (n < 0 && errno == EAGAIN) {
            loop_watch(&execution->agent->loop, &execution->stdin_source, execution->stdin_source.fd, EPOLLOUT);
            return;
        }
        if (n < 0) {
            /* The program closed its input: what follows is taken and thrown away, as by a closed terminal. */
            return_credit(execution, (uint32_t)bytes->size);
            close_stdin(execution);
            return;
        }
        wire_buffer_drop(bytes, (size_t)n);
        return_credit(execution, (uint32_t)n);
    }
    loop_watch(&execution->agent->loop, &execution->stdin_source, execution->stdin_source.fd, 0);
    if (execution->stdin_ended)
        close_stdin(execution);
}

static void on_stdin_ready(void *owner, uint32_t events)
{
    struct execution *execution = owner;
    if (events & (EPOLLERR | EPOLLHUP)) {
        return_credit(execution, (uint32_t)execution->stdin_bytes.size);
        close_stdin(execution);
        return;
    }
    stdin_flush(execution);
}

void exec_stream_end_stdin(struct execution *execution)
{
    execution->stdin_ended = true;
    if (execution->stdin_source.fd >= 0)
        stdin_flush(execution);
}

void exec_stream_stdin(struct execution *execution, const struct wire_frame *frame)
{
    if (!wire_credit_received(&execution->credit, frame->size)) {
        agent_send_error(execution->agent, execution->stream, WIRE_FAULT_WINDOW, "standard input beyond its credit");
        exec_end(execution, WIRE_REASON_LOST);
        return;
    }
    if (frame->flags & WIRE_FLAG_FIN)
        execution->stdin_ended = true;
    if (execution->stdin_source.fd < 0) {
        return_credit(execution, frame->size);
        return;
    }
    wire_buffer_append(&execution->stdin_bytes, frame->payload, frame->size);
    stdin_flush(execution);
}
