/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/notification.h"

/* What code looked like when it was seen, by its digest: the same code comes again and again, and reading it costs more than all else that is done for
 * a notification. Each tenant has its own, as of the code itself. Bounded; what was not asked for the longest goes first. Any thread. */

struct traits_cache;

struct code_look {
    gint64 code_bytes;
    struct code_traits traits;
    char **libraries; /* NULL: none */
};

void code_look_clear(struct code_look *look);

/* Of at most `entries_max` pieces of code. */
struct traits_cache *traits_cache_new(guint entries_max);

/* NULL is accepted. */
void traits_cache_free(struct traits_cache *cache);

/* FALSE when it was not seen in that language (NULL: an unknown one). Clear *ret_look with code_look_clear(). */
gboolean traits_cache_get(struct traits_cache *cache, const char *tenant, const char *language, const char *sha256,
                          struct code_look *ret_look);

void traits_cache_put(struct traits_cache *cache, const char *tenant, const char *language, const char *sha256,
                      const struct code_look *look);
