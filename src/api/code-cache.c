/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/code-cache.h"

#include "api/code-fetch.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mailbox.h"

#include <pthread.h>

#define CACHE_LOW_SPEED_S 10
#define CACHE_FETCHES_MAX 64 /* at a time */
#define CACHE_TENANT_MAX 16  /* of these, for one tenant */
#define CACHE_POLL_MS 60000

/* One digest of one tenant that is being fetched, or waits for its turn. */
struct cache_job {
    char *key;
    struct command *command;  /* the first that asked: what is fetched, and how */
    GQueue waiters;           /* struct command: others that want the same */
    struct code_fetch *fetch; /* NULL: not begun */
};

struct code_cache {
    struct code_store *store;
    guint low_speed_s;
    event_sink sink;
    gpointer sink_data;
    struct mailbox *commands;
    CURLM *multi;
    pthread_t thread;

    /* The thread's own. */
    GHashTable *jobs; /* struct cache_job by key */
    GQueue waiting;   /* of these, those that are not begun, the oldest first */
    GHashTable *busy; /* fetches by tenant ("" for none): count */
    guint fetches;
};

static void cache_command_free(gpointer command)
{
    command_free(command);
}

static void cache_job_free(gpointer data)
{
    struct cache_job *job = data;
    code_fetch_free(job->fetch);
    command_free(job->command);
    g_queue_clear_full(&job->waiters, cache_command_free);
    g_free(job->key);
    g_free(job);
}

/* Takes `command`. */
static void cache_answer(struct code_cache *cache, struct command *command, GBytes *bytes, const GError *error)
{
    const struct code_ref *code = command->code;
    struct event *event = event_new(EVENT_CODE);
    event->id = g_strdup(command->id);
    if (error != NULL)
        event->error = g_error_copy(error);
    else if (code->size_max > 0 && g_bytes_get_size(bytes) > (guint64)code->size_max)
        event->error =
            hbr_error_new(HBR_ERROR_TOO_LARGE,
                          "code %s has %" G_GSIZE_FORMAT " bytes, more than the %" G_GINT64_FORMAT " that it may have",
                          code->sha256, g_bytes_get_size(bytes), code->size_max);
    else
        event->bytes = g_bytes_ref(bytes);
    cache->sink(event, cache->sink_data);
    command_free(command);
}

static const char *cache_tenant(const struct cache_job *job)
{
    return job->command->code->tenant != NULL ? job->command->code->tenant : "";
}

static guint cache_busy(const struct code_cache *cache, const char *tenant)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(cache->busy, tenant));
}

static void cache_count(struct code_cache *cache, const char *tenant, int change)
{
    const guint count = (guint)((int)cache_busy(cache, tenant) + change);
    cache->fetches = (guint)((int)cache->fetches + change);
    if (count > 0)
        g_hash_table_insert(cache->busy, g_strdup(tenant), GUINT_TO_POINTER(count));
    else
        g_hash_table_remove(cache->busy, tenant);
}

/* Those who wanted the same from elsewhere, or under other limits, are not told of a failure that is not theirs. */
static gboolean cache_is_same(const struct code_ref *a, const struct code_ref *b)
{
    return (b->url == NULL || g_strcmp0(a->url, b->url) == 0) && a->size_max == b->size_max &&
           a->timeout_ms == b->timeout_ms;
}

/* The job is over. */
static void cache_settle(struct code_cache *cache, struct cache_job *job, GBytes *bytes, const GError *error)
{
    struct command *first = g_steal_pointer(&job->command);
    GQueue waiters = job->waiters;
    g_queue_init(&job->waiters);
    g_hash_table_remove(cache->jobs, job->key);
    for (struct command *waiter; (waiter = g_queue_pop_head(&waiters)) != NULL;) {
        if (error == NULL || cache_is_same(first->code, waiter->code))
            cache_answer(cache, waiter, bytes, error);
        else
            code_cache_submit(cache, waiter);
    }
    cache_answer(cache, first, bytes, error);
}

static void cache_begin(struct code_cache *cache, struct cache_job *job)
{
    g_autoptr(GError) error = NULL;
    job->fetch = code_fetch_begin(cache->multi, job->command->code, cache->low_speed_s, &error);
    if (job->fetch != NULL)
        cache_count(cache, cache_tenant(job), 1);
    else
        cache_settle(cache, job, NULL, error);
}

/* One tenant's slow servers leave room for the others. */
static void cache_begin_waiting(struct code_cache *cache)
{
    for (GList *link = cache->waiting.head, *next; link != NULL && cache->fetches < CACHE_FETCHES_MAX; link = next) {
        struct cache_job *job = link->data;
        next = link->next;
        if (cache_busy(cache, cache_tenant(job)) >= CACHE_TENANT_MAX)
            continue;
        g_queue_delete_link(&cache->waiting, link);
        cache_begin(cache, job);
    }
}

static char *cache_key(const struct code_ref *code)
{
    return g_strdup_printf("%s %s %s", code->sha256, code->share ? "shared" : "own",
                           code->tenant != NULL ? code->tenant : "");
}

/* Takes `command`, whose code is not in the store. */
static void cache_add_job(struct code_cache *cache, struct command *command)
{
    g_autofree char *key = cache_key(command->code);
    struct cache_job *job = g_hash_table_lookup(cache->jobs, key);
    if (job != NULL) {
        g_queue_push_tail(&job->waiters, command);
        return;
    }
    if (command->code->url == NULL) {
        g_autoptr(GError) error =
            hbr_error_new(HBR_ERROR_NOT_FOUND,
                          "code %s is not known here; right would be to upload it first, or to say by source_url where "
                          "it can be fetched",
                          command->code->sha256);
        cache_answer(cache, command, NULL, error);
        return;
    }
    job = g_new0(struct cache_job, 1);
    job->key = g_steal_pointer(&key);
    job->command = command;
    g_queue_init(&job->waiters);
    g_hash_table_insert(cache->jobs, job->key, job);
    g_queue_push_tail(&cache->waiting, job);
}

static void cache_keep(struct code_cache *cache, const struct code_ref *code, GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    if (!code_store_put(cache->store, code->share ? NULL : code->tenant, bytes, NULL, &error))
        log_warning("code", "%s is not kept: %s", code->sha256 != NULL ? code->sha256 : "code", error->message);
}

/* A tenant's own first: what it uploaded is not shared by that, but its own use of it is not narrowed by sharing either. */
static GBytes *cache_look_up(struct code_cache *cache, const struct code_ref *code)
{
    GBytes *bytes = code->tenant != NULL ? code_store_get(cache->store, code->tenant, code->sha256) : NULL;
    if (bytes == NULL && (code->share || code->tenant == NULL))
        bytes = code_store_get(cache->store, NULL, code->sha256);
    return bytes;
}

/* Takes `command`. */
static void cache_handle(struct code_cache *cache, struct command *command)
{
    if (command->kind == COMMAND_CODE_KEEP) {
        cache_keep(cache, command->code, command->bytes);
        command_free(command);
        return;
    }
    g_autoptr(GBytes) bytes = cache_look_up(cache, command->code);
    if (bytes != NULL)
        cache_answer(cache, command, bytes, NULL);
    else
        cache_add_job(cache, command);
}

static void cache_finish(struct code_cache *cache, CURL *easy, CURLcode result)
{
    struct code_fetch *fetch = code_fetch_of(easy);
    GHashTableIter iterator;
    gpointer value;
    g_hash_table_iter_init(&iterator, cache->jobs);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        struct cache_job *job = value;
        if (job->fetch != fetch)
            continue;
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) bytes = code_fetch_finish(fetch, result, &error);
        cache_count(cache, cache_tenant(job), -1);
        g_clear_pointer(&job->fetch, code_fetch_free);
        if (bytes != NULL)
            cache_keep(cache, job->command->code, bytes);
        cache_settle(cache, job, bytes, error);
        return;
    }
}

static void cache_collect(struct code_cache *cache)
{
    int left;
    for (const CURLMsg *message; (message = curl_multi_info_read(cache->multi, &left)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            cache_finish(cache, message->easy_handle, message->data.result);
}

static void cache_take_commands(struct code_cache *cache)
{
    GQueue commands = G_QUEUE_INIT;
    mailbox_take_all(cache->commands, &commands, 0);
    for (struct command *command; (command = g_queue_pop_head(&commands)) != NULL;)
        cache_handle(cache, command);
}

/* curl_multi_wakeup() is remembered, so that what is posted before the poll ends it at once. */
static gpointer cache_run(gpointer data)
{
    struct code_cache *cache = data;
    while (!mailbox_is_closed(cache->commands)) {
        int running;
        cache_take_commands(cache);
        cache_begin_waiting(cache);
        curl_multi_perform(cache->multi, &running);
        cache_collect(cache);
        cache_begin_waiting(cache);
        curl_multi_poll(cache->multi, NULL, 0, CACHE_POLL_MS, NULL);
    }
    return NULL;
}

static void cache_init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct code_cache *code_cache_new(const struct code_cache_settings *settings, event_sink sink, gpointer sink_data)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, cache_init_curl);
    struct code_cache *cache = g_new0(struct code_cache, 1);
    cache->store = settings->store;
    cache->low_speed_s = settings->low_speed_s > 0 ? settings->low_speed_s : CACHE_LOW_SPEED_S;
    cache->sink = sink;
    cache->sink_data = sink_data;
    cache->commands = mailbox_new(cache_command_free);
    cache->jobs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, cache_job_free);
    cache->busy = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_queue_init(&cache->waiting);
    cache->multi = curl_multi_init();
    if (cache->multi == NULL)
        g_error("libcurl cannot be initialised");
    const int result = pthread_create(&cache->thread, NULL, cache_run, cache);
    if (result != 0)
        g_error("pthread_create: %s", g_strerror(result));
    pthread_setname_np(cache->thread, "api-code");
    return cache;
}

void code_cache_submit(struct code_cache *cache, struct command *command)
{
    if (mailbox_post(cache->commands, command))
        curl_multi_wakeup(cache->multi);
}

void code_cache_free(struct code_cache *cache)
{
    if (cache == NULL)
        return;
    mailbox_close(cache->commands);
    curl_multi_wakeup(cache->multi);
    pthread_join(cache->thread, NULL);
    g_queue_clear(&cache->waiting);
    g_hash_table_unref(cache->jobs);
    g_hash_table_unref(cache->busy);
    curl_multi_cleanup(cache->multi);
    mailbox_free(cache->commands);
    g_free(cache);
}
