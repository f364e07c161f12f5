/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "predict/model.h"

#include <gio/gio.h>
#include <stdio.h>

/* usage: make-prior BENCHMARKSGAME.csv.gz OUT.model
 *
 * Makes the model that Harbinger is shipped with, from the measurements of the Computer Language Benchmarks Game (contrib/prior/README): what a fresh
 * installation knows of languages and algorithms before it has run anything. Part of the build: the same data gives the same model. */

#define COLUMNS 11 /* name, lang, id, n, size(B), cpu(s), mem(KB), status, load, elapsed(s), busy(s) */
#define MADE_AT G_GINT64_CONSTANT(1700000000000000)

/* The game names implementations; people name languages. */
static const struct {
    const char *implementation, *language;
} language_table[] = {
    {"gcc", "c"},          {"clang", "c"},          {"icc", "c"},           {"icx", "c"},           {"gpp", "c++"},
    {"mri", "ruby"},       {"truffle", "ruby"},     {"node", "javascript"}, {"python3", "python"},  {"ghc", "haskell"},
    {"sbcl", "lisp"},      {"fpascal", "pascal"},   {"gnat", "ada"},        {"gfortran", "fortran"}, {"ifc", "fortran"},
    {"dartexe", "dart"},   {"dartjit", "dart"},     {"pharo", "smalltalk"}, {"vw", "smalltalk"},    {"csharpcore", "csharp"},
    {"csharppgo", "csharp"}, {"fsharpcore", "fsharp"},
};

static const char *language_of(const char *implementation)
{
    for (guint i = 0; i < G_N_ELEMENTS(language_table); i++)
        if (g_str_equal(implementation, language_table[i].implementation))
            return language_table[i].language;
    return implementation;
}

static void set_target(struct sample *sample, enum target target, double amount)
{
    if (amount > 0)
        sample->targets[target] = (float)target_log(target, amount);
}

/* FALSE for a line that tells nothing: the heading, a program that failed. */
static gboolean sample_of_line(struct sample *ret_sample, const char *line)
{
    g_auto(GStrv) cells = g_strsplit(line, ",", COLUMNS);
    double numbers[COLUMNS];
    if (g_strv_length(cells) != COLUMNS)
        return FALSE;
    for (guint i = 0; i < COLUMNS; i++)
        numbers[i] = g_ascii_strtod(cells[i], NULL);
    const double n = numbers[3], bytes = numbers[4], cpu = numbers[5], memory_kib = numbers[6], elapsed = numbers[9];
    if (n <= 0 || numbers[7] < 0)
        return FALSE;
    g_autofree char *function = g_strjoin("|", cells[0], cells[1], cells[2], NULL);
    struct code_traits traits = {.compressed_bytes = (gint64)bytes};
    const struct code_metadata code = {
        .function = function,
        .tenant = (char *)"benchmarksgame",
        .language = (char *)language_of(cells[1]),
        .algorithm = cells[0],
        .argument_max = n,
        .traits = &traits,
    };
    sample_of_code(ret_sample, &code, 0);
    set_target(ret_sample, TARGET_CPU, cpu);
    set_target(ret_sample, TARGET_DURATION, elapsed * 1000);
    set_target(ret_sample, TARGET_MEMORY, memory_kib / 1024);
    if (elapsed > 0)
        set_target(ret_sample, TARGET_VCPUS, cpu / elapsed);
    return TRUE;
}

static GArray *samples_read(const char *path, GError **error)
{
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileInputStream) packed = g_file_read(file, NULL, error);
    if (packed == NULL)
        return NULL;
    g_autoptr(GConverter) unpack = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP));
    g_autoptr(GInputStream) plain = g_converter_input_stream_new(G_INPUT_STREAM(packed), unpack);
    g_autoptr(GDataInputStream) lines = g_data_input_stream_new(plain);
    GArray *samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    GError *failure = NULL;
    char *line;
    while ((line = g_data_input_stream_read_line(lines, NULL, NULL, &failure)) != NULL) {
        struct sample sample;
        if (sample_of_line(&sample, line))
            g_array_append_val(samples, sample);
        g_free(line);
    }
    if (failure == NULL)
        return samples;
    g_propagate_prefixed_error(error, failure, "%s: ", path);
    g_array_unref(samples);
    return NULL;
}

static gboolean make_prior(const char *from, const char *to, GError **error)
{
    g_autoptr(GArray) samples = samples_read(from, error);
    if (samples == NULL)
        return FALSE;
    const struct model_settings settings = {
        .info = {.version = 0, .origin = (char *)"shipped", .made_at = MADE_AT, .speed = 1},
        .seed = 1,
    };
    g_autoptr(model_auto) model =
        model_train((const struct sample *)(const void *)samples->data, samples->len, &settings, NULL, error);
    g_autoptr(GBytes) content = model != NULL ? model_save(model, error) : NULL;
    gsize size;
    return content != NULL && g_file_set_contents(to, g_bytes_get_data(content, &size),
                                                  (gssize)g_bytes_get_size(content), error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: %s BENCHMARKSGAME.csv.gz OUT.model\n", argv[0]);
        return 2;
    }
    if (make_prior(argv[1], argv[2], &error))
        return 0;
    fprintf(stderr, "make-prior: %s\n", error->message);
    return 1;
}
