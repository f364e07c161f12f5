/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "intake-load.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many notifications a second harbingerd takes over HTTP, each acknowledged when it is durable, against what a bare
 * libmicrohttpd handler that answers 202 takes of the same requests, over the same kind of socket, from the same clients. They take turns, so
 * that all see the same machine. The figures of the last line are over TCP, those called unix_ over the UNIX socket, where the kernel costs
 * both less and the daemon's own work weighs more. */

#define CLIENTS 32
#define ROUNDS 3
#define BARE_REQUESTS 20000
#define OUR_REQUESTS 15000
#define WARM_UP 2000
#define START_PATIENCE_US (20 * G_USEC_PER_SEC)

static enum MHD_Result bare_answer(struct MHD_Connection *connection)
{
    static char body[] =
        "{\"reservation\":{\"id\":\"res-01m7xsm6twr4443pcd\",\"state\":\"scheduled\",\"profile\":\"low\",\"template\":"
        "\"runtimes\",\"shape\":{\"vcpus\":1,\"memory_mib\":2048,\"network_mbps\":10,\"gpus\":0},\"policy_version\":1,"
        "\"created_at\":\"2026-11-21T00:55:43.196489Z\",\"arrival_at\":\"2026-11-21T01:55:43.196489Z\",\"start_at\":"
        "\"2026-11-21T01:55:37.696489Z\",\"expires_at\":\"2026-11-21T01:56:43.196489Z\",\"path_ms\":5000}}";
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof body - 1, body, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, "/v1/reservations/res-01m7xsm6twr4443pcd");
    const enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_ACCEPTED, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result bare_access(void *cls G_GNUC_UNUSED, struct MHD_Connection *connection,
                                   const char *url G_GNUC_UNUSED, const char *method G_GNUC_UNUSED,
                                   const char *version G_GNUC_UNUSED, const char *data G_GNUC_UNUSED, size_t *size,
                                   void **con_cls)
{
    if (*con_cls == NULL) {
        *con_cls = connection;
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    return bare_answer(connection);
}

/* A listening TCP socket on a free port. */
static int listen_tcp(guint *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, length) < 0 || listen(fd, 511) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        g_error("cannot listen at a TCP port");
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 511) < 0)
        g_error("cannot listen at %s", path);
    return fd;
}

/* With the switches that the daemon's own listeners have, but for suspending, which it does not need; the answer is as long as the daemon's.
 * Takes over `fd`. */
static void serve_bare(int fd)
{
    if (MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, bare_access, NULL,
                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, 2, MHD_OPTION_CONNECTION_LIMIT, 256,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(16 * 1024), MHD_OPTION_END) == NULL)
        g_error("cannot start the reference");
}

/* In a process of its own, as the daemon is. */
static pid_t start_bare(const char *path, guint *ret_port)
{
    const int unix_fd = listen_unix(path), tcp_fd = listen_tcp(ret_port);
    const pid_t pid = fork();
    if (pid != 0) {
        close(unix_fd);
        close(tcp_fd);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve_bare(unix_fd);
    serve_bare(tcp_fd);
    for (;;)
        pause();
}

static char *write_config(const char *dir, const char *socket_path, guint port)
{
    char *path = g_build_filename(dir, "harbingerd.conf", NULL);
    g_autofree char *text = g_strdup_printf(
        "[daemon]\nsocket=%s\nlisten=127.0.0.1:%u\nstate-dir=%s/state\npolicy=%s/policies/default.yaml\n"
        "template-dir=%s/templates\nlog-level=warning\n\n"
        "[host bench]\nuri=sim:bench?vcpus=64&memory_mib=262144\n",
        socket_path, port, dir, g_getenv("HBR_SOURCE_DIR"), g_getenv("HBR_SOURCE_DIR"));
    if (!g_file_set_contents(path, text, -1, NULL))
        g_error("cannot write %s", path);
    return path;
}

static void wait_for_socket(const char *path, pid_t pid)
{
    const gint64 until = g_get_monotonic_time() + START_PATIENCE_US;
    while (!load_can_connect(path)) {
        if (waitpid(pid, NULL, WNOHANG) == pid || g_get_monotonic_time() > until)
            g_error("harbingerd does not listen at %s", path);
        g_poll(NULL, 0, 20);
    }
}

static pid_t start_ours(const char *dir, const char *socket_path, guint *ret_port)
{
    close(listen_tcp(ret_port)); /* the kernel does not soon give the same port to others */
    g_autofree char *config = write_config(dir, socket_path, *ret_port);
    g_autofree char *program = g_build_filename(g_getenv("HBR_BUILD_DIR"), "harbingerd", NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, program, "--config", config, (char *)NULL);
        _exit(127);
    }
    wait_for_socket(socket_path, pid);
    return pid;
}

static void stop(pid_t pid, int signal_number)
{
    kill(pid, signal_number);
    waitpid(pid, NULL, 0);
}

static void remove_tree(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *entry = g_build_filename(path, name, NULL);
        remove_tree(entry);
    }
    if (dir != NULL)
        g_dir_close(dir);
    g_remove(path);
}

/* One of the two servers, over one of the two kinds of sockets. */
struct server {
    const char *what;
    char *address;
    pid_t pid;
    struct load load;
    double cpu_s; /* that it used for the load */
};

/* CPU time of a process so far. */
static double cpu_seconds(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid), *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    g_auto(GStrv) fields = g_strsplit(strrchr(text, ')'), " ", -1); /* proc(5): utime and stime are the 14th and 15th */
    return (g_ascii_strtod(fields[12], NULL) + g_ascii_strtod(fields[13], NULL)) / (double)sysconf(_SC_CLK_TCK);
}

static void run_load(struct server *server, guint requests)
{
    const double before = cpu_seconds(server->pid);
    load_run(&server->load, server->address, CLIENTS, requests);
    server->cpu_s += cpu_seconds(server->pid) - before;
}

static void print_row(const struct server *server)
{
    const struct load *load = &server->load;
    printf("%-36s %9.0f %10.3f %9.3f %9.1f %9u\n", server->what, load_rate(load), load_percentile_ms(load, 50),
           load_percentile_ms(load, 99), 1e6 * server->cpu_s / load->latencies->len, load->latencies->len);
}

enum { BARE_TCP, OURS_TCP, BARE_UNIX, OURS_UNIX, SERVERS };

static void measure(struct server *servers)
{
    struct load warm = {0};
    for (int i = 0; i < SERVERS; i++)
        load_run(&warm, servers[i].address, CLIENTS, WARM_UP);
    load_clear(&warm);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SERVERS; i++)
            run_load(&servers[i], i == OURS_TCP || i == OURS_UNIX ? OUR_REQUESTS : BARE_REQUESTS);
}

static guint report(const struct server *servers)
{
    const struct load *ours = &servers[OURS_TCP].load;
    const guint failures = ours->failures + servers[OURS_UNIX].load.failures;
    printf("%d keep-alive clients on %d CPUs, load generator included\n", CLIENTS, (int)g_get_num_processors());
    printf("%-36s %9s %10s %9s %9s %9s\n", "", "a second", "median ms", "p99 ms", "CPU us", "requests");
    for (int i = 0; i < SERVERS; i++)
        print_row(&servers[i]);
    printf("refused or failed: %u\n", failures);
    printf(
        "bench intake n=%u median_ms=%.3f p99_ms=%.3f ratio=%.3f rate=%.0f unix_ratio=%.3f unix_rate=%.0f failures=%u\n",
        ours->latencies->len, load_percentile_ms(ours, 50), load_percentile_ms(ours, 99),
        load_rate(ours) / load_rate(&servers[BARE_TCP].load), load_rate(ours),
        load_rate(&servers[OURS_UNIX].load) / load_rate(&servers[BARE_UNIX].load), load_rate(&servers[OURS_UNIX].load),
        failures);
    return failures;
}

static guint run_bench(const char *dir, const char *sockets)
{
    g_autofree char *bare_path = g_build_filename(sockets, "bare", NULL);
    g_autofree char *our_path = g_build_filename(sockets, "harbinger", NULL);
    guint bare_port, our_port;
    const pid_t bare = start_bare(bare_path, &bare_port), ours = start_ours(dir, our_path, &our_port);
    struct server servers[SERVERS] = {
        [BARE_TCP] = {"TCP: bare libmicrohttpd, answers 202", g_strdup_printf(":%u", bare_port), bare, {0}, 0},
        [OURS_TCP] = {"TCP: harbingerd, 202 once durable", g_strdup_printf(":%u", our_port), ours, {0}, 0},
        [BARE_UNIX] = {"UNIX: bare libmicrohttpd", g_strdup(bare_path), bare, {0}, 0},
        [OURS_UNIX] = {"UNIX: harbingerd", g_strdup(our_path), ours, {0}, 0},
    };
    measure(servers);
    stop(ours, SIGTERM);
    stop(bare, SIGKILL);
    const guint failures = report(servers);
    for (int i = 0; i < SERVERS; i++) {
        load_clear(&servers[i].load);
        g_free(servers[i].address);
    }
    return failures;
}

int main(void)
{
    /* Beside the build, not in /tmp, which may be memory: durable means a disk. */
    g_autofree char *template = g_build_filename(g_getenv("HBR_BUILD_DIR"), "intake-XXXXXX", NULL);
    g_autofree char *dir = g_strdup(g_mkdtemp(template));
    if (dir == NULL)
        g_error("cannot make a directory in the build tree");
    g_autofree char *sockets = g_dir_make_tmp("hbr-intake-XXXXXX", NULL);
    const guint failures = run_bench(dir, sockets);
    remove_tree(dir);
    remove_tree(sockets);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
