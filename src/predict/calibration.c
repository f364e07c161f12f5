/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/calibration.h"

#include <gsl/gsl_sort.h>
#include <math.h>

#define PARENT_RUNS 20.0
#define RUNS_MIN 5 /* that a group is kept for */
#define SAVED_GROUPS_MAX 1000000

/* Dense where it is asked: near the median, and above. */
static const double grid[] = {0.01, 0.05, 0.1, 0.16, 0.2,   0.25, 0.3,   0.35, 0.4,  0.45, 0.5,  0.55,  0.6,  0.65,
                              0.7,  0.75, 0.8, 0.84, 0.875, 0.9,  0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999};

struct spread {
    guint64 key;
    guint count;
    GArray *left_over; /* double, while it is filled */
    double quantiles[G_N_ELEMENTS(grid)];
};

struct calibration {
    GHashTable *groups[TARGET_COUNT]; /* struct spread by its key */
};

static void spread_free(gpointer data)
{
    struct spread *spread = data;
    g_clear_pointer(&spread->left_over, g_array_unref);
    g_free(spread);
}

struct calibration *calibration_new(void)
{
    struct calibration *calibration = g_new0(struct calibration, 1);
    for (guint i = 0; i < TARGET_COUNT; i++)
        calibration->groups[i] = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, spread_free);
    return calibration;
}

void calibration_free(struct calibration *calibration)
{
    for (guint i = 0; calibration != NULL && i < TARGET_COUNT; i++)
        g_hash_table_unref(calibration->groups[i]);
    g_free(calibration);
}

/* From all to the narrowest. A language without a family is its own. */
enum { DEPTH = 3 };

static void sample_groups(const struct sample *sample, guint64 ret_keys[DEPTH])
{
    const guint64 language = sample->categories[CATEGORY_LANGUAGE], family = sample->categories[CATEGORY_FAMILY];
    ret_keys[0] = 1;
    ret_keys[1] = category_join(2, family != 0 ? family : language);
    ret_keys[2] = category_join(3, language);
}

static struct spread *calibration_find(const struct calibration *calibration, enum target target, guint64 key)
{
    return g_hash_table_lookup(calibration->groups[target], &key);
}

static struct spread *calibration_make(struct calibration *calibration, enum target target, guint64 key)
{
    struct spread *spread = calibration_find(calibration, target, key);
    if (spread == NULL) {
        spread = g_new0(struct spread, 1);
        spread->key = key;
        g_hash_table_insert(calibration->groups[target], &spread->key, spread);
    }
    return spread;
}

void calibration_add(struct calibration *calibration, const struct sample *sample, enum target target, double left_over)
{
    guint64 keys[DEPTH];
    sample_groups(sample, keys);
    for (guint i = 0; i < DEPTH && isfinite(left_over); i++) {
        struct spread *spread = calibration_make(calibration, target, keys[i]);
        if (spread->left_over == NULL)
            spread->left_over = g_array_new(FALSE, FALSE, sizeof(double));
        g_array_append_val(spread->left_over, left_over);
        spread->count++;
    }
}

/* The conformal quantile: the ceil(p (n + 1))-th smallest covers at least p of the next runs; between two, linear. */
static double sorted_quantile(const GArray *sorted, double p)
{
    const double at = CLAMP(p * (sorted->len + 1) - 1, 0, sorted->len - 1.0);
    const guint low = (guint)at, high = MIN(low + 1, sorted->len - 1);
    const double lower = g_array_index(sorted, double, low), upper = g_array_index(sorted, double, high);
    return lower + (upper - lower) * (at - low);
}

static gboolean spread_finish(gpointer key G_GNUC_UNUSED, gpointer value, gpointer data G_GNUC_UNUSED)
{
    struct spread *spread = value;
    gsl_sort((double *)(void *)spread->left_over->data, 1, spread->left_over->len);
    for (guint i = 0; i < G_N_ELEMENTS(grid); i++)
        spread->quantiles[i] = sorted_quantile(spread->left_over, grid[i]);
    g_clear_pointer(&spread->left_over, g_array_unref);
    return spread->count < RUNS_MIN;
}

void calibration_finish(struct calibration *calibration)
{
    for (guint i = 0; i < TARGET_COUNT; i++)
        g_hash_table_foreach_remove(calibration->groups[i], spread_finish, NULL);
}

static double spread_at(const struct spread *spread, double level)
{
    guint i = 1;
    while (i + 1 < G_N_ELEMENTS(grid) && grid[i] < level)
        i++;
    const double share = CLAMP((level - grid[i - 1]) / (grid[i] - grid[i - 1]), 0, 1);
    return spread->quantiles[i - 1] + (spread->quantiles[i] - spread->quantiles[i - 1]) * share;
}

double calibration_offset(const struct calibration *calibration, const struct sample *sample, enum target target,
                          double level)
{
    guint64 keys[DEPTH];
    sample_groups(sample, keys);
    /* The further out, the less a group's own runs tell: the standard error of a sample quantile (Mosteller, On Some Useful "Inefficient" Statistics,
     * 1946), without the density; at the median 1. */
    const double p = CLAMP(level, grid[0], grid[G_N_ELEMENTS(grid) - 1]), unsureness = sqrt(0.25 / (p * (1 - p)));
    double offset = 0;
    for (guint i = 0; i < DEPTH; i++) {
        const struct spread *spread = calibration_find(calibration, target, keys[i]);
        if (spread == NULL)
            break;
        const double parent_runs = i > 0 ? PARENT_RUNS * unsureness : 0;
        offset = (spread->count * spread_at(spread, level) + parent_runs * offset) / (spread->count + parent_runs);
    }
    return offset;
}

double calibration_spread(const struct calibration *calibration, const struct sample *sample, enum target target)
{
    return (calibration_offset(calibration, sample, target, 0.84) -
            calibration_offset(calibration, sample, target, 0.16)) /
           2;
}

guint calibration_count(const struct calibration *calibration, const struct sample *sample, enum target target)
{
    guint64 keys[DEPTH];
    sample_groups(sample, keys);
    const struct spread *spread = calibration_find(calibration, target, keys[DEPTH - 1]);
    return spread != NULL ? spread->count : 0;
}

GVariant *calibration_save(const struct calibration *calibration)
{
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(tuuad)"));
    for (guint target = 0; target < TARGET_COUNT; target++) {
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, calibration->groups[target]);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            const struct spread *spread = value;
            g_variant_builder_add(&builder, "(tuu@ad)", spread->key, target, spread->count,
                                  g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, spread->quantiles,
                                                            G_N_ELEMENTS(grid), sizeof(double)));
        }
    }
    return g_variant_builder_end(&builder);
}

/* Finite, and not descending. */
static gboolean quantiles_are_sound(const double *quantiles, gsize count)
{
    for (gsize i = 0; i < count; i++)
        if (!isfinite(quantiles[i]) || fabs(quantiles[i]) > 100 || (i > 0 && quantiles[i] < quantiles[i - 1]))
            return FALSE;
    return count == G_N_ELEMENTS(grid);
}

struct calibration *calibration_load(GVariant *saved)
{
    struct calibration *calibration = calibration_new();
    gboolean is_sound = g_variant_n_children(saved) <= SAVED_GROUPS_MAX;
    for (gsize i = 0; is_sound && i < g_variant_n_children(saved); i++) {
        guint64 key;
        guint32 target, count;
        g_autoptr(GVariant) array = NULL;
        g_variant_get_child(saved, i, "(tuu@ad)", &key, &target, &count, &array);
        gsize length;
        const double *quantiles = g_variant_get_fixed_array(array, &length, sizeof *quantiles);
        is_sound = target < TARGET_COUNT && count > 0 && quantiles_are_sound(quantiles, length);
        if (is_sound) {
            struct spread *spread = calibration_make(calibration, target, key);
            spread->count = count;
            memcpy(spread->quantiles, quantiles, sizeof spread->quantiles);
        }
    }
    if (!is_sound)
        g_clear_pointer(&calibration, calibration_free);
    return calibration;
}
