/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/levels.h"

#include <math.h>
#include <string.h>

#define WIDTH 1.05      /* of a cell: its end by its beginning */
#define DECAY 0.999323  /* by each look: one counts half after 1024 */
#define FORGOTTEN 0.02f /* the highest cell counts no more below this weight */
#define LAST (LEVELS_CELLS - 1)

static gint levels_cell(double unit, double amount)
{
    return (gint)floor(log1p(MAX(amount, 0) / unit) / log(WIDTH));
}

void levels_ends(const struct levels *levels, double unit, double ret_ends[LEVELS_CELLS])
{
    double end = unit * pow(WIDTH, levels->top - LAST + 1);
    for (guint i = 0; i < LEVELS_CELLS; i++, end *= WIDTH)
        ret_ends[i] = MAX(0, end - unit);
}

/* So that a higher amount has its cell. */
static void levels_raise(struct levels *levels, guint by)
{
    const guint lost = MIN(by, LAST);
    float lowest = 0;
    for (guint i = 0; i <= lost; i++)
        lowest += levels->weights[i];
    memmove(levels->weights, levels->weights + lost, (LEVELS_CELLS - lost) * sizeof(float));
    memset(levels->weights + LEVELS_CELLS - lost, 0, lost * sizeof(float));
    levels->weights[0] = lowest;
    levels->top += (gint)by;
}

/* What was lower than the cells reach stays in the lowest one. */
static void levels_forget(struct levels *levels)
{
    const float lowest = levels->weights[0];
    guint kept = LAST;
    while (kept > 0 && levels->weights[kept] < FORGOTTEN)
        kept--;
    const guint by = LAST - kept;
    if (by == 0)
        return;
    memmove(levels->weights + by, levels->weights, (kept + 1) * sizeof(float));
    memset(levels->weights, 0, by * sizeof(float));
    levels->weights[by] = 0;
    levels->weights[0] = lowest;
    levels->top -= (gint)by;
}

void levels_add(struct levels *levels, double unit, double amount)
{
    const gint cell = levels_cell(unit, amount);
    for (guint i = 0; i < LEVELS_CELLS; i++)
        levels->weights[i] *= (float)DECAY;
    if (!levels->has_any)
        levels->top = cell;
    levels->has_any = TRUE;
    if (cell > levels->top)
        levels_raise(levels, (guint)(cell - levels->top));
    levels->weights[MAX(0, LAST - (levels->top - cell))] += 1;
    levels_forget(levels);
}
