/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/prune.h"

/* Hosts are never final: they are deleted when they are detached. */
static const char *const prune_statements[] = {
    "DELETE FROM reservation WHERE rowid IN (SELECT rowid FROM reservation WHERE final = 1 AND updated_at < ?1"
    " ORDER BY updated_at LIMIT ?2)",
    "DELETE FROM execution WHERE rowid IN (SELECT rowid FROM execution WHERE final = 1 AND updated_at < ?1"
    " ORDER BY updated_at LIMIT ?2)",
    "DELETE FROM instance WHERE rowid IN (SELECT rowid FROM instance WHERE final = 1 AND updated_at < ?1"
    " ORDER BY updated_at LIMIT ?2)",
    "DELETE FROM observation WHERE rowid IN (SELECT rowid FROM observation WHERE ended_at < ?1"
    " ORDER BY ended_at LIMIT ?2)",
};

static gboolean prune_run(struct database *database, const char *sql, gint64 before_at, gboolean *is_done,
                          GError **error)
{
    g_autoptr(statement_auto) statement = database_prepare(database, sql, error);
    if (statement == NULL)
        return FALSE;
    sqlite3_bind_int64(statement, 1, before_at);
    sqlite3_bind_int(statement, 2, PRUNE_ROWS_MAX);
    if (!database_execute(database, statement, error))
        return FALSE;
    *is_done = *is_done && sqlite3_changes(database->handle) < PRUNE_ROWS_MAX;
    return TRUE;
}

gboolean prune_batch(struct database *database, gint64 before_at, gboolean *ret_is_done, GError **error)
{
    gboolean is_done = TRUE;
    gboolean fine = database_run(database, "BEGIN IMMEDIATE", error);
    for (guint i = 0; fine && i < G_N_ELEMENTS(prune_statements); i++)
        fine = prune_run(database, prune_statements[i], before_at, &is_done, error);
    fine = fine && database_run(database, "COMMIT", error);
    if (!fine && !sqlite3_get_autocommit(database->handle))
        database_run(database, "ROLLBACK", NULL);
    if (fine)
        *ret_is_done = is_done;
    return fine;
}
