/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/contest.h"

#include <math.h>

#define HELD_BACK_SHARE 10
#define HELD_BACK_MAX 2000
#define GAIN_MIN 0.01 /* of the champion's loss; less is noise, and each change costs those who compare */

guint contest_held_back(guint count)
{
    return count < CONTEST_RUNS_MIN ? 0 : CLAMP(count / HELD_BACK_SHARE, CONTEST_HELD_BACK_MIN, HELD_BACK_MAX);
}

static gboolean score_is_known(const struct model_score *score)
{
    return score->run_count > 0 && isfinite(score->pinball);
}

gboolean contest_is_won(const struct model_score challenger[TARGET_COUNT], const struct model_score *champion,
                        guint champion_version, char **ret_why)
{
    double challenger_loss = 0, champion_loss = 0;
    guint known = 0, shared = 0;
    for (guint target = 0; target < TARGET_COUNT; target++) {
        if (!score_is_known(&challenger[target]))
            continue;
        known++;
        if (champion == NULL || !score_is_known(&champion[target]))
            continue;
        shared++;
        challenger_loss += challenger[target].pinball;
        champion_loss += champion[target].pinball;
    }
    if (known == 0 || (champion != NULL && shared == 0)) {
        *ret_why = g_strdup("the newest runs tell nothing that it could be judged by");
        return FALSE;
    }
    if (champion == NULL) {
        *ret_why = g_strdup("there was no model before it");
        return TRUE;
    }
    const gboolean is_won = challenger_loss < champion_loss * (1 - GAIN_MIN);
    *ret_why = g_strdup_printf("its loss on the newest runs is %.4f, that of version %u is %.4f: %s", challenger_loss,
                               champion_version, champion_loss, is_won ? "better" : "not lower by 1 %");
    return is_won;
}
