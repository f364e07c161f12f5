/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/usage.h"

#include "model/limits.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define AMOUNT_MAX G_GINT64_CONSTANT(1000000000000)

static const struct codec_field usage_sample_fields[] = {
    {"at", CODEC_TIME, AT(usage_sample, at), 0, 0, 0, NULL, NULL},
    {"pressure", CODEC_UINT, AT(usage_sample, pressure), CODEC_SPARSE, 0, 31, NULL, NULL},
    {"has_guest", CODEC_BOOL, AT(usage_sample, has_guest), 0, 0, 0, NULL, NULL},
    {"cpu_used", CODEC_DOUBLE, AT(usage_sample, cpu_used), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"cpu_waited", CODEC_DOUBLE, AT(usage_sample, cpu_waited), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"rss_mib", CODEC_UINT, AT(usage_sample, rss_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"disk_read_mbps", CODEC_DOUBLE, AT(usage_sample, disk_read_mbps), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"disk_write_mbps", CODEC_DOUBLE, AT(usage_sample, disk_write_mbps), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"memory_limit_mib", CODEC_UINT, AT(usage_sample, memory_limit_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL,
     NULL},
    {"swap_mib", CODEC_UINT, AT(usage_sample, swap_mib), CODEC_SPARSE, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"cpu_stalled", CODEC_DOUBLE, AT(usage_sample, cpu_stalled), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"memory_stalled", CODEC_DOUBLE, AT(usage_sample, memory_stalled), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"io_stalled", CODEC_DOUBLE, AT(usage_sample, io_stalled), CODEC_SPARSE, 0, AMOUNT_MAX, NULL, NULL},
    {"oom_kills", CODEC_INT64, AT(usage_sample, oom_kills), CODEC_SPARSE, 0, G_MAXINT64, NULL, NULL},
    {"runnable", CODEC_DOUBLE, AT(usage_sample, runnable), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"memory_used_mib", CODEC_UINT, AT(usage_sample, memory_used_mib), 0, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"memory_total_mib", CODEC_UINT, AT(usage_sample, memory_total_mib), 0, 0, MODEL_MEMORY_MIB_MAX, NULL, NULL},
    {"vcpus_online", CODEC_UINT, AT(usage_sample, vcpus_online), 0, 0, MODEL_VCPUS_MAX, NULL, NULL},
    {"network_rx_mbps", CODEC_DOUBLE, AT(usage_sample, network_rx_mbps), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"network_tx_mbps", CODEC_DOUBLE, AT(usage_sample, network_tx_mbps), 0, 0, AMOUNT_MAX, NULL, NULL},
};

CODEC_DEFINE(usage_sample, usage_sample_fields)

CODEC_WORDS_DEFINE(exit_reason_words, "exited", "signalled", "wall-clock-limit", "out-of-memory", "output-limit",
                   "cancelled", "lost", "refused");

static const struct codec_field run_result_fields[] = {
    {"reason", CODEC_ENUM, AT(run_result, reason), 0, 0, 0, NULL, &exit_reason_words},
    {"status", CODEC_UINT, AT(run_result, status), 0, 0, 255, NULL, NULL},
    {"message", CODEC_STRING, AT(run_result, message), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"wall_us", CODEC_INT64, AT(run_result, wall_us), 0, -1, G_MAXINT64, NULL, NULL},
    {"cpu_user_us", CODEC_INT64, AT(run_result, cpu_user_us), 0, -1, G_MAXINT64, NULL, NULL},
    {"cpu_system_us", CODEC_INT64, AT(run_result, cpu_system_us), 0, -1, G_MAXINT64, NULL, NULL},
    {"memory_peak_bytes", CODEC_INT64, AT(run_result, memory_peak_bytes), 0, -1, G_MAXINT64, NULL, NULL},
    {"io_read_bytes", CODEC_INT64, AT(run_result, io_read_bytes), 0, -1, G_MAXINT64, NULL, NULL},
    {"io_write_bytes", CODEC_INT64, AT(run_result, io_write_bytes), 0, -1, G_MAXINT64, NULL, NULL},
    {"network_rx_bytes", CODEC_INT64, AT(run_result, network_rx_bytes), 0, -1, G_MAXINT64, NULL, NULL},
    {"network_tx_bytes", CODEC_INT64, AT(run_result, network_tx_bytes), 0, -1, G_MAXINT64, NULL, NULL},
    {"pids_peak", CODEC_UINT, AT(run_result, pids_peak), CODEC_SPARSE, 0, G_MAXINT32, NULL, NULL},
};

CODEC_DEFINE(run_result, run_result_fields)

CODEC_WORDS_DEFINE(resource_words, "cpu", "memory", "network", "disk", "gpu");

CODEC_WORDS_DEFINE(adjustment_reason_words, "excess", "need", "pressure", "slack", "room", "hand");

static const struct codec_field adjustment_fields[] = {
    {"signalled_at", CODEC_TIME, AT(adjustment, signalled_at), 0, 0, 0, NULL, NULL},
    {"at", CODEC_TIME, AT(adjustment, at), 0, 0, 0, NULL, NULL},
    {"confirmed_at", CODEC_TIME, AT(adjustment, confirmed_at), 0, 0, 0, NULL, NULL},
    {"hypervisor_at", CODEC_TIME, AT(adjustment, hypervisor_at), 0, 0, 0, NULL, NULL},
    {"resource", CODEC_ENUM, AT(adjustment, resource), 0, 0, 0, NULL, &resource_words},
    {"reason", CODEC_ENUM, AT(adjustment, reason), 0, 0, 0, NULL, &adjustment_reason_words},
    {"cause", CODEC_STRING, AT(adjustment, cause), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"predicted", CODEC_DOUBLE, AT(adjustment, predicted), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"actual", CODEC_DOUBLE, AT(adjustment, actual), 0, 0, AMOUNT_MAX, NULL, NULL},
    {"before", CODEC_STRUCT, AT(adjustment, before), 0, 0, 0, &vm_shape_codec, NULL},
    {"after", CODEC_STRUCT, AT(adjustment, after), 0, 0, 0, &vm_shape_codec, NULL},
    {"confirmed", CODEC_STRUCT, AT(adjustment, confirmed), 0, 0, 0, &vm_shape_codec, NULL},
    {"sample", CODEC_OBJECT, AT(adjustment, sample), 0, 0, 0, &usage_sample_codec, NULL},
    {"error", CODEC_STRING, AT(adjustment, error), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(adjustment, adjustment_fields)

static const struct codec_field timeline_entry_fields[] = {
    {"at", CODEC_TIME, AT(timeline_entry, at), 0, 0, 0, NULL, NULL},
    {"what", CODEC_STRING, AT(timeline_entry, what), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"detail", CODEC_STRING, AT(timeline_entry, detail), 0, 0, 4 * MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(timeline_entry, timeline_entry_fields)

void timeline_add(GPtrArray **timeline, gint64 at, const char *what, char *detail)
{
    if (*timeline == NULL)
        *timeline = g_ptr_array_new();
    if ((*timeline)->len >= MODEL_TIMELINE_MAX) {
        g_free(detail);
        return;
    }
    struct timeline_entry *entry = g_new0(struct timeline_entry, 1);
    entry->at = at;
    entry->what = g_strdup(what);
    entry->detail = detail;
    g_ptr_array_add(*timeline, entry);
}
