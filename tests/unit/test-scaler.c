/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a scaler wants: by the prediction first, by what it sees then, and always a sane amount. */
#include "plan/levels.h"
#include "plan/scaler.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct scaler scaler;
static struct scaler_settings settings;
static GRand *dice;

static struct quantiles peak; /* that is predicted; zeros: none */

static void setup(void)
{
    scaler = (struct scaler){.class = &scaler_deep};
    settings = (struct scaler_settings){
        .shortage_cost = 10,
        .drift_threshold = drift_threshold(3600),
        .grow_above = 1.2,
        .grow_to = 1.5,
        .quantile = 0.9,
    };
    peak = (struct quantiles){0};
    dice = g_rand_new_with_seed(7);
}

static void teardown(void)
{
    g_rand_free(dice);
}

static struct scaler_verdict look_at(enum resource resource, struct quantiles predicted, double amount)
{
    double used[RESOURCE_COUNT] = {0};
    used[resource] = amount;
    const struct scaler_look look = {resource, predicted, predicted, peak, used, used};
    return scaler.class->look(scaler.state, &settings, &look);
}

static const struct quantiles one_cpu = {1, 1.3, 1.6};
static const struct quantiles memory = {200, 300, 400};

START_TEST(at_first_it_is_the_prediction_that_counts)
{
    const double want = look_at(RESOURCE_CPU, one_cpu, 1).want;
    ck_assert_double_ge(want, one_cpu.p90);
    scaler = (struct scaler){.class = &scaler_deep};
    ck_assert_double_gt(look_at(RESOURCE_CPU, (struct quantiles){1, 2, 4}, 1).want, want); /* less is known */
}
END_TEST

START_TEST(a_dearer_shortage_gets_more)
{
    double before = 0;
    for (settings.shortage_cost = 0.1; settings.shortage_cost < 1e6; settings.shortage_cost *= 10) {
        scaler = (struct scaler){.class = &scaler_deep};
        double want = 0;
        g_rand_set_seed(dice, 1);
        for (guint i = 0; i < 100; i++)
            want = look_at(RESOURCE_CPU, one_cpu, g_rand_double_range(dice, 0.5, 1.5)).want;
        ck_assert_double_ge(want, before);
        before = want;
    }
}
END_TEST

START_TEST(steady_use_gets_little_more_than_it_uses)
{
    struct scaler_verdict verdict = {0};
    for (guint i = 0; i < 200; i++)
        verdict = look_at(RESOURCE_CPU, one_cpu, 1);
    ck_assert_int_eq(verdict.finding, DRIFT_NONE);
    ck_assert_double_ge(verdict.want, 1);
    ck_assert_double_lt(verdict.want, 1.5);
}
END_TEST

START_TEST(growing_memory_is_not_short_all_the_time)
{
    guint shortages = 0;
    double want = memory.p90, used = 100;
    settings.shortage_cost = 10 * 1024;
    for (guint i = 0; i < 120; i++, used += 16) {
        shortages += i >= 20 && used > want;
        want = look_at(RESOURCE_MEMORY, memory, used).want;
        ck_assert_double_lt(want, 20 * (used + memory.p99));
    }
    ck_assert_uint_le(shortages, 5);
}
END_TEST

/* Looks with noise, and in how many of them there was too little. */
static guint shortages_in(double level, guint looks, double *want, guint *findings)
{
    guint shortages = 0;
    for (guint i = 0; i < looks; i++) {
        const double used = level * g_rand_double_range(dice, 0.9, 1.1);
        shortages += used > *want;
        const struct scaler_verdict verdict = look_at(RESOURCE_CPU, one_cpu, used);
        findings[verdict.finding]++;
        *want = verdict.want;
    }
    return shortages;
}

START_TEST(a_new_level_is_found_and_what_was_before_it_forgotten)
{
    guint findings[DRIFT_DECLINE + 1] = {0};
    double want = 2;
    shortages_in(1, 100, &want, findings);
    ck_assert_uint_eq(findings[DRIFT_EXCESS] + findings[DRIFT_DECLINE], 0);
    ck_assert_uint_le(shortages_in(4, 100, &want, findings), 10);
    ck_assert_uint_ge(findings[DRIFT_EXCESS], 1);
    ck_assert_double_ge(want, 4);
    shortages_in(1, 100, &want, findings);
    ck_assert_uint_ge(findings[DRIFT_DECLINE], 1);
    ck_assert_double_lt(want, 2);
}
END_TEST

START_TEST(a_spike_is_no_excess)
{
    guint findings[DRIFT_DECLINE + 1] = {0};
    double want = 2;
    shortages_in(1, 50, &want, findings);
    shortages_in(8, 1, &want, findings);
    shortages_in(1, 50, &want, findings);
    ck_assert_uint_eq(findings[DRIFT_SPIKE], 1);
    ck_assert_uint_eq(findings[DRIFT_EXCESS], 0);
}
END_TEST

#define QUIET 300 /* looks: longer than those that the factors are known by */

/* Rule: where a shortage is dear, a peak that recurs after a long quiet is held ready, and not much more than it. */
START_TEST(a_peak_that_recurs_after_a_long_quiet_is_remembered)
{
    guint shortages = 0;
    double want = 1, most = 0;
    settings.shortage_cost = 4096;
    for (guint i = 0; i < 12 * QUIET; i++) {
        const double used = (i % QUIET == QUIET - 1 ? 6 : 1) * g_rand_double_range(dice, 0.95, 1);
        const gboolean is_known = i >= 4 * QUIET;
        shortages += is_known && used > want;
        want = look_at(RESOURCE_CPU, one_cpu, used).want;
        most = is_known ? MAX(most, want) : 0;
    }
    ck_assert_uint_eq(shortages, 0);
    ck_assert_double_lt(most, 9);
}
END_TEST

/* Rule: the amounts that a histogram tells are at most a cell above those that were used, also after much more, and much less, was used. */
static double want_after_a_quiet_time(struct quantiles predicted_peak, double peak_seen)
{
    double want = 0;
    scaler = (struct scaler){.class = &scaler_deep};
    peak = predicted_peak;
    settings.shortage_cost = 1e6;
    for (guint i = 0; i < 1000; i++)
        want = look_at(RESOURCE_MEMORY, memory, i == 10 ? peak_seen : 200).want;
    peak = (struct quantiles){0};
    return want;
}

START_TEST(a_predicted_peak_is_held_for_and_not_much_more)
{
    const struct quantiles none = {0}, known = {900, 1000, 1100};
    ck_assert_double_gt(want_after_a_quiet_time(known, 200), 900);
    ck_assert_double_gt(want_after_a_quiet_time(none, 1000), 1.1 * want_after_a_quiet_time(known, 1000));
}
END_TEST

START_TEST(levels_are_those_of_the_looks)
{
    static const double amounts[] = {0, 3, 1e12, 1e-9, 700, 0};
    struct levels levels = {0};
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++) {
        float total = 0;
        for (guint k = 0; k < 20000; k++)
            levels_add(&levels, 8, amounts[i]);
        for (guint cell = 0; cell < LEVELS_CELLS; cell++)
            total += levels.weights[cell];
        double ends[LEVELS_CELLS];
        levels_ends(&levels, 8, ends);
        ck_assert_double_ge(ends[LEVELS_CELLS - 1], amounts[i] * (1 - 1e-9));
        ck_assert_double_le(ends[LEVELS_CELLS - 1], amounts[i] * 1.06 + 0.5);
        ck_assert_float_gt(levels.weights[LEVELS_CELLS - 1], 0.9f * total);
    }
}
END_TEST

static const struct scaler_class *const classes[] = {&scaler_deep, &scaler_simple};

START_TEST(amounts_of_any_kind_get_a_finite_answer)
{
    static const double amounts[] = {0, 1e12, 1e-300, 1e300, 0, 0, -5, 1e9};
    static const struct quantiles predictions[] = {{0, 0, 0}, {1, 1, 1}, {1e9, 1e10, 1e11}, {5, 1, 0}};
    for (guint p = 0; p < G_N_ELEMENTS(predictions); p++)
        for (enum resource resource = 0; resource < RESOURCE_COUNT; resource++) {
            scaler = (struct scaler){.class = classes[_i]};
            for (guint i = 0; i < 50 * G_N_ELEMENTS(amounts); i++) {
                peak = predictions[g_rand_int_range(dice, 0, G_N_ELEMENTS(predictions))];
                const struct scaler_verdict verdict =
                    look_at(resource, predictions[p], amounts[g_rand_int_range(dice, 0, G_N_ELEMENTS(amounts))]);
                ck_assert(isfinite(verdict.want) && isfinite(verdict.expected) && isfinite(verdict.deviation));
                ck_assert_double_ge(verdict.want, 0);
            }
        }
}
END_TEST

START_TEST(the_same_looks_give_the_same_answers)
{
    struct scaler other = {.class = classes[_i]};
    scaler = other;
    for (guint i = 0; i < 300; i++) {
        const double used[RESOURCE_COUNT] = {g_rand_double(dice)};
        const struct scaler_look look = {RESOURCE_CPU, one_cpu, one_cpu, peak, used, used};
        const double want = scaler.class->look(scaler.state, &settings, &look).want;
        ck_assert_double_eq(other.class->look(other.state, &settings, &look).want, want);
    }
}
END_TEST

START_TEST(the_simple_rule_goes_up_by_its_factor_and_never_down)
{
    static const struct {
        double used, want;
        enum drift_finding finding;
    } rows[] = {{1, 1.3, DRIFT_NONE},
                {1.3 * 1.2, 1.3, DRIFT_NONE},
                {1.57, 1.95, DRIFT_EXCESS},
                {10, 1.95 * 1.5, DRIFT_EXCESS}, /* one step for each look */
                {0, 1.95 * 1.5, DRIFT_NONE}};
    scaler = (struct scaler){.class = &scaler_simple};
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const struct scaler_verdict verdict = look_at(RESOURCE_CPU, one_cpu, rows[i].used);
        ck_assert_double_eq_tol(verdict.want, rows[i].want, 1e-9);
        ck_assert_int_eq(verdict.finding, rows[i].finding);
    }
}
END_TEST

static Suite *scaler_suite(void)
{
    Suite *suite = suite_create("scaler");
    TCase *deep = tcase_create("deep");
    tcase_add_checked_fixture(deep, setup, teardown);
    tcase_add_test(deep, at_first_it_is_the_prediction_that_counts);
    tcase_add_test(deep, a_dearer_shortage_gets_more);
    tcase_add_test(deep, steady_use_gets_little_more_than_it_uses);
    tcase_add_test(deep, growing_memory_is_not_short_all_the_time);
    tcase_add_test(deep, a_new_level_is_found_and_what_was_before_it_forgotten);
    tcase_add_test(deep, a_spike_is_no_excess);
    tcase_add_test(deep, a_peak_that_recurs_after_a_long_quiet_is_remembered);
    tcase_add_test(deep, a_predicted_peak_is_held_for_and_not_much_more);
    tcase_add_test(deep, levels_are_those_of_the_looks);
    suite_add_tcase(suite, deep);

    TCase *both = tcase_create("both");
    tcase_add_checked_fixture(both, setup, teardown);
    tcase_add_loop_test(both, amounts_of_any_kind_get_a_finite_answer, 0, G_N_ELEMENTS(classes));
    tcase_add_loop_test(both, the_same_looks_give_the_same_answers, 0, G_N_ELEMENTS(classes));
    tcase_add_test(both, the_simple_rule_goes_up_by_its_factor_and_never_down);
    suite_add_tcase(suite, both);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(scaler_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
