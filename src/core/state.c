/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/state.h"

CODEC_WORDS_DEFINE(reservation_step_words, "place", "no-room", "ready", "setback", "give-up", "claim", "complete",
                   "expire", "cancel");
CODEC_WORDS_DEFINE(instance_step_words, "ready", "warm", "pause", "take", "claim", "destroy", "gone");
CODEC_WORDS_DEFINE(execution_step_words, "send", "start", "exit", "retry", "fail", "cancel", "interrupt");

/* The tables hold state + 1, so that what is not written is 0: refused. */
#define TO(state) ((state) + 1)

/* clang-format off */
static const signed char reservation_table[RESERVATION_STATE_COUNT][RESERVATION_STEP_COUNT] = {
    [RESERVATION_SCHEDULED] = {
        [RESERVATION_STEP_PLACE] = TO(RESERVATION_STARTING),
        [RESERVATION_STEP_NO_ROOM] = TO(RESERVATION_WAITING),
        [RESERVATION_STEP_GIVE_UP] = TO(RESERVATION_FAILED),
        [RESERVATION_STEP_EXPIRE] = TO(RESERVATION_EXPIRED),
        [RESERVATION_STEP_CANCEL] = TO(RESERVATION_CANCELLED),
    },
    [RESERVATION_WAITING] = {
        [RESERVATION_STEP_PLACE] = TO(RESERVATION_STARTING),
        [RESERVATION_STEP_GIVE_UP] = TO(RESERVATION_FAILED),
        [RESERVATION_STEP_EXPIRE] = TO(RESERVATION_EXPIRED),
        [RESERVATION_STEP_CANCEL] = TO(RESERVATION_CANCELLED),
    },
    [RESERVATION_STARTING] = {
        [RESERVATION_STEP_READY] = TO(RESERVATION_READY),
        [RESERVATION_STEP_SETBACK] = TO(RESERVATION_WAITING),
        [RESERVATION_STEP_GIVE_UP] = TO(RESERVATION_FAILED),
        [RESERVATION_STEP_EXPIRE] = TO(RESERVATION_EXPIRED),
        [RESERVATION_STEP_CANCEL] = TO(RESERVATION_CANCELLED),
    },
    [RESERVATION_READY] = {
        [RESERVATION_STEP_CLAIM] = TO(RESERVATION_CLAIMED),
        [RESERVATION_STEP_SETBACK] = TO(RESERVATION_WAITING),
        [RESERVATION_STEP_GIVE_UP] = TO(RESERVATION_FAILED),
        [RESERVATION_STEP_EXPIRE] = TO(RESERVATION_EXPIRED),
        [RESERVATION_STEP_CANCEL] = TO(RESERVATION_CANCELLED),
    },
    [RESERVATION_CLAIMED] = {
        [RESERVATION_STEP_COMPLETE] = TO(RESERVATION_DONE),
    },
};

static const signed char instance_table[INSTANCE_STATE_COUNT][INSTANCE_STEP_COUNT] = {
    [INSTANCE_STARTING] = {
        [INSTANCE_STEP_READY] = TO(INSTANCE_READY),
        [INSTANCE_STEP_WARM] = TO(INSTANCE_WARM),
        [INSTANCE_STEP_DESTROY] = TO(INSTANCE_STOPPING),
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
    [INSTANCE_WARM] = {
        [INSTANCE_STEP_PAUSE] = TO(INSTANCE_PAUSED),
        [INSTANCE_STEP_TAKE] = TO(INSTANCE_CLAIMING),
        [INSTANCE_STEP_DESTROY] = TO(INSTANCE_STOPPING),
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
    [INSTANCE_PAUSED] = {
        [INSTANCE_STEP_TAKE] = TO(INSTANCE_CLAIMING),
        [INSTANCE_STEP_DESTROY] = TO(INSTANCE_STOPPING),
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
    [INSTANCE_CLAIMING] = {
        [INSTANCE_STEP_READY] = TO(INSTANCE_READY),
        [INSTANCE_STEP_DESTROY] = TO(INSTANCE_STOPPING),
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
    [INSTANCE_READY] = {
        [INSTANCE_STEP_CLAIM] = TO(INSTANCE_BUSY),
        [INSTANCE_STEP_DESTROY] = TO(INSTANCE_STOPPING),
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
    [INSTANCE_BUSY] = {
        [INSTANCE_STEP_WARM] = TO(INSTANCE_WARM),
        [INSTANCE_STEP_DESTROY] = TO(INSTANCE_STOPPING),
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
    [INSTANCE_STOPPING] = {
        [INSTANCE_STEP_GONE] = TO(INSTANCE_GONE),
    },
};

static const signed char execution_table[EXECUTION_STATE_COUNT][EXECUTION_STEP_COUNT] = {
    [EXECUTION_QUEUED] = {
        [EXECUTION_STEP_SEND] = TO(EXECUTION_STARTING),
        [EXECUTION_STEP_FAIL] = TO(EXECUTION_FAILED),
        [EXECUTION_STEP_CANCEL] = TO(EXECUTION_CANCELLED),
        [EXECUTION_STEP_INTERRUPT] = TO(EXECUTION_INTERRUPTED),
    },
    [EXECUTION_STARTING] = {
        [EXECUTION_STEP_START] = TO(EXECUTION_RUNNING),
        [EXECUTION_STEP_EXIT] = TO(EXECUTION_FINISHED),
        [EXECUTION_STEP_FAIL] = TO(EXECUTION_FAILED),
        [EXECUTION_STEP_CANCEL] = TO(EXECUTION_CANCELLED),
        [EXECUTION_STEP_INTERRUPT] = TO(EXECUTION_INTERRUPTED),
    },
    [EXECUTION_RUNNING] = {
        [EXECUTION_STEP_EXIT] = TO(EXECUTION_FINISHED),
        [EXECUTION_STEP_RETRY] = TO(EXECUTION_QUEUED),
        [EXECUTION_STEP_FAIL] = TO(EXECUTION_FAILED),
        [EXECUTION_STEP_CANCEL] = TO(EXECUTION_CANCELLED),
        [EXECUTION_STEP_INTERRUPT] = TO(EXECUTION_INTERRUPTED),
    },
};
/* clang-format on */

int reservation_next(enum reservation_state state, enum reservation_step step)
{
    return reservation_table[state][step] - 1;
}

int instance_next(enum instance_state state, enum instance_step step)
{
    return instance_table[state][step] - 1;
}

int execution_next(enum execution_state state, enum execution_step step)
{
    return execution_table[state][step] - 1;
}
