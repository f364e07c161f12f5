/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Courses: slots that grow with time, a form that survives JSON, and JSON that nobody wrote for us. */
#include "model/course.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(slots_grow_with_time_and_leave_no_gap)
{
    static const struct {
        gint64 elapsed_ms;
        guint slot;
    } rows[] = {{-1, 0},
                {0, 0},
                {999, 0},
                {1000, 1},
                {3999, 3},
                {4000, 4},
                {5999, 4},
                {6000, 5},
                {7999, 5},
                {8000, 6},
                {12000, 7},
                {16000, 8},
                {G_MAXINT64, COURSE_SLOTS - 1}};
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        ck_assert_uint_eq(course_slot(rows[i].elapsed_ms), rows[i].slot);
    for (guint slot = 1; slot < COURSE_SLOTS; slot++) {
        ck_assert_int_gt(course_slot_start_ms(slot), course_slot_start_ms(slot - 1));
        ck_assert_uint_eq(course_slot(course_slot_start_ms(slot)), slot);
        ck_assert_uint_eq(course_slot(course_slot_start_ms(slot) - 1), slot - 1);
    }
    ck_assert_int_gt(course_slot_start_ms(COURSE_SLOTS - 1), 3600 * 1000);
}
END_TEST

static void free_course(GPtrArray *course)
{
    for (guint i = 0; i < course->len; i++)
        usage_slot_free(course->pdata[i]);
    g_ptr_array_unref(course);
}

static GPtrArray *course_of_samples(void)
{
    GPtrArray *course = NULL;
    usage_course_add(&course, 100, (const double[RESOURCE_COUNT]){1, 100, 10, 0});
    usage_course_add(&course, 900, (const double[RESOURCE_COUNT]){3, 300, 30, 4});
    usage_course_add(&course, 950, (const double[RESOURCE_COUNT]){2, 200, 20, 2});
    usage_course_add(&course, 5000, (const double[RESOURCE_COUNT]){0.5, 150, 0, 0});
    return course;
}

START_TEST(rates_are_kept_in_the_mean_and_memory_at_its_peak)
{
    GPtrArray *course = course_of_samples();
    ck_assert_uint_eq(course->len, 2); /* slots without a sample are left out */
    const struct usage_slot *first = course->pdata[0], *second = course->pdata[1];
    ck_assert_uint_eq(first->samples, 3);
    ck_assert_double_eq_tol(first->amounts[RESOURCE_CPU], 2, 1e-9);
    ck_assert_double_eq(first->amounts[RESOURCE_MEMORY], 300);
    ck_assert_double_eq_tol(first->amounts[RESOURCE_NETWORK], 20, 1e-9);
    ck_assert_double_eq_tol(first->amounts[RESOURCE_DISK], 2, 1e-9);
    ck_assert_int_eq(second->from_ms, 4000);
    ck_assert_uint_eq(second->samples, 1);
    free_course(course);
}
END_TEST

START_TEST(a_slot_survives_json)
{
    GPtrArray *course = course_of_samples();
    const struct usage_slot *slot = course->pdata[0];
    g_autofree char *text = codec_encode_text(&usage_slot_codec, slot, CODEC_STORE);
    struct usage_slot *read = codec_decode_text(&usage_slot_codec, text, strlen(text), 4096, CODEC_STORE, NULL);
    ck_assert_ptr_nonnull(read);
    ck_assert_int_eq(read->from_ms, slot->from_ms);
    for (guint i = 0; i < RESOURCE_COUNT; i++)
        ck_assert_double_eq(read->amounts[i], slot->amounts[i]);
    usage_slot_free(read);
    free_course(course);
}
END_TEST

/* Time that goes back, as after a step of the clock, makes no slot before the last. */
START_TEST(slots_stay_in_order)
{
    GPtrArray *course = course_of_samples();
    usage_course_add(&course, 200, (const double[RESOURCE_COUNT]){1, 1, 1, 1});
    usage_course_add(&course, -5, (const double[RESOURCE_COUNT]){1, 1, 1, 1});
    ck_assert_uint_eq(course->len, 2);
    usage_course_add(&course, G_MAXINT64, (const double[RESOURCE_COUNT]){1, 1, 1, 1});
    ck_assert_uint_eq(course->len, 3);
    free_course(course);
}
END_TEST

START_TEST(the_most_between_two_times_is_each_quantile_by_itself)
{
    struct course course;
    course_set_flat(&course, RESOURCE_CPU, &(struct quantiles){1, 2, 3});
    course.amounts[RESOURCE_CPU][2] = (struct quantiles){0.5, 5, 6};
    course.amounts[RESOURCE_CPU][3] = (struct quantiles){2, 2, 9};
    const struct quantiles most = course_most(&course, RESOURCE_CPU, 1500, 3500);
    ck_assert_double_eq(most.p50, 2);
    ck_assert_double_eq(most.p90, 5);
    ck_assert_double_eq(most.p99, 9);
    const struct quantiles one = course_most(&course, RESOURCE_CPU, 1500, 1500);
    ck_assert_double_eq(one.p99, 3);
    ck_assert_double_eq(course_at(&course, RESOURCE_CPU, 2500)->p90, 5);
    ck_assert_double_eq(course_at(&course, RESOURCE_CPU, G_MAXINT64)->p90, 2);
}
END_TEST

static Suite *course_suite(void)
{
    Suite *suite = suite_create("course");
    TCase *course = tcase_create("course");
    tcase_add_test(course, slots_grow_with_time_and_leave_no_gap);
    tcase_add_test(course, rates_are_kept_in_the_mean_and_memory_at_its_peak);
    tcase_add_test(course, a_slot_survives_json);
    tcase_add_test(course, slots_stay_in_order);
    tcase_add_test(course, the_most_between_two_times_is_each_quantile_by_itself);
    suite_add_tcase(suite, course);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(course_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
