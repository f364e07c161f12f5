/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"
#include "learn/registry.h"

/* Learns from all functions' runs while others work: keeps a sample of the runs (learn/sampler.h), trains a model from it when enough is new, has it
 * compete with the one that serves (learn/contest.h), and posts the winner. One thread takes commands, at the daemon's own priority so that nobody waits for
 * it; each training has another (learn/training.h).
 *
 * A training begins by itself when as many runs have come since the last as train_runs, and a tenth of those that are kept, at most once a minute. Not
 * while the one that serves is held: somebody chose it (COMMAND_MODEL_SERVE, COMMAND_MODEL_IMPORT), and it serves until somebody asks for a
 * training, which it then competes with, or for the newest. */

struct learner;

struct learner_settings {
    guint samples_max, train_runs;
    gint64 half_life;         /* microseconds; 0: age does not count */
    gint64 interval_us;       /* between the beginnings of two trainings, unless somebody asks for one; 0: a minute */
    const char *const *trial; /* the program that tries what is imported (learn/trial.h); NULL: it is not tried */
    event_sink sink;
    gpointer sink_data;
};

/* How it stands. */
struct learner_status {
    guint sample_count, new_count; /* runs kept; those that came since the last training */
    gboolean is_training;
    guint64 won, refused, failed; /* trainings, by their end; cancelled ones are none */
    double train_seconds;         /* of the last; 0: none yet */
};

/* `registry` outlives it; nobody else changes it from now on. */
struct learner *learner_new(const struct learner_settings *settings, struct registry *registry);

/* A run from before. Before learner_start(). */
void learner_add(struct learner *learner, const struct sample *sample);

void learner_start(struct learner *learner);

/* Takes a COMMAND_LEARN, a COMMAND_LEARN_SPEED, or a COMMAND_MODEL_*, which is answered by EVENT_MODEL_ANSWER; EVENT_MODEL comes before that where another model serves. Any thread;
 * never blocks. */
void learner_submit(struct learner *learner, struct command *command);

/* Any thread. */
void learner_get_status(struct learner *learner, struct learner_status *ret_status);

/* Its figures in the text format of Prometheus. Any thread. */
void learner_write_metrics(struct learner *learner, GString *text);

/* Begins to end: takes nothing any more, and cancels the training that is under way. Any thread; does not wait. */
void learner_stop(struct learner *learner);

/* Waits for its threads. NULL is accepted. */
void learner_free(struct learner *learner);
