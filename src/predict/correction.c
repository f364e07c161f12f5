/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/correction.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>

#define GROUPS_MAX 16384
#define VOTERS_MAX 32
#define HALF_LIFE 20.0 /* runs */
#define LEFT_OVER_MAX 3.0
#define TENANT_PRIOR 5.0
#define LIBRARY_PRIOR 3.0
#define NEW_GAIN \
    0.8 /* of the distance to the nearer end, for each run too many: of new code, of which no other run will tell */
#define KNOWN_GAIN 0.2  /* of functions whose own runs soon do */
#define DEFICIT_MAX 8.0 /* runs */

const double correction_levels[CORRECTION_LEVELS] = {0.5, 0.9, 0.99};

/* Decaying mean of what was left over. */
struct bias {
    double weight, sum;
};

struct cover {
    guint count[CORRECTION_LEVELS], covered[CORRECTION_LEVELS];
    double deficit[CORRECTION_LEVELS]; /* runs that exceeded it, beyond those that should have */
};

/* The tenants that ran code of a kind; the newest VOTERS_MAX. */
struct poll {
    guint64 voters[VOTERS_MAX]; /* keys of their groups; 0: free */
    guint next;
    double median[TARGET_COUNT];
};

struct group {
    guint64 key; /* its own key in the table */
    guint64 touched;
    struct bias bias[TARGET_COUNT];
    struct cover cover[TARGET_COUNT];
    struct poll *poll; /* NULL: it is no poll */
};

struct correction {
    GHashTable *groups;
    guint64 clock; /* goes on with each observation */
};

static void group_free(gpointer data)
{
    struct group *group = data;
    g_free(group->poll);
    g_free(group);
}

struct correction *correction_new(void)
{
    struct correction *correction = g_new0(struct correction, 1);
    correction->groups = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, group_free);
    return correction;
}

void correction_free(struct correction *correction)
{
    if (correction == NULL)
        return;
    g_hash_table_unref(correction->groups);
    g_free(correction);
}

static gboolean group_is_stale(gpointer key G_GNUC_UNUSED, gpointer value, gpointer data)
{
    const struct group *group = value;
    return group->touched <= *(const guint64 *)data;
}

static const struct group *correction_find(const struct correction *correction, guint64 key)
{
    return g_hash_table_lookup(correction->groups, &key);
}

/* When there are too many, those go that were not touched by as many observations as there may be groups, or all. */
static struct group *correction_touch(struct correction *correction, guint64 key)
{
    struct group *group = g_hash_table_lookup(correction->groups, &key);
    if (group == NULL) {
        if (g_hash_table_size(correction->groups) >= GROUPS_MAX) {
            guint64 limit = correction->clock > GROUPS_MAX / 8 ? correction->clock - GROUPS_MAX / 8 : 0;
            g_hash_table_foreach_remove(correction->groups, group_is_stale, &limit);
        }
        group = g_new0(struct group, 1);
        group->key = key;
        g_hash_table_insert(correction->groups, &group->key, group);
    }
    group->touched = correction->clock;
    return group;
}

/* --- Bias --- */

enum { KEY_TENANT = 1, KEY_LIBRARY, KEY_POLL, KEY_COVER };

static guint64 key_tenant(const struct sample *sample)
{
    return category_join(KEY_TENANT, sample->categories[CATEGORY_TENANT]);
}

/* Of code that names no library the language stands for it. */
static guint64 sample_kind(const struct sample *sample)
{
    const guint64 library = sample->categories[CATEGORY_LIBRARY];
    return library != 0 ? library : sample->categories[CATEGORY_LANGUAGE];
}

static guint64 key_tenant_library(const struct sample *sample)
{
    return category_join(category_join(KEY_LIBRARY, sample->categories[CATEGORY_TENANT]), sample_kind(sample));
}

static guint64 key_poll(const struct sample *sample)
{
    return category_join(KEY_POLL, sample_kind(sample));
}

static double group_shrink(const struct group *group, enum target target, double weight, double prior)
{
    const struct bias none = {0, 0}, *bias = group != NULL ? &group->bias[target] : &none;
    return (bias->sum + weight * prior) / (bias->weight + weight);
}

double correction_bias(const struct correction *correction, const struct sample *sample, enum target target)
{
    const struct group *all = correction_find(correction, key_poll(sample));
    const double others = all != NULL && all->poll != NULL ? all->poll->median[target] : 0;
    const struct group *tenant = correction_find(correction, key_tenant(sample));
    const struct group *library = correction_find(correction, key_tenant_library(sample));
    return group_shrink(library, target, LIBRARY_PRIOR, group_shrink(tenant, target, TENANT_PRIOR, others));
}

static void group_add(struct group *group, enum target target, double left_over, double weight)
{
    const double kept = exp2(-weight / HALF_LIFE);
    struct bias *bias = &group->bias[target];
    bias->weight = bias->weight * kept + weight;
    bias->sum = bias->sum * kept + weight * left_over;
}

/* Between two in the middle the one nearer to nothing counts. */
static double vote(double *votes, guint count)
{
    gsl_sort(votes, 1, count);
    const double low = votes[(count - 1) / 2], high = votes[count / 2];
    return fabs(low) < fabs(high) ? low : high;
}

static void poll_enter(struct poll *poll, guint64 voter)
{
    for (guint i = 0; i < VOTERS_MAX; i++)
        if (poll->voters[i] == voter)
            return;
    poll->voters[poll->next] = voter;
    poll->next = (poll->next + 1) % VOTERS_MAX;
}

static void correction_count_votes(const struct correction *correction, struct poll *poll, enum target target)
{
    double votes[VOTERS_MAX + 1] = {0};
    guint count = 1; /* "nothing" */
    for (guint i = 0; i < VOTERS_MAX && poll->voters[i] != 0; i++) {
        const struct group *voter = correction_find(correction, poll->voters[i]);
        if (voter != NULL)
            votes[count++] = group_shrink(voter, target, LIBRARY_PRIOR, 0);
    }
    poll->median[target] = vote(votes, count);
}

void correction_observe_bias(struct correction *correction, const struct sample *sample, enum target target,
                             double left_over, guint nth)
{
    const double weight = MAX(1.0 / MAX(nth, 1), 0.1);
    const double bounded = CLAMP(left_over, -LEFT_OVER_MAX, LEFT_OVER_MAX);
    correction->clock++;
    group_add(correction_touch(correction, key_tenant(sample)), target, bounded, weight);
    group_add(correction_touch(correction, key_tenant_library(sample)), target, bounded, weight);
    struct group *all = correction_touch(correction, key_poll(sample));
    if (all->poll == NULL)
        all->poll = g_new0(struct poll, 1);
    poll_enter(all->poll, key_tenant_library(sample));
    correction_count_votes(correction, all->poll, target);
}

/* --- Coverage --- */

guint64 correction_group(const struct sample *sample, gboolean is_known)
{
    const guint64 tenant = category_join(KEY_COVER, sample->categories[CATEGORY_TENANT]);
    const guint64 group = category_join(tenant, sample->categories[CATEGORY_LANGUAGE]);
    return group << 1 | (guint64)is_known; /* correction_level() tells them apart */
}

double correction_level(const struct correction *correction, guint64 group, enum target target, guint level)
{
    const struct group *found = correction_find(correction, group);
    const double asked = correction_levels[level], room = MIN(asked, 1 - asked);
    const double gain = (group & 1) != 0 ? KNOWN_GAIN : NEW_GAIN;
    const double deficit = found != NULL ? found->cover[target].deficit[level] : 0;
    return CLAMP(asked + gain * room * deficit, 0.02, 0.999);
}

void correction_observe_cover(struct correction *correction, guint64 group, enum target target, double y,
                              gboolean is_least, const double quantiles[CORRECTION_LEVELS])
{
    correction->clock++;
    struct cover *cover = &correction_touch(correction, group)->cover[target];
    for (guint i = 0; i < CORRECTION_LEVELS; i++) {
        const gboolean is_covered = y <= quantiles[i];
        if (is_covered && is_least)
            continue;
        const double deficit = cover->deficit[i] + !is_covered - (1 - correction_levels[i]);
        cover->count[i]++;
        cover->covered[i] += is_covered;
        cover->deficit[i] = CLAMP(deficit, -DEFICIT_MAX, DEFICIT_MAX);
    }
}

void correction_coverage(const struct correction *correction, guint64 group, enum target target,
                         struct coverage *ret_coverage)
{
    const struct group *found = correction_find(correction, group);
    *ret_coverage = (struct coverage){0};
    if (found == NULL)
        return;
    const struct cover *cover = &found->cover[target];
    ret_coverage->count = cover->count[0];
    for (guint i = 0; i < CORRECTION_LEVELS; i++)
        ret_coverage->shares[i] = (double)cover->covered[i] / MAX(cover->count[i], 1);
}
