/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "client/lines.h"
#include "client/problem.h"
#include "client/transfer.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BLOCK 65536

/* One hbr_execute(). */
struct execute {
    struct hbr_client *client;
    const struct hbr_exec_callbacks *callbacks;
    struct lines lines;
    char *execution_id;    /* once it has started */
    json_t *finished;      /* the execution of the last line */
    struct transfer *feed; /* input on its way */
    gboolean input_ended;
};

static void execute_clear(struct execute *execute)
{
    transfer_free(execute->feed);
    json_decref(execute->finished);
    lines_clear(&execute->lines);
    g_free(execute->execution_id);
}

void hbr_exec_result_clear(struct hbr_exec_result *result)
{
    if (result == NULL)
        return;
    g_free(result->execution_id);
    g_free(result->state);
    g_free(result->reason);
    g_free(result->message);
    g_free(result->json);
    *result = (struct hbr_exec_result)HBR_EXEC_RESULT_INIT;
}

int hbr_exec_exit_status(const struct hbr_exec_result *result)
{
    static const struct {
        const char *reason;
        int status, offset; /* offset -1: a fixed status */
    } table[] = {
        {"exited", 0, 0},           {"signalled", 0, 128},  {"wall-clock-limit", 124, -1},
        {"out-of-memory", 137, -1}, {"cancelled", 130, -1},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
        if (g_strcmp0(result->reason, table[i].reason) == 0)
            return table[i].offset < 0 ? table[i].status : table[i].offset + result->status;
    return g_strcmp0(result->state, "cancelled") == 0 ? 130 : 125;
}

/* Output of the program to its callback. */
static gboolean execute_on_output(const struct execute *execute, gboolean is_stderr, const json_t *json)
{
    const struct hbr_exec_callbacks *callbacks = execute->callbacks;
    bool (*callback)(const void *, size_t, void *) = is_stderr ? callbacks->on_stderr : callbacks->on_stdout;
    if (callback == NULL)
        return TRUE;
    const json_t *text = json_object_get(json, "data");
    if (text != NULL)
        return callback(json_string_value(text), json_string_length(text), callbacks->user_data);
    const char *base64 = json_string_value(json_object_get(json, "data_base64"));
    if (base64 == NULL)
        return TRUE;
    gsize length;
    g_autofree guchar *data = g_base64_decode(base64, &length);
    return callback(data, length, callbacks->user_data);
}

static gboolean execute_on_event(struct execute *execute, const char *event, const char *line, const json_t *json)
{
    json_t *execution = json_object_get(json, "execution");
    if (strcmp(event, "started") == 0 && execute->execution_id == NULL)
        execute->execution_id = g_strdup(json_string_value(json_object_get(execution, "id")));
    if (strcmp(event, "finished") == 0 && json_is_object(execution)) {
        json_decref(execute->finished);
        execute->finished = json_incref(execution);
    }
    const struct hbr_exec_callbacks *callbacks = execute->callbacks;
    return callbacks->on_event == NULL || callbacks->on_event(event, line, callbacks->user_data);
}

/* As lines_take. */
static gboolean execute_on_line(const char *event, const char *line, const json_t *json, gpointer user_data)
{
    struct execute *execute = user_data;
    if (strcmp(event, "stdout") == 0 || strcmp(event, "stderr") == 0)
        return execute_on_output(execute, event[3] == 'e', json);
    return execute_on_event(execute, event, line, json);
}

/* The request with program.stdin_open set; what is not an object is left for the daemon to refuse. */
static char *execute_open_stdin(const char *request_json)
{
    json_auto_t *json = json_loads(request_json, JSON_REJECT_DUPLICATES, NULL);
    json_t *program = json_object_get(json, "program");
    if (!json_is_object(program))
        return g_strdup(request_json);
    json_object_set_new(program, "stdin_open", json_true());
    return json_dumps(json, JSON_COMPACT);
}

static void execute_send_input(struct execute *execute, const void *data, gsize length)
{
    g_autofree char *id = hbr_escape(execute->execution_id);
    g_autofree char *path = g_strconcat("/v1/executions/", id, length > 0 ? "/stdin" : "/stdin?eof=true", NULL);
    const struct transfer_spec spec = {
        .method = "POST",
        .path = path,
        .content_type = "application/octet-stream",
        .body = data,
        .length = length,
    };
    execute->input_ended = length == 0;
    execute->feed = transfer_begin(execute->client, &spec, NULL);
}

static void execute_read_input(struct execute *execute)
{
    char block[INPUT_BLOCK];
    const ssize_t length = read(execute->callbacks->input_fd, block, sizeof block);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    execute_send_input(execute, block, (gsize)MAX(length, 0));
}

/* A program that has closed its input, or ended, takes no more: that is no error. */
static void execute_finish_input(struct execute *execute)
{
    if (execute->feed == NULL || !execute->feed->done)
        return;
    if (!transfer_check(execute->feed, NULL))
        execute->input_ended = TRUE;
    g_clear_pointer(&execute->feed, transfer_free);
}

/* The descriptor to read input from now; -1: none. */
static int execute_input_fd(const struct execute *execute)
{
    if (!execute->callbacks->feed_input || execute->input_ended || execute->execution_id == NULL ||
        execute->feed != NULL)
        return -1;
    return execute->callbacks->input_fd;
}

static bool execute_run(struct execute *execute, const struct transfer *transfer, struct hbr_error *error)
{
    while (!transfer->done) {
        bool readable;
        if (!transfer_wait(execute->client, execute_input_fd(execute), &readable, error))
            return false;
        execute_finish_input(execute);
        if (readable && execute_input_fd(execute) >= 0)
            execute_read_input(execute);
    }
    if (lines_take_problem(&execute->lines, error))
        return false;
    if (execute->finished != NULL && !transfer->stopped)
        return true;
    if (!transfer_check(transfer, error))
        return false;
    return problem_set(error, HBR_ERROR_INTERRUPTED, "the daemon ended the connection before the execution had ended");
}

static char *execute_member(const json_t *json, const char *name)
{
    return g_strdup(json_string_value(json_object_get(json, name)));
}

static void execute_fill(const json_t *execution, struct hbr_exec_result *ret_result)
{
    const json_t *result = json_object_get(execution, "result");
    hbr_exec_result_clear(ret_result);
    ret_result->execution_id = execute_member(execution, "id");
    ret_result->state = execute_member(execution, "state");
    ret_result->reason = execute_member(result, "reason");
    ret_result->status = (int)json_integer_value(json_object_get(result, "status"));
    ret_result->message = execute_member(execution, "error");
    if (ret_result->message == NULL)
        ret_result->message = execute_member(result, "message");
    ret_result->json = json_dumps(execution, JSON_COMPACT);
}

bool hbr_execute(struct hbr_client *client, const char *request_json, const struct hbr_exec_callbacks *callbacks,
                 struct hbr_exec_result *ret_result, struct hbr_error *error)
{
    static const struct hbr_exec_callbacks none;
    struct execute execute = {.client = client, .callbacks = callbacks != NULL ? callbacks : &none};
    g_autofree char *body = execute.callbacks->feed_input ? execute_open_stdin(request_json) : g_strdup(request_json);
    const struct transfer_spec spec = {
        .method = "POST",
        .path = "/v1/executions",
        .body = body,
        .length = strlen(body),
        .sink = lines_feed,
        .sink_data = &execute.lines,
    };
    lines_init(&execute.lines, execute_on_line, &execute);
    struct transfer *transfer = transfer_begin(client, &spec, error);
    const bool done = transfer != NULL && execute_run(&execute, transfer, error);
    if (done && ret_result != NULL)
        execute_fill(execute.finished, ret_result);
    transfer_free(transfer);
    execute_clear(&execute);
    return done;
}
