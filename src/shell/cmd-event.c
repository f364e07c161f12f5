/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/interrupt.h"
#include "shell/render.h"
#include "shell/units.h"

#include <string.h>

/* What happens, as it happens. */

static const struct command_option event_options[] = {
    {"id", 0, OPTION_STRING, OPTION_POSITIONAL, "ID", "of this reservation, execution, instance or host (all)", 0, 0,
     complete_any_id},
    {"object", 'o', OPTION_STRING, 0, "KIND", "of every reservation, execution, instance or host", 0, 0,
     complete_object_kind},
    {"count", 'n', OPTION_INT, 0, "COUNT", "leave after so many", 1, G_MAXINT, NULL},
};

struct event_watch {
    struct output *output;
    gint64 left; /* to be told; -1: no end */
};

static void event_print_adjustment(struct output *output, const json_t *adjustment)
{
    struct cell change = {NULL, TONE_PLAIN};
    const char *cause = output_string_at(adjustment, "cause"), *problem = output_string_at(adjustment, "error");
    render_change(output, adjustment, &change);
    output_print(output, "%s %s: %s%s%s\n", output_string_at(adjustment, "resource"),
                 change.text != NULL ? change.text : "changed", cause != NULL ? cause : "no cause given",
                 problem != NULL ? "; failed: " : "", problem != NULL ? problem : "");
    g_free(change.text);
}

static void event_print(struct output *output, const char *name, const json_t *event)
{
    const json_t *entry = json_object_get(event, name);
    const char *id = output_string_at(event, "id"), *function = output_string_at(event, "function");
    gint64 at = 0;
    if (!json_is_object(entry) || id == NULL)
        return; /* of a later daemon */
    if (!output_time_at(entry, "confirmed_at", &at))
        output_time_at(entry, "at", &at);
    g_autofree char *when = units_format_clock(at);
    output_print(output, "%s  %s%s%s%s  ", when, id, function != NULL ? " (" : "", function != NULL ? function : "",
                 function != NULL ? ")" : "");
    if (strcmp(name, "adjustment") == 0) {
        event_print_adjustment(output, entry);
        return;
    }
    const char *what = output_string_at(entry, "what"), *detail = output_string_at(entry, "detail");
    output_print(output, "%s%s%s\n", what != NULL ? what : "", detail != NULL ? ": " : "",
                 detail != NULL ? detail : "");
}

static bool event_take(const char *name, const char *json, void *user_data)
{
    struct event_watch *watch = user_data;
    g_autoptr(json_auto) event = json_loads(json, 0, NULL);
    if (strcmp(name, "watching") == 0 || strcmp(name, "end") == 0)
        return true;
    if (watch->output->is_json)
        output_print(watch->output, "%s\n", json);
    else if (event != NULL)
        event_print(watch->output, name, event);
    watch->left -= watch->left > 0 ? 1 : 0;
    return fflush(watch->output->stream) == 0 && watch->left != 0;
}

static gboolean event_run(struct session *session, const struct arguments *arguments, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    struct hbr_client *other = client != NULL ? session_new_client(session, error) : NULL;
    if (other == NULL)
        return FALSE;
    struct event_watch watch = {&session->output,
                                arguments_has(arguments, "count") ? arguments_number(arguments, "count") : -1};
    struct hbr_error remote = HBR_ERROR_INIT;
    struct interrupt *interrupt = interrupt_begin(client, other);
    const bool done = hbr_watch(client, arguments_string(arguments, "object"), arguments_string(arguments, "id"),
                                event_take, &watch, &remote);
    const guint interrupts = interrupt_end(interrupt);
    if (interrupts > 0) {
        hbr_client_free(client); /* an interruption that came too late would end the next call */
        session->client = NULL;
    }
    if (!done && interrupts == 0)
        return failure_take(&remote, error);
    hbr_error_clear(&remote);
    return TRUE;
}

static const struct command event_commands[] = {
    {"event", "tell what happens, as it happens",
     "Tells from now on, one line each, what is written into the timelines of reservations, executions and instances, "
     "each adjustment of a VM once it has an end, and hosts that come and go. Ends with Ctrl-C, or with the daemon. "
     "What was before stands in timeline. With --json each line is an object.",
     event_run, COMMAND_OPTIONS(event_options), FALSE},
};

const struct command_group event_group = {"event", "What happens", event_commands, G_N_ELEMENTS(event_commands)};
