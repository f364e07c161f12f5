/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include <string.h>

/* The program in place before the request: what a notification tells of it is fetched, kept by its digest, and put into the instance as soon as both
 * are there. A request for the same program then only says go. */

static struct command *stage_code_command(enum command_kind kind, const struct policy *policy,
                                          const struct code_metadata *code, const struct program *program)
{
    struct command *command = command_new(kind);
    command->code = g_new0(struct code_ref, 1);
    command->code->tenant = g_strdup(code->tenant);
    command->code->share = policy_function_of(policy, code)->share_code;
    command->code->sha256 = g_strdup(program->source_sha256);
    command->code->url = g_strdup(program->source_url);
    command->code->size_max = policy->limits.code_bytes;
    command->code->timeout_ms = policy->limits.code_fetch_ms;
    return command;
}

static void stage_fetch(struct core *core, const char *id, const struct policy *policy,
                        const struct code_metadata *code, const struct program *program)
{
    struct command *command = stage_code_command(COMMAND_CODE_FETCH, policy, code, program);
    command->id = g_strdup(id);
    core_emit(core, command);
}

/* The source moves out of the record, which names it by its digest from then on. */
static void stage_keep_source(struct core *core, struct reservation_entry *reservation)
{
    const struct code_metadata *code = &reservation->doc->notification->code;
    struct program *program = reservation->doc->notification->program;
    reservation->source = g_steal_pointer(&program->source);
    g_free(program->source_sha256);
    program->source_sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, reservation->source, -1);
    struct command *keep = stage_code_command(COMMAND_CODE_KEEP, reservation->policy, code, program);
    keep->bytes = g_bytes_new(reservation->source, strlen(reservation->source));
    core_emit(core, keep);
}

void stage_look(struct reservation_entry *reservation)
{
    const struct code_metadata *code = &reservation->doc->notification->code;
    const struct program *program = reservation->doc->notification->program;
    if (program == NULL)
        return;
    reservation->code_digest = program_digest(program);
    if (policy_function_of(reservation->policy, code)->stage)
        reservation->code_state =
            program->source != NULL || program->source_sha256 == NULL ? CODE_KNOWN : CODE_FETCHING;
}

void stage_begin(struct core *core, struct reservation_entry *reservation)
{
    const struct code_metadata *code = &reservation->doc->notification->code;
    const struct program *program = reservation->doc->notification->program;
    if (program != NULL && program->source != NULL)
        stage_keep_source(core, reservation);
    if (reservation->code_state == CODE_FETCHING)
        stage_fetch(core, reservation->doc->id, reservation->policy, code, program);
}

static char **stage_modules(const struct policy_function *function, const struct code_metadata *code)
{
    g_autoptr(GStrvBuilder) modules = g_strv_builder_new();
    if (function->preload_libraries && code->libraries != NULL)
        g_strv_builder_addv(modules, (const char **)code->libraries);
    if (function->preload != NULL)
        g_strv_builder_addv(modules, (const char **)function->preload);
    return g_strv_builder_end(modules);
}

static void stage_send(struct core *core, struct reservation_entry *reservation, const struct instance_entry *instance)
{
    const struct code_metadata *code = &reservation->doc->notification->code;
    const struct policy_limits *limits = &reservation->policy->limits;
    struct command *command = core_command_for(instance->doc->host, COMMAND_STAGE, instance->doc->id);
    command->execution_id = id_new("stage", core->now, core->random);
    command->run = g_new0(struct run_spec, 1);
    command->run->execution_id = g_strdup(command->execution_id);
    g_autofree struct program *program = program_copy(reservation->doc->notification->program);
    command->run->program = *program;
    command->run->program.source = g_strdup(reservation->source);
    command->run->limits =
        (struct run_limits){.wall_ms = limits->wall_ms, .pids = limits->pids, .output_bytes = limits->output_bytes};
    command->run->preload = stage_modules(policy_function_of(reservation->policy, code), code);
    reservation->code_state = CODE_STAGING;
    timeline_add(&reservation->doc->timeline, core->now, "program is put in place", NULL);
    core_emit(core, command);
}

void stage_proceed(struct core *core, struct reservation_entry *reservation)
{
    const struct reservation *doc = reservation->doc;
    const struct instance_entry *instance =
        doc->instance_id != NULL ? g_hash_table_lookup(core->instances, doc->instance_id) : NULL;
    if (reservation->code_state == CODE_KNOWN && doc->state == RESERVATION_READY && instance != NULL &&
        !instance->is_migrating)
        stage_send(core, reservation, instance);
}

/* A program is text without NUL: the cache has seen to that. */
static char *stage_text(GBytes *bytes)
{
    gsize length;
    const char *text = g_bytes_get_data(bytes, &length);
    return g_strndup(text, length);
}

static void stage_on_code(struct core *core, struct reservation_entry *reservation, const struct event *event)
{
    if (reservation->code_state != CODE_FETCHING)
        return;
    if (event->error != NULL) {
        reservation->code_state = CODE_LOST;
        reservation_note(core, reservation, "program is not to be had", g_strdup(event->error->message));
        return;
    }
    reservation->source = stage_text(event->bytes);
    reservation->code_state = CODE_KNOWN;
    reservation_note(core, reservation, "program fetched", NULL);
    stage_proceed(core, reservation);
}

static void stage_on_staged(struct core *core, const struct event *event)
{
    struct instance_entry *instance = g_hash_table_lookup(core->instances, event->id);
    struct reservation_entry *reservation = instance != NULL && instance->doc->reservation_id != NULL
                                                ? g_hash_table_lookup(core->reservations, instance->doc->reservation_id)
                                                : NULL;
    if (reservation == NULL || reservation->code_state != CODE_STAGING)
        return;
    if (event->error != NULL) {
        reservation->code_state = CODE_LOST;
        reservation_note(core, reservation, "program could not be put in place", g_strdup(event->error->message));
        return;
    }
    reservation->code_state = CODE_STAGED;
    core_stage_latency_add(core, instance->doc->template, instance->doc->host, event->count / 1000 + 1);
    reservation_note(core, reservation, "program in place", g_strdup_printf("%.1f ms", (double)event->count / 1000));
}

static void stage_settle(struct core *core, struct execution_entry *execution, enum code_place place)
{
    execution->doc->code_place = place;
    core->code_places[place]++;
}

/* An execution that named its program gets it, and goes on. */
static void stage_on_execution_code(struct core *core, struct execution_entry *execution, const struct event *event)
{
    if (!execution->awaits_code)
        return;
    execution->awaits_code = FALSE;
    if (event->error != NULL) {
        stage_settle(core, execution, CODE_FAILED);
        execution_fail(core, execution, "its program is not to be had: %s", event->error->message);
        return;
    }
    execution->program.source = stage_text(event->bytes);
    execution_go_on(core, execution);
}

void stage_on_event(struct core *core, struct event *event)
{
    if (event->kind == EVENT_STAGED) {
        stage_on_staged(core, event);
        return;
    }
    struct reservation_entry *reservation = g_hash_table_lookup(core->reservations, event->id);
    struct execution_entry *execution = g_hash_table_lookup(core->executions, event->id);
    if (reservation != NULL)
        stage_on_code(core, reservation, event);
    else if (execution != NULL)
        stage_on_execution_code(core, execution, event);
}

void stage_fetch_for(struct core *core, struct execution_entry *execution)
{
    if (execution->program.source != NULL || execution->program.source_sha256 == NULL)
        return;
    execution->awaits_code = TRUE;
    stage_fetch(core, execution->doc->id, execution->policy, &execution->doc->code, &execution->program);
}

void stage_match(struct core *core, struct execution_entry *execution, struct reservation_entry *reservation,
                 struct command *run)
{
    static const enum code_place places[] = {
        [CODE_UNKNOWN] = CODE_NOT_ANNOUNCED, [CODE_FETCHING] = CODE_NOT_YET, [CODE_KNOWN] = CODE_NOT_YET,
        [CODE_STAGING] = CODE_NOT_YET,       [CODE_STAGED] = CODE_IN_PLACE,  [CODE_LOST] = CODE_FAILED,
    };
    enum code_place place = reservation != NULL ? places[reservation->code_state] : CODE_NOT_ANNOUNCED;
    if (place != CODE_NOT_ANNOUNCED && g_strcmp0(execution->code_digest, reservation->code_digest) != 0)
        place = CODE_DIFFERENT;
    run->run->is_staged = place == CODE_IN_PLACE;
    stage_settle(core, execution, place);
}

gint64 stage_latency(struct core *core, const struct reservation_entry *reservation, const char *template,
                     const char *host)
{
    if (reservation->code_state == CODE_UNKNOWN || reservation->code_state == CODE_LOST)
        return 0;
    const struct latency *latency = core_stage_latency(core, template, host);
    const struct policy_paths *paths = &reservation->policy->paths;
    return latency_quantile(latency, paths->confidence, core->now, paths->half_life_ms, STAGE_ESTIMATE_MS);
}
