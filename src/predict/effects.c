/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/effects.h"

#include <gsl/gsl_sort.h>
#include <math.h>

#define SWEEPS 12
#define GROUPS_MAX (1 << 23)
#define TABLE_BITS_MIN 2U

/* How finely the size of the code is told: how many bins for each factor of e, and where they begin. Wide ones come twice, half a bin apart, so that no code
 * is far from the middle of both. Code of the same size to half a percent is mostly the same source in two implementations of a language. */
enum bins {
    BINS_NONE,
    BINS_NARROW,
    BINS_NARROW_SHIFTED,
    BINS_MIDDLE,
    BINS_MIDDLE_SHIFTED,
    BINS_WIDE,
    BINS_WIDE_SHIFTED,
    BINS_NEAR,
    BINS_SAME
};

static const struct {
    double per_factor, shift;
} bins_table[] = {
    [BINS_NARROW] = {5, 0},   [BINS_NARROW_SHIFTED] = {5, 0.5},
    [BINS_MIDDLE] = {2.5, 0}, [BINS_MIDDLE_SHIFTED] = {2.5, 0.5},
    [BINS_WIDE] = {1.25, 0},  [BINS_WIDE_SHIFTED] = {1.25, 0.5},
    [BINS_NEAR] = {50, 0.5},  [BINS_SAME] = {200, 0.5},
};

/* Whether its input is small, middle or large for its algorithm comes from the runs, too (effects_rank). */
#define RANK CATEGORY_COUNT
#define HAS(category) (1U << CATEGORY_##category)
#define CATEGORY_RANK RANK

/* From the wide to the narrow; of each, how much such effects vary (0: not looked at). The variances are those that predicted the programs of the
 * Computer Language Benchmarks Game best (CPU time, memory, duration; a fourth of them left out in turn) and the configurations of
 * Bilal et al., With Great Freedom Comes Great Opportunity: Rethinking Resource Allocation for Serverless Functions, EuroSys 2023. Of vCPUs and
 * network they are the duration's. */
static const struct {
    const char *name;
    guint categories;
    enum bins bins;
    float variance[TARGET_COUNT];
} effect_table[] = {
    {"algorithm", HAS(ALGORITHM), BINS_NONE, {0.01F, 0.01F, 0.01F, 0.01F, 0.01F}},
    {"family of library", HAS(LIBRARY_FAMILY), BINS_NONE, {0.5F, 0.3F, 0.5F, 0.3F, 0.5F}},
    {"library", HAS(LIBRARY), BINS_NONE, {0.5F, 0.3F, 0.5F, 0.3F, 0.5F}},
    {"libraries", HAS(LIBRARIES), BINS_NONE, {0.3F, 0.1F, 0.3F, 0.1F, 0.3F}},
    {"entry point", HAS(ENTRY_POINT), BINS_NONE, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"template", HAS(TEMPLATE), BINS_NONE, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"family", HAS(FAMILY), BINS_NONE, {0.0167F, 0, 0, 0, 0}},
    {"language", HAS(LANGUAGE), BINS_NONE, {0.01F, 0, 3.F, 0, 0}},
    {"language, rank of input", HAS(LANGUAGE) | HAS(RANK), BINS_NONE, {0.15F, 0.15F, 0.05F, 0.15F, 0.15F}},
    {"algorithm, input", HAS(ALGORITHM) | HAS(INPUT), BINS_NONE, {0.3333F, 0.0123F, 0.1F, 0.0123F, 0.0123F}},
    {"library, input", HAS(LIBRARY) | HAS(INPUT), BINS_NONE, {0.3F, 0.1F, 0.3F, 0.1F, 0.3F}},
    {"family, algorithm", HAS(FAMILY) | HAS(ALGORITHM), BINS_NONE, {0.3F, 0.1F, 0, 0.1F, 0.1F}},
    {"algorithm, code size", HAS(ALGORITHM), BINS_WIDE, {0.01F, 0, 0, 0, 0}},
    {"algorithm, code size", HAS(ALGORITHM), BINS_WIDE_SHIFTED, {0.01F, 0, 0, 0, 0}},
    {"kind of language, algorithm, input", HAS(KIND) | HAS(ALGORITHM) | HAS(INPUT), BINS_NONE, {0, 0, 0.3F, 0, 0}},
    {"algorithm, input, code size", HAS(ALGORITHM) | HAS(INPUT), BINS_WIDE, {0, 0.05F, 0.0033F, 0.05F, 0.05F}},
    {"algorithm, input, code size", HAS(ALGORITHM) | HAS(INPUT), BINS_WIDE_SHIFTED, {0, 0.05F, 0.0033F, 0.05F, 0.05F}},
    {"kind of language, algorithm, input, code size",
     HAS(KIND) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_WIDE,
     {0, 0, 0.01F, 0, 0}},
    {"kind of language, algorithm, input, code size",
     HAS(KIND) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_WIDE_SHIFTED,
     {0, 0, 0.01F, 0, 0}},
    {"family, algorithm, input", HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT), BINS_NONE, {0.3F, 0, 0.3F, 0, 0}},
    {"language, algorithm, code size", HAS(LANGUAGE) | HAS(ALGORITHM), BINS_MIDDLE, {0, 0, 0.01F, 0, 0}},
    {"language, algorithm, code size", HAS(LANGUAGE) | HAS(ALGORITHM), BINS_MIDDLE_SHIFTED, {0, 0, 0.01F, 0, 0}},
    {"family, algorithm, same code size", HAS(FAMILY) | HAS(ALGORITHM), BINS_SAME, {0.05F, 0.01F, 0, 0.01F, 0.01F}},
    {"family, algorithm, like code size", HAS(FAMILY) | HAS(ALGORITHM), BINS_NEAR, {0, 0.05F, 0, 0.05F, 0.05F}},
    {"family, algorithm, input, code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_WIDE,
     {0.15F, 0.15F, 0.05F, 0.15F, 0.15F}},
    {"family, algorithm, input, code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_WIDE_SHIFTED,
     {0.15F, 0.15F, 0.05F, 0.15F, 0.15F}},
    {"language, algorithm, input",
     HAS(LANGUAGE) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_NONE,
     {0.9F, 0.1F, 2.7F, 0.1F, 0.1F}},
    {"family, algorithm, input, code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_MIDDLE,
     {0, 0, 0.03F, 0, 0}},
    {"family, algorithm, input, code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_MIDDLE_SHIFTED,
     {0, 0, 0.03F, 0, 0}},
    {"algorithm, input, like code size", HAS(ALGORITHM) | HAS(INPUT), BINS_NEAR, {0, 0.03F, 0, 0.03F, 0.03F}},
    {"family, algorithm, input, code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_NARROW,
     {0.05F, 0, 0, 0, 0}},
    {"family, algorithm, input, code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_NARROW_SHIFTED,
     {0.05F, 0, 0, 0, 0}},
    {"language, algorithm, input, code size",
     HAS(LANGUAGE) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_MIDDLE,
     {0, 0.0167F, 0.05F, 0.0167F, 0.0167F}},
    {"language, algorithm, input, code size",
     HAS(LANGUAGE) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_MIDDLE_SHIFTED,
     {0, 0.0167F, 0.05F, 0.0167F, 0.0167F}},
    {"family, algorithm, input, like code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_NEAR,
     {0, 0.05F, 0.0167F, 0.05F, 0.05F}},
    {"family, algorithm, input, same code size",
     HAS(FAMILY) | HAS(ALGORITHM) | HAS(INPUT),
     BINS_SAME,
     {0.06F, 0.06F, 0, 0.06F, 0.06F}},
    {"algorithm, template", HAS(ALGORITHM) | HAS(TEMPLATE), BINS_NONE, {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"algorithm, same input", HAS(ALGORITHM) | HAS(SAME_INPUT), BINS_NONE, {0.3F, 0.3F, 0.3F, 0.3F, 0.3F}},
    {"algorithm, CPUs given", HAS(ALGORITHM) | HAS(CPUS), BINS_NONE, {0.12F, 0.12F, 0.12F, 0.12F, 0.12F}},
    {"algorithm, same input, family of templates",
     HAS(ALGORITHM) | HAS(SAME_INPUT) | HAS(TEMPLATES),
     BINS_NONE,
     {0.1F, 0.1F, 0.1F, 0.1F, 0.1F}},
    {"algorithm, same input, CPUs given",
     HAS(ALGORITHM) | HAS(SAME_INPUT) | HAS(CPUS),
     BINS_NONE,
     {0.025F, 0.025F, 0.025F, 0.025F, 0.025F}},
    {"algorithm, same input, template",
     HAS(ALGORITHM) | HAS(SAME_INPUT) | HAS(TEMPLATE),
     BINS_NONE,
     {0.02F, 0.02F, 0.02F, 0.02F, 0.02F}},
    {"algorithm, template, CPUs given",
     HAS(ALGORITHM) | HAS(TEMPLATE) | HAS(CPUS),
     BINS_NONE,
     {0.08F, 0.08F, 0.08F, 0.08F, 0.08F}},
    {"algorithm, same input, template, CPUs given",
     HAS(ALGORITHM) | HAS(SAME_INPUT) | HAS(TEMPLATE) | HAS(CPUS),
     BINS_NONE,
     {0.01F, 0.01F, 0.01F, 0.01F, 0.01F}},
};

#define EFFECT_COUNT G_N_ELEMENTS(effect_table)

/* Variance of the runs in their groups. */
static const float noise_table[TARGET_COUNT] = {.09F, .03F, .03F, .03F, .03F};

struct effect {
    guint64 group; /* 0: a free place */
    double value;
};

/* A hash table with linear probing (Knuth, The Art of Computer Programming, volume 3, section 6.4), at most half full: a prediction after others' work
 * finds nothing of a model in the cache, and waits for one line for each effect. */
struct table {
    struct effect *places;
    guint count, bits; /* 2^bits places; 0: none yet */
};

struct effects {
    double mean;
    struct table tables[EFFECTS_MAX];
};

guint effects_count(void)
{
    G_STATIC_ASSERT(EFFECT_COUNT <= EFFECTS_MAX);
    return EFFECT_COUNT;
}

const char *effects_name(guint effect)
{
    return effect_table[effect].name;
}

/* --- How large an input is for its algorithm --- */

/* A third of an algorithm's runs had a smaller input than `low`, a third a larger one than `high`. */
struct range {
    guint64 algorithm;
    double low, high;
};

struct ranks {
    GHashTable *ranges; /* algorithm -> struct range */
};

static struct ranks *ranks_make(void)
{
    struct ranks *ranks = g_new0(struct ranks, 1);
    ranks->ranges = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return ranks;
}

void ranks_free(struct ranks *ranks)
{
    if (ranks != NULL)
        g_hash_table_unref(ranks->ranges);
    g_free(ranks);
}

static void ranks_set(struct ranks *ranks, guint64 algorithm, double low, double high)
{
    struct range *range = g_new(struct range, 1);
    *range = (struct range){algorithm, low, high};
    g_hash_table_replace(ranks->ranges, &range->algorithm, range);
}

struct ranks *ranks_new(const struct sample *samples, guint count)
{
    struct ranks *ranks = ranks_make();
    g_autoptr(GHashTable) inputs =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)g_array_unref);
    for (guint i = 0; i < count; i++) {
        const guint64 *algorithm = &samples[i].categories[CATEGORY_ALGORITHM];
        GArray *known = g_hash_table_lookup(inputs, algorithm);
        if (*algorithm == 0 || samples[i].input_octaves <= 0)
            continue;
        if (known == NULL) {
            known = g_array_new(FALSE, FALSE, sizeof(double));
            g_hash_table_insert(inputs, (gpointer)algorithm, known);
        }
        g_array_append_val(known, samples[i].input_octaves);
    }
    GHashTableIter iter;
    gpointer algorithm, known;
    g_hash_table_iter_init(&iter, inputs);
    while (g_hash_table_iter_next(&iter, &algorithm, &known)) {
        GArray *sorted = known;
        gsl_sort((double *)(void *)sorted->data, 1, sorted->len);
        /* In the middle between the thirds' middles, so that three sizes are three ranks however many runs each has. */
        const double small = g_array_index(sorted, double, sorted->len / 6);
        const double middle = g_array_index(sorted, double, sorted->len / 2);
        const double large = g_array_index(sorted, double, sorted->len * 5 / 6);
        ranks_set(ranks, *(const guint64 *)algorithm, (small + middle) / 2, (middle + large) / 2);
    }
    return ranks;
}

guint64 ranks_tell(const struct ranks *ranks, const struct sample *sample)
{
    const struct range *range = g_hash_table_lookup(ranks->ranges, &sample->categories[CATEGORY_ALGORITHM]);
    if (range == NULL || sample->input_octaves <= 0)
        return 0;
    return 1 + (guint64)(sample->input_octaves > range->low) + (guint64)(sample->input_octaves > range->high);
}

GVariant *ranks_save(const struct ranks *ranks)
{
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(tdd)"));
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, ranks->ranges);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct range *range = value;
        g_variant_builder_add(&builder, "(tdd)", range->algorithm, range->low, range->high);
    }
    return g_variant_builder_end(&builder);
}

struct ranks *ranks_load(GVariant *saved)
{
    struct ranks *ranks = ranks_make();
    for (gsize i = 0; i < MIN(g_variant_n_children(saved), GROUPS_MAX); i++) {
        guint64 algorithm;
        double low, high;
        g_variant_get_child(saved, i, "(tdd)", &algorithm, &low, &high);
        ranks_set(ranks, algorithm, low, high); /* not even a NAN does more harm than a wrong rank */
    }
    return ranks;
}

/* --- Groups --- */

static guint64 sample_bin(const struct sample *sample, enum bins bins)
{
    const double size = sample->numbers[NUMBER_CODE];
    return isnan(size) ? 0 : (guint64)floor(size * bins_table[bins].per_factor + bins_table[bins].shift) + 1;
}

/* A group that some category of is not told is none. */
static guint64 sample_group(const guint64 categories[CATEGORY_COUNT + 1], const guint64 *bins, guint effect)
{
    guint64 group = effect + 1;
    for (guint i = 0; i <= CATEGORY_COUNT; i++) {
        if ((effect_table[effect].categories & 1U << i) == 0)
            continue;
        if (categories[i] == 0)
            return 0;
        group = category_join(group, categories[i]);
    }
    if (effect_table[effect].bins == BINS_NONE)
        return group;
    const guint64 bin = bins[effect_table[effect].bins];
    return bin != 0 ? category_join(group, bin) : 0;
}

void effects_groups(const struct sample *sample, const struct ranks *ranks, guint64 ret_groups[EFFECTS_MAX])
{
    guint64 categories[CATEGORY_COUNT + 1], bins[G_N_ELEMENTS(bins_table)] = {0};
    memcpy(categories, sample->categories, sizeof sample->categories);
    categories[RANK] = ranks_tell(ranks, sample);
    for (guint i = BINS_NONE + 1; i < G_N_ELEMENTS(bins_table); i++)
        bins[i] = sample_bin(sample, i);
    for (guint i = 0; i < EFFECT_COUNT; i++)
        ret_groups[i] = sample_group(categories, bins, i);
}

/* An effect of one category alone tells whether its name is known; of a family it does not matter. */
static gboolean effect_names(guint effect)
{
    const guint categories = effect_table[effect].categories;
    return effect_table[effect].bins == BINS_NONE &&
           (categories == HAS(LANGUAGE) || categories == HAS(ALGORITHM) || categories == HAS(LIBRARY));
}

void effects_name_groups(const struct sample *sample, guint64 ret_groups[EFFECTS_MAX])
{
    guint64 categories[CATEGORY_COUNT + 1] = {0};
    memcpy(categories, sample->categories, sizeof sample->categories);
    for (guint i = 0; i < EFFECT_COUNT; i++)
        ret_groups[i] = effect_names(i) ? sample_group(categories, NULL, i) : 0;
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
    if (size == 0)
        return; /* no run tells the category */
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

static double median_of(const double *y, const double *weights, guint count)
{
    g_autoptr(GArray) told = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint run = 0; run < count; run++)
        if (weights[run] > 0)
            g_array_append_val(told, y[run]);
    gsl_sort((double *)(void *)told->data, 1, told->len);
    return told->len > 0 ? g_array_index(told, double, told->len / 2) : 0;
}

static struct effects *effects_new(double mean)
{
    struct effects *effects = g_new0(struct effects, 1);
    effects->mean = mean;
    return effects;
}

void effects_free(struct effects *effects)
{
    for (guint i = 0; effects != NULL && i < EFFECT_COUNT; i++)
        g_free(effects->tables[i].places);
    g_free(effects);
}

/* Where the group would be if all were free. */
static gsize table_slot(const struct table *table, guint64 group)
{
    return group * G_GUINT64_CONSTANT(11400714819323198485) >> (64 - table->bits);
}

/* The place of the group, or the free one where it would be. */
static struct effect *table_place(const struct table *table, guint64 group)
{
    const gsize last = ((gsize)1 << table->bits) - 1;
    gsize at = table_slot(table, group);
    while (table->places[at].group != 0 && table->places[at].group != group)
        at = (at + 1) & last;
    return &table->places[at];
}

static void table_grow(struct table *table)
{
    const struct table old = *table;
    const gsize size = old.bits > 0 ? (gsize)1 << old.bits : 0;
    table->bits = MAX(old.bits + 1, TABLE_BITS_MIN);
    table->places = g_new0(struct effect, (gsize)1 << table->bits);
    for (gsize i = 0; i < size; i++)
        if (old.places[i].group != 0)
            *table_place(table, old.places[i].group) = old.places[i];
    g_free(old.places);
}

static const struct effect *table_find(const struct table *table, guint64 group)
{
    const struct effect *place = group != 0 && table->count > 0 ? table_place(table, group) : NULL;
    return place != NULL && place->group == group ? place : NULL;
}

/* Of `group` 0 nothing is kept. */
static void effects_set(struct effects *effects, guint effect, guint64 group, double value)
{
    struct table *table = &effects->tables[effect];
    if (group == 0)
        return;
    if (2 * (gsize)(table->count + 1) > (gsize)1 << table->bits || table->bits == 0)
        table_grow(table);
    struct effect *place = table_place(table, group);
    table->count += place->group == 0;
    *place = (struct effect){group, value};
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

struct effects *effects_fit(enum target target, double noise, const guint64 (*groups)[EFFECTS_MAX], const double *y,
                            const double *weights, guint count)
{
    struct effects *effects = effects_new(median_of(y, weights, count));
    struct column columns[G_N_ELEMENTS(effect_table)];
    g_autofree double *left_over = g_new(double, count);
    for (guint run = 0; run < count; run++)
        left_over[run] = weights[run] > 0 ? y[run] - effects->mean : 0;
    for (guint i = 0; i < EFFECT_COUNT; i++) {
        column_init(&columns[i], groups, weights, i, count);
        columns[i].shrinkage = noise * noise_table[target] / MAX(effect_table[i].variance[target], 1e-9F);
    }
    for (guint sweep = 0; sweep < SWEEPS; sweep++) {
        for (guint i = 0; i < EFFECT_COUNT; i++)
            if (effect_table[i].variance[target] > 0)
                column_sweep(&columns[i], left_over, weights, count);
    }
    for (guint i = 0; i < EFFECT_COUNT; i++) {
        if (effect_table[i].variance[target] > 0 || effect_names(i))
            effects_take(effects, i, &columns[i]);
        column_clear(&columns[i]);
    }
    return effects;
}

/* --- Asking --- */

void effects_prefetch(const struct effects *effects, const guint64 groups[EFFECTS_MAX])
{
    for (guint i = 0; i < EFFECT_COUNT; i++)
        if (groups[i] != 0 && effects->tables[i].count > 0)
            __builtin_prefetch(&effects->tables[i].places[table_slot(&effects->tables[i], groups[i])]);
}

double effects_predict(const struct effects *effects, const guint64 groups[EFFECTS_MAX], double *ret_parts)
{
    double sum = effects->mean;
    for (guint i = 0; i < EFFECT_COUNT; i++) {
        const struct effect *effect = table_find(&effects->tables[i], groups[i]);
        const double part = effect != NULL ? effect->value : 0;
        if (ret_parts != NULL)
            ret_parts[i] = part;
        sum += part;
    }
    return sum;
}

/* Of whatever is mostly told, and was of the runs that calibrate. */
#define MOSTLY_TOLD (HAS(LANGUAGE) | HAS(FAMILY) | HAS(KIND) | HAS(ALGORITHM) | HAS(INPUT) | HAS(RANK))

double effects_missing(enum target target, const guint64 groups[EFFECTS_MAX])
{
    double variance = 0;
    for (guint i = 0; i < EFFECT_COUNT; i++)
        if (groups[i] == 0 && effect_table[i].bins == BINS_NONE && (effect_table[i].categories & ~MOSTLY_TOLD) == 0)
            variance += effect_table[i].variance[target];
    return variance;
}

guint effects_count_unknown(const struct effects *effects, const guint64 groups[EFFECTS_MAX])
{
    guint unknown = 0;
    for (guint i = 0; i < EFFECT_COUNT; i++)
        unknown += effect_names(i) && groups[i] != 0 && table_find(&effects->tables[i], groups[i]) == NULL;
    return unknown;
}

GVariant *effects_save(const struct effects *effects)
{
    GVariantBuilder builder;
    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(utd)"));
    for (guint i = 0; i < EFFECT_COUNT; i++) {
        const struct table *table = &effects->tables[i];
        for (gsize at = 0; table->count > 0 && at < (gsize)1 << table->bits; at++)
            if (table->places[at].group != 0)
                g_variant_builder_add(&builder, "(utd)", i, table->places[at].group, table->places[at].value);
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
        is_sound = effect < EFFECT_COUNT && isfinite(value) && fabs(value) < 100;
        if (is_sound)
            effects_set(effects, effect, group, value);
    }
    if (!is_sound)
        g_clear_pointer(&effects, effects_free);
    return effects;
}
