/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"
#include "predict/model.h"

#include "rows.h"

/* The parts of bench-predict. Each prints a table and the lines of its benches, draws whatever is random from PARTS_SEED, and ends the program with a
 * message when something fails. */

#define PARTS_SEED 20261121

/* The Benchmarks Game's programs, and a model of those to learn from. */
struct study {
    GPtrArray *all;             /* struct row: the best runs */
    GPtrArray *training, *test; /* of these */
    GPtrArray *repeats;         /* all runs */
    struct model *model;        /* NULL until it is asked for */
};

/* The model of the training rows, trained at the first call; the study's. */
struct model *study_model(struct study *study);

/* The model of these samples, all of the same weight; ends the program when there is none. */
struct model *parts_train(const GArray *samples);

/* The policy that is shipped. Free with policy_unref. */
struct policy *parts_policy(void);

/* The clock of a thread, of CPU time or of what has passed (CLOCK_...), in seconds. */
double parts_seconds(int clock);

void measure_unseen(struct study *study, enum target target);
void measure_serverless(struct study *study);
void measure_coverage(struct study *study);
void measure_online(struct study *study);
void measure_drift(struct study *study);
void measure_latency(struct study *study);
void measure_train_time(struct study *study);
