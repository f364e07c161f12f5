/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/views.h"

#include "shell/render.h"
#include "shell/units.h"

#define FIELDS(table) table, G_N_ELEMENTS(table)

static const struct field quantile_fields[] = {
    {"resource", "name", render_text, TABLE_LEFT},
    {"p50", "p50", render_text, TABLE_RIGHT},
    {"p90", "p90", render_text, TABLE_RIGHT},
    {"p99", "p99", render_text, TABLE_RIGHT},
};

static const struct {
    const char *member, *title;
    field_render render;
} demand_rows[] = {
    {"vcpus", "CPUs busy", render_real},
    {"memory_mib", "memory", render_mib},
    {"network_mbps", "network", render_mbps},
    {"duration_ms", "duration", render_ms},
};

static void views_set_quantile(const struct output *output, json_t *row, const char *name, const json_t *value,
                               field_render render)
{
    struct cell cell = {NULL, TONE_PLAIN};
    if (value != NULL)
        render(output, value, &cell);
    json_object_set_new(row, name, json_string(cell.text != NULL ? cell.text : "-"));
    g_free(cell.text);
}

void views_print_demand(struct output *output, const json_t *demand)
{
    static const char *const quantiles[] = {"p50", "p90", "p99"};
    json_t *rows = json_array();
    for (guint i = 0; i < G_N_ELEMENTS(demand_rows); i++) {
        json_t *row = json_object();
        json_object_set_new(row, "name", json_string(demand_rows[i].title));
        const json_t *amounts = json_object_get(demand, demand_rows[i].member);
        for (guint j = 0; j < G_N_ELEMENTS(quantiles); j++)
            views_set_quantile(output, row, quantiles[j], json_object_get(amounts, quantiles[j]),
                               demand_rows[i].render);
        json_array_append_new(rows, row);
    }
    output_rows(output, FIELDS(quantile_fields), rows, 2);
    json_decref(rows);
}

/* Most entries have none: a column of dashes would shout. */
static char *views_detail(const json_t *entry)
{
    const char *detail = output_string_at(entry, "detail");
    return g_strdup(detail != NULL ? detail : "");
}

void views_print_timeline(struct output *output, const json_t *entries)
{
    g_autoptr(table_auto) table = table_new();
    static const char *const titles[] = {"time", "offset", "what", "detail"};
    for (guint i = 0; i < G_N_ELEMENTS(titles); i++)
        table_add_column(table, titles[i], i == 1 ? TABLE_RIGHT : TABLE_LEFT);
    gint64 first = 0;
    size_t index = 0;
    const json_t *entry = NULL;
    json_array_foreach (entries, index, entry) {
        gint64 at = 0;
        if (!output_time_at(entry, "at", &at))
            continue;
        if (first == 0)
            first = at;
        g_autofree char *offset = units_format_duration(at - first);
        table_begin_row(table);
        table_add_cell(table, units_format_clock(at), TONE_FAINT);
        table_add_cell(table, g_strconcat("+", offset, NULL), TONE_PLAIN);
        table_add_cell(table, g_strdup(output_string_at(entry, "what")), TONE_PLAIN);
        table_add_cell(table, views_detail(entry), TONE_PLAIN);
    }
    output_table(output, table, 2);
}

static const struct field adjustment_fields[] = {
    {"time", "at", render_clock, TABLE_LEFT},      {"resource", "resource", render_text, TABLE_LEFT},
    {"change", ".", render_change, TABLE_LEFT},    {"reason", "reason", render_text, TABLE_LEFT},
    {"decided", ".", render_decided, TABLE_RIGHT}, {"libvirt", ".", render_hypervisor, TABLE_RIGHT},
    {"guest", ".", render_confirmed, TABLE_RIGHT}, {"cause", "cause", render_text, TABLE_LEFT},
    {"error", "error", render_error, TABLE_LEFT},
};

void views_print_adjustments(struct output *output, const json_t *adjustments)
{
    output_rows(output, FIELDS(adjustment_fields), adjustments, 2);
}

static void views_print_section(struct output *output, const json_t *object, const char *member, const char *title,
                                void (*print)(struct output *output, const json_t *value))
{
    const json_t *value = json_object_get(object, member);
    if (json_array_size(value) == 0 && json_object_size(value) == 0)
        return;
    output_heading(output, title);
    print(output, value);
}

/* Reservations */

static const struct field reservation_columns[] = {
    {"ID", "id", render_text, TABLE_LEFT},
    {"FUNCTION", "notification/code/function", render_text, TABLE_LEFT},
    {"TENANT", "notification/code/tenant", render_tenant, TABLE_LEFT},
    {"STATE", "state", render_state, TABLE_LEFT},
    {"HOST", "host", render_text, TABLE_LEFT},
    {"PROFILE", "profile", render_text, TABLE_LEFT},
    {"SHAPE", "shape", render_size, TABLE_LEFT},
    {"ARRIVAL", "arrival_at", render_relative, TABLE_RIGHT},
    {"MADE", "created_at", render_relative, TABLE_RIGHT},
};

static const struct field reservation_fields[] = {
    {"Reservation", "id", render_text, TABLE_LEFT},
    {"Function", "notification/code/function", render_text, TABLE_LEFT},
    {"Tenant", "notification/code/tenant", render_text, TABLE_LEFT},
    {"State", "state", render_state, TABLE_LEFT},
    {"Error", "error", render_error, TABLE_LEFT},
    {"Profile", "profile", render_text, TABLE_LEFT},
    {"Template", "template", render_text, TABLE_LEFT},
    {"Shape", "shape", render_shape, TABLE_LEFT},
    {"Grows up to", "maximum", render_shape, TABLE_LEFT},
    {"Host", "host", render_text, TABLE_LEFT},
    {"Instance", "instance_id", render_text, TABLE_LEFT},
    {"Execution", "execution_id", render_text, TABLE_LEFT},
    {"Made", "created_at", render_moment, TABLE_LEFT},
    {"Arrival", "arrival_at", render_moment, TABLE_LEFT},
    {"Deadline", "notification/deadline_at", render_moment, TABLE_LEFT},
    {"Planned start", "start_at", render_moment, TABLE_LEFT},
    {"Started", "started_at", render_moment, TABLE_LEFT},
    {"Ready", "ready_at", render_moment, TABLE_LEFT},
    {"Expires", "expires_at", render_moment, TABLE_LEFT},
    {"Ended", "ended_at", render_moment, TABLE_LEFT},
    {"Path", "path", render_text, TABLE_LEFT},
    {"Attempts", "attempts", render_count, TABLE_LEFT},
    {"Policy version", "policy_version", render_count, TABLE_LEFT},
};

static void reservation_details(struct output *output, const json_t *reservation)
{
    views_print_section(output, reservation, "demand", "Predicted demand", views_print_demand);
    views_print_section(output, reservation, "timeline", "Timeline", views_print_timeline);
}

const struct view reservation_list_view = {"reservations", "no reservations", FIELDS(reservation_columns), NULL};
const struct view reservation_view = {NULL, NULL, FIELDS(reservation_fields), reservation_details};

/* Executions */

static void render_took(const struct output *output, const json_t *value, struct cell *cell)
{
    gint64 from = 0, to = 0;
    if (!output_time_at(value, "started_at", &from))
        return;
    if (!output_time_at(value, "ended_at", &to))
        to = output->now;
    cell->text = units_format_duration(MAX(0, to - from));
}

static void render_first_output(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    gint64 from = 0, to = 0;
    if (!output_time_at(value, "created_at", &from) || !output_time_at(value, "first_output_at", &to))
        return;
    g_autofree char *duration = units_format_duration(to - from);
    cell->text = g_strconcat(duration, " after the request", NULL);
}

static void render_cpu_time(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    double user = output_number_at(value, "cpu_user_us"), system = output_number_at(value, "cpu_system_us");
    if (user < 0 || system < 0)
        return;
    g_autofree char *user_text = units_format_duration((gint64)user);
    g_autofree char *system_text = units_format_duration((gint64)system);
    cell->text = g_strdup_printf("%s user, %s system", user_text, system_text);
}

static const struct field execution_columns[] = {
    {"ID", "id", render_text, TABLE_LEFT},
    {"FUNCTION", "code/function", render_text, TABLE_LEFT},
    {"TENANT", "code/tenant", render_tenant, TABLE_LEFT},
    {"STATE", "state", render_state, TABLE_LEFT},
    {"RESULT", ".", render_result, TABLE_LEFT},
    {"MATCH", "match", render_text, TABLE_LEFT},
    {"PATH", "path", render_text, TABLE_LEFT},
    {"HOST", "host", render_text, TABLE_LEFT},
    {"SHAPE", "shape", render_size, TABLE_LEFT},
    {"TOOK", ".", render_took, TABLE_RIGHT},
    {"ASKED", "created_at", render_relative, TABLE_RIGHT},
};

static const struct field execution_fields[] = {
    {"Execution", "id", render_text, TABLE_LEFT},
    {"Function", "code/function", render_text, TABLE_LEFT},
    {"Tenant", "code/tenant", render_text, TABLE_LEFT},
    {"State", "state", render_state, TABLE_LEFT},
    {"Result", ".", render_result, TABLE_LEFT},
    {"Message", "result/message", render_text, TABLE_LEFT},
    {"Error", "error", render_error, TABLE_LEFT},
    {"Match", "match", render_text, TABLE_LEFT},
    {"Path", "path", render_text, TABLE_LEFT},
    {"Code", "code_place", render_text, TABLE_LEFT},
    {"Run again", "retries", render_count, TABLE_LEFT},
    {"Ran here before", "instance_uses", render_count, TABLE_LEFT},
    {"Reservation", "reservation_id", render_text, TABLE_LEFT},
    {"Instance", "instance_id", render_text, TABLE_LEFT},
    {"Host", "host", render_text, TABLE_LEFT},
    {"Profile", "profile", render_text, TABLE_LEFT},
    {"Shape", "shape", render_shape, TABLE_LEFT},
    {"Asked", "created_at", render_moment, TABLE_LEFT},
    {"Started", "started_at", render_moment, TABLE_LEFT},
    {"First output", ".", render_first_output, TABLE_LEFT},
    {"Ended", "ended_at", render_moment, TABLE_LEFT},
    {"Deadline", "deadline_at", render_moment, TABLE_LEFT},
    {"Took", ".", render_took, TABLE_LEFT},
    {"CPU time", "result", render_cpu_time, TABLE_LEFT},
    {"Memory peak", "result/memory_peak_bytes", render_bytes, TABLE_LEFT},
    {"Read", "result/io_read_bytes", render_bytes, TABLE_LEFT},
    {"Written", "result/io_write_bytes", render_bytes, TABLE_LEFT},
    {"Received", "result/network_rx_bytes", render_bytes, TABLE_LEFT},
    {"Sent", "result/network_tx_bytes", render_bytes, TABLE_LEFT},
    {"Processes", "result/pids_peak", render_count, TABLE_LEFT},
    {"Output", "output_bytes", render_bytes, TABLE_LEFT},
    {"Policy version", "policy_version", render_count, TABLE_LEFT},
};

static void execution_details(struct output *output, const json_t *execution)
{
    views_print_section(output, execution, "demand", "Predicted demand", views_print_demand);
    views_print_section(output, execution, "adjustments", "Adjustments", views_print_adjustments);
    views_print_section(output, execution, "timeline", "Timeline", views_print_timeline);
}

const struct view execution_list_view = {"executions", "no executions", FIELDS(execution_columns), NULL};
const struct view execution_view = {NULL, NULL, FIELDS(execution_fields), execution_details};

/* Instances */

static void render_boot(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    gint64 from = 0, to = 0;
    /* A warm one had booted before it was anybody's. */
    if (output_time_at(value, "created_at", &from) &&
        (output_time_at(value, "warm_at", &to) || output_time_at(value, "ready_at", &to)))
        cell->text = units_format_duration(to - from);
}

/* A warm one has not been got by any path yet. */
static void render_got_by(const struct output *output, const json_t *value, struct cell *cell)
{
    const json_t *path = json_object_get(value, "path");
    if (path != NULL &&
        (output_string_at(value, "reservation_id") != NULL || output_string_at(value, "execution_id") != NULL))
        render_text(output, path, cell);
}

static void render_serves(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    const char *execution = output_string_at(value, "execution_id");
    cell->text = g_strdup(execution != NULL ? execution : output_string_at(value, "reservation_id"));
}

static const struct field instance_columns[] = {
    {"ID", "id", render_text, TABLE_LEFT},
    {"STATE", "state", render_state, TABLE_LEFT},
    {"HOST", "host", render_text, TABLE_LEFT},
    {"TEMPLATE", "template", render_text, TABLE_LEFT},
    {"PROFILE", "profile", render_text, TABLE_LEFT},
    {"POOL", "pool", render_text, TABLE_LEFT},
    {"PATH", ".", render_got_by, TABLE_LEFT},
    {"SHAPE", "shape", render_size, TABLE_LEFT},
    {"SERVES", ".", render_serves, TABLE_LEFT},
    {"BOOT", ".", render_boot, TABLE_RIGHT},
    {"MADE", "created_at", render_relative, TABLE_RIGHT},
};

static const struct field instance_fields[] = {
    {"Instance", "id", render_text, TABLE_LEFT},
    {"State", "state", render_state, TABLE_LEFT},
    {"Reason", "reason", render_text, TABLE_LEFT},
    {"Host", "host", render_text, TABLE_LEFT},
    {"Domain UUID", "uuid", render_text, TABLE_LEFT},
    {"Template", "template", render_text, TABLE_LEFT},
    {"Profile", "profile", render_text, TABLE_LEFT},
    {"Shape", "shape", render_shape, TABLE_LEFT},
    {"Grows up to", "maximum", render_shape, TABLE_LEFT},
    {"Pool", "pool", render_text, TABLE_LEFT},
    {"Clone of", "saved", render_text, TABLE_LEFT},
    {"Path", ".", render_got_by, TABLE_LEFT},
    {"Reservation", "reservation_id", render_text, TABLE_LEFT},
    {"Execution", "execution_id", render_text, TABLE_LEFT},
    {"Code has run in it", "used", render_yes, TABLE_LEFT},
    {"Executions", "uses", render_count, TABLE_LEFT},
    {"Tenant", "tenant", render_text, TABLE_LEFT},
    {"Function", "function", render_text, TABLE_LEFT},
    {"Made", "created_at", render_moment, TABLE_LEFT},
    {"Warm", "warm_at", render_moment, TABLE_LEFT},
    {"Ready", "ready_at", render_moment, TABLE_LEFT},
    {"Boot took", ".", render_boot, TABLE_LEFT},
    {"Ended", "ended_at", render_moment, TABLE_LEFT},
};

static void instance_details(struct output *output, const json_t *instance)
{
    views_print_section(output, instance, "timeline", "Timeline", views_print_timeline);
}

const struct view instance_list_view = {"instances", "no instances", FIELDS(instance_columns), NULL};
const struct view instance_view = {NULL, NULL, FIELDS(instance_fields), instance_details};

/* Hosts */

static void render_share(struct cell *cell, double committed, double total, char *(*format)(double))
{
    if (total <= 0)
        return;
    g_autofree char *committed_text = format(committed);
    g_autofree char *total_text = format(total);
    cell->text = g_strdup_printf("%s of %s", committed_text, total_text);
}

static char *views_format_count(double count)
{
    return units_format_real(count, 0);
}

/* What a host may promise: its CPUs times the overcommit, its memory less the reserve. */
static double host_overcommit(const json_t *host, const char *path, double otherwise)
{
    double factor = output_number_at(host, path);
    return factor > 0 ? factor : otherwise;
}

static void render_vcpus(const struct output *output, const json_t *host, struct cell *cell)
{
    (void)output;
    double total = output_number_at(host, "cpus") * host_overcommit(host, "spec/cpu_overcommit", 4);
    render_share(cell, output_number_at(host, "committed_vcpus"), total, views_format_count);
}

static void render_memory(const struct output *output, const json_t *host, struct cell *cell)
{
    (void)output;
    double own = output_number_at(host, "memory_mib") - output_number_at(host, "spec/memory_reserve_mib");
    double total = MAX(0, own) * host_overcommit(host, "spec/memory_overcommit", 1);
    render_share(cell, output_number_at(host, "committed_memory_mib"), total, units_format_mib);
}

static void render_gpus(const struct output *output, const json_t *host, struct cell *cell)
{
    (void)output;
    render_share(cell, output_number_at(host, "committed_gpus"), (double)json_array_size(output_at(host, "spec/gpus")),
                 views_format_count);
}

static void render_known(const struct output *output, const json_t *value, struct cell *cell)
{
    if (g_strcmp0(json_string_value(value), "unknown") != 0)
        render_text(output, value, cell);
}

static const struct field host_columns[] = {
    {"NAME", "spec/name", render_text, TABLE_LEFT},
    {"STATE", "state", render_state, TABLE_LEFT},
    {"RUNS BY", "acceleration", render_known, TABLE_LEFT},
    {"INSTANCES", "instance_count", render_count, TABLE_RIGHT},
    {"VCPUS", ".", render_vcpus, TABLE_RIGHT},
    {"MEMORY", ".", render_memory, TABLE_RIGHT},
    {"GPUS", ".", render_gpus, TABLE_RIGHT},
    {"LABELS", "spec/labels", render_words, TABLE_LEFT},
    {"URI", "spec/uri", render_text, TABLE_LEFT},
};

static const struct field host_fields[] = {
    {"Host", "spec/name", render_text, TABLE_LEFT},
    {"URI", "spec/uri", render_text, TABLE_LEFT},
    {"State", "state", render_state, TABLE_LEFT},
    {"Error", "error", render_error, TABLE_LEFT},
    {"Since", "since_at", render_moment, TABLE_LEFT},
    {"Version", "version", render_text, TABLE_LEFT},
    {"Guests run by", "acceleration", render_known, TABLE_LEFT},
    {"Because", "acceleration_reason", render_text, TABLE_LEFT},
    {"CPUs", "cpus", render_count, TABLE_LEFT},
    {"Speed of a CPU", "speed", render_real, TABLE_LEFT},
    {"Memory", "memory_mib", render_mib, TABLE_LEFT},
    {"CPU overcommit", "spec/cpu_overcommit", render_real, TABLE_LEFT},
    {"Memory overcommit", "spec/memory_overcommit", render_real, TABLE_LEFT},
    {"Memory reserve", "spec/memory_reserve_mib", render_mib, TABLE_LEFT},
    {"vCPUs promised", ".", render_vcpus, TABLE_LEFT},
    {"Memory promised", ".", render_memory, TABLE_LEFT},
    {"GPUs promised", ".", render_gpus, TABLE_LEFT},
    {"Instances", "instance_count", render_count, TABLE_LEFT},
    {"Labels", "spec/labels", render_words, TABLE_LEFT},
    {"Network", "spec/network", render_text, TABLE_LEFT},
    {"Images", "spec/images", render_text, TABLE_LEFT},
    {"GPUs", "spec/gpus", render_words, TABLE_LEFT},
};

const struct view host_list_view = {"hosts", "no hosts: attach one with \"host-attach NAME URI\"", FIELDS(host_columns),
                                    NULL};
const struct view host_view = {NULL, NULL, FIELDS(host_fields), NULL};
