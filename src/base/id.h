/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Names of objects: a prefix that tells the kind and a ULID-like tail (48 bits of milliseconds, 40 random bits, Crockford
 * base 32), so that ids sort by creation. The time and the random source are arguments: a replay makes the same ids. */

#define ID_LENGTH_MAX 32

/* "res-01hf3k2m9q7x4b8d2t" for prefix "res". Free with g_free. */
char *id_new(const char *prefix, gint64 now, GRand *random);

/* TRUE for 1 to `max` characters of [A-Za-z0-9._:/@+-] that start with a letter or digit and hold no "..", so
 * that a name used as a path stays where it was put: what a function, a tenant, a host
 * or an idempotency key may be called. */
gboolean id_is_valid_name(const char *text, gsize max);
