/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Output of a program as NDJSON lines: {"event":"stdout","data":"text"}, or "data_base64" for what is not text. Pure; any thread. */

/* One output stream. Zeros are its first state. */
struct frame_stream {
    guchar held[4]; /* the beginning of a character whose rest has not come yet */
    guint held_length;
};

/* Appends the line for `length` more bytes of the stream called `event`. A character that the end of the bytes cuts is held back for the
 * next call; bytes that no later byte could make valid UTF-8 (and NUL, which many JSON readers refuse) make the line a base64 one. */
void frame_append(struct frame_stream *stream, const char *event, gconstpointer data, gsize length, GString *out);

/* The stream ends: appends the line for what was held back, if anything. */
void frame_finish(struct frame_stream *stream, const char *event, GString *out);
