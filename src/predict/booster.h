/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A set of gradient-boosted regression trees (Chen and Guestrin, XGBoost, KDD 2016). XGBoost's library trains, keeps and explains it; a
 * prediction walks the same trees laid flat, since XGBoost takes 30 microseconds and more for a single row, and a notification has 60 for all.
 * Immutable once made: any thread may predict, one at a time may explain. */

struct booster;

struct booster_settings {
    guint rounds, trees_per_round; /* of more than one, their mean: a random forest */
    guint depth;
    double step; /* XGBoost's eta */
    double rows,
        columns; /* share of the rows for each tree, and of the columns for each tree (of a forest: for each node) */
    double child_weight_min; /* XGBoost's min_child_weight */
    double regularisation;   /* XGBoost's lambda */
    double leaf_max;         /* what a leaf says at most, before `step`; XGBoost's max_delta_step */
    double huber_slope;      /* beyond which a residual counts by its size, and not by its square */
    guint bins;
    guint seed;
};

/* `rows` has `row_count` times `column_count` values, row by row, NAN for those not known; labels and weights (NULL: 1) one for each row. On one
 * CPU; the same input gives the same trees. NULL with HBR_ERROR_CANCELLED or HBR_ERROR_INTERNAL. */
struct booster *booster_train(const struct booster_settings *settings, const float *rows, const float *labels,
                              const float *weights, guint row_count, guint column_count, GCancellable *cancellable,
                              GError **error);
struct booster *booster_ref(struct booster *booster);
void booster_unref(struct booster *booster);
typedef struct booster booster_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(booster_auto, booster_unref)

double booster_predict(const struct booster *booster, const float *row);

/* What each column adds to the prediction, and last what all rows have in common: column_count + 1 values, whose sum is the prediction (SHAP values
 * of trees: Lundberg et al., Nature Machine Intelligence 2, 2020). */
gboolean booster_explain(const struct booster *booster, const float *row, float *ret_contributions, GError **error);

/* In XGBoost's own format (UBJSON). */
GBytes *booster_save(const struct booster *booster, GError **error);

/* NULL with HBR_ERROR_INVALID for what XGBoost cannot read, or what is not such a model with that many columns. */
struct booster *booster_load(GBytes *saved, guint column_count, GError **error);
