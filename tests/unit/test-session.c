/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/session.h"
#include "wire/message.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A session of the guest protocol against an agent that is played by the test: bytes in, call-backs and bytes out. */

struct fixture {
    struct session *session;
    GByteArray *pending; /* what the session has sent */
    struct wire_reader sent;
    GString *log; /* one word for each call-back */
    GError *lost;
    struct run_result *result;
};

static void note(struct fixture *fixture, const char *word)
{
    g_string_append_printf(fixture->log, "%s ", word);
}

static void on_answered(gpointer owner, const struct guest_facts *facts)
{
    ck_assert_uint_eq(facts->vcpus, 2);
    note(owner, "answered");
}

static void on_prepared(gpointer owner, const GError *error)
{
    note(owner, error == NULL ? "prepared" : "unprepared");
}

static void on_shaped(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error)
{
    ck_assert_uint_eq(ticket, 7);
    ck_assert(facts != NULL || error != NULL);
    note(owner, error == NULL ? "shaped" : "unshaped");
}

static void on_used(gpointer owner, const struct guest_usage *usage)
{
    (void)usage;
    note(owner, "used");
}

static void on_started(gpointer owner, const char *execution_id)
{
    ck_assert_str_eq(execution_id, "exec-1");
    note(owner, "started");
}

static void on_output(gpointer owner, const char *execution_id, guint stream, GBytes *bytes)
{
    (void)execution_id;
    note(owner, stream == 1 ? "out" : "err");
    g_bytes_unref(bytes);
}

static void on_exit_told(gpointer owner, const char *execution_id, struct run_result *result)
{
    struct fixture *fixture = owner;
    (void)execution_id;
    run_result_free(fixture->result);
    fixture->result = result;
    note(fixture, "exit");
}

static void on_taken(gpointer owner, const char *execution_id, guint64 request, GError *error)
{
    (void)execution_id;
    ck_assert_uint_eq(request, 5);
    note(owner, error == NULL ? "taken" : "closed");
    g_clear_error(&error);
}

static void on_staged(gpointer owner, const char *execution_id, gint64 latency_us, GError *error)
{
    ck_assert_int_ge(latency_us, 0);
    ck_assert(g_str_has_prefix(execution_id, "stage-"));
    note(owner, error == NULL ? "staged" : "unstaged");
    g_clear_error(&error);
}

static void on_lost(gpointer owner, const GError *error)
{
    struct fixture *fixture = owner;
    ck_assert_ptr_null(fixture->lost);
    fixture->lost = g_error_copy(error);
    note(fixture, "lost");
}

static void on_pressed(gpointer owner, guint causes, const struct guest_usage *usage)
{
    (void)owner, (void)causes, (void)usage;
}

static const struct guest_watch watch = {on_answered, on_prepared, on_shaped,    on_used,  on_pressed, on_shaped,
                                         on_started,  on_output,   on_exit_told, on_taken, on_staged,  on_lost};

static void on_send(gpointer data)
{
    struct fixture *fixture = data;
    struct wire_buffer *out = session_out(fixture->session);
    g_byte_array_append(fixture->pending, out->data, (guint)out->size);
    wire_buffer_drop(out, out->size);
}

/* The next frame that the session sent. */
static gboolean next_frame(struct fixture *fixture, struct wire_frame *ret_frame)
{
    while (wire_reader_next(&fixture->sent, ret_frame) != WIRE_NEXT_FRAME) {
        const gsize fed = wire_reader_feed(&fixture->sent, fixture->pending->data, fixture->pending->len);
        if (fed == 0)
            return FALSE;
        g_byte_array_remove_range(fixture->pending, 0, (guint)fed);
    }
    return TRUE;
}

static struct fixture *fixture_new(void)
{
    struct fixture *fixture = g_new0(struct fixture, 1);
    fixture->pending = g_byte_array_new();
    wire_reader_init(&fixture->sent);
    fixture->log = g_string_new(NULL);
    fixture->session = session_new(&watch, fixture, &(struct session_io){on_send, fixture});
    guest_hail(&fixture->session->guest);
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    session_free(fixture->session);
    g_byte_array_unref(fixture->pending);
    wire_reader_clear(&fixture->sent);
    g_string_free(fixture->log, TRUE);
    g_clear_error(&fixture->lost);
    run_result_free(fixture->result);
    g_free(fixture);
}

/* The agent says something. */
static void say(struct fixture *fixture, guint16 type, guint32 stream, gconstpointer message)
{
    struct wire_buffer out;
    wire_buffer_init(&out, 1024 * 1024);
    ck_assert(wire_message_write(&out, type, 0, stream, message));
    session_feed(fixture->session, out.data, out.size);
    wire_buffer_clear(&out);
}

static void say_data(struct fixture *fixture, guint16 type, guint32 stream, gsize size)
{
    struct wire_buffer out;
    g_autofree char *data = g_malloc0(size + 1);
    wire_buffer_init(&out, 1024 * 1024);
    ck_assert(wire_frame_write(&out, type, 0, stream, data, size));
    session_feed(fixture->session, out.data, out.size);
    wire_buffer_clear(&out);
}

static void say_hello(struct fixture *fixture, guint64 nonce)
{
    say(fixture, WIRE_TYPE_HELLO, 0,
        &(struct wire_hello){.version_min = 1,
                             .version_max = 1,
                             .nonce = nonce,
                             .vcpus_online = 2,
                             .memory_mib = 512,
                             .capabilities = WIRE_CAN_HOLD});
}

static struct run_spec *run_new(void)
{
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup("exec-1");
    run->program.interpreter = g_strdup("sh");
    run->program.source = g_strdup("true");
    return run;
}

/* An answered session with one run, on stream 1. */
static struct fixture *fixture_running(void)
{
    struct fixture *fixture = fixture_new();
    say_hello(fixture, fixture->session->nonce);
    guest_run(&fixture->session->guest, run_new());
    return fixture;
}

/* The next frame that the session sent, past its HELLO. */
static struct wire_frame next_sent(struct fixture *fixture, guint16 type)
{
    struct wire_frame frame;
    while (next_frame(fixture, &frame)) {
        if (frame.type == type)
            return frame;
    }
    ck_abort_msg("no %s was sent", wire_type_name(type));
}

/* An execution is sent, streamed, and ended with what the agent reports. */
START_TEST(test_run)
{
    struct fixture *fixture = fixture_running();
    struct wire_exec exec;
    struct wire_frame frame = next_sent(fixture, WIRE_TYPE_EXEC);
    ck_assert(wire_exec_read(&frame, &exec, NULL));
    ck_assert_uint_eq(frame.flags, WIRE_FLAG_FIN);
    ck_assert(exec.interpreter.size == 2 && memcmp(exec.code.data, "true", 4) == 0);
    say(fixture, WIRE_TYPE_STARTED, 1, &(struct wire_started){.pid = 9});
    say_data(fixture, WIRE_TYPE_STDOUT, 1, 10);
    say_data(fixture, WIRE_TYPE_STDERR, 1, 10);
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_SIGNALLED, .signal = 11, .wall_us = 5});
    ck_assert_str_eq(fixture->log->str, "answered started out err exit ");
    ck_assert_int_eq(fixture->result->reason, EXIT_SIGNALLED);
    ck_assert_uint_eq(fixture->result->status, 11);
    say_data(fixture, WIRE_TYPE_STDOUT, 1, 10);
    ck_assert_ptr_null(fixture->lost);
    fixture_free(fixture);
}
END_TEST

/* Only the answer to a hail of this session counts, and what came before a preamble does not. */
START_TEST(test_hello)
{
    struct fixture *fixture = fixture_new();
    session_feed(fixture->session, (const guint8 *)"\0\1\2boot noise", 14);
    say_hello(fixture, fixture->session->nonce + 1);
    ck_assert_str_eq(fixture->log->str, "");
    say_hello(fixture, fixture->session->nonce);
    ck_assert_str_eq(fixture->log->str, "answered ");
    fixture_free(fixture);
}
END_TEST

/* A guest that needs longer than hails are apart is ready with its first answer; those to the others are no new session, one more is. */
START_TEST(test_slow_hello)
{
    struct fixture *fixture = fixture_new();
    const guint64 nonce = fixture->session->nonce;
    guest_hail(&fixture->session->guest);
    guest_hail(&fixture->session->guest);
    say_hello(fixture, nonce);
    ck_assert_str_eq(fixture->log->str, "answered ");
    say_hello(fixture, nonce);
    say_hello(fixture, nonce);
    ck_assert_str_eq(fixture->log->str, "answered ");
    say_hello(fixture, nonce);
    ck_assert_str_eq(fixture->log->str, "answered lost ");
    fixture_free(fixture);
}
END_TEST

/* Identity and shape are answered by stream, errors are told. */
START_TEST(test_prepare)
{
    struct fixture *fixture = fixture_running();
    struct guest *guest = &fixture->session->guest;
    guest_prepare(guest, &(struct guest_identity){.hostname = "vm", .machine_id = "0123456789abcdef0123456789abcdef"},
                  1);
    const guint32 identity = next_sent(fixture, WIRE_TYPE_IDENTITY).stream;
    say(fixture, WIRE_TYPE_IDENTITY_ACK, identity + 1, &(struct wire_identity_ack){.done = 15});
    say(fixture, WIRE_TYPE_IDENTITY_ACK, identity, &(struct wire_identity_ack){.done = 7, .failed = 8});
    for (guint i = 0; i < 3; i++)
        guest_wait_shape(guest, 7, 2, 512, 0, 100);
    guint32 stream = next_sent(fixture, WIRE_TYPE_SHAPE_WAIT).stream;
    say(fixture, WIRE_TYPE_SHAPE, stream, &(struct wire_shape){.satisfied = 1, .vcpus_online = 2});
    say(fixture, WIRE_TYPE_SHAPE, stream, &(struct wire_shape){.satisfied = 1});
    stream = next_sent(fixture, WIRE_TYPE_SHAPE_WAIT).stream;
    say(fixture, WIRE_TYPE_SHAPE, stream, &(struct wire_shape){.satisfied = 0});
    stream = next_sent(fixture, WIRE_TYPE_SHAPE_WAIT).stream;
    say(fixture, WIRE_TYPE_ERROR, stream, &(struct wire_failure){.fault = WIRE_FAULT_LIMIT, .stream = stream});
    ck_assert_str_eq(fixture->log->str, "answered unprepared shaped unshaped unshaped ");
    fixture_free(fixture);
}
END_TEST

/* Standard input waits for credit; what comes after its end, or the program's, is refused. */
START_TEST(test_stdin)
{
    struct fixture *fixture = fixture_new();
    struct run_spec *run = run_new();
    g_autoptr(GBytes) much = g_bytes_new_take(g_malloc0(WIRE_WINDOW_INITIAL + 10), WIRE_WINDOW_INITIAL + 10);
    say_hello(fixture, fixture->session->nonce);
    run->program.stdin_open = TRUE;
    guest_run(&fixture->session->guest, run);
    guest_stdin(&fixture->session->guest, "exec-1", 5, much, TRUE);
    ck_assert_str_eq(fixture->log->str, "answered ");
    say(fixture, WIRE_TYPE_WINDOW, 1, &(struct wire_window){.credit = 100});
    ck_assert_str_eq(fixture->log->str, "answered taken ");
    guest_stdin(&fixture->session->guest, "exec-1", 5, NULL, TRUE);
    guest_stdin(&fixture->session->guest, "exec-none", 5, NULL, TRUE);
    ck_assert_str_eq(fixture->log->str, "answered taken closed closed ");
    fixture_free(fixture);
}
END_TEST

/* Output may be taken back only as the client takes it. */
START_TEST(test_credit)
{
    struct fixture *fixture = fixture_running();
    say_data(fixture, WIRE_TYPE_STDOUT, 1, WIRE_WINDOW_INITIAL);
    guest_credit(&fixture->session->guest, "exec-1", WIRE_WINDOW_INITIAL);
    struct wire_frame frame = next_sent(fixture, WIRE_TYPE_WINDOW);
    struct wire_window window;
    ck_assert(wire_window_read(&frame, &window, NULL));
    ck_assert_uint_eq(window.credit, WIRE_WINDOW_INITIAL);
    say_data(fixture, WIRE_TYPE_STDOUT, 1, WIRE_WINDOW_INITIAL);
    ck_assert_ptr_null(fixture->lost);
    guest_credit(&fixture->session->guest, "exec-1", -5);
    guest_credit(&fixture->session->guest, "exec-none", 5);
    fixture_free(fixture);
}
END_TEST

static void say_too_much(struct fixture *fixture)
{
    say_data(fixture, WIRE_TYPE_STDOUT, 1, WIRE_WINDOW_INITIAL);
    say_data(fixture, WIRE_TYPE_STDERR, 1, 1);
}

static void say_hello_again(struct fixture *fixture)
{
    say_hello(fixture, fixture->session->nonce);
}

static void say_huge_frame(struct fixture *fixture)
{
    session_feed(fixture->session, (const guint8 *)"\xff\xff\xff\x7f\x15\0\0\0\1\0\0\0", 12);
}

static void say_unknown_type(struct fixture *fixture)
{
    say_data(fixture, 0x7777, 0, 0);
}

static void say_broken_exit(struct fixture *fixture)
{
    say_data(fixture, WIRE_TYPE_EXIT, 1, 3);
}

static void say_broken_usage(struct fixture *fixture)
{
    say_data(fixture, WIRE_TYPE_USAGE, 1, 7);
}

static void say_broken_held(struct fixture *fixture)
{
    say_data(fixture, WIRE_TYPE_HELD, 1, 3);
}

static void say_credit_overflow(struct fixture *fixture)
{
    for (guint i = 0; i < 3; i++)
        say(fixture, WIRE_TYPE_WINDOW, 1, &(struct wire_window){.credit = WIRE_WINDOW_MAX});
}

static void say_end_of_session(struct fixture *fixture)
{
    say(fixture, WIRE_TYPE_ERROR, 0, &(struct wire_failure){.fault = WIRE_FAULT_PROTOCOL});
}

static const struct {
    void (*say)(struct fixture *fixture);
    const char *message;
} hostile[] = {
    {say_too_much, "more output than it had credit for"},
    {say_hello_again, "a new session"},
    {say_huge_frame, "not a frame"},
    {say_unknown_type, "an unknown type"},
    {say_broken_exit, "does not decode"},
    {say_broken_usage, "USAGE:"},
    {say_credit_overflow, "more credit"},
    {say_broken_held, "a held program does not decode"},
    {say_end_of_session, "broke the guest protocol"},
};

/* A hostile agent loses its session, once, and is not listened to any more. */
START_TEST(test_hostile)
{
    struct fixture *fixture = fixture_running();
    hostile[_i].say(fixture);
    ck_assert_ptr_nonnull(fixture->lost);
    ck_assert_int_eq(fixture->lost->code, HBR_ERROR_GUEST);
    ck_assert_msg(strstr(fixture->lost->message, hostile[_i].message) != NULL, "%s", fixture->lost->message);
    const gsize length = fixture->log->len;
    hostile[_i].say(fixture);
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = 0});
    guest_ping(&fixture->session->guest);
    ck_assert_uint_eq(fixture->log->len, length);
    fixture_free(fixture);
}
END_TEST

/* What is merely late or unasked for is ignored. */
START_TEST(test_late)
{
    struct fixture *fixture = fixture_running();
    say(fixture, WIRE_TYPE_EXIT, 99, &(struct wire_exit){.reason = 0});
    say(fixture, WIRE_TYPE_USAGE, 98, &(struct wire_usage){.at_us = 1});
    say(fixture, WIRE_TYPE_SHAPE, 97, &(struct wire_shape){.satisfied = 1});
    say(fixture, WIRE_TYPE_FILE_DONE, 1, &(struct wire_file_done){.error = 0});
    say(fixture, WIRE_TYPE_FILE_DONE, 96, &(struct wire_file_done){.error = 0});
    say(fixture, WIRE_TYPE_PING, 0, &(struct wire_ping){.cookie = 3});
    ck_assert_str_eq(fixture->log->str, "answered ");
    fixture_free(fixture);
}
END_TEST

/* What does not fit one frame follows in pieces, in order, as credit comes. */
START_TEST(test_large)
{
    struct fixture *fixture = fixture_new();
    struct run_spec *run = run_new();
    say_hello(fixture, fixture->session->nonce);
    g_free(run->program.source);
    run->program.source = g_strnfill(WIRE_WINDOW_INITIAL + 1, '#');
    guest_run(&fixture->session->guest, run);
    ck_assert_uint_eq(next_sent(fixture, WIRE_TYPE_EXEC).flags, 0);
    gsize sent = 0;
    struct wire_frame frame;
    while (next_frame(fixture, &frame))
        sent += frame.type == WIRE_TYPE_CODE ? frame.size : 0;
    ck_assert_uint_eq(sent, WIRE_WINDOW_INITIAL);
    say(fixture, WIRE_TYPE_WINDOW, 1, &(struct wire_window){.credit = 65536});
    ck_assert_uint_eq(next_sent(fixture, WIRE_TYPE_CODE).size, 1);
    next_sent(fixture, WIRE_TYPE_EXEC_GO);
    fixture_free(fixture);
}
END_TEST

/* A file that the guest cannot take ends the execution with the reason. */
START_TEST(test_file_refused)
{
    struct fixture *fixture = fixture_new();
    struct run_spec *run = run_new();
    struct program_file *file = g_new0(struct program_file, 1);
    say_hello(fixture, fixture->session->nonce);
    file->path = g_strdup("a/b");
    file->content = g_bytes_new_take(g_malloc0(400000), 400000);
    run->program.files = g_ptr_array_new();
    g_ptr_array_add(run->program.files, file);
    guest_run(&fixture->session->guest, run);
    const guint32 stream = next_sent(fixture, WIRE_TYPE_PUT_FILE).stream;
    say(fixture, WIRE_TYPE_FILE_DONE, stream, &(struct wire_file_done){.error = 28});
    next_sent(fixture, WIRE_TYPE_KILL);
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_REFUSED});
    ck_assert_int_eq(fixture->result->reason, EXIT_REFUSED);
    ck_assert_ptr_nonnull(strstr(fixture->result->message, "a/b"));
    fixture_free(fixture);
}
END_TEST

static struct run_spec *stage_new(void)
{
    struct run_spec *run = run_new();
    g_free(run->execution_id);
    run->execution_id = g_strdup("stage-1");
    run->preload = g_strsplit("json ssl", " ", -1);
    run->limits = (struct run_limits){.wall_ms = 1, .output_bytes = 1, .pids = 5, .memory_mib = 64};
    return run;
}

static struct run_spec *staged_run_new(void)
{
    struct run_spec *run = run_new();
    run->is_staged = TRUE;
    run->limits = (struct run_limits){.wall_ms = 1000, .output_bytes = 2000, .pids = 5, .memory_mib = 64};
    return run;
}

/* An answered session with a program staged on stream 1. */
static struct fixture *fixture_staged(void)
{
    struct fixture *fixture = fixture_new();
    say_hello(fixture, fixture->session->nonce);
    guest_stage(&fixture->session->guest, stage_new());
    next_sent(fixture, WIRE_TYPE_EXEC);
    say(fixture, WIRE_TYPE_HELD, 1, &(struct wire_held){.latency_us = 7});
    ck_assert_str_eq(fixture->log->str, "answered staged ");
    return fixture;
}

/* The next frame at all is of that type, and on that stream. */
static struct wire_frame only_sent(struct fixture *fixture, guint16 type, guint32 stream)
{
    struct wire_frame sent;
    ck_assert_msg(next_frame(fixture, &sent), "no %s was sent", wire_type_name(type));
    ck_assert_str_eq(wire_type_name(sent.type), wire_type_name(type));
    ck_assert_uint_eq(sent.stream, stream);
    return sent;
}

static void nothing_sent(struct fixture *fixture)
{
    struct wire_frame sent;
    ck_assert_msg(!next_frame(fixture, &sent), "%s was sent", wire_type_name(sent.type));
}

/* Staging brings all but the limit of output, and standard input, which is not known yet. */
START_TEST(test_stage)
{
    static struct wire_exec exec;
    struct fixture *fixture = fixture_new();
    say_hello(fixture, fixture->session->nonce);
    guest_stage(&fixture->session->guest, stage_new());
    struct wire_frame frame = next_sent(fixture, WIRE_TYPE_EXEC);
    ck_assert(wire_exec_read(&frame, &exec, NULL));
    ck_assert_uint_eq(frame.flags, WIRE_FLAG_FIN);
    ck_assert(exec.hold && exec.with_stdin && exec.n_preload == 2);
    ck_assert_mem_eq(exec.preload[1].data, "ssl", 3);
    ck_assert(exec.wall_limit_ms == 1 && exec.output_limit_bytes == 0);
    ck_assert(exec.pids_limit == 5 && exec.memory_limit_mib == 64);
    ck_assert_str_eq(fixture->log->str, "answered ");
    fixture_free(fixture);
}
END_TEST

/* The run of a staged program is one frame, with its own limits. */
START_TEST(test_go)
{
    struct fixture *fixture = fixture_staged();
    struct wire_go go;
    guest_run(&fixture->session->guest, staged_run_new());
    struct wire_frame frame = only_sent(fixture, WIRE_TYPE_EXEC_GO, 1);
    ck_assert(wire_go_read(&frame, &go, NULL));
    ck_assert(go.wall_limit_ms == 1000 && go.output_limit_bytes == 2000 && go.without_stdin);
    nothing_sent(fixture);
    say(fixture, WIRE_TYPE_STARTED, 1, &(struct wire_started){.pid = 9});
    say_data(fixture, WIRE_TYPE_STDOUT, 1, 10);
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_EXITED, .status = 3});
    ck_assert_str_eq(fixture->log->str, "answered staged started out exit ");
    ck_assert_uint_eq(fixture->result->status, 3);
    fixture_free(fixture);
}
END_TEST

/* Limits that are not those it was staged with go ahead, standard input behind. */
START_TEST(test_go_with)
{
    struct fixture *fixture = fixture_staged();
    struct run_spec *run = staged_run_new();
    struct wire_limits limits;
    struct wire_go go;
    run->limits.pids = 6;
    run->program.stdin_bytes = g_bytes_new_static("in", 2);
    guest_run(&fixture->session->guest, run);
    struct wire_frame frame = only_sent(fixture, WIRE_TYPE_LIMITS, 1);
    ck_assert(wire_limits_read(&frame, &limits, NULL));
    ck_assert(limits.pids_limit == 6 && limits.memory_limit_mib == 64);
    frame = only_sent(fixture, WIRE_TYPE_EXEC_GO, 1);
    ck_assert(wire_go_read(&frame, &go, NULL) && !go.without_stdin);
    frame = only_sent(fixture, WIRE_TYPE_STDIN, 1);
    ck_assert(frame.size == 2 && (frame.flags & WIRE_FLAG_FIN));
    say(fixture, WIRE_TYPE_ERROR, 1, &(struct wire_failure){.fault = WIRE_FAULT_SYSTEM, .stream = 1});
    only_sent(fixture, WIRE_TYPE_KILL, 1);
    ck_assert_int_eq(fixture->result->reason, EXIT_REFUSED);
    fixture_free(fixture);
}
END_TEST

/* What does not fit one frame is staged in pieces, too, and does not go by being complete. */
START_TEST(test_stage_large)
{
    struct fixture *fixture = fixture_new();
    struct run_spec *stage = stage_new();
    say_hello(fixture, fixture->session->nonce);
    g_free(stage->program.source);
    stage->program.source = g_strnfill(200000, '#');
    guest_stage(&fixture->session->guest, stage);
    ck_assert_uint_eq(next_sent(fixture, WIRE_TYPE_EXEC).flags, 0);
    next_sent(fixture, WIRE_TYPE_EXEC_GO);
    nothing_sent(fixture);
    say(fixture, WIRE_TYPE_HELD, 1, &(struct wire_held){.latency_us = 7});
    guest_run(&fixture->session->guest, staged_run_new());
    only_sent(fixture, WIRE_TYPE_EXEC_GO, 1);
    fixture_free(fixture);
}
END_TEST

/* More modules than the protocol takes are no reason not to stage. */
START_TEST(test_stage_modules)
{
    static struct wire_exec exec;
    struct fixture *fixture = fixture_new();
    struct run_spec *stage = stage_new();
    say_hello(fixture, fixture->session->nonce);
    g_strfreev(stage->preload);
    stage->preload = g_new0(char *, 70);
    stage->preload[0] = g_strnfill(WIRE_MODULE_NAME_MAX + 1, 'x');
    stage->preload[1] = g_strdup("a\nb");
    for (guint i = 2; i < 69; i++)
        stage->preload[i] = g_strdup_printf("m%u", i);
    guest_stage(&fixture->session->guest, stage);
    struct wire_frame frame = next_sent(fixture, WIRE_TYPE_EXEC);
    ck_assert(wire_exec_read(&frame, &exec, NULL));
    ck_assert_uint_eq(exec.n_preload, WIRE_PRELOAD_MAX);
    ck_assert_mem_eq(exec.preload[0].data, "m2", 2);
    fixture_free(fixture);
}
END_TEST

/* An agent that knows nothing of it is not asked. */
START_TEST(test_stage_unsupported)
{
    struct fixture *fixture = fixture_new();
    say(fixture, WIRE_TYPE_HELLO, 0,
        &(struct wire_hello){.version_min = 1, .version_max = 1, .nonce = fixture->session->nonce, .vcpus_online = 2});
    guest_stage(&fixture->session->guest, stage_new());
    ck_assert_str_eq(fixture->log->str, "answered unstaged ");
    next_sent(fixture, WIRE_TYPE_HELLO);
    nothing_sent(fixture);
    fixture_free(fixture);
}
END_TEST

/* What ends before it is held is told, what ends later is found out, and the run starts from nothing in either case. */
START_TEST(test_stage_dies)
{
    const gboolean is_held = _i == 1;
    struct fixture *fixture = fixture_new();
    say_hello(fixture, fixture->session->nonce);
    guest_stage(&fixture->session->guest, stage_new());
    next_sent(fixture, WIRE_TYPE_EXEC);
    say_data(fixture, WIRE_TYPE_STDERR, 1, 10);
    if (is_held)
        say(fixture, WIRE_TYPE_HELD, 1, &(struct wire_held){.latency_us = 7});
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_OOM, .signal = 9});
    ck_assert_str_eq(fixture->log->str, is_held ? "answered staged " : "answered unstaged ");
    guest_run(&fixture->session->guest, staged_run_new());
    struct wire_exec exec;
    struct wire_frame frame = only_sent(fixture, WIRE_TYPE_EXEC, 2);
    ck_assert(wire_exec_read(&frame, &exec, NULL) && !exec.hold && exec.wall_limit_ms == 1000);
    fixture_free(fixture);
}
END_TEST

/* When the death crosses the go, nothing is lost: no output of it is told, and all standard input comes again. */
START_TEST(test_go_crosses_death)
{
    struct fixture *fixture = fixture_staged();
    struct run_spec *run = staged_run_new();
    run->program.stdin_bytes = g_bytes_new_static("in", 2);
    run->program.stdin_open = TRUE;
    guest_run(&fixture->session->guest, run);
    g_autoptr(GBytes) more = g_bytes_new_static("more", 4);
    guest_stdin(&fixture->session->guest, "exec-1", 5, more, TRUE);
    only_sent(fixture, WIRE_TYPE_EXEC_GO, 1);
    ck_assert_uint_eq(only_sent(fixture, WIRE_TYPE_STDIN, 1).size, 2);
    nothing_sent(fixture);
    say_data(fixture, WIRE_TYPE_STDERR, 1, 10);
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_OOM, .signal = 9});
    only_sent(fixture, WIRE_TYPE_EXEC, 2);
    ck_assert_uint_eq(only_sent(fixture, WIRE_TYPE_STDIN, 2).size, 2);
    ck_assert_uint_eq(only_sent(fixture, WIRE_TYPE_STDIN, 2).size, 4);
    ck_assert_str_eq(fixture->log->str, "answered staged taken ");
    say(fixture, WIRE_TYPE_STARTED, 2, &(struct wire_started){.pid = 9});
    say(fixture, WIRE_TYPE_EXIT, 2, &(struct wire_exit){.reason = WIRE_REASON_EXITED});
    ck_assert_str_eq(fixture->log->str, "answered staged taken started exit ");
    fixture_free(fixture);
}
END_TEST

/* Input that is waited with until the program is known to run follows then; what is cancelled meanwhile does not start again. */
START_TEST(test_go_then_stdin)
{
    struct fixture *fixture = fixture_staged();
    struct run_spec *run = staged_run_new();
    run->program.stdin_open = TRUE;
    guest_run(&fixture->session->guest, run);
    guest_stdin(&fixture->session->guest, "exec-1", 5, NULL, TRUE);
    only_sent(fixture, WIRE_TYPE_EXEC_GO, 1);
    nothing_sent(fixture);
    if (_i == 1) {
        guest_cancel(&fixture->session->guest, "exec-1");
        only_sent(fixture, WIRE_TYPE_KILL, 1);
        say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_KILLED, .signal = 9});
        nothing_sent(fixture);
        ck_assert_int_eq(fixture->result->reason, EXIT_CANCELLED);
    } else {
        say(fixture, WIRE_TYPE_STARTED, 1, &(struct wire_started){.pid = 9});
        ck_assert_uint_eq(only_sent(fixture, WIRE_TYPE_STDIN, 1).flags, WIRE_FLAG_FIN);
        ck_assert_str_eq(fixture->log->str, "answered staged started taken ");
    }
    fixture_free(fixture);
}
END_TEST

/* There is one staged program at most, and a run of another one is not kept from the instance's memory by it. */
START_TEST(test_stage_one)
{
    struct fixture *fixture = fixture_staged();
    guest_stage(&fixture->session->guest, stage_new());
    only_sent(fixture, WIRE_TYPE_KILL, 1);
    only_sent(fixture, WIRE_TYPE_EXEC, 2);
    say(fixture, WIRE_TYPE_HELD, 1, &(struct wire_held){.latency_us = 7});
    guest_run(&fixture->session->guest, _i == 0 ? run_new() : staged_run_new());
    only_sent(fixture, WIRE_TYPE_KILL, 2);
    only_sent(fixture, WIRE_TYPE_EXEC, 3);
    ck_assert_str_eq(fixture->log->str, "answered staged unstaged ");
    say(fixture, WIRE_TYPE_EXIT, 1, &(struct wire_exit){.reason = WIRE_REASON_KILLED, .signal = 9});
    say(fixture, WIRE_TYPE_EXIT, 2, &(struct wire_exit){.reason = WIRE_REASON_KILLED, .signal = 9});
    ck_assert_str_eq(fixture->log->str, "answered staged unstaged ");
    fixture_free(fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_run);
    tcase_add_test(tests, test_hello);
    tcase_add_test(tests, test_slow_hello);
    tcase_add_test(tests, test_prepare);
    tcase_add_test(tests, test_stdin);
    tcase_add_test(tests, test_credit);
    tcase_add_loop_test(tests, test_hostile, 0, G_N_ELEMENTS(hostile));
    tcase_add_test(tests, test_late);
    tcase_add_test(tests, test_large);
    tcase_add_test(tests, test_file_refused);
    tcase_add_test(tests, test_stage);
    tcase_add_test(tests, test_go);
    tcase_add_test(tests, test_go_with);
    tcase_add_test(tests, test_stage_large);
    tcase_add_test(tests, test_stage_modules);
    tcase_add_test(tests, test_stage_unsupported);
    tcase_add_loop_test(tests, test_stage_dies, 0, 2);
    tcase_add_test(tests, test_go_crosses_death);
    tcase_add_loop_test(tests, test_go_then_stdin, 0, 2);
    tcase_add_loop_test(tests, test_stage_one, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
