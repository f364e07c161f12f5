/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/model.h"

/* One training, on a thread of its own that gets the time nobody else wants (SCHED_IDLE, or nice 19 where that is refused). The thread ends with it:
 * one that may take no lock of others while it waits for time cannot keep them waiting either. */

struct training_spec {
    GArray *samples; /* struct sample, the oldest first, CONTEST_RUNS_MIN at least; taken */
    struct model_settings settings;
    struct model *champion; /* judged on the same runs; taken; NULL: none */
};

struct training;

/* `done` is called on its thread when it is through. */
struct training *training_start(const struct training_spec *spec, void (*done)(gpointer data), gpointer data);

/* It ends within a round of trees, or the effects of one target. Any thread. */
void training_cancel(struct training *training);

struct training_result {
    struct model *model; /* the challenger; NULL: `error` says why there is none */
    GError *error;
    gboolean has_champion;
    guint champion_version;
    struct model_score scores[TARGET_COUNT],
        champion_scores[TARGET_COUNT]; /* on the newest runs, which were kept from training */
    double seconds;
};

/* Waits for it, and frees it. Free with training_result_free. */
struct training_result *training_finish(struct training *training);
void training_result_free(struct training_result *result);
typedef struct training_result training_result_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(training_result_auto, training_result_free)
