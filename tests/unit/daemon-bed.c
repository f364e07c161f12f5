/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon-bed.h"

#include <check.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define HOST_URI "sim:a?boot_ms=20&boot_sigma=0&connect_ms=1&destroy_ms=1&run_overhead_ms=1"

static char *bed_path(const struct daemon_bed *bed, const char *name)
{
    return g_build_filename(bed->directory, name, NULL);
}

static int bed_listen_for_notice(const struct daemon_bed *bed)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", bed->directory);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void daemon_bed_init(struct daemon_bed *bed)
{
    *bed = (struct daemon_bed){.directory = g_dir_make_tmp("hbrd-XXXXXX", NULL)};
    ck_assert_ptr_nonnull(bed->directory);
    bed->config = bed_path(bed, "conf");
    bed->policy = bed_path(bed, "policy.yaml");
    bed->socket = bed_path(bed, "socket");
    bed->database = bed_path(bed, "harbinger.db");
    bed->log = bed_path(bed, "log");
    bed->notify_fd = bed_listen_for_notice(bed);
    g_autofree char *policy = daemon_bed_policy(60);
    daemon_bed_write_policy(bed, policy);
}

static void bed_drop_client(struct daemon_bed *bed)
{
    hbr_client_free(bed->client);
    bed->client = NULL;
}

static void bed_remove(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    for (const char *name; directory != NULL && (name = g_dir_read_name(directory)) != NULL;) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        bed_remove(inner);
    }
    g_remove(path);
}

void daemon_bed_clear(struct daemon_bed *bed)
{
    if (bed->pid != 0)
        daemon_bed_stop(bed, SIGKILL);
    bed_drop_client(bed);
    close(bed->notify_fd);
    bed_remove(bed->directory);
    char *const strings[] = {bed->directory, bed->config, bed->policy, bed->socket, bed->log, bed->database, bed->keys};
    for (guint i = 0; i < G_N_ELEMENTS(strings); i++)
        g_free(strings[i]);
}

char *daemon_bed_policy(guint wall_s)
{
    return g_strdup_printf("profiles:\n"
                           "  - { name: small, template: base, vcpus: 1, memory: 256 MiB }\n"
                           "classes:\n"
                           "  - name: all\n"
                           "    score_max: 100\n"
                           "    profile: small\n"
                           "    demand:\n"
                           "      vcpus: { p50: 0.5, p90: 1, p99: 1 }\n"
                           "      memory: { p50: 64 MiB, p90: 128 MiB, p99: 192 MiB }\n"
                           "      network: { p50: 0 Mbit/s, p90: 0 Mbit/s, p99: 0 Mbit/s }\n"
                           "      duration: { p50: 1 s, p90: 10 s, p99: 60 s }\n"
                           "limits:\n"
                           "  wall: %u s\n",
                           wall_s);
}

void daemon_bed_write_policy(struct daemon_bed *bed, const char *text)
{
    ck_assert(g_file_set_contents(bed->policy, text, -1, NULL));
}

static void bed_write_config(const struct daemon_bed *bed)
{
    g_autofree char *text =
        g_strdup_printf("[daemon]\nsocket=%s\nstate-dir=%s\nimage-dir=%s\ntemplate-dir=%s/templates\npolicy=%s\n"
                        "log-level=info\n%s\n[host a]\nuri=%s\n",
                        bed->socket, bed->directory, bed->directory, g_getenv("HBR_SOURCE_DIR"), bed->policy,
                        bed->keys != NULL ? bed->keys : "", HOST_URI);
    ck_assert(g_file_set_contents(bed->config, text, -1, NULL));
}

/* No daemon outlives a test that failed. */
static void bed_die_with_test(gpointer data G_GNUC_UNUSED)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GPid bed_spawn(const struct daemon_bed *bed)
{
    g_autofree char *program = g_build_filename(g_getenv("HBR_BUILD_DIR"), "harbingerd", NULL);
    g_autofree char *notify = bed_path(bed, "notify");
    char *arguments[] = {program, (char *)"--config", bed->config, NULL};
    g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "NOTIFY_SOCKET", notify, TRUE);
    const int log = open(bed->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(log, 0);
    g_autoptr(GError) error = NULL;
    GPid pid;
    if (!g_spawn_async_with_fds(NULL, arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD, bed_die_with_test, NULL, &pid,
                                -1, log, log, &error))
        ck_abort_msg("%s: %s", program, error->message);
    close(log);
    return pid;
}

/* TRUE when the daemon says `state`, FALSE when it ends without. */
static gboolean bed_await(const struct daemon_bed *bed, const char *state)
{
    struct pollfd fds[] = {{.fd = bed->notify_fd, .events = POLLIN},
                           {.fd = (int)syscall(SYS_pidfd_open, bed->pid, 0), .events = POLLIN}};
    ck_assert_int_ge(fds[1].fd, 0);
    gboolean is_said = FALSE;
    while (!is_said) {
        ck_assert_msg(poll(fds, 2, PATIENCE_MS) > 0, "harbingerd neither says %s nor ends", state);
        if ((fds[0].revents & POLLIN) == 0)
            break;
        char text[64] = "";
        ck_assert_int_gt(recv(bed->notify_fd, text, sizeof text - 1, 0), 0);
        is_said = g_str_equal(text, state);
    }
    close(fds[1].fd);
    return is_said;
}

gboolean daemon_bed_try(struct daemon_bed *bed, int *ret_status)
{
    bed_write_config(bed);
    bed->pid = bed_spawn(bed);
    if (bed_await(bed, "READY=1"))
        return TRUE;
    *ret_status = daemon_bed_wait(bed);
    return FALSE;
}

void daemon_bed_start(struct daemon_bed *bed)
{
    int status = 0;
    if (!daemon_bed_try(bed, &status)) {
        g_autofree char *log = daemon_bed_log(bed);
        ck_abort_msg("harbingerd ended with status 0x%x: %s", (guint)status, log);
    }
    bed_drop_client(bed);
    bed->client = hbr_client_new(bed->socket, NULL);
    struct hbr_error error = HBR_ERROR_INIT;
    ck_assert_msg(hbr_wait(bed->client, HBR_HOST, "a", "up", PATIENCE_MS, NULL, &error), "%s", error.message);
}

int daemon_bed_wait(struct daemon_bed *bed)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, bed->pid, 0), .events = POLLIN};
    ck_assert_int_ge(end.fd, 0);
    ck_assert_msg(poll(&end, 1, PATIENCE_MS) == 1, "harbingerd does not end");
    close(end.fd);
    int status;
    ck_assert_int_eq(waitpid(bed->pid, &status, 0), bed->pid);
    bed->pid = 0;
    return status;
}

int daemon_bed_stop(struct daemon_bed *bed, int signal_number)
{
    ck_assert_int_eq(kill(bed->pid, signal_number), 0);
    return daemon_bed_wait(bed);
}

char *daemon_bed_log(const struct daemon_bed *bed)
{
    char *text = NULL;
    ck_assert(g_file_get_contents(bed->log, &text, NULL, NULL));
    return text;
}

void daemon_bed_sql(struct daemon_bed *bed, const char *sql)
{
    ck_assert_int_eq(bed->pid, 0);
    sqlite3 *handle;
    ck_assert_int_eq(sqlite3_open(bed->database, &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

static json_t *bed_json(char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json != NULL, "no JSON: %s", text);
    hbr_free(text);
    return json;
}

json_t *daemon_bed_notify(struct daemon_bed *bed, const char *function, const char *key, gint64 arrival_in_ms)
{
    json_auto_t *body = json_pack("{s:{s:s}, s:I, s:s*}", "code", "function", function, "arrival_in_ms",
                                  (json_int_t)arrival_in_ms, "idempotency_key", key);
    char *text = json_dumps(body, JSON_COMPACT), *answer = NULL;
    struct hbr_error error = HBR_ERROR_INIT;
    ck_assert_msg(hbr_notify(bed->client, text, &answer, &error), "%s", error.message);
    free(text);
    json_auto_t *document = bed_json(answer);
    return json_incref(json_object_get(document, "reservation"));
}

json_t *daemon_bed_get(struct daemon_bed *bed, enum hbr_kind kind, const char *id)
{
    struct hbr_error error = HBR_ERROR_INIT;
    char *answer = NULL;
    ck_assert_msg(hbr_get(bed->client, kind, id, &answer, &error), "%s", error.message);
    return bed_json(answer);
}

guint daemon_bed_load_policy(struct daemon_bed *bed, const char *text)
{
    const struct hbr_policy_file file = {"new.yaml", text};
    struct hbr_error error = HBR_ERROR_INIT;
    char *answer = NULL;
    ck_assert_msg(hbr_policy_load(bed->client, &file, 1, &answer, &error), "%s", error.message);
    json_auto_t *document = bed_json(answer);
    return (guint)json_integer_value(json_object_get(document, "version"));
}
