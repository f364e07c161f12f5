/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/exec.h"

#include "guest/exec-child.h"
#include "guest/exec-private.h"
#include "guest/path.h"
#include "guest/system.h"
#include "guest/usage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long pipes held by a straggler, and cgroup members that are dying, are waited for. */
#define DRAIN_PATIENCE_US INT64_C(2000000)
#define BURY_RETRY_US INT64_C(10000)

static struct execution *exec_find(struct agent *agent, uint32_t stream)
{
    for (struct execution *execution = agent->executions; execution; execution = execution->next) {
        if (execution->announced && execution->stream == stream)
            return execution;
    }
    return NULL;
}

bool exec_has_stream(struct agent *agent, uint32_t stream)
{
    return exec_find(agent, stream) != NULL;
}

int exec_directory(struct agent *agent, uint32_t stream, uid_t *ret_owner)
{
    struct execution *execution = exec_find(agent, stream);
    if (!execution)
        return -1;
    *ret_owner = execution->user;
    return execution->work_fd;
}

static unsigned exec_count(const struct agent *agent)
{
    unsigned count = 0;
    for (struct execution *execution = agent->executions; execution; execution = execution->next)
        count++;
    return count;
}

static void exec_remove_directory(struct execution *execution)
{
    if (execution->work_fd < 0)
        return;
    close(execution->work_fd);
    execution->work_fd = -1;
    path_remove_tree(execution->agent->work_fd, execution->directory);
}

static void exec_free(struct execution *execution)
{
    struct agent *agent = execution->agent;
    for (struct execution **at = &agent->executions; *at; at = &(*at)->next) {
        if (*at == execution) {
            *at = execution->next;
            break;
        }
    }
    int error_fd = execution->error_source.fd;
    loop_timer_cancel(&agent->loop, &execution->wall_timer);
    loop_unwatch(&agent->loop, &execution->error_source);
    if (error_fd >= 0)
        close(error_fd);
    if (execution->code_fd >= 0)
        close(execution->code_fd);
    exec_stream_close(execution);
    exec_remove_directory(execution);
    free(execution->request);
    free(execution);
}

/* The cgroup can be removed only when its last member is gone, which a killed tree takes some milliseconds for. */
static void exec_bury(struct execution *execution)
{
    struct agent *agent = execution->agent;
    execution->announced = false;
    execution->state = EXEC_BURYING;
    if (cgroup_remove(&agent->cgroups, &execution->group)) {
        exec_free(execution);
        return;
    }
    cgroup_kill(&execution->group);
    loop_timer_set(&agent->loop, &execution->wall_timer, loop_now_us() + BURY_RETRY_US);
}

static void kill_processes(struct execution *execution)
{
    if (execution->pid > 0)
        kill(-execution->pid, SIGKILL);
    if (!cgroup_kill(&execution->group) && execution->pid > 0 && execution->ended_us == 0)
        kill(execution->pid, SIGKILL);
}

void exec_end(struct execution *execution, enum wire_reason reason)
{
    if (!execution->has_reason && execution->ended_us == 0) {
        execution->has_reason = true;
        execution->reason = reason;
    }
    execution->discards = true;
    kill_processes(execution);
    exec_finish_if_drained(execution);
}

void exec_refuse(struct execution *execution, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    struct wire_exit exit = {.reason = WIRE_REASON_REFUSED, .text = wire_text(text)};
    agent_send(execution->agent, WIRE_TYPE_EXIT, 0, execution->stream, &exit);
    exec_bury(execution);
}

static void exit_set_cause(struct execution *execution, const struct cgroup_usage *usage, struct wire_exit *exit)
{
    int status = execution->wait_status;
    exit->reason = WIFEXITED(status) ? WIRE_REASON_EXITED : WIRE_REASON_SIGNALLED;
    exit->status = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
    exit->signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0;
    if (execution->has_reason)
        exit->reason = execution->reason;
    else if (usage->oom_kills > 0 && exit->signal == SIGKILL)
        exit->reason = WIRE_REASON_OOM;
}

static uint64_t timeval_us(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

/* Exact figures from the cgroup; without one, what wait4() knows about the main process and the children it waited for. */
static void exit_set_usage(struct execution *execution, const struct cgroup_usage *usage, struct wire_exit *exit)
{
    const struct rusage *rusage = &execution->rusage;
    bool has_cpu = usage->cpu_us > 0;
    exit->cpu_user_us = has_cpu ? usage->cpu_user_us : timeval_us(rusage->ru_utime);
    exit->cpu_system_us = has_cpu ? usage->cpu_system_us : timeval_us(rusage->ru_stime);
    exit->memory_peak_bytes = usage->memory_peak_bytes ? usage->memory_peak_bytes : (uint64_t)rusage->ru_maxrss * 1024u;
    exit->io_read_bytes = usage->io_read_bytes ? usage->io_read_bytes : (uint64_t)rusage->ru_inblock * 512u;
    exit->io_write_bytes = usage->io_write_bytes ? usage->io_write_bytes : (uint64_t)rusage->ru_oublock * 512u;
    exit->throttled_us = usage->throttled_us;
    exit->pids_peak = usage->pids_peak > execution->pids_peak ? usage->pids_peak : execution->pids_peak;
}

static void exec_send_exit(struct execution *execution)
{
    struct cgroup_usage usage;
    struct wire_exit exit = {0};
    uint64_t rx_bytes, tx_bytes;
    cgroup_read_usage(&execution->group, &usage);
    exit_set_cause(execution, &usage, &exit);
    exit_set_usage(execution, &usage, &exit);
    usage_read_network(&rx_bytes, &tx_bytes);
    exit.net_rx_bytes = rx_bytes - execution->net_rx_start;
    exit.net_tx_bytes = tx_bytes - execution->net_tx_start;
    exit.wall_us = (uint64_t)(execution->ended_us - execution->started_us);
    exit.output_bytes = execution->output_bytes;
    agent_send(execution->agent, WIRE_TYPE_EXIT, 0, execution->stream, &exit);
}

static void exec_conclude(struct execution *execution)
{
    loop_timer_cancel(&execution->agent->loop, &execution->wall_timer);
    exec_stream_close(execution);
    exec_send_exit(execution);
    if (execution->keep_files)
        execution->state = EXEC_KEPT;
    else
        exec_bury(execution);
}

void exec_finish_if_drained(struct execution *execution)
{
    bool blocked = execution->discards && execution->credit.to_send == 0;
    if (execution->state == EXEC_DRAINING && (blocked || exec_stream_is_drained(execution)))
        exec_conclude(execution);
}

static void on_timer(void *owner)
{
    struct execution *execution = owner;
    switch (execution->state) {
    case EXEC_RECEIVING:
    case EXEC_KEPT:
        break;
    case EXEC_STARTING:
    case EXEC_RUNNING:
        exec_end(execution, WIRE_REASON_WALL_LIMIT);
        break;
    case EXEC_DRAINING:
        /* Output that waits for the host's window is waited for; a straggler that holds the pipe and is silent is not. */
        if (!exec_stream_has_bytes(execution))
            exec_conclude(execution);
        else
            loop_timer_set(&execution->agent->loop, &execution->wall_timer, loop_now_us() + DRAIN_PATIENCE_US);
        break;
    case EXEC_BURYING:
        exec_bury(execution);
        break;
    }
}

/* The program runs, or a step before it failed; then the execution is gone and the answer is false. */
static bool exec_learn_start(struct execution *execution)
{
    struct agent *agent = execution->agent;
    struct exec_child_failure failure;
    int fd = execution->error_source.fd;

    ssize_t n = read(fd, &failure, sizeof(failure));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    loop_unwatch(&agent->loop, &execution->error_source);
    close(fd);
    if (n == (ssize_t)sizeof(failure)) {
        failure.step[sizeof(failure.step) - 1] = '\0';
        kill_processes(execution);
        exec_refuse(execution, "%s: %s", failure.step, strerror(failure.error));
        return false;
    }
    struct wire_started started = {
        .pid = (uint32_t)execution->pid,
        .latency_us = (uint64_t)(loop_now_us() - execution->asked_us),
    };
    agent_send(agent, WIRE_TYPE_STARTED, 0, execution->stream, &started);
    if (execution->state == EXEC_STARTING)
        execution->state = EXEC_RUNNING;
    exec_stream_update(execution);
    return true;
}

static void on_start_known(void *owner, uint32_t events)
{
    (void)events;
    exec_learn_start(owner);
}

static void exec_start(struct execution *execution)
{
    struct agent *agent = execution->agent;
    execution->asked_us = loop_now_us();
    execution->state = EXEC_STARTING;
    if (!exec_setup_start(execution))
        return;
    execution->started_us = loop_now_us();
    execution->pids_peak = 1;
    if (execution->wall_limit_ms && execution->wall_limit_ms < UINT32_MAX * UINT64_C(1000))
        loop_timer_set(&agent->loop, &execution->wall_timer,
                       execution->started_us + (int64_t)execution->wall_limit_ms * 1000);
}

static struct execution *exec_new(struct agent *agent, const struct wire_frame *frame, const struct wire_exec *request)
{
    struct execution *execution = calloc(1, sizeof(*execution));
    if (!execution)
        return NULL;
    *execution = (struct execution){
        .agent = agent,
        .stream = frame->stream,
        .announced = true,
        .work_fd = -1,
        .code_fd = -1,
        .group.fd = -1,
        .error_source = {.fd = -1, .on_ready = on_start_known, .owner = execution},
        .stdin_source = {.fd = -1},
        .wall_timer = {.on_due = on_timer, .owner = execution},
        .output_limit_bytes = request->output_limit_bytes,
        .wall_limit_ms = request->wall_limit_ms,
        .keep_files = request->keep_files != 0,
        .with_stdin = request->with_stdin != 0,
        .request_size = frame->size,
        .request = malloc(frame->size ? frame->size : 1),
    };
    for (int i = 0; i < 2; i++)
        execution->outputs[i] = (struct exec_output){.execution = execution, .source.fd = -1, .fd = -1};
    wire_buffer_init(&execution->stdin_bytes, 0);
    wire_credit_init(&execution->credit);
    if (!execution->request) {
        free(execution);
        return NULL;
    }
    memcpy(execution->request, frame->payload, frame->size);
    execution->next = agent->executions;
    agent->executions = execution;
    return execution;
}

void exec_on_exec(struct agent *agent, const struct wire_frame *frame)
{
    static struct wire_exec request;
    struct wire_error error;
    if (!wire_exec_read(frame, &request, &error)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "EXEC: %s, field %u at byte %u",
                         wire_status_text(error.status), error.tag, error.offset);
        return;
    }
    if (exec_count(agent) >= WIRE_EXECUTIONS_MAX) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_LIMIT, "%u executions at once are the most",
                         WIRE_EXECUTIONS_MAX);
        return;
    }
    struct execution *execution = exec_new(agent, frame, &request);
    if (!execution) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_SYSTEM, "out of memory");
        return;
    }
    if (exec_setup_directory(execution, &request) && (frame->flags & WIRE_FLAG_FIN))
        exec_start(execution);
}

static void exec_on_code(struct execution *execution, const struct wire_frame *frame)
{
    struct agent *agent = execution->agent;
    if (execution->state != EXEC_RECEIVING || execution->code_fd < 0) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_STATE, "CODE for an execution that takes none");
        return;
    }
    if (!wire_credit_received(&execution->credit, frame->size) || execution->code_bytes + frame->size > WIRE_CODE_MAX) {
        exec_refuse(execution, "code beyond its credit, or above %u bytes", WIRE_CODE_MAX);
        return;
    }
    if (write(execution->code_fd, frame->payload, frame->size) != (ssize_t)frame->size) {
        exec_refuse(execution, "code: %s", strerror(errno));
        return;
    }
    execution->code_bytes += frame->size;
    struct wire_window window = {.credit = wire_credit_consumed(&execution->credit, frame->size)};
    if (window.credit)
        agent_send(agent, WIRE_TYPE_WINDOW, 0, frame->stream, &window);
}

static void exec_on_kill(struct execution *execution, const struct wire_frame *frame)
{
    struct wire_kill request;
    if (!wire_kill_read(frame, &request, NULL) || request.signal >= NSIG) {
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_MESSAGE, "KILL: no such signal");
        return;
    }
    if (execution->state == EXEC_RECEIVING) {
        exec_refuse(execution, "killed before it started");
        return;
    }
    if (request.signal == 0 || request.signal == SIGKILL)
        exec_end(execution, WIRE_REASON_KILLED);
    else if (execution->pid > 0 && execution->ended_us == 0)
        kill(-execution->pid, (int)request.signal);
}

static void exec_on_window(struct execution *execution, const struct wire_frame *frame)
{
    struct wire_window window;
    if (!wire_window_read(frame, &window, NULL) || !wire_credit_granted(&execution->credit, window.credit)) {
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_WINDOW, "credit above %u bytes", WIRE_WINDOW_MAX);
        return;
    }
    exec_stream_update(execution);
}

static void exec_on_limits(struct execution *execution, const struct wire_frame *frame)
{
    struct wire_limits request;
    if (!wire_limits_read(frame, &request, NULL)) {
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_MESSAGE, "LIMITS does not decode");
        return;
    }
    if (!exec_setup_limits(execution, &request))
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_SYSTEM, "limits: %s", strerror(errno));
}

static void exec_on_go(struct execution *execution, const struct wire_frame *frame)
{
    if (execution->state != EXEC_RECEIVING)
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_STATE, "EXEC_GO for an execution that runs");
    else
        exec_start(execution);
}

static void exec_on_stdin(struct execution *execution, const struct wire_frame *frame)
{
    if (execution->state == EXEC_RECEIVING)
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_STATE, "STDIN before EXEC_GO");
    else if (execution->state != EXEC_KEPT)
        exec_stream_stdin(execution, frame);
}

static void exec_on_release(struct execution *execution, const struct wire_frame *frame)
{
    if (execution->state == EXEC_KEPT)
        exec_bury(execution);
    else
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_STATE, "RELEASE before EXIT");
}

bool exec_on_frame(struct agent *agent, const struct wire_frame *frame)
{
    static const struct {
        uint16_t type;
        void (*handle)(struct execution *execution, const struct wire_frame *frame);
    } handlers[] = {
        {WIRE_TYPE_CODE, exec_on_code},       {WIRE_TYPE_EXEC_GO, exec_on_go},    {WIRE_TYPE_STDIN, exec_on_stdin},
        {WIRE_TYPE_KILL, exec_on_kill},       {WIRE_TYPE_WINDOW, exec_on_window}, {WIRE_TYPE_LIMITS, exec_on_limits},
        {WIRE_TYPE_RELEASE, exec_on_release},
    };
    struct execution *execution = exec_find(agent, frame->stream);
    for (size_t i = 0; execution && i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (handlers[i].type == frame->type) {
            handlers[i].handle(execution, frame);
            return true;
        }
    }
    return false;
}

void exec_reaped(struct agent *agent, pid_t pid, int status, const struct rusage *usage)
{
    struct execution *execution = agent->executions;
    while (execution && (execution->pid != pid || execution->ended_us != 0))
        execution = execution->next;
    if (!execution)
        return;

    execution->ended_us = loop_now_us();
    execution->wait_status = status;
    execution->rusage = *usage;
    if (execution->state == EXEC_BURYING)
        return;
    if (execution->error_source.fd >= 0 && !exec_learn_start(execution))
        return;
    if (execution->state != EXEC_RUNNING)
        return;
    execution->state = EXEC_DRAINING;
    kill_processes(execution);
    loop_timer_cancel(&agent->loop, &execution->wall_timer);
    loop_timer_set(&agent->loop, &execution->wall_timer, loop_now_us() + DRAIN_PATIENCE_US);
    exec_finish_if_drained(execution);
}

void exec_resume_all(struct agent *agent)
{
    for (struct execution *execution = agent->executions; execution; execution = execution->next)
        exec_stream_update(execution);
}

void exec_end_all(struct agent *agent)
{
    for (struct execution *execution = agent->executions, *next; execution; execution = next) {
        next = execution->next;
        if (execution->state == EXEC_BURYING)
            continue;
        execution->has_reason = true;
        kill_processes(execution);
        exec_stream_close(execution);
        exec_bury(execution);
    }
}

void exec_fill_usage(struct agent *agent, struct wire_usage *usage)
{
    for (struct execution *execution = agent->executions; execution; execution = execution->next) {
        struct cgroup_usage group;
        bool is_live = execution->state == EXEC_RUNNING || execution->state == EXEC_STARTING;
        if (!is_live || usage->n_execs == WIRE_EXECUTIONS_MAX)
            continue;
        cgroup_read_usage(&execution->group, &group);
        if (group.pids > execution->pids_peak)
            execution->pids_peak = group.pids;
        usage->execs[usage->n_execs++] = (struct wire_usage_exec){
            .stream = execution->stream,
            .cpu_us = group.cpu_us,
            .memory_bytes = group.memory_bytes,
            .memory_peak_bytes = group.memory_peak_bytes,
            .runnable = cgroup_count_runnable(&execution->group),
            .pids = group.pids,
            .io_read_bytes = group.io_read_bytes,
            .io_write_bytes = group.io_write_bytes,
            .throttled_us = group.throttled_us,
            .output_bytes = execution->output_bytes,
        };
    }
}
