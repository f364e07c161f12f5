/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "base/error.h"
#include "harbinger/harbinger.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOTIFICATION "{\"code\":{\"function\":\"f\"}}"
#define EXECUTION "{\"code\":{\"function\":\"f\"},\"program\":{\"interpreter\":\"sh\",\"source\":\"true\"}}"
#define STARTED "{\"event\":\"started\",\"execution\":{\"id\":\"exec-1\",\"state\":\"running\"}}"
#define FINISHED                                                                                              \
    "{\"event\":\"finished\",\"execution\":{\"id\":\"exec-1\",\"state\":\"finished\",\"result\":{\"reason\":" \
    "\"exited\",\"status\":3}}}"

/* A core with one of everything, which takes the input of a program and gives it back as its output. */
struct script {
    guint64 execution;
    guint waits;
    gboolean refuse_input;
};

static void script_query(struct harness *harness, const struct event *event)
{
    struct script *script = harness->data;
    const struct query *query = event->query;
    if (query->kind == QUERY_READY)
        harness_reply(harness, event->request, 200, "{\"ready\":true}");
    else if (query->kind == QUERY_METRICS)
        harness_reply(harness, event->request, 200, "harbinger_up 1\n");
    else if (query->kind == QUERY_LIST)
        harness_reply(harness, event->request, 200, "{\"hosts\":[]}");
    else if (strcmp(query->id, "none") == 0)
        harness_reply_error(harness, event->request, HBR_ERROR_NOT_FOUND, "there is no such thing");
    else if (strcmp(query->id, "slow") != 0)
        harness_reply(harness, event->request, 200,
                      script->waits++ == 0 ? "{\"id\":\"x\",\"state\":\"starting\"}"
                                           : "{\"id\":\"x\",\"state\":\"ready\"}");
}

static void script_run(struct harness *harness, const struct event *event)
{
    struct script *script = harness->data;
    const char *function = event->execution_request->code.function;
    script->execution = event->request;
    if (strcmp(function, "refused") == 0) {
        harness_reply_error(harness, event->request, HBR_ERROR_CONFLICT, "/reservation_id: is used up");
        return;
    }
    harness_line(harness, event->request, STARTED, FALSE);
    if (strcmp(function, "broken") == 0) {
        harness_reply_error(harness, event->request, HBR_ERROR_INTERNAL, "gave up");
    } else if (!event->execution_request->program.stdin_open && strcmp(function, "quiet") != 0) {
        harness_output(harness, event->request, 1, "out\377\n", 5);
        harness_output(harness, event->request, 2, "err\n", 4);
        harness_line(harness, event->request, FINISHED, TRUE);
    }
}

static void script_stdin(struct harness *harness, const struct event *event)
{
    const struct script *script = harness->data;
    if (script->refuse_input) {
        harness_reply_error(harness, event->request, HBR_ERROR_CONFLICT, "it has closed its input");
        harness_line(harness, script->execution, FINISHED, TRUE);
        return;
    }
    if (event->bytes != NULL && script->execution != 0)
        harness_output(harness, script->execution, 1, g_bytes_get_data(event->bytes, NULL),
                       g_bytes_get_size(event->bytes));
    harness_reply(harness, event->request, 204, NULL);
    if (event->eof && script->execution != 0)
        harness_line(harness, script->execution, FINISHED, TRUE);
}

static void script_pool(struct harness *harness, guint64 request, const char *id, const char *what)
{
    g_autofree char *json = g_strdup_printf("{\"id\":\"%s\",\"was\":\"%s\"}", id, what);
    harness_reply(harness, request, 200, json);
}

static void script_client(struct harness *harness, const struct event *event)
{
    switch (event->kind) {
    case EVENT_NOTIFY:
        harness_reply(harness, event->request, 202, "{\"reservation\":{\"id\":\"res-1\"}}");
        break;
    case EVENT_EXPLAIN:
        harness_reply(harness, event->request, 200, "{\"reservation\":{\"id\":\"res-0\"}}");
        break;
    case EVENT_HOST_ATTACH:
        harness_reply(harness, event->request, 201, "{\"spec\":{\"name\":\"h\"}}");
        break;
    case EVENT_REMOVE:
        harness_reply(harness, event->request, 200, "{\"id\":\"x\",\"state\":\"cancelled\"}");
        break;
    case EVENT_POOL_SET:
        script_pool(harness, event->request, event->id,
                    event->pool_setting->reset        ? "reset"
                    : event->pool_setting->has_paused ? "paused"
                                                      : "?");
        break;
    case EVENT_POOL_DRAIN:
        script_pool(harness, event->request, event->id, event->eof ? "drained" : "filled");
        break;
    case EVENT_MODEL_TRAIN:
        script_pool(harness, event->request, "-", event->eof ? "waited for" : "begun");
        break;
    case EVENT_MODEL_SERVE:
        script_pool(harness, event->request, event->count < 0 ? "latest" : "7", "served");
        break;
    case EVENT_MODEL_IMPORT:
        script_pool(harness, event->request, event->eof ? "serving" : "kept",
                    g_bytes_get_size(event->bytes) == 3 ? "three" : "?");
        break;
    case EVENT_INSTANCE_SHAPE:
        script_pool(harness, event->request, event->id, event->shape.vcpus == 2 ? "shaped" : "?");
        break;
    case EVENT_QUERY:
        script_query(harness, event);
        break;
    case EVENT_EXECUTE:
        script_run(harness, event);
        break;
    case EVENT_WATCH:
        harness_line(harness, event->request, "{\"event\":\"watching\"}", FALSE);
        harness_line(harness, event->request, "{\"event\":\"timeline\",\"id\":\"vm-1\"}", FALSE);
        harness_line(harness, event->request, event->object == OBJECT_HOST ? "no event" : "{\"event\":\"end\"}", TRUE);
        break;
    case EVENT_STDIN:
        script_stdin(harness, event);
        break;
    default:
        break;
    }
}

static struct script script;
static struct harness *fixture;
static struct hbr_client *client;
static struct hbr_error error;

static void setup(void)
{
    script = (struct script){0};
    fixture = harness_new(script_client, &script);
    error = (struct hbr_error)HBR_ERROR_INIT;
    client = hbr_client_new(fixture->socket_path, &error);
    ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
    hbr_error_clear(&error);
    hbr_client_free(client);
    harness_free(fixture);
}

static void expect_text(bool done, char **text, const char *wanted)
{
    ck_assert_msg(done, "%s", error.message);
    ck_assert_str_eq(*text, wanted);
    hbr_free(*text);
}

/* Rule: each call sends the right request and gives back the body as it came. */
START_TEST(test_calls)
{
    char *text = NULL;
    static const struct hbr_filter filter = {
        .function = "a b&c", .tenant = "t", .state = "up", .all = true, .limit = 7};
    expect_text(hbr_notify(client, NOTIFICATION, &text, &error), &text, "{\"reservation\":{\"id\":\"res-1\"}}");
    expect_text(hbr_explain(client, NOTIFICATION, &text, &error), &text, "{\"reservation\":{\"id\":\"res-0\"}}");
    expect_text(hbr_host_attach(client, "{\"name\":\"h\",\"uri\":\"sim:h\"}", &text, &error), &text,
                "{\"spec\":{\"name\":\"h\"}}");
    expect_text(hbr_list(client, HBR_HOST, &filter, &text, &error), &text, "{\"hosts\":[]}");
    expect_text(hbr_list(client, HBR_HOST, NULL, &text, &error), &text, "{\"hosts\":[]}");
    expect_text(hbr_get(client, HBR_EXECUTION, "exec-1", &text, &error), &text,
                "{\"id\":\"x\",\"state\":\"starting\"}");
    expect_text(hbr_explain_reservation(client, "res-1", &text, &error), &text, "{\"id\":\"x\",\"state\":\"ready\"}");
    expect_text(hbr_delete(client, HBR_INSTANCE, "vm/1", &text, &error), &text,
                "{\"id\":\"x\",\"state\":\"cancelled\"}");
    expect_text(hbr_history(client, &filter, &text, &error), &text, "{\"history\":[]}");
    expect_text(hbr_policy_list(client, &text, &error), &text, "{\"policies\":[]}");
    expect_text(hbr_version(client, &text, &error), &text, "{\"version\":\"1.2.3\",\"api\":\"v1\"}");
    expect_text(hbr_metrics(client, &text, &error), &text, "harbinger_up 1\n");
    ck_assert(hbr_ready(client, &error));
    ck_assert(hbr_notify(client, NOTIFICATION, NULL, NULL));
    ck_assert_ptr_null(error.id);
}
END_TEST

/* Rule: what is not asked for is not sent, and a time is sent as it is. */
START_TEST(test_accuracy)
{
    static const struct hbr_accuracy_query query = {
        .by = "model", .function = "a b&c", .language = "python", .since = "2026-11-20T22:48:00+01:00", .limit = 7};
    char *text = NULL;
    ck_assert_msg(hbr_accuracy(client, &query, &text, &error), "%s", error.message);
    ck_assert_msg(g_str_has_prefix(text, "{\"by\":\"model\",\"limit\":7,"), "%s", text);
    hbr_free(text);
    ck_assert(hbr_accuracy(client, NULL, &text, &error));
    ck_assert_msg(g_str_has_prefix(text, "{\"by\":\"function\",\"limit\":10000,"), "%s", text);
    hbr_free(text);
    expect_text(hbr_accuracy_points(client, &query, &text, &error), &text, "{\"limit\":7,\"points\":[]}");
    expect_text(hbr_accuracy_points(client, NULL, &text, &error), &text, "{\"limit\":2000,\"points\":[]}");
    static const struct hbr_accuracy_query wrong = {.by = "colour"};
    ck_assert(!hbr_accuracy(client, &wrong, NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
}
END_TEST

/* Rule: the same for pools, whose ids hold an at sign, for shapes and for code. */
START_TEST(test_pools_and_code)
{
    char *text = NULL;
    expect_text(hbr_list(client, HBR_POOL, NULL, &text, &error), &text, "{\"hosts\":[]}");
    expect_text(hbr_get(client, HBR_POOL, "a@b", &text, &error), &text, "{\"id\":\"x\",\"state\":\"starting\"}");
    expect_text(hbr_pool_set(client, "a/b@c", "{\"paused\":0}", &text, &error), &text,
                "{\"id\":\"a/b@c\",\"was\":\"paused\"}");
    expect_text(hbr_pool_set(client, "a@b", "{\"reset\":true}", &text, &error), &text,
                "{\"id\":\"a@b\",\"was\":\"reset\"}");
    expect_text(hbr_pool_drain(client, "a@b", true, &text, &error), &text, "{\"id\":\"a@b\",\"was\":\"drained\"}");
    expect_text(hbr_pool_drain(client, "a@b", false, &text, &error), &text, "{\"id\":\"a@b\",\"was\":\"filled\"}");
    expect_text(hbr_instance_shape(client, "vm-1", "{\"vcpus\":2}", &text, &error), &text,
                "{\"id\":\"vm-1\",\"was\":\"shaped\"}");
    ck_assert(!hbr_pool_set(client, "a@b", "{}", NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
    hbr_error_clear(&error);
    g_autofree char *source = g_strnfill(3 * 1024 * 1024, 'x');
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, source, -1);
    g_autofree char *wanted = g_strdup_printf("{\"sha256\":\"%s\",\"bytes\":3145728}", sha256);
    expect_text(hbr_code_upload(client, "t/u", source, strlen(source), &text, &error), &text, wanted);
}
END_TEST

/* Rule: the same for models, whose content is bytes. */
START_TEST(test_models)
{
    char *text = NULL;
    expect_text(hbr_model_list(client, &text, &error), &text, "{\"models\":[]}");
    expect_text(hbr_model_train(client, false, &text, &error), &text, "{\"id\":\"-\",\"was\":\"begun\"}");
    expect_text(hbr_model_train(client, true, &text, &error), &text, "{\"id\":\"-\",\"was\":\"waited for\"}");
    expect_text(hbr_model_serve(client, "7", &text, &error), &text, "{\"id\":\"7\",\"was\":\"served\"}");
    expect_text(hbr_model_serve(client, NULL, &text, &error), &text, "{\"id\":\"latest\",\"was\":\"served\"}");
    expect_text(hbr_model_import(client, "a\0b", 3, false, &text, &error), &text,
                "{\"id\":\"kept\",\"was\":\"three\"}");
    expect_text(hbr_model_import(client, "a\0b", 3, true, &text, &error), &text,
                "{\"id\":\"serving\",\"was\":\"three\"}");
    ck_assert(!hbr_model_get(client, "7", &text, &error));
    ck_assert_str_eq(error.id, "not-found");
    hbr_error_clear(&error);
    ck_assert(!hbr_model_export(client, "../7", NULL, NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
    hbr_error_clear(&error);
    ck_assert(!hbr_model_import(client, "", 0, true, NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
}
END_TEST

/* Rule: code is found under its digest by the tenant that uploaded it. */
START_TEST(test_code)
{
    char *text = NULL;
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "x", -1);
    ck_assert(hbr_code_upload(client, "t/u", "x", 1, NULL, &error));
    ck_assert(hbr_code_get(client, "t/u", sha256, &text, &error));
    ck_assert_ptr_nonnull(strstr(text, sha256));
    hbr_free(text);
    ck_assert(!hbr_code_get(client, NULL, sha256, NULL, &error));
    ck_assert_str_eq(error.id, "not-found");
    ck_assert(!hbr_code_upload(client, NULL, NULL, 0, NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
}
END_TEST

/* Rule: what the daemon refuses comes out as its id, its sentence, its pointer and an exit status. */
START_TEST(test_errors)
{
    ck_assert(!hbr_notify(client, "{\"code\":{}}", NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
    ck_assert_str_eq(error.pointer, "/code/function");
    ck_assert_int_eq(error.http_status, 400);
    ck_assert_int_eq(error.exit_status, 2);
    ck_assert(!hbr_get(client, HBR_RESERVATION, "none", NULL, &error));
    ck_assert_str_eq(error.id, "not-found");
    ck_assert_ptr_null(error.pointer);
    ck_assert_int_eq(error.exit_status, 4);
    ck_assert(!hbr_policy_get(client, NULL, NULL, &error));
    ck_assert_str_eq(error.id, "not-found");
    ck_assert(!hbr_profile_list(client, NULL, &error));
    static const struct hbr_policy_file bad = {"bad.yaml", "colour: red\n"}, binary = {"bad.yaml", "\377"};
    ck_assert(!hbr_policy_check(client, &bad, 1, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "bad.yaml"));
    ck_assert(!hbr_policy_load(client, &binary, 1, NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
    ck_assert(!hbr_get(client, HBR_RESERVATION, "none", NULL, NULL));
}
END_TEST

static const struct {
    const char *address;
    bool good;
} addresses[] = {
    {"unix:/run/x", true},
    {"/run/x", true},
    {"http://127.0.0.1:7475/", true},
    {"", false},
    {"unix:", false},
    {"unix:rel", false},
    {"https://x", false},
    {"http://", false},
    {"x", false},
    {"file:///etc", false},
};

START_TEST(test_addresses)
{
    struct hbr_error problem = HBR_ERROR_INIT;
    struct hbr_client *other = hbr_client_new(addresses[_i].address, &problem);
    ck_assert((other != NULL) == addresses[_i].good);
    ck_assert(addresses[_i].good || strcmp(problem.id, "invalid") == 0);
    hbr_error_clear(&problem);
    hbr_client_free(other);
}
END_TEST

/* Rule: $HARBINGER_URI, then the user's own daemon or the system's. */
START_TEST(test_default_address)
{
    g_setenv("HARBINGER_URI", "http://host:1", TRUE);
    struct hbr_client *other = hbr_client_new(NULL, NULL);
    ck_assert_str_eq(hbr_client_address(other), "http://host:1");
    hbr_client_free(other);
    g_setenv("HARBINGER_URI", "", TRUE);
    other = hbr_client_new(NULL, NULL);
    ck_assert_msg(g_str_has_suffix(hbr_client_address(other), "/harbinger/harbinger.sock"), "%s",
                  hbr_client_address(other));
    hbr_client_free(other);
}
END_TEST

/* Rule: no daemon is "unavailable", with the address in the message. */
START_TEST(test_unreachable)
{
    struct hbr_error problem = HBR_ERROR_INIT;
    struct hbr_client *other = hbr_client_new("unix:/does/not/exist", NULL);
    ck_assert(!hbr_version(other, NULL, &problem));
    ck_assert_str_eq(problem.id, "unavailable");
    ck_assert_int_eq(problem.http_status, 0);
    ck_assert_int_eq(problem.exit_status, 7);
    ck_assert_ptr_nonnull(strstr(problem.message, "unix:/does/not/exist"));
    hbr_error_clear(&problem);
    hbr_client_free(other);
}
END_TEST

/* Rule: the same over TCP. */
START_TEST(test_tcp)
{
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/", fixture->port);
    struct hbr_client *other = hbr_client_new(url, NULL);
    ck_assert(hbr_notify(other, NOTIFICATION, NULL, NULL));
    hbr_client_free(other);
}
END_TEST

/* What the callbacks saw. */
struct seen {
    GString *out, *err, *events;
    bool stop;
};

static bool on_stdout(const void *data, size_t length, void *user_data)
{
    struct seen *seen = user_data;
    g_string_append_len(seen->out, data, (gssize)length);
    return !seen->stop;
}

static bool on_stderr(const void *data, size_t length, void *user_data)
{
    g_string_append_len(((struct seen *)user_data)->err, data, (gssize)length);
    return true;
}

static bool on_event(const char *event, const char *json, void *user_data)
{
    ck_assert_ptr_nonnull(strstr(json, event));
    g_string_append_printf(((struct seen *)user_data)->events, "%s ", event);
    return true;
}

static struct seen *seen_new(void)
{
    struct seen *seen = g_new0(struct seen, 1);
    seen->out = g_string_new(NULL);
    seen->err = g_string_new(NULL);
    seen->events = g_string_new(NULL);
    return seen;
}

static void seen_free(struct seen *seen)
{
    g_string_free(seen->out, TRUE);
    g_string_free(seen->err, TRUE);
    g_string_free(seen->events, TRUE);
    g_free(seen);
}

static struct hbr_exec_callbacks callbacks_of(struct seen *seen)
{
    return (struct hbr_exec_callbacks){
        .on_stdout = on_stdout, .on_stderr = on_stderr, .on_event = on_event, .user_data = seen};
}

/* Rule: output arrives as the bytes that the program wrote, events in their order, and the end with its status. */
START_TEST(test_execute)
{
    struct seen *seen = seen_new();
    const struct hbr_exec_callbacks callbacks = callbacks_of(seen);
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    ck_assert_msg(hbr_execute(client, EXECUTION, &callbacks, &result, &error), "%s", error.message);
    ck_assert_str_eq(seen->out->str, "out\377\n");
    ck_assert_str_eq(seen->err->str, "err\n");
    ck_assert_str_eq(seen->events->str, "started finished ");
    ck_assert_str_eq(result.execution_id, "exec-1");
    ck_assert_str_eq(result.state, "finished");
    ck_assert_str_eq(result.reason, "exited");
    ck_assert_int_eq(hbr_exec_exit_status(&result), 3);
    hbr_exec_result_clear(&result);
    seen_free(seen);
    ck_assert(hbr_execute(client, EXECUTION, NULL, NULL, NULL));
}
END_TEST

static bool on_first(const char *event, const char *json, void *user_data)
{
    on_event(event, json, user_data);
    return false;
}

/* Rule: what happens is told in its order, until either side ends it; a line that cannot be read is an error. */
START_TEST(test_watch)
{
    struct seen *seen = seen_new();
    ck_assert_msg(hbr_watch(client, NULL, "vm-1", on_event, seen, &error), "%s", error.message);
    ck_assert_str_eq(seen->events->str, "watching timeline end ");
    ck_assert_msg(hbr_watch(client, "instance", NULL, on_first, seen, &error), "%s", error.message);
    ck_assert_str_eq(seen->events->str, "watching timeline end watching ");
    ck_assert(!hbr_watch(client, "host", "h", on_event, seen, &error));
    ck_assert_str_eq(error.id, "internal");
    ck_assert(!hbr_watch(client, "pool", NULL, on_event, seen, &error));
    ck_assert_str_eq(error.id, "invalid");
    seen_free(seen);
}
END_TEST

/* Rule: input is fed as it comes, to its end, and all of it arrives. */
START_TEST(test_execute_input)
{
    struct seen *seen = seen_new();
    struct hbr_exec_callbacks callbacks = callbacks_of(seen);
    g_autofree char *path = g_build_filename(fixture->dir, "input", NULL);
    g_autofree char *text = g_strnfill(300000, 'i');
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    FILE *input = g_fopen(path, "r");
    callbacks.feed_input = true;
    callbacks.input_fd = fileno(input);
    ck_assert_msg(hbr_execute(client, EXECUTION, &callbacks, NULL, &error), "%s", error.message);
    ck_assert_str_eq(seen->out->str, text);
    fclose(input);
    seen_free(seen);
}
END_TEST

/* Rule: a program that does not read its input is no error. */
START_TEST(test_execute_input_refused)
{
    struct seen *seen = seen_new();
    struct hbr_exec_callbacks callbacks = callbacks_of(seen);
    int pipe_fds[2];
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    script.refuse_input = TRUE;
    callbacks.feed_input = true;
    callbacks.input_fd = pipe_fds[0];
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    ck_assert_msg(hbr_execute(client, EXECUTION, &callbacks, &result, &error), "%s", error.message);
    ck_assert_str_eq(result.reason, "exited");
    hbr_exec_result_clear(&result);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    seen_free(seen);
}
END_TEST

/* Rule: a refusal before the start is the daemon's error; a stream without its end is "interrupted"; a callback may end it all, which
 * the daemon notices. */
START_TEST(test_execute_failures)
{
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    ck_assert(!hbr_execute(client, "{\"code\":{\"function\":\"refused\"},\"program\":{}}", NULL, &result, &error));
    ck_assert_str_eq(error.id, "conflict");
    ck_assert_str_eq(error.pointer, "/reservation_id");
    ck_assert(!hbr_execute(client, "{\"code\":{\"function\":\"broken\"},\"program\":{}}", NULL, &result, &error));
    ck_assert_str_eq(error.id, "interrupted");
    ck_assert(!hbr_execute(client, "nonsense", NULL, &result, &error));
    ck_assert_str_eq(error.id, "invalid");
    ck_assert_ptr_null(result.state);
    struct seen *seen = seen_new();
    seen->stop = true;
    const struct hbr_exec_callbacks callbacks = callbacks_of(seen);
    ck_assert(!hbr_execute(client, EXECUTION, &callbacks, NULL, &error));
    ck_assert_str_eq(error.id, "cancelled");
    seen_free(seen);
}
END_TEST

static gpointer interrupt_when_running(gpointer data)
{
    harness_wait_seen(fixture, *(enum event_kind *)data, 1);
    hbr_client_interrupt(client);
    return NULL;
}

/* Rule: what waits can be interrupted from outside, the daemon is told, and the client goes on to be usable. */
START_TEST(test_interrupt)
{
    enum event_kind kind = EVENT_EXECUTE;
    GThread *thread = g_thread_new("interrupt", interrupt_when_running, &kind);
    ck_assert(!hbr_execute(client, "{\"code\":{\"function\":\"quiet\"},\"program\":{}}", NULL, NULL, &error));
    ck_assert_str_eq(error.id, "interrupted");
    g_thread_join(thread);
    harness_wait_seen(fixture, EVENT_CLIENT_GONE, 1);
    kind = EVENT_QUERY;
    thread = g_thread_new("interrupt", interrupt_when_running, &kind);
    ck_assert(!hbr_wait(client, HBR_RESERVATION, "slow", "ready", 0, NULL, &error));
    ck_assert_str_eq(error.id, "interrupted");
    g_thread_join(thread);
    ck_assert(hbr_version(client, NULL, &error));
    hbr_client_interrupt(client);
    ck_assert(!hbr_version(client, NULL, NULL) || hbr_version(client, NULL, NULL));
}
END_TEST

/* Rule: waiting ends with the state, with a final one, with the time, or when the object can never come into it. */
START_TEST(test_wait)
{
    char *text;
    script.waits = 1;
    ck_assert_msg(hbr_wait(client, HBR_RESERVATION, "x", "ready", 5000, &text, &error), "%s", error.message);
    ck_assert_ptr_nonnull(strstr(text, "ready"));
    hbr_free(text);
    ck_assert(!hbr_wait(client, HBR_RESERVATION, "slow", "ready", 300, NULL, &error));
    ck_assert_str_eq(error.id, "timeout");
    ck_assert(!hbr_wait(client, HBR_RESERVATION, "none", "ready", 300, NULL, &error));
    ck_assert_str_eq(error.id, "not-found");
    ck_assert(!hbr_wait(client, HBR_RESERVATION, "x", "claimed", 9000, NULL, &error));
    ck_assert_str_eq(error.id, "conflict");
}
END_TEST

/* Rule: an answer that does not come in time is "timeout". */
START_TEST(test_timeout)
{
    hbr_client_set_timeout(client, 200);
    ck_assert(!hbr_get(client, HBR_RESERVATION, "slow", NULL, &error));
    ck_assert_str_eq(error.id, "timeout");
}
END_TEST

/* Rule: anything can be asked, and what is not JSON comes through unharmed. */
START_TEST(test_request)
{
    struct hbr_response response = HBR_RESPONSE_INIT;
    ck_assert(
        hbr_request(client, "POST", "/v1/notifications", NULL, NOTIFICATION, strlen(NOTIFICATION), &response, &error));
    ck_assert_int_eq(response.status, 202);
    ck_assert_str_eq(response.location, "/v1/reservations/res-1");
    ck_assert_str_eq(response.content_type, "application/json");
    ck_assert_uint_eq(response.length, strlen(response.body));
    hbr_response_clear(&response);
    ck_assert(hbr_execution_input(client, "exec-1", "abc", 3, true, &error));
    ck_assert(!hbr_request(client, "GET", "v1", NULL, NULL, 0, &response, &error));
    ck_assert_str_eq(error.id, "invalid");
    ck_assert(!hbr_request(client, "GET", "/nothing", NULL, NULL, 0, &response, &error));
    ck_assert_int_eq(error.http_status, 404);
    ck_assert(!hbr_execution_input(client, "exec-1", NOTIFICATION, 2 * 1024 * 1024, false, &error));
    ck_assert_str_eq(error.id, "too-large");
    char *escaped = hbr_escape("a b/\303\244");
    ck_assert_str_eq(escaped, "a%20b%2F%C3%A4");
    hbr_free(escaped);
    ck_assert_str_eq(hbr_library_version(), PACKAGE_VERSION);
}
END_TEST

/* Rule: a body that is refused before it was sent is the daemon's error, not a broken connection. */
START_TEST(test_oversize)
{
    g_autofree char *body = g_strnfill(40 * 1024 * 1024, ' ');
    ck_assert(!hbr_notify(client, body, NULL, &error));
    ck_assert_msg(strcmp(error.id, "too-large") == 0, "%s: %s", error.id, error.message);
    ck_assert(hbr_version(client, NULL, &error));
}
END_TEST

static const struct {
    const char *state, *reason;
    int status, exit_status;
} exits[] = {
    {"finished", "exited", 0, 0},
    {"finished", "exited", 42, 42},
    {"finished", "signalled", 9, 137},
    {"finished", "out-of-memory", 0, 137},
    {"finished", "wall-clock-limit", 0, 124},
    {"cancelled", "cancelled", 0, 130},
    {"cancelled", NULL, 0, 130},
    {"failed", NULL, 0, 125},
    {"failed", "lost", 0, 125},
    {"finished", "output-limit", 0, 125},
    {"interrupted", NULL, 0, 125},
};

START_TEST(test_exit_status)
{
    const struct hbr_exec_result result = {
        .state = (char *)exits[_i].state, .reason = (char *)exits[_i].reason, .status = exits[_i].status};
    ck_assert_int_eq(hbr_exec_exit_status(&result), exits[_i].exit_status);
}
END_TEST

/* Rule: the library exports what its header declares, no more and no less. */
START_TEST(test_symbols)
{
    g_autofree char *header_path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "include/harbinger/harbinger.h", NULL);
    g_autofree char *list_path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "src/client/libharbinger.sym", NULL);
    g_autofree char *header = NULL, *list = NULL;
    ck_assert(g_file_get_contents(header_path, &header, NULL, NULL));
    ck_assert(g_file_get_contents(list_path, &list, NULL, NULL));
    g_autoptr(GRegex) comments = g_regex_new("/\\*.*?\\*/", G_REGEX_DOTALL, 0, NULL);
    g_autofree char *code = g_regex_replace_literal(comments, header, -1, 0, "", 0, NULL);
    g_autoptr(GRegex) names = g_regex_new("\\b(hbr_\\w+)\\(", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    guint count = 0;
    for (g_regex_match(names, code, 0, &match); g_match_info_matches(match); g_match_info_next(match, NULL), count++) {
        g_autofree char *name = g_match_info_fetch(match, 1);
        g_autofree char *line = g_strconcat(name, "\n", NULL);
        ck_assert_msg(strstr(list, line) != NULL, "%s is not exported", name);
    }
    g_auto(GStrv) lines = g_strsplit(g_strstrip(list), "\n", -1);
    ck_assert_uint_eq(g_strv_length(lines), count);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *calls = tcase_create("calls");
    tcase_add_checked_fixture(calls, setup, teardown);
    tcase_add_test(calls, test_calls);
    tcase_add_test(calls, test_accuracy);
    tcase_add_test(calls, test_pools_and_code);
    tcase_add_test(calls, test_models);
    tcase_add_test(calls, test_code);
    tcase_add_test(calls, test_errors);
    tcase_add_test(calls, test_tcp);
    tcase_add_test(calls, test_wait);
    tcase_add_test(calls, test_timeout);
    tcase_add_test(calls, test_request);
    tcase_add_test(calls, test_oversize);
    TCase *execution = tcase_create("execution");
    tcase_add_checked_fixture(execution, setup, teardown);
    tcase_add_test(execution, test_execute);
    tcase_add_test(execution, test_watch);
    tcase_add_test(execution, test_execute_input);
    tcase_add_test(execution, test_execute_input_refused);
    tcase_add_test(execution, test_execute_failures);
    tcase_add_test(execution, test_interrupt);
    TCase *plain = tcase_create("plain");
    tcase_add_loop_test(plain, test_addresses, 0, G_N_ELEMENTS(addresses));
    tcase_add_test(plain, test_default_address);
    tcase_add_test(plain, test_unreachable);
    tcase_add_loop_test(plain, test_exit_status, 0, G_N_ELEMENTS(exits));
    tcase_add_test(plain, test_symbols);
    suite_add_tcase(suite, calls);
    suite_add_tcase(suite, execution);
    suite_add_tcase(suite, plain);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
