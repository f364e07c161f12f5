/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/booster.h"
#include "predict/calibration.h"
#include "predict/effects.h"
#include "predict/kin.h"
#include "predict/model.h"

/* What model.c (asking), model-train.c and model-file.c share. */

/* The columns of a row: the sample's numbers; the sum of the effects of each target; the parts of the target's own; its kin. */
#define COLUMNS_MAX (NUMBER_COUNT + TARGET_COUNT + EFFECTS_MAX + KIN_COLUMN_COUNT)

/* What a model knows of one target; `effects` NULL: nothing. */
struct knowledge {
    struct effects *effects;
    struct kin *kin;
    struct booster *trees;
    struct effects *unmeasured; /* of whether a run ends before it is measured, 0 or 1; NULL: none does */
    double record;              /* what is on record then */
    double missing;             /* mean variance of what the runs that calibrate did not tell (effects_missing) */
    double trust;               /* of the trees' word, as far as it helped with code that they did not know: 0 to 1 */
};

struct model {
    gatomicrefcount references;
    struct model_info info;
    struct knowledge knowledge[TARGET_COUNT];
    struct ranks *ranks;
    struct calibration *calibration;
    struct model *original; /* that owns all of that; NULL: this one */
};

/* A sample as the trees see it. */
struct view {
    guint64 groups[EFFECTS_MAX];
    struct kin_groups kin_groups;
    double sums[TARGET_COUNT], parts[TARGET_COUNT][EFFECTS_MAX];
    float kin[TARGET_COUNT][KIN_COLUMN_COUNT];
};

struct model *model_new(const struct model_info *info);
void knowledge_clear(struct knowledge *knowledge);
guint model_column_count(void);
void view_fill_row(const struct view *view, const struct sample *sample, enum target target, float *ret_row);

void score_add(struct model_score *score, double y, double median, double mean, const double offsets[3]);
void score_finish(struct model_score *score);
void calibration_offsets(const struct calibration *calibration, const struct sample *sample, enum target target,
                         double ret_offsets[3]);

/* Whether it tells the target for sure. */
gboolean sample_tells(const struct sample *sample, enum target target);
