/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <harbinger/harbinger.h>

#include <stdio.h>

/* Tells Harbinger of a program, and runs it in the VM that was made for it. Without GLib, as any program may:
 *
 *     cc announce-and-run.c $(pkg-config --cflags --libs harbinger) */

static const char notification[] =
    "{\"idempotency_key\":\"example-1\",\"code\":{\"function\":\"example\",\"language\":\"python\"},\"arrival_in_ms\":0}";
static const char request[] = "{\"code\":{\"function\":\"example\",\"language\":\"python\"},"
                              "\"program\":{\"interpreter\":\"python3\",\"source\":\"print(6 * 7)\"}}";

static bool print_output(const void *data, size_t length, void *file)
{
    return fwrite(data, 1, length, file) == length;
}

static bool print_event(const char *event, const char *json, void *file)
{
    (void)json;
    return fprintf(file, "[%s]\n", event) > 0;
}

static int fail(const struct hbr_error *error)
{
    fprintf(stderr, "%s (%s)\n", error->message, error->id);
    return error->exit_status;
}

static int run(struct hbr_client *client, struct hbr_error *error)
{
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    const struct hbr_exec_callbacks callbacks = {
        .on_stdout = print_output, .on_stderr = print_output, .on_event = print_event, .user_data = stdout};
    char *reservation = NULL;
    if (!hbr_notify(client, notification, &reservation, error))
        return fail(error);
    printf("%s\n", reservation);
    hbr_free(reservation);
    if (!hbr_execute(client, request, &callbacks, &result, error))
        return fail(error);
    const int status = hbr_exec_exit_status(&result);
    hbr_exec_result_clear(&result);
    return status;
}

int main(int argc, char **argv)
{
    struct hbr_error error = HBR_ERROR_INIT;
    struct hbr_client *client = hbr_client_new(argc > 1 ? argv[1] : NULL, &error);
    const int status = client != NULL ? run(client, &error) : fail(&error);
    hbr_error_clear(&error);
    hbr_client_free(client);
    return status;
}
