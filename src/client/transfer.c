/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/transfer.h"

#include "base/error.h"
#include "client/problem.h"

#include <unistd.h>

#define TRANSFER_CONNECT_MS 10000
#define TRANSFER_ANSWER_MAX ((gsize)256 * 1024 * 1024)
#define TRANSFER_POLL_MS 60000

int transfer_status(const struct transfer *transfer)
{
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t transfer_write(char *data, size_t size, size_t count, void *user_data)
{
    struct transfer *transfer = user_data;
    const gsize length = size * count;
    transfer->client->heard = TRUE;
    if (transfer->sink != NULL && transfer_status(transfer) < 400) {
        transfer->stopped = !transfer->sink(data, length, transfer->sink_data);
        return transfer->stopped ? CURL_WRITEFUNC_ERROR : length;
    }
    transfer->overflows = transfer->answer->len + length > TRANSFER_ANSWER_MAX;
    if (transfer->overflows)
        return CURL_WRITEFUNC_ERROR;
    g_string_append_len(transfer->answer, data, (gssize)length);
    return length;
}

static void transfer_set_body(struct transfer *transfer, const struct transfer_spec *spec)
{
    if (spec->body == NULL)
        return;
    g_autofree char *type =
        g_strconcat("Content-Type: ", spec->content_type != NULL ? spec->content_type : "application/json", NULL);
    transfer->headers = curl_slist_append(transfer->headers, type);
    transfer->body = g_memdup2(spec->body, MAX(spec->length, 1));
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->length);
    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, transfer->body);
}

static void transfer_set_options(struct transfer *transfer, const struct transfer_spec *spec)
{
    const struct hbr_client *client = transfer->client;
    CURL *easy = transfer->easy;
    transfer->url = g_strconcat(client->url, spec->path, NULL);
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    if (client->socket_path != NULL) {
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    }
    transfer_set_body(transfer, spec);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)TRANSFER_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->message);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "libharbinger/" PACKAGE_VERSION);
}

struct transfer *transfer_begin(struct hbr_client *client, const struct transfer_spec *spec, struct hbr_error *error)
{
    g_autoptr(transfer_auto) transfer = g_new0(struct transfer, 1);
    transfer->client = client;
    transfer->sink = spec->sink;
    transfer->sink_data = spec->sink_data;
    transfer->answer = g_string_new(NULL);
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL) {
        problem_set(error, HBR_ERROR_INTERNAL, "libcurl cannot be initialised");
        return NULL;
    }
    transfer_set_options(transfer, spec);
    const CURLMcode result = curl_multi_add_handle(client->multi, transfer->easy);
    if (result != CURLM_OK) {
        problem_set(error, HBR_ERROR_INTERNAL, "libcurl: %s", curl_multi_strerror(result));
        return NULL;
    }
    return g_steal_pointer(&transfer);
}

void transfer_free(struct transfer *transfer)
{
    if (transfer == NULL)
        return;
    if (transfer->easy != NULL) {
        curl_multi_remove_handle(transfer->client->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    curl_slist_free_all(transfer->headers);
    if (transfer->answer != NULL)
        g_string_free(transfer->answer, TRUE);
    g_free(transfer->url);
    g_free(transfer->body);
    g_free(transfer);
}

/* Marks the transfers that have ended. TRUE when there was one. */
static gboolean transfer_collect(struct hbr_client *client)
{
    gboolean any = FALSE;
    int left;
    for (const CURLMsg *message; (message = curl_multi_info_read(client->multi, &left)) != NULL;) {
        struct transfer *transfer = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        transfer->done = TRUE;
        transfer->result = message->data.result;
        any = TRUE;
    }
    return any;
}

static gboolean transfer_take_interrupt(const struct hbr_client *client)
{
    uint64_t count;
    return read(client->wake_fd, &count, sizeof count) == sizeof count;
}

bool transfer_wait(struct hbr_client *client, int input_fd, bool *ret_readable, struct hbr_error *error)
{
    struct curl_waitfd extra[2] = {{.fd = client->wake_fd, .events = CURL_WAIT_POLLIN},
                                   {.fd = input_fd, .events = CURL_WAIT_POLLIN}};
    int running;
    if (ret_readable != NULL)
        *ret_readable = false;
    client->heard = FALSE;
    CURLMcode result = curl_multi_perform(client->multi, &running);
    if (result == CURLM_OK && (transfer_collect(client) || client->heard))
        return true; /* what was heard may have changed what the caller wants to wait for */
    if (result == CURLM_OK)
        result = curl_multi_poll(client->multi, extra, input_fd >= 0 ? 2 : 1, TRANSFER_POLL_MS, NULL);
    if (result != CURLM_OK)
        return problem_set(error, HBR_ERROR_INTERNAL, "libcurl: %s", curl_multi_strerror(result));
    if (extra[0].revents != 0 && transfer_take_interrupt(client))
        return problem_set(error, HBR_ERROR_INTERRUPTED, "interrupted");
    if (ret_readable != NULL)
        *ret_readable = input_fd >= 0 && extra[1].revents != 0;
    return true;
}

/* What libcurl says, with the system's reason where there is one. */
static bool transfer_fail(const struct transfer *transfer, int code, const char *what, struct hbr_error *error)
{
    long os_error = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_error);
    const char *reason = transfer->message[0] != '\0' ? transfer->message : curl_easy_strerror(transfer->result);
    if (os_error != 0)
        reason = g_strerror((int)os_error);
    return problem_set(error, code, "%s %s: %s", what, transfer->client->address, reason);
}

bool transfer_check(const struct transfer *transfer, struct hbr_error *error)
{
    const int status = transfer_status(transfer);
    switch (transfer->result) {
    case CURLE_OK:
        return status < 400 || problem_from_answer(error, status, transfer->answer->str, transfer->answer->len);
    case CURLE_WRITE_ERROR:
        if (transfer->overflows)
            return problem_set(error, HBR_ERROR_TOO_LARGE, "the daemon's answer is too large");
        return problem_set(error, HBR_ERROR_CANCELLED, "ended by the caller");
    case CURLE_OPERATION_TIMEDOUT:
        return transfer_fail(transfer, HBR_ERROR_TIMEOUT, "no answer in time from", error);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return transfer_fail(transfer, HBR_ERROR_UNAVAILABLE, "cannot reach the daemon at", error);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        /* A server may refuse a body before it has read it all, and close. */
        if (status >= 400)
            return problem_from_answer(error, status, transfer->answer->str, transfer->answer->len);
        return transfer_fail(transfer, HBR_ERROR_INTERRUPTED, "lost the connection to", error);
    default:
        return transfer_fail(transfer, HBR_ERROR_INTERNAL, "the request failed at", error);
    }
}

struct transfer *transfer_run(struct hbr_client *client, const struct transfer_spec *spec, struct hbr_error *error)
{
    g_autoptr(transfer_auto) transfer = transfer_begin(client, spec, error);
    if (transfer == NULL)
        return NULL;
    while (!transfer->done)
        if (!transfer_wait(client, -1, NULL, error))
            return NULL;
    return transfer_check(transfer, error) ? g_steal_pointer(&transfer) : NULL;
}
