/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"
#include "predict/model.h"

/* What will this code need? With a learned model: from rules, model and the function's own history as predict/blend.h says. Without one: from the
 * function's own history where there is enough of it, else from the policy's scored rule table. Holds state (the history of each function, what
 * the newest runs say of the model; bounded), reads no clock and no file. One thread. */

struct predictor;

/* `functions_max` bounds how many functions are remembered; the one unused for longest is forgotten. */
struct predictor *predictor_new(guint functions_max);
void predictor_free(struct predictor *predictor);

/* Takes a reference; NULL: none from now on. */
void predictor_set_model(struct predictor *predictor, struct model *model);
const struct model *predictor_model(const struct predictor *predictor);

/* One that is asked in place of the other for code of which it knows more names: what a model learned here does not know, the shipped one may. Takes a
 * reference; NULL: none. */
void predictor_set_prior(struct predictor *predictor, struct model *prior);

/* The speed of the machines that code runs on (machine_speed()); 0: not known. Of a model's CPU time and duration it is known how fast the machine was
 * that they come from. */
void predictor_set_speed(struct predictor *predictor, double speed);

/* Never fails: a demand with its reasons, not to be changed. `at`: when it is to run. Free with demand_free. What it says with a model may be as old as the
 * 16 newest runs. */
struct demand *predictor_predict(struct predictor *predictor, const struct policy *policy,
                                 const struct code_metadata *code, gint64 at);

/* As predictor_predict(), with more reasons: what moved the model most, what history weighs, and how well the group's quantiles held so far. */
struct demand *predictor_explain(struct predictor *predictor, const struct policy *policy,
                                 const struct code_metadata *code, gint64 at);

/* Adds the same reasons to what was said of the code earlier, or that they cannot be told any more because another model serves now. `demand` is not
 * sealed. */
void predictor_add_reasons(struct predictor *predictor, const struct policy *policy, const struct code_metadata *code,
                           gint64 at, struct demand *demand);

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
