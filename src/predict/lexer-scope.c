/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/lexer-scope.h"

#include <string.h>

#define CALLERS_MAX 4 /* functions around a call that it is compared with */

static struct scope *scopes_push(struct scopes *scopes, const struct scope *scope)
{
    if (scopes->count == SCOPES_MAX) {
        scopes->excess++;
        return NULL;
    }
    struct scope *top = &scopes->open[scopes->count];
    *top = *scope;
    top->function_at = scope->is_function ? (gint)scopes->count : scopes->count > 0 ? top[-1].function_at : -1;
    scopes->count++;
    scopes->loops += scope->loops;
    return top;
}

void scopes_open(struct scopes *scopes, guint brackets)
{
    struct scope scope = {.brackets = brackets, .column = -1};
    if (scopes->head.is_function && scopes->head.brackets == brackets) {
        scope.is_function = TRUE;
        scope.function = scopes->head.function;
        scope.is_recursive = scopes->head.is_recursive;
        scopes->head.is_function = FALSE;
    }
    if (scopes->body.loops > 0 && (scopes->body.brackets == brackets || scopes->is_anyhow)) {
        scope.loops = scopes->body.loops;
        scope.is_do = scopes->body.is_do;
        scopes_drop_loop(scopes);
    }
    scopes_push(scopes, &scope);
}

static void scopes_note_depth(struct scopes *scopes, guint more)
{
    scopes->traits->loop_depth = MAX(scopes->traits->loop_depth, scopes->loops + scopes->body.loops + more);
}

void scopes_open_loop(struct scopes *scopes, guint brackets, gint column)
{
    const struct scope scope = {.loops = 1 + scopes->body.loops, .brackets = brackets, .column = column};
    scopes_drop_loop(scopes);
    scopes->traits->loops++;
    scopes_note_depth(scopes, scope.loops);
    scopes_push(scopes, &scope);
}

struct text_slice *scopes_open_function(struct scopes *scopes, guint brackets, gint column)
{
    const struct scope scope = {.is_function = TRUE, .brackets = brackets, .column = column};
    struct scope *top = scopes_push(scopes, &scope);
    return top != NULL ? &top->function : NULL;
}

gboolean scopes_close(struct scopes *scopes)
{
    if (scopes->excess > 0) {
        scopes->excess--;
        return FALSE;
    }
    if (scopes->count == 0)
        return FALSE;
    const struct scope *top = &scopes->open[--scopes->count];
    scopes->loops -= top->loops;
    scopes->traits->recursive += top->is_recursive ? 1 : 0;
    scopes_drop_loop(scopes);
    return top->is_do;
}

void scopes_close_all(struct scopes *scopes)
{
    scopes->excess = 0;
    while (scopes->count > 0)
        scopes_close(scopes);
    scopes_drop_function(scopes);
}

void scopes_close_indented(struct scopes *scopes, gint column)
{
    while (scopes->count > 0 && scopes->open[scopes->count - 1].column >= column) {
        scopes->excess = 0;
        scopes_close(scopes);
    }
}

void scopes_close_brackets(struct scopes *scopes, guint brackets)
{
    while (scopes->count > 0 && scopes->open[scopes->count - 1].brackets > brackets) {
        scopes->excess = 0;
        scopes_close(scopes);
    }
}

void scopes_expect_loop(struct scopes *scopes, guint brackets, gboolean is_do)
{
    scopes->traits->loops++;
    scopes->body.loops++;
    scopes->body.brackets = brackets;
    scopes->body.is_do = is_do;
    scopes->body_lines = 0;
    scopes->is_anyhow = FALSE;
    scopes_note_depth(scopes, 0);
}

struct text_slice *scopes_expect_function(struct scopes *scopes, guint brackets)
{
    scopes_drop_function(scopes);
    scopes->head = (struct scope){.is_function = TRUE, .brackets = brackets};
    return &scopes->head.function;
}

void scopes_drop_loop(struct scopes *scopes)
{
    scopes->body = (struct scope){0};
    scopes->is_anyhow = FALSE;
}

/* One without a block may have called itself all the same. */
void scopes_drop_function(struct scopes *scopes)
{
    scopes->traits->recursive += scopes->head.is_function && scopes->head.is_recursive ? 1 : 0;
    scopes->head = (struct scope){0};
    scopes->is_arrow = FALSE;
}

void scopes_count_loop(struct scopes *scopes)
{
    scopes->traits->loops++;
    scopes_note_depth(scopes, 1);
}

void scopes_end_line(struct scopes *scopes, guint brackets)
{
    if (scopes->body.loops > 0 && brackets == scopes->body.brackets && ++scopes->body_lines > 1)
        scopes_drop_loop(scopes);
    if (scopes->is_arrow && brackets == scopes->head.brackets)
        scopes_drop_function(scopes);
}

gboolean scopes_has_function(const struct scopes *scopes)
{
    return scopes->count > 0 && scopes->open[scopes->count - 1].function_at >= 0;
}

gboolean scopes_is_named(const struct scopes *scopes, const struct text_slice *function, const struct text_slice *name)
{
    if (function->text == NULL || function->length != name->length)
        return FALSE;
    return scopes->ignores_case ? g_ascii_strncasecmp(function->text, name->text, name->length) == 0
                                : memcmp(function->text, name->text, name->length) == 0;
}

void scopes_note_call(struct scopes *scopes, const struct text_slice *name)
{
    if (scopes->head.is_function && scopes_is_named(scopes, &scopes->head.function, name))
        scopes->head.is_recursive = TRUE;
    gint at = scopes->count > 0 ? scopes->open[scopes->count - 1].function_at : -1;
    for (guint i = 0; i < CALLERS_MAX && at >= 0; i++) {
        struct scope *scope = &scopes->open[at];
        if (scopes_is_named(scopes, &scope->function, name))
            scope->is_recursive = TRUE;
        at = at > 0 ? scopes->open[at - 1].function_at : -1;
    }
}
