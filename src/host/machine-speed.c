/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/machine-speed.h"

#include <glib.h>
#include <math.h>
#include <time.h>

#define STEPS (1 << 20)
#define WALK (1 << 18) /* 32-bit indices: 1 MiB, more than a second-level cache has */
#define ROUNDS 3

/* Milliseconds that the work takes on the reference: estimated from its clock and the published latencies of its generation (Ivy Bridge: a 64-bit
 * multiplication and addition 4 cycles, a dependent multiplication and division of doubles 19, a load from the third level 28), since
 * that machine was not at hand. */
#define REFERENCE_INTEGER_MS 1.4
#define REFERENCE_FLOAT_MS 6.6
#define REFERENCE_WALK_MS 9.8

static double thread_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static guint64 work_on_integers(guint64 value)
{
    for (guint i = 0; i < STEPS; i++)
        value = value * G_GUINT64_CONSTANT(6364136223846793005) + 1442695040888963407; /* Knuth's MMIX generator */
    return value;
}

static double work_on_floats(double value)
{
    for (guint i = 0; i < STEPS; i++)
        value = value * 1.0000001 / 1.0000002;
    return value;
}

static guint work_on_memory(const guint32 *next)
{
    guint32 at = 0;
    for (guint i = 0; i < STEPS; i++)
        at = next[at];
    return at;
}

/* One cycle through all of it, in an order that no prefetcher guesses: a full-period generator modulo a power of two. */
static guint32 *walk_new(void)
{
    guint32 *next = g_new(guint32, WALK);
    for (guint32 at = 0, i = 0; i < WALK; i++) {
        const guint32 after = (at * 1664525U + 1013904223U) & (WALK - 1);
        next[at] = after;
        at = after;
    }
    return next;
}

double machine_speed(void)
{
    static volatile double sink;
    g_autofree guint32 *walk = walk_new();
    double integer_ms = INFINITY, float_ms = INFINITY, walk_ms = INFINITY;
    for (guint round = 0; round < ROUNDS; round++) {
        const double start = thread_ms();
        sink = (double)work_on_integers((guint64)sink);
        const double integers = thread_ms();
        sink = work_on_floats(1 + sink * 1e-300);
        const double floats = thread_ms();
        sink = work_on_memory(walk);
        const double end = thread_ms();
        integer_ms = MIN(integer_ms, integers - start);
        float_ms = MIN(float_ms, floats - integers);
        walk_ms = MIN(walk_ms, end - floats);
    }
    return cbrt(REFERENCE_INTEGER_MS / integer_ms * REFERENCE_FLOAT_MS / float_ms * REFERENCE_WALK_MS / walk_ms);
}
