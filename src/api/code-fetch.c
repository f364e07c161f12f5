/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/code-fetch.h"

#include "api/code-store.h"
#include "base/error.h"
#include "model/limits.h"

#define FETCH_REDIRECTS_MAX 5L
#define FETCH_CONNECT_MS 10000L
#define FETCH_TIMEOUT_MS 30000
#define FETCH_LOW_SPEED 100L /* bytes in a second */
#define FETCH_OK 200

struct code_fetch {
    const struct code_ref *code;
    CURLM *multi;
    CURL *easy;
    GByteArray *body;
    gsize size_max;
    gint64 timeout_ms;
    guint low_speed_s;
    gboolean overflows;
    char message[CURL_ERROR_SIZE];
};

static long fetch_status(const struct code_fetch *fetch)
{
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* What stands in an error page, or beside a redirection, is not wanted. */
static size_t fetch_write(char *data, size_t size, size_t count, void *user_data)
{
    struct code_fetch *fetch = user_data;
    const gsize length = size * count;
    if (fetch_status(fetch) != FETCH_OK)
        return CURL_WRITEFUNC_ERROR;
    fetch->overflows = length > fetch->size_max - fetch->body->len;
    if (fetch->overflows)
        return CURL_WRITEFUNC_ERROR;
    g_byte_array_append(fetch->body, (const guint8 *)data, (guint)length);
    return length;
}

static void fetch_set_options(struct code_fetch *fetch)
{
    CURL *easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_URL, fetch->code->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, FETCH_REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, FETCH_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)fetch->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, FETCH_LOW_SPEED);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)fetch->low_speed_s);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->size_max);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->message);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fetch_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "harbingerd/" PACKAGE_VERSION);
}

struct code_fetch *code_fetch_begin(CURLM *multi, const struct code_ref *code, guint low_speed_s, GError **error)
{
    struct code_fetch *fetch = g_new0(struct code_fetch, 1);
    fetch->code = code;
    fetch->body = g_byte_array_new();
    fetch->size_max = code->size_max > 0 ? (gsize)MIN(code->size_max, MODEL_CODE_MAX) : MODEL_CODE_MAX;
    fetch->timeout_ms = code->timeout_ms > 0 ? code->timeout_ms : FETCH_TIMEOUT_MS;
    fetch->low_speed_s = low_speed_s;
    fetch->easy = curl_easy_init();
    if (fetch->easy != NULL) {
        fetch_set_options(fetch);
        if (curl_multi_add_handle(multi, fetch->easy) == CURLM_OK) {
            fetch->multi = multi;
            return fetch;
        }
    }
    code_fetch_free(fetch);
    hbr_error_set(error, HBR_ERROR_INTERNAL, "%s: libcurl takes no more work", code->url);
    return NULL;
}

void code_fetch_free(struct code_fetch *fetch)
{
    if (fetch == NULL)
        return;
    if (fetch->multi != NULL)
        curl_multi_remove_handle(fetch->multi, fetch->easy);
    if (fetch->easy != NULL)
        curl_easy_cleanup(fetch->easy);
    g_byte_array_unref(fetch->body);
    g_free(fetch);
}

struct code_fetch *code_fetch_of(CURL *easy)
{
    struct code_fetch *fetch = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&fetch);
    return fetch;
}

/* Where the answer came from, after redirections. */
static const char *fetch_url(const struct code_fetch *fetch)
{
    const char *url = NULL;
    curl_easy_getinfo(fetch->easy, CURLINFO_EFFECTIVE_URL, &url);
    return url != NULL ? url : fetch->code->url;
}

static void fetch_fail_timeout(const struct code_fetch *fetch, GError **error)
{
    double seconds = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_TOTAL_TIME, &seconds);
    if (seconds >= (double)fetch->low_speed_s && seconds * 1000 < (double)fetch->timeout_ms)
        hbr_error_set(error, HBR_ERROR_TIMEOUT,
                      "%s: it sends too slowly, or does not answer; right would be %ld bytes a second",
                      fetch_url(fetch), FETCH_LOW_SPEED);
    else
        hbr_error_set(error, HBR_ERROR_TIMEOUT, "%s: was not fetched in %" G_GINT64_FORMAT " ms", fetch_url(fetch),
                      fetch->timeout_ms);
}

/* Of what libcurl says, what a caller can act on. */
static void fetch_fail(const struct code_fetch *fetch, CURLcode result, GError **error)
{
    const char *reason = fetch->message[0] != '\0' ? fetch->message : curl_easy_strerror(result);
    const char *url = fetch_url(fetch);
    if (fetch->overflows || result == CURLE_FILESIZE_EXCEEDED)
        hbr_error_set(error, HBR_ERROR_TOO_LARGE, "%s: is larger than the %" G_GSIZE_FORMAT " bytes that code may have",
                      url, fetch->size_max);
    else if (result == CURLE_OPERATION_TIMEDOUT)
        fetch_fail_timeout(fetch, error);
    else if (result == CURLE_TOO_MANY_REDIRECTS)
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: leads on and on; right would be at most %ld redirections",
                      fetch->code->url, FETCH_REDIRECTS_MAX);
    else if (result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_URL_MALFORMAT)
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "%s: leads to where code is not fetched from (%s); right would be http or https",
                      fetch->code->url, reason);
    else
        hbr_error_set(error, HBR_ERROR_UNAVAILABLE, "%s: cannot be fetched: %s", url, reason);
}

static gboolean fetch_check(const struct code_fetch *fetch, GBytes *bytes, GError **error)
{
    g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    if (!g_str_equal(sha256, fetch->code->sha256)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: has the SHA-256 %s; right would be %s, as announced",
                      fetch_url(fetch), sha256, fetch->code->sha256);
        return FALSE;
    }
    if (code_check_text(bytes, error))
        return TRUE;
    g_prefix_error(error, "%s: ", fetch_url(fetch));
    return FALSE;
}

GBytes *code_fetch_finish(struct code_fetch *fetch, CURLcode result, GError **error)
{
    const long status = fetch_status(fetch);
    if (status != 0 && status != FETCH_OK && (result == CURLE_OK || result == CURLE_WRITE_ERROR)) {
        hbr_error_set(error, status == 404 || status == 410 ? HBR_ERROR_NOT_FOUND : HBR_ERROR_UNAVAILABLE,
                      "%s: its server answers %ld; right would be %d", fetch_url(fetch), status, FETCH_OK);
        return NULL;
    }
    if (result != CURLE_OK) {
        fetch_fail(fetch, result, error);
        return NULL;
    }
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(g_steal_pointer(&fetch->body));
    fetch->body = g_byte_array_new();
    return fetch_check(fetch, bytes, error) ? g_steal_pointer(&bytes) : NULL;
}
