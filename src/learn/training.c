/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/training.h"

#include "base/error.h"
#include "base/log.h"
#include "learn/contest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE_LEAST 19

struct training {
    pthread_t thread;
    gboolean has_thread;
    GArray *samples;
    struct model_settings settings;
    char *origin;
    struct model *champion;
    GCancellable *cancellable;
    void (*done)(gpointer data);
    gpointer data;
    struct training_result *result; /* the thread's until it is joined */
};

static void training_yield_priority(void)
{
    const struct sched_param param = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &param) == 0)
        return;
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_LEAST) < 0)
        log_warning("learn", "training cannot have a low priority: %s", g_strerror(errno));
}

static void training_judge(const struct training *training, const struct sample *newest, guint count)
{
    struct training_result *result = training->result;
    model_judge(result->model, newest, count, training->settings.info.speed, result->scores);
    if (training->champion == NULL)
        return;
    result->has_champion = TRUE;
    result->champion_version = model_get_info(training->champion)->version;
    model_judge(training->champion, newest, count, training->settings.info.speed, result->champion_scores);
}

static void *training_run(void *data)
{
    struct training *training = data;
    struct training_result *result = training->result;
    const gint64 begun_at = g_get_monotonic_time();
    const struct sample *samples = (const struct sample *)(gconstpointer)training->samples->data;
    const guint held_back = contest_held_back(training->samples->len), count = training->samples->len - held_back;
    training_yield_priority();
    result->model = model_train(samples, count, &training->settings, training->cancellable, &result->error);
    if (result->model != NULL)
        training_judge(training, samples + count, held_back);
    result->seconds = (double)(g_get_monotonic_time() - begun_at) / G_USEC_PER_SEC;
    training->done(training->data);
    return NULL;
}

struct training *training_start(const struct training_spec *spec, void (*done)(gpointer data), gpointer data)
{
    struct training *training = g_new0(struct training, 1);
    training->samples = spec->samples;
    training->settings = spec->settings;
    training->origin = g_strdup(spec->settings.info.origin);
    training->settings.info.origin = training->origin;
    training->champion = spec->champion;
    training->cancellable = g_cancellable_new();
    training->done = done;
    training->data = data;
    training->result = g_new0(struct training_result, 1);
    const int code = pthread_create(&training->thread, NULL, training_run, training);
    training->has_thread = code == 0;
    if (training->has_thread) {
        pthread_setname_np(training->thread, "training");
        return training;
    }
    hbr_error_set(&training->result->error, HBR_ERROR_EXHAUSTED, "the thread of a training cannot be started: %s",
                  g_strerror(code));
    done(data);
    return training;
}

void training_cancel(struct training *training)
{
    g_cancellable_cancel(training->cancellable);
}

struct training_result *training_finish(struct training *training)
{
    if (training->has_thread)
        pthread_join(training->thread, NULL);
    struct training_result *result = training->result;
    g_array_unref(training->samples);
    g_clear_pointer(&training->champion, model_unref);
    g_object_unref(training->cancellable);
    g_free(training->origin);
    g_free(training);
    return result;
}

void training_result_free(struct training_result *result)
{
    if (result == NULL)
        return;
    g_clear_pointer(&result->model, model_unref);
    g_clear_error(&result->error);
    g_free(result);
}
