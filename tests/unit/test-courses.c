/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/courses.h"

#include <check.h>
#include <stdlib.h>

#define HALF_LIFE 8

/* One execution: so much memory and CPU in the slots that begin at these times. */
static void add(struct courses *courses, const gint64 *from_ms, guint count, double memory_mib, double vcpus)
{
    g_autoptr(GPtrArray) slots = g_ptr_array_new_with_free_func((GDestroyNotify)usage_slot_free);
    for (guint i = 0; i < count; i++) {
        struct usage_slot *slot = g_new0(struct usage_slot, 1);
        *slot = (struct usage_slot){from_ms[i], 1, {[RESOURCE_CPU] = vcpus, [RESOURCE_MEMORY] = memory_mib}};
        g_ptr_array_add(slots, slot);
    }
    courses_add(courses, slots);
}

static struct course flat(double amount)
{
    struct course course;
    for (guint resource = 0; resource < RESOURCE_COUNT; resource++)
        course_set_flat(&course, resource, &(struct quantiles){amount, amount, amount});
    return course;
}

/* Rule: without executions nothing is said, and what came without a course tells nothing. */
START_TEST(test_nothing)
{
    struct courses courses = {0};
    struct course course = flat(7);
    g_autoptr(GPtrArray) empty = g_ptr_array_new();
    courses_add(&courses, NULL);
    courses_add(&courses, empty);
    ck_assert_uint_eq(courses.count, 0);
    courses_predict(&courses, HALF_LIFE, &course);
    ck_assert_double_eq(course_at(&course, RESOURCE_MEMORY, 0)->p50, 7);
    courses_clear(&courses);
}
END_TEST

/* Rule: slots that an execution told are predicted by it, with room for what was not seen; the others stay as they were. */
START_TEST(test_slots)
{
    static const gint64 from_ms[] = {0, 1000, 4000};
    struct courses courses = {0};
    struct course course = flat(7);
    add(&courses, from_ms, G_N_ELEMENTS(from_ms), 100, 2);
    courses_predict(&courses, HALF_LIFE, &course);
    for (guint i = 0; i < G_N_ELEMENTS(from_ms); i++) {
        const struct quantiles *memory = course_at(&course, RESOURCE_MEMORY, from_ms[i]);
        ck_assert_double_eq_tol(memory->p50, 100, 0.01);
        ck_assert_double_gt(memory->p90, memory->p50);
        ck_assert_double_gt(memory->p99, memory->p90);
        ck_assert_double_eq_tol(course_at(&course, RESOURCE_CPU, from_ms[i])->p50, 2, 0.01);
    }
    ck_assert_double_eq(course_at(&course, RESOURCE_MEMORY, 2000)->p50, 7);
    ck_assert_double_eq(course_at(&course, RESOURCE_MEMORY, 60000)->p50, 7);
    courses_clear(&courses);
}
END_TEST

/* Rule: a time beyond the last slot belongs to it, however long the execution took. */
START_TEST(test_last_slot)
{
    static const gint64 from_ms[] = {0, G_MAXINT64};
    struct courses courses = {0};
    struct course course = flat(7);
    add(&courses, from_ms, G_N_ELEMENTS(from_ms), 100, 1);
    courses_predict(&courses, HALF_LIFE, &course);
    ck_assert_double_eq_tol(course_at(&course, RESOURCE_MEMORY, 1000000000)->p50, 100, 0.01);
    courses_clear(&courses);
}
END_TEST

static int double_compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Rule: the newest COURSES_MAX are kept, at every length that the ring grows through. */
START_TEST(test_ring)
{
    static const gint64 from_ms[] = {0};
    struct courses courses = {0};
    double amounts[3 * COURSES_MAX], sorted[COURSES_MAX];
    for (guint i = 0; i < 3 * COURSES_MAX; i++) {
        struct course course = flat(7);
        const double amount = amounts[i] = 10 + i * 7 % 13; /* along no line */
        add(&courses, from_ms, 1, amount, 1);
        const guint kept = MIN(i + 1, COURSES_MAX);
        ck_assert_uint_eq(courses.count, kept);
        courses_predict(&courses, 0.1, &course); /* the newest is all that counts for the median */
        ck_assert_double_eq_tol(course_at(&course, RESOURCE_MEMORY, 0)->p50, amount, 0.01 * amount);
        courses_predict(&courses, 1e6, &course); /* all count the same */
        memcpy(sorted, &amounts[i + 1 - kept], kept * sizeof *sorted);
        qsort(sorted, kept, sizeof *sorted, double_compare);
        const double middle = (sorted[(kept - 1) / 2] + sorted[kept / 2]) / 2;
        ck_assert_double_eq_tol(course_at(&course, RESOURCE_MEMORY, 0)->p50, middle, 0.05 * middle);
    }
    courses_clear(&courses);
    ck_assert_uint_eq(courses.count, 0);
    add(&courses, from_ms, 1, 5, 1); /* it can be used again */
    ck_assert_uint_eq(courses.count, 1);
    courses_clear(&courses);
}
END_TEST

/* Rule: each slot is predicted from those executions that came so far. */
START_TEST(test_some_came_far)
{
    static const gint64 from_ms[] = {0, 1000};
    struct courses courses = {0};
    struct course course = flat(7);
    add(&courses, from_ms, 2, 500, 1);
    for (guint i = 1; i < COURSES_MAX; i++)
        add(&courses, from_ms, 1, 100, 1);
    courses_predict(&courses, HALF_LIFE, &course);
    ck_assert_double_lt(course_at(&course, RESOURCE_MEMORY, 0)->p50, 110);
    ck_assert_double_eq_tol(course_at(&course, RESOURCE_MEMORY, 1000)->p50, 500, 0.1);
    courses_clear(&courses);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("courses");
    TCase *cases = tcase_create("courses");
    tcase_add_test(cases, test_nothing);
    tcase_add_test(cases, test_slots);
    tcase_add_test(cases, test_last_slot);
    tcase_add_test(cases, test_ring);
    tcase_add_test(cases, test_some_came_far);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
