/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Charts as SVG text, readable on light and dark ground. Coordinates of points are those of the axes. One thread. */

struct svg_axis {
    const char *label;
    double from, to; /* values outside are cut off */
    gboolean is_log;
};

struct svg_panel {
    const char *title;
    struct svg_axis x, y;
};

struct svg_point {
    double x, y;
};

enum svg_style {
    SVG_LINE,
    SVG_STEPS,
    SVG_DASHED,
    SVG_DOTS,
    SVG_CLOUD /* dots that may be many */
};

struct svg;

/* Panels stand in rows of `columns`, with a common legend beneath. */
struct svg *svg_new(const char *title, guint panels, guint columns);
void svg_free(struct svg *svg);
typedef struct svg svg_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(svg_auto, svg_free)

/* The next panel, with its axes; what is drawn goes there. */
void svg_begin_panel(struct svg *svg, const struct svg_panel *panel);

/* A line, or dots, in colour number `colour`. */
void svg_draw(struct svg *svg, guint colour, enum svg_style style, const struct svg_point *points, guint count);
void svg_mark(struct svg *svg, guint colour, struct svg_point point);

/* An entry of the legend. */
void svg_explain(struct svg *svg, guint colour, const char *text);

/* The whole picture; nothing is drawn any more after it. Belongs to `svg`. */
const char *svg_text(struct svg *svg);
