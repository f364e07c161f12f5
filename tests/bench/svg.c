/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "svg.h"

#include <errno.h>
#include <math.h>

#define PANEL_WIDTH 460
#define PANEL_HEIGHT 320
#define LEFT 64
#define RIGHT 16
#define TOP 34
#define BOTTOM 48
#define HEAD 40
#define LEGEND 44
#define TICKS_MAX 12

/* After Okabe and Ito: told apart by all eyes, on white and on black. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a"};

static const char style[] = "<style>\n"
                            "text { font: 12px sans-serif; fill: #24292f; }\n"
                            ".title { font-weight: bold; font-size: 15px; }\n"
                            ".ground { fill: #ffffff; }\n"
                            ".grid { stroke: #d0d7de; stroke-width: 1; fill: none; }\n"
                            ".line { stroke-width: 2; fill: none; stroke-linejoin: round; }\n"
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
};

struct svg *svg_new(const char *title, guint panels, guint columns)
{
    struct svg *svg = g_new0(struct svg, 1);
    const guint rows = (panels + columns - 1) / columns;
    const guint width = columns * PANEL_WIDTH, height = HEAD + rows * PANEL_HEIGHT + LEGEND;
    svg->panels = panels;
    svg->columns = columns;
    svg->text = g_string_new(NULL);
    g_string_append_printf(
        svg->text, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" height=\"%u\">\n%s",
        width, height, width, height, style);
    g_string_append_printf(svg->text, "<rect class=\"ground\" width=\"%u\" height=\"%u\"/>\n", width, height);
    g_string_append_printf(svg->text, "<text class=\"title\" x=\"%d\" y=\"26\">%s</text>\n", LEFT, title);
    return svg;
}

void svg_free(struct svg *svg)
{
    if (svg == NULL)
        return;
    g_string_free(svg->text, TRUE);
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

static void svg_draw_axes(struct svg *svg)
{
    double ticks[TICKS_MAX];
    const double right = svg->left + PANEL_WIDTH - LEFT - RIGHT, bottom = svg->top + PANEL_HEIGHT - TOP - BOTTOM;
    for (guint i = 0, count = axis_ticks(&svg->panel.x, ticks); i < count; i++) {
        const double x = place_x(svg, ticks[i]);
        g_string_append_printf(svg->text, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, svg->top, bottom);
        g_string_append_printf(svg->text, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n", x,
                               bottom + 16, ticks[i]);
    }
    for (guint i = 0, count = axis_ticks(&svg->panel.y, ticks); i < count; i++) {
        const double y = place_y(svg, ticks[i]);
        g_string_append_printf(svg->text, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", svg->left, y, right);
        g_string_append_printf(svg->text, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", svg->left - 6,
                               y + 4, ticks[i]);
    }
    g_string_append_printf(svg->text, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                           (svg->left + right) / 2, bottom + 34, svg->panel.x.label);
    const double middle = (svg->top + bottom) / 2, aside = svg->left - LEFT + 16;
    g_string_append_printf(svg->text,
                           "<text transform=\"translate(%.1f %.1f) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
                           aside, middle, svg->panel.y.label);
}

void svg_begin_panel(struct svg *svg, const struct svg_panel *panel)
{
    svg->panel = *panel;
    svg->left = LEFT + svg->begun % svg->columns * PANEL_WIDTH;
    svg->top = HEAD + TOP + svg->begun / svg->columns * PANEL_HEIGHT;
    svg->begun++;
    g_string_append_printf(svg->text, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", svg->left, svg->top - 10,
                           panel->title);
    svg_draw_axes(svg);
}

static const char *colour_of(guint colour)
{
    return colours[colour % G_N_ELEMENTS(colours)];
}

void svg_mark(struct svg *svg, guint colour, struct svg_point point)
{
    g_string_append_printf(svg->text, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", place_x(svg, point.x),
                           place_y(svg, point.y), colour_of(colour));
}

void svg_draw(struct svg *svg, guint colour, enum svg_style style_of_line, const struct svg_point *points, guint count)
{
    for (guint i = 0; i < count && style_of_line == SVG_DOTS; i++)
        svg_mark(svg, colour, points[i]);
    if (style_of_line == SVG_DOTS || count == 0)
        return;
    g_string_append_printf(svg->text, "<path class=\"line\" stroke=\"%s\"%s d=\"", colour_of(colour),
                           style_of_line == SVG_DASHED ? " stroke-dasharray=\"5 4\"" : "");
    for (guint i = 0; i < count; i++) {
        const double x = place_x(svg, points[i].x), y = place_y(svg, points[i].y);
        if (i > 0 && style_of_line == SVG_STEPS)
            g_string_append_printf(svg->text, "H%.1fV%.1f", x, y);
        else
            g_string_append_printf(svg->text, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x, y);
    }
    g_string_append(svg->text, "\"/>\n");
}

void svg_explain(struct svg *svg, guint colour, const char *text)
{
    const guint rows = (svg->panels + svg->columns - 1) / svg->columns;
    const guint x = LEFT + svg->explained++ * 118, y = HEAD + rows * PANEL_HEIGHT + 20;
    g_string_append_printf(svg->text, "<path class=\"line\" stroke=\"%s\" d=\"M%u %uh20\"/>", colour_of(colour), x, y);
    g_string_append_printf(svg->text, "<text x=\"%u\" y=\"%u\">%s</text>\n", x + 26, y + 4, text);
}

gboolean svg_save(struct svg *svg, const char *name)
{
    const char *build = g_getenv("HBR_BUILD_DIR");
    g_autofree char *directory = g_build_filename(build != NULL ? build : ".", "bench", NULL);
    g_autofree char *file = g_strconcat(name, ".svg", NULL), *path = g_build_filename(directory, file, NULL);
    g_autoptr(GError) error = NULL;
    g_string_append(svg->text, "</svg>\n");
    if (g_mkdir_with_parents(directory, 0777) != 0)
        g_printerr("%s: %s\n", directory, g_strerror(errno));
    else if (g_file_set_contents(path, svg->text->str, (gssize)svg->text->len, &error))
        g_print("picture: %s\n", path);
    else
        g_printerr("%s\n", error->message);
    return error == NULL;
}
