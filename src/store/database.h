/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/* One SQLite connection with our settings, and SQLite's errors as ours. A connection belongs to one thread at a time. */

struct database {
    sqlite3 *handle;
    char *path;
};

/* The writer's connection (WAL, synchronous=FULL) or a reader's. NULL with HBR_ERROR_STORE. */
struct database *database_open(const char *path, gboolean is_writer, GError **error);

/* All statements must be finalized. NULL is accepted. */
void database_close(struct database *database);

/* SQL without results, one statement or several. */
gboolean database_run(struct database *database, const char *sql, GError **error);

/* A statement to be kept; free with sqlite3_finalize. */
sqlite3_stmt *database_prepare(struct database *database, const char *sql, GError **error);

/* Steps to the next row: SQLITE_ROW, SQLITE_DONE, or another code with `error` set. */
int database_step(struct database *database, sqlite3_stmt *statement, GError **error);

/* Steps a statement without results, and resets it whatever came of it. */
gboolean database_execute(struct database *database, sqlite3_stmt *statement, GError **error);

/* The first column of the first row. */
gboolean database_query_int64(struct database *database, const char *sql, gint64 *ret_value, GError **error);

/* Sets `error` from the connection's last one. */
void database_set_error(struct database *database, GError **error);

/* NULL binds NULL. The text must live until the statement is reset. */
void database_bind_text(sqlite3_stmt *statement, int index, const char *text);

/* The statement's text, "" for NULL; valid until the next step. */
const char *database_text(sqlite3_stmt *statement, int column);

typedef sqlite3_stmt statement_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(statement_auto, sqlite3_finalize)
typedef struct database database_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(database_auto, database_close)
