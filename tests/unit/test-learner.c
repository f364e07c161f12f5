/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn-support.h"
#include "model-stand-in.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "learn/contest.h"
#include "learn/learner.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define TRAIN_RUNS 50

static char *directory;
static struct registry *registry;
static struct learner *learner;
static struct mailbox *events;
static guint added;

static void sink(struct event *event, gpointer data G_GNUC_UNUSED)
{
    mailbox_post(events, event);
}

static void open_learner(gint64 interval_us)
{
    const struct registry_settings files = {.dir = directory};
    const struct learner_settings settings = {
        .samples_max = 1000, .train_runs = TRAIN_RUNS, .interval_us = interval_us, .sink = sink};
    registry = registry_open(&files, NULL);
    ck_assert_ptr_nonnull(registry);
    learner = learner_new(&settings, registry);
}

static void close_learner(void)
{
    g_clear_pointer(&learner, learner_free);
    g_clear_pointer(&registry, registry_free);
}

static void setup(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    directory = support_make_directory();
    events = mailbox_new((GDestroyNotify)event_free);
    added = 0;
    open_learner(1);
}

static void teardown(void)
{
    close_learner();
    mailbox_free(events);
    support_remove_directory(directory);
}

/* Runs from before the start. */
static void add(guint count, double level)
{
    struct sample sample;
    for (guint i = 0; i < count; i++, added++) {
        support_make_sample(&sample, added, level, (gint64)(added + 1) * CLOCK_SECOND);
        learner_add(learner, &sample);
    }
}

/* Runs that come. */
static void teach(guint count, double level)
{
    for (guint i = 0; i < count; i++, added++) {
        struct command *command = command_new(COMMAND_LEARN);
        command->sample = g_new0(struct sample, 1);
        support_make_sample(command->sample, added, level, clock_now());
        learner_submit(learner, command);
    }
}

static void ask(enum command_kind kind, guint64 request, gint64 count, gboolean eof, GBytes *bytes)
{
    struct command *command = command_new(kind);
    command->request = request;
    command->count = count;
    command->eof = eof;
    command->bytes = bytes != NULL ? g_bytes_ref(bytes) : NULL;
    learner_submit(learner, command);
}

static struct event *take(enum event_kind kind)
{
    struct event *event = mailbox_take(events, -1);
    ck_assert_str_eq(codec_word(&event_kind_words, event->kind), codec_word(&event_kind_words, kind));
    return event;
}

static void expect_model(guint version)
{
    struct event *event = take(EVENT_MODEL);
    ck_assert_uint_eq(model_get_info(event->model)->version, version);
    event_free(event);
}

static void expect_answer(guint64 request, guint status, const char *part)
{
    struct event *event = take(EVENT_MODEL_ANSWER);
    ck_assert_uint_eq(event->request, request);
    ck_assert_msg(event->error == NULL, "%s", event->error != NULL ? event->error->message : "");
    ck_assert_int_eq(event->count, status);
    g_autofree char *text = g_strndup(g_bytes_get_data(event->bytes, NULL), g_bytes_get_size(event->bytes));
    ck_assert_msg(strstr(text, part) != NULL, "%s is not in %s", part, text);
    event_free(event);
}

static void expect_refusal(guint64 request, int code, const char *part)
{
    struct event *event = take(EVENT_MODEL_ANSWER);
    ck_assert_uint_eq(event->request, request);
    ck_assert_msg(g_error_matches(event->error, HBR_ERROR, code), "%s",
                  event->error != NULL ? event->error->message : "no error");
    ck_assert_msg(strstr(event->error->message, part) != NULL, "%s", event->error->message);
    event_free(event);
}

/* Commands are taken in their order: the answer to an unknown version comes after what went before. */
static void expect_silence(void)
{
    ask(COMMAND_MODEL_SERVE, 99, 4711, FALSE, NULL);
    expect_refusal(99, HBR_ERROR_NOT_FOUND, "version 4711");
}

static int serving(void)
{
    g_autoptr(model_auto) model = registry_get_serving(registry);
    return model != NULL ? (int)model_get_info(model)->version : -1;
}

/* A learner whose version 1 serves, trained with runs of level 1. */
static void start_with_champion(void)
{
    add(200, 1);
    learner_start(learner);
    expect_model(1);
}

/* Rule: what was learned before the start is trained with at once, where no model knows of it. */
START_TEST(test_first)
{
    start_with_champion();
    ck_assert_int_eq(serving(), 1);
    expect_silence();
}
END_TEST

/* Rule: a training takes only the time that nobody else wants, and the learner itself is there for who asks. */
START_TEST(test_priority)
{
    start_with_champion();
    ck_assert_int_eq(stand_in_policy(), SCHED_IDLE);
    stand_in_block(TRUE);
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    stand_in_await_training();
    expect_silence(); /* it answers while it trains */
    stand_in_block(FALSE);
    expect_answer(1, 200, "refused");
}
END_TEST

/* Rule: with too few runs nothing is trained, by itself or when asked. */
START_TEST(test_too_few)
{
    add(CONTEST_RUNS_MIN - 1, 1);
    learner_start(learner);
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    expect_refusal(1, HBR_ERROR_CONFLICT, "runs to learn from: 79; a model needs 80");
    teach(1, 1);
    expect_model(1);
}
END_TEST

/* Rule: a training begins when as many runs are new as it takes, not before. */
START_TEST(test_enough)
{
    start_with_champion();
    teach(TRAIN_RUNS - 1, 3);
    expect_silence();
    teach(1, 3);
    expect_model(2);
    ck_assert_int_eq(serving(), 2);
}
END_TEST

/* Rule: not more often than its interval. */
START_TEST(test_interval)
{
    close_learner();
    open_learner(CLOCK_HOUR);
    start_with_champion();
    teach(3 * TRAIN_RUNS, 3);
    expect_silence();
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL); /* who asks does not wait for it */
    expect_model(2);
    expect_answer(1, 200, "\"state\":\"serving\"");
}
END_TEST

/* Rule: a challenger that is no better is refused, listed with both scores, and the champion serves on. */
START_TEST(test_refused)
{
    start_with_champion();
    ask(COMMAND_MODEL_TRAIN, 7, 0, TRUE, NULL);
    expect_answer(7, 200, "\"state\":\"refused\"");
    ck_assert_int_eq(serving(), 1);
    ck_assert(!support_has(directory, "000002.model"));
    g_autofree char *text = registry_describe(registry, 2, NULL);
    ck_assert_ptr_nonnull(strstr(text, "\"champion\":1,\"scores\":[{\"target\":\"cpu\",\"run_count\":30,"));
    ck_assert_ptr_nonnull(strstr(text, "\"champion_scores\":[{"));
    ck_assert_ptr_nonnull(strstr(text, "not lower by 1 %"));
    ck_assert_ptr_null(registry_read(registry, 2, NULL));
}
END_TEST

/* Rule: a better one replaces it, and is there after a restart, which does not train again. */
START_TEST(test_replaced)
{
    start_with_champion();
    teach(TRAIN_RUNS, 3);
    expect_model(2);
    g_autofree char *text = registry_describe(registry, 2, NULL);
    ck_assert_msg(strstr(text, "\"state\":\"serving\"") != NULL && strstr(text, ": better") != NULL, "%s", text);
    close_learner();
    open_learner(1);
    add(200, 1);
    learner_start(learner);
    expect_silence();
    ck_assert_int_eq(serving(), 2);
}
END_TEST

/* Rule: what somebody chose is held: no training by itself, until one is asked for, which it competes with. */
START_TEST(test_rollback)
{
    start_with_champion();
    teach(TRAIN_RUNS, 3);
    expect_model(2);
    ask(COMMAND_MODEL_SERVE, 1, 1, FALSE, NULL);
    expect_model(1);
    expect_answer(1, 200, "\"version\":1,\"state\":\"serving\",\"held\":true");
    teach(2 * TRAIN_RUNS, 3);
    expect_silence();
    ck_assert_int_eq(serving(), 1);
    ask(COMMAND_MODEL_TRAIN, 2, 0, TRUE, NULL);
    expect_model(3);
    expect_answer(2, 200, "\"version\":3,\"state\":\"serving\"");
    ck_assert(!registry_is_held(registry));
}
END_TEST

/* Rule: the newest that served can be asked for, and is not held. */
START_TEST(test_newest)
{
    learner_start(learner);
    ask(COMMAND_MODEL_SERVE, 1, -1, FALSE, NULL);
    expect_refusal(1, HBR_ERROR_NOT_FOUND, "no version of the model has served yet");
    teach(200, 1);
    expect_model(1);
    ask(COMMAND_MODEL_SERVE, 2, 1, FALSE, NULL);
    expect_model(1);
    expect_answer(2, 200, "\"held\":true");
    ask(COMMAND_MODEL_SERVE, 3, -1, FALSE, NULL);
    expect_model(1);
    expect_answer(3, 200, "\"version\":1,\"state\":\"serving\",\"origin\"");
}
END_TEST

/* Rule: whoever asks for another version while a training is under way gets it at once, and the training comes to nothing; what is asked for after that is
 * trained. */
START_TEST(test_rollback_meanwhile)
{
    start_with_champion();
    stand_in_block(TRUE);
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    ask(COMMAND_MODEL_TRAIN, 2, 0, FALSE, NULL);
    expect_answer(2, 202, "{\"version\":2}");
    stand_in_await_training();
    ask(COMMAND_MODEL_SERVE, 3, 1, FALSE, NULL);
    expect_refusal(1, HBR_ERROR_CANCELLED, "another version was asked to serve");
    expect_model(1);
    expect_answer(3, 200, "\"held\":true");
    stand_in_block(FALSE);
    ask(COMMAND_MODEL_TRAIN, 4, 0, TRUE, NULL);
    expect_answer(4, 200, "\"version\":3,\"state\":\"refused\"");
    ck_assert(!registry_is_held(registry));
}
END_TEST

/* Rule: an imported model becomes a version of its own, and serves only when asked to; what is damaged is refused. */
START_TEST(test_import)
{
    start_with_champion();
    g_autoptr(GBytes) content = registry_read(registry, 1, NULL);
    ask(COMMAND_MODEL_IMPORT, 1, 0, FALSE, content);
    expect_answer(1, 201, "\"version\":2,\"state\":\"kept\",\"origin\":\"imported\"");
    ask(COMMAND_MODEL_IMPORT, 2, 0, TRUE, content);
    expect_model(3);
    expect_answer(2, 201, "\"version\":3,\"state\":\"serving\",\"held\":true");
    g_autoptr(GBytes) half = g_bytes_new_from_bytes(content, 0, g_bytes_get_size(content) / 2);
    ask(COMMAND_MODEL_IMPORT, 3, 0, TRUE, half);
    expect_refusal(3, HBR_ERROR_INVALID, "/: it is damaged");
    ck_assert_int_eq(serving(), 3);
}
END_TEST

static void fill_disk(rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Rule: a full disk refuses what was trained, and says so; the old one serves on, and learning goes on. */
START_TEST(test_full)
{
    start_with_champion();
    signal(SIGXFSZ, SIG_IGN);
    fill_disk(1500);
    teach(TRAIN_RUNS - 1, 3);
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    expect_refusal(1, HBR_ERROR_STORE, "000002.model");
    fill_disk(RLIM_INFINITY);
    ck_assert_int_eq(serving(), 1);
    struct learner_status status;
    learner_get_status(learner, &status);
    ck_assert_uint_eq(status.failed, 1);
    ask(COMMAND_MODEL_TRAIN, 2, 0, TRUE, NULL);
    expect_model(3);
    expect_answer(2, 200, "\"version\":3");
}
END_TEST

/* Rule: a shutdown does not wait for a training, and leaves what served. */
START_TEST(test_shutdown)
{
    start_with_champion();
    stand_in_block(TRUE);
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    stand_in_await_training();
    if (_i == 1)
        learner_stop(learner);
    close_learner();
    open_learner(1);
    ck_assert_int_eq(serving(), 1);
    stand_in_block(FALSE);
}
END_TEST

/* Rule: a model knows how fast the hosts were that it learned from; until one tells, as fast as before. */
START_TEST(test_speed)
{
    struct command *command = command_new(COMMAND_LEARN_SPEED);
    command->speed = 1.5;
    learner_start(learner);
    learner_submit(learner, command);
    teach(200, 1);
    expect_model(1);
    close_learner();
    open_learner(1);
    add(200, 1);
    learner_start(learner);
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    expect_answer(1, 200, "\"speed\":1.5");
}
END_TEST

/* Rule: its figures can be read at any time. */
START_TEST(test_metrics)
{
    g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
    learner_write_metrics(learner, before);
    ck_assert_ptr_null(strstr(before->str, "harbinger_model_version"));
    start_with_champion();
    ask(COMMAND_MODEL_TRAIN, 1, 0, TRUE, NULL);
    expect_answer(1, 200, "refused");
    expect_silence();
    expect_silence(); /* the figures of the first are published by now */
    learner_write_metrics(learner, after);
    static const char *const lines[] = {"\nharbinger_model_version 1\n", "\nharbinger_model_trainings_total 2\n",
                                        "\nharbinger_model_trainings_refused_total 1\n",
                                        "\nharbinger_model_trainings_failed_total 0\n",
                                        "\nharbinger_model_samples 200\n"};
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
        ck_assert_msg(strstr(after->str, lines[i]) != NULL, "%s is not in %s", lines[i], after->str);
}
END_TEST

/* Rule: nobody waits for the learner: runs come, models are asked for and read from several threads while it trains. */
static void *hammer(void *data G_GNUC_UNUSED)
{
    for (guint i = 0; i < 200; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        registry_write_list(registry, text);
        learner_write_metrics(learner, text);
        struct command *command = command_new(COMMAND_LEARN);
        command->sample = g_new0(struct sample, 1);
        support_make_sample(command->sample, i, 1 + i % 7, clock_now());
        learner_submit(learner, command);
        g_autoptr(model_auto) model = registry_get_serving(registry);
        ck_assert_uint_gt(model_get_info(model)->version, 0);
    }
    return NULL;
}

START_TEST(test_threads)
{
    start_with_champion();
    pthread_t threads[4];
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
    close_learner();
    open_learner(1);
    ck_assert_int_ge(serving(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("learner");
    TCase *tcase = tcase_create("learner");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_first);
    tcase_add_test(tcase, test_priority);
    tcase_add_test(tcase, test_too_few);
    tcase_add_test(tcase, test_enough);
    tcase_add_test(tcase, test_interval);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_replaced);
    tcase_add_test(tcase, test_rollback);
    tcase_add_test(tcase, test_newest);
    tcase_add_test(tcase, test_rollback_meanwhile);
    tcase_add_test(tcase, test_import);
    tcase_add_test(tcase, test_full);
    tcase_add_loop_test(tcase, test_shutdown, 0, 2);
    tcase_add_test(tcase, test_speed);
    tcase_add_test(tcase, test_metrics);
    tcase_add_test(tcase, test_threads);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
