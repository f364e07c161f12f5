/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/event.h"
#include "model/pool.h"

struct sample;

/* What the core wants done. The driver (daemon or simulator) hands each command to the adapter that its kind names. A command owns all that
 * it points to. */

enum command_kind {
    /* For the API. */
    COMMAND_REPLY,  /* request; error, or status (HTTP: 200, 201, 202) and body */
    COMMAND_STREAM, /* request; stream 0: body is one JSON object (an NDJSON line, without the newline); stream 1 and 2: body is output of the
                     * program; `end`: the last, body may be NULL */

    /* For the store. */
    COMMAND_PERSIST, /* serial, records: one transaction; answered by EVENT_COMMITTED or EVENT_COMMIT_FAILED */

    /* For the cache of code. */
    COMMAND_CODE_FETCH, /* id, code: answered by EVENT_CODE */
    COMMAND_CODE_KEEP,  /* code, bytes: what came with a notification, for those that name it later; not answered */

    /* For the learner. */
    COMMAND_LEARN,       /* sample: a run that taught something */
    COMMAND_LEARN_SPEED, /* speed: of the hosts that code runs on from now on, as machine_speed() tells; 0: not known */
    COMMAND_MODEL_TRAIN, /* request, eof; this and the next two as the events of the same name, and answered by EVENT_MODEL_ANSWER */
    COMMAND_MODEL_SERVE,  /* request, count */
    COMMAND_MODEL_IMPORT, /* request, bytes, eof */

    /* For the hypervisors; `host` says which. */
    COMMAND_HOST_CONNECT, /* host_spec: connect, keep connected, report EVENT_HOST_UP, EVENT_HOST_INVENTORY, EVENT_HOST_DOWN */
    COMMAND_HOST_DISCONNECT, /* forget it */
    COMMAND_BOOT,            /* boot: define and start; answered by EVENT_INSTANCE_READY or EVENT_INSTANCE_FAILED */
    COMMAND_ADOPT, /* boot: take over the domain of that instance, which runs already and never had code in it, after a restart of the
                              * daemon or a migration; answered as COMMAND_BOOT, at once when it is ready there */
    COMMAND_SHAPE, /* id, serial, shape, count (ms that the guest may take to confirm): up, or down with the guest's consent; answered by
                    * EVENT_INSTANCE_SHAPED. One that goes down in vCPUs or memory goes up in neither, and is alone until its answer; memory goes down to
                    * what it was booted with, or by the balloon where it has no device for more. 0 vCPUs or memory, SHAPE_GPUS_KEPT: as they are */
    COMMAND_ALARM, /* id, alarm: what its agent is to speak up about, by EVENT_SAMPLE with `pressure`; not answered */
    COMMAND_RUN,   /* id, run; answered by EVENT_RUN_STARTED, EVENT_RUN_OUTPUT ..., EVENT_RUN_EXIT (always the last) */
    COMMAND_STDIN, /* id, execution_id, request, bytes (may be NULL), eof; answered by EVENT_STDIN_TAKEN */
    COMMAND_OUTPUT_CREDIT, /* id, execution_id, count: the client has taken so many bytes of output */
    COMMAND_CANCEL_RUN,    /* id, execution_id: kill it; EVENT_RUN_EXIT follows */
    COMMAND_PAUSE,         /* id: suspend it, a warm instance; answered by EVENT_INSTANCE_PAUSED */
    COMMAND_CLAIM, /* id, boot: a warm instance, running or paused, becomes that reservation's: it is resumed, proven to answer, given a fresh
                    * identity (host name, machine id, random seed, clock) and boot->shape; answered as COMMAND_BOOT */
    COMMAND_SAVE, /* id, saved: write the state of that warm instance to files of ours, from which clones are made; it ends by that. Answered by
                    * EVENT_INSTANCE_SAVED */
    COMMAND_FORGET_SAVED, /* saved: remove its files */
    COMMAND_STAGE, /* id, run: put the program into that ready instance, and start its interpreter as far as it goes without running a line of it;
                    * answered by EVENT_STAGED. The COMMAND_RUN with is_staged that may follow only says go */
    COMMAND_MIGRATE, /* id, host_spec (the target), count (ms that it may take): move that ready instance, in which nothing runs or stands staged, to
                      * another host, while it runs. Answered by EVENT_INSTANCE_MIGRATED; whatever that says, COMMAND_ADOPT is next, where the instance is
                      * then: until its answer nobody speaks with its agent */
    COMMAND_DESTROY, /* id: destroy its domain and files, whatever state it is in; answered by EVENT_INSTANCE_DESTROYED */
    COMMAND_KIND_COUNT
};

extern const struct codec_words command_kind_words;

/* One write to the database. */
struct record {
    enum record_kind {
        RECORD_PUT,         /* object, id, state, body: inserts or replaces the row */
        RECORD_DELETE,      /* object, id */
        RECORD_OBSERVATION, /* observation: a row of the history */
        RECORD_POLICY,      /* version, policy_sources */
    } kind;
    enum object_kind object;
    char *id;
    char *function, *tenant; /* indexed columns; may be NULL */
    guint state;             /* of the object's own enum */
    gboolean final;          /* it is in a final state: not needed to rebuild the core */
    gint64 at;               /* created */
    GBytes *body;            /* the object in JSON, CODEC_STORE side */
    struct observation *observation;
    guint version; /* of the policy; RECORD_PUT: only as loaded, the one that an open object was made under, 0: none */
    GPtrArray *policy_sources;
};

struct boot_spec {
    char *instance_id, *uuid;
    char *owner;    /* this Harbinger's id, for the metadata */
    char *template; /* "base", "runtimes", or the operator's */
    struct vm_shape shape, maximum;
    gint64 sample_interval_ms;
    gint64 timeout_ms;              /* for all of it */
    char *reservation_id, *profile; /* for the metadata */
    char *language;                 /* of the code that is expected, or NULL: its interpreter is warmed up meanwhile */
    gboolean is_migrated;           /* COMMAND_ADOPT: it came from another host a moment ago */
    char *pool;                     /* id of the pool that it is warmed up for, or NULL; for the metadata */
    char *
        saved; /* COMMAND_BOOT: id of the saved state that it is a clone of; its shape and maximum are `shape` and `maximum`. NULL: it boots */
};

struct run_spec {
    char *execution_id;
    struct program program;
    struct run_limits limits; /* all set */
    char **preload;           /* COMMAND_STAGE: modules that the interpreter loads before it waits, where it can */
    gboolean
        is_staged; /* COMMAND_RUN: the same program was staged in the instance before; only its standard input is new */
};

/* Code by its digest. */
struct code_ref {
    char *tenant;   /* whose it is; NULL: nobody's, only what is shared */
    gboolean share; /* the policy lets tenants share it: found among what is shared, too, and kept there */
    char *sha256;   /* 64 lower-case hexadecimal digits */
    char *url;      /* where it is fetched when the cache does not have it; NULL: nowhere */
    gint64 size_max, timeout_ms;
};

struct command {
    enum command_kind kind;
    guint64 request, serial;
    char *host, *id, *execution_id;
    guint status;
    guint stream;
    gboolean end, eof;
    gint64 count;
    const char *content_type; /* static; NULL: application/json */
    GBytes *body, *bytes;
    GError *error;
    GPtrArray *records; /* struct record */
    struct host_spec *host_spec;
    struct boot_spec *boot;
    struct run_spec *run;
    struct vm_shape shape;
    struct guest_alarm alarm;
    struct saved_state *saved;
    struct code_ref *code;
    struct sample *sample;
    double speed;
};

struct command *command_new(enum command_kind kind);
void command_free(struct command *command);
typedef struct command command_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(command_auto, command_free)

void record_free(struct record *record);
void boot_spec_free(struct boot_spec *boot);
void run_spec_free(struct run_spec *run);
void code_ref_free(struct code_ref *code);
