/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "base/error.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define EXECUTION "{\"code\":{\"function\":\"f\"},\"program\":{\"interpreter\":\"sh\",\"source\":\"true\"}}"
#define STARTED "{\"event\":\"started\",\"execution\":{\"id\":\"exec-1\",\"state\":\"running\"}}"
#define FINISHED "{\"event\":\"finished\",\"execution\":{\"id\":\"exec-1\",\"state\":\"finished\"}}"

static void post_execution(struct http *http)
{
    http_request(http, "POST", "/v1/executions", "application/json", EXECUTION);
}

static void expect_line(struct http *http, const char *wanted)
{
    g_autofree char *line = http_read_line(http);
    ck_assert_msg(g_strcmp0(line, wanted) == 0, "%s instead of %s", line, wanted);
}

static void script_short(struct harness *harness, const struct event *event)
{
    if (event->kind != EVENT_EXECUTE)
        return;
    harness_line(harness, event->request, STARTED, FALSE);
    harness_output(harness, event->request, 1, "hello\n", 6);
    harness_output(harness, event->request, 2, "oops\303", 5);
    harness_output(harness, event->request, 1, "\377", 1);
    harness_output(harness, event->request, 2, "\244", 1);
    harness_output(harness, event->request, 1, "\342\202", 2);
    harness_line(harness, event->request, FINISHED, TRUE);
}

static void check_short(struct harness *harness, struct http *http)
{
    post_execution(http);
    ck_assert_uint_eq(http_read_head(http), 200);
    expect_line(http, STARTED);
    expect_line(http, "{\"event\":\"stdout\",\"data\":\"hello\\n\"}");
    expect_line(http, "{\"event\":\"stderr\",\"data\":\"oops\"}");
    expect_line(http, "{\"event\":\"stdout\",\"data_base64\":\"/w==\"}");
    expect_line(http, "{\"event\":\"stderr\",\"data\":\"\303\244\"}");
    expect_line(http, "{\"event\":\"stdout\",\"data_base64\":\"4oI=\"}");
    expect_line(http, FINISHED);
    ck_assert_ptr_null(http_read_line(http));
    harness_wait_consumed(harness, 15);
    ck_assert_uint_eq(harness_seen(harness, EVENT_CLIENT_GONE), 0);
}

/* Rule: what the core streams comes out as NDJSON in its order, all of it before the last line, and each byte is told to be consumed. */
START_TEST(test_stream)
{
    struct harness *harness = harness_new(script_short, NULL);
    struct http *http = http_connect(harness);
    check_short(harness, http);
    http_close(http);
    harness_free(harness);
}
END_TEST

/* Rule: an answer that comes before the connection is suspended is not lost, streams included. */
START_TEST(test_stream_before_suspension)
{
    struct harness *harness = harness_new_direct(script_short, NULL);
    struct http *http = http_connect_tcp(harness);
    check_short(harness, http);
    http_close(http);
    harness_free(harness);
}
END_TEST

/* Sockets of this process; the database opens its files when it likes. */
static guint count_sockets(void)
{
    guint count = 0;
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        if (target != NULL && g_str_has_prefix(target, "socket:"))
            count++;
    }
    g_dir_close(dir);
    return count;
}

/* The server closes connections in its own time: other requests pass meanwhile. */
static void wait_sockets(struct harness *harness, guint wanted)
{
    for (guint i = 0; i < 2000 && count_sockets() > wanted; i++)
        http_answer_free(http_do(harness, "GET", "/v1/version", NULL));
    ck_assert_uint_le(count_sockets(), wanted);
}

static void script_reply(struct harness *harness, const struct event *event)
{
    if (event->kind == EVENT_NOTIFY)
        harness_reply(harness, event->request, 202, "{\"reservation\":{\"id\":\"res-1\"}}");
}

START_TEST(test_reply_before_suspension)
{
    struct harness *harness = harness_new_direct(script_reply, NULL);
    struct http *http = http_connect(harness);
    for (guint i = 0; i < 200; i++) {
        http_request(http, "POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":\"f\"}}");
        struct http_answer *answer = http_read(http);
        ck_assert_uint_eq(answer->status, 202);
        http_answer_free(answer);
    }
    http_close(http);
    harness_free(harness);
}
END_TEST

static const struct {
    const char *method, *target, *body;
    enum event_kind kind;
    gboolean tcp;
} gone_cases[] = {
    {"POST", "/v1/executions", EXECUTION, EVENT_EXECUTE, FALSE},
    {"POST", "/v1/executions", EXECUTION, EVENT_EXECUTE, TRUE},
    {"GET", "/v1/reservations/res-1?wait=300", NULL, EVENT_QUERY, FALSE},
    {"GET", "/v1/reservations/res-1?wait=300", NULL, EVENT_QUERY, TRUE},
};

/* Rule: a client that goes away while nothing is being sent is noticed; what comes for it later is dropped. */
START_TEST(test_gone_while_quiet)
{
    struct harness *harness = harness_new(NULL, NULL);
    const guint sockets = count_sockets();
    struct http *http = gone_cases[_i].tcp ? http_connect_tcp(harness) : http_connect(harness);
    http_request(http, gone_cases[_i].method, gone_cases[_i].target,
                 gone_cases[_i].body != NULL ? "application/json" : NULL, gone_cases[_i].body);
    harness_wait_seen(harness, gone_cases[_i].kind, 1);
    http_close(http);
    harness_wait_seen(harness, EVENT_CLIENT_GONE, 1);
    harness_line(harness, harness_last_request(harness), FINISHED, TRUE);
    harness_reply(harness, harness_last_request(harness), 200, "{}");
    struct http_answer *answer = http_do(harness, "GET", "/v1/version", NULL);
    ck_assert_uint_eq(answer->status, 200);
    http_answer_free(answer);
    ck_assert_uint_eq(harness_seen(harness, EVENT_CLIENT_GONE), 1);
    wait_sockets(harness, sockets);
    harness_free(harness);
}
END_TEST

/* Rule: the same in the middle of a stream, quiet or with output that nobody takes. */
START_TEST(test_gone_in_stream)
{
    struct harness *harness = harness_new(NULL, NULL);
    const guint sockets = count_sockets();
    struct http *http = _i % 2 == 0 ? http_connect(harness) : http_connect_tcp(harness);
    post_execution(http);
    harness_wait_seen(harness, EVENT_EXECUTE, 1);
    harness_line(harness, harness_last_request(harness), STARTED, FALSE);
    ck_assert_uint_eq(http_read_head(http), 200);
    expect_line(http, STARTED);
    if (_i >= 2) {
        g_autofree char *block = g_strnfill(1024 * 1024, 'x');
        for (guint i = 0; i < 8; i++)
            harness_output(harness, harness_last_request(harness), 1, block, 1024 * 1024);
    }
    http_close(http);
    harness_wait_seen(harness, EVENT_CLIENT_GONE, 1);
    harness_line(harness, harness_last_request(harness), FINISHED, TRUE);
    wait_sockets(harness, sockets);
    harness_free(harness);
}
END_TEST

/* Rule: over a UNIX socket a client may close its sending side and still get its answer. */
START_TEST(test_half_closed)
{
    struct harness *harness = harness_new(NULL, NULL);
    struct http *http = http_connect(harness);
    http_request(http, "GET", "/v1/reservations/res-1?wait=300", NULL, NULL);
    shutdown(http->fd, SHUT_WR);
    harness_wait_seen(harness, EVENT_QUERY, 1);
    harness_reply(harness, harness_last_request(harness), 200, "{}");
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 200);
    http_answer_free(answer);
    http_close(http);
    harness_free(harness);
}
END_TEST

/* A stream that the core gives up in the middle must not look complete. */
START_TEST(test_broken_stream)
{
    struct harness *harness = harness_new(NULL, NULL);
    const guint sockets = count_sockets();
    struct http *http = http_connect(harness);
    post_execution(http);
    harness_wait_seen(harness, EVENT_EXECUTE, 1);
    harness_line(harness, harness_last_request(harness), STARTED, FALSE);
    harness_reply_error(harness, harness_last_request(harness), HBR_ERROR_INTERNAL, "gave up");
    struct http_answer *answer = http_read(http);
    ck_assert(!answer->complete);
    http_answer_free(answer);
    http_close(http);
    wait_sockets(harness, sockets);
    harness_free(harness);
}
END_TEST

/* Rule: an execution refused before it was accepted is a problem document, not a stream. */
START_TEST(test_refused)
{
    struct harness *harness = harness_new(NULL, NULL);
    struct http *http = http_connect(harness);
    post_execution(http);
    harness_wait_seen(harness, EVENT_EXECUTE, 1);
    harness_reply_error(harness, harness_last_request(harness), HBR_ERROR_EXHAUSTED, "too many executions");
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 429);
    http_answer_free(answer);
    http_close(http);
    harness_free(harness);
}
END_TEST

#define FLOW_TOTAL (6 * 1024 * 1024)
#define FLOW_WINDOW (256 * 1024)
#define FLOW_BLOCK (32 * 1024)
#define FLOW_TEXT "0123456789abcdef0123456789abcd\303\244"

/* A core with a window: it sends only what the client has made room for. */
struct flow {
    gint64 sent, consumed;
    guint64 request;
};

static void flow_send(struct harness *harness, struct flow *flow)
{
    while (flow->sent < FLOW_TOTAL && flow->sent - flow->consumed < FLOW_WINDOW) {
        g_autofree char *block = g_malloc(FLOW_BLOCK);
        for (gsize i = 0; i < FLOW_BLOCK; i++)
            block[i] = FLOW_TEXT[(gsize)(flow->sent + (gint64)i) % strlen(FLOW_TEXT)];
        harness_output(harness, flow->request, 1, block, FLOW_BLOCK - 1);
        flow->sent += FLOW_BLOCK - 1;
        if (flow->sent >= FLOW_TOTAL)
            harness_line(harness, flow->request, FINISHED, TRUE);
    }
}

static void script_flow(struct harness *harness, const struct event *event)
{
    struct flow *flow = harness->data;
    if (event->kind == EVENT_EXECUTE)
        flow->request = event->request;
    else if (event->kind == EVENT_OUTPUT_CONSUMED)
        flow->consumed += event->count;
    else
        return;
    flow_send(harness, flow);
}

static void append_data(const json_t *json, GByteArray *out)
{
    const json_t *data = json_object_get(json, "data");
    const char *base64 = json_string_value(json_object_get(json, "data_base64"));
    gsize length;
    if (data != NULL) {
        g_byte_array_append(out, (const guint8 *)json_string_value(data), (guint)json_string_length(data));
    } else if (base64 != NULL) {
        g_autofree guchar *raw = g_base64_decode(base64, &length);
        g_byte_array_append(out, raw, (guint)length);
    }
}

/* The output in an answer's lines; only what the end cut off may be base64. */
static GByteArray *collect_output(const GByteArray *body)
{
    GByteArray *out = g_byte_array_new();
    g_autofree char *text = g_strndup((const char *)body->data, body->len);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const guint count = g_strv_length(lines);
    for (guint i = 0; i < count && lines[i][0] != '\0'; i++) {
        json_auto_t *json = json_loads(lines[i], 0, NULL);
        ck_assert_ptr_nonnull(json);
        ck_assert(json_object_get(json, "data_base64") == NULL || i + 3 >= count);
        append_data(json, out);
    }
    return out;
}

/* Rule: output is held back until the client takes it, and none is lost, doubled or mangled, wherever blocks cut characters. */
START_TEST(test_flow_control)
{
    struct flow flow = {0};
    struct harness *harness = harness_new(script_flow, &flow);
    struct http *http = http_connect(harness);
    const int small = 4096;
    setsockopt(http->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    post_execution(http);
    struct http_answer *answer = http_read(http);
    ck_assert(answer->complete);
    g_autoptr(GByteArray) out = collect_output(answer->body);
    ck_assert_int_eq(out->len, flow.sent);
    for (gsize i = 0; i < out->len; i++)
        if (out->data[i] != (guint8)FLOW_TEXT[i % strlen(FLOW_TEXT)])
            ck_abort_msg("byte %zu differs", i);
    harness_wait_consumed(harness, flow.sent);
    http_answer_free(answer);
    http_close(http);
    harness_free(harness);
}
END_TEST

#define BACKLOG_LINES 20000

static void script_talk(struct harness *harness, const struct event *event)
{
    g_autofree char *line = g_strdup_printf("{\"event\":\"timeline\",\"pad\":\"%0500d\"}", 0);
    for (guint i = 0; event->kind == EVENT_WATCH && i < BACKLOG_LINES; i++)
        harness_line(harness, event->request, line, i + 1 == BACKLOG_LINES);
}

/* Rule: a client that takes too little of what happens is cut off, and the core hears of it. */
START_TEST(test_backlog)
{
    struct harness *harness = harness_new(script_talk, NULL);
    struct http *http = http_connect(harness);
    http_request(http, "GET", "/v1/events?object=host", NULL, NULL);
    harness_wait_seen(harness, EVENT_WATCH, 1);
    struct http_answer *answer = http_read(http);
    ck_assert_uint_eq(answer->status, 200);
    ck_assert(!answer->complete);
    http_answer_free(answer);
    http_close(http);
    harness_free(harness);
}
END_TEST

static void script_drip(struct harness *harness, const struct event *event)
{
    if (event->kind != EVENT_EXECUTE)
        return;
    for (guint i = 0; i < BACKLOG_LINES; i++)
        harness_output(harness, event->request, 1, "x", 1);
    harness_line(harness, event->request, FINISHED, TRUE);
}

/* Rule: output is held back by what the client takes, in however small pieces it comes: nobody is cut off for it. */
START_TEST(test_small_pieces)
{
    struct harness *harness = harness_new(script_drip, NULL);
    struct http *http = http_connect(harness);
    post_execution(http);
    harness_wait_seen(harness, EVENT_EXECUTE, 1);
    struct http_answer *answer = http_read(http);
    ck_assert(answer->complete);
    harness_wait_consumed(harness, BACKLOG_LINES);
    http_answer_free(answer);
    http_close(http);
    harness_free(harness);
}
END_TEST

#define WAITERS 100

static void script_count(struct harness *harness, const struct event *event)
{
    if (event->kind != EVENT_QUERY)
        return;
    pthread_mutex_lock(&harness->lock);
    g_array_append_val((GArray *)harness->data, event->request);
    pthread_mutex_unlock(&harness->lock);
}

/* Rule: many may wait at a time; others are served meanwhile, and each waiter gets its own answer. */
START_TEST(test_many_waiters)
{
    g_autoptr(GArray) requests = g_array_new(FALSE, FALSE, sizeof(guint64));
    struct harness *harness = harness_new(script_count, requests);
    struct http *waiters[WAITERS];
    for (guint i = 0; i < WAITERS; i++) {
        waiters[i] = http_connect(harness);
        g_autofree char *target = g_strdup_printf("/v1/reservations/res-%u?wait=60&state=ready", i);
        http_request(waiters[i], "GET", target, NULL, NULL);
        harness_wait_seen(harness, EVENT_QUERY, i + 1);
    }
    struct http_answer *other = http_do(harness, "GET", "/v1/version", NULL);
    ck_assert_uint_eq(other->status, 200);
    http_answer_free(other);
    for (guint i = WAITERS; i > 0; i--) {
        g_autofree char *json = g_strdup_printf("{\"number\":%u}", i - 1);
        harness_reply(harness, g_array_index(requests, guint64, i - 1), 200, json);
    }
    for (guint i = 0; i < WAITERS; i++) {
        struct http_answer *answer = http_read(waiters[i]);
        json_auto_t *json = http_json(answer);
        ck_assert_int_eq(json_integer_value(json_object_get(json, "number")), i);
        http_answer_free(answer);
        http_close(waiters[i]);
    }
    harness_free(harness);
}
END_TEST

/* Rule: the server can be stopped whatever its connections wait for. */
START_TEST(test_stop_while_waiting)
{
    struct harness *harness = harness_new(NULL, NULL);
    struct http *clients[12];
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        clients[i] = i % 2 == 0 ? http_connect(harness) : http_connect_tcp(harness);
        if (i % 3 == 0)
            http_request(clients[i], "GET", "/v1/reservations/res-1?wait=60", NULL, NULL);
        else
            post_execution(clients[i]);
        harness_wait_seen(harness, i % 3 == 0 ? EVENT_QUERY : EVENT_EXECUTE, i % 3 == 0 ? i / 3 + 1 : i - i / 3);
        if (i % 3 == 2) {
            harness_line(harness, harness_last_request(harness), STARTED, FALSE);
            http_read_head(clients[i]);
        }
    }
    http_send_text(clients[0], "GET /v1/");
    harness_stop(harness);
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        ck_assert(http_is_closed(clients[i]));
        http_close(clients[i]);
    }
    harness_free(harness);
}
END_TEST

/* Rule: a core that does not answer makes the daemon unhealthy, and one that does heals it. */
START_TEST(test_health)
{
    struct harness *harness = harness_new(NULL, NULL);
    struct http_answer *answer = http_do(harness, "GET", "/healthz", NULL);
    ck_assert_uint_eq(answer->status, 503);
    http_answer_free(answer);
    harness_reply_error(harness, harness_last_request(harness), HBR_ERROR_UNAVAILABLE, "no host is up");
    answer = http_do(harness, "GET", "/healthz", NULL);
    ck_assert_uint_eq(answer->status, 200);
    http_answer_free(answer);
    harness_free(harness);
}
END_TEST

#define STORM_THREADS 8
#define STORM_REQUESTS 60

/* Answers out of order, each of a pair of threads at its own pace. */
static void script_storm(struct harness *harness, const struct event *event)
{
    if (event->kind == EVENT_NOTIFY)
        harness_reply(harness, event->request, 202, "{\"reservation\":{\"id\":\"res-1\"}}");
    else if (event->kind == EVENT_EXECUTE && event->request % 3 == 0)
        harness_reply_error(harness, event->request, HBR_ERROR_CONFLICT, "no");
    else if (event->kind == EVENT_EXECUTE)
        script_short(harness, event);
    else if (event->kind == EVENT_QUERY && event->request % 2 == 0)
        harness_reply(harness, event->request, 200, "{}");
}

static gpointer storm_thread(gpointer data)
{
    const struct harness *harness = data;
    g_autoptr(GRand) random = g_rand_new();
    for (guint i = 0; i < STORM_REQUESTS; i++) {
        struct http *http = g_rand_boolean(random) ? http_connect(harness) : http_connect_tcp(harness);
        const gint kind = g_rand_int_range(random, 0, 4);
        if (kind == 0)
            http_request(http, "POST", "/v1/notifications", "application/json", "{\"code\":{\"function\":\"f\"}}");
        else if (kind == 1)
            http_request(http, "GET", "/v1/reservations/res-1?wait=60", NULL, NULL);
        else
            post_execution(http);
        if (kind == 0 || kind == 3) {
            struct http_answer *answer = http_read(http);
            ck_assert_uint_ge(answer->status, 200);
            http_answer_free(answer);
        }
        http_close(http);
    }
    return NULL;
}

/* Rule: clients that come, go and break off at any moment leave nothing behind. */
START_TEST(test_storm)
{
    struct harness *harness = harness_new(script_storm, NULL);
    const guint sockets = count_sockets();
    GThread *threads[STORM_THREADS];
    for (guint i = 0; i < STORM_THREADS; i++)
        threads[i] = g_thread_new("client", storm_thread, harness);
    for (guint i = 0; i < STORM_THREADS; i++)
        g_thread_join(threads[i]);
    struct http_answer *answer = http_do(harness, "GET", "/v1/version", NULL);
    ck_assert_uint_eq(answer->status, 200);
    http_answer_free(answer);
    wait_sockets(harness, sockets);
    harness_free(harness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api-stream");
    TCase *streams = tcase_create("streams");
    tcase_add_test(streams, test_stream);
    tcase_add_test(streams, test_stream_before_suspension);
    tcase_add_test(streams, test_reply_before_suspension);
    tcase_add_loop_test(streams, test_gone_while_quiet, 0, G_N_ELEMENTS(gone_cases));
    tcase_add_loop_test(streams, test_gone_in_stream, 0, 4);
    tcase_add_test(streams, test_half_closed);
    tcase_add_test(streams, test_broken_stream);
    tcase_add_test(streams, test_refused);
    tcase_add_test(streams, test_flow_control);
    tcase_add_test(streams, test_backlog);
    tcase_add_test(streams, test_small_pieces);
    TCase *many = tcase_create("many");
    tcase_add_test(many, test_many_waiters);
    tcase_add_test(many, test_stop_while_waiting);
    tcase_add_test(many, test_health);
    tcase_add_test(many, test_storm);
    suite_add_tcase(suite, streams);
    suite_add_tcase(suite, many);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
