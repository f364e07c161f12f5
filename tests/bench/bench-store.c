/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/mailbox.h"
#include "store/store.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How many durable records a second the store acknowledges with so many in flight, against the rate of bare write + fdatasync of as many
 * bytes to a file beside it. */

#define RECORDS 60000
#define IN_FLIGHT 32
#define BODY_SIZE 400

struct bench {
    struct mailbox *events;
    struct store *store;
    gint64 sent_at[RECORDS];
    double latency_ms[RECORDS];
};

static void free_event(gpointer event)
{
    event_free(event);
}

static void free_record(gpointer record)
{
    record_free(record);
}

static void post_event(struct event *event, gpointer mailbox)
{
    mailbox_post(mailbox, event);
}

static void send_record(struct bench *bench, guint64 serial)
{
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_PUT;
    record->object = OBJECT_RESERVATION;
    record->id = g_strdup_printf("res-%016" G_GINT64_MODIFIER "x", serial);
    record->function = g_strdup_printf("function-%u", (guint)(serial * 7919 % 100));
    record->tenant = g_strdup("default");
    record->at = clock_now();
    record->body = g_bytes_new_take(g_strnfill(BODY_SIZE, 'x'), BODY_SIZE);
    struct command *command = command_new(COMMAND_PERSIST);
    command->serial = serial;
    command->records = g_ptr_array_new_with_free_func(free_record);
    g_ptr_array_add(command->records, record);
    bench->sent_at[serial] = g_get_monotonic_time();
    store_submit(bench->store, command);
}

static double run_store(struct bench *bench)
{
    const gint64 begin = g_get_monotonic_time();
    guint64 sent = 0;
    while (sent < IN_FLIGHT)
        send_record(bench, sent++);
    for (guint answered = 0; answered < RECORDS; answered++) {
        g_autoptr(event_auto) event = mailbox_take(bench->events, -1);
        if (event->kind != EVENT_COMMITTED)
            g_error("not committed: %s", event->error->message);
        bench->latency_ms[event->serial] = (double)(g_get_monotonic_time() - bench->sent_at[event->serial]) / 1000;
        if (sent < RECORDS)
            send_record(bench, sent++);
    }
    return RECORDS / ((double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC);
}

/* The same bytes in the same groups, without a database. */
static double run_reference(const char *path)
{
    static const char group[IN_FLIGHT * BODY_SIZE];
    const int fd = g_open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        g_error("%s cannot be made", path);
    const gint64 begin = g_get_monotonic_time();
    for (guint done = 0; done < RECORDS; done += IN_FLIGHT)
        if (write(fd, group, sizeof group) < 0 || fdatasync(fd) != 0)
            g_error("%s cannot be written", path);
    const double rate = RECORDS / ((double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC);
    close(fd);
    return rate;
}

static int compare_doubles(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return first < second ? -1 : first > second;
}

static void remove_directory(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    for (const char *name; directory != NULL && (name = g_dir_read_name(directory)) != NULL;) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_remove(file);
    }
    g_rmdir(path);
}

int main(void)
{
    /* Beside the build, not in /tmp: that may be in memory. */
    g_autofree char *directory = g_strdup("bench-store-XXXXXX");
    if (g_mkdtemp(directory) == NULL)
        g_error("no directory for the benchmark");
    g_autofree char *path = g_build_filename(directory, "harbinger.db", NULL);
    g_autofree char *reference_path = g_build_filename(directory, "reference", NULL);
    g_autoptr(GError) error = NULL;
    struct bench *bench = g_new0(struct bench, 1);
    bench->events = mailbox_new(free_event);
    bench->store = store_open(path, &error);
    if (bench->store == NULL)
        g_error("%s", error->message);
    store_start(bench->store, post_event, bench->events);
    const double rate = run_store(bench);
    store_free(bench->store);
    const double reference = run_reference(reference_path);
    remove_directory(directory);
    mailbox_free(bench->events);
    qsort(bench->latency_ms, RECORDS, sizeof(double), compare_doubles);
    const double median = bench->latency_ms[RECORDS / 2], p99 = bench->latency_ms[RECORDS / 100 * 99];
    g_free(bench);

    g_print("%-40s %12s\n", "durable records, 32 in flight", "records/s");
    g_print("%-40s %12.0f   median %.2f ms, p99 %.2f ms\n", "store", rate, median, p99);
    g_print("%-40s %12.0f\n", "bare write + fdatasync of the same groups", reference);
    g_print("bench store n=%d per_second=%.0f median_ms=%.3f p99_ms=%.3f reference_per_second=%.0f ratio=%.3f\n",
            RECORDS, rate, median, p99, reference, rate / reference);
    return EXIT_SUCCESS;
}
