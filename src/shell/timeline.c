/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/failure.h"
#include "shell/report.h"
#include "shell/units.h"

#include <string.h>

/* What is told together: a reservation, its instance and its execution. */
struct timeline_set {
    json_t *reservation, *execution, *instance;
};

static void timeline_set_clear(struct timeline_set *set)
{
    json_decref(set->reservation);
    json_decref(set->execution);
    json_decref(set->instance);
}

static char *timeline_related(const json_t *object, const char *member)
{
    return g_strdup(output_string_at(object, member));
}

/* The objects that hang together with the first one; those that are gone are left out. */
static void timeline_collect(struct session *session, struct timeline_set *set)
{
    for (guint round = 0; round < 2; round++) {
        const json_t *known[] = {set->reservation, set->execution, set->instance};
        for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
            g_autofree char *reservation_id = timeline_related(known[i], "reservation_id");
            g_autofree char *execution_id = timeline_related(known[i], "execution_id");
            g_autofree char *instance_id = timeline_related(known[i], "instance_id");
            if (set->reservation == NULL && reservation_id != NULL)
                set->reservation = session_get(session, HBR_RESERVATION, reservation_id, NULL);
            if (set->execution == NULL && execution_id != NULL)
                set->execution = session_get(session, HBR_EXECUTION, execution_id, NULL);
            if (set->instance == NULL && instance_id != NULL)
                set->instance = session_get(session, HBR_INSTANCE, instance_id, NULL);
        }
    }
}

static gboolean timeline_fetch(struct session *session, const char *id, struct timeline_set *set, GError **error)
{
    if (g_str_has_prefix(id, "res-"))
        set->reservation = session_get(session, HBR_RESERVATION, id, error);
    else if (g_str_has_prefix(id, "exec-"))
        set->execution = session_get(session, HBR_EXECUTION, id, error);
    else if (g_str_has_prefix(id, "vm-"))
        set->instance = session_get(session, HBR_INSTANCE, id, error);
    else
        return failure_usage(
            error, "\"%s\" is no id of a reservation (res-...), execution (exec-...) or instance (vm-...)", id);
    if (set->reservation == NULL && set->execution == NULL && set->instance == NULL)
        return FALSE;
    timeline_collect(session, set);
    return TRUE;
}

static void timeline_append(json_t *entries, const char *of, const json_t *object)
{
    size_t index = 0;
    const json_t *entry = NULL;
    json_array_foreach (json_object_get(object, "timeline"), index, entry) {
        json_t *copy = json_object();
        json_object_set_new(copy, "of", json_string(of));
        json_object_update(copy, (json_t *)entry);
        json_array_append_new(entries, copy);
    }
}

static int timeline_compare(gconstpointer a, gconstpointer b)
{
    gint64 at_a = 0, at_b = 0;
    output_time_at(*(json_t *const *)a, "at", &at_a);
    output_time_at(*(json_t *const *)b, "at", &at_b);
    return at_a < at_b ? -1 : at_a > at_b;
}

/* Stable, so that what happened at the same moment stays in the order in which it was written. */
static json_t *timeline_sort(const json_t *entries)
{
    g_autoptr(GPtrArray) order = g_ptr_array_new();
    size_t index = 0;
    json_t *entry = NULL;
    json_array_foreach (entries, index, entry)
        g_ptr_array_add(order, entry);
    g_ptr_array_sort(order, timeline_compare);
    json_t *sorted = json_array();
    for (guint i = 0; i < order->len; i++)
        json_array_append(sorted, g_ptr_array_index(order, i));
    return sorted;
}

static json_t *timeline_document(const struct timeline_set *set)
{
    g_autoptr(json_auto) entries = json_array();
    /* At the same moment: what is asked for, what is promised for it, what is done about it. */
    timeline_append(entries, "execution", set->execution);
    timeline_append(entries, "reservation", set->reservation);
    timeline_append(entries, "instance", set->instance);
    json_t *document = json_object();
    static const char *const names[] = {"reservation_id", "instance_id", "execution_id"};
    const json_t *objects[] = {set->reservation, set->instance, set->execution};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (objects[i] != NULL)
            json_object_set(document, names[i], json_object_get(objects[i], "id"));
    json_object_set_new(document, "timeline", timeline_sort(entries));
    return document;
}

static char *timeline_offset(gint64 at, gint64 from)
{
    g_autofree char *text = units_format_duration(at - from);
    return at >= from ? g_strconcat("+", text, NULL) : g_steal_pointer(&text);
}

static void timeline_add_row(struct table *table, const json_t *entry, gint64 at, gint64 first, gint64 last)
{
    const char *detail = output_string_at(entry, "detail");
    table_begin_row(table);
    table_add_cell(table, units_format_clock(at), TONE_FAINT);
    table_add_cell(table, timeline_offset(at, first), TONE_PLAIN);
    table_add_cell(table, timeline_offset(at, last), TONE_FAINT);
    table_add_cell(table, g_strdup(output_string_at(entry, "of")), TONE_PLAIN);
    table_add_cell(table, g_strdup(output_string_at(entry, "what")), TONE_STRONG);
    table_add_cell(table, g_strdup(detail != NULL ? detail : ""), TONE_PLAIN);
}

static void timeline_print_head(struct output *output, const json_t *document, gint64 first)
{
    static const char *const names[] = {"reservation_id", "instance_id", "execution_id"};
    g_autofree char *date = units_format_date(first);
    output_print(output, "Since %s:", date);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (output_string_at(document, names[i]) != NULL)
            output_print(output, " %s", output_string_at(document, names[i]));
    output_print(output, "\n\n");
}

/* Offsets count from what was asked or announced; what its instance had done before, in its pool, is before it. */
static gint64 timeline_base(const json_t *entries)
{
    gint64 at = 0;
    size_t index = 0;
    const json_t *entry = NULL;
    json_array_foreach (entries, index, entry)
        if (g_strcmp0(output_string_at(entry, "of"), "instance") != 0 && output_time_at(entry, "at", &at))
            return at;
    output_time_at(json_array_get(entries, 0), "at", &at);
    return at;
}

static void timeline_print(struct output *output, const json_t *document)
{
    static const char *const titles[] = {"TIME", "OFFSET", "STEP", "OF", "WHAT", "DETAIL"};
    const json_t *entries = json_object_get(document, "timeline");
    gint64 first = 0, last = 0;
    if (!output_time_at(json_array_get(entries, 0), "at", &first)) {
        output_print(output, "nothing has happened\n");
        return;
    }
    g_autoptr(table_auto) table = table_new();
    for (guint i = 0; i < G_N_ELEMENTS(titles); i++)
        table_add_column(table, titles[i], i == 1 || i == 2 ? TABLE_RIGHT : TABLE_LEFT);
    size_t index = 0;
    const json_t *entry = NULL;
    last = first;
    first = timeline_base(entries);
    json_array_foreach (entries, index, entry) {
        gint64 at = 0;
        if (!output_time_at(entry, "at", &at))
            continue;
        timeline_add_row(table, entry, at, first, last);
        last = at;
    }
    if (!output->quiet)
        timeline_print_head(output, document, first);
    output_table(output, table, 0);
}

gboolean timeline_run(struct session *session, const struct arguments *arguments, GError **error)
{
    struct timeline_set set = {NULL, NULL, NULL};
    gboolean found = timeline_fetch(session, arguments_string(arguments, "id"), &set, error);
    if (found) {
        g_autoptr(json_auto) document = timeline_document(&set);
        output_report(&session->output, document, timeline_print);
    }
    timeline_set_clear(&set);
    return found;
}
