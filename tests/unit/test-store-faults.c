/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "store-support.h"
#include "store/schema.h"
#include "store/write.h"

#include <check.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>

static struct store_bed bed;

static void set_up(void)
{
    store_bed_init(&bed);
}

static void tear_down(void)
{
    store_bed_clear(&bed);
}

/* A writer of its own connection, to make SQLite fail on purpose. */
struct bench {
    struct database *database;
    struct writer *writer;
    GQueue commands;
};

static void bench_init(struct bench *bench)
{
    ck_assert(g_file_set_contents(bed.path, "", 0, NULL));
    *bench = (struct bench){.commands = G_QUEUE_INIT};
    bench->database = database_open(bed.path, TRUE, NULL);
    ck_assert_ptr_nonnull(bench->database);
    ck_assert(schema_migrate(bench->database, NULL));
    bench->writer = writer_new(bench->database, NULL);
    ck_assert_ptr_nonnull(bench->writer);
}

static void bench_clear(struct bench *bench)
{
    writer_free(bench->writer);
    database_close(bench->database);
}

static struct command *bench_add(struct bench *bench, guint64 serial, gsize padding)
{
    g_autofree char *id = g_strdup_printf("exec-%03u", (guint)serial);
    struct command *command = store_command_new(serial);
    store_command_put(command, id, "sort", EXECUTION_QUEUED, 1, padding);
    g_queue_push_tail(&bench->commands, command);
    return command;
}

static void bench_write(struct bench *bench)
{
    writer_write(bench->writer, &bench->commands, store_bed_sink, bed.events);
    ck_assert_uint_eq(bench->commands.length, 0);
}

static gint64 bench_count(struct bench *bench)
{
    gint64 count = -1;
    ck_assert(database_query_int64(bench->database, "SELECT count(*) FROM execution", &count, NULL));
    return count;
}

static void expect_committed(guint64 serial)
{
    g_free(store_bed_expect(&bed, serial, EVENT_COMMITTED));
}

static void expect_failed(guint64 serial, const char *part)
{
    g_autofree char *message = store_bed_expect(&bed, serial, EVENT_COMMIT_FAILED);
    ck_assert_msg(strstr(message, part) != NULL, "\"%s\" does not say \"%s\"", message, part);
}

/* Rule: a bad command takes no other of its group with it, and nothing of it is written. */
START_TEST(test_bad_command_alone)
{
    struct bench bench;
    bench_init(&bench);
    bench_add(&bench, 1, 0);
    store_command_add_bad(bench_add(&bench, 2, 0)); /* its first record is good */
    bench_add(&bench, 3, 0);
    bench_write(&bench);
    expect_committed(1);
    expect_failed(2, "no id");
    expect_committed(3);
    ck_assert_int_eq(bench_count(&bench), 2);
    bench_clear(&bench);
}
END_TEST

/* Rule: a record of a kind, state or object that does not exist is refused, not written. */
START_TEST(test_bad_records)
{
    static const struct {
        enum record_kind kind;
        enum object_kind object;
        guint state;
        gboolean has_body;
        const char *message;
    } cases[] = {
        {RECORD_PUT, OBJECT_EXECUTION, EXECUTION_STATE_COUNT, TRUE, "state"},
        {RECORD_PUT, OBJECT_EXECUTION, EXECUTION_QUEUED, FALSE, "no body"},
        {RECORD_PUT, OBJECT_POLICY, 0, TRUE, "no table"},
        {RECORD_PUT, 99, 0, TRUE, "no table"},
        {RECORD_DELETE, 99, 0, FALSE, "no table"},
        {RECORD_OBSERVATION, OBJECT_EXECUTION, 0, FALSE, "observation"},
        {RECORD_POLICY, OBJECT_POLICY, 0, FALSE, "policy"},
        {99, OBJECT_EXECUTION, 0, FALSE, "unknown kind"},
    };
    struct bench bench;
    bench_init(&bench);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct record *record = g_ptr_array_index(bench_add(&bench, i + 1, 0)->records, 0);
        record->kind = cases[i].kind;
        record->object = cases[i].object;
        record->state = cases[i].state;
        if (!cases[i].has_body)
            g_clear_pointer(&record->body, g_bytes_unref);
        bench_write(&bench);
        expect_failed(i + 1, cases[i].message);
    }
    ck_assert_int_eq(bench_count(&bench), 0);
    bench_clear(&bench);
}
END_TEST

/* Rule: on a full disk a write fails with a clear message, smaller ones still go, and all work again when there is room. */
START_TEST(test_full_database)
{
    struct bench bench;
    bench_init(&bench);
    bench_add(&bench, 1, 0);
    bench_write(&bench);
    expect_committed(1);
    gint64 pages;
    ck_assert(database_query_int64(bench.database, "PRAGMA page_count", &pages, NULL));
    g_autofree char *limit = g_strdup_printf("PRAGMA max_page_count=%" G_GINT64_FORMAT, pages + 1);
    ck_assert(database_query_int64(bench.database, limit, &pages, NULL));

    bench_add(&bench, 2, 0);
    bench_add(&bench, 3, 20000);
    bench_add(&bench, 4, 0);
    bench_write(&bench);
    expect_committed(2);
    expect_failed(3, "full");
    expect_committed(4);

    ck_assert(database_query_int64(bench.database, "PRAGMA max_page_count=100000", &pages, NULL));
    bench_add(&bench, 5, 20000);
    bench_write(&bench);
    expect_committed(5);
    ck_assert_int_eq(bench_count(&bench), 4);
    bench_clear(&bench);
}
END_TEST

static struct store *open_store(void)
{
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(bed.path, &error);
    ck_assert_msg(store != NULL, "%s", error != NULL ? error->message : "");
    store_start(store, store_bed_sink, bed.events);
    return store;
}

static void submit(struct store *store, guint64 serial, gsize padding)
{
    g_autofree char *id = g_strdup_printf("exec-%03u", (guint)serial);
    struct command *command = store_command_new(serial);
    store_command_put(command, id, "sort", EXECUTION_QUEUED, 1700000000000000, padding);
    store_submit(store, command);
}

static guint count_loaded(struct store *store)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) records = store_load_objects(store, 0, 10000, &error);
    ck_assert_msg(records != NULL, "%s", error != NULL ? error->message : "");
    return records->len;
}

/* Rule: an I/O error while committing is a failed commit, and the next one works again. RLIMIT_FSIZE makes each write beyond it fail. */
START_TEST(test_write_error)
{
    struct store *store = open_store();
    submit(store, 1, 0);
    expect_committed(1);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit tight = {.rlim_cur = 200000, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    submit(store, 2, 400000);
    g_autofree char *message = store_bed_expect(&bed, 2, EVENT_COMMIT_FAILED);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_ptr_nonnull(strstr(message, bed.path));
    submit(store, 3, 4000);
    expect_committed(3);
    store_free(store);
    store = open_store();
    ck_assert_uint_eq(count_loaded(store), 2);
    store_free(store);
}
END_TEST

/* Writes growing records until one is refused. Returns its serial. */
static guint64 fill(struct store *store)
{
    for (guint64 serial = 1; serial < 1000; serial++) {
        submit(store, serial, 100000);
        g_autoptr(event_auto) event = store_bed_wait(&bed);
        if (event->kind == EVENT_COMMITTED)
            continue;
        ck_assert(g_error_matches(event->error, HBR_ERROR, HBR_ERROR_STORE));
        ck_assert_ptr_nonnull(strstr(event->error->message, "free some space"));
        return serial;
    }
    ck_abort_msg("a file system of 4 MiB took 100 MB");
    return 0;
}

static void test_on_full_disk(const char *ballast)
{
    struct store *store = open_store();
    const guint64 refused = fill(store);
    ck_assert_int_eq(g_unlink(ballast), 0);
    submit(store, refused + 1000, 100000);
    expect_committed(refused + 1000);
    store_free(store);
    store = open_store();
    ck_assert_uint_eq(count_loaded(store), refused);
    store_free(store);
}

/* Rule: the same on a file system that is really full, which only root can set up. */
START_TEST(test_full_disk)
{
    /* In a mount namespace of this test's own, so that nothing is left mounted whatever happens. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("harbinger-test", bed.directory, "tmpfs", 0, "size=4m,mode=0700") != 0) {
        g_print("test_full_disk left out: no tmpfs can be mounted here: %s\n", g_strerror(errno));
        return;
    }
    g_autofree char *ballast = g_build_filename(bed.directory, "ballast", NULL);
    g_autofree char *filler = g_strnfill(1024 * 1024, 'x');
    ck_assert(g_file_set_contents(ballast, filler, 1024 * 1024, NULL));
    test_on_full_disk(ballast);
    ck_assert_int_eq(umount(bed.directory), 0);
}
END_TEST

/* Rule: readers work at the same time as the writer. */
static gpointer read_meanwhile(gpointer data)
{
    guint failures = 0;
    for (guint i = 0; i < 100; i++) {
        json_auto_t *objects = store_read_objects(data, OBJECT_EXECUTION, "sort", NULL, 10, NULL);
        failures += objects == NULL;
    }
    return GUINT_TO_POINTER(failures);
}

START_TEST(test_readers_beside_writer)
{
    struct store *store = open_store();
    GThread *readers[6];
    for (guint i = 0; i < G_N_ELEMENTS(readers); i++)
        readers[i] = g_thread_new("reader", read_meanwhile, store);
    for (guint64 serial = 1; serial <= 300; serial++)
        submit(store, serial, 100);
    for (guint64 serial = 1; serial <= 300; serial++)
        expect_committed(serial);
    for (guint i = 0; i < G_N_ELEMENTS(readers); i++)
        ck_assert_uint_eq(GPOINTER_TO_UINT(g_thread_join(readers[i])), 0);
    store_free(store);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("store-faults");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, test_bad_command_alone);
    tcase_add_test(tests, test_bad_records);
    tcase_add_test(tests, test_full_database);
    tcase_add_test(tests, test_write_error);
    tcase_add_test(tests, test_full_disk);
    tcase_add_test(tests, test_readers_beside_writer);
    Suite *suite = suite_create("store-faults");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
