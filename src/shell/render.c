/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/render.h"

#include "shell/units.h"

#include <string.h>

static const struct {
    const char *word;
    enum table_tone tone;
} state_tones[] = {
    {"ready", TONE_GOOD},      {"up", TONE_GOOD},         {"finished", TONE_GOOD}, {"done", TONE_GOOD},
    {"scheduled", TONE_WORK},  {"waiting", TONE_WORK},    {"starting", TONE_WORK}, {"claimed", TONE_WORK},
    {"queued", TONE_WORK},     {"running", TONE_WORK},    {"busy", TONE_WORK},     {"connecting", TONE_WORK},
    {"failed", TONE_BAD},      {"interrupted", TONE_BAD}, {"down", TONE_BAD},      {"expired", TONE_BAD},
    {"warm", TONE_GOOD},       {"paused", TONE_FAINT},    {"claiming", TONE_WORK}, {"stopping", TONE_FAINT},
    {"cancelled", TONE_FAINT}, {"gone", TONE_FAINT},
};

void render_text(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_is_string(value) && *json_string_value(value) != '\0')
        cell->text = g_strdup(json_string_value(value));
}

void render_words(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_array_size(value) == 0)
        return;
    GString *text = g_string_new(NULL);
    size_t index = 0;
    const json_t *word = NULL;
    json_array_foreach (value, index, word)
        g_string_append_printf(text, "%s%s", index > 0 ? ", " : "",
                               json_is_string(word) ? json_string_value(word) : "?");
    cell->text = g_string_free(text, FALSE);
}

void render_count(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_integer_value(value) != 0)
        cell->text = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

void render_real(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_is_number(value))
        cell->text = units_format_real(json_number_value(value), 2);
}

void render_yes(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_is_true(value))
        cell->text = g_strdup("yes");
}

void render_state(const struct output *output, const json_t *value, struct cell *cell)
{
    render_text(output, value, cell);
    for (guint i = 0; i < G_N_ELEMENTS(state_tones); i++)
        if (g_strcmp0(cell->text, state_tones[i].word) == 0)
            cell->tone = state_tones[i].tone;
}

void render_relative(const struct output *output, const json_t *value, struct cell *cell)
{
    gint64 at = 0;
    if (units_parse_rfc3339(json_string_value(value), &at))
        cell->text = units_format_relative(at, output->now);
}

void render_moment(const struct output *output, const json_t *value, struct cell *cell)
{
    gint64 at = 0;
    if (!units_parse_rfc3339(json_string_value(value), &at))
        return;
    g_autofree char *date = units_format_date(at);
    g_autofree char *relative = units_format_relative(at, output->now);
    cell->text = g_strdup_printf("%s (%s)", date, relative);
}

void render_date(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    gint64 at = 0;
    if (units_parse_rfc3339(json_string_value(value), &at))
        cell->text = units_format_date(at);
}

void render_clock(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    gint64 at = 0;
    if (units_parse_rfc3339(json_string_value(value), &at))
        cell->text = units_format_clock(at);
}

void render_bytes(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_integer_value(value) > 0)
        cell->text = units_format_bytes(json_integer_value(value));
}

void render_mib(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_number_value(value) > 0)
        cell->text = units_format_mib(json_number_value(value));
}

void render_mbps(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_number_value(value) <= 0)
        return;
    g_autofree char *number = units_format_real(json_number_value(value), 1);
    cell->text = g_strdup_printf("%s Mbit/s", number);
}

void render_ms(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_number_value(value) > 0)
        cell->text = units_format_duration((gint64)(json_number_value(value) * 1000));
}

void render_us(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        cell->text = units_format_duration(json_integer_value(value));
}

static void render_append_amount(GString *text, const json_t *shape, const char *member, const char *unit)
{
    json_int_t amount = json_integer_value(json_object_get(shape, member));
    if (amount > 0)
        g_string_append_printf(text, "%s%" JSON_INTEGER_FORMAT " %s", text->len > 0 ? ", " : "", amount, unit);
}

static void render_append_memory(GString *text, const json_t *shape)
{
    double memory = json_number_value(json_object_get(shape, "memory_mib"));
    g_autofree char *mib = units_format_mib(memory);
    if (memory > 0)
        g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", mib);
}

void render_size(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    GString *text = g_string_new(NULL);
    render_append_amount(text, value, "vcpus", "vCPU");
    render_append_memory(text, value);
    render_append_amount(text, value, "gpus", "GPU");
    cell->text = g_string_free(text, FALSE);
}

void render_tenant(const struct output *output, const json_t *value, struct cell *cell)
{
    if (g_strcmp0(json_string_value(value), "default") != 0)
        render_text(output, value, cell);
}

static void render_disk_mbps(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (json_is_number(value))
        cell->text = g_strdup_printf("%.0f MB/s", json_number_value(value));
}

/* Of an instance that has less than its CPUs. */
static gboolean render_cap_change(const json_t *value, const char *resource, struct cell *cell)
{
    const double before = output_number_at(value, "before/cpu_percent"),
                 after = output_number_at(value, "after/cpu_percent");
    if (g_strcmp0(resource, "cpu") != 0 || before == after)
        return FALSE;
    g_autofree char *from = before > 0 ? g_strdup_printf("%.0f", before) : g_strdup("no limit");
    cell->text = g_strdup_printf("%s -> %.0f %% CPU", from, after);
    return TRUE;
}

void render_change(const struct output *output, const json_t *value, struct cell *cell)
{
    static const struct {
        const char *resource, *member;
        field_render render;
    } kinds[] = {
        {"cpu", "vcpus", render_count},
        {"memory", "memory_mib", render_mib},
        {"network", "network_mbps", render_mbps},
        {"disk", "disk_mbps", render_disk_mbps},
    };
    const char *resource = output_string_at(value, "resource");
    if (render_cap_change(value, resource, cell))
        return;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        struct cell before = {NULL, TONE_PLAIN}, after = {NULL, TONE_PLAIN};
        if (g_strcmp0(resource, kinds[i].resource) != 0)
            continue;
        kinds[i].render(output, json_object_get(json_object_get(value, "before"), kinds[i].member), &before);
        kinds[i].render(output, json_object_get(json_object_get(value, "after"), kinds[i].member), &after);
        cell->text = g_strdup_printf("%s -> %s%s", before.text != NULL ? before.text : "no limit",
                                     after.text != NULL ? after.text : "no limit", i == 0 ? " vCPU" : "");
        g_free(before.text);
        g_free(after.text);
    }
}

static void render_between(const json_t *value, const char *from, const char *to, struct cell *cell)
{
    gint64 from_at = 0, to_at = 0;
    if (output_time_at(value, from, &from_at) && output_time_at(value, to, &to_at))
        cell->text = units_format_duration(MAX(0, to_at - from_at));
}

void render_decided(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    render_between(value, "signalled_at", "at", cell);
}

void render_hypervisor(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    render_between(value, "at", "hypervisor_at", cell);
}

void render_confirmed(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    if (output_string_at(value, "error") != NULL)
        *cell = (struct cell){g_strdup("failed"), TONE_BAD};
    else
        render_between(value, "at", "confirmed_at", cell);
    if (cell->text == NULL)
        cell->text = g_strdup("not yet");
}

char *render_shape_text(const json_t *shape)
{
    GString *text = g_string_new(NULL);
    render_append_amount(text, shape, "vcpus", "vCPU");
    render_append_memory(text, shape);
    render_append_amount(text, shape, "network_mbps", "Mbit/s");
    render_append_amount(text, shape, "disk_mbps", "MB/s of disk");
    render_append_amount(text, shape, "gpus", "GPU");
    render_append_amount(text, shape, "cpu_percent", "% CPU at most");
    return g_string_free(text, FALSE);
}

void render_shape(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    g_autofree char *text = render_shape_text(value);
    if (*text != '\0')
        cell->text = g_steal_pointer(&text);
}

void render_error(const struct output *output, const json_t *value, struct cell *cell)
{
    render_text(output, value, cell);
    cell->tone = TONE_BAD;
}

void render_result(const struct output *output, const json_t *value, struct cell *cell)
{
    const json_t *result = json_is_object(json_object_get(value, "result")) ? json_object_get(value, "result") : value;
    const char *reason = json_string_value(json_object_get(result, "reason"));
    json_int_t status = json_integer_value(json_object_get(result, "status"));
    (void)output;
    if (reason == NULL)
        return;
    if (strcmp(reason, "exited") == 0)
        cell->text = g_strdup_printf("exit %" JSON_INTEGER_FORMAT, status);
    else if (strcmp(reason, "signalled") == 0)
        cell->text = g_strdup_printf("signal %" JSON_INTEGER_FORMAT, status);
    else
        cell->text = g_strdup(reason);
    cell->tone = strcmp(reason, "exited") == 0 && status == 0 ? TONE_PLAIN : TONE_BAD;
}
