/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "core-fixture.h"
#include "policy-fixture.h"

#include <check.h>
#include <stdlib.h>

/* Shapes by hand, of GPUs and within a tenant's limits: what is asked of hosts, and what the host's book says meanwhile. */

#define POLICY                                                                                        \
    "profiles:\n"                                                                                     \
    "  - { name: p, template: base, vcpus: 1, memory: 512 MiB, gpus: 2, maximum: { vcpus: 4 } }\n"    \
    "classes:\n"                                                                                      \
    "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: 0.2, p90: 0.3, p99: 0.4 },\n" \
    "      memory: { p50: 100 MiB, p90: 150 MiB, p99: 200 MiB } } }\n"                                \
    "limits: { vcpus_per_tenant: 3 }\n"

static struct world *world;
static const struct command *run; /* of the execution that begin() started */

/* On a host with so many GPUs, of which an instance may have two. */
static const char *begin(guint count)
{
    g_autoptr(GError) error = NULL;
    struct policy *policy = policy_of_text("test.yaml", POLICY, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    world = world_new_of(policy);
    world_add_host(world, "h1", 16, 16384);
    struct host *host = (struct host *)core_host(world->core, "h1");
    g_strfreev(host->spec->gpus);
    host->spec->gpus = g_new0(char *, count + 1);
    for (guint i = 0; i < count; i++)
        host->spec->gpus[i] = g_strdup_printf("0000:%02x:00.0", i + 1);
    world_execute(world, "{\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"]}}");
    const char *vm = world_boot(world);
    run = world_expect(world, COMMAND_RUN, 0);
    world_event(world, world_answer(EVENT_RUN_STARTED, run));
    return vm;
}

static guint64 by_hand(const char *vm, guint vcpus, guint gpus)
{
    struct event *event = event_new(EVENT_INSTANCE_SHAPE);
    const guint64 request = event->request = ++world->request;
    event->id = g_strdup(vm);
    event->shape = (struct vm_shape){.vcpus = vcpus, .gpus = gpus};
    world_event(world, event);
    return request;
}

static const struct command *expect_shape(void)
{
    return world_expect(world, COMMAND_SHAPE, 0);
}

static guint booked_gpus(void)
{
    return core_host(world->core, "h1")->committed_gpus;
}

static void confirm(const struct command *shape)
{
    struct event *event = world_answer(EVENT_INSTANCE_SHAPED, shape);
    event->shape = shape->shape;
    if (event->shape.gpus == SHAPE_GPUS_KEPT)
        event->shape.gpus = booked_gpus();
    world_event(world, event);
}

static void expect_error(guint64 request, int code)
{
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert(reply->error != NULL && reply->error->code == code);
}

static void expect_gpus(guint64 request, const char *gpus)
{
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert_ptr_null(reply->error);
    g_autofree char *has = world_body_string(reply, "shape.gpus");
    ck_assert_str_eq(has, gpus);
}

/* Rule: a GPU is booked before it is attached, and given back after the guest has let go of it. */
START_TEST(test_hand_gpus)
{
    const char *vm = begin(2);
    guint64 request = by_hand(vm, 0, 2);
    const struct command *more = expect_shape();
    ck_assert(more->shape.gpus == 2 && more->shape.vcpus == 0 && booked_gpus() == 2);
    confirm(more);
    expect_gpus(request, "2");
    request = by_hand(vm, 2, SHAPE_GPUS_KEPT);
    const struct command *vcpus = expect_shape();
    ck_assert(vcpus->shape.gpus == SHAPE_GPUS_KEPT && vcpus->shape.vcpus == 2);
    confirm(vcpus);
    expect_gpus(request, "2");
    request = by_hand(vm, 0, 0);
    ck_assert_uint_eq(booked_gpus(), 2);
    confirm(expect_shape());
    ck_assert_uint_eq(booked_gpus(), 0);
    expect_gpus(request, "0");
    world_free(world);
}
END_TEST

/* Rule: policy and host allow it, or nothing is asked of libvirt. */
START_TEST(test_hand_gpus_refused)
{
    const char *vm = begin(1);
    expect_error(by_hand(vm, 0, 3), HBR_ERROR_INVALID);
    expect_error(by_hand(vm, 0, 2), HBR_ERROR_EXHAUSTED);
    ck_assert_ptr_null(world_take(world, COMMAND_SHAPE, 0));
    world_free(world);
}
END_TEST

/* Rule: the book holds what the instance still has after a failure, and what it gives back unasked later. */
START_TEST(test_hand_gpus_late)
{
    const char *vm = begin(2);
    by_hand(vm, 0, 2);
    confirm(expect_shape());
    const guint64 request = by_hand(vm, 0, 0);
    struct event *late = world_answer(EVENT_INSTANCE_SHAPED, expect_shape());
    late->shape = (struct vm_shape){.vcpus = 1, .memory_mib = 512, .gpus = 2};
    late->error = hbr_error_new(HBR_ERROR_TIMEOUT, "late");
    world_event(world, late);
    expect_error(request, HBR_ERROR_TIMEOUT);
    ck_assert_uint_eq(booked_gpus(), 2);
    struct event *unasked = event_new(EVENT_INSTANCE_SHAPED);
    unasked->host = g_strdup("h1");
    unasked->id = g_strdup(vm);
    unasked->shape = (struct vm_shape){.vcpus = 1, .memory_mib = 512, .gpus = 1};
    world_event(world, unasked);
    ck_assert_uint_eq(booked_gpus(), 1);
    const struct command *again = (by_hand(vm, 0, 0), expect_shape());
    world_event(world, world_answer(EVENT_INSTANCE_GONE, again));
    ck_assert_uint_eq(booked_gpus(), 0);
    world_free(world);
}
END_TEST

/* Rule: a tenant's limit binds what is asked for by hand as it binds the controller. */
START_TEST(test_hand_tenant_limit)
{
    const char *vm = begin(0);
    expect_error(by_hand(vm, 4, SHAPE_GPUS_KEPT), HBR_ERROR_EXHAUSTED);
    by_hand(vm, 3, SHAPE_GPUS_KEPT);
    confirm(expect_shape());
    ck_assert_uint_eq(core_host(world->core, "h1")->committed_vcpus, 3);
    world_execute(world, "{\"code\":{\"function\":\"g\",\"tenant\":\"other\"},\"program\":{\"argv\":[\"true\"]}}");
    const char *others = world_boot(world);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    by_hand(others, 2, SHAPE_GPUS_KEPT);
    ck_assert_str_eq(expect_shape()->id, others);
    world_free(world);
}
END_TEST

/* Rule: what is learned of a run tells the shape that it began with, whatever it was given later. */
START_TEST(test_start_shape)
{
    const char *vm = begin(0);
    by_hand(vm, 2, SHAPE_GPUS_KEPT);
    confirm(expect_shape());
    struct event *exit = world_answer(EVENT_RUN_EXIT, run);
    exit->result = g_new0(struct run_result, 1);
    world_event(world, exit);
    const struct observation *observation = NULL;
    for (guint i = 0; observation == NULL && i < world->records->len; i++)
        observation = ((struct record *)world->records->pdata[i])->observation;
    ck_assert_ptr_nonnull(observation);
    ck_assert_uint_eq(observation->start_shape.vcpus, 1);
    ck_assert_uint_eq(observation->start_shape.memory_mib, 512);
    ck_assert_uint_eq(observation->shape.vcpus, 2);
    world_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hand");
    TCase *cases = tcase_create("by hand");
    tcase_add_test(cases, test_hand_gpus);
    tcase_add_test(cases, test_hand_gpus_refused);
    tcase_add_test(cases, test_hand_gpus_late);
    tcase_add_test(cases, test_hand_tenant_limit);
    tcase_add_test(cases, test_start_shape);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
