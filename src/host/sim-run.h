/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"
#include "host/sim-course.h"

/* The programs that run in one simulated VM, as a fluid: each goes through its course at a rate between 0 and 1 that depends on what all of them
 * want and on the VM's shape. Between two changes of the rates everything is linear, so time goes from one such change to the next. */

struct sim_run;

/* What the runs of one VM used since somebody set it to zeros. */
struct sim_usage {
    double cpu_ms, wanted_ms; /* CPU time used; CPU time that could have been used */
    double rx_mbit, tx_mbit;
};

/* Takes `course`. The VM dies when it is through with `crash_after_ms` of it; negative: it does not. */
struct sim_run *sim_run_new(const struct run_spec *spec, GPtrArray *course, double crash_after_ms);
void sim_run_free(struct sim_run *run);

const char *sim_run_id(const struct sim_run *run);
gboolean sim_run_is_started(const struct sim_run *run);
void sim_run_start(struct sim_run *run, gint64 now);

/* All that started go on for so long at their rates. `runs`: struct sim_run. */
void sim_runs_advance(GPtrArray *runs, gint64 elapsed_us, struct sim_usage *usage);

/* Shares the VM's CPUs and bandwidth anew. `is_held`: what wants more memory stands still. */
void sim_runs_balance(GPtrArray *runs, const struct vm_shape *shape, gboolean is_held);

/* CPUs that a VM of that shape gives. */
double sim_shape_cpus(const struct vm_shape *shape);

/* CPUs that all of them would keep busy now. */
double sim_runs_cpu(const GPtrArray *runs);

/* MiB that all of them have now. */
double sim_runs_memory_mib(const GPtrArray *runs);

/* When one of them next does something else than go on, or brings their memory past `mark_mib`; CLOCK_NEVER when none will by itself. After
 * sim_runs_balance(). */
gint64 sim_runs_next_at(const GPtrArray *runs, const struct vm_shape *shape, double mark_mib, gint64 now);

typedef void (*sim_output_sink)(const struct sim_run *run, guint stream, GBytes *bytes, gpointer data);

enum sim_turn { SIM_GOES_ON, SIM_ENDED, SIM_CRASHED };

/* Does what is due: writes output (the sink does not own the bytes), goes into the next phase. When it ended, sim_run_result() tells how. */
enum sim_turn sim_run_settle(struct sim_run *run, const GPtrArray *runs, const struct vm_shape *shape, gint64 now,
                             sim_output_sink sink, gpointer sink_data);

/* Its result so far, with the given reason; free with run_result_free. */
struct run_result *sim_run_result(const struct sim_run *run, gint64 now, enum exit_reason reason, const char *message);

/* The result of a run for which sim_run_settle() returned SIM_ENDED. */
struct run_result *sim_run_own_result(const struct sim_run *run, gint64 now);

/* Input came. FALSE when its end had come before. */
gboolean sim_run_input(struct sim_run *run, GBytes *bytes, gboolean eof);

void sim_run_credit(struct sim_run *run, gint64 count);
