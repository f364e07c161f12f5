/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store-support.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* kill -9 of a daemon at random points: what it acknowledged is there when it comes back. */

#define ROUNDS_MIN 3
#define ROUNDS_MAX 30
#define SECONDS 10 /* after which no round is begun */
#define IN_FLIGHT 16

static struct store_bed bed;

static void submit(struct store *store, guint64 serial)
{
    g_autofree char *id = g_strdup_printf("exec-%08u", (guint)serial),
                    *host = g_strdup_printf("exec-%08u-b", (guint)serial);
    struct command *command = store_command_new(serial);
    store_command_put(command, id, "sort", EXECUTION_QUEUED, 1700000000000000 + (gint64)serial, serial % 7 * 300);
    store_command_put(command, host, "sort", EXECUTION_QUEUED, 1700000000000000 + (gint64)serial, 0);
    store_submit(store, command);
}

/* The daemon: writes for ever and tells each acknowledgement. */
static G_NORETURN void run_child(int ack_fd, guint64 first)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct store *store = store_open(bed.path, NULL);
    if (store == NULL)
        _exit(1);
    store_start(store, store_bed_sink, bed.events);
    guint64 next = first;
    for (guint i = 0; i < IN_FLIGHT; i++)
        submit(store, next++);
    for (;;) {
        g_autoptr(event_auto) event = mailbox_take(bed.events, -1);
        if (event->kind != EVENT_COMMITTED || write(ack_fd, &event->serial, sizeof event->serial) < 0)
            _exit(2);
        submit(store, next++);
    }
}

/* Reads acknowledgements until there are `wanted`, kills, and reads what was sent before. Returns the last. */
static guint64 kill_after(pid_t child, int ack_fd, guint wanted)
{
    guint64 serial, last = 0;
    for (guint count = 1; read(ack_fd, &serial, sizeof serial) == sizeof serial; count++) {
        ck_assert_uint_gt(serial, last);
        last = serial;
        if (count == wanted)
            ck_assert_int_eq(kill(child, SIGKILL), 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %d", status);
    return last;
}

static guint64 run_round(guint64 first, guint wanted)
{
    int ack[2];
    ck_assert_int_eq(pipe(ack), 0);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(ack[0]);
        run_child(ack[1], first);
    }
    close(ack[1]);
    const guint64 last = kill_after(child, ack[0], wanted);
    close(ack[0]);
    return last;
}

/* Every acknowledged serial from `first` to `last` with both its records; an unacknowledged one has both or none. */
static void check_records(guint64 first, guint64 last)
{
    g_autoptr(GError) error = NULL;
    struct store *store = store_open(bed.path, &error);
    ck_assert_msg(store != NULL, "%s", error != NULL ? error->message : "");
    g_autoptr(GPtrArray) records = store_load_objects(store, 0, 10000, &error);
    ck_assert_msg(records != NULL, "%s", error != NULL ? error->message : "");
    g_autoptr(GHashTable) found = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < records->len; i++)
        g_hash_table_add(found, ((struct record *)g_ptr_array_index(records, i))->id);
    for (guint64 serial = first; serial <= last + 2 * IN_FLIGHT; serial++) {
        g_autofree char *id = g_strdup_printf("exec-%08u", (guint)serial), *second = g_strconcat(id, "-b", NULL);
        const gboolean has_first = g_hash_table_contains(found, id);
        ck_assert_msg(has_first == g_hash_table_contains(found, second), "%s was torn", id);
        ck_assert_msg(has_first || serial > last, "%s was acknowledged and is lost", id);
    }
    store_free(store);
}

/* Rule: an acknowledged write survives kill -9, and a command is there as a whole or not at all. */
START_TEST(test_kill)
{
    store_bed_init(&bed);
    GRand *random = g_rand_new();
    guint64 first = 1;
    const gint64 enough_at = g_get_monotonic_time() + SECONDS * G_USEC_PER_SEC;
    for (guint round = 0; round < ROUNDS_MAX && (round < ROUNDS_MIN || g_get_monotonic_time() < enough_at); round++) {
        const guint64 last = run_round(first, (guint)g_rand_int_range(random, 1, 400));
        check_records(first, last);
        first = last + 1000; /* beyond what was in flight */
    }
    g_rand_free(random);
    store_bed_clear(&bed);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("store-crash");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_kill);
    Suite *suite = suite_create("store-crash");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
