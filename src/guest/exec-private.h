/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What exec.c (life), exec-setup.c (from the message to the process) and exec-stream.c (pipes) share. */

#include "guest/agent.h"
#include "wire/credit.h"

#include <signal.h>

enum exec_state {
    EXEC_RECEIVING, /* code and files still come */
    EXEC_PREPARING, /* forked, to be held; its interpreter starts */
    EXEC_HELD,      /* waits for EXEC_GO */
    EXEC_STARTING,  /* forked, and let go; not known yet whether the program runs */
    EXEC_RUNNING,
    EXEC_DRAINING, /* the process has ended; output is still to be delivered */
    EXEC_KEPT,     /* EXIT is sent; the directory waits for RELEASE */
    EXEC_BURYING,  /* EXIT is sent; the cgroup still has dying members */
};

struct exec_output {
    struct execution *execution;
    struct loop_source source;
    int fd; /* -1: closed */
    uint16_t type;
};

struct execution {
    struct execution *next;
    struct agent *agent;
    enum exec_state state;
    uint32_t stream;
    bool announced; /* the stream is in use: false while burying */

    uint8_t *request; /* the EXEC payload, until the start */
    uint32_t request_size;
    char directory[32];
    int work_fd;
    int code_fd;
    uint64_t code_bytes;

    pid_t pid;
    uid_t user;
    struct cgroup group;
    struct loop_source line; /* to the child, until it is the program */
    struct exec_output outputs[2];
    struct loop_source stdin_source;
    struct wire_buffer stdin_bytes;
    bool stdin_ended;
    struct wire_credit credit;

    int64_t asked_us, started_us, ended_us;
    bool holds, has_hook; /* as EXEC asked for; its interpreter starts before it waits */
    bool hides_code;      /* until it is let go */
    bool is_asked_to_go;  /* EXEC_GO came before it was held */
    bool is_without_stdin;
    bool was_started;             /* STARTED is sent */
    struct cgroup_usage before;   /* what it had used when it was let go */
    struct loop_timer wall_timer; /* the limit; afterwards: patience with pipes and cgroup members that linger */
    uint64_t output_bytes, output_limit_bytes, wall_limit_ms;
    bool keep_files;
    bool discards; /* we killed it: output that the host gives no credit for is not waited with */
    bool with_stdin;

    bool has_reason;
    enum wire_reason reason; /* why we killed it */
    int wait_status;
    struct rusage rusage;
    uint32_t pids_peak;
    uint64_t net_rx_start, net_tx_start;
};

/* Ends the execution's processes; `reason` is told at its end unless an earlier one stands. May end the execution itself. */
void exec_end(struct execution *execution, enum wire_reason reason);

/* Sends EXIT with REFUSED and lets go of the execution. */
void exec_refuse(struct execution *execution, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Goes on to EXIT when the process has ended and its output is delivered, or not wanted. May end the execution. */
void exec_finish_if_drained(struct execution *execution);

/* exec-setup.c: the working directory with files and inline code. False: refused already. */
bool exec_setup_directory(struct execution *execution, const struct wire_exec *request);

/* exec-setup.c: sets the cgroup's limits; a pids limit of 0 is the agent's default. False with errno. */
bool exec_setup_limits(struct execution *execution, const struct wire_limits *limits);

/* exec-setup.c: limits, pipes, process. False: refused already. */
bool exec_setup_start(struct execution *execution);

/* exec-setup.c: lets a held program go. False: it is dead, and EXIT follows. */
bool exec_setup_release(struct execution *execution);

/* exec-stream.c */
bool exec_stream_open(struct execution *execution, int *ret_child_fds);
void exec_stream_close(struct execution *execution);
void exec_stream_update(struct execution *execution);
void exec_stream_stdin(struct execution *execution, const struct wire_frame *frame);
void exec_stream_end_stdin(struct execution *execution);
bool exec_stream_has_bytes(const struct execution *execution);
bool exec_stream_is_drained(const struct execution *execution);
