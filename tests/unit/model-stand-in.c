/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-stand-in.h"

#include "base/error.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIGEST_LENGTH 64
#define SIZE 2000 /* of its file, below the line of its digest */

struct model {
    gint holders;
    struct model_info info;
    double means[TARGET_COUNT];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static guint training_count;
static int policy;
static int gate[2] = {-1, -1}; /* readable: nobody is blocked */

void stand_in_block(gboolean is_blocked)
{
    pthread_mutex_lock(&lock);
    if (gate[0] >= 0) {
        close(gate[0]);
        close(gate[1]);
        gate[0] = gate[1] = -1;
    }
    if (is_blocked && pipe(gate) < 0)
        g_error("no pipe");
    pthread_mutex_unlock(&lock);
}

void stand_in_await_training(void)
{
    pthread_mutex_lock(&lock);
    while (training_count == 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

int stand_in_policy(void)
{
    pthread_mutex_lock(&lock);
    const int told = policy;
    pthread_mutex_unlock(&lock);
    return told;
}

static void note_training(gint step)
{
    pthread_mutex_lock(&lock);
    training_count = (guint)((gint)training_count + step);
    policy = sched_getscheduler(0);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_at_gate(GCancellable *cancellable)
{
    pthread_mutex_lock(&lock);
    GPollFD fds[2] = {{.fd = gate[0], .events = G_IO_IN | G_IO_HUP}};
    pthread_mutex_unlock(&lock);
    if (fds[0].fd < 0 || !g_cancellable_make_pollfd(cancellable, &fds[1]))
        return;
    g_poll(fds, 2, -1);
    g_cancellable_release_fd(cancellable);
}

static struct model *model_new(const struct model_info *info, const double means[TARGET_COUNT])
{
    struct model *model = g_new0(struct model, 1);
    model->holders = 1;
    model->info = *info;
    model->info.origin = g_strdup(info->origin);
    memcpy(model->means, means, sizeof model->means);
    return model;
}

struct model *model_ref(struct model *model)
{
    g_atomic_int_inc(&model->holders);
    return model;
}

void model_unref(struct model *model)
{
    if (model == NULL || !g_atomic_int_dec_and_test(&model->holders))
        return;
    g_free(model->info.origin);
    g_free(model);
}

const struct model_info *model_get_info(const struct model *model)
{
    return &model->info;
}

struct model *model_rename(struct model *model, guint version, const char *origin)
{
    struct model_info info = model->info;
    info.version = version;
    info.origin = (char *)origin;
    return model_new(&info, model->means);
}

void model_predict(const struct model *model, const struct sample *sample G_GNUC_UNUSED, guint targets G_GNUC_UNUSED,
                   struct model_word *ret_word)
{
    *ret_word = (struct model_word){.unknown = 0};
    memcpy(ret_word->mean, model->means, sizeof ret_word->mean);
}

void model_judge(const struct model *model, const struct sample *samples, guint count, double speed G_GNUC_UNUSED,
                 struct model_score ret_scores[TARGET_COUNT])
{
    for (guint target = 0; target < TARGET_COUNT; target++) {
        struct model_score score = {.run_count = count};
        for (guint i = 0; i < count; i++) {
            const double left_over = fabs((double)samples[i].targets[target] - model->means[target]);
            score.error += left_over / count;
            score.within2 += left_over <= G_LN2 ? 1.0 / count : 0;
        }
        score.pinball = score.error / 2;
        ret_scores[target] = score;
    }
}

struct model *model_train(const struct sample *samples, guint count, const struct model_settings *settings,
                          GCancellable *cancellable, GError **error)
{
    note_training(1);
    wait_at_gate(cancellable);
    note_training(-1);
    if (g_cancellable_is_cancelled(cancellable)) {
        hbr_error_set(error, HBR_ERROR_CANCELLED, "it was cancelled");
        return NULL;
    }
    double means[TARGET_COUNT] = {0};
    for (guint target = 0; target < TARGET_COUNT; target++)
        for (guint i = 0; i < count; i++)
            means[target] += (double)samples[i].targets[target] / count;
    struct model_info info = settings->info;
    info.run_count = count;
    return model_new(&info, means);
}

GBytes *model_save(const struct model *model, GError **error G_GNUC_UNUSED)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%u %s %" G_GINT64_FORMAT " %u %g", model->info.version, model->info.origin,
                           model->info.made_at, model->info.run_count, model->info.speed);
    for (guint target = 0; target < TARGET_COUNT; target++)
        g_string_append_printf(text, " %.17g", model->means[target]);
    while (text->len < SIZE)
        g_string_append_c(text, '.');
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, -1);
    g_string_prepend_c(text, '\n');
    g_string_prepend(text, digest);
    return g_string_free_to_bytes(text);
}

gboolean model_check(GBytes *content, GError **error)
{
    g_autoptr(model_auto) model = model_load(content, error);
    return model != NULL;
}

struct model *model_load(GBytes *content, GError **error)
{
    g_autofree char *text = g_strndup(g_bytes_get_data(content, NULL), g_bytes_get_size(content));
    const gboolean is_long = g_bytes_get_size(content) == DIGEST_LENGTH + 1 + SIZE;
    g_autofree char *digest =
        is_long ? g_compute_checksum_for_string(G_CHECKSUM_SHA256, text + DIGEST_LENGTH + 1, -1) : NULL;
    char origin[16] = "";
    struct model_info info = {.origin = origin};
    double means[TARGET_COUNT];
    G_STATIC_ASSERT(TARGET_COUNT == 5);
    if (!is_long || strlen(text) != DIGEST_LENGTH + 1 + SIZE || text[DIGEST_LENGTH] != '\n' ||
        strncmp(text, digest, DIGEST_LENGTH) != 0 ||
        sscanf(text + DIGEST_LENGTH + 1, "%u %15s %" G_GINT64_FORMAT " %u %lg %lg %lg %lg %lg %lg", &info.version,
               origin, &info.made_at, &info.run_count, &info.speed, &means[0], &means[1], &means[2], &means[3],
               &means[4]) != 10) {
        hbr_error_set(error, HBR_ERROR_INVALID, "it is damaged");
        return NULL;
    }
    return model_new(&info, means);
}

GArray *model_explain(const struct model *model G_GNUC_UNUSED, const struct sample *sample G_GNUC_UNUSED,
                      enum target target G_GNUC_UNUSED, guint max G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
    return g_array_new(FALSE, FALSE, sizeof(struct model_reason));
}
