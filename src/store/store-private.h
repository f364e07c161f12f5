/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/mailbox.h"
#include "store/database.h"
#include "store/store.h"
#include "store/write.h"

#include <pthread.h>

/* What the files of this room share of a store. */

#define STORE_READERS_MAX 4 /* connections kept when nobody reads */

struct store {
    char *path;
    int lock_fd;
    char *identity;
    struct database *database; /* the writer's: the opening thread's until store_start(), then the writer thread's */
    struct writer *writer;
    struct mailbox *mailbox; /* struct command */
    pthread_t thread;
    gboolean started;
    gint64 keep_us; /* what ended longer ago is removed; 0: kept for ever */
    event_sink sink;
    gpointer sink_data;
    pthread_mutex_t readers_lock;
    GQueue readers; /* struct database that nobody uses now */
};

/* A reader's connection for this thread alone; give it back with store_reader_return(). */
struct database *store_reader_take(struct store *store, GError **error);
void store_reader_return(struct store *store, struct database *reader);

/* Takes one reader, hands it to `read`, and gives it back. */
typedef gpointer (*store_read)(struct database *reader, gpointer query, GError **error);
gpointer store_with_reader(struct store *store, store_read read, gpointer query, GError **error);
