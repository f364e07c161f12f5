/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/code-store.h"
#include "core/command.h"

/* Serves the core's commands for code: from the store, else over HTTP. One thread of its own does it all, so that a hundred slow servers hold nobody
 * up. */

struct code_cache;

struct code_cache_settings {
    struct code_store *store; /* outlives it */
    guint low_speed_s;        /* a server that sends next to nothing for so long is given up; 0: 10 */
};

struct code_cache *code_cache_new(const struct code_cache_settings *settings, event_sink sink, gpointer sink_data);

/* Takes a COMMAND_CODE_FETCH, which is answered by EVENT_CODE, or a COMMAND_CODE_KEEP. Any thread; never blocks. */
void code_cache_submit(struct code_cache *cache, struct command *command);

/* Breaks off what is being fetched, unanswered. NULL is accepted. */
void code_cache_free(struct code_cache *cache);
