/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A small HTTP server on a loopback port, each connection on a thread of its own, whose answers misbehave as told. */

struct code_server;

/* What is answered at a path. */
struct code_page {
    const char *path;   /* "/ok" */
    guint status;       /* 0: nothing is answered, and the connection stays open */
    const char *header; /* "Location: ..." or NULL */
    const char *body;
    gsize repeat;      /* the body is sent so often without its length being told; 0: once, with it */
    gboolean stalls;   /* the connection stays open in the middle of the body */
    gboolean is_gated; /* the answer waits for code_server_open_gate() */
};

/* `pages` ends with a NULL path, and outlives the server. */
struct code_server *code_server_new(const struct code_page *pages);
void code_server_free(struct code_server *server);
guint code_server_port(const struct code_server *server);

/* Waits until so many requests have come. */
void code_server_wait_requests(struct code_server *server, guint count);
guint code_server_requests(struct code_server *server);
void code_server_open_gate(struct code_server *server);
