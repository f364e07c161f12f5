/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/session.h"

#include "shell/failure.h"
#include "shell/units.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void session_init(struct session *session, const char *address)
{
    memset(session, 0, sizeof *session);
    session->address = g_strdup(address);
}

void session_clear(struct session *session)
{
    hbr_client_free(session->client);
    g_free(session->address);
    memset(session, 0, sizeof *session);
}

gint64 session_now(void)
{
    gint64 now = 0;
    return units_parse_rfc3339(g_getenv("HBR_TEST_NOW"), &now) ? now : g_get_real_time();
}

gboolean session_wants_colour(FILE *stream)
{
    const char *no_colour = g_getenv("NO_COLOR");
    if (no_colour != NULL && *no_colour != '\0')
        return FALSE;
    return isatty(fileno(stream)) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

gboolean session_wants_unicode(FILE *stream)
{
    return isatty(fileno(stream)) && g_get_charset(NULL);
}

void session_screen(FILE *stream, guint *ret_columns, guint *ret_rows)
{
    struct winsize size = {.ws_col = 0};
    const gboolean is_told = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *ret_columns = is_told ? size.ws_col : 80;
    *ret_rows = is_told ? size.ws_row : 24;
}

/* A user who runs a daemon of their own means that one. NULL: libharbinger's default. Free with g_free. */
static char *session_own_socket(void)
{
    if (geteuid() == 0 || g_getenv("HARBINGER_URI") != NULL)
        return NULL;
    g_autofree char *path = g_build_filename(g_get_user_runtime_dir(), "harbinger", "harbinger.sock", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path) : NULL;
}

struct hbr_client *session_new_client(const struct session *session, GError **error)
{
    struct hbr_error remote = HBR_ERROR_INIT;
    g_autofree char *own = session->address == NULL ? session_own_socket() : NULL;
    struct hbr_client *client = hbr_client_new(own != NULL ? own : session->address, &remote);
    if (client == NULL)
        failure_take(&remote, error);
    return client;
}

struct hbr_client *session_client(struct session *session, GError **error)
{
    if (session->client == NULL)
        session->client = session_new_client(session, error);
    return session->client;
}

json_t *session_parse(char *text, GError **error)
{
    json_error_t cause;
    json_t *json = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, &cause) : NULL;
    if (json == NULL)
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_ANSWER, "the daemon's answer is no JSON: %s",
                    text != NULL ? cause.text : "it is empty");
    hbr_free(text);
    return json;
}

static json_t *session_answer(bool answered, char *text, struct hbr_error *remote, GError **error)
{
    if (answered)
        return session_parse(text, error);
    failure_take(remote, error);
    return NULL;
}

json_t *session_ask_of(struct session *session, session_call call, const char *text, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *answer = NULL;
    bool answered = call(client, text, &answer, &remote);
    return session_answer(answered, answer, &remote, error);
}

json_t *session_send(struct session *session, session_call call, const json_t *body, GError **error)
{
    char *json = json_dumps(body, JSON_COMPACT);
    json_t *answer = session_ask_of(session, call, json, error);
    free(json);
    return answer;
}

json_t *session_ask(struct session *session, session_question question, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    bool answered = question(client, &text, &remote);
    return session_answer(answered, text, &remote, error);
}

json_t *session_list(struct session *session, enum hbr_kind kind, const struct hbr_filter *filter, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    bool answered = hbr_list(client, kind, filter, &text, &remote);
    return session_answer(answered, text, &remote, error);
}

json_t *session_get(struct session *session, enum hbr_kind kind, const char *id, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    bool answered = hbr_get(client, kind, id, &text, &remote);
    return session_answer(answered, text, &remote, error);
}

json_t *session_wait(struct session *session, enum hbr_kind kind, const char *id, const char *state, gint64 timeout_ms,
                     GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    bool answered = hbr_wait(client, kind, id, state, timeout_ms, &text, &remote);
    return session_answer(answered, text, &remote, error);
}

json_t *session_delete(struct session *session, enum hbr_kind kind, const char *id, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    bool answered = hbr_delete(client, kind, id, &text, &remote);
    return session_answer(answered, text, &remote, error);
}

json_t *session_upload(struct session *session, const char *tenant, const void *data, gsize length, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    bool answered = hbr_code_upload(client, tenant, data, length, &text, &remote);
    return session_answer(answered, text, &remote, error);
}
