/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"

/* How good predictions were: what was predicted, given and used of each run, and the figures over many of them. Pure arithmetic. One thread.
 *
 * Of a run that was cut short (killed, out of memory, cancelled, lost) what it used is the least that it needed. It says nothing of the error, and of
 * a quantile only when it is above that already; otherwise it is left out there. */

enum accuracy_amount {
    ACCURACY_VCPUS,
    ACCURACY_MEMORY,   /* MiB */
    ACCURACY_NETWORK,  /* Mbit/s */
    ACCURACY_DURATION, /* ms */
    ACCURACY_AMOUNT_COUNT
};

/* Of one run. NAN in any number: not told. */
struct accuracy_run {
    gint64 ended_at;
    gboolean is_cut_short;
    gboolean is_out_of_memory; /* this run, or the one that it repeats */
    struct {
        struct quantiles predicted;
        double given; /* by the shape at its start; NAN also for what has no limit */
        double used;  /* at its peak; see accuracy_used() */
    } amounts[ACCURACY_AMOUNT_COUNT];
};

/* Over many runs, of one amount. NAN: no run tells it. In ratios and for coverage, amounts below 0.01 CPUs, 1 MiB, 0.1 Mbit/s and 1 ms count as
 * these. */
struct accuracy_figures {
    guint runs;                  /* that ended by themselves and were predicted: the next four are of them */
    double ratio_p50, ratio_p90; /* of used / predicted p50, by definition 7 of Hyndman and Fan (1996) */
    double log_error;            /* mean of |ln(used / predicted p50)| */
    double within_2;             /* share whose ratio is from 1/2 to 2 */
    struct quantiles coverage;   /* share that used at most the predicted p50, p90, p99 */
    double waste;                /* mean of (given - used, or 0) x duration: in CPU hours, GiB hours, Mbit/s hours */
    double shortage;             /* share that used more than it was given, or ran out of memory */
    double shortage_ratio;       /* of these, the mean of used / given, at least 1 */
};

extern const struct codec accuracy_figures_codec;

/* The runs that have something in common. */
struct accuracy_group {
    char *function, *tenant, *language; /* NULL: not told, or different ones */
    char *source; /* where they are grouped by model, and none with a version took part: of the demand, or "shipped" */
    guint model_version; /* 0: the shipped one, none, or different ones */
    guint runs;
    guint cut_short; /* of them */
    gint64 oldest_at, newest_at;
    struct accuracy_figures amounts[ACCURACY_AMOUNT_COUNT];
};

CODEC_DECLARE(accuracy_group)

enum accuracy_by { ACCURACY_BY_FUNCTION, ACCURACY_BY_TENANT, ACCURACY_BY_LANGUAGE, ACCURACY_BY_MODEL };

extern const struct codec_words accuracy_by_words;

/* The answer to a question about many runs. */
struct accuracy {
    enum accuracy_by by;
    guint limit; /* only so many runs were looked at, the newest */
    struct accuracy_group total;
    GPtrArray *groups;     /* struct accuracy_group, those of the most runs first */
    guint groups_left_out; /* at the end of them */
};

CODEC_DECLARE(accuracy)

/* One run in a picture. */
struct accuracy_point {
    char *execution_id, *function, *tenant, *language;
    gint64 ended_at;
    gboolean cut_short;
    struct accuracy_pair {
        double predicted; /* p90 */
        double used;
    } amounts[ACCURACY_AMOUNT_COUNT];
};

CODEC_DECLARE(accuracy_point)

/* NAN for what the guest could not tell: nothing is used up in no time, but many a run uses no network. */
double accuracy_used(const struct accuracy_run *run, enum accuracy_amount amount);

/* What a group's figures are made from. */
struct accuracy_tally;

struct accuracy_tally *accuracy_tally_new(void);
void accuracy_tally_free(struct accuracy_tally *tally);
typedef struct accuracy_tally accuracy_tally_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(accuracy_tally_auto, accuracy_tally_free)

void accuracy_tally_add(struct accuracy_tally *tally, const struct accuracy_run *run);

/* The figures so far; the names of `ret_group` stay as they are. */
void accuracy_tally_measure(struct accuracy_tally *tally, struct accuracy_group *ret_group);
