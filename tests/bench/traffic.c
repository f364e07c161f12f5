/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "traffic.h"

#include "numbers.h"

#include <gsl/gsl_randist.h>
#include <math.h>

#define REPEATS_MIN 3
#define BEGIN_AT (G_GINT64_CONSTANT(1767225600) * G_USEC_PER_SEC) /* 2026-01-01 */
#define LIBRARIES_MAX 2
#define NETWORK_SPREAD 1.5     /* of functions, in logarithms */
#define NETWORK_RUN_SPREAD 0.3 /* of the runs of one */

/* Logarithms of a run's amounts over the median of its program's repeats. */
struct deviation {
    double cpu, duration, memory;
};

struct function {
    struct code_metadata code;
    GPtrArray *rows;    /* struct row, by input; borrowed */
    GPtrArray *repeats; /* for each row: GArray of struct deviation, or NULL */
    guint usual;        /* row */
    guint runs;
    double network_mbps;
};

struct traffic {
    struct traffic_settings settings;
    GArray *functions;       /* struct function */
    GHashTable *deviations;  /* GArray of struct deviation by program and input */
    struct deviation spread; /* of all */
    gsl_rng *random;
    gsl_ran_discrete_t *ranks;
    gint64 now;
};

/* --- Deviations --- */

static char *row_key(const struct row *row)
{
    return g_strdup_printf("%s %" G_GINT64_FORMAT, row->observation.code.function, row->observation.code.payload_items);
}

static gboolean row_is_whole(const struct row *row)
{
    const float *targets = row->sample.targets;
    return isfinite(targets[TARGET_CPU]) && isfinite(targets[TARGET_MEMORY]) && isfinite(targets[TARGET_DURATION]);
}

static double median_of(const GArray *deviations, gsize offset)
{
    g_autofree double *values = g_new(double, deviations->len);
    for (guint i = 0; i < deviations->len; i++)
        values[i] = G_STRUCT_MEMBER(double, &g_array_index(deviations, struct deviation, i), offset);
    return quantile_of(values, deviations->len, 0.5);
}

static void deviations_centre(GArray *deviations)
{
    const struct deviation middle = {
        .cpu = median_of(deviations, G_STRUCT_OFFSET(struct deviation, cpu)),
        .duration = median_of(deviations, G_STRUCT_OFFSET(struct deviation, duration)),
        .memory = median_of(deviations, G_STRUCT_OFFSET(struct deviation, memory)),
    };
    for (guint i = 0; i < deviations->len; i++) {
        struct deviation *deviation = &g_array_index(deviations, struct deviation, i);
        deviation->cpu -= middle.cpu;
        deviation->duration -= middle.duration;
        deviation->memory -= middle.memory;
    }
}

static GHashTable *deviations_collect(const GPtrArray *repeats)
{
    GHashTable *deviations = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    for (guint i = 0; i < repeats->len; i++) {
        const struct row *row = row_at(repeats, i);
        if (!row_is_whole(row))
            continue;
        g_autofree char *key = row_key(row);
        GArray *found = g_hash_table_lookup(deviations, key);
        if (found == NULL) {
            found = g_array_new(FALSE, FALSE, sizeof(struct deviation));
            g_hash_table_insert(deviations, g_steal_pointer(&key), found);
        }
        const struct deviation deviation = {row->sample.targets[TARGET_CPU], row->sample.targets[TARGET_DURATION],
                                            row->sample.targets[TARGET_MEMORY]};
        g_array_append_val(found, deviation);
    }
    return deviations;
}

/* Centres each program's, and fills the spread of all. */
static void traffic_set_deviations(struct traffic *traffic)
{
    GHashTableIter iter;
    gpointer value;
    struct deviation sum = {0};
    guint count = 0;
    g_hash_table_iter_init(&iter, traffic->deviations);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        GArray *deviations = value;
        deviations_centre(deviations);
        for (guint i = 0; deviations->len >= REPEATS_MIN && i < deviations->len; i++, count++) {
            const struct deviation *deviation = &g_array_index(deviations, struct deviation, i);
            sum.cpu += deviation->cpu * deviation->cpu;
            sum.duration += deviation->duration * deviation->duration;
            sum.memory += deviation->memory * deviation->memory;
        }
    }
    traffic->spread = (struct deviation){sqrt(sum.cpu / MAX(count, 1)), sqrt(sum.duration / MAX(count, 1)),
                                         sqrt(sum.memory / MAX(count, 1))};
}

/* CPU time and duration vary together. */
static struct deviation traffic_deviation(struct traffic *traffic, const struct function *function, guint row)
{
    const GArray *repeats = function->repeats->pdata[row];
    if (repeats != NULL && repeats->len >= REPEATS_MIN)
        return g_array_index(repeats, struct deviation, gsl_rng_uniform_int(traffic->random, repeats->len));
    const double time = gsl_ran_ugaussian(traffic->random);
    return (struct deviation){time * traffic->spread.cpu, time * traffic->spread.duration,
                              gsl_ran_gaussian(traffic->random, traffic->spread.memory)};
}

/* --- Functions --- */

static char **traffic_draw_libraries(struct traffic *traffic)
{
    const guint kinds = traffic->settings.libraries;
    if (kinds == 0)
        return NULL;
    GPtrArray *libraries = g_ptr_array_new();
    const gulong count = gsl_rng_uniform_int(traffic->random, LIBRARIES_MAX + 1),
                 first = gsl_rng_uniform_int(traffic->random, kinds);
    for (gulong i = 0; i < count; i++)
        g_ptr_array_add(libraries, g_strdup_printf("library-%lu", (first + i) % kinds));
    g_ptr_array_add(libraries, NULL);
    return (char **)g_ptr_array_free(libraries, FALSE);
}

static void traffic_add_function(struct traffic *traffic, const struct row *row)
{
    struct function function = {
        .code = row->observation.code,
        .rows = g_ptr_array_new(),
        .repeats = g_ptr_array_new(),
        .network_mbps = exp(gsl_ran_gaussian(traffic->random, NETWORK_SPREAD)),
    };
    const gulong tenant = gsl_rng_uniform_int(traffic->random, MAX(traffic->settings.tenants, 1));
    function.code.tenant = g_strdup_printf("tenant-%lu", tenant);
    function.code.libraries = traffic_draw_libraries(traffic);
    g_array_append_val(traffic->functions, function);
}

static void function_clear(gpointer data)
{
    struct function *function = data;
    g_free(function->code.tenant);
    g_strfreev(function->code.libraries);
    g_ptr_array_unref(function->rows);
    g_ptr_array_unref(function->repeats);
}

/* Rows of one program follow one another. */
static void traffic_add_row(struct traffic *traffic, const struct row *row)
{
    struct function *last = traffic->functions->len > 0
                                ? &g_array_index(traffic->functions, struct function, traffic->functions->len - 1)
                                : NULL;
    if (last == NULL || !g_str_equal(last->code.function, row->observation.code.function)) {
        traffic_add_function(traffic, row);
        last = &g_array_index(traffic->functions, struct function, traffic->functions->len - 1);
    }
    g_autofree char *key = row_key(row);
    g_ptr_array_add(last->rows, (gpointer)row);
    g_ptr_array_add(last->repeats, g_hash_table_lookup(traffic->deviations, key));
}

/* Which function has which rank is drawn, and so is its usual input. */
static void traffic_draw_ranks(struct traffic *traffic)
{
    const guint count = traffic->functions->len;
    g_autofree double *weights = g_new(double, count);
    for (guint i = 0; i < count; i++) {
        struct function *function = &g_array_index(traffic->functions, struct function, i);
        weights[i] = pow(i + 1, -traffic->settings.zipf);
        function->usual = (guint)gsl_rng_uniform_int(traffic->random, function->rows->len);
    }
    gsl_ran_shuffle(traffic->random, weights, count, sizeof *weights);
    traffic->ranks = gsl_ran_discrete_preproc(count, weights);
}

struct traffic *traffic_new(const struct traffic_settings *settings)
{
    struct traffic *traffic = g_new0(struct traffic, 1);
    traffic->settings = *settings;
    traffic->now = BEGIN_AT;
    traffic->random = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(traffic->random, settings->seed);
    traffic->functions = g_array_new(FALSE, FALSE, sizeof(struct function));
    g_array_set_clear_func(traffic->functions, function_clear);
    traffic->deviations = deviations_collect(settings->repeats);
    traffic_set_deviations(traffic);
    for (guint i = 0; i < settings->rows->len; i++)
        if (row_is_whole(row_at(settings->rows, i)))
            traffic_add_row(traffic, row_at(settings->rows, i));
    traffic_draw_ranks(traffic);
    return traffic;
}

void traffic_free(struct traffic *traffic)
{
    if (traffic == NULL)
        return;
    gsl_ran_discrete_free(traffic->ranks);
    gsl_rng_free(traffic->random);
    g_array_unref(traffic->functions);
    g_hash_table_unref(traffic->deviations);
    g_free(traffic);
}

guint traffic_function_count(const struct traffic *traffic)
{
    return traffic->functions->len;
}

const struct code_metadata *traffic_code(const struct traffic *traffic, guint function)
{
    return &g_array_index(traffic->functions, struct function, function).code;
}

/* --- Runs --- */

static guint traffic_draw_row(struct traffic *traffic, const struct function *function)
{
    const gboolean is_other = gsl_rng_uniform(traffic->random) < traffic->settings.other_input;
    return is_other ? (guint)gsl_rng_uniform_int(traffic->random, function->rows->len) : function->usual;
}

void traffic_next_of(struct traffic *traffic, guint function_index, struct traffic_run *ret_run)
{
    struct function *function = &g_array_index(traffic->functions, struct function, function_index);
    const guint index = traffic_draw_row(traffic, function);
    const struct row *row = row_at(function->rows, index);
    const struct deviation deviation = traffic_deviation(traffic, function, index);
    traffic->now += (gint64)gsl_ran_exponential(traffic->random, (double)traffic->settings.mean_gap);
    *ret_run =
        (struct traffic_run){.observation = row->observation, .function = function_index, .nth = function->runs++};
    struct observation *observation = &ret_run->observation;
    observation->code.tenant = function->code.tenant;
    observation->code.libraries = function->code.libraries;
    observation->ended_at = traffic->now;
    observation->cpu_seconds *= exp(deviation.cpu);
    observation->duration_ms *= exp(deviation.duration);
    observation->memory_mib *= exp(deviation.memory);
    observation->network_mbps = function->network_mbps * exp(gsl_ran_gaussian(traffic->random, NETWORK_RUN_SPREAD));
}

void traffic_next(struct traffic *traffic, struct traffic_run *ret_run)
{
    traffic_next_of(traffic, (guint)gsl_ran_discrete(traffic->random, traffic->ranks), ret_run);
}

GArray *traffic_samples(struct traffic *traffic, guint count)
{
    GArray *samples = g_array_sized_new(FALSE, FALSE, sizeof(struct sample), count);
    for (guint i = 0; i < count; i++) {
        struct traffic_run run;
        struct sample sample;
        traffic_next(traffic, &run);
        if (sample_of_observation(&sample, &run.observation))
            g_array_append_val(samples, sample);
    }
    return samples;
}

void traffic_scale(struct traffic_run *run, double factor)
{
    run->observation.memory_mib *= factor;
    run->observation.cpu_seconds *= factor;
    run->observation.duration_ms *= factor;
}
