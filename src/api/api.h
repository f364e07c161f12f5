/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/code-store.h"
#include "core/command.h"
#include "learn/learner.h"
#include "store/store.h"

/* The HTTP listeners. Their own threads decode and bound requests, post an event and suspend the connection; api_submit() hands
 * the core's answers back to them. */

struct api;

struct api_settings {
    const char *socket_path; /* UNIX socket, made with mode 0660 */
    const char *tcp_address; /* "127.0.0.1:7475"; NULL: no TCP */
    guint connections_max;
    gint64
        request_timeout_ms; /* a client that sends or reads nothing for so long is cut off (waiting for our answer does not count) */
    const char *version;
    struct code_store *code; /* outlives it; NULL: code cannot be uploaded */
    struct registry *models; /* the same, as the next; both NULL: models are not learned */
    struct learner *learner;
};

/* Listens. `store` is read for history, policies and objects that the core no longer holds. NULL with an error that names the address. */
struct api *api_new(const struct api_settings *settings, struct store *store, event_sink sink, gpointer sink_data,
                    GError **error);

/* Takes each COMMAND_REPLY and COMMAND_STREAM of `commands` (struct command, in order), and leaves it empty. One thread at a time, not beside
 * api_free(); never blocks. A request whose client is gone is dropped silently. */
void api_submit(struct api *api, GPtrArray *commands);

/* The TCP port in use; 0 without TCP. For addresses that asked for port 0. */
guint api_tcp_port(const struct api *api);

/* Stops listening and ends all connections; `sink` is still called meanwhile, for requests that lose their client. NULL is accepted. */
void api_free(struct api *api);
