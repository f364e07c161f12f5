/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The governor: up at once, down after a dwell time that learns, never too often, in bounded steps. */
#include "plan/governor.h"

#include <check.h>
#include <stdlib.h>

#define SECOND G_GINT64_CONSTANT(1000000)
#define BEGIN (1000 * SECOND)
#define DWELL 10

static struct governor governor;
static struct governor_settings settings;

static void setup(void)
{
    governor = (struct governor){0};
    settings = (struct governor_settings){
        .step_max = 2, .dwell_us = DWELL * SECOND, .dwell_max_us = 600 * SECOND, .changes_per_minute = 12};
}

static guint decide(guint second, guint has, guint up, guint down)
{
    return governor_decide(&governor, &settings, BEGIN + second * SECOND, has, up, down, FALSE);
}

static void change(guint second, guint has, guint to)
{
    governor_changed(&governor, &settings, BEGIN + second * SECOND, has, to);
}

/* From `begin` on less is wanted: when it shrinks. */
static guint shrinks_at(guint begin, guint has, guint want)
{
    for (guint second = begin; second < begin + 10000; second++)
        if (decide(second, has, want, want) < has)
            return second;
    return G_MAXUINT;
}

START_TEST(a_step_is_bounded_and_at_least_one)
{
    static const struct {
        double step_max;
        guint has, want, to;
    } rows[] = {{2, 1, 4, 2}, {2, 4, 5, 5}, {2, 4, 100, 8}, {1.5, 1, 9, 2}, {1.5, 4, 9, 6}, {1, 3, 9, 4}, {2, 8, 1, 4},
                {2, 8, 7, 7}, {2, 2, 1, 1}, {1.5, 2, 1, 1}, {1.5, 9, 1, 6}, {1, 9, 1, 8},   {4, 5, 5, 5}};
    settings.step_max = rows[_i].step_max;
    decide(0, rows[_i].has, rows[_i].want, rows[_i].want);
    ck_assert_uint_eq(decide(DWELL, rows[_i].has, rows[_i].want, rows[_i].want), rows[_i].to);
}
END_TEST

START_TEST(it_grows_at_once_and_shrinks_after_the_dwell_time)
{
    ck_assert_uint_eq(decide(0, 2, 3, 3), 3);
    change(0, 2, 3);
    ck_assert_uint_eq(shrinks_at(1, 3, 2), 1 + DWELL);
}
END_TEST

START_TEST(wanting_as_much_again_begins_the_dwell_time_anew)
{
    for (guint second = 0; second < DWELL; second++)
        ck_assert_uint_eq(decide(second, 4, 2, 2), 4);
    ck_assert_uint_eq(decide(DWELL, 4, 3, 4), 4); /* within the hysteresis */
    ck_assert_uint_eq(shrinks_at(DWELL + 1, 4, 2), 2 * DWELL + 1);
}
END_TEST

START_TEST(it_shrinks_to_the_most_that_was_wanted_meanwhile)
{
    decide(0, 8, 4, 4);
    decide(3, 8, 6, 6);
    decide(6, 8, 4, 5);
    ck_assert_uint_eq(decide(DWELL, 8, 4, 4), 6);
}
END_TEST

START_TEST(growing_soon_after_a_shrink_doubles_the_dwell_time)
{
    guint second = 0, dwell = DWELL;
    for (guint i = 0; i < 6; i++) {
        const guint begin = second + 1;
        second = shrinks_at(begin, 4, 3);
        ck_assert_uint_eq(second - begin, dwell);
        change(second, 4, 3);
        second++;
        ck_assert_uint_eq(decide(second, 3, 4, 4), 4);
        change(second, 3, 4);
        dwell *= 2;
    }
    ck_assert_int_eq(governor.dwell_us, 600 * SECOND); /* 640, but the longest is 600 */
}
END_TEST

START_TEST(growing_late_after_a_shrink_does_not)
{
    const guint second = shrinks_at(0, 4, 3);
    change(second, 4, 3);
    ck_assert_uint_eq(decide(second + 1000, 3, 4, 4), 4);
    change(second + 1000, 3, 4);
    ck_assert_uint_eq(shrinks_at(second + 1001, 4, 3), second + 1001 + DWELL);
}
END_TEST

START_TEST(a_long_rest_brings_the_dwell_time_back)
{
    governor.dwell_us = 4 * DWELL * SECOND;
    change(0, 3, 4);
    decide(1, 4, 4, 4);
    ck_assert_int_eq(governor.dwell_us, 4 * DWELL * SECOND);
    for (guint second = 2; second < 10000; second++)
        decide(second, 4, 4, 4);
    ck_assert_int_eq(governor.dwell_us, DWELL * SECOND);
}
END_TEST

START_TEST(pauses_hold_each_direction_by_itself)
{
    settings.grow_pause_us = 5 * SECOND;
    settings.shrink_pause_us = 30 * SECOND;
    change(0, 1, 2);
    ck_assert_uint_eq(decide(4, 2, 3, 3), 2);
    ck_assert_uint_eq(decide(5, 2, 3, 3), 3);
    ck_assert_uint_eq(shrinks_at(6, 2, 1), 30);
}
END_TEST

START_TEST(a_minute_has_only_so_many_changes)
{
    settings.changes_per_minute = 3;
    for (guint second = 0; second < 3; second++) {
        ck_assert_uint_eq(decide(second, second + 1, second + 2, second + 2), second + 2);
        change(second, second + 1, second + 2);
    }
    ck_assert_uint_eq(decide(3, 4, 5, 5), 4);
    ck_assert_uint_eq(decide(59, 4, 5, 5), 4);
    ck_assert_uint_eq(decide(60, 4, 5, 5), 5); /* the first is a minute old */
}
END_TEST

START_TEST(without_a_limit_any_number_is_made)
{
    settings.changes_per_minute = 0;
    for (guint second = 0; second < 50; second++) {
        ck_assert_uint_eq(decide(second, second + 1, second + 2, second + 2), second + 2);
        change(second, second + 1, second + 2);
    }
}
END_TEST

START_TEST(pressure_waits_for_nothing_but_is_bounded)
{
    settings.changes_per_minute = 1;
    settings.grow_pause_us = 60 * SECOND;
    change(0, 1, 2);
    ck_assert_uint_eq(decide(1, 2, 9, 9), 2);
    ck_assert_uint_eq(governor_decide(&governor, &settings, BEGIN + SECOND, 2, 9, 9, TRUE), 4);
}
END_TEST

START_TEST(what_is_wanted_as_it_is_stays)
{
    for (guint second = 0; second < 1000; second++)
        ck_assert_uint_eq(decide(second, 3, 3, 3), 3);
}
END_TEST

static Suite *governor_suite(void)
{
    Suite *suite = suite_create("governor");
    TCase *all = tcase_create("governor");
    tcase_add_checked_fixture(all, setup, NULL);
    tcase_add_loop_test(all, a_step_is_bounded_and_at_least_one, 0, 13);
    tcase_add_test(all, it_grows_at_once_and_shrinks_after_the_dwell_time);
    tcase_add_test(all, wanting_as_much_again_begins_the_dwell_time_anew);
    tcase_add_test(all, it_shrinks_to_the_most_that_was_wanted_meanwhile);
    tcase_add_test(all, growing_soon_after_a_shrink_doubles_the_dwell_time);
    tcase_add_test(all, growing_late_after_a_shrink_does_not);
    tcase_add_test(all, a_long_rest_brings_the_dwell_time_back);
    tcase_add_test(all, pauses_hold_each_direction_by_itself);
    tcase_add_test(all, a_minute_has_only_so_many_changes);
    tcase_add_test(all, without_a_limit_any_number_is_made);
    tcase_add_test(all, pressure_waits_for_nothing_but_is_bounded);
    tcase_add_test(all, what_is_wanted_as_it_is_stays);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(governor_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
