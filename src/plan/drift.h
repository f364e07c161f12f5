/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Does usage still follow its prediction? A two-sided cumulative sum test (Page, Continuous Inspection Schemes, Biometrika 41, 1954) on
 * standardised residuals z:
 *
 *     S+ = max(0, S+ + z - k),    S- = max(0, S- - z - k),    alarm when one passes h;    k = 1/2
 *
 * which of all tests with as few false alarms is the fastest to find a shift by one standard deviation. h follows from how many samples are to lie
 * between two false alarms on average: for one side, with b = h + 1.166,
 *
 *     N = (exp(2 k b) - 2 k b - 1) / (2 k^2)                        (Siegmund, Sequential Analysis, 1985, formula 2.56)
 *
 * for independent normal residuals; two sides have half of it. A residual counts as at most 3, so that no sample alone raises the alarm: one far
 * out is a spike, and only more of them are an excess. Pure. */

enum drift_finding {
    DRIFT_NONE,    /* within what was predicted */
    DRIFT_SPIKE,   /* far out, for now */
    DRIFT_EXCESS,  /* steadily above */
    DRIFT_DECLINE, /* steadily below: the prediction was too high, or the execution nears its end */
};

struct drift {
    double up, down;            /* S+, S- */
    guint up_count, down_count; /* samples since each was last 0: since the shift, if it is one */
};

/* h for so many samples between false alarms. */
double drift_threshold(double samples);

/* After an alarm the test begins anew: what was found is the caller's new expectation. `*ret_samples` (may be NULL) says how many samples the
 * shift is old. */
enum drift_finding drift_update(struct drift *drift, double z, double threshold, guint *ret_samples);
