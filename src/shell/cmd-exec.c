/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/interrupt.h"
#include "shell/render.h"
#include "shell/request.h"
#include "shell/units.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define EXEC_STATUS_INTERRUPTED 130

static const struct command_option exec_options[] = {
    {"script", 0, OPTION_STRING, OPTION_POSITIONAL, "SCRIPT", "a local file to run", 0, 0, complete_file},
    {"arg", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REPEATED, "ARG", "arguments of the program, best after --", 0,
     0, complete_file},
    {"code", 'c', OPTION_STRING, 0, "CODE", "run this text instead of a file", 0, 0, NULL},
    {"function", 'f', OPTION_STRING, 0, "NAME", "function that it is (SCRIPT without folder and extension)", 0, 0,
     complete_function},
    {"reservation", 'r', OPTION_STRING, 0, "ID", "use this reservation (the function's best)", 0, 0,
     complete_reservation},
    {"interpreter", 0, OPTION_STRING, 0, "NAME", "program in the VM that runs it (by language or \"#!\")", 0, 0, NULL},
    {"file", 0, OPTION_STRING, OPTION_REPEATED, "LOCAL[:REMOTE]", "put this file beside the code", 0, 0, complete_file},
    {"env", 'e', OPTION_STRING, OPTION_REPEATED, "NAME[=VALUE]", "set a variable; without a value, as it is here", 0, 0,
     NULL},
    {"cwd", 0, OPTION_STRING, 0, "DIR", "working directory in the VM", 0, 0, NULL},
    {"limit-wall", 0, OPTION_DURATION, 0, "DURATION", "stop it after this time (the policy's limit)", 1, 31622400000,
     NULL},
    {"limit-memory", 0, OPTION_SIZE, 0, "SIZE", "memory that it may use", 1024 * 1024, G_GINT64_CONSTANT(1) << 46,
     NULL},
    {"limit-pids", 0, OPTION_INT, 0, "COUNT", "processes and threads that it may have", 1, 4194304, NULL},
    {"limit-output", 0, OPTION_SIZE, 0, "SIZE", "output that it may write", 0, 0, NULL},
    {"deadline", 'd', OPTION_TIME, 0, "TIME", "it must have ended by this time", 0, 0, NULL},
    {"key", 0, OPTION_STRING, 0, "KEY", "idempotency key: the same key is the same execution", 0, 0, NULL},
    {"no-stdin", 'n', OPTION_BOOL, 0, NULL, "the program gets no standard input", 0, 0, NULL},
    {"detach", 0, OPTION_BOOL, 0, NULL, "return when it was accepted, its output is dropped", 0, 0, NULL},
    {"verbose", 'v', OPTION_BOOL, 0, NULL, "say on standard error what happens", 0, 0, NULL},
    METADATA_OPTIONS,
};

/* One call of hbr_execute(). */
struct exec_run {
    struct session *session;
    struct interrupt *interrupt;
    gboolean verbose, json, detach;
    char *id;         /* once it is known */
    json_t *accepted; /* the execution as first seen */
    int write_errno;  /* standard output could not be written */
};

static gboolean exec_write(struct exec_run *run, int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            run->write_errno = errno;
            return FALSE;
        }
        data += written;
        length -= (size_t)written;
    }
    return TRUE;
}

static gboolean exec_write_line(struct exec_run *run, const char *json)
{
    g_autofree char *line = g_strconcat(json, "\n", NULL);
    return exec_write(run, STDOUT_FILENO, line, strlen(line));
}

/* The library takes output out of its events; with --json it goes back into one. */
static gboolean exec_write_output_event(struct exec_run *run, const char *name, const char *data, size_t length)
{
    g_autoptr(json_auto) event = json_object();
    json_object_set_new(event, "event", json_string(name));
    if (g_utf8_validate_len(data, length, NULL)) {
        json_object_set_new(event, "data", json_stringn(data, length));
    } else {
        g_autofree char *base64 = g_base64_encode((const guchar *)data, length);
        json_object_set_new(event, "data_base64", json_string(base64));
    }
    char *json = json_dumps(event, JSON_COMPACT);
    gboolean written = exec_write_line(run, json);
    free(json);
    return written;
}

static bool exec_on_stdout(const void *data, size_t length, void *user_data)
{
    struct exec_run *run = user_data;
    return run->json ? exec_write_output_event(run, "stdout", data, length)
                     : exec_write(run, STDOUT_FILENO, data, length);
}

/* A closed standard error is no reason to stop a program. */
static bool exec_on_stderr(const void *data, size_t length, void *user_data)
{
    struct exec_run *run = user_data;
    if (run->json)
        return exec_write_output_event(run, "stderr", data, length);
    if (!exec_write(run, STDERR_FILENO, data, length))
        run->write_errno = 0;
    return true;
}

/* How it came to its instance, and what stood in it already. */
static char *exec_found(const json_t *execution)
{
    const char *path = output_string_at(execution, "path"), *place = output_string_at(execution, "code_place");
    const double uses = output_number_at(execution, "instance_uses");
    GString *text = g_string_new(NULL);
    if (path != NULL)
        g_string_append_printf(text, "; path: %s", path);
    if (place != NULL)
        g_string_append_printf(text, "; code: %s", place);
    if (uses > 0)
        g_string_append_printf(text, "; ran here before: %.0f", uses);
    return g_string_free(text, FALSE);
}

static void exec_say_started(const json_t *execution)
{
    gint64 created_at = 0, started_at = 0;
    g_autofree char *shape = render_shape_text(json_object_get(execution, "shape"));
    output_time_at(execution, "created_at", &created_at);
    output_time_at(execution, "started_at", &started_at);
    g_autofree char *waited = units_format_duration(MAX(0, started_at - created_at));
    g_autofree char *found = exec_found(execution);
    g_printerr("harbinger: %s started after %s in %s on %s (%s; match: %s%s)\n", output_string_at(execution, "id"),
               waited, output_string_at(execution, "instance_id"), output_string_at(execution, "host"), shape,
               output_string_at(execution, "match"), found);
}

static void exec_say_adjusted(const json_t *adjustment)
{
    struct cell change = {NULL, TONE_PLAIN}, confirmed = {NULL, TONE_PLAIN};
    const char *cause = output_string_at(adjustment, "cause");
    const char *error = output_string_at(adjustment, "error");
    render_change(NULL, adjustment, &change);
    render_confirmed(NULL, adjustment, &confirmed);
    g_printerr("harbinger: %s %s (%s): %s%s%s\n", output_string_at(adjustment, "resource"),
               change.text != NULL ? change.text : "changed", confirmed.text, cause != NULL ? cause : "no cause given",
               error != NULL ? "; " : "", error != NULL ? error : "");
    g_free(change.text);
    g_free(confirmed.text);
}

static void exec_say_retried(const json_t *execution)
{
    g_printerr("harbinger: %s ran out of memory, and is run once more with more of it\n",
               output_string_at(execution, "id"));
}

static void exec_append_used(GString *text, const json_t *result, const char *member, field_render render,
                             const char *what)
{
    struct cell cell = {NULL, TONE_PLAIN};
    const json_t *value = json_object_get(result, member);
    if (value != NULL)
        render(NULL, value, &cell);
    if (cell.text != NULL)
        g_string_append_printf(text, ", %s %s", cell.text, what);
    g_free(cell.text);
}

static void exec_say_finished(const json_t *execution)
{
    const json_t *result = json_object_get(execution, "result");
    struct cell how = {NULL, TONE_PLAIN}, wall = {NULL, TONE_PLAIN};
    if (!json_is_object(result))
        return;
    render_result(NULL, execution, &how);
    render_us(NULL, json_object_get(result, "wall_us"), &wall);
    g_autoptr(GString) used = g_string_new(NULL);
    exec_append_used(used, result, "cpu_user_us", render_us, "user CPU");
    exec_append_used(used, result, "cpu_system_us", render_us, "system CPU");
    exec_append_used(used, result, "memory_peak_bytes", render_bytes, "memory");
    g_printerr("harbinger: %s: %s after %s%s\n", output_string_at(execution, "id"),
               how.text != NULL ? how.text : "ended", wall.text != NULL ? wall.text : "no time", used->str);
    g_free(how.text);
    g_free(wall.text);
}

static void exec_say(const char *name, const json_t *event)
{
    const json_t *execution = json_object_get(event, "execution");
    if (strcmp(name, "queued") == 0)
        g_printerr("harbinger: %s waits for an instance\n", output_string_at(execution, "id"));
    else if (strcmp(name, "started") == 0)
        exec_say_started(execution);
    else if (strcmp(name, "retried") == 0)
        exec_say_retried(execution);
    else if (strcmp(name, "adjusted") == 0)
        exec_say_adjusted(json_object_get(event, "adjustment"));
    else if (strcmp(name, "finished") == 0)
        exec_say_finished(execution);
}

static void exec_note_execution(struct exec_run *run, const json_t *event)
{
    const json_t *execution = json_object_get(event, "execution");
    const char *id = output_string_at(execution, "id");
    if (id == NULL || run->id != NULL)
        return;
    run->id = g_strdup(id);
    run->accepted = json_deep_copy(execution);
    interrupt_set_execution(run->interrupt, id);
}

/* A detached execution goes on without us, from its first event on. */
static bool exec_on_event(const char *name, const char *json, void *user_data)
{
    struct exec_run *run = user_data;
    g_autoptr(json_auto) event = json_loads(json, 0, NULL);
    if (event == NULL)
        return true;
    exec_note_execution(run, event);
    if (run->verbose)
        exec_say(name, event);
    if (run->detach)
        return run->id == NULL;
    return !run->json || exec_write_line(run, json);
}

/* What the program reads: a terminal or whatever is redirected. Behind a prompt that reads commands from a pipe, nothing: the rest of the pipe are
 * commands. */
static gboolean exec_feeds_input(const struct session *session, const struct arguments *arguments)
{
    struct stat status;
    if (arguments_has(arguments, "no-stdin") || arguments_has(arguments, "detach") || fstat(STDIN_FILENO, &status) != 0)
        return FALSE;
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))
        return FALSE;
    return !session->interactive || isatty(STDIN_FILENO);
}

/* How it ended, for people; NULL when it ended by itself. */
static const char *exec_end(const struct hbr_exec_result *result)
{
    static const struct {
        const char *word, *text;
    } ends[] = {
        {"exited", NULL},
        {"signalled", NULL},
        {"wall-clock-limit", "stopped at its wall-clock limit"},
        {"out-of-memory", "stopped, its memory was used up"},
        {"output-limit", "stopped, it wrote more than it may"},
        {"cancelled", "cancelled"},
        {"lost", "its VM was lost"},
        {"refused", "the agent in the VM could not start it"},
        {"failed", "failed"},
        {"interrupted", "interrupted, the daemon ended while it ran"},
    };
    gboolean ran = g_strcmp0(result->state, "finished") == 0 || g_strcmp0(result->reason, "lost") == 0;
    const char *word = ran && result->reason != NULL ? result->reason : result->state;
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (g_strcmp0(word, ends[i].word) == 0)
            return ends[i].text;
    return word != NULL ? word : "ended";
}

static void exec_explain_end(const struct exec_run *run, const struct hbr_exec_result *result)
{
    const char *how = exec_end(result);
    if (how == NULL)
        return;
    const char *id = result->execution_id != NULL ? result->execution_id : run->id;
    const char *message = result->message != NULL ? result->message : "";
    /* The daemon's message often says the same, and more. */
    if (g_str_has_prefix(message, how))
        g_printerr("harbinger: exec: %s: %s\n", id != NULL ? id : "?", message);
    else
        g_printerr("harbinger: exec: %s: %s%s%s\n", id != NULL ? id : "?", how, *message != '\0' ? ": " : "", message);
}

/* hbr_execute() did not see the end: because we left, or because something failed. */
static gboolean exec_fail(struct exec_run *run, struct hbr_error *remote, guint interrupts, GError **error)
{
    if (run->detach && run->id != NULL) {
        output_result(&run->session->output, run->accepted, run->id, "%s: %s, detached", run->id,
                      output_string_at(run->accepted, "state"));
        hbr_error_clear(remote);
        return TRUE;
    }
    if (interrupts > 0) {
        g_printerr("harbinger: exec: %s: left, its cancellation is asked for\n",
                   run->id != NULL ? run->id : "the request");
        run->session->exit_status = EXEC_STATUS_INTERRUPTED;
        hbr_error_clear(remote);
        return TRUE;
    }
    if (run->write_errno != 0) {
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_OUTPUT,
                    "cannot write to standard output: %s; the execution is cancelled", g_strerror(run->write_errno));
        hbr_error_clear(remote);
        return FALSE;
    }
    return failure_take(remote, error);
}

static gboolean exec_call(struct exec_run *run, struct hbr_client *client, const json_t *request, gboolean feed_input,
                          GError **error)
{
    struct hbr_exec_callbacks callbacks = {exec_on_stdout, exec_on_stderr, exec_on_event, run,
                                           feed_input,     STDIN_FILENO};
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    struct hbr_error remote = HBR_ERROR_INIT;
    struct hbr_client *other = session_new_client(run->session, error);
    if (other == NULL)
        return FALSE;
    run->interrupt = interrupt_begin(client, other);
    char *body = json_dumps(request, JSON_COMPACT);
    bool ended = hbr_execute(client, body, &callbacks, &result, &remote);
    free(body);
    guint interrupts = interrupt_end(run->interrupt);
    if (interrupts > 0) {
        /* An interruption that came too late would end the next call. */
        hbr_client_free(client);
        run->session->client = NULL;
    }
    if (!ended)
        return exec_fail(run, &remote, interrupts, error);
    exec_explain_end(run, &result);
    run->session->exit_status = hbr_exec_exit_status(&result);
    hbr_exec_result_clear(&result);
    return TRUE;
}

static gboolean exec_run(struct session *session, const struct arguments *arguments, GError **error)
{
    g_autoptr(json_auto) request = request_new(arguments, error);
    struct hbr_client *client = request != NULL ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct exec_run run = {.session = session,
                           .verbose = arguments_has(arguments, "verbose"),
                           .json = session->output.is_json,
                           .detach = arguments_has(arguments, "detach")};
    fflush(stdout);
    gboolean done = exec_call(&run, client, request, exec_feeds_input(session, arguments), error);
    g_free(run.id);
    json_decref(run.accepted);
    return done;
}

static const struct command exec_commands[] = {
    {"exec", "run code in the VM that stands ready for it",
     "Runs a local script, or the text after --code, and passes its input, output and exit status through: 128 and the "
     "signal's number when a signal killed it, 124 at its wall-clock limit, 137 out of memory, 130 when cancelled, 125 "
     "when it could not run to its end. Without --reservation, the best reservation of the function is used; without one, a "
     "VM is booted. Ctrl-C cancels the execution, a second one leaves at once.",
     exec_run, COMMAND_OPTIONS(exec_options), FALSE},
};

const struct command_group exec_group = {"exec", "Running code", exec_commands, G_N_ELEMENTS(exec_commands)};
