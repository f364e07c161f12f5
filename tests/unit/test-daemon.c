/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon-bed.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define NEWEST 70 /* version of the policy, after many that nothing open was made under */
#define HOUR_MS (3600 * 1000)

static struct daemon_bed bed;

static void setup(void)
{
    daemon_bed_init(&bed);
}

static void teardown(void)
{
    daemon_bed_clear(&bed);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static gint64 number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static void expect_clean_stop(void)
{
    const int status = daemon_bed_stop(&bed, SIGTERM);
    g_autofree char *log = daemon_bed_log(&bed);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x: %s", (guint)status, log);
}

/* Executes in the reservation (NULL: without one), and gives the whole execution. */
static json_t *execute(const char *function, const char *reservation_id, const char *source,
                       const struct hbr_exec_callbacks *callbacks)
{
    json_auto_t *body = json_pack("{s:{s:s}, s:s*, s:{s:s, s:s}}", "code", "function", function, "reservation_id",
                                  reservation_id, "program", "interpreter", "sh", "source", source);
    char *text = json_dumps(body, JSON_COMPACT);
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    struct hbr_error error = HBR_ERROR_INIT;
    ck_assert_msg(hbr_execute(bed.client, text, callbacks, &result, &error), "%s", error.message);
    free(text);
    json_t *execution = json_loads(result.json, 0, NULL);
    ck_assert_ptr_nonnull(execution);
    hbr_exec_result_clear(&result);
    return execution;
}

static bool append(const void *data, size_t length, void *text)
{
    g_string_append_len(text, data, (gssize)length);
    return true;
}

/* Rule: code that was announced runs in the instance made for it, and its output comes back. */
START_TEST(test_notify_and_execute)
{
    daemon_bed_start(&bed);
    json_auto_t *reservation = daemon_bed_notify(&bed, "f", NULL, 0);
    const char *id = text_of(reservation, "id");
    ck_assert(hbr_wait(bed.client, HBR_RESERVATION, id, "ready", 60000, NULL, NULL));
    GString *output = g_string_new(NULL);
    const struct hbr_exec_callbacks callbacks = {.on_stdout = append, .user_data = output};
    json_auto_t *execution = execute("f", id, "# sim: duration_ms=5 output=hello", &callbacks);
    ck_assert_str_eq(text_of(execution, "state"), "finished");
    ck_assert_str_eq(text_of(execution, "reservation_id"), id);
    ck_assert_str_eq(output->str, "hello\n");
    g_string_free(output, TRUE);
    expect_clean_stop();
}
END_TEST

/* Rule: an acknowledged notification outlives kill -9, and its key still names it. */
START_TEST(test_killed)
{
    daemon_bed_start(&bed);
    json_auto_t *before = daemon_bed_notify(&bed, "f", "key", HOUR_MS);
    const int status = daemon_bed_stop(&bed, SIGKILL);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    daemon_bed_start(&bed);
    json_auto_t *after = daemon_bed_get(&bed, HBR_RESERVATION, text_of(before, "id"));
    ck_assert_str_eq(text_of(after, "state"), "scheduled");
    json_auto_t *again = daemon_bed_notify(&bed, "f", "key", HOUR_MS);
    ck_assert_str_eq(text_of(again, "id"), text_of(before, "id"));
    expect_clean_stop();
}
END_TEST

/* Rule: a loaded policy holds for what comes after it, now and after a restart; what was reserved before keeps its own. */
START_TEST(test_policy_load)
{
    daemon_bed_start(&bed);
    json_auto_t *old = daemon_bed_notify(&bed, "old", NULL, HOUR_MS);
    g_autofree char *policy = daemon_bed_policy(30);
    for (guint version = 2; version <= NEWEST; version++)
        ck_assert_uint_eq(daemon_bed_load_policy(&bed, policy), version);
    json_auto_t *new = daemon_bed_notify(&bed, "new", NULL, HOUR_MS);
    ck_assert_int_eq(number_of(old, "policy_version"), 1);
    ck_assert_int_eq(number_of(new, "policy_version"), NEWEST);
    expect_clean_stop();
    daemon_bed_start(&bed);
    json_auto_t *under_old = execute("old", text_of(old, "id"), "# sim: duration_ms=5", NULL);
    json_auto_t *under_new = execute("new", text_of(new, "id"), "# sim: duration_ms=5", NULL);
    ck_assert_int_eq(number_of(json_object_get(under_old, "limits"), "wall_ms"), 60000);
    ck_assert_int_eq(number_of(json_object_get(under_new, "limits"), "wall_ms"), 30000);
    expect_clean_stop();
}
END_TEST

static bool stop_once_started(const char *event, const char *json G_GNUC_UNUSED, void *data G_GNUC_UNUSED)
{
    return !g_str_equal(event, "started") || kill(bed.pid, SIGTERM) == 0;
}

/* Rule: told to stop while code runs, it tells the client what became of it and ends with status 0. */
START_TEST(test_stop_while_busy)
{
    daemon_bed_start(&bed);
    json_auto_t *later = daemon_bed_notify(&bed, "later", NULL, HOUR_MS);
    const struct hbr_exec_callbacks callbacks = {.on_event = stop_once_started};
    json_auto_t *execution = execute("f", NULL, "# sim: hang=1", &callbacks);
    ck_assert_str_ne(text_of(execution, "state"), "running");
    ck_assert_str_ne(text_of(execution, "state"), "finished");
    const int status = daemon_bed_wait(&bed);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", (guint)status);
    daemon_bed_start(&bed);
    json_auto_t *kept = daemon_bed_get(&bed, HBR_RESERVATION, text_of(later, "id"));
    ck_assert_str_eq(text_of(kept, "state"), "scheduled");
    expect_clean_stop();
}
END_TEST

/* Rule: SIGHUP changes nothing. */
START_TEST(test_hangup)
{
    daemon_bed_start(&bed);
    ck_assert_int_eq(kill(bed.pid, SIGHUP), 0);
    ck_assert(hbr_version(bed.client, NULL, NULL));
    expect_clean_stop();
}
END_TEST

/* Rule: a second daemon is kept from the first one's database, and harms it not. */
START_TEST(test_second)
{
    daemon_bed_start(&bed);
    struct daemon_bed second = bed;
    second.socket = g_build_filename(bed.directory, "second", NULL);
    int status = 0;
    ck_assert(!daemon_bed_try(&second, &status));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 14, "status 0x%x", (guint)status);
    g_autofree char *log = daemon_bed_log(&bed);
    ck_assert_msg(strstr(log, "is in use by another harbingerd") != NULL, "%s", log);
    g_free(second.socket);
    ck_assert(hbr_version(bed.client, NULL, NULL));
    expect_clean_stop();
}
END_TEST

/* Rule: a host that is let go of and attached again under its name works as before. */
START_TEST(test_attach_again)
{
    daemon_bed_start(&bed);
    struct hbr_error error = HBR_ERROR_INIT;
    for (guint i = 0; i < 3; i++) {
        ck_assert_msg(hbr_delete(bed.client, HBR_HOST, "a", NULL, &error), "%s", error.message);
        ck_assert_msg(
            hbr_host_attach(bed.client, "{\"name\":\"a\",\"uri\":\"sim:a?boot_ms=20&destroy_ms=1\"}", NULL, &error),
            "%s", error.message);
        ck_assert(hbr_wait(bed.client, HBR_HOST, "a", "up", 60000, NULL, NULL));
    }
    json_auto_t *execution = execute("f", NULL, "# sim: duration_ms=5", NULL);
    ck_assert_str_eq(text_of(execution, "state"), "finished");
    expect_clean_stop();
}
END_TEST

/* Rule: a stored policy that is not right any more does not keep the daemon from starting: the configured one is the next version. */
START_TEST(test_policy_spoilt)
{
    daemon_bed_start(&bed);
    json_auto_t *old = daemon_bed_notify(&bed, "old", NULL, HOUR_MS);
    expect_clean_stop();
    daemon_bed_sql(&bed, "UPDATE policy_file SET text = 'profiles: none'");
    g_autofree char *policy = daemon_bed_policy(20);
    daemon_bed_write_policy(&bed, policy);
    for (guint start = 0; start < 2; start++) {
        daemon_bed_start(&bed);
        json_auto_t *new = daemon_bed_notify(&bed, "new", NULL, HOUR_MS);
        ck_assert_int_eq(number_of(new, "policy_version"), 2);
        g_autofree char *log = daemon_bed_log(&bed);
        ck_assert_msg(strstr(log, "policy version 1 of the database is not right: policy.yaml:1") != NULL, "%s", log);
        ck_assert_msg(strstr(log, "policy version 2 of") == NULL, "%s", log);
        expect_clean_stop();
    }
    daemon_bed_start(&bed);
    json_auto_t *execution = execute("old", text_of(old, "id"), "# sim: duration_ms=5", NULL);
    ck_assert_int_eq(number_of(json_object_get(execution, "limits"), "wall_ms"), 20000);
    expect_clean_stop();
}
END_TEST

/* Rule: rows that cannot be understood do not keep the daemon from starting with the others. */
START_TEST(test_spoilt_rows)
{
    daemon_bed_start(&bed);
    json_auto_t *kept = daemon_bed_notify(&bed, "kept", NULL, HOUR_MS);
    json_auto_t *spoilt = daemon_bed_notify(&bed, "spoilt", NULL, HOUR_MS);
    json_auto_t *odd = daemon_bed_notify(&bed, "odd", NULL, HOUR_MS);
    json_auto_t *execution = execute("f", NULL, "# sim: duration_ms=5", NULL);
    expect_clean_stop();
    g_autofree char *sql = g_strdup_printf("UPDATE reservation SET body = '{' WHERE id = '%s';"
                                           "UPDATE reservation SET state = 'odd' WHERE id = '%s';"
                                           "UPDATE observation SET body = '{' WHERE execution_id = '%s';",
                                           text_of(spoilt, "id"), text_of(odd, "id"), text_of(execution, "id"));
    daemon_bed_sql(&bed, sql);
    daemon_bed_start(&bed);
    json_auto_t *after = daemon_bed_get(&bed, HBR_RESERVATION, text_of(kept, "id"));
    ck_assert_str_eq(text_of(after, "state"), "scheduled");
    g_autofree char *log = daemon_bed_log(&bed);
    static const char *const counts[] = {"rows of the table reservation that were left out: 1",
                                         "rows of the table observation that were left out: 1"};
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++)
        ck_assert_msg(strstr(log, counts[i]) != NULL, "%s", log);
    expect_clean_stop();
}
END_TEST

/* Rule: code that was uploaded is still there after a crash, in the bound that the configuration gives. */
START_TEST(test_code)
{
    char *text = NULL;
    bed.keys = g_strdup("code-cache=8\n");
    daemon_bed_start(&bed);
    struct hbr_error error = HBR_ERROR_INIT;
    ck_assert(hbr_code_upload(bed.client, NULL, "true\n", 5, &text, &error));
    json_auto_t *kept = json_loads(text, 0, NULL);
    hbr_free(text);
    ck_assert(!hbr_code_upload(bed.client, NULL, "too large", 9, NULL, &error));
    ck_assert_str_eq(error.id, "too-large");
    hbr_error_clear(&error);
    daemon_bed_stop(&bed, SIGKILL);
    daemon_bed_start(&bed);
    ck_assert(hbr_code_get(bed.client, NULL, text_of(kept, "sha256"), NULL, &error));
    ck_assert(hbr_code_upload(bed.client, NULL, "false\n", 6, NULL, &error));
    ck_assert(!hbr_code_get(bed.client, NULL, text_of(kept, "sha256"), NULL, &error));
    ck_assert_str_eq(error.id, "not-found");
    hbr_error_clear(&error);
    expect_clean_stop();
}
END_TEST

/* Rule: code that was uploaded and is only named, in the notification and in the request, runs, and stood in place. */
START_TEST(test_code_by_digest)
{
    static const char source[] = "# sim: duration_ms=5 output=hello";
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, source, -1);
    g_autofree char *body = g_strdup_printf(
        "{\"code\":{\"function\":\"f\"},\"program\":{\"interpreter\":\"sh\",\"source_sha256\":\"%s\"}}", sha256);
    struct hbr_error error = HBR_ERROR_INIT;
    char *text = NULL;
    daemon_bed_start(&bed);
    ck_assert(hbr_code_upload(bed.client, NULL, source, strlen(source), NULL, &error));
    ck_assert_msg(hbr_notify(bed.client, body, &text, &error), "%s", error.message);
    json_auto_t *notified = json_loads(text, 0, NULL);
    hbr_free(text);
    const char *id = text_of(json_object_get(notified, "reservation"), "id");
    ck_assert(hbr_wait(bed.client, HBR_RESERVATION, id, "ready", 60000, NULL, &error));
    GString *output = g_string_new(NULL);
    const struct hbr_exec_callbacks callbacks = {.on_stdout = append, .user_data = output};
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    ck_assert_msg(hbr_execute(bed.client, body, &callbacks, &result, &error), "%s", error.message);
    ck_assert_str_eq(output->str, "hello\n");
    json_auto_t *execution = json_loads(result.json, 0, NULL);
    ck_assert_str_eq(text_of(execution, "reservation_id"), id);
    /* whether it was in place yet is a race that the request may win */
    ck_assert_msg(g_str_equal(text_of(execution, "code_place"), "in-place") ||
                      g_str_equal(text_of(execution, "code_place"), "not-yet"),
                  "%s", text_of(execution, "code_place"));
    hbr_exec_result_clear(&result);
    g_string_free(output, TRUE);
    expect_clean_stop();
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("daemon");
    TCase *cases = tcase_create("daemon");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_notify_and_execute);
    tcase_add_test(cases, test_killed);
    tcase_add_test(cases, test_policy_load);
    tcase_add_test(cases, test_attach_again);
    tcase_add_test(cases, test_policy_spoilt);
    tcase_add_test(cases, test_stop_while_busy);
    tcase_add_test(cases, test_hangup);
    tcase_add_test(cases, test_second);
    tcase_add_test(cases, test_spoilt_rows);
    tcase_add_test(cases, test_code);
    tcase_add_test(cases, test_code_by_digest);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
