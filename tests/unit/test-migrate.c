/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "core-fixture.h"
#include "policy-fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Migration: the last resort of a full host. What is moved, when, and what the books of both hosts say meanwhile. */

#define POLICY(scaling, more)                                                                            \
    "profiles:\n"                                                                                        \
    "  - { name: p, template: base, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 4, memory: 2 GiB } }\n" \
    "classes:\n"                                                                                         \
    "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: 0.2, p90: 0.3, p99: 0.4 },\n"    \
    "      memory: { p50: 100 MiB, p90: 150 MiB, p99: 200 MiB } } }\n"                                   \
    "scaling: { " scaling " }\n" more
#define ON "migrate: true"
#define EXECUTE(function) "{\"code\":{\"function\":\"" function "\"},\"program\":{\"argv\":[\"true\"]}}"
#define NOTIFY(function, more) "{\"code\":{\"function\":\"" function "\"" more "}}"

static struct world *world;
static const struct command *run; /* the code that runs on h1 */

static const struct host *host(const char *name)
{
    return core_host(world->core, name);
}

static void check_books(guint h1_mib, guint h1_count, guint h2_mib, guint h2_count)
{
    ck_assert_uint_eq(host("h1")->committed_memory_mib, h1_mib);
    ck_assert_uint_eq(host("h1")->instance_count, h1_count);
    ck_assert_uint_eq(host("h2")->committed_memory_mib, h2_mib);
    ck_assert_uint_eq(host("h2")->instance_count, h2_count);
    ck_assert_uint_eq(host("h1")->committed_vcpus, h1_count);
    ck_assert_uint_eq(host("h2")->committed_vcpus, h2_count);
}

/* Code runs on h1; h2 is not there yet. */
static void begin(const char *policy, guint memory_mib)
{
    g_autoptr(GError) error = NULL;
    struct policy *parsed = policy_of_text("test.yaml", policy, &error);
    ck_assert_msg(parsed != NULL, "%s", error != NULL ? error->message : "");
    world = world_new_of(parsed);
    world_add_host(world, "h1", 16, memory_mib);
    world_execute(world, EXECUTE("f"));
    world_boot(world);
    run = world_expect(world, COMMAND_RUN, 0);
    world_event(world, world_answer(EVENT_RUN_STARTED, run));
}

static void end(void)
{
    world_free(world);
}

/* One that waits for its request. */
static const char *wait_ready(const char *notify)
{
    world_notify(world, notify);
    return world_boot(world);
}

static void press(const char *vm)
{
    struct event *event = event_new(EVENT_SAMPLE);
    event->host = g_strdup("h1");
    event->id = g_strdup(vm);
    event->sample = g_new0(struct usage_sample, 1);
    *event->sample = (struct usage_sample){.at = world->now,
                                           .has_guest = TRUE,
                                           .pressure = PRESSURE_MEMORY,
                                           .runnable = 1,
                                           .memory_used_mib = 380,
                                           .memory_total_mib = 2048};
    world_event(world, event);
}

/* h1 is full: code runs, and one waits. h2 is empty. */
static const char *begin_full(const char *policy)
{
    begin(policy, 1024);
    const char *ready = wait_ready(NOTIFY("g", ""));
    world_add_host(world, "h2", 16, 4096);
    check_books(1024, 2, 0, 0);
    return ready;
}

static const struct command *begin_migration(void)
{
    begin_full(POLICY(ON, ""));
    press(run->id);
    return world_expect(world, COMMAND_MIGRATE, 0);
}

static void answer(const struct command *migrate, int code)
{
    struct event *event = world_answer(EVENT_INSTANCE_MIGRATED, migrate);
    event->text = g_strdup(migrate->host_spec->name);
    if (code >= 0)
        event->error = hbr_error_new(code, "it did not work");
    world_event(world, event);
}

static void prove(const char *host_name)
{
    const struct command *adopt = world_expect(world, COMMAND_ADOPT, 0);
    ck_assert_str_eq(adopt->host, host_name);
    ck_assert(adopt->boot->is_migrated);
    struct event *ready = world_answer(EVENT_INSTANCE_READY, adopt);
    ready->shape = adopt->boot->shape;
    world_event(world, ready);
}

static void fail_proof(void)
{
    struct event *failed = world_answer(EVENT_INSTANCE_FAILED, world_expect(world, COMMAND_ADOPT, 0));
    failed->error = hbr_error_new(HBR_ERROR_TIMEOUT, "its agent has not answered");
    world_event(world, failed);
}

static char *body_string(const char *object, const char *id, const char *path)
{
    struct event *query = world_query(world, object, id);
    const guint64 request = query->request;
    world_event(world, query);
    return world_body_string(world_expect(world, COMMAND_REPLY, request), path);
}

static void check_string(const char *object, const char *id, const char *path, const char *expected)
{
    g_autofree char *value = body_string(object, id, path);
    ck_assert_msg(value != NULL && strstr(value, expected) != NULL, "%s %s: %s", object, path, value);
}

static gint64 metric(const char *name)
{
    struct event *event = event_new(EVENT_QUERY);
    event->request = ++world->request;
    event->query = g_new0(struct query, 1);
    event->query->kind = QUERY_METRICS;
    const guint64 request = event->request;
    world_event(world, event);
    gsize length;
    const char *text = g_bytes_get_data(world_expect(world, COMMAND_REPLY, request)->body, &length);
    g_autofree char *line = g_strdup_printf("\nharbinger_%s ", name);
    g_autofree char *all = g_strndup(text, length);
    const char *found = strstr(all, line);
    ck_assert_msg(found != NULL, "%s", name);
    return g_ascii_strtoll(found + strlen(line), NULL, 10);
}

static void expect_none(enum command_kind kind)
{
    ck_assert_ptr_null(world_take(world, kind, 0));
}

static void expect_growth(void)
{
    ck_assert_str_eq(world_expect(world, COMMAND_SHAPE, 0)->id, run->id);
}

static void host_down(const char *name)
{
    struct event *down = event_new(EVENT_HOST_DOWN);
    down->host = g_strdup(name);
    down->error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "gone");
    world_event(world, down);
}

static gboolean second_is_stopped; /* what is second on a list does not run */

static gint64 listed_at; /* 0: now */

/* The list of a host with these on it; NULL: nothing. */
static void list(const char *name, const char *id, const char *other_id)
{
    struct event *event = event_new(EVENT_HOST_INVENTORY);
    event->host = g_strdup(name);
    event->at = listed_at;
    event->inventory = g_ptr_array_new_with_free_func((GDestroyNotify)inventory_item_free);
    const char *const ids[] = {id, other_id};
    for (guint i = 0; i < G_N_ELEMENTS(ids) && ids[i] != NULL; i++) {
        struct inventory_item *item = g_new0(struct inventory_item, 1);
        *item = (struct inventory_item){
            .instance_id = g_strdup(ids[i]), .owner = g_strdup("owner-1"), .is_running = i == 0 || !second_is_stopped};
        g_ptr_array_add(event->inventory, item);
    }
    world_event(world, event);
}

/* Rule: it is booked there before it goes and here until it has gone, and only then the code that runs grows; it is told everywhere. */
START_TEST(test_moves)
{
    const struct command *migrate = begin_migration();
    g_autofree char *reservation = body_string("instance", migrate->id, "reservation_id");
    ck_assert_str_eq(migrate->host, "h1");
    ck_assert_str_eq(migrate->host_spec->name, "h2");
    ck_assert_int_gt(migrate->count, 0);
    check_books(1024, 2, 512, 1);
    expect_none(COMMAND_SHAPE);
    answer(migrate, -1);
    expect_growth();
    ck_assert_uint_eq(host("h1")->instance_count, 1);
    ck_assert_uint_eq(host("h2")->committed_memory_mib, 512);
    prove("h2");
    check_string("instance", migrate->id, "host", "h2");
    check_string("reservation", reservation, "host", "h2");
    check_string("reservation", reservation, "state", "ready");
    check_string("reservation", reservation, "timeline", "migrated");
    check_string("instance", migrate->id, "timeline", "proven ready again");
    ck_assert_int_eq(metric("migrations_total"), 1);
    ck_assert_int_eq(metric("migrations_failed_total"), 0);
    world_execute(world, EXECUTE("g"));
    ck_assert_str_eq(world_expect(world, COMMAND_RUN, 0)->host, "h2");
    end();
}
END_TEST

/* Rule: not unless the policy says so. */
START_TEST(test_is_off)
{
    begin_full(POLICY("", ""));
    press(run->id);
    expect_none(COMMAND_MIGRATE);
    end();
}
END_TEST

/* Rule: it is the last resort: slack, and what shrinks already, come first. */
START_TEST(test_slack_first)
{
    begin(POLICY(ON, ""), 1920);
    const struct command *needy = run;
    world_execute(world, EXECUTE("f"));
    world_boot(world);
    const struct command *rich = world_expect(world, COMMAND_RUN, 0);
    world_event(world, world_answer(EVENT_RUN_STARTED, rich));
    wait_ready(NOTIFY("g", ""));
    press(rich->id);
    const struct command *grown = world_expect(world, COMMAND_SHAPE, 0);
    struct event *shaped = world_answer(EVENT_INSTANCE_SHAPED, grown);
    shaped->shape = grown->shape;
    world_event(world, shaped);
    world_add_host(world, "h2", 16, 4096);
    for (guint i = 0; i < 2; i++) {
        struct event *look = event_new(EVENT_SAMPLE);
        look->host = g_strdup("h1");
        look->id = g_strdup(rich->id);
        look->sample = g_new0(struct usage_sample, 1);
        world_pass(world, 1000);
        *look->sample = (struct usage_sample){.at = world->now,
                                              .has_guest = TRUE,
                                              .cpu_used = 0.2,
                                              .runnable = 0.2,
                                              .memory_used_mib = 60,
                                              .memory_total_mib = 2048,
                                              .vcpus_online = 4};
        world_event(world, look);
    }
    press(needy->id);
    const struct command *shrink = world_expect(world, COMMAND_SHAPE, 0);
    ck_assert_str_eq(shrink->id, rich->id);
    expect_none(COMMAND_MIGRATE);
    press(needy->id);
    expect_none(COMMAND_MIGRATE);
    end();
}
END_TEST

/* Rule: the one with the least memory of those that are enough, one at a time, and none that a program stands staged in, or that was asked for. */
START_TEST(test_choice)
{
    begin(POLICY(ON, ""), 2560);
    const char *const ready[] = {wait_ready(NOTIFY("g", "")), wait_ready(NOTIFY("h", "")),
                                 wait_ready("{\"code\":{\"function\":\"i\"},\"program\":{\"argv\":[\"true\"]}}")};
    ck_assert_str_eq(world_expect(world, COMMAND_STAGE, 0)->id, ready[2]);
    struct event *shape = event_new(EVENT_INSTANCE_SHAPE);
    shape->request = ++world->request;
    shape->id = g_strdup(ready[0]);
    shape->shape.memory_mib = 1024;
    world_event(world, shape);
    const struct command *grow = world_expect(world, COMMAND_SHAPE, 0);
    struct event *shaped = world_answer(EVENT_INSTANCE_SHAPED, grow);
    shaped->shape = grow->shape;
    world_event(world, shaped);
    world_add_host(world, "h2", 16, 4096);
    world_add_host(world, "h3", 16, 2048);
    ck_assert_uint_eq(host("h1")->committed_memory_mib, 2560);
    press(run->id);
    const struct command *migrate = world_expect(world, COMMAND_MIGRATE, 0);
    ck_assert_str_eq(migrate->id, ready[1]); /* the first has more memory */
    press(run->id);
    expect_none(COMMAND_MIGRATE);
    end();
}
END_TEST

/* Rule: nor are two moved to one host at a time. */
START_TEST(test_target_has_one_at_a_time)
{
    begin(POLICY(ON, ""), 1024);
    wait_ready(NOTIFY("g", ""));
    world_add_host(world, "h3", 16, 1024);
    world_execute(world, EXECUTE("f"));
    const char *vm = world_boot(world);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    wait_ready(NOTIFY("h", ""));
    world_add_host(world, "h2", 16, 4096);
    press(run->id);
    const struct command *first = world_expect(world, COMMAND_MIGRATE, 0);
    ck_assert_str_eq(first->host, "h1");
    press(vm);
    expect_none(COMMAND_MIGRATE);
    answer(first, -1);
    press(vm);
    ck_assert_str_eq(world_expect(world, COMMAND_MIGRATE, 0)->host, "h3");
    end();
}
END_TEST

/* Rule: only to a host that is up, has room, carries its labels, and has what the guest was made with. */
START_TEST(test_target)
{
    static const struct {
        guint memory_mib;
        const char *network, *label, *wanted_label;
        gboolean is_down, is_expected;
    } cases[] = {
        {512, NULL, NULL, NULL, FALSE, TRUE},    {511, NULL, NULL, NULL, FALSE, FALSE},
        {512, "user", NULL, NULL, FALSE, FALSE}, {512, NULL, NULL, "a", FALSE, FALSE},
        {512, NULL, "a", "a", FALSE, TRUE},      {512, NULL, NULL, NULL, TRUE, FALSE},
    };
    begin(POLICY(ON, ""), 512);
    for (guint i = 0; i < 2; i++) {
        struct event *attach = event_new(EVENT_HOST_ATTACH);
        attach->host_spec = g_new0(struct host_spec, 1);
        attach->host_spec->name = g_strdup(i == 0 ? "h0" : "h2");
        attach->host_spec->uri = g_strdup("sim:test");
        attach->host_spec->network = i == 1 ? g_strdup(cases[_i].network) : NULL;
        const char *labels[] = {i == 0 ? cases[_i].wanted_label : cases[_i].label, NULL};
        attach->host_spec->labels = g_strdupv((char **)labels);
        world_event(world, attach);
    }
    struct event *up = event_new(EVENT_HOST_UP);
    up->host = g_strdup("h0");
    up->host_report = g_new0(struct host_report, 1);
    *up->host_report = (struct host_report){.cpus = 16, .memory_mib = 1024, .acceleration = ACCELERATION_MODEL};
    world_event(world, up);
    g_autofree char *label =
        cases[_i].wanted_label != NULL ? g_strdup_printf(",\"labels\":[\"%s\"]", cases[_i].wanted_label) : g_strdup("");
    g_autofree char *notify = g_strdup_printf("{\"code\":{\"function\":\"g\"%s}}", label);
    wait_ready(notify);
    world_execute(world, EXECUTE("f"));
    const char *vm = world_boot(world);
    world_event(world, world_answer(EVENT_RUN_STARTED, world_expect(world, COMMAND_RUN, 0)));
    up = event_new(EVENT_HOST_UP);
    up->host = g_strdup("h2");
    up->host_report = g_new0(struct host_report, 1);
    *up->host_report =
        (struct host_report){.cpus = 16, .memory_mib = cases[_i].memory_mib, .acceleration = ACCELERATION_MODEL};
    world_event(world, up);
    if (cases[_i].is_down)
        host_down("h2");
    press(vm);
    const struct command *migrate = world_take(world, COMMAND_MIGRATE, 0);
    ck_assert_int_eq(migrate != NULL, cases[_i].is_expected);
    if (migrate != NULL)
        ck_assert_str_eq(migrate->host_spec->name, "h2");
    end();
}
END_TEST

/* Rule: a failure leaves it where it was, ready after it was proven there, with the books as before, and is not repeated. */
START_TEST(test_fails)
{
    const struct command *migrate = begin_migration();
    answer(migrate, HBR_ERROR_HYPERVISOR);
    check_books(1024, 2, 0, 0);
    prove("h1");
    check_string("instance", migrate->id, "timeline", "it did not work");
    ck_assert_int_eq(metric("migrations_failed_total"), 1);
    ck_assert_int_eq(metric("migrations_total"), 0);
    press(run->id);
    expect_none(COMMAND_MIGRATE);
    world_execute(world, EXECUTE("g"));
    ck_assert_str_eq(world_expect(world, COMMAND_RUN, 0)->host, "h1");
    end();
}
END_TEST

/* Rule: a request that comes meanwhile waits for the end of the migration, however that goes. */
START_TEST(test_request_meanwhile)
{
    const struct command *migrate = begin_migration();
    world_execute(world, EXECUTE("g"));
    expect_none(COMMAND_RUN);
    answer(migrate, _i == 0 ? -1 : HBR_ERROR_HYPERVISOR);
    expect_none(COMMAND_RUN);
    if (_i == 2)
        fail_proof();
    else
        prove(_i == 0 ? "h2" : "h1");
    if (_i == 2)
        world_boot(world);
    const struct command *begun = world_expect(world, COMMAND_RUN, 0);
    ck_assert_int_eq(strcmp(begun->id, migrate->id) == 0, _i != 2);
    ck_assert_str_eq(begun->host, _i == 1 ? "h1" : "h2");
    end();
}
END_TEST

/* Rule: what is not proven where it has come to is lost, and its reservation served by another. */
START_TEST(test_proof_fails)
{
    const struct command *migrate = begin_migration();
    answer(migrate, -1);
    expect_growth();
    fail_proof();
    check_string("instance", migrate->id, "state", "gone");
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_eq(boot->host, "h2");
    ck_assert_uint_eq(host("h2")->committed_memory_mib, 512);
    ck_assert_uint_eq(host("h2")->instance_count, 1);
    end();
}
END_TEST

/* Rule: a target that dies on the way is a failure like others. */
START_TEST(test_target_dies)
{
    const struct command *migrate = begin_migration();
    host_down("h2");
    check_books(1024, 2, 512, 1);
    answer(migrate, HBR_ERROR_UNAVAILABLE);
    check_books(1024, 2, 0, 0);
    prove("h1");
    check_string("instance", migrate->id, "state", "ready");
    end();
}
END_TEST

/* Rule: one whose source dies on the way is given up, wherever it got to. */
START_TEST(test_source_dies)
{
    const struct command *migrate = begin_migration();
    host_down("h1");
    const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
    ck_assert_str_eq(destroy->id, migrate->id);
    answer(migrate, _i == 0 ? HBR_ERROR_UNAVAILABLE : -1);
    const struct command *stray = world_take(world, COMMAND_DESTROY, 0);
    ck_assert_int_eq(stray != NULL, _i == 1);
    if (stray != NULL)
        ck_assert_str_eq(stray->host, "h2");
    expect_none(COMMAND_ADOPT);
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0); /* for its reservation */
    ck_assert_str_eq(boot->host, "h2");
    check_books(1024, 2, 512, 1);
    world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
    ck_assert_uint_eq(host("h1")->instance_count, 1);
    ck_assert_uint_eq(host("h2")->committed_memory_mib, 512);
    ck_assert_uint_eq(host("h2")->instance_count, 1);
    end();
}
END_TEST

/* Rule: one that is given up on its way leaves nothing on the books, nor on the target. */
START_TEST(test_destroyed_meanwhile)
{
    const struct command *migrate = begin_migration();
    struct event *remove = event_new(EVENT_REMOVE);
    remove->request = ++world->request;
    remove->object = OBJECT_RESERVATION;
    remove->id = body_string("instance", migrate->id, "reservation_id");
    world_event(world, remove);
    const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
    if (_i == 0)
        answer(migrate, HBR_ERROR_CANCELLED);
    world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
    expect_growth();
    ck_assert_uint_eq(host("h1")->instance_count, 1);
    ck_assert_uint_eq(host("h2")->committed_memory_mib, 0);
    ck_assert_uint_eq(host("h2")->instance_count, 0);
    if (_i == 1) { /* it came too late */
        answer(migrate, -1);
        ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->host, "h2");
        ck_assert_uint_eq(host("h2")->instance_count, 0);
    }
    end();
}
END_TEST

/* Rule: its shape is not changed meanwhile. */
START_TEST(test_shape_by_hand)
{
    const struct command *migrate = begin_migration();
    struct event *shape = event_new(EVENT_INSTANCE_SHAPE);
    const guint64 request = shape->request = ++world->request;
    shape->id = g_strdup(migrate->id);
    shape->shape.memory_mib = 1024;
    world_event(world, shape);
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, request)->error->code, HBR_ERROR_CONFLICT);
    end();
}
END_TEST

/* Rule: lists made while it was on its way, or before, change nothing. */
START_TEST(test_lists)
{
    const struct command *migrate = begin_migration();
    list("h1", run->id, NULL);
    second_is_stopped = TRUE;
    list("h1", run->id, migrate->id);
    second_is_stopped = FALSE;
    list("h2", migrate->id, NULL);
    check_string("instance", migrate->id, "state", "ready");
    answer(migrate, -1);
    list("h2", NULL, NULL);
    const gint64 before = world->now;
    world_pass(world, 1000);
    prove("h2");
    listed_at = before;
    list("h2", NULL, NULL);
    listed_at = 0;
    list("h1", run->id, migrate->id);
    list("h1", run->id, NULL);
    check_string("instance", migrate->id, "state", "ready");
    expect_none(COMMAND_DESTROY);
    world_pass(world, 1000);
    list("h2", NULL, NULL);
    check_string("instance", migrate->id, "state", "gone");
    end();
}
END_TEST

static Suite *migrate_suite(void)
{
    Suite *suite = suite_create("migrate");
    TCase *cases = tcase_create("core");
    tcase_add_test(cases, test_moves);
    tcase_add_test(cases, test_is_off);
    tcase_add_test(cases, test_slack_first);
    tcase_add_test(cases, test_choice);
    tcase_add_test(cases, test_target_has_one_at_a_time);
    tcase_add_loop_test(cases, test_target, 0, 6);
    tcase_add_test(cases, test_fails);
    tcase_add_loop_test(cases, test_request_meanwhile, 0, 3);
    tcase_add_test(cases, test_proof_fails);
    tcase_add_test(cases, test_target_dies);
    tcase_add_loop_test(cases, test_source_dies, 0, 2);
    tcase_add_loop_test(cases, test_destroyed_meanwhile, 0, 2);
    tcase_add_test(cases, test_shape_by_hand);
    tcase_add_test(cases, test_lists);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(migrate_suite());
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
