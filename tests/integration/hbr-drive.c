/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>

/* usage: hbr-drive [ROUNDS [TEMPLATE]]: prints what boots, runs and growth take on $HBR_LIBVIRT_URI. */

struct series {
    const char *name;
    double values[64];
    guint count;
};

static void series_add(struct series *series, gint64 since)
{
    if (series->count < G_N_ELEMENTS(series->values))
        series->values[series->count++] = (double)(g_get_monotonic_time() - since) / 1000;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void series_print(struct series *series)
{
    qsort(series->values, series->count, sizeof *series->values, compare);
    if (series->count > 0)
        printf("%-28s n=%-3u min %8.2f  median %8.2f  max %8.2f ms\n", series->name, series->count, series->values[0],
               series->values[series->count / 2], series->values[series->count - 1]);
}

static struct series started = {.name = "boot: domain started"}, answered = {.name = "boot: agent answered"},
                     ready = {.name = "boot: ready"}, ran = {.name = "run sh: exit"},
                     printed = {.name = "run sh: first output"}, cpu = {.name = "grow 1 -> 2 vCPU"},
                     memory = {.name = "grow +512 MiB"}, gone = {.name = "destroy"};

static gboolean wait_and_add(struct drive *drive, enum event_kind kind, const char *id, struct series *series,
                             gint64 since)
{
    g_autoptr(event_auto) event = drive_wait(drive, kind, id, DRIVE_BOOT_MS);
    if (event != NULL && event->error != NULL)
        printf("%s: %s\n", series->name, event->error->message);
    if (event == NULL || event->error != NULL)
        return FALSE;
    series_add(series, since);
    return TRUE;
}

static void run_some(struct drive *drive, const char *id, guint round)
{
    for (guint i = 0; i < 10; i++) {
        g_autofree char *execution = g_strdup_printf("exec-%u-%u", round, i);
        const gint64 since = g_get_monotonic_time();
        drive_run(drive, id, execution, "sh", "echo hi");
        if (wait_and_add(drive, EVENT_RUN_OUTPUT, execution, &printed, since))
            wait_and_add(drive, EVENT_RUN_EXIT, execution, &ran, since);
    }
}

static void one_round(struct drive *drive, const char *template, guint round)
{
    g_autofree char *id = g_strdup_printf("vm-drive-%u", round);
    const struct vm_shape shape = {1, 512}, maximum = {4, 4096};
    const gint64 since = g_get_monotonic_time();
    drive_boot(drive, id, template, &shape, &maximum, DRIVE_BOOT_MS);
    if (!wait_and_add(drive, EVENT_INSTANCE_PROGRESS, id, &started, since) ||
        !wait_and_add(drive, EVENT_INSTANCE_PROGRESS, id, &answered, since) ||
        !wait_and_add(drive, EVENT_INSTANCE_READY, id, &ready, since))
        return;
    run_some(drive, id, round);
    gint64 grown = g_get_monotonic_time();
    drive_shape(drive, id, &(struct vm_shape){1, 1024});
    wait_and_add(drive, EVENT_INSTANCE_SHAPED, id, &memory, grown);
    grown = g_get_monotonic_time();
    drive_shape(drive, id, &(struct vm_shape){2, 1024});
    wait_and_add(drive, EVENT_INSTANCE_SHAPED, id, &cpu, grown);
    grown = g_get_monotonic_time();
    if (drive_destroy(drive, id))
        series_add(&gone, grown);
}

int main(int argc, char **argv)
{
    const guint rounds = argc > 1 ? (guint)strtoul(argv[1], NULL, 10) : 3;
    const char *template = argc > 2 ? argv[2] : "base";
    drive_uses_streams = g_getenv("HBR_USE_STREAMS") != NULL;
    struct drive *drive = drive_new("none", "hbr-drive", ACCELERATION_TCG, NULL);
    if (drive == NULL)
        return EXIT_FAILURE;
    for (guint i = 0; i < rounds; i++)
        one_round(drive, template, i);
    struct series *const all[] = {&started, &answered, &ready, &printed, &ran, &memory, &cpu, &gone};
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        series_print(all[i]);
    drive_free(drive);
    return EXIT_SUCCESS;
}
