/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

void core_teach(struct core *core, const struct observation *observation)
{
    struct sample sample;
    if (!core->settings.has_learner || !sample_of_observation(&sample, observation))
        return;
    struct command *command = command_new(COMMAND_LEARN);
    command->sample = g_memdup2(&sample, sizeof sample);
    core_emit(core, command);
}

void core_teach_speed(struct core *core, double speed)
{
    if (!core->settings.has_learner)
        return;
    struct command *command = command_new(COMMAND_LEARN_SPEED);
    command->speed = speed;
    core_emit(core, command);
}

/* The learner does it, and answers. */
void core_model_ask(struct core *core, struct event *event)
{
    static const enum command_kind kinds[EVENT_KIND_COUNT] = {
        [EVENT_MODEL_TRAIN] = COMMAND_MODEL_TRAIN,
        [EVENT_MODEL_SERVE] = COMMAND_MODEL_SERVE,
        [EVENT_MODEL_IMPORT] = COMMAND_MODEL_IMPORT,
    };
    if (!core->settings.has_learner) {
        core_reply_error(core, event->request, hbr_error_new(HBR_ERROR_UNSUPPORTED, "this daemon learns no models"));
        return;
    }
    struct command *command = command_new(kinds[event->kind]);
    command->request = event->request;
    command->count = event->count;
    command->eof = event->eof;
    command->bytes = g_steal_pointer(&event->bytes);
    core_emit(core, command);
}

void core_model_take(struct core *core, struct event *event)
{
    predictor_set_model(core->predictor, event->model);
}

void core_model_answer(struct core *core, struct event *event)
{
    if (event->error != NULL) {
        core_reply_error(core, event->request, g_steal_pointer(&event->error));
        return;
    }
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = event->request;
    reply->status = (guint)event->count;
    reply->body = g_steal_pointer(&event->bytes);
    core_emit(core, reply);
}
