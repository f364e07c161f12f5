/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

/* The core's figures in the text format of Prometheus, version 0.0.4. */

static const struct {
    const char *name, *help;
} counter_table[COUNTER_COUNT] = {
    [COUNTER_NOTIFICATIONS] = {"notifications_total", "Notifications accepted."},
    [COUNTER_NOTIFICATIONS_REPEATED] = {"notifications_repeated_total",
                                        "Notifications that repeated an idempotency key."},
    [COUNTER_NOTIFICATIONS_REFUSED] = {"notifications_refused_total", "Notifications refused."},
    [COUNTER_NO_SHOWS] = {"no_shows_total", "Reservations that expired unclaimed."},
    [COUNTER_UNPLACED] = {"unplaced_total", "Reservations that expired before a host had room."},
    [COUNTER_EXECUTIONS] = {"executions_total", "Executions accepted."},
    [COUNTER_EXECUTIONS_LOST] = {"executions_lost_total", "Executions whose VM was lost."},
    [COUNTER_RETRIES] = {"retries_total", "Executions run once more after they ran out of memory."},
    [COUNTER_BOOTS] = {"boots_total", "Instances started."},
    [COUNTER_BOOTS_FAILED] = {"boots_failed_total", "Instances that did not become ready."},
    [COUNTER_INSTANCES_LOST] = {"instances_lost_total", "Ready or busy instances that were lost."},
    [COUNTER_ADJUSTMENTS] = {"adjustments_total", "Changes of a running instance's shape."},
    [COUNTER_ADJUSTMENTS_FAILED] = {"adjustments_failed_total", "Changes of shape that failed or had no room."},
    [COUNTER_MIGRATIONS] = {"migrations_total", "Instances that were moved to another host."},
    [COUNTER_MIGRATIONS_FAILED] = {"migrations_failed_total", "Migrations that failed."},
    [COUNTER_COMMITS_FAILED] = {"commits_failed_total", "Writes that the database did not take."},
    [COUNTER_ORPHANS] = {"orphans_total", "Domains of ours removed because nobody knew of them."},
};

static void metrics_head(GString *text, const char *name, const char *help, const char *type)
{
    g_string_append_printf(text, "# HELP harbinger_%s %s\n# TYPE harbinger_%s %s\n", name, help, name, type);
}

static const char *const drift_findings[] = {"none", "spike", "excess", "decline"};
static const struct codec_words drift_finding_words = {drift_findings, G_N_ELEMENTS(drift_findings)};

/* Sums, to be divided by the count. */
static void metrics_adjustment_times(const struct core *core, GString *text)
{
    static const char *const phases[] = {"decide", "hypervisor", "confirm"};
    metrics_head(text, "adjustment_seconds", "Time of the phases of confirmed changes of shape.", "summary");
    for (guint resource = 0; resource < RESOURCE_ALL; resource++) {
        const struct adjust_times *times = &core->adjust_times[resource];
        const gint64 sums_us[] = {times->decide_us, times->hypervisor_us, times->confirm_us};
        for (guint i = 0; i < G_N_ELEMENTS(phases); i++) {
            const char *word = codec_word(&resource_words, resource);
            g_string_append_printf(text, "harbinger_adjustment_seconds_sum{resource=\"%s\",phase=\"%s\"} %.6f\n", word,
                                   phases[i], (double)sums_us[i] / CLOCK_SECOND);
            g_string_append_printf(
                text, "harbinger_adjustment_seconds_count{resource=\"%s\",phase=\"%s\"} %" G_GUINT64_FORMAT "\n", word,
                phases[i], times->count);
        }
    }
}

static const gint64 prediction_bounds_us[PREDICTION_BOUNDS] = {5,   10,  20,  30,  40,   60,   80,   100,
                                                               150, 200, 300, 500, 1000, 2000, 5000, 10000};

void core_count_prediction(struct core *core, gint64 took_us)
{
    struct prediction_times *times = &core->prediction_times;
    times->count++;
    times->sum_us += took_us;
    for (guint i = 0; i < PREDICTION_BOUNDS; i++)
        times->counts[i] += took_us <= prediction_bounds_us[i];
}

static void metrics_prediction_times(const struct core *core, GString *text)
{
    const struct prediction_times *times = &core->prediction_times;
    metrics_head(text, "prediction_seconds", "Time that the predictions for notifications took.", "histogram");
    for (guint i = 0; i < PREDICTION_BOUNDS; i++)
        g_string_append_printf(text, "harbinger_prediction_seconds_bucket{le=\"%.6f\"} %" G_GUINT64_FORMAT "\n",
                               (double)prediction_bounds_us[i] / CLOCK_SECOND, times->counts[i]);
    g_string_append_printf(text,
                           "harbinger_prediction_seconds_bucket{le=\"+Inf\"} %" G_GUINT64_FORMAT
                           "\nharbinger_prediction_seconds_sum %.6f\nharbinger_prediction_seconds_count "
                           "%" G_GUINT64_FORMAT "\n",
                           times->count, (double)times->sum_us / CLOCK_SECOND, times->count);
}

static void metrics_counters(const struct core *core, GString *text)
{
    for (guint i = 0; i < COUNTER_COUNT; i++) {
        metrics_head(text, counter_table[i].name, counter_table[i].help, "counter");
        g_string_append_printf(text, "harbinger_%s %" G_GUINT64_FORMAT "\n", counter_table[i].name, core->counters[i]);
    }
}

static void metrics_words(GString *text, const char *name, const char *label, const char *help, const char *type,
                          const struct codec_words *words, const guint64 *counts)
{
    metrics_head(text, name, help, type);
    for (guint i = 0; i < words->count; i++)
        g_string_append_printf(text, "harbinger_%s{%s=\"%s\"} %" G_GUINT64_FORMAT "\n", name, label,
                               codec_word(words, i), counts[i]);
}

#define METRICS_STATES_MAX 16

static void metrics_states(const struct core *core, GString *text)
{
    guint64 counts[3][METRICS_STATES_MAX] = {{0}};
    GHashTableIter iter;
    gpointer entry;
    g_hash_table_iter_init(&iter, core->reservations);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        counts[0][((struct reservation_entry *)entry)->doc->state]++;
    g_hash_table_iter_init(&iter, core->executions);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        counts[1][((struct execution_entry *)entry)->doc->state]++;
    g_hash_table_iter_init(&iter, core->instances);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        counts[2][((struct instance_entry *)entry)->doc->state]++;
    metrics_words(text, "reservations", "state", "Reservations held in memory.", "gauge", &reservation_state_words,
                  counts[0]);
    metrics_words(text, "executions", "state", "Executions held in memory.", "gauge", &execution_state_words,
                  counts[1]);
    metrics_words(text, "instances", "state", "Instances held in memory.", "gauge", &instance_state_words, counts[2]);
}

static void metrics_hosts(struct core *core, GString *text)
{
    g_autoptr(GPtrArray) hosts = host_entries_sorted(core);
    static const struct {
        const char *name, *help;
        gsize offset;
    } gauges[] = {
        {"host_committed_vcpus", "vCPUs promised.", G_STRUCT_OFFSET(struct host, committed_vcpus)},
        {"host_committed_memory_mib", "Memory promised.", G_STRUCT_OFFSET(struct host, committed_memory_mib)},
        {"host_instances", "Instances.", G_STRUCT_OFFSET(struct host, instance_count)},
    };
    metrics_head(text, "host_up", "1 when the host is up.", "gauge");
    for (guint i = 0; i < hosts->len; i++) {
        const struct host *doc = ((struct host_entry *)hosts->pdata[i])->doc;
        g_string_append_printf(text, "harbinger_host_up{host=\"%s\"} %d\n", doc->spec->name, doc->state == HOST_UP);
    }
    for (guint gauge = 0; gauge < G_N_ELEMENTS(gauges); gauge++) {
        metrics_head(text, gauges[gauge].name, gauges[gauge].help, "gauge");
        for (guint i = 0; i < hosts->len; i++) {
            const struct host *doc = ((struct host_entry *)hosts->pdata[i])->doc;
            g_string_append_printf(text, "harbinger_%s{host=\"%s\"} %u\n", gauges[gauge].name, doc->spec->name,
                                   *(const guint *)(gconstpointer)((const char *)doc + gauges[gauge].offset));
        }
    }
}

/* The keys of core->latencies are "WAY TEMPLATE@HOST", see core_latency(): a path, with the vCPUs that are plugged in on it, or "stage". */
static void metrics_latencies(const struct core *core, GString *text)
{
    metrics_head(text, "way_seconds",
                 "Time to proven ready by path, or to put a program in place, over the newest ones.", "summary");
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, core->latencies);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        g_auto(GStrv) words = g_strsplit_set(key, " @", 3);
        static const double quantiles[] = {0.5, 0.95};
        for (guint i = 0; i < G_N_ELEMENTS(quantiles) && ((struct latency *)value)->count > 0; i++)
            g_string_append_printf(
                text, "harbinger_way_seconds{way=\"%s\",template=\"%s\",host=\"%s\",quantile=\"%g\"} %.3f\n", words[0],
                words[1], words[2], quantiles[i],
                (double)latency_quantile(value, quantiles[i], core->now, 0, 0) / 1000);
    }
}

static const struct {
    const char *name, *type, *help;
    gsize offset;
    gboolean is_wide; /* guint64, else guint */
} pool_gauges[] = {
    {"pool_running", "gauge", "Warm instances that run idle.", G_STRUCT_OFFSET(struct pool, stock.running), FALSE},
    {"pool_paused", "gauge", "Suspended instances.", G_STRUCT_OFFSET(struct pool, stock.paused), FALSE},
    {"pool_saved", "gauge", "Saved states.", G_STRUCT_OFFSET(struct pool, stock.saved), FALSE},
    {"pool_target_running", "gauge", "Target of the same.", G_STRUCT_OFFSET(struct pool, target.running), FALSE},
    {"pool_target_paused", "gauge", "Target of the same.", G_STRUCT_OFFSET(struct pool, target.paused), FALSE},
    {"pool_target_saved", "gauge", "Target of the same.", G_STRUCT_OFFSET(struct pool, target.saved), FALSE},
    {"pool_warming", "gauge", "Warm-ups under way.", G_STRUCT_OFFSET(struct pool, warming), FALSE},
    {"pool_idle_memory_mib", "gauge", "Memory held by waiting instances.", G_STRUCT_OFFSET(struct pool, idle_mib),
     FALSE},
    {"pool_hits_total", "counter", "Reservations served from the pool.", G_STRUCT_OFFSET(struct pool, hits), TRUE},
    {"pool_misses_total", "counter", "Reservations that it could not serve in time.",
     G_STRUCT_OFFSET(struct pool, misses), TRUE},
    {"pool_warmed_total", "counter", "Instances warmed up.", G_STRUCT_OFFSET(struct pool, warmed), TRUE},
    {"pool_wasted_total", "counter", "Warm instances that nobody claimed.", G_STRUCT_OFFSET(struct pool, wasted), TRUE},
};

static void metrics_pool_gauge(GString *text, guint gauge, const struct pool *doc)
{
    gconstpointer slot = (const char *)doc + pool_gauges[gauge].offset;
    g_string_append_printf(text, "harbinger_%s{pool=\"%s\",host=\"%s\"} %" G_GUINT64_FORMAT "\n",
                           pool_gauges[gauge].name, doc->name, doc->host,
                           pool_gauges[gauge].is_wide ? *(const guint64 *)slot : *(const guint *)slot);
}

static void metrics_pools(struct core *core, GString *text)
{
    g_autoptr(GPtrArray) pools = pools_sorted(core);
    for (guint i = 0; i < pools->len; i++)
        pool_account(core, pools->pdata[i]);
    for (guint gauge = 0; gauge < G_N_ELEMENTS(pool_gauges); gauge++) {
        metrics_head(text, pool_gauges[gauge].name, pool_gauges[gauge].help, pool_gauges[gauge].type);
        for (guint i = 0; i < pools->len; i++)
            metrics_pool_gauge(text, gauge, ((struct pool_entry *)pools->pdata[i])->doc);
    }
    metrics_head(text, "pool_idle_mib_hours_total", "Memory times time held by waiting instances.", "counter");
    metrics_head(text, "pool_miss_reasons_total", "Misses by reason.", "counter");
    for (guint i = 0; i < pools->len; i++) {
        const struct pool *doc = ((struct pool_entry *)pools->pdata[i])->doc;
        g_string_append_printf(text, "harbinger_pool_idle_mib_hours_total{pool=\"%s\",host=\"%s\"} %.6f\n", doc->name,
                               doc->host, doc->idle_mib_hours);
        for (guint k = 0; doc->miss_reasons != NULL && k < doc->miss_reasons->len; k++) {
            const struct pool_miss *miss = doc->miss_reasons->pdata[k];
            g_string_append_printf(
                text,
                "harbinger_pool_miss_reasons_total{pool=\"%s\",host=\"%s\",reason=\"%s\"} %" G_GUINT64_FORMAT "\n",
                doc->name, doc->host, miss->reason, miss->count);
        }
    }
}

char *core_metrics_text(struct core *core)
{
    GString *text = g_string_new(NULL);
    metrics_counters(core, text);
    metrics_words(text, "execution_matches_total", "match", "Where executions found their instance.", "counter",
                  &execution_match_words, core->matches);
    metrics_words(text, "execution_ends_total", "reason", "Why executions ended.", "counter", &exit_reason_words,
                  core->exits);
    metrics_words(text, "paths_total", "path", "Ways by which reservations got their instance.", "counter", &path_words,
                  core->paths_taken);
    metrics_words(text, "paths_kept_total", "path", "Of these, ready no later than predicted.", "counter", &path_words,
                  core->paths_kept);
    metrics_words(text, "path_overruns_total", "path", "Of these, helped by another path.", "counter", &path_words,
                  core->path_overruns);
    metrics_words(text, "adjustments_by_reason_total", "reason", "Changes of a running instance's shape.", "counter",
                  &adjustment_reason_words, core->adjustments);
    metrics_words(text, "drift_looks_total", "finding", "Looks at running code, by what the drift test found.",
                  "counter", &drift_finding_words, core->drifts);
    metrics_adjustment_times(core, text);
    if (core->settings.stopwatch != NULL)
        metrics_prediction_times(core, text);
    metrics_words(text, "code_places_total", "place", "Whether programs stood in place before the request.", "counter",
                  &code_place_words, core->code_places);
    metrics_states(core, text);
    metrics_pools(core, text);
    metrics_hosts(core, text);
    metrics_latencies(core, text);
    metrics_head(text, "policy_version", "Policy version in force.", "gauge");
    g_string_append_printf(text, "harbinger_policy_version %u\n", core->policy->version);
    return g_string_free(text, FALSE);
}
