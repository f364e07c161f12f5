/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/exec.h"

#include "guest/exec-child.h"
#include "guest/exec-private.h"
#include "guest/hold.h"
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
#define MESSAGES_AT_ONCE 8

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

static void exec_close_line(struct execution *execution)
{
    int fd = execution->line.fd;
    loop_unwatch(&execution->agent->loop, &execution->line);
    if (fd >= 0)
        close(fd);
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
    loop_timer_cancel(&agent->loop, &execution->wall_timer);
    exec_close_line(execution);
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

static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

/* Exact figures from the cgroup; without one, what wait4() knows about the main process and the children it waited for. What was used
 * before the program was let go is not the program's. */
static void exit_set_usage(struct execution *execution, const struct cgroup_usage *usage, struct wire_exit *exit)
{
    const struct rusage *rusage = &execution->rusage;
    const struct cgroup_usage *before = &execution->before;
    bool has_cpu = usage->cpu_us > 0;
    exit->cpu_user_us = since(has_cpu ? usage->cpu_user_us : timeval_us(rusage->ru_utime), before->cpu_user_us);
    exit->cpu_system_us = since(has_cpu ? usage->cpu_system_us : timeval_us(rusage->ru_stime), before->cpu_system_us);
    exit->memory_peak_bytes = usage->memory_peak_bytes ? usage->memory_peak_bytes : (uint64_t)rusage->ru_maxrss * 1024u;
    exit->io_read_bytes =
        since(usage->io_read_bytes ? usage->io_read_bytes : (uint64_t)rusage->ru_inblock * 512u, before->io_read_bytes);
    exit->io_write_bytes = since(usage->io_write_bytes ? usage->io_write_bytes : (uint64_t)rusage->ru_oublock * 512u,
                                 before->io_write_bytes);
    exit->throttled_us = since(usage->throttled_us, before->throttled_us);
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
    if (execution->started_us)
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
    case EXEC_PREPARING:
    case EXEC_HELD:
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

static void exec_release(struct execution *execution)
{
    if (exec_setup_release(execution))
        execution->state = EXEC_STARTING;
}

/* Nothing runs any more before EXEC_GO; what modules printed while they were loaded waits in the pipes for it. */
static void exec_held(struct execution *execution, const char *said, size_t size)
{
    struct wire_held held = {
        .latency_us = (uint64_t)(loop_now_us() - execution->asked_us),
        .is_started = execution->has_hook,
        .text = wire_slice(said, strnlen(said, size)),
    };
    if (execution->state != EXEC_PREPARING)
        return;
    execution->state = EXEC_HELD;
    cgroup_read_usage(&execution->group, &execution->before);
    agent_send(execution->agent, WIRE_TYPE_HELD, 0, execution->stream, &held);
    if (execution->is_asked_to_go)
        exec_release(execution);
    else
        loop_timer_cancel(&execution->agent->loop, &execution->wall_timer);
}

static void exec_started(struct execution *execution)
{
    exec_close_line(execution);
    struct wire_started started = {
        .pid = (uint32_t)execution->pid,
        .latency_us = (uint64_t)(loop_now_us() - execution->asked_us),
    };
    agent_send(execution->agent, WIRE_TYPE_STARTED, 0, execution->stream, &started);
    execution->was_started = true;
    execution->state = EXEC_RUNNING;
    exec_stream_update(execution);
}

/* A step before the program failed: it never ran. */
static void exec_failed(struct execution *execution, struct exec_child_failure *failure)
{
    failure->step[sizeof(failure->step) - 1] = '\0';
    kill_processes(execution);
    exec_refuse(execution, "%s: %s", failure->step, strerror(failure->error));
}

/* The next that the child says, as read() has it; 0 when it says no more. */
static ssize_t read_line(struct execution *execution, char *ret_said, size_t size)
{
    ssize_t n;
    do
        n = read(execution->line.fd, ret_said, size);
    while (n < 0 && (errno == ECONNRESET || errno == EINTR)); /* reset: it has not heard all of ours, and said more */
    return n < 0 && errno != EAGAIN ? 0 : n;
}

/* Hears the child out. False: the execution is gone, since a step before its program failed. */
static bool exec_hear(struct execution *execution)
{
    static char said[WIRE_TEXT_MAX + 1];
    for (int i = 0; i < MESSAGES_AT_ONCE && execution->line.fd >= 0; i++) {
        struct exec_child_failure failure;
        ssize_t n = read_line(execution, said, sizeof(said));
        if (n < 0)
            return true;
        if (n == sizeof(failure) && said[0] == HOLD_FAILED) {
            memcpy(&failure, said, sizeof(failure));
            exec_failed(execution, &failure);
            return false;
        }
        if (n > 0 && said[0] == HOLD_HELD)
            exec_held(execution, said + 1, (size_t)n - 1);
        else if (execution->state == EXEC_STARTING)
            exec_started(execution);
        else if (n == 0) {
            /* It has ended, or does not wait: then it may not run either. */
            exec_close_line(execution);
            kill_processes(execution);
        }
    }
    return true;
}

static void on_line(void *owner, uint32_t events)
{
    (void)events;
    exec_hear(owner);
}

static void exec_limit_time(struct execution *execution)
{
    struct loop *loop = &execution->agent->loop;
    loop_timer_cancel(loop, &execution->wall_timer);
    if (execution->wall_limit_ms && execution->wall_limit_ms < UINT32_MAX * UINT64_C(1000))
        loop_timer_set(loop, &execution->wall_timer, loop_now_us() + (int64_t)execution->wall_limit_ms * 1000);
}

/* From here on the wall clock is the program's. */
static void exec_start_clock(struct execution *execution)
{
    execution->started_us = loop_now_us();
    exec_limit_time(execution);
}

static void exec_start(struct execution *execution)
{
    execution->asked_us = loop_now_us();
    execution->state = execution->holds ? EXEC_PREPARING : EXEC_STARTING;
    if (!exec_setup_start(execution))
        return;
    execution->pids_peak = 1;
    if (execution->holds)
        exec_limit_time(execution);
    else
        exec_start_clock(execution);
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
        .line = {.fd = -1, .on_ready = on_line, .owner = execution},
        .stdin_source = {.fd = -1},
        .wall_timer = {.on_due = on_timer, .owner = execution},
        .output_limit_bytes = request->output_limit_bytes,
        .wall_limit_ms = request->wall_limit_ms,
        .keep_files = request->keep_files != 0,
        .with_stdin = request->with_stdin != 0,
        .holds = request->hold != 0,
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

/* A held program may run: now, or as soon as it is held. */
static void exec_let_go(struct execution *execution, const struct wire_go *go)
{
    execution->is_without_stdin = go->without_stdin != 0;
    execution->asked_us = loop_now_us();
    execution->is_asked_to_go = true;
    exec_start_clock(execution);
    if (execution->state == EXEC_HELD)
        exec_release(execution);
}

static void exec_on_go(struct execution *execution, const struct wire_frame *frame)
{
    struct wire_go go;
    bool is_held = execution->state == EXEC_PREPARING || execution->state == EXEC_HELD;
    if (execution->holds && execution->state == EXEC_DRAINING && !execution->was_started)
        return; /* it crossed the death of what was held: EXIT is on its way */
    if (!wire_go_read(frame, &go, NULL)) {
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_MESSAGE, "EXEC_GO does not decode");
        return;
    }
    if ((execution->state != EXEC_RECEIVING && !is_held) || execution->is_asked_to_go) {
        agent_send_error(execution->agent, frame->stream, WIRE_FAULT_STATE, "EXEC_GO for an execution that runs");
        return;
    }
    if (go.wall_limit_ms)
        execution->wall_limit_ms = go.wall_limit_ms;
    if (go.output_limit_bytes)
        execution->output_limit_bytes = go.output_limit_bytes;
    if (is_held)
        exec_let_go(execution, &go);
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
    if (execution->line.fd >= 0 && !exec_hear(execution))
        return;
    if (execution->state < EXEC_PREPARING || execution->state > EXEC_RUNNING)
        return;
    execution->state = EXEC_DRAINING;
    kill_processes(execution);
    exec_close_line(execution);
    exec_stream_update(execution);
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

static bool is_live(const struct execution *execution)
{
    return execution->state == EXEC_RUNNING || execution->state == EXEC_STARTING;
}

uint32_t exec_count_runnable(const struct agent *agent)
{
    uint32_t count = 0;
    for (struct execution *execution = agent->executions; execution; execution = execution->next)
        count += is_live(execution) ? cgroup_count_runnable(&execution->group) : 0;
    return count;
}

void exec_fill_usage(struct agent *agent, struct wire_usage *usage)
{
    for (struct execution *execution = agent->executions; execution; execution = execution->next) {
        struct cgroup_usage group;
        if (!is_live(execution) || usage->n_execs == WIRE_EXECUTIONS_MAX)
            continue;
        cgroup_read_usage(&execution->group, &group);
        if (group.pids > execution->pids_peak)
            execution->pids_peak = group.pids;
        usage->execs[usage->n_execs++] = (struct wire_usage_exec){
            .stream = execution->stream,
            .cpu_us = since(group.cpu_us, execution->before.cpu_us),
            .memory_bytes = group.memory_bytes,
            .memory_peak_bytes = group.memory_peak_bytes,
            .runnable = cgroup_count_runnable(&execution->group),
            .pids = group.pids,
            .io_read_bytes = since(group.io_read_bytes, execution->before.io_read_bytes),
            .io_write_bytes = since(group.io_write_bytes, execution->before.io_write_bytes),
            .throttled_us = since(group.throttled_us, execution->before.throttled_us),
            .output_bytes = execution->output_bytes,
            .oom_kills = group.oom_kills,
        };
    }
}
