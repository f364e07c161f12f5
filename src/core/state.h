/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/execution.h"
#include "model/instance.h"
#include "model/reservation.h"

/* The three state machines as tables: from a state, by what happened, to the next state. Pure. */

#define STATE_REFUSED (-1) /* cannot happen in this state; the core ignores it, or answers "conflict" */

enum reservation_step {
    RESERVATION_STEP_PLACE,    /* a host was chosen, its instance is being started */
    RESERVATION_STEP_NO_ROOM,  /* due, but no host can take it now */
    RESERVATION_STEP_READY,    /* its instance is proven ready */
    RESERVATION_STEP_SETBACK,  /* its instance failed or was lost; there are attempts left */
    RESERVATION_STEP_GIVE_UP,  /* as before, and none is left */
    RESERVATION_STEP_CLAIM,    /* its execution gets the instance */
    RESERVATION_STEP_COMPLETE, /* its execution ended */
    RESERVATION_STEP_EXPIRE,   /* nobody came */
    RESERVATION_STEP_CANCEL,
    RESERVATION_STEP_COUNT
};

enum instance_step {
    INSTANCE_STEP_READY,   /* proven, in the shape and with the identity of its reservation */
    INSTANCE_STEP_WARM,    /* proven, for its pool; or kept after a run for more of the same */
    INSTANCE_STEP_PAUSE,   /* suspended */
    INSTANCE_STEP_TAKE,    /* a reservation takes it from its pool */
    INSTANCE_STEP_CLAIM,   /* code is sent to it */
    INSTANCE_STEP_DESTROY, /* we want it gone */
    INSTANCE_STEP_GONE,    /* it is */
    INSTANCE_STEP_COUNT
};

enum execution_step {
    EXECUTION_STEP_SEND,  /* its instance is ready: the code goes to it */
    EXECUTION_STEP_START, /* the agent has started it */
    EXECUTION_STEP_EXIT,  /* it ended by itself or by a limit */
    EXECUTION_STEP_RETRY, /* it ran out of memory, and waits for a larger instance */
    EXECUTION_STEP_FAIL,  /* it cannot run, or its VM was lost */
    EXECUTION_STEP_CANCEL,
    EXECUTION_STEP_INTERRUPT, /* the daemon was restarted */
    EXECUTION_STEP_COUNT
};

extern const struct codec_words reservation_step_words, instance_step_words, execution_step_words;

/* The next state, or STATE_REFUSED. */
int reservation_next(enum reservation_state state, enum reservation_step step);
int instance_next(enum instance_state state, enum instance_step step);
int execution_next(enum execution_state state, enum execution_step step);
