/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Boots the guest images with plain QEMU under TCG and checks the agent inside: `agent-client --images DIR` runs the checks,
 * `--measure` prints boot and run times instead, `--measure-pressure` what becomes of programs whose memory gets short. The last line counts, as tests/integration/run wants it.
 */
#include "agent-hold.h"
#include "agent-pressure.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BOOT_MS 60000
#define RUN_MS 60000

static int n_passed, n_failed;
static bool last_failed;
static struct machine machine;
static struct peer_run run;
static struct wire_hello hello;
static struct wire_frame frame;

static void check(bool ok, const char *rule)
{
    printf("%s: %s\n", ok ? "ok" : "FAILED", rule);
    fflush(stdout);
    n_passed += ok;
    n_failed += !ok;
    last_failed = !ok;
}

static double since_ms(int64_t from_us)
{
    return (double)(machine.peer.received_us - from_us) / 1000.0;
}

static bool boot(const struct machine_options *options)
{
    bool ok = machine_start(&machine, options) && peer_hello(&machine.peer, 500, BOOT_MS, &hello);
    if (!ok)
        machine_stop(&machine);
    return ok;
}

static struct wire_exec program(const char *interpreter, const char *code)
{
    return (struct wire_exec){.interpreter = wire_text(interpreter), .code = wire_text(code)};
}

static void execute(const struct wire_exec *exec)
{
    static uint32_t stream = 100;
    peer_run(&machine.peer, ++stream, exec, RUN_MS, &run);
}

static void execute_code(const char *interpreter, const char *code)
{
    struct wire_exec exec = program(interpreter, code);
    execute(&exec);
}

static bool output_is(const char *text)
{
    return !run.gone && strcmp(run.stdout_text, text) == 0;
}

static void show_failure(void)
{
    if (last_failed)
        printf("  reason %u %s\n%s%s\n", run.exit.reason, run.text, run.stdout_text, run.stderr_text);
}

static void check_hello(const struct machine_options *options)
{
    uint64_t wanted = WIRE_CAN_LIMIT | WIRE_CAN_DROP_USER | WIRE_CAN_ONLINE | WIRE_CAN_IDENTIFY | WIRE_CAN_POWEROFF |
                      WIRE_CAN_PSI | WIRE_CAN_HOLD | WIRE_CAN_ALARM | WIRE_CAN_SHRINK | WIRE_CAN_RUN_SH;
    if (options->root)
        wanted |= WIRE_CAN_RUN_PYTHON | WIRE_CAN_RUN_PERL | WIRE_CAN_RUN_LUA | WIRE_CAN_RUN_NODE;
    printf("hello after %.0f ms: kernel %.*s, capabilities %#llx, memory %u MiB (MemTotal %u)\n",
           since_ms(machine.started_us), (int)hello.kernel.size, (const char *)hello.kernel.data,
           (unsigned long long)hello.capabilities, hello.memory_mib, hello.memory_total_mib);
    check((hello.capabilities & wanted) == wanted, "the guest can all that its image promises");
    check(hello.vcpus_online == 1, "one CPU is online");
    check(hello.memory_mib == options->memory_mib, "HELLO counts the machine's memory exactly");
}

static void check_sandbox(void)
{
    execute_code("sh",
                 "id -u; umask; touch /tmp/a && echo tmp; touch /dev/shm/a && echo shm; touch /etc/a 2>/dev/null || "
                 "echo closed; grep NoNewPrivs /proc/self/status; ls /proc | grep -c '^1$'");
    check(!run.gone && strstr(run.stdout_text, "\n0022\ntmp\nshm\nclosed\nNoNewPrivs:\t1\n0\n") &&
              strncmp(run.stdout_text, "20", 2) == 0,
          "code runs unprivileged, with a /tmp and /dev/shm, and sees no process of the agent's");
    check(run.exit.cpu_user_us + run.exit.cpu_system_us > 0 && run.exit.memory_peak_bytes > 0, "usage is accounted");
}

static void check_limits(void)
{
    struct wire_exec exec = program("sh", "x=a; while :; do x=$x$x; done");
    exec.memory_limit_mib = 32;
    execute(&exec);
    check(!run.gone && run.exit.reason == WIRE_REASON_OOM && run.exit.memory_peak_bytes <= (32u << 20),
          "code that eats its memory limit ends as out of memory");

    exec = program("sh", "x=a; while :; do x=$x$x; done");
    execute(&exec);
    check(!run.gone && run.exit.reason == WIRE_REASON_OOM, "code that eats all memory ends, the agent lives");

    exec = program("sh", "b() { b | b & b; }; b 2>/dev/null");
    exec.wall_limit_ms = 1500;
    exec.pids_limit = 64;
    execute(&exec);
    check(!run.gone && run.exit.reason != WIRE_REASON_LOST, "a fork bomb is bounded and ends");

    exec = program("sh", "(sleep 1000 & setsid sleep 1000 &) ; echo left");
    execute(&exec);
    check(output_is("left\n") && run.exit_us < 2000000, "what an execution leaves behind dies with it");

    exec = program("sh", "while :; do :; done");
    exec.cpu_permille = 200;
    exec.wall_limit_ms = 1000;
    execute(&exec);
    uint64_t cpu_us = run.exit.cpu_user_us + run.exit.cpu_system_us;
    check(!run.gone && run.exit.reason == WIRE_REASON_WALL_LIMIT && cpu_us < run.exit.wall_us * 35 / 100 &&
              run.exit.throttled_us > 0,
          "a CPU limit holds");
    execute_code("sh", "ls /sys/fs/cgroup/harbinger | grep -c exec-; ls /work");
    check(!run.gone && strncmp(run.stdout_text, "1\n", 2) == 0, "ended executions leave no cgroup behind");
}

static void check_identity(void)
{
    uint8_t seed[64];
    struct wire_identity_ack ack = {0};
    (void)!getrandom(seed, sizeof(seed), 0);
    struct wire_identity identity = {
        .hostname = wire_text("clone-7"),
        .machine_id = wire_text("0123456789abcdef0123456789abcdef"),
        .seed = wire_slice(seed, sizeof(seed)),
        .clock_realtime_ns = UINT64_C(1700000000) * 1000000000u,
        .mac = wire_text("52:54:00:12:34:99"),
        .address = wire_text("10.0.2.15/24"),
        .gateway = wire_text("10.0.2.2"),
        .dns = wire_text("10.0.2.3"),
    };
    peer_send(&machine.peer, WIRE_TYPE_IDENTITY, 0, 9, &identity);
    bool ok = peer_expect(&machine.peer, WIRE_TYPE_IDENTITY_ACK, 9, RUN_MS, &frame) &&
              wire_identity_ack_read(&frame, &ack, NULL);
    if (ok && ack.failed)
        printf("identity: %.*s\n", (int)ack.text.size, (const char *)ack.text.data);
    check(ok && ack.done == 31 && ack.failed == 0, "every part of an identity is set");
    execute_code("sh", "hostname; cat /etc/machine-id; date +%s | cut -c1-7; cat /sys/class/net/eth0/address; "
                       "cat /etc/resolv.conf; ping -c 1 -W 5 10.0.2.2 >/dev/null && echo gateway answers");
    static const char expected[] = "clone-7\n0123456789abcdef0123456789abcdef\n1700000\n52:54:00:12:34:99\n";
    check(strncmp(run.stdout_text, expected, strlen(expected)) == 0 && strstr(run.stdout_text, "nameserver 10.0.2.3"),
          "the guest goes by its new identity");
    show_failure();
}

static bool wait_shape(uint32_t vcpus, uint32_t memory_mib, struct wire_shape *ret_shape)
{
    struct wire_shape_wait wait = {.vcpus = vcpus, .memory_mib = memory_mib, .timeout_ms = 15000};
    static uint32_t stream = 5000;
    peer_send(&machine.peer, WIRE_TYPE_SHAPE_WAIT, 0, ++stream, &wait);
    return peer_expect(&machine.peer, WIRE_TYPE_SHAPE, stream, RUN_MS, &frame) &&
           wire_shape_read(&frame, ret_shape, NULL) && ret_shape->satisfied;
}

static void check_cpu_growth(void)
{
    struct wire_shape shape = {0};
    for (uint32_t cpu = 1; cpu < 4; cpu++) {
        char command[256];
        snprintf(command, sizeof(command),
                 "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"max-x86_64-cpu\",\"id\":\"cpu%u\","
                 "\"socket-id\":%u,\"core-id\":0,\"thread-id\":0}}",
                 cpu, cpu);
        int64_t from_us = peer_now_us();
        bool ok = machine_qmp(&machine, command) && wait_shape(cpu + 1, 0, &shape);
        printf("CPU %u: confirmed by the guest after %.1f ms\n", cpu + 1, since_ms(from_us));
        check(ok && shape.vcpus_online == cpu + 1, "a hotplugged CPU comes online and is confirmed");
    }
    execute_code("sh", "nproc");
    check(output_is("4\n"), "code sees the new CPUs");
}

static void check_memory_growth(unsigned boot_mib)
{
    static const unsigned sizes_mib[] = {128, 512, 1024, 0};
    struct wire_shape shape = {0};
    for (size_t i = 0; i < sizeof(sizes_mib) / sizeof(sizes_mib[0]); i++) {
        char command[256];
        snprintf(command, sizeof(command),
                 "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/vmem\","
                 "\"property\":\"requested-size\",\"value\":%llu}}",
                 (unsigned long long)sizes_mib[i] << 20);
        int64_t from_us = peer_now_us();
        bool ok = machine_qmp(&machine, command) && wait_shape(0, boot_mib + sizes_mib[i], &shape);
        printf("memory +%u MiB: confirmed by the guest after %.1f ms, it counts %u MiB\n", sizes_mib[i],
               since_ms(from_us), shape.memory_mib);
        check(ok, "plugged memory comes online and is confirmed");
    }
}

static void check_growth_helps(unsigned boot_mib)
{
    char command[256], script[256];
    struct wire_shape shape;
    snprintf(command, sizeof(command),
             "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/vmem\","
             "\"property\":\"requested-size\",\"value\":%llu}}",
             (unsigned long long)512 << 20);
    check(machine_qmp(&machine, command) && wait_shape(0, boot_mib + 512, &shape), "memory grows again");
    snprintf(script, sizeof(script), "dd if=/dev/zero of=/dev/shm/x bs=1M count=%u 2>/dev/null && echo fits", 100u);
    execute_code("sh", script);
    check(output_is("fits\n"), "an execution may use memory that came after the boot");
}

static void check_usage(void)
{
    static struct wire_usage usage;
    struct wire_usage_subscribe subscribe = {.interval_ms = 200};
    struct wire_exec exec = program("sh", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    struct wire_kill kill_request = {0};
    bool ok = peer_send(&machine.peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 60, &exec) &&
              peer_send(&machine.peer, WIRE_TYPE_USAGE_SUBSCRIBE, 0, 61, &subscribe);
    for (int i = 0; ok && i < 4; i++)
        ok = peer_expect(&machine.peer, WIRE_TYPE_USAGE, 61, RUN_MS, &frame) && wire_usage_read(&frame, &usage, NULL);
    check(ok && usage.n_execs == 1 && usage.execs[0].cpu_us > 100000 && usage.execs[0].memory_bytes > 0 &&
              usage.memory_available_bytes > 0 && usage.vcpus_online == 1 && usage.cpu_busy_us > 0,
          "usage of guest and execution is pushed while it runs");
    subscribe.interval_ms = 0;
    peer_send(&machine.peer, WIRE_TYPE_USAGE_SUBSCRIBE, 0, 61, &subscribe);
    peer_send(&machine.peer, WIRE_TYPE_KILL, 0, 60, &kill_request);
    peer_collect(&machine.peer, 60, RUN_MS, &run);
    check(run.exit.reason == WIRE_REASON_KILLED, "KILL ends a busy execution");
}

static void check_reconnect(void)
{
    static const uint8_t half_a_frame[] = {0, 0, 1, 0, WIRE_TYPE_STDIN, 0, 0, 0, 1, 0, 0, 0, 'x', 'y'};
    struct wire_exec exec = program("sh", "sleep 1000");
    peer_send(&machine.peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, 70, &exec);
    check(peer_expect(&machine.peer, WIRE_TYPE_STARTED, 70, RUN_MS, &frame),
          "an execution runs when the host goes away");
    peer_send_raw(&machine.peer, half_a_frame, sizeof(half_a_frame));
    bool ok = machine_reconnect(&machine);
    check(ok && peer_hello(&machine.peer, 500, RUN_MS, &hello),
          "a new host is heard after half a frame of the old one");
    execute_code("sh", "echo back");
    check(output_is("back\n"), "and code runs again");
}

/* An agent that polls without a host would eat the machine; the guest's own idle counter is the witness. */
static void check_idle(void)
{
    execute_code("sh", "cut -d' ' -f2 /proc/uptime");
    double before = strtod(run.stdout_text, NULL);
    int64_t from_us = peer_now_us();
    peer_close(&machine.peer);
    bool ok = !machine_wait_end(&machine, 3000) && machine_reconnect(&machine) &&
              peer_hello(&machine.peer, 500, RUN_MS, &hello);
    execute_code("sh", "cut -d' ' -f2 /proc/uptime");
    double idle_s = strtod(run.stdout_text, NULL) - before;
    double gone_s = (double)(peer_now_us() - from_us) / 1e6;
    printf("idle %.2f s of %.2f s without a host\n", idle_s, gone_s);
    check(ok && idle_s > gone_s * 0.7, "a guest without a host costs nothing");
}

static void check_poweroff(void)
{
    int64_t from_us = peer_now_us();
    peer_send(&machine.peer, WIRE_TYPE_POWEROFF, 0, 0, NULL);
    bool ok = machine_wait_end(&machine, 10000);
    printf("power off: %.0f ms\n", (double)(peer_now_us() - from_us) / 1000);
    check(ok, "POWEROFF ends the machine");
}

static void check_base(const char *images)
{
    struct machine_options options = {.images = images, .memory_mib = 256, .hotplug = true};
    bool ok = boot(&options);
    check(ok, "the base image boots and its agent says HELLO");
    if (!ok)
        return;
    check_hello(&options);
    check_sandbox();
    check_usage();
    check_limits();
    check_identity();
    check_reconnect();
    check_idle();
    check_memory_growth(256);
    check_growth_helps(256);
    check_cpu_growth();
    pressure_check_all(&machine, 256, check);
    check_poweroff();
    machine_stop(&machine);
}

static const struct {
    const char *interpreter, *code, *output;
} languages[] = {
    {"python3", "import ssl, json, sqlite3, os\nprint(json.dumps({'a': os.path.expanduser('~')[:6]}))",
     "{\"a\": \"/work/\"}\n"},
    {"perl", "use List::Util 'sum'; print sum(1..4), \"\\n\"", "10\n"},
    {"lua", "print(_VERSION)", "Lua 5.4\n"},
    {"node", "console.log([1,2].map(x => x * 2).join())", "2,4\n"},
    {"bash", "a=(x y); echo ${#a[@]}", "2\n"},
};

static void check_runtimes(const char *images, const char *root)
{
    struct machine_options options = {.images = images, .root = root, .memory_mib = 256};
    bool ok = boot(&options);
    printf("runtimes with %s overlay\n", root);
    check(ok, "the runtimes image boots and its agent says HELLO");
    if (!ok)
        return;
    check_hello(&options);
    check_sandbox();
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
        execute_code(languages[i].interpreter, languages[i].code);
        check(output_is(languages[i].output), languages[i].interpreter);
        show_failure();
    }
    hold_check_all(&machine, check);
    if (strcmp(root, "tmpfs") == 0)
        check(hold_measure(&machine, true), "held programs are measured");
    check_poweroff();
    machine_stop(&machine);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* First and later runs differ: the first reads the interpreter from the disk and fills the emulator's cache. */
static void measure_code(const char *name, const char *interpreter, const char *code)
{
    double times_ms[9];
    double first_ms = 0;
    for (int i = 0; i < 10; i++) {
        execute_code(interpreter, code);
        double ms = (double)run.first_output_us / 1000;
        if (i == 0)
            first_ms = ms;
        else
            times_ms[i - 1] = ms;
    }
    qsort(times_ms, 9, sizeof(times_ms[0]), compare_doubles);
    printf("  %-12s first byte of output: first run %.1f ms, then median of 9 %.1f ms\n", name, first_ms, times_ms[4]);
}

static void measure(const char *title, const struct machine_options *options)
{
    double times_ms[5];
    for (int i = 0; i < 5; i++) {
        if (!boot(options)) {
            printf("%s: no HELLO\n", title);
            n_failed++;
            return;
        }
        times_ms[i] = since_ms(machine.started_us);
        if (i < 4)
            machine_stop(&machine);
    }
    qsort(times_ms, 5, sizeof(times_ms[0]), compare_doubles);
    printf("%s: start of QEMU to HELLO, median of 5: %.0f ms (%.0f to %.0f)\n", title, times_ms[2], times_ms[0],
           times_ms[4]);
    measure_code("sh", "sh", "echo hi");
    if (options->root) {
        measure_code("python3", "python3", "print(1)");
        measure_code("perl", "perl", "print 1");
        measure_code("lua", "lua", "print(1)");
        measure_code("node", "node", "console.log(1)");
        n_failed += !hold_measure(&machine, false);
    }
    machine_stop(&machine);
}

static void measure_pressure(const struct machine_options *options)
{
    printf("memory gets short\n");
    if (!boot(options) || !pressure_measure(&machine, options->memory_mib))
        n_failed++;
    machine_stop(&machine);
}

static void measure_all(const char *images, bool has_runtimes)
{
    struct machine_options options = {.images = images, .memory_mib = 256};
    measure("base", &options);
    options.hotplug = true;
    measure("base, hotplug devices", &options);
    options.hotplug = false;
    options.root = "tmpfs";
    if (has_runtimes)
        measure("runtimes, overlay in memory", &options);
    options.root = "disk";
    if (has_runtimes)
        measure("runtimes, overlay on a blank disk", &options);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"images", required_argument, NULL, 'i'},
                                                 {"measure", no_argument, NULL, 'm'},
                                                 {"measure-pressure", no_argument, NULL, 'p'},
                                                 {NULL, 0, NULL, 0}};
    const char *images = NULL;
    bool only_measure = false, only_pressure = false;
    char runtimes[600];
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == 'i')
            images = optarg;
        else if (option == 'm')
            only_measure = true;
        else if (option == 'p')
            only_pressure = true;
        else
            return 2;
    }
    if (!images) {
        fprintf(stderr, "usage: agent-client --images DIR [--measure | --measure-pressure]\n");
        return 2;
    }
    snprintf(runtimes, sizeof(runtimes), "%s/runtimes.squashfs", images);
    bool has_runtimes = access(runtimes, R_OK) == 0;
    if (only_pressure) {
        struct machine_options options = {.images = images, .memory_mib = 256, .hotplug = true};
        measure_pressure(&options);
        return n_failed > 0;
    }
    if (only_measure) {
        measure_all(images, has_runtimes);
        return n_failed > 0;
    }
    check_base(images);
    if (has_runtimes) {
        check_runtimes(images, "tmpfs");
        check_runtimes(images, "disk");
    }
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed > 0;
}
