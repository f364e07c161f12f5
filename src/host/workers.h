/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/inbox.h"

/* Blocking calls with deadlines. A job runs on a worker thread; what became of it is told on the owner's thread. A call that has not returned by
 * its deadline is reported as failed; its worker is written off and replaced, its late result thrown away. Jobs of one lane (one libvirt
 * connection) run at most so many at a time; jobs with the same key (one domain) run one after another. All functions: the owner's
 * thread. */

struct workers;

struct job {
    guint lane;
    char *key;         /* NULL: waits for no other job. Taken over. */
    gint64 timeout_ms; /* from its start */

    /* On a worker. FALSE with an error. It may read and write `call` and nothing else. */
    gboolean (*run)(gpointer call, GError **error);
    gpointer call;
    GDestroyNotify call_free;

    /* On the owner's thread, once. `call` is NULL after a time-out, since the worker still has it; `error` is NULL on success. Both are
     * borrowed. Not called for jobs that are dropped by workers_free(). */
    void (*done)(gpointer owner, gpointer context, gpointer call, const GError *error);
    gpointer context;
    GDestroyNotify context_free;
};

/* `lane_limits` says how many jobs of each lane run at a time. */
struct workers *workers_new(gpointer owner, struct inbox *inbox, GMainContext *context, const guint *lane_limits,
                            guint lane_count);

/* Ends idle workers and forgets the others. Jobs that were not started are dropped. Before the inbox is closed, which holds the jobs that have
 * returned. NULL is accepted. */
void workers_free(struct workers *workers);

/* The fields of `job` are copied and what they point to is taken over. */
void workers_submit(struct workers *workers, const struct job *job);

/* How many written-off workers have not come back. */
guint workers_lost(const struct workers *workers);

/* Reports all jobs that wait as failed with HBR_ERROR_UNAVAILABLE: their connection is gone. */
void workers_drop_waiting(struct workers *workers);
