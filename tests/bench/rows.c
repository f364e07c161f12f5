/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rows.h"

#include "data.h"
#include "numbers.h"

#include <math.h>

#define KIB_OF_MIB 1024.0

static void row_clear(gpointer data)
{
    struct row *row = data;
    struct code_metadata *code = &row->observation.code;
    g_free(code->function);
    g_free(code->language);
    g_free(code->algorithm);
    g_free(code->entry_point);
    g_free(code->template);
}

static void row_unref(gpointer row)
{
    g_atomic_rc_box_release_full(row, row_clear);
}

/* `name` is that of the split, its parts divided by "|", which names of functions may not have. */
static struct row *row_new(const char *name)
{
    struct row *row = g_atomic_rc_box_new0(struct row);
    row->fold = crc32_of(name) % ROWS_FOLDS;
    row->observation.code.function = g_strdelimit(g_strdup(name), "|", '/');
    row->observation.reason = EXIT_EXITED;
    row->observation.network_mbps = NAN;
    return row;
}

static GPtrArray *rows_new(void)
{
    return g_ptr_array_new_with_free_func(row_unref);
}

/* For whoever uses the code of a platform: it tells the limits that it gives. */
static void row_finish(struct row *row)
{
    sample_of_observation(&row->sample, &row->observation);
    sample_give(&row->sample, row->given_vcpus, row->given_memory_mib);
}

enum {
    GAME_NAME,
    GAME_LANGUAGE,
    GAME_ID,
    GAME_N,
    GAME_SIZE,
    GAME_CPU,
    GAME_MEMORY,
    GAME_STATUS,
    GAME_LOAD,
    GAME_ELAPSED,
    GAME_BUSY,
    GAME_COLUMNS
};

static double cell_number(char **cells, guint column)
{
    return g_ascii_strtod(cells[column], NULL);
}

static struct row *row_of_game(char **cells)
{
    g_autofree char *name = g_strdup_printf("%s|%s|%s", cells[GAME_NAME], cells[GAME_LANGUAGE], cells[GAME_ID]);
    struct row *row = row_new(name);
    struct observation *observation = &row->observation;
    observation->code.language = g_strdup(cells[GAME_LANGUAGE]);
    observation->code.algorithm = g_strdup(cells[GAME_NAME]);
    observation->code.code_bytes = (gint64)cell_number(cells, GAME_SIZE);
    observation->code.payload_items = (gint64)cell_number(cells, GAME_N);
    observation->cpu_seconds = cell_number(cells, GAME_CPU);
    observation->duration_ms = cell_number(cells, GAME_ELAPSED) * 1000;
    observation->memory_mib = cell_number(cells, GAME_MEMORY) / KIB_OF_MIB;
    row_finish(row);
    return row;
}

/* Has read the heading. */
static GDataInputStream *open_table(const char *name, guint columns, GError **error)
{
    g_autoptr(GDataInputStream) stream = data_open(name, error);
    g_auto(GStrv) heading = stream != NULL ? data_read_cells(stream, name, columns, error) : NULL;
    return heading != NULL ? g_steal_pointer(&stream) : NULL;
}

GPtrArray *rows_benchmarksgame(gboolean is_best, GError **error)
{
    const char *name = is_best ? "benchmarksgame/i5-3330_ndata.csv.gz" : "benchmarksgame/i5-3330_alldata.csv.gz";
    g_autoptr(GDataInputStream) stream = open_table(name, GAME_COLUMNS, error);
    g_autoptr(GPtrArray) rows = rows_new();
    g_autoptr(GError) failure = NULL;
    while (stream != NULL) {
        g_auto(GStrv) cells = data_read_cells(stream, name, GAME_COLUMNS, &failure);
        if (cells == NULL)
            break;
        if (cells[GAME_STATUS][0] != '-')
            g_ptr_array_add(rows, row_of_game(cells));
    }
    if (failure != NULL)
        g_propagate_error(error, g_steal_pointer(&failure));
    else if (stream != NULL)
        return g_steal_pointer(&rows);
    return NULL;
}

enum {
    REQUEST_FUNCTION,
    REQUEST_INPUT,
    REQUEST_MEMORY,
    REQUEST_CPU,
    REQUEST_VM,
    REQUEST_INDEX,
    REQUEST_RESPONSE,
    REQUEST_STATUS,
    REQUEST_COLUMNS
};

/* Sizes by the path below "input/" without its ending, "ocr/image-1"; those that are not known ("BAD") are left out. */
static GHashTable *read_sizes(GError **error)
{
    static const char name[] = "rethinking-serverless/input_files.csv";
    g_autoptr(GDataInputStream) stream = open_table(name, 2, error);
    g_autoptr(GHashTable) sizes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    while (stream != NULL) {
        g_auto(GStrv) cells = data_read_cells(stream, name, 2, NULL);
        if (cells == NULL)
            break;
        const char *path = g_str_has_prefix(cells[0], "input/") ? cells[0] + strlen("input/") : cells[0];
        const char *dot = strrchr(path, '.');
        if (g_ascii_isdigit(cells[1][0]) && dot != NULL)
            g_hash_table_insert(sizes, g_strndup(path, (gsize)(dot - path)), g_strdup(cells[1]));
    }
    return stream != NULL ? g_steal_pointer(&sizes) : NULL;
}

static const char *input_folder(const char *function)
{
    if (g_str_has_prefix(function, "pigo"))
        return "images";
    return g_str_equal(function, "openfaas-ocr") ? "ocr" : "videos";
}

static void code_set_input(struct code_metadata *code, const char *function, const char *input, GHashTable *sizes)
{
    g_autofree char *path = g_strdup_printf("%s/%s", input_folder(function), input);
    const char *size = g_hash_table_lookup(sizes, path);
    code->entry_point = g_strdup(input);
    if (g_ascii_isdigit(input[0]))
        code->payload_items = g_ascii_strtoll(input, NULL, 10);
    if (size != NULL)
        code->input_bytes = g_ascii_strtoll(size, NULL, 10);
}

static struct row *row_of_configuration(const char *name, const GArray *responses, GHashTable *sizes)
{
    g_auto(GStrv) cells = g_strsplit(name, "|", -1);
    struct row *row = row_new(name);
    struct code_metadata *code = &row->observation.code;
    code->algorithm = g_strdup(cells[REQUEST_FUNCTION]);
    code->template = g_strdup(cells[REQUEST_VM]);
    code_set_input(code, cells[REQUEST_FUNCTION], cells[REQUEST_INPUT], sizes);
    row->given_memory_mib = cell_number(cells, REQUEST_MEMORY);
    row->given_vcpus = cell_number(cells, REQUEST_CPU) / 1000;
    row->observation.duration_ms = 1000 * quantile_of((const double *)(gpointer)responses->data, responses->len, 0.5);
    row_finish(row);
    return row;
}

/* The responses of each configuration that were answered with 200: GArray of double by its name. */
static GHashTable *read_responses(GError **error)
{
    static const char name[] = "rethinking-serverless/requests.csv.gz";
    g_autoptr(GDataInputStream) stream = open_table(name, REQUEST_COLUMNS, error);
    g_autoptr(GHashTable) configurations =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    while (stream != NULL) {
        g_auto(GStrv) cells = data_read_cells(stream, name, REQUEST_COLUMNS, NULL);
        if (cells == NULL)
            break;
        if (!g_str_equal(cells[REQUEST_STATUS], "200"))
            continue;
        const double response = cell_number(cells, REQUEST_RESPONSE);
        g_autofree char *key = g_strdup_printf("%s|%s|%s|%s|%s", cells[REQUEST_FUNCTION], cells[REQUEST_INPUT],
                                               cells[REQUEST_MEMORY], cells[REQUEST_CPU], cells[REQUEST_VM]);
        GArray *responses = g_hash_table_lookup(configurations, key);
        if (responses == NULL) {
            responses = g_array_new(FALSE, FALSE, sizeof(double));
            g_hash_table_insert(configurations, g_steal_pointer(&key), responses);
        }
        g_array_append_val(responses, response);
    }
    return stream != NULL ? g_steal_pointer(&configurations) : NULL;
}

static int compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

GPtrArray *rows_serverless(GError **error)
{
    g_autoptr(GHashTable) sizes = read_sizes(error);
    g_autoptr(GHashTable) configurations = sizes != NULL ? read_responses(error) : NULL;
    if (configurations == NULL)
        return NULL;
    GPtrArray *rows = rows_new();
    GList *names = g_list_sort(g_hash_table_get_keys(configurations), compare_texts);
    for (GList *at = names; at != NULL; at = at->next)
        g_ptr_array_add(rows, row_of_configuration(at->data, g_hash_table_lookup(configurations, at->data), sizes));
    g_list_free(names);
    return rows;
}

static GPtrArray *rows_add(GPtrArray *rows, const struct row *row)
{
    g_ptr_array_add(rows, g_atomic_rc_box_acquire((gpointer)row));
    return rows;
}

GPtrArray *rows_of_fold(const GPtrArray *rows, guint fold, gboolean is_in)
{
    GPtrArray *chosen = rows_new();
    for (guint i = 0; i < rows->len; i++)
        if ((row_at(rows, i)->fold == fold) == is_in)
            rows_add(chosen, row_at(rows, i));
    return chosen;
}

GPtrArray *rows_with(const GPtrArray *rows, enum target target)
{
    GPtrArray *chosen = rows_new();
    for (guint i = 0; i < rows->len; i++)
        if (isfinite(row_at(rows, i)->sample.targets[target]))
            rows_add(chosen, row_at(rows, i));
    return chosen;
}

GArray *rows_samples(const GPtrArray *rows)
{
    GArray *samples = g_array_sized_new(FALSE, FALSE, sizeof(struct sample), rows->len);
    for (guint i = 0; i < rows->len; i++)
        g_array_append_val(samples, row_at(rows, i)->sample);
    return samples;
}

double row_amount(const struct row *row, enum target target)
{
    return target_amount(target, row->sample.targets[target]);
}
