/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "base/error.h"
#include "core-fixture.h"
#include "policy-fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Warm pools, the ladder of paths, reuse, and code in place: the core alone, its hosts played by the test. */

#define POLICY_HEAD                                                                                             \
    "profiles:\n"                                                                                               \
    "  - { name: small, template: t, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 4, memory: 2 GiB } }\n"       \
    "  - { name: large, template: t, vcpus: 4, memory: 2 GiB }\n"                                               \
    "classes:\n"                                                                                                \
    "  - { name: small, score_max: 50, profile: small, demand: { vcpus: { p50: 1, p90: 1, p99: 1 },"            \
    " memory: { p50: 64 MiB, p90: 128 MiB, p99: 256 MiB } } }\n"                                                \
    "  - { name: large, score_max: 100, profile: large, demand: { vcpus: { p50: 3, p90: 4, p99: 4 },"           \
    " memory: { p50: 1 GiB, p90: 1800 MiB, p99: 1900 MiB } } }\n"                                               \
    "rules:\n"                                                                                                  \
    "  - { name: heavy, when: { algorithm: matrix }, then: { score: 80 } }\n"                                   \
    "functions:\n"                                                                                              \
    "  - { name: again, function: \"again*\", reuse_max: 2, reuse_keep: 30 s }\n"                               \
    "  - { name: shared, function: \"shared*\", share_code: true, preload_libraries: true, preload: [json] }\n" \
    "  - { name: plain, function: \"plain*\", stage: false }\n"                                                 \
    "warming: { warmups: 2, warmups_per_host: 1 }\n"                                                            \
    "pools:\n"                                                                                                  \
    "  - name: p\n    template: t\n    vcpus: 1\n    memory: 256 MiB\n"
#define POOL_MAXIMUM "    maximum: { vcpus: 4, memory: 2 GiB }\n"

#define NOTIFY "{\"code\":{\"function\":\"f\",\"language\":\"python\"}}"
#define NOTIFY_LARGE "{\"code\":{\"function\":\"f\",\"algorithm\":\"matrix\"}}"
#define PROGRAM "\"program\":{\"interpreter\":\"python3\",\"source\":\"print(1)\"}"
#define ANNOUNCED(function) "{\"code\":{\"function\":\"" function "\",\"libraries\":[\"csv\"]}," PROGRAM "}"
#define NOTIFY_LATER "{\"code\":{\"function\":\"f\"},\"arrival_in_ms\":60000}"

static struct world *world;

static struct policy *policy_with(const char *stock)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strconcat(POLICY_HEAD, strstr(stock, "maximum") == NULL ? POOL_MAXIMUM : "", stock, NULL);
    struct policy *policy = policy_of_text("x.yaml", text, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    return policy;
}

static void begin(const char *stock)
{
    world = world_new_of(policy_with(stock));
    world_add_host(world, "h1", 8, 8192);
}

static void teardown(void)
{
    world_free(world);
}

/* Answers a boot or claim with the shape that it asked for. */
static void answer_ready(const struct command *command)
{
    struct event *ready = world_answer(EVENT_INSTANCE_READY, command);
    ready->shape = command->boot->shape;
    world_event(world, ready);
}

/* The oldest boot or claim of the kind, after the time that it takes. */
static const char *make_ready(enum command_kind kind)
{
    const struct command *command = world_expect(world, kind, 0);
    world_pass(world, kind == COMMAND_CLAIM ? 5 : command->boot->saved != NULL ? 300 : 2000);
    answer_ready(command);
    return command->id;
}

static const char *answer_pause(void)
{
    const struct command *pause = world_expect(world, COMMAND_PAUSE, 0);
    world_event(world, world_answer(EVENT_INSTANCE_PAUSED, pause));
    return pause->id;
}

static const char *answer_save(GError *error)
{
    const struct command *save = world_expect(world, COMMAND_SAVE, 0);
    struct event *saved = world_answer(EVENT_INSTANCE_SAVED, save);
    saved->saved = error == NULL ? saved_state_copy(save->saved) : NULL;
    saved->error = error;
    world_event(world, saved);
    return save->saved->id;
}

static void assert_none(enum command_kind kind)
{
    const struct command *command = world_take(world, kind, 0);
    ck_assert_msg(command == NULL, "unexpected %s of %s", codec_word(&command_kind_words, kind),
                  command != NULL ? command->id : "");
}

static struct pool *pool_now(void)
{
    const guint64 request = world->request + 1;
    world_event(world, world_query(world, "pool", "p@h1"));
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    gsize length;
    ck_assert_msg(reply->error == NULL, "%s", reply->error != NULL ? reply->error->message : "");
    const char *text = g_bytes_get_data(reply->body, &length);
    struct pool *pool = codec_decode_text(&pool_codec, text, length, G_MAXINT, CODEC_STORE, NULL);
    ck_assert_ptr_nonnull(pool);
    return pool;
}

static void assert_stock(guint running, guint paused, guint saved)
{
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_msg(pool->stock.running == running && pool->stock.paused == paused && pool->stock.saved == saved,
                  "stock is %u/%u/%u", pool->stock.running, pool->stock.paused, pool->stock.saved);
}

static void assert_miss(const char *reason)
{
    g_autoptr(pool_auto) pool = pool_now();
    for (guint i = 0; pool->miss_reasons != NULL && i < pool->miss_reasons->len; i++)
        if (g_str_equal(((struct pool_miss *)pool->miss_reasons->pdata[i])->reason, reason))
            return;
    ck_abort_msg("no miss \"%s\" among %" G_GUINT64_FORMAT, reason, pool->misses);
}

static char *notify(const char *json)
{
    const guint64 request = world_notify(world, json);
    const struct command *reply = world_expect(world, COMMAND_REPLY, request);
    ck_assert_msg(reply->error == NULL, "%s", reply->error != NULL ? reply->error->message : "");
    return world_body_string(reply, "reservation.id");
}

static char *reservation_member(const char *id, const char *member)
{
    const struct command *reply = world_expect(world, COMMAND_REPLY, world_get(world, id));
    return world_body_string(reply, member);
}

static void assert_reservation(const char *id, const char *member, const char *expected)
{
    g_autofree char *value = reservation_member(id, member);
    ck_assert_msg(g_strcmp0(value, expected) == 0, "%s of %s is %s, not %s", member, id, value, expected);
}

static void load_policy(const char *stock)
{
    struct event *load = event_new(EVENT_POLICY_LOAD);
    load->request = ++world->request;
    load->policy = policy_with(stock);
    load->policy_sources = g_ptr_array_new();
    world_event(world, load);
}

static void set_pool(struct pool_setting setting)
{
    struct event *set = event_new(EVENT_POOL_SET);
    set->request = ++world->request;
    set->id = g_strdup("p@h1");
    set->pool_setting = g_new0(struct pool_setting, 1);
    *set->pool_setting = setting;
    world_event(world, set);
    ck_assert_ptr_null(world_expect(world, COMMAND_REPLY, world->request)->error);
}

static void drain_pool(void)
{
    struct event *drain = event_new(EVENT_POOL_DRAIN);
    drain->request = ++world->request;
    drain->id = g_strdup("p@h1");
    drain->eof = TRUE;
    world_event(world, drain);
}

static void take_inventory(const char *vm)
{
    struct event *inventory = event_new(EVENT_HOST_INVENTORY);
    inventory->host = g_strdup("h1");
    inventory->inventory = g_ptr_array_new_with_free_func((GDestroyNotify)inventory_item_free);
    if (vm != NULL) {
        struct inventory_item *item = g_new0(struct inventory_item, 1);
        item->instance_id = g_strdup(vm);
        item->owner = g_strdup("owner-1");
        item->is_running = TRUE;
        g_ptr_array_add(inventory->inventory, item);
    }
    world_event(world, inventory);
}

/* Rule: a pool fills itself, no more warm-ups at a time than the policy allows, and turns what it has into what it lacks. */
START_TEST(a_pool_fills_to_its_floors)
{
    begin("    floor: { running: 1, paused: 2, saved: 1 }\n");
    const struct command *first = world_expect(world, COMMAND_BOOT, 0);
    world_pass(world, 2000);
    ck_assert_str_eq(first->boot->pool, "p@h1");
    ck_assert_uint_eq(first->boot->shape.memory_mib, 256);
    ck_assert_uint_eq(first->boot->maximum.vcpus, 4);
    ck_assert_ptr_null(first->boot->saved);
    assert_none(COMMAND_BOOT); /* one at a time on a host */
    answer_ready(first);
    assert_none(COMMAND_SAVE); /* the running floor comes first */
    make_ready(COMMAND_BOOT);
    const char *saved = answer_save(NULL);
    assert_stock(1, 0, 1);
    for (guint i = 0; i < 2; i++) {
        const struct command *clone = world_expect(world, COMMAND_BOOT, 0);
        ck_assert_str_eq(clone->boot->saved, saved); /* from then on warm-ups are clones */
        answer_ready(clone);
        answer_pause();
    }
    assert_stock(1, 2, 1);
    assert_none(COMMAND_BOOT);
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_uint_eq(pool->idle_mib, 3 * 256);
    ck_assert_uint_eq(pool->warmed, 4);
}
END_TEST

/* Rule: a claim takes a warm instance by "at least", gives it the shape of its reservation, and the refill begins at the take. */
START_TEST(a_claim_takes_and_the_refill_begins)
{
    begin("    floor: { running: 1 }\n");
    const char *vm = make_ready(COMMAND_BOOT);
    g_autofree char *id = notify(NOTIFY);
    const struct command *claim = world_expect(world, COMMAND_CLAIM, 0);
    ck_assert_str_eq(claim->id, vm);
    ck_assert_str_eq(claim->boot->reservation_id, id);
    ck_assert_uint_eq(claim->boot->shape.memory_mib, 512);
    ck_assert_str_eq(claim->boot->language, "python");
    assert_none(COMMAND_BOOT); /* warm-ups yield while a claim is under way */
    answer_ready(claim);
    assert_reservation(id, "state", "ready");
    assert_reservation(id, "path", "running");
    world_expect(world, COMMAND_BOOT, 0);
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_uint_eq(pool->hits, 1);
    ck_assert_uint_eq(pool->misses, 0);
    const struct pool_ledger *ledger = pool->ledger->pdata[0];
    ck_assert_uint_eq(ledger->path, PATH_RUNNING);
    ck_assert_uint_eq(ledger->kept, 1);
}
END_TEST

/* Rule: the fastest when time presses, the cheapest when it does not: warm stock is kept for those in a hurry. */
START_TEST(the_cheapest_path_that_is_in_time)
{
    begin("    floor: { running: 0, paused: 1, saved: 1 }\n");
    make_ready(COMMAND_BOOT);
    answer_save(NULL);
    make_ready(COMMAND_BOOT);
    const char *paused = answer_pause();
    g_autofree char *later = notify(NOTIFY_LATER);
    assert_reservation(later, "path", "saved");
    world_pass(world, 59300);
    const struct command *clone = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_ptr_nonnull(clone->boot->saved);
    ck_assert_str_eq(clone->boot->reservation_id, later);
    answer_ready(clone);
    g_autofree char *now = notify(NOTIFY);
    const struct command *claim = world_expect(world, COMMAND_CLAIM, 0);
    ck_assert_str_eq(claim->id, paused);
    assert_reservation(now, "path", "paused");
    g_autofree char *paths = reservation_member(now, "paths");
    ck_assert_msg(strstr(paths, "chosen: the first to be ready") != NULL && strstr(paths, "ready later") != NULL, "%s",
                  paths);
}
END_TEST

/* Rule: a path that overruns gets the next one beside it; who is first wins, the other is thrown away. */
START_TEST(an_overrun_starts_the_next_path)
{
    begin("    floor: { running: 1 }\n");
    const char *vm = make_ready(COMMAND_BOOT);
    g_autofree char *id = notify(NOTIFY);
    const struct command *claim = world_expect(world, COMMAND_CLAIM, 0);
    ck_assert_str_eq(claim->id, vm);
    world_pass(world, 1000);
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_eq(boot->boot->reservation_id, id);
    assert_miss("overrun");
    if (_i == 0) { /* the second is first */
        answer_ready(boot);
        ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, claim->id);
        assert_reservation(id, "instance_id", boot->id);
        assert_reservation(id, "path", "boot");
    } else if (_i == 1) { /* the first comes after all */
        answer_ready(claim);
        ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, boot->id);
        assert_reservation(id, "instance_id", claim->id);
        assert_reservation(id, "path", "running");
    } else { /* the first fails: the second goes on */
        world_event(world, world_answer(EVENT_INSTANCE_FAILED, claim));
        assert_reservation(id, "state", "starting");
        answer_ready(boot);
        assert_none(COMMAND_DESTROY);
    }
    assert_reservation(id, "state", "ready");
}
END_TEST

/* Rule: a warm instance that fails its check is never handed out; the next path serves, and the miss is told. */
START_TEST(a_failed_claim_falls_to_the_next_path)
{
    begin("    floor: { running: 2 }\n");
    make_ready(COMMAND_BOOT);
    make_ready(COMMAND_BOOT);
    g_autofree char *id = notify(NOTIFY);
    const struct command *claim = world_expect(world, COMMAND_CLAIM, 0);
    world_event(world, world_answer(EVENT_INSTANCE_FAILED, claim));
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0); /* the stock is not trusted twice */
    ck_assert_str_eq(boot->boot->reservation_id, id);
    assert_miss("failed");
    answer_ready(boot);
    assert_reservation(id, "state", "ready");
}
END_TEST

/* Rule: an instance that died is out of the stock, and is replaced. */
START_TEST(a_dead_instance_is_replaced)
{
    begin("    floor: { paused: 1 }\n");
    make_ready(COMMAND_BOOT);
    const struct command *pause = world_expect(world, COMMAND_PAUSE, 0);
    world_event(world, world_answer(EVENT_INSTANCE_PAUSED, pause));
    world_event(world, world_answer(EVENT_INSTANCE_GONE, pause));
    assert_stock(0, 0, 0);
    world_expect(world, COMMAND_BOOT, 0);
    g_autofree char *id = notify(NOTIFY);
    assert_none(COMMAND_CLAIM);
    assert_reservation(id, "path", "boot");
    assert_miss("empty");
}
END_TEST

/* Rule: what fails is not tried again at once, and the pool says why it holds back. */
START_TEST(a_failed_warm_up_is_retried_later)
{
    begin("    floor: { running: 1 }\n");
    world_event(world, world_answer(EVENT_INSTANCE_FAILED, world_expect(world, COMMAND_BOOT, 0)));
    assert_none(COMMAND_BOOT);
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_str_eq(pool->held_back, "the last warm-up failed");
    world_pass(world, 10000);
    world_expect(world, COMMAND_BOOT, 0);
}
END_TEST

/* Rule: the stock is replaced when the policy changes or an instance is old, and never dips below the floor by that. */
START_TEST(a_stale_stock_is_replaced_without_a_dip)
{
    begin("    floor: { running: 1 }\n    max_age: 1 h\n");
    const char *old = make_ready(COMMAND_BOOT);
    if (_i == 0)
        load_policy("    floor: { running: 1 }\n");
    else
        world_pass(world, 3600 * 1000);
    assert_none(COMMAND_DESTROY);
    assert_stock(1, 0, 0);
    make_ready(COMMAND_BOOT);
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, old);
    assert_stock(1, 0, 0);
}
END_TEST

/* Rule: on a full host what is stale makes room for what replaces it, one at a time. */
START_TEST(a_stale_stock_is_replaced_on_a_full_host)
{
    world = world_new_of(policy_with("    floor: { running: 2 }\n"));
    world_add_host(world, "h1", 8, 700);
    make_ready(COMMAND_BOOT);
    make_ready(COMMAND_BOOT);
    load_policy("    floor: { running: 2 }\n");
    for (guint i = 0; i < 2; i++) {
        const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
        assert_none(COMMAND_DESTROY);
        assert_none(COMMAND_BOOT);
        world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
        make_ready(COMMAND_BOOT);
    }
    assert_none(COMMAND_DESTROY);
    assert_stock(2, 0, 0);
}
END_TEST

/* Rule: misses raise a target up to the ceiling, and it comes down again by itself. */
START_TEST(misses_raise_the_target_and_are_forgotten)
{
    begin("    floor: { running: 0 }\n    ceiling: { running: 2 }\n");
    for (guint i = 0; i < 3; i++) {
        g_autofree char *id = notify(NOTIFY);
        const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
        answer_ready(boot);
    }
    assert_miss("empty");
    for (guint i = 0; i < 2; i++)
        make_ready(COMMAND_BOOT);
    assert_stock(2, 0, 0);
    world_pass(world, 3600 * 1000);
    for (guint i = 0; i < 2; i++)
        world_expect(world, COMMAND_DESTROY, 0);
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_uint_eq(pool->target.running, 0);
    ck_assert_uint_eq(pool->wasted, 2);
}
END_TEST

/* Rule: a reservation that is planned to take a warm instance raises the target a while before it is due, and no longer than until then. */
START_TEST(registered_reservations_raise_the_target)
{
    begin("    floor: { paused: 1 }\n    ceiling: { paused: 2 }\npaths: { running_cost: 0, paused_cost: 0 }\n");
    make_ready(COMMAND_BOOT);
    answer_pause();
    g_autofree char *id = notify("{\"code\":{\"function\":\"f\"},\"arrival_in_ms\":180000}");
    assert_reservation(id, "path", "paused");
    world_pass(world, 100000);
    assert_none(COMMAND_BOOT);
    world_pass(world, 30000); /* within the lead of a minute */
    make_ready(COMMAND_BOOT);
    answer_pause();
    assert_stock(0, 2, 0);
    world_pass(world, 47500);
    if (_i == 0) {
        make_ready(COMMAND_CLAIM);
        assert_reservation(id, "state", "ready");
        assert_none(COMMAND_BOOT); /* one is left, as is right */
    } else {
        world_event(world, world_answer(EVENT_INSTANCE_FAILED, world_expect(world, COMMAND_CLAIM, 0)));
    }
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_uint_eq(pool->target.paused, _i == 0 ? 1 : 2); /* a miss raises it again */
}
END_TEST

/* Rule: the idle budget caps everything. */
START_TEST(the_idle_budget_caps_the_target)
{
    begin("    floor: { running: 2, paused: 2 }\n    idle_budget: 768 MiB\n");
    g_autoptr(pool_auto) pool = pool_now();
    ck_assert_uint_eq(pool->target.running + pool->target.paused, 3);
    ck_assert_uint_eq(pool->target.running, 2);
    ck_assert_ptr_nonnull(strstr(pool->why, "idle budget of 768 MiB"));
}
END_TEST

/* Rule: an operator may set and drain a pool. */
START_TEST(a_pool_is_set_and_drained)
{
    begin("    floor: { running: 1 }\n");
    make_ready(COMMAND_BOOT);
    set_pool((struct pool_setting){.has_running = TRUE, .running = 2});
    make_ready(COMMAND_BOOT);
    assert_stock(2, 0, 0);
    load_policy("    floor: { running: 1 }\n"); /* what was set was set in place of the earlier one */
    make_ready(COMMAND_BOOT);
    while (world_take(world, COMMAND_DESTROY, 0) != NULL)
        continue;
    assert_stock(1, 0, 0);
    set_pool((struct pool_setting){.has_running = TRUE, .running = 2});
    make_ready(COMMAND_BOOT);
    drain_pool();
    world_expect(world, COMMAND_DESTROY, 0);
    world_expect(world, COMMAND_DESTROY, 0);
    assert_stock(0, 0, 0);
    g_autofree char *id = notify(NOTIFY);
    assert_miss("draining");
    assert_none(COMMAND_CLAIM);
    struct event *nobody = event_new(EVENT_POOL_DRAIN);
    nobody->request = ++world->request;
    nobody->id = g_strdup("q@h1");
    const guint64 request = nobody->request;
    world_event(world, nobody);
    ck_assert_int_eq(world_expect(world, COMMAND_REPLY, request)->error->code, HBR_ERROR_NOT_FOUND);
}
END_TEST

/* Rule: idle instances make room for a reservation, and the pool does not fight it for the room. */
START_TEST(warm_instances_make_room)
{
    world = world_new_of(policy_with("    floor: { running: 2 }\n"));
    world_add_host(world, "h1", 4, 2048);
    make_ready(COMMAND_BOOT);
    make_ready(COMMAND_BOOT);
    g_autofree char *id = notify("{\"code\":{\"function\":\"f\",\"algorithm\":\"matrix\",\"template\":\"other\"}}");
    assert_reservation(id, "state", "waiting");
    for (guint i = 0; i < 2; i++) {
        const struct command *destroy = world_expect(world, COMMAND_DESTROY, 0);
        assert_none(COMMAND_DESTROY);
        world_event(world, world_answer(EVENT_INSTANCE_DESTROYED, destroy));
    }
    const struct command *boot = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_eq(boot->boot->reservation_id, id);
    assert_none(COMMAND_BOOT);
}
END_TEST

/* Rule: a reservation that waits for its turn, not for room, costs the pool nothing. */
START_TEST(a_turn_is_not_room)
{
    begin("    floor: { running: 1 }\nlimits: { boots_per_host: 1 }\n");
    make_ready(COMMAND_BOOT);
    g_autofree char *first = notify("{\"code\":{\"function\":\"f\",\"template\":\"other\"}}");
    g_autofree char *second = notify("{\"code\":{\"function\":\"g\",\"template\":\"other\"}}");
    ck_assert_str_eq(world_expect(world, COMMAND_BOOT, 0)->boot->reservation_id, first);
    assert_reservation(second, "state", "waiting");
    assert_none(COMMAND_DESTROY);
    assert_stock(1, 0, 0);
}
END_TEST

/* Rule: a saved state that cannot be made is not tried for ever; one that is lost is made again. */
START_TEST(saved_states_come_and_go)
{
    begin("    floor: { running: 0, saved: 1 }\n");
    make_ready(COMMAND_BOOT);
    if (_i == 0) {
        answer_save(hbr_error_new(HBR_ERROR_UNSUPPORTED, "not on this host"));
        world_pass(world, 3600 * 1000);
        assert_none(COMMAND_BOOT);
        g_autoptr(pool_auto) pool = pool_now();
        ck_assert_str_eq(pool->saved_error, "not on this host");
        return;
    }
    g_autofree char *saved = g_strdup(answer_save(NULL));
    assert_stock(0, 0, 1);
    struct event *lost = event_new(EVENT_SAVED_LOST);
    lost->host = g_strdup("h1");
    lost->id = g_strdup(saved);
    lost->error = hbr_error_new(HBR_ERROR_HYPERVISOR, "its checksum is wrong");
    world_event(world, lost);
    assert_stock(0, 0, 0);
    make_ready(COMMAND_BOOT);
    ck_assert_str_ne(answer_save(NULL), saved);
}
END_TEST

/* Rule: a state that is being saved is left alone until it is there; then it is kept by the pool that wants it, or removed. */
START_TEST(a_save_ends_where_it_is_wanted)
{
    begin("    floor: { running: 0, saved: 1 }\n");
    g_autofree char *vm = g_strdup(make_ready(COMMAND_BOOT));
    const gboolean is_kept = _i >= 4;
    const struct command *save = world_expect(world, COMMAND_SAVE, 0);
    ck_assert_str_eq(save->id, vm);
    if (_i == 0)
        load_policy("    floor: { saved: 1 }\n    labels: [elsewhere]\n"); /* the pool is not there any more */
    else if (_i == 1)
        load_policy("    floor: { saved: 1 }\n    maximum: { vcpus: 2, memory: 2 GiB }\n");
    else if (_i == 2)
        load_policy("    floor: { saved: 0 }\n");
    else if (_i == 3)
        drain_pool();
    else
        take_inventory(_i == 4 ? vm : NULL);
    assert_none(COMMAND_DESTROY);
    struct event *saved = world_answer(EVENT_INSTANCE_SAVED, save);
    saved->saved = saved_state_copy(save->saved);
    world_event(world, saved);
    const struct command *forget = world_take(world, COMMAND_FORGET_SAVED, 0);
    ck_assert(is_kept == (forget == NULL));
    ck_assert(is_kept || g_str_equal(forget->saved->id, save->saved->id));
    if (_i > 1)
        assert_stock(0, 0, is_kept ? 1 : 0);
}
END_TEST

/* Rule: a saved state that is not wanted any more is removed. */
START_TEST(a_saved_state_goes_when_none_is_wanted)
{
    begin("    floor: { running: 0, saved: 1 }\n");
    make_ready(COMMAND_BOOT);
    g_autofree char *saved = g_strdup(answer_save(NULL));
    set_pool((struct pool_setting){.has_saved = TRUE, .saved = 0});
    ck_assert_str_eq(world_expect(world, COMMAND_FORGET_SAVED, 0)->saved->id, saved);
    assert_stock(0, 0, 0);
}
END_TEST

/* Rule: clones that do not become ready put their saved state in doubt: it is made anew. */
START_TEST(a_state_whose_clones_fail_is_made_anew)
{
    begin("    floor: { running: 0, saved: 1 }\n");
    make_ready(COMMAND_BOOT);
    g_autofree char *saved = g_strdup(answer_save(NULL));
    for (guint i = 0; i < 2; i++) {
        assert_none(COMMAND_FORGET_SAVED);
        g_autofree char *id = notify(i == 0 ? NOTIFY : "{\"code\":{\"function\":\"g\"}}");
        const struct command *clone = world_expect(world, COMMAND_BOOT, 0);
        ck_assert_str_eq(clone->boot->saved, saved);
        struct event *failed = world_answer(EVENT_INSTANCE_FAILED, clone);
        failed->error = hbr_error_new(HBR_ERROR_HYPERVISOR, "it hangs");
        world_event(world, failed);
        ck_assert_ptr_null(world_expect(world, COMMAND_BOOT, 0)->boot->saved);
    }
    ck_assert_str_eq(world_expect(world, COMMAND_FORGET_SAVED, 0)->saved->id, saved);
}
END_TEST

/* Rule: an instance that dies when its program has been put into it costs one of the attempts, and the program is not put into the next. */
START_TEST(what_kills_its_instances_is_given_up)
{
    begin("    floor: { running: 1 }\n");
    make_ready(COMMAND_BOOT);
    g_autofree char *id = notify(ANNOUNCED("shared"));
    make_ready(COMMAND_CLAIM);
    world_event(world, world_answer(EVENT_INSTANCE_GONE, world_expect(world, COMMAND_STAGE, 0)));
    for (guint i = 0; i < 5; i++) {
        const struct command *next = world_take(world, COMMAND_CLAIM, 0);
        next = next != NULL ? next : world_take(world, COMMAND_BOOT, 0);
        if (next == NULL)
            break;
        answer_ready(next);
        assert_none(COMMAND_STAGE);
        if (next->boot->reservation_id != NULL)
            world_event(world, world_answer(EVENT_INSTANCE_GONE, next));
    }
    assert_reservation(id, "state", "failed");
}
END_TEST

static void run_to_end(const struct command *run, enum exit_reason reason)
{
    world_event(world, world_answer(EVENT_RUN_STARTED, run));
    struct event *exit = world_answer(EVENT_RUN_EXIT, run);
    exit->result = g_new0(struct run_result, 1);
    *exit->result = (struct run_result){.reason = reason, .wall_us = 1000};
    world_event(world, exit);
}

static const char *execution_line(guint64 request)
{
    const struct command *line = NULL, *last = NULL;
    while ((line = world_take(world, COMMAND_STREAM, request)) != NULL)
        last = line;
    ck_assert_ptr_nonnull(last);
    gsize length;
    return g_bytes_get_data(last->body, &length);
}

#define RUN(function) "{\"code\":{\"function\":\"" function "\"},\"program\":{\"argv\":[\"true\"]}}"

/* Rule: an instance is used again only for the same function of the same tenant, as often and as long as the policy says, and it is told. */
START_TEST(reuse_is_for_the_same_function_alone)
{
    begin("    floor: { running: 0 }\n");
    world_execute(world, RUN("again"));
    const char *vm = make_ready(COMMAND_BOOT);
    run_to_end(world_expect(world, COMMAND_RUN, 0), EXIT_EXITED);
    assert_none(COMMAND_DESTROY);
    world_execute(world, RUN("again-other"));
    const struct command *other = world_expect(world, COMMAND_BOOT, 0);
    ck_assert_str_ne(other->id, vm);
    world_execute(world, "{\"code\":{\"function\":\"again\",\"tenant\":\"b\"},\"program\":{\"argv\":[\"true\"]}}");
    ck_assert_str_ne(world_expect(world, COMMAND_BOOT, 0)->id, vm);
    const guint64 second = world_execute(world, RUN("again"));
    const struct command *claim = world_expect(world, COMMAND_CLAIM, 0);
    ck_assert_str_eq(claim->id, vm);
    answer_ready(claim);
    run_to_end(world_expect(world, COMMAND_RUN, 0), EXIT_EXITED);
    ck_assert_ptr_nonnull(strstr(execution_line(second), "\"instance_uses\":1"));
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, vm); /* two uses are the most */
}
END_TEST

START_TEST(what_is_kept_goes_in_time_or_after_a_bad_end)
{
    begin("    floor: { running: 0 }\n");
    world_execute(world, RUN("again"));
    const char *vm = make_ready(COMMAND_BOOT);
    run_to_end(world_expect(world, COMMAND_RUN, 0), _i == 0 ? EXIT_EXITED : EXIT_OUT_OF_MEMORY);
    if (_i == 0) {
        world_pass(world, 29000);
        assert_none(COMMAND_DESTROY);
        world_pass(world, 2000);
    }
    ck_assert_str_eq(world_expect(world, COMMAND_DESTROY, 0)->id, vm);
}
END_TEST

/* Rule: a program that came with the notification is put in place when its instance is ready; the request for it only says go. */
START_TEST(a_program_is_put_in_place)
{
    begin("    floor: { running: 0 }\n");
    g_autofree char *id = notify(ANNOUNCED("shared"));
    const struct command *keep = world_expect(world, COMMAND_CODE_KEEP, 0);
    ck_assert(keep->code->share);
    ck_assert_uint_eq(strlen(keep->code->sha256), 64);
    g_autofree char *source = reservation_member(id, "notification.program.source");
    ck_assert_ptr_null(source); /* it is named by its digest from then on */
    make_ready(COMMAND_BOOT);
    const struct command *stage = world_expect(world, COMMAND_STAGE, 0);
    ck_assert_str_eq(stage->run->program.source, "print(1)");
    ck_assert_str_eq(stage->run->preload[0], "csv");
    ck_assert_str_eq(stage->run->preload[1], "json");
    if (_i != 1) {
        struct event *staged = world_answer(EVENT_STAGED, stage);
        staged->count = 30000;
        staged->error = _i == 2 ? hbr_error_new(HBR_ERROR_GUEST, "no such interpreter") : NULL;
        world_event(world, staged);
    }
    const guint64 request = world_execute(
        world,
        _i == 3
            ? "{\"code\":{\"function\":\"shared\"},\"program\":{\"interpreter\":\"python3\",\"source\":\"print(2)\"}}"
            : "{\"code\":{\"function\":\"shared\"}," PROGRAM "}");
    const struct command *run = world_expect(world, COMMAND_RUN, 0);
    ck_assert_int_eq(run->run->is_staged, _i == 0);
    run_to_end(run, EXIT_EXITED);
    static const char *const places[] = {"in-place", "not-yet", "failed", "different"};
    g_autofree char *wanted = g_strdup_printf("\"code_place\":\"%s\"", places[_i]);
    const char *line = execution_line(request);
    ck_assert_msg(strstr(line, wanted) != NULL, "%s: %s", wanted, line);
}
END_TEST

#define DIGEST "0123456789012345678901234567890123456789012345678901234567890123"

/* Rule: a program that is named by its digest is fetched under the policy's limits, for the notification and for the execution. */
START_TEST(a_program_is_fetched_by_its_digest)
{
    begin("    floor: { running: 0 }\n");
    g_autofree char *id =
        notify("{\"code\":{\"function\":\"g\"},\"program\":{\"interpreter\":\"sh\",\"source_sha256\":\"" DIGEST
               "\",\"source_url\":\"https://a.example/x\"}}");
    const struct command *fetch = world_expect(world, COMMAND_CODE_FETCH, 0);
    ck_assert_str_eq(fetch->id, id);
    ck_assert_str_eq(fetch->code->sha256, DIGEST);
    ck_assert_str_eq(fetch->code->url, "https://a.example/x");
    ck_assert_str_eq(fetch->code->tenant, "default");
    ck_assert(!fetch->code->share);
    ck_assert_int_eq(fetch->code->timeout_ms, 10000);
    make_ready(COMMAND_BOOT);
    assert_none(COMMAND_STAGE);
    struct event *code = world_answer(EVENT_CODE, fetch);
    code->bytes = g_bytes_new("echo", 4);
    world_event(world, code);
    const struct command *stage = world_expect(world, COMMAND_STAGE, 0);
    ck_assert_str_eq(stage->run->program.source, "echo");
    world_event(world, world_answer(EVENT_STAGED, stage));
    world_execute(
        world, "{\"code\":{\"function\":\"g\"},\"program\":{\"interpreter\":\"sh\",\"source_sha256\":\"" DIGEST "\"}}");
    const struct command *run = world_expect(world, COMMAND_RUN, 0); /* nothing more is fetched */
    ck_assert_str_eq(run->run->program.source, "echo");
    ck_assert(run->run->is_staged);
}
END_TEST

START_TEST(an_execution_waits_for_its_program)
{
    begin("    floor: { running: 0 }\n");
    const guint64 request = world_execute(
        world, "{\"code\":{\"function\":\"g\"},\"program\":{\"interpreter\":\"sh\",\"source_sha256\":\"" DIGEST "\"}}");
    const struct command *fetch = world_expect(world, COMMAND_CODE_FETCH, 0);
    make_ready(COMMAND_BOOT);
    assert_none(COMMAND_RUN);
    struct event *code = world_answer(EVENT_CODE, fetch);
    if (_i == 0)
        code->bytes = g_bytes_new("echo", 4);
    else
        code->error = hbr_error_new(HBR_ERROR_NOT_FOUND, "nobody has it");
    world_event(world, code);
    if (_i == 0)
        ck_assert_str_eq(world_expect(world, COMMAND_RUN, 0)->run->program.source, "echo");
    if (_i == 1) {
        const char *line = execution_line(request);
        ck_assert_msg(strstr(line, "nobody has it") != NULL && strstr(line, "\"code_place\":\"failed\"") != NULL, "%s",
                      line);
    }
}
END_TEST

/* Rule: where the policy says so, nothing is put in place. */
START_TEST(staging_can_be_forbidden)
{
    begin("    floor: { running: 0 }\n");
    g_autofree char *id = notify(ANNOUNCED("plain"));
    make_ready(COMMAND_BOOT);
    assert_none(COMMAND_STAGE);
}
END_TEST

/* Rule: starts for one tenant are bounded, so that preparing for it does not keep the others waiting. */
START_TEST(starts_are_bounded_for_each_tenant)
{
    begin("    floor: { running: 0 }\nlimits: { boots_per_tenant: 1, boots_per_host: 10 }\n");
    g_autofree char *first = notify(NOTIFY);
    g_autofree char *second = notify("{\"code\":{\"function\":\"g\"}}");
    g_autofree char *other = notify("{\"code\":{\"function\":\"f\",\"tenant\":\"b\"}}");
    ck_assert_str_eq(world_expect(world, COMMAND_BOOT, 0)->boot->reservation_id, first);
    ck_assert_str_eq(world_expect(world, COMMAND_BOOT, 0)->boot->reservation_id, other);
    assert_none(COMMAND_BOOT);
    assert_reservation(second, "state", "waiting");
}
END_TEST

/* Rule: after a restart a warm instance that runs is adopted into its pool; nothing warm is lost track of. */
START_TEST(a_restart_keeps_the_running_stock)
{
    begin("    floor: { running: 1 }\n");
    g_autofree char *vm = g_strdup(make_ready(COMMAND_BOOT));
    struct world *before = world;
    world = world_new_of(policy_with("    floor: { running: 1 }\n"));
    g_autoptr(GHashTable) newest = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    for (guint i = before->records->len; i > 0; i--) {
        struct record *record = before->records->pdata[i - 1];
        if (record->kind == RECORD_PUT && g_hash_table_add(newest, record->id))
            g_ptr_array_insert(records, 0, record);
    }
    world->now = before->now + 1000;
    core_rebuild(world->core, records, NULL, world->now);
    struct event *up = event_new(EVENT_HOST_UP);
    up->host = g_strdup("h1");
    up->host_report = g_new0(struct host_report, 1);
    *up->host_report = (struct host_report){.cpus = 8, .memory_mib = 8192};
    world_event(world, up);
    take_inventory(vm);
    ck_assert_str_eq(make_ready(COMMAND_ADOPT), vm);
    assert_stock(1, 0, 0);
    assert_none(COMMAND_DESTROY);
    world_free(before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("warm");
    TCase *cases = tcase_create("scenarios");
    tcase_add_checked_fixture(cases, NULL, teardown);
    tcase_add_test(cases, a_pool_fills_to_its_floors);
    tcase_add_test(cases, a_claim_takes_and_the_refill_begins);
    tcase_add_test(cases, the_cheapest_path_that_is_in_time);
    tcase_add_loop_test(cases, an_overrun_starts_the_next_path, 0, 3);
    tcase_add_test(cases, a_failed_claim_falls_to_the_next_path);
    tcase_add_test(cases, a_dead_instance_is_replaced);
    tcase_add_test(cases, a_failed_warm_up_is_retried_later);
    tcase_add_loop_test(cases, a_stale_stock_is_replaced_without_a_dip, 0, 2);
    tcase_add_test(cases, a_stale_stock_is_replaced_on_a_full_host);
    tcase_add_test(cases, misses_raise_the_target_and_are_forgotten);
    tcase_add_loop_test(cases, registered_reservations_raise_the_target, 0, 2);
    tcase_add_test(cases, the_idle_budget_caps_the_target);
    tcase_add_test(cases, a_pool_is_set_and_drained);
    tcase_add_test(cases, warm_instances_make_room);
    tcase_add_test(cases, a_turn_is_not_room);
    tcase_add_loop_test(cases, saved_states_come_and_go, 0, 2);
    tcase_add_loop_test(cases, a_save_ends_where_it_is_wanted, 0, 6);
    tcase_add_test(cases, a_saved_state_goes_when_none_is_wanted);
    tcase_add_test(cases, a_state_whose_clones_fail_is_made_anew);
    tcase_add_test(cases, what_kills_its_instances_is_given_up);
    tcase_add_test(cases, reuse_is_for_the_same_function_alone);
    tcase_add_loop_test(cases, what_is_kept_goes_in_time_or_after_a_bad_end, 0, 2);
    tcase_add_loop_test(cases, a_program_is_put_in_place, 0, 4);
    tcase_add_test(cases, a_program_is_fetched_by_its_digest);
    tcase_add_loop_test(cases, an_execution_waits_for_its_program, 0, 2);
    tcase_add_test(cases, staging_can_be_forbidden);
    tcase_add_test(cases, starts_are_bounded_for_each_tenant);
    tcase_add_test(cases, a_restart_keeps_the_running_stock);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
