/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/sim-model.h"
#include "sim-support.h"

#include <check.h>
#include <stdlib.h>

static struct sim_bed bed;

/* A host with one ready VM "vm" of 1 vCPU, 512 MiB and 10 Mbit/s, at 100 ms. */
static void start(const char *query)
{
    g_autofree char *all = g_strdup_printf("boot_ms=100&destroy_ms=20&run_overhead_ms=10&%s", query);
    sim_bed_init(&bed, all);
    sim_bed_boot(&bed, "vm", 1, 512, 60000);
    sim_bed_go(&bed, 100);
    sim_bed_expect(&bed, "100 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n");
}

static const struct run_limits no_limits;

/* Rule: a start is told step by step, and ready is told with the shape. */
START_TEST(test_boot)
{
    sim_bed_init(&bed, "boot_ms=1000");
    bed.quiet = FALSE;
    sim_bed_boot(&bed, "vm", 2, 512, 5000);
    sim_bed_go(&bed, 10000);
    sim_bed_expect(&bed, "50 instance-progress vm defined\n"
                         "300 instance-progress vm started\n"
                         "950 instance-progress vm agent answered\n"
                         "1000 instance-ready vm 2 vCPU, 512 MiB, 10 Mbit/s\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: a start that cannot be is answered as failed, at once or at its timeout, and nothing of it is left. */
START_TEST(test_boot_failures)
{
    sim_bed_init(&bed, "hang_boot=1");
    sim_bed_boot(&bed, "vm", 2, 512, 5000);
    sim_bed_go(&bed, 10000);
    sim_bed_expect(&bed, "5000 instance-failed vm !timeout\n");
    sim_bed_clear(&bed);

    sim_bed_init(&bed, "fail_boot=1&boot_ms=0");
    sim_bed_boot(&bed, "vm", 2, 512, 5000);
    sim_bed_go(&bed, 10000);
    sim_bed_expect(&bed, "0 instance-failed vm !hypervisor\n");
    sim_bed_send(&bed, COMMAND_HOST_DISCONNECT, NULL, NULL, 0);
    sim_bed_send(&bed, COMMAND_HOST_CONNECT, NULL, NULL, 0);
    sim_bed_go(&bed, 10000);
    sim_bed_expect(&bed, "10000 host-up\n10000 host-inventory\n");
    sim_bed_clear(&bed);

    sim_bed_init(&bed, "boot_ms=100");
    sim_bed_boot(&bed, "vm", 1, 512, 0);
    sim_bed_boot(&bed, "vm", 1, 512, 0);
    sim_bed_boot(&bed, "empty", 0, 512, 0);
    sim_bed_go(&bed, 100);
    sim_bed_expect(&bed, "0 instance-failed vm !conflict\n"
                         "0 instance-failed empty !invalid\n"
                         "100 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: a host gives no more than it has, growing VMs counted with what they may get. */
START_TEST(test_capacity)
{
    sim_bed_init(&bed, "vcpus=1&memory_mib=1024&boot_ms=100&shape_memory_ms=50&destroy_ms=20");
    sim_bed_boot(&bed, "a", 1, 512, 0);
    sim_bed_boot(&bed, "b", 1, 513, 0);
    sim_bed_boot(&bed, "c", 4, 256, 0);
    sim_bed_boot(&bed, "d", 3, 256, 0);
    sim_bed_go(&bed, 100);
    sim_bed_expect(&bed, "0 instance-failed b !exhausted\n"
                         "0 instance-failed c !exhausted\n"
                         "100 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"
                         "100 instance-ready d 3 vCPU, 256 MiB, 10 Mbit/s\n");
    sim_bed_shape(&bed, "a", 1, (struct vm_shape){.vcpus = 1, .memory_mib = 768});
    sim_bed_shape(&bed, "d", 2, (struct vm_shape){.vcpus = 3, .memory_mib = 257});
    sim_bed_go(&bed, 200);
    sim_bed_expect(&bed, "100 instance-shaped d #2 3 vCPU, 256 MiB, 10 Mbit/s !exhausted\n"
                         "150 instance-shaped a #1 1 vCPU, 768 MiB\n");
    sim_bed_send(&bed, COMMAND_DESTROY, "a", NULL, 0);
    sim_bed_go(&bed, 300);
    sim_bed_boot(&bed, "e", 1, 768, 0);
    sim_bed_go(&bed, 400);
    sim_bed_expect(&bed, "220 instance-destroyed a\n400 instance-ready e 1 vCPU, 768 MiB, 10 Mbit/s\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: a guest gives back what its programs do not use, and nothing else changes the shape. */
START_TEST(test_shrink)
{
    start("shape_other_ms=3&shape_cpu_ms=3&shape_memory_ms=3");
    sim_bed_shape(&bed, "vm", 1, (struct vm_shape){.vcpus = 3, .memory_mib = 1024, .network_mbps = 10});
    sim_bed_go(&bed, 200);
    sim_bed_run(&bed, "vm", "e", "sim: duration_ms=10000 cpu=2 memory_mib=700 ramp_ms=0", (struct run_limits){0});
    sim_bed_go(&bed, 300);
    sim_bed_shape(&bed, "vm", 2, (struct vm_shape){.vcpus = 3, .memory_mib = 512, .network_mbps = 10});
    sim_bed_go(&bed, 310);
    sim_bed_shape(&bed, "vm", 3, (struct vm_shape){.vcpus = 1, .memory_mib = 1024, .network_mbps = 10});
    sim_bed_go(&bed, 320);
    sim_bed_shape(&bed, "vm", 4, (struct vm_shape){.vcpus = 2, .memory_mib = 768, .network_mbps = 5});
    sim_bed_go(&bed, 400);
    sim_bed_expect(&bed, "109 instance-shaped vm #1 3 vCPU, 1024 MiB, 10 Mbit/s\n"
                         "210 run-started e\n"
                         "303 instance-shaped vm #2 3 vCPU, 1024 MiB, 10 Mbit/s !conflict\n"
                         "313 instance-shaped vm #3 3 vCPU, 1024 MiB, 10 Mbit/s !conflict\n"
                         "323 instance-shaped vm #4 2 vCPU, 768 MiB, 5 Mbit/s\n");
    sim_bed_clear(&bed);
}
END_TEST

static const struct {
    const char *model, *answer;
} unwilling[] = {
    {"refuse_shrink=1", "203 instance-shaped vm #2 2 vCPU, 512 MiB, 10 Mbit/s !conflict\n"},
    {"hang_shrink=1", "10200 instance-shaped vm #2 2 vCPU, 512 MiB, 10 Mbit/s !timeout\n"},
    {"lie_shrink=1", "203 instance-shaped vm #2 2 vCPU, 512 MiB, 10 Mbit/s !guest\n"},
};

/* Rule: a guest that refuses, hangs or lies keeps its shape, and the host says so. */
START_TEST(test_unwilling)
{
    g_autofree char *model = g_strconcat("shape_other_ms=3&shape_cpu_ms=3&", unwilling[_i].model, NULL);
    start(model);
    sim_bed_shape(&bed, "vm", 1, (struct vm_shape){.vcpus = 2, .memory_mib = 512, .network_mbps = 10});
    sim_bed_go(&bed, 200);
    sim_bed_expect(&bed, "103 instance-shaped vm #1 2 vCPU, 512 MiB, 10 Mbit/s\n");
    sim_bed_shape(&bed, "vm", 2, (struct vm_shape){.vcpus = 1, .memory_mib = 512, .network_mbps = 10});
    sim_bed_go(&bed, 20000);
    sim_bed_expect(&bed, unwilling[_i].answer);
    sim_bed_clear(&bed);
}
END_TEST

static void send_alarm(struct guest_alarm alarm)
{
    struct command *command = command_new(COMMAND_ALARM);
    command->id = g_strdup("vm");
    command->alarm = alarm;
    bed.host->klass->submit(bed.host, bed.now, command);
}

/* Rule: at the mark the guest speaks up at once and again, its program waits for memory, and goes on when it comes. */
START_TEST(test_pressure)
{
    start("shape_memory_ms=3&hold_ms=1000");
    bed.quiet = FALSE;
    send_alarm((struct guest_alarm){.memory_share = 0.5});
    sim_bed_run(&bed, "vm", "e", "sim: duration_ms=512 cpu=1 memory_mib=512", (struct run_limits){0});
    sim_bed_go(&bed, 500);
    sim_bed_shape(&bed, "vm", 2, (struct vm_shape){.memory_mib = 1024, .network_mbps = 10});
    sim_bed_go(&bed, 1000);
    sim_bed_expect(&bed, "110 run-started e\n"
                         "366 sample vm cpu 0.00 runnable 1.00 memory 257/512 tx 0.0\n"
                         "466 sample vm cpu 0.00 runnable 1.00 memory 257/512 tx 0.0\n"
                         "503 instance-shaped vm #2 1 vCPU, 1024 MiB, 10 Mbit/s\n"
                         "759 run-exit e exited 0\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: it does not wait for ever, and a program that goes beyond the memory is killed. */
START_TEST(test_pressure_unmet)
{
    start("hold_ms=1000");
    send_alarm((struct guest_alarm){.memory_share = 0.5});
    sim_bed_run(&bed, "vm", "e", "sim: duration_ms=1024 cpu=1 memory_mib=1024", (struct run_limits){0});
    sim_bed_go(&bed, 10000);
    sim_bed_expect(&bed, "110 run-started e\n1622 run-exit e out-of-memory 9\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: programs that want more CPUs than there are for some time are told, once in each window. */
START_TEST(test_pressure_cpu)
{
    start("");
    bed.quiet = FALSE;
    send_alarm((struct guest_alarm){.cpu_stall_us = 200000, .window_us = 500000});
    sim_bed_run(&bed, "vm", "e", "sim: duration_ms=400 cpu=2 memory_mib=10", (struct run_limits){0});
    sim_bed_go(&bed, 1000);
    sim_bed_expect(&bed, "110 run-started e\n"
                         "310 sample vm cpu 0.00 runnable 2.00 memory 3/512 tx 0.0\n"
                         "810 sample vm cpu 0.00 runnable 2.00 memory 9/512 tx 0.0\n"
                         "910 run-exit e exited 0\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: shapes grow up to the maximum, and shrink; each change takes its time and has its answer. */
START_TEST(test_shape)
{
    start("shape_cpu_ms=200&shape_memory_ms=15&shape_other_ms=3");
    sim_bed_shape(&bed, "vm", 1, (struct vm_shape){.vcpus = 3, .network_mbps = 10});
    sim_bed_shape(&bed, "vm", 2, (struct vm_shape){.memory_mib = 1024, .network_mbps = 10});
    sim_bed_shape(&bed, "vm", 3, (struct vm_shape){.network_mbps = 50});
    sim_bed_shape(&bed, "vm", 4, (struct vm_shape){.vcpus = 5});
    sim_bed_shape(&bed, "none", 5, (struct vm_shape){.vcpus = 2});
    sim_bed_go(&bed, 1000);
    sim_bed_expect(&bed, "100 instance-shaped vm #4 1 vCPU, 512 MiB, 10 Mbit/s !unsupported\n"
                         "100 instance-shaped none #5 0 vCPU, 0 MiB !not-found\n"
                         "103 instance-shaped vm #3 1 vCPU, 512 MiB, 50 Mbit/s\n"
                         "115 instance-shaped vm #2 1 vCPU, 1024 MiB, 50 Mbit/s\n"
                         "500 instance-shaped vm #1 3 vCPU, 1024 MiB, 50 Mbit/s\n");
    sim_bed_shape(&bed, "vm", 6, (struct vm_shape){.vcpus = 1, .memory_mib = 512, .network_mbps = 10});
    sim_bed_go(&bed, 2000);
    sim_bed_expect(&bed, "1003 instance-shaped vm #6 1 vCPU, 512 MiB, 10 Mbit/s\n");
    sim_bed_clear(&bed);

    start("fail_shape=1");
    sim_bed_shape(&bed, "vm", 7, (struct vm_shape){.vcpus = 2, .network_mbps = 10});
    sim_bed_go(&bed, 1000);
    sim_bed_expect(&bed, "300 instance-shaped vm #7 1 vCPU, 512 MiB, 10 Mbit/s !hypervisor\n");
    sim_bed_clear(&bed);
}
END_TEST

/* What programs do, alone in a VM of 1 vCPU, 512 MiB and 10 Mbit/s, submitted at 100 ms and started at 110. */
static const struct {
    const char *what, *source;
    struct run_limits limits;
    const char *log;
} courses[] = {
    {"says nothing of itself", "print('hello')", {0}, "110 run-started x\n1110 run-exit x exited 0\n"},
    {"output and status",
     "# sim: duration_ms=500 cpu=1 output=\"hello world\" error=oh exit=3",
     {0},
     "110 run-started x\n110 run-output x 1:hello world\n110 run-output x 2:oh\n610 run-exit x exited 3\n"},
    {"phases",
     "sim: duration_ms=100 output=a\nother text\n// sim: duration_ms=200 output=b signal=11\nsim: output=never",
     {0},
     "110 run-started x\n110 run-output x 1:a\n210 run-output x 1:b\n410 run-exit x signalled 11\n"},
    {"nothing at all", "sim:", {0}, "110 run-started x\n110 run-exit x exited 0\n"},
    {"nonsense is skipped",
     "sim: duration_ms=soon colour=red cpu=-1 duration_ms=50 exit=1000",
     {0},
     "110 run-started x\n160 run-exit x exited 255\n"},
    {"wants 4 CPUs of 1: four times as long",
     "sim: duration_ms=500 cpu=4",
     {0},
     "110 run-started x\n2110 run-exit x exited 0\n"},
    {"wants 20 Mbit/s of 10: twice as long",
     "sim: duration_ms=500 tx_mbps=20",
     {0},
     "110 run-started x\n1110 run-exit x exited 0\n"},
    {"needs more memory than the VM has, half way",
     "sim: duration_ms=1000 memory_mib=1024",
     {0},
     "110 run-started x\n610 run-exit x out-of-memory 9\n"},
    {"needs more memory than it may have, at once",
     "sim: duration_ms=1000 memory_mib=200 ramp_ms=0",
     {.memory_mib = 100},
     "110 run-started x\n110 run-exit x out-of-memory 9\n"},
    {"has just enough memory",
     "sim: duration_ms=10 memory_mib=512 ramp_ms=0",
     {0},
     "110 run-started x\n120 run-exit x exited 0\n"},
    {"never ends", "sim: hang=1 cpu=1", {.wall_ms = 3000}, "110 run-started x\n3110 run-exit x wall-clock-limit 9\n"},
    {"prints too much",
     "sim: duration_ms=1000 output_bytes=6400",
     {.output_bytes = 150},
     "110 run-started x\n126 run-output x 1:....................\n141 run-output x 1:....................\n"
     "141 run-exit x output-limit 9\n"},
    {"says absurd amounts",
     "sim: duration_ms=1e9 cpu=1e9 rx_mbps=1e9 tx_mbps=1e9 output_bytes=1e9 memory_mib=1e9 ramp_ms=1e9",
     {.wall_ms = 1000},
     "110 run-started x\n1110 run-exit x wall-clock-limit 9\n"},
    {"takes the VM with it",
     "sim: duration_ms=100 crash=1",
     {0},
     "110 run-started x\n210 run-exit x lost 0\n210 instance-gone vm !hypervisor\n"},
};

START_TEST(test_courses)
{
    start("run_ms=1000");
    sim_bed_run(&bed, "vm", "x", courses[_i].source, courses[_i].limits);
    sim_bed_go(&bed, 60000);
    sim_bed_expect(&bed, courses[_i].log);
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: a paced phase takes its time, whatever there is: it is short meanwhile, and is not killed for it. */
START_TEST(test_paced)
{
    sim_bed_init(&bed, "boot_ms=0&boot_sigma=0&shape_sigma=0&run_overhead_ms=0");
    sim_bed_boot(&bed, "vm", 1, 512, 0);
    sim_bed_go(&bed, 10);
    sim_bed_run(&bed, "vm", "x",
                "sim: duration_ms=500 cpu=2 memory_mib=800 ramp_ms=0 paced=1 output=a\n"
                "sim: duration_ms=100 memory_mib=100 ramp_ms=0 output=b",
                no_limits);
    sim_bed_go(&bed, 2000);
    ck_assert_msg(strstr(bed.log->str, "\n510 run-output x 1:b") != NULL, "%s", bed.log->str);
    ck_assert_msg(strstr(bed.log->str, "\n610 run-exit x exited 0") != NULL, "%s", bed.log->str);
}
END_TEST

/* Rule: more CPUs and memory make a starved program faster from the moment they are there. */
START_TEST(test_growth_helps)
{
    start("shape_cpu_ms=100&shape_memory_ms=10");
    bed.quiet = FALSE;
    sim_bed_run(&bed, "vm", "x", "sim: duration_ms=1000 cpu=2 memory_mib=800", no_limits);
    sim_bed_go(&bed, 510);
    sim_bed_shape(&bed, "vm", 1, (struct vm_shape){.memory_mib = 1024, .network_mbps = 10});
    sim_bed_go(&bed, 1010);
    sim_bed_shape(&bed, "vm", 2, (struct vm_shape){.vcpus = 2, .network_mbps = 10});
    sim_bed_go(&bed, 5000);
    /* 1000 ms at half speed until 1110, then the other 500 ms at full speed. */
    sim_bed_expect(&bed, "110 run-started x\n"
                         "520 instance-shaped vm #1 1 vCPU, 1024 MiB, 10 Mbit/s\n"
                         "1110 sample vm cpu 1.00 runnable 2.00 memory 400/1024 tx 0.0\n"
                         "1110 instance-shaped vm #2 2 vCPU, 1024 MiB, 10 Mbit/s\n"
                         "1610 run-exit x exited 0\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: samples tell what is used and what is wanted, as rates since the last one, and end with the last run. */
START_TEST(test_samples)
{
    start("");
    bed.quiet = FALSE;
    sim_bed_run(&bed, "vm", "x", "sim: duration_ms=1500 cpu=0.5 memory_mib=100 ramp_ms=0 tx_mbps=4", no_limits);
    sim_bed_run(&bed, "vm", "y", "sim: duration_ms=2500 cpu=0.25 memory_mib=50 ramp_ms=0", no_limits);
    sim_bed_go(&bed, 60000);
    sim_bed_expect(&bed, "110 run-started x\n"
                         "110 run-started y\n"
                         "1110 sample vm cpu 0.75 runnable 0.75 memory 150/512 tx 4.0\n"
                         "1610 run-exit x exited 0\n"
                         "2110 sample vm cpu 0.50 runnable 0.50 memory 50/512 tx 2.0\n"
                         "2610 run-exit y exited 0\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: output stops at the client's credit, and the program waits. */
START_TEST(test_output_credit)
{
    start("");
    sim_bed_run(&bed, "vm", "x", "sim: duration_ms=1000 output_bytes=1048576", no_limits);
    sim_bed_go(&bed, 5000);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_EXIT], 0);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_OUTPUT], 16); /* 256 KiB of credit in parts of 16 KiB */
    sim_bed_send(&bed, COMMAND_OUTPUT_CREDIT, "vm", "x", 524288);
    sim_bed_go(&bed, 10000);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_OUTPUT], 48);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_EXIT], 0);
    sim_bed_send(&bed, COMMAND_OUTPUT_CREDIT, "vm", "x", 1048576);
    sim_bed_go(&bed, 15000);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_OUTPUT], 64);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_EXIT], 1);
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: input is taken while the program lives and its input is open. */
START_TEST(test_stdin)
{
    start("");
    sim_bed_run(&bed, "vm", "x", "sim: echo=1", no_limits);
    sim_bed_go(&bed, 1000);
    sim_bed_stdin(&bed, "vm", "x", "one", FALSE);
    sim_bed_go(&bed, 2000);
    sim_bed_stdin(&bed, "vm", "x", "two", TRUE);
    sim_bed_stdin(&bed, "vm", "x", "three", FALSE);
    sim_bed_go(&bed, 3000);
    sim_bed_expect(&bed, "110 run-started x\n"
                         "1000 stdin-taken x\n1000 run-output x 1:one\n"
                         "2000 stdin-taken x\n2000 run-output x 1:two\n2000 run-exit x exited 0\n"
                         "2000 stdin-taken x !conflict\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: a run has exactly one end, whatever ends it. */
START_TEST(test_cancel_and_destroy)
{
    start("");
    sim_bed_run(&bed, "vm", "x", "sim: hang=1", no_limits);
    sim_bed_run(&bed, "vm", "y", "sim: hang=1", no_limits);
    sim_bed_run(&bed, "vm", "y", "sim: hang=1", no_limits);
    sim_bed_go(&bed, 500);
    sim_bed_send(&bed, COMMAND_CANCEL_RUN, "vm", "x", 0);
    sim_bed_send(&bed, COMMAND_CANCEL_RUN, "vm", "none", 0);
    sim_bed_go(&bed, 1000);
    sim_bed_expect(&bed,
                   "100 run-exit y refused 0\n110 run-started x\n110 run-started y\n510 run-exit x cancelled 0\n");
    sim_bed_send(&bed, COMMAND_DESTROY, "vm", NULL, 0);
    sim_bed_send(&bed, COMMAND_DESTROY, "vm", NULL, 0);
    sim_bed_send(&bed, COMMAND_DESTROY, "none", NULL, 0);
    sim_bed_run(&bed, "vm", "z", "sim:", no_limits);
    sim_bed_go(&bed, 2000);
    sim_bed_expect(&bed, "1000 run-exit y lost 0\n1000 instance-destroyed none\n1000 run-exit z lost 0\n"
                         "1020 instance-destroyed vm\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: a destruction during the start takes the place of its answer. */
START_TEST(test_destroy_while_booting)
{
    sim_bed_init(&bed, "boot_ms=1000&destroy_ms=20");
    sim_bed_boot(&bed, "vm", 1, 512, 5000);
    sim_bed_go(&bed, 500);
    sim_bed_send(&bed, COMMAND_DESTROY, "vm", NULL, 0);
    sim_bed_go(&bed, 10000);
    sim_bed_expect(&bed, "520 instance-destroyed vm\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: while a host is down each command is answered; what it could not do is done when it is back. */
START_TEST(test_down)
{
    sim_bed_init(&bed, "boot_ms=100&destroy_ms=20&run_overhead_ms=10&down_at_s=1&up_at_s=2");
    sim_bed_boot(&bed, "vm", 1, 512, 0);
    sim_bed_boot(&bed, "old", 1, 512, 0);
    sim_bed_go(&bed, 500);
    sim_bed_run(&bed, "vm", "x", "sim: hang=1", no_limits);
    sim_bed_go(&bed, 950);
    sim_bed_boot(&bed, "new", 1, 512, 0);
    sim_bed_go(&bed, 1500);
    sim_bed_expect(&bed, "100 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"
                         "100 instance-ready old 1 vCPU, 512 MiB, 10 Mbit/s\n"
                         "510 run-started x\n"
                         "1000 host-down !unavailable\n"
                         "1000 instance-failed new !unavailable\n"
                         "1000 run-exit x lost 0\n");
    sim_bed_boot(&bed, "new", 1, 512, 0);
    sim_bed_shape(&bed, "vm", 1, (struct vm_shape){.vcpus = 2});
    sim_bed_run(&bed, "vm", "x", "sim:", no_limits);
    sim_bed_send(&bed, COMMAND_DESTROY, "vm", NULL, 0);
    sim_bed_go(&bed, 3000);
    sim_bed_expect(&bed, "1500 instance-failed new !unavailable\n"
                         "1500 instance-shaped vm #1 1 vCPU, 512 MiB, 10 Mbit/s !unavailable\n"
                         "1500 run-exit x lost 0\n"
                         "1500 instance-destroyed vm !unavailable\n"
                         "2000 host-up\n"
                         "2000 host-inventory old vm\n"
                         "2020 instance-destroyed vm\n");
    sim_bed_clear(&bed);
}
END_TEST

START_TEST(test_down_kills)
{
    start("down_at_s=1&up_at_s=2&down_kills=1&inventory_s=5");
    sim_bed_go(&bed, 8000);
    sim_bed_expect(&bed, "1000 host-down !unavailable\n2000 host-up\n2000 host-inventory\n7000 host-inventory\n");
    sim_bed_clear(&bed);
}
END_TEST

static void adopt(const char *id)
{
    struct command *command = command_new(COMMAND_ADOPT);
    command->boot = g_new0(struct boot_spec, 1);
    command->boot->instance_id = g_strdup(id);
    bed.host->klass->submit(bed.host, bed.now, command);
}

/* Rule: instances outlive the connection and can be taken over; nobody hears of them meanwhile. */
START_TEST(test_reconnect_and_adopt)
{
    start("shape_other_ms=3");
    sim_bed_run(&bed, "vm", "x", "sim: duration_ms=500", no_limits);
    sim_bed_go(&bed, 200);
    sim_bed_send(&bed, COMMAND_HOST_DISCONNECT, NULL, NULL, 0);
    sim_bed_go(&bed, 1000);
    sim_bed_send(&bed, COMMAND_HOST_CONNECT, NULL, NULL, 0);
    sim_bed_go(&bed, 2000);
    adopt("vm");
    adopt("none");
    sim_bed_go(&bed, 3000);
    sim_bed_expect(&bed, "110 run-started x\n1000 host-up\n1000 host-inventory vm\n"
                         "2000 instance-failed none !not-found\n"
                         "2003 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n");
    sim_bed_clear(&bed);
}
END_TEST

/* A few hundred VMs and runs with every fault. */
static char *run_busy_day(guint seed)
{
    g_autofree char *query =
        g_strdup_printf("seed=%u&boot_sigma=0.5&memory_mib=1000000&vcpus=4000&fail_boot=0.1&hang_boot=0.05"
                        "&crash=0.1&fail_shape=0.2&lose_event=0.1&run_sigma=1&down_at_s=20&up_at_s=25"
                        "&inventory_s=7",
                        seed);
    sim_bed_init(&bed, query);
    bed.quiet = FALSE;
    for (guint i = 0; i < 300; i++) {
        g_autofree char *id = g_strdup_printf("vm-%u", i), *execution_id = g_strdup_printf("exec-%u", i);
        sim_bed_boot(&bed, id, 1, 512, 3000);
        sim_bed_go(&bed, 100 * i + 50);
        sim_bed_run(&bed, id, execution_id, i % 3 == 0 ? "sim: duration_ms=900 cpu=2 output_bytes=4000" : NULL,
                    no_limits);
        g_autofree char *older = g_strdup_printf("vm-%u", i / 2);
        sim_bed_shape(&bed, older, i, (struct vm_shape){.vcpus = 2});
        if (i >= 100 && i % 5 == 0) /* long after its start was answered */
            sim_bed_send(&bed, COMMAND_DESTROY, older, NULL, 0);
    }
    sim_bed_go(&bed, 100000);
    char *log = g_strdup(bed.log->str);
    sim_bed_clear(&bed);
    return log;
}

/* Rule: the same seed and commands give the same events, to the byte; another seed gives others. */
START_TEST(test_determinism)
{
    g_autofree char *first = run_busy_day(7), *again = run_busy_day(7), *other = run_busy_day(8);
    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, other);
    ck_assert_uint_gt(strlen(first), 10000);
}
END_TEST

/* Rule: every boot, run, shape and destruction is answered exactly once, whatever fails. */
START_TEST(test_every_command_is_answered)
{
    g_autofree char *log = run_busy_day(3);
    ck_assert_ptr_nonnull(strstr(log, "run-exit"));
    ck_assert_uint_eq(bed.counts[EVENT_INSTANCE_READY] + bed.counts[EVENT_INSTANCE_FAILED], 300);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_EXIT], 300);
    ck_assert_uint_eq(bed.counts[EVENT_INSTANCE_SHAPED], 300);
}
END_TEST

static guint count_of(const char *query, enum event_kind kind)
{
    g_autofree char *all = g_strdup_printf("memory_mib=64000000&vcpus=4000&boot_ms=10&run_ms=10&%s", query);
    sim_bed_init(&bed, all);
    for (guint i = 0; i < 2000; i++) {
        g_autofree char *id = g_strdup_printf("vm-%u", i);
        sim_bed_boot(&bed, id, 1, 512, 1000);
    }
    sim_bed_go(&bed, 2000);
    for (guint i = 0; i < 2000; i++) {
        g_autofree char *id = g_strdup_printf("vm-%u", i);
        sim_bed_run(&bed, id, id, NULL, no_limits);
    }
    sim_bed_go(&bed, 60000);
    const guint count = bed.counts[kind];
    sim_bed_clear(&bed);
    return count;
}

/* Rule: faults come as often as was said (2000 tries, five standard deviations). */
START_TEST(test_fault_rates)
{
    static const struct {
        const char *query;
        enum event_kind kind;
        guint least, most;
    } cases[] = {
        {"", EVENT_INSTANCE_FAILED, 0, 0},
        {"", EVENT_INSTANCE_GONE, 0, 0},
        {"fail_boot=0.1", EVENT_INSTANCE_FAILED, 133, 267},
        {"hang_boot=0.1", EVENT_INSTANCE_FAILED, 133, 267},
        {"crash=0.1", EVENT_INSTANCE_GONE, 133, 267},
        {"crash=1", EVENT_INSTANCE_GONE, 2000, 2000},
        {"crash=1&lose_event=0.5", EVENT_INSTANCE_GONE, 888, 1112},
    };
    const guint count = count_of(cases[_i].query, cases[_i].kind);
    ck_assert_msg(count >= cases[_i].least && count <= cases[_i].most, "%s: %u, right would be %u to %u",
                  cases[_i].query, count, cases[_i].least, cases[_i].most);
}
END_TEST

static int compare_int64(const void *a, const void *b)
{
    const gint64 first = *(const gint64 *)a, second = *(const gint64 *)b;
    return first < second ? -1 : first > second;
}

/* Rule: drawn times have the median and the spread that were asked for. */
START_TEST(test_draws)
{
    enum { COUNT = 20001 };
    g_autofree gint64 *draws = g_new(gint64, COUNT);
    GRand *random = g_rand_new_with_seed(1);
    for (guint i = 0; i < COUNT; i++)
        draws[i] = sim_draw_us(random, 1000, 0.2);
    g_rand_free(random);
    qsort(draws, COUNT, sizeof *draws, compare_int64);
    ck_assert_double_eq_tol((double)draws[COUNT / 2], 1000000, 10000);
    ck_assert_double_eq_tol((double)draws[COUNT * 8413 / 10000], 1221403, 15000); /* one sigma: e^0.2 */
}
END_TEST

/* Rule: a wrong URI is refused with what would be right. */
START_TEST(test_bad_uris)
{
    static const char *const cases[][2] = {
        {"qemu:///system", "sim:NAME"},           {"sim:a?colour=red", "boot_ms"},
        {"sim:a?boot_ms=soon", "a number"},       {"sim:a?vcpus=1.5", "a whole number"},
        {"sim:a?vcpus=0", "from 1 to"},           {"sim:a?fail_boot=1.5", "to 1"},
        {"sim:a?boot_ms=nan", "a number"},        {"sim:a?boot_ms", "a number"},
        {"sim:a?down_at_s=5&up_at_s=4", "later"},
    };
    const struct host_spec spec = {.name = (char *)"h", .uri = (char *)cases[_i][0]};
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(sim_hypervisor_new(&spec, NULL, NULL, &error));
    ck_assert(g_error_matches(error, HBR_ERROR, HBR_ERROR_INVALID));
    ck_assert_msg(strstr(error->message, cases[_i][1]) != NULL, "%s", error->message);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("sim");
    tcase_add_test(tests, test_boot);
    tcase_add_test(tests, test_boot_failures);
    tcase_add_test(tests, test_capacity);
    tcase_add_test(tests, test_shape);
    tcase_add_test(tests, test_shrink);
    tcase_add_loop_test(tests, test_unwilling, 0, G_N_ELEMENTS(unwilling));
    tcase_add_test(tests, test_pressure);
    tcase_add_test(tests, test_pressure_unmet);
    tcase_add_test(tests, test_pressure_cpu);
    tcase_add_loop_test(tests, test_courses, 0, G_N_ELEMENTS(courses));
    tcase_add_test(tests, test_growth_helps);
    tcase_add_test(tests, test_paced);
    tcase_add_test(tests, test_samples);
    tcase_add_test(tests, test_output_credit);
    tcase_add_test(tests, test_stdin);
    tcase_add_test(tests, test_cancel_and_destroy);
    tcase_add_test(tests, test_destroy_while_booting);
    tcase_add_test(tests, test_down);
    tcase_add_test(tests, test_down_kills);
    tcase_add_test(tests, test_reconnect_and_adopt);
    tcase_add_test(tests, test_determinism);
    tcase_add_test(tests, test_every_command_is_answered);
    tcase_add_loop_test(tests, test_fault_rates, 0, 7);
    tcase_add_test(tests, test_draws);
    tcase_add_loop_test(tests, test_bad_uris, 0, 9);
    Suite *suite = suite_create("sim");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
