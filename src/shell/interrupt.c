/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/interrupt.h"

#include <errno.h>
#include <glib-unix.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

struct interrupt {
    struct hbr_client *running, *other;
    int pipe[2];
    atomic_uint count;
    pthread_mutex_t lock; /* of `execution_id` */
    char *execution_id;
    pthread_t thread;
    struct sigaction old_int, old_term;
};

/* A signal handler has no argument of its own. */
static _Atomic(struct interrupt *) interrupt_current;

static void interrupt_handle(int number)
{
    int saved_errno = errno;
    (void)number;
    struct interrupt *interrupt = atomic_load(&interrupt_current);
    if (interrupt != NULL && atomic_fetch_add(&interrupt->count, 1) == 0) {
        ssize_t written = write(interrupt->pipe[1], "c", 1);
        (void)written;
    } else if (interrupt != NULL) {
        hbr_client_interrupt(interrupt->running);
        hbr_client_interrupt(interrupt->other);
    }
    errno = saved_errno;
}

static void interrupt_cancel(struct interrupt *interrupt)
{
    pthread_mutex_lock(&interrupt->lock);
    g_autofree char *id = g_strdup(interrupt->execution_id);
    pthread_mutex_unlock(&interrupt->lock);
    if (id == NULL || !hbr_delete(interrupt->other, HBR_EXECUTION, id, NULL, NULL))
        hbr_client_interrupt(interrupt->running);
}

static void *interrupt_main(void *data)
{
    struct interrupt *interrupt = data;
    char what = 0;
    while (read(interrupt->pipe[0], &what, 1) != 1 && errno == EINTR)
        continue;
    if (what == 'c')
        interrupt_cancel(interrupt);
    return NULL;
}

struct interrupt *interrupt_begin(struct hbr_client *running, struct hbr_client *other)
{
    struct interrupt *interrupt = g_new0(struct interrupt, 1);
    interrupt->running = running;
    interrupt->other = other;
    if (!g_unix_open_pipe(interrupt->pipe, FD_CLOEXEC, NULL)) {
        interrupt->pipe[0] = interrupt->pipe[1] = -1;
        return interrupt;
    }
    pthread_mutex_init(&interrupt->lock, NULL);
    if (pthread_create(&interrupt->thread, NULL, interrupt_main, interrupt) != 0) {
        close(interrupt->pipe[0]);
        close(interrupt->pipe[1]);
        interrupt->pipe[0] = interrupt->pipe[1] = -1;
        return interrupt;
    }
    atomic_store(&interrupt_current, interrupt);
    struct sigaction action = {.sa_handler = interrupt_handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &interrupt->old_int);
    sigaction(SIGTERM, &action, &interrupt->old_term);
    return interrupt;
}

void interrupt_set_execution(struct interrupt *interrupt, const char *id)
{
    pthread_mutex_lock(&interrupt->lock);
    if (interrupt->execution_id == NULL)
        interrupt->execution_id = g_strdup(id);
    pthread_mutex_unlock(&interrupt->lock);
}

guint interrupt_count(const struct interrupt *interrupt)
{
    return atomic_load(&interrupt->count);
}

static void interrupt_stop(struct interrupt *interrupt)
{
    sigaction(SIGINT, &interrupt->old_int, NULL);
    sigaction(SIGTERM, &interrupt->old_term, NULL);
    atomic_store(&interrupt_current, NULL);
    while (write(interrupt->pipe[1], "q", 1) != 1 && errno == EINTR)
        continue;
    pthread_join(interrupt->thread, NULL);
    pthread_mutex_destroy(&interrupt->lock);
    close(interrupt->pipe[0]);
    close(interrupt->pipe[1]);
}

guint interrupt_end(struct interrupt *interrupt)
{
    if (interrupt->pipe[0] != -1)
        interrupt_stop(interrupt);
    guint count = atomic_load(&interrupt->count);
    hbr_client_free(interrupt->other);
    g_free(interrupt->execution_id);
    g_free(interrupt);
    return count;
}
