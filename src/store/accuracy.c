/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store-private.h"

#include "base/error.h"
#include "model/accuracy.h"

#include <math.h>

/* What was predicted and used, read from the columns of the history alone: the bodies need not be decoded. */

#define ACCURACY_RUNS_DEFAULT 10000
#define ACCURACY_RUNS_MAX 100000
#define ACCURACY_POINTS_DEFAULT 2000
#define ACCURACY_POINTS_MAX 2000
#define ACCURACY_GROUPS_MAX 1000

enum accuracy_column {
    COLUMN_EXECUTION_ID,
    COLUMN_FUNCTION,
    COLUMN_TENANT,
    COLUMN_LANGUAGE,
    COLUMN_SOURCE,
    COLUMN_MODEL_VERSION,
    COLUMN_ENDED_AT,
    COLUMN_REASON,
    COLUMN_RETRIES,
    COLUMN_AMOUNTS, /* five for each: p50, p90, p99, given, used */
};

#define AMOUNT_COLUMNS 5

/* Rows of an earlier version tell neither p99 and the network nor the shape at the start. A run that was refused was none. */
static const char accuracy_sql[] =
    "SELECT execution_id, function, tenant, lower(language), demand_source, model_version, ended_at, reason, retries,"
    " demand_vcpus_p50, demand_vcpus_p90, demand_vcpus_p99, coalesce(start_vcpus, shape_vcpus), vcpus,"
    " demand_memory_mib_p50, demand_memory_mib_p90, demand_memory_mib_p99,"
    " coalesce(start_memory_mib, shape_memory_mib), memory_mib,"
    " demand_network_mbps_p50, demand_network_mbps_p90, demand_network_mbps_p99, start_network_mbps, network_mbps,"
    " demand_duration_ms_p50, demand_duration_ms_p90, demand_duration_ms_p99, NULL, duration_ms"
    " FROM observation WHERE reason <> 'refused'";

static const char *accuracy_text(sqlite3_stmt *row, enum accuracy_column column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static double accuracy_number(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? NAN : sqlite3_column_double(row, column);
}

static void accuracy_read_run(sqlite3_stmt *row, struct accuracy_run *ret_run)
{
    const int reason = codec_value(&exit_reason_words, database_text(row, COLUMN_REASON));
    ret_run->ended_at = sqlite3_column_int64(row, COLUMN_ENDED_AT);
    ret_run->is_cut_short = reason != EXIT_EXITED;
    ret_run->is_out_of_memory = reason == EXIT_OUT_OF_MEMORY || sqlite3_column_int(row, COLUMN_RETRIES) > 0;
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++) {
        const int first = COLUMN_AMOUNTS + (int)i * AMOUNT_COLUMNS;
        ret_run->amounts[i].predicted = (struct quantiles){accuracy_number(row, first), accuracy_number(row, first + 1),
                                                           accuracy_number(row, first + 2)};
        ret_run->amounts[i].given = accuracy_number(row, first + 3);
        ret_run->amounts[i].used = accuracy_number(row, first + 4);
    }
}

static void append_condition(GString *sql, const char *condition, gboolean is_wanted)
{
    if (is_wanted)
        g_string_append_printf(sql, " AND %s", condition);
}

static sqlite3_stmt *accuracy_prepare(struct database *reader, const struct store_accuracy_query *query, guint limit,
                                      GError **error)
{
    g_autoptr(GString) sql = g_string_new(accuracy_sql);
    append_condition(sql, "function = ?1", query->function != NULL);
    append_condition(sql, "tenant = ?2", query->tenant != NULL);
    append_condition(sql, "language = ?3 COLLATE NOCASE", query->language != NULL);
    append_condition(sql, "ended_at >= ?4", query->since_at != 0);
    g_string_append(sql, " ORDER BY ended_at DESC LIMIT ?5");
    sqlite3_stmt *statement = database_prepare(reader, sql->str, error);
    if (statement == NULL)
        return NULL;
    if (query->function != NULL)
        database_bind_text(statement, 1, query->function);
    if (query->tenant != NULL)
        database_bind_text(statement, 2, query->tenant);
    if (query->language != NULL)
        database_bind_text(statement, 3, query->language);
    if (query->since_at != 0)
        sqlite3_bind_int64(statement, 4, query->since_at);
    sqlite3_bind_int64(statement, 5, limit);
    return statement;
}

/* A group with what its figures are made from. */
struct group_tally {
    struct accuracy_group *group;
    struct accuracy_tally *tally;
};

static void group_tally_free(gpointer data)
{
    struct group_tally *of_group = data;
    accuracy_group_free(of_group->group);
    accuracy_tally_free(of_group->tally);
    g_free(of_group);
}

/* The group of a row, without figures. */
static struct accuracy_group *group_of_row(sqlite3_stmt *row, enum accuracy_by by)
{
    struct accuracy_group *group = g_new0(struct accuracy_group, 1);
    switch (by) {
    case ACCURACY_BY_FUNCTION: /* of one name but different tenants they have nothing to do with each other */
        group->function = g_strdup(accuracy_text(row, COLUMN_FUNCTION));
        group->tenant = g_strdup(accuracy_text(row, COLUMN_TENANT));
        break;
    case ACCURACY_BY_TENANT:
        group->tenant = g_strdup(accuracy_text(row, COLUMN_TENANT));
        break;
    case ACCURACY_BY_LANGUAGE:
        group->language = g_strdup(accuracy_text(row, COLUMN_LANGUAGE));
        break;
    case ACCURACY_BY_MODEL:
        group->model_version = (guint)sqlite3_column_int64(row, COLUMN_MODEL_VERSION);
        if (sqlite3_column_type(row, COLUMN_MODEL_VERSION) == SQLITE_NULL)
            group->source = g_strdup(accuracy_text(row, COLUMN_SOURCE));
        else if (group->model_version == 0)
            group->source = g_strdup("shipped");
        break;
    }
    return group;
}

/* Names have no line ends. */
static char *group_key(const struct accuracy_group *group)
{
    const char *const names[] = {group->tenant, group->function, group->language, group->source};
    GString *key = g_string_new(NULL);
    g_string_printf(key, "%u", group->model_version);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_string_append_printf(key, "\n%s", names[i] != NULL ? names[i] : "");
    return g_string_free(key, FALSE);
}

static struct accuracy_tally *group_find_tally(GHashTable *groups, sqlite3_stmt *row, enum accuracy_by by)
{
    g_autoptr(accuracy_group_auto) group = group_of_row(row, by);
    g_autofree char *key = group_key(group);
    struct group_tally *found = g_hash_table_lookup(groups, key);
    if (found == NULL) {
        found = g_new0(struct group_tally, 1);
        found->group = g_steal_pointer(&group);
        found->tally = accuracy_tally_new();
        g_hash_table_insert(groups, g_steal_pointer(&key), found);
    }
    return found->tally;
}

static int group_compare(gconstpointer a, gconstpointer b)
{
    const struct accuracy_group *first = *(const struct accuracy_group *const *)a,
                                *second = *(const struct accuracy_group *const *)b;
    if (first->runs != second->runs)
        return first->runs > second->runs ? -1 : 1;
    g_autofree char *first_key = group_key(first), *second_key = group_key(second);
    return strcmp(first_key, second_key);
}

/* The groups with their figures, the largest first. */
static void accuracy_set_groups(struct accuracy *accuracy, GHashTable *groups)
{
    GHashTableIter iter;
    gpointer value;
    accuracy->groups = g_ptr_array_new();
    g_hash_table_iter_init(&iter, groups);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct group_tally *of_group = value;
        accuracy_tally_measure(of_group->tally, of_group->group);
        g_ptr_array_add(accuracy->groups, g_steal_pointer(&of_group->group));
    }
    g_ptr_array_sort(accuracy->groups, group_compare);
    for (; accuracy->groups->len > ACCURACY_GROUPS_MAX; accuracy->groups_left_out++)
        accuracy_group_free(g_ptr_array_remove_index(accuracy->groups, accuracy->groups->len - 1));
}

static gpointer read_accuracy(struct database *reader, gpointer data, GError **error)
{
    const struct store_accuracy_query *query = data;
    const guint limit = query->limit == 0 ? ACCURACY_RUNS_DEFAULT : MIN(query->limit, ACCURACY_RUNS_MAX);
    g_autoptr(statement_auto) statement = accuracy_prepare(reader, query, limit, error);
    if (statement == NULL)
        return NULL;
    g_autoptr(accuracy_tally_auto) total = accuracy_tally_new();
    g_autoptr(GHashTable) groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, group_tally_free);
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW) {
        struct accuracy_run run;
        accuracy_read_run(statement, &run);
        accuracy_tally_add(total, &run);
        accuracy_tally_add(group_find_tally(groups, statement, query->by), &run);
    }
    if (code != SQLITE_DONE)
        return NULL;
    g_autoptr(accuracy_auto) accuracy = g_new0(struct accuracy, 1);
    accuracy->by = query->by;
    accuracy->limit = limit;
    accuracy_tally_measure(total, &accuracy->total);
    accuracy_set_groups(accuracy, groups);
    return codec_encode(&accuracy_codec, accuracy, CODEC_CLIENT);
}

json_t *store_read_accuracy(struct store *store, const struct store_accuracy_query *query, GError **error)
{
    struct store_accuracy_query copy = *query;
    return store_with_reader(store, read_accuracy, &copy, error);
}

static json_t *point_of_row(sqlite3_stmt *row)
{
    struct accuracy_run run;
    accuracy_read_run(row, &run);
    struct accuracy_point point = {
        .execution_id = (char *)accuracy_text(row, COLUMN_EXECUTION_ID),
        .function = (char *)accuracy_text(row, COLUMN_FUNCTION),
        .tenant = (char *)accuracy_text(row, COLUMN_TENANT),
        .language = (char *)accuracy_text(row, COLUMN_LANGUAGE),
        .ended_at = run.ended_at,
        .cut_short = run.is_cut_short,
    };
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++)
        point.amounts[i] = (struct accuracy_pair){run.amounts[i].predicted.p90, accuracy_used(&run, i)};
    return codec_encode(&accuracy_point_codec, &point, CODEC_CLIENT);
}

static gpointer read_points(struct database *reader, gpointer data, GError **error)
{
    const struct store_accuracy_query *query = data;
    const guint limit = query->limit == 0 ? ACCURACY_POINTS_DEFAULT : MIN(query->limit, ACCURACY_POINTS_MAX);
    g_autoptr(statement_auto) statement = accuracy_prepare(reader, query, limit, error);
    if (statement == NULL)
        return NULL;
    json_auto_t *points = json_array();
    int code;
    while ((code = database_step(reader, statement, error)) == SQLITE_ROW)
        json_array_append_new(points, point_of_row(statement));
    return code == SQLITE_DONE ? json_pack("{s:I, s:O}", "limit", (json_int_t)limit, "points", points) : NULL;
}

json_t *store_read_accuracy_points(struct store *store, const struct store_accuracy_query *query, GError **error)
{
    struct store_accuracy_query copy = *query;
    return store_with_reader(store, read_points, &copy, error);
}
