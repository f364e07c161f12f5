/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/table.h"

#include <string.h>

#define TABLE_GAP 2

struct table_column {
    const char *title;
    enum table_align align;
};

struct table_cell {
    char *text;
    enum table_tone tone;
};

struct table {
    GArray *columns; /* struct table_column */
    GPtrArray *rows; /* GArray of struct table_cell */
};

static const char *const tone_codes[] = {
    [TONE_PLAIN] = "",        [TONE_STRONG] = "\033[1m", [TONE_FAINT] = "\033[2m",
    [TONE_GOOD] = "\033[32m", [TONE_WORK] = "\033[33m",  [TONE_BAD] = "\033[31m",
};

static void table_cell_clear(gpointer cell)
{
    g_free(((struct table_cell *)cell)->text);
}

struct table *table_new(void)
{
    struct table *table = g_new0(struct table, 1);
    table->columns = g_array_new(FALSE, FALSE, sizeof(struct table_column));
    table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    g_array_unref(table->columns);
    g_ptr_array_unref(table->rows);
    g_free(table);
}

void table_add_column(struct table *table, const char *title, enum table_align align)
{
    struct table_column column = {title, align};
    g_array_append_val(table->columns, column);
}

void table_begin_row(struct table *table)
{
    GArray *row = g_array_new(FALSE, FALSE, sizeof(struct table_cell));
    g_array_set_clear_func(row, table_cell_clear);
    g_ptr_array_add(table->rows, row);
}

char *table_clean(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *clean = g_string_new(NULL);
    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar character = g_utf8_get_char(at);
        if (character == '\n' || character == '\t' || character == '\r')
            g_string_append_c(clean, ' ');
        else if (g_unichar_iscntrl(character) || g_unichar_type(character) == G_UNICODE_FORMAT)
            g_string_append_c(clean, '?');
        else
            g_string_append_unichar(clean, character);
    }
    return g_string_free(clean, FALSE);
}

void table_add_cell(struct table *table, char *text, enum table_tone tone)
{
    g_return_if_fail(table->rows->len > 0);
    struct table_cell cell = {text != NULL ? table_clean(text) : g_strdup("-"), tone};
    GArray *row = g_ptr_array_index(table->rows, table->rows->len - 1);
    g_array_append_val(row, cell);
    g_free(text);
}

guint table_text_width(const char *text)
{
    guint width = 0;
    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar character = g_utf8_get_char(at);
        if (!g_unichar_iszerowidth(character))
            width += g_unichar_iswide(character) ? 2 : 1;
    }
    return width;
}

char *table_paint(const char *text, enum table_tone tone, gboolean colour)
{
    if (!colour || tone == TONE_PLAIN || *text == '\0')
        return g_strdup(text);
    return g_strconcat(tone_codes[tone], text, "\033[0m", NULL);
}

static const struct table_cell *table_cell_at(const GArray *row, guint column)
{
    static const struct table_cell empty = {(char *)"", TONE_PLAIN};
    return column < row->len ? &g_array_index(row, struct table_cell, column) : &empty;
}

static guint table_column_width(const struct table *table, guint column)
{
    guint width = table_text_width(g_array_index(table->columns, struct table_column, column).title);
    for (guint i = 0; i < table->rows->len; i++)
        width = MAX(width, table_text_width(table_cell_at(g_ptr_array_index(table->rows, i), column)->text));
    return width;
}

static gboolean table_column_is_empty(const struct table *table, guint column)
{
    for (guint i = 0; i < table->rows->len; i++) {
        const char *text = table_cell_at(g_ptr_array_index(table->rows, i), column)->text;
        if (*text != '\0' && strcmp(text, "-") != 0)
            return FALSE;
    }
    return TRUE;
}

static gboolean table_has_titles(const struct table *table)
{
    for (guint i = 0; i < table->columns->len; i++)
        if (*g_array_index(table->columns, struct table_column, i).title != '\0')
            return TRUE;
    return FALSE;
}

static void table_trim(GString *text)
{
    while (text->len > 0 && text->str[text->len - 1] == ' ')
        g_string_truncate(text, text->len - 1);
}

static void table_append_padded(GString *line, const char *text, enum table_tone tone, guint width,
                                enum table_align align, gboolean colour)
{
    guint blanks = width - MIN(width, table_text_width(text));
    g_autofree char *painted = table_paint(text, tone, colour);
    if (align == TABLE_RIGHT)
        g_string_append_printf(line, "%*s", (int)blanks, "");
    g_string_append(line, painted);
    if (align == TABLE_LEFT)
        g_string_append_printf(line, "%*s", (int)blanks, "");
}

/* One line: the titles when `row` is NULL. */
static void table_append_line(GString *text, const struct table *table, const guint *widths, const GArray *row,
                              guint indent, gboolean colour)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_append_printf(line, "%*s", (int)indent, "");
    gboolean first = TRUE;
    for (guint i = 0; i < table->columns->len; i++) {
        if (widths[i] == 0)
            continue;
        const struct table_column *column = &g_array_index(table->columns, struct table_column, i);
        const struct table_cell title = {(char *)column->title, TONE_STRONG};
        const struct table_cell *cell = row != NULL ? table_cell_at(row, i) : &title;
        g_string_append_printf(line, "%*s", first ? 0 : TABLE_GAP, "");
        table_append_padded(line, cell->text, cell->tone, widths[i], column->align, colour);
        first = FALSE;
    }
    table_trim(line);
    g_string_append(text, line->str);
    g_string_append_c(text, '\n');
}

char *table_render(const struct table *table, guint indent, gboolean squeeze, gboolean colour)
{
    GString *text = g_string_new(NULL);
    g_autofree guint *widths = g_new0(guint, table->columns->len + 1);
    for (guint i = 0; i < table->columns->len; i++)
        widths[i] = squeeze && table_column_is_empty(table, i) ? 0 : table_column_width(table, i);
    if (table_has_titles(table))
        table_append_line(text, table, widths, NULL, indent, colour);
    for (guint i = 0; i < table->rows->len; i++)
        table_append_line(text, table, widths, g_ptr_array_index(table->rows, i), indent, colour);
    return g_string_free(text, FALSE);
}
