/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/demand.h"

#include "model/limits.h"
#include "model/normal.h"

#include <math.h>

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define AMOUNT_MAX G_GINT64_CONSTANT(1000000000000)
#define AMOUNT_LEAST 1e-6 /* of any unit; how many times more than nothing an amount is, is not known */

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

gboolean demand_has_model(const struct demand *demand)
{
    if (demand->source == DEMAND_RULES)
        return FALSE; /* whatever its rules are called */
    for (guint i = 0; demand->reasons != NULL && i < demand->reasons->len; i++)
        if (g_str_equal(((const struct demand_reason *)demand->reasons->pdata[i])->rule, "model"))
            return TRUE;
    return demand->model_version > 0;
}

/* Standard normal quantiles. */
static const struct {
    double quantile, score;
} knots[] = {{0.5, 0}, {0.9, NORMAL_P90}, {0.99, NORMAL_P99}};

double quantiles_at(const struct quantiles *quantiles, double quantile)
{
    const double p50 = MAX(quantiles->p50, 0), p90 = MAX(quantiles->p90, p50);
    const double amounts[] = {p50, p90, MAX(quantiles->p99, p90)};
    for (guint i = 0; i < G_N_ELEMENTS(knots); i++)
        if (quantile == knots[i].quantile)
            return amounts[i]; /* as it was said, to the last digit: amounts are rounded up to steps */
    const guint upper = quantile < knots[1].quantile ? 1 : 2, lower = upper - 1;
    const double low = amounts[lower], high = amounts[upper];
    const double share = (normal_quantile(quantile) - knots[lower].score) / (knots[upper].score - knots[lower].score);
    if (low > AMOUNT_LEAST)
        return low * exp(share * log(high / low));
    return MAX(0, low + share * (high - low));
}

const struct quantiles *demand_quantiles(const struct demand *demand, enum resource resource)
{
    return resource == RESOURCE_CPU      ? &demand->vcpus
           : resource == RESOURCE_MEMORY ? &demand->memory_mib
                                         : &demand->network_mbps;
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
