/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/transfer.h"

#include <jansson.h>

/* A stream of events as it comes in: one JSON object a line, each with its "event". */

/* Takes one; `line` is its text. FALSE ends the transfer. */
typedef gboolean (*lines_take)(const char *event, const char *line, const json_t *json, gpointer user_data);

struct lines {
    lines_take take;
    gpointer user_data;
    GString *rest;            /* the beginning of a line whose end has not come yet */
    struct hbr_error problem; /* of one that could not be read */
};

void lines_init(struct lines *lines, lines_take take, gpointer user_data);
void lines_clear(struct lines *lines);

/* As transfer_sink, for a struct lines. */
gboolean lines_feed(const char *data, gsize length, gpointer lines);

/* FALSE when there was none. `error` may be NULL. */
bool lines_take_problem(struct lines *lines, struct hbr_error *error);
