/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "code-server.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_PATIENCE_US (20 * G_USEC_PER_SEC)

struct code_server {
    const struct code_page *pages;
    int fd;
    guint port;
    GThread *thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    guint requests;
    gboolean is_open, is_stopping;
    GPtrArray *connections; /* struct connection */
};

struct connection {
    struct code_server *server;
    int fd;
    GThread *thread;
};

static void server_send(int fd, const char *data, gsize length)
{
    for (gsize sent = 0; sent < length;) {
        const ssize_t count = send(fd, data + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0) /* the client has had enough */
            return;
        sent += (gsize)count;
    }
}

/* The path of a request, NULL at the end of the connection. */
static char *server_read_request(int fd)
{
    g_autoptr(GString) head = g_string_new(NULL);
    char buffer[4096];
    while (strstr(head->str, "\r\n\r\n") == NULL) {
        const ssize_t count = recv(fd, buffer, sizeof buffer, 0);
        if (count <= 0)
            return NULL;
        g_string_append_len(head, buffer, count);
    }
    g_auto(GStrv) words = g_strsplit(head->str, " ", 3);
    return g_strdup(words[1]);
}

static void server_count(struct code_server *server, gboolean is_gated)
{
    pthread_mutex_lock(&server->lock);
    server->requests++;
    pthread_cond_broadcast(&server->changed);
    while (is_gated && !server->is_open && !server->is_stopping)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

/* Until the client goes away. */
static void server_hold(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
}

static void server_answer(int fd, const struct code_page *page)
{
    const char *body = page->body != NULL ? page->body : "";
    g_autoptr(GString) head = g_string_new(NULL);
    g_string_append_printf(head, "HTTP/1.1 %u X\r\nConnection: close\r\n", page->status);
    if (page->header != NULL)
        g_string_append_printf(head, "%s\r\n", page->header);
    if (page->repeat == 0)
        g_string_append_printf(head, "Content-Length: %zu\r\n", strlen(body) + (page->stalls ? 1000 : 0));
    g_string_append(head, "\r\n");
    server_send(fd, head->str, head->len);
    for (gsize i = 0; i < MAX(page->repeat, 1); i++)
        server_send(fd, body, strlen(body));
    if (page->stalls)
        server_hold(fd);
}

static gpointer server_serve(gpointer data)
{
    static const struct code_page none = {.status = 404, .body = "there is nothing here"};
    struct connection *connection = data;
    g_autofree char *path = server_read_request(connection->fd);
    const struct code_page *page = connection->server->pages;
    while (path != NULL && page->path != NULL && strcmp(page->path, path) != 0)
        page++;
    if (path != NULL) {
        server_count(connection->server, page->is_gated);
        if (page->path != NULL && page->status == 0)
            server_hold(connection->fd);
        else
            server_answer(connection->fd, page->path != NULL ? page : &none);
    }
    shutdown(connection->fd, SHUT_RDWR);
    return NULL;
}

static gpointer server_listen(gpointer data)
{
    struct code_server *server = data;
    for (int fd; (fd = accept(server->fd, NULL, NULL)) >= 0;) {
        struct connection *connection = g_new0(struct connection, 1);
        connection->server = server;
        connection->fd = fd;
        pthread_mutex_lock(&server->lock);
        g_ptr_array_add(server->connections, connection);
        pthread_mutex_unlock(&server->lock);
        connection->thread = g_thread_new("serve", server_serve, connection);
    }
    return NULL;
}

struct code_server *code_server_new(const struct code_page *pages)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct code_server *server = g_new0(struct code_server, 1);
    server->pages = pages;
    server->connections = g_ptr_array_new();
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(server->fd, 0);
    ck_assert_int_eq(bind(server->fd, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server->fd, 128), 0);
    ck_assert_int_eq(getsockname(server->fd, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    server->thread = g_thread_new("listen", server_listen, server);
    return server;
}

void code_server_free(struct code_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_stopping = TRUE;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    shutdown(server->fd, SHUT_RDWR);
    g_thread_join(server->thread);
    close(server->fd);
    for (guint i = 0; i < server->connections->len; i++) {
        struct connection *connection = server->connections->pdata[i];
        shutdown(connection->fd, SHUT_RDWR);
        g_thread_join(connection->thread);
        close(connection->fd);
        g_free(connection);
    }
    g_ptr_array_unref(server->connections);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    g_free(server);
}

guint code_server_port(const struct code_server *server)
{
    return server->port;
}

void code_server_wait_requests(struct code_server *server, guint count)
{
    const gint64 until = g_get_real_time() + SERVER_PATIENCE_US;
    const struct timespec at = {.tv_sec = until / G_USEC_PER_SEC, .tv_nsec = until % G_USEC_PER_SEC * 1000};
    pthread_mutex_lock(&server->lock);
    while (server->requests < count)
        ck_assert_msg(pthread_cond_timedwait(&server->changed, &server->lock, &at) == 0, "%u of %u requests came",
                      server->requests, count);
    pthread_mutex_unlock(&server->lock);
}

guint code_server_requests(struct code_server *server)
{
    pthread_mutex_lock(&server->lock);
    const guint requests = server->requests;
    pthread_mutex_unlock(&server->lock);
    return requests;
}

void code_server_open_gate(struct code_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_open = TRUE;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}
