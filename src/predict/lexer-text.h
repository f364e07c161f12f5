/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/lexer-table.h"

/* The text under the lexer: where it stands, the lines of code behind it, and what is skipped as a whole (comments, strings). Each byte is looked at a
 * bounded number of times. Pure; one thread. */

struct text_slice {
    const char *text;
    gsize length;
};

struct text {
    const char *start, *at, *end;
    const struct lexer_language *language;
    guint lines;               /* of code */
    gboolean has_code;         /* the line so far */
    gboolean has_no_heredocs;  /* one had no end: what looks like one is none */
    struct text_slice heredoc; /* the word that ends what begins with the next line; NULL: none */
};

void text_init(struct text *text, const struct lexer_language *language, const char *start, gsize length);

/* Whether `word` stands at the present place. */
gboolean text_is_at(const struct text *text, const char *word);

/* The byte `offset` further; NUL beyond the end. */
char text_peek(const struct text *text, gsize offset);

/* Steps over the end of a line, and over the heredoc behind it. */
void text_end_line(struct text *text);

/* Goes on to `to`, which is behind the present place, as code or as a comment. */
void text_take(struct text *text, const char *to, gboolean is_code);

/* The end of this line. */
const char *text_line_end(const struct text *text);

/* Steps over a comment that begins here. */
gboolean text_skip_comment(struct text *text);

/* Steps over a string or a regular expression that begins here; `follows_value` tells division from the latter. *ret_content: what is between its
 * quotes. */
gboolean text_skip_string(struct text *text, gboolean follows_value, struct text_slice *ret_content);
