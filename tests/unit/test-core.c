/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "core-fixture.h"
#include "model/limits.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define NOTIFY "{\"code\":{\"function\":\"f\",\"language\":\"python\"}}"
#define NOTIFY_LATER "{\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}"
#define EXECUTE "{\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"]}}"

static struct world *world;

static void setup(void)
{
    world = world_new("quickstart.yaml");
    world_add_host(world, "h1", 8, 16384);
}

static void teardown(void)
{
    world_free(world);
}

static void assert_body(const struct command *command, const char *path, const char *expected)
{
    g_autofree char *value = world_body_string(command, path);
    ck_assert_msg(g_strcmp0(value, expected) == 0, "%s is %s, expected %s", path, value, expected);
}

static void run_exit(const struct command *run, enum exit_reason reason, guint status, gint64 peak_mib)
{
    world_event(world, world_answer(EVENT_RUN_STARTED, run));
    struct event *exit = world_answer(EVENT_RUN_EXIT, run);
    exit->result = g_new0(struct run_result, 1);
    *exit->result = (struct run_result){.reason = reason,
                                        .status = status,
                                        .wall_us = 2000000,
                                        .cpu_user_us = 1000000,
                                        .memory_peak_bytes = peak_mib << 20};
    world_event(world, exit);
}

/* Sample of a busy guest. */
static void sample(const char *instance, double runnable, guint used_mib, guint total_mib)
{
    struct event *event = event_new(EVENT_SAMPLE);
    event->host = g_strdup("h1");
    event->id = g_strdup(instance);
    event->sample = g_new0(struct usage_sample, 1);
    *event->sample = (struct usage_sample){.at = world->now,
                                           .has_guest = TRUE,
                                           .cpu_used = 1,
                                           .runnable = runnable,
                                           .memory_used_mib = used_mib,
                                           .memory_total_mib = total_mib,
                                           .vcpus_online = 1};
    world_event(world, event);
}

/* Rule: an acknowledged notification is durable: the answer comes with the commit, not before. */
START_TEST(test_ack_waits_for_commit)
{
    world->holds_commits = TRUE;
    const guint64 request = world_notify(world, NOTIFY);
    ck_assert_ptr_null(world_take(world, COMMAND_REPLY, request));
    world->holds_commits = FALSE;
    world_pass(world, 1);
    world_event(world, event_new(EVENT_TICK));
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert_uint_eq(reply->status, 202);
    assert_body(reply, "reservation.state", "starting");
}
END_TEST

/* Rule: a failed commit is told, and the reservation withdrawn; nothing is promised that could be lost. */
START_TEST(test_failed_commit_is_told)
{
    world->fails_commits = TRUE;
    const guint64 request = world_notify(world, NOTIFY_LATER);
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert_int_eq(reply->error->code, HBR_ERROR_STORE);
    const char *keyed = "{\"idempotency_key\":\"k\",\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}";
    ck_assert_ptr_nonnull(world_expect(world, COMMAND_REPLY, world_notify(world, keyed))->error);
    world->fails_commits = FALSE;
    const struct command *again = world_expect(world, COMMAND_REPLY, world_notify(world, keyed));
    ck_assert_ptr_null(again->error);
    assert_body(again, "reservation.state", "scheduled"); /* the withdrawn one does not answer for it */
    const guint before = world->records->len;
    world_pass(world, 2000);
    guint cancelled = 0; /* written again: as cancelled */
    for (guint i = before; i < world->records->len; i++)
        cancelled += ((struct record *)world->records->pdata[i])->state == RESERVATION_CANCELLED;
    ck_assert_uint_eq(cancelled, 2);
}
END_TEST

/* Rule: notification, boot, ready, execution, destruction; the second prediction knows the first run. */
START_TEST(test_whole_way)
{
    const guint64 notify = world_notify(world, NOTIFY);
    const struct command *reply = world_expect(world, COMMAND_REPLY, notify);
    g_autofree char *id = world_body_string(reply, "reservation.id");
    assert_body(world_expect(world, COMMAND_REPLY, world_get(world, id)), "demand.source", "rules");
    const char *vm = world_boot(world);
    g_autofree char *request_json = g_strdup_printf(
        "{\"reservation_id\":\"%s\",\"code\":{\"function\":\"f\"},\"program\":{\"argv\":[\"true\"]}}", id);
    const guint64 execute = world_execute(world, request_json);
    const struct command *run = world_expect(world, COMMAND_RUN, 0);
    ck_assert_str_eq(run->id, vm);
    ck_assert_int_gt(run->run->limits.wall_ms, 0);
    ck_assert_int_gt(run->run->limits.output_bytes, 0);
    run_exit(run, EXIT_EXITED, 3, 700);
    assert_body(world_expect(world, COMMAND_STREAM, execute), "event", "started");
    const struct command *finished = world_expect(world, COMMAND_STREAM, execute);
    ck_assert(finished->end);
    assert_body(finished, "execution.match", "reservation");
    assert_body(finished, "execution.result.status", "3");
    const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
    ck_assert_str_eq(destroy->id, vm);
    world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
    const struct command *second = world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY));
    g_autofree char *second_id = world_body_string(second, "reservation.id");
    const struct command *known = world_expect(world, COMMAND_REPLY, world_get(world, second_id));
    assert_body(known, "demand.source", "history");
    g_autofree char *p90 = world_body_string(known, "demand.memory_mib.p90");
    ck_assert_double_ge(g_ascii_strtod(p90, NULL), 700);
}
END_TEST

/* Rule: start late enough: arrival - p95 - margin, and never before. */
START_TEST(test_start_is_back_scheduled)
{
    world_notify(world, NOTIFY_LATER);
    const struct policy_provisioning *provisioning = &world->policy->provisioning;
    const gint64 lead_ms = provisioning->boot_estimate_ms + provisioning->margin_ms;
    world_pass(world, 60000 - lead_ms - 1);
    ck_assert_ptr_null(world_take(world, COMMAND_BOOT, 0));
    world_pass(world, 2);
    world_expect(world, COMMAND_BOOT, 0);
}
END_TEST

/* Rule: a no-show expires by policy, is counted, and its VM goes. */
START_TEST(test_no_show)
{
    world_notify(world, NOTIFY);
    const char *vm = world_boot(world);
    world_pass(world, world->policy->provisioning.no_show_ms - 1);
    ck_assert_ptr_null(world_take(world, COMMAND_DESTROY, 0));
    world_pass(world, 2);
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, vm);
}
END_TEST

/* Rule: an early arrival is served at once and cancels what was scheduled for it. */
START_TEST(test_early_arrival)
{
    world_notify(world, NOTIFY_LATER);
    const guint64 execute = world_execute(world, EXECUTE);
    const struct command *queued = world_expect(world, COMMAND_STREAM, execute);
    assert_body(queued, "event", "queued");
    assert_body(queued, "execution.match", "early");
    world_boot(world);
    world_expect(world, COMMAND_RUN, 0);
    world_pass(world, 120000);
    ck_assert_ptr_null(world_take(world, COMMAND_BOOT, 0)); /* not started a second time */
}
END_TEST

/* Rule: the same idempotency key twice is one reservation; of another function it is a conflict. */
START_TEST(test_idempotency)
{
    const char *keyed = "{\"idempotency_key\":\"k1\",\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}";
    const struct command *first = world_expect(world, COMMAND_REPLY, world_notify(world, keyed));
    const struct command *second = world_expect(world, COMMAND_REPLY, world_notify(world, keyed));
    g_autofree char *id = world_body_string(first, "reservation.id");
    assert_body(second, "reservation.id", id);
    const guint64 other =
        world_notify(world, "{\"idempotency_key\":\"k1\",\"code\":{\"function\":\"g\"},\"arrival_in_ms\":60000}");
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, other)->error->code, HBR_ERROR_CONFLICT);
    const guint64 elsewhere = world_notify(
        world, "{\"idempotency_key\":\"k1\",\"code\":{\"function\":\"f\",\"tenant\":\"t2\"},\"arrival_in_ms\":60000}");
    g_autofree char *other_id = world_body_string(world_expect(world, COMMAND_REPLY, elsewhere), "reservation.id");
    ck_assert_str_ne(other_id, id);
}
END_TEST

/* Rule: notifications that come together share a write, and each gets its own answer, a repeated one the answer of the first. */
START_TEST(test_notified_together)
{
    const char *const keyed = "{\"idempotency_key\":\"k1\",\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}";
    world->holds_commits = TRUE;
    world_notify_together(world, (const char *[]){NOTIFY_LATER, NOTIFY_LATER, NOTIFY_LATER}, 3);
    ck_assert_uint_eq(world->persists->len, 1);
    world->holds_commits = FALSE;
    const guint64 first = world_notify_together(world, (const char *[]){keyed, NOTIFY_LATER, keyed, keyed}, 4);
    g_autofree char *id = world_body_string(world_expect(world, COMMAND_REPLY, first), "reservation.id");
    g_autofree char *other = world_body_string(world_expect(world, COMMAND_REPLY, first + 1), "reservation.id");
    ck_assert_str_ne(id, other);
    assert_body(world_expect(world, COMMAND_REPLY, first + 2), "reservation.id", id);
    assert_body(world_expect(world, COMMAND_REPLY, first + 3), "reservation.id", id);
    ck_assert_ptr_null(world_take(world, COMMAND_REPLY, first));
}
END_TEST

/* Rule: what shares a write shares its fate: each is told and withdrawn. */
START_TEST(test_failed_together)
{
    world->fails_commits = TRUE;
    const guint64 first = world_notify_together(world, (const char *[]){NOTIFY_LATER, NOTIFY_LATER}, 2);
    for (guint i = 0; i < 2; i++)
        ck_assert_int_eq(world_expect(world, COMMAND_REPLY, first + i)->error->code, HBR_ERROR_STORE);
    const char *keyed = "{\"idempotency_key\":\"k\",\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}";
    ck_assert_ptr_nonnull(world_expect(world, COMMAND_REPLY, world_notify(world, keyed))->error);
    world->fails_commits = FALSE;
    const struct command *again = world_expect(world, COMMAND_REPLY, world_notify(world, keyed));
    ck_assert_ptr_null(again->error);
    assert_body(again, "reservation.state", "scheduled"); /* the withdrawn one does not answer for it */
    const guint before = world->records->len;
    world_pass(world, 2000);
    ck_assert_uint_ge(world->records->len, before + 2);
    for (guint i = world->records->len - 2; i < world->records->len; i++)
        ck_assert_uint_eq(((const struct record *)world->records->pdata[i])->state, RESERVATION_CANCELLED);
}
END_TEST

/* Rule: a miss is served at once by a boot, with its reason; the VM is used once. */
START_TEST(test_on_demand)
{
    const guint64 execute = world_execute(world, EXECUTE);
    assert_body(world_expect(world, COMMAND_STREAM, execute), "execution.match", "none");
    world_boot(world);
    const struct command *run = world_expect(world, COMMAND_RUN, 0);
    run_exit(run, EXIT_EXITED, 0, 10);
    world_expect(world, COMMAND_DESTROY, 0);
    world_execute(world, EXECUTE);
    world_expect(world, COMMAND_BOOT, 0);
}
END_TEST

/* An execution whose program looks like Lua that imports `seen`; where it is queued, its event is returned. */
static const struct command *execute_with_guess(void)
{
    struct event *event = event_new(EVENT_EXECUTE);
    event->request = ++world->request;
    event->execution_request =
        codec_decode_text(&execution_request_codec, EXECUTE, strlen(EXECUTE), 65536, CODEC_CLIENT, NULL);
    event->guess = g_new0(struct code_metadata, 1);
    event->guess->language = g_strdup("lua");
    event->guess->libraries = g_strdupv((char *[]){(char *)"seen", NULL});
    world_event(world, event);
    return world_expect(world, COMMAND_STREAM, world->request);
}

/* Rule: what was told with the notification is better than what the program looks like, and that is better than nothing. */
START_TEST(test_guess)
{
    world_notify(world, "{\"code\":{\"function\":\"f\",\"language\":\"python\"},\"arrival_in_ms\":60000}");
    const struct command *announced = execute_with_guess();
    assert_body(announced, "execution.match", "early");
    assert_body(announced, "execution.code.language", "python");
    assert_body(announced, "execution.code.libraries", "[\"seen\"]");
    const struct command *on_demand = execute_with_guess();
    assert_body(on_demand, "execution.match", "none");
    assert_body(on_demand, "execution.code.language", "lua");
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_eq(boot->boot->language, "python");
    boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_eq(boot->boot->language, "lua"); /* the plan goes by it, too */
}
END_TEST

/* Rule: bad times get an error that says where. */
START_TEST(test_bad_times)
{
    static const struct {
        const char *json, *pointer;
    } cases[] = {
        {"{\"code\":{\"function\":\"f\"},\"arrival_at\":\"2001-01-01T00:00:00Z\"}", "/arrival_at"},
        {"{\"code\":{\"function\":\"f\"},\"deadline_at\":\"2001-01-01T00:00:00Z\"}", "/deadline_at"},
        {"{\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000,\"deadline_at\":\"2023-11-14T22:13:30Z\"}",
         "/deadline_at"},
        {"{\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000,\"arrival_at\":\"2033-11-14T22:13:30Z\"}",
         "/arrival_in_ms"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const struct command *reply = world_expect(world, COMMAND_REPLY, world_notify(world, cases[i].json));
        ck_assert_msg(reply->error != NULL && g_str_has_prefix(reply->error->message, cases[i].pointer), "case %u", i);
    }
}
END_TEST

/* Rule: a shape that no host could ever hold is refused at once. */
START_TEST(test_larger_than_any_host)
{
    struct world *small = world_new("quickstart.yaml");
    world_add_host(small, "tiny", 1, 128);
    const struct command *reply = world_expect(small, COMMAND_REPLY, world_notify(small, NOTIFY));
    ck_assert_int_eq(reply->error->code, HBR_ERROR_UNSATISFIABLE);
    world_free(small);
}
END_TEST

/* Rule: when the host is full executions queue by deadline, and go on as room appears. */
START_TEST(test_queue_by_deadline)
{
    struct world *small = world_new("quickstart.yaml");
    world_add_host(small, "tiny", 1, 16384);
    world_execute(small, EXECUTE);
    const guint64 patient = world_execute(
        small,
        "{\"code\":{\"function\":\"p\"},\"program\":{\"argv\":[\"true\"]},\"deadline_at\":\"2023-11-14T22:33:30Z\"}");
    const guint64 urgent = world_execute(
        small,
        "{\"code\":{\"function\":\"u\"},\"program\":{\"argv\":[\"true\"]},\"deadline_at\":\"2023-11-14T22:14:30Z\"}");
    world_boot(small);
    const struct command *run = world_expect(small, COMMAND_RUN, 0);
    ck_assert_ptr_null(world_take(small, COMMAND_BOOT, 0));
    struct event *exit = world_answer(EVENT_RUN_EXIT, run);
    exit->result = g_new0(struct run_result, 1);
    world_event(small, exit);
    world_event(small, world_answer(EVENT_INSTANCE_DESTROYED, world_expect(small, COMMAND_DESTROY, 0)));
    world_boot(small);
    const struct command *next = world_expect(small, COMMAND_RUN, 0);
    (void)patient;
    world_event(small, world_answer(EVENT_RUN_STARTED, next));
    assert_body(world_expect(small, COMMAND_STREAM, urgent), "event", "queued");
    assert_body(world_expect(small, COMMAND_STREAM, urgent), "event", "started");
    world_free(small);
}
END_TEST

static void use_simple_controller(const struct world *of)
{
    ((struct policy *)of->policy)->scaling.controller = CONTROLLER_SIMPLE; /* read when an execution starts */
}

/* Rule: above prediction x 1.2 a resource grows, each on its own, confirmed by the guest, recorded with its cause. */
START_TEST(test_growth)
{
    use_simple_controller(world);
    world_notify(world, NOTIFY);
    const char *vm = world_boot(world);
    const guint64 execute = world_execute(world, EXECUTE);
    const struct command *run = world_expect(world, COMMAND_RUN, 0);
    world_event(world, world_answer(EVENT_RUN_STARTED, run));
    world_expect(world, COMMAND_STREAM, execute);
    sample(vm, 1.0, 50, 400);
    ck_assert_ptr_null(world_take(world, COMMAND_SHAPE, 0)); /* within the prediction */
    sample(vm, 3.0, 50, 400);
    const struct command *cpu = world_expect(world, COMMAND_SHAPE, 0);
    ck_assert_uint_eq(cpu->shape.vcpus, 2);
    sample(vm, 3.0, 390, 400);
    const struct command *memory = world_expect(world, COMMAND_SHAPE, 0);
    ck_assert_uint_gt(memory->shape.memory_mib, cpu->shape.memory_mib);
    sample(vm, 3.0, 390, 400);
    ck_assert_ptr_null(world_take(world, COMMAND_SHAPE, 0)); /* one step of a resource at a time */
    struct event *shaped = world_answer(EVENT_INSTANCE_SHAPED, cpu);
    shaped->shape = cpu->shape;
    world_event(world, shaped);
    const struct command *adjusted = world_expect(world, COMMAND_STREAM, execute);
    assert_body(adjusted, "event", "adjusted");
    assert_body(adjusted, "adjustment.resource", "cpu");
    assert_body(adjusted, "adjustment.after.vcpus", "2");
    sample(vm, 3.0, 390, 400); /* a step to 2.25, which 2 vCPUs still serve */
    sample(vm, 3.0, 390, 400);
    ck_assert_uint_eq(world_expect(world, COMMAND_SHAPE, 0)->shape.vcpus, 4);
}
END_TEST

/* Rule: reserve before you grow: the host's book is never overdrawn, and a refusal is recorded. */
START_TEST(test_growth_without_room)
{
    struct world *full = world_new("quickstart.yaml");
    world_add_host(full, "h1", 1, 16384);
    struct world *const outer = world;
    world = full;
    use_simple_controller(full);
    world_execute(full, EXECUTE);
    const char *vm = world_boot(full);
    world_event(full, world_answer(EVENT_RUN_STARTED, world_expect(full, COMMAND_RUN, 0)));
    for (guint i = 0; i < 100; i++) {
        world_pass(full, 1000);
        sample(vm, 4.0, 50, 400);
    }
    ck_assert_ptr_null(world_take(full, COMMAND_SHAPE, 0));
    world_event(full, world_query(full, "execution", NULL));
    const struct command *list = world_expect(full, COMMAND_REPLY, full->request);
    gsize length;
    const char *text = g_bytes_get_data(list->body, &length);
    const char *refusal = g_strstr_len(text, (gssize)length, "the host has no room for it");
    ck_assert_ptr_nonnull(refusal);
    ck_assert_ptr_null(strstr(refusal + 1, "the host has no room for it")); /* said once, however long it lasts */
    ck_assert_uint_eq(core_host(full->core, "h1")->committed_vcpus, 1);
    world = outer;
    world_free(full);
}
END_TEST

/* Rule: bandwidth grows on its own, by what libvirt says is in force. */
START_TEST(test_network_growth)
{
    use_simple_controller(world);
    world_notify(world, NOTIFY);
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, boot);
    ready->shape = boot->boot->shape;
    ready->shape.network_mbps = 10;
    world_event(world, ready);
    world_execute(world, EXECUTE);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    struct event *event = event_new(EVENT_SAMPLE);
    event->host = g_strdup("h1");
    event->id = g_strdup(boot->id);
    event->sample = g_new0(struct usage_sample, 1);
    *event->sample = (struct usage_sample){.at = world->now, .network_rx_mbps = 9.9};
    world_event(world, event);
    const struct command *shape = world_expect(world, COMMAND_SHAPE, 0);
    ck_assert_uint_gt(shape->shape.network_mbps, 10);
    ck_assert_uint_eq(shape->shape.vcpus, 0); /* stays as it is */
    ck_assert_int_eq(shape->count, world->policy->scaling.confirm_timeout_ms);
}
END_TEST

/* Rule: a policy takes effect with its commit; what was reserved before keeps the old one. */
START_TEST(test_policy_load)
{
    g_autofree char *before =
        world_body_string(world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY_LATER)), "reservation.id");
    world->fails_commits = TRUE;
    world_event(world, world_load_policy(world, "default.yaml"));
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, world->request)->error->code, HBR_ERROR_STORE);
    world->fails_commits = FALSE;
    assert_body(world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY_LATER)), "reservation.profile", "small");
    world->holds_commits = TRUE;
    world_event(world, world_load_policy(world, "default.yaml"));
    const guint64 first = world->request;
    world_event(world, world_load_policy(world, "default.yaml"));
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, world->request)->error->code, HBR_ERROR_CONFLICT);
    world->holds_commits = FALSE;
    world_event(world, event_new(EVENT_TICK));
    assert_body(world_expect(world, COMMAND_REPLY, first), "version", "1");
    assert_body(world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY_LATER)), "reservation.profile", "low");
    struct event *old = world_query(world, "reservation", before);
    world_event(world, old);
    assert_body(world_expect(world, COMMAND_REPLY, world->request), "policy_version", "0");
}
END_TEST

/* Rule: a request is not served by what was announced otherwise; named, it is a conflict. */
START_TEST(test_uncovered_request)
{
    g_autofree char *id =
        world_body_string(world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY)), "reservation.id");
    world_boot(world);
    const guint64 execute =
        world_execute(world, "{\"code\":{\"function\":\"f\",\"template\":\"base\"},\"program\":{\"argv\":[\"true\"]}}");
    assert_body(world_expect(world, COMMAND_STREAM, execute), "execution.match", "other");
    g_autofree char *named = g_strdup_printf(
        "{\"reservation_id\":\"%s\",\"code\":{\"function\":\"f\",\"template\":\"base\"},\"program\":{\"argv\":[\"true\"]}}",
        id);
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, world_execute(world, named))->error->code, HBR_ERROR_CONFLICT);
}
END_TEST

/* Rule: an execution's own deadline decides its place in the line. */
START_TEST(test_deadline_of_bound_execution)
{
    struct world *small = world_new("quickstart.yaml");
    world_add_host(small, "tiny", 1, 16384);
    world_execute(small, EXECUTE);
    world_notify(small, "{\"code\":{\"function\":\"a\"}}");
    world_notify(small, "{\"code\":{\"function\":\"b\"}}");
    world_execute(
        small,
        "{\"code\":{\"function\":\"a\"},\"program\":{\"argv\":[\"a\"]},\"deadline_at\":\"2023-11-14T22:33:30Z\"}");
    world_execute(
        small,
        "{\"code\":{\"function\":\"b\"},\"program\":{\"argv\":[\"b\"]},\"deadline_at\":\"2023-11-14T22:23:30Z\"}");
    world_boot(small);
    struct event *exit = world_answer(EVENT_RUN_EXIT, world_expect(small, COMMAND_RUN, 0));
    exit->result = g_new0(struct run_result, 1);
    world_event(small, exit);
    world_event(small, world_answer(EVENT_INSTANCE_DESTROYED, world_expect(small, COMMAND_DESTROY, 0)));
    world_boot(small);
    ck_assert_str_eq(world_expect(small, COMMAND_RUN, 0)->run->program.argv[0], "b");
    world_free(small);
}
END_TEST

/* Rule: who waits for a host that is detached hears of it; another host of that name may come. */
START_TEST(test_host_detached)
{
    struct event *wait = world_query(world, "host", "h1");
    wait->query->wait_until_at = world->now + CLOCK_MINUTE;
    wait->query->state = g_strdup("down");
    const guint64 waiting = wait->request;
    world_event(world, wait);
    struct event *remove = event_new(EVENT_REMOVE);
    remove->request = ++world->request;
    remove->object = OBJECT_HOST;
    remove->id = g_strdup("h1");
    world_event(world, remove);
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, waiting)->error->code, HBR_ERROR_NOT_FOUND);
    ck_assert_ptr_null(core_host(world->core, "h1"));
    world_add_host(world, "h1", 2, 2048);
    ck_assert_uint_eq(core_host(world->core, "h1")->cpus, 2);
}
END_TEST

/* Rule: a lost VM that nobody used is replaced; its execution, if any, is reported as lost. */
START_TEST(test_lost_instances)
{
    world_notify(world, NOTIFY);
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    world_event(world, world_answer(EVENT_INSTANCE_FAILED, boot));
    const char *vm = world_boot(world); /* the second attempt */
    const guint64 execute = world_execute(world, EXECUTE);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    struct event *gone = event_new(EVENT_INSTANCE_GONE);
    gone->id = g_strdup(vm);
    gone->host = g_strdup("h1");
    world_event(world, gone);
    world_expect(world, COMMAND_STREAM, execute);
    const struct command *finished = world_expect(world, COMMAND_STREAM, execute);
    ck_assert(finished->end);
    assert_body(finished, "execution.state", "failed");
    assert_body(finished, "execution.result.reason", "lost");
}
END_TEST

/* Rule: a client that goes away has its execution cancelled; a guest that does not obey loses its VM. */
START_TEST(test_client_gone)
{
    const guint64 execute = world_execute(world, EXECUTE);
    const char *vm = world_boot(world);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    struct event *gone = event_new(EVENT_CLIENT_GONE);
    gone->request = execute;
    world_event(world, gone);
    world_expect(world, COMMAND_CANCEL_RUN, 0);
    world_pass(world, 10000);
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, vm);
}
END_TEST

/* Rule: a foreign domain is never touched, an orphan of ours is removed, an instance that is not there is gone. */
START_TEST(test_inventory)
{
    world_notify(world, NOTIFY);
    world_boot(world);
    static const struct {
        const char *id, *owner;
    } found[] = {{"vm-orphan", "owner-1"}, {"vm-foreign", "owner-2"}};
    struct event *inventory = event_new(EVENT_HOST_INVENTORY);
    inventory->host = g_strdup("h1");
    inventory->inventory = g_ptr_array_new_with_free_func((GDestroyNotify)inventory_item_free);
    for (guint i = 0; i < G_N_ELEMENTS(found); i++) {
        struct inventory_item *item = g_new0(struct inventory_item, 1);
        item->instance_id = g_strdup(found[i].id);
        item->owner = g_strdup(found[i].owner);
        item->is_running = TRUE;
        g_ptr_array_add(inventory->inventory, item);
    }
    world_pass(world, 1);
    world_event(world, inventory);
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, "vm-orphan");
    ck_assert_ptr_null(world_take(world, COMMAND_DESTROY, 0));
    world_expect(world, COMMAND_BOOT, 0); /* in place of the one that was not there */
}
END_TEST

static struct world *restart(struct world *before)
{
    struct world *after = world_new("quickstart.yaml");
    after->now = before->now + 1000;
    GHashTable *newest = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    for (guint i = before->records->len; i > 0; i--) {
        struct record *record = before->records->pdata[i - 1];
        if (record->kind == RECORD_PUT && g_hash_table_add(newest, record->id))
            g_ptr_array_insert(records, 0, record);
    }
    core_rebuild(after->core, records, NULL, after->now);
    g_hash_table_unref(newest);
    struct event *up = event_new(EVENT_HOST_UP);
    up->host = g_strdup("h1");
    up->host_report = g_new0(struct host_report, 1);
    *up->host_report = (struct host_report){.cpus = 8, .memory_mib = 16384};
    world_event(after, up);
    return after;
}

static void inventory_of(struct world *at, const char *id)
{
    struct event *event = event_new(EVENT_HOST_INVENTORY);
    event->host = g_strdup("h1");
    event->inventory = g_ptr_array_new_with_free_func((GDestroyNotify)inventory_item_free);
    struct inventory_item *item = g_new0(struct inventory_item, 1);
    item->instance_id = g_strdup(id);
    item->owner = g_strdup("owner-1");
    item->is_running = TRUE;
    g_ptr_array_add(event->inventory, item);
    world_event(at, event);
}

/* Rule: after a restart a ready VM that nobody used is adopted, and serves its reservation. */
START_TEST(test_restart_adopts)
{
    g_autofree char *id =
        world_body_string(world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY)), "reservation.id");
    const char *vm = world_boot(world);
    struct world *after = restart(world);
    inventory_of(after, vm);
    const struct command *adopt = world_expect(after, COMMAND_ADOPT, 0);
    ck_assert_str_eq(adopt->id, vm);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, adopt);
    ready->shape = adopt->boot->shape;
    world_event(after, ready);
    const guint64 execute = world_execute(after, EXECUTE);
    ck_assert_str_eq(world_expect(after, COMMAND_RUN, 0)->id, vm);
    (void)execute;
    ck_assert_ptr_null(world_take(after, COMMAND_BOOT, 0));
    world_free(after);
}
END_TEST

/* Rule: after a restart an acknowledged notification is still there, and is started in time. */
START_TEST(test_restart_keeps_notifications)
{
    const guint64 notify = world_notify(world, NOTIFY_LATER);
    g_autofree char *id = world_body_string(world_expect(world, COMMAND_REPLY, notify), "reservation.id");
    struct world *after = restart(world);
    /* the record leaves out what follows from the rest */
    const struct command *before_it = world_expect(world, COMMAND_REPLY, world_get(world, id));
    const struct command *after_it = world_expect(after, COMMAND_REPLY, world_get(after, id));
    g_autofree char *demand = world_body_string(before_it, "demand");
    g_autofree char *demand_after = world_body_string(after_it, "demand");
    g_autofree char *timeline = world_body_string(after_it, "timeline");
    ck_assert_str_eq(demand, demand_after);
    ck_assert_msg(strstr(timeline, "notification accepted") != NULL && strstr(timeline, "start scheduled") != NULL &&
                      strstr(timeline, "restarted") != NULL,
                  "%s", timeline);
    ck_assert_ptr_null(world_take(after, COMMAND_BOOT, 0));
    world_pass(after, 60000);
    world_expect(after, COMMAND_BOOT, 0);
    world_free(after);
}
END_TEST

/* Rule: after a restart what ran is reported as interrupted, and its VM destroyed. */
START_TEST(test_restart_interrupts)
{
    world_execute(world, EXECUTE);
    const char *vm = world_boot(world);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    struct world *after = restart(world);
    inventory_of(after, vm);
    ck_assert_str_eq(world_expect(after, COMMAND_DESTROY, 0)->id, vm);
    gboolean is_interrupted = FALSE;
    for (guint i = 0; i < after->records->len; i++) {
        const struct record *record = after->records->pdata[i];
        is_interrupted |= record->object == OBJECT_EXECUTION && record->state == EXECUTION_INTERRUPTED;
    }
    ck_assert(is_interrupted);
    world_free(after);
}
END_TEST

/* Rule: on shutdown every VM goes, acknowledged reservations stay in the database. */
START_TEST(test_shutdown)
{
    world_notify(world, NOTIFY);
    world_boot(world);
    ck_assert(!core_is_drained(world->core));
    world_event(world, event_new(EVENT_SHUTDOWN));
    world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, world_expect(world, COMMAND_DESTROY, 0)));
    ck_assert(core_is_drained(world->core));
    const guint64 late = world_notify(world, NOTIFY);
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, late)->error->code, HBR_ERROR_UNAVAILABLE);
    struct world *after = restart(world);
    world_pass(after, 10);
    world_expect(after, COMMAND_BOOT, 0);
    world_free(after);
}
END_TEST

/* Rule: a host that dies harms nobody else: what waited there is started on another. */
START_TEST(test_host_down)
{
    world_notify(world, NOTIFY);
    world_boot(world);
    world_add_host(world, "h2", 8, 16384);
    struct event *down = event_new(EVENT_HOST_DOWN);
    down->host = g_strdup("h1");
    world_event(world, down);
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_eq(boot->host, "h2");
}
END_TEST

/* Rule: where nobody learns, models are refused, and nobody is asked. */
START_TEST(test_no_learner)
{
    struct event *event = event_new(EVENT_MODEL_TRAIN);
    event->request = 4711;
    world_event(world, event);
    const struct command *reply = world_expect(world, COMMAND_REPLY, 4711);
    ck_assert(g_error_matches(reply->error, HBR_ERROR, HBR_ERROR_UNSUPPORTED));
    ck_assert_ptr_null(world_take(world, COMMAND_MODEL_TRAIN, 0));
}
END_TEST

/* Rule: what the other amounts would have cost is worked out for who asks why, and for nobody else. */
START_TEST(test_amounts_are_explained)
{
    struct event *explain = event_new(EVENT_EXPLAIN);
    explain->request = ++world->request;
    explain->notification = codec_decode_text(&notification_codec, NOTIFY_LATER, strlen(NOTIFY_LATER),
                                              MODEL_NOTIFICATION_MAX, CODEC_CLIENT, NULL);
    const guint64 request = explain->request;
    world_event(world, explain);
    g_autofree char *dry = world_body_string(world_expect(world, COMMAND_REPLY, request), "reservation.amounts");
    ck_assert_ptr_nonnull(strstr(dry, "\"resource\": \"memory\", \"quantile\": 0.9"));
    ck_assert_ptr_nonnull(strstr(dry, "\"verdict\": \"covers the demand\""));

    const struct command *reply = world_expect(world, COMMAND_REPLY, world_notify(world, NOTIFY_LATER));
    g_autofree char *receipt = world_body_string(reply, "reservation.amounts");
    ck_assert_ptr_null(receipt);
    g_autofree char *id = world_body_string(reply, "reservation.id");
    struct event *list = world_query(world, "reservation", NULL);
    const guint64 listed = list->request;
    world_event(world, list);
    g_autofree char *all = world_body_string(world_expect(world, COMMAND_REPLY, listed), "reservations");
    ck_assert_ptr_nonnull(strstr(all, id));
    ck_assert_ptr_null(strstr(all, "less_cost"));
    g_autofree char *known = world_body_string(world_expect(world, COMMAND_REPLY, world_get(world, id)), "amounts");
    ck_assert_str_eq(known, dry);
}
END_TEST

/* Each look is 70 microseconds after the one before. */
static gint64 slow_watch(void)
{
    static gint64 now_us;
    return now_us += 70;
}

/* Rule: the core reads no clock; it is lent one to count by, or counts nothing. */
START_TEST(test_prediction_times)
{
    g_autofree char *without = core_metrics_text(world->core);
    ck_assert_ptr_null(strstr(without, "prediction_seconds"));
    teardown();
    world_stopwatch = slow_watch;
    setup();
    world_stopwatch = NULL;
    world_notify(world, NOTIFY);
    world_notify(world, NOTIFY_LATER);
    g_autofree char *text = core_metrics_text(world->core);
    ck_assert_ptr_nonnull(strstr(text, "harbinger_prediction_seconds_bucket{le=\"0.000060\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "harbinger_prediction_seconds_bucket{le=\"0.000080\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "harbinger_prediction_seconds_bucket{le=\"+Inf\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "harbinger_prediction_seconds_sum 0.000140\n"));
    ck_assert_ptr_nonnull(strstr(text, "harbinger_prediction_seconds_count 2\n"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core");
    TCase *cases = tcase_create("scenarios");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_ack_waits_for_commit);
    tcase_add_test(cases, test_failed_commit_is_told);
    tcase_add_test(cases, test_notified_together);
    tcase_add_test(cases, test_failed_together);
    tcase_add_test(cases, test_whole_way);
    tcase_add_test(cases, test_start_is_back_scheduled);
    tcase_add_test(cases, test_no_show);
    tcase_add_test(cases, test_early_arrival);
    tcase_add_test(cases, test_idempotency);
    tcase_add_test(cases, test_on_demand);
    tcase_add_test(cases, test_guess);
    tcase_add_test(cases, test_bad_times);
    tcase_add_test(cases, test_amounts_are_explained);
    tcase_add_test(cases, test_no_learner);
    tcase_add_test(cases, test_prediction_times);
    tcase_add_test(cases, test_larger_than_any_host);
    tcase_add_test(cases, test_queue_by_deadline);
    tcase_add_test(cases, test_growth);
    tcase_add_test(cases, test_growth_without_room);
    tcase_add_test(cases, test_network_growth);
    tcase_add_test(cases, test_policy_load);
    tcase_add_test(cases, test_uncovered_request);
    tcase_add_test(cases, test_deadline_of_bound_execution);
    tcase_add_test(cases, test_host_detached);
    tcase_add_test(cases, test_lost_instances);
    tcase_add_test(cases, test_client_gone);
    tcase_add_test(cases, test_inventory);
    tcase_add_test(cases, test_restart_adopts);
    tcase_add_test(cases, test_restart_keeps_notifications);
    tcase_add_test(cases, test_restart_interrupts);
    tcase_add_test(cases, test_shutdown);
    tcase_add_test(cases, test_host_down);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
