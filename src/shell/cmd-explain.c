/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/notification.h"
#include "shell/render.h"
#include "shell/report.h"
#include "shell/units.h"
#include "shell/views.h"

#include <string.h>

#define FIELDS(table) table, G_N_ELEMENTS(table)

/* Why a reservation is as it is: explain. */

static const struct command_option explain_options[] = {
    {"what", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "ID|FUNCTION",
     "a reservation or execution, or a function for a dry run", 0, 0, complete_any_id},
    {"dry-run", 0, OPTION_BOOL, 0, NULL, "FUNCTION it is, even if it looks like an id", 0, 0, NULL},
    NOTIFICATION_OPTIONS,
    METADATA_CODE_OPTION,
    METADATA_OPTIONS,
};

static const struct command_option timeline_options[] = {
    {"id", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "ID", "a reservation, execution or instance", 0, 0,
     complete_any_id},
};

static const struct command_option history_options[] = {
    {"function", 'f', OPTION_STRING, OPTION_POSITIONAL, "FUNCTION", "of this function (all)", 0, 0, complete_function},
    {"tenant", 't', OPTION_STRING, 0, "NAME", "of this tenant", 0, 0, NULL},
    {"limit", 'n', OPTION_INT, 0, "COUNT", "at most so many, the newest", 1, 100000, NULL},
};

static const struct command_option accuracy_options[] = {
    {"by", 'b', OPTION_STRING, 0, "WHAT", "put runs together by function, tenant, language or model", 0, 0,
     complete_accuracy_by},
    {"function", 'f', OPTION_STRING, OPTION_POSITIONAL, "FUNCTION", "of this function (all)", 0, 0, complete_function},
    {"tenant", 't', OPTION_STRING, 0, "NAME", "of this tenant", 0, 0, NULL},
    {"language", 'l', OPTION_STRING, 0, "NAME", "in this language", 0, 0, complete_language},
    {"since", 's', OPTION_TIME, 0, "TIME", "that ended since then: -7d, or a date", 0, 0, NULL},
    {"limit", 'n', OPTION_INT, 0, "COUNT", "at most so many, the newest (10000; of a picture 2000)", 1, 100000, NULL},
    {"picture", 'p', OPTION_BOOL, 0, NULL, "draw predicted against used, in place of the table", 0, 0, NULL},
    {"svg", 0, OPTION_STRING, 0, "FILE", "write such a picture to a file", 0, 0, complete_file},
};

static const struct field reason_fields[] = {
    {"rule", "rule", render_text, TABLE_LEFT},
    {"effect", "effect", render_text, TABLE_LEFT},
};

static void render_chosen(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup(json_is_true(value) ? "*" : "");
    cell->tone = TONE_GOOD;
}

/* A host that was out of the question has no cost. */
static void render_cost(const struct output *output, const json_t *value, struct cell *cell)
{
    if (json_is_true(json_object_get(value, "chosen")) || output_number_at(value, "cost") > 0)
        render_real(output, json_object_get(value, "cost"), cell);
}

static const struct field placement_fields[] = {
    {"", "chosen", render_chosen, TABLE_LEFT},
    {"host", "host", render_text, TABLE_LEFT},
    {"cost", ".", render_cost, TABLE_RIGHT},
    {"verdict", "verdict", render_text, TABLE_LEFT},
};

/* "lines 120, loops 6 (2 deep), calls 40": what is not 0. */
static void render_traits(const struct output *output, const json_t *value, struct cell *cell)
{
    static const char *const counts[][2] = {
        {"lines", "lines"},           {"loops", "loops"},
        {"functions", "functions"},   {"recursive", "recursive"},
        {"calls", "calls"},           {"conditionals", "conditionals"},
        {"imports", "imports"},       {"allocations", "allocations"},
        {"threads", "thread starts"},
    };
    (void)output;
    if (!json_is_object(value))
        return;
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        const double count = output_number_at(value, counts[i][0]), depth = output_number_at(value, "loop_depth");
        if (count > 0)
            g_string_append_printf(text, "%s%s %.0f", text->len > 0 ? ", " : "", counts[i][1], count);
        if (count > 0 && depth > 1 && strcmp(counts[i][0], "loops") == 0)
            g_string_append_printf(text, " (%.0f deep)", depth);
    }
    cell->text = g_string_free(text, text->len == 0);
}

static void explain_print_known(struct output *output, const json_t *code)
{
    static const struct field fields[] = {
        {"Function", "function", render_text, TABLE_LEFT},
        {"Tenant", "tenant", render_text, TABLE_LEFT},
        {"Language", "language", render_text, TABLE_LEFT},
        {"Libraries", "libraries", render_words, TABLE_LEFT},
        {"Algorithm", "algorithm", render_text, TABLE_LEFT},
        {"Entry point", "entry_point", render_text, TABLE_LEFT},
        {"Code", "code_bytes", render_bytes, TABLE_LEFT},
        {"Payload", "payload_bytes", render_bytes, TABLE_LEFT},
        {"Payload items", "payload_items", render_count, TABLE_LEFT},
        {"Payload depth", "payload_depth", render_count, TABLE_LEFT},
        {"Payload keys", "payload_keys", render_count, TABLE_LEFT},
        {"Payload numbers", "payload_numbers", render_count, TABLE_LEFT},
        {"Payload strings", "payload_strings", render_count, TABLE_LEFT},
        {"Arguments", "argument_count", render_count, TABLE_LEFT},
        {"Largest of them", "argument_max", render_real, TABLE_LEFT},
        {"Looks like", "traits", render_traits, TABLE_LEFT},
        {"Input", "input_bytes", render_bytes, TABLE_LEFT},
        {"Parallelism", "parallelism", render_count, TABLE_LEFT},
        {"Wants a GPU", "gpu", render_yes, TABLE_LEFT},
        {"Host labels", "labels", render_words, TABLE_LEFT},
    };
    output_heading(output, "What is known");
    output_sheet(output, FIELDS(fields), code, 2);
}

static void explain_print_source(struct output *output, const json_t *demand)
{
    const char *source = output_string_at(demand, "source");
    double count = output_number_at(demand, "sample_count");
    output_heading(output, "What it will need");
    if (g_strcmp0(source, "rules") == 0)
        output_print(output, "  by the rules of the policy%s\n",
                     count > 0 ? "; there is too little history" : "; it has no history");
    else if (source != NULL)
        output_print(output, "  by %s, from %.0f execution%s\n",
                     strcmp(source, "history") == 0 ? "its history" : "the learned model", count,
                     count == 1 ? "" : "s");
}

static void explain_print_demand(struct output *output, const json_t *demand)
{
    if (!json_is_object(demand))
        return;
    explain_print_source(output, demand);
    views_print_demand(output, demand);
    if (output_number_at(demand, "gpus") > 0)
        output_print(output, "  GPUs: %.0f\n", output_number_at(demand, "gpus"));
    const json_t *reasons = json_object_get(demand, "reasons");
    if (json_array_size(reasons) == 0)
        return;
    output_heading(output, "Because");
    output_rows(output, FIELDS(reason_fields), reasons, 2);
}

static void explain_print_class(struct output *output, const json_t *reservation)
{
    output_heading(output, "What it gets");
    g_autofree char *score = units_format_real(output_number_at(reservation, "demand/score"), 1);
    const char *class_name = output_string_at(reservation, "demand/class");
    const char *profile = output_string_at(reservation, "profile");
    if (class_name != NULL)
        output_print(output, "  score %s of 100: class %s, profile %s (policy version %.0f)\n", score, class_name,
                     profile != NULL ? profile : "none", output_number_at(reservation, "policy_version"));
    static const struct field fields[] = {
        {"Starts with", "shape", render_shape, TABLE_LEFT},
        {"Grows up to", "maximum", render_shape, TABLE_LEFT},
        {"Template", "template", render_text, TABLE_LEFT},
    };
    output_sheet(output, FIELDS(fields), reservation, 2);
}

/* "512 MiB": `member` of an amount, in the unit of its resource. */
static char *amount_text(const struct output *output, const json_t *amount, const char *member)
{
    const char *resource = output_string_at(amount, "resource");
    struct cell cell = {NULL, TONE_PLAIN};
    if (g_strcmp0(resource, "memory") == 0)
        render_mib(output, json_object_get(amount, member), &cell);
    else if (g_strcmp0(resource, "network") == 0)
        render_mbps(output, json_object_get(amount, member), &cell);
    else
        cell.text = g_strdup_printf("%.0f vCPU", output_number_at(amount, member));
    return cell.text;
}

static void render_amount(const struct output *output, const json_t *value, struct cell *cell)
{
    cell->text = amount_text(output, value, "amount");
}

static void render_percent(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    g_autofree char *number = units_format_real(100 * json_number_value(value), 1);
    cell->text = g_strconcat(number, " %", NULL);
}

/* "0.421 at 1 vCPU", or nothing when there is no such neighbour. */
static void render_neighbour(const struct output *output, const json_t *value, struct cell *cell, const char *member)
{
    if (output_number_at(value, member) == 0)
        return;
    g_autofree char *cost_member = g_strconcat(member, "_cost", NULL);
    g_autofree char *amount = amount_text(output, value, member);
    cell->text = g_strdup_printf("%.3f at %s", output_number_at(value, cost_member), amount);
}

static void render_less(const struct output *output, const json_t *value, struct cell *cell)
{
    render_neighbour(output, value, cell, "less");
}

static void render_more(const struct output *output, const json_t *value, struct cell *cell)
{
    render_neighbour(output, value, cell, "more");
}

static void render_amount_cost(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.3f", json_number_value(value));
}

static const struct field amount_fields[] = {
    {"resource", "resource", render_text, TABLE_LEFT}, {"quantile", "quantile", render_percent, TABLE_RIGHT},
    {"chosen", ".", render_amount, TABLE_RIGHT},       {"cost", "cost", render_amount_cost, TABLE_RIGHT},
    {"one less", ".", render_less, TABLE_RIGHT},       {"one more", ".", render_more, TABLE_RIGHT},
    {"verdict", "verdict", render_text, TABLE_LEFT},
};

static void explain_print_amounts(struct output *output, const json_t *reservation)
{
    const json_t *amounts = json_object_get(reservation, "amounts");
    if (json_array_size(amounts) == 0)
        return;
    output_heading(output, "How much of each");
    output_rows(output, FIELDS(amount_fields), amounts, 2);
}

static void explain_print_host(struct output *output, const json_t *reservation)
{
    const json_t *placements = json_object_get(reservation, "placements");
    if (json_array_size(placements) == 0)
        return;
    output_heading(output, "Where");
    output_rows(output, FIELDS(placement_fields), placements, 2);
}

/* Paths are often cheaper than a hundredth. */
static void render_path_cost(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = units_format_real(json_number_value(value), 4);
}

static const struct field path_fields[] = {
    {"", "chosen", render_chosen, TABLE_LEFT},        {"path", "path", render_text, TABLE_LEFT},
    {"ready in", "ready_ms", render_ms, TABLE_RIGHT}, {"median", "median_ms", render_ms, TABLE_RIGHT},
    {"seen", "samples", render_count, TABLE_RIGHT},   {"cost", "cost", render_path_cost, TABLE_RIGHT},
    {"verdict", "verdict", render_text, TABLE_LEFT},
};

static void explain_print_paths(struct output *output, const json_t *reservation)
{
    const json_t *paths = json_object_get(reservation, "paths");
    if (json_array_size(paths) == 0)
        return;
    output_heading(output, "By which path");
    output_rows(output, FIELDS(path_fields), paths, 2);
}

static void explain_add_step(struct table *table, const char *what, char *amount, gint64 at, const char *note)
{
    table_begin_row(table);
    table_add_cell(table, g_strdup(what), TONE_PLAIN);
    table_add_cell(table, amount != NULL ? amount : g_strdup(""), TONE_PLAIN);
    table_add_cell(table, at != 0 ? units_format_clock(at) : g_strdup(""), TONE_PLAIN);
    table_add_cell(table, g_strdup(note), TONE_FAINT);
}

/* "- boot, as learned": what is counted back for. */
static char *explain_path_step(const json_t *reservation)
{
    const char *path = output_string_at(reservation, "path");
    gboolean learned = TRUE;
    size_t index = 0;
    const json_t *choice = NULL;
    json_array_foreach (json_object_get(reservation, "paths"), index, choice)
        if (json_is_true(json_object_get(choice, "chosen")))
            learned = output_number_at(choice, "samples") > 0;
    return g_strdup_printf("- %s, as %s", path != NULL ? path : "boot", learned ? "learned" : "estimated");
}

/* arrival - what the path takes at the policy's confidence - margin = start, or now when that has passed. */
static void explain_print_start(struct output *output, const json_t *reservation)
{
    gint64 arrival_at = 0, start_at = 0, created_at = output->now;
    if (!output_time_at(reservation, "arrival_at", &arrival_at) || !output_time_at(reservation, "start_at", &start_at))
        return;
    output_time_at(reservation, "created_at", &created_at);
    gint64 path_us = (gint64)output_number_at(reservation, "path_ms") * 1000;
    gint64 margin_us = (gint64)output_number_at(reservation, "margin_ms") * 1000;
    gint64 latest_at = arrival_at - path_us - margin_us;
    g_autofree char *takes = units_format_duration(path_us);
    g_autofree char *margin = units_format_duration(margin_us);
    g_autofree char *relative = units_format_relative(arrival_at, created_at);
    g_autofree char *arrival =
        arrival_at <= created_at ? g_strdup("at once") : g_strdup_printf("%s, as announced", relative);
    g_autoptr(table_auto) table = table_new();
    for (guint i = 0; i < 4; i++)
        table_add_column(table, "", i == 0 || i == 3 ? TABLE_LEFT : TABLE_RIGHT);
    explain_add_step(table, "expected arrival", NULL, arrival_at, arrival);
    g_autofree char *step = explain_path_step(reservation);
    explain_add_step(table, step, g_steal_pointer(&takes), 0, "");
    explain_add_step(table, "- margin", g_steal_pointer(&margin), 0, "");
    explain_add_step(table, "= latest start", NULL, latest_at, latest_at < created_at ? "has passed" : "");
    explain_add_step(table, "planned start", NULL, start_at, latest_at < created_at ? "at once" : "");
    output_heading(output, "When");
    output_table(output, table, 2);
}

static void explain_print_reservation(struct output *output, const json_t *reservation)
{
    explain_print_known(output, output_at(reservation, "notification/code"));
    explain_print_demand(output, json_object_get(reservation, "demand"));
    explain_print_class(output, reservation);
    explain_print_amounts(output, reservation);
    explain_print_host(output, reservation);
    explain_print_paths(output, reservation);
    explain_print_start(output, reservation);
}

static void explain_print(struct output *output, const json_t *document)
{
    const json_t *dry_run = json_object_get(document, "reservation");
    const json_t *reservation = dry_run != NULL ? dry_run : document;
    g_autofree char *title = dry_run != NULL
                                 ? g_strdup("Dry run: nothing is reserved.")
                                 : g_strdup_printf("Reservation %s is %s.", output_string_at(reservation, "id"),
                                                   output_string_at(reservation, "state"));
    output_print(output, "%s\n", title);
    explain_print_reservation(output, reservation);
}

/* An execution that had no reservation. */
static void explain_print_execution(struct output *output, const json_t *execution)
{
    output_print(output, "Execution %s is %s; it had no reservation (match: %s).\n", output_string_at(execution, "id"),
                 output_string_at(execution, "state"), output_string_at(execution, "match"));
    explain_print_known(output, json_object_get(execution, "code"));
    explain_print_demand(output, json_object_get(execution, "demand"));
    explain_print_class(output, execution);
    if (json_array_size(json_object_get(execution, "adjustments")) > 0) {
        output_heading(output, "Adjustments");
        views_print_adjustments(output, json_object_get(execution, "adjustments"));
    }
}

static gboolean explain_reservation(struct session *session, const char *id, GError **error)
{
    g_autoptr(json_auto) reservation = session_ask_of(session, hbr_explain_reservation, id, error);
    if (reservation == NULL)
        return FALSE;
    output_report(&session->output, reservation, explain_print);
    return TRUE;
}

static gboolean explain_execution(struct session *session, const char *id, GError **error)
{
    g_autoptr(json_auto) execution = session_get(session, HBR_EXECUTION, id, error);
    if (execution == NULL)
        return FALSE;
    const char *reservation_id = output_string_at(execution, "reservation_id");
    if (reservation_id != NULL)
        return explain_reservation(session, reservation_id, error);
    output_report(&session->output, execution, explain_print_execution);
    return TRUE;
}

static gboolean explain_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *what = arguments_string(arguments, "what");
    if (!arguments_has(arguments, "dry-run") && g_str_has_prefix(what, "res-"))
        return explain_reservation(session, what, error);
    if (!arguments_has(arguments, "dry-run") && g_str_has_prefix(what, "exec-"))
        return explain_execution(session, what, error);
    g_autoptr(json_auto) body = notification_new(arguments, what, error);
    const char *code = arguments_string(arguments, "code");
    if (body == NULL || (code != NULL && !notification_add_source(body, code, error)))
        return FALSE;
    g_autoptr(json_auto) answer = session_send(session, hbr_explain, body, error);
    if (answer == NULL)
        return FALSE;
    output_report(&session->output, answer, explain_print);
    return TRUE;
}

static const struct command explain_commands[] = {
    {"explain", "tell why a reservation is as it is, or would be",
     "Of a reservation or execution: what was known, what was predicted and by which rules, which profile and host were "
     "chosen and against which others, what its amounts are expected to cost and a little less or more would, by which path it gets its VM, and when that starts. With a function and the options of notify, a dry run: "
     "nothing is reserved.",
     explain_run, COMMAND_OPTIONS(explain_options), FALSE},
    {"timeline", "tell what happened when",
     "Of a reservation, its instance and its execution together, whichever of them is named.", timeline_run,
     COMMAND_OPTIONS(timeline_options), FALSE},
    {"history", "compare what was predicted with what was used",
     "One line for each execution, the newest first. The prediction is its p90; what was used more than a fifth above it is "
     "marked with \"!\".",
     history_run, COMMAND_OPTIONS(history_options), FALSE},
    {"accuracy", "tell how good predictions were",
     "Over many executions, for CPUs, memory, network and duration: how far used was from predicted, how many stayed within the "
     "predicted quantiles, how much of what they were given was wasted, and how many were short of it.",
     accuracy_run, COMMAND_OPTIONS(accuracy_options), FALSE},
};

const struct command_group explain_group = {"why", "Why and when", explain_commands, G_N_ELEMENTS(explain_commands)};
