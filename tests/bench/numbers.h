/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The arithmetic of benches. Pure. */

/* A copy in ascending order, of double. Free with g_array_unref. */
GArray *ascending_new(const double *values, guint count);

/* Of values in ascending order, at least one: linear between the two nearest (definition 7 of Hyndman and Fan, Sample Quantiles in Statistical
 * Packages, 1996). */
double ascending_quantile(const GArray *ascending, double quantile);

/* The same of values in any order. */
double quantile_of(const double *values, guint count, double quantile);

/* How far predictions are from what was. NAN in either leaves the pair out. */
struct score {
    guint count;
    double within2; /* share within a factor of 2 */
    double male;    /* mean absolute error of the natural logarithm */
    double mdape;   /* median of |actual - predicted| / actual */
};

struct score score_of(const double *actual, const double *predicted, guint count);

/* Loss of the quantile `level` predicted as `predicted` where `actual` came (Koenker and Bassett, Regression Quantiles, 1978). */
double pinball_loss(double actual, double predicted, double level);

/* Ridge regression (Hoerl and Kennard, 1970): the coefficients that make |y - x b|^2 + penalty |b|^2 least, the first column, meant for the
 * intercept, without penalty. `x` has `rows` times `columns` values, row by row. Free with g_free. */
double *ridge_fit(const double *x, const double *y, guint rows, guint columns, double penalty);

/* The checksum of zlib and of Ethernet (CRC-32/ISO-HDLC). */
guint32 crc32_of(const char *text);
