/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/api.h"
#include "api/frame.h"
#include "api/route.h"
#include "api/target.h"
#include "api/traits.h"
#include "api/watch.h"

#include <microhttpd.h>
#include <pthread.h>

/* One HTTP request from its first line to the end of its answer. It belongs to its connection and to the libmicrohttpd thread that drives
 * it; the members named below, which api_submit() and the watching thread touch too, are under the lock of the api.
 *
 * A request that needs the core is posted and its connection suspended. Suspending, and the decision to resume, happen under the lock, so that an
 * answer which comes before the suspension is simply found there, and nothing is resumed that is not suspended. */

struct api {
    struct store *store;
    struct code_store *code; /* NULL: none */
    struct traits_sources traits;
    struct registry *models; /* NULL: none; so below */
    struct learner *learner;
    event_sink sink;
    gpointer sink_data;
    char *version, *socket_path;
    guint timeout_s;
    guint tcp_port;
    struct watch *watch;
    struct MHD_Daemon *unix_daemon, *tcp_daemon;

    pthread_mutex_t lock;
    GHashTable *requests; /* posted and not answered to the end: struct request by id */
    guint64 last_id;
    gint64 core_answered_at; /* g_get_monotonic_time() scale */
    gsize body_bytes;        /* reserved for large bodies */
    gboolean stopping;
};

/* Output on its way to the client. */
struct request_stream {
    GQueue commands;    /* under the lock: COMMAND_STREAM not yet looked at */
    guint lines;        /* under the lock: of these, the lines; output is bounded by the core */
    gboolean ended;     /* under the lock: the last one is in the queue, or was */
    gboolean is_broken; /* under the lock: the core gave up in the middle */
    struct frame_stream frames[2];
    GString *out;    /* lines made */
    gsize out_taken; /* of which the client has so much */
    gint64 consumed; /* raw bytes in `out` that the core has not been told of yet */
};

struct request {
    struct api *api;
    struct MHD_Connection *connection;
    const struct route *route;
    struct target target;
    gboolean is_tcp;
    gboolean begun, handled;
    gboolean watched;
    GError *refusal; /* found before the body was read */
    char *allow;     /* for 405 */

    char *body; /* NUL-terminated */
    gsize body_length, body_size;
    gsize body_reserved;
    gboolean body_overflows;

    /* Under the lock. */
    guint64 id;       /* 0: never posted */
    gboolean is_open; /* posted, and the core has not finished its answer */
    gboolean suspended;
    gboolean is_gone;
    gboolean answered;
    struct request_stream *stream; /* the answer is a stream */

    /* The answer; written under the lock, read by the connection's thread once `answered` is set. */
    guint status;
    GBytes *answer;           /* NULL: no body */
    const char *content_type; /* static */
    char *location;
    GError *error;

    char uri[];
};

/* Of `uri` as it stands in the request line. */
struct request *request_new(struct api *api, struct MHD_Connection *connection, const char *uri, gboolean is_tcp);

/* The connection has ended or takes its next request: tells the core when it is still at work for this one. */
void request_free(struct request *request);

/* The connection's socket. On its thread. */
int request_fd(const struct request *request);

/* The whole body has come. Steals it. */
GBytes *request_take_body(struct request *request);

/* Answers at once, from a handler. `body` is taken over; NULL: none. */
void request_answer(struct request *request, guint status, const char *content_type, GBytes *body);

/* The same with a JSON value (taken over). */
void request_answer_json(struct request *request, guint status, json_t *json);

/* Hands `event` (taken over) to the core, under a new request id. */
void request_post(struct request *request, struct event *event);

/* As MHD_AccessHandlerCallback; `cls` is unused, the request stands in *con_cls. */
enum MHD_Result request_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                               const char *version, const char *upload_data, size_t *upload_data_size, void **con_cls);

/* The core's answer, or a part of it. Under the lock. What it needs of `command` it takes out; the command itself, when it was queued:
 * then it returns TRUE. The request is to be roused. */
gboolean request_deliver(struct request *request, struct command *command);

/* The connection, when it is suspended: then the caller lets it run again, by MHD_resume_connection(). NULL for others. Under the lock. */
struct MHD_Connection *request_rouse(struct request *request);

/* The client is gone, or the deadline has passed. Under the lock. */
void request_give_up(struct request *request, enum watch_cause cause);

/* Rouses it, and lets it run again at once. Under the lock. */
void request_wake(struct request *request);
