/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store-support.h"

#include <check.h>
#include <glib/gstdio.h>

#define WAIT_SECONDS 30

static void free_event(gpointer event)
{
    event_free(event);
}

static void free_record(gpointer record)
{
    record_free(record);
}

void store_bed_init(struct store_bed *bed)
{
    bed->directory = g_dir_make_tmp("harbinger-store-XXXXXX", NULL);
    ck_assert_ptr_nonnull(bed->directory);
    bed->path = g_build_filename(bed->directory, "harbinger.db", NULL);
    bed->events = mailbox_new(free_event);
}

void store_bed_clear(struct store_bed *bed)
{
    g_autoptr(GDir) directory = g_dir_open(bed->directory, 0, NULL);
    for (const char *name; directory != NULL && (name = g_dir_read_name(directory)) != NULL;) {
        g_autofree char *path = g_build_filename(bed->directory, name, NULL);
        g_remove(path);
    }
    g_rmdir(bed->directory);
    mailbox_free(bed->events);
    g_free(bed->path);
    g_free(bed->directory);
}

void store_bed_sink(struct event *event, gpointer mailbox)
{
    mailbox_post(mailbox, event);
}

struct event *store_bed_wait(struct store_bed *bed)
{
    struct event *event = mailbox_take(bed->events, g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC);
    ck_assert_msg(event != NULL, "no event from the store");
    return event;
}

char *store_bed_expect(struct store_bed *bed, guint64 serial, enum event_kind kind)
{
    g_autoptr(event_auto) event = store_bed_wait(bed);
    ck_assert_msg(event->kind == kind, "%s instead of %s: %s", codec_word(&event_kind_words, event->kind),
                  codec_word(&event_kind_words, kind), event->error != NULL ? event->error->message : "no error");
    ck_assert_uint_eq(event->serial, serial);
    return event->error != NULL ? g_strdup(event->error->message) : NULL;
}

struct command *store_command_new(guint64 serial)
{
    struct command *command = command_new(COMMAND_PERSIST);
    command->serial = serial;
    command->records = g_ptr_array_new_with_free_func(free_record);
    return command;
}

void store_command_put(struct command *command, const char *id, const char *function, enum execution_state state,
                       gint64 at, gsize padding)
{
    g_autofree char *filler = g_strnfill(padding, 'x');
    struct execution execution = {
        .id = (char *)id,
        .code = {.function = (char *)function, .tenant = (char *)"default"},
        .state = state,
        .created_at = at,
        .error = padding > 0 ? filler : NULL,
    };
    char *body = codec_encode_text(&execution_codec, &execution, CODEC_STORE);
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_PUT;
    record->object = OBJECT_EXECUTION;
    record->id = g_strdup(id);
    record->function = g_strdup(function);
    record->tenant = g_strdup("default");
    record->state = state;
    record->final = execution_state_is_terminal(state);
    record->at = at;
    record->body = g_bytes_new_take(body, strlen(body));
    g_ptr_array_add(command->records, record);
}

void store_command_add_bad(struct command *command)
{
    struct record *record = g_new0(struct record, 1);
    record->kind = RECORD_PUT;
    record->object = OBJECT_EXECUTION;
    g_ptr_array_add(command->records, record);
}
