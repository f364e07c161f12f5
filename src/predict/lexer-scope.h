/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/notification.h"
#include "predict/lexer-text.h"

/* The blocks that are open where the lexer stands: which of them are loops and functions, how deep loops nest, and which functions call themselves. Pure;
 * one thread. */

#define SCOPES_MAX 256 /* those that are nested deeper count for nothing */

struct scope {
    gboolean is_function, is_recursive;
    gboolean is_do;             /* a loop with its condition at the end */
    struct text_slice function; /* text NULL: it has no name */
    guint loops;                /* that end with it */
    guint brackets;             /* open around it */
    gint column;                /* of the line that began it, where indentation ends it */
    gint function_at;           /* the innermost function, itself or around it; -1: none */
};

struct scopes {
    struct code_traits *traits;
    gboolean ignores_case;
    struct scope open[SCOPES_MAX];
    guint count, excess;
    guint loops; /* of all that is open */

    struct scope head;  /* a function whose body has not begun; is_function: there is one */
    gboolean is_arrow;  /* its head ends with the line */
    struct scope body;  /* the same for loops */
    guint body_lines;   /* lines since */
    gboolean is_anyhow; /* its body is the next block, in brackets too */
};

/* Opens a block, for the head of a function and of loops before it, if they stand at the same brackets. */
void scopes_open(struct scopes *scopes, guint brackets);

/* Opens a block that is a loop, or a function, itself. Its column is -1 where indentation does not end it. */
void scopes_open_loop(struct scopes *scopes, guint brackets, gint column);
struct text_slice *scopes_open_function(struct scopes *scopes, guint brackets, gint column);

/* Closes the innermost block; TRUE when it was the body of a do loop. */
gboolean scopes_close(struct scopes *scopes);
void scopes_close_all(struct scopes *scopes);

/* Closes the blocks that began at `column` or right of it, and those in brackets that have closed. */
void scopes_close_indented(struct scopes *scopes, gint column);
void scopes_close_brackets(struct scopes *scopes, guint brackets);

/* A loop, or a function, whose body follows. */
void scopes_expect_loop(struct scopes *scopes, guint brackets, gboolean is_do);
struct text_slice *scopes_expect_function(struct scopes *scopes, guint brackets);

/* None follows any more. */
void scopes_drop_loop(struct scopes *scopes);
void scopes_drop_function(struct scopes *scopes);

/* A loop whose depth is one more than that of those open, and that has no block. */
void scopes_count_loop(struct scopes *scopes);

/* The end of a line of code: a loop's body begins on the next one at the latest. */
void scopes_end_line(struct scopes *scopes, guint brackets);

gboolean scopes_has_function(const struct scopes *scopes);
gboolean scopes_is_named(const struct scopes *scopes, const struct text_slice *function, const struct text_slice *name);

/* `name` is called. */
void scopes_note_call(struct scopes *scopes, const struct text_slice *name);
