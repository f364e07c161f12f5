/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <glib/gstdio.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_S 60
#define POLL_MS 20
#define STAND_MS 500
#define WAIT_MS 300000
#define EXIT_SKIPPED 77

static char *images_path(void)
{
    const char *images = g_getenv("HARBINGER_IMAGES");
    return images != NULL ? g_strdup(images) : g_build_filename(g_getenv("HBR_BUILD_DIR"), "images", NULL);
}

static void check_images(void)
{
    g_autofree char *images = images_path();
    g_autofree char *kernel = g_build_filename(images, "vmlinuz", NULL);
    if (g_file_test(kernel, G_FILE_TEST_EXISTS))
        return;
    g_printerr("there are no guest images in %s; right would be: make images\n", images);
    exit(EXIT_SKIPPED);
}

void world_enter(char **argv)
{
    check_images();
    if (g_getenv("HBR_LIBVIRT_URI") != NULL)
        return;
    g_autofree char *wrapper =
        g_build_filename(g_getenv("HBR_SOURCE_DIR"), "tests/integration/with-session-libvirt", NULL);
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_ptr_array_add(command, wrapper);
    g_ptr_array_add(command, self);
    for (char **argument = argv + 1; *argument != NULL; argument++)
        g_ptr_array_add(command, *argument);
    g_ptr_array_add(command, NULL);
    execv(wrapper, (char **)command->pdata);
    g_error("%s cannot be run", wrapper);
}

static void write_file(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;
    if (!g_file_set_contents(path, text, -1, &error))
        g_error("%s", error->message);
}

guint world_cpu_overcommit = 4; /* as it is without a word */

void (*world_prepare)(const char *state_dir, gpointer data);
gpointer world_prepare_data;

static void prepare_state(const struct world *world)
{
    g_autofree char *path = g_build_filename(world->root, "state", NULL);
    if (world_prepare == NULL)
        return;
    if (g_mkdir(path, 0700) != 0)
        g_error("%s cannot be made", path);
    world_prepare(path, world_prepare_data);
}

static char *write_config(const struct world *world, const char *policy, const char *uri)
{
    g_autofree char *images = images_path();
    g_autofree char *policy_path = g_build_filename(world->root, "policy.yaml", NULL);
    char *path = g_build_filename(world->root, "harbingerd.conf", NULL);
    g_autofree char *text = g_strdup_printf("[daemon]\nsocket=%s\nstate-dir=%s/state\nimage-dir=%s\n"
                                            "template-dir=%s/templates\npolicy=%s\nlog-level=info\n\n"
                                            "[host here]\nuri=%s\ncpu-overcommit=%u\n",
                                            world->socket, world->root, images, g_getenv("HBR_SOURCE_DIR"), policy_path,
                                            uri, world_cpu_overcommit);
    write_file(policy_path, policy);
    write_file(path, text);
    return path;
}

static void show_log(const struct world *world)
{
    g_autofree char *path = g_build_filename(world->root, "log", NULL);
    g_autofree char *text = NULL;
    if (g_file_get_contents(path, &text, NULL, NULL))
        g_printerr("%s", text);
}

static void spawn_daemon(struct world *world, const char *config)
{
    g_autofree char *program = g_build_filename(g_getenv("HBR_BUILD_DIR"), "harbingerd", NULL);
    g_autofree char *log = g_build_filename(world->root, "log", NULL);
    char *arguments[] = {program, (char *)"--config", (char *)config, NULL};
    FILE *output = fopen(log, "we");
    g_autoptr(GError) error = NULL;
    if (output == NULL)
        g_error("%s cannot be made", log);
    const int fd = fileno(output);
    if (!g_spawn_async_with_fds(NULL, arguments, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &world->daemon, -1, fd,
                                fd, &error))
        g_error("%s", error->message);
    fclose(output);
}

/* Waits for the daemon to answer, and notices when it ends instead. */
static void wait_ready(struct world *world)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, world->daemon, 0), .events = POLLIN};
    struct hbr_error error = HBR_ERROR_INIT;
    const gint64 until = g_get_monotonic_time() + READY_S * G_USEC_PER_SEC;
    while (!hbr_ready(world->client, &error)) {
        if (g_get_monotonic_time() < until && poll(&end, 1, POLL_MS) == 0)
            continue;
        show_log(world);
        g_error("the daemon does not become ready: %s", error.message);
    }
    hbr_error_clear(&error);
    close(end.fd);
}

struct world *world_new(const char *policy)
{
    return world_new_on(policy, g_getenv("HBR_LIBVIRT_URI"));
}

struct world *world_new_on(const char *policy, const char *uri)
{
    struct world *world = g_new0(struct world, 1);
    world->root = g_strdup_printf("%s/b.XXXXXX", g_get_tmp_dir());
    if (g_mkdtemp(world->root) == NULL)
        g_error("no directory in %s", g_get_tmp_dir());
    world->socket = g_build_filename(world->root, "s", NULL);
    world->is_simulated = g_str_has_prefix(uri, "sim:");
    g_autofree char *config = write_config(world, policy, uri);
    prepare_state(world);
    spawn_daemon(world, config);
    world->client = hbr_client_new(world->socket, NULL);
    hbr_client_set_timeout(world->client, WAIT_MS);
    wait_ready(world);
    return world;
}

void world_free(struct world *world)
{
    hbr_client_free(world->client);
    kill(world->daemon, SIGTERM);
    waitpid(world->daemon, NULL, 0);
    g_free(world->socket);
    g_free(world->root);
    g_free(world);
}

static void check(struct world *world, bool is_done, const struct hbr_error *error)
{
    if (is_done)
        return;
    show_log(world);
    g_error("%s", error->message);
}

char *world_notify(struct world *world, const char *notification)
{
    struct hbr_error error = HBR_ERROR_INIT;
    char *text;
    check(world, hbr_notify(world->client, notification, &text, &error), &error);
    json_auto_t *answer = json_loads(text, 0, NULL);
    hbr_free(text);
    return g_strdup(json_string_value(json_object_get(json_object_get(answer, "reservation"), "id")));
}

json_t *world_wait_reservation(struct world *world, const char *id)
{
    struct hbr_error error = HBR_ERROR_INIT;
    char *text;
    check(world, hbr_wait(world->client, HBR_RESERVATION, id, "ready", WAIT_MS, &text, &error), &error);
    json_t *reservation = json_loads(text, 0, NULL);
    hbr_free(text);
    return reservation;
}

json_t *world_announce(struct world *world, const char *notification, double *ret_ms)
{
    const gint64 begin = g_get_monotonic_time();
    g_autofree char *id = world_notify(world, notification);
    json_t *reservation = world_wait_reservation(world, id);
    if (ret_ms != NULL)
        *ret_ms = (double)(g_get_monotonic_time() - begin) / 1000;
    if (g_strcmp0(json_string_value(json_object_get(reservation, "state")), "ready") != 0) {
        show_log(world);
        g_error("the reservation is %s", json_string_value(json_object_get(reservation, "state")));
    }
    return reservation;
}

gint64 world_time_us(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    g_autoptr(GDateTime) date = text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    return date != NULL ? g_date_time_to_unix(date) * G_USEC_PER_SEC + g_date_time_get_microsecond(date) : 0;
}

double world_span_ms(const json_t *object, const char *from, const char *to)
{
    return (double)(world_time_us(object, to) - world_time_us(object, from)) / 1000;
}

char *world_reserve(struct world *world, const char *function)
{
    g_autofree char *notification = g_strdup_printf("{\"code\":{\"function\":\"%s\"}}", function);
    json_auto_t *reservation = world_announce(world, notification, NULL);
    return g_strdup(json_string_value(json_object_get(reservation, "id")));
}

void world_cancel(struct world *world, const json_t *reservation)
{
    struct hbr_error error = HBR_ERROR_INIT;
    const char *id = json_string_value(json_object_get(reservation, "id"));
    const char *instance = json_string_value(json_object_get(reservation, "instance_id"));
    check(world, hbr_delete(world->client, HBR_RESERVATION, id, NULL, &error), &error);
    check(world, hbr_wait(world->client, HBR_INSTANCE, instance, NULL, WAIT_MS, NULL, &error), &error);
}

json_t *world_get(struct world *world, const char *path)
{
    struct hbr_error error = HBR_ERROR_INIT;
    struct hbr_response response = HBR_RESPONSE_INIT;
    g_autofree char *full = g_strconcat("/v1/", path, NULL);
    check(world, hbr_request(world->client, "GET", full, NULL, NULL, 0, &response, &error), &error);
    json_t *json = json_loadb(response.body, response.length, 0, NULL);
    hbr_response_clear(&response);
    return json;
}

void world_post(struct world *world, const char *path, const char *body)
{
    struct hbr_error error = HBR_ERROR_INIT;
    struct hbr_response response = HBR_RESPONSE_INIT;
    g_autofree char *full = g_strconcat("/v1/", path, NULL);
    check(world, hbr_request(world->client, "POST", full, NULL, body, strlen(body), &response, &error), &error);
    hbr_response_clear(&response);
}

static json_int_t stock_of(const json_t *pool, const char *which, const char *kind)
{
    return json_integer_value(json_object_get(json_object_get(pool, which), kind));
}

static gboolean pool_is_full(const json_t *pool)
{
    static const char *const kinds[] = {"running", "paused", "saved"};
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (stock_of(pool, "stock", kinds[i]) != stock_of(pool, "target", kinds[i]))
            return FALSE;
    return json_integer_value(json_object_get(pool, "warming")) == 0;
}

json_t *world_wait_stock(struct world *world, const char *pool)
{
    g_autofree char *path = g_strconcat("pools/", pool, NULL);
    const gint64 until = g_get_monotonic_time() + WAIT_MS * 1000;
    for (;;) {
        json_t *found = world_get(world, path);
        if (pool_is_full(found))
            return found;
        json_decref(found);
        if (g_get_monotonic_time() > until) {
            show_log(world);
            g_error("the pool %s does not fill", pool);
        }
        poll(NULL, 0, POLL_MS);
    }
}

#define OUTPUT_KEPT 65536

struct measurement {
    gint64 begin, first_output;
    GString *output;
};

static bool on_output(const void *data, size_t length, void *user_data)
{
    struct measurement *measurement = user_data;
    if (measurement->output->len < OUTPUT_KEPT)
        g_string_append_len(measurement->output, data, (gssize)length);
    if (measurement->first_output == 0)
        measurement->first_output = g_get_monotonic_time();
    return true;
}

static char *request_text(const char *function, const char *reservation_id, const char *interpreter, const char *source)
{
    json_auto_t *request = json_pack("{s:{s:s}, s:{s:s, s:s}, s:s*}", "code", "function", function, "program",
                                     "interpreter", interpreter, "source", source, "reservation_id", reservation_id);
    return json_dumps(request, JSON_COMPACT);
}

void world_execute(struct world *world, const char *function, const char *reservation_id, const char *source,
                   struct world_run *ret_run)
{
    world_execute_by(world, function, reservation_id, "sh", source, ret_run);
}

void world_execute_by(struct world *world, const char *function, const char *reservation_id, const char *interpreter,
                      const char *source, struct world_run *ret_run)
{
    char *request = request_text(function, reservation_id, interpreter, source);
    world_execute_request(world, request, ret_run);
    if (ret_run->first_output_ms < 0 || !world_run_succeeded(ret_run)) {
        show_log(world);
        g_autofree char *text = json_dumps(ret_run->execution, 0);
        g_error("the execution printed nothing, or failed: %s", text);
    }
    free(request);
}

void world_execute_request(struct world *world, const char *request, struct world_run *ret_run)
{
    struct measurement measurement = {.output = g_string_new(NULL)};
    const struct hbr_exec_callbacks callbacks = {
        .on_stdout = on_output, .on_stderr = on_output, .user_data = &measurement};
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    struct hbr_error error = HBR_ERROR_INIT;
    measurement.begin = g_get_monotonic_time();
    check(world, hbr_execute(world->client, request, &callbacks, &result, &error), &error);
    const gint64 took_us = measurement.first_output - measurement.begin;
    ret_run->first_output_ms = measurement.first_output == 0 ? -1 : (double)took_us / 1000;
    ret_run->execution = json_loads(result.json, 0, NULL);
    ret_run->output = g_string_free(measurement.output, FALSE);
    hbr_exec_result_clear(&result);
}

gboolean world_run_succeeded(const struct world_run *run)
{
    const json_t *result = json_object_get(run->execution, "result");
    return g_strcmp0(json_string_value(json_object_get(result, "reason")), "exited") == 0 &&
           json_integer_value(json_object_get(result, "status")) == 0;
}

void world_run_clear(struct world_run *run)
{
    json_decref(run->execution);
    g_free(run->output);
    *run = (struct world_run){0};
}

void world_wait_gone(struct world *world, const struct world_run *run)
{
    const char *id = json_string_value(json_object_get(run->execution, "instance_id"));
    struct hbr_error error = HBR_ERROR_INIT;
    check(world, hbr_wait(world->client, HBR_INSTANCE, id, NULL, WAIT_MS, NULL, &error), &error);
}

void world_let_stand(void)
{
    poll(NULL, 0, STAND_MS);
}

struct series *series_new(const char *name)
{
    struct series *series = g_new0(struct series, 1);
    series->name = name;
    series->values_ms = g_array_new(FALSE, FALSE, sizeof(double));
    return series;
}

void series_free(struct series *series)
{
    g_array_unref(series->values_ms);
    g_free(series);
}

void series_add(struct series *series, double value_ms)
{
    g_array_append_val(series->values_ms, value_ms);
}

guint series_count(const struct series *series)
{
    return series->values_ms->len;
}

static int compare_doubles(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return first < second ? -1 : first > second;
}

double series_quantile(struct series *series, double share)
{
    const guint count = series_count(series);
    if (count == 0)
        return 0;
    qsort(series->values_ms->data, count, sizeof(double), compare_doubles);
    return g_array_index(series->values_ms, double, MAX(1, (guint)ceil(share * count)) - 1);
}

double series_median(struct series *series)
{
    const guint count = series_count(series);
    const double upper = series_quantile(series, 0.5);
    return count == 0 || count % 2 == 1 ? upper : (upper + g_array_index(series->values_ms, double, count / 2)) / 2;
}

double series_p99(struct series *series)
{
    return series_quantile(series, 0.99);
}

void series_print_head(void)
{
    g_print("%-56s %4s %10s %10s %10s %10s\n", "times in ms", "n", "min", "median", "p99", "max");
}

void series_print(struct series *series)
{
    g_print("%-56s %4u %10.2f %10.2f %10.2f %10.2f\n", series->name, series_count(series), series_quantile(series, 0),
            series_median(series), series_p99(series), series_quantile(series, 1));
}

void target_print(const char *what, double value, gboolean at_most, double target)
{
    const gboolean is_met = at_most ? value <= target : value >= target;
    g_print("%s: %.2f (%s %g): target %s\n", what, value, at_most ? "at most" : "at least", target,
            is_met ? "met" : "missed");
}
