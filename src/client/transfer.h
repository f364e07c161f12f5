/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harbinger/harbinger.h"
#include <curl/curl.h>
#include <glib.h>

/* HTTP requests of one client over libcurl. The client's thread. */

struct hbr_client {
    char *address;     /* as given */
    char *url;         /* what paths are appended to */
    char *socket_path; /* NULL over TCP */
    int64_t timeout_ms;
    gboolean heard; /* something came in since transfer_wait() last looked */
    int wake_fd;    /* eventfd: hbr_client_interrupt() */
    CURLM *multi;
};

/* Takes a part of a good answer's body as it comes; FALSE ends the transfer. */
typedef gboolean (*transfer_sink)(const char *data, gsize length, gpointer user_data);

struct transfer {
    struct hbr_client *client;
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    char *body;         /* sent; own copy, because a transfer may outlive the call that began it */
    transfer_sink sink; /* NULL: the body is kept in `answer` */
    gpointer sink_data;
    GString *answer; /* kept body, and that of bad answers in any case */
    gboolean overflows, stopped;
    gboolean done;
    CURLcode result;
    char message[CURL_ERROR_SIZE];
};

struct transfer_spec {
    const char *method, *path, *content_type; /* content_type NULL: JSON */
    const void *body;                         /* NULL: none */
    size_t length;
    int64_t timeout_ms; /* of all of it; 0: none */
    transfer_sink sink;
    gpointer sink_data;
};

/* Begins a request. NULL with an error when that is not possible. Free with transfer_free(), which breaks off what is not done. */
struct transfer *transfer_begin(struct hbr_client *client, const struct transfer_spec *spec, struct hbr_error *error);
void transfer_free(struct transfer *transfer);
typedef struct transfer transfer_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(transfer_auto, transfer_free)

/* Drives all transfers of the client and waits for something to happen: to one of them, or on `input_fd` (-1: none), which *ret_readable tells.
 * False with "interrupted" after hbr_client_interrupt(). */
bool transfer_wait(struct hbr_client *client, int input_fd, bool *ret_readable, struct hbr_error *error);

/* Whether a transfer that is done brought a good answer; else the error. */
bool transfer_check(const struct transfer *transfer, struct hbr_error *error);
int transfer_status(const struct transfer *transfer);

/* A whole request: begins, waits, checks. NULL with an error. */
struct transfer *transfer_run(struct hbr_client *client, const struct transfer_spec *spec, struct hbr_error *error);
