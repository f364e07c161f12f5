/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "plan/scaler.h"

#include "trace.h"

/* What reserves a resource over a trial: Harbinger's own scaler, and what it is compared with, each by its published description. None of them
 * sees a data point before it has decided about it. */

struct replay; /* of one trial by one controller */

struct controller {
    const char *name;
    double usual;        /* the value of the knob that it is published with; 0: none */
    const double *knobs; /* that its curve is drawn from, ascending, 0 at the end */
    gboolean is_bound;   /* it knows the future: no controller, a bound */
    gboolean (*is_for)(const struct trial *trial, enum resource resource); /* NULL: for all */
    void (*begin)(struct replay *replay);
    double (*look)(struct replay *replay, const double *used); /* what is reserved until the next data point */
};

extern const struct controller controllers[];
extern const guint controller_count;

/* What the knob of ours is counted in for a resource, so that one row of knobs does for all. */
double ours_unit(enum resource resource);

/* Sums over replays. */
struct tally {
    guint64 looks, shortages;
    double used, idle; /* idle: reserved minus used where that is positive */
};

/* Adds one trial. The reservation for its first data point is provisioning's, and does not count. */
void controller_replay(const struct controller *controller, const struct trial *trial, enum resource resource,
                       double knob, struct tally *tally);
