/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that stand ready before they may run. Those that need an interpreter which is not here are left out, and say so. */
#include "guest-bed.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM 1

static struct wire_held held;
static char held_text[WIRE_TEXT_MAX + 1];

static struct wire_exec program(const char *interpreter, const char *code)
{
    return (struct wire_exec){.interpreter = wire_text(interpreter), .code = wire_text(code)};
}

/* The interpreters' own directories, as the agent's clean environment has them. */
static bool lacks(const char *interpreter)
{
    char path[64];
    snprintf(path, sizeof(path), "/usr/bin/%s", interpreter);
    if (access(path, X_OK) == 0)
        return false;
    printf("left out: %s is not here\n", path);
    return true;
}

static void read_held(uint32_t stream)
{
    ck_assert(peer_expect(&peer, WIRE_TYPE_HELD, stream, PATIENCE_MS, &frame));
    ck_assert(wire_held_read(&frame, &held, NULL));
    snprintf(held_text, sizeof(held_text), "%.*s", (int)held.text.size,
             held.text.size ? (const char *)held.text.data : "");
}

static void hold(uint32_t stream, const struct wire_exec *exec)
{
    static struct wire_exec copy;
    copy = *exec;
    copy.hold = 1;
    copy.with_stdin = 1;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, stream, &copy));
    read_held(stream);
    ck_assert_uint_gt(held.latency_us, 0);
}

static void go(uint32_t stream, const struct wire_go *order)
{
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC_GO, 0, stream, order));
}

static void go_without_stdin(uint32_t stream)
{
    go(stream, &(struct wire_go){.without_stdin = 1});
    peer_collect(&peer, stream, PATIENCE_MS, &run);
    ck_assert(!run.gone && run.started);
}

/* What the program left in the directory of the agent, below which each has its own. */
static bool has_mark(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", work_dir, name);
    bool is_there = access(path, F_OK) == 0;
    unlink(path);
    return is_there;
}

START_TEST(the_agent_says_that_it_can_hold)
{
    ck_assert(hello.capabilities & WIRE_CAN_HOLD);
}
END_TEST

static const struct {
    const char *interpreter, *code;
    bool is_started;
} marks[] = {
    {"sh", ": >../mark", false},
    {"python3", "open('../mark', 'w')", true},
    {"perl", "BEGIN { open(my $f, '>', '../mark') }", true},
    {"node", "require('fs').writeFileSync('../mark', '')", true},
};

/* Not even what a language runs while it compiles. */
START_TEST(nothing_of_the_program_runs_before_it_may)
{
    if (lacks(marks[_i].interpreter))
        return;
    ck_assert_int_eq(chmod(work_dir, 0777), 0);
    struct wire_exec exec = program(marks[_i].interpreter, marks[_i].code);
    hold(STREAM, &exec);
    ck_assert_uint_eq(held.is_started, marks[_i].is_started);
    ck_assert_str_eq(held_text, "");
    run_shell(2, "echo unhindered");
    ck_assert_str_eq(run.stdout_text, "unhindered\n");
    ck_assert(!has_mark("mark"));
    go_without_stdin(STREAM);
    ck_assert_msg(run.exit.reason == WIRE_REASON_EXITED && run.exit.status == 0, "%s", run.stderr_text);
    ck_assert(has_mark("mark"));
}
END_TEST

/* Everything that a program can see of how it was started, and the way it ends. */
static const struct {
    const char *interpreter, *code, *preload;
} equals[] = {
    {"sh",
     "echo \"$0 $@\"; pwd | sed 's,.*/,,;s,[0-9],N,'; env | sed 's,/[0-9]$,/N,' | sort; cat; ls -l /proc/self/fd/0 | "
     "sed 's,.*->,,;s,\\[.*,,'; umask; exit 3",
     NULL},
    {"python3",
     "import sys, os, re\n"
     "print(sys.argv, sys.orig_argv, sys.flags, re.sub('[0-9]', 'N', repr(sys.path[:1])), sys.path[1:], len(sys.meta_path))\n"
     "print(re.sub('/[0-9]', '/N', __file__), __name__, sorted(globals()), __spec__, type(__loader__), __builtins__)\n"
     "print(re.sub('/[0-9]\\\\b', '/N', repr(sorted(os.environ.items()))), sys.stdin.read(), os.path.exists('/proc/self/fd/3'))\n"
     "print([n for n in sys.modules if 'site' in n or n == 'gc'], sys.stdin.isatty(), sys._getframe().f_back)\n"
     "print(os.popen('env | grep PYTHON').read(), oct(os.stat('main.py').st_mode))\n"
     "import gc, random, _osx_support\n"
     "print(gc.isenabled(), gc.get_freeze_count(), gc.get_threshold())\n"
     "sys.stdout.flush()\n"
     "def f(): raise ValueError('traceback')\n"
     "f()\n",
     "random"},
    {"python3", "import sys\nsys.exit('message')\n", NULL},
    {"python3", "import os, signal\nprint('lost in the buffer')\nos.kill(os.getpid(), signal.SIGINT)\n", "json"},
    {"python3",
     "import threading\nthreading.Thread(target=lambda: print('late')).start()\nimport atexit\natexit.register(print, 'end')\n",
     NULL},
    {"python3", "print(1\n", NULL},
    {"python3", "import module\nprint(module.x, module.__name__, __import__('json').mine)\n", "json"},
    {"perl",
     "print \"$0 @ARGV|@INC|\", join(',', sort keys %INC), \"\\n\";\n"
     "print map { my $text = \"$_=$ENV{$_}\\n\"; $text =~ s{/\\d+$}{/N}; $text } sort keys %ENV;\n"
     "print <STDIN>, __FILE__, __LINE__, caller() // 'none', $@, $! + 0, \"\\n\", <DATA>;\n"
     "print grep({ /hold|line|hook|order|names|wanted|failed|root|^go/i } keys %main::),\n"
     "    grep({ readlink =~ /socket/ } glob '/proc/self/fd/*'), \"\\n\";\n"
     "exit die 'dead';\n"
     "__END__\n"
     "data\n",
     NULL},
    {"perl", "use strict; use POSIX; $| = 1; print floor(1.5), eval 'die', $@; kill 15, $$", "POSIX"},
    {"node",
     "console.log(process.argv.slice(1).map(x => x.replace(/\\/[0-9]\\//, '/N/')), process.execArgv, process.env.NODE_OPTIONS, "
     "Object.keys(require.cache).length, require.main === module, module.children.length, "
     "require('fs').readFileSync(0, 'utf8'), require('fs').readdirSync('/proc/self/fd').filter(fd => { try { return "
     "require('fs').readlinkSync('/proc/self/fd/' + fd).startsWith('socket'); } catch { return false; } }));\n"
     "const {Worker} = require('worker_threads');\n"
     "new Worker('require(\"worker_threads\").parentPort.postMessage(1)', {eval: true}).on('message', m => { console.log(m); "
     "process.exitCode = 4; });\n",
     "fs"},
};

static void fill_equal(struct wire_exec *exec, int i)
{
    *exec = program(equals[i].interpreter, equals[i].code);
    exec->args[0] = wire_text("first");
    exec->args[1] = wire_text("");
    exec->args[2] = wire_text("-x");
    exec->n_args = 3;
    exec->env[0] = wire_text("COLOUR=red");
    exec->n_env = 1;
    exec->files[0] = (struct wire_file){.path = wire_text("module.py"), .content = wire_text("x = 5\n")};
    exec->files[1] = (struct wire_file){.path = wire_text("json.py"), .content = wire_text("mine = True\n")};
    exec->n_files = 2;
    exec->preload[0] = equals[i].preload ? wire_text(equals[i].preload) : (struct wire_slice){0};
    exec->n_preload = equals[i].preload != NULL;
}

/* Where the two differ by the number of the execution alone, the number is the same length. */
static void mask_directory(char *text, const char *name)
{
    char path[96];
    int length = snprintf(path, sizeof(path), "%s/%s", work_dir, name);
    for (char *at = text; (at = strstr(at, path)); at += length)
        at[length - 1] = 'N';
}

START_TEST(a_held_program_cannot_tell_the_difference)
{
    static struct wire_exec exec;
    static struct peer_run plain;
    if (lacks(equals[_i].interpreter))
        return;
    fill_equal(&exec, _i);
    peer_run(&peer, STREAM, &exec, PATIENCE_MS, &plain);
    ck_assert(!plain.gone);
    hold(STREAM, &exec);
    go_without_stdin(STREAM);
    mask_directory(plain.stdout_text, "0");
    mask_directory(plain.stderr_text, "0");
    mask_directory(run.stdout_text, "1");
    mask_directory(run.stderr_text, "1");
    ck_assert_str_eq(run.stdout_text, plain.stdout_text);
    ck_assert_str_eq(run.stderr_text, plain.stderr_text);
    ck_assert_uint_eq(run.exit.reason, plain.exit.reason);
    ck_assert_uint_eq(run.exit.status, plain.exit.status);
    ck_assert_uint_eq(run.exit.signal, plain.exit.signal);
    ck_assert_uint_gt(plain.n_stdout + plain.n_stderr, 0);
}
END_TEST

static const struct {
    const char *interpreter, *code;
} readers[] = {
    {"sh", "cat"},
    {"python3", "import sys\nfor line in sys.stdin: print(line, end='')"},
    {"perl", "print while <STDIN>"},
    {"node", "process.stdin.pipe(process.stdout)"},
};

START_TEST(standard_input_is_the_programs_own)
{
    if (lacks(readers[_i].interpreter))
        return;
    struct wire_exec exec = program(readers[_i].interpreter, readers[_i].code);
    hold(STREAM, &exec);
    ck_assert(peer_send_data(&peer, WIRE_TYPE_STDIN, 0, STREAM, "early\n", 6));
    go(STREAM, &(struct wire_go){0});
    ck_assert(peer_send_data(&peer, WIRE_TYPE_STDIN, WIRE_FLAG_FIN, STREAM, "late\n", 5));
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "early\nlate\n");
}
END_TEST

/* What the program wants of the variables that carry the hook is kept. */
static const struct {
    const char *interpreter, *variable, *code, *output;
} variables[] = {
    {"python3", "PYTHONPATH=own:/elsewhere",
     "import os, sys, module\nprint(os.environ['PYTHONPATH'], [p for p in sys.path if 'else' in p], module.x)",
     "own:/elsewhere ['/elsewhere'] 7\n"},
    {"perl", "PERL5OPT=-w -Mstrict", "print \"$ENV{PERL5OPT}|$^W\\n\"; eval q($x = 1); print $@ ? 'strict' : ''",
     "-w -Mstrict|1\nstrict"},
    {"node", "NODE_OPTIONS=--require ./own/module.js", "console.log(process.env.NODE_OPTIONS, x)",
     "--require ./own/module.js 7\n"},
};

START_TEST(the_environment_is_what_was_asked_for)
{
    if (lacks(variables[_i].interpreter))
        return;
    struct wire_exec exec = program(variables[_i].interpreter, variables[_i].code);
    exec.env[0] = wire_text(variables[_i].variable);
    exec.n_env = 1;
    exec.files[0] = (struct wire_file){.path = wire_text("own/module.py"), .content = wire_text("x = 7\n")};
    exec.files[1] = (struct wire_file){.path = wire_text("own/module.js"), .content = wire_text("x = 7\n")};
    exec.n_files = 2;
    exec.preload[0] = wire_text("module");
    exec.n_preload = variables[_i].interpreter[1] == 'y';
    hold(STREAM, &exec);
    ck_assert_int_eq(exec.n_preload, strstr(held_text, "module: ") != NULL);
    go_without_stdin(STREAM);
    ck_assert_msg(strncmp(run.stdout_text, variables[_i].output, strlen(variables[_i].output)) == 0, "%s%s",
                  run.stdout_text, run.stderr_text);
}
END_TEST

static const struct {
    const char *interpreter, *module, *code, *output;
} loads[] = {
    {"python3", "decimal", "import sys; print('decimal' in sys.modules)", "True\n"},
    {"perl", "List::Util", "print exists $INC{'List/Util.pm'} ? 'True' : 'False', \"\\n\"", "True\n"},
    {"node", "node:zlib", "console.log('True')", "True\n"},
    {"sh", "decimal", "echo True", "True\n"},
};

/* Modules are loaded ahead where that is possible; what cannot be loaded is named, and is no reason not to run. */
START_TEST(modules_are_loaded_ahead)
{
    if (lacks(loads[_i].interpreter))
        return;
    struct wire_exec exec = program(loads[_i].interpreter, loads[_i].code);
    exec.preload[0] = wire_text(loads[_i].module);
    exec.preload[1] = wire_text("no_such_module");
    exec.n_preload = 2;
    hold(STREAM, &exec);
    ck_assert_int_eq(strstr(held_text, "no_such_module") != NULL, held.is_started);
    ck_assert_ptr_null(strstr(held_text, loads[_i].module));
    go_without_stdin(STREAM);
    ck_assert_str_eq(run.stdout_text, loads[_i].output);
}
END_TEST

/* A Python module outside of the program's own directory. */
struct outside {
    char directory[48], path[64], assignment[64];
};

static void outside_make(struct outside *outside, const char *name, const char *text, struct wire_exec *exec)
{
    snprintf(outside->directory, sizeof(outside->directory), "/var/tmp/test-guest-hold-XXXXXX");
    ck_assert(mkdtemp(outside->directory) && chmod(outside->directory, 0755) == 0);
    snprintf(outside->path, sizeof(outside->path), "%s/%s.py", outside->directory, name);
    snprintf(outside->assignment, sizeof(outside->assignment), "PYTHONPATH=%s", outside->directory);
    FILE *file = fopen(outside->path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    exec->env[exec->n_env++] = wire_text(outside->assignment);
    exec->preload[exec->n_preload++] = wire_text(name);
}

static void outside_remove(const struct outside *outside)
{
    ck_assert(unlink(outside->path) == 0 && rmdir(outside->directory) == 0);
}

/* Clones of one held program must not draw the same numbers: what was drawn before GO says nothing about what comes after. */
START_TEST(random_numbers_are_seeded_anew)
{
    static const char prophet[] =
        "import random\nr = random.Random()\nr.setstate(random.getstate())\nrandom.prophecy = r.random()\n";
    struct outside outside;
    if (lacks("python3"))
        return;
    struct wire_exec exec = program("python3", "import random\nprint(random.random() == random.prophecy)");
    outside_make(&outside, "prophet", prophet, &exec);
    hold(STREAM, &exec);
    outside_remove(&outside);
    ck_assert_str_eq(held_text, "");
    go_without_stdin(STREAM);
    ck_assert_str_eq(run.stdout_text, "False\n");
}
END_TEST

/* A module that is never loaded is not waited for without end, and the program has all of its time after it. */
START_TEST(getting_ready_has_its_time)
{
    struct outside outside;
    if (lacks("python3"))
        return;
    struct wire_exec exec = program("python3", "print('ran')");
    outside_make(&outside, "endless", "print('loads', flush=True)\nimport signal\nsignal.pause()\n", &exec);
    exec.hold = 1;
    exec.wall_limit_ms = 400;
    peer_run(&peer, STREAM, &exec, PATIENCE_MS, &run);
    outside_remove(&outside);
    ck_assert(!run.gone && !run.started);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_WALL_LIMIT);
    ck_assert_uint_eq(run.exit.wall_us, 0);
}
END_TEST

/* CPU time that loading took is not the program's; its wall clock begins when it may run. */
START_TEST(figures_and_limits_begin_with_go)
{
    if (lacks("python3"))
        return;
    struct wire_exec exec = program("python3", "import sys\nsys.stdin.read(1)\nwhile True: pass");
    exec.preload[0] = wire_text("asyncio");
    exec.preload[1] = wire_text("http.server");
    exec.n_preload = 2;
    hold(STREAM, &exec);
    run_shell(2, "sleep 0.1");
    go(STREAM, &(struct wire_go){.wall_limit_ms = 300});
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_WALL_LIMIT);
    ck_assert_uint_ge(run.exit.wall_us, 300000);
    ck_assert_uint_lt(run.exit.cpu_user_us + run.exit.cpu_system_us, 60000);
}
END_TEST

START_TEST(the_output_limit_of_go_counts)
{
    struct wire_exec exec = shell("yes");
    hold(STREAM, &exec);
    go(STREAM, &(struct wire_go){.output_limit_bytes = 1001});
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_OUTPUT_LIMIT);
    ck_assert_uint_eq(run.n_stdout, 1001);
}
END_TEST

static const char *const held_interpreters[] = {"sh", "python3", "perl", "node"};

/* Its directory and its process are gone: the fixture looks for the first, the end of its output is that of the second. */
START_TEST(a_held_program_can_be_killed)
{
    if (lacks(held_interpreters[_i]))
        return;
    struct wire_exec exec = program(held_interpreters[_i], "true");
    hold(STREAM, &exec);
    ck_assert(peer_send(&peer, WIRE_TYPE_KILL, 0, STREAM, NULL));
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert(!run.gone && !run.started);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_KILLED);
    ck_assert_uint_eq(run.exit.wall_us, 0);
    go(STREAM, NULL);
    expect_alive();
}
END_TEST

START_TEST(a_held_program_ends_with_its_session)
{
    if (lacks(held_interpreters[_i]))
        return;
    struct wire_exec exec = program(held_interpreters[_i], "true");
    hold(STREAM, &exec);
    ck_assert(peer_hello(&peer, 1000, PATIENCE_MS, &hello));
    run_shell(STREAM, "true");
}
END_TEST

/* EXEC_GO may cross HELD; one of them says that all files are there, the next one goes. */
START_TEST(go_may_come_before_it_is_held)
{
    struct wire_exec exec = shell("");
    exec.hold = 1;
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, 0, STREAM, &exec));
    ck_assert(peer_send_data(&peer, WIRE_TYPE_CODE, 0, STREAM, "echo gone", 9));
    go(STREAM, NULL);
    go(STREAM, NULL);
    read_held(STREAM);
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert_str_eq(run.stdout_text, "gone\n");
    hold(STREAM, &exec);
    go(STREAM, NULL);
    go(STREAM, NULL);
    expect_error(STREAM, WIRE_FAULT_STATE);
}
END_TEST

/* An interpreter that ends while it is prepared, or never loads the hook, never runs the program. */
static const struct {
    const char *interpreter, *variable, *module;
} failures[] = {
    {"python3", "PYTHONHOME=/nonexistent", NULL},
    {"perl", "PERL5OPT=-Mno_such_module", NULL},
    {"node", "NODE_OPTIONS=--no-such-option", NULL},
};

START_TEST(an_interpreter_that_fails_does_not_run_the_program)
{
    if (lacks(failures[_i].interpreter))
        return;
    struct wire_exec exec = program(failures[_i].interpreter, marks[_i + 1].code);
    exec.env[0] = wire_text(failures[_i].variable);
    exec.n_env = 1;
    exec.hold = 1;
    ck_assert_int_eq(chmod(work_dir, 0777), 0);
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, STREAM, &exec));
    ck_assert(peer_send(&peer, WIRE_TYPE_EXEC_GO, 0, STREAM, NULL));
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert(!run.gone);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_EXITED);
    ck_assert_uint_ne(run.exit.status, 0);
    ck_assert_uint_gt(run.n_stderr, 0);
    ck_assert(!has_mark("mark"));
}
END_TEST

START_TEST(a_program_that_is_not_there_is_refused_when_it_goes)
{
    struct wire_exec exec = {.args = {wire_text("no-such-program")}, .n_args = 1};
    hold(STREAM, &exec);
    go(STREAM, NULL);
    peer_collect(&peer, STREAM, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_REFUSED);
    ck_assert_ptr_nonnull(strstr(run.text, "no-such-program"));
    ck_assert(!run.started);
}
END_TEST

START_TEST(a_module_name_is_one_line_and_short)
{
    static char long_name[WIRE_MODULE_NAME_MAX + 2];
    struct wire_exec exec = shell("true");
    memset(long_name, 'x', sizeof(long_name) - 1);
    exec.hold = 1;
    exec.preload[0] = wire_text(_i ? long_name : "a\nb");
    exec.n_preload = 1;
    peer_run(&peer, STREAM, &exec, PATIENCE_MS, &run);
    ck_assert_uint_eq(run.exit.reason, WIRE_REASON_REFUSED);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_agent_says_that_it_can_hold);
    tcase_add_loop_test(tests, nothing_of_the_program_runs_before_it_may, 0, N(marks));
    tcase_add_loop_test(tests, a_held_program_cannot_tell_the_difference, 0, N(equals));
    tcase_add_loop_test(tests, standard_input_is_the_programs_own, 0, N(readers));
    tcase_add_loop_test(tests, the_environment_is_what_was_asked_for, 0, N(variables));
    tcase_add_loop_test(tests, modules_are_loaded_ahead, 0, N(loads));
    tcase_add_test(tests, random_numbers_are_seeded_anew);
    tcase_add_test(tests, getting_ready_has_its_time);
    tcase_add_test(tests, figures_and_limits_begin_with_go);
    tcase_add_test(tests, the_output_limit_of_go_counts);
    tcase_add_loop_test(tests, a_held_program_can_be_killed, 0, N(held_interpreters));
    tcase_add_loop_test(tests, a_held_program_ends_with_its_session, 0, N(held_interpreters));
    tcase_add_test(tests, go_may_come_before_it_is_held);
    tcase_add_loop_test(tests, an_interpreter_that_fails_does_not_run_the_program, 0, N(failures));
    tcase_add_test(tests, a_program_that_is_not_there_is_refused_when_it_goes);
    tcase_add_loop_test(tests, a_module_name_is_one_line_and_short, 0, 2);
}

int main(void)
{
    Suite *suite = suite_create("held programs");
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
