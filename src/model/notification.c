/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/notification.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

static const struct codec_field code_traits_fields[] = {
    {"compressed_bytes", CODEC_INT64, AT(code_traits, compressed_bytes), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"lines", CODEC_UINT, AT(code_traits, lines), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"loops", CODEC_UINT, AT(code_traits, loops), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"loop_depth", CODEC_UINT, AT(code_traits, loop_depth), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"calls", CODEC_UINT, AT(code_traits, calls), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"imports", CODEC_UINT, AT(code_traits, imports), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"functions", CODEC_UINT, AT(code_traits, functions), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"recursive", CODEC_UINT, AT(code_traits, recursive), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"allocations", CODEC_UINT, AT(code_traits, allocations), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"conditionals", CODEC_UINT, AT(code_traits, conditionals), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"threads", CODEC_UINT, AT(code_traits, threads), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
};

CODEC_DEFINE(code_traits, code_traits_fields)

static const struct codec_field code_metadata_fields[] = {
    {"function", CODEC_NAME, AT(code_metadata, function), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"tenant", CODEC_NAME, AT(code_metadata, tenant), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"language", CODEC_NAME, AT(code_metadata, language), CODEC_LOWER, 0, MODEL_NAME_MAX, NULL, NULL},
    {"libraries", CODEC_STRV, AT(code_metadata, libraries), 0, 0, MODEL_LIBRARIES_MAX, NULL, NULL},
    {"algorithm", CODEC_NAME, AT(code_metadata, algorithm), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"entry_point", CODEC_STRING, AT(code_metadata, entry_point), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"code_bytes", CODEC_INT64, AT(code_metadata, code_bytes), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"payload_bytes", CODEC_INT64, AT(code_metadata, payload_bytes), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"payload_depth", CODEC_UINT, AT(code_metadata, payload_depth), CODEC_SPARSE, 0, 100000, NULL, NULL},
    {"payload_items", CODEC_INT64, AT(code_metadata, payload_items), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"payload_keys", CODEC_INT64, AT(code_metadata, payload_keys), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"payload_numbers", CODEC_INT64, AT(code_metadata, payload_numbers), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"payload_strings", CODEC_INT64, AT(code_metadata, payload_strings), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"argument_count", CODEC_UINT, AT(code_metadata, argument_count), CODEC_SPARSE, 0, G_MAXUINT32, NULL, NULL},
    {"argument_max", CODEC_DOUBLE, AT(code_metadata, argument_max), CODEC_SPARSE, 0, MODEL_ARGUMENT_MAX, NULL, NULL},
    {"input_bytes", CODEC_INT64, AT(code_metadata, input_bytes), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"parallelism", CODEC_UINT, AT(code_metadata, parallelism), CODEC_SPARSE, 0, MODEL_VCPUS_MAX, NULL, NULL},
    {"gpu", CODEC_BOOL, AT(code_metadata, gpu), CODEC_SPARSE, 0, 0, NULL, NULL},
    {"template", CODEC_NAME, AT(code_metadata, template), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"labels", CODEC_STRV, AT(code_metadata, labels), 0, 0, MODEL_LABELS_MAX, NULL, NULL},
    {"traits", CODEC_OBJECT, AT(code_metadata, traits), 0, 0, 0, &code_traits_codec, NULL},
};

CODEC_DEFINE(code_metadata, code_metadata_fields)

static const struct codec_field notification_fields[] = {
    {"id", CODEC_NAME, AT(notification, id), CODEC_OURS, 0, MODEL_NAME_MAX, NULL, NULL},
    {"idempotency_key", CODEC_NAME, AT(notification, idempotency_key), 0, 0, MODEL_KEY_MAX, NULL, NULL},
    {"code", CODEC_STRUCT, AT(notification, code), CODEC_REQUIRED, 0, 0, &code_metadata_codec, NULL},
    {"arrival_at", CODEC_TIME, AT(notification, arrival_at), 0, 0, 0, NULL, NULL},
    {"arrival_in_ms", CODEC_INT64, AT(notification, arrival_in_ms), CODEC_SPARSE, 0, G_GINT64_CONSTANT(31622400000),
     NULL, NULL},
    {"deadline_at", CODEC_TIME, AT(notification, deadline_at), 0, 0, 0, NULL, NULL},
    {"program", CODEC_OBJECT, AT(notification, program), 0, 0, 0, &program_codec, NULL},
    {"received_at", CODEC_TIME, AT(notification, received_at), CODEC_OURS, 0, 0, NULL, NULL},
};

CODEC_DEFINE(notification, notification_fields)
