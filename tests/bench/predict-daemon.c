/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict-parts.h"

#include "base/clock.h"
#include "base/mailbox.h"
#include "store/store.h"

#include "intake-load.h"
#include "traffic.h"
#include "world.h"

#include <string.h>

/* The time of a prediction in harbingerd on a simulated host, by its own count (harbinger_prediction_seconds), while it takes notifications and while it
 * trains beside that. It has learnt from runs that it finds in its database. */

#define RUNS 20000
#define GROUP 500 /* records in one write */
#define CLIENTS 32
#define RATE 2000 /* notifications a second */
#define NOTIFICATIONS 12000
#define BOUNDS_MAX 32

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
    known.ended_at = clock_now() - (gint64)(RUNS - number) * 30 * CLOCK_SECOND;
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
    for (guint first = 0; first < RUNS; first += GROUP) {
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

static const struct study *announced; /* whose programs are announced */

static void write_code(guint64 number, const char *name, GString *text)
{
    const struct row *row = row_at(announced->all, (guint)(number % announced->all->len));
    const struct code_metadata *code = &row->observation.code;
    g_string_append_printf(text,
                           "{\"function\":\"%s%" G_GUINT64_FORMAT "\",\"tenant\":\"tenant-%u\",\"language\":\"%s\","
                           "\"algorithm\":\"%s\",\"libraries\":[\"library-%u\"],\"code_bytes\":%" G_GINT64_FORMAT
                           ",\"payload_items\":%" G_GINT64_FORMAT ",\"payload_bytes\":%" G_GUINT64_FORMAT "}",
                           name, number, (guint)(number % 20), code->language, code->algorithm, (guint)(number % 30),
                           code->code_bytes, code->payload_items, 1000 + number);
}

static void write_distinct(guint64 number, GString *text)
{
    write_code(number, "new-", text);
}

static void write_repeated(guint64 number, GString *text)
{
    write_code(number % 100, "known-", text);
}

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

/* FALSE: it cannot learn. */
static gboolean train_daemon(struct world *world, gboolean waits)
{
    struct hbr_error error = HBR_ERROR_INIT;
    struct hbr_response response = HBR_RESPONSE_INIT;
    const gboolean is_done =
        hbr_request(world->client, "POST", waits ? "/v1/models/train?wait=true" : "/v1/models/train", NULL, "", 0,
                    &response, &error);
    if (!is_done)
        g_printerr("the daemon does not train: %s\n", error.message);
    hbr_error_clear(&error);
    hbr_response_clear(&response);
    return is_done;
}

gboolean measure_daemon(const struct study *study, struct traffic *traffic,
                        struct latency_figures ret_figures[SITUATIONS])
{
    announced = study;
    world_prepare = write_runs;
    world_prepare_data = traffic;
    g_autofree char *policy_path = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "policies", "default.yaml", NULL);
    g_autofree char *policy = NULL;
    g_file_get_contents(policy_path, &policy, NULL, NULL);
    struct world *world = world_new_on(policy, "sim:bench?vcpus=64&memory_mib=262144");
    const gboolean is_learning = train_daemon(world, TRUE);
    for (guint i = 0; is_learning && i < SITUATIONS; i++) {
        const gboolean is_training = i == DISTINCT_TRAINING || i == REPEATED_TRAINING;
        if (is_training)
            train_daemon(world, FALSE);
        ret_figures[i] = load_daemon(world, i >= REPEATED_ALONE);
        if (is_training)
            train_daemon(world, TRUE);
    }
    world_free(world);
    return is_learning;
}
