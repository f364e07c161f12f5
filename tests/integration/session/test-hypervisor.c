/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../drive.h"

#include "base/clock.h"
#include "base/error.h"

#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The libvirt kind of hypervisor on real guests. Each case says which rule it protects. */

#define OWNER "test-hypervisor"

static struct drive *drive;
static virConnectPtr libvirt;

static const struct vm_shape small = {1, 512}, large = {4, 2048};

static gboolean has_domain(const char *name)
{
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    if (domain != NULL)
        virDomainFree(domain);
    return domain != NULL;
}

/* Output and end of a script; the text is what it printed on stdout. */
static gboolean script(const char *id, const char *execution, const char *source, GString *output, guint status)
{
    drive_run(drive, id, execution, "sh", source);
    g_autoptr(run_result_auto) result = drive_collect(drive, execution, output, 60000);
    REQUIRE(result != NULL);
    if (result->reason != EXIT_EXITED || result->status != status)
        printf("    %s: %s %u %s, printed: %s\n", execution, codec_word(&exit_reason_words, result->reason),
               result->status, result->message != NULL ? result->message : "", output->str);
    REQUIRE(result->reason == EXIT_EXITED && result->status == status);
    return TRUE;
}

/* Process id of the QEMU of an instance, or of libvirtd. */
static GPid find_process(const char *needle, gboolean is_name)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    for (const char *entry; (entry = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_strdup_printf("/proc/%s/%s", entry, is_name ? "comm" : "cmdline");
        g_autofree char *text = NULL;
        gsize length;
        if (!g_ascii_isdigit(entry[0]) || !g_file_get_contents(path, &text, &length, NULL))
            continue;
        for (gsize i = 0; i + 1 < length; i++) {
            if (text[i] == '\0')
                text[i] = ' ';
        }
        if (is_name ? strcmp(g_strstrip(text), needle) == 0
                    : strstr(text, "qemu") != NULL && strstr(text, needle) != NULL)
            return (GPid)g_ascii_strtoll(entry, NULL, 10);
    }
    return 0;
}

static GPid find_qemu(const char *id)
{
    g_autofree char *needle = g_strdup_printf("guest=harbinger-%s,", id);
    return find_process(needle, FALSE);
}

static gboolean wait_gone(const char *id, gint64 timeout_ms)
{
    g_autofree char *name = g_strdup_printf("harbinger-%s", id);
    g_autoptr(event_auto) gone = drive_wait(drive, EVENT_INSTANCE_GONE, id, timeout_ms);
    REQUIRE(gone != NULL && gone->error != NULL);
    REQUIRE(!has_domain(name));
    return TRUE;
}

/* Ready means that the guest itself has the vCPUs and the memory. */
static gboolean test_boot(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    REQUIRE(drive_start(drive, "vm-a", "base", &small, &large));
    REQUIRE(script("vm-a", "exec-a1", "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo; hostname", output, 0));
    guint vcpus, memory_kib;
    char host[64];
    REQUIRE(sscanf(output->str, "%u %u %63s", &vcpus, &memory_kib, host) == 3);
    REQUIRE(vcpus == 1 && memory_kib > 440 * 1024 && memory_kib < 512 * 1024);
    REQUIRE(strcmp(host, "vm-a") == 0);
    return TRUE;
}

/* Output streams as it is written, and the exit is told last and exactly. */
static gboolean test_stream(void)
{
    drive_run(drive, "vm-a", "exec-s1", "sh", "echo one; sleep 0.5; echo two >&2; exit 3");
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-s1", 10000);
    g_autoptr(event_auto) one = drive_wait(drive, EVENT_RUN_OUTPUT, "exec-s1", 10000);
    const gint64 at = g_get_monotonic_time();
    g_autoptr(event_auto) two = drive_wait(drive, EVENT_RUN_OUTPUT, "exec-s1", 10000);
    const gint64 apart_ms = (g_get_monotonic_time() - at) / 1000;
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-s1", NULL, 10000);
    REQUIRE(started != NULL && one != NULL && two != NULL && result != NULL);
    REQUIRE(one->stream == 1 && two->stream == 2 && apart_ms > 200);
    REQUIRE(result->reason == EXIT_EXITED && result->status == 3 && result->wall_us > 400000);
    return TRUE;
}

static GPtrArray *big_file(const char *path, gsize size, guint mode)
{
    struct program_file *file = g_new0(struct program_file, 1);
    char *content = g_malloc(size);
    memset(content, 'x', size);
    file->path = g_strdup(path);
    file->mode = mode;
    file->content = g_bytes_new_take(content, size);
    GPtrArray *files = g_ptr_array_new();
    g_ptr_array_add(files, file);
    return files;
}

/* Code, files, arguments, environment and standard input arrive whole, also when they exceed one frame and the credit of a stream. */
static gboolean run_program(const char *id)
{
    g_autoptr(GString) output = g_string_new(NULL);
    g_autoptr(GString) source = g_string_new("printf '%s %s ' \"$1\" \"$COLOUR\"; wc -c <data/big; wc -c; exit 0\n#");
    struct run_spec *run = g_new0(struct run_spec, 1);
    for (guint i = 0; i < 400 * 1024; i++)
        g_string_append_c(source, 'c');
    run->execution_id = g_strdup("exec-p1");
    run->program.interpreter = g_strdup("sh");
    run->program.source = g_strdup(source->str);
    run->program.argv = g_strsplit("first second", " ", -1);
    run->program.env = g_strsplit("COLOUR=red", " ", -1);
    run->program.files = big_file("data/big", 3000000, 0);
    run->program.stdin_bytes = g_bytes_new_take(g_strnfill(1000000, 'i'), 1000000);
    run->program.stdin_open = TRUE;
    run->limits.wall_ms = 30000;
    drive_run_spec(drive, id, run);
    drive_stdin(drive, id, "exec-p1", "more", FALSE);
    drive_stdin(drive, id, "exec-p1", NULL, TRUE);
    g_autoptr(event_auto) taken = drive_wait(drive, EVENT_STDIN_TAKEN, "exec-p1", 20000);
    g_autoptr(event_auto) ended = drive_wait(drive, EVENT_STDIN_TAKEN, "exec-p1", 20000);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-p1", output, 30000);
    REQUIRE(taken != NULL && taken->error == NULL && ended != NULL && result != NULL);
    if (strcmp(output->str, "first red 3000000\n1000004\n") != 0)
        printf("    printed: %s (%s)\n", output->str, result->message);
    REQUIRE(strcmp(output->str, "first red 3000000\n1000004\n") == 0);
    return TRUE;
}

static gboolean test_program(void)
{
    return run_program("vm-a");
}

/* A program that cannot be started is refused with a reason, and harms nothing. */
static gboolean test_refused(void)
{
    drive_run(drive, "vm-a", "exec-x1", "cobol", "DISPLAY 'HI'.");
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-x1", NULL, 10000);
    REQUIRE(result != NULL && result->reason == EXIT_REFUSED && result->message != NULL);
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup("exec-x2");
    run->program.argv = g_new0(char *, 1000);
    for (guint i = 0; i < 999; i++)
        run->program.argv[i] = g_strdup("x");
    drive_run_spec(drive, "vm-a", run);
    g_autoptr(run_result_auto) many = drive_collect(drive, "exec-x2", NULL, 10000);
    REQUIRE(many != NULL && many->reason == EXIT_REFUSED && strstr(many->message, "256 arguments") != NULL);
    g_autoptr(run_result_auto) nowhere = NULL;
    drive_run(drive, "vm-none", "exec-x3", "sh", "true");
    nowhere = drive_collect(drive, "exec-x3", NULL, 10000);
    REQUIRE(nowhere != NULL && nowhere->reason == EXIT_LOST);
    return TRUE;
}

/* A guest is given no more room for output than its client has taken. */
static gboolean test_credit(void)
{
    gsize held = 0;
    drive->keeps_credit = TRUE;
    drive_run(drive, "vm-a", "exec-c1", "sh", "yes | head -c 2000000");
    for (struct event *event; (event = drive_wait(drive, EVENT_RUN_OUTPUT, "exec-c1", 1500)) != NULL; event_free(event))
        held += g_bytes_get_size(event->bytes);
    drive->keeps_credit = FALSE;
    REQUIRE(held == 256 * 1024);
    struct command *credit = command_new(COMMAND_OUTPUT_CREDIT);
    g_autoptr(GString) rest = g_string_new(NULL);
    credit->id = g_strdup("vm-a");
    credit->execution_id = g_strdup("exec-c1");
    credit->count = (gint64)held;
    hypervisor_submit(drive->hypervisor, clock_now(), credit);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-c1", rest, 20000);
    REQUIRE(result != NULL && held + rest->len == 2000000);
    return TRUE;
}

/* What never ends is ended: by its client, and by its wall clock. */
static gboolean test_cancel(void)
{
    drive_run(drive, "vm-a", "exec-k1", "sh", "while :; do :; done");
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-k1", 10000);
    drive_cancel(drive, "vm-a", "exec-k1");
    g_autoptr(run_result_auto) cancelled = drive_collect(drive, "exec-k1", NULL, 10000);
    REQUIRE(started != NULL && cancelled != NULL && cancelled->reason == EXIT_CANCELLED);
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup("exec-k2");
    run->program.interpreter = g_strdup("sh");
    run->program.source = g_strdup("while :; do :; done");
    run->limits.wall_ms = 300;
    drive_run_spec(drive, "vm-a", run);
    g_autoptr(run_result_auto) timed = drive_collect(drive, "exec-k2", NULL, 10000);
    REQUIRE(timed != NULL && timed->reason == EXIT_WALL_CLOCK);
    return TRUE;
}

static struct run_spec *spec_new(const char *execution, const char *interpreter, const char *source)
{
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup(execution);
    run->program.interpreter = g_strdup(interpreter);
    run->program.source = g_strdup(source);
    return run;
}

static struct run_spec *staged_spec_new(const char *execution, const char *interpreter, const char *source)
{
    struct run_spec *run = spec_new(execution, interpreter, source);
    run->is_staged = TRUE;
    run->limits.wall_ms = 30000;
    return run;
}

/* A staged program waits, goes with its standard input under the limits of the run, and once. */
static gboolean test_stage(void)
{
    static const char source[] = "cat; echo staged; while :; do :; done";
    g_autoptr(GString) output = g_string_new(NULL);
    g_autoptr(GError) error = drive_stage(drive, "vm-a", spec_new("stage-1", "sh", source), 10000);
    REQUIRE(error == NULL);
    struct run_spec *run = staged_spec_new("exec-st1", "sh", source);
    run->limits.wall_ms = 700;
    run->program.stdin_bytes = g_bytes_new_static("in ", 3);
    drive_run_spec(drive, "vm-a", run);
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-st1", 10000);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-st1", output, 20000);
    REQUIRE(started != NULL && result != NULL && result->reason == EXIT_WALL_CLOCK);
    REQUIRE(strcmp(output->str, "in staged\n") == 0 && result->wall_us >= 700000);
    drive_run_spec(drive, "vm-a", staged_spec_new("exec-st2", "sh", "echo from nothing"));
    g_string_truncate(output, 0);
    g_autoptr(run_result_auto) again = drive_collect(drive, "exec-st2", output, 20000);
    REQUIRE(again != NULL && again->reason == EXIT_EXITED && strcmp(output->str, "from nothing\n") == 0);
    return TRUE;
}

/* What cannot be staged is told, and runs all the same. */
static gboolean test_stage_refused(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    struct run_spec *stage = spec_new("stage-2", "sh", "true");
    stage->program.argv = g_new0(char *, 300);
    for (guint i = 0; i < 299; i++)
        stage->program.argv[i] = g_strdup("x");
    g_autoptr(GError) many = drive_stage(drive, "vm-a", stage, 10000);
    g_autoptr(GError) nowhere = drive_stage(drive, "vm-none", spec_new("stage-3", "sh", "true"), 10000);
    REQUIRE(many != NULL && strstr(many->message, "256 arguments") != NULL);
    REQUIRE(nowhere != NULL && nowhere->code == HBR_ERROR_CONFLICT);
    drive_run_spec(drive, "vm-a", staged_spec_new("exec-st3", "sh", "echo runs"));
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-st3", output, 20000);
    REQUIRE(result != NULL && strcmp(output->str, "runs\n") == 0);
    return TRUE;
}

/* While code runs its usage is sampled from both sides. */
static gboolean test_samples(void)
{
    gboolean is_busy = FALSE;
    drive_forget(drive, EVENT_SAMPLE);
    drive_run(drive, "vm-a", "exec-u1", "sh", "i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done");
    for (guint i = 0; i < 6 && !is_busy; i++) {
        g_autoptr(event_auto) event = drive_wait(drive, EVENT_SAMPLE, "vm-a", 5000);
        REQUIRE(event != NULL);
        const struct usage_sample *sample = event->sample;
        printf("    cpu %.2f waited %.2f, runnable %.2f, memory %u of %u MiB, rss %u, limit %u, %u vCPU\n",
               sample->cpu_used, sample->cpu_waited, sample->runnable, sample->memory_used_mib,
               sample->memory_total_mib, sample->rss_mib, sample->memory_limit_mib, sample->vcpus_online);
        is_busy = sample->has_guest && sample->cpu_used > 0.1 && sample->runnable >= 0.9 &&
                  sample->memory_used_mib > 0 && sample->memory_total_mib > 400 && sample->rss_mib > 50 &&
                  sample->vcpus_online == 1;
    }
    drive_cancel(drive, "vm-a", "exec-u1");
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-u1", NULL, 10000);
    REQUIRE(is_busy && result != NULL);
    return TRUE;
}

static gboolean grow(const char *id, const struct vm_shape *shape)
{
    const guint64 serial = drive_shape(drive, id, shape);
    g_autoptr(event_auto) event = drive_wait(drive, EVENT_INSTANCE_SHAPED, id, 20000);
    REQUIRE(event != NULL && event->serial == serial && event->error == NULL);
    REQUIRE(vm_shape_covers(&event->shape, shape));
    return TRUE;
}

/* Growth is done when the guest has it, and failure is told. */
static gboolean test_grow(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    guint vcpus, memory_kib;
    REQUIRE(grow("vm-a", &(struct vm_shape){1, 1024}));
    REQUIRE(grow("vm-a", &(struct vm_shape){3, 1024}));
    REQUIRE(script("vm-a", "exec-g1", "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo", output, 0));
    REQUIRE(sscanf(output->str, "%u %u", &vcpus, &memory_kib) == 2);
    REQUIRE(vcpus == 3 && memory_kib > 950 * 1024);
    drive_shape(drive, "vm-a", &(struct vm_shape){9, 1024});
    g_autoptr(event_auto) refused = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-a", 20000);
    REQUIRE(refused != NULL && refused->error != NULL && refused->shape.vcpus == 3);
    drive_shape(drive, "vm-none", &(struct vm_shape){2, 512});
    g_autoptr(event_auto) unknown = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-none", 5000);
    REQUIRE(unknown != NULL && unknown->error != NULL);
    return TRUE;
}

/* Memory that the guest has not taken in time is asked back: what the host is told stays true. */
static gboolean test_grow_unconfirmed(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    guint memory_kib;
    drive->confirm_ms = 1;
    drive_shape(drive, "vm-a", &(struct vm_shape){3, 2048});
    drive->confirm_ms = 0;
    g_autoptr(event_auto) late = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-a", 20000);
    REQUIRE(late != NULL && late->error != NULL && late->error->code == HBR_ERROR_TIMEOUT);
    printf("    %u MiB are told, %s\n", late->shape.memory_mib, late->error->message);
    REQUIRE(late->shape.vcpus == 3 && late->shape.memory_mib >= 1024 && late->shape.memory_mib < 2048);
    REQUIRE(script("vm-a", "exec-g2",
                   "i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done;"
                   "awk '/MemTotal/ {print $2}' /proc/meminfo",
                   output, 0));
    REQUIRE(sscanf(output->str, "%u", &memory_kib) == 1);
    REQUIRE(memory_kib <= late->shape.memory_mib * 1024 && memory_kib > 950 * 1024);
    return TRUE;
}

/* A session has neither cgroups nor tc: what it cannot limit is refused, and told as not limited. */
static gboolean test_limits_refused(void)
{
    drive_shape(drive, "vm-a", &(struct vm_shape){.vcpus = 3, .memory_mib = 1024, .cpu_percent = 50});
    g_autoptr(event_auto) quota = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-a", 5000);
    drive_shape(drive, "vm-a", &(struct vm_shape){.vcpus = 3, .memory_mib = 1024, .network_mbps = 10});
    g_autoptr(event_auto) network = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-a", 5000);
    REQUIRE(quota != NULL && quota->error != NULL && quota->error->code == HBR_ERROR_UNSUPPORTED);
    REQUIRE(network != NULL && network->error != NULL && network->error->code == HBR_ERROR_UNSUPPORTED);
    REQUIRE(quota->shape.cpu_percent == 0 && network->shape.network_mbps == 0);
    return TRUE;
}

/* Two growths under way at once are each confirmed on their own. */
static gboolean test_grow_twice(void)
{
    const guint64 first = drive_shape(drive, "vm-a", &(struct vm_shape){4, 1024});
    const guint64 second = drive_shape(drive, "vm-a", &(struct vm_shape){4, 1536});
    guint64 sum = 0;
    for (guint i = 0; i < 2; i++) {
        g_autoptr(event_auto) event = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-a", 20000);
        REQUIRE(event != NULL && event->error == NULL);
        sum += event->serial;
    }
    REQUIRE(sum == first + second);
    return TRUE;
}

/* MiB that libvirt says the instance has, its boot memory included. */
static guint memory_of(const char *name)
{
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    char *xml = domain == NULL ? NULL : virDomainGetXMLDesc(domain, 0);
    const char *current = xml == NULL ? NULL : strstr(xml, "<current unit='KiB'>");
    const guint mib = current == NULL ? 0 : (guint)(g_ascii_strtoull(current + 20, NULL, 10) / 1024);
    if (domain != NULL)
        virDomainFree(domain);
    free(xml);
    return mib;
}

/* A guest that still waits for more, such as a growth that libvirt has refused, refuses, and may be asked again. */
static struct event *ask_to_shrink(const char *id, const struct vm_shape *shape)
{
    for (guint i = 0;; i++) {
        const guint64 serial = drive_shape(drive, id, shape);
        struct event *event = drive_wait(drive, EVENT_INSTANCE_SHAPED, id, 30000);
        if (event == NULL || event->serial != serial || i == 100 || event->error == NULL ||
            strstr(event->error->message, "about to") == NULL)
            return event;
        event_free(event);
        g_poll(NULL, 0, 200);
    }
}

static gboolean shrink(const char *id, const struct vm_shape *shape)
{
    const gint64 since = g_get_monotonic_time();
    g_autoptr(event_auto) event = ask_to_shrink(id, shape);
    printf("    %s: %u vCPU and %u MiB after %.0f ms\n",
           event == NULL || event->error == NULL ? "shrunk" : event->error->message,
           event != NULL ? event->shape.vcpus : 0, event != NULL ? event->shape.memory_mib : 0,
           (double)(g_get_monotonic_time() - since) / 1000);
    REQUIRE(event != NULL && event->error == NULL);
    REQUIRE(event->shape.vcpus == shape->vcpus && event->shape.memory_mib == shape->memory_mib);
    return TRUE;
}

static gboolean guest_has(const char *execution, guint vcpus, guint memory_mib)
{
    guint has_vcpus, has_kib;
    g_autoptr(GString) output = g_string_new(NULL);
    REQUIRE(script("vm-a", execution, "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo", output, 0));
    REQUIRE(sscanf(output->str, "%u %u", &has_vcpus, &has_kib) == 2);
    REQUIRE(has_vcpus == vcpus && has_kib <= memory_mib * 1024 && has_kib > (memory_mib - 80) * 1024);
    return TRUE;
}

/* What a guest gives back is gone in the guest and in QEMU alike, and it has it again when it is asked to grow. */
static gboolean test_shrink(void)
{
    REQUIRE(shrink("vm-a", &(struct vm_shape){2, 1536}));
    REQUIRE(shrink("vm-a", &(struct vm_shape){2, 1024}));
    REQUIRE(guest_has("exec-sh1", 2, 1024));
    REQUIRE(memory_of("harbinger-vm-a") == 768); /* beside the 256 that it was booted with */
    REQUIRE(shrink("vm-a", &(struct vm_shape){1, 600}));
    REQUIRE(guest_has("exec-sh2", 1, 600));
    REQUIRE(grow("vm-a", &(struct vm_shape){4, 1536}));
    REQUIRE(guest_has("exec-sh3", 4, 1536));
    return TRUE;
}

/* A guest that refuses keeps what it has, and its program does not notice. */
static gboolean test_shrink_refused(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    drive_run(drive, "vm-a", "exec-sr", "sh",
              "dd if=/dev/zero bs=900M count=1 2>/dev/null | (head -c 1 >/dev/null; echo full; sleep 3); echo done");
    g_autoptr(event_auto) full = drive_wait(drive, EVENT_RUN_OUTPUT, "exec-sr", 30000);
    REQUIRE(full != NULL);
    g_autoptr(event_auto) event = ask_to_shrink("vm-a", &(struct vm_shape){4, 600});
    REQUIRE(event != NULL && event->error != NULL);
    printf("    %s\n", event->error->message);
    REQUIRE(event->error->code == HBR_ERROR_CONFLICT && event->shape.vcpus == 4 && event->shape.memory_mib == 1536);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-sr", output, 60000);
    REQUIRE(result != NULL && result->reason == EXIT_EXITED && strcmp(output->str, "done\n") == 0);
    REQUIRE(memory_of("harbinger-vm-a") == 1280);
    return TRUE;
}

/* A killed libvirtd costs neither instance nor execution; the host is reported down, then up, with its inventory. */
static gboolean test_libvirtd_killed(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    drive_run(drive, "vm-a", "exec-l1", "sh", "echo before; sleep 3; echo after");
    g_autoptr(event_auto) before = drive_wait(drive, EVENT_RUN_OUTPUT, "exec-l1", 10000);
    const GPid daemon = find_process("libvirtd", TRUE);
    REQUIRE(before != NULL && daemon > 0);
    virConnectClose(libvirt);
    kill(daemon, SIGKILL);
    g_autoptr(event_auto) down = drive_wait(drive, EVENT_HOST_DOWN, NULL, 10000);
    g_autoptr(event_auto) up = drive_wait(drive, EVENT_HOST_UP, NULL, 20000);
    REQUIRE(down != NULL && up != NULL);
    libvirt = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-l1", output, 20000);
    REQUIRE(result != NULL && result->reason == EXIT_EXITED && strcmp(output->str, "after\n") == 0);
    g_autoptr(event_auto) inventory = drive_wait(drive, EVENT_HOST_INVENTORY, NULL, 10000);
    REQUIRE(inventory != NULL);
    REQUIRE(grow("vm-a", &(struct vm_shape){4, 2048}));
    return TRUE;
}

/* A libvirtd that hangs is found out by keepalive; code goes on running and can be started meanwhile. */
static gboolean test_libvirtd_hangs(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    const GPid daemon = find_process("libvirtd", TRUE);
    REQUIRE(daemon > 0);
    kill(daemon, SIGSTOP);
    g_autoptr(event_auto) down = drive_wait(drive, EVENT_HOST_DOWN, NULL, 20000);
    const gboolean is_served = script("vm-a", "exec-lh", "echo served", output, 0);
    drive_shape(drive, "vm-a", &(struct vm_shape){4, 2050});
    g_autoptr(event_auto) refused = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-a", 20000);
    kill(daemon, SIGCONT);
    g_autoptr(event_auto) up = drive_wait(drive, EVENT_HOST_UP, NULL, 40000);
    REQUIRE(down != NULL && is_served && up != NULL);
    REQUIRE(refused != NULL && refused->error != NULL);
    return TRUE;
}

/* What was acknowledged outlives the daemon: a ready instance is taken over by the next one. */
static gboolean test_adopt(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree char *uuid = NULL;
    virDomainPtr domain = virDomainLookupByName(libvirt, "harbinger-vm-a");
    char text[VIR_UUID_STRING_BUFLEN];
    REQUIRE(domain != NULL && virDomainGetUUIDString(domain, text) == 0);
    virDomainFree(domain);
    drive_free(drive);
    drive = drive_new("none", OWNER, ACCELERATION_TCG, NULL);
    REQUIRE(drive != NULL);
    g_autoptr(event_auto) inventory = drive_wait(drive, EVENT_HOST_INVENTORY, NULL, 10000);
    REQUIRE(inventory != NULL && inventory->inventory->len == 1);
    const struct inventory_item *item = inventory->inventory->pdata[0];
    REQUIRE(strcmp(item->instance_id, "vm-a") == 0 && strcmp(item->owner, OWNER) == 0 && item->is_running);
    struct command *command = command_new(COMMAND_ADOPT);
    command->id = g_strdup("vm-a");
    command->boot = g_new0(struct boot_spec, 1);
    *command->boot = (struct boot_spec){
        .instance_id = g_strdup("vm-a"),
        .uuid = g_strdup(text),
        .owner = g_strdup(OWNER),
        .template = g_strdup("base"),
        .shape = {4, 2048},
        .maximum = {4, 2048},
        .sample_interval_ms = 400,
        .timeout_ms = 20000,
    };
    hypervisor_submit(drive->hypervisor, clock_now(), command);
    g_autoptr(event_auto) ready = drive_wait(drive, EVENT_INSTANCE_READY, "vm-a", 25000);
    REQUIRE(ready != NULL && ready->shape.vcpus == 4 && ready->shape.memory_mib == 2048);
    REQUIRE(script("vm-a", "exec-d1", "echo adopted", output, 0));
    REQUIRE(strcmp(output->str, "adopted\n") == 0);
    return TRUE;
}

/* Destroying leaves neither domain nor process, ends what ran, and may be repeated. */
static gboolean test_destroy(void)
{
    drive_run(drive, "vm-a", "exec-z1", "sh", "sleep 100");
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-z1", 10000);
    REQUIRE(started != NULL && find_qemu("vm-a") > 0);
    REQUIRE(drive_destroy(drive, "vm-a"));
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-z1", NULL, 1000);
    REQUIRE(result != NULL && result->reason == EXIT_LOST);
    REQUIRE(!has_domain("harbinger-vm-a") && find_qemu("vm-a") == 0);
    REQUIRE(drive_destroy(drive, "vm-a"));
    return TRUE;
}

/* kill -9 of a QEMU: its execution is reported lost, nothing of it remains. */
static gboolean test_qemu_killed(void)
{
    REQUIRE(drive_start(drive, "vm-k", "base", &small, &small));
    drive_run(drive, "vm-k", "exec-q1", "sh", "sleep 100");
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-q1", 10000);
    const GPid qemu = find_qemu("vm-k");
    REQUIRE(started != NULL && qemu > 0);
    kill(qemu, SIGKILL);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-q1", NULL, 5000);
    REQUIRE(result != NULL && result->reason == EXIT_LOST);
    return wait_gone("vm-k", 10000);
}

/* A QEMU that hangs is found out by its silence and removed, and the others do not notice. */
static gboolean test_qemu_hangs(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    REQUIRE(drive_start(drive, "vm-h", "base", &small, &large) && drive_start(drive, "vm-i", "base", &small, &large));
    const GPid qemu = find_qemu("vm-h");
    REQUIRE(qemu > 0);
    kill(qemu, SIGSTOP);
    drive_run(drive, "vm-h", "exec-h1", "sh", "true");
    drive_shape(drive, "vm-h", &(struct vm_shape){2, 1024});
    const gint64 since = g_get_monotonic_time();
    for (guint i = 0; i < 20; i++) {
        g_autofree char *execution = g_strdup_printf("exec-i%u", i);
        REQUIRE(script("vm-i", execution, "echo fine", output, 0));
    }
    REQUIRE(grow("vm-i", &(struct vm_shape){2, 1024}));
    REQUIRE((g_get_monotonic_time() - since) / 1000 < 8000);
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-h1", NULL, 20000);
    REQUIRE(result != NULL && result->reason == EXIT_LOST);
    REQUIRE(wait_gone("vm-h", 30000));
    REQUIRE(drive_destroy(drive, "vm-i"));
    return TRUE;
}

/* A guest that never answers is given up in time, and removed. */
static gboolean test_boot_timeout(void)
{
    drive_boot(drive, "vm-t", "base", &small, &small, 300);
    g_autoptr(event_auto) failed = drive_wait(drive, EVENT_INSTANCE_FAILED, "vm-t", 20000);
    REQUIRE(failed != NULL && failed->error->code == HBR_ERROR_TIMEOUT);
    REQUIRE(!has_domain("harbinger-vm-t") && find_qemu("vm-t") == 0);
    return TRUE;
}

/* What cannot be started says why. */
static gboolean test_boot_refused(void)
{
    drive_boot(drive, "vm-r", "nonesuch", &small, &small, 10000);
    g_autoptr(event_auto) unknown = drive_wait(drive, EVENT_INSTANCE_FAILED, "vm-r", 5000);
    REQUIRE(unknown != NULL && strstr(unknown->error->message, "nonesuch.xml") != NULL);
    drive_boot(drive, "vm-r", "guest-agent", &small, &small, 10000);
    g_autoptr(event_auto) missing = drive_wait(drive, EVENT_INSTANCE_FAILED, "vm-r", 5000);
    REQUIRE(missing != NULL && strstr(missing->error->message, "guest-agent.qcow2") != NULL);
    drive_boot(drive, "vm-r", "base", &(struct vm_shape){1, 512, 0, 2}, &small, 10000);
    g_autoptr(event_auto) no_gpu = drive_wait(drive, EVENT_INSTANCE_FAILED, "vm-r", 5000);
    REQUIRE(no_gpu != NULL && no_gpu->error->code == HBR_ERROR_EXHAUSTED);
    return TRUE;
}

static gboolean change_device(const char *name, const char *xml,
                              int (*change)(virDomainPtr, const char *, unsigned int))
{
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    const gboolean is_done = domain != NULL && change(domain, xml, VIR_DOMAIN_AFFECT_LIVE) == 0;
    if (!is_done)
        printf("    %s\n", virGetLastErrorMessage());
    if (domain != NULL)
        virDomainFree(domain);
    return is_done;
}

static gboolean has_devices(const char *id, const char *execution, guint count)
{
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree char *wait = g_strdup_printf(
        "while [ $(ls /sys/bus/virtio/drivers/virtio_rng | grep -c '^virtio') -ne %u ]; do :; done", count);
    return script(id, execution, wait, output, 0);
}

/* How many devices, at most `max`, a running domain takes. */
static guint attach_devices(const char *name, guint max)
{
    for (guint i = 0; i < max; i++) {
        g_autofree char *xml = g_strdup_printf(
            "<rng model='virtio'><backend model='random'>/dev/urandom</backend><alias name='ua-rng-%u'/></rng>", i);
        if (!change_device(name, xml, virDomainAttachDeviceFlags))
            return i;
    }
    return max;
}

#define GPUS 4

/* A guest that may be given GPUs has a port to spare for each, where devices come and go. Any PCI device shows it. libvirt itself spares one. */
static gboolean test_gpu_ports(void)
{
    const gint64 since = g_get_monotonic_time();
    REQUIRE(drive_start(drive, "vm-n", "base", &small, &large));
    const gint64 then = g_get_monotonic_time();
    REQUIRE(drive_start(drive, "vm-g", "base", &small, &(struct vm_shape){4, 2048, 0, GPUS}));
    printf("    ready after %" G_GINT64_FORMAT " ms without ports to spare, %" G_GINT64_FORMAT " ms with them\n",
           (then - since) / 1000, (g_get_monotonic_time() - then) / 1000);
    REQUIRE(attach_devices("harbinger-vm-n", GPUS) < GPUS && drive_destroy(drive, "vm-n"));
    REQUIRE(attach_devices("harbinger-vm-g", GPUS) == GPUS);
    REQUIRE(has_devices("vm-g", "exec-gpu1", 1 + GPUS));
    REQUIRE(change_device("harbinger-vm-g", "ua-rng-0", virDomainDetachDeviceAlias));
    REQUIRE(has_devices("vm-g", "exec-gpu2", GPUS));
    return TRUE;
}

/* A GPU that libvirt does not attach stays free, as often as it is asked for, and the instance goes on. */
static gboolean test_gpu_refused(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    for (guint i = 0; i < 2; i++) {
        const guint64 serial = drive_shape(drive, "vm-g", &(struct vm_shape){1, 512, 0, 1});
        g_autoptr(event_auto) event = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-g", 20000);
        REQUIRE(event != NULL && event->serial == serial && event->error != NULL && event->shape.gpus == 0);
        printf("    %s\n", event->error->message);
        REQUIRE(event->error->code != HBR_ERROR_EXHAUSTED);
    }
    REQUIRE(grow("vm-g", &(struct vm_shape){2, 1024}));
    REQUIRE(script("vm-g", "exec-gpu3", "echo fine", output, 0));
    drive_boot(drive, "vm-r", "base", &(struct vm_shape){1, 512, 0, 1}, &small, 10000);
    g_autoptr(event_auto) failed = drive_wait(drive, EVENT_INSTANCE_FAILED, "vm-r", 20000);
    REQUIRE(failed != NULL && failed->error->code != HBR_ERROR_EXHAUSTED);
    REQUIRE(!has_domain("harbinger-vm-r") && drive_destroy(drive, "vm-g"));
    return TRUE;
}

static const char foreign_xml[] =
    "<domain type='qemu'><name>harbinger-vm-foreign</name><memory unit='MiB'>64</memory><os>"
    "<type arch='x86_64' machine='q35'>hvm</type></os><metadata>"
    "<h:instance xmlns:h='urn:harbinger:instance:1' id='vm-foreign' owner='somebody-else'/></metadata></domain>";

/* A domain of somebody else is never touched, whatever it is called. */
static gboolean test_foreign(void)
{
    virDomainPtr foreign = virDomainCreateXML(libvirt, foreign_xml, 0);
    REQUIRE(foreign != NULL);
    drive_send(drive, COMMAND_DESTROY, "vm-foreign");
    g_autoptr(event_auto) refused = drive_wait(drive, EVENT_INSTANCE_DESTROYED, "vm-foreign", 10000);
    const gboolean is_there = has_domain("harbinger-vm-foreign");
    virDomainDestroy(foreign);
    virDomainFree(foreign);
    REQUIRE(refused != NULL && refused->error != NULL && refused->error->code == HBR_ERROR_DENIED && is_there);
    return TRUE;
}

/* From the request to the first byte, of a program that stands ready or does not. */
static gint64 first_byte_us(struct run_spec *run)
{
    g_autofree char *execution_id = g_strdup(run->execution_id);
    const gint64 since = g_get_monotonic_time();
    drive_run_spec(drive, "vm-p", run);
    g_autoptr(event_auto) output = drive_wait(drive, EVENT_RUN_OUTPUT, execution_id, 30000);
    const gint64 taken_us = g_get_monotonic_time() - since;
    g_autoptr(run_result_auto) result = drive_collect(drive, execution_id, NULL, 30000);
    return output != NULL && result != NULL && result->reason == EXIT_EXITED ? taken_us : -1;
}

/* With its interpreter started and its imports loaded Python answers several times faster. */
static gboolean stage_python(void)
{
    static const char source[] = "import json, sys\nprint(json.dumps(sys.argv))\n";
    gint64 plain_us = G_MAXINT64, staged_us = G_MAXINT64;
    for (guint i = 0; i < 3; i++) {
        struct run_spec *stage = spec_new("stage-py", "python3", source);
        const gint64 plain = first_byte_us(spec_new("exec-plain", "python3", source));
        stage->preload = g_strsplit("json", " ", -1);
        g_autoptr(GError) error = drive_stage(drive, "vm-p", stage, 30000);
        REQUIRE(error == NULL && plain > 0);
        const gint64 staged = first_byte_us(staged_spec_new("exec-staged", "python3", source));
        REQUIRE(staged > 0);
        plain_us = MIN(plain_us, plain);
        staged_us = MIN(staged_us, staged);
    }
    printf("    python to its first byte: %.1f ms from nothing, %.1f ms staged (best of 3)\n", (double)plain_us / 1000,
           (double)staged_us / 1000);
    REQUIRE(staged_us * 5 < plain_us);
    return TRUE;
}

/* A program that eats its memory limit before it may run is not staged. */
static gboolean stage_too_large(void)
{
    struct run_spec *stage = spec_new("stage-big", "python3", "print(1)");
    stage->preload = g_strsplit("asyncio http.server", " ", -1);
    stage->limits.memory_mib = 4;
    g_autoptr(GError) error = drive_stage(drive, "vm-p", stage, 30000);
    REQUIRE(error != NULL && strstr(error->message, "out-of-memory") != NULL);
    return TRUE;
}

static gboolean limit_disk(const char *id)
{
    virTypedParameter limits[32];
    int count = G_N_ELEMENTS(limits);
    guint64 written = 0;
    g_autofree char *name = g_strdup_printf("harbinger-%s", id);
    drive_shape(drive, id, &(struct vm_shape){.disk_mbps = 20});
    g_autoptr(event_auto) event = drive_wait(drive, EVENT_INSTANCE_SHAPED, id, 20000);
    REQUIRE(event != NULL && event->error == NULL && event->shape.disk_mbps == 20);
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    REQUIRE(domain != NULL && virDomainGetBlockIoTune(domain, "vdb", limits, &count, VIR_DOMAIN_AFFECT_LIVE) == 0);
    virTypedParamsGetULLong(limits, count, "write_bytes_sec", (unsigned long long *)&written);
    virTypedParamsClear(limits, count);
    virDomainFree(domain);
    REQUIRE(written == 20000000);
    return TRUE;
}

/* The runtimes image runs Python, and an instance's own disk is made and removed with it. */
static gboolean test_runtimes(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree char *disk = g_build_filename(drive->state_dir, "instances", "vm-p.raw", NULL);
    g_autofree char *images = g_build_filename(g_getenv("HBR_BUILD_DIR"), "images", NULL);
    const char *dir = g_getenv("HARBINGER_IMAGES") != NULL ? g_getenv("HARBINGER_IMAGES") : images;
    g_autofree char *squashfs = g_build_filename(dir, "runtimes.squashfs", NULL);
    if (g_access(squashfs, R_OK) != 0) {
        printf("    skipped: there is no %s\n", squashfs);
        return TRUE;
    }
    REQUIRE(drive_start(drive, "vm-p", "runtimes-disk", &small, &large));
    REQUIRE(limit_disk("vm-p"));
    REQUIRE(g_access(disk, F_OK) == 0);
    drive_run(drive, "vm-p", "exec-py", "python3", "import sys\nprint(sum(range(10)), sys.version_info[0])");
    g_autoptr(run_result_auto) result = drive_collect(drive, "exec-py", output, 30000);
    REQUIRE(result != NULL && result->reason == EXIT_EXITED && strcmp(output->str, "45 3\n") == 0);
    REQUIRE(stage_python());
    REQUIRE(stage_too_large());
    REQUIRE(drive_destroy(drive, "vm-p"));
    REQUIRE(g_access(disk, F_OK) != 0);
    return TRUE;
}

/* Where the agent's socket cannot be opened, libvirt's stream carries the same. */
static gboolean test_libvirt_stream(void)
{
    g_autoptr(GString) output = g_string_new(NULL);
    drive_free(drive);
    drive_uses_streams = TRUE;
    drive = drive_new("none", OWNER, ACCELERATION_TCG, NULL);
    drive_uses_streams = FALSE;
    REQUIRE(drive != NULL && drive_start(drive, "vm-s", "base", &small, &large));
    REQUIRE(run_program("vm-s"));
    REQUIRE(script("vm-s", "exec-big", "yes | head -c 2000000", output, 0));
    REQUIRE(output->len == 2000000);
    REQUIRE(grow("vm-s", &(struct vm_shape){2, 1024}));
    REQUIRE(drive_destroy(drive, "vm-s"));
    return TRUE;
}

/* At the end nothing of ours is left. */
static gboolean test_nothing_left(void)
{
    g_autoptr(GDir) disks = NULL;
    g_autofree char *directory = g_build_filename(drive->state_dir, "instances", NULL);
    REQUIRE(virConnectNumOfDomains(libvirt) == 0 && virConnectNumOfDefinedDomains(libvirt) == 0);
    disks = g_dir_open(directory, 0, NULL);
    REQUIRE(disks == NULL || g_dir_read_name(disks) == NULL);
    return TRUE;
}

static const struct drive_case cases[] = {
    {"boot", test_boot},
    {"stream", test_stream},
    {"program", test_program},
    {"refused", test_refused},
    {"credit", test_credit},
    {"cancel", test_cancel},
    {"stage", test_stage},
    {"stage-refused", test_stage_refused},
    {"samples", test_samples},
    {"grow", test_grow},
    {"grow-unconfirmed", test_grow_unconfirmed},
    {"limits-refused", test_limits_refused},
    {"grow-twice", test_grow_twice},
    {"shrink", test_shrink},
    {"shrink-refused", test_shrink_refused},
    {"libvirtd-killed", test_libvirtd_killed},
    {"libvirtd-hangs", test_libvirtd_hangs},
    {"adopt", test_adopt},
    {"destroy", test_destroy},
    {"qemu-killed", test_qemu_killed},
    {"qemu-hangs", test_qemu_hangs},
    {"boot-timeout", test_boot_timeout},
    {"boot-refused", test_boot_refused},
    {"gpu-ports", test_gpu_ports},
    {"gpu-refused", test_gpu_refused},
    {"foreign", test_foreign},
    {"runtimes", test_runtimes},
    {"libvirt-stream", test_libvirt_stream},
    {"nothing-left", test_nothing_left},
};

int main(int argc, char **argv)
{
    const char *uri = g_getenv("HBR_LIBVIRT_URI");
    char *gpus[] = {(char *)"0000:65:00.0", NULL};
    setvbuf(stdout, NULL, _IOLBF, 0);
    drive_gpus = gpus;
    drive = drive_new("none", OWNER, ACCELERATION_TCG, NULL);
    libvirt = virConnectOpen(uri);
    if (drive == NULL || libvirt == NULL)
        return EXIT_FAILURE;
    const int status = drive_run_cases(cases, G_N_ELEMENTS(cases), &drive, argc, argv);
    drive_free(drive);
    virConnectClose(libvirt);
    return status;
}
