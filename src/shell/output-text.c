/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/output.h"

#include <string.h>

static struct cell output_cell(const struct output *output, const struct field *field, const json_t *object)
{
    struct cell cell = {NULL, TONE_PLAIN};
    const json_t *value = output_at(object, field->path);
    if (value != NULL)
        field->render(output, value, &cell);
    return cell;
}

void output_table(struct output *output, const struct table *table, guint indent)
{
    g_autofree char *text = table_render(table, indent, TRUE, output->colour);
    fputs(text, output->stream);
}

void output_heading(struct output *output, const char *title)
{
    g_autofree char *painted = table_paint(title, TONE_STRONG, output->colour);
    output_print(output, "\n%s\n", painted);
}

void output_rows(struct output *output, const struct field *fields, guint count, const json_t *rows, guint indent)
{
    g_autoptr(table_auto) table = table_new();
    for (guint i = 0; i < count; i++)
        table_add_column(table, fields[i].title, fields[i].align);
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach (rows, index, row) {
        table_begin_row(table);
        for (guint i = 0; i < count; i++) {
            struct cell cell = output_cell(output, &fields[i], row);
            table_add_cell(table, cell.text, cell.tone);
        }
    }
    output_table(output, table, indent);
}

void output_sheet(struct output *output, const struct field *fields, guint count, const json_t *object, guint indent)
{
    g_autoptr(table_auto) table = table_new();
    table_add_column(table, "", TABLE_LEFT);
    table_add_column(table, "", TABLE_LEFT);
    for (guint i = 0; i < count; i++) {
        struct cell cell = output_cell(output, &fields[i], object);
        if (cell.text == NULL)
            continue;
        table_begin_row(table);
        table_add_cell(table, g_strconcat(fields[i].title, ":", NULL), TONE_PLAIN);
        table_add_cell(table, cell.text, cell.tone);
    }
    output_table(output, table, indent);
}

static void output_text_key(struct output *output, const struct view *view, const json_t *object)
{
    struct cell cell = output_cell(output, &view->fields[0], object);
    g_autofree char *clean = cell.text != NULL ? table_clean(cell.text) : NULL;
    if (clean != NULL)
        output_print(output, "%s\n", clean);
    g_free(cell.text);
}

static void output_text_list(struct output *output, const struct view *view, const json_t *document)
{
    const json_t *rows = json_object_get(document, view->member);
    if (output->quiet) {
        size_t index = 0;
        const json_t *row = NULL;
        json_array_foreach (rows, index, row)
            output_text_key(output, view, row);
    } else if (json_array_size(rows) == 0) {
        output_print(output, "%s\n", view->empty);
    } else {
        output_rows(output, view->fields, view->field_count, rows, 0);
    }
}

static void output_text_object(struct output *output, const struct view *view, const json_t *object)
{
    if (output->quiet) {
        output_text_key(output, view, object);
        return;
    }
    output_sheet(output, view->fields, view->field_count, object, 0);
    if (view->details != NULL)
        view->details(output, object);
}

static void output_text_result(struct output *output, const json_t *document, const char *key, const char *text)
{
    (void)document;
    const char *shown = output->quiet ? key : text;
    g_autofree char *clean = shown != NULL ? table_clean(shown) : NULL;
    if (clean != NULL)
        output_print(output, "%s\n", clean);
}

static void output_text_report(struct output *output, const json_t *document,
                               void (*render)(struct output *output, const json_t *document))
{
    render(output, document);
}

const struct output_ops output_text_ops = {
    output_text_list,
    output_text_object,
    output_text_result,
    output_text_report,
};
