/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/record.h"

#include "model/limits.h"

#include <math.h>

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define AMOUNT_MAX G_GINT64_CONSTANT(1000000000000)

CODEC_WORDS_DEFINE(model_state_words, "serving", "kept", "refused", "damaged");

G_STATIC_ASSERT(G_N_ELEMENTS(model_state_words_list) == MODEL_STATE_COUNT);

static const struct codec_field model_record_score_fields[] = {
    {"target", CODEC_ENUM, AT(model_record_score, target), CODEC_REQUIRED, 0, 0, NULL, &target_words},
    {"run_count", CODEC_UINT, AT(model_record_score, run_count), 0, 0, G_MAXINT32, NULL, NULL},
    {"error", CODEC_DOUBLE, AT(model_record_score, error), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"within2", CODEC_DOUBLE, AT(model_record_score, within2), 0, 0, 1, NULL, NULL},
    {"pinball", CODEC_DOUBLE, AT(model_record_score, pinball), 0, 0, AMOUNT_MAX, NULL, NULL},
};

CODEC_DEFINE(model_record_score, model_record_score_fields)

static const struct codec_field model_record_fields[] = {
    {"version", CODEC_UINT, AT(model_record, version), CODEC_REQUIRED, 0, G_MAXINT32, NULL, NULL},
    {"state", CODEC_ENUM, AT(model_record, state), CODEC_REQUIRED, 0, 0, NULL, &model_state_words},
    {"held", CODEC_BOOL, AT(model_record, is_held), CODEC_SPARSE, 0, 0, NULL, NULL},
    {"origin", CODEC_STRING, AT(model_record, origin), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"made_at", CODEC_TIME, AT(model_record, made_at), 0, 0, 0, NULL, NULL},
    {"served_at", CODEC_TIME, AT(model_record, served_at), 0, 0, 0, NULL, NULL},
    {"run_count", CODEC_UINT, AT(model_record, run_count), 0, 0, G_MAXINT32, NULL, NULL},
    {"function_count", CODEC_UINT, AT(model_record, function_count), 0, 0, G_MAXINT32, NULL, NULL},
    {"speed", CODEC_DOUBLE, AT(model_record, speed), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"train_seconds", CODEC_DOUBLE, AT(model_record, train_seconds), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"why", CODEC_STRING, AT(model_record, why), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"champion", CODEC_UINT, AT(model_record, champion), CODEC_SPARSE, 0, G_MAXINT32, NULL, NULL},
    {"scores", CODEC_LIST, AT(model_record, scores), 0, 0, TARGET_COUNT, &model_record_score_codec, NULL},
    {"champion_scores", CODEC_LIST, AT(model_record, champion_scores), 0, 0, TARGET_COUNT, &model_record_score_codec,
     NULL},
};

CODEC_DEFINE(model_record, model_record_fields)

static void score_destroy(gpointer score)
{
    model_record_score_free(score);
}

void model_record_set_scores(GPtrArray **list, const struct model_score scores[TARGET_COUNT])
{
    g_autoptr(GPtrArray) old = *list;
    if (old != NULL)
        g_ptr_array_set_free_func(old, score_destroy);
    *list = NULL;
    for (guint target = 0; target < TARGET_COUNT; target++) {
        const struct model_score *from = &scores[target];
        if (from->run_count == 0 || !isfinite(from->error) || !isfinite(from->within2) || !isfinite(from->pinball))
            continue;
        const struct model_record_score score = {(enum target)target, from->run_count, from->error, from->within2,
                                                 from->pinball};
        if (*list == NULL)
            *list = g_ptr_array_new();
        g_ptr_array_add(*list, g_memdup2(&score, sizeof score));
    }
}

struct model_record *model_record_new(const struct model_info *info)
{
    struct model_record *record = g_new0(struct model_record, 1);
    record->version = info->version;
    record->state = MODEL_KEPT;
    record->origin = g_strdup(info->origin);
    record->made_at = info->made_at;
    record->run_count = info->run_count;
    record->function_count = info->function_count;
    record->speed = isfinite(info->speed) ? info->speed : 0;
    model_record_set_scores(&record->scores, info->scores);
    return record;
}
