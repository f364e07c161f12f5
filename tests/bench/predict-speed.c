/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "base/clock.h"
#include "base/mailbox.h"
#include "store/store.h"

#include "intake-load.h"
#include "traffic.h"
#include "world.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* What a training takes; and what a prediction takes in harbingerd on a simulated host, by its own count (harbinger_prediction_seconds), while it takes
 * notifications, and while it trains beside that. It has learnt from runs that it finds in its database. */

#define LEARNT_RUNS 20000
#define GROUP 500 /* records in one write */
#define CLIENTS 32
#define RATE 2000 /* notifications a second */
#define NOTIFICATIONS 12000
#define REPEATED 100 /* different ones */
#define BOUNDS_MAX 32
#define TENANTS 20
#define LIBRARIES 30
#define MEAN_GAP (30 * G_USEC_PER_SEC)

/* --- Training --- */

static struct traffic *speed_traffic(const struct study *study)
{
    const struct traffic_settings settings = {
        .rows = study->all,
        .repeats = study->repeats,
        .tenants = TENANTS,
        .libraries = LIBRARIES,
        .zipf = 0.8,
        .other_input = 0.5,
        .mean_gap = MEAN_GAP,
        .seed = PARTS_SEED,
    };
    return traffic_new(&settings);
}

static GArray *speed_samples(const struct study *study)
{
    g_autoptr(traffic_auto) traffic = speed_traffic(study);
    return traffic_samples(traffic, LEARNT_RUNS);
}

static guint targets_count(const GArray *samples)
{
    guint count = 0;
    for (guint target = 0; target < TARGET_COUNT; target++)
        for (guint i = 0; i < samples->len; i++)
            if (isfinite(g_array_index(samples, struct sample, i).targets[target])) {
                count++;
                break;
            }
    return count;
}

void measure_train_time(struct study *study)
{
    g_autoptr(GArray) samples = speed_samples(study);
    const double begin = parts_seconds(CLOCK_MONOTONIC), cpu_begin = parts_seconds(CLOCK_PROCESS_CPUTIME_ID);
    g_autoptr(model_auto) model = parts_train(samples);
    const double took = parts_seconds(CLOCK_MONOTONIC) - begin;
    const double cpu = parts_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin;
    const struct model_info *info = model_get_info(model);
    g_print(
        "\ntraining with %u runs of %u functions, %u targets: %.1f s, of which %.1f s on a CPU (wanted: below 20)\n",
        samples->len, info->function_count, targets_count(samples), took, cpu);
    g_print("bench train-time n=%u targets=%u seconds=%.2f cpu_seconds=%.2f\n", samples->len, targets_count(samples),
            took, cpu);
}

/* --- What it finds in its database --- */

static void free_event(gpointer event)
{
    event_free(event);
}

static void post_event(struct event *event, gpointer mailbox)
{
    mailbox_post(mailbox, event);
}

static struct record *record_of_run(const struct traffic_run *run, guint number)
{
    struct record *record = g_new0(struct record, 1);
    g_autofree char *id = g_strdup_printf("exec-bench-%u", number);
    struct observation known = run->observation;
    known.execution_id = id;
    known.ended_at = clock_now() - (gint64)(LEARNT_RUNS - number) * 30 * CLOCK_SECOND;
    record->kind = RECORD_OBSERVATION;
    record->object = OBJECT_EXECUTION;
    record->id = g_strdup(id);
    record->at = known.ended_at;
    record->observation = codec_copy(&observation_codec, &known);
    return record;
}

static struct command *records_of(struct traffic *traffic, guint first)
{
    struct command *command = command_new(COMMAND_PERSIST);
    command->records = g_ptr_array_new_with_free_func((GDestroyNotify)record_free);
    for (guint i = 0; i < GROUP; i++) {
        struct traffic_run run;
        traffic_next(traffic, &run);
        g_ptr_array_add(command->records, record_of_run(&run, first + i));
    }
    return command;
}

static void write_runs(const char *state_dir, gpointer traffic)
{
    g_autofree char *path = g_build_filename(state_dir, "harbinger.db", NULL);
    g_autoptr(GError) error = NULL;
    struct mailbox *events = mailbox_new(free_event);
    struct store *store = store_open(path, &error);
    if (store == NULL)
        g_error("%s", error->message);
    store_start(store, post_event, events);
    for (guint first = 0; first < LEARNT_RUNS; first += GROUP) {
        store_submit(store, records_of(traffic, first));
        g_autoptr(event_auto) event = mailbox_take(events, -1);
        if (event->kind != EVENT_COMMITTED)
            g_error("not committed: %s", event->error->message);
    }
    store_free(store);
    mailbox_free(events);
}

/* --- Its own count --- */

struct times {
    guint bounds;
    double bounds_us[BOUNDS_MAX];
    double counts[BOUNDS_MAX], count; /* at most as long as the bound; all */
};

static char *read_metrics(struct world *world)
{
    struct hbr_error error = HBR_ERROR_INIT;
    char *text;
    if (!hbr_metrics(world->client, &text, &error))
        g_error("%s", error.message);
    char *copy = g_strdup(text);
    hbr_free(text);
    return copy;
}

static void times_read(struct world *world, struct times *ret_times)
{
    static const char bucket[] = "harbinger_prediction_seconds_bucket{le=\"";
    g_autofree char *text = read_metrics(world);
    *ret_times = (struct times){0};
    for (const char *at = text; (at = strstr(at, bucket)) != NULL;) {
        char *end;
        const double bound = g_ascii_strtod(at + strlen(bucket), &end);
        const double count = g_ascii_strtod(strchr(end, ' '), NULL);
        at = end;
        ret_times->count = count; /* the last bound is infinite */
        if (ret_times->bounds < BOUNDS_MAX && bound < 1) {
            ret_times->bounds_us[ret_times->bounds] = 1e6 * bound;
            ret_times->counts[ret_times->bounds++] = count;
        }
    }
}

/* Of what was counted between the two, even within each bucket; beyond the last bound, that. */
static double times_quantile(const struct times *before, const struct times *after, double quantile)
{
    const double wanted = quantile * (after->count - before->count);
    double below = 0, from = 0;
    for (guint i = 0; i < after->bounds; i++) {
        const double upto = after->counts[i] - before->counts[i];
        if (upto >= wanted)
            return from + (after->bounds_us[i] - from) * (wanted - below) / MAX(upto - below, 1);
        below = upto;
        from = after->bounds_us[i];
    }
    return from;
}

/* --- Load --- */

static const struct traffic *announced; /* whose functions are announced */

/* Every other one of a function that has run, with a payload of a size of its own; the rest of functions that have not. */
static void write_distinct(guint64 number, GString *text)
{
    struct code_metadata code = *traffic_code(announced, (guint)(number % traffic_function_count(announced)));
    g_autofree char *name = g_strdup_printf("new-%" G_GUINT64_FORMAT, number);
    code.payload_bytes = (gint64)(1000 + number);
    if (number % 2 == 0)
        code.function = name;
    codec_write(text, &code_metadata_codec, &code, CODEC_STORE);
}

static void write_repeated(guint64 number, GString *text)
{
    write_distinct(number % REPEATED, text);
}

struct latency_figures {
    guint count;
    double median_us, p99_us;
};

static struct latency_figures load_daemon(struct world *world, gboolean is_repeated)
{
    struct load load = {.rate = RATE, .write_code = is_repeated ? write_repeated : write_distinct};
    struct times before, after;
    times_read(world, &before);
    load_run(&load, world->socket, CLIENTS, NOTIFICATIONS);
    times_read(world, &after);
    if (load.failures > 0)
        g_printerr("%u notifications were refused\n", load.failures);
    load_clear(&load);
    return (struct latency_figures){
        .count = (guint)(after.count - before.count),
        .median_us = times_quantile(&before, &after, 0.5),
        .p99_us = times_quantile(&before, &after, 0.99),
    };
}

static void train_daemon(struct world *world, gboolean waits)
{
    world_post(world, waits ? "models/train?wait=true" : "models/train", "");
}

/* Whether metadata repeats, and whether a training runs beside. */
enum { DISTINCT_ALONE, DISTINCT_TRAINING, REPEATED_ALONE, REPEATED_TRAINING, SITUATIONS };

static const char *const situations[SITUATIONS] = {"distinct metadata", "  while a training runs", "repeated metadata",
                                                   "  while a training runs"};

static void measure_daemon(struct world *world, struct latency_figures ret_figures[SITUATIONS])
{
    train_daemon(world, TRUE);
    for (guint i = 0; i < SITUATIONS; i++) {
        const gboolean is_training = i == DISTINCT_TRAINING || i == REPEATED_TRAINING;
        if (is_training)
            train_daemon(world, FALSE);
        ret_figures[i] = load_daemon(world, i >= REPEATED_ALONE);
        if (is_training)
            train_daemon(world, TRUE);
    }
}

static void figures_report(const struct latency_figures figures[SITUATIONS])
{
    g_print("\nprediction in harbingerd at %d notifications a second, microseconds\n%-40s %8s %8s %8s\n", RATE, "",
            "median", "p99", "n");
    for (guint i = 0; i < SITUATIONS; i++)
        g_print("%-40s %8.1f %8.1f %8u\n", situations[i], figures[i].median_us, figures[i].p99_us, figures[i].count);
    g_print("wanted: median at most 60, p99 at most 300, and at most 1.5 times as much while a training runs\n"
            "bench predict-latency n=%u median_us=%.1f p99_us=%.1f training_median_us=%.1f training_p99_us=%.1f "
            "p99_ratio=%.2f repeated_median_us=%.1f repeated_p99_us=%.1f\n",
            figures[DISTINCT_ALONE].count, figures[DISTINCT_ALONE].median_us, figures[DISTINCT_ALONE].p99_us,
            figures[DISTINCT_TRAINING].median_us, figures[DISTINCT_TRAINING].p99_us,
            figures[DISTINCT_TRAINING].p99_us / figures[DISTINCT_ALONE].p99_us, figures[REPEATED_ALONE].median_us,
            figures[REPEATED_ALONE].p99_us);
}

void measure_latency(struct study *study)
{
    g_autoptr(traffic_auto) traffic = speed_traffic(study);
    g_autofree char *path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "policies", "default.yaml", NULL);
    g_autofree char *policy = NULL;
    g_autoptr(GError) error = NULL;
    struct latency_figures figures[SITUATIONS];
    if (!g_file_get_contents(path, &policy, NULL, &error))
        g_error("%s", error->message);
    announced = traffic;
    world_prepare = write_runs;
    world_prepare_data = traffic;
    struct world *world = world_new_on(policy, "sim:bench?vcpus=64&memory_mib=262144");
    measure_daemon(world, figures);
    world_free(world);
    figures_report(figures);
}
