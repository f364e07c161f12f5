/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/mailbox.h"
#include "daemon/hosts.h"

#include <check.h>
#include <stdlib.h>

static struct mailbox *events;
static struct hosts *hosts;
static const struct hypervisor_settings settings;

static void post(struct event *event, gpointer data G_GNUC_UNUSED)
{
    mailbox_post(events, event);
}

static void free_event(gpointer event)
{
    event_free(event);
}

static void setup(void)
{
    events = mailbox_new(free_event);
    hosts = hosts_new(&settings, post, NULL);
}

static void teardown(void)
{
    hosts_free(hosts);
    mailbox_free(events);
}

static void submit(enum command_kind kind, const char *uri)
{
    struct command *command = command_new(kind);
    command->host = g_strdup("a");
    if (uri != NULL) {
        command->host_spec = g_new0(struct host_spec, 1);
        command->host_spec->name = g_strdup("a");
        command->host_spec->uri = g_strdup(uri);
    }
    hosts_submit(hosts, CLOCK_SECOND, command);
}

/* The next event of the host, after as much of its time as that takes. */
static struct event *next_event(void)
{
    struct event *event;
    while ((event = mailbox_take(events, 0)) == NULL) {
        ck_assert_int_ne(hosts_next_at(hosts), CLOCK_NEVER);
        hosts_advance(hosts, hosts_next_at(hosts));
    }
    ck_assert_str_eq(event->host, "a");
    return event;
}

static void expect_all_stale(void)
{
    for (struct event *event; (event = mailbox_take(events, 0)) != NULL;) {
        ck_assert(hosts_is_stale(hosts, event));
        event_free(event);
    }
}

/* Rule: what a host that was let go of has said is not taken for the word of another of that name. */
START_TEST(test_stale)
{
    for (guint i = 0; i < 3; i++) {
        submit(COMMAND_HOST_CONNECT, "sim:a");
        g_autoptr(event_auto) first = next_event();
        ck_assert_int_eq(first->kind, EVENT_HOST_UP);
        ck_assert(!hosts_is_stale(hosts, first));
        submit(COMMAND_HOST_DISCONNECT, NULL);
        ck_assert(hosts_is_stale(hosts, first));
        ck_assert_int_eq(hosts_next_at(hosts), CLOCK_NEVER);
        submit(COMMAND_HOST_CONNECT, "sim:a");
        ck_assert(hosts_is_stale(hosts, first));
        expect_all_stale();
        g_autoptr(event_auto) second = next_event();
        ck_assert(!hosts_is_stale(hosts, second));
        submit(COMMAND_HOST_CONNECT, "sim:a"); /* in place of the other */
        ck_assert(hosts_is_stale(hosts, second));
        submit(COMMAND_HOST_DISCONNECT, NULL);
        expect_all_stale();
    }
}
END_TEST

/* Rule: a command for a host that is not there is answered, and the answer is not stale. */
START_TEST(test_lost)
{
    submit(COMMAND_DESTROY, NULL);
    g_autoptr(event_auto) answer = mailbox_take(events, 0);
    ck_assert_ptr_nonnull(answer);
    ck_assert_int_eq(answer->kind, EVENT_INSTANCE_DESTROYED);
    ck_assert(!hosts_is_stale(hosts, answer));
    submit(COMMAND_HOST_CONNECT, "sim:a?no_such_key=1");
    g_autoptr(event_auto) refusal = mailbox_take(events, 0);
    ck_assert_int_eq(refusal->kind, EVENT_HOST_DOWN);
    ck_assert(!hosts_is_stale(hosts, refusal));
    ck_assert_ptr_nonnull(refusal->error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hosts");
    TCase *cases = tcase_create("hosts");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_stale);
    tcase_add_test(cases, test_lost);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
