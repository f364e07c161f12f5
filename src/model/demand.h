/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"
#include "model/usage.h"

/* A predicted amount by its quantiles: p90 is exceeded in one case of ten. */
struct quantiles {
    double p50, p90, p99;
};

extern const struct codec quantiles_codec;

/* One reason of a prediction: which rule, model or piece of history said what. */
struct demand_reason {
    char *rule;   /* name of the rule, or "history" */
    char *effect; /* "score +20, memory x 1.5" */
};

CODEC_DECLARE(demand_reason)

enum demand_source { DEMAND_RULES, DEMAND_HISTORY, DEMAND_MODEL };

extern const struct codec_words demand_source_words;

/* Predicted need of one execution. */
struct demand {
    enum demand_source source;
    guint sample_count;  /* past executions that it rests on */
    guint model_version; /* of the learned model; 0: the shipped one, or none took part */
    double score;        /* complexity, 0 to 100 */
    char *class_name;
    struct quantiles vcpus; /* CPUs kept busy */
    struct quantiles memory_mib;
    struct quantiles network_mbps;
    struct quantiles duration_ms;
    guint gpus;
    GPtrArray *reasons; /* struct demand_reason */
    struct codec_seal *seal;
};

CODEC_DECLARE(demand)

/* Whether a learned model took part: it is among the reasons then. */
gboolean demand_has_model(const struct demand *demand);

/* The amount that is exceeded with probability 1 - `quantile`. Between p50, p90 and p99 the logarithm of the amount is linear in the standard
 * normal quantile, so that three quantiles of a lognormal variable give all others; on both sides it goes on as it was, up to 0.999 and down to 0.001
 * (model/normal.h). From nothing upwards (p50 or p90 is 0) the amount itself is linear. Finite, and does not fall as `quantile` rises (to 7
 * digits); a p90 or p99 below the one before counts as that one. */
double quantiles_at(const struct quantiles *quantiles, double quantile);

/* Of CPU, memory or network: of no other resource is known beforehand what code will need. */
const struct quantiles *demand_quantiles(const struct demand *demand, enum resource resource);

/* Appends a reason; both strings are taken over. */
void demand_add_reason(struct demand *demand, char *rule, char *effect);
