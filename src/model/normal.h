/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The standard normal distribution. Pure functions; any thread. */

/* Bounds of the probabilities that mean something to us: who has seen a thousand executions knows no rarer one. */
#define NORMAL_LEAST 0.001
#define NORMAL_MOST 0.999

/* What it does not exceed in 90 and 99 % of cases. */
#define NORMAL_P90 1.2815515655446004
#define NORMAL_P99 2.3263478740408408

/* The number that a standard normal variable does not exceed with that probability, which is taken for NORMAL_LEAST or NORMAL_MOST beyond them; to 7
 * digits. Wichura, Algorithm AS 241 (PPND7), Applied Statistics 37 (1988), 477-484. */
double normal_quantile(double probability);

/* The other way round: the probability that a standard normal variable does not exceed `score`. */
double normal_probability(double score);
