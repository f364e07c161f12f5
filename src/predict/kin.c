/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/kin.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

#define RELATIVES_MAX 64 /* of one group: the newest */
#define SAVED_MAX (1 << 23)
#define USUAL_MIN 3         /* relatives that a language's rank is told from */
#define LANGUAGE_WORTH 0.03 /* in the logarithm of the size: so much further may one be that is of the same language */

CODEC_WORDS_DEFINE(kin_column_words, "least of its language", "median of its language",
                   "least of its language and input", "median of its language and input", "nearest code",
                   "nearest code's distance", "nearest code's language");

/* Of a language, or of it with inputs of a rank. */
struct usual {
    guint64 group;
    double low, middle;
};

/* What the runs of one function with one input used, in the mean. */
struct relative {
    guint64 function, language;
    double size, y;
};

struct kin {
    GHashTable *usual;     /* group -> struct usual */
    GHashTable *relatives; /* group -> struct family */
};

struct family {
    guint64 group;
    GArray *relatives; /* struct relative */
};

static void family_free(gpointer data)
{
    struct family *family = data;
    g_array_unref(family->relatives);
    g_free(family);
}

static struct kin *kin_make(void)
{
    struct kin *kin = g_new0(struct kin, 1);
    kin->usual = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    kin->relatives = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, family_free);
    return kin;
}

void kin_free(struct kin *kin)
{
    if (kin == NULL)
        return;
    g_hash_table_unref(kin->usual);
    g_hash_table_unref(kin->relatives);
    g_free(kin);
}

/* --- Groups --- */

enum { GROUP_LANGUAGE = 1, GROUP_RANK, GROUP_FAMILY };

void kin_groups_of(const struct sample *sample, const struct ranks *ranks, struct kin_groups *ret_groups)
{
    const guint64 *categories = sample->categories, language = categories[CATEGORY_LANGUAGE];
    const guint64 family = categories[CATEGORY_FAMILY] != 0 ? categories[CATEGORY_FAMILY] : language;
    const guint64 rank = ranks_tell(ranks, sample);
    *ret_groups = (struct kin_groups){0};
    if (language != 0)
        ret_groups->language = category_join(GROUP_LANGUAGE, language);
    if (language != 0 && rank != 0)
        ret_groups->rank = category_join(category_join(GROUP_RANK, language), rank);
    if (family == 0 || categories[CATEGORY_ALGORITHM] == 0 || isnan(sample->numbers[NUMBER_CODE]))
        return;
    const guint64 group = category_join(category_join(GROUP_FAMILY, family), categories[CATEGORY_ALGORITHM]);
    ret_groups->family = category_join(group, categories[CATEGORY_INPUT]);
}

/* --- Making --- */

/* A function with one input, while its runs are added up. */
struct member {
    guint64 key;
    guint newest; /* run */
    double weight, sum;
};

static guint64 member_key(const struct sample *sample)
{
    return category_join(sample->categories[CATEGORY_FUNCTION], sample->categories[CATEGORY_INPUT]);
}

/* In the order of the first runs. */
static GPtrArray *members_collect(const struct sample *samples, const double *y, const double *weights, guint count)
{
    GPtrArray *members = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) known = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint run = 0; run < count; run++) {
        const guint64 key = member_key(&samples[run]);
        struct member *member = weights[run] > 0 ? g_hash_table_lookup(known, &key) : NULL;
        if (weights[run] <= 0)
            continue;
        if (member == NULL) {
            member = g_new0(struct member, 1);
            *member = (struct member){.key = key, .newest = run};
            g_hash_table_insert(known, &member->key, member);
            g_ptr_array_add(members, member);
        }
        if (samples[run].at >= samples[member->newest].at)
            member->newest = run;
        member->weight += weights[run];
        member->sum += weights[run] * y[run];
    }
    return members;
}

static void values_add(GHashTable *values, guint64 group, double y)
{
    if (group == 0)
        return;
    GArray *known = g_hash_table_lookup(values, &group);
    if (known == NULL) {
        known = g_array_new(FALSE, FALSE, sizeof(double));
        g_hash_table_insert(values, g_memdup2(&group, sizeof group), known);
    }
    g_array_append_val(known, y);
}

static void kin_set_usual(struct kin *kin, guint64 group, double low, double middle)
{
    struct usual *usual = g_new(struct usual, 1);
    *usual = (struct usual){group, low, middle};
    g_hash_table_replace(kin->usual, &usual->group, usual);
}

static void kin_describe(struct kin *kin, GHashTable *values)
{
    GHashTableIter iter;
    gpointer group, known;
    g_hash_table_iter_init(&iter, values);
    while (g_hash_table_iter_next(&iter, &group, &known)) {
        const gsize count = ((const GArray *)known)->len;
        double *sorted = (double *)(void *)((GArray *)known)->data;
        gsl_sort(sorted, 1, count);
        if (count >= USUAL_MIN)
            kin_set_usual(kin, *(const guint64 *)group, gsl_stats_quantile_from_sorted_data(sorted, 1, count, 0.1),
                          gsl_stats_median_from_sorted_data(sorted, 1, count));
    }
}

static void kin_add_relative(struct kin *kin, guint64 group, const struct relative *relative)
{
    struct family *family = g_hash_table_lookup(kin->relatives, &group);
    if (family == NULL) {
        family = g_new(struct family, 1);
        *family = (struct family){group, g_array_new(FALSE, FALSE, sizeof(struct relative))};
        g_hash_table_insert(kin->relatives, &family->group, family);
    }
    if (family->relatives->len < RELATIVES_MAX)
        g_array_append_vals(family->relatives, relative, 1);
}

/* The newest first. */
static int member_compare(gconstpointer a, gconstpointer b, gpointer data)
{
    const struct member *left = *(struct member *const *)a, *right = *(struct member *const *)b;
    const struct sample *samples = data;
    const gint64 left_at = samples[left->newest].at, right_at = samples[right->newest].at;
    if (left_at != right_at)
        return (left_at < right_at) - (left_at > right_at);
    return (left->newest < right->newest) - (left->newest > right->newest);
}

struct kin *kin_new(const struct sample *samples, const struct ranks *ranks, const double *y, const double *weights,
                    guint count)
{
    struct kin *kin = kin_make();
    g_autoptr(GPtrArray) members = members_collect(samples, y, weights, count);
    g_autoptr(GHashTable) values =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
    g_ptr_array_sort_with_data(members, member_compare, (gpointer)samples);
    for (guint i = 0; i < members->len; i++) {
        const struct member *member = g_ptr_array_index(members, i);
        const struct sample *sample = &samples[member->newest];
        const struct relative relative = {
            .function = sample->categories[CATEGORY_FUNCTION],
            .language = sample->categories[CATEGORY_LANGUAGE],
            .size = sample->numbers[NUMBER_CODE],
            .y = member->sum / member->weight,
        };
        struct kin_groups groups;
        kin_groups_of(sample, ranks, &groups);
        values_add(values, groups.language, relative.y);
        values_add(values, groups.rank, relative.y);
        if (groups.family != 0)
            kin_add_relative(kin, groups.family, &relative);
    }
    kin_describe(kin, values);
    return kin;
}

/* --- Asking --- */

static const struct relative *kin_find_nearest(const struct kin *kin, const struct kin_groups *groups,
                                               const struct sample *sample)
{
    const struct family *family = groups->family != 0 ? g_hash_table_lookup(kin->relatives, &groups->family) : NULL;
    const struct relative *nearest = NULL;
    double least = INFINITY;
    for (guint i = 0; family != NULL && i < family->relatives->len; i++) {
        const struct relative *relative = &g_array_index(family->relatives, struct relative, i);
        const gboolean is_same = relative->language == sample->categories[CATEGORY_LANGUAGE];
        const double distance = fabs(relative->size - sample->numbers[NUMBER_CODE]) - (is_same ? LANGUAGE_WORTH : 0);
        if (relative->function != sample->categories[CATEGORY_FUNCTION] && distance < least) {
            least = distance;
            nearest = relative;
        }
    }
    return nearest;
}

void kin_ask(const struct kin *kin, const struct kin_groups *groups, const struct sample *sample, double sum,
             float ret_columns[KIN_COLUMN_COUNT])
{
    const struct usual *language = g_hash_table_lookup(kin->usual, &groups->language);
    const struct usual *rank = g_hash_table_lookup(kin->usual, &groups->rank);
    const struct relative *nearest = kin_find_nearest(kin, groups, sample);
    for (guint i = 0; i < KIN_COLUMN_COUNT; i++)
        ret_columns[i] = NAN;
    if (rank == NULL)
        rank = language;
    if (language != NULL) {
        ret_columns[KIN_LANGUAGE_LOW] = (float)(sum - language->low);
        ret_columns[KIN_LANGUAGE_MIDDLE] = (float)(sum - language->middle);
    }
    if (rank != NULL) {
        ret_columns[KIN_RANK_LOW] = (float)(sum - rank->low);
        ret_columns[KIN_RANK_MIDDLE] = (float)(sum - rank->middle);
    }
    if (nearest != NULL) {
        ret_columns[KIN_NEAREST] = (float)(sum - nearest->y);
        ret_columns[KIN_DISTANCE] = (float)fabs(nearest->size - sample->numbers[NUMBER_CODE]);
        ret_columns[KIN_SAME_LANGUAGE] = nearest->language == sample->categories[CATEGORY_LANGUAGE];
    }
}

/* --- Keeping --- */

GVariant *kin_save(const struct kin *kin)
{
    GVariantBuilder usual, relatives;
    GHashTableIter iter;
    gpointer value;
    g_variant_builder_init(&usual, G_VARIANT_TYPE("a(tdd)"));
    g_variant_builder_init(&relatives, G_VARIANT_TYPE("a(tttdd)"));
    g_hash_table_iter_init(&iter, kin->usual);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct usual *entry = value;
        g_variant_builder_add(&usual, "(tdd)", entry->group, entry->low, entry->middle);
    }
    g_hash_table_iter_init(&iter, kin->relatives);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct family *family = value;
        for (guint i = 0; i < family->relatives->len; i++) {
            const struct relative *relative = &g_array_index(family->relatives, struct relative, i);
            g_variant_builder_add(&relatives, "(tttdd)", family->group, relative->function, relative->language,
                                  relative->size, relative->y);
        }
    }
    return g_variant_new("(a(tdd)a(tttdd))", &usual, &relatives);
}

static gboolean value_is_sound(double value)
{
    return isfinite(value) && fabs(value) < 100;
}

static gboolean load_usual(struct kin *kin, GVariant *saved)
{
    const gsize count = g_variant_n_children(saved);
    gboolean is_sound = count <= SAVED_MAX;
    for (gsize i = 0; is_sound && i < count; i++) {
        guint64 group;
        double low, middle;
        g_variant_get_child(saved, i, "(tdd)", &group, &low, &middle);
        is_sound = value_is_sound(low) && value_is_sound(middle);
        kin_set_usual(kin, group, low, middle);
    }
    return is_sound;
}

static gboolean load_relatives(struct kin *kin, GVariant *saved)
{
    const gsize count = g_variant_n_children(saved);
    gboolean is_sound = count <= SAVED_MAX;
    for (gsize i = 0; is_sound && i < count; i++) {
        guint64 group;
        struct relative relative;
        g_variant_get_child(saved, i, "(tttdd)", &group, &relative.function, &relative.language, &relative.size,
                            &relative.y);
        is_sound = value_is_sound(relative.size) && value_is_sound(relative.y);
        kin_add_relative(kin, group, &relative);
    }
    return is_sound;
}

struct kin *kin_load(GVariant *saved)
{
    struct kin *kin = kin_make();
    g_autoptr(GVariant) usual = g_variant_get_child_value(saved, 0), relatives = g_variant_get_child_value(saved, 1);
    if (!load_usual(kin, usual) || !load_relatives(kin, relatives))
        g_clear_pointer(&kin, kin_free);
    return kin;
}
