/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/amount.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define COST_MAX G_GINT64_CONSTANT(1000000000000)

static const struct codec_field amount_choice_fields[] = {
    {"resource", CODEC_ENUM, AT(amount_choice, resource), 0, 0, 0, NULL, &resource_words},
    {"quantile", CODEC_DOUBLE, AT(amount_choice, quantile), 0, 0, 1, NULL, NULL},
    {"amount", CODEC_UINT, AT(amount_choice, amount), 0, 0, G_MAXUINT32, NULL, NULL},
    {"cost", CODEC_DOUBLE, AT(amount_choice, cost), 0, 0, COST_MAX, NULL, NULL},
    {"less", CODEC_UINT, AT(amount_choice, less), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"less_cost", CODEC_DOUBLE, AT(amount_choice, less_cost), CODEC_SPARSE, 0, COST_MAX, NULL, NULL},
    {"more", CODEC_UINT, AT(amount_choice, more), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"more_cost", CODEC_DOUBLE, AT(amount_choice, more_cost), CODEC_SPARSE, 0, COST_MAX, NULL, NULL},
    {"verdict", CODEC_STRING, AT(amount_choice, verdict), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(amount_choice, amount_choice_fields)
