/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/request.h"

/* An answer in parts, of an execution or of what happens: COMMAND_STREAMs become the lines of an NDJSON body, each sent as soon as the client takes it.
 * A client that leaves too many of them is cut off. */

struct request_stream *stream_new(void);

/* NULL is accepted. */
void stream_free(struct request_stream *stream);

/* Takes a COMMAND_STREAM. Under the lock. TRUE when it is the last. */
gboolean stream_push(struct request_stream *stream, struct command *command);

/* The stream ends without its last line: the client sees a broken connection. Under the lock. */
void stream_break(struct request_stream *stream);

/* Begins the answer, on the connection's thread. */
enum MHD_Result stream_queue(struct request *request);
