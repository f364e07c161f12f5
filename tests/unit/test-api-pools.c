/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "base/error.h"
#include "model/limits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ID "/v1/pools/fast@a"
#define SHAPE "/v1/instances/vm-1/shape"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHORT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define NOTIFY(program) "{\"code\":{\"function\":\"f\"},\"program\":" program "}"

/* Says what the core was asked. */
static char *describe(const struct event *event)
{
    const struct pool_setting *setting = event->pool_setting;
    switch (event->kind) {
    case EVENT_QUERY:
        ck_assert_int_eq(event->query->object, OBJECT_POOL);
        return g_strdup_printf("%s %s", event->query->kind == QUERY_LIST ? "list" : "get",
                               event->query->id != NULL ? event->query->id : "-");
    case EVENT_POOL_SET:
        if (setting->reset)
            return g_strdup_printf("reset %s", event->id);
        return g_strdup_printf("set %s %d:%u %d:%u %d:%u", event->id, setting->has_running, setting->running,
                               setting->has_paused, setting->paused, setting->has_saved, setting->saved);
    case EVENT_POOL_DRAIN:
        return g_strdup_printf("drain %s %d", event->id, event->eof);
    case EVENT_INSTANCE_SHAPE:
        return g_strdup_printf("shape %s %u %u %u %u %u %d", event->id, event->shape.vcpus, event->shape.memory_mib,
                               event->shape.network_mbps, event->shape.disk_mbps, event->shape.cpu_percent,
                               (int)event->shape.gpus);
    case EVENT_NOTIFY:
    case EVENT_EXPLAIN:
        return g_strdup_printf("notify %s", event->notification->program->source_sha256);
    case EVENT_EXECUTE:
        return g_strdup_printf("execute %s", event->execution_request->program.source_sha256);
    default:
        return NULL;
    }
}

static void script(struct harness *harness, const struct event *event)
{
    g_autofree char *what = describe(event);
    g_autofree char *json = g_strdup_printf("{\"asked\":\"%s\"}", what);
    if (what != NULL)
        harness_reply(harness, event->request, 200, json);
}

static struct harness *fixture;

static void setup(void)
{
    fixture = harness_new(script, NULL);
}

static void teardown(void)
{
    harness_free(fixture);
}

static const struct {
    const char *method, *target, *body;
    const char *asked; /* of the core; NULL: it is refused */
    const char *pointer;
} cases[] = {
    {"GET", "/v1/pools", NULL, "list -"},
    {"GET", "/v1/pools?all=true", NULL, NULL},
    {"GET", ID, NULL, "get fast@a"},
    {"GET", "/v1/pools/fast%40a", NULL, "get fast@a"},
    {"GET", "/v1/pools/-", NULL, NULL},
    {"POST", ID "/set", "{\"running\":2}", "set fast@a 1:2 0:0 0:0"},
    {"POST", ID "/set", "{\"running\":0,\"paused\":1,\"saved\":1}", "set fast@a 1:0 1:1 1:1"},
    {"POST", ID "/set", "{\"saved\":0,\"reset\":false}", "set fast@a 0:0 0:0 1:0"},
    {"POST", ID "/set", "{\"reset\":true}", "reset fast@a"},
    {"POST", ID "/set", "{\"reset\":true,\"running\":1}", NULL, "/reset"},
    {"POST", ID "/set", "{\"reset\":false}", NULL, ""},
    {"POST", ID "/set", "{}", NULL, ""},
    {"POST", ID "/set", "{\"running\":null}", NULL, ""},
    {"POST", ID "/set", "[]", NULL, ""},
    {"POST", ID "/set", "", NULL, ""},
    {"POST", ID "/set", "{\"running\":-1}", NULL, "/running"},
    {"POST", ID "/set", "{\"running\":10001}", NULL, "/running"},
    {"POST", ID "/set", "{\"running\":1.5}", NULL, "/running"},
    {"POST", ID "/set", "{\"running\":\"2\"}", NULL, "/running"},
    {"POST", ID "/set", "{\"runing\":2}", NULL, "/runing"},
    {"POST", ID "/set", "{\"running\":2,\"running\":3}", NULL, ""},
    {"POST", ID "/drain", "{\"drain\":true}", "drain fast@a 1"},
    {"POST", ID "/drain", "{\"drain\":false}", "drain fast@a 0"},
    {"POST", ID "/drain", "{}", NULL, "/drain"},
    {"POST", ID "/drain", "{\"drain\":1}", NULL, "/drain"},
    {"POST", ID "/drain", "{\"drain\":true,\"now\":true}", NULL, "/now"},
    {"POST", SHAPE, "{\"vcpus\":2}", "shape vm-1 2 0 0 0 0 -1"},
    {"POST", SHAPE, "{\"memory_mib\":1024,\"network_mbps\":10,\"disk_mbps\":20,\"cpu_percent\":50}",
     "shape vm-1 0 1024 10 20 50 -1"},
    {"POST", SHAPE, "{\"vcpus\":1025}", NULL, "/vcpus"},
    {"POST", SHAPE, "{\"memory_mib\":-1}", NULL, "/memory_mib"},
    {"POST", SHAPE, "{\"memory_mib\":\"1G\"}", NULL, "/memory_mib"},
    {"POST", SHAPE, "", NULL, ""},
    {"POST", "/v1/instances/-/shape", "{\"vcpus\":2}", NULL},
    {"POST", SHAPE, "{\"gpus\":0}", "shape vm-1 0 0 0 0 0 0"},
    {"POST", SHAPE, "{\"gpus\":16}", "shape vm-1 0 0 0 0 0 16"},
    {"POST", SHAPE, "{\"gpus\":17}", NULL, "/gpus"},
    {"POST", SHAPE, "{\"gpus\":null}", "shape vm-1 0 0 0 0 0 -1"},
    {"POST", SHAPE, "{\"gpu\":1}", NULL, "/gpu"},
    {"POST", "/v1/notifications", NOTIFY("{\"interpreter\":\"sh\",\"source_sha256\":\"" SHA "\"}"), "notify " SHA},
    {"POST", "/v1/notifications",
     NOTIFY("{\"interpreter\":\"sh\",\"source_sha256\":\"" SHA "\",\"source_url\":\"https://x.example/a?b=c\"}"),
     "notify " SHA},
    {"POST", "/v1/explanations",
     NOTIFY("{\"interpreter\":\"sh\",\"source_sha256\":\"" SHA "\",\"source_url\":\"HTTP://[::1]:8080/\"}"),
     "notify " SHA},
    {"POST", "/v1/notifications", NOTIFY("{\"source\":\"x\",\"stdin_base64\":\"aGk=\"}"), NULL,
     "/program/stdin_base64"},
    {"POST", "/v1/notifications", NOTIFY("{\"source\":\"x\",\"stdin_open\":true}"), NULL, "/program/stdin_open"},
    {"POST", "/v1/explanations", NOTIFY("{\"source\":\"x\",\"stdin_open\":true}"), NULL, "/program/stdin_open"},
    {"POST", "/v1/notifications", NOTIFY("{\"source\":\"x\"}"), NULL, "/program/interpreter"},
    {"POST", "/v1/notifications", NOTIFY("{}"), NULL, "/program"},
    {"POST", "/v1/notifications", NOTIFY("{\"source\":\"x\",\"source_sha256\":\"" SHA "\"}"), NULL,
     "/program/source_sha256"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHA "\",\"stdin_open\":true}"), "execute " SHA},
    {"POST", "/v1/executions", NOTIFY("{\"source\":\"x\",\"source_sha256\":\"" SHA "\"}"), NULL,
     "/program/source_sha256"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"ABCDEF\"}"), NULL, "/program/source_sha256"},
    {"POST", "/v1/executions",
     NOTIFY("{\"source_sha256\":\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"}"), NULL,
     "/program/source_sha256"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHORT "\"}"), NULL, "/program/source_sha256"},
    {"POST", "/v1/executions", NOTIFY("{\"source_url\":\"http://x/\"}"), NULL, "/program/source_url"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHA "\",\"source_url\":\"file:///etc/passwd\"}"), NULL,
     "/program/source_url"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHA "\",\"source_url\":\"http://me:secret@x/\"}"), NULL,
     "/program/source_url"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHA "\",\"source_url\":\"http:///x\"}"), NULL,
     "/program/source_url"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHA "\",\"source_url\":\"x/y\"}"), NULL,
     "/program/source_url"},
    {"POST", "/v1/executions", NOTIFY("{\"source_sha256\":\"" SHA "\",\"source_url\":\"\"}"), NULL,
     "/program/source_url"},
};

/* Rule: the core is asked exactly what was said; what is wrong is refused with where. */
START_TEST(test_asked)
{
    struct http_answer *answer = http_do(fixture, cases[_i].method, cases[_i].target, cases[_i].body);
    json_auto_t *json = http_json(answer);
    ck_assert_msg((answer->status == 200) == (cases[_i].asked != NULL), "%.*s", (int)answer->body->len,
                  (const char *)answer->body->data);
    if (cases[_i].asked != NULL) {
        ck_assert_str_eq(json_string_value(json_object_get(json, "asked")), cases[_i].asked);
    } else {
        ck_assert_uint_eq(answer->status, 400);
        if (cases[_i].pointer != NULL)
            ck_assert_msg(g_strcmp0(json_string_value(json_object_get(json, "pointer")), cases[_i].pointer) == 0,
                          "%.*s", (int)answer->body->len, (const char *)answer->body->data);
    }
    http_answer_free(answer);
}
END_TEST

/* Rule: the name of a pool is as long as that of a template and a host together. */
START_TEST(test_long_id)
{
    g_autofree char *half = g_strnfill(MODEL_NAME_MAX, 'x');
    g_autofree char *longest = g_strdup_printf("/v1/pools/%s@%s", half, half);
    g_autofree char *longer = g_strconcat(longest, "x", NULL);
    struct http_answer *good = http_do(fixture, "GET", longest, NULL), *bad = http_do(fixture, "GET", longer, NULL);
    ck_assert_uint_eq(good->status, 200);
    ck_assert_uint_eq(bad->status, 400);
    http_answer_free(good);
    http_answer_free(bad);
}
END_TEST

static struct http_answer *upload(const char *target, const char *type, const char *body)
{
    struct http *http = http_connect(fixture);
    http_request(http, "PUT", target, type, body);
    struct http_answer *answer = http_read(http);
    http_close(http);
    return answer;
}

static guint status_of(struct http_answer *answer)
{
    const guint status = answer->status;
    http_answer_free(answer);
    return status;
}

/* Rule: code that was uploaded is there under its digest, for its tenant alone. */
START_TEST(test_code)
{
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "true\n", -1);
    g_autofree char *wanted = g_strdup_printf("{\"sha256\":\"%s\",\"bytes\":5}", sha256);
    g_autofree char *path = g_strconcat("/v1/code/", sha256, NULL);
    g_autofree char *acme = g_strconcat(path, "?tenant=acme/a", NULL);
    struct http_answer *put = upload("/v1/code", "application/octet-stream", "true\n");
    g_autofree char *location = http_header(put, "Location");
    ck_assert_uint_eq(put->status, 201);
    ck_assert_str_eq(location, path);
    ck_assert_uint_eq(put->body->len, strlen(wanted));
    ck_assert_mem_eq(put->body->data, wanted, strlen(wanted));
    http_answer_free(put);
    ck_assert_uint_eq(status_of(http_do(fixture, "GET", path, NULL)), 200);
    ck_assert_uint_eq(status_of(http_do(fixture, "GET", acme, NULL)), 404);
    ck_assert_uint_eq(status_of(upload("/v1/code?tenant=acme/a", NULL, "true\n")), 201);
    struct http_answer *got = http_do(fixture, "GET", acme, NULL);
    ck_assert_uint_eq(got->status, 200);
    ck_assert_mem_eq(got->body->data, wanted, strlen(wanted));
    http_answer_free(got);
    ck_assert_uint_eq(harness_seen(fixture, EVENT_QUERY), 0);
}
END_TEST

/* Rule: what is no code is refused with the right status. */
START_TEST(test_code_refused)
{
    g_autofree char *large = g_strnfill(MODEL_CODE_MAX + 1, 'x');
    ck_assert_uint_eq(status_of(upload("/v1/code", "application/json", "true\n")), 415);
    ck_assert_uint_eq(status_of(upload("/v1/code", NULL, "")), 400);
    ck_assert_uint_eq(status_of(upload("/v1/code", NULL, "\377")), 400);
    ck_assert_uint_eq(status_of(upload("/v1/code?tenant=-", NULL, "x")), 400);
    ck_assert_uint_eq(status_of(upload("/v1/code?owner=x", NULL, "x")), 400);
    ck_assert_uint_eq(status_of(upload("/v1/code", NULL, large)), 413);
    large[MODEL_CODE_MAX] = '\0';
    ck_assert_uint_eq(status_of(upload("/v1/code", NULL, large)), 201);
    ck_assert_uint_eq(status_of(http_do(fixture, "GET", "/v1/code/" SHA, NULL)), 404);
    ck_assert_uint_eq(status_of(http_do(fixture, "GET", "/v1/code/abc", NULL)), 400);
    ck_assert_uint_eq(status_of(http_do(fixture, "GET", "/v1/code", NULL)), 405);
    ck_assert_uint_eq(status_of(http_do(fixture, "DELETE", "/v1/code/" SHA, NULL)), 405);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api-pools");
    TCase *requests = tcase_create("requests");
    tcase_add_checked_fixture(requests, setup, teardown);
    tcase_add_loop_test(requests, test_asked, 0, G_N_ELEMENTS(cases));
    tcase_add_test(requests, test_long_id);
    tcase_add_test(requests, test_code);
    tcase_add_test(requests, test_code_refused);
    suite_add_tcase(suite, requests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
