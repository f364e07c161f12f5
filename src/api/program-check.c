/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/program-check.h"

#include "base/error.h"

#include <string.h>

#define DIGEST_LENGTH 64

gboolean program_is_digest(const char *text)
{
    return strlen(text) == DIGEST_LENGTH && strspn(text, "0123456789abcdef") == DIGEST_LENGTH;
}

/* Names and passwords in URLs would stand in logs and answers. */
static gboolean program_check_url(const char *url, GError **error)
{
    static const char *const schemes[] = {"http", "https", NULL};
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_ENCODED, NULL);
    if (uri != NULL && g_strv_contains(schemes, g_uri_get_scheme(uri)) && g_uri_get_host(uri) != NULL &&
        g_uri_get_host(uri)[0] != '\0' && g_uri_get_userinfo(uri) == NULL)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID,
                  "/program/source_url: is not an address that can be fetched; right would be http://HOST/... or "
                  "https://HOST/..., without a user's name");
    return FALSE;
}

gboolean program_check(const struct program *program, GError **error)
{
    if (program->source_sha256 != NULL && program->source != NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/program/source_sha256: stands beside source; right would be one of them");
        return FALSE;
    }
    if (program->source_sha256 != NULL && !program_is_digest(program->source_sha256)) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/program/source_sha256: is not a SHA-256; right would be 64 lower-case hexadecimal digits");
        return FALSE;
    }
    if (program->source_url == NULL)
        return TRUE;
    if (program->source_sha256 == NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/program/source_url: stands alone; right would be source_sha256 with it, which what is fetched "
                      "is checked against");
        return FALSE;
    }
    return program_check_url(program->source_url, error);
}

gboolean program_check_announced(const struct program *program, GError **error)
{
    if (program->stdin_bytes == NULL && !program->stdin_open)
        return program_check(program, error) && program_check_runnable(program, error);
    hbr_error_set(error, HBR_ERROR_INVALID,
                  "/program/%s: cannot be announced; right would be to send standard input with the execution request",
                  program->stdin_bytes != NULL ? "stdin_base64" : "stdin_open");
    return FALSE;
}
