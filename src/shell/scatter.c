/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/scatter.h"

#include "shell/table.h"

#include <math.h>

#define LABEL_WIDTH 10
#define SCALE_MIN 8 /* upper end / lower end */
#define BRAILLE_COLUMNS 2
#define BRAILLE_ROWS 4
#define BRAILLE_FIRST 0x2800
#define BAND_EVERY 3 /* dots: so it is told from the line */
#define BAND_FACTOR 2.0

/* Both axes: the same scale. */
struct scale {
    double from, to;
};

/* One character of the plane. */
struct mark {
    guint points, above, cut_short; /* above the line; cut short */
    guint point_dots, line_dots;    /* bits of a braille character */
    char line;
};

struct plane {
    guint columns, rows;         /* in characters */
    guint dot_columns, dot_rows; /* in dots */
    gboolean is_unicode;
    struct scale scale;
    struct mark *marks;
};

void scatter_init(struct scatter *scatter, const char *title, const char *unit, char *(*format)(double value),
                  gboolean is_binary)
{
    *scatter = (struct scatter){.title = title, .unit = unit, .format = format, .is_binary = is_binary};
    scatter->points = g_array_new(FALSE, FALSE, sizeof(struct scatter_point));
}

void scatter_clear(struct scatter *scatter)
{
    g_clear_pointer(&scatter->points, g_array_unref);
}

void scatter_add(struct scatter *scatter, struct scatter_point point)
{
    g_array_append_val(scatter->points, point);
}

static const struct scatter_point *scatter_at(const struct scatter *scatter, guint index)
{
    return &g_array_index(scatter->points, struct scatter_point, index);
}

/* The round number at or below `value`, or the one at or above it. */
static double scale_round(double value, gboolean is_binary, gboolean up)
{
    if (is_binary)
        return exp2(up ? ceil(log2(value) - 1e-9) : floor(log2(value) + 1e-9));
    static const double steps[] = {1, 2, 5, 10};
    const double power = pow(10, floor(log10(value) + 1e-9)), rest = value / power;
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
        if (up ? steps[i] >= rest * (1 - 1e-9) : steps[i + 1] > rest * (1 + 1e-9))
            return steps[i] * power;
    return 10 * power;
}

static void scale_widen(double *least, double *most, double value)
{
    if (value > 0 && isfinite(value)) {
        *least = MIN(*least, value);
        *most = MAX(*most, value);
    }
}

static struct scale scatter_scale(const struct scatter *scatter)
{
    double least = INFINITY, most = 0;
    for (guint i = 0; i < scatter->points->len; i++) {
        scale_widen(&least, &most, scatter_at(scatter, i)->predicted);
        scale_widen(&least, &most, scatter_at(scatter, i)->used);
    }
    if (most <= 0)
        return (struct scale){1, 10};
    struct scale scale = {scale_round(least, scatter->is_binary, FALSE), scale_round(most, scatter->is_binary, TRUE)};
    while (scale.to < scale.from * SCALE_MIN) {
        scale.from = scale_round(scale.from * 0.9, scatter->is_binary, FALSE);
        scale.to = scale_round(scale.to * 1.1, scatter->is_binary, TRUE);
    }
    return scale;
}

/* From 0 at the lower end of the scale to 1 at its upper end. */
static double scale_share(const struct scale *scale, double value)
{
    return CLAMP(log(MAX(value, scale->from) / scale->from) / log(scale->to / scale->from), 0, 1);
}

static guint braille_bit(guint column, guint row)
{
    static const guint bits[BRAILLE_ROWS][BRAILLE_COLUMNS] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    return bits[row][column];
}

/* The character of a place, given in shares, and the bit of its dot in it. */
static struct mark *plane_at(const struct plane *plane, double x, double y, guint *ret_bit)
{
    const guint column = (guint)lround(x * (plane->dot_columns - 1)),
                row = (guint)lround((1 - y) * (plane->dot_rows - 1));
    const guint across = plane->dot_columns / plane->columns, down = plane->dot_rows / plane->rows;
    *ret_bit = braille_bit(column % across, row % down);
    return &plane->marks[row / down * plane->columns + column / across];
}

static void plane_draw_line(const struct plane *plane, double factor, char character, guint every)
{
    const double rise = log(factor) / log(plane->scale.to / plane->scale.from);
    for (guint i = 0; i < plane->dot_columns; i += every) {
        const double x = (double)i / (plane->dot_columns - 1), y = x + rise;
        guint bit;
        if (y < 0 || y > 1)
            continue;
        struct mark *mark = plane_at(plane, x, y, &bit);
        mark->line_dots |= bit;
        mark->line = mark->line != '\0' ? mark->line : character;
    }
}

static void plane_draw_point(const struct plane *plane, const struct scatter_point *point)
{
    guint bit;
    struct mark *mark =
        plane_at(plane, scale_share(&plane->scale, point->predicted), scale_share(&plane->scale, point->used), &bit);
    mark->points++;
    mark->point_dots |= bit;
    mark->above += point->used > point->predicted ? 1 : 0;
    mark->cut_short += point->is_cut_short ? 1 : 0;
}

static void plane_init(struct plane *plane, const struct scatter *scatter, guint columns, guint rows,
                       gboolean is_unicode)
{
    *plane = (struct plane){.columns = columns, .rows = rows, .is_unicode = is_unicode};
    plane->dot_columns = columns * (is_unicode ? BRAILLE_COLUMNS : 1);
    plane->dot_rows = rows * (is_unicode ? BRAILLE_ROWS : 1);
    plane->scale = scatter_scale(scatter);
    plane->marks = g_new0(struct mark, columns * rows);
    plane_draw_line(plane, 1, '/', 1);
    plane_draw_line(plane, BAND_FACTOR, '.', is_unicode ? BAND_EVERY : 1);
    plane_draw_line(plane, 1 / BAND_FACTOR, '.', is_unicode ? BAND_EVERY : 1);
    for (guint i = 0; i < scatter->points->len; i++)
        plane_draw_point(plane, scatter_at(scatter, i));
}

static gunichar mark_character(const struct mark *mark, gboolean is_unicode)
{
    const guint dots = mark->points > 0 ? mark->point_dots : mark->line_dots;
    if (is_unicode)
        return dots != 0 ? BRAILLE_FIRST + dots : ' ';
    if (mark->points == 0)
        return mark->line != '\0' ? (guchar)mark->line : ' ';
    if (mark->cut_short == mark->points)
        return 'x';
    return mark->points == 1 ? 'o' : mark->points < 5 ? 'O' : '@';
}

static enum table_tone mark_tone(const struct mark *mark)
{
    if (mark->points == 0)
        return mark->line_dots != 0 ? TONE_FAINT : TONE_PLAIN;
    if (mark->cut_short == mark->points)
        return TONE_BAD;
    return mark->above > 0 ? TONE_WORK : TONE_GOOD;
}

static void plane_append_row(const struct plane *plane, guint row, gboolean colour, GString *line)
{
    for (guint i = 0; i < plane->columns; i++) {
        const struct mark *mark = &plane->marks[row * plane->columns + i];
        char character[8] = "";
        g_unichar_to_utf8(mark_character(mark, plane->is_unicode), character);
        g_autofree char *painted = table_paint(character, mark_tone(mark), colour);
        g_string_append(line, painted);
    }
}

/* Appends `text` to a line, in `width` columns. */
static void line_append(GString *line, const char *text, guint width, enum table_align align)
{
    const guint blanks = width - MIN(width, table_text_width(text));
    g_string_append_printf(line, "%*s%s%*s", align == TABLE_RIGHT ? (int)blanks : 0, "", text,
                           align == TABLE_LEFT ? (int)blanks : 0, "");
}

static void lines_add_plane(GPtrArray *lines, const struct scatter *scatter, const struct plane *plane, gboolean colour)
{
    for (guint row = 0; row < plane->rows; row++) {
        GString *line = g_string_new(NULL);
        const gboolean is_first = row == 0, is_last = row + 1 == plane->rows;
        g_autofree char *label = is_first  ? scatter->format(plane->scale.to)
                                 : is_last ? scatter->format(plane->scale.from)
                                           : g_strdup("");
        line_append(line, label, LABEL_WIDTH, TABLE_RIGHT);
        g_string_append(line, plane->is_unicode ? " \u2502" : " |");
        plane_append_row(plane, row, colour, line);
        g_ptr_array_add(lines, g_string_free(line, FALSE));
    }
}

static void lines_add_axis(GPtrArray *lines, const struct scatter *scatter, const struct plane *plane)
{
    GString *axis = g_string_new(NULL), *labels = g_string_new(NULL);
    line_append(axis, "", LABEL_WIDTH, TABLE_LEFT);
    g_string_append(axis, plane->is_unicode ? " \u2514" : " +");
    for (guint i = 0; i < plane->columns; i++)
        g_string_append(axis, plane->is_unicode ? "\u2500" : "-");
    g_autofree char *from = scatter->format(plane->scale.from), *to = scatter->format(plane->scale.to);
    line_append(labels, "", LABEL_WIDTH + 2, TABLE_LEFT);
    line_append(labels, from, plane->columns / 2, TABLE_LEFT);
    line_append(labels, to, plane->columns - plane->columns / 2, TABLE_RIGHT);
    g_ptr_array_add(lines, g_string_free(axis, FALSE));
    g_ptr_array_add(lines, g_string_free(labels, FALSE));
}

static void lines_add_title(GPtrArray *lines, const struct scatter *scatter, guint width, gboolean colour)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *title =
        g_strdup_printf("%s (%u run%s)", scatter->title, scatter->points->len, scatter->points->len == 1 ? "" : "s");
    line_append(line, "", LABEL_WIDTH + 2, TABLE_LEFT);
    line_append(line, title, width - LABEL_WIDTH - 2, TABLE_LEFT);
    g_ptr_array_add(lines, table_paint(line->str, TONE_STRONG, colour));
}

GPtrArray *scatter_draw_text(const struct scatter *scatter, guint width, guint height, gboolean is_unicode,
                             gboolean colour)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    struct plane plane;
    plane_init(&plane, scatter, width - LABEL_WIDTH - 2, height, is_unicode);
    lines_add_title(lines, scatter, width, colour);
    lines_add_plane(lines, scatter, &plane, colour);
    lines_add_axis(lines, scatter, &plane);
    g_free(plane.marks);
    return lines;
}

enum scatter_colour { COLOUR_RUN = 0, COLOUR_CUT_SHORT = 1, COLOUR_LINE = 6 };

/* Where used is so many times predicted, as far as the scale goes. */
static void svg_draw_factor(struct svg *svg, const struct scale *scale, double factor, enum svg_style style)
{
    const double from = MAX(scale->from, scale->from / factor), to = MIN(scale->to, scale->to / factor);
    if (from < to)
        svg_draw(svg, COLOUR_LINE, style, (const struct svg_point[]){{from, from * factor}, {to, to * factor}}, 2);
}

static void svg_draw_runs(const struct scatter *scatter, struct svg *svg, gboolean is_cut_short)
{
    g_autoptr(GArray) points = g_array_new(FALSE, FALSE, sizeof(struct svg_point));
    for (guint i = 0; i < scatter->points->len; i++) {
        const struct scatter_point *point = scatter_at(scatter, i);
        const struct svg_point place = {point->predicted, point->used};
        if (point->is_cut_short == is_cut_short)
            g_array_append_val(points, place);
    }
    svg_draw(svg, is_cut_short ? COLOUR_CUT_SHORT : COLOUR_RUN, SVG_CLOUD,
             (const struct svg_point *)(const void *)points->data, points->len);
}

void scatter_draw_svg(const struct scatter *scatter, struct svg *svg)
{
    const struct scale scale = scatter_scale(scatter);
    g_autofree char *title =
        g_strdup_printf("%s, %u run%s", scatter->title, scatter->points->len, scatter->points->len == 1 ? "" : "s");
    g_autofree char *predicted = g_strdup_printf("predicted p90 (%s)", scatter->unit);
    g_autofree char *used = g_strdup_printf("used (%s)", scatter->unit);
    svg_begin_panel(svg, &(struct svg_panel){.title = title,
                                             .x = {predicted, scale.from, scale.to, TRUE},
                                             .y = {used, scale.from, scale.to, TRUE}});
    svg_draw_factor(svg, &scale, 1, SVG_LINE);
    svg_draw_factor(svg, &scale, BAND_FACTOR, SVG_DASHED);
    svg_draw_factor(svg, &scale, 1 / BAND_FACTOR, SVG_DASHED);
    svg_draw_runs(scatter, svg, FALSE);
    svg_draw_runs(scatter, svg, TRUE);
}

void scatter_explain_svg(struct svg *svg)
{
    svg_explain(svg, COLOUR_RUN, "a run");
    svg_explain(svg, COLOUR_CUT_SHORT, "cut short");
    svg_explain(svg, COLOUR_LINE, "as predicted; dashed: half, twice as much");
}
