/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "store-support.h"
#include "store/schema.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SOME_DAY (1700000000 * CLOCK_SECOND)

static struct store_bed bed;

static void set_up(void)
{
    store_bed_init(&bed);
}

static void tear_down(void)
{
    store_bed_clear(&bed);
}

static struct store *open_store(void)
{
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(bed.path, &error);
    ck_assert_msg(store != NULL, "%s", error != NULL ? error->message : "");
    store_start(store, store_bed_sink, bed.events);
    return store;
}

/* Opening must fail with a message that contains `part`. */
static void expect_refused(const char *part)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(store_open(bed.path, &error));
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_STORE));
    ck_assert_msg(strstr(error->message, part) != NULL, "\"%s\" does not say \"%s\"", error->message, part);
}

static void run_sql(const char *sql)
{
    sqlite3 *handle;
    ck_assert_int_eq(sqlite3_open(bed.path, &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

static void submit(struct store *store, struct command *command)
{
    const guint64 serial = command->serial;
    store_submit(store, command);
    g_autofree char *message = store_bed_expect(&bed, serial, EVENT_COMMITTED);
    ck_assert_ptr_null(message);
}

static void put_one(struct store *store, guint64 serial, const char *id, enum execution_state state, gint64 at)
{
    struct command *command = store_command_new(serial);
    store_command_put(command, id, "sort", state, at, 0);
    submit(store, command);
}

static GPtrArray *load_newest(struct store *store, gint64 since_at, guint final_max)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *records = store_load_objects(store, since_at, final_max, &error);
    ck_assert_msg(records != NULL, "%s", error != NULL ? error->message : "");
    return records;
}

static GPtrArray *load(struct store *store, gint64 since_at)
{
    return load_newest(store, since_at, 10000);
}

/* "id/state" of every record, in order. */
static char *describe(const GPtrArray *records)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < records->len; i++) {
        const struct record *record = g_ptr_array_index(records, i);
        g_string_append_printf(text, "%s%s/%u", i > 0 ? " " : "", record->id, record->state);
    }
    return g_string_free(text, FALSE);
}

/* Rule: what was acknowledged is there after a restart, oldest first, the last write of an object wins. */
START_TEST(test_put_and_load)
{
    struct store *store = open_store();
    put_one(store, 1, "exec-b", EXECUTION_QUEUED, SOME_DAY + 2000);
    put_one(store, 2, "exec-a", EXECUTION_QUEUED, SOME_DAY + 1000);
    put_one(store, 3, "exec-b", EXECUTION_RUNNING, SOME_DAY + 2000);
    store_free(store);

    store = open_store();
    g_autoptr(GPtrArray) records = load(store, 0);
    g_autofree char *text = describe(records);
    ck_assert_str_eq(text, "exec-a/0 exec-b/2");
    const struct record *record = g_ptr_array_index(records, 1);
    ck_assert_int_eq(record->object, OBJECT_EXECUTION);
    ck_assert_str_eq(record->function, "sort");
    ck_assert_str_eq(record->tenant, "default");
    ck_assert_int_eq(record->at, SOME_DAY + 2000);
    ck_assert(!record->final);
    gsize length;
    const char *body = g_bytes_get_data(record->body, &length);
    g_autoptr(execution_auto) execution = codec_decode_text(&execution_codec, body, length, 65536, CODEC_STORE, NULL);
    ck_assert_ptr_nonnull(execution);
    ck_assert_str_eq(execution->id, "exec-b");
    ck_assert_int_eq(execution->state, EXECUTION_RUNNING);
    store_free(store);
}
END_TEST

/* Rule: final objects are loaded only when they ended since the time asked for; deleted ones never. */
START_TEST(test_load_leaves_out_final_and_deleted)
{
    struct store *store = open_store();
    put_one(store, 1, "exec-a", EXECUTION_FINISHED, SOME_DAY + 1000);
    put_one(store, 2, "exec-b", EXECUTION_QUEUED, SOME_DAY + 2000);
    put_one(store, 3, "exec-c", EXECUTION_QUEUED, SOME_DAY + 3000);
    struct command *removal = store_command_new(4);
    store_command_put(removal, "exec-c", "sort", EXECUTION_QUEUED, 0, 0);
    ((struct record *)g_ptr_array_index(removal->records, 0))->kind = RECORD_DELETE;
    submit(store, removal);

    g_autoptr(GPtrArray) recent = load(store, clock_now() - CLOCK_HOUR);
    g_autofree char *recent_text = describe(recent);
    ck_assert_str_eq(recent_text, "exec-a/3 exec-b/0");
    g_autoptr(GPtrArray) open = load(store, clock_now() + CLOCK_HOUR);
    g_autofree char *open_text = describe(open);
    ck_assert_str_eq(open_text, "exec-b/0");
    store_free(store);
}
END_TEST

/* Rule: of the final objects only so many are loaded as the core would keep, the newest; open ones all. */
START_TEST(test_load_newest_final)
{
    struct store *store = open_store();
    put_one(store, 1, "exec-a", EXECUTION_QUEUED, SOME_DAY + 1000);
    put_one(store, 2, "exec-b", EXECUTION_FINISHED, SOME_DAY + 2000);
    put_one(store, 3, "exec-c", EXECUTION_FINISHED, SOME_DAY + 3000);
    put_one(store, 4, "exec-d", EXECUTION_FINISHED, SOME_DAY + 4000);
    put_one(store, 5, "exec-e", EXECUTION_QUEUED, SOME_DAY + 5000);
    g_autoptr(GPtrArray) records = load_newest(store, 0, 2);
    g_autofree char *text = describe(records);
    ck_assert_str_eq(text, "exec-a/0 exec-c/3 exec-d/3 exec-e/0");
    g_autoptr(GPtrArray) open = load_newest(store, 0, 0);
    ck_assert_uint_eq(open->len, 2);
    store_free(store);
}
END_TEST

/* Rule: open objects tell the policy version that they were made under, ended ones need it no more. */
START_TEST(test_load_policy_version)
{
    struct store *store = open_store();
    put_one(store, 1, "exec-a", EXECUTION_QUEUED, SOME_DAY + 1000);
    put_one(store, 2, "exec-b", EXECUTION_FINISHED, SOME_DAY + 2000);
    put_one(store, 3, "exec-c", EXECUTION_QUEUED, SOME_DAY + 3000);
    store_free(store);
    run_sql("UPDATE execution SET body = json_set(body, '$.policy_version', 77);"
            "UPDATE execution SET body = '{\"policy_version\":' WHERE id = 'exec-c'");
    store = open_store();
    g_autoptr(GPtrArray) records = load(store, 0);
    static const guint expected[] = {77, 0, 0};
    ck_assert_uint_eq(records->len, G_N_ELEMENTS(expected));
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        ck_assert_uint_eq(((const struct record *)g_ptr_array_index(records, i))->version, expected[i]);
    store_free(store);
}
END_TEST

/* Rule: one answer for each command, in the order of the commands, however they were grouped. */
START_TEST(test_answers_in_order)
{
    struct store *store = open_store();
    for (guint64 serial = 1; serial <= 500; serial++) {
        g_autofree char *id = g_strdup_printf("exec-%03u", (guint)serial);
        struct command *command = store_command_new(serial);
        store_command_put(command, id, "sort", EXECUTION_QUEUED, SOME_DAY + (gint64)serial, 100);
        store_submit(store, command);
    }
    for (guint64 serial = 1; serial <= 500; serial++)
        g_free(store_bed_expect(&bed, serial, EVENT_COMMITTED));
    g_autoptr(GPtrArray) records = load(store, 0);
    ck_assert_uint_eq(records->len, 500);
    store_free(store);
}
END_TEST

/* Rule: what waits when the store is freed is written first. */
START_TEST(test_free_writes_what_waits)
{
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(bed.path, &error);
    ck_assert_ptr_nonnull(store);
    for (guint64 serial = 1; serial <= 50; serial++) {
        g_autofree char *id = g_strdup_printf("exec-%03u", (guint)serial);
        struct command *command = store_command_new(serial);
        store_command_put(command, id, NULL, EXECUTION_QUEUED, SOME_DAY + 1, 0);
        store_submit(store, command);
    }
    store_start(store, store_bed_sink, bed.events);
    store_free(store);
    for (guint64 serial = 1; serial <= 50; serial++)
        g_free(store_bed_expect(&bed, serial, EVENT_COMMITTED));
}
END_TEST

static struct command *observation_command(guint64 serial, const char *id, const char *function, gint64 ended_at)
{
    struct demand demand = {.source = DEMAND_RULES, .class_name = (char *)"low", .vcpus = {1, 2, 3}};
    char *libraries[] = {(char *)"numpy", NULL};
    struct observation observation = {
        .execution_id = (char *)id,
        .code = {.function = (char *)function, .language = (char *)"python", .libraries = libraries},
        .demand = &demand,
        .ended_at = SOME_DAY + ended_at,
        .reason = EXIT_SIGNALLED,
        .status = 9,
        .vcpus = 1.5,
        .memory_mib = 300,
        .duration_ms = 1234.5,
        .shape = {.vcpus = 2, .memory_mib = 512},
    };
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_OBSERVATION;
    record->observation = observation_copy(&observation);
    struct command *command = store_command_new(serial);
    g_ptr_array_add(command->records, record);
    return command;
}

/* Rule: the history keeps every execution once, and gives the newest of each function. */
START_TEST(test_observations)
{
    struct store *store = open_store();
    for (guint i = 1; i <= 5; i++) {
        g_autofree char *first = g_strdup_printf("exec-a%u", i), *second = g_strdup_printf("exec-b%u", i);
        submit(store, observation_command(2 * i, first, "sort", 1000 * i));
        submit(store, observation_command(2 * i + 1, second, "join", 1000 * i + 1));
    }
    submit(store, observation_command(99, "exec-a5", "sort", 5000));

    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) observations = store_load_observations(store, 2, &error);
    ck_assert_msg(observations != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_uint_eq(observations->len, 4);
    static const char *const expected[] = {"exec-a4", "exec-b4", "exec-a5", "exec-b5"};
    for (guint i = 0; i < 4; i++)
        ck_assert_str_eq(((struct observation *)g_ptr_array_index(observations, i))->execution_id, expected[i]);
    const struct observation *newest = g_ptr_array_index(observations, 2);
    ck_assert_int_eq(newest->reason, EXIT_SIGNALLED);
    ck_assert_double_eq(newest->duration_ms, 1234.5);
    ck_assert_double_eq(newest->demand->vcpus.p90, 2);
    ck_assert_str_eq(newest->code.libraries[0], "numpy");
    store_free(store);
}
END_TEST

/* Rule: a row that cannot be understood is left out, it does not keep the others back. */
START_TEST(test_spoilt_rows)
{
    struct store *store = open_store();
    put_one(store, 1, "exec-a", EXECUTION_QUEUED, SOME_DAY + 1000);
    put_one(store, 2, "exec-b", EXECUTION_QUEUED, SOME_DAY + 2000);
    submit(store, observation_command(3, "exec-a", "sort", 1000));
    submit(store, observation_command(4, "exec-b", "sort", 2000));
    submit(store, observation_command(5, "exec-c", "sort", 3000));
    store_free(store);
    run_sql("UPDATE execution SET state = 'bewitched' WHERE id = 'exec-a';"
            "UPDATE observation SET body = '{\"execution_id\":' WHERE execution_id = 'exec-a';"
            "UPDATE observation SET body = '' WHERE execution_id = 'exec-b';");

    store = open_store();
    g_autoptr(GPtrArray) records = load(store, 0);
    g_autofree char *text = describe(records);
    ck_assert_str_eq(text, "exec-b/0");
    g_autoptr(GPtrArray) observations = store_load_observations(store, 10, NULL);
    ck_assert_ptr_nonnull(observations);
    ck_assert_uint_eq(observations->len, 1);
    ck_assert_str_eq(((struct observation *)g_ptr_array_index(observations, 0))->execution_id, "exec-c");
    store_free(store);
}
END_TEST

static gint64 count_rows(const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *row;
    ck_assert_int_eq(sqlite3_open(bed.path, &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    const gint64 count = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return count;
}

static void put_many(struct store *store, guint64 serial, char prefix, enum execution_state state, guint count)
{
    struct command *command = store_command_new(serial);
    for (guint i = 0; i < count; i++) {
        g_autofree char *id = g_strdup_printf("exec-%c%u", prefix, i);
        store_command_put(command, id, "sort", state, SOME_DAY, 0);
    }
    submit(store, command);
}

#define OLD_ROWS "SELECT (SELECT count(*) FROM execution WHERE id LIKE 'exec-o%') + (SELECT count(*) FROM observation)"

/* Rule: what ended before the time that is kept goes, however much it is; what is open or ended later stays. */
START_TEST(test_retention)
{
    struct store *store = open_store();
    put_many(store, 1, 'o', EXECUTION_FINISHED, 600);
    put_many(store, 2, 'q', EXECUTION_QUEUED, 3);
    submit(store, observation_command(3, "exec-o1", "sort", 0));
    store_free(store);
    run_sql("UPDATE execution SET updated_at = 1000");
    ck_assert_int_eq(count_rows(OLD_ROWS), 601);

    store = store_open(bed.path, NULL);
    store_set_retention(store, 24 * CLOCK_HOUR);
    store_start(store, store_bed_sink, bed.events);
    for (guint64 serial = 4; count_rows(OLD_ROWS) > 0; serial++)
        put_one(store, serial, "exec-new", EXECUTION_FINISHED, SOME_DAY);
    store_free(store);
    ck_assert_int_eq(count_rows("SELECT count(*) FROM execution WHERE id LIKE 'exec-q%'"), 3);
    ck_assert_int_le(count_rows("SELECT count(*) FROM execution"), 4);
}
END_TEST

/* Rule: without a time to keep, what is old stays. */
START_TEST(test_keep_for_ever)
{
    struct store *store = open_store();
    put_many(store, 1, 'o', EXECUTION_FINISHED, 3);
    store_free(store);
    run_sql("UPDATE execution SET updated_at = 1000");
    store = open_store();
    put_one(store, 2, "exec-new", EXECUTION_FINISHED, SOME_DAY);
    store_free(store);
    ck_assert_int_eq(count_rows(OLD_ROWS), 3);
}
END_TEST

/* Rule: the history's columns can be queried in SQL, without our programs. */
START_TEST(test_observation_columns)
{
    struct store *store = open_store();
    submit(store, observation_command(1, "exec-a1", "sort", 1000));
    store_free(store);
    sqlite3 *handle;
    sqlite3_stmt *row;
    ck_assert_int_eq(sqlite3_open(bed.path, &handle), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(handle,
                           "SELECT function, tenant, language, libraries, demand_vcpus_p90, reason, vcpus,"
                           " memory_mib, duration_ms, shape_memory_mib, body ->> '$.status' FROM observation",
                           -1, &row, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    static const char *const expected[] = {"sort", "default", "python", "[\"numpy\"]", "2.0", "signalled",
                                           "1.5",  "300.0",   "1234.5", "512",         "9"};
    for (int i = 0; i < (int)G_N_ELEMENTS(expected); i++)
        ck_assert_str_eq((const char *)sqlite3_column_text(row, i), expected[i]);
    sqlite3_finalize(row);
    sqlite3_close(handle);
}
END_TEST

static void free_source(gpointer source)
{
    policy_source_free(source);
}

static struct command *policy_command(guint64 serial, guint version, const char *text)
{
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_POLICY;
    record->version = version;
    record->at = CLOCK_SECOND;
    record->policy_sources = g_ptr_array_new_with_free_func(free_source);
    const struct policy_source sources[] = {{(char *)"a.yaml", (char *)text}, {(char *)"b.yaml", (char *)""}};
    for (guint i = 0; i < G_N_ELEMENTS(sources); i++)
        g_ptr_array_add(record->policy_sources, policy_source_copy(&sources[i]));
    struct command *command = store_command_new(serial);
    g_ptr_array_add(command->records, record);
    return command;
}

/* Rule: policies are numbered versions; each stays readable, the newest is found, a number is used once. */
START_TEST(test_policies)
{
    struct store *store = open_store();
    guint version = 99;
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(store_load_policy(store, &version, &error));
    ck_assert_ptr_null(error);
    ck_assert_uint_eq(version, 0);

    submit(store, policy_command(1, 1, "one: 1\n"));
    submit(store, policy_command(2, 2, "two: 2\n"));
    store_submit(store, policy_command(3, 2, "again: 2\n"));
    g_free(store_bed_expect(&bed, 3, EVENT_COMMIT_FAILED));

    g_autoptr(GPtrArray) newest = store_load_policy(store, &version, &error);
    ck_assert_uint_eq(version, 2);
    ck_assert_uint_eq(newest->len, 2);
    ck_assert_str_eq(((struct policy_source *)g_ptr_array_index(newest, 0))->text, "two: 2\n");
    g_autoptr(GPtrArray) first = store_load_policy_version(store, 1, &error);
    ck_assert_str_eq(((struct policy_source *)g_ptr_array_index(first, 0))->text, "one: 1\n");
    ck_assert_ptr_null(store_load_policy_version(store, 3, &error));
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_NOT_FOUND));
    g_clear_error(&error);

    json_auto_t *list = store_read_policies(store, &error);
    g_autofree char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(
        text, "[{\"files\":[\"a.yaml\",\"b.yaml\"],\"loaded_at\":\"1970-01-01T00:00:01.000000Z\",\"version\":2},"
              "{\"files\":[\"a.yaml\",\"b.yaml\"],\"loaded_at\":\"1970-01-01T00:00:01.000000Z\",\"version\":1}]");
    store_free(store);
}
END_TEST

/* Rule: an installation keeps its identity, or it would not know its own domains again. */
START_TEST(test_identity)
{
    struct store *store = open_store();
    g_autofree char *first = store_identity(store, NULL);
    store_free(store);
    store = open_store();
    g_autofree char *second = store_identity(store, NULL);
    store_free(store);
    ck_assert(g_uuid_string_is_valid(first));
    ck_assert_str_eq(first, second);
}
END_TEST

static char *read_ids(struct store *store, const char *function, const char *tenant, guint limit)
{
    g_autoptr(GError) error = NULL;
    json_auto_t *objects = store_read_objects(store, OBJECT_EXECUTION, function, tenant, limit, &error);
    ck_assert_msg(objects != NULL, "%s", error != NULL ? error->message : "");
    GString *text = g_string_new(NULL);
    for (gsize i = 0; i < json_array_size(objects); i++)
        g_string_append(text, json_string_value(json_object_get(json_array_get(objects, i), "id")));
    return g_string_free(text, FALSE);
}

/* Rule: the API reads objects newest first, finished ones too, and bounded. */
START_TEST(test_read_objects)
{
    struct store *store = open_store();
    struct command *command = store_command_new(1);
    store_command_put(command, "a", "sort", EXECUTION_FINISHED, SOME_DAY + 1, 0);
    store_command_put(command, "b", "join", EXECUTION_QUEUED, SOME_DAY + 2, 0);
    store_command_put(command, "c", "sort", EXECUTION_QUEUED, SOME_DAY + 3, 0);
    submit(store, command);
    static const struct {
        const char *function, *tenant;
        guint limit;
        const char *expected;
    } cases[] = {
        {NULL, NULL, 0, "cba"},      {NULL, NULL, 2, "cb"},    {"sort", NULL, 0, "ca"},
        {"sort", "default", 1, "c"}, {"sort", "other", 0, ""}, {"none", NULL, 0, ""},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *ids = read_ids(store, cases[i].function, cases[i].tenant, cases[i].limit);
        ck_assert_str_eq(ids, cases[i].expected);
    }
    g_autoptr(GError) error = NULL;
    json_auto_t *one = store_read_object(store, OBJECT_EXECUTION, "a", &error);
    ck_assert_str_eq(json_string_value(json_object_get(one, "state")), "finished");
    ck_assert_ptr_null(store_read_object(store, OBJECT_EXECUTION, "x", &error));
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_NOT_FOUND));
    g_clear_error(&error);
    ck_assert_ptr_null(store_read_objects(store, OBJECT_POLICY, NULL, NULL, 0, &error));
    store_free(store);
}
END_TEST

START_TEST(test_read_history)
{
    struct store *store = open_store();
    submit(store, observation_command(1, "exec-1", "sort", 1000));
    submit(store, observation_command(2, "exec-2", "join", 2000));
    submit(store, observation_command(3, "exec-3", "sort", 3000));
    g_autoptr(GError) error = NULL;
    json_auto_t *rows = store_read_history(store, &(struct store_history_query){.function = "sort"}, &error);
    ck_assert_uint_eq(json_array_size(rows), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "execution_id")), "exec-3");
    json_auto_t *two = store_read_history(store, &(struct store_history_query){.limit = 2}, &error);
    ck_assert_uint_eq(json_array_size(two), 2);
    json_auto_t *none = store_read_history(store, &(struct store_history_query){.tenant = "other"}, &error);
    ck_assert_uint_eq(json_array_size(none), 0);
    store_free(store);
}
END_TEST

/* Rule: nobody but the owner reads the database. */
START_TEST(test_file_mode)
{
    ck_assert(g_file_set_contents(bed.path, "", 0, NULL));
    ck_assert_int_eq(g_chmod(bed.path, 0644), 0);
    struct store *store = open_store();
    put_one(store, 1, "exec-a", EXECUTION_QUEUED, SOME_DAY + 1);
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *path = g_strconcat(bed.path, suffixes[i], NULL);
        struct stat info;
        ck_assert_msg(stat(path, &info) == 0, "%s", path);
        ck_assert_msg((info.st_mode & 07777) == 0600, "%s has mode %04o", path, info.st_mode & 07777);
    }
    store_free(store);
}
END_TEST

/* Rule: two daemons on one database would destroy each other's work. */
START_TEST(test_second_daemon_refused)
{
    struct store *store = open_store();
    expect_refused("in use by another harbingerd");
    store_free(store);
    store = open_store();
    store_free(store);
}
END_TEST

START_TEST(test_later_schema_refused)
{
    store_free(open_store());
    run_sql("PRAGMA user_version=1000");
    expect_refused("schema version 1000");
}
END_TEST

START_TEST(test_foreign_database_refused)
{
    run_sql("CREATE TABLE recipe(name)");
    expect_refused("another program");
}
END_TEST

START_TEST(test_no_database_refused)
{
    ck_assert(g_file_set_contents(bed.path,
                                  "This is a letter, not a database, and it is long enough to be one.....\n"
                                  "A hundred bytes is what SQLite's header needs, so here are some more.\n",
                                  -1, NULL));
    expect_refused("not a database");
}
END_TEST

/* Rule: a damaged database is told at the start, not met in the middle of work. */
START_TEST(test_damaged_database_refused)
{
    struct store *store = open_store();
    for (guint64 serial = 1; serial <= 100; serial++) {
        g_autofree char *id = g_strdup_printf("exec-%03u", (guint)serial);
        struct command *command = store_command_new(serial);
        store_command_put(command, id, "sort", EXECUTION_QUEUED, SOME_DAY + 1, 900);
        submit(store, command);
    }
    store_free(store);
    g_autofree char *content = NULL;
    gsize length;
    ck_assert(g_file_get_contents(bed.path, &content, &length, NULL));
    ck_assert_uint_gt(length, 40000);
    memset(content + length / 2, 0xa5, length / 4);
    ck_assert(g_file_set_contents(bed.path, content, (gssize)length, NULL));
    expect_refused("backup");
}
END_TEST

START_TEST(test_bad_places_refused)
{
    g_free(bed.path);
    bed.path = g_build_filename(bed.directory, "absent", "harbinger.db", NULL);
    expect_refused("directory");
    g_free(bed.path);
    bed.path = g_build_filename(bed.directory, "harbinger.db", NULL);
    ck_assert_int_eq(g_mkdir(bed.path, 0700), 0);
    expect_refused("directory");
    ck_assert_int_eq(g_rmdir(bed.path), 0);
    ck_assert_int_eq(g_chmod(bed.directory, 0777), 0);
    expect_refused("0777");
    ck_assert_int_eq(g_chmod(bed.directory, 0700), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("store");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_put_and_load);
    tcase_add_test(tests, test_load_leaves_out_final_and_deleted);
    tcase_add_test(tests, test_load_newest_final);
    tcase_add_test(tests, test_load_policy_version);
    tcase_add_test(tests, test_retention);
    tcase_add_test(tests, test_keep_for_ever);
    tcase_add_test(tests, test_answers_in_order);
    tcase_add_test(tests, test_free_writes_what_waits);
    tcase_add_test(tests, test_observations);
    tcase_add_test(tests, test_spoilt_rows);
    tcase_add_test(tests, test_observation_columns);
    tcase_add_test(tests, test_policies);
    tcase_add_test(tests, test_identity);
    tcase_add_test(tests, test_read_objects);
    tcase_add_test(tests, test_read_history);
    tcase_add_test(tests, test_file_mode);
    tcase_add_test(tests, test_second_daemon_refused);
    tcase_add_test(tests, test_later_schema_refused);
    tcase_add_test(tests, test_foreign_database_refused);
    tcase_add_test(tests, test_no_database_refused);
    tcase_add_test(tests, test_damaged_database_refused);
    tcase_add_test(tests, test_bad_places_refused);
    Suite *suite = suite_create("store");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
