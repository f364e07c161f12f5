/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "rows.h"

/* Runs of many functions in time order, made of recorded programs. A program is a function of one tenant; how often it runs falls with its rank
 * (Zipf's law). A run uses what the program's best run with that input did, times the deviation of one of that program's own repeats or, where there
 * are fewer than three, a lognormal one as wide as those of all others. The network, which was not recorded, is made up: lognormal by function and
 * run. The same seed gives the same runs. */

struct traffic_settings {
    const GPtrArray *rows;    /* the programs; those without CPU time, memory or duration are left out */
    const GPtrArray *repeats; /* of the same programs and others */
    guint tenants;
    guint libraries;    /* different ones, "library-0" and so on, of which a function has up to two; 0: none */
    double zipf;        /* the function of rank r runs in proportion to r^-zipf */
    double other_input; /* share of runs with another size of input than the function's usual one */
    gint64 mean_gap;    /* microseconds from one run to the next */
    gulong seed;
};

struct traffic;

struct traffic_run {
    struct observation observation; /* its texts belong to the traffic */
    guint function;                 /* from 0 */
    guint nth;                      /* so many runs of the function were before it */
};

struct traffic *traffic_new(const struct traffic_settings *settings);
void traffic_free(struct traffic *traffic);
typedef struct traffic traffic_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(traffic_auto, traffic_free)

guint traffic_function_count(const struct traffic *traffic);

/* Of any function, or of that one. */
void traffic_next(struct traffic *traffic, struct traffic_run *ret_run);
void traffic_next_of(struct traffic *traffic, guint function, struct traffic_run *ret_run);

/* What a function is called with, but for the size of its input; it belongs to the traffic. */
const struct code_metadata *traffic_code(const struct traffic *traffic, guint function);

/* `count` runs as samples to learn from. Free with g_array_unref. */
GArray *traffic_samples(struct traffic *traffic, guint count);

/* The run needs `factor` times as much memory, CPU time and duration. */
void traffic_scale(struct traffic_run *run, double factor);
