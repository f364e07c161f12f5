/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Courses: slots that grow with time, a form that survives JSON, and JSON that nobody wrote for us. */
#include "model/course.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

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

static struct usage_course course_of_samples(void)
{
    struct usage_course course = {0};
    usage_course_add(&course, 100, (const double[]){1, 100, 10});
    usage_course_add(&course, 900, (const double[]){3, 300, 30});
    usage_course_add(&course, 950, (const double[]){2, 200, 20});
    usage_course_add(&course, 5000, (const double[]){0.5, 150, 0});
    return course;
}

START_TEST(rates_are_kept_in_the_mean_and_memory_at_its_peak)
{
    const struct usage_course course = course_of_samples();
    ck_assert_uint_eq(course.slots[0].count, 3);
    ck_assert_double_eq_tol(course.slots[0].amounts[RESOURCE_CPU], 2, 1e-9);
    ck_assert_double_eq(course.slots[0].amounts[RESOURCE_MEMORY], 300);
    ck_assert_double_eq_tol(course.slots[0].amounts[RESOURCE_NETWORK], 20, 1e-9);
    ck_assert_uint_eq(course.slots[1].count, 0);
    ck_assert_uint_eq(course.slots[4].count, 1);
}
END_TEST

START_TEST(a_course_survives_json)
{
    const struct usage_course course = course_of_samples();
    struct usage_course read;
    json_t *json = usage_course_to_json(&course);
    ck_assert_uint_eq(json_array_size(json), 5); /* to the last slot with a sample */
    ck_assert(usage_course_from_json(json, &read));
    for (guint slot = 0; slot < COURSE_SLOTS; slot++) {
        ck_assert_int_eq(read.slots[slot].count > 0, course.slots[slot].count > 0);
        for (guint i = 0; i < RESOURCE_COUNT; i++)
            ck_assert_double_eq(read.slots[slot].amounts[i], course.slots[slot].amounts[i]);
    }
    json_decref(json);
}
END_TEST

START_TEST(a_course_without_samples_is_no_json)
{
    const struct usage_course course = {0};
    ck_assert_ptr_null(usage_course_to_json(&course));
}
END_TEST

static gboolean read_text(const char *text, struct usage_course *ret_course)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(json);
    const gboolean is_read = usage_course_from_json(json, ret_course);
    json_decref(json);
    return is_read;
}

START_TEST(json_that_is_no_course_is_refused)
{
    static const char *const texts[] = {"{}", "null", "1", "\"x\"", "[1]", "[[1, 2, 3], \"x\"]", "[{}]"};
    struct usage_course course;
    ck_assert(!read_text(texts[_i], &course));
}
END_TEST

START_TEST(a_course_longer_than_there_are_slots_is_refused)
{
    struct usage_course course;
    json_t *json = json_array();
    for (guint i = 0; i < COURSE_SLOTS; i++)
        json_array_append_new(json, json_pack("[f, f, f]", 1.0, 2.0, 3.0));
    ck_assert(usage_course_from_json(json, &course));
    ck_assert_uint_eq(course.slots[COURSE_SLOTS - 1].count, 1);
    json_array_append_new(json, json_null());
    ck_assert(!usage_course_from_json(json, &course));
    json_decref(json);
    ck_assert(!usage_course_from_json(NULL, &course));
}
END_TEST

START_TEST(strange_amounts_become_none)
{
    struct usage_course course;
    ck_assert(read_text("[[-5, \"x\", null, 7, 8], [], null, [1e300]]", &course));
    ck_assert_double_eq(course.slots[0].amounts[RESOURCE_CPU], 0);
    ck_assert_double_eq(course.slots[0].amounts[RESOURCE_MEMORY], 0);
    ck_assert_double_eq(course.slots[0].amounts[RESOURCE_NETWORK], 0);
    ck_assert_uint_eq(course.slots[2].count, 0);
    ck_assert(isfinite(course.slots[3].amounts[RESOURCE_CPU]));
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
    tcase_add_test(course, a_course_survives_json);
    tcase_add_test(course, a_course_without_samples_is_no_json);
    tcase_add_loop_test(course, json_that_is_no_course_is_refused, 0, 7);
    tcase_add_test(course, a_course_longer_than_there_are_slots_is_refused);
    tcase_add_test(course, strange_amounts_become_none);
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
