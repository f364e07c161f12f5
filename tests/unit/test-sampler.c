/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "learn/contest.h"
#include "learn/sampler.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define ROOM 300

static struct sampler *sampler;

static void setup(void)
{
    sampler = sampler_new(ROOM, CLOCK_DAY);
}

static void teardown(void)
{
    sampler_free(sampler);
}

static void add(guint64 tenant, guint64 function, gint64 at)
{
    struct sample sample = {.at = at};
    sample.categories[CATEGORY_TENANT] = tenant;
    sample.categories[CATEGORY_FUNCTION] = function;
    sampler_add(sampler, &sample);
}

static guint count_of(enum category category, guint64 value)
{
    g_autoptr(GArray) samples = sampler_take(sampler);
    guint count = 0;
    for (guint i = 0; i < samples->len; i++)
        count += g_array_index(samples, struct sample, i).categories[category] == value ? 1 : 0;
    return count;
}

/* Rule: what is kept is bounded, at every moment; what is taken is at most the room, the oldest first. */
START_TEST(test_bound)
{
    for (guint i = 0; i < 10 * ROOM; i++) {
        add(1 + i % 5, i % 40, (gint64)(i ^ 5) * CLOCK_SECOND);
        ck_assert_uint_le(sampler_count(sampler), ROOM + ROOM / 8);
    }
    g_autoptr(GArray) samples = sampler_take(sampler);
    ck_assert_uint_eq(samples->len, ROOM);
    ck_assert_uint_eq(sampler_count(sampler), ROOM);
    for (guint i = 1; i < samples->len; i++)
        ck_assert_int_le(g_array_index(samples, struct sample, i - 1).at, g_array_index(samples, struct sample, i).at);
    const gint64 middle = g_array_index(samples, struct sample, ROOM / 2).at;
    guint newer = 0;
    for (guint i = 0; i < samples->len; i++)
        newer += g_array_index(samples, struct sample, i).at > middle ? 1 : 0;
    ck_assert_uint_eq(sampler_count_since(sampler, middle), newer);
}
END_TEST

/* Rule: a hot function takes what the others leave, and no more: they keep all that they have, as long as it is less than its. */
START_TEST(test_hot_function)
{
    for (guint i = 0; i < 20; i++)
        for (guint function = 2; function < 7; function++)
            add(1, function, (gint64)i * CLOCK_SECOND);
    for (guint i = 0; i < 100 * ROOM; i++)
        add(1, 1, (gint64)(20 + i) * CLOCK_MS);
    for (guint function = 2; function < 7; function++)
        ck_assert_uint_eq(count_of(CATEGORY_FUNCTION, function), 20);
    ck_assert_uint_eq(count_of(CATEGORY_FUNCTION, 1), ROOM - 5 * 20);
}
END_TEST

/* Rule: two functions that run as often have as much, whichever came first. */
START_TEST(test_equal_functions)
{
    for (guint i = 0; i < 10 * ROOM; i++)
        add(1, 1, (gint64)i * CLOCK_MS);
    for (guint i = 0; i < 10 * ROOM; i++)
        add(1, 2, (gint64)i * CLOCK_MS);
    const guint first = count_of(CATEGORY_FUNCTION, 1), second = count_of(CATEGORY_FUNCTION, 2);
    ck_assert_uint_eq(first + second, ROOM);
    ck_assert_uint_le(MAX(first, second) - MIN(first, second), ROOM / 8);
}
END_TEST

/* Rule: old runs go first, but the newest of every function stay, however old. */
START_TEST(test_recency)
{
    for (guint i = 0; i < 100; i++)
        add(1, 1, (gint64)i * CLOCK_SECOND);
    for (guint i = 0; i < 10 * ROOM; i++)
        add(1, 2, 40 * CLOCK_DAY + (gint64)i * CLOCK_SECOND);
    ck_assert_uint_eq(count_of(CATEGORY_FUNCTION, 1), SAMPLER_NEWEST);
    g_autoptr(GArray) samples = sampler_take(sampler);
    ck_assert_int_eq(g_array_index(samples, struct sample, 0).at, 97 * CLOCK_SECOND);
    ck_assert_int_eq(g_array_index(samples, struct sample, SAMPLER_NEWEST).at,
                     40 * CLOCK_DAY + (gint64)(10 * ROOM - (ROOM - SAMPLER_NEWEST)) * CLOCK_SECOND);
}
END_TEST

/* Rule: without a half-life, age does not count. */
START_TEST(test_without_age)
{
    sampler_free(sampler);
    sampler = sampler_new(ROOM, 0);
    for (guint i = 0; i < ROOM / 3; i++)
        add(1, 1, (gint64)i);
    for (guint i = 0; i < 10 * ROOM; i++)
        add(1, 2, 4000 * CLOCK_DAY + (gint64)i);
    ck_assert_uint_eq(count_of(CATEGORY_FUNCTION, 1), ROOM / 3);
}
END_TEST

/* Rule: a tenant has at most a third while there are three; of two, each may have all that the other leaves. */
START_TEST(test_tenants)
{
    for (guint i = 0; i < 10 * ROOM; i++)
        add(1, 100 + i % 50, (gint64)i * CLOCK_MS);
    add(2, 2, 10 * ROOM * CLOCK_MS);
    ck_assert_uint_eq(count_of(CATEGORY_TENANT, 1), ROOM - 1);
    add(3, 3, 10 * ROOM * CLOCK_MS);
    for (guint i = 0; i < ROOM / 8; i++)
        add(1, 100 + i % 50, (10 * ROOM + i) * CLOCK_MS);
    ck_assert_uint_eq(count_of(CATEGORY_TENANT, 1), ROOM / 3);
    ck_assert_uint_eq(count_of(CATEGORY_TENANT, 2), 1);
    ck_assert_uint_eq(count_of(CATEGORY_TENANT, 3), 1);
}
END_TEST

/* Rule: a tenant with functions without end pushes out no other's newest runs. */
START_TEST(test_many_functions)
{
    for (guint i = 0; i < 10; i++)
        add(1, 1 + i, 0);
    for (guint i = 0; i < 20 * ROOM; i++)
        add(2, 100 + i, 20 * CLOCK_DAY + (gint64)i);
    ck_assert_uint_eq(count_of(CATEGORY_TENANT, 1), 10);
}
END_TEST

/* Rule: runs are kept back for the contest: a tenth, within bounds, and never so many that nothing is left to train with. */
START_TEST(test_held_back)
{
    static const guint cases[][2] = {{0, 0},    {79, 0},     {80, 30},      {299, 30},
                                     {400, 40}, {1000, 100}, {20000, 2000}, {100000, 2000}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++)
        ck_assert_uint_eq(contest_held_back(cases[i][0]), cases[i][1]);
}
END_TEST

static gboolean contest(double challenger, double champion)
{
    struct model_score left[TARGET_COUNT] = {{0}}, right[TARGET_COUNT] = {{0}};
    left[TARGET_CPU] = right[TARGET_CPU] = (struct model_score){.run_count = 30, .pinball = 0.5};
    left[TARGET_MEMORY] = (struct model_score){.run_count = 30, .pinball = challenger};
    right[TARGET_MEMORY] = (struct model_score){.run_count = 30, .pinball = champion};
    right[TARGET_VCPUS] = (struct model_score){.run_count = 30, .pinball = 100}; /* which only one of them knows */
    left[TARGET_NETWORK] = (struct model_score){.run_count = 30, .pinball = NAN};
    g_autofree char *why = NULL;
    const gboolean is_won = contest_is_won(left, right, 7, &why);
    ck_assert_ptr_nonnull(strstr(why, "version 7"));
    return is_won;
}

/* Rule: a challenger replaces the champion only when it is better by 1 % in what both know. */
START_TEST(test_contest)
{
    ck_assert(contest(0.4, 0.5));
    ck_assert(!contest(0.5, 0.5));
    ck_assert(!contest(0.6, 0.5));
    ck_assert(!contest(0.495, 0.5)); /* of 1.0 in all */
    ck_assert(contest(0.489, 0.5));
    const struct model_score nothing[TARGET_COUNT] = {{0}};
    struct model_score something[TARGET_COUNT] = {{.run_count = 30, .pinball = 0.5}};
    g_autofree char *alone = NULL, *silent = NULL, *strange = NULL;
    ck_assert(contest_is_won(something, NULL, 0, &alone));
    ck_assert(!contest_is_won(nothing, NULL, 0, &silent));
    ck_assert(!contest_is_won(something, nothing, 0, &strange));
    ck_assert_ptr_nonnull(strstr(strange, "nothing"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampler");
    TCase *sampling = tcase_create("sampler");
    tcase_add_checked_fixture(sampling, setup, teardown);
    tcase_add_test(sampling, test_bound);
    tcase_add_test(sampling, test_hot_function);
    tcase_add_test(sampling, test_equal_functions);
    tcase_add_test(sampling, test_recency);
    tcase_add_test(sampling, test_without_age);
    tcase_add_test(sampling, test_tenants);
    tcase_add_test(sampling, test_many_functions);
    suite_add_tcase(suite, sampling);
    TCase *contests = tcase_create("contest");
    tcase_add_test(contests, test_held_back);
    tcase_add_test(contests, test_contest);
    suite_add_tcase(suite, contests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
