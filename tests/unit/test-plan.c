/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "plan/latency.h"
#include "plan/path.h"
#include "plan/placing.h"
#include "plan/schedule.h"
#include "plan/sizing.h"
#include "plan/stocking.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rule: start late enough, never before now. */
START_TEST(test_schedule)
{
    const gint64 now = 1000 * CLOCK_SECOND;
    ck_assert_int_eq(schedule_start_at(now, now + 60 * CLOCK_SECOND, 5000, 500), now + 54500 * CLOCK_MS);
    ck_assert_int_eq(schedule_start_at(now, now + 2 * CLOCK_SECOND, 5000, 500), now);
    ck_assert_int_eq(schedule_start_at(now, now, 5000, 500), now);
}
END_TEST

/* Rule: a quantile that a sample cannot have is not made up from it. */
START_TEST(test_latency)
{
    struct latency latency = {0};
    ck_assert_int_eq(latency_quantile(&latency, 0.95, 0, 0, 5000), 5000);
    latency_add(&latency, 1000, 0);
    ck_assert_int_eq(latency_quantile(&latency, 0.95, 0, 0, 5000), 1250);
    for (int i = 1; i <= 40; i++)
        latency_add(&latency, i * 100, 0);
    ck_assert_int_ge(latency_quantile(&latency, 0.95, 0, 0, 0), 3700);
    ck_assert_int_le(latency_quantile(&latency, 0.95, 0, 0, 0), 3900);
    for (int i = 0; i < LATENCY_WINDOW; i++)
        latency_add(&latency, 10, 0);
    ck_assert_int_eq(latency_quantile(&latency, 0.95, 0, 0, 0), 10); /* the past is forgotten */
}
END_TEST

/* Rule: what is old weighs less. */
START_TEST(test_latency_decays)
{
    struct latency latency = {0};
    for (int i = 0; i < 20; i++)
        latency_add(&latency, 1000, CLOCK_HOUR);
    for (int i = 0; i < 5; i++)
        latency_add(&latency, 100, 11 * CLOCK_HOUR);
    ck_assert_int_eq(latency_quantile(&latency, 0.5, 11 * CLOCK_HOUR, 0, 0), 1000);
    ck_assert_int_eq(latency_quantile(&latency, 0.5, 11 * CLOCK_HOUR, 3600 * 1000, 0), 100);
    ck_assert_int_eq(latency_quantile(&latency, 0.5, 99 * CLOCK_HOUR, 3600 * 1000, 0), 100); /* nothing newer came */
}
END_TEST

/* The offers of running, paused, saved and boot in ms (0: not there), the time until the arrival, and the path that is right. */
static const struct {
    gint64 ready_ms[PATH_COUNT];
    gint64 time_ms;
    int path;
} choices[] = {
    {{100, 150, 400, 3000}, 60000, PATH_SAVED}, /* all in time: the cheapest */
    {{100, 150, 0, 3000}, 60000, PATH_BOOT},
    {{100, 150, 0, 3000}, 2000, PATH_PAUSED}, /* the boot would be late */
    {{100, 150, 400, 3000}, 300, PATH_PAUSED},
    {{100, 150, 400, 3000}, 120, PATH_RUNNING},
    {{100, 150, 400, 3000}, -1000, PATH_RUNNING}, /* none in time: the first */
    {{0, 0, 400, 3000}, -1000, PATH_SAVED},
    {{0, 0, 0, 3000}, -1000, PATH_BOOT},
    {{0, 0, 0, 0}, 60000, -1},
    {{5000, 150, 400, 3000}, -1000, PATH_PAUSED}, /* what was learned counts, not the name */
};

START_TEST(test_path)
{
    struct policy policy = {.paths = {.memory_cost = 1, .cpu_cost = 0.01, .running_cost = 0.05, .paused_cost = 0.03}};
    struct path_question question = {.policy = &policy, .memory_mib = 512, .time_ms = choices[_i].time_ms};
    for (guint path = 0; path < PATH_COUNT; path++)
        question.offers[path] = (struct path_offer){.is_there = choices[_i].ready_ms[path] > 0,
                                                    .objection = "none in stock",
                                                    .ready_ms = choices[_i].ready_ms[path],
                                                    .median_ms = choices[_i].ready_ms[path] * 3 / 4};
    GPtrArray *told;
    ck_assert_int_eq(path_choose(&question, &told), choices[_i].path);
    ck_assert_int_eq(path_choose(&question, NULL), choices[_i].path);
    ck_assert_uint_eq(told->len, PATH_COUNT);
    for (guint path = 0; path < PATH_COUNT; path++) {
        const struct path_choice *choice = told->pdata[path];
        ck_assert_int_eq(choice->chosen, (int)path == choices[_i].path);
        ck_assert_ptr_nonnull(choice->verdict);
        ck_assert_int_eq(g_str_equal(choice->verdict, "none in stock"), choices[_i].ready_ms[path] == 0);
        path_choice_free(told->pdata[path]);
    }
    g_ptr_array_unref(told);
}
END_TEST

static const struct {
    struct stocking stocking;
    struct pool_stock target;
    const char *why; /* a part of it */
} stocks[] = {
    {{.floor = {1, 2, 1}, .ceiling = {1, 2, 1}}, {1, 2, 1}, "1 running, 2 paused, 1 saved"},
    {{.floor = {1, 2, 0}, .ceiling = {3, 4, 0}, .due = 1}, {1, 3, 0}, "1 registered"},
    {{.floor = {1, 2, 0}, .ceiling = {3, 4, 0}, .due = 2, .missed = 1.6}, {3, 4, 0}, "2 missed lately"},
    {{.floor = {1, 2, 0}, .ceiling = {3, 4, 0}, .due = 9}, {3, 4, 0}, "5 above the ceiling"},
    {{.floor = {1, 2, 0}, .ceiling = {3, 4, 0}, .missed = 0.4}, {1, 2, 0}, "floor"},
    {{.floor = {1, 0, 0}, .ceiling = {1, 0, 1}}, {1, 0, 0}, "floor"},
    {{.floor = {1, 0, 0}, .ceiling = {1, 0, 1}, .missed = 1}, {1, 0, 1}, "1 missed lately"},
    {{.floor = {2, 2, 1}, .ceiling = {2, 2, 1}, .memory_mib = 100, .idle_budget_mib = 350}, {2, 1, 1}, "budget of 350"},
    {{.floor = {2, 2, 1}, .ceiling = {2, 2, 1}, .memory_mib = 100, .idle_budget_mib = 99}, {0, 0, 1}, "budget of 99"},
    {{.floor = {2, 2, 1}, .ceiling = {9, 9, 1}, .due = 3, .is_draining = TRUE}, {0, 0, 0}, "draining"},
    {{.floor = {5, 0, 0}, .ceiling = {3, 0, 0}, .due = 1}, {5, 0, 0}, "1 above the ceiling"}, /* a window above it */
};

/* Rule: a target is a function of what is there now, and says what of. */
START_TEST(test_stocking)
{
    struct stocking stocking = stocks[_i].stocking;
    g_autofree char *why = NULL;
    stocking.floor_reason = "floor";
    const struct pool_stock target = stocking_target(&stocking, &why);
    ck_assert_mem_eq(&target, &stocks[_i].target, sizeof target);
    ck_assert_msg(strstr(why, stocks[_i].why) != NULL, "%s", why);
}
END_TEST

/* Rule: nothing ratchets: a count of misses falls below each half in the time that is told. */
START_TEST(test_misses_decay)
{
    gint64 now = 1000 * CLOCK_SECOND, before = now;
    double missed = 3.4;
    guint steps = 0;
    for (gint64 next_at; (next_at = stocking_decays_at(missed, now, 60000)) != CLOCK_NEVER; before = now, steps++) {
        ck_assert_int_gt(next_at, now);
        now = next_at;
        const double then = stocking_decay(missed, now - before, 60000);
        ck_assert_double_eq(floor(then + 0.5), floor(missed + 0.5) - 1);
        missed = then;
    }
    ck_assert_uint_eq(steps, 3);
    ck_assert_double_lt(missed, 0.5);
}
END_TEST

static struct host *host_new(const char *name, enum host_state state, guint cpus, guint memory_mib, const char *label)
{
    struct host *host = g_new0(struct host, 1);
    host->spec = g_new0(struct host_spec, 1);
    host->spec->name = g_strdup(name);
    host->spec->cpu_overcommit = 1;
    if (label != NULL)
        host->spec->labels = g_strsplit(label, ",", -1);
    host->state = state;
    host->cpus = cpus;
    host->memory_mib = memory_mib;
    return host;
}

/* Rule: the host is up, carries the labels, has room for all resources, and is the least committed of those. */
START_TEST(test_placing)
{
    struct host *hosts[] = {
        host_new("down", HOST_DOWN, 64, 65536, "ssd"),
        host_new("busy", HOST_UP, 8, 8192, "ssd"),
        host_new("idle", HOST_UP, 8, 8192, "ssd"),
        host_new("large", HOST_UP, 64, 65536, NULL),
    };
    hosts[1]->committed_vcpus = 6;
    struct placing_candidate candidates[4] = {
        {hosts[0], 0, FALSE}, {hosts[1], 0, FALSE}, {hosts[2], 0, FALSE}, {hosts[3], 0, FALSE}};
    char *ssd[] = {(char *)"ssd", NULL};
    static const struct {
        struct vm_shape shape;
        gboolean wants_ssd, idle_failed;
        guint idle_boots;
        int expected;
    } cases[] = {
        {{.vcpus = 2, .memory_mib = 1024}, TRUE, FALSE, 0, 2},  /* the least committed with the label */
        {{.vcpus = 2, .memory_mib = 1024}, TRUE, TRUE, 0, 1},   /* where it failed comes last */
        {{.vcpus = 2, .memory_mib = 1024}, TRUE, FALSE, 4, 1},  /* too many boots there */
        {{.vcpus = 2, .memory_mib = 1024}, FALSE, FALSE, 0, 3}, /* no label needed: the large one */
        {{.vcpus = 9, .memory_mib = 1024}, TRUE, FALSE, 0, -1}, /* down hosts do not count */
        {{.vcpus = 4, .memory_mib = 9000}, TRUE, FALSE, 0, -1},
        {{.vcpus = 1, .memory_mib = 100, .gpus = 1}, FALSE, FALSE, 0, -1},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        candidates[2].failed = cases[i].idle_failed;
        candidates[2].boots = cases[i].idle_boots;
        GPtrArray *placements = NULL;
        const int chosen =
            placing_choose(candidates, 4, &cases[i].shape, cases[i].wants_ssd ? ssd : NULL, 4, &placements);
        ck_assert_msg(chosen == cases[i].expected, "case %u: %d, expected %d", i, chosen, cases[i].expected);
        ck_assert_uint_eq(placements->len, 4);
        for (guint p = 0; p < placements->len; p++) {
            ck_assert_ptr_nonnull(((struct placement *)placements->pdata[p])->verdict);
            placement_free(placements->pdata[p]);
        }
        g_ptr_array_unref(placements);
    }
    ck_assert(placing_could_ever(hosts[0], &cases[4].shape, ssd));
    ck_assert(!placing_could_ever(hosts[2], &cases[4].shape, ssd));
    ck_assert(!placing_could_ever(hosts[3], &cases[0].shape, ssd));
    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++)
        host_free(hosts[i]);
}
END_TEST

static struct policy *read_policy(const char *name)
{
    g_autofree char *path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "policies", name, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) sources = policy_sources_read(path, &error);
    ck_assert_msg(sources != NULL, "%s", error != NULL ? error->message : "");
    struct policy *policy = policy_parse(sources, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    return policy;
}

/* Rule: a VM never gets less than the demand at the policy's quantile while a profile can hold it, nor more than its profile's maximum. */
START_TEST(test_sizing_bounds)
{
    static const char *const files[] = {"default.yaml", "quickstart.yaml"};
    for (guint file = 0; file < G_N_ELEMENTS(files); file++) {
        g_autoptr(policy_auto) policy = read_policy(files[file]);
        for (double vcpus = 0.1; vcpus < 40; vcpus *= 1.7) {
            for (double mib = 10; mib < 100000; mib *= 2.3) {
                const struct demand demand = {.vcpus = {vcpus, vcpus, vcpus}, .memory_mib = {mib, mib, mib}};
                struct sizing sizing;
                sizing_choose(policy, &demand, &sizing);
                ck_assert_uint_le(sizing.shape.vcpus, sizing.maximum.vcpus);
                ck_assert_uint_le(sizing.shape.memory_mib, sizing.maximum.memory_mib);
                ck_assert_uint_ge(sizing.shape.vcpus, 1);
                const struct policy_profile *largest = policy->profiles->pdata[policy->profiles->len - 1];
                if (mib * policy->provisioning.headroom + SIZING_GUEST_MIB + policy->provisioning.memory_step_mib <
                        largest->maximum.memory_mib &&
                    vcpus < largest->maximum.vcpus) {
                    ck_assert_uint_ge(sizing.shape.memory_mib, (guint)mib);
                    ck_assert(sizing.shape.vcpus + 0.25 >= vcpus);
                }
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *pure = tcase_create("pure");
    tcase_add_test(pure, test_schedule);
    tcase_add_test(pure, test_latency);
    tcase_add_test(pure, test_latency_decays);
    tcase_add_loop_test(pure, test_path, 0, G_N_ELEMENTS(choices));
    tcase_add_loop_test(pure, test_stocking, 0, G_N_ELEMENTS(stocks));
    tcase_add_test(pure, test_misses_decay);
    tcase_add_test(pure, test_placing);
    tcase_add_test(pure, test_sizing_bounds);
    suite_add_tcase(suite, pure);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
