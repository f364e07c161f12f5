/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of the base: one table of errors, ids that sort, times that survive the round trip, messages that are moved and never lost. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mailbox.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(every_error_code_has_its_own_words_and_numbers)
{
    for (int code = 0; code < HBR_ERROR_LAST; code++) {
        ck_assert_msg(hbr_error_id(code) != NULL && *hbr_error_id(code) != '\0', "code %d has no id", code);
        ck_assert(hbr_error_title(code) != NULL && *hbr_error_title(code) != '\0');
        ck_assert(hbr_error_http_status(code) >= 400 && hbr_error_http_status(code) <= 599);
        ck_assert(hbr_error_exit_status(code) >= 1 && hbr_error_exit_status(code) < 64);
        ck_assert_int_eq(hbr_error_code_of_id(hbr_error_id(code)), code);
        for (int other = 0; other < code; other++)
            ck_assert_int_ne(hbr_error_exit_status(code), hbr_error_exit_status(other));
    }
}
END_TEST

START_TEST(an_unknown_error_is_an_internal_one)
{
    static const int unknown[] = {-1, HBR_ERROR_LAST, G_MAXINT, G_MININT};
    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++) {
        ck_assert_str_eq(hbr_error_id(unknown[i]), "internal");
        ck_assert_uint_eq(hbr_error_http_status(unknown[i]), 500);
    }
    ck_assert_int_eq(hbr_error_code_of_id("no-such-id"), HBR_ERROR_INTERNAL);
    ck_assert_int_eq(hbr_error_code_of_id(NULL), HBR_ERROR_INTERNAL);
}
END_TEST

START_TEST(an_error_is_set_only_where_somebody_wants_it)
{
    hbr_error_set(NULL, HBR_ERROR_INVALID, "nobody reads %s", "this");
    g_autoptr(GError) error = NULL;
    hbr_error_set(&error, HBR_ERROR_NOT_FOUND, "no %s", "thing");
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_NOT_FOUND));
    ck_assert_str_eq(error->message, "no thing");
    g_autoptr(GError) other = hbr_error_new(HBR_ERROR_STORE, "%d", 7);
    ck_assert_str_eq(other->message, "7");
}
END_TEST

START_TEST(ids_sort_by_their_time_and_are_valid_names)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    const gint64 day = 24 * CLOCK_HOUR;
    g_autofree char *previous = id_new("res", day, random);
    for (gint64 at = day + CLOCK_MS; at < 4000000 * day; at *= 3) {
        char *id = id_new("res", at, random);
        ck_assert_msg(strcmp(previous, id) < 0, "%s is not before %s", previous, id);
        ck_assert(g_str_has_prefix(id, "res-"));
        ck_assert(strlen(id) <= ID_LENGTH_MAX && id_is_valid_name(id, ID_LENGTH_MAX));
        g_free(previous);
        previous = id;
    }
}
END_TEST

START_TEST(ids_of_one_moment_differ_and_a_replay_makes_the_same)
{
    enum { IDS = 10000 };
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GRand) random = g_rand_new_with_seed(5), replay = g_rand_new_with_seed(5);
    for (guint i = 0; i < IDS; i++) {
        g_autofree char *again = id_new("vm", CLOCK_HOUR, replay);
        char *id = id_new("vm", CLOCK_HOUR, random);
        ck_assert_str_eq(id, again);
        ck_assert(g_hash_table_add(seen, id));
    }
}
END_TEST

static const struct {
    const char *text;
    gsize max;
    gboolean is_valid;
} names[] = {
    {"a", 10, TRUE},           {"A9._:/@+-z", 10, TRUE}, {"0", 1, TRUE},         {"", 10, FALSE},
    {"abcd", 3, FALSE},        {"abc", 3, TRUE},         {"-a", 10, FALSE},      {".a", 10, FALSE},
    {"/a", 10, FALSE},         {"a b", 10, FALSE},       {"a\n", 10, FALSE},     {"a\x1b[0m", 10, FALSE},
    {"gr\xc3\xb6", 10, FALSE}, {"a\"b", 10, FALSE},      {"a'b", 10, FALSE},     {"a;b", 10, FALSE},
    {"a$b", 10, FALSE},        {"a\\b", 10, FALSE},      {"acme/job", 10, TRUE}, {"a/../b", 10, FALSE},
    {"a..b", 10, FALSE},       {"a.b.c", 10, TRUE},      {"a<b", 10, FALSE},
};

START_TEST(a_name_holds_nothing_that_needs_quotes)
{
    ck_assert_msg(id_is_valid_name(names[_i].text, names[_i].max) == names[_i].is_valid, "\"%s\"", names[_i].text);
}
END_TEST

START_TEST(a_time_survives_the_round_trip_to_the_microsecond)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    for (guint i = 0; i < 100000; i++) {
        const gint64 at = g_rand_int_range(random, 1, G_MAXINT32) * CLOCK_SECOND + g_rand_int_range(random, 0, 1000000);
        g_autofree char *text = clock_to_rfc3339(at);
        gint64 again = 0;
        ck_assert(clock_from_rfc3339(text, &again, NULL));
        ck_assert_int_eq(again, at);
    }
    ck_assert_ptr_null(clock_to_rfc3339(0));
    ck_assert_ptr_null(clock_to_rfc3339(CLOCK_NEVER));
}
END_TEST

static const struct {
    const char *text;
    gint64 at; /* 0: refused */
} times[] = {
    {"2026-11-20T22:48:01Z", 1795214881 * CLOCK_SECOND},
    {"2026-11-20T22:48:01.5Z", 1795214881 * CLOCK_SECOND + 500000},
    {"2026-11-20T22:48:01+01:00", 1795211281 * CLOCK_SECOND},
    {"2026-11-20T22:48:01-00:30", 1795216681 * CLOCK_SECOND},
    {"2026-11-20T22:48:01", 0}, /* of no zone */
    {"2026-11-20", 0},
    {"22:48:01Z", 0},
    {"2026-13-20T22:48:01Z", 0},
    {"2026-02-30T22:48:01Z", 0},
    {"2026-11-20T25:00:00Z", 0},
    {"2026-11-20T22:48:01Z ", 0},
    {" 2026-11-20T22:48:01Z", 0},
    {"1970-01-01T00:00:00Z", 0}, /* 0 means never */
    {"1969-12-31T23:59:59Z", 0},
    {"99999-01-01T00:00:00Z", 0},
    {"tomorrow", 0},
    {"1795214881", 0},
    {"", 0},
};

START_TEST(only_times_with_a_zone_are_times)
{
    g_autoptr(GError) error = NULL;
    gint64 at = 77;
    const gboolean is_time = clock_from_rfc3339(times[_i].text, &at, &error);
    ck_assert_int_eq(is_time, times[_i].at != 0);
    ck_assert_int_eq(at, is_time ? times[_i].at : 77); /* untouched when refused */
    ck_assert(is_time ||
              (g_error_matches(error, HBR_ERROR, HBR_ERROR_INVALID) && strstr(error->message, "RFC 3339") != NULL));
}
END_TEST

START_TEST(the_clock_never_runs_backwards)
{
    gint64 before = clock_now();
    ck_assert_int_gt(before, 1700000000 * CLOCK_SECOND);
    for (guint i = 0; i < 10000; i++) {
        const gint64 now = clock_now();
        ck_assert_int_ge(now, before);
        before = now;
    }
}
END_TEST

START_TEST(a_log_level_is_one_of_four_words)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    enum log_level level = LOG_LEVEL_ERROR;
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        ck_assert(log_level_from_string(words[i], &level, NULL));
        ck_assert_uint_eq(level, i);
    }
    static const char *const wrong[] = {"", "Info", "trace", "info ", NULL};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert(!log_level_from_string(wrong[i], &level, &error));
        ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_INVALID));
        ck_assert_uint_eq(level, LOG_LEVEL_DEBUG);
    }
    ck_assert(!log_level_from_string("x", &level, NULL));
}
END_TEST

/* The mailbox. */

#define MESSAGES 20000u
#define POSTERS 4u

static gint freed;

static void count_free(gpointer message)
{
    g_atomic_int_inc(&freed);
    g_free(message);
}

static guint *message_new(guint value)
{
    guint *message = g_new(guint, 1);
    *message = value;
    return message;
}

static gpointer post_many(gpointer data)
{
    for (guint i = 0; i < MESSAGES; i++)
        mailbox_post(data, message_new(i));
    return NULL;
}

static void start_posters(struct mailbox *mailbox, GThread **threads)
{
    for (guint i = 0; i < POSTERS; i++)
        threads[i] = g_thread_new("poster", post_many, mailbox);
}

static void join_all(GThread **threads)
{
    for (guint i = 0; i < POSTERS; i++)
        g_thread_join(threads[i]);
}

START_TEST(messages_of_many_threads_arrive_once_each)
{
    struct mailbox *mailbox = mailbox_new(g_free);
    GThread *posters[POSTERS];
    guint64 sum = 0;
    start_posters(mailbox, posters);
    for (guint i = 0; i < MESSAGES * POSTERS; i++) {
        g_autofree guint *message = mailbox_take(mailbox, -1);
        sum += *message;
    }
    join_all(posters);
    ck_assert_uint_eq(sum, (guint64)POSTERS * MESSAGES * (MESSAGES - 1) / 2);
    ck_assert_ptr_null(mailbox_take(mailbox, 0));
    mailbox_free(mailbox);
}
END_TEST

static gint taken;

static gpointer take_until_closed(gpointer data)
{
    for (gpointer message; (message = mailbox_take(data, -1)) != NULL;) {
        g_atomic_int_inc(&taken);
        g_free(message);
    }
    return NULL;
}

/* A close wakes every taker, and none of them misses a message that another one left. */
START_TEST(several_takers_share_the_messages_and_all_end_at_the_close)
{
    struct mailbox *mailbox = mailbox_new(g_free);
    GThread *posters[POSTERS], *takers[POSTERS];
    g_atomic_int_set(&taken, 0);
    for (guint i = 0; i < POSTERS; i++)
        takers[i] = g_thread_new("taker", take_until_closed, mailbox);
    start_posters(mailbox, posters);
    join_all(posters);
    mailbox_close(mailbox);
    join_all(takers);
    ck_assert_uint_eq((guint)g_atomic_int_get(&taken), MESSAGES * POSTERS);
    mailbox_free(mailbox);
}
END_TEST

START_TEST(all_messages_are_taken_oldest_first)
{
    struct mailbox *mailbox = mailbox_new(g_free);
    GQueue queue = G_QUEUE_INIT;
    ck_assert_uint_eq(mailbox_take_all(mailbox, &queue, 0), 0);
    for (guint i = 0; i < 100; i++)
        mailbox_post(mailbox, message_new(i));
    ck_assert_uint_eq(mailbox_take_all(mailbox, &queue, -1), 100);
    for (guint i = 0; i < 100; i++) {
        g_autofree guint *message = g_queue_pop_head(&queue);
        ck_assert_uint_eq(*message, i);
    }
    mailbox_free(mailbox);
}
END_TEST

START_TEST(a_closed_mailbox_frees_what_is_posted_and_gives_what_is_left)
{
    struct mailbox *mailbox = mailbox_new(count_free);
    g_atomic_int_set(&freed, 0);
    ck_assert(mailbox_post(mailbox, message_new(1)));
    ck_assert(mailbox_post(mailbox, message_new(2)));
    mailbox_close(mailbox);
    ck_assert(mailbox_is_closed(mailbox));
    ck_assert(!mailbox_post(mailbox, message_new(3)));
    ck_assert_int_eq(freed, 1);
    g_autofree guint *left = mailbox_take(mailbox, -1);
    ck_assert_uint_eq(*left, 1);
    mailbox_free(mailbox);
    ck_assert_int_eq(freed, 2);
    mailbox_free(NULL);
}
END_TEST

START_TEST(a_taker_gives_up_at_its_deadline)
{
    struct mailbox *mailbox = mailbox_new(g_free);
    const gint64 deadline = g_get_monotonic_time() + 20 * CLOCK_MS;
    ck_assert_ptr_null(mailbox_take(mailbox, deadline));
    ck_assert_int_ge(g_get_monotonic_time(), deadline);
    mailbox_free(mailbox);
}
END_TEST

struct loop {
    struct mailbox *mailbox;
    GMainLoop *main_loop;
    guint received;
};

static gboolean on_messages(gpointer data)
{
    struct loop *loop = data;
    GQueue queue = G_QUEUE_INIT;
    loop->received += mailbox_take_all(loop->mailbox, &queue, 0);
    g_queue_clear_full(&queue, g_free);
    if (loop->received == MESSAGES * POSTERS)
        g_main_loop_quit(loop->main_loop);
    return G_SOURCE_CONTINUE;
}

START_TEST(a_main_loop_wakes_for_every_message)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) main_loop = g_main_loop_new(context, FALSE);
    struct loop loop = {.mailbox = mailbox_new(g_free), .main_loop = main_loop};
    GSource *source = mailbox_source_new(loop.mailbox);
    g_source_set_callback(source, on_messages, &loop, NULL);
    g_source_attach(source, context);
    GThread *posters[POSTERS];
    start_posters(loop.mailbox, posters);
    g_main_loop_run(main_loop);
    join_all(posters);
    ck_assert_uint_eq(loop.received, MESSAGES * POSTERS);
    ck_assert(!g_main_context_iteration(context, FALSE)); /* and it sleeps when there is none */
    g_source_destroy(source);
    g_source_unref(source);
    mailbox_free(loop.mailbox);
}
END_TEST

static Suite *base_suite(void)
{
    Suite *suite = suite_create("base");
    TCase *tables = tcase_create("tables");
    tcase_add_test(tables, every_error_code_has_its_own_words_and_numbers);
    tcase_add_test(tables, an_unknown_error_is_an_internal_one);
    tcase_add_test(tables, an_error_is_set_only_where_somebody_wants_it);
    tcase_add_test(tables, ids_sort_by_their_time_and_are_valid_names);
    tcase_add_test(tables, ids_of_one_moment_differ_and_a_replay_makes_the_same);
    tcase_add_loop_test(tables, a_name_holds_nothing_that_needs_quotes, 0, G_N_ELEMENTS(names));
    tcase_add_test(tables, a_time_survives_the_round_trip_to_the_microsecond);
    tcase_add_loop_test(tables, only_times_with_a_zone_are_times, 0, G_N_ELEMENTS(times));
    tcase_add_test(tables, the_clock_never_runs_backwards);
    tcase_add_test(tables, a_log_level_is_one_of_four_words);
    suite_add_tcase(suite, tables);

    TCase *mailbox = tcase_create("mailbox");
    tcase_add_test(mailbox, messages_of_many_threads_arrive_once_each);
    tcase_add_test(mailbox, several_takers_share_the_messages_and_all_end_at_the_close);
    tcase_add_test(mailbox, all_messages_are_taken_oldest_first);
    tcase_add_test(mailbox, a_closed_mailbox_frees_what_is_posted_and_gives_what_is_left);
    tcase_add_test(mailbox, a_taker_gives_up_at_its_deadline);
    tcase_add_test(mailbox, a_main_loop_wakes_for_every_message);
    suite_add_tcase(suite, mailbox);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(base_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
