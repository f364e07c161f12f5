/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/parse.h"

#include "policy/pools.h"

#include "model/limits.h"
#include "policy/quantity.h"
#include "policy/sections.h"

#include <string.h>

#define PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct yaml_node *find(const struct policy_parse *parse, gconstpointer object, const char *const *path)
{
    return policy_parse_find(parse, object, path);
}

/* What a profile does not say of its maximum stays as it starts. */
static void profile_complete(struct policy_profile *profile)
{
    struct vm_shape *maximum = &profile->maximum;
    const struct vm_shape *initial = &profile->initial;
    maximum->vcpus = maximum->vcpus != 0 ? maximum->vcpus : initial->vcpus;
    maximum->memory_mib = maximum->memory_mib != 0 ? maximum->memory_mib : initial->memory_mib;
    maximum->network_mbps = maximum->network_mbps != 0 ? maximum->network_mbps : initial->network_mbps;
    maximum->cpu_percent = maximum->cpu_percent != 0 ? maximum->cpu_percent : initial->cpu_percent;
}

static gboolean check_profile(const struct policy_parse *parse, const struct policy_profile *profile, GError **error)
{
    const struct vm_shape *initial = &profile->initial, *maximum = &profile->maximum;
    const struct {
        const char *name;
        enum quantity quantity;
        guint initial, maximum;
        gboolean zero_is_unlimited;
    } amounts[] = {
        {"vcpus", QUANTITY_COUNT, initial->vcpus, maximum->vcpus, FALSE},
        {"memory", QUANTITY_MEMORY, initial->memory_mib, maximum->memory_mib, FALSE},
        {"network", QUANTITY_RATE, initial->network_mbps, maximum->network_mbps, TRUE},
        {"disk", QUANTITY_THROUGHPUT, initial->disk_mbps, maximum->disk_mbps, TRUE},
        {"cpu_cap", QUANTITY_PERCENT, initial->cpu_percent, maximum->cpu_percent, TRUE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++) {
        const gboolean is_unlimited = amounts[i].zero_is_unlimited && amounts[i].initial == 0;
        if (amounts[i].maximum >= amounts[i].initial && !(is_unlimited && amounts[i].maximum != 0))
            continue;
        g_autofree char *least = quantity_format(amounts[i].quantity, amounts[i].initial);
        return yaml_node_fail(find(parse, profile, PATH("maximum", amounts[i].name)), error,
                              "maximum of %s is below what profile \"%s\" starts with; right would be %s%s",
                              amounts[i].name, profile->name,
                              is_unlimited ? "to leave it out: it starts without a limit" : least,
                              is_unlimited ? "" : " or more");
    }
    return TRUE;
}

static gint profile_compare(gconstpointer a, gconstpointer b)
{
    const struct policy_profile *left = *(struct policy_profile *const *)a, *right = *(struct policy_profile *const *)b;
    const struct vm_shape *l = &left->initial, *r = &right->initial;
    if (l->memory_mib != r->memory_mib)
        return l->memory_mib < r->memory_mib ? -1 : 1;
    if (l->vcpus != r->vcpus)
        return l->vcpus < r->vcpus ? -1 : 1;
    return g_strcmp0(left->name, right->name);
}

static gboolean check_profiles(const struct policy_parse *parse, GError **error)
{
    GPtrArray *profiles = parse->policy->profiles;
    if (profiles->len == 0)
        return yaml_node_fail(g_ptr_array_index(parse->roots, 0), error,
                              "there is no profile; right would be a section \"profiles\" with at least one");
    for (guint i = 0; i < profiles->len; i++) {
        profile_complete(g_ptr_array_index(profiles, i));
        if (!check_profile(parse, g_ptr_array_index(profiles, i), error))
            return FALSE;
    }
    g_ptr_array_sort(profiles, profile_compare);
    return TRUE;
}

static gboolean check_quantiles(const struct policy_parse *parse, const struct policy_class *class, const char *name,
                                const struct quantiles *quantiles, GError **error)
{
    if (quantiles->p50 <= quantiles->p90 && quantiles->p90 <= quantiles->p99)
        return TRUE;
    return yaml_node_fail(find(parse, class, PATH("demand", name)), error,
                          "%s of class \"%s\" falls from one quantile to the next; right would be p50 <= p90 <= p99",
                          name, class->name);
}

static gboolean check_class_demand(const struct policy_parse *parse, const struct policy_class *class,
                                   const struct policy_profile *profile, GError **error)
{
    const struct demand *demand = &class->demand;
    const double memory_mib = policy_need(parse->policy, demand, RESOURCE_MEMORY);
    const struct vm_shape need = {
        .vcpus = policy_whole_vcpus(policy_need(parse->policy, demand, RESOURCE_CPU)),
        .memory_mib = (guint)MIN(memory_mib, G_MAXINT),
        .network_mbps = 0,
        .gpus = demand->gpus,
    };
    struct vm_shape most = profile->maximum;
    most.network_mbps = most.cpu_percent = 0;
    if (vm_shape_covers(&most, &need))
        return TRUE;
    g_autofree char *text = vm_shape_to_string(&profile->maximum), *needed = vm_shape_to_string(&need);
    return yaml_node_fail(
        find(parse, class, PATH("demand")), error,
        "the demand of class \"%s\", at the quantiles that the prices choose (%s), is more than its profile \"%s\" may "
        "grow to (%s); right would be a smaller demand or a larger profile",
        class->name, needed, profile->name, text);
}

static gboolean check_class(const struct policy_parse *parse, const struct policy_class *class, GError **error)
{
    const struct policy_profile *profile = policy_find_profile(parse->policy, class->profile);
    if (profile == NULL) {
        g_autoptr(GString) names = g_string_new(NULL);
        for (guint i = 0; i < parse->policy->profiles->len; i++)
            g_string_append_printf(names, "%s%s", i > 0 ? ", " : "",
                                   ((struct policy_profile *)g_ptr_array_index(parse->policy->profiles, i))->name);
        return yaml_node_fail(find(parse, class, PATH("profile")), error,
                              "class \"%s\" names profile \"%s\", which is not defined; right would be one of: %s",
                              class->name, class->profile, names->str);
    }
    const struct demand *demand = &class->demand;
    return check_quantiles(parse, class, "vcpus", &demand->vcpus, error) &&
           check_quantiles(parse, class, "memory", &demand->memory_mib, error) &&
           check_quantiles(parse, class, "network", &demand->network_mbps, error) &&
           check_quantiles(parse, class, "duration", &demand->duration_ms, error) &&
           check_class_demand(parse, class, profile, error);
}

static gint class_compare(gconstpointer a, gconstpointer b)
{
    const struct policy_class *left = *(struct policy_class *const *)a, *right = *(struct policy_class *const *)b;
    return (left->score_max > right->score_max) - (left->score_max < right->score_max);
}

/* Two classes that follow each other, of one file before sorting, of all files after it. */
static gboolean check_class_order(const struct policy_parse *parse, const struct policy_class *before,
                                  const struct policy_class *class, gboolean is_sorted, GError **error)
{
    const struct yaml_node *node = find(parse, class, PATH("score_max"));
    if (!is_sorted && find(parse, before, PATH("score_max"))->file != node->file)
        return TRUE;
    if (class->score_max > before->score_max)
        return TRUE;
    return yaml_node_fail(
        node, error,
        "score_max of class \"%s\" is not above the %g of class \"%s\"; right would be classes in the order of "
        "their scores, no two with the same",
        class->name, before->score_max, before->name);
}

static gboolean check_class_profiles(const struct policy_parse *parse, const struct policy_class *before,
                                     const struct policy_class *class, GError **error)
{
    const struct policy_profile *smaller = policy_find_profile(parse->policy, before->profile);
    const struct policy_profile *larger = policy_find_profile(parse->policy, class->profile);
    if (vm_shape_covers(&larger->initial, &smaller->initial))
        return TRUE;
    return yaml_node_fail(
        find(parse, class, PATH("profile")), error,
        "class \"%s\" stands above class \"%s\", but its profile \"%s\" is smaller in some way than \"%s\"; "
        "right would be a profile with at least as much of everything",
        class->name, before->name, larger->name, smaller->name);
}

static gboolean check_classes(const struct policy_parse *parse, GError **error)
{
    GPtrArray *classes = parse->policy->classes;
    if (classes->len == 0)
        return yaml_node_fail(g_ptr_array_index(parse->roots, 0), error,
                              "there is no class; right would be a section \"classes\" with at least one");
    for (guint i = 0; i < classes->len; i++)
        if (!check_class(parse, classes->pdata[i], error) ||
            (i > 0 && !check_class_order(parse, classes->pdata[i - 1], classes->pdata[i], FALSE, error)))
            return FALSE;
    g_ptr_array_sort(classes, class_compare);
    for (guint i = 1; i < classes->len; i++)
        if (!check_class_order(parse, classes->pdata[i - 1], classes->pdata[i], TRUE, error) ||
            !check_class_profiles(parse, classes->pdata[i - 1], classes->pdata[i], error))
            return FALSE;
    const struct policy_class *last = g_ptr_array_index(classes, classes->len - 1);
    if (last->score_max < 100)
        return yaml_node_fail(
            find(parse, last, PATH("score_max")), error,
            "the highest score_max, of class \"%s\", is %g; right would be 100, so that every score has a class",
            last->name, last->score_max);
    return TRUE;
}

/* Effects that change nothing are not dumped. */
static gboolean rule_has_effect(const struct policy_rule *rule)
{
    json_t *json = policy_section_dump(policy_tops[POLICY_TOP_RULES].section, rule);
    const gboolean has_effect = json_object_get(json, "then") != NULL;
    json_decref(json);
    return has_effect;
}

static gboolean check_rule(const struct policy_parse *parse, const struct policy_rule *rule, GError **error)
{
    const struct {
        const char *name;
        gint64 min, max;
    } ranges[] = {
        {"code", rule->code_bytes_min, rule->code_bytes_max},
        {"payload", rule->payload_bytes_min, rule->payload_bytes_max},
        {"input", rule->input_bytes_min, rule->input_bytes_max},
        {"items", rule->payload_items_min, rule->payload_items_max},
        {"depth", rule->payload_depth_min, rule->payload_depth_max},
        {"parallelism", rule->parallelism_min, rule->parallelism_max},
    };
    for (guint i = 0; i < G_N_ELEMENTS(ranges); i++) {
        if (ranges[i].max < 0 || ranges[i].min <= ranges[i].max)
            continue;
        g_autofree char *key = g_strconcat(ranges[i].name, "_max", NULL);
        return yaml_node_fail(
            find(parse, rule, PATH("when", key)), error,
            "%s of rule \"%s\" is below its %s_min, so that it never applies; right would be %s_min <= %s", key,
            rule->name, ranges[i].name, ranges[i].name, key);
    }
    if (!rule_has_effect(rule))
        return yaml_node_fail(find(parse, rule, PATH("then")), error,
                              "rule \"%s\" has no effect; right would be a key under \"then\" that changes something",
                              rule->name);
    return TRUE;
}

static gboolean check_pool_stock(const struct policy_parse *parse, const struct policy_pool *pool, const char *name,
                                 guint floor, guint *ceiling, GError **error)
{
    if (*ceiling == 0)
        *ceiling = floor;
    if (*ceiling >= floor)
        return TRUE;
    return yaml_node_fail(find(parse, pool, PATH("ceiling", name)), error,
                          "ceiling of %s of pool \"%s\" is below its floor of %u; right would be %u or more", name,
                          pool->name, floor, floor);
}

static gboolean check_pool(const struct policy_parse *parse, struct policy_pool *pool, GError **error)
{
    struct policy_profile as_profile = {.name = pool->name, .initial = pool->shape, .maximum = pool->maximum};
    profile_complete(&as_profile);
    pool->maximum = as_profile.maximum;
    if (strchr(pool->name, '@') != NULL)
        return yaml_node_fail(
            find(parse, pool, PATH("name")), error,
            "\"%s\" is no name of a pool; right would be one without @, which stands between it and its host",
            pool->name);
    if (!vm_shape_covers(&pool->maximum, &pool->shape)) {
        g_autofree char *text = vm_shape_to_string(&pool->shape);
        return yaml_node_fail(
            find(parse, pool, PATH("maximum")), error,
            "maximum of pool \"%s\" is below what its instances start with; right would be at least %s", pool->name,
            text);
    }
    return check_pool_stock(parse, pool, "running", pool->floor.running, &pool->ceiling.running, error) &&
           check_pool_stock(parse, pool, "paused", pool->floor.paused, &pool->ceiling.paused, error) &&
           check_pool_stock(parse, pool, "saved", pool->floor.saved, &pool->ceiling.saved, error);
}

static gboolean check_window(const struct policy_parse *parse, const struct policy_window *window, GError **error)
{
    if (policy_find_pool(parse->policy, window->pool) == NULL)
        return yaml_node_fail(
            find(parse, window, PATH("pool")), error,
            "window \"%s\" names pool \"%s\", which is not defined; right would be one of the section pools",
            window->name, window->pool);
    for (char **day = window->days; day != NULL && *day != NULL; day++)
        if (pools_day_of(*day) < 0)
            return yaml_node_fail(find(parse, window, PATH("days")), error,
                                  "\"%s\" is no day; right would be mon, tue, wed, thu, fri, sat or sun", *day);
    const char *const ends[][2] = {{"from", window->from}, {"to", window->to}};
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (pools_minute_of(ends[i][1]) < 0)
            return yaml_node_fail(find(parse, window, PATH(ends[i][0])), error,
                                  "\"%s\" is no time of the day; right would be such as \"08:00\"", ends[i][1]);
    if (strcmp(window->from, window->to) == 0)
        return yaml_node_fail(
            find(parse, window, PATH("to")), error,
            "window \"%s\" ends when it begins; right would be \"00:00\" to \"24:00\" for the whole day", window->name);
    if (window->time_zone != NULL && pools_zone_of(window->time_zone) == NULL)
        return yaml_node_fail(find(parse, window, PATH("time_zone")), error,
                              "\"%s\" is no time zone that this system knows; right would be such as Europe/Berlin",
                              window->time_zone);
    return TRUE;
}

static gboolean check_pools(const struct policy_parse *parse, GError **error)
{
    for (guint i = 0; i < parse->policy->pools->len; i++)
        if (!check_pool(parse, parse->policy->pools->pdata[i], error))
            return FALSE;
    for (guint i = 0; i < parse->policy->windows->len; i++)
        if (!check_window(parse, parse->policy->windows->pdata[i], error))
            return FALSE;
    return TRUE;
}

static gboolean check_provisioning(const struct policy_parse *parse, GError **error)
{
    const struct policy_provisioning *provisioning = &parse->policy->provisioning;
    if (provisioning->boot_estimate_ms > provisioning->boot_timeout_ms)
        return yaml_node_fail(find(parse, provisioning, PATH("boot_estimate")), error,
                              "boot_estimate is above boot_timeout; right would be boot_estimate <= boot_timeout");
    const struct policy_profile *smallest = g_ptr_array_index(parse->policy->profiles, 0);
    if (provisioning->sizing == SIZING_DEMAND && provisioning->memory_min_mib > smallest->initial.memory_mib)
        return yaml_node_fail(
            find(parse, provisioning, PATH("memory_min")), error,
            "memory_min (%u MiB) is above the memory that profile \"%s\" starts with; right would be %u MiB or "
            "less",
            provisioning->memory_min_mib, smallest->name, smallest->initial.memory_mib);
    return TRUE;
}

static gboolean check_others(const struct policy_parse *parse, GError **error)
{
    const struct policy_scaling *scaling = &parse->policy->scaling;
    if (scaling->grow_to <= scaling->grow_above)
        return yaml_node_fail(
            find(parse, scaling, PATH("grow_to")), error,
            "grow_to (%g) is not above grow_above (%g), so that growing would not help; right would be "
            "grow_above < grow_to",
            scaling->grow_to, scaling->grow_above);
    const struct policy_history *history = &parse->policy->history;
    if (history->samples_min > history->samples_max)
        return yaml_node_fail(find(parse, history, PATH("samples_min")), error,
                              "samples_min (%u) is above samples_max (%u); right would be samples_min <= samples_max",
                              history->samples_min, history->samples_max);
    return TRUE;
}

gboolean policy_check(const struct policy_parse *parse, GError **error)
{
    if (!check_profiles(parse, error) || !check_classes(parse, error))
        return FALSE;
    for (guint i = 0; i < parse->policy->rules->len; i++)
        if (!check_rule(parse, parse->policy->rules->pdata[i], error))
            return FALSE;
    return check_pools(parse, error) && check_provisioning(parse, error) && check_others(parse, error);
}
