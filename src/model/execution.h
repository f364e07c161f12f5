/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/course.h"
#include "model/demand.h"
#include "model/notification.h"
#include "model/path.h"
#include "model/program.h"
#include "model/usage.h"

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

/* Whether its program stood in the instance before it was asked for: the hit, or the reason of the miss. */
enum code_place {
    CODE_NOT_ANNOUNCED, /* the notification told nothing of the program */
    CODE_IN_PLACE,      /* it only had to be told to go */
    CODE_NOT_YET,       /* it was still being fetched, or put into the instance */
    CODE_DIFFERENT,     /* the request brought another program than was announced */
    CODE_FAILED,        /* it could not be fetched, or not be put in place */
};

extern const struct codec_words code_place_words;

/* One run of code. */
struct execution {
    char *id; /* "exec-..." */
    char *idempotency_key;
    char *program_sha256; /* with an idempotency key: what was asked for, to tell a repeat from another request */
    struct code_metadata code;
    enum execution_state state;
    enum execution_match match;
    char *reservation_id, *instance_id, *host, *profile;
    enum path path; /* by which it got its instance */
    enum code_place code_place;
    guint
        instance_uses; /* executions of the same function that ran in the instance before; not 0 only where the policy allows reuse */
    guint retries; /* runs that ran out of memory before this one; 0 or 1 */
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
    GPtrArray *course;      /* struct usage_slot */
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
    guint retries;               /* runs that ran out of memory before this one */
    struct vm_shape shape;       /* at its end */
    struct vm_shape start_shape; /* at its start; all 0: not told, by an earlier version */
    guint memory_limit_mib;      /* of the execution itself; 0: all that the VM had */
    GPtrArray *course;           /* struct usage_slot */
    GPtrArray *adjustments;      /* struct adjustment: of its VM while it ran */
};

CODEC_DECLARE(observation)

/* MiB: what it used, and of a run that ran out of memory at least all that it was let have. */
double observation_memory_mib(const struct observation *observation);
