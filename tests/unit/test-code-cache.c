/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"
#include "code-server.h"

#include "api/code-cache.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "model/limits.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_US (20 * G_USEC_PER_SEC)
#define SOURCE "print('fetched')\n"
#define LINE "0123456789abcde\n"
#define LINES (2 * MODEL_CODE_MAX / 16)

/* The port is known when the server stands. */
static char to_http[64];

static struct code_page pages[] = {
    {.path = "/ok", .status = 200, .body = SOURCE},
    {.path = "/unsized", .status = 200, .body = SOURCE, .repeat = 1},
    {.path = "/other", .status = 200, .body = "print('else')\n"},
    {.path = "/binary", .status = 200, .body = "\377\376"},
    {.path = "/empty", .status = 200},
    {.path = "/error", .status = 500, .body = SOURCE},
    {.path = "/teapot", .status = 302, .body = SOURCE},
    {.path = "/huge", .status = 200, .body = LINE, .repeat = LINES},
    {.path = "/huge-told", .status = 200, .header = "Content-Length: 99999999999", .body = LINE, .repeat = 1},
    {.path = "/silent"},
    {.path = "/stalled", .status = 200, .body = "print(", .stalls = TRUE},
    {.path = "/gated", .status = 200, .body = SOURCE, .is_gated = TRUE},
    {.path = "/gated-wrong", .status = 200, .body = "print('else')\n", .is_gated = TRUE},
    {.path = "/to-ok", .status = 302, .header = "Location: /ok"},
    {.path = "/to-http", .status = 301, .header = to_http},
    {.path = "/to-file", .status = 302, .header = "Location: file:///etc/hostname"},
    {.path = "/to-ftp", .status = 302, .header = "Location: ftp://127.0.0.1/x"},
    {.path = "/to-unix", .status = 302, .header = "Location: unix:/run/harbinger/harbinger.sock"},
    {.path = "/round", .status = 302, .header = "Location: /round"},
    {.path = NULL},
};

static char *directory;
static struct code_server *server;
static struct code_store *store;
static struct code_cache *cache;
static struct mailbox *events;

static void on_event(struct event *event, gpointer data G_GNUC_UNUSED)
{
    mailbox_post(events, event);
}

static void free_event(gpointer event)
{
    event_free(event);
}

static void start(void)
{
    g_autofree char *dir = g_build_filename(directory, "code", NULL);
    const struct code_store_settings settings = {.dir = dir, .bytes_max = 64 * 1024 * 1024};
    store = code_store_open(&settings, NULL);
    ck_assert_ptr_nonnull(store);
    const struct code_cache_settings cache_settings = {.store = store, .low_speed_s = 1};
    cache = code_cache_new(&cache_settings, on_event, NULL);
}

static void stop(void)
{
    code_cache_free(cache);
    code_store_free(store);
}

static void setup(void)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"};
    for (guint i = 0; i < G_N_ELEMENTS(proxies); i++)
        g_unsetenv(proxies[i]);
    log_set_level(LOG_LEVEL_ERROR);
    directory = g_dir_make_tmp("hbr-code-XXXXXX", NULL);
    events = mailbox_new(free_event);
    server = code_server_new(pages);
    g_snprintf(to_http, sizeof to_http, "Location: http://localhost:%u/ok", code_server_port(server));
    start();
}

static void teardown(void)
{
    stop();
    code_server_free(server);
    mailbox_free(events);
    harness_remove_tree(directory);
    g_free(directory);
}

static char *digest_of(const char *text)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static struct command *fetch_of(const char *id, const char *tenant, const char *url, const char *content)
{
    struct command *command = command_new(COMMAND_CODE_FETCH);
    command->id = g_strdup(id);
    command->code = g_new0(struct code_ref, 1);
    command->code->tenant = g_strdup(tenant);
    command->code->sha256 = digest_of(content);
    command->code->url = g_strdup(url);
    command->code->timeout_ms = PATIENCE_US / 1000;
    return command;
}

static char *url_of(const char *path)
{
    return g_strdup_printf("http://127.0.0.1:%u%s", code_server_port(server), path);
}

static void fetch(const char *id, const char *tenant, const char *path, const char *content)
{
    g_autofree char *url = path != NULL ? url_of(path) : NULL;
    code_cache_submit(cache, fetch_of(id, tenant, url, content));
}

static struct event *next_event(void)
{
    struct event *event = mailbox_take(events, g_get_monotonic_time() + PATIENCE_US);
    ck_assert_msg(event != NULL, "the cache says nothing");
    ck_assert_int_eq(event->kind, EVENT_CODE);
    ck_assert_int_ne(event->bytes != NULL, event->error != NULL);
    return event;
}

static void expect_bytes(const char *id, const char *content)
{
    struct event *event = next_event();
    ck_assert_msg(event->error == NULL, "%s", event->error != NULL ? event->error->message : "");
    ck_assert_str_eq(event->id, id);
    ck_assert_uint_eq(g_bytes_get_size(event->bytes), strlen(content));
    ck_assert_mem_eq(g_bytes_get_data(event->bytes, NULL), content, strlen(content));
    event_free(event);
}

static void expect_error(const char *id, int code, const char *message)
{
    struct event *event = next_event();
    ck_assert_ptr_nonnull(event->error);
    ck_assert_str_eq(event->id, id);
    ck_assert_msg(g_error_matches(event->error, HBR_ERROR, code), "%s", event->error->message);
    ck_assert_msg(strstr(event->error->message, message) != NULL, "%s", event->error->message);
    event_free(event);
}

static const char *const good_paths[] = {"/ok", "/unsized", "/to-ok", "/to-http"};

/* Rule: what is fetched is kept, over a restart too: asked for again it is there without a request. */
START_TEST(test_fetch)
{
    fetch("a", "t", good_paths[_i], SOURCE);
    expect_bytes("a", SOURCE);
    const guint requests = code_server_requests(server);
    fetch("b", "t", good_paths[_i], SOURCE);
    expect_bytes("b", SOURCE);
    stop();
    start();
    fetch("d", "t", NULL, SOURCE);
    expect_bytes("d", SOURCE);
    ck_assert_uint_eq(code_server_requests(server), requests);
    fetch("e", "other", NULL, SOURCE);
    expect_error("e", HBR_ERROR_NOT_FOUND, "upload it first");
}
END_TEST

static const struct {
    const char *path, *content;
    gint64 size_max, timeout_ms;
    int code;
    const char *message;
} failures[] = {
    {"/other", SOURCE, 0, 0, HBR_ERROR_INVALID, "right would be "},
    {"/empty", SOURCE, 0, 0, HBR_ERROR_INVALID, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"/binary", "\377\376", 0, 0, HBR_ERROR_INVALID, "byte 0 is not UTF-8"},
    {"/missing", SOURCE, 0, 0, HBR_ERROR_NOT_FOUND, "answers 404"},
    {"/error", SOURCE, 0, 0, HBR_ERROR_UNAVAILABLE, "answers 500"},
    {"/teapot", SOURCE, 0, 0, HBR_ERROR_UNAVAILABLE, "answers 302"},
    {"/huge", SOURCE, 0, 0, HBR_ERROR_TOO_LARGE, "larger than the 4194304 bytes"},
    {"/huge-told", SOURCE, 0, 0, HBR_ERROR_TOO_LARGE, "larger than the 4194304 bytes"},
    {"/ok", SOURCE, 5, 0, HBR_ERROR_TOO_LARGE, "larger than the 5 bytes"},
    {"/unsized", SOURCE, 5, 0, HBR_ERROR_TOO_LARGE, "larger than the 5 bytes"},
    {"/silent", SOURCE, 0, 200, HBR_ERROR_TIMEOUT, "was not fetched in 200 ms"},
    {"/stalled", SOURCE, 0, 200, HBR_ERROR_TIMEOUT, "was not fetched in 200 ms"},
    {"/stalled", SOURCE, 0, 0, HBR_ERROR_TIMEOUT, "sends too slowly"},
    {"/to-file", SOURCE, 0, 0, HBR_ERROR_INVALID, "right would be http or https"},
    {"/to-ftp", SOURCE, 0, 0, HBR_ERROR_INVALID, "right would be http or https"},
    {"/to-unix", SOURCE, 0, 0, HBR_ERROR_INVALID, "right would be http or https"},
    {"/round", SOURCE, 0, 0, HBR_ERROR_INVALID, "at most 5 redirections"},
};

/* Rule: whatever a server does, it is bounded, nothing of it is kept, and the error says what, where and what would be right. */
START_TEST(test_failures)
{
    g_autofree char *url = url_of(failures[_i].path);
    struct command *command = fetch_of("a", "t", url, failures[_i].content);
    command->code->size_max = failures[_i].size_max;
    if (failures[_i].timeout_ms > 0)
        command->code->timeout_ms = failures[_i].timeout_ms;
    code_cache_submit(cache, command);
    struct event *event = next_event();
    ck_assert_msg(event->error != NULL && event->error->code == failures[_i].code, "%s",
                  event->error != NULL ? event->error->message : "no error");
    ck_assert_msg(strstr(event->error->message, failures[_i].message) != NULL, "%s", event->error->message);
    ck_assert_msg(g_str_has_prefix(event->error->message, "http://127.0.0.1:"), "%s", event->error->message);
    event_free(event);
    ck_assert_uint_eq(code_store_entries(store), 0);
    fetch("b", "t", "/ok", SOURCE);
    expect_bytes("b", SOURCE);
}
END_TEST

/* Rule: nothing but http and https is ever fetched, whatever the core passes on. */
START_TEST(test_schemes)
{
    static const char *const urls[] = {"file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x",
                                       "dict://127.0.0.1/x"};
    for (guint i = 0; i < G_N_ELEMENTS(urls); i++) {
        code_cache_submit(cache, fetch_of("a", "t", urls[i], SOURCE));
        expect_error("a", HBR_ERROR_INVALID, "right would be http or https");
    }
}
END_TEST

/* Rule: a server that is not there is told from one that has nothing. */
START_TEST(test_refused)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, and nobody listens */
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/x", ntohs(address.sin_port));
    code_cache_submit(cache, fetch_of("a", "t", url, SOURCE));
    expect_error("a", HBR_ERROR_UNAVAILABLE, "cannot be fetched");
    close(fd);
}
END_TEST

/* Rule: many who want the same are one request, and all are answered. */
START_TEST(test_one_fetch)
{
    fetch("0", "t", "/gated", SOURCE);
    code_server_wait_requests(server, 1);
    for (guint i = 1; i < 50; i++)
        fetch("more", "t", i % 2 == 0 ? "/gated" : NULL, SOURCE);
    fetch("last", "t", NULL, "not here");
    expect_error("last", HBR_ERROR_NOT_FOUND, "is not known here"); /* the others were taken before it */
    code_server_open_gate(server);
    for (guint i = 0; i < 50; i++) {
        struct event *event = next_event();
        ck_assert_ptr_nonnull(event->bytes);
        event_free(event);
    }
    ck_assert_uint_eq(code_server_requests(server), 1);
}
END_TEST

/* Rule: who named another source is not told of a failure that is not his. */
START_TEST(test_other_source)
{
    fetch("wrong", "t", "/gated-wrong", SOURCE);
    code_server_wait_requests(server, 1);
    fetch("same", "t", "/gated-wrong", SOURCE);
    fetch("right", "t", "/ok", SOURCE);
    fetch("last", "t", NULL, "not here");
    expect_error("last", HBR_ERROR_NOT_FOUND, "is not known here");
    code_server_open_gate(server);
    expect_error("same", HBR_ERROR_INVALID, "as announced");
    expect_error("wrong", HBR_ERROR_INVALID, "as announced");
    expect_bytes("right", SOURCE);
}
END_TEST

/* Rule: one tenant's servers that do not answer hold up nobody else. */
START_TEST(test_slow_tenant)
{
    for (guint i = 0; i < 100; i++) {
        g_autofree char *content = g_strdup_printf("%u", i);
        fetch("slow", "slow", "/silent", content);
    }
    fetch("a", "quick", "/ok", SOURCE);
    expect_bytes("a", SOURCE);
    ck_assert_uint_le(code_server_requests(server), 17);
}
END_TEST

/* Rule: what came with a notification is found by those who name it later; what is damaged is fetched again. */
START_TEST(test_keep)
{
    struct command *keep = command_new(COMMAND_CODE_KEEP);
    keep->code = g_new0(struct code_ref, 1);
    keep->code->tenant = g_strdup("t");
    keep->code->sha256 = digest_of(SOURCE);
    keep->bytes = g_bytes_new_static(SOURCE, strlen(SOURCE));
    code_cache_submit(cache, keep);
    fetch("a", "t", NULL, SOURCE);
    expect_bytes("a", SOURCE);
    g_autofree char *tenant = digest_of("t"), *sha256 = digest_of(SOURCE);
    g_autofree char *folder = g_strconcat("tenant-", tenant, NULL);
    g_autofree char *path = g_build_filename(directory, "code", folder, sha256, NULL);
    ck_assert(g_file_set_contents(path, "import os\n", -1, NULL));
    fetch("b", "t", "/ok", SOURCE);
    expect_bytes("b", SOURCE);
    ck_assert_uint_eq(code_server_requests(server), 1);
}
END_TEST

static void fetch_shared(const char *id, const char *tenant, const char *path)
{
    g_autofree char *url = path != NULL ? url_of(path) : NULL;
    struct command *command = fetch_of(id, tenant, url, SOURCE);
    command->code->share = TRUE;
    code_cache_submit(cache, command);
}

/* Rule: what the policy lets tenants share, those who share find; who does not share neither gives nor finds it there. */
START_TEST(test_share)
{
    fetch("a", "t", "/ok", SOURCE);
    expect_bytes("a", SOURCE);
    fetch_shared("b", "t", NULL);
    expect_bytes("b", SOURCE);
    fetch_shared("c", "u", NULL);
    expect_error("c", HBR_ERROR_NOT_FOUND, "is not known here");
    fetch_shared("d", "u", "/ok");
    expect_bytes("d", SOURCE);
    fetch_shared("e", "v", NULL);
    expect_bytes("e", SOURCE);
    fetch("f", NULL, NULL, SOURCE);
    expect_bytes("f", SOURCE);
    fetch("g", "v", NULL, SOURCE);
    expect_error("g", HBR_ERROR_NOT_FOUND, "is not known here");
    ck_assert_uint_eq(code_server_requests(server), 2);
}
END_TEST

/* Rule: what is in the store already is bounded by what the asker allows, too. */
START_TEST(test_kept_too_large)
{
    fetch("a", "t", "/ok", SOURCE);
    expect_bytes("a", SOURCE);
    struct command *command = fetch_of("b", "t", NULL, SOURCE);
    command->code->size_max = 3;
    code_cache_submit(cache, command);
    expect_error("b", HBR_ERROR_TOO_LARGE, "more than the 3");
}
END_TEST

/* Rule: a stop waits for no server. */
START_TEST(test_stop)
{
    for (guint i = 0; i < 20; i++) {
        g_autofree char *content = g_strdup_printf("%u", i);
        fetch("slow", "slow", "/silent", content);
    }
    code_server_wait_requests(server, 16);
    const gint64 begun_at = g_get_monotonic_time();
    stop();
    ck_assert_int_lt(g_get_monotonic_time() - begun_at, PATIENCE_US / 2);
    start();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("code-cache");
    TCase *cases = tcase_create("code-cache");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, test_fetch, 0, G_N_ELEMENTS(good_paths));
    tcase_add_loop_test(cases, test_failures, 0, G_N_ELEMENTS(failures));
    tcase_add_test(cases, test_schemes);
    tcase_add_test(cases, test_refused);
    tcase_add_test(cases, test_one_fetch);
    tcase_add_test(cases, test_other_source);
    tcase_add_test(cases, test_slow_tenant);
    tcase_add_test(cases, test_keep);
    tcase_add_test(cases, test_share);
    tcase_add_test(cases, test_kept_too_large);
    tcase_add_test(cases, test_stop);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
