/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rows.h"

/* What could be said of code without a model, each fitted to rows that tell the target: what the model is compared with. In logarithms
 * (target_log). */

struct baseline;

/* The names of the groups that a row is in, the narrowest first. Free with g_strfreev. */
typedef char **(*baseline_groups)(const struct row *row);

/* The group's quantile of the training rows; of a row whose group has none, of the next wider group; of one that has no group at all, of all. */
struct baseline *baseline_medians(const GPtrArray *training, enum target target, baseline_groups groups);

/* What is regressed on: words, each of which is a column of its own that is 1 or the number after it ("memory:7.6"). Free with g_strfreev. */
typedef char **(*baseline_terms)(const struct row *row);

/* Ridge regression with an intercept. Its quantiles are those of what it leaves over of all training rows. */
struct baseline *baseline_ridge(const GPtrArray *training, enum target target, baseline_terms terms, double penalty);

void baseline_free(struct baseline *baseline);

/* The point that it predicts: the median, or the regression. */
double baseline_point(const struct baseline *baseline, const struct row *row);
double baseline_quantile(const struct baseline *baseline, const struct row *row, double level);

/* Those of the two data sets' READMEs. */
#define BASELINES_MAX 3

struct baseline_set {
    const char *names[BASELINES_MAX];
    struct baseline *baselines[BASELINES_MAX]; /* NULL from the last on */
};

/* The median of all; that by algorithm, n and language with back-off; ridge on language, algorithm with n, and size. */
void baseline_set_benchmarksgame(struct baseline_set *ret_set, const GPtrArray *training, enum target target);

/* The median by function and input; ridge on function with input, machine, and the logarithms of CPUs and memory by function. */
void baseline_set_serverless(struct baseline_set *ret_set, const GPtrArray *training);
void baseline_set_clear(struct baseline_set *set);
