/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/execution.h"
#include "policy/policy.h"

/* What will this code need? From the function's own history where there is enough of it, else from the policy's scored rule table; a learned model
 * takes its place behind the same interface. Holds state (the history of each function, bounded), reads no clock and no file. One thread. */

struct predictor;

/* `functions_max` bounds how many functions are remembered; the one unused for longest is forgotten. */
struct predictor *predictor_new(guint functions_max);
void predictor_free(struct predictor *predictor);

/* Never fails: a new demand, with its reasons. Free with demand_free. */
struct demand *predictor_predict(struct predictor *predictor, const struct policy *policy,
                                 const struct code_metadata *code);

/* Learns from one execution. Observations of runs that failed for lack of memory count as "at least" their memory; cancelled,
 * lost and refused runs teach nothing. */
void predictor_observe(struct predictor *predictor, const struct policy *policy, const struct observation *observation);
