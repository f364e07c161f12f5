/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mailbox.h"

#include <arpa/inet.h>
#include <check.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HARNESS_CODE_BYTES (16 * 1024 * 1024)
#define HARNESS_PATIENCE_US (20 * G_USEC_PER_SEC)

static void harness_event_free(gpointer event)
{
    event_free(event);
}

static void harness_note(struct harness *harness, const struct event *event)
{
    pthread_mutex_lock(&harness->lock);
    harness->seen[event->kind]++;
    if (event->kind == EVENT_OUTPUT_CONSUMED)
        harness->consumed += event->count;
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
}

static void harness_take(struct harness *harness, struct event *event)
{
    if (event->request != 0 && event->kind != EVENT_CLIENT_GONE && event->kind != EVENT_OUTPUT_CONSUMED) {
        pthread_mutex_lock(&harness->lock);
        harness->last_request = event->request;
        pthread_mutex_unlock(&harness->lock);
    }
    if (harness->script != NULL)
        harness->script(harness, event);
    harness_note(harness, event);
    event_free(event);
}

static void harness_sink(struct event *event, gpointer data)
{
    struct harness *harness = data;
    if (harness->direct && event->request != 0)
        harness_take(harness, event);
    else
        mailbox_post(harness->mailbox, event);
}

static gpointer harness_core(gpointer data)
{
    struct harness *harness = data;
    for (struct event *event; (event = mailbox_take(harness->mailbox, -1)) != NULL;)
        harness_take(harness, event);
    return NULL;
}

static struct harness *harness_start(harness_script script, gpointer data, gboolean direct)
{
    struct harness *harness = g_new0(struct harness, 1);
    harness->direct = direct;
    g_autoptr(GError) error = NULL;
    log_set_level(LOG_LEVEL_WARNING);
    harness->dir = g_dir_make_tmp("hbr-api-XXXXXX", NULL);
    ck_assert_ptr_nonnull(harness->dir);
    harness->socket_path = g_build_filename(harness->dir, "socket", NULL);
    harness->database_path = g_build_filename(harness->dir, "db", NULL);
    harness->script = script;
    harness->data = data;
    pthread_mutex_init(&harness->lock, NULL);
    pthread_cond_init(&harness->changed, NULL);
    harness->mailbox = mailbox_new(harness_event_free);
    harness->store = store_open(harness->database_path, &error);
    ck_assert_msg(harness->store != NULL, "%s", error != NULL ? error->message : "");
    store_start(harness->store, harness_sink, harness);
    g_autofree char *code_path = g_build_filename(harness->dir, "code", NULL);
    const struct code_store_settings code_settings = {.dir = code_path, .bytes_max = HARNESS_CODE_BYTES};
    harness->code = code_store_open(&code_settings, &error);
    ck_assert_msg(harness->code != NULL, "%s", error != NULL ? error->message : "");
    g_autofree char *models_path = g_build_filename(harness->dir, "models", NULL);
    const struct registry_settings models_settings = {.dir = models_path};
    harness->models = registry_open(&models_settings, &error);
    ck_assert_msg(harness->models != NULL, "%s", error != NULL ? error->message : "");
    const struct api_settings settings = {
        .socket_path = harness->socket_path,
        .tcp_address = "127.0.0.1:0",
        .connections_max = 256,
        .request_timeout_ms = 2000,
        .version = "1.2.3",
        .code = harness->code,
        .models = harness->models,
    };
    harness->api = api_new(&settings, harness->store, harness_sink, harness, &error);
    ck_assert_msg(harness->api != NULL, "%s", error != NULL ? error->message : "");
    harness->port = api_tcp_port(harness->api);
    harness->thread = g_thread_new("core", harness_core, harness);
    return harness;
}

struct harness *harness_new(harness_script script, gpointer data)
{
    return harness_start(script, data, FALSE);
}

struct harness *harness_new_direct(harness_script script, gpointer data)
{
    return harness_start(script, data, TRUE);
}

/* The core's thread ends first: a daemon that stops does not answer any more, and the server must live with that. */
void harness_stop(struct harness *harness)
{
    if (harness->thread != NULL) {
        mailbox_close(harness->mailbox);
        g_thread_join(g_steal_pointer(&harness->thread));
    }
    api_free(g_steal_pointer(&harness->api));
}

void harness_remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        harness_remove_tree(inner);
    }
    g_remove(path);
}

void harness_free(struct harness *harness)
{
    harness_stop(harness);
    store_free(harness->store);
    code_store_free(harness->code);
    registry_free(harness->models);
    mailbox_free(harness->mailbox);
    harness_remove_tree(harness->dir);
    pthread_mutex_destroy(&harness->lock);
    pthread_cond_destroy(&harness->changed);
    g_free(harness->dir);
    g_free(harness->socket_path);
    g_free(harness->database_path);
    g_free(harness);
}

static struct timespec harness_patience(void)
{
    const gint64 until = g_get_real_time() + HARNESS_PATIENCE_US;
    return (struct timespec){.tv_sec = until / G_USEC_PER_SEC, .tv_nsec = until % G_USEC_PER_SEC * 1000};
}

void harness_wait_seen(struct harness *harness, enum event_kind kind, guint count)
{
    const struct timespec until = harness_patience();
    pthread_mutex_lock(&harness->lock);
    while (harness->seen[kind] < count)
        ck_assert_msg(pthread_cond_timedwait(&harness->changed, &harness->lock, &until) == 0,
                      "%u of %u events \"%s\" seen", harness->seen[kind], count, codec_word(&event_kind_words, kind));
    pthread_mutex_unlock(&harness->lock);
}

guint harness_seen(struct harness *harness, enum event_kind kind)
{
    pthread_mutex_lock(&harness->lock);
    const guint seen = harness->seen[kind];
    pthread_mutex_unlock(&harness->lock);
    return seen;
}

guint64 harness_last_request(struct harness *harness)
{
    pthread_mutex_lock(&harness->lock);
    const guint64 request = harness->last_request;
    pthread_mutex_unlock(&harness->lock);
    return request;
}

void harness_wait_consumed(struct harness *harness, gint64 count)
{
    const struct timespec until = harness_patience();
    pthread_mutex_lock(&harness->lock);
    while (harness->consumed < count)
        ck_assert_msg(pthread_cond_timedwait(&harness->changed, &harness->lock, &until) == 0,
                      "%" G_GINT64_FORMAT " consumed", harness->consumed);
    pthread_mutex_unlock(&harness->lock);
}

static void harness_submit(struct harness *harness, struct command *command)
{
    g_autoptr(GPtrArray) commands = g_ptr_array_new();
    g_ptr_array_add(commands, command);
    api_submit(harness->api, commands);
}

void harness_reply(struct harness *harness, guint64 request, guint status, const char *json)
{
    struct command *command = command_new(COMMAND_REPLY);
    command->request = request;
    command->status = status;
    command->body = json != NULL ? g_bytes_new(json, strlen(json)) : NULL;
    harness_submit(harness, command);
}

void harness_reply_error(struct harness *harness, guint64 request, int code, const char *message)
{
    struct command *command = command_new(COMMAND_REPLY);
    command->request = request;
    command->error = hbr_error_new(code, "%s", message);
    harness_submit(harness, command);
}

void harness_line(struct harness *harness, guint64 request, const char *json, gboolean end)
{
    struct command *command = command_new(COMMAND_STREAM);
    command->request = request;
    command->body = json != NULL ? g_bytes_new(json, strlen(json)) : NULL;
    command->end = end;
    harness_submit(harness, command);
}

void harness_output(struct harness *harness, guint64 request, guint stream, const void *data, gsize length)
{
    struct command *command = command_new(COMMAND_STREAM);
    command->request = request;
    command->stream = stream;
    command->body = g_bytes_new(data, length);
    harness_submit(harness, command);
}

static struct http *http_new(int fd, const struct sockaddr *address, socklen_t length)
{
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, address, length), 0);
    struct http *http = g_new0(struct http, 1);
    http->fd = fd;
    http->in = g_byte_array_new();
    return http;
}

struct http *http_connect(const struct harness *harness)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, harness->socket_path, sizeof address.sun_path);
    return http_new(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), (const struct sockaddr *)&address, sizeof address);
}

struct http *http_connect_tcp(const struct harness *harness)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((guint16)harness->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    return http_new(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (const struct sockaddr *)&address, sizeof address);
}

void http_close(struct http *http)
{
    close(http->fd);
    g_byte_array_unref(http->in);
    g_free(http);
}

void http_send(struct http *http, const void *data, gsize length)
{
    for (gsize sent = 0; sent < length;) {
        const ssize_t count = send(http->fd, (const char *)data + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0) /* the server may refuse before it has read everything */
            return;
        sent += (gsize)count;
    }
}

void http_send_text(struct http *http, const char *text)
{
    http_send(http, text, strlen(text));
}

void http_request(struct http *http, const char *method, const char *target, const char *content_type, const char *body)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "%s %s HTTP/1.1\r\nHost: x\r\n", method, target);
    if (content_type != NULL)
        g_string_append_printf(text, "Content-Type: %s\r\n", content_type);
    if (body != NULL)
        g_string_append_printf(text, "Content-Length: %zu\r\n", strlen(body));
    g_string_append_printf(text, "\r\n%s", body != NULL ? body : "");
    http_send(http, text->str, text->len);
}

/* More bytes; FALSE when the peer has closed. */
static gboolean http_receive(struct http *http)
{
    guint8 buffer[65536];
    struct pollfd ready = {.fd = http->fd, .events = POLLIN};
    ck_assert_msg(poll(&ready, 1, HARNESS_PATIENCE_US / 1000) == 1, "the server says nothing");
    const ssize_t count = recv(http->fd, buffer, sizeof buffer, 0);
    if (count <= 0)
        return FALSE;
    g_byte_array_append(http->in, buffer, (guint)count);
    return TRUE;
}

/* Takes what stands before `separator`, and that away; NULL at the end of the connection. */
static char *http_take_until(struct http *http, const char *separator)
{
    const gsize length = strlen(separator);
    for (;;) {
        const guint8 *end = http->in->len == 0 ? NULL : memmem(http->in->data, http->in->len, separator, length);
        if (end != NULL) {
            const gsize before = (gsize)(end - http->in->data);
            char *text = g_strndup((const char *)http->in->data, before);
            g_byte_array_remove_range(http->in, 0, (guint)(before + length));
            return text;
        }
        if (!http_receive(http))
            return NULL;
    }
}

static gboolean http_take(struct http *http, gsize length, GByteArray *out)
{
    while (http->in->len < length)
        if (!http_receive(http))
            return FALSE;
    g_byte_array_append(out, http->in->data, (guint)length);
    if (length > 0)
        g_byte_array_remove_range(http->in, 0, (guint)length);
    return TRUE;
}

/* One chunk; FALSE for the last (empty) one and when the connection ends. */
static gboolean http_take_chunk(struct http *http, GByteArray *out, gboolean *ret_complete)
{
    g_autofree char *size_text = http_take_until(http, "\r\n");
    *ret_complete = FALSE;
    if (size_text == NULL)
        return FALSE;
    const gsize size = g_ascii_strtoull(size_text, NULL, 16);
    const gboolean there = http_take(http, size, out);
    g_autofree char *rest = there ? http_take_until(http, "\r\n") : NULL;
    *ret_complete = rest != NULL && size == 0;
    return rest != NULL && size > 0;
}

char *http_header(const struct http_answer *answer, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(answer->head, "\r\n", -1);
    for (guint i = 1; lines[i] != NULL; i++) {
        char *colon = strchr(lines[i], ':');
        if (colon == NULL || strlen(name) != (gsize)(colon - lines[i]) ||
            g_ascii_strncasecmp(lines[i], name, strlen(name)) != 0)
            continue;
        return g_strstrip(g_strdup(colon + 1));
    }
    return NULL;
}

static void http_read_body(struct http *http, struct http_answer *answer)
{
    g_autofree char *length = http_header(answer, "Content-Length");
    if (length != NULL) {
        answer->complete = http_take(http, g_ascii_strtoull(length, NULL, 10), answer->body);
        return;
    }
    if (answer->status == 204) {
        answer->complete = TRUE;
        return;
    }
    while (http_take_chunk(http, answer->body, &answer->complete))
        continue;
}

struct http_answer *http_read(struct http *http)
{
    struct http_answer *answer = g_new0(struct http_answer, 1);
    answer->body = g_byte_array_new();
    answer->head = http_take_until(http, "\r\n\r\n");
    if (answer->head != NULL && g_str_has_prefix(answer->head, "HTTP/1.1 100")) {
        g_free(answer->head);
        answer->head = http_take_until(http, "\r\n\r\n");
    }
    if (answer->head == NULL)
        return answer;
    answer->status = (guint)g_ascii_strtoull(answer->head + strlen("HTTP/1.1 "), NULL, 10);
    http_read_body(http, answer);
    return answer;
}

void http_answer_free(struct http_answer *answer)
{
    g_free(answer->head);
    g_byte_array_unref(answer->body);
    g_free(answer);
}

guint http_read_head(struct http *http)
{
    g_autofree char *head = http_take_until(http, "\r\n\r\n");
    ck_assert_ptr_nonnull(head);
    return (guint)g_ascii_strtoull(head + strlen("HTTP/1.1 "), NULL, 10);
}

/* Chunks and lines need not be the same; the harness's server writes whole lines into chunks as long as they fit. */
char *http_read_line(struct http *http)
{
    static const char *const end = "0\r\n\r\n";
    for (;;) {
        while (http->in->len < strlen(end))
            if (!http_receive(http))
                return NULL;
        if (memcmp(http->in->data, end, strlen(end)) == 0)
            return NULL;
        if (http->in->data[0] == '\r')
            g_byte_array_remove_range(http->in, 0, 2);
        else if (http->in->data[0] != '{')
            g_free(http_take_until(http, "\r\n"));
        else
            return http_take_until(http, "\n");
    }
}

gboolean http_is_closed(struct http *http)
{
    while (http_receive(http))
        continue;
    return TRUE;
}

struct http_answer *http_do(const struct harness *harness, const char *method, const char *target, const char *body)
{
    struct http *http = http_connect(harness);
    http_request(http, method, target, body != NULL ? "application/json" : NULL, body);
    struct http_answer *answer = http_read(http);
    http_close(http);
    return answer;
}

json_t *http_json(const struct http_answer *answer)
{
    json_error_t problem;
    json_t *json = json_loadb((const char *)answer->body->data, answer->body->len, 0, &problem);
    ck_assert_msg(json != NULL, "not JSON: %s: %.*s", problem.text, (int)answer->body->len,
                  (const char *)answer->body->data);
    return json;
}
