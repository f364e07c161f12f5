/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../drive.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Warm instances on real guests: paused, claimed, saved and cloned. Each case says which rule it protects. */

#define OWNER "test-warm"

#define CLONES 50
#define CLONES_AT_ONCE 10
#define CLOCK_OFF_MS 50

static struct drive *drive;
static virConnectPtr libvirt;

static const struct vm_shape tiny = {1, 128}, small = {1, 256}, medium = {2, 512}, large = {4, 1024};

/* What was measured, for the end. */
static struct figure {
    const char *name;
    double ms[64];
    guint count;
} figures[] = {{"boot -> ready", {0}, 0},           {"claim running -> ready", {0}, 0},
               {"claim paused -> ready", {0}, 0},   {"claim paused with hotplug -> ready", {0}, 0},
               {"clone -> ready", {0}, 0},          {"save", {0}, 0},
               {"resume alone, by libvirt", {0}, 0}};
enum { FIGURE_BOOT, FIGURE_RUNNING, FIGURE_PAUSED, FIGURE_HOTPLUG, FIGURE_CLONE, FIGURE_SAVE, FIGURE_RESUME };

static void measured(guint which, gint64 since)
{
    struct figure *figure = &figures[which];
    if (figure->count < G_N_ELEMENTS(figure->ms))
        figure->ms[figure->count++] = (double)(g_get_monotonic_time() - since) / 1000;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_figures(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(figures); i++) {
        struct figure *figure = &figures[i];
        qsort(figure->ms, figure->count, sizeof *figure->ms, by_size);
        if (figure->count > 0)
            printf("%-36s median %8.1f ms  (n %u, %.1f to %.1f)\n", figure->name, figure->ms[figure->count / 2],
                   figure->count, figure->ms[0], figure->ms[figure->count - 1]);
    }
}

static gboolean start(const char *id, const struct vm_shape *shape, const struct vm_shape *maximum)
{
    struct boot_spec *boot = drive_spec(id, shape, maximum);
    const gint64 since = g_get_monotonic_time();
    boot->pool = g_strdup("base@here");
    drive_boot_spec(drive, COMMAND_BOOT, boot);
    g_autoptr(event_auto) ready = drive_wait(drive, EVENT_INSTANCE_READY, id, DRIVE_BOOT_MS);
    REQUIRE(ready != NULL && vm_shape_covers(&ready->shape, shape));
    measured(FIGURE_BOOT, since);
    return TRUE;
}

static gboolean pause_it(const char *id)
{
    drive_send(drive, COMMAND_PAUSE, id);
    g_autoptr(event_auto) paused = drive_wait(drive, EVENT_INSTANCE_PAUSED, id, 20000);
    REQUIRE(paused != NULL && paused->error == NULL);
    return TRUE;
}

static void send_claim(const char *id, const char *reservation, const struct vm_shape *shape, gint64 timeout_ms)
{
    struct boot_spec *boot = drive_spec(id, shape, &large);
    boot->reservation_id = g_strdup(reservation);
    boot->profile = g_strdup("medium");
    boot->timeout_ms = timeout_ms;
    drive_boot_spec(drive, COMMAND_CLAIM, boot);
}

static gboolean claim(const char *id, const char *reservation, const struct vm_shape *shape, guint figure)
{
    const gint64 since = g_get_monotonic_time();
    send_claim(id, reservation, shape, 20000);
    g_autoptr(event_auto) ready = drive_wait(drive, EVENT_INSTANCE_READY, id, 20000);
    REQUIRE(ready != NULL && vm_shape_covers(&ready->shape, shape));
    measured(figure, since);
    return TRUE;
}

static void send_save(const char *id, const char *saved, const char *template)
{
    struct command *command = command_new(COMMAND_SAVE);
    command->id = g_strdup(id);
    command->saved = g_new0(struct saved_state, 1);
    command->saved->id = g_strdup(saved);
    command->saved->pool = g_strdup("base@here");
    command->saved->template = g_strdup(template);
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

static gboolean save_of(const char *id, const char *saved, const char *template)
{
    const gint64 since = g_get_monotonic_time();
    send_save(id, saved, template);
    g_autoptr(event_auto) event = drive_wait(drive, EVENT_INSTANCE_SAVED, id, 60000);
    REQUIRE(event != NULL && event->error == NULL && event->saved != NULL);
    REQUIRE(strcmp(event->saved->id, saved) == 0 && event->saved->fingerprint != NULL && event->saved->bytes > 1000000);
    measured(FIGURE_SAVE, since);
    printf("    %" G_GINT64_FORMAT " KiB\n", event->saved->bytes / 1024);
    return TRUE;
}

static gboolean save(const char *id, const char *saved)
{
    return save_of(id, saved, "base");
}

static void send_clone_of(const char *id, const char *saved, const char *template, const struct vm_shape *shape)
{
    struct boot_spec *boot = drive_spec(id, shape, &large);
    g_free(boot->template);
    boot->template = g_strdup(template);
    boot->saved = g_strdup(saved);
    drive_boot_spec(drive, COMMAND_BOOT, boot);
}

static void send_clone(const char *id, const char *saved, const struct vm_shape *shape)
{
    send_clone_of(id, saved, "base", shape);
}

/* What a script prints, without the last newline; NULL when it failed. Free with g_free. */
static char *script(const char *id, const char *source)
{
    static guint serial;
    g_autofree char *execution = g_strdup_printf("exec-%u", ++serial);
    g_autoptr(GString) output = g_string_new(NULL);
    drive_run(drive, id, execution, "sh", source);
    g_autoptr(run_result_auto) result = drive_collect(drive, execution, output, 60000);
    if (result == NULL || result->reason != EXIT_EXITED || result->status != 0) {
        printf("    %s: %s: %s\n", id, result == NULL ? "lost" : codec_word(&exit_reason_words, result->reason),
               result == NULL || result->message == NULL ? output->str : result->message);
        return NULL;
    }
    return g_strchomp(g_strdup(output->str));
}

static GPid find_qemu(const char *id)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    g_autofree char *needle = g_strdup_printf("guest=harbinger-%s,", id);
    for (const char *entry; (entry = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_strdup_printf("/proc/%s/cmdline", entry);
        g_autofree char *text = NULL;
        gsize length;
        if (!g_ascii_isdigit(entry[0]) || !g_file_get_contents(path, &text, &length, NULL))
            continue;
        for (gsize i = 0; i + 1 < length; i++)
            text[i] = text[i] == '\0' ? ' ' : text[i];
        if (strstr(text, "qemu") != NULL && strstr(text, needle) != NULL)
            return (GPid)g_ascii_strtoll(entry, NULL, 10);
    }
    return 0;
}

static int domain_state(const char *id)
{
    g_autofree char *name = g_strdup_printf("harbinger-%s", id);
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    int state = -1;
    if (domain != NULL) {
        virDomainGetState(domain, &state, NULL, 0);
        virDomainFree(domain);
    }
    return state;
}

static char *domain_text(const char *id)
{
    g_autofree char *name = g_strdup_printf("harbinger-%s", id);
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    char *xml = domain == NULL ? NULL : virDomainGetXMLDesc(domain, 0), *copy = g_strdup(xml);
    free(xml);
    if (domain != NULL)
        virDomainFree(domain);
    return copy;
}

/* What has to differ between two guests, a line each. */
static const char *const traits[] = {"machine id", "boot id", "host name",      "uuid of the kernel", "urandom",
                                     "random",     "stack",   "temporary name", "MAC address"};
static const char tell[] =
    "cat /etc/machine-id /proc/sys/kernel/random/boot_id; hostname; cat /proc/sys/kernel/random/uuid\n"
    "head -c 16 /dev/urandom | od -An -tx1; head -c 16 /dev/random | od -An -tx1\n"
    "grep stack /proc/self/maps; mktemp -u /tmp/XXXXXXXXXXXX\n"
    "cat /sys/class/net/e*/address\n";

static gboolean differ(GHashTable *seen, const char *id)
{
    g_autofree char *text = script(id, tell);
    REQUIRE(text != NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    REQUIRE(g_strv_length(lines) == G_N_ELEMENTS(traits));
    for (guint i = 0; lines[i] != NULL; i++) {
        if (lines[i][0] != '\0' && g_hash_table_add(seen, g_strdup(lines[i])))
            continue;
        printf("    %s: equal %s: %s\n", id, traits[i], lines[i]);
        return FALSE;
    }
    return TRUE;
}

/* The guest's clock, read between two looks at ours. */
static gboolean clock_is_right(const char *id)
{
    const gint64 before = g_get_real_time();
    g_autofree char *text = script(id, "if [ -x /usr/bin/date ]; then date '+%s %6N'; else "
                                       "adjtimex | awk '/tv_sec/ {s = $2} /tv_usec/ {u = $2} END {print s, u}'; fi");
    const gint64 after = g_get_real_time();
    gint64 seconds, micros;
    REQUIRE(text != NULL && sscanf(text, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, &seconds, &micros) == 2);
    const gint64 at = seconds * 1000000 + micros;
    if (at < before - CLOCK_OFF_MS * 1000 || at > after + CLOCK_OFF_MS * 1000)
        printf("    %s: %s is not within %.6f .. %.6f\n", id, text, (double)before / 1e6, (double)after / 1e6);
    REQUIRE(at >= before - CLOCK_OFF_MS * 1000 && at <= after + CLOCK_OFF_MS * 1000);
    return TRUE;
}

static gboolean wait_failed(const char *id, int code, gint64 timeout_ms)
{
    g_autoptr(event_auto) failed = drive_wait(drive, EVENT_INSTANCE_FAILED, id, timeout_ms);
    REQUIRE(failed != NULL && failed->error != NULL);
    if (failed->error->code != code)
        printf("    %s\n", failed->error->message);
    REQUIRE(failed->error->code == code);
    REQUIRE(domain_state(id) < 0 && find_qemu(id) == 0);
    return TRUE;
}

/* A warm instance is somebody's only when it is claimed: its name and machine id are fresh, its clock is right, and so says its domain. */
static gboolean test_claim_running(void)
{
    REQUIRE(start("vm-r", &small, &large));
    g_autofree char *before = script("vm-r", "cat /etc/machine-id /proc/sys/kernel/random/boot_id; hostname");
    REQUIRE(claim("vm-r", "res-7", &small, FIGURE_RUNNING));
    g_autofree char *after = script("vm-r", "cat /etc/machine-id /proc/sys/kernel/random/boot_id; hostname");
    REQUIRE(before != NULL && after != NULL);
    g_auto(GStrv) old = g_strsplit(before, "\n", -1);
    g_auto(GStrv) new = g_strsplit(after, "\n", -1);
    REQUIRE(strcmp(old[0], new[0]) != 0 && strcmp(old[1], new[1]) != 0);
    REQUIRE(strcmp(old[2], "vm-r") == 0 && strcmp(new[2], "res-7") == 0);
    REQUIRE(clock_is_right("vm-r"));
    /* That is written after it is ready, whenever libvirt comes to it. */
    gboolean is_written = FALSE;
    for (guint i = 0; i < 100 && !is_written; i++) {
        g_autofree char *xml = domain_text("vm-r");
        is_written = xml != NULL && strstr(xml, "\"res-7\"") != NULL && strstr(xml, "\"medium\"") != NULL;
    }
    REQUIRE(is_written);
    REQUIRE(drive_destroy(drive, "vm-r"));
    return TRUE;
}

/* A paused instance costs no CPU and is as good as a running one a few milliseconds later; its warm-up comes first. */
static gboolean test_claim_paused(void)
{
    for (guint i = 0; i < 5; i++) {
        REQUIRE(start("vm-p", &small, &large));
        REQUIRE(pause_it("vm-p"));
        REQUIRE(domain_state("vm-p") == VIR_DOMAIN_PAUSED);
        REQUIRE(claim("vm-p", "res-8", &small, FIGURE_PAUSED));
        REQUIRE(domain_state("vm-p") == VIR_DOMAIN_RUNNING && clock_is_right("vm-p"));
        g_autofree char *name = script("vm-p", "hostname");
        REQUIRE(g_strcmp0(name, "res-8") == 0);
        REQUIRE(drive_destroy(drive, "vm-p"));
    }
    return TRUE;
}

/* What the reservation wants beyond the warm shape is there when it is ready, in the guest. */
static gboolean test_claim_grows(void)
{
    REQUIRE(start("vm-g", &small, &large) && pause_it("vm-g"));
    REQUIRE(claim("vm-g", "res-9", &medium, FIGURE_HOTPLUG));
    g_autofree char *text = script("vm-g", "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo");
    guint vcpus, memory_kib;
    REQUIRE(text != NULL && sscanf(text, "%u %u", &vcpus, &memory_kib) == 2);
    REQUIRE(vcpus == 2 && memory_kib > 440 * 1024);
    REQUIRE(drive_destroy(drive, "vm-g"));
    return TRUE;
}

/* What resuming costs libvirt and QEMU alone: the floor of a paused claim. */
static gboolean test_floor(void)
{
    REQUIRE(start("vm-f", &small, &large));
    virDomainPtr domain = virDomainLookupByName(libvirt, "harbinger-vm-f");
    REQUIRE(domain != NULL);
    for (guint i = 0; i < 9; i++) {
        virDomainSuspend(domain);
        const gint64 since = g_get_monotonic_time();
        virDomainResume(domain);
        measured(FIGURE_RESUME, since);
    }
    virDomainFree(domain);
    REQUIRE(drive_destroy(drive, "vm-f"));
    return TRUE;
}

/* A claim that crosses a pause finds a running instance in the end, and both are answered. */
static gboolean test_claim_crosses_pause(void)
{
    for (guint i = 0; i < 2; i++) {
        REQUIRE(start("vm-x", &small, &large));
        if (i == 0 && !pause_it("vm-x"))
            return FALSE;
        if (i == 0)
            REQUIRE(claim("vm-x", "res-1", &small, FIGURE_PAUSED));
        /* Warmed up now, or still at it: the pause begins at once, or waits. */
        drive_send(drive, COMMAND_PAUSE, "vm-x");
        REQUIRE(claim("vm-x", "res-2", &small, FIGURE_RUNNING));
        g_autoptr(event_auto) paused = drive_wait(drive, EVENT_INSTANCE_PAUSED, "vm-x", 1000);
        REQUIRE(paused != NULL && (i == 0) == (paused->error == NULL));
        g_autofree char *name = script("vm-x", "hostname");
        REQUIRE(g_strcmp0(name, "res-2") == 0 && domain_state("vm-x") == VIR_DOMAIN_RUNNING);
        REQUIRE(drive_destroy(drive, "vm-x"));
    }
    return TRUE;
}

/* A paused instance whose QEMU dies is noticed at once. */
static gboolean test_paused_killed(void)
{
    REQUIRE(start("vm-k", &small, &small) && pause_it("vm-k"));
    kill(find_qemu("vm-k"), SIGKILL);
    g_autoptr(event_auto) gone = drive_wait(drive, EVENT_INSTANCE_GONE, "vm-k", 10000);
    REQUIRE(gone != NULL && gone->error != NULL && domain_state("vm-k") < 0);
    send_claim("vm-k", "res-1", &small, 1000);
    return wait_failed("vm-k", HBR_ERROR_NOT_FOUND, 5000);
}

/* Nor is a paused one given up for its silence. */
static gboolean test_paused_is_left_alone(void)
{
    g_autofree char *state_dir = g_strdup(drive->state_dir);
    drive_free(drive);
    drive_silence_ms = 400;
    drive = drive_new("user", OWNER, ACCELERATION_TCG, state_dir);
    drive_silence_ms = 0;
    REQUIRE(drive != NULL && start("vm-l", &small, &large) && pause_it("vm-l"));
    g_autoptr(event_auto) gone = drive_wait(drive, EVENT_INSTANCE_GONE, "vm-l", 1500);
    REQUIRE(gone == NULL && claim("vm-l", "res-1", &small, FIGURE_PAUSED));
    REQUIRE(drive_destroy(drive, "vm-l"));
    drive_free(drive);
    drive = drive_new("user", OWNER, ACCELERATION_TCG, state_dir);
    return drive != NULL;
}

/* A claim of what does not live fails in time, and leaves nothing. */
static gboolean test_claim_fails(void)
{
    REQUIRE(start("vm-h", &small, &small) && pause_it("vm-h"));
    kill(find_qemu("vm-h"), SIGSTOP);
    send_claim("vm-h", "res-1", &small, 500);
    REQUIRE(wait_failed("vm-h", HBR_ERROR_TIMEOUT, 30000));
    REQUIRE(start("vm-h", &small, &small));
    kill(find_qemu("vm-h"), SIGSTOP);
    send_claim("vm-h", "res-1", &small, 500);
    REQUIRE(wait_failed("vm-h", HBR_ERROR_TIMEOUT, 30000));
    REQUIRE(start("vm-h", &small, &small));
    kill(find_qemu("vm-h"), SIGSTOP);
    send_claim("vm-h", "res-1", &small, 5000);
    kill(find_qemu("vm-h"), SIGKILL);
    return wait_failed("vm-h", HBR_ERROR_INTERRUPTED, 10000);
}

static gboolean file_is_private(const char *path, mode_t mode)
{
    struct stat info;
    REQUIRE(stat(path, &info) == 0 && (info.st_mode & 07777) == mode);
    return TRUE;
}

/* A saved state is a file of ours alone, and its instance is gone. */
static gboolean test_save(void)
{
    REQUIRE(start("vm-s", &tiny, &large));
    REQUIRE(save("vm-s", "saved-1"));
    REQUIRE(domain_state("vm-s") < 0);
    g_autofree char *directory = g_build_filename(drive->state_dir, "saved", "here", NULL);
    g_autofree char *state = g_build_filename(directory, "saved-1.state", NULL);
    g_autofree char *record = g_build_filename(directory, "saved-1.json", NULL);
    return file_is_private(directory, 0700) && file_is_private(state, 0600) && file_is_private(record, 0600);
}

static gboolean wait_clone(const char *id, const struct vm_shape *shape, gint64 since)
{
    g_autoptr(event_auto) ready = drive_wait(drive, EVENT_INSTANCE_READY, id, DRIVE_BOOT_MS);
    REQUIRE(ready != NULL && vm_shape_covers(&ready->shape, shape));
    if (since != 0)
        measured(FIGURE_CLONE, since);
    return TRUE;
}

/* Clones of one state live side by side, each somebody of its own, and with the shape that was asked for. */
static gboolean test_clones(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    static const char *const ids[] = {"vm-c1", "vm-c2", "vm-c3", "vm-c4"};
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        const gint64 since = g_get_monotonic_time();
        const struct vm_shape *shape = i == 3 ? &medium : &tiny;
        send_clone(ids[i], "saved-1", shape);
        REQUIRE(wait_clone(ids[i], shape, i == 3 ? 0 : since));
    }
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
        REQUIRE(differ(seen, ids[i]) && clock_is_right(ids[i]));
    g_autofree char *text = script("vm-c4", "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo");
    REQUIRE(text != NULL && g_str_has_prefix(text, "2\n4"));
    /* A clone is a warm instance like any other. */
    REQUIRE(pause_it("vm-c1") && claim("vm-c1", "res-5", &tiny, FIGURE_PAUSED));
    g_autofree char *name = script("vm-c1", "hostname");
    REQUIRE(g_strcmp0(name, "res-5") == 0);
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++)
        REQUIRE(drive_destroy(drive, ids[i]));
    return TRUE;
}

/* Fifty of one state: nothing of what has to differ is equal. */
static gboolean test_fifty(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint done = 0; done < CLONES; done += CLONES_AT_ONCE) {
        for (guint i = 0; i < CLONES_AT_ONCE; i++) {
            g_autofree char *id = g_strdup_printf("vm-f%u", done + i);
            send_clone(id, "saved-1", &tiny);
        }
        for (guint i = 0; i < CLONES_AT_ONCE; i++) {
            g_autofree char *id = g_strdup_printf("vm-f%u", done + i);
            REQUIRE(wait_clone(id, &tiny, 0) && differ(seen, id) && clock_is_right(id));
        }
        for (guint i = 0; i < CLONES_AT_ONCE; i++) {
            g_autofree char *id = g_strdup_printf("vm-f%u", done + i);
            drive_send(drive, COMMAND_DESTROY, id);
        }
        for (guint i = 0; i < CLONES_AT_ONCE; i++) {
            g_autofree char *id = g_strdup_printf("vm-f%u", done + i);
            g_autoptr(event_auto) gone = drive_wait(drive, EVENT_INSTANCE_DESTROYED, id, 60000);
            REQUIRE(gone != NULL && gone->error == NULL);
        }
    }
    printf("    %u lines, all different\n", g_hash_table_size(seen));
    return TRUE;
}

static gboolean start_of(const char *id, const char *template)
{
    struct boot_spec *boot = drive_spec(id, &small, &large);
    g_free(boot->template);
    boot->template = g_strdup(template);
    boot->pool = g_strdup("disks@here");
    drive_boot_spec(drive, COMMAND_BOOT, boot);
    g_autoptr(event_auto) ready = drive_wait(drive, EVENT_INSTANCE_READY, id, DRIVE_BOOT_MS);
    REQUIRE(ready != NULL);
    return TRUE;
}

static gboolean has_file(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(drive->state_dir, directory, name, NULL);
    return g_access(path, F_OK) == 0;
}

static const char tell_more[] = "cat /sys/class/net/e*/address\n"
                                "python3 -c 'import random, tempfile, uuid, secrets\n"
                                "print(random.random())\nprint(uuid.uuid4())\nprint(tempfile.mktemp())\n"
                                "print(secrets.token_hex(8))\nprint(hash(\"a\"))'\n";

static gboolean clone_with_disk(GHashTable *seen, const char *id)
{
    const gint64 since = g_get_monotonic_time();
    send_clone_of(id, "saved-6", "runtimes-disk", &small);
    REQUIRE(wait_clone(id, &small, 0));
    printf("    ready after %.1f ms\n", (double)(g_get_monotonic_time() - since) / 1000);
    g_autofree char *text = script(id, tell_more);
    REQUIRE(text != NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    REQUIRE(g_strv_length(lines) == 6);
    for (guint i = 0; lines[i] != NULL; i++)
        REQUIRE(g_hash_table_add(seen, g_strdup(lines[i])));
    g_autofree char *xml = domain_text(id);
    REQUIRE(xml != NULL && strstr(xml, lines[0]) != NULL); /* the guest has the address that its domain says */
    g_autofree char *written = script(id, "head -c 20000000 /dev/zero | tr '\\0' x >big; sync; wc -c <big");
    REQUIRE(g_strcmp0(written, "20000000") == 0);
    return clock_is_right(id);
}

/* So does a clone with a NIC and a disk: the address is its own, in the guest too, and so is what it writes. */
static gboolean test_disk_and_nic(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *state_dir = g_strdup(drive->state_dir);
    g_autofree char *images = g_build_filename(g_getenv("HBR_BUILD_DIR"), "images", "runtimes.squashfs", NULL);
    if (g_getenv("HARBINGER_IMAGES") == NULL && g_access(images, R_OK) != 0) {
        printf("    skipped: there is no %s\n", images);
        return TRUE;
    }
    drive_free(drive);
    drive = drive_new("user", OWNER, ACCELERATION_TCG, state_dir);
    REQUIRE(drive != NULL && start_of("vm-w", "runtimes-disk") && save_of("vm-w", "saved-6", "runtimes-disk"));
    REQUIRE(has_file("saved/here", "saved-6.disk") && !has_file("instances", "vm-w.raw"));
    REQUIRE(clone_with_disk(seen, "vm-w1") && clone_with_disk(seen, "vm-w2") && clone_with_disk(seen, "vm-w3"));
    REQUIRE(has_file("instances", "vm-w1.raw") && !has_file("instances", "vm-w1.state"));
    REQUIRE(drive_destroy(drive, "vm-w1") && drive_destroy(drive, "vm-w2") && drive_destroy(drive, "vm-w3"));
    drive_free(drive);
    drive = drive_new("none", OWNER, ACCELERATION_TCG, state_dir);
    REQUIRE(drive != NULL);
    /* What a host without that network cannot use is not kept. */
    g_autoptr(event_auto) inventory = drive_wait(drive, EVENT_HOST_INVENTORY, NULL, 10000);
    REQUIRE(inventory != NULL && inventory->saved_states->len == 0 && !has_file("saved/here", "saved-6.disk"));
    return TRUE;
}

/* The next life of the daemon finds what is whole and fits, and removes the rest. */
static gboolean test_inventory(void)
{
    g_autofree char *state_dir = g_strdup(drive->state_dir);
    g_autofree char *directory = g_build_filename(state_dir, "saved", "here", NULL);
    g_autofree char *stray = g_build_filename(directory, "saved-old.state.part", NULL);
    REQUIRE(g_file_set_contents(stray, "x", 1, NULL));
    drive_free(drive);
    drive = drive_new("user", OWNER, ACCELERATION_TCG, state_dir);
    REQUIRE(drive != NULL);
    g_autoptr(event_auto) inventory = drive_wait(drive, EVENT_HOST_INVENTORY, NULL, 10000);
    REQUIRE(inventory != NULL && inventory->saved_states->len == 1);
    REQUIRE(strcmp(((struct saved_state *)inventory->saved_states->pdata[0])->id, "saved-1") == 0);
    REQUIRE(g_access(stray, F_OK) != 0);
    drive_free(drive);
    drive = drive_new("user", "another-owner", ACCELERATION_TCG, state_dir);
    REQUIRE(drive != NULL);
    g_autoptr(event_auto) other = drive_wait(drive, EVENT_HOST_INVENTORY, NULL, 10000);
    REQUIRE(other != NULL && other->saved_states->len == 0);
    drive_free(drive);
    drive = drive_new("user", OWNER, ACCELERATION_TCG, state_dir);
    return drive != NULL;
}

/* A damaged state is refused and reported; what is left of it goes. */
static gboolean test_damaged(void)
{
    g_autofree char *path = g_build_filename(drive->state_dir, "saved", "here", "saved-2.state", NULL);
    REQUIRE(start("vm-d", &tiny, &large) && save("vm-d", "saved-2"));
    FILE *file = fopen(path, "r+");
    REQUIRE(file != NULL && fseek(file, -5000, SEEK_END) == 0 && fputc('!', file) == '!' && fclose(file) == 0);
    send_clone("vm-d2", "saved-2", &tiny);
    g_autoptr(event_auto) lost = drive_wait(drive, EVENT_SAVED_LOST, "saved-2", 20000);
    REQUIRE(lost != NULL && lost->error != NULL && strstr(lost->error->message, "damaged") != NULL);
    REQUIRE(wait_failed("vm-d2", HBR_ERROR_INVALID, 5000) && g_access(path, F_OK) != 0);
    send_clone("vm-d3", "saved-none", &tiny);
    g_autoptr(event_auto) none = drive_wait(drive, EVENT_SAVED_LOST, "saved-none", 20000);
    REQUIRE(none != NULL);
    return wait_failed("vm-d3", HBR_ERROR_NOT_FOUND, 5000);
}

/* What is forgotten is removed. */
static gboolean test_forget(void)
{
    g_autofree char *path = g_build_filename(drive->state_dir, "saved", "here", "saved-3.json", NULL);
    REQUIRE(start("vm-o", &tiny, &large) && save("vm-o", "saved-3") && g_access(path, F_OK) == 0);
    struct command *command = command_new(COMMAND_FORGET_SAVED);
    command->saved = g_new0(struct saved_state, 1);
    command->saved->id = g_strdup("saved-3");
    hypervisor_submit(drive->hypervisor, clock_now(), command);
    send_clone("vm-o2", "saved-3", &tiny);
    g_autoptr(event_auto) lost = drive_wait(drive, EVENT_SAVED_LOST, "saved-3", 20000);
    REQUIRE(lost != NULL && g_access(path, F_OK) != 0);
    return wait_failed("vm-o2", HBR_ERROR_NOT_FOUND, 5000);
}

/* What cannot be saved says why, and is gone all the same. */
static gboolean test_save_refused(void)
{
    send_save("vm-none", "saved-4", "base");
    g_autoptr(event_auto) nobody = drive_wait(drive, EVENT_INSTANCE_SAVED, "vm-none", 5000);
    REQUIRE(nobody != NULL && nobody->error != NULL && nobody->error->code == HBR_ERROR_NOT_FOUND);
    REQUIRE(start("vm-b", &tiny, &tiny));
    drive_run(drive, "vm-b", "exec-busy", "sh", "sleep 100");
    g_autoptr(event_auto) started = drive_wait(drive, EVENT_RUN_STARTED, "exec-busy", 10000);
    send_save("vm-b", "saved-5", "base");
    g_autoptr(event_auto) busy = drive_wait(drive, EVENT_INSTANCE_SAVED, "vm-b", 20000);
    REQUIRE(started != NULL && busy != NULL && busy->error != NULL && busy->error->code == HBR_ERROR_CONFLICT);
    REQUIRE(domain_state("vm-b") < 0);
    /* What it was made of is not what the next would be made of. */
    REQUIRE(start("vm-b2", &tiny, &large));
    send_save("vm-b2", "saved-5", "runtimes");
    g_autoptr(event_auto) changed = drive_wait(drive, EVENT_INSTANCE_SAVED, "vm-b2", 20000);
    REQUIRE(changed != NULL && changed->error != NULL && strstr(changed->error->message, "have changed") != NULL);
    REQUIRE(domain_state("vm-b2") < 0 && !has_file("saved/here", "saved-5.state"));
    return TRUE;
}

/* At the end nothing of ours is left. */
static gboolean test_nothing_left(void)
{
    g_autofree char *directory = g_build_filename(drive->state_dir, "instances", NULL);
    g_autoptr(GDir) files = g_dir_open(directory, 0, NULL);
    REQUIRE(virConnectNumOfDomains(libvirt) == 0 && virConnectNumOfDefinedDomains(libvirt) == 0);
    REQUIRE(files == NULL || g_dir_read_name(files) == NULL);
    return TRUE;
}

static const struct drive_case cases[] = {
    {"claim-running", test_claim_running},
    {"claim-paused", test_claim_paused},
    {"claim-grows", test_claim_grows},
    {"floor", test_floor},
    {"claim-crosses-pause", test_claim_crosses_pause},
    {"paused-killed", test_paused_killed},
    {"paused-is-left-alone", test_paused_is_left_alone},
    {"claim-fails", test_claim_fails},
    {"save", test_save},
    {"clones", test_clones},
    {"fifty", test_fifty},
    {"damaged", test_damaged},
    {"forget", test_forget},
    {"save-refused", test_save_refused},
    {"inventory", test_inventory},
    {"disk-and-nic", test_disk_and_nic},
    {"nothing-left", test_nothing_left},
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    drive = drive_new("user", OWNER, ACCELERATION_TCG, NULL);
    libvirt = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    if (drive == NULL || libvirt == NULL)
        return EXIT_FAILURE;
    const int status = drive_run_cases(cases, G_N_ELEMENTS(cases), &drive, argc, argv);
    drive_free(drive);
    virConnectClose(libvirt);
    print_figures();
    return status;
}
