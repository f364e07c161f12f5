/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/database.h"

#include "base/error.h"

#define BUSY_TIMEOUT_MS 10000

/* What the operator can do about a class of errors. */
static const struct {
    int code;
    const char *advice;
} database_advice[] = {
    {SQLITE_FULL, "; free some space on its file system"},
    {SQLITE_CORRUPT, "; restore it from a backup, or move it away to start with an empty one"},
    {SQLITE_NOTADB, "; right would be a database of Harbinger's, or no file"},
    {SQLITE_BUSY, "; another program has it locked"},
    {SQLITE_READONLY, "; the file or its file system may not be written to"},
    {SQLITE_CANTOPEN, "; check the permissions of the file and its directory"},
};

static const char *database_find_advice(int code)
{
    for (guint i = 0; i < G_N_ELEMENTS(database_advice); i++)
        if (database_advice[i].code == (code & 0xff))
            return database_advice[i].advice;
    return "";
}

void database_set_error(struct database *database, GError **error)
{
    const int code = sqlite3_extended_errcode(database->handle);
    hbr_error_set(error, HBR_ERROR_STORE, "%s: %s (SQLite error %d)%s", database->path,
                  sqlite3_errmsg(database->handle), code, database_find_advice(code));
}

gboolean database_run(struct database *database, const char *sql, GError **error)
{
    if (sqlite3_exec(database->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return TRUE;
    database_set_error(database, error);
    return FALSE;
}

sqlite3_stmt *database_prepare(struct database *database, const char *sql, GError **error)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        database_set_error(database, error);
    return statement;
}

int database_step(struct database *database, sqlite3_stmt *statement, GError **error)
{
    const int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        database_set_error(database, error);
    return code;
}

gboolean database_execute(struct database *database, sqlite3_stmt *statement, GError **error)
{
    const int code = database_step(database, statement, error);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

gboolean database_query_int64(struct database *database, const char *sql, gint64 *ret_value, GError **error)
{
    g_autoptr(statement_auto) statement = database_prepare(database, sql, error);
    if (statement == NULL)
        return FALSE;
    const int code = database_step(database, statement, error);
    if (code == SQLITE_DONE)
        hbr_error_set(error, HBR_ERROR_STORE, "%s: no answer to %s", database->path, sql);
    if (code != SQLITE_ROW)
        return FALSE;
    *ret_value = sqlite3_column_int64(statement, 0);
    return TRUE;
}

void database_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

const char *database_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

/* The log is overwritten in place once it has grown: journal_size_limit keeps it that long, which spares each commit the file system's
 * journal. A checkpoint every 16 MiB instead of SQLite's 4 halves the writes of pages that change often. */
static const char writer_settings[] = "PRAGMA synchronous=FULL;"
                                      "PRAGMA wal_autocheckpoint=4096;"
                                      "PRAGMA journal_size_limit=67108864;"
                                      "PRAGMA foreign_keys=ON;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA cache_size=-32768;"
                                      "PRAGMA trusted_schema=OFF;";

static const char reader_settings[] = "PRAGMA query_only=ON;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA trusted_schema=OFF;";

static gboolean database_use_wal(struct database *database, GError **error)
{
    g_autoptr(statement_auto) statement = database_prepare(database, "PRAGMA journal_mode=WAL", error);
    if (statement == NULL)
        return FALSE;
    const int code = database_step(database, statement, error);
    if (code != SQLITE_ROW || g_str_equal(database_text(statement, 0), "wal"))
        return code == SQLITE_ROW;
    hbr_error_set(error, HBR_ERROR_STORE,
                  "%s: its file system does not allow a write-ahead log; right would be a local one", database->path);
    return FALSE;
}

static gboolean database_set_up(struct database *database, gboolean is_writer, GError **error)
{
    sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(database->handle, 1);
    if (!is_writer)
        return database_run(database, reader_settings, error);
    return database_use_wal(database, error) && database_run(database, writer_settings, error);
}

/* SQLite would count its memory, under a lock that each of its allocations takes; nobody asks for the count. */
static void database_configure(void)
{
    static gsize is_done = 0;
    if (!g_once_init_enter(&is_done))
        return;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    g_once_init_leave(&is_done, 1);
}

struct database *database_open(const char *path, gboolean is_writer, GError **error)
{
    database_configure();
    g_autoptr(database_auto) database = g_new0(struct database, 1);
    database->path = g_strdup(path);
    const int flags = (is_writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &database->handle, flags, NULL) != SQLITE_OK) {
        if (database->handle == NULL)
            hbr_error_set(error, HBR_ERROR_STORE, "%s: SQLite has no memory for it", path);
        else
            database_set_error(database, error);
        return NULL;
    }
    if (!database_set_up(database, is_writer, error))
        return NULL;
    return g_steal_pointer(&database);
}

void database_close(struct database *database)
{
    if (database == NULL)
        return;
    sqlite3_close(database->handle);
    g_free(database->path);
    g_free(database);
}
