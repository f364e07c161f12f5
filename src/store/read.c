/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "model/limits.h"
#include "store/table.h"

/* What clients ask for: JSON without the members that are the store's alone. */

#define READ_LIMIT_DEFAULT 100
#define READ_LIMIT_MAX 1000

static guint read_limit(guint limit)
{
    return limit == 0 ? READ_LIMIT_DEFAULT : MIN(limit, READ_LIMIT_MAX);
}

/* The body of a row as a client sees it. */
static json_t *read_body(const struct codec *codec, sqlite3_stmt *row, int column, GError **error)
{
    const char *text = database_text(row, column);
    const gsize length = (gsize)sqlite3_column_bytes(row, column);
    gpointer object = codec_decode_text(codec, text, length, MODEL_DOCUMENT_MAX, CODEC_STORE, error);
    if (object == NULL) {
        g_prefix_error(error, "the database holds a broken %s: ", codec->what);
        return NULL;
    }
    json_t *json = codec_encode(codec, object, CODEC_CLIENT);
    codec_free(codec, object);
    return json;
}

/* All rows of the statement, whose first column is the body. */
static json_t *read_rows(struct database *reader, sqlite3_stmt *statement, const struct codec *codec, GError **error)
{
    json_auto_t *rows = json_array();
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW) {
        json_t *row = read_body(codec, statement, 0, error);
        if (row == NULL)
            return NULL;
        json_array_append_new(rows, row);
    }
    return code == SQLITE_DONE ? g_steal_pointer(&rows) : NULL;
}

struct read_list {
    const struct table *table; /* NULL: the history */
    const char *function, *tenant, *id;
    guint limit;
};

/* Open objects and final ones have indexes of their own, which this merges in the order of ids. */
static char *read_function_sql(const struct read_list *list)
{
    const char *tenant = list->tenant != NULL ? "AND tenant = ?2" : "";
    return g_strdup_printf("SELECT body FROM (SELECT id, body FROM %s WHERE final = 0 AND function = ?1 %s UNION ALL"
                           " SELECT id, body FROM %s WHERE final = 1 AND function = ?1 %s ORDER BY id DESC LIMIT ?3)",
                           list->table->name, tenant, list->table->name, tenant);
}

static char *read_list_sql(const struct read_list *list)
{
    if (list->table != NULL && list->function != NULL)
        return read_function_sql(list);
    GString *sql = g_string_new("SELECT body FROM ");
    g_string_append(sql, list->table != NULL ? list->table->name : "observation");
    g_string_append_printf(sql, " WHERE %s AND %s", list->function != NULL ? "function = ?1" : "1",
                           list->tenant != NULL ? "tenant = ?2" : "1");
    if (list->id != NULL)
        g_string_append(sql, " AND id = ?4");
    g_string_append_printf(sql, " ORDER BY %s DESC LIMIT ?3", list->table != NULL ? "id" : "ended_at");
    return g_string_free(sql, FALSE);
}

static gpointer read_list(struct database *reader, gpointer query, GError **error)
{
    const struct read_list *list = query;
    g_autofree char *sql = read_list_sql(list);
    g_autoptr(statement_auto) statement = database_prepare(reader, sql, error);
    if (statement == NULL)
        return NULL;
    if (list->function != NULL)
        database_bind_text(statement, 1, list->function);
    if (list->tenant != NULL)
        database_bind_text(statement, 2, list->tenant);
    sqlite3_bind_int64(statement, 3, read_limit(list->limit));
    if (list->id != NULL)
        database_bind_text(statement, 4, list->id);
    return read_rows(reader, statement, list->table != NULL ? list->table->codec : &observation_codec, error);
}

json_t *store_read_history(struct store *store, const struct store_history_query *query, GError **error)
{
    struct read_list list = {.function = query->function, .tenant = query->tenant, .limit = query->limit};
    return store_with_reader(store, read_list, &list, error);
}

json_t *store_read_objects(struct store *store, enum object_kind object, const char *function, const char *tenant,
                           guint limit, GError **error)
{
    struct read_list list = {.function = function, .tenant = tenant, .limit = limit};
    list.table = table_of(object, error);
    return list.table != NULL ? store_with_reader(store, read_list, &list, error) : NULL;
}

json_t *store_read_object(struct store *store, enum object_kind object, const char *id, GError **error)
{
    struct read_list list = {.id = id, .limit = 1};
    list.table = table_of(object, error);
    if (list.table == NULL)
        return NULL;
    json_auto_t *found = store_with_reader(store, read_list, &list, error);
    if (found == NULL)
        return NULL;
    if (json_array_size(found) == 0) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "there is no %s \"%s\"", list.table->name, id);
        return NULL;
    }
    return json_incref(json_array_get(found, 0));
}

/* Appends the row's file to the newest entry of `policies`, after making a new one when the version changes. */
static void read_policy_row(sqlite3_stmt *row, json_t *policies)
{
    const json_int_t version = sqlite3_column_int64(row, 0);
    json_t *entry = json_array_get(policies, json_array_size(policies) - 1);
    if (entry == NULL || json_integer_value(json_object_get(entry, "version")) != version) {
        g_autofree char *loaded_at = clock_to_rfc3339(sqlite3_column_int64(row, 1));
        entry = json_pack("{s:I, s:s?, s:[]}", "version", version, "loaded_at", loaded_at, "files");
        json_array_append_new(policies, entry);
    }
    json_array_append_new(json_object_get(entry, "files"), json_string(database_text(row, 2)));
}

static gpointer read_policies(struct database *reader, gpointer query G_GNUC_UNUSED, GError **error)
{
    static const char sql[] = "SELECT v.version, v.loaded_at, f.name FROM policy_version AS v"
                              " JOIN policy_file AS f ON f.version = v.version ORDER BY v.version DESC, f.position";
    g_autoptr(statement_auto) statement = database_prepare(reader, sql, error);
    if (statement == NULL)
        return NULL;
    json_auto_t *policies = json_array();
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW)
        read_policy_row(statement, policies);
    return code == SQLITE_DONE ? g_steal_pointer(&policies) : NULL;
}

json_t *store_read_policies(struct store *store, GError **error)
{
    return store_with_reader(store, read_policies, NULL, error);
}
