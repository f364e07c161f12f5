/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/course.h"
#include "plan/drift.h"

/* How much of one resource an execution should have next: from the course that was predicted of it, and from what it uses. Pure: the same looks give
 * the same answers. */

struct scaler_settings {
    double
        shortage_cost; /* a second short of the resource costs as much as this much of it held for a second for nothing */
    double drift_threshold;     /* drift_threshold() */
    double grow_above, grow_to; /* of the simple rule */
    double quantile;            /* of the prediction that the simple rule begins with */
};

/* One look. */
struct scaler_look {
    enum resource resource;
    struct quantiles now, next; /* what was predicted for now, and the most until the next look or later */
    struct quantiles peak;      /* and of the most in the whole execution; zeros: nothing */
    const double *
        used; /* of each resource, [RESOURCE_COUNT]: what the code wants of it, also beyond what there is, where that is known */
    const double *has; /* of each resource */
};

struct scaler_verdict {
    double want; /* that it should have until the next look */
    enum drift_finding finding;
    double expected, deviation; /* what was expected of this look, and how many standard deviations it is away */
};

/* One way of scaling. The policy chooses between those here; experiments bring their own (core_settings.scaler). */
struct scaler_class {
    const char *name;
    gsize size; /* of its state; zeroed is how it begins, and it owns nothing */
    struct scaler_verdict (*look)(gpointer state, const struct scaler_settings *settings,
                                  const struct scaler_look *look);
};

/* By expected cost. What the code will use is a random amount: the predicted course times a factor, the last look times a factor, or a level, however
 * long ago it was seen: whichever has clearly cost less so far. The factors are known by their decaying history of minutes, levels by one ten times as
 * long (plan/levels.h), which knows peaks that recur after a long quiet; before there is a history, all are known by the quantiles of the prediction, and how far beyond all that was seen an amount may go by what was predicted of its peak. Of the amounts that
 * come into question the one of least expected cost is wanted, where what is held for nothing costs its amount, and shortage
 * settings->shortage_cost: the newsvendor's choice, for a shortage that costs by time and not by amount. When the drift test finds a steady
 * shift, the factors from before it are forgotten. */
extern const struct scaler_class scaler_deep;

/* Above prediction x grow_above it goes to prediction x grow_to, which is the prediction from then on; never down. */
extern const struct scaler_class scaler_simple;

#define SCALER_STATE_MAX 2048

/* Room for the state of any class here. */
struct scaler {
    const struct scaler_class *class;
    gint64 state[SCALER_STATE_MAX / sizeof(gint64)];
};
