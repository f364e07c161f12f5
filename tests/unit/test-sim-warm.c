/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/sim-model.h"
#include "sim-support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct sim_bed bed;

/* The words of a script: "MILLISECONDS VERB ARGUMENT...; ...". */

static guint number(const char *word)
{
    return (guint)g_ascii_strtoull(word, NULL, 10);
}

/* Two programs differ when their names do. */
static char *source_of(const char *name)
{
    return g_strdup_printf("# %s\n# sim: duration_ms=100", name);
}

static void do_boot(char **words)
{
    sim_bed_boot(&bed, words[0], number(words[1]), number(words[2]), number(words[3]));
}

static void do_clone(char **words)
{
    sim_bed_clone(&bed, words[0], words[1], number(words[2]), number(words[3]), number(words[4]));
}

static void do_claim(char **words)
{
    sim_bed_claim(&bed, words[0], number(words[1]), number(words[2]), number(words[3]));
}

static void do_pause(char **words)
{
    sim_bed_send(&bed, COMMAND_PAUSE, words[0], NULL, 0);
}

static void do_save(char **words)
{
    sim_bed_saved(&bed, COMMAND_SAVE, words[0], words[1]);
}

static void do_forget(char **words)
{
    sim_bed_saved(&bed, COMMAND_FORGET_SAVED, NULL, words[0]);
}

static void do_stage(char **words)
{
    g_autofree char *source = source_of(words[2]);
    sim_bed_stage(&bed, words[0], words[1], source);
}

static void do_go(char **words)
{
    g_autofree char *source = source_of(words[2]);
    sim_bed_run_staged(&bed, words[0], words[1], source);
}

static void do_run(char **words)
{
    g_autofree char *source = source_of(words[2]);
    const struct run_limits limits = {0};
    sim_bed_run(&bed, words[0], words[1], source, limits);
}

static void do_shape(char **words)
{
    sim_bed_shape(&bed, words[0], 1, (struct vm_shape){.vcpus = number(words[1]), .network_mbps = 10});
}

static void do_migrate(char **words)
{
    struct command *command = command_new(COMMAND_MIGRATE);
    command->id = g_strdup(words[0]);
    command->host_spec = g_new0(struct host_spec, 1);
    command->host_spec->name = g_strdup("other");
    command->count = number(words[1]);
    bed.host->klass->submit(bed.host, bed.now, command);
}

static void do_arrive(char **words)
{
    struct command *command = command_new(COMMAND_ADOPT);
    command->id = g_strdup(words[0]);
    command->boot = g_new0(struct boot_spec, 1);
    *command->boot = (struct boot_spec){.instance_id = g_strdup(words[0]),
                                        .shape = {.vcpus = number(words[1]), .memory_mib = number(words[2])},
                                        .is_migrated = TRUE};
    bed.host->klass->submit(bed.host, bed.now, command);
}

static void do_destroy(char **words)
{
    sim_bed_send(&bed, COMMAND_DESTROY, words[0], NULL, 0);
}

static void do_reconnect(char **words G_GNUC_UNUSED)
{
    sim_bed_send(&bed, COMMAND_HOST_DISCONNECT, NULL, NULL, 0);
    sim_bed_send(&bed, COMMAND_HOST_CONNECT, NULL, NULL, 0);
}

static const struct {
    const char *name;
    guint arguments;
    void (*handle)(char **words);
} verbs[] = {
    {"boot", 4, do_boot},       {"clone", 5, do_clone},   {"claim", 4, do_claim},     {"pause", 1, do_pause},
    {"save", 2, do_save},       {"forget", 1, do_forget}, {"stage", 3, do_stage},     {"go", 3, do_go},
    {"run", 3, do_run},         {"shape", 2, do_shape},   {"destroy", 1, do_destroy}, {"reconnect", 0, do_reconnect},
    {"migrate", 2, do_migrate}, {"arrive", 3, do_arrive},
};

static void play_line(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    const guint count = g_strv_length(words);
    ck_assert_msg(count >= 2, "%s", line);
    sim_bed_go(&bed, number(words[0]));
    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(verbs[i].name, words[1]) == 0 && verbs[i].arguments == count - 2) {
            verbs[i].handle(words + 2);
            return;
        }
    ck_abort_msg("%s", line);
}

static void play(const char *script)
{
    g_auto(GStrv) lines = g_strsplit(script, "; ", -1);
    for (guint i = 0; lines[i] != NULL; i++)
        play_line(lines[i]);
    sim_bed_go(&bed, 10000);
}

/* A host with one ready VM "vm" of 1 vCPU, 512 MiB and 10 Mbit/s, at 100 ms, that may grow to 4 and 4096. */
static void start(const char *query)
{
    g_autofree char *all = g_strdup_printf(
        "boot_ms=100&clone_ms=50&save_ms=30&pause_ms=5&resume_ms=3&claim_ms=4&stage_ms=40&go_ms=2&destroy_ms=20"
        "&run_overhead_ms=10&shape_cpu_ms=200&shape_memory_ms=15&shape_other_ms=1&%s",
        query);
    sim_bed_init(&bed, all);
    sim_bed_boot(&bed, "vm", 1, 512, 60000);
    sim_bed_go(&bed, 100);
    sim_bed_expect(&bed, "100 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n");
}

/* What comes of commands to that host, from 100 ms on. */
struct scene {
    const char *what, *query, *script, *log;
};

static void play_scene(const struct scene *scene)
{
    start(scene->query);
    play(scene->script);
    ck_assert_msg(strcmp(bed.log->str, scene->log) == 0, "%s:\n%sright would be\n%s", scene->what, bed.log->str,
                  scene->log);
    sim_bed_clear(&bed);
}

static const struct scene pauses[] = {
    {"it takes its time", "", "200 pause vm", "205 instance-paused vm\n"},
    {"it fails, and the VM runs on", "fail_pause=1", "200 pause vm; 300 run vm x a",
     "205 instance-paused vm !hypervisor\n310 run-started x\n410 run-exit x exited 0\n"},
    {"of what is not there, or not ready", "",
     "150 boot new 1 512 0; 200 pause none; 200 pause new; 240 pause vm; 243 pause vm; 300 pause vm",
     "200 instance-paused none !not-found\n200 instance-paused new !conflict\n243 instance-paused vm !conflict\n"
     "245 instance-paused vm\n250 instance-ready new 1 vCPU, 512 MiB, 10 Mbit/s\n300 instance-paused vm !conflict\n"},
    {"of one that is in use", "",
     "200 run vm x a; 220 pause vm; 400 shape vm 2; 410 pause vm; 700 stage vm s a; 710 pause vm; 800 pause vm",
     "210 run-started x\n220 instance-paused vm !conflict\n310 run-exit x exited 0\n410 instance-paused vm !conflict\n"
     "600 instance-shaped vm #1 2 vCPU, 512 MiB, 10 Mbit/s\n710 instance-paused vm !conflict\n740 staged s in 40000 us\n"
     "805 instance-paused vm\n"},
    {"nothing else can be done with it", "",
     "200 pause vm; 202 run vm x a; 202 shape vm 2; 202 stage vm s a; 300 run vm y a; 300 shape vm 2; 300 stage vm t a",
     "202 run-exit x refused 0\n202 instance-shaped vm #1 1 vCPU, 512 MiB, 10 Mbit/s !conflict\n202 staged s !conflict\n"
     "205 instance-paused vm\n"
     "300 run-exit y refused 0\n300 instance-shaped vm #1 1 vCPU, 512 MiB, 10 Mbit/s !conflict\n300 staged t !conflict\n"},
    {"a destruction takes the place of its answer", "", "200 pause vm; 202 destroy vm", "222 instance-destroyed vm\n"},
    {"one that is paused is destroyed as any other", "", "200 pause vm; 300 destroy vm",
     "205 instance-paused vm\n320 instance-destroyed vm\n"},
    {"the connection is lost: it runs on", "down_at_s=0.203&up_at_s=1", "200 pause vm; 500 pause vm; 1100 pause vm",
     "203 host-down !unavailable\n203 instance-paused vm !unavailable\n500 instance-paused vm !unavailable\n1000 host-up\n"
     "1000 host-inventory vm\n1105 instance-paused vm\n"},
    {"it outlives the connection", "", "200 pause vm; 300 reconnect; 400 claim vm 1 512 0",
     "205 instance-paused vm\n300 host-up\n300 host-inventory vm\n407 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
};

START_TEST(test_pause)
{
    play_scene(&pauses[_i]);
}
END_TEST

static const struct scene claims[] = {
    {"of a running one", "", "200 claim vm 1 512 1000", "204 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"of a paused one", "", "200 pause vm; 300 claim vm 1 512 1000; 400 run vm x a",
     "205 instance-paused vm\n307 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n410 run-started x\n510 run-exit x exited 0\n"},
    {"during the pause: after it", "", "200 pause vm; 202 claim vm 1 512 1000",
     "205 instance-paused vm\n212 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"during a pause that fails", "fail_pause=1", "200 pause vm; 202 claim vm 1 512 1000",
     "205 instance-paused vm !hypervisor\n212 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"with more memory", "", "200 claim vm 1 768 1000", "219 instance-ready vm 1 vCPU, 768 MiB, 10 Mbit/s\n"},
    {"with more of all", "", "200 pause vm; 300 claim vm 3 768 1000",
     "205 instance-paused vm\n722 instance-ready vm 3 vCPU, 768 MiB, 10 Mbit/s\n"},
    {"with less: it keeps what it has", "", "200 claim vm 1 256 1000",
     "204 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"with more than it was defined for", "", "200 claim vm 5 512 1000; 300 claim vm 1 512 0",
     "200 instance-failed vm !unsupported\n300 instance-failed vm !not-found\n"},
    {"with more than there is", "memory_mib=1024", "200 claim vm 1 1025 1000; 300 boot new 1 1024 0",
     "200 instance-failed vm !exhausted\n400 instance-ready new 1 vCPU, 1024 MiB, 10 Mbit/s\n"},
    {"what it will have is promised from the start", "memory_mib=2048",
     "200 claim vm 1 1024 0; 201 boot a 1 1025 0; 202 boot b 1 1024 0",
     "201 instance-failed a !exhausted\n219 instance-ready vm 1 vCPU, 1024 MiB, 10 Mbit/s\n"
     "302 instance-ready b 1 vCPU, 1024 MiB, 10 Mbit/s\n"},
    {"what it got counts in a change of shape", "", "200 claim vm 2 512 0; 500 shape vm 3",
     "404 instance-ready vm 2 vCPU, 512 MiB, 10 Mbit/s\n700 instance-shaped vm #1 3 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"the timeout of the one before does not count", "", "200 claim vm 1 512 1000; 1150 claim vm 2 512 1000",
     "204 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n1354 instance-ready vm 2 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"it hangs", "hang_claim=1", "200 claim vm 1 512 1000; 1100 run vm x a; 2000 run vm x a",
     "1100 run-exit x refused 0\n1200 instance-failed vm !timeout\n2000 run-exit x lost 0\n"},
    {"it takes too long", "", "200 claim vm 2 512 50", "250 instance-failed vm !timeout\n"},
    {"it fails", "fail_claim=1&claim_ms=0", "200 claim vm 1 512 1000; 300 reconnect",
     "200 instance-failed vm !hypervisor\n300 host-up\n300 host-inventory\n"},
    {"again, after it was used", "", "200 claim vm 1 512 1000; 300 claim vm 1 512 1000",
     "204 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n304 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"of what is not there, or in use: that stays", "",
     "150 boot new 1 512 0; 200 claim none 1 512 0; 200 claim new 1 512 0; 300 run vm x a; 350 claim vm 1 512 0",
     "200 instance-failed none !not-found\n200 instance-failed new !conflict\n250 instance-ready new 1 vCPU, 512 MiB, 10 Mbit/s\n"
     "310 run-started x\n350 instance-failed vm !conflict\n410 run-exit x exited 0\n"},
    {"twice", "", "200 claim vm 1 512 0; 202 claim vm 1 512 0",
     "202 instance-failed vm !conflict\n204 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"a destruction takes the place of its answer", "", "200 claim vm 2 512 1000; 202 destroy vm",
     "222 instance-destroyed vm\n"},
    {"the connection is lost", "down_at_s=0.202&up_at_s=1", "200 claim vm 1 512 0; 500 claim vm 1 512 0",
     "202 host-down !unavailable\n202 instance-failed vm !unavailable\n500 instance-failed vm !unavailable\n1000 host-up\n"
     "1000 host-inventory\n"},
};

START_TEST(test_claim)
{
    play_scene(&claims[_i]);
}
END_TEST

/* Rule: at the claim limits are set, in either direction; CPUs and memory never shrink. */
START_TEST(test_claim_sets_limits)
{
    static const struct vm_shape shapes[] = {
        {.vcpus = 1, .memory_mib = 256, .network_mbps = 50, .cpu_percent = 50},
        {.vcpus = 1, .memory_mib = 256, .network_mbps = 5, .cpu_percent = 100},
        {.vcpus = 1, .memory_mib = 256},
    };
    start("");
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        struct command *command = command_new(COMMAND_CLAIM);
        command->id = g_strdup("vm");
        command->boot = g_new0(struct boot_spec, 1);
        command->boot->shape = shapes[i];
        bed.host->klass->submit(bed.host, bed.now, command);
        sim_bed_go(&bed, 200 + i * 100);
    }
    sim_bed_expect(&bed, "105 instance-ready vm 1 vCPU, 512 MiB, 50 Mbit/s, capped at 50 % CPU\n"
                         "205 instance-ready vm 1 vCPU, 512 MiB, 5 Mbit/s, capped at 100 % CPU\n"
                         "305 instance-ready vm 1 vCPU, 512 MiB\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: the way to ready is told step by step. */
START_TEST(test_progress)
{
    start("claim_ms=6&clone_ms=40");
    bed.quiet = FALSE;
    play("200 claim vm 1 512 0; 300 pause vm; 400 claim vm 1 768 0; 500 save vm saved-1; 600 clone c saved-1 1 1024 0");
    sim_bed_expect(&bed, "203 instance-progress vm agent answered\n"
                         "206 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"
                         "305 instance-paused vm\n"
                         "403 instance-progress vm resumed\n"
                         "406 instance-progress vm agent answered\n"
                         "424 instance-ready vm 1 vCPU, 768 MiB, 10 Mbit/s\n"
                         "530 instance-saved vm saved-1 of 1 vCPU, 768 MiB, 10 Mbit/s in 31 MiB\n"
                         "632 instance-progress c restored\n"
                         "638 instance-progress c agent answered\n"
                         "655 instance-ready c 1 vCPU, 1024 MiB, 10 Mbit/s\n");
    sim_bed_clear(&bed);
}
END_TEST

/* Rule: an instance that is claimed, or found again, after it was used is sampled as a new one is. */
START_TEST(test_samples_after_use)
{
    start("");
    play("200 run vm x a; 400 claim vm 1 512 0");
    sim_bed_run(&bed, "vm", "y", "# sim: duration_ms=1500", (struct run_limits){0});
    sim_bed_go(&bed, 20000);
    ck_assert_uint_eq(bed.counts[EVENT_SAMPLE], 1);
    sim_bed_clear(&bed);

    start("down_at_s=0.5&up_at_s=1");
    sim_bed_run(&bed, "vm", "x", "# sim: duration_ms=5000", (struct run_limits){0});
    sim_bed_go(&bed, 1200);
    sim_bed_run(&bed, "vm", "y", "# sim: duration_ms=1500", (struct run_limits){0});
    sim_bed_go(&bed, 10000);
    ck_assert_uint_eq(bed.counts[EVENT_SAMPLE], 1);
    sim_bed_clear(&bed);
}
END_TEST

static const struct scene saves[] = {
    {"it ends the instance", "saved_mib=40", "200 save vm saved-1; 300 claim vm 1 512 0; 400 reconnect",
     "230 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 40 MiB\n300 instance-failed vm !not-found\n"
     "400 host-up\n400 host-inventory +saved-1\n"},
    {"of a paused one", "", "200 pause vm; 300 save vm saved-1",
     "205 instance-paused vm\n330 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n"},
    {"its room is free after it", "memory_mib=1024", "200 save vm saved-1; 210 boot a 1 1024 0; 240 boot b 1 1024 0",
     "210 instance-failed a !exhausted\n230 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n"
     "340 instance-ready b 1 vCPU, 1024 MiB, 10 Mbit/s\n"},
    {"the host cannot", "saves=0", "200 save vm saved-1; 300 reconnect",
     "200 instance-saved vm saved-1 !unsupported\n300 host-up\n300 host-inventory\n"},
    {"it fails", "fail_save=1", "200 save vm saved-1; 300 reconnect",
     "230 instance-saved vm saved-1 !hypervisor\n300 host-up\n300 host-inventory\n"},
    {"one of that id is there", "", "150 boot new 1 512 0; 260 save vm saved-1; 300 save new saved-1; 400 reconnect",
     "250 instance-ready new 1 vCPU, 512 MiB, 10 Mbit/s\n"
     "290 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n300 instance-saved new saved-1 !conflict\n"
     "400 host-up\n400 host-inventory +saved-1\n"},
    {"of what is not there, or in use: that stays", "",
     "200 save none saved-1; 200 run vm x a; 250 save vm saved-1; 400 reconnect",
     "200 instance-saved none saved-1 !not-found\n210 run-started x\n250 instance-saved vm saved-1 !conflict\n310 run-exit x exited 0\n"
     "400 host-up\n400 host-inventory vm\n"},
    {"nothing else can be done meanwhile", "",
     "200 save vm saved-1; 210 pause vm; 210 save vm saved-2; 210 claim vm 1 512 0; 210 run vm x a; 210 stage vm s a",
     "210 instance-paused vm !conflict\n210 instance-saved vm saved-2 !conflict\n210 instance-failed vm !conflict\n"
     "210 run-exit x refused 0\n210 staged s !conflict\n"
     "230 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n"},
    {"a destruction takes the place of its answer", "", "200 save vm saved-1; 210 destroy vm; 300 reconnect",
     "230 instance-destroyed vm\n300 host-up\n300 host-inventory\n"},
    {"the connection is lost", "down_at_s=0.21&up_at_s=1", "200 save vm saved-1; 500 save vm saved-1",
     "210 host-down !unavailable\n210 instance-saved vm saved-1 !unavailable\n500 instance-saved vm saved-1 !unavailable\n"
     "1000 host-up\n1000 host-inventory\n"},
    {"it goes on while nobody listens", "", "200 save vm saved-1; 210 reconnect; 300 reconnect",
     "210 host-up\n210 host-inventory vm\n230 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n"
     "300 host-up\n300 host-inventory +saved-1\n"},
};

START_TEST(test_save)
{
    play_scene(&saves[_i]);
}
END_TEST

/* "vm" is saved as saved-1 from 200 to 230 ms. */
#define SAVE "200 save vm saved-1; "
#define SAVED "230 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n"

static const struct scene clones[] = {
    {"as many as one likes", "", SAVE "300 clone a saved-1 1 512 0; 300 clone b saved-1 1 512 0; 400 reconnect",
     SAVED "350 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n350 instance-ready b 1 vCPU, 512 MiB, 10 Mbit/s\n"
           "400 host-up\n400 host-inventory a b +saved-1\n"},
    {"it is an instance like another", "",
     SAVE "300 clone a saved-1 1 512 0; 400 run a x a; 600 pause a; 700 claim a 1 512 0",
     SAVED
     "350 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n410 run-started x\n510 run-exit x exited 0\n605 instance-paused a\n"
     "707 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"in a bigger shape", "", SAVE "300 clone a saved-1 2 768 0",
     SAVED "565 instance-ready a 2 vCPU, 768 MiB, 10 Mbit/s\n"},
    {"in a smaller one: it has what was saved", "", SAVE "300 clone a saved-1 1 256 0",
     SAVED "350 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"bigger than it was defined for", "", SAVE "300 clone a saved-1 5 512 0",
     SAVED "300 instance-failed a !unsupported\n"},
    {"there is no room", "memory_mib=1024",
     SAVE "300 clone a saved-1 1 512 0; 300 clone b saved-1 1 512 0; 300 clone c saved-1 1 1 0",
     SAVED "300 instance-failed c !exhausted\n350 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"
           "350 instance-ready b 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"of an unknown state", "", "200 clone a saved-1 1 512 0",
     "200 saved-lost saved-1 !not-found\n200 instance-failed a !not-found\n"},
    {"of a damaged one: it is lost", "damage=1", SAVE "300 clone a saved-1 1 512 0; 400 reconnect",
     SAVED "300 saved-lost saved-1 !hypervisor\n300 instance-failed a !hypervisor\n400 host-up\n400 host-inventory\n"},
    {"of a forgotten one", "",
     SAVE "290 clone a saved-1 1 512 0; 300 forget saved-1; 310 forget saved-1; 320 clone b saved-1 1 512 0",
     SAVED
     "320 saved-lost saved-1 !not-found\n320 instance-failed b !not-found\n340 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"of one saved again", "",
     SAVE "300 forget saved-1; 300 boot vm 1 512 0; 500 save vm saved-1; 600 clone a saved-1 1 512 0",
     SAVED
     "400 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"
     "530 instance-saved vm saved-1 of 1 vCPU, 512 MiB, 10 Mbit/s in 31 MiB\n650 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"it fails", "fail_clone=1&clone_ms=0", SAVE "300 clone a saved-1 1 512 0; 400 reconnect",
     SAVED "300 instance-failed a !hypervisor\n400 host-up\n400 host-inventory +saved-1\n"},
    {"it hangs", "hang_clone=1", SAVE "300 clone a saved-1 1 512 500", SAVED "800 instance-failed a !timeout\n"},
    {"the connection is lost, the files are not", "down_at_s=0.31&up_at_s=1&down_kills=1",
     SAVE "300 clone a saved-1 1 512 0; 500 clone b saved-1 1 512 0; 600 forget saved-1",
     SAVED
     "310 host-down !unavailable\n310 instance-failed a !unavailable\n500 instance-failed b !unavailable\n1000 host-up\n"
     "1000 host-inventory +saved-1\n"},
};

START_TEST(test_clone)
{
    play_scene(&clones[_i]);
}
END_TEST

/* Rule: a saved state is as its instance was, and what the command said of it. */
START_TEST(test_saved_state)
{
    start("");
    struct command *command = command_new(COMMAND_SAVE);
    command->id = g_strdup("vm");
    command->saved = g_new0(struct saved_state, 1);
    command->saved->id = g_strdup("saved-1");
    command->saved->pool = g_strdup("p@h");
    bed.host->klass->submit(bed.host, bed.now, command);
    sim_bed_go(&bed, 200);
    sim_bed_send(&bed, COMMAND_HOST_DISCONNECT, NULL, NULL, 0);
    sim_bed_send(&bed, COMMAND_HOST_CONNECT, NULL, NULL, 0);
    sim_bed_go(&bed, 300);
    const struct saved_state *saved = bed.saved;
    ck_assert_ptr_nonnull(saved);
    ck_assert_str_eq(saved->id, "saved-1");
    ck_assert_str_eq(saved->pool, "p@h");
    ck_assert_str_eq(saved->template, "base");
    ck_assert_ptr_nonnull(saved->fingerprint);
    ck_assert(vm_shape_equal(&saved->maximum, &(struct vm_shape){.vcpus = 4, .memory_mib = 4096}));
    ck_assert_int_eq(saved->bytes, 31 << 20);
    ck_assert_int_eq(saved->created_at, SIM_START + 130 * CLOCK_MS);
    sim_bed_clear(&bed);
}
END_TEST

static const struct scene stages[] = {
    {"then it only has to be told to go", "", "200 stage vm s a; 300 go vm x a",
     "240 staged s in 40000 us\n302 run-started x\n402 run-exit x exited 0\n"},
    {"once", "", "200 stage vm s a; 300 go vm x a; 500 go vm y a",
     "240 staged s in 40000 us\n302 run-started x\n402 run-exit x exited 0\n510 run-started y\n610 run-exit y exited 0\n"},
    {"nothing was staged", "", "300 go vm x a", "310 run-started x\n410 run-exit x exited 0\n"},
    {"something else was staged", "", "200 stage vm s a; 300 go vm x b; 500 go vm y a",
     "240 staged s in 40000 us\n310 run-started x\n410 run-exit x exited 0\n502 run-started y\n602 run-exit y exited 0\n"},
    {"it is not asked for", "", "200 stage vm s a; 300 run vm x a",
     "240 staged s in 40000 us\n310 run-started x\n410 run-exit x exited 0\n"},
    {"it is not staged yet", "", "200 stage vm s a; 220 go vm x a",
     "230 run-started x\n240 staged s in 40000 us\n330 run-exit x exited 0\n"},
    {"the next takes its place", "", "200 stage vm s a; 300 stage vm t b; 400 go vm x a; 600 go vm y b",
     "240 staged s in 40000 us\n340 staged t in 40000 us\n410 run-started x\n510 run-exit x exited 0\n602 run-started y\n"
     "702 run-exit y exited 0\n"},
    {"one at a time", "", "200 stage vm s a; 220 stage vm t b; 300 go vm x a",
     "220 staged t !conflict\n240 staged s in 40000 us\n302 run-started x\n402 run-exit x exited 0\n"},
    {"it fails", "fail_stage=1", "200 stage vm s a; 300 go vm x a",
     "240 staged s !guest\n310 run-started x\n410 run-exit x exited 0\n"},
    {"where nothing is ready", "", "150 boot new 1 512 0; 200 stage none s a; 200 stage new t a",
     "200 staged s !not-found\n200 staged t !conflict\n250 instance-ready new 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"a new identity does not find it", "", "200 stage vm s a; 300 claim vm 1 512 0; 400 go vm x a",
     "240 staged s in 40000 us\n304 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n410 run-started x\n510 run-exit x exited 0\n"},
    {"the VM is destroyed", "", "200 stage vm s a; 220 destroy vm",
     "220 staged s !cancelled\n240 instance-destroyed vm\n"},
    {"the connection is lost", "down_at_s=0.22&up_at_s=1", "200 stage vm s a; 500 stage vm t a; 1100 go vm x a",
     "220 host-down !unavailable\n220 staged s !unavailable\n500 staged t !unavailable\n1000 host-up\n1000 host-inventory vm\n"
     "1110 run-started x\n1210 run-exit x exited 0\n"},
};

START_TEST(test_stage)
{
    play_scene(&stages[_i]);
}
END_TEST

static const struct scene migrations[] = {
    {"then it is not here", "", "200 migrate vm 1000; 400 stage vm s a; 500 reconnect",
     "250 instance-migrated vm\n400 staged s !not-found\n500 host-up\n500 host-inventory\n"},
    {"it fails, and stays", "fail_migrate=1", "200 migrate vm 1000; 400 run vm x a",
     "250 instance-migrated vm !hypervisor\n410 run-started x\n510 run-exit x exited 0\n"},
    {"it hangs until its time is up", "hang_migrate=1", "200 migrate vm 1000; 1300 run vm x a",
     "1200 instance-migrated vm !timeout\n1310 run-started x\n1410 run-exit x exited 0\n"},
    {"it takes too long", "migrate_ms=2000", "200 migrate vm 1000", "1200 instance-migrated vm !timeout\n"},
    {"nothing else meanwhile", "", "200 migrate vm 1000; 210 stage vm s a; 220 pause vm; 230 migrate vm 1000",
     "210 staged s !conflict\n220 instance-paused vm !conflict\n230 instance-migrated vm !conflict\n250 instance-migrated vm\n"},
    {"not one that is in use", "", "200 run vm x a; 220 migrate vm 1000; 220 migrate none 1000",
     "210 run-started x\n220 instance-migrated vm !conflict\n220 instance-migrated none !not-found\n310 run-exit x exited 0\n"},
    {"the VM is destroyed", "", "200 migrate vm 1000; 220 destroy vm",
     "220 instance-migrated vm !cancelled\n240 instance-destroyed vm\n"},
    {"the connection is lost", "down_at_s=0.22&up_at_s=1", "200 migrate vm 1000; 1100 run vm x a",
     "220 host-down !unavailable\n220 instance-migrated vm !unavailable\n1000 host-up\n1000 host-inventory vm\n"
     "1110 run-started x\n1210 run-exit x exited 0\n"},
    {"one arrives", "shape_other_ms=3", "200 arrive new 2 1024; 300 run new x a",
     "203 instance-ready new 2 vCPU, 1024 MiB\n310 run-started x\n410 run-exit x exited 0\n"},
    {"one arrives where no room is", "", "200 arrive new 2 99999", "200 instance-failed new !exhausted\n"},
    {"one comes back", "migrate_ms=5&shape_other_ms=3",
     "200 arrive new 1 512; 300 migrate new 1000; 400 arrive new 1 512",
     "203 instance-ready new 1 vCPU, 512 MiB\n305 instance-migrated new\n403 instance-ready new 1 vCPU, 512 MiB\n"},
};

START_TEST(test_migrate)
{
    const struct scene *scene = &migrations[_i];
    g_autofree char *query = g_strdup_printf("migrate_ms=50&%s", scene->query);
    const struct scene timed = {scene->what, query, scene->script, scene->log};
    play_scene(&timed);
}
END_TEST

/* Rule: on c CPUs, beside k boots, clones and saves, what begins takes (k + 1) / c as long, but never less than alone. */
static const struct scene contentions[] = {
    {"not unless asked for", "vcpus=1", "200 boot a 1 128 0; 210 claim vm 1 512 0",
     "214 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n300 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n"},
    {"a claim beside a boot", "contention=1&vcpus=1", "200 boot a 1 128 0; 210 claim vm 1 512 0",
     "218 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n300 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n"},
    {"boots beside each other", "contention=1&vcpus=2",
     "200 boot a 1 128 0; 210 boot b 1 128 0; 220 boot c 1 128 0; 230 boot d 1 128 0",
     "300 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n310 instance-ready b 1 vCPU, 128 MiB, 10 Mbit/s\n"
     "370 instance-ready c 1 vCPU, 128 MiB, 10 Mbit/s\n430 instance-ready d 1 vCPU, 128 MiB, 10 Mbit/s\n"},
    {"a claim with growth, beside three on two CPUs", "contention=1&vcpus=2&pause_ms=4",
     "200 boot a 1 128 0; 200 boot b 1 128 0; 200 pause vm; 250 boot c 1 128 0; 260 claim vm 2 512 0",
     "206 instance-paused vm\n300 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n300 instance-ready b 1 vCPU, 128 MiB, 10 Mbit/s\n"
     "400 instance-ready c 1 vCPU, 128 MiB, 10 Mbit/s\n674 instance-ready vm 2 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"a clone beside a save", "contention=1&vcpus=1",
     SAVE "240 boot b 1 128 0; 350 save b saved-2; 360 clone a saved-1 1 512 0",
     SAVED
     "340 instance-ready b 1 vCPU, 128 MiB, 10 Mbit/s\n"
     "380 instance-saved b saved-2 of 1 vCPU, 128 MiB, 10 Mbit/s in 31 MiB\n460 instance-ready a 1 vCPU, 512 MiB, 10 Mbit/s\n"},
    {"a claim beside a claim", "contention=1&vcpus=1", "150 boot a 1 128 0; 300 claim vm 1 512 0; 302 claim a 1 128 0",
     "250 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n304 instance-ready vm 1 vCPU, 512 MiB, 10 Mbit/s\n"
     "306 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n"},
    {"programs beside a boot", "contention=1&vcpus=1",
     "150 stage vm s a; 200 boot a 1 128 0; 210 go vm x a; 220 stage vm t b; 225 shape vm 2",
     "190 staged s in 40000 us\n214 run-started x\n300 instance-ready a 1 vCPU, 128 MiB, 10 Mbit/s\n300 staged t in 80000 us\n"
     "314 run-exit x exited 0\n625 instance-shaped vm #1 2 vCPU, 512 MiB, 10 Mbit/s\n"},
};

START_TEST(test_contention)
{
    play_scene(&contentions[_i]);
}
END_TEST

static int compare_double(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return first < second ? -1 : first > second;
}

/* Rule: these latencies have the median and the spread that were asked for. */
START_TEST(test_spread)
{
    static const struct {
        const char *query, *verb;
    } cases[] = {
        {"claim_ms=1000", "claim vm 1 512 0"},
        {"stage_ms=1000", "stage vm s a"},
        {"go_ms=1000&run_overhead_ms=0", "go vm x a"},
    };
    enum { COUNT = 1001 };
    g_autofree double *took_ms = g_new(double, COUNT);
    g_autofree char *query = g_strdup_printf("warm_sigma=0.5&stage_ms=1&%s", cases[_i].query);
    start(query);
    for (guint i = 0; i < COUNT; i++) {
        const guint at_ms = (i + 1) * 100000;
        g_autofree char *line = g_strdup_printf("%u %s", at_ms, cases[_i].verb);
        g_autofree char *before = g_strdup_printf("%u stage vm s a", at_ms - 50000);
        if (strstr(line, " go ") != NULL)
            play_line(before);
        sim_bed_go(&bed, at_ms);
        g_string_truncate(bed.log, 0);
        play_line(line);
        sim_bed_go(&bed, at_ms + 50000);
        took_ms[i] = g_ascii_strtod(bed.log->str, NULL) - at_ms;
    }
    qsort(took_ms, COUNT, sizeof *took_ms, compare_double);
    ck_assert_double_eq_tol(took_ms[COUNT / 2], 1000, 60);
    ck_assert_double_eq_tol(took_ms[COUNT * 8413 / 10000], 1649, 120); /* one sigma: e^0.5 */
    sim_bed_clear(&bed);
}
END_TEST

static const char *const busy_script[] = {
    "boot", "pause", "claim", "stage", "go", "save", "clone", "pause", "claim", "run", "shape", "destroy", "claim",
};

/* Each VM goes through it all, at its own pace and with every fault; what is refused is refused. */
static char *run_busy_day(guint seed)
{
    g_autofree char *query = g_strdup_printf(
        "seed=%u&boot_ms=100&boot_sigma=0.5&warm_sigma=0.5&shape_sigma=0.5&contention=1&memory_mib=100000&vcpus=100"
        "&fail_boot=0.1&fail_clone=0.1&hang_clone=0.1&fail_claim=0.05&hang_claim=0.05&fail_pause=0.1&fail_save=0.1"
        "&fail_stage=0.2&damage=0.2&down_at_s=20&up_at_s=25&inventory_s=7",
        seed);
    sim_bed_init(&bed, query);
    bed.quiet = FALSE;
    for (guint i = 0; i < 2600; i++) {
        const guint vm = i % 200, part = i / 200;
        const gboolean is_clone = part >= 6 && part < 12;
        const char *verb = busy_script[(part + vm % 3) % G_N_ELEMENTS(busy_script)];
        g_autofree char *id = g_strdup_printf("%s-%u", is_clone ? "clone" : "vm", vm);
        g_autofree char *line = NULL;
        if (strcmp(verb, "boot") == 0 || strcmp(verb, "claim") == 0)
            line = g_strdup_printf("%u %s %s 1 %u 2000", i * 15, verb, id, 128 + vm);
        else if (strcmp(verb, "clone") == 0)
            line = g_strdup_printf("%u clone %s saved-%u 1 128 2000", i * 15, id, vm);
        else if (strcmp(verb, "save") == 0)
            line = g_strdup_printf("%u save %s saved-%u", i * 15, id, vm);
        else if (strcmp(verb, "shape") == 0)
            line = g_strdup_printf("%u shape %s 2", i * 15, id);
        else if (strcmp(verb, "pause") == 0 || strcmp(verb, "destroy") == 0)
            line = g_strdup_printf("%u %s %s", i * 15, verb, id);
        else
            line = g_strdup_printf("%u %s %s x-%u a", i * 15, verb, id, i);
        play_line(line);
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

/* Rule: every command is answered once; 200 of each came, and no destruction cut one short. */
START_TEST(test_every_command_is_answered)
{
    g_autofree char *log = run_busy_day(3);
    ck_assert_ptr_nonnull(strstr(log, "saved-lost"));
    ck_assert_uint_eq(bed.counts[EVENT_INSTANCE_PAUSED], 400);
    ck_assert_uint_eq(bed.counts[EVENT_INSTANCE_SAVED], 200);
    ck_assert_uint_eq(bed.counts[EVENT_STAGED], 200);
    ck_assert_uint_eq(bed.counts[EVENT_RUN_EXIT], 400);
    ck_assert_uint_eq(bed.counts[EVENT_INSTANCE_READY] + bed.counts[EVENT_INSTANCE_FAILED], 1000);
}
END_TEST

/* Rule: what is not said is as it was measured. */
START_TEST(test_defaults)
{
    struct sim_model model;
    ck_assert(sim_model_parse("sim:a", &model, NULL));
    const double got[] = {model.resume_ms, model.claim_ms, model.clone_ms, model.save_ms,
                          model.pause_ms,  model.stage_ms, model.go_ms,    model.warm_sigma};
    const double right[] = {3, 4, 170, 300, 3, 40, 2, 0.2};
    for (guint i = 0; i < G_N_ELEMENTS(right); i++)
        ck_assert_double_eq(got[i], right[i]);
    ck_assert(model.saves);
    ck_assert(!model.contention);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("sim-warm");
    tcase_add_loop_test(tests, test_pause, 0, G_N_ELEMENTS(pauses));
    tcase_add_loop_test(tests, test_claim, 0, G_N_ELEMENTS(claims));
    tcase_add_test(tests, test_claim_sets_limits);
    tcase_add_test(tests, test_progress);
    tcase_add_test(tests, test_samples_after_use);
    tcase_add_loop_test(tests, test_save, 0, G_N_ELEMENTS(saves));
    tcase_add_loop_test(tests, test_clone, 0, G_N_ELEMENTS(clones));
    tcase_add_test(tests, test_saved_state);
    tcase_add_loop_test(tests, test_stage, 0, G_N_ELEMENTS(stages));
    tcase_add_loop_test(tests, test_migrate, 0, G_N_ELEMENTS(migrations));
    tcase_add_loop_test(tests, test_contention, 0, G_N_ELEMENTS(contentions));
    tcase_add_loop_test(tests, test_spread, 0, 3);
    tcase_add_test(tests, test_determinism);
    tcase_add_test(tests, test_every_command_is_answered);
    tcase_add_test(tests, test_defaults);
    Suite *suite = suite_create("sim-warm");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
