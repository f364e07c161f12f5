/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/instance.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

CODEC_WORDS_DEFINE(instance_state_words, "starting", "warm", "paused", "claiming", "ready", "busy", "stopping", "gone");

static const struct codec_field instance_fields[] = {
    {"id", CODEC_NAME, AT(instance, id), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"host", CODEC_NAME, AT(instance, host), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"uuid", CODEC_NAME, AT(instance, uuid), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"state", CODEC_ENUM, AT(instance, state), 0, 0, 0, NULL, &instance_state_words},
    {"template", CODEC_NAME, AT(instance, template), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"profile", CODEC_NAME, AT(instance, profile), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"shape", CODEC_STRUCT, AT(instance, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"maximum", CODEC_STRUCT, AT(instance, maximum), 0, 0, 0, &vm_shape_codec, NULL},
    {"reservation_id", CODEC_NAME, AT(instance, reservation_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"execution_id", CODEC_NAME, AT(instance, execution_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"pool", CODEC_NAME, AT(instance, pool), 0, 0, 2 * MODEL_NAME_MAX + 1, NULL, NULL},
    {"saved", CODEC_NAME, AT(instance, saved), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"path", CODEC_ENUM, AT(instance, path), 0, 0, 0, NULL, &path_words},
    {"used", CODEC_BOOL, AT(instance, used), CODEC_SPARSE, 0, 0, NULL, NULL},
    {"uses", CODEC_UINT, AT(instance, uses), CODEC_SPARSE, 0, 1000000, NULL, NULL},
    {"tenant", CODEC_NAME, AT(instance, tenant), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"function", CODEC_NAME, AT(instance, function), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"warm_at", CODEC_TIME, AT(instance, warm_at), 0, 0, 0, NULL, NULL},
    {"created_at", CODEC_TIME, AT(instance, created_at), 0, 0, 0, NULL, NULL},
    {"ready_at", CODEC_TIME, AT(instance, ready_at), 0, 0, 0, NULL, NULL},
    {"ended_at", CODEC_TIME, AT(instance, ended_at), 0, 0, 0, NULL, NULL},
    {"reason", CODEC_STRING, AT(instance, reason), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
    {"timeline", CODEC_LIST, AT(instance, timeline), 0, 0, MODEL_TIMELINE_MAX, &timeline_entry_codec, NULL},
};

CODEC_DEFINE(instance, instance_fields)
