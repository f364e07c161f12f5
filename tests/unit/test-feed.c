/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "core-fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* What those who watch are told. */

static struct world *world;

static void setup(void)
{
    world = world_new("default.yaml");
    world_add_host(world, "h1", 16, 16384);
}

static void teardown(void)
{
    world_free(world);
}

static guint64 watch(enum object_kind object, const char *id)
{
    struct event *event = event_new(EVENT_WATCH);
    const guint64 request = event->request = ++world->request;
    event->object = object;
    event->id = g_strdup(id);
    world_event(world, event);
    return request;
}

static void expect_text(const struct command *line, const char *path, const char *text)
{
    g_autofree char *has = world_body_string(line, path);
    ck_assert_str_eq(has, text);
}

/* The next line, of that kind. */
static const struct command *expect_line(guint64 request, const char *event)
{
    const struct command *line = world_expect(world, COMMAND_STREAM, request);
    expect_text(line, "event", event);
    return line;
}

/* The next line tells that of a timeline. */
static void expect_what(guint64 request, const char *object, const char *what)
{
    const struct command *line = expect_line(request, "timeline");
    expect_text(line, "object", object);
    expect_text(line, "timeline.what", what);
}

static void expect_nothing(guint64 request)
{
    ck_assert_ptr_null(world_take(world, COMMAND_STREAM, request));
}

static const char *run_something(void)
{
    world_execute(world, "{\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"]}}");
    const char *vm = world_boot(world);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    return vm;
}

static void shape_by_hand(const char *vm, guint vcpus)
{
    struct event *event = event_new(EVENT_INSTANCE_SHAPE);
    event->request = ++world->request;
    event->id = g_strdup(vm);
    event->shape = (struct vm_shape){.vcpus = vcpus, .gpus = SHAPE_GPUS_KEPT};
    world_event(world, event);
}

/* Rule: what happens is told once, in its order, to whom it concerns; what was before is not. */
START_TEST(test_timeline)
{
    world_notify(world, "{\"code\":{\"function\":\"before\"}}");
    const guint64 all = watch(OBJECT_KIND_COUNT, NULL), hosts = watch(OBJECT_HOST, NULL);
    expect_line(all, "watching");
    expect_line(hosts, "watching");
    world_pass(world, 1);
    world_notify(world, "{\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}");
    expect_what(all, "reservation", "notification accepted");
    expect_what(all, "reservation", "demand predicted");
    const struct command *line = expect_line(all, "timeline");
    expect_text(line, "timeline.what", "start scheduled");
    expect_text(line, "function", "f");
    expect_nothing(all);
    expect_nothing(hosts);
    world_add_host(world, "h2", 4, 4096);
    expect_what(hosts, "host", "connecting");
    expect_what(hosts, "host", "up");
    expect_nothing(hosts);
}
END_TEST

/* Rule: each adjustment that has an end is told whole, by the id of its instance too. */
START_TEST(test_adjustment)
{
    const char *vm = run_something();
    const guint64 one = watch(OBJECT_KIND_COUNT, vm), other = watch(OBJECT_KIND_COUNT, "vm-other");
    expect_line(one, "watching");
    expect_line(other, "watching");
    shape_by_hand(vm, 2);
    const struct command *shape = world_expect(world, COMMAND_SHAPE, 0);
    struct event *answer = world_answer(EVENT_INSTANCE_SHAPED, shape);
    answer->shape = shape->shape;
    world_event(world, answer);
    const struct command *line = expect_line(one, "adjustment");
    expect_text(line, "object", "execution");
    expect_text(line, "function", "f");
    expect_text(line, "instance_id", vm);
    expect_text(line, "adjustment.resource", "cpu");
    expect_text(line, "adjustment.after.vcpus", "2");
    expect_nothing(other);
}
END_TEST

/* Rule: who has gone is told nothing more; all others that the daemon stops. */
START_TEST(test_end)
{
    const guint64 gone = watch(OBJECT_KIND_COUNT, NULL), here = watch(OBJECT_KIND_COUNT, NULL);
    expect_line(gone, "watching");
    expect_line(here, "watching");
    struct event *event = event_new(EVENT_CLIENT_GONE);
    event->request = gone;
    world_event(world, event);
    world_event(world, event_new(EVENT_SHUTDOWN));
    ck_assert(expect_line(here, "end")->end);
    expect_nothing(gone);
}
END_TEST

/* Rule: those who watch are bounded, and the one too many is told so. */
START_TEST(test_too_many)
{
    const struct command *refusal = NULL;
    for (guint i = 0; refusal == NULL && i < 1000; i++)
        refusal = world_take(world, COMMAND_REPLY, watch(OBJECT_KIND_COUNT, NULL));
    ck_assert_ptr_nonnull(refusal);
    ck_assert(g_error_matches(refusal->error, HBR_ERROR, HBR_ERROR_EXHAUSTED));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_timeline);
    tcase_add_test(tests, test_adjustment);
    tcase_add_test(tests, test_end);
    tcase_add_test(tests, test_too_many);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
