/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A table of text with aligned columns. One thread. */

enum table_align { TABLE_LEFT, TABLE_RIGHT };

/* What a cell means; shown as colour on a terminal. */
enum table_tone { TONE_PLAIN, TONE_STRONG, TONE_FAINT, TONE_GOOD, TONE_WORK, TONE_BAD };

struct table;

struct table *table_new(void);
void table_free(struct table *table);
typedef struct table table_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(table_auto, table_free)

/* All columns are added before the first row. */
void table_add_column(struct table *table, const char *title, enum table_align align);

/* A new row without cells; cells that are never added are empty. */
void table_begin_row(struct table *table);

/* The next cell of the last row; `text` is taken over, NULL is shown as "-". Control characters are replaced: what a guest or a
 * tenant wrote must not steer the terminal. */
void table_add_cell(struct table *table, char *text, enum table_tone tone);

/* Titles and rows, each line indented by `indent` and without trailing blanks. A table whose titles are all "" has no title line.
 * Columns that are empty ("-") in all rows are left out when `squeeze`. Free with g_free. */
char *table_render(const struct table *table, guint indent, gboolean squeeze, gboolean colour);

/* `text` in the colour of `tone`, or as it is. Free with g_free. */
char *table_paint(const char *text, enum table_tone tone, gboolean colour);

/* A copy without control characters, on one line. Free with g_free. */
char *table_clean(const char *text);

/* Columns that the text takes on a terminal. */
guint table_text_width(const char *text);
