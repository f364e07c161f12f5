/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/model.h"

/* In place of predict/model.c, for tests of those who train, keep and swap models: one that predicts the mean of what it was trained with, in no time, and
 * without XGBoost, whose threads ThreadSanitizer does not understand. */

/* From now on model_train() waits to be cancelled, or for the end of that. Any thread. */
void stand_in_block(gboolean is_blocked);

/* SCHED_IDLE or SCHED_OTHER: of the thread of the last training. */
int stand_in_policy(void);

/* Waits until a training is under way. */
void stand_in_await_training(void);
