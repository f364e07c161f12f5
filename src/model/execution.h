/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"
#include "model/notification.h"
#include "model/usage.h"

/* A file put beside the code before it runs. */
struct program_file {
    char *path; /* relative to the working directory, without ".." */
    guint mode; /* permission bits; 0: 0644 */
    GBytes *content;
};

CODEC_DECLARE(program_file)

/* What runs: `source` by `interpreter`, or `argv` (which, with an interpreter, are the arguments of the source). */
struct program {
    char *interpreter;
    char *source;
    char **argv;
    GPtrArray *files; /* struct program_file */
    char **env;       /* "NAME=value" */
    char *cwd;
    GBytes *stdin_bytes;
    gboolean stdin_open; /* more input follows, by POST /v1/executions/ID/stdin */
};

CODEC_DECLARE(program)

/* Bounds of one execution; 0: the policy's. What a request asks for may only be less than the policy's. */
struct run_limits {
    gint64 wall_ms;
    guint memory_mib; /* 0: all that the VM has */
    guint pids;
    gint64 output_bytes;
};

CODEC_DECLARE(run_limits)

struct execution_request {
    char *idempotency_key;
    char *reservation_id; /* NULL: the function's best match, or on demand */
    struct code_metadata code;
    struct program program;
    struct run_limits limits;
    gint64 deadline_at; /* 0: none */
    gboolean detach;    /* the execution outlives the request's connection; its output is then dropped */
};

CODEC_DECLARE(execution_request)

enum execution_state {
    EXECUTION_QUEUED,   /* no instance yet */
    EXECUTION_STARTING, /* sent to the guest */
    EXECUTION_RUNNING,
    EXECUTION_FINISHED, /* `result` says how */
    EXECUTION_FAILED,   /* never ran, or its VM was lost; `error` says why */
    EXECUTION_CANCELLED,
    EXECUTION_INTERRUPTED, /* the daemon died while it ran */
    EXECUTION_STATE_COUNT
};

extern const struct codec_words execution_state_words;

/* Where its instance came from: the hit, or the reason of the miss. */
enum execution_match {
    MATCH_RESERVATION,        /* a hit: its reservation was ready */
    MATCH_EARLY,              /* its reservation was not ready yet */
    MATCH_FUNCTION,           /* no reservation named, one of the same function was ready */
    MATCH_NONE,               /* nobody announced it: booted on demand */
    MATCH_OTHER,              /* announced, but for another template, label or GPU: booted on demand */
    MATCH_RESERVATION_FAILED, /* the reservation named had failed or expired: booted on demand */
};

extern const struct codec_words execution_match_words;

/* One run of code. */
struct execution {
    char *id; /* "exec-..." */
    char *idempotency_key;
    char *program_sha256; /* with an idempotency key: what was asked for, to tell a repeat from another request */
    struct code_metadata code;
    enum execution_state state;
    enum execution_match match;
    char *reservation_id, *instance_id, *host, *profile;
    guint policy_version;
    gint64 created_at, started_at, first_output_at, ended_at, deadline_at;
    struct demand *demand; /* as predicted before it ran */
    struct vm_shape shape; /* at its start, or since the last adjustment */
    struct run_limits limits;
    struct run_result *result;
    double vcpus_peak; /* highest CPU need of a sample, waiting tasks included */
    guint memory_peak_mib;
    double network_peak_mbps;
    gint64 output_bytes;
    GPtrArray *adjustments; /* struct adjustment */
    GPtrArray *timeline;    /* struct timeline_entry */
    char *error;
};

CODEC_DECLARE(execution)

gboolean execution_state_is_terminal(enum execution_state state);

/* What one execution taught: the row of the history. */
struct observation {
    char *execution_id;
    struct code_metadata code;
    struct demand *demand;
    gint64 ended_at;
    enum exit_reason reason;
    guint status;
    double vcpus, cpu_seconds, memory_mib, network_mbps, duration_ms;
    struct vm_shape shape;
};

CODEC_DECLARE(observation)
