/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/clock.h"
#include "host/sim.h"

/* What the tests of the simulated hypervisor share: one host on virtual time that starts at SIM_START, and its events as lines of text,
 * "MILLISECONDS KIND ID DETAIL". */

#define SIM_START (1700000000 * CLOCK_SECOND)

struct sim_bed {
    struct hypervisor *host;
    GString *log;
    guint counts[EVENT_KIND_COUNT];
    struct saved_state *saved; /* the first of the last inventory, or NULL */
    gint64 now;
    gboolean quiet; /* do not log samples and progress */
};

/* A host of this query ("boot_ms=100&..."), connected; its first events are taken out of the log. */
void sim_bed_init(struct sim_bed *bed, const char *query);
void sim_bed_clear(struct sim_bed *bed);

/* Goes on to so many milliseconds after the start, from event to event as a driver would. */
void sim_bed_go(struct sim_bed *bed, gint64 until_ms);

/* Compares the log with these lines, and empties it. */
void sim_bed_expect(struct sim_bed *bed, const char *lines);

/* Commands, submitted now. */
void sim_bed_send(struct sim_bed *bed, enum command_kind kind, const char *id, const char *execution_id, gint64 count);
void sim_bed_boot(struct sim_bed *bed, const char *id, guint vcpus, guint memory_mib, gint64 timeout_ms);
void sim_bed_shape(struct sim_bed *bed, const char *id, guint64 serial, struct vm_shape shape);
void sim_bed_run(struct sim_bed *bed, const char *id, const char *execution_id, const char *source,
                 struct run_limits limits);
void sim_bed_stdin(struct sim_bed *bed, const char *id, const char *execution_id, const char *text, gboolean eof);

/* COMMAND_BOOT from a saved state; COMMAND_CLAIM. */
void sim_bed_clone(struct sim_bed *bed, const char *id, const char *saved, guint vcpus, guint memory_mib,
                   gint64 timeout_ms);
void sim_bed_claim(struct sim_bed *bed, const char *id, guint vcpus, guint memory_mib, gint64 timeout_ms);
/* COMMAND_SAVE; COMMAND_FORGET_SAVED, without an `id`. */
void sim_bed_saved(struct sim_bed *bed, enum command_kind kind, const char *id, const char *saved);
/* COMMAND_STAGE; COMMAND_RUN with is_staged, and with input. */
void sim_bed_stage(struct sim_bed *bed, const char *id, const char *execution_id, const char *source);
void sim_bed_run_staged(struct sim_bed *bed, const char *id, const char *execution_id, const char *source);
