/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/inbox.h"

#include "base/mailbox.h"

/* Notes delivered in one turn of the loop, so that a flood of commands does not keep the channels waiting. */
#define NOTES_PER_TURN 64

struct inbox {
    gint references;
    struct mailbox *mailbox;
    gpointer owner;
};

struct note {
    inbox_deliver deliver;
    gpointer data;
    GDestroyNotify data_free;
};

static void note_free(gpointer data)
{
    struct note *note = data;
    if (note->data_free != NULL && note->data != NULL)
        note->data_free(note->data);
    g_free(note);
}

struct inbox *inbox_new(void)
{
    struct inbox *inbox = g_new0(struct inbox, 1);
    inbox->references = 1;
    inbox->mailbox = mailbox_new(note_free);
    return inbox;
}

struct inbox *inbox_ref(struct inbox *inbox)
{
    g_atomic_int_inc(&inbox->references);
    return inbox;
}

void inbox_unref(gpointer data)
{
    struct inbox *inbox = data;
    if (inbox == NULL || !g_atomic_int_dec_and_test(&inbox->references))
        return;
    mailbox_free(inbox->mailbox);
    g_free(inbox);
}

void inbox_post(struct inbox *inbox, inbox_deliver deliver, gpointer data, GDestroyNotify data_free)
{
    struct note *note = g_new0(struct note, 1);
    *note = (struct note){.deliver = deliver, .data = data, .data_free = data_free};
    mailbox_post(inbox->mailbox, note);
}

static gboolean inbox_dispatch(gpointer data)
{
    struct inbox *inbox = data;
    for (guint i = 0; i < NOTES_PER_TURN; i++) {
        struct note *note = mailbox_take(inbox->mailbox, 0);
        if (note == NULL)
            break;
        note->deliver(inbox->owner, g_steal_pointer(&note->data));
        note_free(note);
    }
    return G_SOURCE_CONTINUE;
}

GSource *inbox_attach(struct inbox *inbox, gpointer owner, GMainContext *context)
{
    GSource *source = mailbox_source_new(inbox->mailbox);
    inbox->owner = owner;
    g_source_set_callback(source, inbox_dispatch, inbox, NULL);
    g_source_attach(source, context);
    return source;
}

void inbox_close(struct inbox *inbox)
{
    GQueue notes = G_QUEUE_INIT;
    mailbox_close(inbox->mailbox);
    mailbox_take_all(inbox->mailbox, &notes, 0);
    g_queue_clear_full(&notes, note_free);
}
