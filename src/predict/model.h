/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/sample.h"

#include <gio/gio.h>

/* What past runs of all functions say of code that was never seen: for each target gradient-boosted trees over the code's own sizes and what its
 * kind was found to cost (predict/encoder.h), and how far off that is (predict/calibration.h). Immutable: any thread may predict with it at the same
 * time; one at a time may explain. */

struct model;

/* How good predictions were on some runs; those cut short are left out. */
struct model_score {
    guint run_count;
    double error;   /* mean |ln(actual / predicted)| of the point prediction */
    double within2; /* share within a factor of 2 */
    double pinball; /* mean loss over p50, p90 and p99, in logarithms (Koenker and Bassett, 1978) */
};

/* For whoever keeps it. */
struct model_info {
    guint version; /* 1 is the first; 0: the one that was shipped */
    char *origin;  /* "shipped", "trained", "imported" */
    gint64 made_at;
    guint run_count, function_count; /* that it was trained with */
    double speed;                    /* of the machine that those ran on, as machine_speed() tells; 0: not known */
    struct model_score scores[TARGET_COUNT]; /* on runs that it did not know, from before it was made */
};

struct model_settings {
    struct model_info info; /* version, origin, made_at and speed; the rest is filled in. Copied */
    guint seed;
    gint64
        half_life; /* microseconds: a run weighs half when it is so much older than the newest; 0: all weigh the same */
};

/* The same samples and settings give the same model. NULL with HBR_ERROR_INVALID (fewer than MODEL_RUNS_MIN runs that tell something),
 * HBR_ERROR_CANCELLED or HBR_ERROR_INTERNAL. On the calling thread, one CPU. */
#define MODEL_RUNS_MIN 50
struct model *model_train(const struct sample *samples, guint count, const struct model_settings *settings,
                          GCancellable *cancellable, GError **error);
struct model *model_ref(struct model *model);
void model_unref(struct model *model);
typedef struct model model_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(model_auto, model_unref)

const struct model_info *model_get_info(const struct model *model);

/* A new one of the same trees with another version and origin. */
struct model *model_rename(struct model *model, guint version, const char *origin);

/* What it says of one run, in logarithms (target_log): the point prediction, and its spread (standard deviation) over runs of which as much is told as
 * mostly is; `missing` is the variance that comes on top where less is told than of the runs that it
 * was calibrated with. NAN for targets that it was not taught, or that were not asked for. */
struct model_word {
    double mean[TARGET_COUNT], spread[TARGET_COUNT], missing[TARGET_COUNT];
    guint unknown; /* model_count_unknown() */
};

/* `targets`: a bit of each that is asked for. */
#define MODEL_ALL ((1U << TARGET_COUNT) - 1)
void model_predict(const struct model *model, const struct sample *sample, guint targets, struct model_word *ret_word);

/* What is to be added to the logarithm of what it says of that target on machines of another speed than its own. */
double model_shift(const struct model *model, enum target target, double speed);

/* How many of the names that are told (language, algorithm, principal library) it never saw. */
guint model_count_unknown(const struct model *model, const struct sample *sample);

/* To be added to the mean for the quantile `level`. */
double model_offset(const struct model *model, const struct sample *sample, enum target target, double level);

/* What a run's record will say, by its median: what it needs, or for runs of a kind that mostly end before the amount is measured what those that did have
 * on record, which is nothing that they need. `mean` is as predicted. */
double model_tell_record(const struct model *model, const struct sample *sample, enum target target, double mean);

/* Runs of the calibration group that the offset is from; its language's. */
guint model_group_count(const struct model *model, const struct sample *sample, enum target target);

/* One reason of a prediction. */
struct model_reason {
    const char *column;  /* what was looked at; static */
    double contribution; /* that it adds to the logarithm */
    gboolean is_told;    /* FALSE: that nothing is known of it is what counts */
};

/* The `max` largest reasons, the largest first. Free with g_array_unref. NULL with HBR_ERROR_UNSUPPORTED for a target that it was not taught. */
GArray *model_explain(const struct model *model, const struct sample *sample, enum target target, guint max,
                      GError **error);

/* `ret_scores`: one for each target, of runs that the model did not know. `speed`: of the machines that those ran on; 0: not known. */
void model_judge(const struct model *model, const struct sample *samples, guint count, double speed,
                 struct model_score ret_scores[TARGET_COUNT]);

/* To a file's content and back; a checksum tells a damaged one. NULL with HBR_ERROR_INVALID, which says what is wrong. XGBoost itself reads the trees, and
 * believes what they say of themselves: what comes from elsewhere is tried first (learn/trial.h). */
GBytes *model_save(const struct model *model, GError **error);
struct model *model_load(GBytes *content, GError **error);

/* Whether a file's content is as model_save() made it, by its checksum; what it holds is not read. FALSE with HBR_ERROR_INVALID. */
gboolean model_check(GBytes *content, GError **error);
