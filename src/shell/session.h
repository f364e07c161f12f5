/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harbinger/harbinger.h"
#include "shell/output.h"

/* What commands work with: the connection to the daemon, made when it is first needed, and the output. One thread. */

struct session {
    char *address; /* NULL: libharbinger's default */
    struct hbr_client *client;
    gboolean json, quiet; /* given before the command: they hold for all commands of this session */
    gboolean interactive; /* commands come from the shell's prompt */
    gboolean done;        /* `quit` was said */
    int exit_status;      /* of the last command, when it succeeded; a program's own after exec */
    struct output output; /* of the command that runs */
};

void session_init(struct session *session, const char *address);
void session_clear(struct session *session);

/* The clock; $HBR_TEST_NOW (RFC 3339) when that is set. */
gint64 session_now(void);

/* TRUE when `stream` is a terminal that wants colour (NO_COLOR, TERM). */
gboolean session_wants_colour(FILE *stream);

/* TRUE when it is one that shows all of Unicode: the locale is UTF-8. */
gboolean session_wants_unicode(FILE *stream);

/* How large it is, in characters: 80 by 24 when it is no terminal, or does not tell. */
void session_screen(FILE *stream, guint *ret_columns, guint *ret_rows);

/* A client of its own, for another thread; free with hbr_client_free. NULL with REMOTE_ERROR. */
struct hbr_client *session_new_client(const struct session *session, GError **error);
struct hbr_client *session_client(struct session *session, GError **error);

/* Calls of the library with JSON in and out. NULL with REMOTE_ERROR or SHELL_ERROR_ANSWER; json_decref what is returned. */
typedef bool (*session_call)(struct hbr_client *client, const char *text, char **ret_json, struct hbr_error *error);
json_t *session_ask_of(struct session *session, session_call call, const char *text, GError **error);
json_t *session_send(struct session *session, session_call call, const json_t *body, GError **error);
typedef bool (*session_question)(struct hbr_client *client, char **ret_json, struct hbr_error *error);
json_t *session_ask(struct session *session, session_question question, GError **error);
json_t *session_list(struct session *session, enum hbr_kind kind, const struct hbr_filter *filter, GError **error);
json_t *session_get(struct session *session, enum hbr_kind kind, const char *id, GError **error);
json_t *session_wait(struct session *session, enum hbr_kind kind, const char *id, const char *state, gint64 timeout_ms,
                     GError **error);
json_t *session_delete(struct session *session, enum hbr_kind kind, const char *id, GError **error);

/* Uploads code for `tenant` (NULL: the default one). */
json_t *session_upload(struct session *session, const char *tenant, const void *data, gsize length, GError **error);

/* The JSON of an answer, which is freed. NULL with SHELL_ERROR_ANSWER. */
json_t *session_parse(char *text, GError **error);

/* json_decref for g_autoptr. */
typedef json_t json_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_auto, json_decref)
