/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/pool.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define COUNT_MAX G_MAXINT64

static const struct codec_field pool_stock_fields[] = {
    {"running", CODEC_UINT, AT(pool_stock, running), 0, 0, G_MAXUINT32, NULL, NULL},
    {"paused", CODEC_UINT, AT(pool_stock, paused), 0, 0, G_MAXUINT32, NULL, NULL},
    {"saved", CODEC_UINT, AT(pool_stock, saved), 0, 0, G_MAXUINT32, NULL, NULL},
};

const struct codec pool_stock_codec = {"stock", sizeof(struct pool_stock), pool_stock_fields,
                                       G_N_ELEMENTS(pool_stock_fields), 0};

static const struct codec_field pool_miss_fields[] = {
    {"reason", CODEC_STRING, AT(pool_miss, reason), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"count", CODEC_INT64, AT(pool_miss, count), 0, 0, COUNT_MAX, NULL, NULL},
};

CODEC_DEFINE(pool_miss, pool_miss_fields)

static const struct codec_field pool_ledger_fields[] = {
    {"path", CODEC_ENUM, AT(pool_ledger, path), 0, 0, 0, NULL, &path_words},
    {"count", CODEC_INT64, AT(pool_ledger, count), 0, 0, COUNT_MAX, NULL, NULL},
    {"kept", CODEC_INT64, AT(pool_ledger, kept), 0, 0, COUNT_MAX, NULL, NULL},
    {"overruns", CODEC_INT64, AT(pool_ledger, overruns), CODEC_SPARSE, 0, COUNT_MAX, NULL, NULL},
    {"median_ms", CODEC_INT64, AT(pool_ledger, median_ms), 0, 0, COUNT_MAX, NULL, NULL},
    {"p95_ms", CODEC_INT64, AT(pool_ledger, p95_ms), 0, 0, COUNT_MAX, NULL, NULL},
};

CODEC_DEFINE(pool_ledger, pool_ledger_fields)

static const struct codec_field pool_fields[] = {
    {"id", CODEC_NAME, AT(pool, id), CODEC_REQUIRED, 0, 2 * MODEL_NAME_MAX + 1, NULL, NULL},
    {"name", CODEC_NAME, AT(pool, name), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"host", CODEC_NAME, AT(pool, host), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"template", CODEC_NAME, AT(pool, template), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"shape", CODEC_STRUCT, AT(pool, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"maximum", CODEC_STRUCT, AT(pool, maximum), 0, 0, 0, &vm_shape_codec, NULL},
    {"stock", CODEC_STRUCT, AT(pool, stock), 0, 0, 0, &pool_stock_codec, NULL},
    {"target", CODEC_STRUCT, AT(pool, target), 0, 0, 0, &pool_stock_codec, NULL},
    {"why", CODEC_STRING, AT(pool, why), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
    {"held_back", CODEC_STRING, AT(pool, held_back), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
    {"draining", CODEC_BOOL, AT(pool, draining), CODEC_SPARSE, 0, 0, NULL, NULL},
    {"overridden", CODEC_BOOL, AT(pool, overridden), CODEC_SPARSE, 0, 0, NULL, NULL},
    {"warming", CODEC_UINT, AT(pool, warming), 0, 0, G_MAXUINT32, NULL, NULL},
    {"hits", CODEC_INT64, AT(pool, hits), 0, 0, COUNT_MAX, NULL, NULL},
    {"misses", CODEC_INT64, AT(pool, misses), 0, 0, COUNT_MAX, NULL, NULL},
    {"miss_reasons", CODEC_LIST, AT(pool, miss_reasons), 0, 0, 64, &pool_miss_codec, NULL},
    {"ledger", CODEC_LIST, AT(pool, ledger), 0, 0, PATH_COUNT, &pool_ledger_codec, NULL},
    {"warmed", CODEC_INT64, AT(pool, warmed), 0, 0, COUNT_MAX, NULL, NULL},
    {"wasted", CODEC_INT64, AT(pool, wasted), 0, 0, COUNT_MAX, NULL, NULL},
    {"idle_mib_hours", CODEC_DOUBLE, AT(pool, idle_mib_hours), 0, 0, COUNT_MAX, NULL, NULL},
    {"idle_mib", CODEC_UINT, AT(pool, idle_mib), 0, 0, G_MAXUINT32, NULL, NULL},
    {"idle_budget_mib", CODEC_UINT, AT(pool, idle_budget_mib), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"saved_error", CODEC_STRING, AT(pool, saved_error), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(pool, pool_fields)

static const struct codec_field saved_state_fields[] = {
    {"id", CODEC_NAME, AT(saved_state, id), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"pool", CODEC_NAME, AT(saved_state, pool), 0, 0, 2 * MODEL_NAME_MAX + 1, NULL, NULL},
    {"template", CODEC_NAME, AT(saved_state, template), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"fingerprint", CODEC_STRING, AT(saved_state, fingerprint), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"shape", CODEC_STRUCT, AT(saved_state, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"maximum", CODEC_STRUCT, AT(saved_state, maximum), 0, 0, 0, &vm_shape_codec, NULL},
    {"bytes", CODEC_INT64, AT(saved_state, bytes), 0, 0, G_MAXINT64, NULL, NULL},
    {"created_at", CODEC_TIME, AT(saved_state, created_at), 0, 0, 0, NULL, NULL},
};

CODEC_DEFINE(saved_state, saved_state_fields)
