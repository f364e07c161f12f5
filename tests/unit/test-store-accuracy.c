/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The accuracy of predictions as the store reads it: which runs, in which groups, and what older rows still tell. */
#include "base/clock.h"
#include "store-support.h"

#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SOME_DAY (1700000000 * CLOCK_SECOND)

static struct store_bed bed;
static struct store *store;
static guint64 serial;

static void open_store(void)
{
    g_autoptr(GError) error = NULL;
    store = store_open(bed.path, &error);
    ck_assert_msg(store != NULL, "%s", error != NULL ? error->message : "");
    store_start(store, store_bed_sink, bed.events);
}

static void set_up(void)
{
    store_bed_init(&bed);
    serial = 0;
    open_store();
}

static void tear_down(void)
{
    store_free(store);
    store_bed_clear(&bed);
}

static void run_sql(const char *sql)
{
    sqlite3 *handle;
    ck_assert_int_eq(sqlite3_open(bed.path, &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

#define SHIPPED G_MAXUINT /* in place of a version */

/* An hour of `vcpus` of 4 CPUs where {1, 2, 3} were predicted, and of 512 of 1024 MiB. */
static void observe(const char *function, const char *tenant, const char *language, guint model_version, double vcpus,
                    enum exit_reason reason)
{
    struct demand_reason reason_of_model = {.rule = (char *)"model", .effect = (char *)"shipped"};
    g_autoptr(GPtrArray) reasons = g_ptr_array_new();
    if (model_version == SHIPPED)
        g_ptr_array_add(reasons, &reason_of_model);
    struct demand demand = {.source = model_version > 0 ? DEMAND_MODEL : DEMAND_HISTORY,
                            .model_version = model_version == SHIPPED ? 0 : model_version,
                            .reasons = reasons,
                            .vcpus = {1, 2, 3},
                            .memory_mib = {256, 512, 1024},
                            .duration_ms = {1000, 2000, 3000}};
    g_autofree char *id = g_strdup_printf("exec-%u", (guint)++serial);
    struct observation observation = {
        .execution_id = id,
        .code = {.function = (char *)function, .tenant = (char *)tenant, .language = (char *)language},
        .demand = &demand,
        .ended_at = SOME_DAY + (gint64)serial * CLOCK_SECOND,
        .reason = reason,
        .vcpus = vcpus,
        .memory_mib = 512,
        .duration_ms = 3600000,
        .shape = {.vcpus = 8, .memory_mib = 2048},
        .start_shape = {.vcpus = 8, .memory_mib = 1024, .cpu_percent = 400, .network_mbps = 10},
    };
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_OBSERVATION;
    record->observation = observation_copy(&observation);
    struct command *command = store_command_new(serial);
    g_ptr_array_add(command->records, record);
    store_submit(store, command);
    g_autofree char *message = store_bed_expect(&bed, serial, EVENT_COMMITTED);
    ck_assert_ptr_null(message);
}

static json_t *read_accuracy(struct store_accuracy_query query)
{
    g_autoptr(GError) error = NULL;
    json_t *answer = store_read_accuracy(store, &query, &error);
    ck_assert_msg(answer != NULL, "%s", error != NULL ? error->message : "");
    return answer;
}

static double number_at(const json_t *json, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    for (guint i = 0; names[i] != NULL; i++)
        json = json_object_get(json, names[i]);
    return json_is_number(json) ? json_number_value(json) : -1;
}

static const char *group_name(const json_t *group)
{
    static const char *const members[] = {"function", "language", "source", "tenant"};
    for (guint i = 0; i < G_N_ELEMENTS(members); i++)
        if (json_object_get(group, members[i]) != NULL)
            return json_string_value(json_object_get(group, members[i]));
    return "-";
}

/* "NAME[@VERSION]:RUNS" of each group in its order. */
static char *describe(const json_t *answer)
{
    GString *text = g_string_new(NULL);
    size_t index;
    const json_t *group;
    json_array_foreach (json_object_get(answer, "groups"), index, group) {
        g_string_append_printf(text, "%s%s", index > 0 ? " " : "", group_name(group));
        if (json_object_get(group, "model_version") != NULL)
            g_string_append_printf(text, "@%.0f", number_at(group, "model_version"));
        g_string_append_printf(text, ":%.0f", number_at(group, "runs"));
    }
    return g_string_free(text, FALSE);
}

static void observe_all(void)
{
    observe("sort", "acme", "python", 0, 1, EXIT_EXITED);
    observe("sort", "acme", "python", 3, 2, EXIT_EXITED);
    observe("sort", "other", "perl", 3, 4, EXIT_EXITED);
    observe("join", "acme", NULL, 4, 0.5, EXIT_EXITED);
    observe("sort", "acme", "python", 4, 0.5, EXIT_SIGNALLED);
    observe("sort", "acme", "python", 4, 0.5, EXIT_REFUSED); /* was no run */
}

/* Rule: the shipped model is one by itself, though its version is 0. */
START_TEST(test_shipped)
{
    observe("sort", "acme", "python", SHIPPED, 1, EXIT_EXITED);
    observe("sort", "acme", "python", SHIPPED, 1, EXIT_EXITED);
    observe("sort", "acme", "python", 0, 1, EXIT_EXITED);
    const struct store_accuracy_query query = {.by = ACCURACY_BY_MODEL};
    g_autoptr(GError) error = NULL;
    json_t *answer = store_read_accuracy(store, &query, &error);
    g_autofree char *text = describe(answer);
    ck_assert_str_eq(text, "shipped:2 history:1");
    json_decref(answer);
}
END_TEST

/* Rule: runs are put together by what is asked for, the largest group first; functions of different tenants are different ones. */
START_TEST(test_groups)
{
    static const struct {
        struct store_accuracy_query query;
        const char *groups;
    } cases[] = {
        {{.by = ACCURACY_BY_FUNCTION}, "sort:3 join:1 sort:1"},
        {{.by = ACCURACY_BY_TENANT}, "acme:4 other:1"},
        {{.by = ACCURACY_BY_LANGUAGE}, "python:3 -:1 perl:1"},
        {{.by = ACCURACY_BY_MODEL}, "-@3:2 -@4:2 history:1"},
        {{.by = ACCURACY_BY_TENANT, .function = "sort"}, "acme:3 other:1"},
        {{.by = ACCURACY_BY_FUNCTION, .tenant = "other"}, "sort:1"},
        {{.by = ACCURACY_BY_FUNCTION, .language = "perl"}, "sort:1"},
        {{.by = ACCURACY_BY_FUNCTION, .function = "sort", .tenant = "acme", .language = "perl"}, ""},
        {{.by = ACCURACY_BY_FUNCTION, .since_at = SOME_DAY + 4 * CLOCK_SECOND}, "join:1 sort:1"},
        {{.by = ACCURACY_BY_FUNCTION, .limit = 3}, "join:1 sort:1 sort:1"},
    };
    observe_all();
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        json_auto_t *answer = read_accuracy(cases[i].query);
        g_autofree char *groups = describe(answer);
        ck_assert_msg(strcmp(groups, cases[i].groups) == 0, "%u: %s", i, groups);
    }
}
END_TEST

/* Rule: the answer says over how many runs it is, and gives the figures of model/accuracy. */
START_TEST(test_figures)
{
    observe_all();
    json_auto_t *answer = read_accuracy((struct store_accuracy_query){.by = ACCURACY_BY_TENANT});
    ck_assert_str_eq(json_string_value(json_object_get(answer, "by")), "tenant");
    ck_assert_double_eq(number_at(answer, "limit"), 10000);
    ck_assert_double_eq(number_at(answer, "total/runs"), 5);
    ck_assert_double_eq(number_at(answer, "total/cut_short"), 1);
    ck_assert_double_eq(number_at(answer, "total/vcpus/runs"), 4);
    ck_assert_double_eq(number_at(answer, "total/vcpus/ratio_p50"), 1.5);
    ck_assert_double_eq(number_at(answer, "total/vcpus/coverage/p99"), 0.75);
    ck_assert_double_eq(number_at(answer, "total/vcpus/waste"), (3 + 2 + 0 + 3.5 + 3.5) / 5); /* the cap gives 4 */
    ck_assert_double_eq(number_at(answer, "total/vcpus/shortage"), 0);
    ck_assert_double_eq(number_at(answer, "total/memory_mib/waste"), 0.5);
    ck_assert_double_eq(number_at(answer, "total/network_mbps/waste"), 10);
    ck_assert_double_eq(number_at(answer, "total/duration_ms/waste"), -1); /* absent */
    json_auto_t *capped = read_accuracy((struct store_accuracy_query){.limit = 1000000});
    ck_assert_double_eq(number_at(capped, "limit"), 100000);
}
END_TEST

START_TEST(test_nothing_to_tell)
{
    json_auto_t *answer = read_accuracy((struct store_accuracy_query){.by = ACCURACY_BY_LANGUAGE});
    g_autofree char *text = json_dumps(answer, JSON_COMPACT);
    ck_assert_str_eq(text,
                     "{\"by\":\"language\",\"limit\":10000,\"total\":{\"runs\":0,\"cut_short\":0,"
                     "\"vcpus\":{\"runs\":0,\"coverage\":{}},\"memory_mib\":{\"runs\":0,\"coverage\":{}},"
                     "\"network_mbps\":{\"runs\":0,\"coverage\":{}},\"duration_ms\":{\"runs\":0,\"coverage\":{}}},"
                     "\"groups\":[]}");
}
END_TEST

/* Rule: an answer names at most 1,000 groups, and says how many it leaves out. */
START_TEST(test_groups_are_bounded)
{
    observe("sort", "acme", "python", 0, 1, EXIT_EXITED);
    store_free(store);
    run_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1004)"
        "INSERT INTO observation SELECT 'x-' || i, 'f-' || i, tenant, language, algorithm, template, code_bytes,"
        " payload_bytes, payload_items, payload_depth, input_bytes, parallelism, gpu, libraries, demand_source,"
        " demand_class, demand_score, demand_vcpus_p50, demand_vcpus_p90, demand_memory_mib_p50,"
        " demand_memory_mib_p90, demand_duration_ms_p50, demand_duration_ms_p90, ended_at, reason, status, vcpus,"
        " cpu_seconds, memory_mib, network_mbps, duration_ms, shape_vcpus, shape_memory_mib, body, NULL, NULL, NULL,"
        " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM observation, n");
    open_store();
    json_auto_t *answer = read_accuracy((struct store_accuracy_query){.by = ACCURACY_BY_FUNCTION});
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "groups")), 1000);
    ck_assert_double_eq(number_at(answer, "groups_left_out"), 5);
    ck_assert_double_eq(number_at(answer, "total/runs"), 1005);
}
END_TEST

/* Rule: a database of before is brought up to date, and its rows tell what they can. */
START_TEST(test_older_rows)
{
    observe("sort", "acme", "python", 3, 9, EXIT_EXITED);
    store_free(store);
    static const char *const added[] = {"model_version",
                                        "demand_vcpus_p99",
                                        "demand_memory_mib_p99",
                                        "demand_network_mbps_p50",
                                        "demand_network_mbps_p90",
                                        "demand_network_mbps_p99",
                                        "demand_duration_ms_p99",
                                        "retries",
                                        "start_vcpus",
                                        "start_memory_mib",
                                        "start_network_mbps"};
    g_autoptr(GString) sql = g_string_new("PRAGMA user_version=2;");
    for (guint i = 0; i < G_N_ELEMENTS(added); i++)
        g_string_append_printf(sql, "ALTER TABLE observation DROP COLUMN %s;", added[i]);
    run_sql(sql->str);
    open_store();
    json_auto_t *answer = read_accuracy((struct store_accuracy_query){.by = ACCURACY_BY_MODEL});
    g_autofree char *groups = describe(answer);
    ck_assert_str_eq(groups, "model:1");
    ck_assert_double_eq(number_at(answer, "total/vcpus/ratio_p50"), 9);
    ck_assert_double_eq(number_at(answer, "total/vcpus/coverage/p90"), 0);
    ck_assert_double_eq(number_at(answer, "total/vcpus/coverage/p99"), -1);
    ck_assert_double_eq(number_at(answer, "total/vcpus/shortage"), 1); /* of the 8 of its last shape */
    ck_assert_double_eq(number_at(answer, "total/network_mbps/runs"), 0);
    ck_assert_double_eq(number_at(answer, "total/network_mbps/waste"), -1);
    observe("sort", "acme", "python", 3, 1, EXIT_EXITED);
}
END_TEST

/* Rule: for a picture there are the runs themselves, the newest, and not without bound. */
START_TEST(test_points)
{
    observe_all();
    g_autoptr(GError) error = NULL;
    json_auto_t *answer =
        store_read_accuracy_points(store, &(struct store_accuracy_query){.tenant = "acme", .limit = 5000}, &error);
    ck_assert_double_eq(number_at(answer, "limit"), 2000);
    const json_t *points = json_object_get(answer, "points");
    ck_assert_uint_eq(json_array_size(points), 4);
    g_autofree char *newest = json_dumps(json_array_get(points, 0), JSON_COMPACT);
    ck_assert_str_eq(newest,
                     "{\"execution_id\":\"exec-5\",\"function\":\"sort\",\"tenant\":\"acme\",\"language\":\"python\","
                     "\"ended_at\":\"2023-11-14T22:13:25.000000Z\",\"cut_short\":true,"
                     "\"vcpus\":{\"predicted\":2.0,\"used\":0.5},\"memory_mib\":{\"predicted\":512.0,\"used\":512.0},"
                     "\"network_mbps\":{\"predicted\":0.0,\"used\":0.0},"
                     "\"duration_ms\":{\"predicted\":2000.0,\"used\":3600000.0}}");
    json_auto_t *two = store_read_accuracy_points(store, &(struct store_accuracy_query){.limit = 2}, &error);
    ck_assert_uint_eq(json_array_size(json_object_get(two, "points")), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store accuracy");
    TCase *cases = tcase_create("accuracy");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, test_groups);
    tcase_add_test(cases, test_shipped);
    tcase_add_test(cases, test_figures);
    tcase_add_test(cases, test_nothing_to_tell);
    tcase_add_test(cases, test_groups_are_bounded);
    tcase_add_test(cases, test_older_rows);
    tcase_add_test(cases, test_points);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
