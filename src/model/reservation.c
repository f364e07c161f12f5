/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/reservation.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

CODEC_WORDS_DEFINE(reservation_state_words, "scheduled", "waiting", "starting", "ready", "claimed", "done", "expired",
                   "cancelled", "failed");

static const struct codec_field placement_fields[] = {
    {"host", CODEC_STRING, AT(placement, host), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"chosen", CODEC_BOOL, AT(placement, chosen), 0, 0, 0, NULL, NULL},
    {"cost", CODEC_DOUBLE, AT(placement, cost), 0, 0, 1000000, NULL, NULL},
    {"verdict", CODEC_STRING, AT(placement, verdict), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(placement, placement_fields)

static const struct codec_field reservation_fields[] = {
    {"id", CODEC_NAME, AT(reservation, id), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"notification", CODEC_OBJECT, AT(reservation, notification), CODEC_REQUIRED, 0, 0, &notification_codec, NULL},
    {"demand", CODEC_OBJECT, AT(reservation, demand), 0, 0, 0, &demand_codec, NULL},
    {"state", CODEC_ENUM, AT(reservation, state), 0, 0, 0, NULL, &reservation_state_words},
    {"profile", CODEC_NAME, AT(reservation, profile), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"template", CODEC_NAME, AT(reservation, template), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"shape", CODEC_STRUCT, AT(reservation, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"maximum", CODEC_STRUCT, AT(reservation, maximum), 0, 0, 0, &vm_shape_codec, NULL},
    {"host", CODEC_NAME, AT(reservation, host), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"instance_id", CODEC_NAME, AT(reservation, instance_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"execution_id", CODEC_NAME, AT(reservation, execution_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"policy_version", CODEC_UINT, AT(reservation, policy_version), 0, 0, G_MAXUINT32, NULL, NULL},
    {"created_at", CODEC_TIME, AT(reservation, created_at), 0, 0, 0, NULL, NULL},
    {"arrival_at", CODEC_TIME, AT(reservation, arrival_at), 0, 0, 0, NULL, NULL},
    {"start_at", CODEC_TIME, AT(reservation, start_at), 0, 0, 0, NULL, NULL},
    {"started_at", CODEC_TIME, AT(reservation, started_at), 0, 0, 0, NULL, NULL},
    {"ready_at", CODEC_TIME, AT(reservation, ready_at), 0, 0, 0, NULL, NULL},
    {"expires_at", CODEC_TIME, AT(reservation, expires_at), 0, 0, 0, NULL, NULL},
    {"ended_at", CODEC_TIME, AT(reservation, ended_at), 0, 0, 0, NULL, NULL},
    {"path", CODEC_ENUM, AT(reservation, path), 0, 0, 0, NULL, &path_words},
    {"path_ms", CODEC_INT64, AT(reservation, path_ms), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"paths", CODEC_LIST, AT(reservation, paths), 0, 0, PATH_COUNT, &path_choice_codec, NULL},
    {"amounts", CODEC_LIST, AT(reservation, amounts), 0, 0, RESOURCE_COUNT, &amount_choice_codec, NULL},
    {"margin_ms", CODEC_INT64, AT(reservation, margin_ms), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"attempts", CODEC_UINT, AT(reservation, attempts), CODEC_SPARSE, 0, 1000, NULL, NULL},
    {"placements", CODEC_LIST, AT(reservation, placements), 0, 0, 4096, &placement_codec, NULL},
    {"timeline", CODEC_LIST, AT(reservation, timeline), 0, 0, MODEL_TIMELINE_MAX, &timeline_entry_codec, NULL},
    {"error", CODEC_STRING, AT(reservation, error), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(reservation, reservation_fields)

static const struct codec_field receipt_fields[] = {
    {"id", CODEC_NAME, AT(reservation, id), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"state", CODEC_ENUM, AT(reservation, state), 0, 0, 0, NULL, &reservation_state_words},
    {"profile", CODEC_NAME, AT(reservation, profile), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"template", CODEC_NAME, AT(reservation, template), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"shape", CODEC_STRUCT, AT(reservation, shape), 0, 0, 0, &vm_shape_codec, NULL},
    {"host", CODEC_NAME, AT(reservation, host), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"instance_id", CODEC_NAME, AT(reservation, instance_id), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"policy_version", CODEC_UINT, AT(reservation, policy_version), 0, 0, G_MAXUINT32, NULL, NULL},
    {"created_at", CODEC_TIME, AT(reservation, created_at), 0, 0, 0, NULL, NULL},
    {"arrival_at", CODEC_TIME, AT(reservation, arrival_at), 0, 0, 0, NULL, NULL},
    {"start_at", CODEC_TIME, AT(reservation, start_at), 0, 0, 0, NULL, NULL},
    {"started_at", CODEC_TIME, AT(reservation, started_at), 0, 0, 0, NULL, NULL},
    {"ready_at", CODEC_TIME, AT(reservation, ready_at), 0, 0, 0, NULL, NULL},
    {"expires_at", CODEC_TIME, AT(reservation, expires_at), 0, 0, 0, NULL, NULL},
    {"path", CODEC_ENUM, AT(reservation, path), 0, 0, 0, NULL, &path_words},
    {"path_ms", CODEC_INT64, AT(reservation, path_ms), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
};

const struct codec reservation_receipt_codec = {"reservation", sizeof(struct reservation), receipt_fields,
                                                G_N_ELEMENTS(receipt_fields)};

gboolean reservation_state_is_terminal(enum reservation_state state)
{
    return state >= RESERVATION_DONE;
}
