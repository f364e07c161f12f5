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

/* Never fails: a demand with its reasons, not to be changed. Free with demand_free. */
struct demand *predictor_predict(struct predictor *predictor, const struct policy *policy,
                                 const struct code_metadata *code);

/* What is said of the code without any history: the same for the same policy and metadata, at any time. As predictor_predict(). */
struct demand *predictor_assume(struct predictor *predictor, const struct policy *policy,
                                const struct code_metadata *code);

/* What is expected of the code over its time: from the courses of past executions where there are some, else the demand's amounts all the
 * time. Beyond where any of them came, the demand's. */
void predictor_course(struct predictor *predictor, const struct policy *policy, const struct code_metadata *code,
                      const struct demand *demand, struct course *ret_course);

/* Learns from one execution of the function (of that tenant). A run that was cut short (a signal, a limit) tells "at least": each of its amounts
 * counts as the function's median where that is more, and the memory of one that ran out of memory as the larger of what it used and what its
 * VM had, times the policy's scaling.grow_to, which is how far a running VM would have been grown. Cancelled, lost and refused runs teach
 * nothing. */
void predictor_observe(struct predictor *predictor, const struct policy *policy, const struct observation *observation);
