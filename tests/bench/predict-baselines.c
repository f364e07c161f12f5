/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-baselines.h"

#include "numbers.h"

#include <math.h>
#include <string.h>

#define RIDGE_PENALTY 1.0

struct baseline {
    enum target target;
    GArray *all;                /* double, ascending: the training rows, or what the regression leaves over of them */
    baseline_groups get_groups; /* NULL: a regression */
    GHashTable *groups;         /* the training rows of each: GArray of double, ascending */
    baseline_terms get_terms;
    GHashTable *columns; /* of each term */
    double *coefficients;
};

static double row_y(const struct row *row, enum target target)
{
    return row->sample.targets[target];
}

static int compare_doubles(gconstpointer a, gconstpointer b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static struct baseline *baseline_new(enum target target)
{
    struct baseline *baseline = g_new0(struct baseline, 1);
    baseline->target = target;
    baseline->all = g_array_new(FALSE, FALSE, sizeof(double));
    baseline->groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    baseline->columns = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return baseline;
}

void baseline_free(struct baseline *baseline)
{
    if (baseline == NULL)
        return;
    g_array_unref(baseline->all);
    g_hash_table_unref(baseline->groups);
    g_hash_table_unref(baseline->columns);
    g_free(baseline->coefficients);
    g_free(baseline);
}

/* --- Medians --- */

static void baseline_add(struct baseline *baseline, const char *group, double y)
{
    GArray *values = g_hash_table_lookup(baseline->groups, group);
    if (values == NULL) {
        values = g_array_new(FALSE, FALSE, sizeof(double));
        g_hash_table_insert(baseline->groups, g_strdup(group), values);
    }
    g_array_append_val(values, y);
}

struct baseline *baseline_medians(const GPtrArray *training, enum target target, baseline_groups groups)
{
    struct baseline *baseline = baseline_new(target);
    baseline->get_groups = groups;
    for (guint i = 0; i < training->len; i++) {
        const double y = row_y(row_at(training, i), target);
        g_auto(GStrv) names = groups(row_at(training, i));
        for (guint level = 0; names[level] != NULL; level++)
            baseline_add(baseline, names[level], y);
        g_array_append_val(baseline->all, y);
    }
    GHashTableIter iter;
    gpointer values;
    g_hash_table_iter_init(&iter, baseline->groups);
    while (g_hash_table_iter_next(&iter, NULL, &values))
        g_array_sort(values, compare_doubles);
    g_array_sort(baseline->all, compare_doubles);
    return baseline;
}

static const GArray *baseline_find(const struct baseline *baseline, const struct row *row)
{
    g_auto(GStrv) names = baseline->get_groups(row);
    for (guint level = 0; names[level] != NULL; level++) {
        const GArray *values = g_hash_table_lookup(baseline->groups, names[level]);
        if (values != NULL)
            return values;
    }
    return baseline->all;
}

/* --- Ridge --- */

static double term_split(char *term)
{
    char *colon = strrchr(term, ':');
    if (colon == NULL)
        return 1;
    *colon = '\0';
    return g_ascii_strtod(colon + 1, NULL);
}

/* The columns: the intercept, then each term. Terms that no training row had are left out of a row. */
static void baseline_fill_row(const struct baseline *baseline, const struct row *row, double *ret_cells)
{
    g_auto(GStrv) terms = baseline->get_terms(row);
    memset(ret_cells, 0, (1 + g_hash_table_size(baseline->columns)) * sizeof *ret_cells);
    ret_cells[0] = 1;
    for (guint i = 0; terms[i] != NULL; i++) {
        const double value = term_split(terms[i]);
        const guint column = GPOINTER_TO_UINT(g_hash_table_lookup(baseline->columns, terms[i]));
        if (column > 0)
            ret_cells[column] = value;
    }
}

static void baseline_name_columns(struct baseline *baseline, const GPtrArray *training)
{
    for (guint i = 0; i < training->len; i++) {
        g_auto(GStrv) terms = baseline->get_terms(row_at(training, i));
        for (guint term = 0; terms[term] != NULL; term++) {
            term_split(terms[term]);
            const guint next = 1 + g_hash_table_size(baseline->columns);
            if (!g_hash_table_contains(baseline->columns, terms[term]))
                g_hash_table_insert(baseline->columns, g_strdup(terms[term]), GUINT_TO_POINTER(next));
        }
    }
}

static double baseline_regress(const struct baseline *baseline, const struct row *row)
{
    const guint columns = 1 + g_hash_table_size(baseline->columns);
    g_autofree double *cells = g_new(double, columns);
    double y = 0;
    baseline_fill_row(baseline, row, cells);
    for (guint i = 0; i < columns; i++)
        y += cells[i] * baseline->coefficients[i];
    return y;
}

struct baseline *baseline_ridge(const GPtrArray *training, enum target target, baseline_terms terms, double penalty)
{
    struct baseline *baseline = baseline_new(target);
    baseline->get_terms = terms;
    baseline_name_columns(baseline, training);
    const guint columns = 1 + g_hash_table_size(baseline->columns);
    g_autofree double *x = g_new(double, (gsize)training->len *columns), *y = g_new(double, training->len);
    for (guint i = 0; i < training->len; i++) {
        baseline_fill_row(baseline, row_at(training, i), x + (gsize)i * columns);
        y[i] = row_y(row_at(training, i), target);
    }
    baseline->coefficients = ridge_fit(x, y, training->len, columns, penalty);
    for (guint i = 0; i < training->len; i++) {
        const double left_over = y[i] - baseline_regress(baseline, row_at(training, i));
        g_array_append_val(baseline->all, left_over);
    }
    g_array_sort(baseline->all, compare_doubles);
    return baseline;
}

double baseline_point(const struct baseline *baseline, const struct row *row)
{
    return baseline->get_terms != NULL ? baseline_regress(baseline, row) : baseline_quantile(baseline, row, 0.5);
}

double baseline_quantile(const struct baseline *baseline, const struct row *row, double level)
{
    if (baseline->get_terms != NULL)
        return baseline_regress(baseline, row) + ascending_quantile(baseline->all, level);
    return ascending_quantile(baseline_find(baseline, row), level);
}

/* --- The sets --- */

static char **strv_of(GPtrArray *texts)
{
    g_ptr_array_add(texts, NULL);
    return (char **)g_ptr_array_free(texts, FALSE);
}

G_GNUC_PRINTF(2, 3)
static void texts_add(GPtrArray *texts, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(texts, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static char **no_groups(const struct row *row)
{
    (void)row;
    return g_new0(char *, 1);
}

static char **game_groups(const struct row *row)
{
    const struct code_metadata *code = &row->observation.code;
    GPtrArray *groups = g_ptr_array_new();
    texts_add(groups, "%s|%" G_GINT64_FORMAT "|%s", code->algorithm, code->payload_items, code->language);
    texts_add(groups, "%s|%" G_GINT64_FORMAT, code->algorithm, code->payload_items);
    texts_add(groups, "%s", code->algorithm);
    return strv_of(groups);
}

static char **game_terms(const struct row *row)
{
    const struct code_metadata *code = &row->observation.code;
    GPtrArray *terms = g_ptr_array_new();
    texts_add(terms, "language %s", code->language);
    texts_add(terms, "%s|%" G_GINT64_FORMAT, code->algorithm, code->payload_items);
    texts_add(terms, "size:%.9g", log((double)MAX(code->code_bytes, 1)));
    return strv_of(terms);
}

void baseline_set_benchmarksgame(struct baseline_set *ret_set, const GPtrArray *training, enum target target)
{
    *ret_set = (struct baseline_set){
        .names = {"median of all", "median by task, n, language", "ridge on language, task x n, size"},
        .baselines = {baseline_medians(training, target, no_groups), baseline_medians(training, target, game_groups),
                      baseline_ridge(training, target, game_terms, RIDGE_PENALTY)},
    };
}

static char **serverless_groups(const struct row *row)
{
    const struct code_metadata *code = &row->observation.code;
    GPtrArray *groups = g_ptr_array_new();
    texts_add(groups, "%s|%s", code->algorithm, code->entry_point);
    texts_add(groups, "%s", code->algorithm);
    return strv_of(groups);
}

static char **serverless_terms(const struct row *row)
{
    const struct code_metadata *code = &row->observation.code;
    GPtrArray *terms = g_ptr_array_new();
    texts_add(terms, "input %s|%s", code->algorithm, code->entry_point);
    texts_add(terms, "machine %s", code->template);
    texts_add(terms, "memory %s:%.9g", code->algorithm, log(row->given_memory_mib));
    texts_add(terms, "vcpus %s:%.9g", code->algorithm, log(row->given_vcpus));
    return strv_of(terms);
}

void baseline_set_serverless(struct baseline_set *ret_set, const GPtrArray *training)
{
    *ret_set = (struct baseline_set){
        .names = {"median by function, input", "ridge on input, machine, function x log(CPUs, memory)"},
        .baselines = {baseline_medians(training, TARGET_DURATION, serverless_groups),
                      baseline_ridge(training, TARGET_DURATION, serverless_terms, RIDGE_PENALTY)},
    };
}

void baseline_set_clear(struct baseline_set *set)
{
    for (guint i = 0; i < BASELINES_MAX; i++)
        baseline_free(set->baselines[i]);
    *set = (struct baseline_set){0};
}
