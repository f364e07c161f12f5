/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/notification.h"

/* What code looks like, counted from its text, which is never executed and need not be valid. A table for each language says what to look for; the
 * counts are those of somebody who reads fast: good enough to tell programs apart, not to prove anything of one. Pure, without allocation but for the
 * compressor's, in linear time; any thread. */

#define CODE_LEXED_MAX (256 * 1024) /* so much of the beginning is looked at */
#define CODE_IMPORTS_MAX 32
#define CODE_IMPORT_LENGTH_MAX 64

/* Names of what code imports, as it writes them; of Python's and Rust's dotted names the first component. */
struct code_imports {
    guint count;
    char names[CODE_IMPORTS_MAX][CODE_IMPORT_LENGTH_MAX + 1]; /* each once; UTF-8 */
};

/* Of `length` bytes in `language` (any case; NULL or one that is not known: by what most languages share). Sizes are in bytes; compressed_bytes is
 * that of zlib at level 6, and where the source is larger than CODE_LEXED_MAX, the rest is taken to be like its beginning. */
void code_traits_of_source(struct code_traits *ret, const char *language, const char *source, gsize length);

/* The same, and the names, in one go. */
void code_lex(struct code_traits *ret, struct code_imports *ret_imports, const char *language, const char *source,
              gsize length);
