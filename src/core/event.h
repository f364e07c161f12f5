/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/execution.h"
#include "model/host.h"
#include "model/instance.h"
#include "model/pool.h"
#include "model/reservation.h"
#include "policy/policy.h"

struct model;

/* What can happen to the core. Adapters (api, host, store, daemon) make events and post them; the core alone reads them. An event owns all
 * that it points to. */

enum event_kind {
    /* From the API. `request` names the answer awaited: the core answers each exactly once with COMMAND_REPLY, or with a stream of
     * COMMAND_STREAM of which the last has `end` set. */
    EVENT_NOTIFY,      /* request, notification */
    EVENT_EXECUTE,     /* request, execution_request */
    EVENT_STDIN,       /* request, id (execution), bytes (may be NULL), eof */
    EVENT_QUERY,       /* request, query */
    EVENT_REMOVE,      /* request, object, id: cancel a reservation or execution, destroy an instance, detach a host */
    EVENT_POLICY_LOAD, /* request, policy, policy_sources */
    EVENT_EXPLAIN,     /* request, notification: what would be predicted and decided, without doing it */
    EVENT_HOST_ATTACH, /* request, host_spec */
    EVENT_POOL_SET,    /* request, id, pool_setting */
    EVENT_POOL_DRAIN,  /* request, id, eof: begin (TRUE), or end: its warm instances go, and none is made */
    EVENT_INSTANCE_SHAPE, /* request, id, shape: what it is to have; 0, SHAPE_GPUS_KEPT: as it is */
    EVENT_MODEL_TRAIN,    /* request, eof: answered at the end of the training (TRUE), or of its beginning */
    EVENT_MODEL_SERVE,    /* request, count: version; -1: the newest that ever served */
    EVENT_MODEL_IMPORT,   /* request, bytes, eof: it serves from now on */
    EVENT_WATCH, /* request, object (OBJECT_KIND_COUNT: all), id (NULL: all): a stream of what happens from now on */
    EVENT_CLIENT_GONE,     /* request: nobody listens to its answer any more */
    EVENT_OUTPUT_CONSUMED, /* request, count: bytes of streamed output that the client has taken */

    /* From a hypervisor; `host` is set. */
    EVENT_HOST_UP,           /* host_report */
    EVENT_HOST_DOWN,         /* error */
    EVENT_HOST_INVENTORY,    /* inventory: every domain of ours there, after each (re)connection and periodically */
    EVENT_INSTANCE_PROGRESS, /* id, text: "defined", "started", "agent answered": for the timeline */
    EVENT_INSTANCE_READY,    /* id, shape as the guest confirms it, text */
    EVENT_INSTANCE_FAILED,   /* id, error: the start failed; what was half made is already gone */
    EVENT_INSTANCE_GONE,     /* id, error: it stopped, crashed or stopped answering; its domain is gone */
    EVENT_INSTANCE_DESTROYED, /* id, or error when it could not be destroyed (the host retries by itself at the next inventory) */
    EVENT_INSTANCE_SHAPED, /* id, serial, at (when libvirt had done its part; 0: not told), shape as confirmed and held (after an error: what the guest may still come to have), error or NULL;
                            * HBR_ERROR_CONFLICT: the guest does not consent to have less. The host's book goes by `shape` in each case: its memory is
                            * what QEMU gives, also when less of it was given back than asked (HBR_ERROR_TIMEOUT, HBR_ERROR_GUEST). Its vCPUs are
                            * those online in the guest: others that QEMU still has are offline, use no CPU time, and come back only by
                            * COMMAND_SHAPE. A guest that cheats about that shows more vcpus_online in its samples; a cap of CPU time binds it.
                            * Serial 0, unasked: it has let go of a GPU that was asked back in vain before */
    EVENT_INSTANCE_PAUSED, /* id; error: it could not be suspended, and runs on */
    EVENT_INSTANCE_SAVED, /* id, saved; error: there is no saved state (HBR_ERROR_UNSUPPORTED: nor will there be on this host). The instance is gone
                           * in either case, without EVENT_INSTANCE_GONE */
    EVENT_INSTANCE_MIGRATED, /* id, text (name of the target): it is there now, and not here. Error: it is where it was, if it is anywhere;
                              * HBR_ERROR_UNSUPPORTED: it cannot be moved at all */
    EVENT_SAVED_LOST, /* id of a saved state, error: it is damaged or its files are gone; what is left of it was removed */
    EVENT_STAGED, /* id, execution_id, count: microseconds that it took; error: it is not staged, COMMAND_RUN starts from nothing */
    EVENT_SAMPLE, /* id, sample: each interval while code runs in it, and whenever its agent speaks up (COMMAND_ALARM) */
    EVENT_RUN_STARTED, /* id (instance), execution_id */
    EVENT_RUN_OUTPUT,  /* id, execution_id, stream 1 or 2, bytes */
    EVENT_RUN_EXIT,    /* id, execution_id, result */
    EVENT_STDIN_TAKEN, /* id, execution_id, request; error when the program has closed its stdin or ended */

    /* From the store. */
    EVENT_COMMITTED,     /* serial: all of this COMMAND_PERSIST is durable */
    EVENT_COMMIT_FAILED, /* serial, error, records: nothing of it is */

    /* From the cache of code. */
    EVENT_CODE, /* id, bytes: what COMMAND_CODE_FETCH asked for, of that digest; or error */

    /* From the learner. */
    EVENT_MODEL, /* model: predicts from now on */
    EVENT_MODEL_ANSWER, /* request, count (HTTP: 200, 201, 202), bytes (JSON); or error: to an EVENT_MODEL_TRAIN, _SERVE or _IMPORT */

    EVENT_TICK,     /* the time that the core asked to be woken at */
    EVENT_SHUTDOWN, /* stop taking work; instances without a running execution are destroyed */
    EVENT_KIND_COUNT
};

extern const struct codec_words event_kind_words;

enum object_kind {
    OBJECT_RESERVATION,
    OBJECT_EXECUTION,
    OBJECT_INSTANCE,
    OBJECT_HOST,
    OBJECT_POLICY,
    OBJECT_POOL,
    OBJECT_KIND_COUNT
};

extern const struct codec_words
    object_kind_words; /* "reservation", ...: also the table in the database, of those before OBJECT_POLICY */

extern const struct codec_words watched_kind_words; /* the first of them: of what EVENT_WATCH tells */

/* A read. */
struct query {
    enum query_kind {
        QUERY_LIST, /* object; optional function, tenant and state; newest first */
        QUERY_GET,  /* object, id; with wait_until_at: answered when it is in `state` or a final one, or at that time */
        QUERY_METRICS, /* Prometheus text */
        QUERY_READY,   /* readiness: 200 with a host up, else HBR_ERROR_UNAVAILABLE */
    } kind;
    enum object_kind object;
    char *id;
    char *function, *tenant, *state;
    gboolean all;     /* finished ones too */
    gboolean explain; /* QUERY_GET of a reservation: with the reasons that take a moment to find */
    guint limit;      /* 0: 1000 */
    gint64 wait_until_at;
};

/* What a host told at its connection. */
struct host_report {
    guint cpus, memory_mib;
    enum acceleration acceleration;
    char *acceleration_reason, *version;
    double speed; /* as in struct host */
};

/* A domain found on a host that carries our metadata. */
struct inventory_item {
    char *instance_id;
    char *owner; /* id of the Harbinger that made it; only equal ones are ours */
    gboolean is_running;
};

struct event {
    enum event_kind kind;
    guint64 request, serial;
    char *host, *id, *execution_id, *text;
    gint64 count;
    guint stream;
    gboolean eof;
    GBytes *bytes;
    GError *error;
    struct notification *notification;
    struct execution_request *execution_request;
    struct code_metadata *
        guess; /* EVENT_EXECUTE: language and libraries by the look of its program, for when nobody told them; NULL: none */
    struct query *query;
    enum object_kind object;
    struct policy *policy;
    GPtrArray *policy_sources; /* struct policy_source; freed with g_ptr_array_unref */
    struct host_spec *host_spec;
    struct host_report *host_report;
    GPtrArray *inventory; /* struct inventory_item; freed with g_ptr_array_unref, elements by inventory_item_free */
    GPtrArray *
        saved_states; /* EVENT_HOST_INVENTORY: struct saved_state of this owner there, whole and fit for use; as above, by saved_state_free */
    struct saved_state *saved;
    struct pool_setting *pool_setting;
    struct vm_shape shape;
    struct usage_sample *sample;
    struct run_result *result;
    struct model *model;
    GPtrArray *records; /* struct record, given back by EVENT_COMMIT_FAILED; freed with g_ptr_array_unref */
    guint link;         /* the connection to a host that it came by, numbered by the daemon; 0: none */
    gint64 at;          /* when it happened, where that is earlier than when the core hears of it (0: the same) */
};

struct event *event_new(enum event_kind kind);
void event_free(struct event *event);
typedef struct event event_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(event_auto, event_free)

void query_free(struct query *query);
void inventory_item_free(struct inventory_item *item);

/* Where an adapter posts its events: it takes the event. Any thread. */
typedef void (*event_sink)(struct event *event, gpointer data);
