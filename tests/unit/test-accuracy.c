/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The figures of accuracy, against such as were computed by hand. */
#include "base/clock.h"
#include "model/accuracy.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS 3600000.0
#define NEAR 1e-9

static struct accuracy_tally *tally;

static void setup(void)
{
    tally = accuracy_tally_new();
}

static void teardown(void)
{
    accuracy_tally_free(tally);
}

/* An hour of which nothing else is told. */
static struct accuracy_run run_new(void)
{
    struct accuracy_run run = {.ended_at = CLOCK_SECOND};
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++) {
        run.amounts[i].predicted = (struct quantiles){NAN, NAN, NAN};
        run.amounts[i].given = run.amounts[i].used = NAN;
    }
    run.amounts[ACCURACY_DURATION].used = HOUR_MS;
    return run;
}

/* Predicted are 1, 2 and 4 CPUs, given are 2. */
static struct accuracy_run vcpus_used(double used)
{
    struct accuracy_run run = run_new();
    run.amounts[ACCURACY_VCPUS].predicted = (struct quantiles){1, 2, 4};
    run.amounts[ACCURACY_VCPUS].given = 2;
    run.amounts[ACCURACY_VCPUS].used = used;
    return run;
}

static void add(struct accuracy_run run)
{
    accuracy_tally_add(tally, &run);
}

static struct accuracy_figures figures_of(enum accuracy_amount amount)
{
    struct accuracy_group group = {.runs = 0};
    accuracy_tally_measure(tally, &group);
    return group.amounts[amount];
}

START_TEST(figures_are_those_computed_by_hand)
{
    add(vcpus_used(2));
    add(vcpus_used(0.5));
    add(vcpus_used(8));
    add(vcpus_used(1));
    const struct accuracy_figures figures = figures_of(ACCURACY_VCPUS);
    ck_assert_uint_eq(figures.runs, 4);
    ck_assert_double_eq_tol(figures.ratio_p50, 1.5, NEAR);               /* of 0.5, 1, 2, 8 */
    ck_assert_double_eq_tol(figures.ratio_p90, 2 + 0.7 * 6, NEAR);       /* at 0.9 x 3 */
    ck_assert_double_eq_tol(figures.log_error, 5 * M_LN2 / 4, NEAR);     /* ln 2, 0, ln 2, 3 ln 2 */
    ck_assert_double_eq_tol(figures.within_2, 0.75, NEAR);               /* the bounds are within */
    ck_assert_double_eq_tol(figures.coverage.p50, 0.5, NEAR);            /* 0.5 and 1 */
    ck_assert_double_eq_tol(figures.coverage.p90, 0.75, NEAR);           /* and 2 */
    ck_assert_double_eq_tol(figures.coverage.p99, 0.75, NEAR);           /* 8 is above 4 */
    ck_assert_double_eq_tol(figures.waste, (1.5 + 1 + 0 + 0) / 4, NEAR); /* CPU hours */
    ck_assert_double_eq_tol(figures.shortage, 0.25, NEAR);
    ck_assert_double_eq_tol(figures.shortage_ratio, 4, NEAR);
}
END_TEST

/* Rule: what was cut short says nothing of the error, and of a quantile only when it is above it already. */
START_TEST(runs_cut_short_count_only_against_a_quantile)
{
    add(vcpus_used(1));
    struct accuracy_run killed = vcpus_used(3);
    killed.is_cut_short = TRUE;
    add(killed);
    const struct accuracy_figures figures = figures_of(ACCURACY_VCPUS);
    ck_assert_uint_eq(figures.runs, 1);
    ck_assert_double_eq_tol(figures.ratio_p90, 1, NEAR);
    ck_assert_double_eq_tol(figures.coverage.p50, 0.5, NEAR);
    ck_assert_double_eq_tol(figures.coverage.p90, 0.5, NEAR);
    ck_assert_double_eq_tol(figures.coverage.p99, 1, NEAR); /* of the first alone: 3 may have become 5 */
    ck_assert_double_eq_tol(figures.shortage, 0.5, NEAR);
    struct accuracy_group group = {.runs = 0};
    accuracy_tally_measure(tally, &group);
    ck_assert_uint_eq(group.runs, 2);
    ck_assert_uint_eq(group.cut_short, 1);
}
END_TEST

/* Rule: the waste of memory is in GiB hours, and who runs out of it was short of it, however little was seen to be used. */
START_TEST(memory_is_wasted_in_gib_hours_and_missed_when_it_runs_out)
{
    struct accuracy_run run = run_new();
    run.amounts[ACCURACY_MEMORY].given = 3 * 1024;
    run.amounts[ACCURACY_MEMORY].used = 1024;
    run.amounts[ACCURACY_DURATION].used = HOUR_MS / 4;
    add(run);
    ck_assert_double_eq_tol(figures_of(ACCURACY_MEMORY).waste, 0.5, NEAR);
    ck_assert_double_eq_tol(figures_of(ACCURACY_MEMORY).shortage, 0, NEAR);
    run.is_out_of_memory = run.is_cut_short = TRUE;
    run.amounts[ACCURACY_MEMORY].used = 3 * 1024 - 10;
    add(run);
    const struct accuracy_figures figures = figures_of(ACCURACY_MEMORY);
    ck_assert_double_eq_tol(figures.shortage, 0.5, NEAR);
    ck_assert_double_eq_tol(figures.shortage_ratio, 1, NEAR);
    ck_assert_double_eq_tol(figures.waste, (0.5 + 10.0 / 1024 / 4) / 2, NEAR);
}
END_TEST

/* Rule: little is as good as nothing, and a network that nobody used is an amount; of everything else 0 means that it was not told. */
START_TEST(amounts_too_small_to_matter_are_equal)
{
    struct accuracy_run run = run_new();
    run.amounts[ACCURACY_NETWORK].predicted = (struct quantiles){0, 0.02, 0.05};
    run.amounts[ACCURACY_NETWORK].used = 0.09;
    run.amounts[ACCURACY_VCPUS].predicted = (struct quantiles){1, 1, 1};
    run.amounts[ACCURACY_VCPUS].used = 0;
    add(run);
    run.amounts[ACCURACY_NETWORK].used = 0;
    add(run);
    const struct accuracy_figures network = figures_of(ACCURACY_NETWORK), vcpus = figures_of(ACCURACY_VCPUS);
    ck_assert_uint_eq(network.runs, 2);
    ck_assert_double_eq_tol(network.log_error, 0, NEAR);
    ck_assert_double_eq_tol(network.coverage.p50, 1, NEAR);
    ck_assert_uint_eq(vcpus.runs, 0);
    ck_assert(isnan(vcpus.log_error) && isnan(vcpus.coverage.p90) && isnan(vcpus.waste));
}
END_TEST

/* Rule: what nobody can tell is left out of the JSON, it is no number. */
START_TEST(what_is_not_told_is_absent_in_json)
{
    add(vcpus_used(1));
    struct accuracy_group group = {.function = (char *)"f"};
    accuracy_tally_measure(tally, &group);
    g_autofree char *text = codec_encode_text(&accuracy_group_codec, &group, CODEC_CLIENT);
    static const char *const parts[] = {
        "{\"function\":\"f\",\"runs\":1,\"cut_short\":0,\"oldest_at\":\"1970-01-01T00:00:01.000000Z\"",
        ("\"vcpus\":{\"runs\":1,\"ratio_p50\":1.0,\"ratio_p90\":1.0,\"log_error\":0.0,\"within_2\":1.0,"
         "\"coverage\":{\"p50\":1.0,\"p90\":1.0,\"p99\":1.0},\"waste\":1.0,\"shortage\":0.0}"),
        "\"memory_mib\":{\"runs\":0,\"coverage\":{}}",
    };
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "%s is not in %s", parts[i], text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accuracy");
    TCase *cases = tcase_create("accuracy");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, figures_are_those_computed_by_hand);
    tcase_add_test(cases, runs_cut_short_count_only_against_a_quantile);
    tcase_add_test(cases, memory_is_wasted_in_gib_hours_and_missed_when_it_runs_out);
    tcase_add_test(cases, amounts_too_small_to_matter_are_equal);
    tcase_add_test(cases, what_is_not_told_is_absent_in_json);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
