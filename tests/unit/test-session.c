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

static void on_lost(gpointer owner, const GError *error)
{
    struct fixture *fixture = owner;
    ck_assert_ptr_null(fixture->lost);
    fixture->lost = g_error_copy(error);
    note(fixture, "lost");
}

static const struct guest_watch watch = {on_answered, on_prepared,  on_shaped, on_used, on_started,
                                         on_output,   on_exit_told, on_taken,  on_lost};

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
        &(struct wire_hello){.version_min = 1, .version_max = 1, .nonce = nonce, .vcpus_online = 2, .memory_mib = 512});
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
        guest_wait_shape(guest, 7, 2, 512, 100);
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
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
