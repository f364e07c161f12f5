/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"
#include "model/accuracy.h"

/* The database: one SQLite file in WAL mode, one writer thread that groups all waiting COMMAND_PERSIST into one durable
 * transaction (synchronous=FULL), and readers of their own connections for any other thread. */

struct store;

/* Opens or makes the database at `path` (mode 0600) and brings its schema up to date. Before store_start() only the opening thread
 * may use it. NULL with HBR_ERROR_STORE, also for a schema of a later version. */
struct store *store_open(const char *path, GError **error);

/* What ended more than `keep_us` ago is removed: final objects and observations, in small batches when nothing waits to be written. 0: nothing is. Before
 * store_start(). */
void store_set_retention(struct store *store, gint64 keep_us);

/* Starts the writer. Its events go to `sink`. */
void store_start(struct store *store, event_sink sink, gpointer sink_data);

/* Takes a COMMAND_PERSIST. Never blocks. Any thread. */
void store_submit(struct store *store, struct command *command);

/* Writes what is waiting, ends the writer, closes. NULL is accepted. */
void store_free(struct store *store);

/* What the core needs to rebuild itself: struct record (RECORD_PUT) of every object that is not final, and of those final ones that ended since
 * `since_at` (for idempotency keys), of each kind the newest `final_max`; oldest first. Rows that cannot be understood are left out, logged and counted there; so below. Free with g_ptr_array_unref. */
GPtrArray *store_load_objects(struct store *store, gint64 since_at, guint final_max, GError **error);

/* The newest `count` observations of each function, oldest first: struct observation. Free with g_ptr_array_unref. */
GPtrArray *store_load_observations(struct store *store, guint count, GError **error);

/* The newest policy: its sources and number; *ret_version is 0 when there is none (and NULL is returned without an error). */
GPtrArray *store_load_policy(struct store *store, guint *ret_version, GError **error);

/* The sources of one version, NULL with HBR_ERROR_NOT_FOUND. */
GPtrArray *store_load_policy_version(struct store *store, guint version, GError **error);

/* This installation's own id, made at the first call: the owner written on domains. Free with g_free. */
char *store_identity(struct store *store, GError **error);

/* Reads for the API; any thread, at the same time as the writer. Each a new JSON value (owned by the caller), or NULL with an
 * error. */
struct store_history_query {
    const char *function, *tenant; /* NULL: any */
    guint limit;                   /* 0: 100; at most 1000 */
};
json_t *store_read_history(struct store *store, const struct store_history_query *query, GError **error);

/* How good predictions were: struct accuracy, over the newest runs that are asked for. */
struct store_accuracy_query {
    enum accuracy_by by;                      /* of store_read_accuracy() alone */
    const char *function, *tenant, *language; /* NULL: any */
    gint64 since_at;                          /* that ended since then; 0: ever */
    guint limit;                              /* 0: 10,000 runs or 2,000 points; at most 100,000 and 2,000 */
};
json_t *store_read_accuracy(struct store *store, const struct store_accuracy_query *query, GError **error);

/* The runs themselves, newest first: {"limit", "points": [struct accuracy_point]}. */
json_t *store_read_accuracy_points(struct store *store, const struct store_accuracy_query *query, GError **error);

json_t *store_read_policies(struct store *store, GError **error); /* [{version, loaded_at, files}] */
json_t *store_read_object(struct store *store, enum object_kind object, const char *id, GError **error);
json_t *store_read_objects(struct store *store, enum object_kind object, const char *function, const char *tenant,
                           guint limit, GError **error); /* newest first, finished ones too */
