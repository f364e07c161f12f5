/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/session.h"

#include "base/error.h"
#include "base/log.h"
#include "wire/message.h"

#include <string.h>

/* What fits into one EXEC frame beside arguments and environment; anything larger follows in pieces. */
#define INLINE_MAX (160u * 1024)
#define CHUNK_BYTES (64u * 1024)

enum run_phase {
    RUN_CODE,    /* the source is being sent */
    RUN_FILES,   /* file by file */
    RUN_STAGING, /* all of it is there; held at the latest when HELD comes */
    RUN_STAGED,  /* it waits to be let go */
    RUN_GOING,   /* started; standard input flows */
};

struct stdin_chunk {
    GBytes *bytes; /* NULL: only the end */
    gsize offset;
    guint64 request;
    gboolean eof, is_asked; /* somebody waits for stdin_taken */
};

struct session_run {
    struct session *session;
    struct run_spec *spec;
    guint32 stream;
    struct wire_credit credit;
    enum run_phase phase;
    gsize code_offset;
    guint file;
    guint32 file_stream; /* 0: the next file is not begun */
    gsize file_offset;
    struct wire_credit file_credit;
    GQueue stdin;
    gboolean stdin_ended, is_cancelled;
    gboolean is_stage;      /* a program that is to stand ready: not an execution yet */
    gboolean awaits_start;  /* it was staged and let go; it may have died before */
    gint64 staged_since_us; /* monotonic */
    char *refusal;          /* why we ended it before its start */
};

static void chunk_free(gpointer data)
{
    struct stdin_chunk *chunk = data;
    g_clear_pointer(&chunk->bytes, g_bytes_unref);
    g_free(chunk);
}

void session_run_free(gpointer data)
{
    struct session_run *run = data;
    run_spec_free(run->spec);
    g_queue_clear_full(&run->stdin, chunk_free);
    g_free(run->refusal);
    g_free(run);
}

static struct session_run *run_of_stream(struct session *session, guint32 stream)
{
    return g_hash_table_lookup(session->runs, GUINT_TO_POINTER(stream));
}

static struct session_run *run_of_file(struct session *session, guint32 stream)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, session->runs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct session_run *run = value;
        if (stream != 0 && run->file_stream == stream)
            return run;
    }
    return NULL;
}

static struct session_run *run_of_execution(struct session *session, const char *execution_id)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, session->runs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct session_run *run = value;
        if (strcmp(run->spec->execution_id, execution_id) == 0)
            return run;
    }
    return NULL;
}

static struct session_run *run_of_stage(struct session *session)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, session->runs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct session_run *run = value;
        if (run->is_stage)
            return run;
    }
    return NULL;
}

static void stdin_answer(struct session_run *run, const struct stdin_chunk *chunk, GError *error)
{
    const struct guest *guest = &run->session->guest;
    if (chunk->is_asked)
        guest->watch->stdin_taken(guest->owner, run->spec->execution_id, chunk->request, error);
    else
        g_clear_error(&error);
}

static void stdin_fail_all(struct session_run *run)
{
    for (struct stdin_chunk *chunk; (chunk = g_queue_pop_head(&run->stdin)) != NULL; chunk_free(chunk))
        stdin_answer(run, chunk, hbr_error_new(HBR_ERROR_CONFLICT, "the program has ended"));
}

/* Reports the end and forgets the run. */
static void run_end(struct session_run *run, struct run_result *result)
{
    struct session *session = run->session;
    stdin_fail_all(run);
    session->guest.watch->run_exit(session->guest.owner, run->spec->execution_id, result);
    g_hash_table_remove(session->runs, GUINT_TO_POINTER(run->stream));
}

/* The program stands ready no more; when that it did was told already, it is found out when it is to go. Takes the error. */
static void stage_end(struct session_run *run, GError *error)
{
    struct session *session = run->session;
    g_hash_table_steal(session->runs, GUINT_TO_POINTER(run->stream));
    if (run->phase == RUN_STAGED) {
        log_info("host", "a staged program is gone: %s", error->message);
        g_error_free(error);
    } else {
        session->guest.watch->staged(session->guest.owner, run->spec->execution_id, 0, error);
    }
    session_run_free(run);
}

static struct run_result *result_refused(const char *text)
{
    struct run_result *result = g_new0(struct run_result, 1);
    result->reason = EXIT_REFUSED;
    result->message = g_strdup(text);
    return result;
}

static guint32 chunk_size(gsize left, const struct wire_credit *credit)
{
    return (guint32)MIN(MIN(left, CHUNK_BYTES), credit->to_send);
}

/* Sends of a source as long as there is credit. TRUE when it is out. */
static gboolean pump_code(struct session_run *run)
{
    const char *source = run->spec->program.source;
    const gsize length = strlen(source);
    while (run->code_offset < length && run->credit.to_send > 0) {
        const guint32 size = chunk_size(length - run->code_offset, &run->credit);
        session_send_data(run->session, WIRE_TYPE_CODE, 0, run->stream, source + run->code_offset, size);
        run->code_offset += size;
        run->credit.to_send -= size;
    }
    return run->code_offset == length;
}

static void file_begin(struct session_run *run, const struct program_file *file)
{
    const struct wire_put_file put = {.path = wire_text(file->path), .mode = file->mode, .exec_stream = run->stream};
    run->file_stream = session_next_stream(run->session);
    run->file_offset = 0;
    wire_credit_init(&run->file_credit);
    session_send(run->session, WIRE_TYPE_PUT_FILE, 0, run->file_stream, &put);
}

static void file_send_empty(struct session_run *run)
{
    session_send_data(run->session, WIRE_TYPE_DATA, WIRE_FLAG_FIN, run->file_stream, NULL, 0);
    run->file_offset = G_MAXSIZE;
}

/* One file after the other, the next one when the guest has the last. TRUE when there is none left. */
static gboolean pump_files(struct session_run *run)
{
    const GPtrArray *files = run->spec->program.files;
    if (files == NULL || run->file >= files->len)
        return TRUE;
    const struct program_file *file = g_ptr_array_index(files, run->file);
    if (run->file_stream == 0)
        file_begin(run, file);
    gsize length = 0;
    const guint8 *data = file->content == NULL ? NULL : g_bytes_get_data(file->content, &length);
    if (length == 0 && run->file_offset == 0)
        file_send_empty(run);
    while (run->file_offset < length && run->file_credit.to_send > 0) {
        const guint32 size = chunk_size(length - run->file_offset, &run->file_credit);
        const gboolean is_last = run->file_offset + size == length;
        session_send_data(run->session, WIRE_TYPE_DATA, is_last ? WIRE_FLAG_FIN : 0, run->file_stream,
                          data + run->file_offset, size);
        run->file_offset += size;
        run->file_credit.to_send -= size;
    }
    return FALSE;
}

/* One chunk of standard input, as much as there is credit for. TRUE when all of it is out. */
static gboolean pump_stdin_chunk(struct session_run *run, struct stdin_chunk *chunk)
{
    gsize length = 0;
    const guint8 *data = chunk->bytes == NULL ? NULL : g_bytes_get_data(chunk->bytes, &length);
    while (chunk->offset < length && run->credit.to_send > 0) {
        const guint32 size = chunk_size(length - chunk->offset, &run->credit);
        const gboolean is_last = chunk->eof && chunk->offset + size == length;
        session_send_data(run->session, WIRE_TYPE_STDIN, is_last ? WIRE_FLAG_FIN : 0, run->stream, data + chunk->offset,
                          size);
        chunk->offset += size;
        run->credit.to_send -= size;
    }
    if (length == 0 && chunk->eof)
        session_send_data(run->session, WIRE_TYPE_STDIN, WIRE_FLAG_FIN, run->stream, NULL, 0);
    return chunk->offset == length;
}

/* What is answered cannot be sent a second time: it waits until it is known that the staged program runs. */
static void pump_stdin(struct session_run *run)
{
    for (struct stdin_chunk *chunk; (chunk = g_queue_peek_head(&run->stdin)) != NULL; chunk_free(chunk)) {
        if ((run->awaits_start && chunk->is_asked) || !pump_stdin_chunk(run, chunk))
            return;
        g_queue_pop_head(&run->stdin);
        stdin_answer(run, chunk, NULL);
    }
}

/* Goes as far as the credit allows. */
static void run_pump(struct session_run *run)
{
    struct session *session = run->session;
    if (run->phase == RUN_CODE && pump_code(run))
        run->phase = RUN_FILES;
    if (run->phase == RUN_FILES && pump_files(run)) {
        session_send(session, WIRE_TYPE_EXEC_GO, 0, run->stream, NULL);
        run->phase = run->is_stage ? RUN_STAGING : RUN_GOING;
    }
    if (run->phase == RUN_GOING)
        pump_stdin(run);
    session_flush(session);
}

static gsize program_file_size(const struct program_file *file)
{
    return strlen(file->path) + (file->content == NULL ? 0 : g_bytes_get_size(file->content)) + 64;
}

static gboolean program_fits_inline(const struct program *program)
{
    gsize size = program->source == NULL ? 0 : strlen(program->source);
    if (program->files != NULL && program->files->len > WIRE_FILES_MAX)
        return FALSE;
    for (guint i = 0; program->files != NULL && i < program->files->len && size <= INLINE_MAX; i++)
        size += program_file_size(g_ptr_array_index(program->files, i));
    return size <= INLINE_MAX;
}

static void exec_set_files(struct wire_exec *exec, const struct program *program)
{
    for (guint i = 0; program->files != NULL && i < program->files->len; i++) {
        const struct program_file *file = g_ptr_array_index(program->files, i);
        gsize length = 0;
        const void *data = file->content == NULL ? NULL : g_bytes_get_data(file->content, &length);
        exec->files[exec->n_files++] =
            (struct wire_file){.path = wire_text(file->path), .mode = file->mode, .content = wire_slice(data, length)};
    }
}

/* Copies a string vector into slices; FALSE when it is too long. */
static gboolean exec_set_texts(char **texts, struct wire_slice *slices, guint32 *count, guint max)
{
    for (char **text = texts; text != NULL && *text != NULL; text++) {
        if (*count == max)
            return FALSE;
        slices[(*count)++] = wire_text(*text);
    }
    return TRUE;
}

/* As far as the protocol goes: what is not loaded ahead is loaded when the program asks for it. */
static void exec_set_preload(struct wire_exec *exec, const struct run_spec *spec)
{
    guint n_left = 0;
    for (char **name = spec->preload; name != NULL && *name != NULL; name++) {
        if (exec->n_preload == WIRE_PRELOAD_MAX || strlen(*name) > WIRE_MODULE_NAME_MAX || strchr(*name, '\n') != NULL)
            n_left++;
        else
            exec->preload[exec->n_preload++] = wire_text(*name);
    }
    if (n_left > 0)
        log_info("host", "%s: %u modules are beyond the guest protocol, and not loaded ahead", spec->execution_id,
                 n_left);
}

static guint64 wire_limit(gint64 limit)
{
    return (guint64)MAX(limit, 0);
}

static gboolean wants_stdin(const struct program *program)
{
    return program->stdin_bytes != NULL || program->stdin_open;
}

static const char *exec_fill(struct wire_exec *exec, const struct run_spec *spec, gboolean is_inline, gboolean is_stage)
{
    const struct program *program = &spec->program;
    exec->interpreter = wire_text(program->interpreter);
    exec->cwd = wire_text(program->cwd);
    exec->memory_limit_mib = spec->limits.memory_mib;
    exec->pids_limit = spec->limits.pids;
    exec->wall_limit_ms = wire_limit(spec->limits.wall_ms);
    if (is_stage) {
        exec->hold = exec->with_stdin = 1; /* whether it wants any is told when it is let go */
        exec_set_preload(exec, spec);
    } else {
        exec->output_limit_bytes = wire_limit(spec->limits.output_bytes);
        exec->with_stdin = wants_stdin(program);
    }
    if (!exec_set_texts(program->argv, exec->args, &exec->n_args, WIRE_ARGS_MAX))
        return "the guest protocol takes at most 256 arguments";
    if (!exec_set_texts(program->env, exec->env, &exec->n_env, WIRE_ENV_MAX))
        return "the guest protocol takes at most 256 environment variables";
    if (is_inline) {
        exec->code = wire_text(program->source);
        exec_set_files(exec, program);
    }
    return NULL;
}

static struct session_run *run_new(struct session *session, struct run_spec *spec)
{
    struct session_run *run = g_new0(struct session_run, 1);
    run->session = session;
    run->spec = spec;
    run->stream = session_next_stream(session);
    wire_credit_init(&run->credit);
    g_queue_init(&run->stdin);
    g_hash_table_insert(session->runs, GUINT_TO_POINTER(run->stream), run);
    return run;
}

static void run_refuse(struct session_run *run, const char *text)
{
    if (run->is_stage)
        stage_end(run, hbr_error_new(HBR_ERROR_GUEST, "%s", text));
    else
        run_end(run, result_refused(text));
}

static void stdin_push(struct session_run *run, guint64 request, GBytes *bytes, gboolean eof, gboolean is_asked)
{
    struct stdin_chunk *chunk = g_new0(struct stdin_chunk, 1);
    chunk->bytes = bytes == NULL ? NULL : g_bytes_ref(bytes);
    chunk->request = request;
    chunk->eof = eof;
    chunk->is_asked = is_asked;
    run->stdin_ended |= eof;
    g_queue_push_tail(&run->stdin, chunk);
}

/* The EXEC message as far as it fits one frame; else why it cannot be sent. */
static const char *run_send_exec(struct session_run *run, gboolean is_inline)
{
    struct session *session = run->session;
    struct wire_exec *exec = g_new0(struct wire_exec, 1);
    const char *refusal = exec_fill(exec, run->spec, is_inline, run->is_stage);
    if (refusal == NULL &&
        !wire_message_write(&session->out, WIRE_TYPE_EXEC, is_inline ? WIRE_FLAG_FIN : 0, run->stream, exec))
        refusal = "arguments, environment and file names exceed what one request may hold (256 KiB, 4 KiB a piece)";
    g_free(exec);
    return refusal;
}

static void run_begin(struct session_run *run)
{
    const struct program *program = &run->spec->program;
    const gboolean is_inline = program_fits_inline(program);
    const char *refusal = run_send_exec(run, is_inline);
    if (refusal != NULL) {
        run_refuse(run, refusal);
        return;
    }
    if (!is_inline)
        run->phase = program->source != NULL ? RUN_CODE : RUN_FILES;
    else
        run->phase = run->is_stage ? RUN_STAGING : RUN_GOING;
    run_pump(run);
}

static void push_first_stdin(struct session_run *run)
{
    const struct program *program = &run->spec->program;
    if (program->stdin_bytes != NULL)
        stdin_push(run, 0, program->stdin_bytes, !program->stdin_open, FALSE);
}

/* Lets the staged program go, as this run. Takes the spec. */
static void run_adopt(struct session_run *run, struct run_spec *spec)
{
    const struct run_limits staged = run->spec->limits;
    const struct wire_limits limits = {.memory_limit_mib = spec->limits.memory_mib, .pids_limit = spec->limits.pids};
    const struct wire_go go = {
        .wall_limit_ms = wire_limit(spec->limits.wall_ms),
        .output_limit_bytes = wire_limit(spec->limits.output_bytes),
        .without_stdin = !wants_stdin(&spec->program),
    };
    run_spec_free(run->spec);
    run->spec = spec;
    run->is_stage = FALSE;
    run->awaits_start = TRUE;
    run->phase = RUN_GOING;
    if (staged.memory_mib != spec->limits.memory_mib || staged.pids != spec->limits.pids)
        session_send(run->session, WIRE_TYPE_LIMITS, 0, run->stream, &limits);
    session_send(run->session, WIRE_TYPE_EXEC_GO, 0, run->stream, &go);
    push_first_stdin(run);
    run_pump(run);
}

/* What was let go had died before: the run begins from nothing, with all of its standard input. */
static void run_restart(struct session_run *run)
{
    struct session *session = run->session;
    GQueue asked = G_QUEUE_INIT;
    for (struct stdin_chunk *chunk; (chunk = g_queue_pop_head(&run->stdin)) != NULL;) {
        if (chunk->is_asked)
            g_queue_push_tail(&asked, chunk);
        else
            chunk_free(chunk);
    }
    g_hash_table_steal(session->runs, GUINT_TO_POINTER(run->stream));
    run->stream = session_next_stream(session);
    g_hash_table_insert(session->runs, GUINT_TO_POINTER(run->stream), run);
    wire_credit_init(&run->credit);
    run->awaits_start = FALSE;
    push_first_stdin(run);
    for (struct stdin_chunk *chunk; (chunk = g_queue_pop_head(&asked)) != NULL;)
        g_queue_push_tail(&run->stdin, chunk);
    run->code_offset = run->file_offset = run->file = 0;
    run_begin(run);
}

static void drop_staged(struct session_run *run, const char *why)
{
    struct session *session = run->session;
    session_send(session, WIRE_TYPE_KILL, 0, run->stream, NULL);
    stage_end(run, hbr_error_new(HBR_ERROR_CANCELLED, "%s", why));
    session_flush(session);
}

void session_run_start(struct session *session, struct run_spec *spec)
{
    struct session_run *staged = run_of_stage(session);
    if (staged != NULL && staged->phase == RUN_STAGED && spec->is_staged) {
        run_adopt(staged, spec);
        return;
    }
    if (staged != NULL)
        drop_staged(staged, "another program came first");
    struct session_run *run = run_new(session, spec);
    push_first_stdin(run);
    run_begin(run);
}

void session_run_stage(struct session *session, struct run_spec *spec)
{
    struct session_run *staged = run_of_stage(session);
    if (staged != NULL)
        drop_staged(staged, "another program is staged in its place");
    struct session_run *run = run_new(session, spec);
    run->is_stage = TRUE;
    run->staged_since_us = g_get_monotonic_time();
    if (session->can_hold)
        run_begin(run);
    else
        stage_end(run, hbr_error_new(HBR_ERROR_UNSUPPORTED, "the agent of this guest cannot hold a program ready"));
}

void session_run_stdin(struct session *session, const char *execution_id, guint64 request, GBytes *bytes, gboolean eof)
{
    struct session_run *run = run_of_execution(session, execution_id);
    if (run == NULL || run->stdin_ended) {
        session->guest.watch->stdin_taken(session->guest.owner, execution_id, request,
                                          hbr_error_new(HBR_ERROR_CONFLICT, "the program's standard input is closed"));
        return;
    }
    stdin_push(run, request, bytes, eof, TRUE);
    run_pump(run);
}

void session_run_credit(struct session *session, const char *execution_id, gint64 count)
{
    struct session_run *run = run_of_execution(session, execution_id);
    if (run == NULL || count <= 0)
        return;
    const struct wire_window window = {.credit =
                                           wire_credit_consumed(&run->credit, (guint32)MIN(count, WIRE_WINDOW_MAX))};
    if (window.credit == 0)
        return;
    session_send(session, WIRE_TYPE_WINDOW, 0, run->stream, &window);
    session_flush(session);
}

void session_run_cancel(struct session *session, const char *execution_id)
{
    struct session_run *run = run_of_execution(session, execution_id);
    if (run == NULL)
        return;
    run->is_cancelled = TRUE;
    session_send(session, WIRE_TYPE_KILL, 0, run->stream, NULL);
    session_flush(session);
}

static void on_started(struct session_run *run, const struct wire_frame *frame)
{
    const struct guest *guest = &run->session->guest;
    (void)frame;
    if (run->is_stage)
        return;
    guest->watch->run_started(guest->owner, run->spec->execution_id);
    if (!run->awaits_start)
        return;
    run->awaits_start = FALSE;
    run_pump(run);
}

static void on_held(struct session_run *run, const struct wire_frame *frame)
{
    struct session *session = run->session;
    struct wire_held held;
    if (!wire_message_read(frame, &held, NULL)) {
        g_autoptr(GError) error =
            hbr_error_new(HBR_ERROR_GUEST, "the agent's report of a held program does not decode");
        session_fail(session, error);
        return;
    }
    if (run->phase != RUN_STAGING)
        return;
    g_autofree char *text = g_utf8_make_valid(held.text.size > 0 ? held.text.data : "", held.text.size);
    g_autofree char *line = g_strescape(text, NULL);
    if (*line != '\0')
        log_info("host", "%s: not loaded ahead: %s", run->spec->execution_id, line);
    run->phase = RUN_STAGED;
    session->guest.watch->staged(session->guest.owner, run->spec->execution_id,
                                 g_get_monotonic_time() - run->staged_since_us, NULL);
}

static void on_output(struct session_run *run, const struct wire_frame *frame)
{
    struct session *session = run->session;
    if (!wire_credit_received(&run->credit, frame->size)) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_GUEST, "the agent sent more output than it had credit for");
        session_fail(session, error);
        return;
    }
    if (frame->size > 0 && !run->is_stage && !run->awaits_start)
        session->guest.watch->run_output(session->guest.owner, run->spec->execution_id,
                                         frame->type == WIRE_TYPE_STDOUT ? 1 : 2,
                                         g_bytes_new(frame->payload, frame->size));
}

static void on_window(struct session_run *run, const struct wire_frame *frame)
{
    struct wire_window window;
    const gboolean is_file = frame->stream == run->file_stream;
    if (wire_message_read(frame, &window, NULL) &&
        wire_credit_granted(is_file ? &run->file_credit : &run->credit, window.credit)) {
        run_pump(run);
        return;
    }
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_GUEST, "the agent granted more credit than there can be");
    session_fail(run->session, error);
}

static const enum exit_reason exit_reasons[] = {
    [WIRE_REASON_EXITED] = EXIT_EXITED,
    [WIRE_REASON_SIGNALLED] = EXIT_SIGNALLED,
    [WIRE_REASON_WALL_LIMIT] = EXIT_WALL_CLOCK,
    [WIRE_REASON_OOM] = EXIT_OUT_OF_MEMORY,
    [WIRE_REASON_OUTPUT_LIMIT] = EXIT_OUTPUT_LIMIT,
    [WIRE_REASON_KILLED] = EXIT_CANCELLED,
    [WIRE_REASON_LOST] = EXIT_LOST,
    [WIRE_REASON_REFUSED] = EXIT_REFUSED,
};

static gint64 to_int64(guint64 value)
{
    return (gint64)MIN(value, (guint64)G_MAXINT64);
}

static struct run_result *result_of_exit(const struct wire_exit *exit)
{
    struct run_result *result = g_new0(struct run_result, 1);
    *result = (struct run_result){
        .reason = exit->reason < G_N_ELEMENTS(exit_reasons) ? exit_reasons[exit->reason] : EXIT_LOST,
        .status = exit->reason == WIRE_REASON_EXITED ? exit->status : exit->signal,
        .message = exit->text.size > 0 ? g_utf8_make_valid(exit->text.data, exit->text.size) : NULL,
        .wall_us = to_int64(exit->wall_us),
        .cpu_user_us = to_int64(exit->cpu_user_us),
        .cpu_system_us = to_int64(exit->cpu_system_us),
        .memory_peak_bytes = to_int64(exit->memory_peak_bytes),
        .io_read_bytes = to_int64(exit->io_read_bytes),
        .io_write_bytes = to_int64(exit->io_write_bytes),
        .network_rx_bytes = to_int64(exit->net_rx_bytes),
        .network_tx_bytes = to_int64(exit->net_tx_bytes),
        .pids_peak = exit->pids_peak,
    };
    return result;
}

static GError *error_of_stage(const struct run_result *result)
{
    const char *reason = codec_word(&exit_reason_words, result->reason);
    const int code = result->reason == EXIT_CANCELLED ? HBR_ERROR_CANCELLED : HBR_ERROR_GUEST;
    if (result->message != NULL)
        return hbr_error_new(code, "the program cannot be staged: %s", result->message);
    return hbr_error_new(code, "it ended before it was to run: %s %u", reason, result->status);
}

static void on_exit_frame(struct session_run *run, const struct wire_frame *frame)
{
    struct wire_exit exit;
    if (!wire_message_read(frame, &exit, NULL)) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_GUEST, "the agent's report of an exit does not decode");
        session_fail(run->session, error);
        return;
    }
    struct run_result *result = result_of_exit(&exit);
    if (run->refusal != NULL) {
        result->reason = EXIT_REFUSED;
        g_free(result->message);
        result->message = g_steal_pointer(&run->refusal);
    } else if (run->is_cancelled && result->reason == EXIT_REFUSED) {
        result->reason = EXIT_CANCELLED;
    }
    if (run->is_stage) {
        stage_end(run, error_of_stage(result));
        run_result_free(result);
    } else if (run->awaits_start && !run->is_cancelled) {
        run_result_free(result);
        run_restart(run);
    } else {
        run_end(run, result);
    }
}

static void on_file_done(struct session_run *run, const struct wire_frame *frame)
{
    struct wire_file_done done;
    const struct program_file *file = g_ptr_array_index(run->spec->program.files, run->file);
    run->file_stream = 0;
    run->file++;
    if (wire_message_read(frame, &done, NULL) && done.error == 0) {
        run->file_offset = 0;
        run_pump(run);
        return;
    }
    g_free(run->refusal);
    run->refusal =
        g_strdup_printf("the file %s could not be written in the guest: %s", file->path, g_strerror((int)done.error));
    session_send(run->session, WIRE_TYPE_KILL, 0, run->stream, NULL);
    session_flush(run->session);
}

static const struct {
    guint16 type;
    void (*handle)(struct session_run *run, const struct wire_frame *frame);
} run_handlers[] = {
    {WIRE_TYPE_STDOUT, on_output},   {WIRE_TYPE_STDERR, on_output}, {WIRE_TYPE_STARTED, on_started},
    {WIRE_TYPE_EXIT, on_exit_frame}, {WIRE_TYPE_WINDOW, on_window}, {WIRE_TYPE_HELD, on_held},
};

gboolean session_run_on_frame(struct session *session, const struct wire_frame *frame)
{
    struct session_run *run = run_of_stream(session, frame->stream);
    struct session_run *filing = run != NULL ? NULL : run_of_file(session, frame->stream);
    if (filing != NULL && frame->type == WIRE_TYPE_FILE_DONE)
        on_file_done(filing, frame);
    else if (filing != NULL && frame->type == WIRE_TYPE_WINDOW)
        on_window(filing, frame);
    else if (run == NULL)
        return FALSE;
    for (gsize i = 0; run != NULL && i < G_N_ELEMENTS(run_handlers); i++) {
        if (run_handlers[i].type == frame->type) {
            run_handlers[i].handle(run, frame);
            break;
        }
    }
    return TRUE;
}

gboolean session_run_on_failure(struct session *session, guint32 stream, const char *text)
{
    struct session_run *run = run_of_stream(session, stream);
    if (run == NULL)
        return FALSE;
    /* What stood ready with other limits may go already. */
    if (run->awaits_start) {
        session_send(session, WIRE_TYPE_KILL, 0, stream, NULL);
        session_flush(session);
    }
    run_refuse(run, text);
    return TRUE;
}
