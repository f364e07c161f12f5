/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"

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
    guint model_version; /* of the learned model; 0: none took part */
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

/* The amount that is exceeded with probability 1 - `quantile`, by linear interpolation between p50, p90 and p99
 * (constant outside of them). */
double quantiles_at(const struct quantiles *quantiles, double quantile);

/* Appends a reason; both strings are taken over. */
void demand_add_reason(struct demand *demand, char *rule, char *effect);
