/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/execution.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define AMOUNT_MAX G_GINT64_CONSTANT(1000000000000)

static const struct codec_field run_limits_fields[] = {
    {"wall_ms", CODEC_INT64, AT(run_limits, wall_ms), CODEC_SPARSE, 0, G_GINT64_CONSTANT(31622400000), NULL, NULL},
    {"memory_mib", CODEC_UINT, AT(run_limits, memory_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"pids", CODEC_UINT, AT(run_limits, pids), CODEC_SPARSE, 0, 4194304, NULL, NULL},
    {"output_bytes", CODEC_INT64, AT(run_limits, output_bytes), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
};

CODEC_DEFINE(run_limits, run_limits_fields)

static const struct codec_field execution_request_fields[] = {
    {"idempotency_key", CODEC_NAME, AT(execution_request, idempotency_key), 0, 0, MODEL_KEY_MAX, NULL, NULL},
    {"reservation_id", CODEC_NAME, AT(execution_request, reservation_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"code", CODEC_STRUCT, AT(execution_request, code), CODEC_REQUIRED, 0, 0, &code_metadata_codec, NULL},
    {"program", CODEC_STRUCT, AT(execution_request, program), CODEC_REQUIRED, 0, 0, &program_codec, NULL},
    {"limits", CODEC_STRUCT, AT(execution_request, limits), 0, 0, 0, &run_limits_codec, NULL},
    {"deadline_at", CODEC_TIME, AT(execution_request, deadline_at), 0, 0, 0, NULL, NULL},
    {"detach", CODEC_BOOL, AT(execution_request, detach), CODEC_SPARSE, 0, 0, NULL, NULL},
};

CODEC_DEFINE(execution_request, execution_request_fields)

CODEC_WORDS_DEFINE(execution_state_words, "queued", "starting", "running", "finished", "failed", "cancelled",
                   "interrupted");
CODEC_WORDS_DEFINE(execution_match_words, "reservation", "early", "function", "none", "other", "reservation-failed");

CODEC_WORDS_DEFINE(code_place_words, "not-announced", "in-place", "not-yet", "different", "failed");

static const struct codec_field execution_fields[] = {
    {"id", CODEC_NAME, AT(execution, id), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"idempotency_key", CODEC_NAME, AT(execution, idempotency_key), 0, 0, MODEL_KEY_MAX, NULL, NULL},
    {"program_sha256", CODEC_STRING, AT(execution, program_sha256), CODEC_PRIVATE, 0, 64, NULL, NULL},
    {"code", CODEC_STRUCT, AT(execution, code), CODEC_REQUIRED, 0, 0, &code_metadata_codec, NULL},
    {"state", CODEC_ENUM, AT(execution, state), 0, 0, 0, NULL, &execution_state_words},
    {"match", CODEC_ENUM, AT(execution, match), 0, 0, 0, NULL, &execution_match_words},
    {"reservation_id", CODEC_NAME, AT(execution, reservation_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"instance_id", CODEC_NAME, AT(execution, instance_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"host", CODEC_NAME, AT(execution, host), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"profile", CODEC_NAME, AT(execution, profile), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"path", CODEC_ENUM, AT(execution, path), 0, 0, 0, NULL, &path_words},
    {"code_place", CODEC_ENUM, AT(execution, code_place), 0, 0, 0, NULL, &code_place_words},
    {"instance_uses", CODEC_UINT, AT(execution, instance_uses), CODEC_SPARSE, 0, 1000000, NULL, NULL},
    {"retries", CODEC_UINT, AT(execution, retries), CODEC_SPARSE, 0, 1, NULL, NULL},
    {"policy_version", CODEC_UINT, AT(execution, policy_version), 0, 0, G_MAXUINT32, NULL, NULL},
    {"created_at", CODEC_TIME, AT(execution, created_at), 0, 0, 0, NULL, NULL},
    {"started_at", CODEC_TIME, AT(execution, started_at), 0, 0, 0, NULL, NULL},
    {"first_output_at", CODEC_TIME, AT(execution, first_output_at), 0, 0, 0, NULL, NULL},
    {"ended_at", CODEC_TIME, AT(execution, ended_at), 0, 0, 0, NULL, NULL},
    {"deadline_at", CODEC_TIME, AT(execution, deadline_at), 0, 0, 0, NULL, NULL},
    {"demand", CODEC_OBJECT, AT(execution, demand), 0, 0, 0, &demand_codec, NULL},
    {"shape", CODEC_STRUCT, AT(execution, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"limits", CODEC_STRUCT, AT(execution, limits), 0, 0, 0, &run_limits_codec, NULL},
    {"result", CODEC_OBJECT, AT(execution, result), 0, 0, 0, &run_result_codec, NULL},
    {"vcpus_peak", CODEC_DOUBLE, AT(execution, vcpus_peak), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"memory_peak_mib", CODEC_UINT, AT(execution, memory_peak_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"network_peak_mbps", CODEC_DOUBLE, AT(execution, network_peak_mbps), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"output_bytes", CODEC_INT64, AT(execution, output_bytes), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"course", CODEC_LIST, AT(execution, course), CODEC_SPARSE, 0, COURSE_SLOTS, &usage_slot_codec, NULL},
    {"adjustments", CODEC_LIST, AT(execution, adjustments), 0, 0, MODEL_ADJUSTMENTS_MAX, &adjustment_codec, NULL},
    {"timeline", CODEC_LIST, AT(execution, timeline), 0, 0, MODEL_TIMELINE_MAX, &timeline_entry_codec, NULL},
    {"error", CODEC_STRING, AT(execution, error), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(execution, execution_fields)

gboolean execution_state_is_terminal(enum execution_state state)
{
    return state >= EXECUTION_FINISHED;
}

static const struct codec_field observation_fields[] = {
    {"execution_id", CODEC_NAME, AT(observation, execution_id), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"code", CODEC_STRUCT, AT(observation, code), CODEC_REQUIRED, 0, 0, &code_metadata_codec, NULL},
    {"demand", CODEC_OBJECT, AT(observation, demand), 0, 0, 0, &demand_codec, NULL},
    {"ended_at", CODEC_TIME, AT(observation, ended_at), 0, 0, 0, NULL, NULL},
    {"reason", CODEC_ENUM, AT(observation, reason), 0, 0, 0, NULL, &exit_reason_words},
    {"status", CODEC_UINT, AT(observation, status), 0, 0, 255, NULL, NULL},
    {"vcpus", CODEC_DOUBLE, AT(observation, vcpus), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"cpu_seconds", CODEC_DOUBLE, AT(observation, cpu_seconds), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"memory_mib", CODEC_DOUBLE, AT(observation, memory_mib), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"network_mbps", CODEC_DOUBLE, AT(observation, network_mbps), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"duration_ms", CODEC_DOUBLE, AT(observation, duration_ms), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"retries", CODEC_UINT, AT(observation, retries), CODEC_SPARSE, 0, 1, NULL, NULL},
    {"shape", CODEC_STRUCT, AT(observation, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"start_shape", CODEC_STRUCT, AT(observation, start_shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"memory_limit_mib", CODEC_UINT, AT(observation, memory_limit_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL,
     NULL},
    {"course", CODEC_LIST, AT(observation, course), CODEC_SPARSE, 0, COURSE_SLOTS, &usage_slot_codec, NULL},
    {"adjustments", CODEC_LIST, AT(observation, adjustments), CODEC_SPARSE, 0, MODEL_ADJUSTMENTS_MAX, &adjustment_codec,
     NULL},
};

CODEC_DEFINE(observation, observation_fields)

double observation_memory_mib(const struct observation *observation)
{
    if (observation->reason != EXIT_OUT_OF_MEMORY)
        return observation->memory_mib;
    const guint vm_mib = observation->shape.memory_mib, limit_mib = observation->memory_limit_mib;
    return MAX(observation->memory_mib, limit_mib > 0 ? MIN(limit_mib, vm_mib) : vm_mib);
}
