/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "numbers.h"

#include <gsl/gsl_linalg.h>
#include <math.h>

static int compare_doubles(gconstpointer a, gconstpointer b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

GArray *ascending_new(const double *values, guint count)
{
    GArray *ascending = g_array_sized_new(FALSE, FALSE, sizeof(double), count);
    g_array_append_vals(ascending, values, count);
    g_array_sort(ascending, compare_doubles);
    return ascending;
}

double ascending_quantile(const GArray *ascending, double quantile)
{
    const double place = quantile * (ascending->len - 1);
    const guint below = (guint)place;
    const double low = g_array_index(ascending, double, below);
    const double high = g_array_index(ascending, double, MIN(below + 1, ascending->len - 1));
    return low + (high - low) * (place - below);
}

double quantile_of(const double *values, guint count, double quantile)
{
    g_autoptr(GArray) ascending = ascending_new(values, count);
    return ascending_quantile(ascending, quantile);
}

struct score score_of(const double *actual, const double *predicted, guint count)
{
    struct score score = {0};
    g_autoptr(GArray) shares = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint i = 0; i < count; i++) {
        const double error = fabs(log(actual[i] / predicted[i])), share = fabs(actual[i] - predicted[i]) / actual[i];
        if (isnan(error))
            continue;
        score.count++;
        score.within2 += error <= G_LN2;
        score.male += error;
        g_array_append_val(shares, share);
    }
    if (score.count == 0)
        return (struct score){0, NAN, NAN, NAN};
    score.within2 /= score.count;
    score.male /= score.count;
    score.mdape = quantile_of((const double *)(gpointer)shares->data, shares->len, 0.5);
    return score;
}

double pinball_loss(double actual, double predicted, double level)
{
    const double short_by = actual - predicted;
    return short_by > 0 ? level * short_by : (level - 1) * short_by;
}

/* The normal equations: (x'x + penalty I) b = x'y. */
double *ridge_fit(const double *x, const double *y, guint rows, guint columns, double penalty)
{
    double *coefficients = g_new0(double, columns);
    const gsl_matrix_const_view design = gsl_matrix_const_view_array(x, rows, columns);
    const gsl_vector_const_view wanted = gsl_vector_const_view_array(y, rows);
    gsl_vector_view solution = gsl_vector_view_array(coefficients, columns);
    gsl_matrix *gram = gsl_matrix_calloc(columns, columns);
    gsl_blas_dsyrk(CblasLower, CblasTrans, 1, &design.matrix, 0, gram);
    gsl_blas_dgemv(CblasTrans, 1, &design.matrix, &wanted.vector, 0, &solution.vector);
    for (guint i = 1; i < columns; i++)
        *gsl_matrix_ptr(gram, i, i) += penalty;
    gsl_linalg_cholesky_decomp1(gram);
    gsl_linalg_cholesky_svx(gram, &solution.vector);
    gsl_matrix_free(gram);
    return coefficients;
}

guint32 crc32_of(const char *text)
{
    guint32 crc = 0xffffffff;
    for (; *text != '\0'; text++) {
        crc ^= (guchar)*text;
        for (guint bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}
