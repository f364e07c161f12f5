/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/sample.h"

/* How far runs lie from what a model says of them: the quantiles of what is left over (y - predicted, in logarithms), of code that the model was not
 * trained with (split conformal prediction: Papadopoulos et al., 2002; by groups: Vovk, Mondrian Confidence Machine, 2003). A group is a language,
 * its parent the family, then all. A quantile of a group of n is shrunk to its parent's as if that had been seen in 20 runs. Filled once, then
 * immutable. */

struct calibration;

struct calibration *calibration_new(void);
void calibration_free(struct calibration *calibration);

/* One run that the model did not know. `left_over` NAN is left out. */
void calibration_add(struct calibration *calibration, const struct sample *sample, enum target target,
                     double left_over);

/* When all have been added. */
void calibration_finish(struct calibration *calibration);

/* Of all levels between 0 and 1, ascending; 0 when nothing is known of the target. */
double calibration_offset(const struct calibration *calibration, const struct sample *sample, enum target target,
                          double level);

/* Half the distance between the levels 16 % and 84 %: the standard deviation of a normal variable. */
double calibration_spread(const struct calibration *calibration, const struct sample *sample, enum target target);

/* Runs of the sample's own group. */
guint calibration_count(const struct calibration *calibration, const struct sample *sample, enum target target);

/* a(tuuad): key, target, runs, quantiles. To load: NULL for what is not sound. */
GVariant *calibration_save(const struct calibration *calibration);
struct calibration *calibration_load(GVariant *saved);
