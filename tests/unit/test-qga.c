/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/qga-json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Commands are what qemu-guest-agent's schema wants. */
START_TEST(test_commands)
{
    const char *const argv[] = {"/bin/echo", "a \"b\"", "\n", NULL};
    char *env[] = {(char *)"A=1", NULL};
    g_autoptr(GBytes) input = g_bytes_new_static("in", 2);
    g_autofree char *ping = qga_command("guest-ping", NULL);
    g_autofree char *exec = qga_exec(argv, env, input);
    ck_assert_str_eq(ping, "{\"execute\":\"guest-ping\"}");
    ck_assert_str_eq(exec, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/echo\",\"capture-output\":true,"
                           "\"arg\":[\"a \\\"b\\\"\",\"\\n\"],\"env\":[\"A=1\"],\"input-data\":\"aW4=\"}}");
}
END_TEST

static const struct {
    const char *answer, *message;
} bad_answers[] = {
    {"", "not JSON"},
    {"{", "not JSON"},
    {"[1]", "neither result nor error"},
    {"{\"return\": {}, \"return\": {}}", "not JSON"},
    {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such file\"}}", "the guest agent says: no such file"},
    {"{\"error\": 5}", "neither result nor error"},
};

/* An answer that is none is told as such. */
START_TEST(test_bad_answers)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(qga_parse(bad_answers[_i].answer, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_GUEST);
    ck_assert_ptr_nonnull(strstr(error->message, bad_answers[_i].message));
}
END_TEST

/* The end of a program is read with what it printed. */
START_TEST(test_status)
{
    struct qga_status status;
    g_autoptr(GError) error = NULL;
    json_t *value =
        qga_parse("{\"return\": {\"exited\": true, \"exitcode\": 3, \"out-data\": \"aGk=\", \"err-data\": \"%%\", "
                  "\"out-truncated\": true}}",
                  NULL);
    ck_assert(qga_status_parse(value, &status, NULL));
    ck_assert(status.has_exited && status.is_truncated && status.exit_code == 3 && status.signal == 0);
    ck_assert_uint_eq(g_bytes_get_size(status.output), 2);
    qga_status_clear(&status);
    json_decref(value);
    value = qga_parse("{\"return\": {\"exited\": \"yes\"}}", NULL);
    ck_assert(!qga_status_parse(value, &status, &error));
    json_decref(value);
    value = qga_parse("{\"return\": {\"exited\": false, \"exitcode\": -7}}", NULL);
    ck_assert(qga_status_parse(value, &status, NULL));
    ck_assert(!status.has_exited && status.exit_code == 0);
    json_decref(value);
}
END_TEST

/* What is online counts, what is present and offline is listed to be brought online. */
START_TEST(test_counts)
{
    json_t *offline = NULL;
    json_t *value =
        qga_parse("{\"return\": [{\"logical-id\": 0, \"online\": true}, {\"logical-id\": 1, \"online\": false, "
                  "\"can-offline\": true}, {\"online\": false}, 7]}",
                  NULL);
    ck_assert_int_eq(qga_count_vcpus(value, &offline), 1);
    ck_assert_uint_eq(json_array_size(offline), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(offline, 0), "logical-id")), 1);
    json_decref(offline);
    ck_assert_int_eq(qga_count_blocks(value, &offline), 1);
    ck_assert_ptr_null(offline);
    json_decref(value);
    ck_assert_int_eq(qga_count_vcpus(NULL, &offline), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qga");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_commands);
    tcase_add_loop_test(tests, test_bad_answers, 0, G_N_ELEMENTS(bad_answers));
    tcase_add_test(tests, test_status);
    tcase_add_test(tests, test_counts);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
