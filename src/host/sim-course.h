/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/sim-model.h"
#include "model/execution.h"

/* What a simulated program does. No code runs; each line of its source that holds "sim:" is one phase of its course, in words NAME=VALUE with
 * the shell's quoting:
 *
 *   # sim: duration_ms=5000 cpu=3 memory_mib=900 output="hello world"
 *   # sim: duration_ms=100 cpu=0 exit=1
 *
 * duration_ms   of the phase when nothing slows it down
 * cpu           CPUs that it would keep busy; with fewer it takes longer
 * memory_mib    that it has at the end of the ramp; it keeps it in the next phase
 * ramp_ms       how long the memory takes to get there (default: the whole phase)
 * rx_mbps, tx_mbps  that it would move; with less bandwidth it takes longer
 * output, error text and a newline, written to stdout or stderr at the start of the phase
 * output_bytes  of filler to stdout, spread over the phase
 * echo=1        stdin goes to stdout, and the phase lasts at least until the end of stdin
 * paced=1       the phase takes its duration whatever there is: what could not be done in it is not made up for, and memory
 *               that does not fit is not there until it does
 * exit, signal  ends the program after this phase with this status or signal
 * hang=1        the phase never ends
 * crash=1       the VM dies at the end of the phase
 *
 * Words that it does not know are skipped, as are values that are no numbers. */

struct sim_phase {
    double duration_ms, ramp_ms;
    double cpu, memory_mib;
    double rx_mbps, tx_mbps;
    gint64 output_bytes;
    char *output, *error;
    gboolean echo, hang, crash, paced, ends;
    guint exit, signal;
};

/* The phases of a program (struct sim_phase, at least one), or one by the model's figures when it has none. Free with
 * g_ptr_array_unref. */
GPtrArray *sim_course_new(const struct program *program, const struct sim_model *model, GRand *random);

/* Without anything that slows it down. */
double sim_course_duration_ms(const GPtrArray *course);
