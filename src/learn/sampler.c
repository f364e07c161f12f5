/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/sampler.h"

#include <math.h>
#include <stdlib.h>

#define SLACK_SHARE 8       /* of the room, that may be exceeded for a while */
#define NEWEST_SHARE 2      /* of the room, for the newest runs of every function */
#define TENANT_SHARE 3      /* of the room, for one tenant */
#define TENANTS_BOUND_MIN 3 /* from so many tenants on */

struct sampler {
    GArray *samples; /* struct sample, as they came */
    guint samples_max, slack;
    gint64 half_life;
};

/* One run while it is decided who stays. */
struct candidate {
    const struct sample *sample;
    guint index; /* of its coming */
    guint rank;  /* 1: the newest of its function */
    double weight;
    gboolean is_newest; /* of its function's, which stay before all others */
    gboolean is_kept;
};

struct sampler *sampler_new(guint samples_max, gint64 half_life)
{
    struct sampler *sampler = g_new0(struct sampler, 1);
    sampler->samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    sampler->samples_max = samples_max;
    sampler->slack = MAX(samples_max / SLACK_SHARE, 1);
    sampler->half_life = half_life;
    return sampler;
}

void sampler_free(struct sampler *sampler)
{
    if (sampler == NULL)
        return;
    g_array_unref(sampler->samples);
    g_free(sampler);
}

static int candidate_compare_newest(gconstpointer a, gconstpointer b)
{
    const struct candidate *left = a, *right = b;
    if (left->sample->at != right->sample->at)
        return left->sample->at > right->sample->at ? -1 : 1;
    return left->index > right->index ? -1 : left->index < right->index;
}

/* The newest runs of every function before all others, then by weight. */
static int candidate_compare_weight(gconstpointer a, gconstpointer b)
{
    const struct candidate *left = a, *right = b;
    if (left->is_newest != right->is_newest)
        return left->is_newest ? -1 : 1;
    if (left->weight != right->weight)
        return left->weight > right->weight ? -1 : 1;
    return candidate_compare_newest(a, b);
}

static int candidate_compare_coming(gconstpointer a, gconstpointer b)
{
    const struct candidate *left = a, *right = b;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* How often `name` was counted, with this time. */
static guint count_up(GHashTable *counts, const guint64 *name)
{
    const guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, name)) + 1;
    g_hash_table_insert(counts, (gpointer)name, GUINT_TO_POINTER(count));
    return count;
}

/* Sorted from the newest on. */
static void candidates_weigh(const struct sampler *sampler, struct candidate *candidates, guint count)
{
    g_autoptr(GHashTable) runs = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < count; i++) {
        struct candidate *candidate = &candidates[i];
        const double age = (double)(candidates[0].sample->at - candidate->sample->at);
        const double decay = sampler->half_life > 0 ? exp2(-age / (double)sampler->half_life) : 1;
        candidate->rank = count_up(runs, &candidate->sample->categories[CATEGORY_FUNCTION]);
        candidate->weight = decay / sqrt(candidate->rank);
    }
}

static guint candidates_count_tenants(const struct candidate *candidates, guint count)
{
    g_autoptr(GHashTable) tenants = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < count; i++)
        g_hash_table_add(tenants, (gpointer)&candidates[i].sample->categories[CATEGORY_TENANT]);
    return g_hash_table_size(tenants);
}

/* Each tenant has an equal part of the room for the newest runs, so that one with many functions takes no other's. Sorted from the newest on. */
static void candidates_mark_newest(const struct sampler *sampler, struct candidate *candidates, guint count)
{
    const guint tenant_max = sampler->samples_max / NEWEST_SHARE / candidates_count_tenants(candidates, count);
    g_autoptr(GHashTable) tenants = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < count; i++)
        candidates[i].is_newest = candidates[i].rank <= SAMPLER_NEWEST &&
                                  count_up(tenants, &candidates[i].sample->categories[CATEGORY_TENANT]) <= tenant_max;
}

static void candidates_choose(const struct sampler *sampler, struct candidate *candidates, guint count)
{
    const gboolean is_bounded = candidates_count_tenants(candidates, count) >= TENANTS_BOUND_MIN;
    const guint tenant_max = is_bounded ? MAX(sampler->samples_max / TENANT_SHARE, 1) : sampler->samples_max;
    g_autoptr(GHashTable) tenants = g_hash_table_new(g_int64_hash, g_int64_equal);
    guint kept = 0;
    for (guint i = 0; i < count && kept < sampler->samples_max; i++) {
        candidates[i].is_kept = count_up(tenants, &candidates[i].sample->categories[CATEGORY_TENANT]) <= tenant_max;
        kept += candidates[i].is_kept ? 1 : 0;
    }
}

static struct candidate *sampler_candidates(const struct sampler *sampler)
{
    struct candidate *candidates = g_new0(struct candidate, sampler->samples->len);
    for (guint i = 0; i < sampler->samples->len; i++) {
        candidates[i].sample = &g_array_index(sampler->samples, struct sample, i);
        candidates[i].index = i;
    }
    return candidates;
}

static void sampler_keep(struct sampler *sampler, const struct candidate *candidates, guint count)
{
    GArray *kept = g_array_sized_new(FALSE, FALSE, sizeof(struct sample), sampler->samples_max + sampler->slack);
    for (guint i = 0; i < count; i++)
        if (candidates[i].is_kept)
            g_array_append_vals(kept, candidates[i].sample, 1);
    g_array_unref(sampler->samples);
    sampler->samples = kept;
}

static void sampler_compact(struct sampler *sampler)
{
    const guint count = sampler->samples->len;
    if (count <= sampler->samples_max)
        return;
    g_autofree struct candidate *candidates = sampler_candidates(sampler);
    qsort(candidates, count, sizeof *candidates, candidate_compare_newest);
    candidates_weigh(sampler, candidates, count);
    candidates_mark_newest(sampler, candidates, count);
    qsort(candidates, count, sizeof *candidates, candidate_compare_weight);
    candidates_choose(sampler, candidates, count);
    qsort(candidates, count, sizeof *candidates, candidate_compare_coming);
    sampler_keep(sampler, candidates, count);
}

void sampler_add(struct sampler *sampler, const struct sample *sample)
{
    g_array_append_vals(sampler->samples, sample, 1);
    if (sampler->samples->len > sampler->samples_max + sampler->slack)
        sampler_compact(sampler);
}

guint sampler_count(const struct sampler *sampler)
{
    return sampler->samples->len;
}

guint sampler_count_since(const struct sampler *sampler, gint64 at)
{
    guint count = 0;
    for (guint i = 0; i < sampler->samples->len; i++)
        count += g_array_index(sampler->samples, struct sample, i).at > at ? 1 : 0;
    return count;
}

static int sample_compare_oldest(gconstpointer a, gconstpointer b)
{
    const gint64 left = ((const struct sample *)a)->at, right = ((const struct sample *)b)->at;
    return left < right ? -1 : left > right;
}

GArray *sampler_take(struct sampler *sampler)
{
    sampler_compact(sampler);
    GArray *samples = g_array_copy(sampler->samples);
    g_array_sort(samples, sample_compare_oldest);
    return samples;
}
