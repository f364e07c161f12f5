/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/local-file.h"
#include "shell/metadata.h"
#include "shell/notification.h"
#include "shell/render.h"
#include "shell/request.h"
#include "shell/units.h"

#include <string.h>

static const struct command_option notify_options[] = {
    {"function", 'f', OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "FUNCTION",
     "name of the function that will run", 0, 0, complete_function},
    NOTIFICATION_OPTIONS,
    {"code", 0, OPTION_STRING, 0, "FILE", "the code: it is put in place before it is asked for", 0, 0, complete_file},
    {"code-sha256", 0, OPTION_STRING, 0, "DIGEST", "the code by its SHA-256: uploaded before, or at --code-url", 0, 0,
     NULL},
    {"code-url", 0, OPTION_STRING, 0, "URL", "where the daemon can fetch it: http or https", 0, 0, NULL},
    {"interpreter", 0, OPTION_STRING, 0, "NAME", "program in the VM that runs it (by language or \"#!\")", 0, 0, NULL},
    METADATA_OPTIONS,
    {"key", 0, OPTION_STRING, 0, "KEY", "idempotency key: the same key is the same notification", 0, 0, NULL},
    {"wait", 'w', OPTION_STRING, 0, "STATE", "return when the reservation is in that state: ready", 0, 0,
     complete_wait_state},
    {"timeout", 0, OPTION_DURATION, 0, "DURATION", "with --wait, at most this long (5m)", 1, 31622400000, NULL},
};

static const struct command_option upload_options[] = {
    {"file", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "FILE", "the code: UTF-8 text", 0, 0,
     complete_file},
    {"tenant", 't', OPTION_STRING, 0, "NAME", "whose code it is (default)", 0, 0, NULL},
};

/* Bounds of the API (harbinger(1), LIMITS). */
#define NOTIFY_CODE_MAX (4 * 1024 * 1024)

#define NOTIFY_WAIT_MS (5 * 60 * 1000)

/* "ready now", "start in 8 s, for its arrival in 12 s": what the reservation will do. */
static char *notify_plan(const struct output *output, const json_t *reservation)
{
    gint64 start_at = 0, arrival_at = 0, created_at = 0, ready_at = 0;
    const char *state = output_string_at(reservation, "state");
    output_time_at(reservation, "created_at", &created_at);
    if (g_strcmp0(state, "ready") == 0 && output_time_at(reservation, "ready_at", &ready_at)) {
        g_autofree char *took = units_format_duration(ready_at - created_at);
        return g_strdup_printf("ready after %s", took);
    }
    if (g_strcmp0(state, "scheduled") != 0 || !output_time_at(reservation, "start_at", &start_at) ||
        !output_time_at(reservation, "arrival_at", &arrival_at))
        return g_strdup(state);
    g_autofree char *start = units_format_relative(start_at, output->now);
    g_autofree char *arrival = units_format_relative(arrival_at, output->now);
    return g_strdup_printf("scheduled, starts %s for its arrival %s", start, arrival);
}

static void notify_print(struct output *output, const json_t *document, const json_t *reservation)
{
    const char *id = output_string_at(reservation, "id");
    const char *host = output_string_at(reservation, "host");
    const char *profile = output_string_at(reservation, "profile");
    g_autofree char *shape = render_shape_text(json_object_get(reservation, "shape"));
    g_autofree char *plan = notify_plan(output, reservation);
    output_result(output, document, id, "%s: %s%s%s, %s (%s)", id, plan, host != NULL ? " on " : "",
                  host != NULL ? host : "", shape, profile != NULL ? profile : "no profile");
}

/* What was waited for may not have come: the reservation ended otherwise. */
static gboolean notify_check_state(const json_t *reservation, const char *wanted, GError **error)
{
    static const char *const past_ready[] = {"ready", "claimed", "done", NULL};
    const char *state = output_string_at(reservation, "state");
    const char *cause = output_string_at(reservation, "error");
    if (g_strcmp0(state, wanted) == 0)
        return TRUE;
    if (strcmp(wanted, "ready") == 0 && g_strv_contains(past_ready, state != NULL ? state : ""))
        return TRUE;
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_ANSWER, "%s is %s, not %s%s%s", output_string_at(reservation, "id"),
                state, wanted, cause != NULL ? ": " : "", cause != NULL ? cause : "");
    return FALSE;
}

static gboolean notify_wait(struct session *session, const struct arguments *arguments, const char *id, GError **error)
{
    const char *state = arguments_string(arguments, "wait");
    gint64 timeout_ms = arguments_has(arguments, "timeout") ? arguments_number(arguments, "timeout") : NOTIFY_WAIT_MS;
    g_autoptr(json_auto) reservation = session_wait(session, HBR_RESERVATION, id, state, timeout_ms, error);
    if (reservation == NULL || !notify_check_state(reservation, state, error))
        return FALSE;
    session->output.now = session_now();
    g_autoptr(json_auto) document = json_object();
    json_object_set(document, "reservation", reservation);
    notify_print(&session->output, document, reservation);
    return TRUE;
}

static gboolean notify_check_wait(const struct arguments *arguments, GError **error)
{
    static const char *const states[] = {"ready", "claimed", "done", "scheduled", "waiting", "starting", NULL};
    const char *state = arguments_string(arguments, "wait");
    if (state != NULL && !g_strv_contains(states, state))
        return failure_usage(error, "--wait: \"%s\" is no state to wait for: write ready, claimed or done", state);
    if (state == NULL && arguments_has(arguments, "timeout"))
        return failure_usage(error, "--timeout goes with --wait");
    return TRUE;
}

static json_t *notify_program(const struct arguments *arguments, json_t *code, GError **error)
{
    const gboolean by_digest = arguments_has(arguments, "code-sha256") || arguments_has(arguments, "code-url");
    if (!by_digest)
        return request_program_of_file(arguments, arguments_string(arguments, "code"), error);
    if (!arguments_has(arguments, "code"))
        return request_program_of_digest(arguments, code, error);
    failure_usage(error, "--code sends the code, --code-sha256 names it: give one of them");
    return NULL;
}

/* Code that does not fit goes ahead, and the notification names it. A compiled program cannot: of it only the size is told. */
static gboolean notify_send_ahead(struct session *session, const char *tenant, json_t *body, GError **error)
{
    json_t *program = json_object_get(body, "program"), *source = json_object_get(program, "source");
    if (source == NULL) {
        g_printerr("harbinger: notify: the code is too large to be announced, or no text: only its size is told\n");
        json_object_del(body, "program");
        return TRUE;
    }
    g_autoptr(json_auto) answer =
        session_upload(session, tenant, json_string_value(source), json_string_length(source), error);
    if (answer == NULL)
        return FALSE;
    json_object_set(program, "source_sha256", json_object_get(answer, "sha256"));
    json_object_del(program, "source");
    return TRUE;
}

static gboolean notify_add_program(struct session *session, const struct arguments *arguments, json_t *body,
                                   GError **error)
{
    if (!arguments_has(arguments, "code") && !arguments_has(arguments, "code-sha256") &&
        !arguments_has(arguments, "code-url"))
        return !arguments_has(arguments, "interpreter") ||
               failure_usage(error, "--interpreter goes with --code or --code-sha256");
    g_autoptr(json_auto) program = notify_program(arguments, json_object_get(body, "code"), error);
    if (program == NULL)
        return FALSE;
    json_object_set(body, "program", program);
    return notification_fits(body) || notify_send_ahead(session, arguments_string(arguments, "tenant"), body, error);
}

static gboolean notify_run(struct session *session, const struct arguments *arguments, GError **error)
{
    if (!notify_check_wait(arguments, error))
        return FALSE;
    g_autoptr(json_auto) body = notification_new(arguments, arguments_string(arguments, "function"), error);
    if (body == NULL)
        return FALSE;
    if (arguments_has(arguments, "key"))
        json_object_set_new(body, "idempotency_key", json_string(arguments_string(arguments, "key")));
    if (!notify_add_program(session, arguments, body, error))
        return FALSE;
    g_autoptr(json_auto) answer = session_send(session, hbr_notify, body, error);
    if (answer == NULL)
        return FALSE;
    const json_t *reservation = json_object_get(answer, "reservation");
    const char *id = output_string_at(reservation, "id");
    if (arguments_has(arguments, "wait") && id != NULL)
        return notify_wait(session, arguments, id, error);
    notify_print(&session->output, answer, reservation);
    return TRUE;
}

static gboolean upload_run(struct session *session, const struct arguments *arguments, GError **error)
{
    g_autoptr(GBytes) content = local_file_read(arguments_string(arguments, "file"), NOTIFY_CODE_MAX, error);
    if (content == NULL)
        return FALSE;
    gsize length = 0;
    const void *data = g_bytes_get_data(content, &length);
    g_autoptr(json_auto) answer = session_upload(session, arguments_string(arguments, "tenant"), data, length, error);
    if (answer == NULL)
        return FALSE;
    const char *sha256 = output_string_at(answer, "sha256");
    g_autofree char *size = units_format_bytes((gint64)output_number_at(answer, "bytes"));
    output_result(&session->output, answer, sha256, "%s: %s", sha256, size);
    return TRUE;
}

static const struct command notify_commands[] = {
    {"notify", "tell that code will run soon",
     "Harbinger predicts what the code will need and has a VM of that shape ready when it arrives. Only FUNCTION is "
     "needed; the more is known, the better the prediction. Code that comes along is put into the VM before it is asked "
     "for. Prints the id of the reservation.",
     notify_run, COMMAND_OPTIONS(notify_options), FALSE},
    {"code-upload", "give the daemon code that is announced by its digest",
     "For notify --code-sha256. Prints the digest. What is not used makes room for what is.", upload_run,
     COMMAND_OPTIONS(upload_options), FALSE},
};

const struct command_group notify_group = {"notify", "Before code runs", notify_commands,
                                           G_N_ELEMENTS(notify_commands)};
