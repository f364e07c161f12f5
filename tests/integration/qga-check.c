/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A guest with qemu-guest-agent, made by tests/integration/session/test-guest-agent. */

static struct drive *drive;
static const struct vm_shape small = {1, 512}, large = {4, 2048};

static gboolean run(const char *execution, const char *source, enum exit_reason reason, guint status,
                    const char *expected)
{
    g_autoptr(GString) output = g_string_new(NULL);
    drive_run(drive, "vm-q", execution, "sh", source);
    g_autoptr(run_result_auto) result = drive_collect(drive, execution, output, 60000);
    REQUIRE(result != NULL);
    if (result->reason != reason || result->status != status)
        printf("    %s %u %s: %s\n", codec_word(&exit_reason_words, result->reason), result->status,
               result->message != NULL ? result->message : "", output->str);
    REQUIRE(result->reason == reason && result->status == status && result->memory_peak_bytes == -1);
    REQUIRE(expected == NULL || strcmp(output->str, expected) == 0);
    return TRUE;
}

/* Ready means confirmed by the guest here too: vCPUs and memory blocks are counted by its agent. */
static gboolean test_boot(void)
{
    gboolean is_told = FALSE;
    REQUIRE(drive_start(drive, "vm-q", "guest-agent-initrd", &small, &large));
    for (struct event *event; (event = drive_wait(drive, EVENT_INSTANCE_PROGRESS, "vm-q", 0)) != NULL;
         event_free(event))
        is_told |= strstr(event->text, "no limits of memory and processes") != NULL;
    REQUIRE(is_told);
    return TRUE;
}

/* The same interface runs code; what this agent cannot tell is -1. */
static gboolean test_run(void)
{
    REQUIRE(run("exec-1", "echo out; echo err >&2; exit 4", EXIT_EXITED, 4, "out\n"));
    REQUIRE(run("exec-2", "kill -9 $$", EXIT_SIGNALLED, 9, NULL));
    REQUIRE(run("exec-3", "yes | head -c 1000000 | wc -c", EXIT_EXITED, 0, "1000000\n"));
    return TRUE;
}

/* It cannot hold a program ready, and says so. */
static gboolean test_stage(void)
{
    struct run_spec *stage = g_new0(struct run_spec, 1);
    stage->execution_id = g_strdup("stage-1");
    stage->program.interpreter = g_strdup("sh");
    stage->program.source = g_strdup("true");
    g_autoptr(GError) error = drive_stage(drive, "vm-q", stage, 10000);
    REQUIRE(error != NULL && error->code == HBR_ERROR_UNSUPPORTED);
    return TRUE;
}

/* Output beyond the first credit waits for more of it. */
static gboolean test_output(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    drive_run(drive, "vm-q", "exec-o", "sh", "yes | head -c 1500000");
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-o", output, 60000);
    REQUIRE(result != NULL && result->reason == EXIT_EXITED && output->len == 1500000);
    return TRUE;
}

/* Files of any size, arguments, environment and a small standard input are laid down before the program starts. */
static gboolean test_program(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    struct run_spec *spec = g_new0(struct run_spec, 1);
    struct program_file *file = g_new0(struct program_file, 1);
    file->path = g_strdup("data/big");
    file->content = g_bytes_new_take(g_strnfill(300000, 'x'), 300000);
    spec->execution_id = g_strdup("exec-p");
    spec->program.interpreter = g_strdup("sh");
    spec->program.source = g_strdup("echo $1 $COLOUR; wc -c <data/big; cat");
    spec->program.argv = g_strsplit("first", " ", -1);
    spec->program.env = g_strsplit("COLOUR=red PATH=/bin", " ", -1);
    spec->program.stdin_bytes = g_bytes_new_static("input\n", 6);
    spec->program.files = g_ptr_array_new();
    g_ptr_array_add(spec->program.files, file);
    drive_run_spec(drive, "vm-q", spec);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-p", output, 60000);
    REQUIRE(result != NULL && strcmp(output->str, "first red\n300000\ninput\n") == 0);
    return TRUE;
}

/* What never ends is ended, and what is not possible is refused with its reason. */
static gboolean test_limits(void)
{
    struct run_spec *spec = g_new0(struct run_spec, 1);
    drive_run(drive, "vm-q", "exec-k", "sh", "sleep 1000 & sleep 1000");
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-k", 10000);
    drive_cancel(drive, "vm-q", "exec-k");
    g_autoptr(run_result_auto) cancelled = drive_collect(drive, "exec-k", NULL, 20000);
    REQUIRE(started != NULL && cancelled != NULL && cancelled->reason == EXIT_CANCELLED);
    spec->execution_id = g_strdup("exec-w");
    spec->program.interpreter = g_strdup("sh");
    spec->program.source = g_strdup("while :; do :; done");
    spec->limits.wall_ms = 300;
    drive_run_spec(drive, "vm-q", spec);
    g_autoptr(run_result_auto) timed = drive_collect(drive, "exec-w", NULL, 20000);
    REQUIRE(timed != NULL && timed->reason == EXIT_WALL_CLOCK);
    spec = g_new0(struct run_spec, 1);
    spec->execution_id = g_strdup("exec-i");
    spec->program.argv = g_strsplit("cat", " ", -1);
    spec->program.stdin_open = TRUE;
    drive_run_spec(drive, "vm-q", spec);
    g_autoptr(run_result_auto) refused = drive_collect(drive, "exec-i", NULL, 10000);
    REQUIRE(refused != NULL && refused->reason == EXIT_REFUSED && strstr(refused->message, "standard input") != NULL);
    spec = g_new0(struct run_spec, 1);
    spec->execution_id = g_strdup("exec-m");
    spec->program.argv = g_strsplit("true", " ", -1);
    spec->limits.memory_mib = 100;
    drive_run_spec(drive, "vm-q", spec);
    g_autoptr(run_result_auto) limited = drive_collect(drive, "exec-m", NULL, 10000);
    REQUIRE(limited != NULL && limited->reason == EXIT_REFUSED && strstr(limited->message, "limits.memory") != NULL);
    spec = g_new0(struct run_spec, 1);
    spec->execution_id = g_strdup("exec-l");
    spec->program.argv = g_strsplit("true", " ", -1);
    spec->limits.pids = 64;
    drive_run_spec(drive, "vm-q", spec);
    g_autoptr(run_result_auto) remarked = drive_collect(drive, "exec-l", NULL, 10000);
    REQUIRE(remarked != NULL && remarked->reason == EXIT_EXITED && strstr(remarked->message, "64") != NULL);
    return TRUE;
}

/* Without an agent that tells its figures, CPU time and the balloon's word for memory are seen from outside. */
static gboolean test_samples(void)
{
    gboolean is_seen = FALSE;
    drive_forget(drive, EVENT_SAMPLE);
    drive_run(drive, "vm-q", "exec-u", "sh", "while :; do :; done");
    for (guint i = 0; i < 12 && !is_seen; i++) {
        g_autoptr(event_auto) event = drive_wait(drive, EVENT_SAMPLE, "vm-q", 5000);
        REQUIRE(event != NULL && !event->sample->has_guest);
        const struct usage_sample *sample = event->sample;
        printf("    cpu %.2f, memory %u of %u MiB\n", sample->cpu_used, sample->memory_used_mib,
               sample->memory_total_mib);
        is_seen = sample->cpu_used > 0.1 && sample->memory_used_mib > 0 && sample->memory_total_mib > 400 &&
                  sample->memory_used_mib < sample->memory_total_mib;
    }
    drive_cancel(drive, "vm-q", "exec-u");
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-u", NULL, 20000);
    REQUIRE(is_seen && result != NULL);
    return TRUE;
}

/* vCPUs and memory grow and are confirmed by the agent's own counts. */
static gboolean test_grow(void)
{
    drive_shape(drive, "vm-q", &(struct vm_shape){2, 1024});
    g_autoptr(event_auto) shaped = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-q", 20000);
    REQUIRE(shaped != NULL && shaped->error == NULL && shaped->shape.vcpus == 2 && shaped->shape.memory_mib >= 1024);
    REQUIRE(run("exec-n", "nproc", EXIT_EXITED, 0, "2\n"));
    REQUIRE(drive_destroy(drive, "vm-q"));
    return TRUE;
}

static const struct drive_case cases[] = {
    {"boot", test_boot},       {"run", test_run},       {"stage", test_stage},     {"output", test_output},
    {"program", test_program}, {"limits", test_limits}, {"samples", test_samples}, {"grow", test_grow},
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    drive = drive_new("none", "qga-check", ACCELERATION_TCG, NULL);
    if (drive == NULL)
        return EXIT_FAILURE;
    const int status = drive_run_cases(cases, G_N_ELEMENTS(cases), &drive, argc, argv);
    drive_free(drive);
    return status;
}
