/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/path.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

CODEC_WORDS_DEFINE(path_words, "running", "paused", "saved", "boot");

static const struct codec_field path_choice_fields[] = {
    {"path", CODEC_ENUM, AT(path_choice, path), 0, 0, 0, NULL, &path_words},
    {"ready_ms", CODEC_INT64, AT(path_choice, ready_ms), 0, 0, G_MAXINT64, NULL, NULL},
    {"median_ms", CODEC_INT64, AT(path_choice, median_ms), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"samples", CODEC_UINT, AT(path_choice, samples), 0, 0, G_MAXUINT32, NULL, NULL},
    {"cost", CODEC_DOUBLE, AT(path_choice, cost), 0, 0, G_GINT64_CONSTANT(1000000000000), NULL, NULL},
    {"chosen", CODEC_BOOL, AT(path_choice, chosen), 0, 0, 0, NULL, NULL},
    {"verdict", CODEC_STRING, AT(path_choice, verdict), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(path_choice, path_choice_fields)
