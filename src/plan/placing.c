/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/placing.h"

#define CPU_OVERCOMMIT_DEFAULT 4.0
#define MEMORY_OVERCOMMIT_DEFAULT 1.0
#define COST_AFTER_FAILURE 1000.0

static double placing_factor(double factor, double fallback)
{
    return factor > 0 ? factor : fallback;
}

struct vm_shape placing_capacity(const struct host *host)
{
    const struct host_spec *spec = host->spec;
    const guint memory_mib =
        host->memory_mib > spec->memory_reserve_mib ? host->memory_mib - spec->memory_reserve_mib : 0;
    return (struct vm_shape){
        .vcpus = (guint)(host->cpus * placing_factor(spec->cpu_overcommit, CPU_OVERCOMMIT_DEFAULT)),
        .memory_mib = (guint)(memory_mib * placing_factor(spec->memory_overcommit, MEMORY_OVERCOMMIT_DEFAULT)),
        .gpus = spec->gpus != NULL ? g_strv_length(spec->gpus) : 0,
    };
}

static const char *placing_missing_label(const struct host *host, char **labels)
{
    for (; labels != NULL && *labels != NULL; labels++)
        if (host->spec->labels == NULL || !g_strv_contains((const char *const *)host->spec->labels, *labels))
            return *labels;
    return NULL;
}

gboolean placing_could_ever(const struct host *host, const struct vm_shape *shape, char **labels)
{
    if (placing_missing_label(host, labels) != NULL)
        return FALSE;
    const struct vm_shape capacity = placing_capacity(host);
    if (shape->gpus > capacity.gpus)
        return FALSE;
    if (host->cpus == 0)
        return TRUE;
    return shape->vcpus <= capacity.vcpus && shape->memory_mib <= capacity.memory_mib;
}

gboolean placing_is_full(const struct host *host, const struct vm_shape *shape, char **labels)
{
    const struct vm_shape capacity = placing_capacity(host);
    return host->state == HOST_UP && placing_could_ever(host, shape, labels) &&
           (host->committed_vcpus + shape->vcpus > capacity.vcpus ||
            host->committed_memory_mib + shape->memory_mib > capacity.memory_mib);
}

/* NULL when the host can take it, else why not. Free with g_free. */
static char *placing_objection(const struct placing_candidate *candidate, const struct vm_shape *shape, char **labels,
                               guint boots_max)
{
    const struct host *host = candidate->host;
    if (host->state != HOST_UP)
        return g_strdup(codec_word(&host_state_words, host->state));
    const char *label = placing_missing_label(host, labels);
    if (label != NULL)
        return g_strdup_printf("lacks label %s", label);
    const struct vm_shape capacity = placing_capacity(host);
    if (host->committed_gpus + shape->gpus > capacity.gpus)
        return g_strdup_printf("full: %u of %u GPUs taken, %u needed", host->committed_gpus, capacity.gpus,
                               shape->gpus);
    if (host->committed_vcpus + shape->vcpus > capacity.vcpus)
        return g_strdup_printf("full: %u of %u vCPUs taken, %u needed", host->committed_vcpus, capacity.vcpus,
                               shape->vcpus);
    if (host->committed_memory_mib + shape->memory_mib > capacity.memory_mib)
        return g_strdup_printf("full: %u of %u MiB taken, %u needed", host->committed_memory_mib, capacity.memory_mib,
                               shape->memory_mib);
    if (candidate->boots >= boots_max)
        return g_strdup_printf("%u instances are being started there already", candidate->boots);
    return NULL;
}

static double placing_cost(const struct placing_candidate *candidate, const struct vm_shape *shape)
{
    const struct host *host = candidate->host;
    const struct vm_shape capacity = placing_capacity(host);
    const double cpu = (double)(host->committed_vcpus + shape->vcpus) / MAX(capacity.vcpus, 1);
    const double memory = (double)(host->committed_memory_mib + shape->memory_mib) / MAX(capacity.memory_mib, 1);
    return MAX(cpu, memory) + (candidate->failed ? COST_AFTER_FAILURE : 0);
}

int placing_choose(const struct placing_candidate *candidates, guint count, const struct vm_shape *shape, char **labels,
                   guint boots_max, GPtrArray **ret_placements)
{
    int chosen = -1;
    double chosen_cost = 0;
    GPtrArray *placements = g_ptr_array_new();
    for (guint i = 0; i < count; i++) {
        struct placement *placement = g_new0(struct placement, 1);
        placement->host = g_strdup(candidates[i].host->spec->name);
        placement->verdict = placing_objection(&candidates[i], shape, labels, boots_max);
        placement->cost = placing_cost(&candidates[i], shape);
        g_ptr_array_add(placements, placement);
        if (placement->verdict == NULL && (chosen < 0 || placement->cost < chosen_cost)) {
            chosen = (int)i;
            chosen_cost = placement->cost;
        }
    }
    for (guint i = 0; i < count; i++) {
        struct placement *placement = placements->pdata[i];
        placement->chosen = (int)i == chosen;
        if (placement->verdict == NULL)
            placement->verdict = g_strdup(placement->chosen ? "chosen" : "has room, but is more committed");
    }
    if (ret_placements != NULL) {
        *ret_placements = g_steal_pointer(&placements);
        return chosen;
    }
    for (guint i = 0; i < count; i++)
        placement_free(placements->pdata[i]);
    g_ptr_array_unref(placements);
    return chosen;
}
