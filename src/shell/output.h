/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/table.h"

#include <glib.h>
#include <jansson.h>
#include <stdio.h>

/* The one way in which commands speak: an interface with text (tables for people) and JSON (the daemon's own objects) behind
 * it. What is shown of an object as text is a table of fields. One thread. */

struct output;

struct cell {
    char *text; /* NULL: nothing to show */
    enum table_tone tone;
};

/* Fills `cell` from `value`, which is never NULL. */
typedef void (*field_render)(const struct output *output, const json_t *value, struct cell *cell);

struct field {
    const char *title; /* of its column, or in front of the value */
    const char *path;  /* "notification/code/function"; ".": the object itself */
    field_render render;
    enum table_align align;
};

/* How objects of one kind are shown. The first field is their key: all that --quiet shows. */
struct view {
    const char *member; /* of the list in the daemon's answer: "reservations" */
    const char *empty;  /* said instead of a table without rows */
    const struct field *fields;
    guint field_count;
    void (*details)(struct output *output, const json_t *object); /* below the fields of one object; may be NULL */
};

struct output_ops {
    void (*list)(struct output *output, const struct view *view, const json_t *document);
    void (*object)(struct output *output, const struct view *view, const json_t *object);
    void (*result)(struct output *output, const json_t *document, const char *key, const char *text);
    void (*report)(struct output *output, const json_t *document,
                   void (*render)(struct output *output, const json_t *document));
};

struct output {
    const struct output_ops *ops;
    FILE *stream;
    gboolean is_json, quiet, colour;
    gint64 now; /* what relative times count from */
};

extern const struct output_ops output_text_ops;
extern const struct output_ops output_json_ops;

void output_init(struct output *output, FILE *stream, gboolean is_json, gboolean quiet, gboolean colour, gint64 now);

/* A list, one row for each object of `document`'s `view->member`. */
void output_list(struct output *output, const struct view *view, const json_t *document);

/* One object with its details. */
void output_object(struct output *output, const struct view *view, const json_t *object);

/* What a command has done: `format` as text, `key` alone with --quiet (NULL: nothing), `document` as JSON. */
void output_result(struct output *output, const json_t *document, const char *key, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* Anything that is more than a list: `render` as text. */
void output_report(struct output *output, const json_t *document,
                   void (*render)(struct output *output, const json_t *document));

/* For renderers of text. */
void output_print(struct output *output, const char *format, ...) G_GNUC_PRINTF(2, 3);
void output_heading(struct output *output, const char *title);
void output_rows(struct output *output, const struct field *fields, guint count, const json_t *rows, guint indent);
void output_sheet(struct output *output, const struct field *fields, guint count, const json_t *object, guint indent);
void output_table(struct output *output, const struct table *table, guint indent);

/* The value at a path; NULL when it is absent or null. */
const json_t *output_at(const json_t *object, const char *path);
const char *output_string_at(const json_t *object, const char *path); /* NULL when it is no string */
double output_number_at(const json_t *object, const char *path);      /* 0 when it is no number */
gboolean output_time_at(const json_t *object, const char *path, gint64 *ret_at);
