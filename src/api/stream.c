/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/stream.h"

#include <string.h>
#include <sys/socket.h>

#define STREAM_BLOCK (32 * 1024)
#define STREAM_BACKLOG 10000 /* lines that a client has not taken: then it is cut off */
#define STREAM_CONTENT_TYPE "application/x-ndjson"

static const char *const stream_names[] = {"stdout", "stderr"};

struct request_stream *stream_new(void)
{
    struct request_stream *stream = g_new0(struct request_stream, 1);
    g_queue_init(&stream->commands);
    stream->out = g_string_new(NULL);
    return stream;
}

static void stream_command_free(gpointer command)
{
    command_free(command);
}

void stream_free(struct request_stream *stream)
{
    if (stream == NULL)
        return;
    g_queue_clear_full(&stream->commands, stream_command_free);
    g_string_free(stream->out, TRUE);
    g_free(stream);
}

gboolean stream_push(struct request_stream *stream, struct command *command)
{
    stream->ended = stream->ended || command->end;
    stream->is_broken = stream->is_broken || stream->lines >= STREAM_BACKLOG;
    stream->lines += command->stream == 0 ? 1 : 0;
    if (stream->is_broken)
        command_free(command);
    else
        g_queue_push_tail(&stream->commands, command);
    return stream->ended;
}

void stream_break(struct request_stream *stream)
{
    stream->is_broken = TRUE;
}

static void stream_append_output(struct request_stream *stream, guint number, GBytes *body)
{
    gsize length;
    const guint index = number == 2 ? 1 : 0;
    const void *data = g_bytes_get_data(body, &length);
    frame_append(&stream->frames[index], stream_names[index], data, length, stream->out);
    stream->consumed += (gint64)length;
}

static void stream_append_line(struct request_stream *stream, GBytes *body)
{
    gsize length;
    const char *text = g_bytes_get_data(body, &length);
    g_string_append_len(stream->out, text, (gssize)length);
    g_string_append_c(stream->out, '\n');
}

/* Before the last line everything held back goes out. */
static void stream_append(struct request_stream *stream, const struct command *command)
{
    if (command->stream != 0 && command->body != NULL)
        stream_append_output(stream, command->stream, command->body);
    if (command->end)
        for (guint i = 0; i < G_N_ELEMENTS(stream->frames); i++)
            frame_finish(&stream->frames[i], stream_names[i], stream->out);
    if (command->stream == 0 && command->body != NULL)
        stream_append_line(stream, command->body);
}

/* The answer ends, well or badly, or has to wait. */
enum stream_state { STREAM_DATA, STREAM_WAIT, STREAM_END, STREAM_FAILED };

/* The next command in *ret_command, or why there is none. Waiting is begun here, under the lock. */
static enum stream_state stream_take(struct request *request, struct command **ret_command)
{
    struct request_stream *stream = request->stream;
    enum stream_state state = STREAM_DATA;
    pthread_mutex_lock(&request->api->lock);
    *ret_command = g_queue_pop_head(&stream->commands);
    stream->lines -= *ret_command != NULL && (*ret_command)->stream == 0 ? 1 : 0;
    if (request->is_gone || stream->is_broken) {
        state = STREAM_FAILED;
    } else if (*ret_command == NULL) {
        state = stream->ended ? STREAM_END : request->api->stopping ? STREAM_FAILED : STREAM_WAIT;
    }
    if (state == STREAM_WAIT && stream->out->len == 0) {
        request->suspended = TRUE;
        MHD_suspend_connection(request->connection);
    }
    pthread_mutex_unlock(&request->api->lock);
    return state;
}

/* Makes lines until `max` bytes are there, or nothing is left to make them of. */
static enum stream_state stream_fill(struct request *request, gsize max)
{
    struct request_stream *stream = request->stream;
    while (stream->out->len < max) {
        g_autoptr(command_auto) command = NULL;
        const enum stream_state state = stream_take(request, &command);
        if (state != STREAM_DATA)
            return state;
        stream_append(stream, command);
    }
    return STREAM_DATA;
}

/* All lines made are with the client: the core may send so much more. */
static void stream_tell_consumed(struct request *request)
{
    struct request_stream *stream = request->stream;
    g_string_truncate(stream->out, 0);
    stream->out_taken = 0;
    if (stream->consumed == 0)
        return;
    struct event *event = event_new(EVENT_OUTPUT_CONSUMED);
    event->request = request->id;
    event->count = stream->consumed;
    stream->consumed = 0;
    request->api->sink(event, request->api->sink_data);
}

static ssize_t stream_copy(struct request *request, char *buffer, size_t max)
{
    struct request_stream *stream = request->stream;
    const gsize length = MIN(max, stream->out->len - stream->out_taken);
    memcpy(buffer, stream->out->str + stream->out_taken, length);
    stream->out_taken += length;
    if (stream->out_taken == stream->out->len)
        stream_tell_consumed(request);
    return (ssize_t)length;
}

/* A client may read slowly while the program runs; once it has ended, what is left must be taken in the usual time. */
static void stream_set_timeout(const struct request *request, guint timeout_s)
{
    MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, timeout_s);
}

/* MHD_CONTENT_READER_END_WITH_ERROR in a chunked answer leaves libmicrohttpd 0.9.75 with a connection that is marked closed and that nothing
 * wakes it up for (MHD_connection_handle_idle() leaves its loop), so that it is not closed until the peer does. A write that fails ends the
 * connection at once. */
static ssize_t stream_abort(const struct request *request, char *buffer)
{
    shutdown(request_fd(request), SHUT_RDWR);
    buffer[0] = '\n';
    return 1;
}

static ssize_t stream_read(void *cls, uint64_t position G_GNUC_UNUSED, char *buffer, size_t max)
{
    struct request *request = cls;
    struct request_stream *stream = request->stream;
    if (stream->out_taken < stream->out->len)
        return stream_copy(request, buffer, max);
    const enum stream_state state = stream_fill(request, max);
    if (state == STREAM_FAILED)
        return stream_abort(request, buffer);
    if (state == STREAM_END)
        stream_set_timeout(request, request->api->timeout_s);
    if (stream->out->len > 0)
        return stream_copy(request, buffer, max);
    stream_tell_consumed(request); /* bytes that are all held back count as taken */
    return state == STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : 0;
}

enum MHD_Result stream_queue(struct request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, request, NULL);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, STREAM_CONTENT_TYPE);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    stream_set_timeout(request, 0);
    const enum MHD_Result result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}
