/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/svg.h"

/* What was predicted (to the right) against what was used (upwards), both on the same logarithmic scale, with the line where they are equal and the band
 * of half and twice as much: as lines of text, or in an SVG. One thread. */

struct scatter_point {
    double predicted, used;
    gboolean is_cut_short; /* it needed more than it used */
};

struct scatter {
    const char *title, *unit;
    char *(*format)(double value); /* of an amount, with its unit; g_free what it returns */
    gboolean is_binary;            /* the scale ends at powers of two, not at 1, 2, 5, 10, ... */
    GArray *points;                /* struct scatter_point */
};

void scatter_init(struct scatter *scatter, const char *title, const char *unit, char *(*format)(double value),
                  gboolean is_binary);
void scatter_clear(struct scatter *scatter);

/* Amounts that are not positive are drawn at the lower end. */
void scatter_add(struct scatter *scatter, struct scatter_point point);

/* Lines of `width` columns each, with `height` of them for the plane; needs 24 by 4. In braille characters (ISO/IEC 10646, 2800 to 28FF), else in ASCII:
 * "o" is one run, "O" some, "@" many, "x" such as were cut short alone. In colour, those above the line stand out. Free with g_ptr_array_unref. */
GPtrArray *scatter_draw_text(const struct scatter *scatter, guint width, guint height, gboolean is_unicode,
                             gboolean colour);

/* The next panel of `svg`. */
void scatter_draw_svg(const struct scatter *scatter, struct svg *svg);

/* The entries of its legend. */
void scatter_explain_svg(struct svg *svg);
