/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "intake-load.h"

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
 * libmicrohttpd handler that answers 202 takes of the same requests, over the same kind of socket, from the same clients. The two take turns, so
 * that both see the same machine. */

#define CLIENTS 32
#define ROUNDS 3
#define BARE_REQUESTS 20000
#define OUR_REQUESTS 15000
#define WARM_UP 2000
#define START_PATIENCE_US (20 * G_USEC_PER_SEC)

static enum MHD_Result bare_answer(struct MHD_Connection *connection)
{
    static char body[] = "{\"reservation\":{\"id\":\"res-00000000000000000000\",\"state\":\"scheduled\"}}";
    struct MHD_Response *response = MHD_create_response_from_buffer(sizeof body - 1, body, MHD_RESPMEM_PERSISTENT);
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

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 511) < 0)
        g_error("cannot listen at %s", path);
    return fd;
}

/* In a process of its own, as the daemon is. */
static pid_t start_bare(const char *path)
{
    const int fd = listen_at(path);
    const pid_t pid = fork();
    if (pid != 0) {
        close(fd);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, bare_access, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_THREAD_POOL_SIZE, 2, MHD_OPTION_CONNECTION_LIMIT, 256, MHD_OPTION_END);
    if (daemon == NULL)
        g_error("cannot start the reference");
    for (;;)
        pause();
}

static char *write_config(const char *dir, const char *socket_path)
{
    char *path = g_build_filename(dir, "harbingerd.conf", NULL);
    g_autofree char *text = g_strdup_printf("[daemon]\nsocket=%s\nstate-dir=%s/state\npolicy=%s/policies/default.yaml\n"
                                            "template-dir=%s/templates\nlog-level=warning\n\n"
                                            "[host bench]\nuri=sim:bench?vcpus=64&memory_mib=262144\n",
                                            socket_path, dir, g_getenv("HBR_SOURCE_DIR"), g_getenv("HBR_SOURCE_DIR"));
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

static pid_t start_ours(const char *dir, const char *socket_path)
{
    g_autofree char *config = write_config(dir, socket_path);
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

/* One of the two servers. */
struct server {
    const char *path;
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
    load_run(&server->load, server->path, CLIENTS, requests);
    server->cpu_s += cpu_seconds(server->pid) - before;
}

static void print_row(const char *what, const struct server *server)
{
    const struct load *load = &server->load;
    printf("%-32s %9.0f %10.3f %9.3f %9.1f %9u\n", what, load_rate(load), load_percentile_ms(load, 50),
           load_percentile_ms(load, 99), 1e6 * server->cpu_s / load->latencies->len, load->latencies->len);
}

static void measure(struct server *bare, struct server *ours)
{
    struct load warm = {0};
    load_run(&warm, ours->path, CLIENTS, WARM_UP);
    load_run(&warm, bare->path, CLIENTS, WARM_UP);
    load_clear(&warm);
    for (int round = 0; round < ROUNDS; round++) {
        run_load(bare, BARE_REQUESTS);
        run_load(ours, OUR_REQUESTS);
    }
}

static void report(const struct server *bare, const struct server *ours)
{
    const double rate = load_rate(&ours->load), ratio = rate / load_rate(&bare->load);
    printf("%d keep-alive clients on %d CPUs, load generator included\n", CLIENTS, (int)g_get_num_processors());
    printf("%-32s %9s %10s %9s %9s %9s\n", "", "a second", "median ms", "p99 ms", "CPU us", "requests");
    print_row("bare libmicrohttpd, answers 202", bare);
    print_row("harbingerd, 202 once durable", ours);
    printf("share of the bare server: %.0f %%; refused or failed: %u\n", 100 * ratio, ours->load.failures);
    printf("bench intake n=%u median_ms=%.3f p99_ms=%.3f ratio=%.3f rate=%.0f failures=%u\n", ours->load.latencies->len,
           load_percentile_ms(&ours->load, 50), load_percentile_ms(&ours->load, 99), ratio, rate, ours->load.failures);
}

int main(void)
{
    /* Beside the build, not in /tmp, which may be memory: durable means a disk. */
    g_autofree char *template = g_build_filename(g_getenv("HBR_BUILD_DIR"), "intake-XXXXXX", NULL);
    g_autofree char *dir = g_strdup(g_mkdtemp(template));
    if (dir == NULL)
        g_error("cannot make a directory in the build tree");
    g_autofree char *sockets = g_dir_make_tmp("hbr-intake-XXXXXX", NULL);
    g_autofree char *bare_path = g_build_filename(sockets, "bare", NULL);
    g_autofree char *our_path = g_build_filename(sockets, "harbinger", NULL);
    struct server bare = {.path = bare_path, .pid = start_bare(bare_path)};
    struct server ours = {.path = our_path, .pid = start_ours(dir, our_path)};
    measure(&bare, &ours);
    stop(ours.pid, SIGTERM);
    stop(bare.pid, SIGKILL);
    remove_tree(dir);
    remove_tree(sockets);
    report(&bare, &ours);
    const gboolean good = ours.load.failures == 0;
    load_clear(&bare.load);
    load_clear(&ours.load);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
