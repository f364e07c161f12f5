/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The drift test: as few false alarms as the formula says, quick to find a shift, unmoved by a spike. */
#include "plan/drift.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static GRand *dice;

static void setup(void)
{
    dice = g_rand_new_with_seed(4);
}

static void teardown(void)
{
    g_rand_free(dice);
}

/* A normal variable, by the method of Box and Muller. */
static double normal(void)
{
    return sqrt(-2 * log(1 - g_rand_double(dice))) * cos(2 * G_PI * g_rand_double(dice));
}

/* Looks until the alarm. */
static guint run_length(double shift, double threshold, enum drift_finding *ret_finding)
{
    struct drift drift = {0};
    for (guint looks = 1;; looks++) {
        *ret_finding = drift_update(&drift, shift + normal(), threshold, NULL);
        if (*ret_finding == DRIFT_EXCESS || *ret_finding == DRIFT_DECLINE)
            return looks;
    }
}

START_TEST(false_alarms_are_as_rare_as_was_asked)
{
    static const double asked[] = {100, 500, 2000};
    const double threshold = drift_threshold(asked[_i]);
    const guint runs = 400;
    double sum = 0;
    guint ups = 0;
    for (guint i = 0; i < runs; i++) {
        enum drift_finding finding;
        sum += run_length(0, threshold, &finding);
        ups += finding == DRIFT_EXCESS;
    }
    ck_assert_double_gt(sum / runs, asked[_i] / 1.5);
    ck_assert_double_lt(sum / runs, asked[_i] * 1.5);
    ck_assert_uint_gt(ups, runs / 3); /* both sides alike */
    ck_assert_uint_lt(ups, runs - runs / 3);
}
END_TEST

START_TEST(the_threshold_rises_with_the_looks_between_alarms)
{
    double before = drift_threshold(10);
    for (double looks = 100; looks < 1e7; looks *= 10) {
        ck_assert_double_gt(drift_threshold(looks), before);
        before = drift_threshold(looks);
    }
    ck_assert_double_lt(before, 15);
}
END_TEST

static int compare_uints(const void *a, const void *b)
{
    return (int)*(const guint *)a - (int)*(const guint *)b;
}

START_TEST(a_shift_by_one_standard_deviation_is_found_soon)
{
    const double shift = _i == 0 ? 1 : -1;
    guint lengths[201];
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
        enum drift_finding finding;
        lengths[i] = run_length(shift, drift_threshold(3600), &finding);
        ck_assert_int_eq(finding, _i == 0 ? DRIFT_EXCESS : DRIFT_DECLINE);
    }
    qsort(lengths, G_N_ELEMENTS(lengths), sizeof *lengths, compare_uints);
    ck_assert_uint_lt(lengths[G_N_ELEMENTS(lengths) / 2], 20);
}
END_TEST

START_TEST(one_look_far_out_is_a_spike_and_no_excess)
{
    struct drift drift = {0};
    const double threshold = drift_threshold(3600);
    ck_assert_int_eq(drift_update(&drift, 1e9, threshold, NULL), DRIFT_SPIKE);
    for (guint i = 0; i < 20; i++)
        ck_assert_int_eq(drift_update(&drift, 0, threshold, NULL), DRIFT_NONE);
    ck_assert_int_eq(drift_update(&drift, -1e9, threshold, NULL), DRIFT_NONE);
}
END_TEST

START_TEST(the_age_of_the_shift_is_told_and_the_test_begins_anew)
{
    struct drift drift = {0};
    guint samples = 99;
    for (guint i = 0; i < 10; i++)
        ck_assert_int_eq(drift_update(&drift, -0.5, 4, &samples), DRIFT_NONE);
    for (guint i = 0; i < 2; i++)
        ck_assert_int_eq(drift_update(&drift, 2, 4, &samples), DRIFT_NONE);
    ck_assert_uint_eq(samples, 0);
    ck_assert_int_eq(drift_update(&drift, 2, 4, &samples), DRIFT_EXCESS);
    ck_assert_uint_eq(samples, 3);
    ck_assert_double_eq(drift.up, 0);
    ck_assert_uint_eq(drift.up_count, 0);
}
END_TEST

static Suite *drift_suite(void)
{
    Suite *suite = suite_create("drift");
    TCase *drift = tcase_create("drift");
    tcase_add_checked_fixture(drift, setup, teardown);
    tcase_add_loop_test(drift, false_alarms_are_as_rare_as_was_asked, 0, 3);
    tcase_add_test(drift, the_threshold_rises_with_the_looks_between_alarms);
    tcase_add_loop_test(drift, a_shift_by_one_standard_deviation_is_found_soon, 0, 2);
    tcase_add_test(drift, one_look_far_out_is_a_spike_and_no_excess);
    tcase_add_test(drift, the_age_of_the_shift_is_told_and_the_test_begins_anew);
    suite_add_tcase(suite, drift);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(drift_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
