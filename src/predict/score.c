/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/score.h"

#include "model/limits.h"

#include <math.h>

/* An absurd demand is as large as can be; a cast of it alone would be undefined. */
static guint score_whole(double need)
{
    return (guint)CLAMP(ceil(need), 0, MODEL_MEMORY_MIB_MAX);
}

static void score_need(const struct policy *policy, const struct demand *demand, struct vm_shape *ret_need)
{
    const double vcpus = policy_need(policy, demand, RESOURCE_CPU);
    *ret_need = (struct vm_shape){
        .vcpus = policy_whole_vcpus(vcpus),
        .memory_mib = score_whole(policy_need(policy, demand, RESOURCE_MEMORY)),
        /* 0 would mean "without limit" in both */
        .network_mbps = MAX(1, score_whole(policy_need(policy, demand, RESOURCE_NETWORK))),
        .cpu_percent = MAX(1, score_whole(100 * vcpus)),
        .gpus = demand->gpus,
    };
}

guint score_class_index(const struct policy *policy, const struct demand *demand)
{
    struct vm_shape need;
    score_need(policy, demand, &need);
    guint index = 0;
    g_ptr_array_find(policy->classes, policy_class_of_shape(policy, &need), &index);
    return index;
}

static double score_share(const struct policy *policy, const struct demand *demand, const struct vm_shape *initial)
{
    const double vcpus = policy_need(policy, demand, RESOURCE_CPU) / initial->vcpus;
    const double memory = policy_need(policy, demand, RESOURCE_MEMORY) / initial->memory_mib;
    const double network =
        initial->network_mbps > 0 ? policy_need(policy, demand, RESOURCE_NETWORK) / initial->network_mbps : 0;
    return CLAMP(MAX(vcpus, MAX(memory, network)), 0.01, 1);
}

void score_assign(const struct policy *policy, struct demand *demand)
{
    const guint index = score_class_index(policy, demand);
    const struct policy_class *class = g_ptr_array_index(policy->classes, index);
    const struct vm_shape *initial = &policy_find_profile(policy, class->profile)->initial;
    const double floor_score =
        index > 0 ? ((struct policy_class *)g_ptr_array_index(policy->classes, index - 1))->score_max : 0;
    const double score = floor_score + (class->score_max - floor_score) * score_share(policy, demand, initial);
    demand->score = MIN(round(score * 1000) / 1000, class->score_max);
    g_free(demand->class_name);
    demand->class_name = g_strdup(class->name);
    g_autofree char *shape = vm_shape_to_string(initial);
    demand_add_reason(demand, g_strdup("class"),
                      g_strdup_printf("score %ld, class %s: the smallest whose profile covers the demand (%s: %s)",
                                      lround(demand->score), class->name, class->profile, shape));
}
