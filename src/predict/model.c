/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/model-private.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

struct model *model_new(const struct model_info *info)
{
    struct model *model = g_new0(struct model, 1);
    g_atomic_ref_count_init(&model->references);
    model->info = *info;
    model->info.origin = g_strdup(info->origin);
    return model;
}

struct model *model_ref(struct model *model)
{
    g_atomic_ref_count_inc(&model->references);
    return model;
}

void knowledge_clear(struct knowledge *knowledge)
{
    effects_free(knowledge->effects);
    kin_free(knowledge->kin);
    effects_free(knowledge->unmeasured);
    booster_unref(knowledge->trees);
    *knowledge = (struct knowledge){0};
}

void model_unref(struct model *model)
{
    if (model == NULL || !g_atomic_ref_count_dec(&model->references))
        return;
    for (guint i = 0; model->original == NULL && i < TARGET_COUNT; i++)
        knowledge_clear(&model->knowledge[i]);
    if (model->original == NULL) {
        calibration_free(model->calibration);
        ranks_free(model->ranks);
    }
    model_unref(model->original);
    g_free(model->info.origin);
    g_free(model);
}

const struct model_info *model_get_info(const struct model *model)
{
    return &model->info;
}

guint model_column_count(void)
{
    return NUMBER_COUNT + TARGET_COUNT + effects_count() + KIN_COLUMN_COUNT;
}

static const char *column_name(guint column)
{
    static const char *const sums[TARGET_COUNT] = {"CPU time of its kind", "vCPUs of its kind", "memory of its kind",
                                                   "network of its kind", "duration of its kind"};
    if (column < NUMBER_COUNT)
        return codec_word(&number_words, column);
    if (column < NUMBER_COUNT + TARGET_COUNT)
        return sums[column - NUMBER_COUNT];
    if (column < NUMBER_COUNT + TARGET_COUNT + effects_count())
        return effects_name(column - NUMBER_COUNT - TARGET_COUNT);
    return codec_word(&kin_column_words, column - NUMBER_COUNT - TARGET_COUNT - effects_count());
}

/* --- Predicting --- */

void view_fill_row(const struct view *view, const struct sample *sample, enum target target, float *ret_row)
{
    memcpy(ret_row, sample->numbers, sizeof sample->numbers);
    for (guint i = 0; i < TARGET_COUNT; i++)
        ret_row[NUMBER_COUNT + i] = (float)view->sums[i];
    for (guint i = 0; i < effects_count(); i++)
        ret_row[NUMBER_COUNT + TARGET_COUNT + i] = (float)view->parts[target][i];
    memcpy(ret_row + NUMBER_COUNT + TARGET_COUNT + effects_count(), view->kin[target], sizeof view->kin[target]);
}

/* The sums are columns of all targets; the rest is of those that are asked for. */
static void model_view(const struct model *model, const struct sample *sample, guint targets, struct view *ret_view)
{
    effects_groups(sample, model->ranks, ret_view->groups);
    for (guint i = 0; i < TARGET_COUNT; i++)
        if (model->knowledge[i].effects != NULL)
            effects_prefetch(model->knowledge[i].effects, ret_view->groups);
    kin_groups_of(sample, model->ranks, &ret_view->kin_groups);
    for (guint i = 0; i < TARGET_COUNT; i++) {
        const struct knowledge *knowledge = &model->knowledge[i];
        ret_view->sums[i] = NAN;
        if (knowledge->effects == NULL)
            continue;
        ret_view->sums[i] = effects_predict(knowledge->effects, ret_view->groups, ret_view->parts[i]);
        if ((targets & 1U << i) != 0)
            kin_ask(knowledge->kin, &ret_view->kin_groups, sample, ret_view->sums[i], ret_view->kin[i]);
    }
}

/* Of what is told and was never seen, the widest effects that name it alone. */
static guint model_count_unknown_groups(const struct model *model, const guint64 groups[EFFECTS_MAX])
{
    guint unknown = 0;
    for (guint i = 0; i < TARGET_COUNT; i++)
        if (model->knowledge[i].effects != NULL)
            unknown = MAX(unknown, effects_count_unknown(model->knowledge[i].effects, groups));
    return unknown;
}

void model_predict(const struct model *model, const struct sample *sample, guint targets, struct model_word *ret_word)
{
    struct view view;
    float row[COLUMNS_MAX];
    model_view(model, sample, targets, &view);
    for (guint i = 0; i < TARGET_COUNT; i++) {
        ret_word->mean[i] = ret_word->spread[i] = ret_word->missing[i] = NAN;
        if (model->knowledge[i].effects == NULL || (targets & 1U << i) == 0)
            continue;
        ret_word->mean[i] = view.sums[i];
        if (model->knowledge[i].trust > 0) {
            view_fill_row(&view, sample, i, row);
            ret_word->mean[i] += model->knowledge[i].trust * booster_predict(model->knowledge[i].trees, row);
        }
        ret_word->spread[i] = calibration_spread(model->calibration, sample, i);
        ret_word->missing[i] = MAX(0, effects_missing(i, view.groups) - model->knowledge[i].missing);
    }
    ret_word->unknown = model_count_unknown_groups(model, view.groups);
}

guint model_count_unknown(const struct model *model, const struct sample *sample)
{
    guint64 groups[EFFECTS_MAX];
    effects_name_groups(sample, groups);
    return model_count_unknown_groups(model, groups);
}

double model_offset(const struct model *model, const struct sample *sample, enum target target, double level)
{
    return calibration_offset(model->calibration, sample, target, level);
}

guint model_group_count(const struct model *model, const struct sample *sample, enum target target)
{
    return calibration_count(model->calibration, sample, target);
}

static int reason_compare(gconstpointer a, gconstpointer b)
{
    const double left = fabs(((const struct model_reason *)a)->contribution);
    const double right = fabs(((const struct model_reason *)b)->contribution);
    return (left < right) - (left > right);
}

/* Of each column; the parts of the effects, of which the trees' own contributions to the same columns are a refinement. */
static gboolean model_fill_reasons(const struct model *model, const struct sample *sample, enum target target,
                                   struct model_reason *ret_reasons, GError **error)
{
    const guint first_effect = NUMBER_COUNT + TARGET_COUNT, effects_end = first_effect + effects_count();
    struct view view;
    float row[COLUMNS_MAX], told[COLUMNS_MAX + 1];
    model_view(model, sample, 1U << target, &view);
    view_fill_row(&view, sample, target, row);
    if (!booster_explain(model->knowledge[target].trees, row, told, error))
        return FALSE;
    for (guint column = 0; column < model_column_count(); column++) {
        const gboolean is_effect = column >= first_effect && column < effects_end;
        const guint effect = is_effect ? column - first_effect : 0;
        ret_reasons[column] = (struct model_reason){
            .column = column_name(column),
            .contribution =
                (is_effect ? view.parts[target][effect] : 0) + model->knowledge[target].trust * told[column],
            .is_told = is_effect ? view.groups[effect] != 0 : !isnan(row[column]),
        };
    }
    return TRUE;
}

/* Some columns are finer views of one thing, and bear its name. */
static void reasons_add(GArray *reasons, const struct model_reason *reason)
{
    for (guint i = 0; i < reasons->len; i++) {
        struct model_reason *known = &g_array_index(reasons, struct model_reason, i);
        if (g_str_equal(known->column, reason->column)) {
            known->contribution += reason->contribution;
            known->is_told |= reason->is_told;
            return;
        }
    }
    g_array_append_vals(reasons, reason, 1);
}

GArray *model_explain(const struct model *model, const struct sample *sample, enum target target, guint max,
                      GError **error)
{
    struct model_reason columns[COLUMNS_MAX];
    if (model->knowledge[target].effects == NULL) {
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "the model was never taught the %s",
                      codec_word(&target_words, target));
        return NULL;
    }
    if (!model_fill_reasons(model, sample, target, columns, error))
        return NULL;
    GArray *reasons = g_array_new(FALSE, FALSE, sizeof(struct model_reason));
    for (guint column = 0; column < model_column_count(); column++)
        reasons_add(reasons, &columns[column]);
    g_array_sort(reasons, reason_compare);
    g_array_set_size(reasons, MIN(max, reasons->len));
    return reasons;
}

static double pinball_loss(double y, double quantile, double level)
{
    return y >= quantile ? level * (y - quantile) : (1 - level) * (quantile - y);
}

void score_add(struct model_score *score, double y, double median, double mean, const double offsets[3])
{
    const double left_over = fabs(y - median);
    score->run_count++;
    score->error += left_over;
    score->within2 += left_over <= G_LN2;
    score->pinball += (pinball_loss(y, mean + offsets[0], 0.5) + pinball_loss(y, mean + offsets[1], 0.9) +
                       pinball_loss(y, mean + offsets[2], 0.99)) /
                      3;
}

void score_finish(struct model_score *score)
{
    const guint count = MAX(score->run_count, 1);
    score->error /= count;
    score->within2 /= count;
    score->pinball /= count;
}

void calibration_offsets(const struct calibration *calibration, const struct sample *sample, enum target target,
                         double ret_offsets[3])
{
    static const double levels[] = {0.5, 0.9, 0.99};
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++)
        ret_offsets[i] = calibration_offset(calibration, sample, target, levels[i]);
}

gboolean sample_tells(const struct sample *sample, enum target target)
{
    return !isnan(sample->targets[target]) && (sample->censored & 1U << target) == 0;
}

double model_shift(const struct model *model, enum target target, double speed)
{
    const gboolean depends = target == TARGET_CPU || target == TARGET_DURATION;
    return depends && speed > 0 && model->info.speed > 0 ? log(model->info.speed / speed) : 0;
}

double model_tell_record(const struct model *model, const struct sample *sample, enum target target, double mean)
{
    const struct knowledge *knowledge = &model->knowledge[target];
    guint64 groups[EFFECTS_MAX];
    effects_groups(sample, model->ranks, groups);
    if (knowledge->unmeasured != NULL && effects_predict(knowledge->unmeasured, groups, NULL) > 0.5)
        return knowledge->record;
    return mean + model_offset(model, sample, target, 0.5);
}

void model_judge(const struct model *model, const struct sample *samples, guint count, double speed,
                 struct model_score ret_scores[TARGET_COUNT])
{
    struct model_score scores[TARGET_COUNT] = {0};
    for (guint run = 0; run < count; run++) {
        struct model_word word;
        double offsets[3];
        model_predict(model, &samples[run], MODEL_ALL, &word);
        for (guint i = 0; i < TARGET_COUNT; i++) {
            if (isnan(word.mean[i]) || !sample_tells(&samples[run], i))
                continue;
            calibration_offsets(model->calibration, &samples[run], i, offsets);
            const double shift = model_shift(model, i, speed);
            score_add(&scores[i], samples[run].targets[i],
                      model_tell_record(model, &samples[run], i, word.mean[i]) + shift, word.mean[i] + shift, offsets);
        }
    }
    for (guint i = 0; i < TARGET_COUNT; i++)
        score_finish(&scores[i]);
    memcpy(ret_scores, scores, sizeof scores);
}
