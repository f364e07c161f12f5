/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/store.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/file.h"
#include "store/prune.h"
#include "store/schema.h"
#include "store/store-private.h"

#include <unistd.h>

#define PRUNE_INTERVAL_US CLOCK_HOUR

typedef struct store store_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(store_auto, store_free)

static void store_free_command(gpointer command)
{
    command_free(command);
}

static struct store *store_new(const char *path)
{
    struct store *store = g_new0(struct store, 1);
    store->path = g_strdup(path);
    store->lock_fd = -1;
    store->mailbox = mailbox_new(store_free_command);
    g_queue_init(&store->readers);
    pthread_mutex_init(&store->readers_lock, NULL);
    return store;
}

/* The identity is made with the database, so that reading it never writes. */
static char *store_make_identity(struct database *database, GError **error)
{
    g_autofree char *made = g_uuid_string_random();
    g_autofree char *insert = g_strdup_printf("INSERT OR IGNORE INTO meta(key, value) VALUES('identity', '%s')", made);
    if (!database_run(database, insert, error))
        return NULL;
    g_autoptr(statement_auto) statement =
        database_prepare(database, "SELECT value FROM meta WHERE key = 'identity'", error);
    if (statement == NULL || database_step(database, statement, error) != SQLITE_ROW)
        return NULL;
    return g_strdup(database_text(statement, 0));
}

struct store *store_open(const char *path, GError **error)
{
    g_autoptr(store_auto) store = store_new(path);
    store->lock_fd = store_file_lock(path, error);
    if (store->lock_fd < 0 || !store_file_prepare(path, error))
        return NULL;
    store->database = database_open(path, TRUE, error);
    if (store->database == NULL || !schema_migrate(store->database, error))
        return NULL;
    store->identity = store_make_identity(store->database, error);
    if (store->identity == NULL)
        return NULL;
    store->writer = writer_new(store->database, error);
    if (store->writer == NULL)
        return NULL;
    return g_steal_pointer(&store);
}

/* Removes some of what is too old. When to come back, on the scale of mailbox_take(). */
static gint64 store_prune(struct store *store)
{
    g_autoptr(GError) error = NULL;
    gboolean is_done = TRUE;
    if (!prune_batch(store->database, clock_now() - store->keep_us, &is_done, &error))
        log_warning("store", "what is too old cannot be removed: %s", error->message);
    return g_get_monotonic_time() + (is_done ? PRUNE_INTERVAL_US : 0);
}

/* What is too old is removed between two groups, at a moment when nothing waits. */
static void *store_write_loop(void *data)
{
    struct store *store = data;
    GQueue commands = G_QUEUE_INIT;
    gint64 prune_at = store->keep_us > 0 ? g_get_monotonic_time() : -1;
    gboolean is_closed;
    guint count;
    do {
        is_closed = mailbox_is_closed(store->mailbox);
        count = mailbox_take_all(store->mailbox, &commands, prune_at);
        if (count > 0)
            writer_write(store->writer, &commands, store->sink, store->sink_data);
        else if (!is_closed && prune_at >= 0 && g_get_monotonic_time() >= prune_at)
            prune_at = store_prune(store);
    } while (count > 0 || !is_closed);
    return NULL;
}

void store_set_retention(struct store *store, gint64 keep_us)
{
    store->keep_us = keep_us;
}

void store_start(struct store *store, event_sink sink, gpointer sink_data)
{
    store->sink = sink;
    store->sink_data = sink_data;
    const int code = pthread_create(&store->thread, NULL, store_write_loop, store);
    if (code != 0)
        g_error("the store's thread cannot be started: %s", g_strerror(code));
    pthread_setname_np(store->thread, "store-writer");
    store->started = TRUE;
}

void store_submit(struct store *store, struct command *command)
{
    mailbox_post(store->mailbox, command);
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    mailbox_close(store->mailbox);
    if (store->started)
        pthread_join(store->thread, NULL);
    mailbox_free(store->mailbox);
    for (struct database *reader; (reader = g_queue_pop_head(&store->readers)) != NULL;)
        database_close(reader);
    writer_free(store->writer);
    database_close(store->database);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    pthread_mutex_destroy(&store->readers_lock);
    g_free(store->identity);
    g_free(store->path);
    g_free(store);
}

char *store_identity(struct store *store, GError **error G_GNUC_UNUSED)
{
    return g_strdup(store->identity);
}

struct database *store_reader_take(struct store *store, GError **error)
{
    pthread_mutex_lock(&store->readers_lock);
    struct database *reader = g_queue_pop_head(&store->readers);
    pthread_mutex_unlock(&store->readers_lock);
    return reader != NULL ? reader : database_open(store->path, FALSE, error);
}

void store_reader_return(struct store *store, struct database *reader)
{
    pthread_mutex_lock(&store->readers_lock);
    const gboolean keep = store->readers.length < STORE_READERS_MAX;
    if (keep)
        g_queue_push_head(&store->readers, reader);
    pthread_mutex_unlock(&store->readers_lock);
    if (!keep)
        database_close(reader);
}

gpointer store_with_reader(struct store *store, store_read read, gpointer query, GError **error)
{
    struct database *reader = store_reader_take(store, error);
    if (reader == NULL)
        return NULL;
    gpointer answer = read(reader, query, error);
    store_reader_return(store, reader);
    return answer;
}
