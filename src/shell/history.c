/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/failure.h"
#include "shell/render.h"
#include "shell/report.h"
#include "shell/units.h"

#include <string.h>

/* Where deep scaling begins by default: usage above the prediction times this is worth a mark. */
#define HISTORY_MARK_ABOVE 1.2

/* "320 / 733 MiB" rather than "320 MiB / 733 MiB". */
static void history_drop_unit(char *predicted, const char *used)
{
    char *unit = predicted != NULL ? strchr(predicted, ' ') : NULL;
    const char *other = used != NULL ? strchr(used, ' ') : NULL;
    if (unit != NULL && other != NULL && strcmp(unit, other) == 0)
        *unit = '\0';
}

static void history_render(const struct output *output, const json_t *observation, const char *predicted_path,
                           const char *used_path, field_render render, struct cell *cell)
{
    struct cell predicted = {NULL, TONE_PLAIN}, used = {NULL, TONE_PLAIN};
    const json_t *predicted_value = output_at(observation, predicted_path),
                 *used_value = output_at(observation, used_path);
    if (predicted_value != NULL)
        render(output, predicted_value, &predicted);
    if (used_value != NULL)
        render(output, used_value, &used);
    double limit = json_number_value(predicted_value) * HISTORY_MARK_ABOVE;
    gboolean over = predicted.text != NULL && json_number_value(used_value) > limit;
    history_drop_unit(predicted.text, used.text);
    if (predicted.text != NULL || used.text != NULL)
        cell->text = g_strdup_printf("%s / %s%s", predicted.text != NULL ? predicted.text : "-",
                                     used.text != NULL ? used.text : "-", over ? " !" : "");
    cell->tone = over ? TONE_WORK : TONE_PLAIN;
    g_free(predicted.text);
    g_free(used.text);
}

static void render_vcpus(const struct output *output, const json_t *value, struct cell *cell)
{
    history_render(output, value, "demand/vcpus/p90", "vcpus", render_real, cell);
}

static void render_memory(const struct output *output, const json_t *value, struct cell *cell)
{
    history_render(output, value, "demand/memory_mib/p90", "memory_mib", render_mib, cell);
}

static void render_network(const struct output *output, const json_t *value, struct cell *cell)
{
    if (output_number_at(value, "network_mbps") > 0)
        history_render(output, value, "demand/network_mbps/p90", "network_mbps", render_mbps, cell);
}

static void render_duration(const struct output *output, const json_t *value, struct cell *cell)
{
    history_render(output, value, "demand/duration_ms/p90", "duration_ms", render_ms, cell);
}

static void render_source(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    const char *source = output_string_at(value, "source");
    double count = output_number_at(value, "sample_count");
    if (source == NULL)
        return;
    cell->text = count > 0 ? g_strdup_printf("%s (%.0f)", source, count) : g_strdup(source);
}

/* Of the adjustments of its VM: "2", "1, 1 failed". */
static void render_changes(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    size_t index = 0, failed = 0;
    const json_t *adjustment = NULL;
    json_array_foreach (value, index, adjustment)
        failed += json_object_get(adjustment, "error") != NULL;
    const size_t count = json_array_size(value);
    if (failed > 0)
        cell->text = g_strdup_printf("%zu, %zu failed", count - failed, failed);
    else if (count > 0)
        cell->text = g_strdup_printf("%zu", count);
}

static const struct field history_columns[] = {
    {"EXECUTION", "execution_id", render_text, TABLE_LEFT},
    {"FUNCTION", "code/function", render_text, TABLE_LEFT},
    {"ENDED", "ended_at", render_relative, TABLE_RIGHT},
    {"RESULT", ".", render_result, TABLE_LEFT},
    {"PREDICTED BY", "demand", render_source, TABLE_LEFT},
    {"CPUS", ".", render_vcpus, TABLE_LEFT},
    {"MEMORY", ".", render_memory, TABLE_LEFT},
    {"NETWORK", ".", render_network, TABLE_LEFT},
    {"DURATION", ".", render_duration, TABLE_LEFT},
    {"CHANGES", "adjustments", render_changes, TABLE_LEFT},
};

static const struct view history_view = {"history", "no executions have ended yet", history_columns,
                                         G_N_ELEMENTS(history_columns), NULL};

gboolean history_run(struct session *session, const struct arguments *arguments, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return FALSE;
    struct hbr_filter filter = {.function = arguments_string(arguments, "function"),
                                .tenant = arguments_string(arguments, "tenant"),
                                .limit = (unsigned)arguments_number(arguments, "limit")};
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    if (!hbr_history(client, &filter, &text, &remote))
        return failure_take(&remote, error);
    g_autoptr(json_auto) answer = session_parse(text, error);
    if (answer == NULL)
        return FALSE;
    gboolean has_rows = json_array_size(json_object_get(answer, "history")) > 0;
    if (!session->output.quiet && !session->output.is_json && has_rows)
        output_print(&session->output, "Predicted (p90) / used; \"!\": more than a fifth above the prediction.\n\n");
    output_list(&session->output, &history_view, answer);
    return TRUE;
}
