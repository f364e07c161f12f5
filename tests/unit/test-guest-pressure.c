/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the agent speaks up, and what it consents to, by the figures of a cgroup that is a directory of plain files. */
#include "guest-bed.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char mount_dir[64];
static uint64_t limit;

static const char *const files[] = {
    "cgroup.controllers",    "cgroup.subtree_control",   "harbinger/cgroup.subtree_control", "harbinger/memory.max",
    "harbinger/memory.high", "harbinger/memory.current", "harbinger/memory.events",          "harbinger/memory.stat",
};

#define N_FILES (sizeof(files) / sizeof(files[0]))

/* In place: the agent keeps memory.events open. */
static void write_file(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", mount_dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static uint64_t read_number(const char *name)
{
    char path[160], text[64] = "";
    snprintf(path, sizeof(path), "%s/%s", mount_dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    return strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

static void use_memory(uint64_t bytes)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu\n", (unsigned long long)bytes);
    write_file("harbinger/memory.current", text);
}

static void setup(void)
{
    char parent[96];
    snprintf(mount_dir, sizeof(mount_dir), "/var/tmp/test-guest-cgroup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(mount_dir));
    snprintf(parent, sizeof(parent), "%s/harbinger", mount_dir);
    ck_assert_int_eq(mkdir(parent, 0755), 0);
    for (size_t i = 0; i < N_FILES; i++)
        write_file(files[i], "");
    write_file("harbinger/memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n");
    use_memory(0);
    cgroup_mount = mount_dir;
    bed_setup();
    limit = read_number("harbinger/memory.max");
}

static void teardown(void)
{
    char path[160];
    bed_teardown();
    for (size_t i = 0; i < N_FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s", mount_dir, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/harbinger", mount_dir);
    rmdir(path);
    ck_assert_int_eq(rmdir(mount_dir), 0);
}

static void set_alarm(uint32_t permille)
{
    struct wire_alarm alarm = {.memory_permille = permille, .repeat_ms = 20};
    ck_assert(peer_send(&peer, WIRE_TYPE_ALARM, 0, 5, &alarm));
    expect_alive();
}

static struct wire_pressure expect_pressure(void)
{
    struct wire_pressure pressure = {0};
    ck_assert(peer_expect(&peer, WIRE_TYPE_PRESSURE, 5, PATIENCE_MS, &frame));
    ck_assert(wire_pressure_read(&frame, &pressure, NULL));
    return pressure;
}

static struct wire_shrink_ack ask_to_shrink(const struct wire_shrink *wanted)
{
    struct wire_shrink_ack ack = {0};
    ck_assert(peer_send(&peer, WIRE_TYPE_SHRINK, 0, 6, wanted));
    ck_assert(peer_expect(&peer, WIRE_TYPE_SHRINK_ACK, 6, PATIENCE_MS, &frame));
    ck_assert(wire_shrink_ack_read(&frame, &ack, NULL));
    return ack;
}

START_TEST(the_mark_is_the_kernels_and_goes_with_the_alarm)
{
    ck_assert(hello.capabilities & WIRE_CAN_ALARM);
    ck_assert_uint_gt(limit, 0);
    set_alarm(850);
    ck_assert_uint_eq(read_number("harbinger/memory.high"), limit / 1000 * 850);
    set_alarm(0);
    ck_assert_uint_eq(read_number("harbinger/memory.high"), UINT64_MAX);
}
END_TEST

START_TEST(use_beyond_the_mark_is_told_and_told_again)
{
    set_alarm(850);
    use_memory(limit / 1000 * 870);
    struct wire_pressure first = expect_pressure(), second = expect_pressure();
    ck_assert_uint_eq(first.causes, WIRE_PRESSURE_MEMORY);
    ck_assert_uint_eq(first.memory_used_bytes, limit / 1000 * 870);
    ck_assert_uint_eq(first.memory_limit_bytes, limit);
    ck_assert_uint_gt(first.memory_total_bytes, 0);
    ck_assert_uint_ge(second.at_us, first.at_us + 20000);
    uint64_t brake = read_number("harbinger/memory.high");
    ck_assert_uint_gt(brake, limit / 1000 * 870);
    ck_assert_uint_lt(brake, limit);
}
END_TEST

START_TEST(cache_that_can_be_dropped_makes_no_alarm)
{
    char stat[64];
    set_alarm(850);
    snprintf(stat, sizeof(stat), "file 5\ninactive_file %llu\n", (unsigned long long)limit / 1000 * 100);
    write_file("harbinger/memory.stat", stat);
    use_memory(limit / 1000 * 870);
    write_file("harbinger/memory.events", "oom_kill 1\n");
    ck_assert_uint_eq(expect_pressure().causes, WIRE_PRESSURE_OOM); /* it has looked, and said no more */
}
END_TEST

START_TEST(a_kill_for_memory_is_told_once)
{
    set_alarm(850);
    write_file("harbinger/memory.events", "oom_kill 3\n");
    struct wire_pressure pressure = expect_pressure();
    ck_assert_uint_eq(pressure.causes, WIRE_PRESSURE_OOM);
    ck_assert_uint_eq(pressure.oom_kills, 3);
    use_memory(limit);
    ck_assert_uint_eq(expect_pressure().causes, WIRE_PRESSURE_MEMORY);
}
END_TEST

START_TEST(what_is_in_use_is_not_given_away)
{
    uint32_t half_mib = hello.memory_mib / 2;
    use_memory(limit / 2);
    struct wire_shrink_ack ack = ask_to_shrink(&(struct wire_shrink){.memory_mib = half_mib, .timeout_ms = 60000});
    ck_assert_uint_ne(ack.vetoed, 0);
    ck_assert_uint_gt(ack.text.size, 0);
    ck_assert_uint_eq(ack.memory_used_bytes, limit / 2);
    ck_assert_uint_eq(read_number("harbinger/memory.max"), limit);
}
END_TEST

START_TEST(consent_bounds_the_executions_until_more_is_wanted)
{
    uint32_t half_mib = hello.memory_mib / 2;
    struct wire_shape_wait more = {.memory_mib = hello.memory_mib, .timeout_ms = PATIENCE_MS};
    write_file("harbinger/memory.max", ""); /* a plain file keeps the end of a longer number */
    struct wire_shrink_ack ack = ask_to_shrink(&(struct wire_shrink){.memory_mib = half_mib, .timeout_ms = 60000});
    ck_assert_uint_eq(ack.vetoed, 0);
    ck_assert_uint_lt(read_number("harbinger/memory.max"), limit * 6 / 10);
    ck_assert_uint_eq(read_number("harbinger/memory.high"), UINT64_MAX);
    ck_assert(peer_send(&peer, WIRE_TYPE_SHAPE_WAIT, 0, 7, &more));
    ck_assert(peer_expect(&peer, WIRE_TYPE_SHAPE, 7, PATIENCE_MS, &frame));
    ck_assert_uint_eq(read_number("harbinger/memory.max"), limit);
}
END_TEST

START_TEST(consent_that_is_not_used_ends_at_its_time)
{
    uint32_t half_mib = hello.memory_mib / 2;
    struct wire_shape_wait less = {.memory_max_mib = half_mib, .timeout_ms = 30};
    struct wire_shape shape;
    ck_assert_uint_eq(ask_to_shrink(&(struct wire_shrink){.memory_mib = half_mib, .timeout_ms = 20}).vetoed, 0);
    ck_assert(peer_send(&peer, WIRE_TYPE_SHAPE_WAIT, 0, 7, &less));
    ck_assert(peer_expect(&peer, WIRE_TYPE_SHAPE, 7, PATIENCE_MS, &frame));
    ck_assert(wire_shape_read(&frame, &shape, NULL));
    ck_assert_uint_eq(shape.satisfied, 0);
    for (int i = 0; i < PATIENCE_MS / 10 && read_number("harbinger/memory.max") != limit; i++)
        poll(NULL, 0, 10);
    ck_assert_uint_eq(read_number("harbinger/memory.max"), limit);
}
END_TEST

START_TEST(the_cpus_of_somebody_elses_machine_stay)
{
    if (hello.vcpus_online < 2)
        return;
    struct wire_shrink_ack ack = ask_to_shrink(&(struct wire_shrink){.vcpus = 1});
    ck_assert_uint_ne(ack.vetoed, 0);
    ck_assert_uint_eq(ack.vcpus_online, hello.vcpus_online);
}
END_TEST

START_TEST(usage_says_what_executions_may_use)
{
    static struct wire_usage usage;
    struct wire_usage_subscribe subscribe = {.interval_ms = 20};
    ck_assert(peer_send(&peer, WIRE_TYPE_USAGE_SUBSCRIBE, 0, 8, &subscribe));
    ck_assert(peer_expect(&peer, WIRE_TYPE_USAGE, 8, PATIENCE_MS, &frame));
    ck_assert(wire_usage_read(&frame, &usage, NULL));
    ck_assert_uint_eq(usage.memory_limit_bytes, limit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guest-pressure");
    TCase *tests = tcase_create("pressure");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_mark_is_the_kernels_and_goes_with_the_alarm);
    tcase_add_test(tests, use_beyond_the_mark_is_told_and_told_again);
    tcase_add_test(tests, cache_that_can_be_dropped_makes_no_alarm);
    tcase_add_test(tests, a_kill_for_memory_is_told_once);
    tcase_add_test(tests, what_is_in_use_is_not_given_away);
    tcase_add_test(tests, consent_bounds_the_executions_until_more_is_wanted);
    tcase_add_test(tests, consent_that_is_not_used_ends_at_its_time);
    tcase_add_test(tests, the_cpus_of_somebody_elses_machine_stay);
    tcase_add_test(tests, usage_says_what_executions_may_use);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed > 0;
}
