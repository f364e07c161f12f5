/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/sample.h"

/* Recorded runs of programs and functions, as the daemon would have observed them, and the split of them into those to learn from and those to
 * be tested with. */

struct row {
    struct observation observation;       /* what was not recorded: 0, the network NAN */
    struct sample sample;                 /* of the observation */
    double given_memory_mib, given_vcpus; /* that it was known to get; 0: not told */
    guint fold;                           /* 0 to 4; 0 is the test */
};

#define ROWS_FOLDS 5

/* Programs of the Benchmarks Game in 35 languages: the best run of each program and size of its input, or all repeats. A row is a function named
 * "name/language/id". NULL with an error. GPtrArray of struct row; free with g_ptr_array_unref, as all below. */
GPtrArray *rows_benchmarksgame(gboolean is_best, GError **error);

/* Functions on six kinds of machines with given CPUs and memory: the median response of each configuration, in milliseconds of duration. A row is a
 * function named by its configuration; the kind of function is its algorithm, the input's name its entry point. */
GPtrArray *rows_serverless(GError **error);

/* Those of the fold, or those of all others. */
GPtrArray *rows_of_fold(const GPtrArray *rows, guint fold, gboolean is_in);

/* Those that tell the target. */
GPtrArray *rows_with(const GPtrArray *rows, enum target target);

/* Copies of the samples, one after the other. Free with g_array_unref. */
GArray *rows_samples(const GPtrArray *rows);

static inline const struct row *row_at(const GPtrArray *rows, guint i)
{
    return rows->pdata[i];
}

/* The amount of a target, NAN when it was not recorded. */
double row_amount(const struct row *row, enum target target);
