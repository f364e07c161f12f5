/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/learner.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "learn/contest.h"
#include "learn/record.h"
#include "learn/sampler.h"
#include "learn/training.h"
#include "learn/trial.h"

#include <pthread.h>
#include <string.h>

#define NEW_SHARE 10 /* of the sample, that has to be new */

struct learner {
    struct learner_settings settings;
    struct registry *registry;
    struct mailbox *mailbox; /* struct message */
    GCancellable *stopping;  /* of what the thread waits for */
    pthread_t thread;
    gboolean started;

    /* The thread's own. */
    struct sampler *sampler;
    guint new_count; /* runs since the last training's sample was taken, or since the model that serves was made */
    double speed;    /* of the hosts; 0: not known */
    gint64 begun_at; /* the last training, g_get_monotonic_time() scale; 0: none yet */
    struct training *training;              /* under way, or NULL */
    guint training_version, training_count; /* of it; of `new_count` when it began */
    gboolean is_asked;                      /* somebody asked for it */
    gboolean is_stopped;                    /* nobody wants its model any more */
    GArray *waiting;                        /* guint64: requests to be answered at its end */
    GQueue delayed;                         /* struct command: what is asked for once the stopped one has ended */

    pthread_mutex_t lock;
    struct learner_status status;
};

struct message {
    struct command *command; /* NULL: the training is through */
};

static void message_free(gpointer data)
{
    struct message *message = data;
    command_free(message->command);
    g_free(message);
}

/* Takes the command. */
static void learner_post(struct learner *learner, struct command *command)
{
    struct message *message = g_new0(struct message, 1);
    message->command = command;
    mailbox_post(learner->mailbox, message);
}

static void learner_on_training_done(gpointer data)
{
    learner_post(data, NULL);
}

struct learner *learner_new(const struct learner_settings *settings, struct registry *registry)
{
    struct learner *learner = g_new0(struct learner, 1);
    learner->settings = *settings;
    if (learner->settings.interval_us == 0)
        learner->settings.interval_us = CLOCK_MINUTE;
    learner->registry = registry;
    learner->mailbox = mailbox_new(message_free);
    learner->stopping = g_cancellable_new();
    learner->sampler = sampler_new(settings->samples_max, settings->half_life);
    learner->waiting = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_queue_init(&learner->delayed);
    pthread_mutex_init(&learner->lock, NULL);
    return learner;
}

void learner_submit(struct learner *learner, struct command *command)
{
    learner_post(learner, command);
}

void learner_get_status(struct learner *learner, struct learner_status *ret_status)
{
    pthread_mutex_lock(&learner->lock);
    *ret_status = learner->status;
    pthread_mutex_unlock(&learner->lock);
}

static void learner_publish(struct learner *learner)
{
    pthread_mutex_lock(&learner->lock);
    learner->status.sample_count = sampler_count(learner->sampler);
    learner->status.new_count = learner->new_count;
    learner->status.is_training = learner->training != NULL;
    pthread_mutex_unlock(&learner->lock);
}

/* Counts the end of a training. */
static void learner_count(struct learner *learner, guint64 *counter, double seconds)
{
    pthread_mutex_lock(&learner->lock);
    (*counter)++;
    learner->status.train_seconds = seconds;
    pthread_mutex_unlock(&learner->lock);
}

static void learner_emit(struct learner *learner, struct event *event)
{
    learner->settings.sink(event, learner->settings.sink_data);
}

/* Takes `text` or `error`, whichever is not NULL. */
static void learner_answer(struct learner *learner, guint64 request, guint status, char *text, GError *error)
{
    struct event *event = event_new(EVENT_MODEL_ANSWER);
    event->request = request;
    event->count = status;
    event->bytes = text != NULL ? g_bytes_new_take(text, strlen(text)) : NULL;
    event->error = error;
    learner_emit(learner, event);
}

/* The record of a version that there is. */
static char *learner_describe(const struct learner *learner, guint version)
{
    char *text = registry_describe(learner->registry, version, NULL);
    return text != NULL ? text : g_strdup("{}");
}

static void learner_announce(struct learner *learner, struct model *model)
{
    struct event *event = event_new(EVENT_MODEL);
    event->model = model_ref(model);
    learner_emit(learner, event);
}

/* Answers all who wait for the training: with the record of its version, or with `error`. */
static void learner_answer_waiting(struct learner *learner, const GError *error)
{
    for (guint i = 0; i < learner->waiting->len; i++)
        learner_answer(learner, g_array_index(learner->waiting, guint64, i), 200,
                       error == NULL ? learner_describe(learner, learner->training_version) : NULL,
                       error != NULL ? g_error_copy(error) : NULL);
    g_array_set_size(learner->waiting, 0);
}

/* Until the first host has told, as when the champion was trained here. */
static double learner_speed(const struct learner *learner)
{
    g_autoptr(model_auto) champion = learner->speed > 0 ? NULL : registry_get_serving(learner->registry);
    const struct model_info *info = champion != NULL ? model_get_info(champion) : NULL;
    return info != NULL && g_strcmp0(info->origin, "trained") == 0 ? info->speed : learner->speed;
}

/* FALSE with HBR_ERROR_CONFLICT when there is too little to train with. */
static gboolean learner_begin(struct learner *learner, GError **error)
{
    g_autoptr(GArray) samples = sampler_take(learner->sampler);
    if (samples->len < CONTEST_RUNS_MIN) {
        hbr_error_set(error, HBR_ERROR_CONFLICT, "runs to learn from: %u; a model needs %d at least", samples->len,
                      CONTEST_RUNS_MIN);
        return FALSE;
    }
    learner->training_version = registry_take_version(learner->registry);
    learner->training_count = learner->new_count;
    learner->is_stopped = FALSE;
    learner->begun_at = g_get_monotonic_time();
    const struct training_spec spec = {
        .samples = g_steal_pointer(&samples),
        .champion = registry_get_serving(learner->registry),
        .settings = {.info = {.version = learner->training_version,
                              .origin = (char *)"trained",
                              .made_at = clock_now(),
                              .speed = learner_speed(learner)},
                     .seed = 1, /* of the same runs the same model: else the luckiest draw would win */
                     .half_life = learner->settings.half_life},
    };
    log_info("learn", "version %u of the model is trained with %u runs", learner->training_version, spec.samples->len);
    learner->training = training_start(&spec, learner_on_training_done, learner);
    return TRUE;
}

static struct model_record *learner_record_of(const struct training_result *result, const char *why)
{
    struct model_record *record = model_record_new(model_get_info(result->model));
    record->train_seconds = result->seconds;
    record->why = g_strdup(why);
    model_record_set_scores(&record->scores, result->scores);
    if (result->has_champion) {
        record->champion = result->champion_version;
        model_record_set_scores(&record->champion_scores, result->champion_scores);
    }
    return record;
}

/* The challenger has won: it is kept, and serves. */
static gboolean learner_crown(struct learner *learner, const struct training_result *result, const char *why,
                              GError **error)
{
    if (!registry_keep(learner->registry, result->model, learner_record_of(result, why), error) ||
        !registry_adopt(learner->registry, result->model, FALSE, clock_now(), error))
        return FALSE;
    learner_announce(learner, result->model);
    return TRUE;
}

static gboolean learner_refuse(struct learner *learner, const struct training_result *result, const char *why,
                               GError **error)
{
    registry_note_refused(learner->registry, learner_record_of(result, why));
    return !learner->is_asked || registry_release(learner->registry, error);
}

static gboolean learner_decide(struct learner *learner, const struct training_result *result, GError **error)
{
    g_autofree char *why = NULL;
    const gboolean is_won = contest_is_won(result->scores, result->has_champion ? result->champion_scores : NULL,
                                           result->champion_version, &why);
    const gboolean is_done =
        is_won ? learner_crown(learner, result, why, error) : learner_refuse(learner, result, why, error);
    if (!is_done)
        return FALSE;
    log_info("learn", "version %u of the model is %s after %.1f s of training: %s", learner->training_version,
             is_won ? "taken" : "refused", result->seconds, why);
    learner_count(learner, is_won ? &learner->status.won : &learner->status.refused, result->seconds);
    return TRUE;
}

static void learner_on_result(struct learner *learner, const struct training_result *result)
{
    g_autoptr(GError) error = NULL;
    learner->new_count -= learner->training_count;
    if (result->model == NULL)
        error = g_error_copy(result->error);
    else if (learner_decide(learner, result, &error))
        learner_answer_waiting(learner, NULL);
    if (error == NULL)
        return;
    log_error("learn", "version %u of the model did not come to be: %s", learner->training_version, error->message);
    learner_count(learner, &learner->status.failed, result->seconds);
    learner_answer_waiting(learner, error);
}

/* What it would compete with serves no more. Its end is not waited for: it has little time to come to it. */
static void learner_stop_training(struct learner *learner)
{
    if (learner->training == NULL || learner->is_stopped)
        return;
    learner->is_stopped = TRUE;
    training_cancel(learner->training);
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_CANCELLED, "another version was asked to serve meanwhile");
    learner_answer_waiting(learner, error);
}

static void learner_on_train(struct learner *learner, const struct command *command)
{
    GError *error = NULL;
    if (learner->training != NULL && learner->is_stopped) {
        struct command *delayed = command_new(COMMAND_MODEL_TRAIN);
        delayed->request = command->request;
        delayed->eof = command->eof;
        g_queue_push_tail(&learner->delayed, delayed);
        return;
    }
    if (learner->training == NULL) {
        learner->is_asked = FALSE;
        if (!learner_begin(learner, &error)) {
            learner_answer(learner, command->request, 0, NULL, error);
            return;
        }
    }
    learner->is_asked = TRUE;
    if (command->eof)
        g_array_append_val(learner->waiting, command->request);
    else
        learner_answer(learner, command->request, 202, g_strdup_printf("{\"version\":%u}", learner->training_version),
                       NULL);
}

static void learner_on_serve(struct learner *learner, const struct command *command)
{
    GError *error = NULL;
    guint version = (guint)MAX(command->count, 0);
    const gboolean is_newest = command->count < 0;
    if (is_newest && !registry_find_newest(learner->registry, &version)) {
        learner_answer(learner, command->request, 0, NULL,
                       hbr_error_new(HBR_ERROR_NOT_FOUND, "no version of the model has served yet"));
        return;
    }
    g_autoptr(model_auto) model = registry_serve(learner->registry, version, !is_newest, clock_now(), &error);
    if (model == NULL) {
        learner_answer(learner, command->request, 0, NULL, error);
        return;
    }
    learner_stop_training(learner);
    learner_announce(learner, model);
    learner_answer(learner, command->request, 200, learner_describe(learner, version), NULL);
}

/* NULL with an error that begins with where. */
static struct model *learner_import(struct learner *learner, const struct command *command, GError **error)
{
    const char *const *trial = learner->settings.trial;
    const gboolean is_tried = trial == NULL || trial_run(trial, command->bytes, learner->stopping, error);
    g_autoptr(model_auto) foreign = is_tried ? model_load(command->bytes, error) : NULL;
    if (foreign == NULL) {
        g_prefix_error(error, "/: ");
        return NULL;
    }
    const guint version = registry_take_version(learner->registry);
    g_autoptr(model_auto) model = model_rename(foreign, version, "imported");
    struct model_record *record = model_record_new(model_get_info(model));
    record->why = g_strdup_printf("imported; it was version %u where it was made", model_get_info(foreign)->version);
    if (!registry_keep(learner->registry, model, record, error))
        return NULL;
    return g_steal_pointer(&model);
}

static void learner_on_import(struct learner *learner, const struct command *command)
{
    GError *error = NULL;
    g_autoptr(model_auto) model = learner_import(learner, command, &error);
    if (model == NULL || (command->eof && !registry_adopt(learner->registry, model, TRUE, clock_now(), &error))) {
        learner_answer(learner, command->request, 0, NULL, error);
        return;
    }
    if (command->eof) {
        learner_stop_training(learner);
        learner_announce(learner, model);
    }
    learner_answer(learner, command->request, 201, learner_describe(learner, model_get_info(model)->version), NULL);
}

static void learner_on_command(struct learner *learner, const struct command *command)
{
    switch (command->kind) {
    case COMMAND_LEARN:
        sampler_add(learner->sampler, command->sample);
        learner->new_count++;
        break;
    case COMMAND_LEARN_SPEED:
        learner->speed = command->speed;
        break;
    case COMMAND_MODEL_TRAIN:
        learner_on_train(learner, command);
        break;
    case COMMAND_MODEL_SERVE:
        learner_on_serve(learner, command);
        break;
    case COMMAND_MODEL_IMPORT:
        learner_on_import(learner, command);
        break;
    default:
        break;
    }
}

/* Joins the training, which is through. */
static void learner_conclude(struct learner *learner)
{
    g_autoptr(training_result_auto) result = training_finish(g_steal_pointer(&learner->training));
    if (!learner->is_stopped)
        learner_on_result(learner, result);
    for (struct command *command; (command = g_queue_pop_head(&learner->delayed)) != NULL;) {
        learner_on_train(learner, command);
        command_free(command);
    }
}

static gboolean learner_has_enough(const struct learner *learner)
{
    const guint count = sampler_count(learner->sampler);
    return learner->training == NULL && count >= CONTEST_RUNS_MIN &&
           learner->new_count >= MAX(learner->settings.train_runs, count / NEW_SHARE) &&
           !registry_is_held(learner->registry);
}

/* When a training may begin by itself, on the scale of mailbox_take(); -1: when something has come. */
static gint64 learner_due_at(const struct learner *learner)
{
    if (!learner_has_enough(learner))
        return -1;
    return learner->begun_at > 0 ? learner->begun_at + learner->settings.interval_us : 0;
}

static void learner_begin_when_due(struct learner *learner)
{
    const gint64 due_at = learner_due_at(learner);
    g_autoptr(GError) error = NULL;
    if (due_at < 0 || g_get_monotonic_time() < due_at)
        return;
    learner->is_asked = FALSE;
    if (!learner_begin(learner, &error)) {
        log_warning("learn", "no model is trained: %s", error->message);
        learner->begun_at = g_get_monotonic_time();
    }
}

static void *learner_run(void *data)
{
    struct learner *learner = data;
    for (;;) {
        learner_begin_when_due(learner);
        learner_publish(learner);
        struct message *message = mailbox_take(learner->mailbox, learner_due_at(learner));
        if (mailbox_is_closed(learner->mailbox)) {
            g_clear_pointer(&message, message_free);
            break;
        }
        if (message != NULL && message->command != NULL)
            learner_on_command(learner, message->command);
        else if (message != NULL)
            learner_conclude(learner);
        g_clear_pointer(&message, message_free);
    }
    if (learner->training != NULL)
        training_cancel(learner->training);
    return NULL;
}

void learner_add(struct learner *learner, const struct sample *sample)
{
    sampler_add(learner->sampler, sample);
}

void learner_start(struct learner *learner)
{
    g_autoptr(model_auto) model = registry_get_serving(learner->registry);
    learner->new_count = sampler_count_since(learner->sampler, model != NULL ? model_get_info(model)->made_at : 0);
    const int code = pthread_create(&learner->thread, NULL, learner_run, learner);
    if (code != 0)
        g_error("the learner's thread cannot be started: %s", g_strerror(code));
    pthread_setname_np(learner->thread, "learner");
    learner->started = TRUE;
}

static void metrics_write(GString *text, const char *name, const char *type, const char *help, double value)
{
    g_string_append_printf(text, "# HELP harbinger_%s %s\n# TYPE harbinger_%s %s\nharbinger_%s %.15g\n", name, help,
                           name, type, name, value);
}

void learner_write_metrics(struct learner *learner, GString *text)
{
    struct learner_status status;
    learner_get_status(learner, &status);
    g_autoptr(model_auto) model = registry_get_serving(learner->registry);
    if (model != NULL)
        metrics_write(text, "model_version", "gauge", "Version of the model that serves.",
                      model_get_info(model)->version);
    metrics_write(text, "model_trainings_total", "counter", "Trainings that came to their end.",
                  (double)(status.won + status.refused + status.failed));
    metrics_write(text, "model_trainings_refused_total", "counter", "Of these, whose model was no better.",
                  (double)status.refused);
    metrics_write(text, "model_trainings_failed_total", "counter", "Of these, that brought no model.",
                  (double)status.failed);
    metrics_write(text, "model_train_seconds", "gauge", "Time of the last training.", status.train_seconds);
    metrics_write(text, "model_samples", "gauge", "Runs kept to train with.", status.sample_count);
}

void learner_stop(struct learner *learner)
{
    mailbox_close(learner->mailbox);
    g_cancellable_cancel(learner->stopping);
}

void learner_free(struct learner *learner)
{
    if (learner == NULL)
        return;
    learner_stop(learner);
    if (learner->started)
        pthread_join(learner->thread, NULL);
    if (learner->training != NULL)
        training_result_free(training_finish(learner->training));
    mailbox_free(learner->mailbox);
    g_object_unref(learner->stopping);
    sampler_free(learner->sampler);
    g_array_unref(learner->waiting);
    g_queue_clear_full(&learner->delayed, (GDestroyNotify)command_free);
    pthread_mutex_destroy(&learner->lock);
    g_free(learner);
}
