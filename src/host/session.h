/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/guest.h"
#include "wire/credit.h"
#include "wire/frame.h"

/* Harbinger's own agent: one session of the guest protocol, without I/O. Bytes of the channel go in, call-backs of guest_watch and bytes for
 * the channel come out. Whatever the guest sends, it harms this session only: its frames are bounded by the protocol's limits, its output by
 * the credit that was given. One thread. */

struct session_io {
    void (*send)(gpointer data); /* there are bytes in session_out() */
    gpointer data;
};

struct session;
struct session_run;

struct session {
    struct guest guest;
    struct session_io io;
    struct wire_reader reader;
    struct wire_buffer out;
    guint64 nonce; /* of all hails of this session, so that a slow guest may answer any of them */
    guint hails;   /* not answered yet */
    gboolean has_answered, is_lost;
    gboolean can_hold; /* programs before they run */
    guint32 next_stream, usage_stream, identity_stream, alarm_stream;
    GHashTable *runs;  /* stream -> struct session_run */
    GHashTable *waits; /* stream -> struct session_wait */
};

struct session *session_new(const struct guest_watch *watch, gpointer owner, const struct session_io *io);
void session_free(struct session *session);

/* Bytes came. */
void session_feed(struct session *session, const guint8 *data, gsize size);

/* The bytes to be sent; the channel drops from the front what it has sent. */
struct wire_buffer *session_out(struct session *session);

/* The channel is closed or the peer is broken: reports `lost`, once. */
void session_fail(struct session *session, const GError *error);

/* Within host/session*.c. */

/* Sends one message on a stream. */
void session_send(struct session *session, guint16 type, guint16 flags, guint32 stream, gconstpointer message);
void session_send_data(struct session *session, guint16 type, guint16 flags, guint32 stream, gconstpointer data,
                       gsize size);
void session_flush(struct session *session);
guint32 session_next_stream(struct session *session);

/* session-run.c: executions. */
void session_run_start(struct session *session, struct run_spec *run);
void session_run_stage(struct session *session, struct run_spec *run);
void session_run_stdin(struct session *session, const char *execution_id, guint64 request, GBytes *bytes, gboolean eof);
void session_run_credit(struct session *session, const char *execution_id, gint64 count);
void session_run_cancel(struct session *session, const char *execution_id);
void session_run_free(gpointer run);

/* A frame on the stream of a run or of one of its files. FALSE: it is nobody's. */
gboolean session_run_on_frame(struct session *session, const struct wire_frame *frame);

/* The agent refused something on that stream. FALSE: no run has it. */
gboolean session_run_on_failure(struct session *session, guint32 stream, const char *text);
