/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"
#include "core/event.h"
#include "plan/scaler.h"
#include "predict/predictor.h"

/* The state machine over hosts, instances, reservations and executions. Sans I/O: events in, commands out, time is an argument, and it says when
 * it next wants to be woken. It reads no clock, opens no file, starts no thread; randomness comes from a seed. The daemon drives it with the
 * real world, the simulator with a modelled one, tests with a table. One thread. */

struct core;

/* Takes each command as it comes out; must not call back into the core. */
typedef void (*command_sink)(struct command *command, gpointer data);

struct core_settings {
    const char *owner; /* this Harbinger's id, written on its domains */
    guint32 seed;      /* of ids; the daemon takes it from the kernel */
    command_sink sink;
    gpointer sink_data;
    gboolean has_learner; /* COMMAND_LEARN and COMMAND_MODEL_* have a taker */
    struct model *prior;  /* predictor_set_prior(); NULL: none */
    gint64 (*stopwatch)(
        void); /* a monotonic clock in microseconds, by which the time that predictions take is counted; NULL: it is not */
    const struct scaler_class *scaler; /* in place of the policy's controller, for experiments; NULL: the policy's */
};

/* Takes references to `policy` (not NULL). */
struct core *core_new(const struct core_settings *settings, struct policy *policy, gint64 now);
void core_free(struct core *core);

/* What a past execution taught; before the first event. */
void core_learn(struct core *core, const struct observation *observation);

/* Rebuilds the state from the records of the store (struct record, RECORD_PUT, oldest first) after a restart; before the first event and after
 * core_learn(). `policies` finds the policy of a version that reservations were made under: struct policy by GUINT_TO_POINTER(version).
 * Executions that had not ended are reported as interrupted; instances wait for the inventory of their host. */
void core_rebuild(struct core *core, const GPtrArray *records, GHashTable *policies, gint64 now);

/* Handles one event (taken). `now` never decreases. */
void core_handle(struct core *core, struct event *event, gint64 now);

/* Handles all `events` (struct event, taken; the queue is empty then), which came at the same time. Notifications among them that follow each other
 * are written as one. */
void core_handle_all(struct core *core, GQueue *events, gint64 now);

/* When core_handle() with EVENT_TICK is due next; CLOCK_NEVER when nothing is planned. */
gint64 core_next_at(const struct core *core);

/* TRUE after EVENT_SHUTDOWN once nothing of ours runs and all is persisted. */
gboolean core_is_drained(const struct core *core);

/* A host as it stands, or NULL. Valid until the next event. */
const struct host *core_host(const struct core *core, const char *name);

/* The core's figures in the text format of Prometheus, version 0.0.4. Free with g_free. */
char *core_metrics_text(struct core *core);
