/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/sizing.h"

#include "model/limits.h"
#include "model/normal.h"

#include <math.h>

#define PIECES 4      /* of a need: up to p50, p90, p99, and beyond */
#define PIECE_CELLS 8 /* two fifths of a standard deviation at most */
#define NEED_CELLS (PIECES * PIECE_CELLS + 2)

/* A share of the runs, and between which amounts they need. */
struct need_cell {
    double share, least, most;
};

/* Predictions may be absurd, and a cast of a number that does not fit is undefined. */
static guint sizing_whole(double need)
{
    return (guint)CLAMP(ceil(need), 0, MODEL_MEMORY_MIB_MAX);
}

guint sizing_memory_mib(const struct policy *policy, double used_mib)
{
    const struct policy_provisioning *provisioning = &policy->provisioning;
    const guint step = MAX(provisioning->memory_step_mib, 1);
    const guint steps = sizing_whole(MIN(used_mib + SIZING_GUEST_MIB, MODEL_MEMORY_MIB_MAX) / step);
    return MAX(provisioning->memory_min_mib, steps * step);
}

static void sizing_needed_shape(const struct policy *policy, const struct demand *demand, struct vm_shape *ret_shape)
{
    const struct policy_provisioning *provisioning = &policy->provisioning;
    *ret_shape = (struct vm_shape){
        .vcpus = policy_whole_vcpus(policy_need(policy, demand, RESOURCE_CPU)),
        .memory_mib = sizing_memory_mib(policy, policy_need(policy, demand, RESOURCE_MEMORY) * provisioning->headroom),
        .network_mbps = sizing_whole(policy_need(policy, demand, RESOURCE_NETWORK) * provisioning->headroom),
        .gpus = demand->gpus,
    };
}

static gboolean sizing_fits(const struct vm_shape *maximum, const struct vm_shape *needed)
{
    return maximum->vcpus >= needed->vcpus && maximum->memory_mib >= needed->memory_mib &&
           maximum->gpus >= needed->gpus &&
           (maximum->network_mbps == 0 || maximum->network_mbps >= needed->network_mbps);
}

static guint sizing_first_profile(const struct policy *policy, const struct demand *demand)
{
    const struct policy_class *class = policy_class_of_score(policy, demand->score);
    for (guint i = 0; i < policy->profiles->len; i++)
        if (policy->profiles->pdata[i] == policy_find_profile(policy, class->profile))
            return i;
    return 0;
}

static const struct policy_profile *sizing_find_profile(const struct policy *policy, const struct demand *demand,
                                                        const struct vm_shape *needed)
{
    for (guint i = sizing_first_profile(policy, demand); i < policy->profiles->len; i++) {
        const struct policy_profile *profile = policy->profiles->pdata[i];
        if (sizing_fits(&profile->maximum, needed))
            return profile;
    }
    return policy->profiles->pdata[policy->profiles->len - 1];
}

void sizing_choose(const struct policy *policy, const struct demand *demand, struct sizing *ret_sizing)
{
    struct vm_shape needed;
    sizing_needed_shape(policy, demand, &needed);
    const struct policy_profile *profile = sizing_find_profile(policy, demand, &needed);
    const struct vm_shape *initial = &profile->initial, *maximum = &profile->maximum;
    struct vm_shape shape = *initial;
    if (policy->provisioning.sizing == SIZING_DEMAND) {
        shape.vcpus = needed.vcpus;
        shape.memory_mib = needed.memory_mib;
    } else {
        shape.vcpus = MAX(needed.vcpus, initial->vcpus);
        shape.memory_mib = MAX(needed.memory_mib, initial->memory_mib);
    }
    shape.vcpus = MIN(shape.vcpus, maximum->vcpus);
    shape.memory_mib = MIN(shape.memory_mib, maximum->memory_mib);
    if (initial->network_mbps > 0)
        shape.network_mbps = MIN(MAX(initial->network_mbps, needed.network_mbps), MAX(maximum->network_mbps, 1));
    shape.gpus = MIN(MAX(initial->gpus, demand->gpus), maximum->gpus);
    *ret_sizing = (struct sizing){.profile = profile, .shape = shape, .maximum = *maximum};
}

/* The distribution of a need: each piece between two quantiles in cells of equal width in the standard normal variable, even within. What lies beyond
 * the outermost amounts counts as them, as in quantiles_at(). */
static void need_collect(const struct policy *policy, const struct demand *demand, enum resource resource,
                         struct need_cell *cells)
{
    static const double knots[PIECES + 1] = {NORMAL_LEAST, 0.5, 0.9, 0.99, NORMAL_MOST};
    const struct quantiles *quantiles = demand_quantiles(demand, resource);
    const double headroom = resource == RESOURCE_CPU ? 1 : policy->provisioning.headroom;
    double share = NORMAL_LEAST, amount = quantiles_at(quantiles, NORMAL_LEAST) * headroom;
    struct need_cell *cell = cells;
    *cell++ = (struct need_cell){share, amount, amount};
    for (guint piece = 0; piece < PIECES; piece++) {
        const double first = normal_quantile(knots[piece]), last = normal_quantile(knots[piece + 1]);
        for (guint i = 1; i <= PIECE_CELLS; i++) {
            const double end =
                i < PIECE_CELLS ? normal_probability(first + (last - first) * i / PIECE_CELLS) : knots[piece + 1];
            const double most = quantiles_at(quantiles, end) * headroom;
            *cell++ = (struct need_cell){end - share, amount, most};
            share = end;
            amount = most;
        }
    }
    *cell = (struct need_cell){1 - share, amount, amount};
}

static double cell_cost(const struct need_cell *cell, const struct policy_price *price, double usable)
{
    const double middle = (cell->least + cell->most) / 2;
    if (usable <= cell->least)
        return (middle - usable) * price->shortage;
    if (usable >= cell->most)
        return (usable - middle) * price->waste;
    const double rest = usable - cell->least, missing = cell->most - usable;
    return (rest * rest * price->waste + missing * missing * price->shortage) / (2 * (rest + missing));
}

static double need_cost(const struct policy *policy, const struct need_cell *cells, enum resource resource,
                        guint amount)
{
    static const double units[] = {[RESOURCE_CPU] = 1, [RESOURCE_MEMORY] = 1024, [RESOURCE_NETWORK] = 100};
    const guint taken = resource == RESOURCE_MEMORY ? SIZING_GUEST_MIB : 0;
    double cost = 0;
    for (guint i = 0; i < NEED_CELLS; i++)
        cost += cells[i].share *
                cell_cost(&cells[i], &policy->provisioning.prices[resource], amount > taken ? amount - taken : 0);
    return MIN(cost / units[resource], SIZING_COST_MAX);
}

double sizing_cost(const struct policy *policy, const struct demand *demand, enum resource resource, guint amount)
{
    struct need_cell cells[NEED_CELLS];
    need_collect(policy, demand, resource, cells);
    return need_cost(policy, cells, resource, amount);
}

/* By how much another amount would differ, and the least that there can be. */
static guint sizing_step(const struct policy *policy, enum resource resource, guint amount, guint *ret_least)
{
    *ret_least = resource == RESOURCE_MEMORY ? policy->provisioning.memory_min_mib : 1;
    return resource == RESOURCE_CPU      ? 1
           : resource == RESOURCE_MEMORY ? MAX(policy->provisioning.memory_step_mib, 1)
                                         : MAX(amount / 4, 1);
}

static struct amount_choice *amount_weigh(const struct policy *policy, const struct demand *demand,
                                          enum resource resource, guint amount)
{
    guint least;
    const guint step = sizing_step(policy, resource, amount, &least);
    struct need_cell cells[NEED_CELLS];
    need_collect(policy, demand, resource, cells);
    struct amount_choice *choice = g_new0(struct amount_choice, 1);
    choice->resource = resource;
    choice->quantile = policy_quantile(policy, resource);
    choice->amount = amount;
    choice->cost = need_cost(policy, cells, resource, amount);
    choice->more = amount + step;
    choice->more_cost = need_cost(policy, cells, resource, choice->more);
    if (amount >= least + step) {
        choice->less = amount - step;
        choice->less_cost = need_cost(policy, cells, resource, choice->less);
    }
    return choice;
}

GPtrArray *sizing_weigh(const struct policy *policy, const struct demand *demand, const char *profile,
                        const struct vm_shape *shape)
{
    struct vm_shape needed;
    sizing_needed_shape(policy, demand, &needed);
    const struct {
        guint chosen, needed;
    } amounts[] = {
        [RESOURCE_CPU] = {shape->vcpus, needed.vcpus},
        [RESOURCE_MEMORY] = {shape->memory_mib, needed.memory_mib},
        [RESOURCE_NETWORK] = {shape->network_mbps, needed.network_mbps},
    };
    GPtrArray *choices = g_ptr_array_new();
    for (guint resource = 0; resource < G_N_ELEMENTS(amounts); resource++) {
        if (amounts[resource].chosen == 0)
            continue; /* it is not limited */
        struct amount_choice *choice = amount_weigh(policy, demand, resource, amounts[resource].chosen);
        choice->verdict = amounts[resource].chosen == amounts[resource].needed
                              ? g_strdup("covers the demand")
                              : g_strdup_printf("%s of profile %s",
                                                choice->amount > amounts[resource].needed ? "least" : "most", profile);
        g_ptr_array_add(choices, choice);
    }
    return choices;
}
