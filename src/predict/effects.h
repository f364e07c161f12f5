/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/sample.h"

/* What kinds of code cost, apart from one another: y is the sum of a common mean and of one random effect for each group that the run is in (its
 * language, its algorithm, its algorithm with that input, ...), from the wide groups to the narrow. Each effect is shrunk towards nothing by how few
 * runs tell it: the sum of what is left over, divided by n + s^2 / v, where v is the variance of such effects and s^2 that of runs (the best linear
 * unbiased prediction: Henderson, Biometrics 31, 1975; Robinson, Statistical Science 6, 1991). So a kind that was never seen falls back to the
 * wider groups that it is in, by itself. Immutable once fitted. */

#define EFFECTS_MAX 48

/* Of the groups: how many there are, and what each is called. */
guint effects_count(void);
const char *effects_name(guint effect);

/* Which inputs are small, middle and large for their algorithm. Immutable. */
struct ranks;

struct ranks *ranks_new(const struct sample *samples, guint count);
void ranks_free(struct ranks *ranks);

/* 1 to 3; 0: its algorithm or its input is not known. */
guint64 ranks_tell(const struct ranks *ranks, const struct sample *sample);

/* a(tdd): algorithm, and the octaves of size between small and middle, and between middle and large. */
GVariant *ranks_save(const struct ranks *ranks);
struct ranks *ranks_load(GVariant *saved);

/* The groups of a sample; 0: it is in none of that effect. */
void effects_groups(const struct sample *sample, const struct ranks *ranks, guint64 ret_groups[EFFECTS_MAX]);

/* Those alone that effects_count_unknown() looks at; the others are 0. */
void effects_name_groups(const struct sample *sample, guint64 ret_groups[EFFECTS_MAX]);

struct effects;

/* Of `count` runs: `groups` as above, `y` and `weights` (0: left out) one for each. `noise`: how much more (above 1) or less the runs of a group differ
 * than those that the variances come from. */
struct effects *effects_fit(enum target target, double noise, const guint64 (*groups)[EFFECTS_MAX], const double *y,
                            const double *weights, guint count);
void effects_free(struct effects *effects);

/* Has memory look for what is soon asked for. */
void effects_prefetch(const struct effects *effects, const guint64 groups[EFFECTS_MAX]);

/* The sum of mean and effects; `ret_parts` (may be NULL): each effect. */
double effects_predict(const struct effects *effects, const guint64 groups[EFFECTS_MAX], double *ret_parts);

/* Variance of the effects that are not known because language, algorithm or input are not told: what is said varies by so much more. */
double effects_missing(enum target target, const guint64 groups[EFFECTS_MAX]);

/* How many of the names that are told (language, algorithm, principal library) no run had. */
guint effects_count_unknown(const struct effects *effects, const guint64 groups[EFFECTS_MAX]);

/* (da(utd)): mean; effect, group, value. To load: NULL for what is not sound. */
GVariant *effects_save(const struct effects *effects);
struct effects *effects_load(GVariant *saved);
