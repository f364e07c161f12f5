/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "core-fixture.h"
#include "policy-fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A run that ran out of memory is run once more with more of it, where the policy says so. */

#define POLICY(functions)                                                                                \
    "profiles:\n"                                                                                        \
    "  - { name: p, template: base, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 4, memory: 1 GiB } }\n" \
    "classes:\n"                                                                                         \
    "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: 0.2, p90: 0.3, p99: 0.4 },\n"    \
    "      memory: { p50: 100 MiB, p90: 150 MiB, p99: 200 MiB } } }\n" functions
#define RETRY POLICY("functions:\n  - { name: f, function: f, retry_out_of_memory: true }\n")
#define EXECUTE(more) "{\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"],\"stdin_open\":" more "}}"

static struct world *world;
static guint64 request;

static void begin(const char *policy)
{
    g_autoptr(GError) error = NULL;
    struct policy *parsed = policy_of_text("test.yaml", policy, &error);
    ck_assert_msg(parsed != NULL, "%s", error != NULL ? error->message : "");
    world = world_new_of(parsed);
    world_add_host(world, "h1", 16, 16384);
    request = world_execute(world, EXECUTE("false"));
}

static void end(void)
{
    world_free(world);
}

/* Boots what is asked for, with at least so much memory, and starts the program there. */
static const struct command *start(guint memory_mib)
{
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_uint_ge(boot->boot->shape.memory_mib, memory_mib);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, boot);
    ready->shape = boot->boot->shape;
    world_event(world, ready);
    const struct command *run = world_expect(world, COMMAND_RUN, 0);
    ck_assert_str_eq(run->id, boot->id);
    ck_assert_str_eq(run->run->program.argv[0], "true");
    world_event(world, world_answer(EVENT_RUN_STARTED, run));
    return run;
}

static void run_exit(const struct command *run, enum exit_reason reason)
{
    struct event *exit = world_answer(EVENT_RUN_EXIT, run);
    exit->result = g_new0(struct run_result, 1);
    *exit->result = (struct run_result){.reason = reason, .wall_us = 1000000, .memory_peak_bytes = 380 << 20};
    world_event(world, exit);
}

/* The lines of the stream up to one of that event, which is returned. */
static const struct command *expect_line(const char *name)
{
    for (;;) {
        const struct command *line = world_expect(world, COMMAND_STREAM, request);
        g_autofree char *event = line->stream == 0 ? world_body_string(line, "event") : NULL;
        if (g_strcmp0(event, name) == 0)
            return line;
    }
}

static void expect_body(const struct command *command, const char *path, const char *expected)
{
    g_autofree char *value = world_body_string(command, path);
    ck_assert_msg(g_strcmp0(value, expected) == 0, "%s is %s, expected %s", path, value, expected);
}

/* It ended so, and nothing is started any more. */
static void expect_finished(const char *reason, const char *retries)
{
    const struct command *line = expect_line("finished");
    ck_assert(line->end);
    expect_body(line, "execution.result.reason", reason);
    expect_body(line, "execution.retries", retries);
    ck_assert_ptr_null(world_take(world, COMMAND_BOOT, 0));
    ck_assert_ptr_null(world_take(world, COMMAND_STREAM, request));
}

/* Rule: it is run once more with 1.5 times the memory, is told so, and both runs are remembered. */
START_TEST(test_retry)
{
    begin(RETRY);
    const struct command *first = start(512);
    run_exit(first, EXIT_OUT_OF_MEMORY);
    expect_body(expect_line("retried"), "execution.retries", "1");
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, first->id);
    const struct command *second = start(768);
    ck_assert_str_eq(second->execution_id, first->execution_id);
    run_exit(second, EXIT_EXITED);
    expect_finished("exited", "1");
    guint observed = 0;
    for (guint i = 0; i < world->records->len; i++) {
        const struct observation *observation = ((struct record *)world->records->pdata[i])->observation;
        if (observation == NULL)
            continue;
        ck_assert_uint_eq(observation->retries, observed);
        ck_assert_uint_eq(observation->start_shape.memory_mib, observation->shape.memory_mib);
        observed++;
    }
    ck_assert_uint_eq(observed, 2);
    g_autofree char *metrics = core_metrics_text(world->core);
    ck_assert_ptr_nonnull(strstr(metrics, "harbinger_retries_total 1\n"));
    end();
}
END_TEST

/* Rule: what is learned of a run tells its own memory limit too, for what it ran out of may be that. */
START_TEST(test_own_limit)
{
    begin(POLICY(""));
    world_execute(world,
                  "{\"code\":{\"function\":\"g\"},\"program\":{\"argv\":[\"true\"]},\"limits\":{\"memory_mib\":64}}");
    run_exit(start(512), EXIT_EXITED);
    run_exit(start(512), EXIT_OUT_OF_MEMORY);
    guint limited = 0, observed = 0;
    for (guint i = 0; i < world->records->len; i++) {
        const struct observation *observation = ((struct record *)world->records->pdata[i])->observation;
        observed += observation != NULL;
        limited += observation != NULL && observation->memory_limit_mib == 64;
    }
    ck_assert_uint_eq(observed, 2);
    ck_assert_uint_eq(limited, 1);
    end();
}
END_TEST

/* Rule: who ran into a limit of his own would run into it again. */
START_TEST(test_own_limit_is_final)
{
    begin(RETRY);
    run_exit(start(512), EXIT_EXITED);
    request = world_execute(
        world, "{\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"]},\"limits\":{\"memory_mib\":64}}");
    run_exit(start(0), EXIT_OUT_OF_MEMORY);
    expect_finished("out-of-memory", NULL);
    end();
}
END_TEST

/* Rule: once, and no more. */
START_TEST(test_not_twice)
{
    begin(RETRY);
    run_exit(start(512), EXIT_OUT_OF_MEMORY);
    run_exit(start(768), EXIT_OUT_OF_MEMORY);
    expect_finished("out-of-memory", "1");
    end();
}
END_TEST

/* Rule: not where the policy does not say so, and not after another end. */
START_TEST(test_only_by_policy)
{
    begin(POLICY(""));
    run_exit(start(512), EXIT_OUT_OF_MEMORY);
    expect_finished("out-of-memory", NULL);
    end();
    begin(RETRY);
    run_exit(start(512), EXIT_SIGNALLED);
    expect_finished("signalled", NULL);
    end();
}
END_TEST

/* Rule: what somebody has seen of a run, or sent to it, is not done again. */
START_TEST(test_not_when_seen)
{
    begin(RETRY);
    const struct command *run = start(512);
    struct event *output = world_answer(EVENT_RUN_OUTPUT, run);
    output->stream = 1;
    output->bytes = g_bytes_new_static("x", 1);
    world_event(world, output);
    run_exit(run, EXIT_OUT_OF_MEMORY);
    expect_finished("out-of-memory", NULL);
    request = world_execute(world, EXECUTE("true"));
    run_exit(start(512), EXIT_OUT_OF_MEMORY);
    expect_finished("out-of-memory", NULL);
    end();
}
END_TEST

/* Rule: not when it had as much as an instance can have. */
START_TEST(test_not_at_maximum)
{
    begin(RETRY);
    const struct command *run = start(512);
    struct event *event = event_new(EVENT_INSTANCE_SHAPE);
    event->id = g_strdup(run->id);
    event->shape.memory_mib = 1024;
    event->request = ++world->request;
    world_event(world, event);
    const struct command *shape = world_expect(world, COMMAND_SHAPE, 0);
    struct event *shaped = world_answer(EVENT_INSTANCE_SHAPED, shape);
    shaped->shape = shape->shape;
    world_event(world, shaped);
    run_exit(run, EXIT_OUT_OF_MEMORY);
    expect_finished("out-of-memory", NULL);
    end();
}
END_TEST

static void cancel(const char *execution_id)
{
    struct event *event = event_new(EVENT_REMOVE);
    event->request = ++world->request;
    event->object = OBJECT_EXECUTION;
    event->id = g_strdup(execution_id);
    world_event(world, event);
}

/* Rule: who cancels it gets it ended: before the first run is over, and while it waits for the second. */
START_TEST(test_cancelled)
{
    begin(RETRY);
    const struct command *run = start(512);
    cancel(run->execution_id);
    run_exit(run, EXIT_OUT_OF_MEMORY);
    expect_finished("cancelled", NULL);
    request = world_execute(world, EXECUTE("false"));
    run = start(512);
    run_exit(run, EXIT_OUT_OF_MEMORY);
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    cancel(run->execution_id);
    const struct command *line = expect_line("finished");
    expect_body(line, "execution.state", "cancelled");
    expect_body(line, "execution.retries", "1");
    struct event *ready = world_answer(EVENT_INSTANCE_READY, boot);
    ready->shape = boot->boot->shape;
    world_event(world, ready);
    ck_assert_ptr_null(world_take(world, COMMAND_RUN, 0));
    end();
}
END_TEST

/* Rule: the same of a shutdown in between. */
START_TEST(test_shut_down)
{
    begin(RETRY);
    run_exit(start(512), EXIT_OUT_OF_MEMORY);
    world_event(world, event_new(EVENT_SHUTDOWN));
    expect_body(expect_line("finished"), "execution.state", "interrupted");
    const struct command *destroy;
    while ((destroy = world_take(world, COMMAND_DESTROY, 0)) != NULL)
        world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
    ck_assert(core_is_drained(world->core));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retry");
    TCase *cases = tcase_create("out of memory");
    tcase_add_test(cases, test_retry);
    tcase_add_test(cases, test_own_limit);
    tcase_add_test(cases, test_own_limit_is_final);
    tcase_add_test(cases, test_not_twice);
    tcase_add_test(cases, test_only_by_policy);
    tcase_add_test(cases, test_not_when_seen);
    tcase_add_test(cases, test_not_at_maximum);
    tcase_add_test(cases, test_cancelled);
    tcase_add_test(cases, test_shut_down);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
