/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/api.h"

#include <jansson.h>
#include <pthread.h>

/* The real HTTP server on a UNIX socket and a TCP port of its own, a real database, and in place of the core a thread that runs a script. */

struct harness;

/* Called on the thread that stands for the core, for each event. What it answers goes through api_submit(). The event stays the harness's. */
typedef void (*harness_script)(struct harness *harness, const struct event *event);

struct harness {
    char *dir, *socket_path, *database_path;
    guint port;
    struct store *store;
    struct code_store *code;
    struct registry *models; /* none in it */
    struct api *api;
    harness_script script;
    gpointer data; /* the test's own */
    struct mailbox *mailbox;
    GThread *thread;
    gboolean direct;
    pthread_mutex_t lock; /* not GLib's: ThreadSanitizer would not see it */
    pthread_cond_t changed;
    guint seen[EVENT_KIND_COUNT]; /* under the lock */
    gint64 consumed;              /* sum of EVENT_OUTPUT_CONSUMED */
    guint64 last_request;         /* under the lock */
};

struct harness *harness_new(harness_script script, gpointer data);

/* The same, but the script runs at once, within the call that posts the event: its answer comes before the connection can be suspended. */
struct harness *harness_new_direct(harness_script script, gpointer data);
void harness_free(struct harness *harness);

/* Stops the server alone, as a daemon that ends; harness_free() does it otherwise. */
void harness_stop(struct harness *harness);

/* Removes a directory with all that is in it. */
void harness_remove_tree(const char *path);

/* Waits until `count` events of a kind have been seen (by the script, too); fails the test after 20 s. */
void harness_wait_seen(struct harness *harness, enum event_kind kind, guint count);
guint harness_seen(struct harness *harness, enum event_kind kind);
/* The last request that the core was asked. */
guint64 harness_last_request(struct harness *harness);
void harness_wait_consumed(struct harness *harness, gint64 count);

/* Answers for scripts. `json` is text. */
void harness_reply(struct harness *harness, guint64 request, guint status, const char *json);
void harness_reply_error(struct harness *harness, guint64 request, int code, const char *message);
void harness_line(struct harness *harness, guint64 request, const char *json, gboolean end);
void harness_output(struct harness *harness, guint64 request, guint stream, const void *data, gsize length);

/* A plain HTTP/1.1 client, to see the bytes themselves. */
struct http {
    int fd;
    GByteArray *in; /* received and not used */
};

struct http_answer {
    guint status;
    char *head;
    GByteArray *body;
    gboolean complete; /* FALSE when the connection ended in the middle */
};

struct http *http_connect(const struct harness *harness);
struct http *http_connect_tcp(const struct harness *harness);
void http_close(struct http *http);
void http_send(struct http *http, const void *data, gsize length);
void http_send_text(struct http *http, const char *text);

/* "METHOD target HTTP/1.1" with the body and its content type (NULL: none). */
void http_request(struct http *http, const char *method, const char *target, const char *content_type,
                  const char *body);

/* Reads one answer. */
struct http_answer *http_read(struct http *http);
void http_answer_free(struct http_answer *answer);

/* The next line of a chunked NDJSON body; NULL at its end. Call http_read_head() first. */
guint http_read_head(struct http *http);
char *http_read_line(struct http *http);

/* TRUE when the peer has closed the connection (waits for it). */
gboolean http_is_closed(struct http *http);

/* One request on a connection of its own. */
struct http_answer *http_do(const struct harness *harness, const char *method, const char *target, const char *body);

/* Value of a header, NULL when it is not there; free with g_free. */
char *http_header(const struct http_answer *answer, const char *name);

/* The body as JSON; fails the test when it is not. */
json_t *http_json(const struct http_answer *answer);
