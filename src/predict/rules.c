/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/rules.h"

#include "model/limits.h"
#include "predict/score.h"

#define MIB 1048576.0
#define DURATION_MAX 1e11 /* three years in ms: only to stay finite */

static void append_factor(GString *text, const char *what, double factor)
{
    if (factor != 1)
        g_string_append_printf(text, ", %s x %g", what, factor);
}

static void append_minimum(GString *text, const char *unit, double minimum)
{
    if (minimum > 0)
        g_string_append_printf(text, ", at least %g %s", minimum, unit);
}

static char *rule_effect(const struct policy_rule *rule)
{
    GString *text = g_string_new(NULL);
    if (rule->score != 0)
        g_string_append_printf(text, ", score %+g", rule->score);
    append_factor(text, "vCPUs", rule->vcpus_factor);
    append_factor(text, "memory", rule->memory_factor);
    append_factor(text, "network", rule->network_factor);
    append_factor(text, "duration", rule->duration_factor);
    if (rule->memory_per_input > 0)
        g_string_append_printf(text, ", %g MiB memory per MiB of input", rule->memory_per_input);
    if (rule->vcpus_per_parallelism > 0)
        g_string_append_printf(text, ", at least %g vCPU per thread", rule->vcpus_per_parallelism);
    append_minimum(text, "vCPU", rule->vcpus_min);
    append_minimum(text, "MiB", rule->memory_mib_min);
    append_minimum(text, "Mbit/s", rule->network_mbps_min);
    append_minimum(text, "GPU", rule->gpus);
    if (text->len == 0)
        g_string_append(text, ", no change");
    g_string_erase(text, 0, 2);
    return g_string_free(text, FALSE);
}

/* What all matching rules do together. */
struct rule_effects {
    double score;
    double vcpus_factor, memory_factor, network_factor, duration_factor;
    double memory_added_mib;
    double vcpus_min, memory_mib_min, network_mbps_min;
    guint gpus, rule_count;
};

static const struct rule_effects rule_effects_none = {
    .vcpus_factor = 1, .memory_factor = 1, .network_factor = 1, .duration_factor = 1};

static void effects_add(struct rule_effects *effects, const struct policy_rule *rule, const struct code_metadata *code)
{
    const double input_mib = ((double)code->input_bytes + (double)code->payload_bytes) / MIB;
    effects->score += rule->score;
    effects->vcpus_factor *= rule->vcpus_factor;
    effects->memory_factor *= rule->memory_factor;
    effects->network_factor *= rule->network_factor;
    effects->duration_factor *= rule->duration_factor;
    effects->memory_added_mib += rule->memory_per_input * input_mib;
    effects->vcpus_min = MAX(effects->vcpus_min, MAX(rule->vcpus_min, rule->vcpus_per_parallelism * code->parallelism));
    effects->memory_mib_min = MAX(effects->memory_mib_min, rule->memory_mib_min);
    effects->network_mbps_min = MAX(effects->network_mbps_min, rule->network_mbps_min);
    effects->gpus = MAX(effects->gpus, rule->gpus);
    effects->rule_count++;
}

/* `demand` NULL: nobody asks for the reasons. */
static void effects_collect(struct rule_effects *effects, const struct policy *policy, const struct code_metadata *code,
                            struct demand *demand)
{
    for (guint i = 0; i < policy->rules->len; i++) {
        const struct policy_rule *rule = g_ptr_array_index(policy->rules, i);
        if (!policy_rule_matches(rule, code))
            continue;
        effects_add(effects, rule, code);
        if (demand != NULL)
            demand_add_reason(demand, g_strdup(rule->name), rule_effect(rule));
    }
}

/* Keeps the order of the quantiles, since each step is monotone. */
static void quantiles_apply(struct quantiles *quantiles, double factor, double added, double minimum, double maximum)
{
    double *const all[] = {&quantiles->p50, &quantiles->p90, &quantiles->p99};
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        *all[i] = MIN(MAX(*all[i] * factor + added, minimum), maximum);
}

static void effects_apply(const struct rule_effects *effects, struct demand *demand)
{
    quantiles_apply(&demand->vcpus, effects->vcpus_factor, 0, effects->vcpus_min, MODEL_VCPUS_MAX);
    quantiles_apply(&demand->memory_mib, effects->memory_factor, effects->memory_added_mib, effects->memory_mib_min,
                    MODEL_MEMORY_MIB_MAX);
    quantiles_apply(&demand->network_mbps, effects->network_factor, 0, effects->network_mbps_min,
                    MODEL_NETWORK_MBPS_MAX);
    quantiles_apply(&demand->duration_ms, effects->duration_factor, 0, 0, DURATION_MAX);
    demand->gpus = MAX(demand->gpus, effects->gpus);
}

static void demand_seed(struct demand *demand, const struct policy_class *class)
{
    demand->vcpus = class->demand.vcpus;
    demand->memory_mib = class->demand.memory_mib;
    demand->network_mbps = class->demand.network_mbps;
    demand->duration_ms = class->demand.duration_ms;
    demand->gpus = class->demand.gpus;
}

/* The class that the score says, or a higher one when the demand asks for it. */
static void demand_classify(const struct policy *policy, struct demand *demand, const struct policy_class *class)
{
    guint index = 0;
    g_ptr_array_find(policy->classes, class, &index);
    if (score_class_index(policy, demand) > index) {
        score_assign(policy, demand);
        return;
    }
    demand->class_name = g_strdup(class->name);
    demand_add_reason(demand, g_strdup("class"),
                      g_strdup_printf("score %.0f, class %s", demand->score, demand->class_name));
}

struct demand *rules_predict(const struct policy *policy, const struct code_metadata *code)
{
    struct demand *demand = g_new0(struct demand, 1);
    struct rule_effects effects = rule_effects_none;
    demand->source = DEMAND_RULES;
    effects_collect(&effects, policy, code, demand);
    demand->score = CLAMP(effects.score, 0, 100);
    const struct policy_class *class = policy_class_of_score(policy, demand->score);
    if (effects.rule_count == 0)
        demand_add_reason(demand, g_strdup("none"),
                          g_strdup_printf("no rule matched: the demand of class %s is assumed", class->name));
    demand_seed(demand, class);
    effects_apply(&effects, demand);
    demand_classify(policy, demand, class);
    return demand;
}

guint rules_gpus(const struct policy *policy, const struct code_metadata *code)
{
    guint gpus = 0;
    for (guint i = 0; i < policy->rules->len; i++) {
        const struct policy_rule *rule = g_ptr_array_index(policy->rules, i);
        if (rule->gpus > gpus && policy_rule_matches(rule, code))
            gpus = rule->gpus;
    }
    return gpus;
}

void rules_say(const struct policy *policy, const struct code_metadata *code, struct rules_said *ret_said)
{
    struct rule_effects effects = rule_effects_none;
    *ret_said = (struct rules_said){0};
    effects_collect(&effects, policy, code, NULL);
    demand_seed(&ret_said->demand, policy_class_of_score(policy, CLAMP(effects.score, 0, 100)));
    effects_apply(&effects, &ret_said->demand);
    ret_said->vcpus_min = effects.vcpus_min;
    ret_said->memory_mib_min = effects.memory_mib_min;
    ret_said->network_mbps_min = effects.network_mbps_min;
}

void rules_raise(const struct rules_said *said, struct demand *demand)
{
    quantiles_apply(&demand->vcpus, 1, 0, said->vcpus_min, MODEL_VCPUS_MAX);
    quantiles_apply(&demand->memory_mib, 1, 0, said->memory_mib_min, MODEL_MEMORY_MIB_MAX);
    quantiles_apply(&demand->network_mbps, 1, 0, said->network_mbps_min, MODEL_NETWORK_MBPS_MAX);
}
