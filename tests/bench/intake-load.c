/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "intake-load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX 16384
#define EVENTS_MAX 64

struct connection {
    int fd;
    gint64 sent_at;
    gsize length;
    char answer[ANSWER_MAX];
};

/* One load_run(). */
struct run {
    struct load *load;
    int epoll_fd;
    int timer_fd; /* -1: no rate */
    guint to_send, to_answer;
    guint64 due;          /* by the rate, and not sent yet */
    GQueue idle;          /* struct connection that may send */
    GString *body, *text; /* of a request; kept, since the generator's own work is in all rates */
};

static int load_connect_tcp(guint port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((guint16)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int load_connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int load_connect(const char *address)
{
    return address[0] == ':' ? load_connect_tcp((guint)g_ascii_strtoull(address + 1, NULL, 10))
                             : load_connect_unix(address);
}

gboolean load_can_connect(const char *address)
{
    const int fd = load_connect(address);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void load_write_code(guint64 number, GString *code)
{
    g_string_append_printf(code,
                           "{\"function\":\"f%u\",\"tenant\":\"bench\",\"language\":\"python\","
                           "\"libraries\":[\"numpy\"],\"payload_bytes\":4096}",
                           (guint)(number % 100));
}

/* A notification for code that is expected in an hour: it is predicted, placed in time and kept, and no VM is started while this measures. */
static void load_send(struct run *run, struct connection *connection)
{
    static guint64 number;
    GString *body = g_string_truncate(run->body, 0), *text = g_string_truncate(run->text, 0);
    g_string_append_printf(body, "{\"idempotency_key\":\"bench-%d-%" G_GUINT64_FORMAT "\",\"code\":", (int)getpid(),
                           number);
    (run->load->write_code != NULL ? run->load->write_code : load_write_code)(number, body);
    g_string_append(body, ",\"arrival_in_ms\":3600000}");
    number++;
    g_string_append_printf(text,
                           "POST /v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           body->len, body->str);
    connection->sent_at = g_get_monotonic_time();
    connection->length = 0;
    run->to_send--;
    if (send(connection->fd, text->str, text->len, MSG_NOSIGNAL) != (ssize_t)text->len)
        g_error("cannot send: %s", g_strerror(errno));
}

/* All that are due, and for which there is a connection. */
static void load_send_due(struct run *run)
{
    for (; run->to_send > 0 && (run->due > 0 || run->timer_fd < 0); run->due -= run->timer_fd >= 0) {
        struct connection *connection = g_queue_pop_head(&run->idle);
        if (connection == NULL)
            return;
        load_send(run, connection);
    }
}

/* TRUE when the whole answer is there. */
static gboolean load_is_complete(const struct connection *connection)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = end != NULL ? strcasestr(connection->answer, "\r\nContent-Length:") : NULL;
    if (length == NULL || length > end)
        return FALSE;
    const gsize head = (gsize)(end - connection->answer) + 4;
    return connection->length >= head + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

static void load_note(struct run *run, const struct connection *connection)
{
    const double latency_ms = (double)(g_get_monotonic_time() - connection->sent_at) / 1000;
    g_array_append_val(run->load->latencies, latency_ms);
    if (strncmp(connection->answer, "HTTP/1.1 202", strlen("HTTP/1.1 202")) != 0)
        run->load->failures++;
    run->to_answer--;
}

static void load_receive(struct run *run, struct connection *connection)
{
    const ssize_t count =
        recv(connection->fd, connection->answer + connection->length, ANSWER_MAX - 1 - connection->length, 0);
    if (count <= 0)
        g_error("the server closed a connection: %s", g_strerror(errno));
    connection->length += (gsize)count;
    connection->answer[connection->length] = '\0';
    if (!load_is_complete(connection))
        return;
    load_note(run, connection);
    g_queue_push_tail(&run->idle, connection);
    load_send_due(run);
}

static void load_set_rate(struct run *run)
{
    run->timer_fd = -1;
    if (run->load->rate == 0)
        return;
    const struct timespec gap = {.tv_nsec = 1000000000 / run->load->rate};
    const struct itimerspec period = {gap, gap};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (run->timer_fd < 0 || timerfd_settime(run->timer_fd, 0, &period, NULL) != 0 ||
        epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->timer_fd, &event) < 0)
        g_error("no timer: %s", g_strerror(errno));
}

static void load_pass_time(struct run *run)
{
    guint64 count;
    if (read(run->timer_fd, &count, sizeof count) != sizeof count)
        g_error("the timer cannot be read: %s", g_strerror(errno));
    run->due += count;
    load_send_due(run);
}

static struct connection *load_open(struct run *run, const char *address)
{
    struct connection *connection = g_new0(struct connection, 1);
    connection->fd = load_connect(address);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection->fd < 0 || epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        g_error("cannot connect to %s: %s", address, g_strerror(errno));
    return connection;
}

static void load_loop(struct run *run)
{
    struct epoll_event events[EVENTS_MAX];
    while (run->to_answer > 0) {
        const int count = epoll_wait(run->epoll_fd, events, EVENTS_MAX, 30000);
        if (count == 0)
            g_error("the server does not answer");
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr != NULL)
                load_receive(run, events[i].data.ptr);
            else
                load_pass_time(run);
    }
}

void load_run(struct load *load, const char *address, guint clients, guint requests)
{
    struct run run = {
        .load = load,
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .to_send = requests,
        .to_answer = requests,
        .body = g_string_new(NULL),
        .text = g_string_new(NULL),
    };
    struct connection **connections = g_new0(struct connection *, clients);
    if (load->latencies == NULL)
        load->latencies = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint i = 0; i < clients; i++)
        connections[i] = load_open(&run, address);
    for (guint i = 0; i < clients; i++)
        g_queue_push_tail(&run.idle, connections[i]);
    const gint64 begin = g_get_monotonic_time();
    load_set_rate(&run);
    load_send_due(&run);
    load_loop(&run);
    load->elapsed_us += g_get_monotonic_time() - begin;
    for (guint i = 0; i < clients; i++) {
        close(connections[i]->fd);
        g_free(connections[i]);
    }
    g_free(connections);
    g_queue_clear(&run.idle);
    g_string_free(run.body, TRUE);
    g_string_free(run.text, TRUE);
    if (run.timer_fd >= 0)
        close(run.timer_fd);
    close(run.epoll_fd);
}

void load_clear(struct load *load)
{
    g_array_unref(load->latencies);
    *load = (struct load){0};
}

double load_rate(const struct load *load)
{
    return load->latencies->len / ((double)load->elapsed_us / G_USEC_PER_SEC);
}

static int load_compare(gconstpointer a, gconstpointer b)
{
    const double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

double load_percentile_ms(const struct load *load, guint percentile)
{
    g_array_sort(load->latencies, load_compare);
    return g_array_index(load->latencies, double, (load->latencies->len - 1) * percentile / 100);
}
