/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/mailbox.h"
#include "host/workers.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Blocking calls with deadlines, against calls that return when the test says so. */

struct fixture {
    GMainContext *context;
    struct inbox *inbox;
    GSource *source;
    struct workers *workers;
    GString *log;
};

/* A call that waits for its gate. */
struct call {
    struct mailbox *gate;
    gboolean fails;
    gint *freed;
};

static gboolean call_run(gpointer data, GError **error)
{
    struct call *call = data;
    if (call->gate != NULL)
        mailbox_take(call->gate, -1);
    if (call->fails)
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "no");
    return !call->fails;
}

static void call_free(gpointer data)
{
    struct call *call = data;
    if (call->freed != NULL)
        g_atomic_int_inc(call->freed);
    g_free(call);
}

static void on_done(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct fixture *fixture = owner;
    const char *end = error == NULL ? "ok" : hbr_error_id(error->code);
    ck_assert(call != NULL || error->code == HBR_ERROR_TIMEOUT);
    g_string_append_printf(fixture->log, "%s:%s ", (char *)context, end);
}

static struct fixture *fixture_new(guint limit)
{
    struct fixture *fixture = g_new0(struct fixture, 1);
    const guint limits[] = {limit, limit};
    fixture->context = g_main_context_new();
    fixture->inbox = inbox_new();
    fixture->source = inbox_attach(fixture->inbox, fixture, fixture->context);
    fixture->workers = workers_new(fixture, fixture->inbox, fixture->context, limits, 2);
    fixture->log = g_string_new(NULL);
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    workers_free(fixture->workers);
    inbox_close(fixture->inbox);
    g_source_destroy(fixture->source);
    g_source_unref(fixture->source);
    inbox_unref(fixture->inbox);
    g_main_context_unref(fixture->context);
    g_string_free(fixture->log, TRUE);
    g_free(fixture);
}

static void submit(struct fixture *fixture, const char *name, const char *key, gint64 timeout_ms,
                   const struct call *like)
{
    workers_submit(fixture->workers, &(struct job){.key = g_strdup(key),
                                                   .timeout_ms = timeout_ms,
                                                   .run = call_run,
                                                   .call = g_memdup2(like, sizeof *like),
                                                   .call_free = call_free,
                                                   .done = on_done,
                                                   .context = g_strdup(name),
                                                   .context_free = g_free});
}

static void open_gate(struct mailbox *gate)
{
    mailbox_post(gate, (gpointer) "go");
}

/* Turns the loop until so many calls were reported. */
static void turn(struct fixture *fixture, guint reports)
{
    for (;;) {
        g_auto(GStrv) words = g_strsplit(fixture->log->str, " ", -1);
        if (g_strv_length(words) > reports)
            return;
        g_main_context_iteration(fixture->context, TRUE);
    }
}

/* Success and failure come back with the call. */
START_TEST(test_results)
{
    struct fixture *fixture = fixture_new(1);
    submit(fixture, "a", NULL, 10000, &(struct call){.fails = FALSE});
    submit(fixture, "b", NULL, 10000, &(struct call){.fails = TRUE});
    turn(fixture, 2);
    ck_assert_str_eq(fixture->log->str, "a:ok b:hypervisor ");
    fixture_free(fixture);
}
END_TEST

/* A call that hangs is reported at its deadline, its worker replaced, its late result thrown away. */
START_TEST(test_deadline)
{
    struct fixture *fixture = fixture_new(1);
    struct mailbox *gate = mailbox_new(NULL);
    gint freed = 0;
    submit(fixture, "hung", NULL, 20, &(struct call){.gate = gate, .freed = &freed});
    submit(fixture, "next", NULL, 10000, &(struct call){.fails = FALSE});
    turn(fixture, 2);
    ck_assert_str_eq(fixture->log->str, "hung:timeout next:ok ");
    ck_assert_uint_eq(workers_lost(fixture->workers), 1);
    ck_assert_int_eq(g_atomic_int_get(&freed), 0);
    open_gate(gate);
    while (workers_lost(fixture->workers) > 0)
        g_main_context_iteration(fixture->context, TRUE);
    ck_assert_int_eq(g_atomic_int_get(&freed), 1);
    ck_assert_str_eq(fixture->log->str, "hung:timeout next:ok ");
    fixture_free(fixture);
    mailbox_free(gate);
}
END_TEST

/* A lane runs no more than its limit, and calls on one domain run one after another while others overtake them. */
START_TEST(test_lanes_and_keys)
{
    struct fixture *fixture = fixture_new(2);
    struct mailbox *gate = mailbox_new(NULL);
    submit(fixture, "a1", "a", 10000, &(struct call){.gate = gate});
    submit(fixture, "a2", "a", 10000, &(struct call){.fails = FALSE});
    submit(fixture, "b1", "b", 10000, &(struct call){.fails = FALSE});
    turn(fixture, 1);
    ck_assert_str_eq(fixture->log->str, "b1:ok ");
    open_gate(gate);
    turn(fixture, 3);
    ck_assert_str_eq(fixture->log->str, "b1:ok a1:ok a2:ok ");
    fixture_free(fixture);
    mailbox_free(gate);
}
END_TEST

/* When the connection is lost, what waits fails at once. */
START_TEST(test_drop)
{
    struct fixture *fixture = fixture_new(1);
    struct mailbox *gate = mailbox_new(NULL);
    submit(fixture, "runs", NULL, 10000, &(struct call){.gate = gate});
    submit(fixture, "waits", NULL, 10000, &(struct call){.fails = FALSE});
    workers_drop_waiting(fixture->workers);
    ck_assert_str_eq(fixture->log->str, "waits:unavailable ");
    open_gate(gate);
    turn(fixture, 2);
    ck_assert_str_eq(fixture->log->str, "waits:unavailable runs:ok ");
    fixture_free(fixture);
    mailbox_free(gate);
}
END_TEST

/* A host can be given up while calls of it hang; they end for themselves. */
START_TEST(test_free_while_hung)
{
    struct fixture *fixture = fixture_new(1);
    struct mailbox *gate = mailbox_new(NULL);
    gint freed = 0;
    submit(fixture, "hung", NULL, 10000, &(struct call){.gate = gate, .freed = &freed});
    submit(fixture, "waits", NULL, 10000, &(struct call){.freed = &freed});
    fixture_free(fixture);
    ck_assert_int_eq(g_atomic_int_get(&freed), 1);
    open_gate(gate);
    while (g_atomic_int_get(&freed) < 2)
        g_thread_yield();
    mailbox_free(gate);
}
END_TEST

/* A host can be given up while results of its calls wait to be delivered. */
START_TEST(test_free_while_returned)
{
    struct fixture *fixture = fixture_new(1);
    gint freed = 0;
    submit(fixture, "returned", NULL, 10000, &(struct call){.freed = &freed});
    while (!g_main_context_pending(fixture->context))
        g_thread_yield();
    fixture_free(fixture);
    ck_assert_int_eq(g_atomic_int_get(&freed), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workers");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_results);
    tcase_add_test(tests, test_deadline);
    tcase_add_test(tests, test_lanes_and_keys);
    tcase_add_test(tests, test_drop);
    tcase_add_test(tests, test_free_while_hung);
    tcase_add_test(tests, test_free_while_returned);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
