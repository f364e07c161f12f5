/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/host.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

static const struct codec_field host_spec_fields[] = {
    {"name", CODEC_NAME, AT(host_spec, name), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"uri", CODEC_STRING, AT(host_spec, uri), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"labels", CODEC_STRV, AT(host_spec, labels), 0, 0, MODEL_LABELS_MAX, NULL, NULL},
    {"cpu_overcommit", CODEC_DOUBLE, AT(host_spec, cpu_overcommit), CODEC_SPARSE, 0, 1000, NULL, NULL},
    {"memory_overcommit", CODEC_DOUBLE, AT(host_spec, memory_overcommit), CODEC_SPARSE, 0, 1000, NULL, NULL},
    {"memory_reserve_mib", CODEC_UINT, AT(host_spec, memory_reserve_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL,
     NULL},
    {"network", CODEC_STRING, AT(host_spec, network), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"images", CODEC_STRING, AT(host_spec, images), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"gpus", CODEC_STRV, AT(host_spec, gpus), 0, 0, MODEL_GPUS_MAX, NULL, NULL},
};

CODEC_DEFINE(host_spec, host_spec_fields)

CODEC_WORDS_DEFINE(host_state_words, "connecting", "up", "down");
CODEC_WORDS_DEFINE(acceleration_words, "unknown", "kvm", "tcg", "model");

static const struct codec_field host_fields[] = {
    {"spec", CODEC_OBJECT, AT(host, spec), CODEC_REQUIRED, 0, 0, &host_spec_codec, NULL},
    {"state", CODEC_ENUM, AT(host, state), 0, 0, 0, NULL, &host_state_words},
    {"error", CODEC_STRING, AT(host, error), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
    {"since_at", CODEC_TIME, AT(host, since_at), 0, 0, 0, NULL, NULL},
    {"cpus", CODEC_UINT, AT(host, cpus), 0, 0, MODEL_VCPUS_MAX * 16, NULL, NULL},
    {"memory_mib", CODEC_UINT, AT(host, memory_mib), 0, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"committed_vcpus", CODEC_UINT, AT(host, committed_vcpus), 0, 0, G_MAXUINT32, NULL, NULL},
    {"committed_memory_mib", CODEC_UINT, AT(host, committed_memory_mib), 0, 0, G_MAXUINT32, NULL, NULL},
    {"committed_gpus", CODEC_UINT, AT(host, committed_gpus), 0, 0, G_MAXUINT32, NULL, NULL},
    {"instance_count", CODEC_UINT, AT(host, instance_count), 0, 0, G_MAXUINT32, NULL, NULL},
    {"acceleration", CODEC_ENUM, AT(host, acceleration), 0, 0, 0, NULL, &acceleration_words},
    {"acceleration_reason", CODEC_STRING, AT(host, acceleration_reason), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
    {"version", CODEC_STRING, AT(host, version), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"speed", CODEC_DOUBLE, AT(host, speed), CODEC_SPARSE, 0, 1000, NULL, NULL},
};

CODEC_DEFINE(host, host_fields)
