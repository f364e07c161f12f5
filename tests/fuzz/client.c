/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a daemon, or whatever answers in its place, sends to the client library: the lines of an execution in pieces, and a problem document. What
 * hbr_execute() does with lines is its own, so that it is looked at from within. */
#include "client/execute.c"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool count_output(const void *data, size_t length, void *count)
{
    if (data == NULL && length > 0)
        abort();
    *(size_t *)count += length;
    return true;
}

static bool check_event(const char *event, const char *json, void *count)
{
    (void)count;
    return strstr(json, event) != NULL || strchr(json, '\\') != NULL;
}

static void check_lines(const char *data, size_t size)
{
    size_t count = 0;
    const struct hbr_exec_callbacks callbacks = {
        .on_stdout = count_output, .on_stderr = count_output, .on_event = check_event, .user_data = &count};
    struct execute execute = {.callbacks = &callbacks};
    const size_t half = size / 2;
    lines_init(&execute.lines, execute_on_line, &execute);
    if (lines_feed(data, half, &execute.lines))
        lines_feed(data + half, size - half, &execute.lines);
    execute_clear(&execute);
}

static void check_problem(const char *data, size_t size)
{
    struct hbr_error error = HBR_ERROR_INIT;
    if (problem_from_answer(&error, 500, data, size) || error.id == NULL || error.message == NULL)
        abort();
    hbr_error_clear(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = g_memdup2(data, size); /* an overrun is seen */
    check_lines(copy != NULL ? copy : "", size);
    check_problem(copy != NULL ? copy : "", size);
    g_free(copy);
    return 0;
}
