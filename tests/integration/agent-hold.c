/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-hold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MS 60000
#define N_TIMES 20
#define N_BRIEF 4 /* of the programs; the others are for a look at what takes its time */

static uint32_t stream = 10000;
static struct peer_run run;
static struct wire_frame frame;
static struct wire_held held;

static bool hold(struct machine *machine, const struct wire_exec *exec)
{
    static struct wire_exec copy;
    copy = *exec;
    copy.hold = copy.with_stdin = 1;
    return peer_send(&machine->peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, ++stream, &copy) &&
           peer_expect(&machine->peer, WIRE_TYPE_HELD, stream, RUN_MS, &frame) && wire_held_read(&frame, &held, NULL);
}

static bool go(struct machine *machine, const struct wire_go *order)
{
    return peer_send(&machine->peer, WIRE_TYPE_EXEC_GO, 0, stream, order);
}

static void collect(struct machine *machine)
{
    peer_collect(&machine->peer, stream, RUN_MS, &run);
}

static struct wire_exec preloading(const char *code, const char *first, const char *second)
{
    return (struct wire_exec){
        .interpreter = wire_text("python3"),
        .code = wire_text(code),
        .preload = {wire_text(first), wire_text(second)},
        .n_preload = 2,
    };
}

static const struct {
    const char *interpreter, *code;
} sights[] = {
    {"python3",
     "import sys, os\nprint(sys.argv, sys.path, sorted(globals()), os.getcwd()[:6], sorted(os.environ), sys.stdin.read())\n"
     "sys.exit(7)"},
    {"perl", "print \"$0 @ARGV @INC \", join(',', sort keys %ENV), <STDIN>; exit 7"},
    {"node", "console.log(process.argv.slice(2), Object.keys(process.env), require('fs').readFileSync(0, 'utf8'));"
             "process.exitCode = 7"},
    {"lua", "print(arg[0], ..., io.read('a')) os.exit(7)"},
    {"sh", "echo $0 \"$@\"; id -u | cut -c1; env | cut -d= -f1 | sort; cat; exit 7"},
};

/* The directories differ by the number of the execution, which counts up. */
static void mask_numbers(char *text)
{
    for (char *at = text; (at = strstr(at, "/work/"));) {
        at += strlen("/work/");
        size_t digits = strspn(at, "0123456789");
        memmove(at, at + digits, strlen(at + digits) + 1);
    }
}

static bool looks_the_same(struct machine *machine, size_t i)
{
    static struct peer_run plain;
    struct wire_exec exec = {.interpreter = wire_text(sights[i].interpreter), .code = wire_text(sights[i].code)};
    exec.args[0] = wire_text("first");
    exec.args[1] = wire_text("");
    exec.n_args = 2;
    exec.env[0] = wire_text("COLOUR=red");
    exec.n_env = 1;
    peer_run(&machine->peer, ++stream, &exec, RUN_MS, &plain);
    bool ok = hold(machine, &exec) && go(machine, &(struct wire_go){.without_stdin = 1});
    collect(machine);
    mask_numbers(plain.stdout_text);
    mask_numbers(run.stdout_text);
    ok = ok && !plain.gone && !run.gone && run.exit.status == 7 && plain.exit.status == 7 &&
         strcmp(plain.stdout_text, run.stdout_text) == 0 && strcmp(plain.stderr_text, run.stderr_text) == 0;
    if (!ok)
        printf("%s%s---\n%s%s", plain.stdout_text, plain.stderr_text, run.stdout_text, run.stderr_text);
    return ok;
}

static void check_figures(struct machine *machine, hold_check check)
{
    struct wire_exec exec = preloading("import sys\nprint('asyncio' in sys.modules)", "asyncio", "no_such_module");
    bool ok = hold(machine, &exec);
    int64_t taken_us = (int64_t)held.latency_us;
    check(ok && held.is_started && held.text.size > 0 && memcmp(held.text.data, "no_such_module: ", 16) == 0,
          "modules are loaded ahead, and what cannot be is named");
    go(machine, NULL);
    collect(machine);
    int64_t cpu_us = (int64_t)(run.exit.cpu_user_us + run.exit.cpu_system_us);
    printf("held after %.1f ms; the program itself: %.1f ms of CPU\n", (double)taken_us / 1000, (double)cpu_us / 1000);
    check(!run.gone && strcmp(run.stdout_text, "True\n") == 0 && cpu_us > 0 && cpu_us * 3 < taken_us,
          "CPU time of loading is not the program's");
}

static void check_limits(struct machine *machine, hold_check check)
{
    struct wire_exec exec = preloading("print(1)", "asyncio", "http.server");
    exec.memory_limit_mib = 4;
    exec.hold = 1;
    peer_send(&machine->peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, ++stream, &exec);
    collect(machine);
    check(!run.gone && !run.started && run.exit.reason == WIRE_REASON_OOM,
          "the memory limit holds while modules are loaded");
    exec = preloading("while True: pass", "json", "random");
    bool ok = hold(machine, &exec) && go(machine, &(struct wire_go){.wall_limit_ms = 400});
    collect(machine);
    check(ok && run.exit.reason == WIRE_REASON_WALL_LIMIT && run.exit.wall_us >= 400000 && run.exit.wall_us < 3000000,
          "the wall clock of a held program begins when it may run");
}

static bool is_clean(struct machine *machine)
{
    struct wire_exec exec = {
        .interpreter = wire_text("sh"),
        .code = wire_text("ls /work; ls -d /sys/fs/cgroup/harbinger/exec-*; pgrep python3"),
    };
    peer_run(&machine->peer, ++stream, &exec, RUN_MS, &run);
    unsigned n_lines = 0;
    for (const char *at = run.stdout_text; (at = strchr(at, '\n')); at++)
        n_lines++;
    return !run.gone && n_lines == 2;
}

static void check_ends(struct machine *machine, hold_check check)
{
    struct wire_hello hello;
    struct wire_exec exec = preloading("print(1)", "json", "random");
    bool ok = hold(machine, &exec) && peer_send(&machine->peer, WIRE_TYPE_KILL, 0, stream, NULL);
    collect(machine);
    check(ok && run.exit.reason == WIRE_REASON_KILLED && !run.started && is_clean(machine),
          "KILL of a held program leaves nothing behind");
    ok = hold(machine, &exec) && peer_hello(&machine->peer, 500, RUN_MS, &hello);
    check(ok && is_clean(machine), "nor does the end of its session");
}

void hold_check_all(struct machine *machine, hold_check check)
{
    char rule[96];
    for (size_t i = 0; i < sizeof(sights) / sizeof(sights[0]); i++) {
        snprintf(rule, sizeof(rule), "a held program of %s sees, prints and returns what any other does",
                 sights[i].interpreter);
        check(looks_the_same(machine, i), rule);
    }
    check_figures(machine, check);
    check_limits(machine, check);
    check_ends(machine, check);
}

static const char python_plain[] = "import sys\n"
                                   "\n"
                                   "WORDS = 'warm cold ready held claimed'.split()\n"
                                   "\n"
                                   "def draw(count, seed=7):\n"
                                   "    for _ in range(count):\n"
                                   "        seed = seed * 1103515245 + 12345 & 0x7fffffff\n"
                                   "        yield WORDS[seed % len(WORDS)]\n"
                                   "\n"
                                   "class Tally:\n"
                                   "    def __init__(self, words):\n"
                                   "        self.counter = {}\n"
                                   "        for word in words:\n"
                                   "            self.counter[word] = self.counter.get(word, 0) + 1\n"
                                   "\n"
                                   "    def report(self):\n"
                                   "        return sorted(self.counter.items())\n"
                                   "\n"
                                   "if __name__ == '__main__':\n"
                                   "    print(Tally(draw(50)).report(), file=sys.stdout)\n";

static const char python_imports[] = "import json\n"
                                     "import random\n"
                                     "from collections import Counter\n"
                                     "\n"
                                     "WORDS = 'warm cold ready held claimed'.split()\n"
                                     "\n"
                                     "def draw(count):\n"
                                     "    for _ in range(count):\n"
                                     "        yield random.choice(WORDS)\n"
                                     "\n"
                                     "class Tally:\n"
                                     "    def __init__(self, words):\n"
                                     "        self.counter = Counter(words)\n"
                                     "\n"
                                     "    def report(self):\n"
                                     "        return {word: self.counter[word] for word in sorted(self.counter)}\n"
                                     "\n"
                                     "tally = Tally(draw(50))\n"
                                     "if __name__ == '__main__':\n"
                                     "    print(json.dumps(tally.report()))\n";

static const struct {
    const char *name, *interpreter, *code, *preload[3];
} programs[] = {
    {"sh", "sh", "echo hi", {NULL}},
    {"python3, one line", "python3", "print(1)", {NULL}},
    {"python3, 20 lines", "python3", python_plain, {NULL}},
    {"python3, with imports ahead", "python3", python_imports, {"json", "random", "collections"}},
    {"python3, imports at go", "python3", python_imports, {NULL}},
    {"perl", "perl", "print 1", {NULL}},
    {"node", "node", "console.log(1)", {NULL}},
    {"lua", "lua", "print(1)", {NULL}},
};

struct times {
    double started_ms[N_TIMES], first_ms[N_TIMES];
};

static bool time_run(struct machine *machine, int64_t from_us, double *ret_started_ms, double *ret_first_ms)
{
    *ret_started_ms = *ret_first_ms = -1;
    while (peer_next(&machine->peer, RUN_MS, &frame)) {
        double ms = (double)(machine->peer.received_us - from_us) / 1000;
        if (frame.stream != stream)
            continue;
        if (frame.type == WIRE_TYPE_STARTED)
            *ret_started_ms = ms;
        if (frame.type == WIRE_TYPE_STDOUT && frame.size && *ret_first_ms < 0)
            *ret_first_ms = ms;
        if (frame.type == WIRE_TYPE_EXIT || frame.type == WIRE_TYPE_ERROR)
            return *ret_first_ms >= 0;
    }
    return false;
}

static bool time_program(struct machine *machine, const struct wire_exec *exec, bool is_held, struct times *times)
{
    bool ok = true;
    for (int i = 0; ok && i < N_TIMES; i++) {
        if (is_held)
            ok = hold(machine, exec);
        int64_t from_us = peer_now_us();
        ok = ok && (is_held ? go(machine, &(struct wire_go){.without_stdin = 1})
                            : peer_send(&machine->peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, ++stream, exec));
        ok = ok && time_run(machine, from_us, &times->started_ms[i], &times->first_ms[i]);
    }
    return ok;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times)
{
    qsort(times, N_TIMES, sizeof(times[0]), compare_doubles);
    return (times[N_TIMES / 2 - 1] + times[N_TIMES / 2]) / 2;
}

static double time_ping(struct machine *machine)
{
    double times[N_TIMES];
    for (int i = 0; i < N_TIMES; i++) {
        int64_t from_us = peer_now_us();
        peer_send(&machine->peer, WIRE_TYPE_PING, 0, 0, &(struct wire_ping){.cookie = 1});
        peer_expect(&machine->peer, WIRE_TYPE_PONG, 0, RUN_MS, &frame);
        times[i] = (double)(machine->peer.received_us - from_us) / 1000;
    }
    return median(times);
}

bool hold_measure(struct machine *machine, bool is_brief)
{
    printf("medians of %d in ms; one PING of the agent %.2f\n", N_TIMES, time_ping(machine));
    printf("  %-28s %10s %10s | %10s %10s | %7s\n", "", "EXEC to", "first", "EXEC_GO to", "first", "");
    printf("  %-28s %10s %10s | %10s %10s | %7s\n", "", "STARTED", "byte", "STARTED", "byte", "ratio");
    for (size_t i = 0; i < (is_brief ? N_BRIEF : sizeof(programs) / sizeof(programs[0])); i++) {
        static struct times plain, ready;
        struct wire_exec exec = {.interpreter = wire_text(programs[i].interpreter),
                                 .code = wire_text(programs[i].code)};
        for (; exec.n_preload < 3 && programs[i].preload[exec.n_preload]; exec.n_preload++)
            exec.preload[exec.n_preload] = wire_text(programs[i].preload[exec.n_preload]);
        if (!time_program(machine, &exec, false, &plain) || !time_program(machine, &exec, true, &ready))
            return false;
        double plain_ms = median(plain.first_ms), ready_ms = median(ready.first_ms);
        printf("  %-28s %10.2f %10.2f | %10.2f %10.2f | %6.1fx\n", programs[i].name, median(plain.started_ms), plain_ms,
               median(ready.started_ms), ready_ms, plain_ms / ready_ms);
    }
    return true;
}
