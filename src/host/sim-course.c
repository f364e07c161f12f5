/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-course.h"

#include "model/limits.h"

#include <math.h>
#include <string.h>

#define PHASES_MAX 1024
#define AMOUNT_MAX 1e9

static void sim_phase_free(gpointer data)
{
    struct sim_phase *phase = data;
    g_free(phase->output);
    g_free(phase->error);
    g_free(phase);
}

enum sim_word_kind { WORD_DOUBLE, WORD_INT64, WORD_UINT, WORD_TEXT };

static const struct {
    const char *name;
    enum sim_word_kind kind;
    gsize offset;
} sim_words[] = {
#define WORD(name, kind)                                     \
    {                                                        \
#name, kind, G_STRUCT_OFFSET(struct sim_phase, name) \
    }
    WORD(duration_ms, WORD_DOUBLE), WORD(ramp_ms, WORD_DOUBLE), WORD(cpu, WORD_DOUBLE),
    WORD(memory_mib, WORD_DOUBLE),  WORD(rx_mbps, WORD_DOUBLE), WORD(tx_mbps, WORD_DOUBLE),
    WORD(output_bytes, WORD_INT64), WORD(output, WORD_TEXT),    WORD(error, WORD_TEXT),
    WORD(echo, WORD_UINT),          WORD(hang, WORD_UINT),      WORD(crash, WORD_UINT),
    WORD(exit, WORD_UINT),          WORD(signal, WORD_UINT),    WORD(paced, WORD_UINT),
#undef WORD
};

static void sim_word_set_number(struct sim_phase *phase, guint word, const char *text)
{
    char *end;
    const double value = g_ascii_strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0) || value > AMOUNT_MAX)
        return;
    void *slot = (char *)phase + sim_words[word].offset;
    if (sim_words[word].kind == WORD_DOUBLE)
        *(double *)slot = value;
    else if (sim_words[word].kind == WORD_INT64)
        *(gint64 *)slot = (gint64)value;
    else
        *(guint *)slot = (guint)MIN(value, 255);
}

static void sim_word_set_text(struct sim_phase *phase, guint word, const char *text)
{
    char **slot = G_STRUCT_MEMBER_P(phase, sim_words[word].offset);
    g_free(*slot);
    *slot = g_strdup(text);
}

static void sim_word_set(struct sim_phase *phase, const char *name, const char *text)
{
    for (guint i = 0; i < G_N_ELEMENTS(sim_words); i++) {
        if (strcmp(sim_words[i].name, name) != 0)
            continue;
        if (sim_words[i].kind == WORD_TEXT)
            sim_word_set_text(phase, i, text);
        else
            sim_word_set_number(phase, i, text);
    }
    phase->ends |= strcmp(name, "exit") == 0 || strcmp(name, "signal") == 0;
}

/* `memory_mib` is that of the phase before. */
static struct sim_phase *sim_phase_parse(const char *text, double memory_mib)
{
    struct sim_phase *phase = g_new0(struct sim_phase, 1);
    phase->memory_mib = memory_mib;
    phase->ramp_ms = -1;
    g_auto(GStrv) words = NULL;
    if (g_shell_parse_argv(text, NULL, &words, NULL))
        for (guint i = 0; words[i] != NULL; i++) {
            char *equals = strchr(words[i], '=');
            if (equals == NULL)
                continue;
            *equals = '\0';
            sim_word_set(phase, words[i], equals + 1);
        }
    if (phase->ramp_ms < 0)
        phase->ramp_ms = phase->duration_ms;
    return phase;
}

static void sim_course_parse(const char *source, GPtrArray *course)
{
    g_auto(GStrv) lines = g_strsplit(source, "\n", -1);
    double memory_mib = 0;
    for (guint i = 0; lines[i] != NULL && course->len < PHASES_MAX; i++) {
        const char *mark = strstr(lines[i], "sim:");
        if (mark == NULL)
            continue;
        struct sim_phase *phase = sim_phase_parse(mark + strlen("sim:"), memory_mib);
        memory_mib = phase->memory_mib;
        g_ptr_array_add(course, phase);
    }
}

GPtrArray *sim_course_new(const struct program *program, const struct sim_model *model, GRand *random)
{
    GPtrArray *course = g_ptr_array_new_with_free_func(sim_phase_free);
    const double duration_ms = (double)sim_draw_us(random, model->run_ms, model->run_sigma) / 1000;
    if (program->source != NULL)
        sim_course_parse(program->source, course);
    if (course->len > 0)
        return course;
    struct sim_phase *phase = g_new0(struct sim_phase, 1);
    phase->duration_ms = phase->ramp_ms = duration_ms;
    phase->cpu = model->run_cpu;
    phase->memory_mib = model->run_memory_mib;
    g_ptr_array_add(course, phase);
    return course;
}

double sim_course_duration_ms(const GPtrArray *course)
{
    double duration_ms = 0;
    for (guint i = 0; i < course->len; i++)
        duration_ms += ((const struct sim_phase *)g_ptr_array_index(course, i))->duration_ms;
    return duration_ms;
}
