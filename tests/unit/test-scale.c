/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "core-fixture.h"
#include "policy-fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Deep scaling: what the controller asks of hosts and guests, what the host's book says meanwhile, and what is told of it. */

#define POLICY(scaling, more)                                                                            \
    "profiles:\n"                                                                                        \
    "  - { name: p, template: base, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 4, memory: 2 GiB } }\n" \
    "classes:\n"                                                                                         \
    "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: 0.2, p90: 0.3, p99: 0.4 },\n"    \
    "      memory: { p50: 100 MiB, p90: 150 MiB, p99: 200 MiB } } }\n"                                   \
    "scaling: {" scaling "}\n" more
#define EXECUTE(more) "{\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"]}" more "}"
#define BRISK "dwell: 1 s, shrink_pause: 0 s"

static struct world *world;

static void begin_on(const char *policy, guint cpus, guint memory_mib)
{
    g_autoptr(GError) error = NULL;
    struct policy *parsed = policy_of_text("test.yaml", policy, &error);
    ck_assert_msg(parsed != NULL, "%s", error != NULL ? error->message : "");
    world = world_new_of(parsed);
    world_add_host(world, "h1", cpus, memory_mib);
}

static void begin(const char *policy)
{
    begin_on(policy, 16, 16384);
}

static void end(void)
{
    world_free(world);
}

/* An execution in its instance. */
struct job {
    guint64 request;
    const char *vm; /* the world's */
    const struct command *run;
};

static struct job job_run(guint64 request)
{
    struct job job = {.request = request};
    job.vm = world_boot(world);
    job.run = world_expect(world, COMMAND_RUN, 0);
    world_event(world, world_answer(EVENT_RUN_STARTED, job.run));
    return job;
}

static struct job job_start(const char *execute)
{
    return job_run(world_execute(world, execute));
}

static void job_exit(const struct job *job, enum exit_reason reason)
{
    struct event *exit = world_answer(EVENT_RUN_EXIT, job->run);
    exit->result = g_new0(struct run_result, 1);
    *exit->result = (struct run_result){.reason = reason, .wall_us = 1000000, .cpu_user_us = 500000};
    world_event(world, exit);
}

/* It ends, and its instance goes. */
static void job_end(const struct job *job)
{
    job_exit(job, EXIT_EXITED);
    const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
    ck_assert_str_eq(destroy->id, job->vm);
    world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
}

static json_t *job_document(const struct job *job)
{
    world_event(world, world_query(world, "execution", job->run->execution_id));
    const struct command *reply = world_expect(world, COMMAND_REPLY, world->request);
    gsize length;
    const char *text = g_bytes_get_data(reply->body, &length);
    json_t *document = json_loadb(text, length, 0, NULL);
    ck_assert_ptr_nonnull(document);
    return document;
}

/* The adjustments of it whose error contains `error`; NULL: that have none. */
static guint job_adjustments(const struct job *job, const char *error)
{
    json_t *document = job_document(job);
    size_t index;
    json_t *adjustment;
    guint count = 0;
    json_array_foreach (json_object_get(document, "adjustments"), index, adjustment) {
        const char *told = json_string_value(json_object_get(adjustment, "error"));
        count += error != NULL ? told != NULL && strstr(told, error) != NULL : told == NULL;
    }
    json_decref(document);
    return count;
}

static void say(const char *vm, struct usage_sample sample)
{
    struct event *event = event_new(EVENT_SAMPLE);
    event->host = g_strdup("h1");
    event->id = g_strdup(vm);
    sample.at = world->now;
    event->sample = usage_sample_copy(&sample);
    world_event(world, event);
}

static void look(const char *vm, double cpus, guint memory_mib)
{
    say(vm, (struct usage_sample){.has_guest = TRUE,
                                  .cpu_used = cpus,
                                  .runnable = cpus,
                                  .memory_used_mib = memory_mib,
                                  .memory_total_mib = 2048,
                                  .vcpus_online = 4});
}

static void press(const char *vm, guint pressure, double runnable, guint memory_mib)
{
    say(vm, (struct usage_sample){.has_guest = TRUE,
                                  .pressure = pressure,
                                  .runnable = runnable,
                                  .memory_used_mib = memory_mib,
                                  .memory_total_mib = 2048});
}

static void look_for(const char *vm, guint seconds, double cpus, guint memory_mib)
{
    for (guint i = 0; i < seconds; i++) {
        world_pass(world, 1000);
        look(vm, cpus, memory_mib);
    }
}

/* Looks, one each second, until a change of shape is asked for; NULL when none is. */
static const struct command *look_until(const char *vm, guint seconds, double cpus, guint memory_mib)
{
    const struct command *shape = NULL;
    for (guint i = 0; i < seconds && shape == NULL; i++) {
        look_for(vm, 1, cpus, memory_mib);
        shape = world_take(world, COMMAND_SHAPE, 0);
    }
    return shape;
}

static const struct command *expect_shape(const char *vm)
{
    const struct command *shape = world_expect(world, COMMAND_SHAPE, 0);
    ck_assert_str_eq(shape->id, vm);
    return shape;
}

static void expect_no_shape(void)
{
    ck_assert_ptr_null(world_take(world, COMMAND_SHAPE, 0));
}

static void confirm(const struct command *shape)
{
    struct event *event = world_answer(EVENT_INSTANCE_SHAPED, shape);
    event->shape = shape->shape;
    event->shape.gpus = 0;
    event->at = world->now;
    world_event(world, event);
}

static void refuse(const struct command *shape, int code, guint held_mib)
{
    struct event *event = world_answer(EVENT_INSTANCE_SHAPED, shape);
    event->shape = shape->shape;
    event->shape.vcpus = MAX(event->shape.vcpus, 1); /* 0: it was to stay */
    event->shape.gpus = 0;
    event->shape.memory_mib = held_mib;
    event->error = hbr_error_new(code, "refused");
    world_event(world, event);
}

static void grow_memory(const char *vm)
{
    press(vm, PRESSURE_MEMORY, 1, 380);
    confirm(expect_shape(vm));
}

static guint booked_mib(void)
{
    return core_host(world->core, "h1")->committed_memory_mib;
}

/* Rule: the guest is told what to speak up about when code starts, and no longer of its memory when it can have no more. */
START_TEST(test_alarm)
{
    begin(POLICY(BRISK, ""));
    const struct job job = job_start(EXECUTE(""));
    const struct command *alarm = world_expect(world, COMMAND_ALARM, 0);
    ck_assert_str_eq(alarm->id, job.vm);
    ck_assert_double_eq(alarm->alarm.memory_share, 0.9);
    ck_assert_int_eq(alarm->alarm.window_us, 500000);
    ck_assert_int_eq(alarm->alarm.cpu_stall_us, 100000);
    ck_assert_int_eq(alarm->alarm.memory_stall_us, 100000);
    const struct command *shape;
    do {
        press(job.vm, PRESSURE_MEMORY, 1, 380);
        shape = expect_shape(job.vm);
        confirm(shape);
    } while (shape->shape.memory_mib < 2048);
    ck_assert_double_eq(world_expect(world, COMMAND_ALARM, 0)->alarm.memory_share, 0);
    press(job.vm, PRESSURE_MEMORY, 1, 1900);
    expect_no_shape();
    confirm(look_until(job.vm, 60, 0.2, 100));
    ck_assert_double_eq(world_expect(world, COMMAND_ALARM, 0)->alarm.memory_share, 0.9);
    ck_assert_ptr_null(world_take(world, COMMAND_ALARM, 0));
    end();
}
END_TEST

/* Rule: an instance near its memory limit gets its first step at once, outside the sampling period, and one step at a time. */
START_TEST(test_memory_pressure)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    world_pass(world, 130);
    press(job.vm, PRESSURE_MEMORY, 1, 350);
    const struct command *shape = expect_shape(job.vm);
    ck_assert_uint_gt(shape->shape.memory_mib, 512);
    ck_assert_uint_le(shape->shape.memory_mib, 1024);
    ck_assert_uint_eq(shape->shape.vcpus, 0);                 /* stays as it is */
    ck_assert_uint_eq(booked_mib(), shape->shape.memory_mib); /* reserved before it grows */
    press(job.vm, PRESSURE_MEMORY_STALL, 1, 380);
    look_for(job.vm, 1, 0.2, 380);
    expect_no_shape();
    confirm(shape);
    press(job.vm, PRESSURE_MEMORY_STALL, 1, 380);
    ck_assert_uint_gt(expect_shape(job.vm)->shape.memory_mib, shape->shape.memory_mib);
    end();
}
END_TEST

/* Rule: tasks that wait for a CPU get one at once; a stall that more CPUs do not help against gets none. */
START_TEST(test_cpu_pressure)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    press(job.vm, PRESSURE_CPU_STALL, 1, 100);
    press(job.vm, PRESSURE_IO_STALL, 3, 100);
    expect_no_shape();
    press(job.vm, PRESSURE_CPU_STALL, 3, 100);
    const struct command *shape = expect_shape(job.vm);
    ck_assert_uint_eq(shape->shape.vcpus, 2);      /* step_max */
    ck_assert_uint_eq(shape->shape.memory_mib, 0); /* stays as it is */
    ck_assert_uint_eq(core_host(world->core, "h1")->committed_vcpus, 2);
    end();
}
END_TEST

/* Rule: what was steadily not wanted for the dwell time goes, down to what it started with; the book holds it until the guest confirms. */
START_TEST(test_slack)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    grow_memory(job.vm);
    ck_assert_uint_gt(booked_mib(), 512);
    look_for(job.vm, 10, 0.2, 60);
    expect_no_shape();
    guint held_mib = booked_mib();
    do {
        const struct command *shape = look_until(job.vm, 60, 0.2, 60);
        ck_assert_ptr_nonnull(shape);
        ck_assert_uint_lt(shape->shape.memory_mib, held_mib);
        ck_assert_uint_eq(booked_mib(), held_mib);
        confirm(shape);
        held_mib = shape->shape.memory_mib;
        ck_assert_uint_eq(booked_mib(), held_mib);
    } while (held_mib > 512);
    ck_assert_ptr_null(look_until(job.vm, 60, 0.2, 10));
    ck_assert_uint_eq(booked_mib(), 512);
    end();
}
END_TEST

/* Rule: never shrink on missing data: without the guest's figures the dwell time begins anew. */
START_TEST(test_missing_figures)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    grow_memory(job.vm);
    for (guint i = 0; i < 60; i++) {
        world_pass(world, 1000);
        say(job.vm, (struct usage_sample){.cpu_used = 0.1, .memory_total_mib = 2048});
    }
    look_for(job.vm, 10, 0.2, 60);
    expect_no_shape();
    ck_assert_ptr_nonnull(look_until(job.vm, 10, 0.2, 60));
    end();
}
END_TEST

/* Rule: scaling.shrink: false and the simple controller only grow; the simple one does without the guest's word. */
START_TEST(test_no_shrink)
{
    static const char *const policies[] = {POLICY("shrink: false", ""), POLICY("controller: simple", "")};
    begin(policies[_i]);
    const struct job job = job_start(EXECUTE(""));
    ck_assert_int_eq(world_take(world, COMMAND_ALARM, 0) != NULL, _i == 0);
    confirm(look_until(job.vm, 10, 0.2, 380));
    ck_assert_ptr_null(look_until(job.vm, 120, 0.2, 10));
    end();
}
END_TEST

/* Rule: a guest may refuse to have less. It keeps it, that is recorded, and it is not asked again for 10 s, then for 20 s. */
START_TEST(test_veto)
{
    begin(POLICY(BRISK, ""));
    const struct job other = job_start(EXECUTE(""));
    const struct job job = job_start(EXECUTE(""));
    grow_memory(job.vm);
    const guint held_mib = booked_mib() - 512;
    const struct command *shape = look_until(job.vm, 20, 0.2, 60);
    refuse(shape, HBR_ERROR_CONFLICT, held_mib);
    ck_assert_uint_eq(booked_mib(), held_mib + 512);
    ck_assert_uint_eq(job_adjustments(&job, "refused"), 1);
    job_end(&other);
    ck_assert_ptr_null(look_until(job.vm, 9, 0.2, 60));
    shape = look_until(job.vm, 2, 0.2, 60);
    refuse(shape, HBR_ERROR_CONFLICT, held_mib);
    ck_assert_ptr_null(look_until(job.vm, 19, 0.2, 60));
    confirm(look_until(job.vm, 2, 0.2, 60));
    ck_assert_uint_lt(booked_mib(), held_mib);
    end();
}
END_TEST

/* Rule: a growth that failed is tried again after its time, or when the connection to the host is a new one. */
START_TEST(test_failed_growth)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    refuse(expect_shape(job.vm), HBR_ERROR_HYPERVISOR, 512);
    ck_assert_uint_eq(booked_mib(), 512);
    look_for(job.vm, 9, 0.2, 380);
    expect_no_shape();
    press(job.vm, PRESSURE_MEMORY, 1,
          380); /* what waits under pressure may die: it waits for half a second, then a second */
    refuse(expect_shape(job.vm), HBR_ERROR_HYPERVISOR, 512);
    world_pass(world, 900);
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    expect_no_shape();
    struct event *up = event_new(EVENT_HOST_UP);
    up->host = g_strdup("h1");
    up->host_report = g_new0(struct host_report, 1);
    *up->host_report = (struct host_report){.cpus = 16, .memory_mib = 16384, .acceleration = ACCELERATION_MODEL};
    world_event(world, up);
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    confirm(expect_shape(job.vm));
    ck_assert_uint_eq(job_adjustments(&job, "refused"), 2);
    end();
}
END_TEST

#define POOL "pools:\n  - { name: w, template: base, vcpus: 1, memory: 256 MiB, floor: { running: 1 } }\n"

/* Rule: code that runs comes before stock: on a full host an idle warm instance goes first. */
START_TEST(test_full_host_evicts)
{
    begin_on(POLICY("", POOL), 16, 768);
    const char *warm = world_boot(world);
    const struct job job = job_start(EXECUTE(""));
    ck_assert_uint_eq(booked_mib(), 768);
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
    ck_assert_str_eq(destroy->id, warm);
    expect_no_shape();
    world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
    ck_assert_uint_eq(expect_shape(job.vm)->shape.memory_mib, 768); /* all that there is, of more that it wants */
    ck_assert_uint_eq(booked_mib(), 768);
    end();
}
END_TEST

/* Rule: then those give who have more than they want, with their guests' consent; who is short gets it when it is confirmed. */
START_TEST(test_full_host_takes_slack)
{
    begin_on(POLICY("", ""), 16, 1408);
    const struct job rich = job_start(EXECUTE("")), poor = job_start(EXECUTE(""));
    grow_memory(rich.vm);
    ck_assert_uint_eq(booked_mib(), 1408);
    look_for(rich.vm, 2, 0.2, 60);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    const struct command *shrink = expect_shape(rich.vm);
    ck_assert_uint_eq(shrink->shape.memory_mib, 512);
    expect_no_shape();
    ck_assert_uint_eq(job_adjustments(&poor, "no room"), 1);
    confirm(shrink);
    ck_assert_uint_eq(expect_shape(poor.vm)->shape.memory_mib, 896);
    ck_assert_uint_eq(booked_mib(), 1408);
    end();
}
END_TEST

/* Rule: nobody is asked to give on old figures, or where the policy forbids it. */
START_TEST(test_full_host_leaves_alone)
{
    static const char *const policies[] = {POLICY("", ""), POLICY("shrink: false", "")};
    begin_on(policies[_i], 16, 1408);
    const struct job rich = job_start(EXECUTE("")), poor = job_start(EXECUTE(""));
    grow_memory(rich.vm);
    look_for(rich.vm, 2, 0.2, 60);
    if (_i == 0)
        world_pass(world, 5000);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    expect_no_shape();
    end();
}
END_TEST

/* A full host, on which two have more than they want and a third could do with more. */
static void begin_crowded(struct job *ret_rich, struct job *ret_poor)
{
    begin_on(POLICY("", ""), 16, 2304);
    for (guint i = 0; i < 2; i++)
        ret_rich[i] = job_start(EXECUTE(""));
    *ret_poor = job_start(EXECUTE(""));
    for (guint i = 0; i < 2; i++)
        grow_memory(ret_rich[i].vm);
    world_pass(world, 2000);
    for (guint i = 0; i < 2; i++)
        look(ret_rich[i].vm, 0.2, 60);
}

/* Rule: a guest that refuses does not hide the next one that could give. */
START_TEST(test_full_host_asks_the_next)
{
    struct job rich[2], poor;
    begin_crowded(rich, &poor);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    const struct command *first = world_expect(world, COMMAND_SHAPE, 0);
    refuse(first, HBR_ERROR_CONFLICT, 896);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    const struct command *second = world_expect(world, COMMAND_SHAPE, 0);
    ck_assert_str_ne(first->id, second->id);
    ck_assert_str_ne(second->id, poor.vm);
    end();
}
END_TEST

/* Rule: nor does one that is being changed already. */
START_TEST(test_full_host_passes_over_the_busy)
{
    struct job rich[2], poor;
    begin_crowded(rich, &poor);
    press(rich[0].vm, PRESSURE_CPU_STALL, 3, 60);
    ck_assert_uint_eq(expect_shape(rich[0].vm)->shape.vcpus, 2);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    ck_assert_uint_eq(expect_shape(rich[1].vm)->shape.memory_mib, 512);
    end();
}
END_TEST

/* Rule: nobody is asked for more than is missing: what is on its way counts. */
START_TEST(test_full_host_waits_for_what_comes)
{
    struct job rich[2], poor;
    begin_crowded(rich, &poor);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    const struct command *shrink = expect_shape(rich[0].vm);
    press(poor.vm, PRESSURE_MEMORY, 1, 380);
    expect_no_shape();
    confirm(shrink);
    ck_assert_uint_eq(expect_shape(poor.vm)->shape.memory_mib, 1024);
    expect_no_shape();
    end();
}
END_TEST

/* Rule: what is still missing waits, and is served by deadline. */
START_TEST(test_full_host_serves_by_deadline)
{
    begin_on(POLICY("", ""), 16, 1536);
    g_autofree char *soon = clock_to_rfc3339(world->now + 600 * CLOCK_SECOND);
    g_autofree char *execute = g_strdup_printf(EXECUTE(",\"deadline_at\":\"%s\""), soon);
    const struct job last = job_start(EXECUTE("")), first = job_start(execute), third = job_start(EXECUTE(""));
    press(last.vm, PRESSURE_MEMORY, 1, 380);
    press(first.vm, PRESSURE_MEMORY, 1, 380);
    press(first.vm, PRESSURE_MEMORY, 1, 380);
    expect_no_shape();
    ck_assert_uint_eq(job_adjustments(&first, "no room"), 1); /* said once */
    job_end(&third);
    ck_assert_uint_eq(expect_shape(first.vm)->shape.memory_mib, 1024);
    expect_no_shape(); /* nothing is left */
    ck_assert_uint_eq(booked_mib(), 1536);
    job_end(&first);
    ck_assert_uint_eq(expect_shape(last.vm)->shape.memory_mib, 1024);
    end();
}
END_TEST

/* Rule: who needs no more meanwhile is not given it when room comes. */
START_TEST(test_short_no_more)
{
    begin_on(POLICY("", ""), 16, 1024);
    const struct job job = job_start(EXECUTE("")), other = job_start(EXECUTE(""));
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    look_for(job.vm, 5, 0.2, 100);
    job_end(&other);
    expect_no_shape();
    end();
}
END_TEST

/* Rule: the instances of a tenant together do not grow beyond its limit; that of another tenant does. */
START_TEST(test_tenant_limits)
{
    static const char *const limits[] = {"limits: { memory_per_tenant: 1152 MiB }\n",
                                         "limits: { vcpus_per_tenant: 2 }\n"};
    g_autofree char *policy = g_strconcat(POLICY("", ""), limits[_i], NULL);
    begin(policy);
    const struct job one = job_start(EXECUTE("")), two = job_start(EXECUTE(""));
    const struct job foreign =
        job_start("{\"code\":{\"function\":\"f\",\"tenant\":\"t2\"},\"program\":{\"argv\":[\"true\"]}}");
    const guint pressure = _i == 0 ? PRESSURE_MEMORY : PRESSURE_CPU_STALL;
    press(one.vm, pressure, 3, 380);
    expect_no_shape();
    ck_assert_uint_eq(job_adjustments(&one, "the tenant's limit"), 1);
    press(foreign.vm, pressure, 3, 380);
    confirm(expect_shape(foreign.vm));
    job_end(&two);
    confirm(expect_shape(one.vm));
    end();
}
END_TEST

/* Rule: the changes of a host in a minute are bounded, those under pressure excepted. */
START_TEST(test_host_changes)
{
    begin(POLICY("host_changes_per_minute: 1", ""));
    const struct job job = job_start(EXECUTE(""));
    confirm(look_until(job.vm, 10, 3, 100));
    ck_assert_ptr_null(look_until(job.vm, 50, 3, 100));
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    confirm(expect_shape(job.vm));
    ck_assert_uint_eq(look_until(job.vm, 20, 3, 100)->shape.vcpus, 3);
    end();
}
END_TEST

/* Rule: each adjustment tells its cause, its figures, what was confirmed, and the times of its phases. */
START_TEST(test_adjustment_is_told)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    press(job.vm, PRESSURE_MEMORY, 1, 380);
    world_pass(world, 70);
    struct event *shaped = world_answer(EVENT_INSTANCE_SHAPED, expect_shape(job.vm));
    shaped->shape = (struct vm_shape){.vcpus = 1, .memory_mib = 900};
    shaped->at = world->now - 20 * CLOCK_MS;
    world_event(world, shaped);
    json_t *document = job_document(&job);
    const json_t *told = json_array_get(json_object_get(document, "adjustments"), 0);
    const char *at = json_string_value(json_object_get(told, "at"));
    ck_assert_str_eq(json_string_value(json_object_get(told, "signalled_at")), at);
    ck_assert_str_lt(at, json_string_value(json_object_get(told, "hypervisor_at")));
    ck_assert_str_lt(json_string_value(json_object_get(told, "hypervisor_at")),
                     json_string_value(json_object_get(told, "confirmed_at")));
    ck_assert_str_eq(json_string_value(json_object_get(told, "reason")), "pressure");
    ck_assert_double_eq(json_number_value(json_object_get(told, "actual")), 380);
    ck_assert_double_gt(json_number_value(json_object_get(told, "predicted")), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(told, "confirmed"), "memory_mib")), 900);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(told, "sample"), "pressure")), PRESSURE_MEMORY);
    json_decref(document);
    g_autofree char *metrics = core_metrics_text(world->core);
    ck_assert_ptr_nonnull(strstr(metrics, "harbinger_adjustments_by_reason_total{reason=\"pressure\"} 1\n"));
    ck_assert_ptr_nonnull(
        strstr(metrics, "harbinger_adjustment_seconds_count{resource=\"memory\",phase=\"confirm\"} 1\n"));
    end();
}
END_TEST

/* Rule: the cause names the resource that is short, whatever else the guest speaks up about; a capped instance is short of its cap. */
START_TEST(test_pressure_cause)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    press(job.vm, PRESSURE_MEMORY | PRESSURE_CPU_STALL, 3, 380);
    confirm(expect_shape(job.vm));
    json_t *document = job_document(&job);
    const json_t *told = json_array_get(json_object_get(document, "adjustments"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(told, "resource")), "memory");
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(told, "cause")), "MiB"));
    json_decref(document);
    end();
}
END_TEST

START_TEST(test_capped_pressure)
{
    begin(POLICY("", ""));
    world_execute(world, EXECUTE(""));
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, boot);
    ready->shape = boot->boot->shape;
    ready->shape.cpu_percent = 50;
    world_event(world, ready);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    press(boot->id, PRESSURE_CPU_STALL, 1, 100);
    ck_assert_uint_eq(expect_shape(boot->id)->shape.cpu_percent, 100);
    end();
}
END_TEST

/* Rule: on a full host a cap on CPU time is raised no further than there are CPUs. */
START_TEST(test_capped_on_full_host)
{
    begin_on(POLICY("", ""), 1, 16384);
    world_execute(world, EXECUTE(""));
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, boot);
    ready->shape = boot->boot->shape;
    ready->shape.cpu_percent = 80;
    world_event(world, ready);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    press(boot->id, PRESSURE_CPU_STALL, 4, 100);
    const struct command *shape = expect_shape(boot->id);
    ck_assert_uint_eq(shape->shape.cpu_percent, 100);
    ck_assert_uint_eq(shape->shape.vcpus, 1);
    end();
}
END_TEST

static double predicted_of(const struct job *job)
{
    json_t *document = job_document(job);
    const json_t *told = json_array_get(json_object_get(document, "adjustments"), 0);
    const double predicted = json_number_value(json_object_get(told, "predicted"));
    json_decref(document);
    return predicted;
}

static const struct observation *last_observation(void)
{
    for (guint i = world->records->len; i > 0; i--) {
        const struct record *record = world->records->pdata[i - 1];
        if (record->kind == RECORD_OBSERVATION)
            return record->observation;
    }
    ck_abort_msg("nothing was observed");
}

/* Rule: the history keeps the course of a run, and the next one of the function is compared with it. */
START_TEST(test_course_is_learned)
{
    begin(POLICY("", ""));
    const struct job first = job_start(EXECUTE(""));
    look_for(first.vm, 3, 0.2, 20);
    world_pass(world, 1500);
    say(first.vm, (struct usage_sample){.cpu_used = 0.5});
    world_pass(world, 1500);
    look_for(first.vm, 10, 0.2, 300);
    while (world_take(world, COMMAND_SHAPE, 0) != NULL)
        ; /* it grows, which is not what this is about */
    job_end(&first);
    const GPtrArray *course = last_observation()->course;
    ck_assert_ptr_nonnull(course);
    ck_assert_uint_ge(course->len, 5);
    ck_assert_int_eq(((struct usage_slot *)course->pdata[0])->from_ms, 1000);
    ck_assert_double_eq(((struct usage_slot *)course->pdata[0])->amounts[RESOURCE_MEMORY], 20);
    ck_assert_double_eq(((struct usage_slot *)course->pdata[course->len - 1])->amounts[RESOURCE_MEMORY], 300);
    for (guint i = 0; i < course->len; i++)
        ck_assert_double_gt(((struct usage_slot *)course->pdata[i])->amounts[RESOURCE_MEMORY], 0);
    const struct job early = job_start(EXECUTE("")), late = job_start(EXECUTE(""));
    world_pass(world, 1500);
    press(early.vm, PRESSURE_MEMORY, 1, 380);
    confirm(expect_shape(early.vm));
    world_pass(world, 8000);
    press(late.vm, PRESSURE_MEMORY, 1, 380);
    confirm(expect_shape(late.vm));
    ck_assert_double_lt(predicted_of(&early), 60);
    ck_assert_double_gt(predicted_of(&late), 299);
    end();
}
END_TEST

/* instance-shape, by hand. Returns the request. */
static guint64 shape_by_hand(const char *vm, struct vm_shape shape)
{
    struct event *event = event_new(EVENT_INSTANCE_SHAPE);
    const guint64 request = event->request = ++world->request;
    event->id = g_strdup(vm);
    event->shape = shape;
    world_event(world, event);
    return request;
}

static void expect_error(guint64 request, int code)
{
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert_ptr_nonnull(reply->error);
    ck_assert_msg(reply->error->code == code, "%s", reply->error->message);
    ck_assert_ptr_null(world_take(world, COMMAND_REPLY, request)); /* once */
}

static void expect_shaped(guint64 request, const char *memory_mib, const char *vcpus)
{
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert_msg(reply->error == NULL, "%s", reply->error != NULL ? reply->error->message : "");
    g_autofree char *memory = world_body_string(reply, "shape.memory_mib"),
                    *cpus = world_body_string(reply, "shape.vcpus");
    ck_assert_str_eq(memory, memory_mib);
    ck_assert_str_eq(cpus, vcpus);
    ck_assert_ptr_null(world_take(world, COMMAND_REPLY, request));
}

/* Rule: a shape given by hand goes the way of the controller: one resource after the other, booked before, given back after. */
START_TEST(test_hand)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    guint64 request = shape_by_hand(job.vm, (struct vm_shape){.vcpus = 3, .memory_mib = 1024});
    const struct command *memory = expect_shape(job.vm);
    ck_assert_uint_eq(memory->shape.memory_mib, 1024);
    ck_assert_uint_eq(memory->shape.vcpus, 0);
    expect_no_shape();
    confirm(memory);
    const struct command *cpus = expect_shape(job.vm);
    ck_assert_uint_eq(cpus->shape.vcpus, 3);
    ck_assert_ptr_null(world_take(world, COMMAND_REPLY, request));
    confirm(cpus);
    expect_shaped(request, "1024", "3");
    request = shape_by_hand(job.vm, (struct vm_shape){.vcpus = 2});
    ck_assert_uint_eq(core_host(world->core, "h1")->committed_vcpus, 3);
    confirm(expect_shape(job.vm));
    ck_assert_uint_eq(core_host(world->core, "h1")->committed_vcpus, 2);
    expect_shaped(request, "1024", "2");
    expect_shaped(shape_by_hand(job.vm, (struct vm_shape){.vcpus = 2}), "1024", "2"); /* nothing to do */
    ck_assert_uint_eq(job_adjustments(&job, NULL), 3);
    end();
}
END_TEST

/* Rule: what cannot be is answered at once, and nothing is changed. */
START_TEST(test_hand_refused)
{
    static const struct {
        struct vm_shape shape;
        int code;
    } wishes[] = {
        {{.memory_mib = 4096}, HBR_ERROR_INVALID}, {{.vcpus = 5}, HBR_ERROR_INVALID},
        {{.memory_mib = 256}, HBR_ERROR_INVALID},  {{.memory_mib = 1536}, HBR_ERROR_EXHAUSTED},
        {{.vcpus = 4}, HBR_ERROR_EXHAUSTED},       {{.network_mbps = 200}, HBR_ERROR_INVALID},
        {{.disk_mbps = 200}, HBR_ERROR_INVALID},   {{.cpu_percent = 200}, HBR_ERROR_INVALID},
    };
    begin_on(POLICY("", ""), 2, 1024);
    struct vm_shape *maximum = &((struct policy_profile *)world->policy->profiles->pdata[0])->maximum;
    maximum->network_mbps = maximum->disk_mbps = maximum->cpu_percent = 100;
    const struct job job = job_start(EXECUTE(""));
    for (guint i = 0; i < G_N_ELEMENTS(wishes); i++)
        expect_error(shape_by_hand(job.vm, wishes[i].shape), wishes[i].code);
    const guint64 request = shape_by_hand(job.vm, (struct vm_shape){.memory_mib = 4096});
    ck_assert(g_str_has_prefix(world_expect(world, COMMAND_REPLY, request)->error->message, "/memory_mib: is more"));
    expect_error(shape_by_hand("vm-none", (struct vm_shape){.vcpus = 2}), HBR_ERROR_NOT_FOUND);
    expect_no_shape();
    shape_by_hand(job.vm, (struct vm_shape){.vcpus = 2});
    expect_error(shape_by_hand(job.vm, (struct vm_shape){.vcpus = 1}), HBR_ERROR_CONFLICT);
    end();
}
END_TEST

/* Rule: one that is being started is given its shape by that. */
START_TEST(test_hand_too_early)
{
    begin(POLICY("", ""));
    world_execute(world, EXECUTE(""));
    expect_error(shape_by_hand(world_expect(world, COMMAND_BOOT, 0)->id, (struct vm_shape){.vcpus = 2}),
                 HBR_ERROR_CONFLICT);
    end();
}
END_TEST

/* Rule: the guest's refusal is the answer, and what it holds the shape. */
START_TEST(test_hand_vetoed)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    grow_memory(job.vm);
    const guint64 request = shape_by_hand(job.vm, (struct vm_shape){.memory_mib = 512, .vcpus = 2});
    refuse(expect_shape(job.vm), HBR_ERROR_CONFLICT, 896);
    expect_error(request, HBR_ERROR_CONFLICT);
    ck_assert_uint_eq(booked_mib(), 896);
    expect_no_shape();
    end();
}
END_TEST

/* Rule: each resource is asked for once, also where less of it than that was confirmed. */
START_TEST(test_hand_asks_once)
{
    static const struct vm_shape wishes[] = {
        {.network_mbps = 50}, {.disk_mbps = 50}, {.vcpus = 4}, {.memory_mib = 1024}};
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    for (guint i = 0; i < G_N_ELEMENTS(wishes); i++) {
        const guint64 request = shape_by_hand(job.vm, wishes[i]);
        struct event *event = world_answer(EVENT_INSTANCE_SHAPED, expect_shape(job.vm));
        event->shape = (struct vm_shape){.vcpus = 2, .memory_mib = 768, .network_mbps = 40, .disk_mbps = 40};
        world_event(world, event);
        expect_no_shape();
        ck_assert_ptr_null(world_expect(world, COMMAND_REPLY, request)->error);
    }
    end();
}
END_TEST

/* Rule: the answer comes once, also when the instance dies meanwhile. */
START_TEST(test_hand_instance_dies)
{
    begin(POLICY("", ""));
    const struct job job = job_start(EXECUTE(""));
    const guint64 request = shape_by_hand(job.vm, (struct vm_shape){.memory_mib = 1024, .vcpus = 2});
    const struct command *shape = expect_shape(job.vm);
    world_event(world, world_answer(EVENT_INSTANCE_GONE, shape));
    expect_error(request, HBR_ERROR_CONFLICT);
    confirm(shape);
    ck_assert_ptr_null(world_take(world, COMMAND_REPLY, request));
    ck_assert_uint_eq(booked_mib(), 0);
    end();
}
END_TEST

/* Rule: the controller keeps away until what was asked for by hand is done, and each step of that must fit when it comes. */
START_TEST(test_hand_is_alone)
{
    begin_on(POLICY("", ""), 3, 16384);
    const struct job job = job_start(EXECUTE("")), other = job_start(EXECUTE(""));
    const guint64 request = shape_by_hand(job.vm, (struct vm_shape){.memory_mib = 1024, .vcpus = 2});
    const struct command *memory = expect_shape(job.vm);
    press(job.vm, PRESSURE_CPU_STALL, 4, 100);
    expect_no_shape();
    press(other.vm, PRESSURE_CPU_STALL, 4, 100);
    expect_shape(other.vm); /* takes the last CPU */
    confirm(memory);
    expect_no_shape();
    expect_error(request, HBR_ERROR_EXHAUSTED);
    ck_assert_uint_eq(core_host(world->core, "h1")->committed_vcpus, 3);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scale");
    TCase *cases = tcase_create("controller");
    tcase_add_test(cases, test_alarm);
    tcase_add_test(cases, test_memory_pressure);
    tcase_add_test(cases, test_cpu_pressure);
    tcase_add_test(cases, test_slack);
    tcase_add_test(cases, test_missing_figures);
    tcase_add_loop_test(cases, test_no_shrink, 0, 2);
    tcase_add_test(cases, test_veto);
    tcase_add_test(cases, test_failed_growth);
    tcase_add_test(cases, test_full_host_evicts);
    tcase_add_test(cases, test_full_host_takes_slack);
    tcase_add_loop_test(cases, test_full_host_leaves_alone, 0, 2);
    tcase_add_test(cases, test_full_host_asks_the_next);
    tcase_add_test(cases, test_full_host_passes_over_the_busy);
    tcase_add_test(cases, test_full_host_waits_for_what_comes);
    tcase_add_test(cases, test_full_host_serves_by_deadline);
    tcase_add_test(cases, test_short_no_more);
    tcase_add_loop_test(cases, test_tenant_limits, 0, 2);
    tcase_add_test(cases, test_host_changes);
    tcase_add_test(cases, test_adjustment_is_told);
    tcase_add_test(cases, test_pressure_cause);
    tcase_add_test(cases, test_capped_pressure);
    tcase_add_test(cases, test_capped_on_full_host);
    tcase_add_test(cases, test_course_is_learned);
    suite_add_tcase(suite, cases);
    TCase *hand = tcase_create("by hand");
    tcase_add_test(hand, test_hand);
    tcase_add_test(hand, test_hand_refused);
    tcase_add_test(hand, test_hand_too_early);
    tcase_add_test(hand, test_hand_vetoed);
    tcase_add_test(hand, test_hand_asks_once);
    tcase_add_test(hand, test_hand_instance_dies);
    tcase_add_test(hand, test_hand_is_alone);
    suite_add_tcase(suite, hand);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
