/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store-private.h"

#include "base/error.h"
#include "base/log.h"
#include "model/limits.h"
#include "store/table.h"

/* What a start reads: whole tables into the structs that the core rebuilds itself from. A row that cannot be understood is left out: the others
 * are worth more than an error. */

#define POLICY_VERSION_SQL "CASE WHEN json_valid(body) THEN json_extract(body, '$.policy_version') END"
#define LOAD_COMPLAINTS_MAX 10 /* each row that is left out is named, up to so many */

struct load_losses {
    const char *table;
    guint count;
};

static void load_lose(struct load_losses *losses, const char *id, const char *why)
{
    if (losses->count++ < LOAD_COMPLAINTS_MAX)
        log_error("store", "%s %s cannot be read and is left out: %s", losses->table, id, why);
}

static void load_tell_losses(const struct load_losses *losses)
{
    if (losses->count > 0)
        log_warning("store", "rows of the table %s that were left out: %u", losses->table, losses->count);
}

static void load_free_record(gpointer record)
{
    record_free(record);
}

static void load_free_observation(gpointer observation)
{
    observation_free(observation);
}

static void load_free_source(gpointer source)
{
    policy_source_free(source);
}

static char *load_string(sqlite3_stmt *row, int column)
{
    return g_strdup((const char *)sqlite3_column_text(row, column));
}

static GBytes *load_bytes(sqlite3_stmt *row, int column)
{
    const void *text = sqlite3_column_text(row, column);
    return g_bytes_new(text, (gsize)sqlite3_column_bytes(row, column));
}

/* NULL when its state is none that we know. */
static struct record *load_record(enum object_kind object, const struct table *table, sqlite3_stmt *row)
{
    const int state = codec_value(table->states, database_text(row, 3));
    if (state < 0)
        return NULL;
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_PUT;
    record->object = object;
    record->id = load_string(row, 0);
    record->function = load_string(row, 1);
    record->tenant = load_string(row, 2);
    record->state = (guint)state;
    record->final = sqlite3_column_int(row, 4) != 0;
    record->at = sqlite3_column_int64(row, 5);
    record->body = load_bytes(row, 6);
    record->version = (guint)sqlite3_column_int64(row, 7);
    return record;
}

static void load_row(enum object_kind object, const struct table *table, sqlite3_stmt *row, GPtrArray *records,
                     struct load_losses *losses)
{
    struct record *record = load_record(object, table, row);
    if (record != NULL) {
        g_ptr_array_add(records, record);
        return;
    }
    g_autofree char *why = g_strdup_printf("there is no state \"%s\"", database_text(row, 3));
    load_lose(losses, database_text(row, 0), why);
}

struct load_query {
    gint64 since_at;
    guint final_max;
};

static gboolean load_table(struct database *reader, enum object_kind object, const struct load_query *query,
                           GPtrArray *records, GError **error)
{
    const struct table *table = table_of(object, NULL);
    struct load_losses losses = {.table = table->name};
    const gboolean has_policy = object == OBJECT_RESERVATION || object == OBJECT_EXECUTION;
    g_autofree char *sql =
        g_strdup_printf("SELECT id, function, tenant, state, final, created_at, body, %s FROM %s WHERE final = 0 UNION"
                        " ALL SELECT * FROM (SELECT id, function, tenant, state, final, created_at, body, 0 FROM %s"
                        " WHERE final = 1 AND updated_at >= ?1 ORDER BY updated_at DESC LIMIT ?2)",
                        has_policy ? POLICY_VERSION_SQL : "0", table->name, table->name);
    g_autoptr(statement_auto) statement = database_prepare(reader, sql, error);
    if (statement == NULL)
        return FALSE;
    sqlite3_bind_int64(statement, 1, query->since_at);
    sqlite3_bind_int64(statement, 2, query->final_max);
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW)
        load_row(object, table, statement, records, &losses);
    load_tell_losses(&losses);
    return code == SQLITE_DONE;
}

static gint load_compare(gconstpointer a, gconstpointer b)
{
    const struct record *first = *(const struct record *const *)a, *second = *(const struct record *const *)b;
    if (first->at != second->at)
        return first->at < second->at ? -1 : 1;
    return first->object != second->object ? (int)first->object - (int)second->object
                                           : g_strcmp0(first->id, second->id);
}

static gpointer load_objects(struct database *reader, gpointer query, GError **error)
{
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(load_free_record);
    for (guint object = 0; object < OBJECT_POLICY; object++)
        if (!load_table(reader, object, query, records, error))
            return NULL;
    g_ptr_array_sort(records, load_compare);
    return g_steal_pointer(&records);
}

GPtrArray *store_load_objects(struct store *store, gint64 since_at, guint final_max, GError **error)
{
    struct load_query query = {.since_at = since_at, .final_max = final_max};
    return store_with_reader(store, load_objects, &query, error);
}

static void load_observation(sqlite3_stmt *row, GPtrArray *observations, struct load_losses *losses)
{
    g_autoptr(GError) problem = NULL;
    const char *text = database_text(row, 0);
    struct observation *observation = codec_decode_text(&observation_codec, text, (gsize)sqlite3_column_bytes(row, 0),
                                                        MODEL_DOCUMENT_MAX, CODEC_STORE, &problem);
    if (observation != NULL)
        g_ptr_array_add(observations, observation);
    else
        load_lose(losses, database_text(row, 1), problem->message);
}

static gpointer load_observations(struct database *reader, gpointer query, GError **error)
{
    /* The inner select reads the index alone. */
    static const char sql[] =
        "SELECT o.body, o.execution_id FROM (SELECT rowid AS row, row_number() OVER"
        " (PARTITION BY function, tenant ORDER BY ended_at DESC) AS age FROM observation) AS newest"
        " JOIN observation AS o ON o.rowid = newest.row WHERE newest.age <= ?1 ORDER BY o.ended_at, o.execution_id";
    g_autoptr(statement_auto) statement = database_prepare(reader, sql, error);
    if (statement == NULL)
        return NULL;
    sqlite3_bind_int64(statement, 1, *(const guint *)query);
    g_autoptr(GPtrArray) observations = g_ptr_array_new_with_free_func(load_free_observation);
    struct load_losses losses = {.table = "observation"};
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW)
        load_observation(statement, observations, &losses);
    load_tell_losses(&losses);
    return code == SQLITE_DONE ? g_steal_pointer(&observations) : NULL;
}

GPtrArray *store_load_observations(struct store *store, guint count, GError **error)
{
    return store_with_reader(store, load_observations, &count, error);
}

static gpointer load_policy_files(struct database *reader, gpointer query, GError **error)
{
    static const char sql[] = "SELECT name, text FROM policy_file WHERE version = ?1 ORDER BY position";
    g_autoptr(statement_auto) statement = database_prepare(reader, sql, error);
    if (statement == NULL)
        return NULL;
    sqlite3_bind_int64(statement, 1, *(const guint *)query);
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(load_free_source);
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW) {
        struct policy_source *source = g_new0(struct policy_source, 1);
        source->name = load_string(statement, 0);
        source->text = load_string(statement, 1);
        g_ptr_array_add(sources, source);
    }
    return code == SQLITE_DONE ? g_steal_pointer(&sources) : NULL;
}

/* `query` is a guint, set to the newest version; 0 when there is none. */
static gpointer load_policy_newest(struct database *reader, gpointer query, GError **error)
{
    gint64 version;
    if (!database_query_int64(reader, "SELECT coalesce(max(version), 0) FROM policy_version", &version, error))
        return NULL;
    *(guint *)query = (guint)version;
    return version > 0 ? load_policy_files(reader, query, error) : NULL;
}

GPtrArray *store_load_policy(struct store *store, guint *ret_version, GError **error)
{
    guint version = 0;
    GPtrArray *sources = store_with_reader(store, load_policy_newest, &version, error);
    *ret_version = version;
    return sources;
}

/* A version has at least one file: the writer refuses an empty list. */
static gpointer load_policy_version(struct database *reader, gpointer query, GError **error)
{
    g_autoptr(GPtrArray) sources = load_policy_files(reader, query, error);
    if (sources == NULL || sources->len > 0)
        return g_steal_pointer(&sources);
    hbr_error_set(error, HBR_ERROR_NOT_FOUND, "there is no policy version %u", *(const guint *)query);
    return NULL;
}

GPtrArray *store_load_policy_version(struct store *store, guint version, GError **error)
{
    return store_with_reader(store, load_policy_version, &version, error);
}
