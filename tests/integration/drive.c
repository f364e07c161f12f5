/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "drive.h"

#include "base/clock.h"
#include "base/error.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gboolean drive_uses_streams;
char **drive_gpus;
gint64 drive_silence_ms;

static void on_event(struct event *event, gpointer data)
{
    mailbox_post(data, event);
}

static void event_free_note(gpointer event)
{
    event_free(event);
}

static char *image_dir(void)
{
    const char *images = g_getenv("HARBINGER_IMAGES");
    return images != NULL ? g_strdup(images) : g_build_filename(g_getenv("HBR_BUILD_DIR"), "images", NULL);
}

struct drive *drive_new(const char *network, const char *owner, enum acceleration acceleration, const char *state_dir)
{
    const char *others = g_getenv("HBR_TEMPLATES");
    g_autofree char *templates =
        others != NULL ? g_strdup(others) : g_build_filename(g_getenv("HBR_SOURCE_DIR"), "templates", NULL);
    g_autofree char *images = image_dir();
    g_autoptr(GError) error = NULL;
    struct drive *drive = g_new0(struct drive, 1);
    drive->events = mailbox_new(event_free_note);
    drive->seen = g_ptr_array_new_with_free_func(event_free_note);
    drive->state_dir = state_dir != NULL ? g_strdup(state_dir) : g_dir_make_tmp("hbr-state.XXXXXX", NULL);
    g_chmod(drive->state_dir, 0755);
    drive->name = g_strdup("here");
    const char *uri = g_getenv("HBR_LIBVIRT_URI");
    const struct host_spec spec = {
        .name = drive->name, .uri = (char *)uri, .network = (char *)network, .gpus = drive_gpus};
    const struct hypervisor_settings settings = {
        .template_dir = templates,
        .image_dir = images,
        .state_dir = drive->state_dir,
        .owner = (char *)owner,
        .acceleration = acceleration,
        .use_streams = drive_uses_streams,
        .silence_ms = drive_silence_ms,
        .heartbeat_ms = drive_silence_ms / 2,
    };
    drive->hypervisor = hypervisor_new(&spec, &settings, on_event, drive->events, &error);
    if (drive->hypervisor == NULL) {
        printf("    %s\n", error->message);
        drive_free(drive);
        return NULL;
    }
    drive_send(drive, COMMAND_HOST_CONNECT, NULL);
    drive->up = drive_wait(drive, EVENT_HOST_UP, NULL, 60000);
    if (drive->up == NULL) {
        drive_free(drive);
        return NULL;
    }
    return drive;
}

void drive_free(struct drive *drive)
{
    if (drive == NULL)
        return;
    hypervisor_free(drive->hypervisor);
    mailbox_free(drive->events);
    g_ptr_array_unref(drive->seen);
    event_free(drive->up);
    g_free(drive->state_dir);
    g_free(drive->name);
    g_free(drive);
}

static gboolean event_is_for(const struct event *event, enum event_kind kind, const char *id)
{
    return event->kind == kind &&
           (id == NULL || g_strcmp0(event->id, id) == 0 || g_strcmp0(event->execution_id, id) == 0);
}

static gboolean event_ends(const struct event *event, enum event_kind kind, const char *id)
{
    if (id == NULL || g_strcmp0(event->id, id) != 0 || event->kind == kind)
        return FALSE;
    return event->kind == EVENT_INSTANCE_FAILED || (event->kind == EVENT_INSTANCE_GONE && kind == EVENT_INSTANCE_READY);
}

static void drive_credit(struct drive *drive, const struct event *event)
{
    if (drive->keeps_credit || event->kind != EVENT_RUN_OUTPUT)
        return;
    struct command *command = command_new(COMMAND_OUTPUT_CREDIT);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(event->id);
    command->execution_id = g_strdup(event->execution_id);
    command->count = (gint64)g_bytes_get_size(event->bytes);
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

struct event *drive_wait(struct drive *drive, enum event_kind kind, const char *id, gint64 timeout_ms)
{
    const gint64 until = g_get_monotonic_time() + timeout_ms * 1000;
    for (guint i = 0; i < drive->seen->len; i++) {
        if (event_is_for(drive->seen->pdata[i], kind, id))
            return g_ptr_array_steal_index(drive->seen, i);
    }
    for (struct event *event; (event = mailbox_take(drive->events, until)) != NULL;) {
        drive_credit(drive, event);
        if (event_is_for(event, kind, id))
            return event;
        const gboolean is_end = event_ends(event, kind, id);
        if (event->error != NULL)
            printf("    %s %s: %s\n", codec_word(&event_kind_words, event->kind), event->id != NULL ? event->id : "",
                   event->error->message);
        g_ptr_array_add(drive->seen, event);
        if (is_end)
            return NULL;
    }
    printf("    no %s of %s within %" G_GINT64_FORMAT " ms\n", codec_word(&event_kind_words, kind),
           id != NULL ? id : "-", timeout_ms);
    return NULL;
}

void drive_forget(struct drive *drive, enum event_kind kind)
{
    for (guint i = drive->seen->len; i > 0; i--) {
        const struct event *event = drive->seen->pdata[i - 1];
        if (event->kind == kind)
            g_ptr_array_remove_index(drive->seen, i - 1);
    }
}

struct boot_spec *drive_spec(const char *id, const struct vm_shape *shape, const struct vm_shape *maximum)
{
    struct boot_spec *boot = g_new0(struct boot_spec, 1);
    *boot = (struct boot_spec){
        .instance_id = g_strdup(id),
        .uuid = g_uuid_string_random(),
        .owner = g_strdup("core"),
        .template = g_strdup("base"),
        .shape = *shape,
        .maximum = *maximum,
        .sample_interval_ms = 400,
        .timeout_ms = DRIVE_BOOT_MS,
    };
    return boot;
}

void drive_boot_spec(struct drive *drive, enum command_kind kind, struct boot_spec *boot)
{
    struct command *command = command_new(kind);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(boot->instance_id);
    command->boot = boot;
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

void drive_boot(struct drive *drive, const char *id, const char *template, const struct vm_shape *shape,
                const struct vm_shape *maximum, gint64 timeout_ms)
{
    struct boot_spec *boot = drive_spec(id, shape, maximum);
    g_free(boot->template);
    boot->template = g_strdup(template);
    boot->timeout_ms = timeout_ms;
    boot->reservation_id = g_strdup("res-1");
    boot->profile = g_strdup("low");
    drive_boot_spec(drive, COMMAND_BOOT, boot);
}

gboolean drive_start(struct drive *drive, const char *id, const char *template, const struct vm_shape *shape,
                     const struct vm_shape *maximum)
{
    drive_boot(drive, id, template, shape, maximum, DRIVE_BOOT_MS);
    struct event *ready = drive_wait(drive, EVENT_INSTANCE_READY, id, DRIVE_BOOT_MS + 5000);
    const gboolean is_right = ready != NULL && vm_shape_covers(&ready->shape, shape);
    event_free(ready);
    return is_right;
}

guint64 drive_shape(struct drive *drive, const char *id, const struct vm_shape *shape)
{
    struct command *command = command_new(COMMAND_SHAPE);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(id);
    command->serial = ++drive->serial;
    command->shape = *shape;
    command->count = drive->confirm_ms;
    hypervisor_submit(drive->hypervisor, clock_now(), command);
    return drive->serial;
}

static void submit_run(struct drive *drive, enum command_kind kind, const char *id, struct run_spec *run)
{
    struct command *command = command_new(kind);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(id);
    command->execution_id = g_strdup(run->execution_id);
    command->run = run;
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

void drive_run_spec(struct drive *drive, const char *id, struct run_spec *run)
{
    submit_run(drive, COMMAND_RUN, id, run);
}

GError *drive_stage(struct drive *drive, const char *id, struct run_spec *run, gint64 timeout_ms)
{
    g_autofree char *execution_id = g_strdup(run->execution_id);
    submit_run(drive, COMMAND_STAGE, id, run);
    g_autoptr(event_auto) staged = drive_wait(drive, EVENT_STAGED, execution_id, timeout_ms);
    if (staged == NULL)
        return hbr_error_new(HBR_ERROR_TIMEOUT, "no answer");
    return g_steal_pointer(&staged->error);
}

void drive_run(struct drive *drive, const char *id, const char *execution_id, const char *interpreter,
               const char *source)
{
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup(execution_id);
    run->program.interpreter = g_strdup(interpreter);
    run->program.source = g_strdup(source);
    run->limits.wall_ms = 60000;
    drive_run_spec(drive, id, run);
}

void drive_stdin(struct drive *drive, const char *id, const char *execution_id, const char *text, gboolean eof)
{
    struct command *command = command_new(COMMAND_STDIN);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(id);
    command->execution_id = g_strdup(execution_id);
    command->bytes = text == NULL ? NULL : g_bytes_new(text, strlen(text));
    command->eof = eof;
    command->request = 1;
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

void drive_cancel(struct drive *drive, const char *id, const char *execution_id)
{
    struct command *command = command_new(COMMAND_CANCEL_RUN);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(id);
    command->execution_id = g_strdup(execution_id);
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

void drive_send(struct drive *drive, enum command_kind kind, const char *id)
{
    struct command *command = command_new(kind);
    command->host = g_strdup(drive->name);
    command->id = g_strdup(id);
    hypervisor_submit(drive->hypervisor, clock_now(), command);
}

gboolean drive_destroy(struct drive *drive, const char *id)
{
    drive_send(drive, COMMAND_DESTROY, id);
    struct event *destroyed = drive_wait(drive, EVENT_INSTANCE_DESTROYED, id, 60000);
    const gboolean is_done = destroyed != NULL && destroyed->error == NULL;
    event_free(destroyed);
    return is_done;
}

struct run_result *drive_collect(struct drive *drive, const char *execution_id, GString *output, gint64 timeout_ms)
{
    struct event *end = drive_wait(drive, EVENT_RUN_EXIT, execution_id, timeout_ms);
    if (end == NULL)
        return NULL;
    for (guint i = 0; i < drive->seen->len;) {
        struct event *event = drive->seen->pdata[i];
        if (!event_is_for(event, EVENT_RUN_OUTPUT, execution_id)) {
            i++;
            continue;
        }
        gsize length;
        const char *data = g_bytes_get_data(event->bytes, &length);
        if (output != NULL && event->stream == 1)
            g_string_append_len(output, data, (gssize)length);
        g_ptr_array_remove_index(drive->seen, i);
    }
    struct run_result *result = g_steal_pointer(&end->result);
    event_free(end);
    return result;
}

static gboolean is_asked(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return TRUE;
    return argc <= 1;
}

int drive_run_cases(const struct drive_case *cases, gsize count, struct drive **drive, int argc, char **argv)
{
    guint failed = 0, passed = 0;
    for (gsize i = 0; i < count && *drive != NULL; i++) {
        if (!is_asked(argc, argv, cases[i].name))
            continue;
        const gint64 since = g_get_monotonic_time();
        const gboolean is_passed = cases[i].run();
        printf("%s: %s (%" G_GINT64_FORMAT " ms)\n", is_passed ? "ok" : "FAILED", cases[i].name,
               (g_get_monotonic_time() - since) / 1000);
        failed += is_passed ? 0 : 1;
        passed += is_passed ? 1 : 0;
    }
    if (*drive == NULL)
        printf("the drive was lost: what is left was not run\n");
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 && *drive != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
