/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/svg.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define PANEL_WIDTH 460
#define PANEL_HEIGHT 320
#define LEFT 64
#define RIGHT 16
#define TOP 34
#define BOTTOM 48
#define HEAD 40
#define LEGEND 44
#define TICKS_MAX 12
#define DIGIT_WIDTH 7.5

/* After Okabe and Ito: told apart by all eyes, on white and on black. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a"};

static const char style[] = "<style>\n"
                            "text { font: 12px sans-serif; fill: #24292f; }\n"
                            ".title { font-weight: bold; font-size: 15px; }\n"
                            ".ground { fill: #ffffff; }\n"
                            ".grid { stroke: #d0d7de; stroke-width: 1; fill: none; }\n"
                            ".line { stroke-width: 2; fill: none; stroke-linejoin: round; }\n"
                            ".cloud { stroke-width: 4; stroke-linecap: round; stroke-opacity: 0.6; fill: none; }\n"
                            "@media (prefers-color-scheme: dark) {\n"
                            "text { fill: #e6edf3; }\n"
                            ".ground { fill: #0d1117; }\n"
                            ".grid { stroke: #3d444d; }\n"
                            "}\n"
                            "</style>\n";

struct svg {
    GString *text;
    guint panels, columns, begun, explained;
    struct svg_panel panel;
    double left, top; /* of the panel's plane */
    gboolean is_closed;
    locale_t numbers;
};

/* With a point in its numbers, whatever the user's locale has there. */
static void G_GNUC_PRINTF(2, 3) svg_append(struct svg *svg, const char *format, ...)
{
    const locale_t before = uselocale(svg->numbers);
    va_list args;
    va_start(args, format);
    g_string_append_vprintf(svg->text, format, args);
    va_end(args);
    uselocale(before);
}

/* What a text says may be anybody's. */
static void svg_write(struct svg *svg, double x, double y, const char *anchor, const char *text)
{
    g_autofree char *escaped = g_markup_escape_text(text, -1);
    svg_append(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, escaped);
}

struct svg *svg_new(const char *title, guint panels, guint columns)
{
    struct svg *svg = g_new0(struct svg, 1);
    const guint rows = (panels + columns - 1) / columns;
    const guint width = columns * PANEL_WIDTH, height = HEAD + rows * PANEL_HEIGHT + LEGEND;
    svg->panels = panels;
    svg->columns = columns;
    svg->text = g_string_new(NULL);
    svg->numbers = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    svg_append(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" height=\"%u\">\n%s",
               width, height, width, height, style);
    svg_append(svg, "<rect class=\"ground\" width=\"%u\" height=\"%u\"/>\n", width, height);
    g_autofree char *escaped = g_markup_escape_text(title, -1);
    svg_append(svg, "<text class=\"title\" x=\"%d\" y=\"26\">%s</text>\n", LEFT, escaped);
    return svg;
}

void svg_free(struct svg *svg)
{
    if (svg == NULL)
        return;
    g_string_free(svg->text, TRUE);
    freelocale(svg->numbers);
    g_free(svg);
}

static double axis_share(const struct svg_axis *axis, double value)
{
    const double share = axis->is_log ? log(MAX(value, axis->from) / axis->from) / log(axis->to / axis->from)
                                      : (value - axis->from) / (axis->to - axis->from);
    return CLAMP(share, 0, 1);
}

static double place_x(const struct svg *svg, double value)
{
    return svg->left + axis_share(&svg->panel.x, value) * (PANEL_WIDTH - LEFT - RIGHT);
}

static double place_y(const struct svg *svg, double value)
{
    return svg->top + (1 - axis_share(&svg->panel.y, value)) * (PANEL_HEIGHT - TOP - BOTTOM);
}

/* Powers of ten, with their double and fivefold when there are few; else about six round numbers. */
static guint axis_ticks(const struct svg_axis *axis, double *ret_ticks)
{
    guint count = 0;
    if (axis->is_log) {
        const gboolean is_dense = axis->to / axis->from < 2000;
        for (double power = pow(10, floor(log10(axis->from))); power <= axis->to * 1.001; power *= 10)
            for (guint i = 0; i < (is_dense ? 3 : 1) && count < TICKS_MAX; i++) {
                const double tick = power * (const double[]){1, 2, 5}[i];
                if (tick >= axis->from * 0.999 && tick <= axis->to * 1.001)
                    ret_ticks[count++] = tick;
            }
        return count;
    }
    const double rough = (axis->to - axis->from) / 5, power = pow(10, floor(log10(rough)));
    const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
    for (double tick = ceil(axis->from / step) * step; tick <= axis->to * 1.0001 && count < TICKS_MAX; tick += step)
        ret_ticks[count++] = tick;
    return count;
}

/* Returns about how wide it is. */
static double svg_write_tick(struct svg *svg, double x, double y, const char *anchor, double tick)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    svg_write(svg, x, y, anchor, g_ascii_formatd(text, sizeof text, "%g", tick));
    return (double)strlen(text) * DIGIT_WIDTH;
}

static void svg_draw_axes(struct svg *svg)
{
    double ticks[TICKS_MAX];
    double free_from = 0; /* where a label of the x axis does not run into the one before */
    const double right = svg->left + PANEL_WIDTH - LEFT - RIGHT, bottom = svg->top + PANEL_HEIGHT - TOP - BOTTOM;
    for (guint i = 0, count = axis_ticks(&svg->panel.x, ticks); i < count; i++) {
        const double x = place_x(svg, ticks[i]);
        svg_append(svg, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, svg->top, bottom);
        if (x >= free_from)
            free_from = x + svg_write_tick(svg, x, bottom + 16, "middle", ticks[i]) + DIGIT_WIDTH;
    }
    for (guint i = 0, count = axis_ticks(&svg->panel.y, ticks); i < count; i++) {
        const double y = place_y(svg, ticks[i]);
        svg_append(svg, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", svg->left, y, right);
        svg_write_tick(svg, svg->left - 6, y + 4, "end", ticks[i]);
    }
    svg_write(svg, (svg->left + right) / 2, bottom + 34, "middle", svg->panel.x.label);
    g_autofree char *label = g_markup_escape_text(svg->panel.y.label, -1);
    svg_append(svg, "<text transform=\"translate(%.1f %.1f) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
               svg->left - LEFT + 16, (svg->top + bottom) / 2, label);
}

void svg_begin_panel(struct svg *svg, const struct svg_panel *panel)
{
    svg->panel = *panel;
    svg->left = LEFT + svg->begun % svg->columns * PANEL_WIDTH;
    svg->top = HEAD + TOP + svg->begun / svg->columns * PANEL_HEIGHT;
    svg->begun++;
    svg_write(svg, svg->left, svg->top - 10, "start", panel->title);
    svg_draw_axes(svg);
}

static const char *colour_of(guint colour)
{
    return colours[colour % G_N_ELEMENTS(colours)];
}

void svg_mark(struct svg *svg, guint colour, struct svg_point point)
{
    svg_append(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", place_x(svg, point.x),
               place_y(svg, point.y), colour_of(colour));
}

/* Dots without length: a round cap makes a point of each. */
static void svg_draw_cloud(struct svg *svg, guint colour, const struct svg_point *points, guint count)
{
    if (count == 0)
        return;
    svg_append(svg, "<path class=\"cloud\" stroke=\"%s\" d=\"", colour_of(colour));
    for (guint i = 0; i < count; i++)
        svg_append(svg, "M%.1f %.1fh0", place_x(svg, points[i].x), place_y(svg, points[i].y));
    svg_append(svg, "\"/>\n");
}

static void svg_draw_line(struct svg *svg, guint colour, enum svg_style style_of_line, const struct svg_point *points,
                          guint count)
{
    if (count == 0)
        return;
    svg_append(svg, "<path class=\"line\" stroke=\"%s\"%s d=\"", colour_of(colour),
               style_of_line == SVG_DASHED ? " stroke-dasharray=\"5 4\"" : "");
    for (guint i = 0; i < count; i++) {
        const double x = place_x(svg, points[i].x), y = place_y(svg, points[i].y);
        if (i > 0 && style_of_line == SVG_STEPS)
            svg_append(svg, "H%.1fV%.1f", x, y);
        else
            svg_append(svg, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x, y);
    }
    svg_append(svg, "\"/>\n");
}

void svg_draw(struct svg *svg, guint colour, enum svg_style style_of_line, const struct svg_point *points, guint count)
{
    if (style_of_line == SVG_CLOUD)
        svg_draw_cloud(svg, colour, points, count);
    else if (style_of_line != SVG_DOTS)
        svg_draw_line(svg, colour, style_of_line, points, count);
    else
        for (guint i = 0; i < count; i++)
            svg_mark(svg, colour, points[i]);
}

void svg_explain(struct svg *svg, guint colour, const char *text)
{
    const guint rows = (svg->panels + svg->columns - 1) / svg->columns;
    const guint x = LEFT + svg->explained++ * 118, y = HEAD + rows * PANEL_HEIGHT + 20;
    svg_append(svg, "<path class=\"line\" stroke=\"%s\" d=\"M%u %uh20\"/>", colour_of(colour), x, y);
    svg_write(svg, x + 26, y + 4, "start", text);
}

const char *svg_text(struct svg *svg)
{
    if (!svg->is_closed)
        g_string_append(svg->text, "</svg>\n");
    svg->is_closed = TRUE;
    return svg->text->str;
}
