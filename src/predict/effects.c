/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/effects.h"

#include <math.h>

#define SWEEPS 12
#define ROBUST_AFTER 3 /* sweeps: then runs far off count less */
#define GROUPS_MAX (1 << 20)

#define HAS(category) (1U << CATEGORY_##category)

/* How finely the size of the code is told: the width of a bin in logarithms, and where bins begin. */
enum bins { BINS_NONE, BINS_WIDE, BINS_WIDE_SHIFTED, BINS_EXACT };

static const struct {
    double width, shift;
} bins_table[] = {[BINS_WIDE] = {0.4, 0}, [BINS_WIDE_SHIFTED] = {0.4, 0.5}, [BINS_EXACT] = {0.005, 0.5}};

/* From the wide to the narrow. The variances are those that predicted the programs of the Computer Language Benchmarks Game best, each left
 * out in turn. */
static const struct {
    const char *name;
    guint categories;
    enum bins bins;
    float variance[TARGET_COUNT];
} effect_table[] = {
    {"algorithm", HAS(ALGORITHM), BINS_NONE, {0.06F, 0.06F, 0.06F, 0.06F, 0.06F}},
    {"language family", HAS(FAMILY), BINS_NONE, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"language", HAS(LANGUAGE), BINS_NONE, {0.24F, 0.1F, 0.3F, 0.1F, 0.24F}},
    {"libraries", HAS(LIBRARIES), BINS_NONE, {0.5F, 0.3F, 0.5F, 0.3F, 0.5F}},
    {"entry point", HAS(ENTRY_POINT), BINS_NONE, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"template", HAS(TEMPLATE), BINS_NONE, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"algorithm and input", HAS(ALGORITHM) | HAS(INPUT), BINS_NONE, {0.325F, 0.1F, 0.325F, 0.1F, 0.081F}},
    {"libraries and input", HAS(LIBRARIES) | HAS(INPUT), BINS_NONE, {0.3F, 0.1F, 0.3F, 0.1F, 0.3F}},
    {"family and algorithm", HAS(FAMILY) | HAS(ALGORITHM), BINS_NONE, {0.2F, 0.1F, 0.1F, 0.1F, 0.2F}},
    {"family, algorithm and input",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_NONE,
     {0.52F, 0.1F, 0.52F, 0.1F, 0.13F}},
    {"language and algorithm", HAS(LANGUAGE) | HAS(ALGORITHM), BINS_NONE, {0.08F, 0.1F, 0.32F, 0.1F, 0.02F}},
    {"language, algorithm and input",
     HAS(LANGUAGE) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_NONE,
     {0.2F, 0.1F, 0.8F, 0.1F, 0.1F}},
    {"algorithm and code size", HAS(ALGORITHM), BINS_WIDE, {0.01F, 0.02F, 0.01F, 0.01F, 0.08F}},
    {"algorithm and code size, shifted", HAS(ALGORITHM), BINS_WIDE_SHIFTED, {0.02F, 0.02F, 0.01F, 0.01F, 0.005F}},
    {"family, algorithm and code size", HAS(FAMILY) | HAS(ALGORITHM), BINS_WIDE, {0.03F, 0.03F, 0.0075F, 0.01F, 0.03F}},
    {"family, algorithm and code size, shifted",
     HAS(FAMILY) | HAS(ALGORITHM),
     BINS_WIDE_SHIFTED,
     {0.03F, 0.03F, 0.03F, 0.01F, 0.03F}},
    {"language, algorithm, input and code size",
     HAS(LANGUAGE) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_WIDE_SHIFTED,
     {0.06F, 0.06F, 0.24F, 0.01F, 0.06F}},
    {"family, algorithm and same code size",
     HAS(FAMILY) | HAS(ALGORITHM),
     BINS_EXACT,
     {0.03F, 0.03F, 0.03F, 0.01F, 0.03F}},
    {"family, algorithm, input and same code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_EXACT,
     {0.24F, 0.1F, 0.06F, 0.01F, 0.24F}},
};

/* Variance of the runs in their groups, and beyond how far off they count less. */
static const struct {
    float noise, robust;
} noise_table[TARGET_COUNT] = {{.06F, 0}, {.06F, .7F}, {.015F, .7F}, {.06F, .7F}, {.06F, 0}};

struct effects {
    double mean;
    GHashTable *values[EFFECTS_MAX]; /* group -> struct effect */
};

struct effect {
    guint64 group;
    double value;
};

guint effects_count(void)
{
    G_STATIC_ASSERT(G_N_ELEMENTS(effect_table) <= EFFECTS_MAX);
    return G_N_ELEMENTS(effect_table);
}

const char *effects_name(guint effect)
{
    return effect_table[effect].name;
}

static guint64 sample_bin(const struct sample *sample, enum bins bins)
{
    const double size = sample->numbers[NUMBER_CODE];
    return isnan(size) ? 0 : (guint64)floor(size / bins_table[bins].width + bins_table[bins].shift) + 1;
}

/* A group that some category of is not told is none. */
static guint64 sample_group(const struct sample *sample, guint effect)
{
    guint64 group = effect + 1;
    for (guint i = 0; i < CATEGORY_COUNT; i++) {
        if ((effect_table[effect].categories & 1U << i) == 0)
            continue;
        if (sample->categories[i] == 0)
            return 0;
        group = category_join(group, sample->categories[i]);
    }
    if (effect_table[effect].bins == BINS_NONE)
        return group;
    const guint64 bin = sample_bin(sample, effect_table[effect].bins);
    return bin != 0 ? category_join(group, bin) : 0;
}

void effects_groups(const struct sample *sample, guint64 ret_groups[EFFECTS_MAX])
{
    for (guint i = 0; i < effects_count(); i++)
        ret_groups[i] = sample_group(sample, i);
}

/* --- Fitting --- */

/* One effect while it is fitted: which of its groups each run is in, and what they are worth. */
struct column {
    GHashTable *indices;             /* group -> its index + 1 */
    guint *of_run;                   /* index; G_MAXUINT: in none */
    GArray *values, *sums, *weights; /* double, one for each group */
    double shrinkage;                /* s^2 / v */
};

static void column_init(struct column *column, const guint64 (*groups)[EFFECTS_MAX], const double *weights,
                        guint effect, guint count)
{
    column->indices = g_hash_table_new(g_int64_hash, g_int64_equal);
    column->of_run = g_new(guint, count);
    column->values = g_array_new(FALSE, TRUE, sizeof(double));
    column->sums = g_array_new(FALSE, TRUE, sizeof(double));
    column->weights = g_array_new(FALSE, TRUE, sizeof(double));
    for (guint run = 0; run < count; run++) {
        const guint64 *group = &groups[run][effect];
        column->of_run[run] = G_MAXUINT;
        if (*group == 0 || weights[run] <= 0)
            continue;
        guint index = GPOINTER_TO_UINT(g_hash_table_lookup(column->indices, group));
        if (index == 0) {
            index = g_hash_table_size(column->indices) + 1;
            g_hash_table_insert(column->indices, (gpointer)group, GUINT_TO_POINTER(index));
        }
        column->of_run[run] = index - 1;
    }
    const guint size = g_hash_table_size(column->indices);
    g_array_set_size(column->values, size);
    g_array_set_size(column->sums, size);
    g_array_set_size(column->weights, size);
}

static void column_clear(struct column *column)
{
    g_hash_table_unref(column->indices);
    g_free(column->of_run);
    g_array_unref(column->values);
    g_array_unref(column->sums);
    g_array_unref(column->weights);
}

/* One step of Gauss and Seidel: the effects anew from what all others leave over. */
static void column_sweep(struct column *column, double *left_over, const double *weights, guint count)
{
    double *values = (double *)(void *)column->values->data, *sums = (double *)(void *)column->sums->data;
    double *totals = (double *)(void *)column->weights->data;
    const guint size = column->values->len;
    memset(sums, 0, size * sizeof *sums);
    memset(totals, 0, size * sizeof *totals);
    for (guint run = 0; run < count; run++) {
        const guint index = column->of_run[run];
        if (index == G_MAXUINT)
            continue;
        left_over[run] += values[index];
        sums[index] += weights[run] * left_over[run];
        totals[index] += weights[run];
    }
    for (guint i = 0; i < size; i++)
        values[i] = sums[i] / (totals[i] + column->shrinkage);
    for (guint run = 0; run < count; run++)
        if (column->of_run[run] != G_MAXUINT)
            left_over[run] -= values[column->of_run[run]];
}

static void weights_make_robust(double *robust, const double *weights, const double *left_over, double limit,
                                guint count)
{
    for (guint run = 0; run < count; run++)
        robust[run] = weights[run] * MIN(1, limit / MAX(fabs(left_over[run]), 1e-9));
}

static int double_compare(gconstpointer a, gconstpointer b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median_of(const double *y, const double *weights, guint count)
{
    g_autoptr(GArray) told = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint run = 0; run < count; run++)
        if (weights[run] > 0)
            g_array_append_val(told, y[run]);
    g_array_sort(told, double_compare);
    return told->len > 0 ? g_array_index(told, double, told->len / 2) : 0;
}

static struct effects *effects_new(double mean)
{
    struct effects *effects = g_new0(struct effects, 1);
    effects->mean = mean;
    for (guint i = 0; i < effects_count(); i++)
        effects->values[i] = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return effects;
}

void effects_free(struct effects *effects)
{
    for (guint i = 0; effects != NULL && i < effects_count(); i++)
        g_hash_table_unref(effects->values[i]);
    g_free(effects);
}

static void effects_set(struct effects *effects, guint effect, guint64 group, double value)
{
    struct effect *entry = g_new(struct effect, 1);
    *entry = (struct effect){group, value};
    g_hash_table_replace(effects->values[effect], &entry->group, entry);
}

static void effects_take(struct effects *effects, guint effect, const struct column *column)
{
    GHashTableIter iter;
    gpointer group, index;
    g_hash_table_iter_init(&iter, column->indices);
    while (g_hash_table_iter_next(&iter, &group, &index))
        effects_set(effects, effect, *(const guint64 *)group,
                    g_array_index(column->values, double, GPOINTER_TO_UINT(index) - 1));
}

struct effects *effects_fit(enum target target, const guint64 (*groups)[EFFECTS_MAX], const double *y,
                            const double *weights, guint count)
{
    struct effects *effects = effects_new(median_of(y, weights, count));
    struct column columns[G_N_ELEMENTS(effect_table)];
    g_autofree double *left_over = g_new(double, count);
    g_autofree double *robust = g_memdup2(weights, count * sizeof *weights);
    for (guint run = 0; run < count; run++)
        left_over[run] = weights[run] > 0 ? y[run] - effects->mean : 0;
    for (guint i = 0; i < effects_count(); i++) {
        column_init(&columns[i], groups, weights, i, count);
        columns[i].shrinkage = noise_table[target].noise / MAX(effect_table[i].variance[target], 1e-9F);
    }
    for (guint sweep = 0; sweep < SWEEPS; sweep++) {
        if (sweep >= ROBUST_AFTER && noise_table[target].robust > 0)
            weights_make_robust(robust, weights, left_over, noise_table[target].robust, count);
        for (guint i = 0; i < effects_count(); i++)
            if (effect_table[i].variance[target] > 0)
                column_sweep(&columns[i], left_over, robust, count);
    }
    for (guint i = 0; i < effects_count(); i++) {
        effects_take(effects, i, &columns[i]);
        column_clear(&columns[i]);
    }
    return effects;
}

/* --- Asking --- */

double effects_predict(const struct effects *effects, const guint64 groups[EFFECTS_MAX], double *ret_parts)
{
    double sum = effects->mean;
    for (guint i = 0; i < effects_count(); i++) {
        const struct effect *effect = groups[i] != 0 ? g_hash_table_lookup(effects->values[i], &groups[i]) : NULL;
        const double part = effect != NULL ? effect->value : 0;
        if (ret_parts != NULL)
            ret_parts[i] = part;
        sum += part;
    }
    return sum;
}

/* An effect of one category alone tells whether its name is known; of a family it does not matter. */
static gboolean effect_names(guint effect)
{
    const guint categories = effect_table[effect].categories;
    return effect_table[effect].bins == BINS_NONE &&
           (categories == HAS(LANGUAGE) || categories == HAS(ALGORITHM) || categories == HAS(LIBRARIES));
}

guint effects_count_unknown(const struct effects *effects, const guint64 groups[EFFECTS_MAX])
{
    guint unknown = 0;
    for (guint i = 0; i < effects_count(); i++)
        unknown += effect_names(i) && groups[i] != 0 && !g_hash_table_contains(effects->values[i], &groups[i]);
    return unknown;
}

GVariant *effects_save(const struct effects *effects)
{
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(utd)"));
    for (guint i = 0; i < effects_count(); i++) {
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, effects->values[i]);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            const struct effect *effect = value;
            g_variant_builder_add(&builder, "(utd)", i, effect->group, effect->value);
        }
    }
    return g_variant_new("(d@a(utd))", effects->mean, g_variant_builder_end(&builder));
}

struct effects *effects_load(GVariant *saved)
{
    double mean;
    g_autoptr(GVariant) list = NULL;
    g_variant_get(saved, "(d@a(utd))", &mean, &list);
    const gsize count = g_variant_n_children(list);
    struct effects *effects = effects_new(mean);
    gboolean is_sound = isfinite(mean) && count <= GROUPS_MAX;
    for (gsize i = 0; is_sound && i < count; i++) {
        guint32 effect;
        guint64 group;
        double value;
        g_variant_get_child(list, i, "(utd)", &effect, &group, &value);
        is_sound = effect < effects_count() && isfinite(value) && fabs(value) < 100;
        if (is_sound)
            effects_set(effects, effect, group, value);
    }
    if (!is_sound)
        g_clear_pointer(&effects, effects_free);
    return effects;
}
