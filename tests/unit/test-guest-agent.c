/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent does on any machine. */
#include "guest-bed.h"
#include "guest/loop.h"
#include "wire/credit.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

START_TEST(hello_says_what_the_agent_is_and_can_do)
{
    ck_assert_uint_eq(hello.version_min, 1);
    ck_assert_uint_gt(hello.agent_version.size, 0);
    ck_assert_uint_eq(hello.boot_id.size, 36);
    ck_assert_uint_ge(hello.vcpus_online, 1);
    ck_assert_uint_gt(hello.memory_total_mib, 0);
    ck_assert_uint_ge(hello.memory_mib, hello.memory_total_mib);
    ck_assert(!(hello.capabilities & (WIRE_CAN_LIMIT | WIRE_CAN_POWEROFF | WIRE_CAN_IDENTIFY)));
    ck_assert(hello.capabilities & WIRE_CAN_RUN_SH);
}
END_TEST

START_TEST(an_unknown_version_is_answered_and_nothing_else_is)
{
    struct wire_hello future = {.version_min = 900, .version_max = 901, .nonce = 5};
    struct wire_ping ping = {.cookie = 1};
    ck_assert(peer_send(&peer, WIRE_TYPE_HELLO, 0, 0, &future));
    wire_reader_hunt(&peer.reader, false);
    ck_assert(peer_expect(&peer, WIRE_TYPE_HELLO, 0, PATIENCE_MS, &frame));
    expect_error(0, WIRE_FAULT_VERSION);
    ck_assert(peer_send(&peer, WIRE_TYPE_PING, 0, 0, &ping));
    ck_assert(peer_hello(&peer, 1000, PATIENCE_MS, &hello));
    expect_alive();
}
END_TEST

START_TEST(output_and_exit_status_come_back)
{
    run_shell(1, "echo out; echo err >&2; exit 7");
    ck_assert(run.started);
    ck_assert_str_eq(run.stdout_text, "out\n");
    ck_assert_str_eq(run.stderr_text, "err\n");
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_EXITED);
    ck_assert_uint_eq(run.exit.status, 7);
    ck_assert_uint_eq(run.exit.output_bytes, 8);
    ck_assert_uint_gt(run.exit.wall_us, 0);
    ck_assert_uint_gt(run.exit.memory_peak_bytes, 0);
}
END_TEST

START_TEST(arguments_run_without_an_interpreter)
{
    struct wire_exec exec = {.args = {wire_text("printf"), wire_text("%s|%s"), wire_text("a b"), wire_text("")},
                             .n_args = 4};
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "a b|");
}
END_TEST

START_TEST(a_program_that_is_not_there_is_refused_by_name)
{
    struct wire_exec exec = {.args = {wire_text("no-such-program")}, .n_args = 1};
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_REFUSED);
    ck_assert_ptr_nonnull(strstr(run.text, "no-such-program"));
    ck_assert(!run.started);
    expect_alive();
}
END_TEST

START_TEST(environment_and_directory_are_clean_and_its_own)
{
    struct wire_exec exec =
        shell("echo $A $HOME $SECRET; pwd; cat d/in.txt; stat -c %a d/in.txt; umask; cat main.sh | wc -l");
    exec.env[0] = wire_text("A=b=c");
    exec.n_env = 1;
    exec.files[0] = (struct wire_file){.path = wire_text("d/in.txt"), .mode = 0600, .content = wire_text("data\n")};
    exec.n_files = 1;
    setenv("SECRET", "host", 1);
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    char expected[256];
    snprintf(expected, sizeof(expected), "b=c %s/0\n%s/0\ndata\n600\n0022\n0\n", work_dir, work_dir);
    ck_assert_str_eq(run.stdout_text, expected);
}
END_TEST

START_TEST(a_working_directory_below_its_own_is_entered)
{
    struct wire_exec exec = shell("basename $(pwd)");
    exec.files[0] = (struct wire_file){.path = wire_text("sub/x")};
    exec.n_files = 1;
    exec.cwd = wire_text("sub");
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "sub\n");
}
END_TEST

static const struct {
    const char *rule;
    const char *path;
} bad_paths[] = {
    {"a path upwards", "../x"},         {"a path upwards in the middle", "a/../../x"},
    {"an absolute path", "/tmp/x"},     {"an empty component", "a//b"},
    {"the directory itself", "."},      {"no path", ""},
    {"the code's own file", "main.sh"},
};

START_TEST(a_file_never_leaves_the_directory)
{
    struct wire_exec exec = shell("true");
    exec.files[0].path = wire_text(bad_paths[_i].path);
    exec.n_files = 1;
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_msg(!run.gone && run.exit.reason == WIRE_REASON_REFUSED, "%s: accepted", bad_paths[_i].rule);
}
END_TEST

START_TEST(code_runs_as_an_unprivileged_user_without_new_privileges)
{
    if (geteuid() != 0)
        return;
    run_shell(1, "id -u; id -G; grep NoNewPrivs /proc/self/status; test -w /etc || echo no");
    ck_assert_str_eq(run.stdout_text, "20000\n20000\nNoNewPrivs:\t1\nno\n");
    run_shell(2, "id -u");
    ck_assert_str_eq(run.stdout_text, "20001\n");
}
END_TEST

START_TEST(standard_input_is_delivered_and_closed)
{
    struct wire_exec exec = shell("cat; echo end");
    exec.with_stdin = 1;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_send_data(&peer, WIRE_TYPE_STDIN, 0, 1, "one\n", 4));
    ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
    ck_assert_mem_eq(frame.payload, "one\n", 4);
    ck_assert(peer_send_data(&peer, WIRE_TYPE_STDIN, WIRE_FLAG_FIN, 1, "two\n", 4));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "two\nend\n");
}
END_TEST

START_TEST(standard_input_is_empty_unless_asked_for)
{
    run_shell(1, "cat; echo end");
    ck_assert_str_eq(run.stdout_text, "end\n");
}
END_TEST

START_TEST(input_beyond_its_credit_ends_the_execution_alone)
{
    static uint8_t bytes[WIRE_PAYLOAD_MAX];
    struct wire_exec exec = shell("sleep 60");
    exec.with_stdin = 1;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_expect(&peer, WIRE_TYPE_STARTED, 1, PATIENCE_MS, &frame));
    /* A pipe takes 64 KiB at once; credit for those comes back, the rest stays. */
    for (int i = 0; i < 2; i++)
        ck_assert(peer_send_data(&peer, WIRE_TYPE_STDIN, 0, 1, bytes, sizeof(bytes)));
    expect_error(1, WIRE_FAULT_WINDOW);
    expect_alive();
}
END_TEST

START_TEST(a_signal_is_told_apart_from_a_status)
{
    run_shell(1, "kill -SEGV $$");
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_SIGNALLED);
    ck_assert_uint_eq(run.exit.signal, SIGSEGV);
}
END_TEST

START_TEST(kill_ends_the_whole_tree)
{
    struct wire_exec exec = shell("sleep 1000 & echo $!; wait");
    struct wire_kill kill_request = {0};
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
    ck_assert(peer_send(&peer, WIRE_TYPE_KILL, 0, 1, &kill_request));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_KILLED);
    ck_assert_uint_eq(run.exit.signal, SIGKILL);
}
END_TEST

START_TEST(a_catchable_signal_can_be_caught)
{
    struct wire_exec exec = shell("trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    struct wire_kill kill_request = {.signal = SIGTERM};
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
    ck_assert(peer_send(&peer, WIRE_TYPE_KILL, 0, 1, &kill_request));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "caught\n");
    ck_assert_uint_eq(run.exit.status, 3);
}
END_TEST

START_TEST(code_that_never_ends_meets_its_wall_clock_limit)
{
    struct wire_exec exec = shell("while :; do :; done");
    exec.wall_limit_ms = 150;
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_WALL_LIMIT);
    ck_assert_uint_ge(run.exit.wall_us, 150000);
}
END_TEST

START_TEST(the_output_limit_cuts_exactly)
{
    struct wire_exec exec = shell("yes");
    exec.output_limit_bytes = 100001;
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_OUTPUT_LIMIT);
    ck_assert_uint_eq(run.n_stdout, 100001);
}
END_TEST

START_TEST(output_without_end_stops_at_the_window_and_blocks_nobody_else)
{
    struct wire_exec exec = shell("yes");
    struct wire_window window = {.credit = 1000};
    uint64_t n_bytes = 0;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    while (n_bytes < WIRE_WINDOW_INITIAL) {
        ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
        n_bytes += frame.size;
    }
    ck_assert_uint_eq(n_bytes, WIRE_WINDOW_INITIAL);
    run_shell(2, "echo free");
    ck_assert_str_eq(run.stdout_text, "free\n");

    ck_assert(peer_send(&peer, WIRE_TYPE_WINDOW, 0, 1, &window));
    ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
    ck_assert_uint_eq(frame.size, 1000);
    struct wire_kill kill_request = {0};
    ck_assert(peer_send(&peer, WIRE_TYPE_KILL, 0, 1, &kill_request));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_KILLED);
    ck_assert_uint_eq(run.n_stdout, 0);
}
END_TEST

START_TEST(output_of_an_ended_program_waits_for_the_window)
{
    struct wire_exec exec = shell("head -c 270000 /dev/zero");
    struct wire_window window = {.credit = 100000};
    uint64_t n_bytes = 0;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    while (n_bytes < WIRE_WINDOW_INITIAL) {
        ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
        n_bytes += frame.size;
    }
    expect_alive();
    ck_assert(peer_send(&peer, WIRE_TYPE_WINDOW, 0, 1, &window));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_uint_eq(n_bytes + run.n_stdout, 270000);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_EXITED);
}
END_TEST

START_TEST(a_host_that_reads_nothing_does_not_make_the_agent_grow)
{
    struct wire_exec exec = shell("yes");
    for (uint32_t stream = 1; stream <= 20; stream++) {
        struct wire_window window = {.credit = WIRE_WINDOW_MAX - WIRE_WINDOW_INITIAL};
        ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, stream, &exec));
        ck_assert(peer_send(&peer, WIRE_TYPE_WINDOW, 0, stream, &window));
    }
    /* All that is queued is read in the end, and a new session is heard through it. */
    ck_assert(peer_hello(&peer, 3000, PATIENCE_MS, &hello));
    expect_alive();
}
END_TEST

START_TEST(many_executions_run_at_once)
{
    enum { N = 24 };
    int n_exits = 0;
    bool echoed[N + 1] = {false};
    for (uint32_t stream = 1; stream <= N; stream++) {
        struct wire_exec exec = shell("read line; echo $line");
        exec.with_stdin = 1;
        ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, stream, &exec));
    }
    for (uint32_t stream = 1; stream <= N; stream++) {
        char line[16];
        int length = snprintf(line, sizeof(line), "%u\n", stream);
        ck_assert(peer_send_data(&peer, WIRE_TYPE_STDIN, WIRE_FLAG_FIN, stream, line, (size_t)length));
    }
    while (n_exits < N) {
        ck_assert(peer_next(&peer, PATIENCE_MS, &frame));
        n_exits += frame.type == WIRE_TYPE_EXIT;
        if (frame.type == WIRE_TYPE_STDOUT && frame.size)
            echoed[frame.stream] = (uint32_t)strtoul((const char *)frame.payload, NULL, 10) == frame.stream;
    }
    for (int i = 1; i <= N; i++)
        ck_assert(echoed[i]);
}
END_TEST

START_TEST(one_execution_too_many_is_refused)
{
    struct wire_exec exec = shell("sleep 100");
    for (uint32_t stream = 1; stream <= WIRE_EXECUTIONS_MAX + 1; stream++)
        ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, 0, stream, &exec));
    expect_error(WIRE_EXECUTIONS_MAX + 1, WIRE_FAULT_LIMIT);
}
END_TEST

START_TEST(long_code_comes_in_pieces)
{
    static char line[60000];
    struct wire_exec exec = shell("");
    struct wire_credit credit;
    struct wire_window window;
    wire_credit_init(&credit);
    memset(line, '#', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, 0, 1, &exec));
    for (int i = 0; i < 10; i++) {
        while (credit.to_send < sizeof(line)) {
            ck_assert(peer_expect(&peer, WIRE_TYPE_WINDOW, 1, PATIENCE_MS, &frame));
            ck_assert(wire_window_read(&frame, &window, NULL));
            ck_assert(wire_credit_granted(&credit, window.credit));
        }
        ck_assert(peer_send_data(&peer, WIRE_TYPE_CODE, 0, 1, line, sizeof(line)));
        credit.to_send -= (uint32_t)sizeof(line);
    }
    ck_assert(peer_send_data(&peer, WIRE_TYPE_CODE, 0, 1, "wc -c <main.sh", 14));
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC_GO, 0, 1, NULL));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "600014\n");
}
END_TEST

static void put_file(uint32_t stream, uint32_t exec_stream, const char *path, const char *text,
                     struct wire_file_done *done)
{
    struct wire_put_file put = {.path = wire_text(path), .mode = 0640, .exec_stream = exec_stream};
    ck_assert(peer_send(&peer, WIRE_TYPE_PUT_FILE, 0, stream, &put));
    ck_assert(peer_send_data(&peer, WIRE_TYPE_DATA, WIRE_FLAG_FIN, stream, text, strlen(text)));
    ck_assert(peer_expect(&peer, WIRE_TYPE_FILE_DONE, stream, PATIENCE_MS, &frame));
    ck_assert(wire_file_done_read(&frame, done, NULL));
}

START_TEST(a_file_goes_there_and_back)
{
    char path[128];
    struct wire_file_done done;
    struct wire_get_file get = {.offset = 2};
    snprintf(path, sizeof(path), "%s/file", work_dir);
    put_file(1, 0, path, "content", &done);
    ck_assert_uint_eq(done.error, 0);
    ck_assert_uint_eq(done.size, 7);
    get.path = wire_text(path);
    ck_assert(peer_send(&peer, WIRE_TYPE_GET_FILE, 0, 2, &get));
    ck_assert(peer_expect(&peer, WIRE_TYPE_DATA, 2, PATIENCE_MS, &frame));
    ck_assert_uint_eq(frame.size, 5);
    ck_assert_mem_eq(frame.payload, "ntent", 5);
    ck_assert(peer_expect(&peer, WIRE_TYPE_FILE_DONE, 2, PATIENCE_MS, &frame));
    ck_assert(wire_file_done_read(&frame, &done, NULL));
    ck_assert_uint_eq(done.error, 0);
    ck_assert_uint_eq(done.mode, 0640);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(a_missing_file_is_an_error_with_its_reason)
{
    struct wire_get_file get = {.path = wire_text("/no/such/file")};
    struct wire_file_done done;
    ck_assert(peer_send(&peer, WIRE_TYPE_GET_FILE, 0, 2, &get));
    ck_assert(peer_expect(&peer, WIRE_TYPE_FILE_DONE, 2, PATIENCE_MS, &frame));
    ck_assert(wire_file_done_read(&frame, &done, NULL));
    ck_assert_uint_eq(done.error, 2);
    ck_assert_uint_gt(done.text.size, 0);
}
END_TEST

START_TEST(results_are_fetched_after_the_exit_and_links_are_not_followed)
{
    struct wire_exec exec = shell("cat given; echo result >out; ln -s /etc/passwd link");
    struct wire_file_done done;
    exec.keep_files = 1;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, 0, 1, &exec));
    put_file(2, 1, "given", "before\n", &done);
    ck_assert_uint_eq(done.error, 0);
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC_GO, 0, 1, NULL));
    peer_collect(&peer, 1, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "before\n");

    struct wire_get_file get = {.path = wire_text("out"), .exec_stream = 1};
    ck_assert(peer_send(&peer, WIRE_TYPE_GET_FILE, 0, 3, &get));
    ck_assert(peer_expect(&peer, WIRE_TYPE_DATA, 3, PATIENCE_MS, &frame));
    ck_assert_mem_eq(frame.payload, "result\n", 7);
    get.path = wire_text("link");
    ck_assert(peer_send(&peer, WIRE_TYPE_GET_FILE, 0, 4, &get));
    ck_assert(peer_expect(&peer, WIRE_TYPE_FILE_DONE, 4, PATIENCE_MS, &frame));
    ck_assert(wire_file_done_read(&frame, &done, NULL));
    ck_assert_uint_ne(done.error, 0);
    ck_assert(peer_send(&peer, WIRE_TYPE_RELEASE, 0, 1, NULL));
    get.path = wire_text("out");
    ck_assert(peer_send(&peer, WIRE_TYPE_GET_FILE, 0, 5, &get));
    ck_assert(peer_expect(&peer, WIRE_TYPE_FILE_DONE, 5, PATIENCE_MS, &frame));
    ck_assert(wire_file_done_read(&frame, &done, NULL));
    ck_assert_uint_ne(done.error, 0);
}
END_TEST

START_TEST(a_large_file_flows_under_credit)
{
    char path[128];
    static uint8_t bytes[WIRE_WINDOW_INITIAL];
    struct wire_window window = {.credit = WIRE_WINDOW_INITIAL};
    uint64_t n_bytes = 0;
    snprintf(path, sizeof(path), "%s/large", work_dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
    struct wire_get_file get = {.path = wire_text(path)};
    ck_assert(peer_send(&peer, WIRE_TYPE_GET_FILE, 0, 2, &get));
    while (peer_expect(&peer, WIRE_TYPE_DATA, 2, PATIENCE_MS, &frame) && !(frame.flags & WIRE_FLAG_FIN)) {
        n_bytes += frame.size;

        if (n_bytes % WIRE_WINDOW_INITIAL == 0)
            ck_assert(peer_send(&peer, WIRE_TYPE_WINDOW, 0, 2, &window));
    }
    ck_assert_uint_eq(n_bytes, 4 * WIRE_WINDOW_INITIAL);
    unlink(path);
}
END_TEST

START_TEST(an_unknown_frame_is_an_error_and_the_session_goes_on)
{
    ck_assert(peer_send_data(&peer, 0x7777, 0, 9, "x", 1));
    expect_error(9, WIRE_FAULT_TYPE);
    ck_assert(peer_send_data(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 9, "\1\0\377\377\377\377", 6));
    expect_error(9, WIRE_FAULT_MESSAGE);
    expect_alive();
}
END_TEST

START_TEST(a_stream_in_use_is_not_opened_twice)
{
    struct wire_exec exec = shell("sleep 100");
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    expect_error(1, WIRE_FAULT_STREAM);
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 0, &exec));
    expect_error(0, WIRE_FAULT_STREAM);
}
END_TEST

START_TEST(an_oversized_frame_ends_the_session_and_a_new_one_begins)
{
    static const uint8_t oversized[WIRE_HEADER_SIZE] = {255, 255, 255, 127, WIRE_TYPE_STDIN};
    struct wire_exec exec = shell("sleep 100");
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_send_raw(&peer, oversized, sizeof(oversized)));
    expect_error(0, WIRE_FAULT_PROTOCOL);
    ck_assert(peer_hello(&peer, 1000, PATIENCE_MS, &hello));
    run_shell(1, "echo again");
    ck_assert_str_eq(run.stdout_text, "again\n");
}
END_TEST

START_TEST(a_new_hello_ends_what_ran_before)
{
    struct wire_exec exec = shell("echo $$; exec sleep 1000");
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 1, &exec));
    ck_assert(peer_expect(&peer, WIRE_TYPE_STDOUT, 1, PATIENCE_MS, &frame));
    char pid_text[16] = "";
    memcpy(pid_text, frame.payload, frame.size < 15 ? frame.size : 15);
    pid_t pid = (pid_t)strtol(pid_text, NULL, 10);
    struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    ck_assert_int_ge(ended.fd, 0);
    ck_assert_int_eq(poll(&ended, 1, 0), 0);
    ck_assert(peer_hello(&peer, 1000, PATIENCE_MS, &hello));
    run_shell(1, "echo again");
    ck_assert_str_eq(run.stdout_text, "again\n");
    ck_assert_int_eq(poll(&ended, 1, PATIENCE_MS), 1);
    close(ended.fd);
}
END_TEST

START_TEST(a_limit_that_cannot_be_kept_is_refused)
{
    struct wire_exec exec = shell("true");
    exec.memory_limit_mib = 64;
    peer_run(&peer, 1, &exec, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_REFUSED);
    ck_assert_ptr_nonnull(strstr(run.text, "limits"));
}
END_TEST

START_TEST(a_shape_that_is_there_is_confirmed_at_once_and_another_at_its_timeout)
{
    struct wire_shape_wait wait = {.vcpus = 1, .memory_mib = 1, .timeout_ms = 60000};
    struct wire_shape shape;
    ck_assert(peer_send(&peer, WIRE_TYPE_SHAPE_WAIT, 0, 5, &wait));
    ck_assert(peer_expect(&peer, WIRE_TYPE_SHAPE, 5, PATIENCE_MS, &frame));
    ck_assert(wire_shape_read(&frame, &shape, NULL));
    ck_assert_uint_eq(shape.satisfied, 1);
    wait = (struct wire_shape_wait){.vcpus = 100000, .timeout_ms = 50};
    ck_assert(peer_send(&peer, WIRE_TYPE_SHAPE_WAIT, 0, 6, &wait));
    ck_assert(peer_expect(&peer, WIRE_TYPE_SHAPE, 6, PATIENCE_MS, &frame));
    ck_assert(wire_shape_read(&frame, &shape, NULL));
    ck_assert_uint_eq(shape.satisfied, 0);
    ck_assert_uint_ge(shape.waited_us, 50000);
}
END_TEST

/* So that the guests of a host wake it together. */
START_TEST(usage_is_pushed_at_multiples_of_the_interval)
{
    static struct wire_usage usage;
    struct wire_usage_subscribe subscribe = {.interval_ms = 600};
    struct wire_exec exec = shell("sleep 100");
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 4, &exec));
    ck_assert(peer_send(&peer, WIRE_TYPE_USAGE_SUBSCRIBE, 0, 5, &subscribe));
    uint64_t last_us = 0;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(peer_expect(&peer, WIRE_TYPE_USAGE, 5, PATIENCE_MS, &frame));
        ck_assert(wire_usage_read(&frame, &usage, NULL));
        uint64_t ago_us = (uint64_t)(loop_now_us() - (int64_t)usage.at_us);
        uint64_t phase_us = ((uint64_t)loop_wall_us() - ago_us) % 600000;
        ck_assert(last_us == 0 || (usage.at_us - last_us >= 300000 && phase_us < 300000));
        last_us = usage.at_us;
    }
    ck_assert_uint_eq(usage.n_execs, 1);
    ck_assert_uint_eq(usage.execs[0].stream, 4);
    ck_assert_uint_gt(usage.memory_total_bytes, usage.memory_available_bytes);
}
END_TEST

START_TEST(an_agent_that_is_not_init_leaves_the_machine_alone)
{
    struct wire_identity identity = {.hostname = wire_text("other")};
    struct wire_identity_ack ack;
    ck_assert(peer_send(&peer, WIRE_TYPE_IDENTITY, 0, 3, &identity));
    ck_assert(peer_expect(&peer, WIRE_TYPE_IDENTITY_ACK, 3, PATIENCE_MS, &frame));
    ck_assert(wire_identity_ack_read(&frame, &ack, NULL));
    ck_assert_uint_eq(ack.done, 0);
    ck_assert_uint_eq(ack.failed, WIRE_IDENTITY_HOSTNAME);
    ck_assert(peer_send(&peer, WIRE_TYPE_POWEROFF, 0, 0, NULL));
    expect_error(0, WIRE_FAULT_STATE);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, hello_says_what_the_agent_is_and_can_do);
    tcase_add_test(tests, an_unknown_version_is_answered_and_nothing_else_is);
    tcase_add_test(tests, output_and_exit_status_come_back);
    tcase_add_test(tests, arguments_run_without_an_interpreter);
    tcase_add_test(tests, a_program_that_is_not_there_is_refused_by_name);
    tcase_add_test(tests, environment_and_directory_are_clean_and_its_own);
    tcase_add_test(tests, a_working_directory_below_its_own_is_entered);
    tcase_add_loop_test(tests, a_file_never_leaves_the_directory, 0, sizeof(bad_paths) / sizeof(bad_paths[0]));
    tcase_add_test(tests, code_runs_as_an_unprivileged_user_without_new_privileges);
    tcase_add_test(tests, standard_input_is_delivered_and_closed);
    tcase_add_test(tests, standard_input_is_empty_unless_asked_for);
    tcase_add_test(tests, input_beyond_its_credit_ends_the_execution_alone);
    tcase_add_test(tests, a_signal_is_told_apart_from_a_status);
    tcase_add_test(tests, kill_ends_the_whole_tree);
    tcase_add_test(tests, a_catchable_signal_can_be_caught);
    tcase_add_test(tests, code_that_never_ends_meets_its_wall_clock_limit);
    tcase_add_test(tests, the_output_limit_cuts_exactly);
    tcase_add_test(tests, output_without_end_stops_at_the_window_and_blocks_nobody_else);
    tcase_add_test(tests, output_of_an_ended_program_waits_for_the_window);
    tcase_add_test(tests, a_host_that_reads_nothing_does_not_make_the_agent_grow);
    tcase_add_test(tests, many_executions_run_at_once);
    tcase_add_test(tests, one_execution_too_many_is_refused);
    tcase_add_test(tests, long_code_comes_in_pieces);
    tcase_add_test(tests, a_file_goes_there_and_back);
    tcase_add_test(tests, a_missing_file_is_an_error_with_its_reason);
    tcase_add_test(tests, results_are_fetched_after_the_exit_and_links_are_not_followed);
    tcase_add_test(tests, a_large_file_flows_under_credit);
    tcase_add_test(tests, an_unknown_frame_is_an_error_and_the_session_goes_on);
    tcase_add_test(tests, a_stream_in_use_is_not_opened_twice);
    tcase_add_test(tests, an_oversized_frame_ends_the_session_and_a_new_one_begins);
    tcase_add_test(tests, a_new_hello_ends_what_ran_before);
    tcase_add_test(tests, a_limit_that_cannot_be_kept_is_refused);
    tcase_add_test(tests, a_shape_that_is_there_is_confirmed_at_once_and_another_at_its_timeout);
    tcase_add_test(tests, usage_is_pushed_at_multiples_of_the_interval);
    tcase_add_test(tests, an_agent_that_is_not_init_leaves_the_machine_alone);
}

int main(void)
{
    Suite *suite = suite_create("guest agent");
    TCase *tests = tcase_create("socket pair");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, bed_setup, bed_teardown);
    add_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
