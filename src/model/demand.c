/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/demand.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define AMOUNT_MAX G_GINT64_CONSTANT(1000000000000)

static const struct codec_field quantiles_fields[] = {
    {"p50", CODEC_DOUBLE, AT(quantiles, p50), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"p90", CODEC_DOUBLE, AT(quantiles, p90), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"p99", CODEC_DOUBLE, AT(quantiles, p99), 0, 0, AMOUNT_MAX, NULL, NULL},
};

const struct codec quantiles_codec = {"quantiles", sizeof(struct quantiles), quantiles_fields,
                                      G_N_ELEMENTS(quantiles_fields)};

static const struct codec_field demand_reason_fields[] = {
    {"rule", CODEC_STRING, AT(demand_reason, rule), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"effect", CODEC_STRING, AT(demand_reason, effect), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(demand_reason, demand_reason_fields)

CODEC_WORDS_DEFINE(demand_source_words, "rules", "history", "model");

static const struct codec_field demand_fields[] = {
    {"source", CODEC_ENUM, AT(demand, source), 0, 0, 0, NULL, &demand_source_words},
    {"sample_count", CODEC_UINT, AT(demand, sample_count), 0, 0, G_MAXINT32, NULL, NULL},
    {"model_version", CODEC_UINT, AT(demand, model_version), CODEC_SPARSE, 0, G_MAXINT32, NULL, NULL},
    {"score", CODEC_DOUBLE, AT(demand, score), 0, 0, 100, NULL, NULL},
    {"class", CODEC_STRING, AT(demand, class_name), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"vcpus", CODEC_STRUCT, AT(demand, vcpus), 0, 0, 0, &quantiles_codec, NULL},
    {"memory_mib", CODEC_STRUCT, AT(demand, memory_mib), 0, 0, 0, &quantiles_codec, NULL},
    {"network_mbps", CODEC_STRUCT, AT(demand, network_mbps), 0, 0, 0, &quantiles_codec, NULL},
    {"duration_ms", CODEC_STRUCT, AT(demand, duration_ms), 0, 0, 0, &quantiles_codec, NULL},
    {"gpus", CODEC_UINT, AT(demand, gpus), 0, 0, MODEL_GPUS_MAX, NULL, NULL},
    {"reasons", CODEC_LIST, AT(demand, reasons), 0, 0, 1024, &demand_reason_codec, NULL},
};

CODEC_DEFINE_SEALABLE(demand, demand_fields, AT(demand, seal))

double quantiles_at(const struct quantiles *quantiles, double quantile)
{
    if (quantile <= 0.5)
        return quantiles->p50;
    if (quantile <= 0.9)
        return quantiles->p50 + (quantiles->p90 - quantiles->p50) * (quantile - 0.5) / 0.4;
    if (quantile < 0.99)
        return quantiles->p90 + (quantiles->p99 - quantiles->p90) * (quantile - 0.9) / 0.09;
    return quantiles->p99;
}

void demand_add_reason(struct demand *demand, char *rule, char *effect)
{
    struct demand_reason *reason = g_new0(struct demand_reason, 1);
    reason->rule = rule;
    reason->effect = effect;
    if (demand->reasons == NULL)
        demand->reasons = g_ptr_array_new();
    g_ptr_array_add(demand->reasons, reason);
}
