/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/normal.h"

#include <glib.h>

#include <math.h>

#define MIDDLE 0.425 /* the distance from one half up to which the first of the two fractions holds */

double normal_quantile(double probability)
{
    const double from_half = CLAMP(probability, NORMAL_LEAST, NORMAL_MOST) - 0.5;
    if (fabs(from_half) <= MIDDLE) {
        const double r = MIDDLE * MIDDLE - from_half * from_half;
        return from_half * (((5.9109374720e+1 * r + 1.5929113202e+2) * r + 5.0434271938e+1) * r + 3.3871327179) /
               (((6.7187563600e+1 * r + 7.8757757664e+1) * r + 1.7895169469e+1) * r + 1);
    }
    const double r = sqrt(-log(0.5 - fabs(from_half))) - 1.6;
    const double score = (((1.7023821103e-1 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) /
                         ((1.2021132975e-1 * r + 7.3700164250e-1) * r + 1);
    return copysign(score, from_half);
}

double normal_probability(double score)
{
    return 0.5 * erfc(-score * G_SQRT2 / 2);
}
