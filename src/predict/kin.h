/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/effects.h"

/* What the runs that are nearest to one used of one target, which the effects' sum does not tell: what its language needs at least and mostly, and the
 * code of its family, algorithm and input whose size is nearest to its own. All runs of a function with one input count as one. Immutable once made. */

/* Each as the distance of the sum of the effects from it, in logarithms, but for the last two. */
enum kin_column {
    KIN_LANGUAGE_LOW,    /* of a tenth of the code in its language */
    KIN_LANGUAGE_MIDDLE, /* of half of it */
    KIN_RANK_LOW,        /* the same with inputs that are as large for their algorithm */
    KIN_RANK_MIDDLE,
    KIN_NEAREST,
    KIN_DISTANCE,      /* between the sizes of the nearest and its own, in logarithms */
    KIN_SAME_LANGUAGE, /* the nearest is of its language: 1 or 0 */
    KIN_COLUMN_COUNT
};

extern const struct codec_words kin_column_words;

struct kin;

/* Of `count` runs: `y` and `weights` (0: left out) one for each. */
struct kin *kin_new(const struct sample *samples, const struct ranks *ranks, const double *y, const double *weights,
                    guint count);
void kin_free(struct kin *kin);

/* The groups of a sample; 0: it is in none. */
struct kin_groups {
    guint64 language, rank, family;
};

void kin_groups_of(const struct sample *sample, const struct ranks *ranks, struct kin_groups *ret_groups);

/* `sum`: of the sample's effects. NAN for what is not known. What its own function used is left out. */
void kin_ask(const struct kin *kin, const struct kin_groups *groups, const struct sample *sample, double sum,
             float ret_columns[KIN_COLUMN_COUNT]);

/* (a(tdd)a(tttdd)): group, low, middle; group, function, language, size, y. To load: NULL for what is not sound. */
GVariant *kin_save(const struct kin *kin);
struct kin *kin_load(GVariant *saved);
