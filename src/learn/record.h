/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"
#include "predict/model.h"

/* What is kept and told of one version of the model. Open; any thread. */

enum model_state {
    MODEL_SERVING, /* it predicts */
    MODEL_KEPT,    /* it could serve */
    MODEL_REFUSED, /* the one that served was no worse; its file is not kept */
    MODEL_DAMAGED, /* its file cannot be read any more */
    MODEL_STATE_COUNT
};

extern const struct codec_words model_state_words;

/* How good it was for one target on runs that it did not know, as struct model_score. */
struct model_record_score {
    enum target target;
    guint run_count;
    double error, within2, pinball;
};

CODEC_DECLARE(model_record_score)

struct model_record {
    guint version; /* 0: the one that was shipped */
    enum model_state state;
    gboolean is_held;          /* it serves because somebody asked for it, and no training replaces it by itself */
    char *origin;              /* "shipped", "trained", "imported" */
    gint64 made_at, served_at; /* last began to serve; 0: never did */
    guint run_count, function_count;     /* that it was trained with */
    double speed;                        /* as in struct model_info */
    double train_seconds;                /* 0: not trained here */
    char *why;                           /* it was taken or refused; what is wrong with its file */
    guint champion;                      /* version that it was judged against, of champion_scores */
    GPtrArray *scores, *champion_scores; /* struct model_record_score, on the same runs; NULL: none */
};

CODEC_DECLARE(model_record)

/* From what the model says of itself. */
struct model_record *model_record_new(const struct model_info *info);

/* Replaces what *list has by the scores of the targets that are known. */
void model_record_set_scores(GPtrArray **list, const struct model_score scores[TARGET_COUNT]);
