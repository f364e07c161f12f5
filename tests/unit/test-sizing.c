/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizing: the amount that is chosen is the one of least expected cost, and why. */
#include "model/normal.h"
#include "plan/sizing.h"
#include "policy-fixture.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* One profile that may grow to all that is asked for here. */
#define POLICY                                                                                                                  \
    "profiles:\n"                                                                                                               \
    "  - { name: p, template: t, vcpus: 1, memory: 256 MiB, network: 1 Mbit/s,\n"                                               \
    "      maximum: { vcpus: 1024, memory: 16 TiB, network: 500 Gbit/s } }\n"                                                   \
    "classes:\n"                                                                                                                \
    "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: 1, p90: 1, p99: 1 },\n"                                 \
    "      memory: { p50: 64 MiB, p90: 64 MiB, p99: 64 MiB } } }\n"                                                             \
    "provisioning: { sizing: demand, prices: { cpu: { shortage: %.17g, waste: %.17g }, memory: { shortage: %.17g, waste: %.17g" \
    " }, network: { shortage: %.17g, waste: %.17g } } }\n"

static struct policy *policy_of_prices(double shortage, double waste)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf(POLICY, shortage, waste, shortage, waste, shortage, waste);
    struct policy *policy = policy_of_text("x.yaml", text, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    return policy;
}

/* A need of which the logarithm is normal: its median, and the standard deviation of the logarithm. */
static struct quantiles lognormal(double median, double deviation)
{
    return (struct quantiles){median, median * exp(deviation * normal_quantile(0.9)),
                              median * exp(deviation * normal_quantile(0.99))};
}

static const struct demand demands[] = {
    {.vcpus = {2, 2, 2}, .memory_mib = {5000, 5000, 5000}, .network_mbps = {50, 50, 50}},
    {.vcpus = {4, 8, 16}, .memory_mib = {4000, 9000, 40000}, .network_mbps = {20, 100, 900}},
    {.vcpus = {3, 3.1, 60}, .memory_mib = {900, 8000, 8100}, .network_mbps = {0, 40, 400}},
    {.vcpus = {0.1, 0.2, 0.3}, .memory_mib = {30, 60, 90}, .network_mbps = {0, 0, 0}},
    {.vcpus = {20, 300, 400}, .memory_mib = {1000, 200000, 210000}, .network_mbps = {1, 1000, 9000}},
};

static const double ratios[][2] = {{1, 1}, {3, 1}, {9, 1}, {0.9, 0.1}, {4, 0.125}, {99, 1}, {1000, 1}};

/* Rule: for a lognormal need the expected cost is that of the closed form (the stop-loss premium of actuaries, Black and Scholes' call). */
START_TEST(the_cost_of_a_lognormal_need_is_that_of_the_closed_form)
{
    g_autoptr(policy_auto) policy = policy_of_prices(9, 1);
    for (double deviation = 0.1; deviation < 0.5; deviation *= 2) {
        const struct demand demand = {.vcpus = lognormal(100, deviation)};
        const double mean = 100 * exp(deviation * deviation / 2);
        for (guint amount = 25; amount <= 400; amount += 25) {
            const double score = log(amount / 100.0) / deviation;
            const double missing = mean * normal_probability(deviation - score) - amount * normal_probability(-score);
            const double expected = 9 * missing + amount - mean + missing;
            ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_CPU, amount), expected,
                                    0.01 * expected + 0.1);
        }
    }
}
END_TEST

START_TEST(a_need_that_is_known_costs_by_the_distance_alone)
{
    g_autoptr(policy_auto) policy = policy_of_prices(8, 2);
    const struct demand demand = {.vcpus = {4, 4, 4}, .memory_mib = {800, 800, 800}, .network_mbps = {80, 80, 80}};
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_CPU, 4), 0, 1e-9);
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_CPU, 3), 8, 1e-9);
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_CPU, 6), 4, 1e-9);
    /* 800 MiB with headroom, and what the guest needs itself */
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_MEMORY, 1000 + SIZING_GUEST_MIB), 0, 1e-9);
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_MEMORY, 1512 + SIZING_GUEST_MIB), 1, 1e-9);
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_MEMORY, 0), 8 * 1000.0 / 1024, 1e-9);
    ck_assert_double_eq_tol(sizing_cost(policy, &demand, RESOURCE_NETWORK, 150), 1, 1e-9);
    const struct demand absurd = {.vcpus = {0, 1e12, 1e12}};
    ck_assert_double_le(sizing_cost(policy, &absurd, RESOURCE_CPU, 1), SIZING_COST_MAX);
}
END_TEST

static guint shape_of(const struct vm_shape *shape, enum resource resource)
{
    return resource == RESOURCE_CPU      ? shape->vcpus
           : resource == RESOURCE_MEMORY ? shape->memory_mib
                                         : shape->network_mbps;
}

/* Rule: of all the amounts in whole steps, the cheapest is the one that sizing chose, or a neighbour of it: it rounds, vCPUs mostly up. */
START_TEST(what_is_chosen_is_within_a_step_of_the_cheapest)
{
    g_autoptr(policy_auto) policy = policy_of_prices(ratios[_i][0], ratios[_i][1]);
    for (guint i = 0; i < G_N_ELEMENTS(demands); i++) {
        struct sizing sizing;
        sizing_choose(policy, &demands[i], &sizing);
        for (enum resource resource = RESOURCE_CPU; resource <= RESOURCE_NETWORK; resource++) {
            const guint chosen = shape_of(&sizing.shape, resource);
            const guint step = resource == RESOURCE_MEMORY ? policy->provisioning.memory_step_mib : 1;
            const guint least = resource == RESOURCE_MEMORY ? policy->provisioning.memory_min_mib : 1;
            double best = MIN(sizing_cost(policy, &demands[i], resource, chosen),
                              sizing_cost(policy, &demands[i], resource, chosen + step));
            if (chosen >= least + step)
                best = MIN(best, sizing_cost(policy, &demands[i], resource, chosen - step));
            for (double times = 0.2; times < 5; times *= 1.01) {
                const guint amount = MAX(least, (guint)(chosen * times) / step * step);
                ck_assert_double_ge(sizing_cost(policy, &demands[i], resource, amount) * (1 + 1e-4) + 1e-9, best);
            }
        }
    }
}
END_TEST

/* Rule: a dearer shortage never gets less, dearer waste never more. */
START_TEST(what_is_chosen_rises_with_the_price_of_shortage)
{
    for (guint i = 0; i < G_N_ELEMENTS(demands); i++) {
        struct vm_shape before = {.network_mbps = 1}; /* 0 would be no limit */
        for (double shortage = 0.01; shortage < 1e5; shortage *= 1.3) {
            g_autoptr(policy_auto) dear = policy_of_prices(shortage, 1);
            g_autoptr(policy_auto) same = policy_of_prices(shortage * 4, 4);
            struct sizing sizing, again;
            sizing_choose(dear, &demands[i], &sizing);
            sizing_choose(same, &demands[i], &again);
            ck_assert(vm_shape_equal(&sizing.shape, &again.shape)); /* the ratio alone decides */
            ck_assert(vm_shape_covers(&sizing.shape, &before));
            before = sizing.shape;
        }
    }
}
END_TEST

static const struct amount_choice *choice_of(const GPtrArray *choices, enum resource resource)
{
    for (guint i = 0; i < choices->len; i++)
        if (((struct amount_choice *)choices->pdata[i])->resource == resource)
            return choices->pdata[i];
    return NULL;
}

static GPtrArray *weigh(const struct policy *policy, const struct demand *demand)
{
    struct sizing sizing;
    sizing_choose(policy, demand, &sizing);
    GPtrArray *choices = sizing_weigh(policy, demand, sizing.profile->name, &sizing.shape);
    g_ptr_array_set_free_func(choices, (GDestroyNotify)amount_choice_free);
    return choices;
}

START_TEST(a_choice_tells_what_its_neighbours_would_have_cost)
{
    g_autoptr(policy_auto) policy = policy_of_prices(9, 1);
    g_autoptr(GPtrArray) choices = weigh(policy, &demands[1]);
    ck_assert_uint_eq(choices->len, 3);
    static const guint rows[][3] = {{7, 8, 9}, {11392 - 128, 11392, 11392 + 128}, {94, 125, 156}};
    for (enum resource resource = RESOURCE_CPU; resource <= RESOURCE_NETWORK; resource++) {
        const struct amount_choice *choice = choice_of(choices, resource);
        ck_assert_double_eq(choice->quantile, 0.9);
        ck_assert_uint_eq(choice->less, rows[resource][0]);
        ck_assert_uint_eq(choice->amount, rows[resource][1]);
        ck_assert_uint_eq(choice->more, rows[resource][2]);
        ck_assert_double_eq(choice->less_cost, sizing_cost(policy, &demands[1], resource, choice->less));
        ck_assert_double_eq(choice->cost, sizing_cost(policy, &demands[1], resource, choice->amount));
        ck_assert_double_eq(choice->more_cost, sizing_cost(policy, &demands[1], resource, choice->more));
        ck_assert_double_gt(choice->more_cost, choice->cost);
        ck_assert_str_eq(choice->verdict, "covers the demand");
    }
}
END_TEST

START_TEST(a_choice_tells_when_the_profile_decided)
{
    g_autoptr(policy_auto) shipped = policy_shipped("default.yaml");
    const struct demand little = {.vcpus = {0.2, 0.3, 0.4}, .memory_mib = {50, 60, 70}, .network_mbps = {1, 1, 1}};
    g_autoptr(GPtrArray) choices = weigh(shipped, &little);
    ck_assert_str_eq(choice_of(choices, RESOURCE_CPU)->verdict, "covers the demand");
    ck_assert_uint_eq(choice_of(choices, RESOURCE_CPU)->less, 0); /* no vCPU is none */
    ck_assert_str_eq(choice_of(choices, RESOURCE_MEMORY)->verdict, "least of profile low");
    ck_assert_str_eq(choice_of(choices, RESOURCE_NETWORK)->verdict, "least of profile low");
    ck_assert_double_lt(choice_of(choices, RESOURCE_MEMORY)->less_cost, choice_of(choices, RESOURCE_MEMORY)->cost);

    const struct demand much = {.vcpus = {90, 90, 90}, .memory_mib = {1e6, 1e6, 1e6}};
    g_autoptr(GPtrArray) most = weigh(shipped, &much);
    ck_assert_str_eq(choice_of(most, RESOURCE_CPU)->verdict, "most of profile high");
    ck_assert_double_lt(choice_of(most, RESOURCE_CPU)->more_cost, choice_of(most, RESOURCE_CPU)->cost);

    g_autoptr(policy_auto) open = policy_shipped("quickstart.yaml"); /* its networks are not limited */
    g_autoptr(GPtrArray) two = weigh(open, &little);
    ck_assert_uint_eq(two->len, 2);
    ck_assert_ptr_null(choice_of(two, RESOURCE_NETWORK));
    ck_assert_uint_eq(choice_of(two, RESOURCE_MEMORY)->amount, 256);
    ck_assert_uint_eq(choice_of(two, RESOURCE_MEMORY)->less, 0); /* memory_min */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sizing");
    TCase *cost = tcase_create("cost");
    tcase_add_test(cost, the_cost_of_a_lognormal_need_is_that_of_the_closed_form);
    tcase_add_test(cost, a_need_that_is_known_costs_by_the_distance_alone);
    tcase_add_loop_test(cost, what_is_chosen_is_within_a_step_of_the_cheapest, 0, G_N_ELEMENTS(ratios));
    tcase_add_test(cost, what_is_chosen_rises_with_the_price_of_shortage);
    tcase_add_test(cost, a_choice_tells_what_its_neighbours_would_have_cost);
    tcase_add_test(cost, a_choice_tells_when_the_profile_decided);
    suite_add_tcase(suite, cost);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
