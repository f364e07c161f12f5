/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/event.h"

/* The kinds of objects that have a table of their own: its name (object_kind_words), the words of its states, and the form of its
 * bodies. Any thread. */

struct table {
    const char *name;
    const struct codec_words *states;
    const struct codec *codec;
};

/* NULL with HBR_ERROR_STORE for a kind without a table (policies have tables of another form). */
const struct table *table_of(enum object_kind object, GError **error);
