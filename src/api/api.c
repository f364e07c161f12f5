/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/api.h"

#include "api/listener.h"
#include "api/request.h"
#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#define API_THREADS 2       /* of each listener */
#define API_TRAITS_MAX 4096 /* pieces of code whose look is remembered */
#define API_CONNECTION_MEMORY \
    (16 * 1024) /* request line and headers, and the buffers of a connection; cleared for each request */

static void api_log(void *cls G_GNUC_UNUSED, const char *format, va_list args) G_GNUC_PRINTF(2, 0);

static void api_log(void *cls G_GNUC_UNUSED, const char *format, va_list args)
{
    g_autofree char *line = g_strdup_vprintf(format, args);
    log_debug("api", "%s", g_strchomp(line));
}

/* The first that is heard of a request. What this returns becomes *con_cls of the access handler. */
static void *api_begin_unix(void *cls, const char *uri, struct MHD_Connection *connection)
{
    return request_new(cls, connection, uri, FALSE);
}

static void *api_begin_tcp(void *cls, const char *uri, struct MHD_Connection *connection)
{
    return request_new(cls, connection, uri, TRUE);
}

static void api_completed(void *cls G_GNUC_UNUSED, struct MHD_Connection *connection G_GNUC_UNUSED, void **con_cls,
                          enum MHD_RequestTerminationCode code G_GNUC_UNUSED)
{
    if (*con_cls != NULL)
        request_free(*con_cls);
    *con_cls = NULL;
}

/* The request target is taken apart by target_parse(), from its raw form: libmicrohttpd need not decode it as well. */
static size_t api_leave_escaped(void *cls G_GNUC_UNUSED, struct MHD_Connection *connection G_GNUC_UNUSED, char *text)
{
    return strlen(text);
}

/* Takes over `fd`. */
static struct MHD_Daemon *api_listen(struct api *api, const struct api_settings *settings, int fd, gboolean is_tcp,
                                     GError **error)
{
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        request_access, NULL, MHD_OPTION_EXTERNAL_LOGGER, api_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_THREAD_POOL_SIZE, API_THREADS, MHD_OPTION_CONNECTION_LIMIT,
        MAX(settings->connections_max, API_THREADS), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, api->timeout_s, MHD_OPTION_URI_LOG_CALLBACK,
        is_tcp ? api_begin_tcp : api_begin_unix, api, MHD_OPTION_UNESCAPE_CALLBACK, api_leave_escaped, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, api_completed, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        hbr_error_set(error, HBR_ERROR_UNAVAILABLE, "cannot start the HTTP server: %s", g_strerror(errno));
        close(fd);
    }
    return daemon;
}

static gboolean api_listen_unix(struct api *api, const struct api_settings *settings, GError **error)
{
    const int fd = listener_open_unix(settings->socket_path, error);
    if (fd < 0)
        return FALSE;
    api->socket_path = g_strdup(settings->socket_path);
    api->unix_daemon = api_listen(api, settings, fd, FALSE, error);
    return api->unix_daemon != NULL;
}

static gboolean api_listen_tcp(struct api *api, const struct api_settings *settings, GError **error)
{
    if (settings->tcp_address == NULL)
        return TRUE;
    const int fd = listener_open_tcp(settings->tcp_address, error);
    if (fd < 0)
        return FALSE;
    api->tcp_port = listener_port(fd);
    api->tcp_daemon = api_listen(api, settings, fd, TRUE, error);
    return api->tcp_daemon != NULL;
}

/* On the watching thread. */
static void api_on_watch(guint64 id, enum watch_cause cause, gpointer data)
{
    struct api *api = data;
    pthread_mutex_lock(&api->lock);
    struct request *request = g_hash_table_lookup(api->requests, &id);
    if (request != NULL)
        request_give_up(request, cause);
    pthread_mutex_unlock(&api->lock);
}

struct api *api_new(const struct api_settings *settings, struct store *store, event_sink sink, gpointer sink_data,
                    GError **error)
{
    struct api *api = g_new0(struct api, 1);
    api->store = store;
    api->code = settings->code;
    api->traits = (struct traits_sources){settings->code, traits_cache_new(API_TRAITS_MAX)};
    api->models = settings->models;
    api->learner = settings->learner;
    api->sink = sink;
    api->sink_data = sink_data;
    api->version = g_strdup(settings->version);
    api->timeout_s = (guint)((settings->request_timeout_ms + 999) / 1000);
    pthread_mutex_init(&api->lock, NULL);
    api->requests = g_hash_table_new(g_int64_hash, g_int64_equal);
    api->watch = watch_new(api_on_watch, api);
    if (!api_listen_unix(api, settings, error) || !api_listen_tcp(api, settings, error)) {
        api_free(api);
        return NULL;
    }
    return api;
}

guint api_tcp_port(const struct api *api)
{
    return api->tcp_port;
}

/* Under the lock. The connection that is to run on, or NULL. */
static struct MHD_Connection *api_deliver(struct api *api, struct command **command)
{
    struct request *request = g_hash_table_lookup(api->requests, &(*command)->request);
    if (request == NULL)
        return NULL;
    if (request_deliver(request, *command))
        *command = NULL;
    return request_rouse(request);
}

/* The connections run on when the lock is free again: else their threads would wake only to wait for it. */
void api_submit(struct api *api, GPtrArray *commands)
{
    if (commands->len == 0)
        return;
    const gint64 now = g_get_monotonic_time();
    g_autofree struct MHD_Connection **roused = g_new(struct MHD_Connection *, commands->len);
    pthread_mutex_lock(&api->lock);
    api->core_answered_at = now;
    for (guint i = 0; i < commands->len; i++)
        roused[i] = api_deliver(api, (struct command **)&commands->pdata[i]);
    pthread_mutex_unlock(&api->lock);
    for (guint i = 0; i < commands->len; i++) {
        if (roused[i] != NULL)
            MHD_resume_connection(roused[i]);
        command_free(commands->pdata[i]);
    }
    g_ptr_array_set_size(commands, 0);
}

/* libmicrohttpd aborts the process when it is stopped with suspended connections. From here on none is suspended any more. */
static void api_resume_all(struct api *api)
{
    GHashTableIter iterator;
    gpointer request;
    pthread_mutex_lock(&api->lock);
    api->stopping = TRUE;
    g_hash_table_iter_init(&iterator, api->requests);
    while (g_hash_table_iter_next(&iterator, NULL, &request))
        request_wake(request);
    pthread_mutex_unlock(&api->lock);
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    api_resume_all(api);
    if (api->unix_daemon != NULL) {
        unlink(api->socket_path);
        MHD_stop_daemon(api->unix_daemon);
    }
    if (api->tcp_daemon != NULL)
        MHD_stop_daemon(api->tcp_daemon);
    watch_free(api->watch);
    g_hash_table_unref(api->requests);
    traits_cache_free(api->traits.cache);
    pthread_mutex_destroy(&api->lock);
    g_free(api->socket_path);
    g_free(api->version);
    g_free(api);
}
