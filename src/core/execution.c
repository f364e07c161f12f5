/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include <string.h>

#define PROGRAM_BYTES_MAX (256 * 1024 * 1024) /* of programs that wait; a request is at most MODEL_DOCUMENT_MAX more */
#define KILL_GRACE_MS \
    5000 /* an agent that has not ended an execution this long after it should have is taken for hung */

void execution_entry_free(struct execution_entry *entry)
{
    if (entry == NULL)
        return;
    execution_free(entry->doc);
    policy_unref(entry->policy);
    codec_clear(&program_codec, &entry->program);
    g_free(entry->code_digest);
    scaling_free(entry->scaling);
    g_free(entry);
}

static struct reservation_entry *execution_reservation(struct core *core, const struct execution_entry *entry)
{
    return entry->doc->reservation_id != NULL ? g_hash_table_lookup(core->reservations, entry->doc->reservation_id)
                                              : NULL;
}

static struct instance_entry *execution_instance(struct core *core, const struct execution_entry *entry)
{
    return entry->doc->instance_id != NULL ? g_hash_table_lookup(core->instances, entry->doc->instance_id) : NULL;
}

static gboolean execution_step(struct core *core, struct execution_entry *entry, enum execution_step step,
                               const char *what, char *detail)
{
    struct execution *doc = entry->doc;
    const int next = execution_next(doc->state, step);
    if (next == STATE_REFUSED) {
        g_free(detail);
        return FALSE;
    }
    doc->state = (enum execution_state)next;
    timeline_add(&doc->timeline, core->now, what, detail);
    core_touch_execution(core, entry);
    return TRUE;
}

/* Large parts of a program; the rest is bounded by counts. */
static gsize execution_program_bytes(const struct program *program)
{
    gsize bytes = program->source != NULL ? strlen(program->source) : 0;
    bytes += program->stdin_bytes != NULL ? g_bytes_get_size(program->stdin_bytes) : 0;
    for (guint i = 0; program->files != NULL && i < program->files->len; i++)
        bytes += g_bytes_get_size(((struct program_file *)program->files->pdata[i])->content);
    return bytes;
}

static void execution_drop_program(struct core *core, struct execution_entry *entry)
{
    core->program_bytes -= entry->program_bytes;
    entry->program_bytes = 0;
    codec_clear(&program_codec, &entry->program);
}

static void execution_copy_code(const struct code_metadata *from, struct code_metadata *to)
{
    g_autofree struct code_metadata *copy = code_metadata_copy(from);
    *to = *copy; /* the members move */
}

static GPtrArray *execution_copy_list(const struct codec *codec, const GPtrArray *list)
{
    GPtrArray *copy = list != NULL ? g_ptr_array_new() : NULL;
    for (guint i = 0; list != NULL && i < list->len; i++)
        g_ptr_array_add(copy, codec_copy(codec, list->pdata[i]));
    return copy;
}

/* What it taught, for the predictor and the history. CPUs needed are those that samples saw wanted, or, for a run too short for samples, its CPU
 * time over its wall time. */
static struct observation *execution_observation(const struct core *core, const struct execution_entry *entry)
{
    const struct execution *doc = entry->doc;
    const struct run_result *result = doc->result;
    struct observation *observation = g_new0(struct observation, 1);
    observation->execution_id = g_strdup(doc->id);
    execution_copy_code(&doc->code, &observation->code);
    observation->demand = demand_copy(doc->demand);
    observation->ended_at = core->now;
    observation->reason = result->reason;
    observation->status = result->status;
    const double cpu_us = (double)(MAX(result->cpu_user_us, 0) + MAX(result->cpu_system_us, 0));
    const double wall_us = (double)MAX(result->wall_us, 1);
    observation->cpu_seconds = cpu_us / CLOCK_SECOND;
    observation->vcpus = MAX(doc->vcpus_peak, cpu_us / wall_us);
    observation->memory_mib = MAX((double)doc->memory_peak_mib, (double)result->memory_peak_bytes / (1024 * 1024));
    const double network_mbit = (double)MAX(result->network_rx_bytes, result->network_tx_bytes) * 8 / 1e6;
    observation->network_mbps = MAX(doc->network_peak_mbps, network_mbit / (wall_us / CLOCK_SECOND));
    observation->duration_ms = (double)MAX(result->wall_us, 0) / 1000;
    observation->retries = doc->retries;
    observation->shape = doc->shape;
    observation->start_shape = entry->start_shape;
    observation->memory_limit_mib = doc->limits.memory_mib;
    observation->course = execution_copy_list(&usage_slot_codec, doc->course);
    observation->adjustments = execution_copy_list(&adjustment_codec, doc->adjustments);
    return observation;
}

static void execution_record(struct core *core, const struct execution_entry *entry)
{
    if (entry->doc->result == NULL || entry->doc->started_at == 0)
        return;
    struct observation *observation = execution_observation(core, entry);
    predictor_observe(core->predictor, entry->policy, observation);
    core_teach(core, observation);
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_OBSERVATION;
    record->object = OBJECT_EXECUTION;
    record->id = g_strdup(entry->doc->id);
    record->at = core->now;
    record->observation = observation;
    g_ptr_array_add(core->commit_records, record);
}

/* It needs its VM no more. */
static void execution_leave(struct core *core, struct execution_entry *entry)
{
    g_clear_pointer(&entry->scaling, scaling_free);
    execution_record(core, entry);
    struct reservation_entry *reservation = execution_reservation(core, entry);
    if (reservation != NULL &&
        !reservation_step(core, reservation, RESERVATION_STEP_COMPLETE, "done", g_strdup(entry->doc->id)))
        reservation_cancel(core, reservation, "its execution did not come to run");
    struct instance_entry *instance = execution_instance(core, entry);
    if (instance != NULL && instance->doc->state < INSTANCE_STOPPING && !instance_keep(core, instance, entry))
        instance_destroy(core, instance, "code has run in it");
}

/* Its state is a final one now: tell the client, give the VM back. */
static void execution_end(struct core *core, struct execution_entry *entry)
{
    struct execution *doc = entry->doc;
    doc->ended_at = core->now;
    core->open_executions--;
    execution_drop_program(core, entry);
    if (doc->result != NULL)
        core->exits[doc->result->reason]++;
    core_retain_finished(core, OBJECT_EXECUTION, doc->id);
    execution_leave(core, entry);
    if (entry->request == 0)
        return;
    struct command *line = core_line_new(entry->request, "finished", "execution", &execution_codec, doc);
    line->end = TRUE;
    core_emit(core, line);
    g_hash_table_remove(core->streams, &entry->request);
    entry->request = 0;
}

void execution_fail(struct core *core, struct execution_entry *entry, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *reason = g_strdup_vprintf(format, args);
    va_end(args);
    if (!execution_step(core, entry, EXECUTION_STEP_FAIL, "failed", g_strdup(reason)))
        return;
    core_set_string(&entry->doc->error, reason);
    execution_end(core, entry);
}

void execution_lost(struct core *core, struct execution_entry *entry, const char *reason)
{
    core->counters[COUNTER_EXECUTIONS_LOST]++;
    if (entry->doc->result == NULL) {
        entry->doc->result = g_new0(struct run_result, 1);
        *entry->doc->result = (struct run_result){.reason = EXIT_LOST,
                                                  .cpu_user_us = -1,
                                                  .cpu_system_us = -1,
                                                  .memory_peak_bytes = -1,
                                                  .io_read_bytes = -1,
                                                  .io_write_bytes = -1,
                                                  .network_rx_bytes = -1,
                                                  .network_tx_bytes = -1};
        entry->doc->result->wall_us = entry->doc->started_at > 0 ? core->now - entry->doc->started_at : -1;
    }
    if (entry->cancelled && execution_step(core, entry, EXECUTION_STEP_CANCEL, "ended with its VM", g_strdup(reason)))
        execution_end(core, entry);
    else if (entry->kill_reason != NULL)
        execution_fail(core, entry, "%s", entry->kill_reason);
    else
        execution_fail(core, entry, "its VM was lost: %s", reason);
}

void execution_cancel(struct core *core, struct execution_entry *entry, const char *reason)
{
    struct execution *doc = entry->doc;
    if (execution_state_is_terminal(doc->state) || entry->cancelled)
        return;
    entry->cancelled = TRUE;
    core_set_string(&doc->error, reason);
    if (doc->state == EXECUTION_QUEUED) {
        execution_step(core, entry, EXECUTION_STEP_CANCEL, "cancelled", g_strdup(reason));
        execution_end(core, entry);
        return;
    }
    timeline_add(&doc->timeline, core->now, "cancellation asked for", g_strdup(reason));
    core_touch_execution(core, entry);
    struct command *command = core_command_for(doc->host, COMMAND_CANCEL_RUN, doc->instance_id);
    command->execution_id = g_strdup(doc->id);
    core_emit(core, command);
    entry->give_up_at = core->now + KILL_GRACE_MS * CLOCK_MS;
    core_wake_at(core, entry->give_up_at, OBJECT_EXECUTION, doc->id);
}

void execution_interrupt(struct core *core, struct execution_entry *entry, const char *reason)
{
    if (!execution_step(core, entry, EXECUTION_STEP_INTERRUPT, "interrupted", g_strdup(reason)))
        return;
    core_set_string(&entry->doc->error, reason);
    execution_end(core, entry);
}

static gint64 execution_bounded(gint64 wanted, gint64 allowed)
{
    return wanted > 0 && (allowed == 0 || wanted < allowed) ? wanted : allowed;
}

static void execution_set_limits(struct core *core, struct execution_entry *entry)
{
    const struct policy_limits *policy = &entry->policy->limits;
    struct run_limits *limits = &entry->doc->limits;
    limits->wall_ms = execution_bounded(limits->wall_ms, policy->wall_ms);
    if (entry->doc->deadline_at != 0)
        limits->wall_ms = MIN(limits->wall_ms, MAX(1, (entry->doc->deadline_at - core->now) / CLOCK_MS));
    limits->output_bytes = execution_bounded(limits->output_bytes, policy->output_bytes);
    limits->pids = (guint)execution_bounded(limits->pids, policy->pids);
}

static gboolean execution_may_retry(const struct execution_entry *entry)
{
    return policy_function_of(entry->policy, &entry->doc->code)->retry_out_of_memory && entry->doc->retries == 0 &&
           !entry->program.stdin_open;
}

/* Moves it, unless it may be wanted once more. */
static void execution_give_program(struct core *core, struct execution_entry *entry, struct program *ret_program)
{
    if (execution_may_retry(entry)) {
        g_autofree struct program *copy = codec_copy(&program_codec, &entry->program);
        *ret_program = *copy; /* the members move */
        return;
    }
    *ret_program = entry->program;
    memset(&entry->program, 0, sizeof entry->program);
    execution_drop_program(core, entry);
}

void execution_send(struct core *core, struct execution_entry *entry, struct instance_entry *instance)
{
    struct execution *doc = entry->doc;
    if (entry->awaits_code || instance->is_migrating)
        return;
    struct reservation_entry *reservation = execution_reservation(core, entry);
    if (reservation != NULL)
        reservation_step(core, reservation, RESERVATION_STEP_CLAIM, "claimed", g_strdup(doc->id));
    doc->instance_uses = instance->doc->uses;
    doc->path = instance->doc->path;
    instance_claim(core, instance, doc->id);
    core_set_string(&doc->instance_id, instance->doc->id);
    core_set_string(&doc->host, instance->doc->host);
    entry->start_shape = doc->shape = instance->doc->shape;
    execution_step(core, entry, EXECUTION_STEP_SEND, "sent to the instance", g_strdup(instance->doc->id));
    execution_set_limits(core, entry);
    struct command *command = core_command_for(doc->host, COMMAND_RUN, doc->instance_id);
    command->execution_id = g_strdup(doc->id);
    command->run = g_new0(struct run_spec, 1);
    command->run->execution_id = g_strdup(doc->id);
    execution_give_program(core, entry, &command->run->program);
    command->run->limits = doc->limits;
    stage_match(core, entry, reservation, command);
    core_emit(core, command);
    entry->give_up_at = core->now + (doc->limits.wall_ms + KILL_GRACE_MS) * CLOCK_MS;
    core_wake_at(core, entry->give_up_at, OBJECT_EXECUTION, doc->id);
}

static gboolean execution_labels_cover(char **announced, char **wanted)
{
    for (; wanted != NULL && *wanted != NULL; wanted++)
        if (announced == NULL || !g_strv_contains((const char *const *)announced, *wanted))
            return FALSE;
    return TRUE;
}

/* The name of what the request asks for and the reservation was not made with, or NULL. */
static const char *execution_uncovered(const struct code_metadata *code, const struct reservation *doc)
{
    if (code->template != NULL && g_strcmp0(code->template, doc->template) != 0)
        return "template";
    if (!execution_labels_cover(doc->notification->code.labels, code->labels))
        return "labels";
    return code->gpu && doc->shape.gpus == 0 ? "gpu" : NULL;
}

/* The best of what was announced for a function: a ready one, else the one that will be ready first. */
static struct reservation_entry *execution_find_sibling(struct core *core, const struct code_metadata *code)
{
    g_autofree char *key = core_key("f", code->tenant, code->function);
    const GQueue *siblings = g_hash_table_lookup(core->by_function, key);
    struct reservation_entry *best = NULL;
    for (GList *link = siblings != NULL ? siblings->head : NULL; link != NULL; link = link->next) {
        struct reservation_entry *entry = link->data;
        static const int rank[RESERVATION_STATE_COUNT] = {[RESERVATION_READY] = 4,
                                                          [RESERVATION_STARTING] = 3,
                                                          [RESERVATION_WAITING] = 2,
                                                          [RESERVATION_SCHEDULED] = 1};
        if (execution_uncovered(code, entry->doc) != NULL)
            continue;
        if (best == NULL || rank[entry->doc->state] > rank[best->doc->state] ||
            (rank[entry->doc->state] == rank[best->doc->state] && entry->doc->arrival_at < best->doc->arrival_at))
            best = entry;
    }
    return best;
}

static gboolean execution_matches_named(const struct execution_entry *entry,
                                        const struct reservation_entry *reservation, GError **error)
{
    const struct code_metadata *announced = &reservation->doc->notification->code;
    if (g_strcmp0(announced->function, entry->doc->code.function) != 0 ||
        g_strcmp0(announced->tenant, entry->doc->code.tenant) != 0) {
        hbr_error_set(error, HBR_ERROR_CONFLICT,
                      "/reservation_id: %s was made for function %s of tenant %s, not for %s of %s",
                      reservation->doc->id, announced->function, announced->tenant, entry->doc->code.function,
                      entry->doc->code.tenant);
        return FALSE;
    }
    const char *uncovered = execution_uncovered(&entry->doc->code, reservation->doc);
    if (uncovered != NULL) {
        hbr_error_set(error, HBR_ERROR_CONFLICT,
                      "/code/%s: is not what reservation %s was made with; right would be to leave it out", uncovered,
                      reservation->doc->id);
        return FALSE;
    }
    if (reservation->doc->execution_id != NULL) {
        hbr_error_set(error, HBR_ERROR_CONFLICT, "/reservation_id: %s belongs to execution %s already",
                      reservation->doc->id, reservation->doc->execution_id);
        return FALSE;
    }
    return TRUE;
}

/* Why nothing that was announced serves it. */
static enum execution_match execution_miss(struct core *core, const struct code_metadata *code)
{
    g_autofree char *key = core_key("f", code->tenant, code->function);
    return g_hash_table_contains(core->by_function, key) ? MATCH_OTHER : MATCH_NONE;
}

/* Finds what was reserved for it; NULL without an error when it must be booted on demand. */
static struct reservation_entry *execution_find_reservation(struct core *core, struct execution_entry *entry,
                                                            const char *id, GError **error)
{
    struct reservation_entry *found;
    if (id == NULL) {
        found = execution_find_sibling(core, &entry->doc->code);
        entry->doc->match = found == NULL                            ? execution_miss(core, &entry->doc->code)
                            : found->doc->state == RESERVATION_READY ? MATCH_FUNCTION
                                                                     : MATCH_EARLY;
        return found;
    }
    found = g_hash_table_lookup(core->reservations, id);
    if (found == NULL) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "/reservation_id: there is no reservation \"%s\"", id);
        return NULL;
    }
    if (!execution_matches_named(entry, found, error))
        return NULL;
    entry->doc->match = found->doc->state == RESERVATION_READY ? MATCH_RESERVATION : MATCH_EARLY;
    if (!reservation_state_is_terminal(found->doc->state))
        return found;
    entry->doc->match = MATCH_RESERVATION_FAILED;
    return NULL;
}

static struct reservation_entry *execution_reserve_on_demand(struct core *core, struct execution_entry *entry,
                                                             GError **error)
{
    struct notification *notification = g_new0(struct notification, 1);
    execution_copy_code(&entry->doc->code, &notification->code);
    notification->deadline_at = entry->doc->deadline_at;
    struct reservation_entry *reservation = core_plan_reservation(core, notification, error);
    if (reservation == NULL)
        return NULL;
    reservation->is_on_demand = TRUE;
    reservation->doc->execution_id = g_strdup(entry->doc->id);
    return reservation;
}

static void execution_bind(struct core *core, struct execution_entry *entry, struct reservation_entry *reservation)
{
    struct reservation *doc = reservation->doc;
    reservation_unindex(core, reservation);
    if (entry->doc->deadline_at != 0)
        reservation_rank(core, reservation, entry->doc->deadline_at);
    core_set_string(&doc->execution_id, entry->doc->id);
    entry->policy = policy_ref(reservation->policy);
    entry->doc->reservation_id = g_strdup(doc->id);
    entry->doc->profile = g_strdup(doc->profile);
    entry->doc->policy_version = doc->policy_version;
    entry->doc->demand = demand_copy(doc->demand);
    core_touch_reservation(core, reservation);
}

void execution_go_on(struct core *core, struct execution_entry *entry)
{
    struct reservation_entry *reservation = execution_reservation(core, entry);
    struct instance_entry *instance =
        reservation != NULL && reservation->doc->state == RESERVATION_READY && reservation->doc->instance_id != NULL
            ? g_hash_table_lookup(core->instances, reservation->doc->instance_id)
            : NULL;
    if (entry->doc->state == EXECUTION_QUEUED && instance != NULL)
        execution_send(core, entry, instance);
}

/* A program that was announced and is named by its digest is here already. */
static void execution_find_source(struct execution_entry *entry, const struct reservation_entry *reservation)
{
    const struct program *announced = reservation->doc->notification->program;
    if (entry->program.source == NULL && entry->program.source_sha256 != NULL && announced != NULL &&
        reservation->source != NULL && g_strcmp0(entry->program.source_sha256, announced->source_sha256) == 0)
        entry->program.source = g_strdup(reservation->source);
}

/* Runs it now, or has its instance hurried along. */
static void execution_proceed(struct core *core, struct execution_entry *entry, struct reservation_entry *reservation)
{
    struct reservation *doc = reservation->doc;
    struct instance_entry *instance =
        doc->instance_id != NULL ? g_hash_table_lookup(core->instances, doc->instance_id) : NULL;
    execution_find_source(entry, reservation);
    stage_fetch_for(core, entry);
    if (doc->state == RESERVATION_READY && instance != NULL && !instance->is_migrating && !entry->awaits_code) {
        execution_send(core, entry, instance);
        return;
    }
    core_stream_event(core, entry, "queued");
    entry->give_up_at =
        entry->doc->deadline_at != 0 ? entry->doc->deadline_at : core->now + entry->policy->limits.queue_ms * CLOCK_MS;
    core_wake_at(core, entry->give_up_at, OBJECT_EXECUTION, entry->doc->id);
    if (doc->state == RESERVATION_SCHEDULED)
        reservation_start(core, reservation);
}

/* Of function and program: a key stands for both. NULL without a key. */
static char *execution_digest(const struct execution_request *request)
{
    if (request->idempotency_key == NULL)
        return NULL;
    g_autoptr(GString) text = g_string_new(request->code.function);
    codec_write(text, &program_codec, &request->program, CODEC_STORE);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
}

/* Announced once is enough; what was told, then or now, is better than what the program looks like. */
static void execution_complete_code(struct execution *doc, const struct reservation_entry *reservation,
                                    const struct code_metadata *guess)
{
    if (reservation != NULL)
        codec_fill_absent(&code_metadata_codec, &doc->code, &reservation->doc->notification->code);
    if (guess != NULL)
        codec_fill_absent(&code_metadata_codec, &doc->code, guess);
}

static struct execution_entry *execution_entry_new(struct core *core, struct event *event)
{
    struct execution_request *request = event->execution_request;
    struct execution_entry *entry = g_new0(struct execution_entry, 1);
    entry->doc = g_new0(struct execution, 1);
    entry->doc->id = id_new("exec", core->now, core->random);
    entry->doc->program_sha256 = execution_digest(request);
    entry->doc->idempotency_key = g_steal_pointer(&request->idempotency_key);
    entry->doc->code = request->code;
    memset(&request->code, 0, sizeof request->code);
    if (entry->doc->code.tenant == NULL)
        entry->doc->code.tenant = g_strdup("default");
    entry->doc->created_at = core->now;
    entry->doc->deadline_at = request->deadline_at;
    entry->doc->limits = request->limits;
    entry->program = request->program;
    entry->code_digest = program_digest(&entry->program);
    entry->program_bytes = execution_program_bytes(&entry->program);
    core->program_bytes += entry->program_bytes;
    memset(&request->program, 0, sizeof request->program);
    entry->detach = request->detach;
    entry->request = event->request;
    return entry;
}

static GError *execution_objection(const struct core *core, const struct execution_request *request)
{
    const struct program *program = &request->program;
    if (core->shutting_down)
        return hbr_error_new(HBR_ERROR_UNAVAILABLE, "the daemon is shutting down");
    if (core->open_executions >= core->policy->limits.executions_max)
        return hbr_error_new(HBR_ERROR_EXHAUSTED,
                             "%u executions are open, the policy's limits.executions_max; try later",
                             core->open_executions);
    if (core->program_bytes > PROGRAM_BYTES_MAX)
        return hbr_error_new(HBR_ERROR_EXHAUSTED,
                             "programs of %d MiB wait for their VMs, no more are taken in; try later",
                             PROGRAM_BYTES_MAX >> 20);
    if (request->deadline_at > core->now + CORE_HORIZON)
        return hbr_error_new(HBR_ERROR_INVALID, "/deadline_at: is more than 366 days away");
    if (request->deadline_at != 0 && request->deadline_at <= core->now)
        return hbr_error_new(HBR_ERROR_INVALID, "/deadline_at: is in the past; right would be a time to come");
    GError *error = NULL;
    program_check_runnable(program, &error);
    return error;
}

/* An execution that was asked for twice is run once: the second caller gets its end, or learns that it runs. */
static gboolean execution_answer_repeat(struct core *core, const struct event *event)
{
    const struct execution_request *request = event->execution_request;
    if (request->idempotency_key == NULL)
        return FALSE;
    g_autofree char *key =
        core_key("x", request->code.tenant != NULL ? request->code.tenant : "default", request->idempotency_key);
    const char *id = g_hash_table_lookup(core->keys, key);
    struct execution_entry *entry = id != NULL ? g_hash_table_lookup(core->executions, id) : NULL;
    if (entry == NULL || entry->doc->created_at + core->policy->limits.idempotency_ms * CLOCK_MS < core->now)
        return FALSE;
    g_autofree char *digest = execution_digest(request);
    if (g_strcmp0(digest, entry->doc->program_sha256) != 0) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT,
                                       "/idempotency_key: stands for another program already (execution %s)", id));
        return TRUE;
    }
    if (!execution_state_is_terminal(entry->doc->state)) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT,
                                       "/idempotency_key: execution %s of this key is %s; wait for it with GET", id,
                                       codec_word(&execution_state_words, entry->doc->state)));
        return TRUE;
    }
    struct command *line = core_line_new(event->request, "finished", "execution", &execution_codec, entry->doc);
    line->end = TRUE;
    core_emit(core, line);
    return TRUE;
}

static void execution_register(struct core *core, struct execution_entry *entry)
{
    struct execution *doc = entry->doc;
    core->open_executions++;
    core->counters[COUNTER_EXECUTIONS]++;
    core->matches[doc->match]++;
    g_hash_table_insert(core->executions, doc->id, entry);
    if (doc->idempotency_key != NULL)
        g_hash_table_insert(core->keys, core_key("x", doc->code.tenant, doc->idempotency_key), g_strdup(doc->id));
    if (entry->request != 0)
        g_hash_table_insert(core->streams, &entry->request, entry);
    timeline_add(&doc->timeline, core->now, "execution requested",
                 g_strdup_printf("match: %s", codec_word(&execution_match_words, doc->match)));
    core_touch_execution(core, entry);
}

void core_execute(struct core *core, struct event *event)
{
    if (execution_answer_repeat(core, event))
        return;
    GError *error = execution_objection(core, event->execution_request);
    if (error != NULL) {
        core_reply_error(core, event->request, error);
        return;
    }
    g_autofree char *reservation_id = g_steal_pointer(&event->execution_request->reservation_id);
    struct execution_entry *entry = execution_entry_new(core, event);
    struct reservation_entry *reservation = execution_find_reservation(core, entry, reservation_id, &error);
    const gboolean is_on_demand = reservation == NULL;
    execution_complete_code(entry->doc, reservation, event->guess);
    if (reservation == NULL && error == NULL)
        reservation = execution_reserve_on_demand(core, entry, &error);
    if (error != NULL) {
        core_reply_error(core, event->request, error);
        execution_drop_program(core, entry);
        execution_entry_free(entry);
        return;
    }
    execution_register(core, entry);
    if (is_on_demand)
        core_admit_reservation(core, reservation);
    execution_bind(core, entry, reservation);
    execution_proceed(core, entry, reservation);
}

static void execution_started(struct core *core, struct execution_entry *entry)
{
    if (!execution_step(core, entry, EXECUTION_STEP_START, "started", NULL))
        return;
    entry->doc->started_at = core->now;
    struct instance_entry *instance = execution_instance(core, entry);
    if (instance != NULL)
        scale_begin(core, entry, instance);
    core_stream_event(core, entry, "started");
}

static void execution_give_credit(struct core *core, const struct execution_entry *entry, gint64 count)
{
    struct command *command = core_command_for(entry->doc->host, COMMAND_OUTPUT_CREDIT, entry->doc->instance_id);
    command->execution_id = g_strdup(entry->doc->id);
    command->count = count;
    core_emit(core, command);
}

static void execution_output(struct core *core, struct execution_entry *entry, struct event *event)
{
    const gsize length = event->bytes != NULL ? g_bytes_get_size(event->bytes) : 0;
    entry->doc->output_bytes += (gint64)length;
    if (entry->doc->first_output_at == 0) {
        entry->doc->first_output_at = core->now;
        timeline_add(&entry->doc->timeline, core->now, "first output", NULL);
    }
    if (entry->request == 0) {
        execution_give_credit(core, entry, (gint64)length);
        return;
    }
    entry->unconsumed += (gint64)length;
    struct command *line = command_new(COMMAND_STREAM);
    line->request = entry->request;
    line->stream = event->stream;
    line->body = g_steal_pointer(&event->bytes);
    core_emit(core, line);
}

static void execution_clear_run(struct execution_entry *entry)
{
    struct execution *doc = entry->doc;
    for (guint i = 0; doc->course != NULL && i < doc->course->len; i++)
        usage_slot_free(doc->course->pdata[i]);
    g_clear_pointer(&doc->course, g_ptr_array_unref);
    g_clear_pointer(&doc->result, run_result_free);
    g_clear_pointer(&doc->reservation_id, g_free);
    g_clear_pointer(&doc->instance_id, g_free);
    g_clear_pointer(&doc->profile, g_free);
    g_clear_pointer(&doc->demand, demand_free);
    g_clear_pointer(&entry->policy, policy_unref);
    doc->started_at = 0;
    entry->give_up_at = 0;
}

#define GUEST_TAKES_MIB 64 /* of a VM's memory at most; what is left is the limit of all its code */

/* What it had, times the policy's factor; 0 when no instance could have more than this one had, or when it was its own limit that it ran into. */
static guint execution_retry_mib(struct core *core, const struct execution_entry *entry)
{
    const struct instance_entry *instance = execution_instance(core, entry);
    const struct policy_function *function = policy_function_of(entry->policy, &entry->doc->code);
    const guint own_mib = entry->doc->limits.memory_mib;
    if (instance == NULL || instance->doc->shape.memory_mib >= instance->doc->maximum.memory_mib ||
        (own_mib > 0 && own_mib + GUEST_TAKES_MIB <= instance->doc->shape.memory_mib))
        return 0;
    return MIN((guint)(instance->doc->shape.memory_mib * function->retry_memory), instance->doc->maximum.memory_mib);
}

/* It ran out of memory before anybody saw anything of it: it begins anew in a larger instance. FALSE when that cannot be. */
static gboolean execution_retry(struct core *core, struct execution_entry *entry)
{
    const guint memory_mib = execution_retry_mib(core, entry);
    GError *error = NULL;
    if (!execution_may_retry(entry) || entry->cancelled || entry->doc->output_bytes > 0 || memory_mib == 0 ||
        core->shutting_down)
        return FALSE;
    if (!execution_step(core, entry, EXECUTION_STEP_RETRY, "ran out of memory, and is run once more",
                        g_strdup_printf("with %u MiB in place of %u", memory_mib, entry->doc->shape.memory_mib)))
        return FALSE;
    execution_leave(core, entry);
    entry->doc->retries++;
    core->counters[COUNTER_RETRIES]++;
    execution_clear_run(entry);
    core_stream_event(core, entry, "retried");
    struct reservation_entry *reservation = execution_reserve_on_demand(core, entry, &error);
    if (reservation == NULL) {
        execution_fail(core, entry, "it ran out of memory, and could not be run once more: %s", error->message);
        g_error_free(error);
        return TRUE;
    }
    struct vm_shape *shape = &reservation->doc->shape;
    shape->memory_mib = MIN(MAX(shape->memory_mib, memory_mib), reservation->doc->maximum.memory_mib);
    core_admit_reservation(core, reservation);
    execution_bind(core, entry, reservation);
    execution_proceed(core, entry, reservation);
    return TRUE;
}

static void execution_exited(struct core *core, struct execution_entry *entry, struct run_result *result)
{
    struct execution *doc = entry->doc;
    run_result_free(doc->result);
    doc->result = result;
    if (result->memory_peak_bytes > 0)
        doc->memory_peak_mib = MAX(doc->memory_peak_mib, (guint)(result->memory_peak_bytes >> 20));
    if (result->reason == EXIT_LOST) {
        execution_lost(core, entry, result->message != NULL ? result->message : "the VM died");
        return;
    }
    if (result->reason == EXIT_REFUSED) {
        execution_fail(core, entry, "the guest could not start it: %s",
                       result->message != NULL ? result->message : "no reason given");
        return;
    }
    if (entry->cancelled)
        result->reason = EXIT_CANCELLED;
    if (result->reason == EXIT_OUT_OF_MEMORY && execution_retry(core, entry))
        return;
    g_autofree char *detail = result->reason == EXIT_EXITED ? g_strdup_printf("status %u", result->status)
                              : result->reason == EXIT_SIGNALLED
                                  ? g_strdup_printf("signal %u", result->status)
                                  : g_strdup(codec_word(&exit_reason_words, result->reason));
    if (execution_step(core, entry, entry->cancelled ? EXECUTION_STEP_CANCEL : EXECUTION_STEP_EXIT, "ended",
                       g_steal_pointer(&detail)))
        execution_end(core, entry);
}

void execution_on_run(struct core *core, struct event *event)
{
    struct execution_entry *entry = g_hash_table_lookup(core->executions, event->execution_id);
    if (entry == NULL || execution_state_is_terminal(entry->doc->state))
        return;
    if (event->kind == EVENT_RUN_STARTED)
        execution_started(core, entry);
    else if (event->kind == EVENT_RUN_OUTPUT)
        execution_output(core, entry, event);
    else
        execution_exited(core, entry, g_steal_pointer(&event->result));
}

void execution_client_gone(struct core *core, guint64 request)
{
    struct execution_entry *entry = g_hash_table_lookup(core->streams, &request);
    if (entry == NULL)
        return;
    g_hash_table_remove(core->streams, &request);
    entry->request = 0;
    if (!entry->detach)
        execution_cancel(core, entry, "its client went away");
    else if (entry->unconsumed > 0)
        execution_give_credit(core, entry, entry->unconsumed);
    entry->unconsumed = 0;
}

void execution_output_consumed(struct core *core, guint64 request, gint64 count)
{
    struct execution_entry *entry = g_hash_table_lookup(core->streams, &request);
    if (entry == NULL || execution_state_is_terminal(entry->doc->state))
        return;
    entry->unconsumed -= count;
    execution_give_credit(core, entry, count);
}

void execution_tick(struct core *core, struct execution_entry *entry)
{
    struct execution *doc = entry->doc;
    if (execution_state_is_terminal(doc->state) || entry->give_up_at == 0 || core->now < entry->give_up_at)
        return;
    if (doc->state == EXECUTION_QUEUED) {
        const struct reservation_entry *reservation = execution_reservation(core, entry);
        if (doc->deadline_at == 0 && reservation != NULL && reservation->doc->state == RESERVATION_STARTING)
            return; /* it has its place; the boot has a time limit of its own */
        execution_fail(core, entry,
                       doc->deadline_at != 0 ? "its deadline passed before an instance was ready"
                                             : "no host had room for it within the policy's limits.queue");
        return;
    }
    entry->kill_reason = entry->cancelled
                             ? "cancelled, and the guest did not end it in time; its VM was destroyed"
                             : "it ran over its wall-clock limit and the guest did not end it; its VM was destroyed";
    struct instance_entry *instance = execution_instance(core, entry);
    if (instance != NULL && instance->doc->state < INSTANCE_STOPPING)
        instance_destroy(core, instance, entry->kill_reason);
    else
        execution_lost(core, entry, entry->kill_reason);
}

void core_stdin(struct core *core, struct event *event)
{
    struct execution_entry *entry = g_hash_table_lookup(core->executions, event->id);
    if (entry == NULL) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_NOT_FOUND, "there is no execution \"%s\"", event->id));
        return;
    }
    if (entry->doc->state != EXECUTION_RUNNING && entry->doc->state != EXECUTION_STARTING) {
        core_reply_error(core, event->request,
                         hbr_error_new(HBR_ERROR_CONFLICT, "execution %s is %s and takes no input", event->id,
                                       codec_word(&execution_state_words, entry->doc->state)));
        return;
    }
    struct command *command = core_command_for(entry->doc->host, COMMAND_STDIN, entry->doc->instance_id);
    command->execution_id = g_strdup(entry->doc->id);
    command->request = event->request;
    command->bytes = g_steal_pointer(&event->bytes);
    command->eof = event->eof;
    core_emit(core, command);
}

void core_stdin_taken(struct core *core, struct event *event)
{
    if (event->error != NULL) {
        core_reply_error(core, event->request, g_steal_pointer(&event->error));
        return;
    }
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = event->request;
    reply->status = 204;
    core_emit(core, reply);
}
