/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/model.h"

/* Whether a new model, the challenger, is to take the place of the one that serves, the champion: both are judged on the newest runs, that neither
 * was trained with (Dawid, Statistical Theory: The Prequential Approach, 1984). Pure; any thread. */

/* How many of `count` runs are kept from training for that: a tenth, 30 at least and 2,000 at most; 0 when there are too few to train with
 * what is left. */
guint contest_held_back(guint count);

/* Fewest runs of which contest_held_back() is not 0. */
#define CONTEST_HELD_BACK_MIN 30
#define CONTEST_RUNS_MIN (MODEL_RUNS_MIN + CONTEST_HELD_BACK_MIN)

/* `champion` NULL: there is none, and the challenger wins. Else it wins when its pinball loss, summed over the targets that both know, is lower by
 * 1 % at least. *ret_why: one sentence for people. Free with g_free. */
gboolean contest_is_won(const struct model_score challenger[TARGET_COUNT], const struct model_score *champion,
                        guint champion_version, char **ret_why);
