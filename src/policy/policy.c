/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include "model/limits.h"
#include "model/normal.h"
#include "policy/parse.h"
#include "policy/sections.h"

#include <math.h>
#include <string.h>

static void item_free(enum policy_top_index index, gpointer item)
{
    policy_section_clear(policy_tops[index].section, item);
    g_free(item);
}

static void profile_free(gpointer profile)
{
    item_free(POLICY_TOP_PROFILES, profile);
}

static void class_free(gpointer class)
{
    item_free(POLICY_TOP_CLASSES, class);
}

static void rule_free(gpointer rule)
{
    item_free(POLICY_TOP_RULES, rule);
}

static void pool_free_item(gpointer pool)
{
    item_free(POLICY_TOP_POOLS, pool);
}

static void window_free(gpointer window)
{
    item_free(POLICY_TOP_WINDOWS, window);
}

static void function_free(gpointer function)
{
    item_free(POLICY_TOP_FUNCTIONS, function);
}

struct policy *policy_new(void)
{
    struct policy *policy = g_new0(struct policy, 1);
    policy->ref_count = 1;
    policy->profiles = g_ptr_array_new_with_free_func(profile_free);
    policy->classes = g_ptr_array_new_with_free_func(class_free);
    policy->rules = g_ptr_array_new_with_free_func(rule_free);
    policy->pools = g_ptr_array_new_with_free_func(pool_free_item);
    policy->windows = g_ptr_array_new_with_free_func(window_free);
    policy->functions = g_ptr_array_new_with_free_func(function_free);
    return policy;
}

struct policy *policy_ref(struct policy *policy)
{
    g_atomic_int_inc(&policy->ref_count);
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (policy == NULL || !g_atomic_int_dec_and_test(&policy->ref_count))
        return;
    g_ptr_array_unref(policy->profiles);
    g_ptr_array_unref(policy->classes);
    g_ptr_array_unref(policy->rules);
    g_ptr_array_unref(policy->pools);
    g_ptr_array_unref(policy->windows);
    g_ptr_array_unref(policy->functions);
    g_free(policy);
}

struct policy *policy_with_version(const struct policy *policy, guint version)
{
    /* The lists never change once they were checked, so the copy shares them. */
    struct policy *copy = g_memdup2(policy, sizeof *policy);
    copy->ref_count = 1;
    copy->version = version;
    g_ptr_array_ref(copy->profiles);
    g_ptr_array_ref(copy->classes);
    g_ptr_array_ref(copy->rules);
    g_ptr_array_ref(copy->pools);
    g_ptr_array_ref(copy->windows);
    g_ptr_array_ref(copy->functions);
    return copy;
}

static json_t *list_to_json(const struct policy_section *section, const GPtrArray *list)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++)
        json_array_append_new(array, policy_section_dump(section, list->pdata[i]));
    return array;
}

json_t *policy_to_json(const struct policy *policy)
{
    json_t *json = json_object();
    for (guint i = 0; i < policy_top_count; i++) {
        const struct policy_top *top = &policy_tops[i];
        gconstpointer slot = (const char *)policy + top->offset;
        json_object_set_new(json, top->name,
                            top->is_list ? list_to_json(top->section, *(GPtrArray *const *)slot)
                                         : policy_section_dump(top->section, slot));
    }
    return json;
}

static json_t *profile_to_json(const struct policy_profile *profile)
{
    return json_pack("{s:s, s:s, s:o, s:o}", "name", profile->name, "template", profile->template, "initial",
                     codec_encode(&vm_shape_codec, &profile->initial, CODEC_CLIENT), "maximum",
                     codec_encode(&vm_shape_codec, &profile->maximum, CODEC_CLIENT));
}

static json_t *class_to_json(const struct policy_class *class)
{
    const struct demand *demand = &class->demand;
    return json_pack("{s:s, s:f, s:s, s:{s:o, s:o, s:o, s:o, s:i}}", "name", class->name, "score_max", class->score_max,
                     "profile", class->profile, "demand", "vcpus",
                     codec_encode(&quantiles_codec, &demand->vcpus, CODEC_CLIENT), "memory_mib",
                     codec_encode(&quantiles_codec, &demand->memory_mib, CODEC_CLIENT), "network_mbps",
                     codec_encode(&quantiles_codec, &demand->network_mbps, CODEC_CLIENT), "duration_ms",
                     codec_encode(&quantiles_codec, &demand->duration_ms, CODEC_CLIENT), "gpus", (int)demand->gpus);
}

json_t *policy_profiles_to_json(const struct policy *policy)
{
    json_t *profiles = json_array(), *classes = json_array();
    for (guint i = 0; i < policy->profiles->len; i++)
        json_array_append_new(profiles, profile_to_json(policy->profiles->pdata[i]));
    for (guint i = 0; i < policy->classes->len; i++)
        json_array_append_new(classes, class_to_json(policy->classes->pdata[i]));
    return json_pack("{s:o, s:o}", "profiles", profiles, "classes", classes);
}

const struct policy_profile *policy_find_profile(const struct policy *policy, const char *name)
{
    for (guint i = 0; i < policy->profiles->len; i++) {
        const struct policy_profile *profile = g_ptr_array_index(policy->profiles, i);
        if (g_strcmp0(profile->name, name) == 0)
            return profile;
    }
    return NULL;
}

const struct policy_class *policy_class_of_score(const struct policy *policy, double score)
{
    for (guint i = 0; i + 1 < policy->classes->len; i++) {
        const struct policy_class *class = g_ptr_array_index(policy->classes, i);
        if (score <= class->score_max)
            return class;
    }
    return g_ptr_array_index(policy->classes, policy->classes->len - 1);
}

const struct policy_class *policy_class_of_shape(const struct policy *policy, const struct vm_shape *need)
{
    for (guint i = 0; i + 1 < policy->classes->len; i++) {
        const struct policy_class *class = g_ptr_array_index(policy->classes, i);
        const struct policy_profile *profile = policy_find_profile(policy, class->profile);
        struct vm_shape shape = profile->initial;
        shape.gpus = profile->maximum.gpus;
        if (vm_shape_covers(&shape, need))
            return class;
    }
    return g_ptr_array_index(policy->classes, policy->classes->len - 1);
}

double policy_quantile(const struct policy *policy, enum resource resource)
{
    const struct policy_price *price = &policy->provisioning.prices[resource];
    return CLAMP(price->shortage / (price->shortage + price->waste), 0.5, NORMAL_MOST);
}

double policy_need(const struct policy *policy, const struct demand *demand, enum resource resource)
{
    return quantiles_at(demand_quantiles(demand, resource), policy_quantile(policy, resource));
}

guint policy_whole_vcpus(double need)
{
    const double whole = ceil(CLAMP(need, 0, MODEL_VCPUS_MAX) - 0.25);
    return whole < 1 ? 1 : (guint)whole;
}
