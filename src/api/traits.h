/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/code-store.h"
#include "api/traits-cache.h"

/* What a program tells of its code, read on the connection's own thread before the core is asked. */

/* Where source that does not come along is looked for, and what is remembered. */
struct traits_sources {
    struct code_store *store; /* NULL: none */
    struct traits_cache *cache;
};

/* Fills what `code` does not tell: its size, traits and arguments. What else can only be guessed goes into `guess`, which may be `code` itself, unless
 * `code` tells it: the language, from the interpreter, and the libraries, from what is imported. The source is the program's, or that of its digest
 * among the code of the tenant. Blocks on the disk. */
void traits_fill(struct code_metadata *code, struct code_metadata *guess, const struct program *program,
                 const struct traits_sources *sources);

/* The language that an interpreter runs ("python" for "/usr/bin/python3.11"); NULL when it is not known. Static string. */
const char *traits_language_of(const char *interpreter);
