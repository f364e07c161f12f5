/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/failure.h"

/* The version of this program is told even when no daemon answers. */
static void version_print(struct output *output, const json_t *document)
{
    const char *daemon = output_string_at(document, "daemon/version");
    const char *api = output_string_at(document, "daemon/api");
    if (output->quiet) {
        output_print(output, "%s\n", output_string_at(document, "client"));
        return;
    }
    output_print(output, "harbinger  %s\n", output_string_at(document, "client"));
    if (daemon != NULL)
        output_print(output, "daemon     %s (API %s) at %s\n", daemon, api != NULL ? api : "?",
                     output_string_at(document, "address"));
}

static gboolean version_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    g_autoptr(json_auto) document = json_object();
    json_object_set_new(document, "client", json_string(hbr_library_version()));
    g_autoptr(GError) cause = NULL;
    g_autoptr(json_auto) answer = session_ask(session, hbr_version, &cause);
    if (session->client != NULL)
        json_object_set_new(document, "address", json_string(hbr_client_address(session->client)));
    if (answer != NULL)
        json_object_set(document, "daemon", answer);
    output_report(&session->output, document, version_print);
    if (cause != NULL)
        g_propagate_error(error, g_steal_pointer(&cause));
    return answer != NULL;
}

static gboolean metrics_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    if (!hbr_metrics(client, &text, &remote))
        return failure_take(&remote, error);
    output_print(&session->output, "%s", text);
    hbr_free(text);
    return TRUE;
}

static gboolean ready_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    struct hbr_client *client = session_client(session, error);
    struct hbr_error remote = HBR_ERROR_INIT;
    if (client == NULL)
        return FALSE;
    if (!hbr_ready(client, &remote))
        return failure_take(&remote, error);
    g_autoptr(json_auto) document = json_pack("{s:b}", "ready", 1);
    output_result(&session->output, document, NULL, "ready");
    return TRUE;
}

static const struct command daemon_commands[] = {
    {"version", "tell the versions of this program and of the daemon", NULL, version_run, COMMAND_NO_OPTIONS, FALSE},
    {"ready", "tell whether the daemon is ready to take work", "It is when a host is up.", ready_run,
     COMMAND_NO_OPTIONS, FALSE},
    {"metrics", "print the daemon's metrics", "In the text form of Prometheus, with --json too.", metrics_run,
     COMMAND_NO_OPTIONS, FALSE},
};

const struct command_group daemon_group = {"daemon", "The daemon", daemon_commands, G_N_ELEMENTS(daemon_commands)};
