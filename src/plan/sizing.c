/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/sizing.h"

#include "model/limits.h"

#include <math.h>

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
