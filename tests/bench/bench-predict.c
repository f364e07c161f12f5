/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "numbers.h"

#include <stdlib.h>
#include <time.h>

/* How well the learned model predicts, and what it costs: each part is a bench of its own name, all of them are "predict". Data: rows.h. */

static void measure_cpu(struct study *study)
{
    measure_unseen(study, TARGET_CPU);
}

static void measure_elapsed(struct study *study)
{
    measure_unseen(study, TARGET_DURATION);
}

static void measure_memory(struct study *study)
{
    measure_unseen(study, TARGET_MEMORY);
}

static const struct part {
    const char *name;
    void (*measure)(struct study *study);
} parts[] = {
    {"predict-cpu", measure_cpu},           {"predict-elapsed", measure_elapsed},
    {"predict-memory", measure_memory},     {"predict-serverless", measure_serverless},
    {"predict-coverage", measure_coverage}, {"predict-online", measure_online},
    {"predict-drift", measure_drift},       {"predict-latency", measure_latency},
    {"train-time", measure_train_time},
};

double parts_seconds(int clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct model *parts_train(const GArray *samples)
{
    const struct model_settings settings = {.info = {.version = 1, .origin = (char *)"trained"}, .seed = PARTS_SEED};
    g_autoptr(GError) error = NULL;
    struct model *model =
        model_train((const struct sample *)(gpointer)samples->data, samples->len, &settings, NULL, &error);
    if (model == NULL)
        g_error("%s", error->message);
    return model;
}

struct policy *parts_policy(void)
{
    const char *source = g_getenv("HBR_SOURCE_DIR");
    g_autofree char *path = g_build_filename(source != NULL ? source : ".", "policies", "default.yaml", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) sources = policy_sources_read(path, &error);
    struct policy *policy = sources != NULL ? policy_parse(sources, &error) : NULL;
    if (policy == NULL)
        g_error("%s", error->message);
    return policy;
}

static void study_init(struct study *study)
{
    *study = (struct study){0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) rows = rows_benchmarksgame(TRUE, &error);
    study->repeats = rows != NULL ? rows_benchmarksgame(FALSE, &error) : NULL;
    if (study->repeats == NULL)
        g_error("%s", error->message);
    study->all = g_ptr_array_ref(rows);
    study->training = rows_of_fold(rows, 0, FALSE);
    study->test = rows_of_fold(rows, 0, TRUE);
}

struct model *study_model(struct study *study)
{
    g_autoptr(GArray) samples = rows_samples(study->training);
    if (study->model == NULL)
        study->model = parts_train(samples);
    return study->model;
}

static void study_clear(struct study *study)
{
    model_unref(study->model);
    g_ptr_array_unref(study->training);
    g_ptr_array_unref(study->test);
    g_ptr_array_unref(study->all);
    g_ptr_array_unref(study->repeats);
}

int main(void)
{
    const char *name = g_getenv("HBR_BENCH_NAME");
    const gboolean wants_all = name == NULL || g_str_equal(name, "predict");
    struct study study;
    study_init(&study);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        if (wants_all || g_str_equal(name, parts[i].name))
            parts[i].measure(&study);
    study_clear(&study);
    return EXIT_SUCCESS;
}
