/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "base/clock.h"
#include "base/error.h"
#include "model/limits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOTIFICATION "{\"code\":{\"function\":\"f\"}}"
#define EXECUTION "{\"code\":{\"function\":\"f\"},\"program\":{\"interpreter\":\"sh\",\"source\":\"true\"}}"
#define RESERVATION "{\"reservation\":{\"id\":\"res-1\",\"state\":\"scheduled\"}}"

#define STORED(id) "{\"id\":\"" id "\",\"notification\":{\"code\":{\"function\":\"f\"}},\"state\":\"done\"}"

/* A core that has one of everything. */
static void script_plain(struct harness *harness, const struct event *event)
{
    switch (event->kind) {
    case EVENT_NOTIFY:
        harness_reply(harness, event->request, 202, RESERVATION);
        break;
    case EVENT_EXPLAIN:
        harness_reply(harness, event->request, 200, RESERVATION);
        break;
    case EVENT_HOST_ATTACH:
        harness_reply(harness, event->request, 201, "{\"spec\":{\"name\":\"h1\"},\"state\":\"connecting\"}");
        break;
    case EVENT_POLICY_LOAD:
        harness_reply(harness, event->request, 201, "{\"version\":7}");
        break;
    case EVENT_STDIN:
    case EVENT_REMOVE:
        harness_reply(harness, event->request, 200, "{\"id\":\"x\"}");
        break;
    case EVENT_QUERY:
        if (event->query->kind == QUERY_LIST)
            harness_reply(harness, event->request, 200, "{\"reservations\":[{\"id\":\"res-2\"},{\"id\":\"res-1\"}]}");
        else if (event->query->kind == QUERY_GET && strcmp(event->query->id, "missing") == 0)
            harness_reply_error(harness, event->request, HBR_ERROR_NOT_FOUND, "there is no such object");
        else if (event->query->kind == QUERY_METRICS)
            harness_reply(harness, event->request, 200, "harbinger_up 1\n");
        else if (event->query->kind == QUERY_READY)
            harness_reply_error(harness, event->request, HBR_ERROR_UNAVAILABLE, "no host is up");
        else
            harness_reply(harness, event->request, 200, "{\"id\":\"x\"}");
        break;
    case EVENT_EXECUTE:
        harness_reply_error(harness, event->request, HBR_ERROR_UNSATISFIABLE, "no host is large enough");
        break;
    default:
        break;
    }
}

static struct harness *fixture;

static void setup(void)
{
    fixture = harness_new(script_plain, NULL);
}

static void teardown(void)
{
    harness_free(fixture);
}

/* One row for each thing that can be asked and each way to ask it wrong. */
static const struct {
    const char *method, *target, *content_type, *body;
    guint status;
    const char *code;    /* of the problem document, or NULL */
    const char *pointer; /* of it, or NULL */
    const char *header, *value;
} cases[] = {
    {"POST", "/v1/notifications", "application/json", NOTIFICATION, 202, NULL, NULL, "Location",
     "/v1/reservations/res-1"},
    {"POST", "/v1/notifications", "application/json; charset=utf-8", NOTIFICATION, 202},
    {"POST", "/v1/notifications", NULL, NOTIFICATION, 202},
    {"POST", "/v1/notifications", "text/plain", NOTIFICATION, 415, "unsupported"},
    {"POST", "/v1/notifications", "application/jsonx", NOTIFICATION, 415, "unsupported"},
    {"POST", "/v1/notifications", "application/x-www-form-urlencoded", NOTIFICATION, 415, "unsupported"},
    {"POST", "/v1/notifications", "application/json", "", 400, "invalid", ""},
    {"POST", "/v1/notifications", "application/json", "{", 400, "invalid", ""},
    {"POST", "/v1/notifications", "application/json", "[]", 400, "invalid", ""},
    {"POST", "/v1/notifications", "application/json", "{}", 400, "invalid", "/code"},
    {"POST", "/v1/notifications", "application/json", "{\"code\":{}}", 400, "invalid", "/code/function"},
    {"POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":7}}", 400, "invalid", "/code/function"},
    {"POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":\"f\",\"colour\":1}}", 400, "invalid",
     "/code/colour"},
    {"POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":\"f\",\"function\":\"g\"}}", 400,
     "invalid", ""},
    {"POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":\"f\"},\"id\":\"x\"}", 400, "invalid",
     "/id"},
    {"POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":\"\377\"}}", 400, "invalid", ""},
    {"POST", "/v1/notifications?x=1", "application/json", NOTIFICATION, 400, "invalid"},
    {"POST", "/v1/explanations", "application/json", NOTIFICATION, 200},
    {"POST", "/v1/explanations", "application/json", "{}", 400, "invalid", "/code"},
    {"POST", "/v1/executions", "application/json", EXECUTION, 422, "unsatisfiable"},
    {"POST", "/v1/executions", "application/json", "{\"code\":{\"function\":\"f\"}}", 400, "invalid", "/program"},
    {"POST", "/v1/executions/exec-1/stdin", "application/octet-stream", "abc", 204},
    {"POST", "/v1/executions/exec-1/stdin", NULL, "abc", 204},
    {"POST", "/v1/executions/exec-1/stdin?eof=true", NULL, "", 204},
    {"POST", "/v1/executions/exec-1/stdin", NULL, "", 400, "invalid", ""},
    {"POST", "/v1/executions/exec-1/stdin?eof=yes", NULL, "abc", 400, "invalid"},
    {"POST", "/v1/executions/exec-1/stdin", "application/json", "abc", 415, "unsupported"},
    {"POST", "/v1/hosts", "application/json", "{\"name\":\"h1\",\"uri\":\"sim:h1\"}", 201, NULL, NULL, "Location",
     "/v1/hosts/h1"},
    {"POST", "/v1/hosts", "application/json", "{\"name\":\"h1\"}", 400, "invalid", "/uri"},
    {"GET", "/v1/reservations", NULL, NULL, 200, NULL, NULL, "Content-Type", "application/json"},
    {"GET", "/v1/reservations?function=f&tenant=t&state=ready&limit=10&all=true", NULL, NULL, 200},
    {"GET", "/v1/reservations?limit=0", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations?limit=1001", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations?limit=-1", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations?limit=ten", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations?state=sideways", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations?colour=red", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations?all=true&all=true", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/executions", NULL, NULL, 200},
    {"GET", "/v1/instances", NULL, NULL, 200},
    {"GET", "/v1/hosts", NULL, NULL, 200},
    {"GET", "/v1/reservations/res-1", NULL, NULL, 200},
    {"GET", "/v1/reservations/res-1?explain=true", NULL, NULL, 200},
    {"GET", "/v1/reservations/res-1?explain=yes", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/reservations/res-1?explain=true&wait=5", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/executions/exec-1?explain=true", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/hosts/missing", NULL, NULL, 404, "not-found"},
    {"GET", "/v1/hosts/-", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/hosts/%zz", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/hosts/a?wait=1&state=up", NULL, NULL, 200},
    {"GET", "/v1/hosts/a?wait=301", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/hosts/a?wait=soon", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/hosts/a?state=up", NULL, NULL, 400, "invalid"},
    {"DELETE", "/v1/reservations/res-1", NULL, NULL, 200},
    {"DELETE", "/v1/executions/exec-1", NULL, NULL, 200},
    {"DELETE", "/v1/instances/vm-1", NULL, NULL, 200},
    {"DELETE", "/v1/hosts/h1", NULL, NULL, 200},
    {"DELETE", "/v1/hosts", NULL, NULL, 405, "unsupported", NULL, "Allow", "POST, GET, HEAD"},
    {"GET", "/v1/history", NULL, NULL, 200},
    {"GET", "/v1/history?function=f&tenant=t&limit=5", NULL, NULL, 200},
    {"GET", "/v1/history?limit=5000", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/accuracy", NULL, NULL, 200, NULL, NULL, "Content-Type", "application/json"},
    {"GET", "/v1/accuracy?by=model&function=f&tenant=t&language=l&since=2026-11-20T22:48:00Z&limit=100000", NULL, NULL,
     200},
    {"GET", "/v1/accuracy?by=colour", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/accuracy?since=yesterday", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/accuracy?limit=100001", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/accuracy/points?function=f&tenant=t&language=l&since=2026-11-20T22:48:00%2B01:00&limit=2000", NULL,
     NULL, 200},
    {"GET", "/v1/accuracy/points?by=model", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/accuracy/points?limit=2001", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/accuracy/other", NULL, NULL, 404, "not-found"},
    {"GET", "/v1/policies", NULL, NULL, 200},
    {"GET", "/v1/policies/current", NULL, NULL, 404, "not-found"},
    {"GET", "/v1/policies/3", NULL, NULL, 404, "not-found"},
    {"GET", "/v1/policies/x", NULL, NULL, 400, "invalid"},
    {"GET", "/v1/profiles", NULL, NULL, 404, "not-found"},
    {"POST", "/v1/policies", "application/json", "{}", 400, "invalid", "/files"},
    {"POST", "/v1/policies", "application/json", "{\"files\":[{\"name\":\"a.yaml\",\"text\":\"colour: red\\n\"}]}", 400,
     "invalid"},
    {"POST", "/v1/policies?check=maybe", "application/json", "{\"files\":[]}", 400, "invalid"},
    {"GET", "/v1/version", NULL, NULL, 200},
    {"POST", "/v1/version", NULL, "", 405, "unsupported", NULL, "Allow", "GET, HEAD"},
    {"GET", "/metrics", NULL, NULL, 200, NULL, NULL, "Content-Type", "text/plain; version=0.0.4"},
    {"GET", "/healthz", NULL, NULL, 200},
    {"GET", "/readyz", NULL, NULL, 503, "unavailable", NULL, "Retry-After", "1"},
    {"GET", "/", NULL, NULL, 404, "not-found"},
    {"GET", "/v1/nothing", NULL, NULL, 404, "not-found"},
    {"GET", "/v1/hosts", "application/json", "{}", 413, "too-large"},
    {"PATCH", "/v1/hosts", NULL, NULL, 405, "unsupported"},
};

static void check_problem(const struct http_answer *answer, const char *code, const char *pointer)
{
    g_autofree char *type = http_header(answer, "Content-Type");
    ck_assert_str_eq(type, "application/problem+json");
    json_auto_t *json = http_json(answer);
    ck_assert_str_eq(json_string_value(json_object_get(json, "code")), code);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), answer->status);
    g_autofree char *urn = g_strconcat("urn:harbinger:error:", code, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "type")), urn);
    if (pointer != NULL)
        ck_assert_msg(g_strcmp0(json_string_value(json_object_get(json, "pointer")), pointer) == 0, "%.*s",
                      (int)answer->body->len, (const char *)answer->body->data);
}

/* Rule: each route answers as the definition of the API says, right and wrong requests alike. */
START_TEST(test_routes)
{
    struct http *http = http_connect(fixture);
    http_request(http, cases[_i].method, cases[_i].target, cases[_i].content_type, cases[_i].body);
    struct http_answer *answer = http_read(http);
    ck_assert(answer->complete);
    ck_assert_msg(answer->status == cases[_i].status, "%s %s: %u %.*s", cases[_i].method, cases[_i].target,
                  answer->status, (int)answer->body->len, (const char *)answer->body->data);
    if (cases[_i].code != NULL)
        check_problem(answer, cases[_i].code, cases[_i].pointer);
    if (cases[_i].header != NULL) {
        g_autofree char *value = http_header(answer, cases[_i].header);
        ck_assert_int_eq(g_strcmp0(value, cases[_i].value), 0);
    }
    http_answer_free(answer);
    http_close(http);
}
END_TEST

/* Rule: a refusal does not cost the client its connection. */
START_TEST(test_keep_alive)
{
    struct http *http = http_connect(fixture);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        http_request(http, cases[i].method, cases[i].target, cases[i].content_type, cases[i].body);
        struct http_answer *answer = http_read(http);
        ck_assert_msg(answer->status == cases[i].status, "%s %s: %u", cases[i].method, cases[i].target, answer->status);
        http_answer_free(answer);
    }
    http_close(http);
}
END_TEST

/* Rule: the same over TCP. */
START_TEST(test_tcp)
{
    struct http *http = http_connect_tcp(fixture);
    http_request(http, "POST", "/v1/notifications", "application/json", NOTIFICATION);
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 202);
    ck_assert_mem_eq(answer->body->data, RESERVATION, strlen(RESERVATION));
    http_answer_free(answer);
    http_close(http);
}
END_TEST

/* Rule: requests sent before their answers came are answered one by one, in order. */
START_TEST(test_pipelining)
{
    struct http *http = http_connect(fixture);
    http_send_text(http, "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 25\r\n\r\n" NOTIFICATION
                         "GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                         "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 25\r\n\r\n" NOTIFICATION);
    const guint wanted[] = {202, 200, 404, 202};
    for (guint i = 0; i < G_N_ELEMENTS(wanted); i++) {
        struct http_answer *answer = http_read(http);
        ck_assert_uint_eq(answer->status, wanted[i]);
        http_answer_free(answer);
    }
    http_close(http);
}
END_TEST

/* Rule: HEAD says what GET would, without the body. */
START_TEST(test_head)
{
    struct http *http = http_connect(fixture);
    http_request(http, "HEAD", "/v1/version", NULL, NULL);
    ck_assert_uint_eq(http_read_head(http), 200);
    ck_assert_uint_eq(http->in->len, 0);
    http_close(http);
}
END_TEST

/* Rule: a body that says it is too large is refused before it is read. */
START_TEST(test_oversize_announced)
{
    struct http *http = http_connect(fixture);
    http_send_text(http, "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 413);
    check_problem(answer, "too-large", NULL);
    http_answer_free(answer);
    ck_assert(http_is_closed(http));
    http_close(http);
}
END_TEST

static void send_chunked(struct http *http, gsize total)
{
    g_autofree char *block = g_malloc(16384);
    memset(block, ' ', 16384);
    http_send_text(http, "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (gsize sent = 0; sent < total; sent += 16384) {
        http_send_text(http, "4000\r\n");
        http_send(http, block, 16384);
        http_send_text(http, "\r\n");
    }
    http_send_text(http, "0\r\n\r\n");
}

/* Rule: a body that does not say its size is bounded while it arrives. */
START_TEST(test_oversize_chunked)
{
    struct http *http = http_connect(fixture);
    send_chunked(http, MODEL_NOTIFICATION_MAX + 16384);
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 413);
    http_answer_free(answer);
    http_close(http);
    http = http_connect(fixture);
    send_chunked(http, 16 * MODEL_NOTIFICATION_MAX); /* no end in sight */
    ck_assert(http_is_closed(http));
    http_close(http);
}
END_TEST

/* Rule: a chunked body within its bound is as good as any. */
START_TEST(test_chunked)
{
    struct http *http = http_connect(fixture);
    http_send_text(http, "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "8\r\n{\"code\":\r\n11\r\n{\"function\":\"f\"}}\r\n0\r\n\r\n");
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 202);
    http_answer_free(answer);
    http_close(http);
}
END_TEST

/* Rule: a large body within its bound is taken, and its memory given back: far more than the sum allowed at a time passes through. */
START_TEST(test_large_bodies)
{
    g_autofree char *source = g_strnfill(3 * 1024 * 1024, 'x');
    g_autofree char *body = g_strdup_printf(
        "{\"code\":{\"function\":\"f\"},\"program\":{\"interpreter\":\"sh\",\"source\":\"%s\"}}", source);
    struct http *http = http_connect(fixture);
    for (guint i = 0; i < 100; i++) {
        http_request(http, "POST", "/v1/executions", "application/json", body);
        struct http_answer *answer = http_read(http);
        ck_assert_uint_eq(answer->status, 422);
        http_answer_free(answer);
    }
    http_close(http);
}
END_TEST

/* Rule: large bodies being received at a time are bounded in sum; what does not fit is told to come again. */
START_TEST(test_body_budget)
{
    struct http *held[11];
    for (guint i = 0; i < G_N_ELEMENTS(held); i++) {
        held[i] = http_connect(fixture);
        http_send_text(
            held[i],
            "POST /v1/executions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 25000000\r\n\r\n");
        if (i < 10)
            ck_assert_uint_eq(http_read_head(held[i]), 100);
    }
    struct http_answer *answer = http_read(held[10]);
    ck_assert_uint_eq(answer->status, 429);
    http_answer_free(answer);
    for (guint i = 0; i < G_N_ELEMENTS(held); i++)
        http_close(held[i]);
    struct http_answer *after = http_do(fixture, "GET", "/v1/version", NULL);
    ck_assert_uint_eq(after->status, 200);
    http_answer_free(after);
}
END_TEST

/* Rule: nesting is bounded. */
START_TEST(test_nested)
{
    g_autoptr(GString) body = g_string_new(NULL);
    for (guint i = 0; i < 20000; i++)
        g_string_append_c(body, '[');
    struct http_answer *answer = http_do(fixture, "POST", "/v1/notifications", body->str);
    ck_assert_uint_eq(answer->status, 413);
    http_answer_free(answer);
}
END_TEST

/* Rule: headers are bounded. */
START_TEST(test_large_headers)
{
    struct http *http = http_connect(fixture);
    g_autofree char *value = g_strnfill(200 * 1024, 'x');
    g_autofree char *text = g_strdup_printf("GET /v1/version HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", value);
    http_send_text(http, text);
    struct http_answer *answer = http_read(http);
    ck_assert_msg(answer->status >= 400 || answer->head == NULL, "%u", answer->status);
    http_answer_free(answer);
    http_close(http);
}
END_TEST

static const char *const garbage[] = {
    "\r\n\r\n\r\n",
    "GET\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"code\"",
    "GET /v1/hosts",
};

/* Rule: what is not HTTP, or ends in the middle, harms only itself. */
START_TEST(test_garbage)
{
    struct http *http = http_connect(fixture);
    http_send_text(http, garbage[_i]);
    shutdown(http->fd, SHUT_WR);
    ck_assert(http_is_closed(http));
    http_close(http);
    struct http_answer *answer = http_do(fixture, "GET", "/v1/version", NULL);
    ck_assert_uint_eq(answer->status, 200);
    http_answer_free(answer);
}
END_TEST

/* Rule: a client that sends nothing more is cut off. */
START_TEST(test_slow_client)
{
    struct http *http = http_connect(fixture);
    http_send_text(http, "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    ck_assert(http_is_closed(http));
    http_close(http);
}
END_TEST

/* Rule: a body in small pieces is a body. */
START_TEST(test_dribble)
{
    static const char text[] = "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Length: 25\r\n\r\n" NOTIFICATION;
    struct http *http = http_connect(fixture);
    for (const char *c = text; *c != '\0'; c++)
        http_send(http, c, 1);
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 202);
    http_answer_free(answer);
    http_close(http);
}
END_TEST

static void persist(guint object, const char *id, const char *body)
{
    static guint64 serial;
    struct command *command = command_new(COMMAND_PERSIST);
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_PUT;
    record->object = object;
    record->id = g_strdup(id);
    record->final = TRUE;
    record->at = clock_now();
    record->body = g_bytes_new(body, strlen(body));
    command->serial = ++serial;
    command->records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    g_ptr_array_add(command->records, record);
    const guint before = harness_seen(fixture, EVENT_COMMITTED);
    store_submit(fixture->store, command);
    harness_wait_seen(fixture, EVENT_COMMITTED, before + 1);
}

/* Rule: an object that the core no longer holds is read from the database; one that nobody knows is not found. */
START_TEST(test_get_stored)
{
    persist(OBJECT_RESERVATION, "missing", STORED("missing"));
    struct http_answer *answer = http_do(fixture, "GET", "/v1/reservations/missing", NULL);
    ck_assert_uint_eq(answer->status, 200);
    json_auto_t *json = http_json(answer);
    ck_assert_str_eq(json_string_value(json_object_get(json, "state")), "done");
    http_answer_free(answer);
}
END_TEST

/* Rule: all=true appends what only the database knows to what the core knows, nothing twice, and within the limit. */
START_TEST(test_list_all)
{
    persist(OBJECT_RESERVATION, "res-0", STORED("res-0"));
    persist(OBJECT_RESERVATION, "res-1", STORED("res-1"));
    struct http_answer *answer = http_do(fixture, "GET", "/v1/reservations?all=true", NULL);
    json_auto_t *json = http_json(answer);
    const json_t *list = json_object_get(json, "reservations");
    ck_assert_uint_eq(json_array_size(list), 3);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "id")), "res-2");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 2), "id")), "res-0");
    http_answer_free(answer);
    struct http_answer *limited = http_do(fixture, "GET", "/v1/reservations?all=true&limit=2", NULL);
    json_auto_t *less = http_json(limited);
    ck_assert_uint_eq(json_array_size(json_object_get(less, "reservations")), 2);
    http_answer_free(limited);
    struct http_answer *failed = http_do(fixture, "GET", "/v1/reservations?all=true&state=failed", NULL);
    json_auto_t *none = http_json(failed);
    ck_assert_uint_eq(json_array_size(json_object_get(none, "reservations")), 2);
    http_answer_free(failed);
}
END_TEST

/* Rule: a socket path that somebody listens at is an error that names it. */
START_TEST(test_two_servers)
{
    g_autoptr(GError) error = NULL;
    const struct api_settings settings = {
        .socket_path = fixture->socket_path, .connections_max = 8, .request_timeout_ms = 1000, .version = "0"};
    ck_assert_ptr_null(api_new(&settings, fixture->store, NULL, NULL, &error));
    ck_assert(strstr(error->message, fixture->socket_path) != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api");
    TCase *routes = tcase_create("routes");
    tcase_add_checked_fixture(routes, setup, teardown);
    tcase_add_loop_test(routes, test_routes, 0, G_N_ELEMENTS(cases));
    tcase_add_test(routes, test_keep_alive);
    tcase_add_test(routes, test_tcp);
    tcase_add_test(routes, test_pipelining);
    tcase_add_test(routes, test_head);
    TCase *bounds = tcase_create("bounds");
    tcase_add_checked_fixture(bounds, setup, teardown);
    tcase_add_test(bounds, test_oversize_announced);
    tcase_add_test(bounds, test_oversize_chunked);
    tcase_add_test(bounds, test_chunked);
    tcase_add_test(bounds, test_large_bodies);
    tcase_add_test(bounds, test_body_budget);
    tcase_add_test(bounds, test_nested);
    tcase_add_test(bounds, test_large_headers);
    tcase_add_loop_test(bounds, test_garbage, 0, G_N_ELEMENTS(garbage));
    tcase_add_test(bounds, test_slow_client);
    tcase_add_test(bounds, test_dribble);
    TCase *stored = tcase_create("stored");
    tcase_add_checked_fixture(stored, setup, teardown);
    tcase_add_test(stored, test_get_stored);
    tcase_add_test(stored, test_list_all);
    tcase_add_test(stored, test_two_servers);
    suite_add_tcase(suite, routes);
    suite_add_tcase(suite, bounds);
    suite_add_tcase(suite, stored);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
