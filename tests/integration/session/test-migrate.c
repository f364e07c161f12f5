/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../drive.h"

#include "base/clock.h"
#include "base/error.h"

#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Real guests are moved between two libvirtd of their own, which take each other for other machines. Each case says which rule it protects. */

#define OWNER "test-migrate"
#define SLOW_MIB_S 1 /* a guest takes a minute and more then */

static struct drive *here, *there;
static virConnectPtr libvirt_here, libvirt_there;
static char *there_uri;
static GPid there_pid;

static const struct vm_shape small = {1, 512}, large = {4, 2048};

static gboolean is_system(void)
{
    return g_str_has_suffix(g_getenv("HBR_LIBVIRT_URI"), "/system");
}

static gboolean has_domain(virConnectPtr libvirt, const char *id)
{
    g_autofree char *name = g_strdup_printf("harbinger-%s", id);
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    if (domain != NULL)
        virDomainFree(domain);
    return domain != NULL;
}

static gboolean comes_true(gboolean (*condition)(const char *subject), const char *subject)
{
    for (guint i = 0; i < 300 && !condition(subject); i++)
        g_poll(NULL, 0, 100);
    return condition(subject);
}

static void slow_down(const char *id)
{
    g_autofree char *name = g_strdup_printf("harbinger-%s", id);
    virDomainPtr domain = virDomainLookupByName(libvirt_here, name);
    if (domain == NULL || virDomainMigrateSetMaxSpeed(domain, SLOW_MIB_S, 0) < 0)
        printf("    %s could not be slowed down\n", id);
    if (domain != NULL)
        virDomainFree(domain);
}

static struct boot_spec *spec_of(const char *id, const char *uuid)
{
    struct boot_spec *boot = drive_spec(id, &small, &large);
    g_free(boot->uuid);
    boot->uuid = g_strdup(uuid);
    return boot;
}

static gboolean start(const char *id, const char *uuid)
{
    drive_boot_spec(here, COMMAND_BOOT, spec_of(id, uuid));
    g_autoptr(event_auto) ready = drive_wait(here, EVENT_INSTANCE_READY, id, DRIVE_BOOT_MS);
    return ready != NULL;
}

static gboolean adopt(struct drive *drive, const char *id, const char *uuid)
{
    struct boot_spec *boot = spec_of(id, uuid);
    boot->is_migrated = TRUE;
    drive_boot_spec(drive, COMMAND_ADOPT, boot);
    g_autoptr(event_auto) ready = drive_wait(drive, EVENT_INSTANCE_READY, id, DRIVE_BOOT_MS);
    return ready != NULL && vm_shape_covers(&ready->shape, &small);
}

static void migrate(const char *id, const char *uri, gint64 timeout_ms)
{
    struct command *command = command_new(COMMAND_MIGRATE);
    command->host = g_strdup(here->name);
    command->id = g_strdup(id);
    command->host_spec = g_new0(struct host_spec, 1);
    command->host_spec->name = g_strdup("there");
    command->host_spec->uri = g_strdup(uri);
    command->count = timeout_ms;
    hypervisor_submit(here->hypervisor, clock_now(), command);
}

static gboolean script(struct drive *drive, const char *id, const char *execution, const char *source, GString *output)
{
    drive_run(drive, id, execution, "sh", source);
    g_autoptr(run_result_auto) result = drive_collect(drive, execution, output, 60000);
    REQUIRE(result != NULL && result->reason == EXIT_EXITED && result->status == 0);
    return TRUE;
}

static gboolean grow(struct drive *drive, const char *id, const struct vm_shape *shape)
{
    drive_shape(drive, id, shape);
    g_autoptr(event_auto) shaped = drive_wait(drive, EVENT_INSTANCE_SHAPED, id, 30000);
    REQUIRE(shaped != NULL && shaped->error == NULL && vm_shape_covers(&shaped->shape, shape));
    return TRUE;
}

/* It goes on, there: the same guest, with what had been plugged into it, and what is plugged in later. */
static gboolean test_moves(void)
{
    static const char uuid[] = "6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0001";
    g_autoptr(GString) output = g_string_new(NULL);
    REQUIRE(start("vm-a", uuid));
    REQUIRE(grow(here, "vm-a", &(struct vm_shape){1, 768}) && grow(here, "vm-a", &(struct vm_shape){2, 768}));
    REQUIRE(script(here, "vm-a", "exec-a1", "cat /proc/uptime", output));
    const gint64 since = g_get_monotonic_time();
    migrate("vm-a", there_uri, 60000);
    g_autoptr(event_auto) migrated = drive_wait(here, EVENT_INSTANCE_MIGRATED, "vm-a", 70000);
    REQUIRE(migrated != NULL && migrated->error == NULL && g_strcmp0(migrated->text, "there") == 0);
    const gint64 moved_at = g_get_monotonic_time();
    REQUIRE(adopt(there, "vm-a", uuid));
    printf("    moved in %.0f ms, proven %.0f ms later\n", (double)(moved_at - since) / 1000,
           (double)(g_get_monotonic_time() - moved_at) / 1000);
    REQUIRE(!has_domain(libvirt_here, "vm-a") && has_domain(libvirt_there, "vm-a"));
    g_autoptr(GString) again = g_string_new(NULL);
    REQUIRE(script(there, "vm-a", "exec-a2", "cat /proc/uptime; nproc", again));
    REQUIRE(g_ascii_strtod(again->str, NULL) > g_ascii_strtod(output->str, NULL)); /* it was not booted there */
    REQUIRE(g_str_has_suffix(again->str, "\n2\n"));
    REQUIRE(grow(there, "vm-a", &(struct vm_shape){2, 1024}) && grow(there, "vm-a", &(struct vm_shape){3, 1024}));
    REQUIRE(drive_destroy(there, "vm-a"));
    REQUIRE(!has_domain(libvirt_there, "vm-a"));
    return TRUE;
}

/* What cannot be reached leaves it running where it is. */
static gboolean test_fails(void)
{
    static const char uuid[] = "6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0002";
    REQUIRE(start("vm-b", uuid));
    migrate("vm-b", "qemu+unix:///session?socket=/nowhere", 60000);
    g_autoptr(event_auto) migrated = drive_wait(here, EVENT_INSTANCE_MIGRATED, "vm-b", 70000);
    REQUIRE(migrated != NULL && migrated->error != NULL);
    REQUIRE(adopt(here, "vm-b", uuid));
    REQUIRE(script(here, "vm-b", "exec-b1", "true", NULL));
    return TRUE;
}

/* Nothing that runs is disturbed. The one of test_fails. */
static gboolean test_refuses_busy(void)
{
    static const char uuid[] = "6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0002";
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup("exec-b2");
    run->program.interpreter = g_strdup("sh");
    run->program.source = g_strdup("read line; echo $line");
    run->program.stdin_open = TRUE;
    run->limits.wall_ms = 60000;
    drive_run_spec(here, "vm-b", run);
    g_autoptr(event_auto) started = drive_wait(here, EVENT_RUN_STARTED, "exec-b2", 20000);
    REQUIRE(started != NULL);
    migrate("vm-b", there_uri, 60000);
    g_autoptr(event_auto) migrated = drive_wait(here, EVENT_INSTANCE_MIGRATED, "vm-b", 70000);
    REQUIRE(migrated != NULL && g_error_matches(migrated->error, HBR_ERROR, HBR_ERROR_CONFLICT));
    REQUIRE(adopt(here, "vm-b", uuid)); /* as the core does after each migration: it is told at once */
    drive_stdin(here, "vm-b", "exec-b2", "still here\n", TRUE);
    g_autoptr(GString) output = g_string_new(NULL);
    g_autoptr(run_result_auto) result = drive_collect(here, "exec-b2", output, 20000);
    REQUIRE(result != NULL && result->reason == EXIT_EXITED && strcmp(output->str, "still here\n") == 0);
    return TRUE;
}

/* One that takes too long is aborted, and the instance goes on where it is. The one of test_fails. */
static gboolean test_aborts(void)
{
    static const char uuid[] = "6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0002";
    slow_down("vm-b");
    const gint64 since = g_get_monotonic_time();
    migrate("vm-b", there_uri, 2000);
    g_autoptr(event_auto) migrated = drive_wait(here, EVENT_INSTANCE_MIGRATED, "vm-b", 30000);
    REQUIRE(migrated != NULL && migrated->error != NULL);
    printf("    aborted after %.0f ms: %s\n", (double)(g_get_monotonic_time() - since) / 1000,
           migrated->error->message);
    REQUIRE(adopt(here, "vm-b", uuid));
    REQUIRE(script(here, "vm-b", "exec-b3", "true", NULL));
    REQUIRE(!has_domain(libvirt_there, "vm-b"));
    return TRUE;
}

/* A libvirt that hangs costs the time limit, and no instance. The one of test_fails. */
static gboolean test_survives_hung_target(void)
{
    static const char uuid[] = "6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0002";
    kill(there_pid, SIGSTOP);
    migrate("vm-b", there_uri, 1000);
    g_autoptr(event_auto) migrated = drive_wait(here, EVENT_INSTANCE_MIGRATED, "vm-b", 60000);
    kill(there_pid, SIGCONT);
    REQUIRE(migrated != NULL && migrated->error != NULL);
    REQUIRE(adopt(here, "vm-b", uuid));
    REQUIRE(script(here, "vm-b", "exec-b4", "true", NULL));
    REQUIRE(drive_destroy(here, "vm-b"));
    return TRUE;
}

static gboolean is_on_its_way(const char *id)
{
    return has_domain(libvirt_there, id);
}

/* One that is destroyed on its way is on neither host. */
static gboolean test_destroyed_on_its_way(void)
{
    static const char uuid[] = "6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0003";
    REQUIRE(start("vm-c", uuid));
    slow_down("vm-c");
    migrate("vm-c", there_uri, 60000);
    REQUIRE(comes_true(is_on_its_way, "vm-c"));
    REQUIRE(drive_destroy(here, "vm-c"));
    g_autoptr(event_auto) migrated = drive_wait(here, EVENT_INSTANCE_MIGRATED, "vm-c", 1000);
    REQUIRE(migrated != NULL && migrated->error != NULL);
    REQUIRE(!has_domain(libvirt_here, "vm-c") && !has_domain(libvirt_there, "vm-c"));
    return TRUE;
}

static const struct drive_case cases[] = {
    {"moves", test_moves},
    {"fails", test_fails},
    {"refuses-busy", test_refuses_busy},
    {"aborts", test_aborts},
    {"survives-hung-target", test_survives_hung_target},
    {"destroyed-on-its-way", test_destroyed_on_its_way},
};

static gboolean is_there(const char *path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* A second libvirtd beside the first. NULL when it does not come up. */
static char *libvirtd_start(void)
{
    g_autofree char *script = g_build_filename(g_getenv("HBR_TESTS_DIR"), "integration", "second-libvirtd", NULL);
    g_autofree char *place = g_build_filename(g_getenv("HBR_PRIVATE"), "tmp", "o", NULL);
    g_autofree char *socket = g_build_filename(place, "socket", NULL);
    char *argv[] = {script, place, NULL};
    g_autoptr(GError) error = NULL;
    if (!g_spawn_async(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &there_pid, &error)) {
        printf("the second libvirtd: %s\n", error->message);
        return NULL;
    }
    if (!comes_true(is_there, socket)) {
        printf("the second libvirtd made no %s\n", socket);
        return NULL;
    }
    return g_strdup_printf("qemu+unix:///%s?socket=%s", is_system() ? "system" : "session", socket);
}

int main(int argc, char **argv)
{
    there_uri = libvirtd_start();
    if (there_uri == NULL)
        return EXIT_FAILURE;
    here = drive_new("none", OWNER, ACCELERATION_TCG, NULL);
    libvirt_here = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    g_setenv("HBR_LIBVIRT_URI", there_uri, TRUE);
    there = here != NULL ? drive_new("none", OWNER, ACCELERATION_TCG, NULL) : NULL;
    libvirt_there = virConnectOpen(there_uri);
    if (there == NULL || libvirt_here == NULL || libvirt_there == NULL)
        return EXIT_FAILURE;
    const int status = drive_run_cases(cases, G_N_ELEMENTS(cases), &here, argc, argv);
    drive_free(there);
    drive_free(here);
    virConnectClose(libvirt_there);
    virConnectClose(libvirt_here);
    kill(there_pid, SIGTERM);
    g_free(there_uri);
    return status;
}
