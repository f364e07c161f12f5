/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/schema.h"

#include "base/error.h"
#include "base/log.h"

#define APPLICATION_ID 0x48425252 /* "HBRR" */
#define APPLICATION_ID_SQL "1212306002"
G_STATIC_ASSERT(APPLICATION_ID == 1212306002);

/* Up to this size the whole file is checked at the start; it takes well below a second. */
#define CHECK_BYTES_MAX (64 * 1024 * 1024)

/* Rows of live and finished objects; `body` is the object in JSON, the other columns are what one looks for. Ids sort by creation. The first
 * index finds what a restart needs. */
#define OBJECT_TABLE(name)                                                                                    \
    "CREATE TABLE " name "(id TEXT NOT NULL PRIMARY KEY, function TEXT, tenant TEXT, state TEXT NOT NULL,"    \
    " final INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, body TEXT NOT NULL);" \
    "CREATE INDEX " name "_open ON " name "(id) WHERE final = 0;"                                             \
    "CREATE INDEX " name "_final ON " name "(updated_at) WHERE final = 1;"

/* A migration is never edited once it was released: the next change is the next row. */
static const char *const schema_migrations[] = {
    /* 1 */
    "CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    /* clang-format off */
    OBJECT_TABLE("reservation")
    OBJECT_TABLE("execution")
    OBJECT_TABLE("instance")
    OBJECT_TABLE("host")
    /* clang-format on */
    "CREATE INDEX reservation_function ON reservation(function, id) WHERE function IS NOT NULL;"
    "CREATE INDEX execution_function ON execution(function, id) WHERE function IS NOT NULL;"
    "CREATE TABLE observation(execution_id TEXT NOT NULL PRIMARY KEY, function TEXT NOT NULL, tenant TEXT NOT NULL,"
    " language TEXT, algorithm TEXT, template TEXT, code_bytes INTEGER NOT NULL, payload_bytes INTEGER NOT NULL,"
    " payload_items INTEGER NOT NULL, payload_depth INTEGER NOT NULL, input_bytes INTEGER NOT NULL,"
    " parallelism INTEGER NOT NULL, gpu INTEGER NOT NULL, libraries TEXT NOT NULL," /* a JSON array */
    " demand_source TEXT, demand_class TEXT, demand_score REAL, demand_vcpus_p50 REAL, demand_vcpus_p90 REAL,"
    " demand_memory_mib_p50 REAL, demand_memory_mib_p90 REAL, demand_duration_ms_p50 REAL,"
    " demand_duration_ms_p90 REAL, ended_at INTEGER NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL,"
    " vcpus REAL NOT NULL, cpu_seconds REAL NOT NULL, memory_mib REAL NOT NULL, network_mbps REAL NOT NULL,"
    " duration_ms REAL NOT NULL, shape_vcpus INTEGER NOT NULL, shape_memory_mib INTEGER NOT NULL, body TEXT NOT NULL);"
    "CREATE INDEX observation_function ON observation(function, tenant, ended_at);"
    "CREATE INDEX observation_ended ON observation(ended_at);"
    "CREATE TABLE policy_version(version INTEGER NOT NULL PRIMARY KEY, loaded_at INTEGER NOT NULL);"
    "CREATE TABLE policy_file(version INTEGER NOT NULL REFERENCES policy_version(version) ON DELETE CASCADE,"
    " position INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY(version, position)) WITHOUT ROWID;",
    /* 2: an index by function is a page of its own for each new row; those of open objects, which are few, are found without. */
    "DROP INDEX reservation_function;"
    "CREATE INDEX reservation_function ON reservation(function, id) WHERE final = 1;"
    "DROP INDEX execution_function;"
    "CREATE INDEX execution_function ON execution(function, id) WHERE final = 1;",
    /* 3: what the accuracy of predictions is computed from. Rows of before have NULL there. */
    "ALTER TABLE observation ADD COLUMN model_version INTEGER;"
    "ALTER TABLE observation ADD COLUMN demand_vcpus_p99 REAL;"
    "ALTER TABLE observation ADD COLUMN demand_memory_mib_p99 REAL;"
    "ALTER TABLE observation ADD COLUMN demand_network_mbps_p50 REAL;"
    "ALTER TABLE observation ADD COLUMN demand_network_mbps_p90 REAL;"
    "ALTER TABLE observation ADD COLUMN demand_network_mbps_p99 REAL;"
    "ALTER TABLE observation ADD COLUMN demand_duration_ms_p99 REAL;"
    "ALTER TABLE observation ADD COLUMN retries INTEGER;"
    "ALTER TABLE observation ADD COLUMN start_vcpus REAL;" /* that it could keep busy: the cap counts */
    "ALTER TABLE observation ADD COLUMN start_memory_mib INTEGER;"
    "ALTER TABLE observation ADD COLUMN start_network_mbps INTEGER;", /* NULL: not limited */
    /* 4: version 0 is that of the shipped model from now on; before, also of none. */
    "UPDATE observation SET model_version = NULL WHERE model_version = 0;",
};

guint schema_version(void)
{
    return G_N_ELEMENTS(schema_migrations);
}

static gboolean schema_check_owner(struct database *database, GError **error)
{
    gint64 application_id, table_count;
    if (!database_query_int64(database, "PRAGMA application_id", &application_id, error) ||
        !database_query_int64(database, "SELECT count(*) FROM sqlite_schema", &table_count, error))
        return FALSE;
    if (application_id == APPLICATION_ID || (application_id == 0 && table_count == 0))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_STORE,
                  "%s is the database of another program; right would be one of Harbinger's, or no file",
                  database->path);
    return FALSE;
}

static gboolean schema_check_damage(struct database *database, GError **error)
{
    gint64 pages, page_bytes;
    if (!database_query_int64(database, "PRAGMA page_count", &pages, error) ||
        !database_query_int64(database, "PRAGMA page_size", &page_bytes, error))
        return FALSE;
    if (pages * page_bytes > CHECK_BYTES_MAX)
        return TRUE;
    g_autoptr(statement_auto) statement = database_prepare(database, "PRAGMA quick_check(1)", error);
    if (statement == NULL)
        return FALSE;
    const int code = database_step(database, statement, error);
    if (code != SQLITE_ROW || g_str_equal(database_text(statement, 0), "ok"))
        return code == SQLITE_ROW;
    hbr_error_set(error, HBR_ERROR_STORE,
                  "%s is damaged: %s; restore it from a backup, or move it away to start with an empty one",
                  database->path, database_text(statement, 0));
    return FALSE;
}

static gboolean schema_apply(struct database *database, guint version, GError **error)
{
    g_autofree char *sql = g_strdup_printf("BEGIN IMMEDIATE;%s PRAGMA application_id=" APPLICATION_ID_SQL
                                           "; PRAGMA user_version=%u; COMMIT",
                                           schema_migrations[version - 1], version);
    if (database_run(database, sql, error))
        return TRUE;
    if (!sqlite3_get_autocommit(database->handle))
        database_run(database, "ROLLBACK", NULL);
    g_prefix_error(error, "schema version %u: ", version);
    return FALSE;
}

gboolean schema_migrate(struct database *database, GError **error)
{
    gint64 version;
    if (!schema_check_owner(database, error) || !schema_check_damage(database, error) ||
        !database_query_int64(database, "PRAGMA user_version", &version, error))
        return FALSE;
    if (version < 0 || version > schema_version()) {
        hbr_error_set(error, HBR_ERROR_STORE,
                      "%s was written by a later Harbinger (schema version %" G_GINT64_FORMAT
                      ", this one knows %u); right would be that release or a newer one",
                      database->path, version, schema_version());
        return FALSE;
    }
    for (guint next = (guint)version + 1; next <= schema_version(); next++) {
        if (!schema_apply(database, next, error))
            return FALSE;
        log_info("store", "%s has schema version %u now", database->path, next);
    }
    return TRUE;
}
