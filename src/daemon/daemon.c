/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/daemon.h"

#include "api/api.h"
#include "api/code-cache.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "core/core.h"
#include "daemon/hosts.h"
#include "daemon/notify.h"
#include "daemon/policies.h"
#include "learn/learner.h"
#include "store/store.h"

#include <glib-unix.h>
#include <malloc.h>
#include <sys/random.h>

#define STOP_TIMEOUT_S 30
#define DAEMON_MEMORY_STEP (4 * 1024 * 1024)
#define RECENT_S (24 * 3600)
#define ROUNDS_MAX 8 /* of events, before timers and signals have their turn */

struct daemon {
    const struct config *config;
    GMainContext *context; /* of the core's thread alone: libvirt has taken the default one for its event loop */
    GMainLoop *loop;
    GSource *timer; /* ready when the core or a modelled host wants the time */
    struct mailbox *events;
    struct core *core;
    struct store *store;
    struct code_store *code_store;
    struct code_cache *code_cache;
    struct registry *models; /* this and the next: NULL when none are learned */
    struct learner *learner;
    struct api *api;
    struct hosts *hosts;
    GQueue batch;       /* struct event: taken from the mailbox, not handled yet */
    GPtrArray *answers; /* struct command: made for the API by the events that were handled since */
    struct hypervisor_settings settings;
    char *owner;
    gint64 armed_for;  /* the timer is; 0: it is not set */
    guint64 persisted; /* serial of the newest write given to the store */
};

static void daemon_post(struct event *event, gpointer data)
{
    mailbox_post(((struct daemon *)data)->events, event);
}

/* Of the events that are under way to the core. */
static void daemon_drop_stale(struct daemon *daemon)
{
    for (GList *link = daemon->batch.head, *next; link != NULL; link = next) {
        next = link->next;
        if (!hosts_is_stale(daemon->hosts, link->data))
            continue;
        event_free(link->data);
        g_queue_delete_link(&daemon->batch, link);
    }
}

static void daemon_route(struct command *command, gpointer data)
{
    struct daemon *daemon = data;
    switch (command->kind) {
    case COMMAND_REPLY:
    case COMMAND_STREAM:
        if (command->request != 0)
            g_ptr_array_add(daemon->answers, command);
        else
            command_free(command);
        break;
    case COMMAND_PERSIST:
        daemon->persisted = command->serial;
        store_submit(daemon->store, command);
        break;
    case COMMAND_CODE_FETCH:
    case COMMAND_CODE_KEEP:
        code_cache_submit(daemon->code_cache, command);
        break;
    case COMMAND_LEARN:
    case COMMAND_LEARN_SPEED:
    case COMMAND_MODEL_TRAIN:
    case COMMAND_MODEL_SERVE:
    case COMMAND_MODEL_IMPORT:
        learner_submit(daemon->learner, command);
        break;
    case COMMAND_HOST_DISCONNECT:
        hosts_submit(daemon->hosts, clock_now(), command);
        daemon_drop_stale(daemon);
        break;
    default:
        hosts_submit(daemon->hosts, clock_now(), command);
        break;
    }
}

static gint64 daemon_next_at(const struct daemon *daemon)
{
    return MIN(core_next_at(daemon->core), hosts_next_at(daemon->hosts));
}

static void daemon_arm_timer(struct daemon *daemon)
{
    const gint64 next_at = daemon_next_at(daemon);
    if (next_at == daemon->armed_for)
        return; /* each setting wakes the loop once more */
    daemon->armed_for = next_at;
    const gint64 ready_time = next_at == CLOCK_NEVER ? -1 : MAX(0, g_get_monotonic_time() + next_at - clock_now());
    g_source_set_ready_time(daemon->timer, ready_time);
}

/* After events that came together: their answers go out together, too. */
static void daemon_settle(struct daemon *daemon)
{
    api_submit(daemon->api, daemon->answers);
    daemon_arm_timer(daemon);
    if (core_is_drained(daemon->core))
        g_main_loop_quit(daemon->loop);
}

/* What comes meanwhile is handled at once, within bounds: a turn of the loop costs as much as some notifications. */
static gboolean daemon_on_events(gpointer data)
{
    struct daemon *daemon = data;
    for (guint round = 0; round < ROUNDS_MAX && mailbox_take_all(daemon->events, &daemon->batch, 0) > 0; round++) {
        daemon_drop_stale(daemon);
        core_handle_all(daemon->core, &daemon->batch, clock_now());
        daemon_settle(daemon);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean daemon_on_time(gpointer data)
{
    struct daemon *daemon = data;
    daemon->armed_for = 0;
    hosts_advance(daemon->hosts, clock_now());
    core_handle(daemon->core, event_new(EVENT_TICK), clock_now());
    daemon_settle(daemon);
    return G_SOURCE_CONTINUE;
}

static gboolean daemon_on_stop_timeout(gpointer data)
{
    log_warning("daemon", "hosts did not answer in %d s; what is left there is removed at the next start",
                STOP_TIMEOUT_S);
    g_main_loop_quit(((struct daemon *)data)->loop);
    return G_SOURCE_REMOVE;
}

/* Takes the source. */
static void daemon_add_source(struct daemon *daemon, GSource *source, GSourceFunc callback)
{
    g_source_set_callback(source, callback, daemon, NULL);
    g_source_attach(source, daemon->context);
    g_source_unref(source);
}

static gboolean daemon_on_signal(gpointer data)
{
    struct daemon *daemon = data;
    log_info("daemon", "stopping");
    notify_service_manager("STOPPING=1");
    if (daemon->learner != NULL)
        learner_stop(daemon->learner);
    daemon_add_source(daemon, g_timeout_source_new_seconds(STOP_TIMEOUT_S), daemon_on_stop_timeout);
    daemon_post(event_new(EVENT_SHUTDOWN), daemon);
    return G_SOURCE_CONTINUE;
}

static gboolean daemon_dispatch_timer(GSource *source G_GNUC_UNUSED, GSourceFunc callback, gpointer data)
{
    return callback(data);
}

static void daemon_add_sources(struct daemon *daemon)
{
    static GSourceFuncs timer_functions = {.dispatch = daemon_dispatch_timer};
    daemon->timer = g_source_new(&timer_functions, sizeof(GSource));
    g_source_set_callback(daemon->timer, daemon_on_time, daemon, NULL);
    g_source_attach(daemon->timer, daemon->context);
    daemon_add_source(daemon, mailbox_source_new(daemon->events), daemon_on_events);
    daemon_add_source(daemon, g_unix_signal_source_new(SIGTERM), daemon_on_signal);
    daemon_add_source(daemon, g_unix_signal_source_new(SIGINT), daemon_on_signal);
}

static void daemon_learn(struct daemon *daemon, const struct observation *observation)
{
    struct sample sample;
    core_learn(daemon->core, observation);
    if (daemon->learner != NULL && sample_of_observation(&sample, observation))
        learner_add(daemon->learner, &sample);
}

static gboolean daemon_learn_history(struct daemon *daemon, const struct policy *policy, GError **error)
{
    g_autoptr(GPtrArray) observations = store_load_observations(daemon->store, policy->history.samples_max, error);
    if (observations == NULL)
        return FALSE;
    const gint64 now = clock_now();
    for (guint i = 0; i < observations->len; i++) {
        struct observation *observation = observations->pdata[i];
        observation->ended_at =
            MIN(observation->ended_at, now); /* beside runs of a clock that was ahead, all others would look old */
        daemon_learn(daemon, observation);
    }
    return TRUE;
}

static gboolean daemon_rebuild(struct daemon *daemon, const struct policy *policy, GError **error)
{
    g_autoptr(GPtrArray) records =
        store_load_objects(daemon->store, clock_now() - RECENT_S * CLOCK_SECOND, policy->limits.finished_kept, error);
    if (records == NULL)
        return FALSE;
    g_autoptr(GHashTable) policies = policies_of_records(daemon->store, policy, records);
    core_rebuild(daemon->core, records, policies, clock_now());
    if (records->len > 0)
        log_info("daemon", "rebuilt from %u records", records->len);
    return TRUE;
}

/* Makes `sources` the next version, and waits for it: whoever finds the API open finds it in force. */
static gboolean daemon_load_policy(struct daemon *daemon, struct policy *policy, GPtrArray *sources, GError **error)
{
    struct event *load = event_new(EVENT_POLICY_LOAD);
    load->policy = policy_ref(policy);
    load->policy_sources = g_ptr_array_ref(sources);
    core_handle(daemon->core, load, clock_now());
    const guint64 serial = daemon->persisted;
    for (gboolean is_answered = FALSE; !is_answered;) {
        struct event *event = mailbox_take(daemon->events, -1);
        is_answered = (event->kind == EVENT_COMMITTED || event->kind == EVENT_COMMIT_FAILED) && event->serial == serial;
        if (is_answered && event->kind == EVENT_COMMIT_FAILED) {
            g_propagate_error(error, g_steal_pointer(&event->error));
            event_free(event);
            return FALSE;
        }
        core_handle(daemon->core, event, clock_now());
    }
    return TRUE;
}

/* What served before serves from the first notification on. */
static void daemon_serve_model(struct daemon *daemon)
{
    struct event *event = event_new(EVENT_MODEL);
    event->model = registry_get_serving(daemon->models);
    core_handle(daemon->core, event, clock_now());
}

static gboolean daemon_start_core(struct daemon *daemon, GError **error)
{
    g_autoptr(GPtrArray) new_sources = NULL;
    g_autoptr(policy_auto) policy = policies_initial(daemon->store, daemon->config->policy, &new_sources, error);
    if (policy == NULL)
        return FALSE;
    g_autoptr(model_auto) prior = daemon->models != NULL ? registry_get_prior(daemon->models) : NULL;
    struct core_settings settings = {
        .owner = daemon->owner,
        .sink = daemon_route,
        .sink_data = daemon,
        .has_learner = daemon->learner != NULL,
        .stopwatch = g_get_monotonic_time,
        .prior = prior,
    };
    if (getrandom(&settings.seed, sizeof settings.seed, 0) != (ssize_t)sizeof settings.seed)
        settings.seed = (guint32)clock_now();
    daemon->core = core_new(&settings, policy, clock_now());
    if (daemon->models != NULL)
        daemon_serve_model(daemon);
    if (!daemon_learn_history(daemon, policy, error))
        return FALSE;
    store_set_retention(daemon->store, (gint64)daemon->config->keep_days * 24 * CLOCK_HOUR);
    store_start(daemon->store, daemon_post, daemon);
    if (!daemon_rebuild(daemon, policy, error))
        return FALSE;
    return new_sources == NULL || daemon_load_policy(daemon, policy, new_sources, error);
}

static void daemon_attach_configured_hosts(struct daemon *daemon)
{
    for (guint i = 0; i < daemon->config->hosts->len; i++) {
        struct event *event = event_new(EVENT_HOST_ATTACH);
        event->host_spec = host_spec_copy(daemon->config->hosts->pdata[i]);
        core_handle(daemon->core, event, clock_now());
    }
}

static gboolean daemon_open_store(struct daemon *daemon, GError **error)
{
    const struct config *config = daemon->config;
    if (g_mkdir_with_parents(config->state_dir, 0700) < 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "cannot make the state directory %s: %s", config->state_dir,
                      g_strerror(errno));
        return FALSE;
    }
    g_autofree char *path = g_build_filename(config->state_dir, "harbinger.db", NULL);
    daemon->store = store_open(path, error);
    if (daemon->store == NULL)
        return FALSE;
    daemon->owner = store_identity(daemon->store, error);
    return daemon->owner != NULL;
}

static gboolean daemon_open_code(struct daemon *daemon, GError **error)
{
    g_autofree char *path = g_build_filename(daemon->config->state_dir, "code", NULL);
    const struct code_store_settings settings = {.dir = path, .bytes_max = daemon->config->code_cache};
    daemon->code_store = code_store_open(&settings, error);
    if (daemon->code_store == NULL)
        return FALSE;
    const struct code_cache_settings cache = {.store = daemon->code_store};
    daemon->code_cache = code_cache_new(&cache, daemon_post, daemon);
    return TRUE;
}

static gboolean daemon_open_models(struct daemon *daemon, GError **error)
{
    const struct config *config = daemon->config;
    g_autofree char *path = g_build_filename(config->state_dir, "models", NULL);
    static const char *const trial[] = {"/proc/self/exe", "--check-model", NULL};
    const struct registry_settings files = {.dir = path, .prior = config->prior};
    const struct learner_settings settings = {
        .samples_max = config->model_samples_max,
        .train_runs = config->model_train_runs,
        .half_life = (gint64)(config->model_half_life_days * (double)CLOCK_DAY),
        .trial = trial,
        .sink = daemon_post,
        .sink_data = daemon,
    };
    if (config->models == 0)
        return TRUE;
    daemon->models = registry_open(&files, error);
    if (daemon->models == NULL)
        return FALSE;
    daemon->learner = learner_new(&settings, daemon->models);
    return TRUE;
}

static gboolean daemon_open_api(struct daemon *daemon, GError **error)
{
    const struct config *config = daemon->config;
    g_autofree char *directory = g_path_get_dirname(config->socket);
    if (g_mkdir_with_parents(directory, 0755) < 0) {
        hbr_error_set(error, HBR_ERROR_UNAVAILABLE, "cannot make the directory of the socket, %s: %s", directory,
                      g_strerror(errno));
        return FALSE;
    }
    const struct api_settings settings = {
        .socket_path = config->socket,
        .tcp_address = config->listen,
        .connections_max = config->connections_max,
        .request_timeout_ms = (gint64)config->request_timeout_s * 1000,
        .version = VERSION,
        .code = daemon->code_store,
        .models = daemon->models,
        .learner = daemon->learner,
    };
    daemon->api = api_new(&settings, daemon->store, daemon_post, daemon, error);
    return daemon->api != NULL;
}

static enum acceleration daemon_acceleration(const char *word)
{
    const int value = codec_value(&acceleration_words, word);
    return value < 0 ? ACCELERATION_UNKNOWN : (enum acceleration)value; /* "auto" is no word of the table */
}

static gboolean daemon_start(struct daemon *daemon, GError **error)
{
    const struct config *config = daemon->config;
    if (!daemon_open_store(daemon, error) || !daemon_open_code(daemon, error) || !daemon_open_models(daemon, error))
        return FALSE;
    daemon->settings = (struct hypervisor_settings){
        .template_dir = config->template_dir,
        .image_dir = config->image_dir,
        .state_dir = config->state_dir,
        .owner = daemon->owner,
        .acceleration = daemon_acceleration(config->acceleration),
        .unplug_vcpus = config->unplug_vcpus != 0,
    };
    daemon_add_sources(daemon);
    if (!daemon_start_core(daemon, error) || !daemon_open_api(daemon, error))
        return FALSE;
    if (daemon->learner != NULL)
        learner_start(daemon->learner);
    daemon_attach_configured_hosts(daemon);
    daemon_arm_timer(daemon);
    log_info("daemon", "harbingerd %s listens on %s%s%s", VERSION, config->socket,
             config->listen != NULL ? " and " : "", config->listen != NULL ? config->listen : "");
    notify_service_manager("READY=1");
    return TRUE;
}

/* The adapters' threads end before what they post to goes. */
static void daemon_clear(struct daemon *daemon)
{
    api_free(daemon->api);
    daemon->api = NULL;
    g_clear_pointer(&daemon->hosts, hosts_free);
    learner_free(daemon->learner);
    registry_free(daemon->models);
    code_cache_free(daemon->code_cache);
    code_store_free(daemon->code_store);
    store_free(daemon->store);
    core_free(daemon->core);
    if (daemon->timer != NULL) {
        g_source_destroy(daemon->timer);
        g_source_unref(daemon->timer);
    }
    mailbox_free(daemon->events);
    g_ptr_array_unref(daemon->answers);
    g_main_loop_unref(daemon->loop);
    g_main_context_unref(daemon->context);
    g_free(daemon->owner);
}

/* Messages are allocated on one thread and freed on another, many at once. tcmalloc, when we are linked with it, is made for that and ignores this;
 * glibc's defaults would give that memory back to the kernel and take it again some pages at a time, over and over. */
static void daemon_set_up_memory(void)
{
    mallopt(M_TOP_PAD, DAEMON_MEMORY_STEP);
    mallopt(M_TRIM_THRESHOLD, 8 * DAEMON_MEMORY_STEP);
}

gboolean daemon_run(const struct config *config, GError **error)
{
    struct daemon daemon = {.config = config};
    daemon_set_up_memory();
    daemon.context = g_main_context_new();
    daemon.loop = g_main_loop_new(daemon.context, FALSE);
    daemon.events = mailbox_new((GDestroyNotify)event_free);
    daemon.answers = g_ptr_array_new();
    daemon.hosts = hosts_new(&daemon.settings, daemon_post, &daemon);
    g_queue_init(&daemon.batch);
    const gboolean is_started = daemon_start(&daemon, error);
    if (is_started)
        g_main_loop_run(daemon.loop);
    daemon_clear(&daemon);
    return is_started;
}

gboolean daemon_check(const struct config *config, GError **error)
{
    g_autoptr(GPtrArray) sources = policy_sources_read(config->policy, error);
    g_autoptr(policy_auto) policy = sources != NULL ? policy_parse(sources, error) : NULL;
    return policy != NULL && hypervisor_check_templates(config->template_dir, error);
}
