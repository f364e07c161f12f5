/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-pressure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MS 60000
#define GROWTHS_MAX 64
#define ALARM_STREAM 900
#define MARK_PERMILLE 850
#define MORE_MIB 1024u

/* Fills 600 MiB of its own in pieces of 3 MiB. busybox knows "M" here and "m" there. */
#define FILL_SLOWLY(pause_s)                                                                        \
    "for i in $(seq 210); do dd if=/dev/zero bs=1M count=3 2>/dev/null; sleep " pause_s "; done | " \
    "dd of=/dev/null bs=600M count=1 iflag=fullblock 2>/dev/null && echo done"

static struct wire_frame frame;
static struct machine *machine;
static unsigned boot_mib, more_mib;
static uint32_t last_stream = 10000;

/* A program that needs memory, and a host that brings it. */
struct race {
    const char *script;
    unsigned step_mib, delay_ms; /* how much the host brings each time, and how long it takes it to begin */
    unsigned until_mib;          /* it brings no more than so much in sum */

    struct wire_exit exit;
    bool has_ended;
    uint64_t n_stdout;
    unsigned n_pressures, n_oom_pressures, n_growths;
    double relief_ms[GROWTHS_MAX];     /* from PRESSURE to SHAPE */
    double overshoot_mib[GROWTHS_MAX]; /* beyond the mark, in the first PRESSURE of each growth */
    double worst_share;                /* of the limit in use */
    double wall_ms;
};

static void set_alarm(uint32_t permille)
{
    struct wire_alarm alarm = {.memory_permille = permille};
    peer_send(&machine->peer, WIRE_TYPE_ALARM, 0, ALARM_STREAM, &alarm);
}

static bool plug(unsigned mib)
{
    char command[256];
    snprintf(command, sizeof(command),
             "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/vmem\","
             "\"property\":\"requested-size\",\"value\":%llu}}",
             (unsigned long long)mib << 20);
    more_mib = mib;
    return machine_qmp(machine, command);
}

static uint32_t send_wait(const struct wire_shape_wait *wait)
{
    peer_send(&machine->peer, WIRE_TYPE_SHAPE_WAIT, 0, ++last_stream, wait);
    return last_stream;
}

static bool wait_shape(const struct wire_shape_wait *wait, struct wire_shape *ret_shape)
{
    uint32_t stream = send_wait(wait);
    return peer_expect(&machine->peer, WIRE_TYPE_SHAPE, stream, RUN_MS, &frame) &&
           wire_shape_read(&frame, ret_shape, NULL) && ret_shape->satisfied;
}

static bool shrink(const struct wire_shrink *wanted, struct wire_shrink_ack *ret_ack)
{
    peer_send(&machine->peer, WIRE_TYPE_SHRINK, 0, ++last_stream, wanted);
    bool ok = peer_expect(&machine->peer, WIRE_TYPE_SHRINK_ACK, last_stream, RUN_MS, &frame) &&
              wire_shrink_ack_read(&frame, ret_ack, NULL);
    if (ok && ret_ack->vetoed)
        printf("  veto: %.*s\n", (int)ret_ack->text.size, (const char *)ret_ack->text.data);
    return ok;
}

static uint32_t start(const char *script)
{
    struct wire_exec exec = {.interpreter = wire_text("sh"), .code = wire_text(script)};
    peer_send(&machine->peer, WIRE_TYPE_EXEC, WIRE_FLAG_FIN, ++last_stream, &exec);
    return last_stream;
}

static void stop(uint32_t stream)
{
    static struct peer_run run;
    struct wire_kill request = {0};
    peer_send(&machine->peer, WIRE_TYPE_KILL, 0, stream, &request);
    peer_collect(&machine->peer, stream, RUN_MS, &run);
}

static void note_pressure(struct race *race, const struct wire_pressure *pressure, bool is_first)
{
    double share = (double)pressure->memory_used_bytes / (double)pressure->memory_limit_bytes;
    double past = (double)pressure->memory_used_bytes - (double)pressure->memory_limit_bytes * MARK_PERMILLE / 1000;
    race->n_pressures++;
    race->n_oom_pressures += (pressure->causes & WIRE_PRESSURE_OOM) != 0;
    if (share > race->worst_share)
        race->worst_share = share;
    if (is_first)
        race->overshoot_mib[race->n_growths] = past / (1 << 20);
    if (getenv("HARBINGER_TEST_VERBOSE"))
        printf("    pressure %u: %.1f MiB past the mark, %.1f %%, available %llu MiB\n", pressure->causes,
               past / (1 << 20), share * 100, (unsigned long long)pressure->memory_available_bytes >> 20);
}

static void run_race(struct race *race)
{
    const int64_t from_us = peer_now_us();
    int64_t pressed_us = 0;
    uint32_t wait_stream = 0, stream = start(race->script);
    while (!race->has_ended && peer_next(&machine->peer, RUN_MS, &frame)) {
        struct wire_pressure pressure;
        if (frame.type == WIRE_TYPE_PRESSURE && wire_pressure_read(&frame, &pressure, NULL)) {
            bool is_first = !wait_stream && more_mib < race->until_mib && race->n_growths < GROWTHS_MAX;
            note_pressure(race, &pressure, is_first);
            if (!is_first || !(pressure.causes & WIRE_PRESSURE_MEMORY))
                continue;
            pressed_us = machine->peer.received_us;
            poll(NULL, 0, (int)race->delay_ms);
            plug(more_mib + race->step_mib);
            wait_stream = send_wait(&(struct wire_shape_wait){.memory_mib = boot_mib + more_mib, .timeout_ms = RUN_MS});
        } else if (frame.type == WIRE_TYPE_SHAPE && frame.stream == wait_stream) {
            race->relief_ms[race->n_growths++] = (double)(machine->peer.received_us - pressed_us) / 1000;
            wait_stream = 0;
        } else if (frame.type == WIRE_TYPE_STDOUT && frame.stream == stream) {
            race->n_stdout += frame.size;
        } else if (frame.type == WIRE_TYPE_EXIT && frame.stream == stream) {
            race->has_ended = wire_exit_read(&frame, &race->exit, NULL);
        }
    }
    race->wall_ms = (double)(peer_now_us() - from_us) / 1000;
}

static bool race_is_won(const struct race *race)
{
    return race->has_ended && race->exit.reason == WIRE_REASON_EXITED && race->exit.status == 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_race(const char *what, struct race *race)
{
    unsigned n = race->n_growths;
    printf("  %s: %s (reason %u) after %.0f ms, %u growths, at most %.1f %% of the limit used\n", what,
           race_is_won(race) ? "lived" : "died", race->exit.reason, race->wall_ms, n, race->worst_share * 100);
    if (n == 0)
        return;
    qsort(race->relief_ms, n, sizeof(double), compare_doubles);
    qsort(race->overshoot_mib, n, sizeof(double), compare_doubles);
    printf(
        "    PRESSURE to usable: median %.1f ms, max %.1f ms; past the mark when told: median %.2f MiB, max %.2f MiB\n",
        race->relief_ms[n / 2], race->relief_ms[n - 1], race->overshoot_mib[n / 2], race->overshoot_mib[n - 1]);
    fflush(stdout);
}

static bool back_to_boot_size(void)
{
    struct wire_shape shape;
    struct wire_shape_wait wait = {.memory_mib = 1, .memory_max_mib = boot_mib, .timeout_ms = RUN_MS};
    return plug(0) && wait_shape(&wait, &shape);
}

bool pressure_measure(struct machine *used, unsigned machine_mib)
{
    static const unsigned delays_ms[] = {0, 50, 300};
    static const struct {
        const char *title, *script;
    } programs[] = {

        {"through a pipe",
         "dd if=/dev/zero bs=1M count=600 2>/dev/null | dd of=/dev/null bs=600M count=1 iflag=fullblock 2>/dev/null && echo done"},
        {"four at once", "for i in 1 2 3 4; do dd if=/dev/zero of=/dev/null bs=150M count=1 & done 2>/dev/null; wait"},
        {"as fast as it goes", "dd if=/dev/zero of=/dev/null bs=600M count=1 2>/dev/null && echo done"},
    };
    bool ok = true;
    machine = used;
    boot_mib = machine_mib;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        for (size_t j = 0; j < sizeof(delays_ms) / sizeof(delays_ms[0]); j++) {
            char title[128];
            struct race race = {
                .script = programs[i].script, .step_mib = 64, .delay_ms = delays_ms[j], .until_mib = MORE_MIB};
            snprintf(title, sizeof(title), "%s, host needs %u ms more", programs[i].title, delays_ms[j]);
            set_alarm(MARK_PERMILLE);
            run_race(&race);
            set_alarm(0);
            print_race(title, &race);
            ok &= race_is_won(&race);
            ok &= back_to_boot_size();
        }
    }
    return ok;
}

static void check_race(void (*check)(bool ok, const char *rule))
{
    struct race race = {
        .script = "dd if=/dev/zero of=/dev/null bs=500M count=1 2>/dev/null && echo done",
        .step_mib = 128,
        .delay_ms = 20,
        .until_mib = MORE_MIB,
    };
    check(back_to_boot_size(), "all memory that was added is taken again");
    set_alarm(MARK_PERMILLE);
    run_race(&race);
    set_alarm(0);
    print_race("500 MiB at once", &race);
    check(race_is_won(&race) && race.n_growths > 0 && race.n_oom_pressures == 0,
          "a program that needs twice the memory of its machine lives, when the host brings more as it is told");
    check(race.worst_share < 1 && race.overshoot_mib[0] >= 0,
          "the agent speaks up beyond the mark, and below the limit");
}

/* Until it prints, the program has not got what it needs. */
static uint32_t start_and_hear(const char *script)
{
    uint32_t stream = start(script);
    peer_expect(&machine->peer, WIRE_TYPE_STDOUT, stream, RUN_MS, &frame);
    return stream;
}

static void check_less_memory(void (*check)(bool ok, const char *rule))
{
    struct wire_shrink less = {.memory_mib = boot_mib, .timeout_ms = RUN_MS};
    struct wire_shape_wait grown = {.memory_mib = boot_mib + 512, .timeout_ms = RUN_MS};
    struct wire_shrink_ack ack = {0};
    struct wire_shape shape;
    check(plug(512) && wait_shape(&grown, &shape), "memory grows once more");
    uint32_t stream = start_and_hear("dd if=/dev/zero bs=300M count=1 2>/dev/null | { head -c 1; exec sleep 1000; }");
    check(shrink(&less, &ack) && ack.vetoed && ack.memory_used_bytes >= 300u << 20, "memory in use is not given away");
    stop(stream);
    stream = start_and_hear("echo idle; exec sleep 1000");
    /* What was killed takes a moment to give its memory back. */
    for (int i = 0; shrink(&less, &ack) && ack.vetoed && i < 100; i++)
        poll(NULL, 0, 20);
    check(!ack.vetoed, "memory that nobody uses is given away");
    check(back_to_boot_size(), "and can be taken");
    stop(stream);
}

static void check_fewer_cpus(void (*check)(bool ok, const char *rule))
{
    static const char busy[] = "for i in 1 2 3; do while :; do :; done & done; echo busy; wait";
    struct wire_shape_wait all = {.vcpus = 4, .timeout_ms = RUN_MS};
    struct wire_shrink_ack ack = {0};
    struct wire_shape shape = {0};
    check(wait_shape(&all, &shape), "four CPUs are there");
    uint32_t stream = start_and_hear(busy);
    check(shrink(&(struct wire_shrink){.vcpus = 1}, &ack) && ack.vetoed && ack.vcpus_online == 4,
          "CPUs that threads need are not given away");
    stop(stream);
    int64_t from_us = peer_now_us();
    check(shrink(&(struct wire_shrink){.vcpus = 2}, &ack) && !ack.vetoed && ack.vcpus_online == 2,
          "idle CPUs go offline with the guest's consent");
    printf("  two CPUs offline after %.1f ms\n", (double)(machine->peer.received_us - from_us) / 1000);
    struct wire_shape_wait short_wait = {.vcpus = 2, .memory_mib = boot_mib + MORE_MIB, .timeout_ms = 1000};
    check(!wait_shape(&short_wait, &shape) && shape.vcpus_online == 2, "and stay so until they are asked for");
    from_us = peer_now_us();
    check(wait_shape(&all, &shape) && shape.vcpus_online == 4, "and come online again then");
    printf("  two CPUs online after %.1f ms\n", (double)(machine->peer.received_us - from_us) / 1000);
}

static void check_stall(void (*check)(bool ok, const char *rule))
{
    static const char busy[] = "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; echo busy; wait";
    const struct wire_alarm alarm = {.cpu_stall_us = 50000, .window_us = 500000};
    struct wire_pressure pressure = {0};
    peer_send(&machine->peer, WIRE_TYPE_ALARM, 0, ALARM_STREAM, &alarm);
    uint32_t stream = start_and_hear(busy);
    check(peer_expect(&machine->peer, WIRE_TYPE_PRESSURE, ALARM_STREAM, RUN_MS, &frame) &&
              wire_pressure_read(&frame, &pressure, NULL) && pressure.causes == WIRE_PRESSURE_CPU_STALL,
          "threads that stand still for want of a CPU are told");
    check(pressure.runnable >= 8, "with how many there are");
    set_alarm(0);
    stop(stream);
}

void pressure_check_all(struct machine *used, unsigned machine_mib, void (*check)(bool ok, const char *rule))
{
    machine = used;
    boot_mib = machine_mib;
    check_race(check);
    check(back_to_boot_size(), "what was brought for it can be taken again");
    check_less_memory(check);
    check_fewer_cpus(check);
    check_stall(check);
}
