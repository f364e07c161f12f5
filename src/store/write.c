/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/write.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/table.h"

#include <string.h>

/* One transaction holds at most so many records and bytes: what waits longer for its acknowledgement is bounded by it. */
#define GROUP_RECORDS_MAX 4096
#define GROUP_BYTES_MAX (32 * 1024 * 1024)

#define TABLE_COUNT OBJECT_POLICY /* the kinds before it have a table each */

enum writer_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_OBSERVATION,
    STATEMENT_POLICY_VERSION,
    STATEMENT_POLICY_FILE,
    STATEMENT_COUNT
};

static const char *const statement_texts[] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_OBSERVATION] =
        "INSERT OR REPLACE INTO observation(execution_id, function, tenant, language, algorithm, template, code_bytes,"
        " payload_bytes, payload_items, payload_depth, input_bytes, parallelism, gpu, libraries, demand_source,"
        " demand_class, demand_score, demand_vcpus_p50, demand_vcpus_p90, demand_memory_mib_p50, demand_memory_mib_p90,"
        " demand_duration_ms_p50, demand_duration_ms_p90, ended_at, reason, status, vcpus, cpu_seconds, memory_mib,"
        " network_mbps, duration_ms, shape_vcpus, shape_memory_mib, body, model_version, demand_vcpus_p99,"
        " demand_memory_mib_p99, demand_network_mbps_p50, demand_network_mbps_p90, demand_network_mbps_p99,"
        " demand_duration_ms_p99, retries, start_vcpus, start_memory_mib, start_network_mbps)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,"
        " ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43,"
        " ?44, ?45)",
    [STATEMENT_POLICY_VERSION] = "INSERT INTO policy_version(version, loaded_at) VALUES(?1, ?2)",
    [STATEMENT_POLICY_FILE] = "INSERT INTO policy_file(version, position, name, text) VALUES(?1, ?2, ?3, ?4)",
};

struct writer {
    struct database *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    sqlite3_stmt *puts[TABLE_COUNT];
    sqlite3_stmt *deletes[TABLE_COUNT];
};

typedef struct writer writer_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(writer_auto, writer_free)

static gboolean writer_prepare_table(struct writer *writer, enum object_kind object, GError **error)
{
    const char *name = table_of(object, NULL)->name;
    g_autofree char *put = g_strdup_printf(
        "INSERT INTO %s(id, function, tenant, state, final, created_at, updated_at, body)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(id) DO UPDATE SET function = excluded.function,"
        " tenant = excluded.tenant, state = excluded.state, final = excluded.final, created_at = excluded.created_at,"
        " updated_at = excluded.updated_at, body = excluded.body",
        name);
    g_autofree char *delete = g_strdup_printf("DELETE FROM %s WHERE id = ?1", name);
    writer->puts[object] = database_prepare(writer->database, put, error);
    if (writer->puts[object] == NULL)
        return FALSE;
    writer->deletes[object] = database_prepare(writer->database, delete, error);
    return writer->deletes[object] != NULL;
}

struct writer *writer_new(struct database *database, GError **error)
{
    g_autoptr(writer_auto) writer = g_new0(struct writer, 1);
    writer->database = database;
    for (guint i = 0; i < STATEMENT_COUNT; i++) {
        writer->statements[i] = database_prepare(database, statement_texts[i], error);
        if (writer->statements[i] == NULL)
            return NULL;
    }
    for (guint i = 0; i < TABLE_COUNT; i++)
        if (!writer_prepare_table(writer, i, error))
            return NULL;
    return g_steal_pointer(&writer);
}

void writer_free(struct writer *writer)
{
    if (writer == NULL)
        return;
    for (guint i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(writer->statements[i]);
    for (guint i = 0; i < TABLE_COUNT; i++) {
        sqlite3_finalize(writer->puts[i]);
        sqlite3_finalize(writer->deletes[i]);
    }
    g_free(writer);
}

static gboolean writer_run(struct writer *writer, enum writer_statement statement, GError **error)
{
    return database_execute(writer->database, writer->statements[statement], error);
}

static gboolean writer_check_id(const struct record *record, const struct table *table, GError **error)
{
    if (record->id != NULL && record->id[0] != '\0')
        return TRUE;
    hbr_error_set(error, HBR_ERROR_STORE, "a record for the table %s has no id", table->name);
    return FALSE;
}

static gboolean writer_put(struct writer *writer, const struct record *record, GError **error)
{
    const struct table *table = table_of(record->object, error);
    if (table == NULL || !writer_check_id(record, table, error))
        return FALSE;
    if (record->body == NULL || record->state >= table->states->count) {
        hbr_error_set(error, HBR_ERROR_STORE, "the record of %s %s has %s", table->name, record->id,
                      record->body == NULL ? "no body" : "a state that does not exist");
        return FALSE;
    }
    sqlite3_stmt *put = writer->puts[record->object];
    gsize length;
    const char *body = g_bytes_get_data(record->body, &length);
    database_bind_text(put, 1, record->id);
    database_bind_text(put, 2, record->function);
    database_bind_text(put, 3, record->tenant);
    database_bind_text(put, 4, codec_word(table->states, record->state));
    sqlite3_bind_int(put, 5, record->final ? 1 : 0);
    sqlite3_bind_int64(put, 6, record->at);
    sqlite3_bind_int64(put, 7, clock_now());
    sqlite3_bind_text64(put, 8, body, length, SQLITE_STATIC, SQLITE_UTF8);
    return database_execute(writer->database, put, error);
}

static gboolean writer_delete(struct writer *writer, const struct record *record, GError **error)
{
    const struct table *table = table_of(record->object, error);
    if (table == NULL || !writer_check_id(record, table, error))
        return FALSE;
    database_bind_text(writer->deletes[record->object], 1, record->id);
    return database_execute(writer->database, writer->deletes[record->object], error);
}

static void writer_bind_code(sqlite3_stmt *row, const struct code_metadata *code)
{
    json_auto_t *libraries = json_array();
    for (guint i = 0; code->libraries != NULL && code->libraries[i] != NULL; i++)
        json_array_append_new(libraries, json_string(code->libraries[i]));
    database_bind_text(row, 2, code->function);
    database_bind_text(row, 3, code->tenant != NULL ? code->tenant : "default");
    database_bind_text(row, 4, code->language);
    database_bind_text(row, 5, code->algorithm);
    database_bind_text(row, 6, code->template);
    sqlite3_bind_int64(row, 7, code->code_bytes);
    sqlite3_bind_int64(row, 8, code->payload_bytes);
    sqlite3_bind_int64(row, 9, code->payload_items);
    sqlite3_bind_int64(row, 10, code->payload_depth);
    sqlite3_bind_int64(row, 11, code->input_bytes);
    sqlite3_bind_int64(row, 12, code->parallelism);
    sqlite3_bind_int(row, 13, code->gpu ? 1 : 0);
    sqlite3_bind_text(row, 14, json_dumps(libraries, JSON_COMPACT), -1, free);
}

/* What was predicted; NULL in these columns: nothing. */
static void writer_bind_demand(sqlite3_stmt *row, const struct demand *demand)
{
    if (demand == NULL)
        return;
    database_bind_text(row, 15, codec_word(&demand_source_words, demand->source));
    database_bind_text(row, 16, demand->class_name);
    sqlite3_bind_double(row, 17, demand->score);
    sqlite3_bind_double(row, 18, demand->vcpus.p50);
    sqlite3_bind_double(row, 19, demand->vcpus.p90);
    sqlite3_bind_double(row, 20, demand->memory_mib.p50);
    sqlite3_bind_double(row, 21, demand->memory_mib.p90);
    sqlite3_bind_double(row, 22, demand->duration_ms.p50);
    sqlite3_bind_double(row, 23, demand->duration_ms.p90);
    if (demand_has_model(demand))
        sqlite3_bind_int64(row, 35, demand->model_version);
    sqlite3_bind_double(row, 36, demand->vcpus.p99);
    sqlite3_bind_double(row, 37, demand->memory_mib.p99);
    sqlite3_bind_double(row, 38, demand->network_mbps.p50);
    sqlite3_bind_double(row, 39, demand->network_mbps.p90);
    sqlite3_bind_double(row, 40, demand->network_mbps.p99);
    sqlite3_bind_double(row, 41, demand->duration_ms.p99);
}

static void writer_bind_usage(sqlite3_stmt *row, const struct observation *observation)
{
    sqlite3_bind_int64(row, 24, observation->ended_at);
    database_bind_text(row, 25, codec_word(&exit_reason_words, observation->reason));
    sqlite3_bind_int64(row, 26, observation->status);
    sqlite3_bind_double(row, 27, observation->vcpus);
    sqlite3_bind_double(row, 28, observation->cpu_seconds);
    sqlite3_bind_double(row, 29, observation->memory_mib);
    sqlite3_bind_double(row, 30, observation->network_mbps);
    sqlite3_bind_double(row, 31, observation->duration_ms);
    sqlite3_bind_int64(row, 32, observation->shape.vcpus);
    sqlite3_bind_int64(row, 33, observation->shape.memory_mib);
    sqlite3_bind_int64(row, 42, observation->retries);
}

/* What it was given at its start. NULL: not told, or not limited. */
static void writer_bind_start(sqlite3_stmt *row, const struct vm_shape *start)
{
    if (start->vcpus > 0)
        sqlite3_bind_double(row, 43,
                            start->cpu_percent > 0 ? MIN(start->vcpus, start->cpu_percent / 100.0) : start->vcpus);
    if (start->memory_mib > 0)
        sqlite3_bind_int64(row, 44, start->memory_mib);
    if (start->network_mbps > 0)
        sqlite3_bind_int64(row, 45, start->network_mbps);
}

static gboolean writer_observe(struct writer *writer, const struct record *record, GError **error)
{
    const struct observation *observation = record->observation;
    if (observation == NULL || observation->execution_id == NULL || observation->code.function == NULL) {
        hbr_error_set(error, HBR_ERROR_STORE, "an observation without its execution or function");
        return FALSE;
    }
    sqlite3_stmt *row = writer->statements[STATEMENT_OBSERVATION];
    g_autofree char *body = codec_encode_text(&observation_codec, observation, CODEC_STORE);
    database_bind_text(row, 1, observation->execution_id);
    writer_bind_code(row, &observation->code);
    writer_bind_demand(row, observation->demand);
    writer_bind_usage(row, observation);
    writer_bind_start(row, &observation->start_shape);
    database_bind_text(row, 34, body);
    return database_execute(writer->database, row, error);
}

static gboolean writer_policy_file(struct writer *writer, guint version, guint position,
                                   const struct policy_source *source, GError **error)
{
    sqlite3_stmt *row = writer->statements[STATEMENT_POLICY_FILE];
    sqlite3_bind_int64(row, 1, version);
    sqlite3_bind_int64(row, 2, position);
    database_bind_text(row, 3, source->name);
    database_bind_text(row, 4, source->text);
    return database_execute(writer->database, row, error);
}

static gboolean writer_policy(struct writer *writer, const struct record *record, GError **error)
{
    if (record->version == 0 || record->policy_sources == NULL) {
        hbr_error_set(error, HBR_ERROR_STORE, "a policy without a version or without files");
        return FALSE;
    }
    sqlite3_stmt *row = writer->statements[STATEMENT_POLICY_VERSION];
    sqlite3_bind_int64(row, 1, record->version);
    sqlite3_bind_int64(row, 2, record->at != 0 ? record->at : clock_now());
    gboolean fine = database_execute(writer->database, row, error);
    for (guint i = 0; fine && i < record->policy_sources->len; i++)
        fine = writer_policy_file(writer, record->version, i, g_ptr_array_index(record->policy_sources, i), error);
    return fine;
}

static gboolean writer_record(struct writer *writer, const struct record *record, GError **error)
{
    switch (record->kind) {
    case RECORD_PUT:
        return writer_put(writer, record, error);
    case RECORD_DELETE:
        return writer_delete(writer, record, error);
    case RECORD_OBSERVATION:
        return writer_observe(writer, record, error);
    case RECORD_POLICY:
        return writer_policy(writer, record, error);
    }
    hbr_error_set(error, HBR_ERROR_STORE, "a record of the unknown kind %u", (guint)record->kind);
    return FALSE;
}

static gboolean writer_command(struct writer *writer, const struct command *command, GError **error)
{
    for (guint i = 0; command->records != NULL && i < command->records->len; i++)
        if (!writer_record(writer, g_ptr_array_index(command->records, i), error))
            return FALSE;
    return TRUE;
}

/* SQLite rolls back by itself on some errors (full disk, I/O), and then a second ROLLBACK would fail. */
static void writer_rollback(struct writer *writer)
{
    if (!sqlite3_get_autocommit(writer->database->handle))
        writer_run(writer, STATEMENT_ROLLBACK, NULL);
}

/* All of the `count` commands from `first` on in one transaction, or nothing. */
static gboolean writer_transaction(struct writer *writer, GList *first, guint count, GError **error)
{
    gboolean fine = writer_run(writer, STATEMENT_BEGIN, error);
    for (GList *link = first; fine && count > 0; link = link->next, count--)
        fine = writer_command(writer, link->data, error);
    fine = fine && writer_run(writer, STATEMENT_COMMIT, error);
    if (!fine)
        writer_rollback(writer);
    return fine;
}

static void writer_answer(struct command *command, GError *error, event_sink sink, gpointer sink_data)
{
    struct event *event = event_new(error == NULL ? EVENT_COMMITTED : EVENT_COMMIT_FAILED);
    event->serial = command->serial;
    event->request = command->request;
    event->error = error;
    if (error != NULL)
        event->records = g_steal_pointer(&command->records);
    sink(event, sink_data);
}

static gsize writer_bytes(const struct command *command)
{
    gsize bytes = 0;
    for (guint i = 0; command->records != NULL && i < command->records->len; i++) {
        const struct record *record = g_ptr_array_index(command->records, i);
        bytes += record->body != NULL ? g_bytes_get_size(record->body) : 0;
    }
    return bytes;
}

/* How many commands from the head on make one transaction. */
static guint writer_group_size(const GQueue *commands)
{
    guint count = 0;
    gsize records = 0, bytes = 0;
    for (const GList *link = commands->head; link != NULL; link = link->next, count++) {
        const struct command *command = link->data;
        records += command->records != NULL ? command->records->len : 0;
        bytes += writer_bytes(command);
        if (count > 0 && (records > GROUP_RECORDS_MAX || bytes > GROUP_BYTES_MAX))
            break;
    }
    return count;
}

static void writer_write_alone(struct writer *writer, GList *link, event_sink sink, gpointer sink_data)
{
    GError *error = NULL;
    if (!writer_transaction(writer, link, 1, &error))
        log_error("store", "a write failed: %s", error->message);
    writer_answer(link->data, error, sink, sink_data);
}

void writer_write(struct writer *writer, GQueue *commands, event_sink sink, gpointer sink_data)
{
    while (commands->head != NULL) {
        const guint count = writer_group_size(commands);
        g_autoptr(GError) error = NULL;
        const gboolean together = count > 1 && writer_transaction(writer, commands->head, count, &error);
        for (guint i = 0; i < count; i++) {
            if (together)
                writer_answer(commands->head->data, NULL, sink, sink_data);
            else
                writer_write_alone(writer, commands->head, sink, sink_data);
            command_free(g_queue_pop_head(commands));
        }
    }
}
