/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rule of traits: whoever sends code, or has sent it before, need not say what it looks like; who says it is believed. */
#include "api-harness.h"

#include "api/traits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE "import os, numpy.linalg\nfor i in range(3):\n    print(i)\n"
#define SOURCE_JSON "import os, numpy.linalg\\nfor i in range(3):\\n    print(i)\\n"

/* What the core was told; by its thread, before it answers. */
static struct code_metadata *told, *guess;

static void script_note(struct harness *harness, const struct event *event)
{
    g_clear_pointer(&guess, code_metadata_free);
    if (event->notification != NULL)
        told = code_metadata_copy(&event->notification->code);
    if (event->execution_request != NULL)
        told = code_metadata_copy(&event->execution_request->code);
    guess = code_metadata_copy(event->guess);
    if (event->request != 0)
        harness_reply(harness, event->request, 200, "{}");
}

static struct harness *fixture;

static void setup(void)
{
    fixture = harness_new(script_note, NULL);
}

static void teardown(void)
{
    harness_free(fixture);
    g_clear_pointer(&told, code_metadata_free);
    g_clear_pointer(&guess, code_metadata_free);
}

static void post(const char *target, const char *body)
{
    struct http_answer *answer = http_do(fixture, "POST", target, body);
    ck_assert_msg(answer->status == 200, "%u %.*s", answer->status, (int)answer->body->len,
                  (const char *)answer->body->data);
    http_answer_free(answer);
    ck_assert_ptr_nonnull(told);
}

static void check_libraries(char **libraries, const char *wanted)
{
    g_autofree char *text = libraries != NULL ? g_strjoinv(" ", libraries) : g_strdup("");
    ck_assert_str_eq(text, wanted);
}

static void check_source_traits(void)
{
    ck_assert_ptr_nonnull(told->traits);
    ck_assert_uint_eq(told->traits->lines, 3);
    ck_assert_uint_eq(told->traits->loops, 1);
    ck_assert_uint_eq(told->traits->imports, 2);
    ck_assert_int_gt(told->traits->compressed_bytes, 0);
    ck_assert_int_eq(told->code_bytes, strlen(SOURCE));
}

#define PROGRAM \
    "\"program\":{\"interpreter\":\"python3\",\"source\":\"" SOURCE_JSON "\",\"argv\":[\"-n=7\",\"12\",\"x\"]}"

/* Rule: a notification with its source gets all of it, and so does a dry run. */
START_TEST(test_notification)
{
    static const char *const targets[] = {"/v1/notifications", "/v1/explanations"};
    post(targets[_i], "{\"code\":{\"function\":\"f\"}," PROGRAM "}");
    check_source_traits();
    ck_assert_str_eq(told->language, "python");
    check_libraries(told->libraries, "os numpy");
    ck_assert_uint_eq(told->argument_count, 3);
    ck_assert_double_eq(told->argument_max, 12);
}
END_TEST

/* Rule: what was told stays. */
START_TEST(test_told)
{
    post("/v1/notifications",
         "{\"code\":{\"function\":\"f\",\"language\":\"lua\",\"libraries\":[\"a\"],\"code_bytes\":9,"
         "\"argument_max\":3,\"traits\":{\"loops\":4}}," PROGRAM "}");
    ck_assert_str_eq(told->language, "lua");
    check_libraries(told->libraries, "a");
    ck_assert_int_eq(told->code_bytes, 9);
    ck_assert_uint_eq(told->argument_count, 0);
    ck_assert_double_eq(told->argument_max, 3);
    ck_assert_uint_eq(told->traits->loops, 4);
    ck_assert_uint_eq(told->traits->lines, 0);
}
END_TEST

/* Rule: traits may come without any code. */
START_TEST(test_traits_alone)
{
    post("/v1/notifications", "{\"code\":{\"function\":\"f\",\"traits\":{\"loops\":4,\"loop_depth\":2}}}");
    ck_assert_uint_eq(told->traits->loop_depth, 2);
    ck_assert_ptr_null(told->language);
    ck_assert_ptr_null(told->libraries);
}
END_TEST

/* Rule: of an execution request the core learns what is known for certain; language and libraries only as a guess, for the notification may have told
 * them. */
START_TEST(test_execution)
{
    post("/v1/executions", "{\"code\":{\"function\":\"f\"}," PROGRAM "}");
    check_source_traits();
    ck_assert_double_eq(told->argument_max, 12);
    ck_assert_ptr_null(told->language);
    ck_assert_ptr_null(told->libraries);
    ck_assert_str_eq(guess->language, "python");
    check_libraries(guess->libraries, "os numpy");
}
END_TEST

static void post_digest(const char *tenant, const char *owner)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static(SOURCE, strlen(SOURCE));
    g_autofree char *sha256 = NULL;
    ck_assert(code_store_put(fixture->code, owner, bytes, &sha256, NULL));
    g_autofree char *body = g_strdup_printf("{\"code\":{\"function\":\"f\",\"tenant\":\"%s\"},\"program\":{"
                                            "\"interpreter\":\"python3\",\"source_sha256\":\"%s\",\"argv\":[\"5\"]}}",
                                            tenant, sha256);
    post("/v1/notifications", body);
}

/* Rule: code of the tenant's that is in the cache is as good as code that comes along. */
START_TEST(test_digest)
{
    post_digest("acme", "acme");
    check_source_traits();
    check_libraries(told->libraries, "os numpy");
    ck_assert_double_eq(told->argument_max, 5);
}
END_TEST

/* Rule: another tenant's code tells nothing, not even what it looks like. */
START_TEST(test_digest_of_others)
{
    post_digest("acme", "other");
    ck_assert_ptr_null(told->traits);
    ck_assert_ptr_null(told->libraries);
    ck_assert_int_eq(told->code_bytes, 0);
    ck_assert_str_eq(told->language, "python");
}
END_TEST

/* Rule: code that was read once is known by its digest from then on, to the one who sent it. */
START_TEST(test_seen_before)
{
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, SOURCE, -1);
    g_autofree char *same = g_strdup_printf(
        "{\"code\":{\"function\":\"g\"},\"program\":{\"interpreter\":\"python\",\"source_sha256\":\"%s\"}}", sha256);
    g_autofree char *other = g_strdup_printf("{\"code\":{\"function\":\"g\",\"tenant\":\"other\"},\"program\":{"
                                             "\"interpreter\":\"python\",\"source_sha256\":\"%s\"}}",
                                             sha256);
    post("/v1/notifications", "{\"code\":{\"function\":\"f\"}," PROGRAM "}");
    g_clear_pointer(&told, code_metadata_free);
    post("/v1/executions", same);
    check_source_traits();
    check_libraries(guess->libraries, "os numpy");
    g_clear_pointer(&told, code_metadata_free);
    post("/v1/notifications", other);
    ck_assert_ptr_null(told->traits);
}
END_TEST

/* Rule: what is remembered is bounded; what was not asked for the longest goes. */
START_TEST(test_cache)
{
    char *libraries[] = {(char *)"a", NULL};
    struct traits_cache *cache = traits_cache_new(2);
    struct code_look look = {.libraries = libraries};
    static const char *const digests[] = {"one", "two", "one", "three"};
    for (guint i = 0; i < G_N_ELEMENTS(digests); i++) {
        struct code_look seen;
        look.code_bytes = i + 1;
        if (traits_cache_get(cache, "t", "c", digests[i], &seen))
            code_look_clear(&seen);
        else
            traits_cache_put(cache, "t", "c", digests[i], &look);
    }
    struct code_look found;
    ck_assert(!traits_cache_get(cache, "t", "c", "two", &found));
    ck_assert(!traits_cache_get(cache, "t", NULL, "one", &found));
    ck_assert(!traits_cache_get(cache, "u", "c", "one", &found));
    ck_assert(traits_cache_get(cache, "t", "c", "one", &found));
    ck_assert_int_eq(found.code_bytes, 1);
    check_libraries(found.libraries, "a");
    code_look_clear(&found);
    look.code_bytes = 9;
    traits_cache_put(cache, "t", "c", "one", &look);
    ck_assert(traits_cache_get(cache, "t", "c", "one", &found));
    ck_assert_int_eq(found.code_bytes, 9);
    code_look_clear(&found);
    traits_cache_free(cache);
}
END_TEST

static const struct {
    const char *argv[5];
    gboolean has_source;
    guint count;
    double max;
} argument_cases[] = {
    {{"./program", "12"}, FALSE, 1, 12},
    {{"12"}, FALSE, 0, 0},
    {{"12"}, TRUE, 1, 12},
    {{NULL}, TRUE, 0, 0},
    {{"-5", "", "-", "x9"}, TRUE, 4, 0},
    {{"1e6", "2.5", "--size=3e6"}, TRUE, 3, 3e6},
    {{"nan", "inf", "1e999", "12x"}, TRUE, 4, 0},
    {{"99999999999999999999"}, TRUE, 1, 1e15},
};

/* Rule: the largest number of the arguments is the size of the problem, where there is one. */
START_TEST(test_arguments)
{
    struct program program = {.argv = (char **)argument_cases[_i].argv,
                              .source = argument_cases[_i].has_source ? (char *)"x" : NULL};
    struct code_metadata code = {0};
    const struct traits_sources sources = {NULL, traits_cache_new(1)};
    traits_fill(&code, &code, &program, &sources);
    traits_cache_free(sources.cache);
    ck_assert_uint_eq(code.argument_count, argument_cases[_i].count);
    ck_assert_double_eq(code.argument_max, argument_cases[_i].max);
    codec_clear(&code_metadata_codec, &code);
}
END_TEST

/* Rule: an interpreter's path and version do not matter. */
START_TEST(test_interpreters)
{
    static const char *const known[][2] = {
        {"python3", "python"},  {"/usr/bin/python3.11", "python"},
        {"sh", "shell"},        {"bash", "bash"},
        {"node", "javascript"}, {"lua5.4", "lua"},
        {"pypy3", "python"},    {"Rscript", "r"},
        {"perl", "perl"},       {"php8.2", "php"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
        ck_assert_str_eq(traits_language_of(known[i][0]), known[i][1]);
    ck_assert_ptr_null(traits_language_of("pythonista"));
    ck_assert_ptr_null(traits_language_of("cobol"));
    ck_assert_ptr_null(traits_language_of(""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api-traits");
    TCase *tcase = tcase_create("requests");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_notification, 0, 2);
    tcase_add_test(tcase, test_told);
    tcase_add_test(tcase, test_traits_alone);
    tcase_add_test(tcase, test_execution);
    tcase_add_test(tcase, test_digest);
    tcase_add_test(tcase, test_digest_of_others);
    tcase_add_test(tcase, test_seen_before);
    TCase *pure = tcase_create("pure");
    tcase_add_loop_test(pure, test_arguments, 0, G_N_ELEMENTS(argument_cases));
    tcase_add_test(pure, test_interpreters);
    tcase_add_test(pure, test_cache);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, pure);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
