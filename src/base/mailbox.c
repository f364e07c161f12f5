/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/mailbox.h"

#include <errno.h>
#include <glib-unix.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    GQueue messages;
    GDestroyNotify message_free;
    gboolean closed;
    int wake_fd; /* eventfd, readable while messages are there, for the GSource; -1 without one */
};

struct mailbox *mailbox_new(GDestroyNotify message_free)
{
    struct mailbox *mailbox = g_new0(struct mailbox, 1);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&mailbox->arrived, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&mailbox->lock, NULL);
    g_queue_init(&mailbox->messages);
    mailbox->message_free = message_free;
    mailbox->wake_fd = -1;
    return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    g_queue_clear_full(&mailbox->messages, mailbox->message_free);
    if (mailbox->wake_fd >= 0)
        close(mailbox->wake_fd);
    pthread_cond_destroy(&mailbox->arrived);
    pthread_mutex_destroy(&mailbox->lock);
    g_free(mailbox);
}

/* Makes the GSource ready. */
static void mailbox_wake(struct mailbox *mailbox)
{
    const guint64 one = 1;
    if (mailbox->wake_fd >= 0 && write(mailbox->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        g_error("eventfd: %s", g_strerror(errno));
}

gboolean mailbox_post(struct mailbox *mailbox, gpointer message)
{
    pthread_mutex_lock(&mailbox->lock);
    const gboolean open = !mailbox->closed;
    if (open) {
        g_queue_push_tail(&mailbox->messages, message);
        pthread_cond_signal(&mailbox->arrived);
        if (mailbox->messages.length == 1)
            mailbox_wake(mailbox);
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (!open && mailbox->message_free != NULL)
        mailbox->message_free(message);
    return open;
}

/* With the lock held: waits for a message, the close or the deadline. */
static void mailbox_wait(struct mailbox *mailbox, gint64 deadline)
{
    const struct timespec until = {.tv_sec = deadline / G_USEC_PER_SEC, .tv_nsec = (deadline % G_USEC_PER_SEC) * 1000};
    while (mailbox->messages.length == 0 && !mailbox->closed && deadline != 0) {
        if (deadline < 0)
            pthread_cond_wait(&mailbox->arrived, &mailbox->lock);
        else if (pthread_cond_timedwait(&mailbox->arrived, &mailbox->lock, &until) == ETIMEDOUT)
            return;
    }
}

static void mailbox_reset_wake(struct mailbox *mailbox)
{
    guint64 count;
    if (mailbox->wake_fd < 0 || mailbox->messages.length > 0)
        return;
    if (read(mailbox->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        g_error("eventfd: %s", g_strerror(errno));
}

gpointer mailbox_take(struct mailbox *mailbox, gint64 deadline)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox_wait(mailbox, deadline);
    gpointer message = g_queue_pop_head(&mailbox->messages);
    mailbox_reset_wake(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return message;
}

guint mailbox_take_all(struct mailbox *mailbox, GQueue *messages, gint64 deadline)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox_wait(mailbox, deadline);
    const guint count = mailbox->messages.length;
    for (gpointer message; (message = g_queue_pop_head(&mailbox->messages)) != NULL;)
        g_queue_push_tail(messages, message);
    mailbox_reset_wake(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return count;
}

void mailbox_close(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->closed = TRUE;
    pthread_cond_broadcast(&mailbox->arrived);
    mailbox_wake(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
}

gboolean mailbox_is_closed(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    const gboolean closed = mailbox->closed;
    pthread_mutex_unlock(&mailbox->lock);
    return closed;
}

static gboolean mailbox_source_dispatch(GSource *source G_GNUC_UNUSED, GSourceFunc callback, gpointer data)
{
    return callback != NULL ? callback(data) : G_SOURCE_REMOVE;
}

/* With the lock held. */
static void mailbox_open_wake(struct mailbox *mailbox)
{
    const guint initial = mailbox->messages.length > 0 || mailbox->closed ? 1 : 0;
    mailbox->wake_fd = eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mailbox->wake_fd < 0)
        g_error("eventfd: %s", g_strerror(errno));
}

GSource *mailbox_source_new(struct mailbox *mailbox)
{
    static GSourceFuncs functions = {.dispatch = mailbox_source_dispatch};
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->wake_fd < 0)
        mailbox_open_wake(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    GSource *source = g_source_new(&functions, sizeof(GSource));
    g_source_set_can_recurse(
        source, TRUE); /* or GLib takes its descriptor out and in again at each dispatch, and wakes itself by that */
    g_source_add_unix_fd(source, mailbox->wake_fd, G_IO_IN);
    return source;
}
