/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/frame.h"
#include "api/listener.h"
#include "api/problem.h"
#include "api/route.h"
#include "api/target.h"
#include "base/error.h"
#include "model/execution.h"
#include "model/host.h"
#include "model/instance.h"
#include "model/reservation.h"

#include <check.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *uri;
    const char *parts; /* segments and parameters joined; NULL: refused */
} target_cases[] = {
    {"/v1/hosts", "v1|hosts"},
    {"/v1/hosts/a%2Fb", "v1|hosts|a/b"},
    {"/v1/hosts?function=a%20b&tenant=c+d", "v1|hosts|function=a b|tenant=c d"},
    {"/v1/hosts/a+b", "v1|hosts|a+b"},
    {"/v1/hosts?all", "v1|hosts|all="},
    {"/v1/hosts?a=b=c&&", "v1|hosts|a=b=c"},
    {"/", ""},
    {"//", "|"},
    {"/v1/%C3%A4", "v1|\303\244"},
    {"v1/hosts", NULL},
    {"*", NULL},
    {"http://x/v1", NULL},
    {"/v1/%", NULL},
    {"/v1/%2", NULL},
    {"/v1/%zz", NULL},
    {"/v1/%00", NULL},
    {"/v1/%0a", NULL},
    {"/v1/%ff", NULL},
    {"/v1?a=%ff", NULL},
    {"/v1?a=1&a=2", NULL},
    {"/1/2/3/4/5/6/7/8/9", NULL},
    {"/v1?a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=&l=&m=&n=&o=&p=&q=", NULL},
};

/* Rule: a target is split before it is decoded, and what is ambiguous or not text is refused. */
START_TEST(test_target)
{
    struct target target;
    g_autofree char *uri = g_strdup(target_cases[_i].uri);
    g_autoptr(GError) error = NULL;
    const gboolean good = target_parse(&target, uri, &error);
    if (target_cases[_i].parts == NULL) {
        ck_assert(!good);
        ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_INVALID));
        return;
    }
    ck_assert_msg(good, "%s", error != NULL ? error->message : "");
    g_autoptr(GString) parts = g_string_new(NULL);
    for (guint i = 0; i < target.segment_count; i++)
        g_string_append_printf(parts, "%s%s", i > 0 ? "|" : "", target.segments[i]);
    for (guint i = 0; i < target.parameter_count; i++)
        g_string_append_printf(parts, "|%s=%s", target.parameters[i].name, target.parameters[i].value);
    ck_assert_str_eq(parts->str, target_cases[_i].parts);
}
END_TEST

static const struct {
    const char *chunks[4]; /* as the program wrote them */
    const char *lines;
} frame_cases[] = {
    {{"hello\n"}, "{\"event\":\"stdout\",\"data\":\"hello\\n\"}\n"},
    {{"a\"b\\c\t\001\r"}, "{\"event\":\"stdout\",\"data\":\"a\\\"b\\\\c\\u0009\\u0001\\u000d\"}\n"},
    {{"\303\244"}, "{\"event\":\"stdout\",\"data\":\"\303\244\"}\n"},
    {{"x\303", "\244y"}, "{\"event\":\"stdout\",\"data\":\"x\"}\n{\"event\":\"stdout\",\"data\":\"\303\244y\"}\n"},
    {{"\360", "\237", "\230", "\200"}, "{\"event\":\"stdout\",\"data\":\"\360\237\230\200\"}\n"},
    {{"\360\237\230"}, "{\"event\":\"stdout\",\"data_base64\":\"8J+Y\"}\n"},
    {{"a\303", "b"}, "{\"event\":\"stdout\",\"data\":\"a\"}\n{\"event\":\"stdout\",\"data_base64\":\"w2I=\"}\n"},
    {{"\377\376"}, "{\"event\":\"stdout\",\"data_base64\":\"//4=\"}\n"},
    {{"\355\240"}, "{\"event\":\"stdout\",\"data_base64\":\"7aA=\"}\n"},
    {{"\340\200"}, "{\"event\":\"stdout\",\"data_base64\":\"4IA=\"}\n"},
    {{"\364\220"}, "{\"event\":\"stdout\",\"data_base64\":\"9JA=\"}\n"},
    {{"\300"}, "{\"event\":\"stdout\",\"data_base64\":\"wA==\"}\n"},
};

/* Rule: text stays text, a character that a chunk boundary cuts is never mangled, everything else is base64. */
START_TEST(test_frame)
{
    struct frame_stream stream = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    for (guint i = 0; i < 4 && frame_cases[_i].chunks[i] != NULL; i++)
        frame_append(&stream, "stdout", frame_cases[_i].chunks[i], strlen(frame_cases[_i].chunks[i]), out);
    frame_finish(&stream, "stdout", out);
    ck_assert_str_eq(out->str, frame_cases[_i].lines);
}
END_TEST

/* Rule: NUL is not text, though it is UTF-8. */
START_TEST(test_frame_nul)
{
    struct frame_stream stream = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    frame_append(&stream, "stderr", "a\0b", 3, out);
    frame_finish(&stream, "stderr", out);
    ck_assert_str_eq(out->str, "{\"event\":\"stderr\",\"data_base64\":\"YQBi\"}\n");
}
END_TEST

static void frame_collect(const char *lines, GByteArray *bytes)
{
    g_auto(GStrv) each = g_strsplit(lines, "\n", -1);
    for (guint i = 0; each[i] != NULL && each[i][0] != '\0'; i++) {
        json_auto_t *json = json_loads(each[i], 0, NULL);
        ck_assert_msg(json != NULL, "not JSON: %s", each[i]);
        const json_t *data = json_object_get(json, "data");
        if (data != NULL) {
            g_byte_array_append(bytes, (const guint8 *)json_string_value(data), (guint)json_string_length(data));
            continue;
        }
        gsize length;
        g_autofree guchar *raw = g_base64_decode(json_string_value(json_object_get(json, "data_base64")), &length);
        g_byte_array_append(bytes, raw, (guint)length);
    }
}

/* Rule: whatever the bytes and however they are cut, they come out as they went in. */
START_TEST(test_frame_random)
{
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)_i);
    struct frame_stream stream = {0};
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GByteArray) sent = g_byte_array_new(), got = g_byte_array_new();
    for (guint chunk = 0; chunk < 40; chunk++) {
        static const char alphabet[] = "ab\303\244\342\202\254\360\237\230\200\377\n\"";
        char bytes[16];
        const gsize length = (gsize)g_rand_int_range(random, 1, sizeof bytes);
        for (gsize i = 0; i < length; i++)
            bytes[i] = alphabet[g_rand_int_range(random, 0, sizeof alphabet)];
        g_byte_array_append(sent, (const guint8 *)bytes, (guint)length);
        frame_append(&stream, "stdout", bytes, length, out);
    }
    frame_finish(&stream, "stdout", out);
    frame_collect(out->str, got);
    ck_assert_uint_eq(got->len, sent->len);
    ck_assert_mem_eq(got->data, sent->data, sent->len);
}
END_TEST

static const struct {
    int code;
    const char *message, *pointer;
} problem_cases[] = {
    {HBR_ERROR_INVALID, "/code/function: is missing", "/code/function"},
    {HBR_ERROR_INVALID, "/: not valid JSON", ""},
    {HBR_ERROR_INVALID, "low.yaml:3: unknown key", NULL},
    {HBR_ERROR_UNAVAILABLE, "/var/lib x: is missing", NULL},
    {HBR_ERROR_INTERNAL, "broken \377 text", NULL},
};

/* Rule: a problem document carries the code, and the pointer where there is one; any message makes valid JSON. */
START_TEST(test_problem)
{
    g_autoptr(GError) error = hbr_error_new(problem_cases[_i].code, "%s", problem_cases[_i].message);
    g_autoptr(GBytes) text = problem_document(error, problem_status(error));
    json_auto_t *json = json_loadb(g_bytes_get_data(text, NULL), g_bytes_get_size(text), 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "code")), hbr_error_id(problem_cases[_i].code));
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")),
                     hbr_error_http_status(problem_cases[_i].code));
    const char *pointer = json_string_value(json_object_get(json, "pointer"));
    ck_assert_int_eq(g_strcmp0(pointer, problem_cases[_i].pointer), 0);
}
END_TEST

/* Rule: an error of a foreign domain is a defect of ours, not a strange status. */
START_TEST(test_problem_foreign)
{
    g_autoptr(GError) error = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "x");
    ck_assert_uint_eq(problem_status(error), 500);
}
END_TEST

/* Rule: what no program listens on any more is removed, what one does is not, and what is no socket is not either. */
START_TEST(test_listener_unix)
{
    g_autofree char *dir = g_dir_make_tmp("hbr-listener-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "socket", NULL);
    g_autoptr(GError) error = NULL;
    const int first = listener_open_unix(path, &error);
    ck_assert_int_ge(first, 0);
    struct stat info;
    ck_assert_int_eq(g_stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0660);
    ck_assert_int_eq(listener_open_unix(path, &error), -1);
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_CONFLICT));
    g_clear_error(&error);
    close(first);
    const int second = listener_open_unix(path, &error);
    ck_assert_int_ge(second, 0);
    close(second);
    g_unlink(path);
    ck_assert(g_file_set_contents(path, "precious", -1, NULL));
    ck_assert_int_eq(listener_open_unix(path, &error), -1);
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_CONFLICT));
    g_unlink(path);
    g_rmdir(dir);
}
END_TEST

static const char *const bad_unix_paths[] = {
    "", "/does/not/exist/socket",
    "/a/very/long/path/that/does/not/fit/into/the/108/bytes/of/an/address/of/a/unix/socket/because/it/goes/on/and/on/and/on"};

START_TEST(test_listener_unix_bad)
{
    g_autoptr(GError) error = NULL;
    ck_assert_int_eq(listener_open_unix(bad_unix_paths[_i], &error), -1);
    ck_assert_ptr_nonnull(error);
}
END_TEST

static const struct {
    const char *address;
    gboolean good;
} tcp_cases[] = {
    {"127.0.0.1:0", TRUE}, {"localhost:0", TRUE},    {"127.0.0.1", FALSE},   {":80", FALSE},
    {"127.0.0.1:", FALSE}, {"::1:80", FALSE},        {"[::1:80", FALSE},     {"127.0.0.1:x", FALSE},
    {"", FALSE},           {"not a host:80", FALSE}, {"192.0.2.1:0", FALSE},
};

START_TEST(test_listener_tcp)
{
    g_autoptr(GError) error = NULL;
    const int fd = listener_open_tcp(tcp_cases[_i].address, &error);
    ck_assert_msg((fd >= 0) == tcp_cases[_i].good, "%s", tcp_cases[_i].address);
    ck_assert((error == NULL) == tcp_cases[_i].good);
    if (fd < 0)
        return;
    ck_assert_uint_gt(listener_port(fd), 0);
    close(fd);
}
END_TEST

static const struct {
    const char *method, *uri;
    const char *allow; /* of a wrong method */
    gboolean found;
} route_cases[] = {
    {"POST", "/v1/notifications", NULL, TRUE},
    {"GET", "/v1/notifications", "POST", FALSE},
    {"GET", "/v1/hosts/a", NULL, TRUE},
    {"HEAD", "/v1/hosts/a", NULL, TRUE},
    {"PUT", "/v1/hosts", "POST, GET, HEAD", FALSE},
    {"POST", "/v1/hosts/a", "GET, HEAD, DELETE", FALSE},
    {"POST", "/v1/pools/a@b/set", NULL, TRUE},
    {"GET", "/v1/pools/a@b/drain", "POST", FALSE},
    {"POST", "/v1/pools/a@b/fill", NULL, FALSE},
    {"DELETE", "/v1/pools/a@b", "GET, HEAD", FALSE},
    {"PUT", "/v1/code", NULL, TRUE},
    {"GET", "/v1/code", "PUT", FALSE},
    {"GET", "/v1/hosts/", NULL, FALSE},
    {"GET", "/v1/hosts/a/b", NULL, FALSE},
    {"GET", "/v1", NULL, FALSE},
    {"GET", "/", NULL, FALSE},
    {"GET", "/v1/host", NULL, FALSE},
    {"GET", "/v1/hostsx", NULL, FALSE},
    {"GET", "/healthz", NULL, TRUE},
    {"GET", "/v2/hosts", NULL, FALSE},
};

/* Rule: a path that exists answers 405 to a wrong method, and says what is right. */
START_TEST(test_route)
{
    struct target target;
    g_autofree char *uri = g_strdup(route_cases[_i].uri), *allow = NULL;
    g_autoptr(GError) error = NULL;
    ck_assert(target_parse(&target, uri, NULL));
    const struct route *route = route_find(route_cases[_i].method, &target, &allow, &error);
    ck_assert((route != NULL) == route_cases[_i].found);
    ck_assert_int_eq(g_strcmp0(allow, route_cases[_i].allow), 0);
    ck_assert((error != NULL) == (route == NULL && allow == NULL));
}
END_TEST

static char *read_source(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), name, NULL);
    char *text = NULL;
    ck_assert_msg(g_file_get_contents(path, &text, NULL, NULL), "%s", path);
    return text;
}

/* Rule: the manual tells of each route. */
START_TEST(test_manual_routes)
{
    g_autofree char *manual = read_source("contrib/man/harbinger-api.7.rst");
    g_autofree char *table = read_source("src/api/route.c");
    g_autoptr(GRegex) rows = g_regex_new("\\{\\s*\"([A-Z]+)\", \"([^\"]+)\"", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    guint count = 0;
    for (g_regex_match(rows, table, 0, &match); g_match_info_matches(match); g_match_info_next(match, NULL), count++) {
        g_autofree char *method = g_match_info_fetch(match, 1), *path = g_match_info_fetch(match, 2);
        g_autoptr(GString) wanted = g_string_new(NULL);
        g_string_append_printf(wanted, "**%s /%s**", method, path);
        g_string_replace(wanted, "/*", "/ID", 0);
        ck_assert_msg(strstr(manual, wanted->str) != NULL, "the manual has no %s", wanted->str);
    }
    ck_assert_uint_ge(count, 31);
}
END_TEST

/* Rule: and of each member of each form. */
START_TEST(test_manual_members)
{
    static const struct codec *const forms[] = {
        &notification_codec, &code_metadata_codec, &execution_request_codec, &program_codec,     &run_limits_codec,
        &host_spec_codec,    &reservation_codec,   &execution_codec,         &run_result_codec,  &adjustment_codec,
        &instance_codec,     &host_codec,          &observation_codec,       &vm_shape_codec,    &demand_codec,
        &program_file_codec, &placement_codec,     &timeline_entry_codec,    &path_choice_codec, &pool_codec,
        &pool_stock_codec,   &pool_miss_codec,     &pool_ledger_codec,
    };
    g_autofree char *manual = read_source("contrib/man/harbinger-api.7.rst");
    for (guint form = 0; form < G_N_ELEMENTS(forms); form++)
        for (guint i = 0; i < forms[form]->field_count; i++) {
            const struct codec_field *field = &forms[form]->fields[i];
            g_autofree char *wanted = g_strdup_printf("*%s*", field->name);
            if ((field->flags & CODEC_PRIVATE) == 0)
                ck_assert_msg(strstr(manual, wanted) != NULL, "the manual has no %s of %s", wanted, forms[form]->what);
            for (guint word = 0; field->words != NULL && word < field->words->count; word++)
                ck_assert_msg(strstr(manual, field->words->words[word]) != NULL, "the manual has no %s of %s",
                              field->words->words[word], field->name);
        }
}
END_TEST

/* Rule: and of each error. */
START_TEST(test_manual_errors)
{
    g_autofree char *manual = read_source("contrib/man/harbinger-api.7.rst");
    for (int code = 0; code < HBR_ERROR_LAST; code++) {
        g_autofree char *pattern = g_strdup_printf("(?m)^\\*\\*%s\\*\\* +%u +%d ", hbr_error_id(code),
                                                   hbr_error_http_status(code), hbr_error_exit_status(code));
        ck_assert_msg(g_regex_match_simple(pattern, manual, 0, 0), "the manual is wrong about %s", hbr_error_id(code));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api-parts");
    TCase *pure = tcase_create("pure");
    tcase_add_loop_test(pure, test_target, 0, G_N_ELEMENTS(target_cases));
    tcase_add_loop_test(pure, test_frame, 0, G_N_ELEMENTS(frame_cases));
    tcase_add_test(pure, test_frame_nul);
    tcase_add_loop_test(pure, test_frame_random, 0, 50);
    tcase_add_loop_test(pure, test_problem, 0, G_N_ELEMENTS(problem_cases));
    tcase_add_test(pure, test_problem_foreign);
    tcase_add_loop_test(pure, test_route, 0, G_N_ELEMENTS(route_cases));
    tcase_add_test(pure, test_manual_routes);
    tcase_add_test(pure, test_manual_members);
    tcase_add_test(pure, test_manual_errors);
    TCase *sockets = tcase_create("sockets");
    tcase_add_test(sockets, test_listener_unix);
    tcase_add_loop_test(sockets, test_listener_unix_bad, 0, G_N_ELEMENTS(bad_unix_paths));
    tcase_add_loop_test(sockets, test_listener_tcp, 0, G_N_ELEMENTS(tcp_cases));
    suite_add_tcase(suite, pure);
    suite_add_tcase(suite, sockets);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
