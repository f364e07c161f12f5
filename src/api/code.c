/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/handlers.h"

#include "api/program-check.h"
#include "base/error.h"
#include "base/id.h"
#include "model/limits.h"

#define CODE_TENANT "default"

/* As everywhere, who says nothing is the tenant "default". */
static const char *code_get_tenant(const struct request *request, GError **error)
{
    const char *tenant = target_get(&request->target, "tenant");
    if (tenant == NULL)
        return CODE_TENANT;
    if (id_is_valid_name(tenant, MODEL_NAME_MAX))
        return tenant;
    hbr_error_set(error, HBR_ERROR_INVALID,
                  "the query parameter \"tenant\" is no name; right would be letters, digits and ._:/@+- with a letter "
                  "or digit first");
    return NULL;
}

static struct code_store *code_get_store(const struct request *request, GError **error)
{
    if (request->api->code == NULL)
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "this daemon keeps no code");
    return request->api->code;
}

static json_t *code_to_json(const char *sha256, gsize bytes)
{
    return json_pack("{s:s, s:I}", "sha256", sha256, "bytes", (json_int_t)bytes);
}

gboolean handle_code_put(struct request *request, GError **error)
{
    struct code_store *store = code_get_store(request, error);
    const char *tenant = store != NULL ? code_get_tenant(request, error) : NULL;
    if (tenant == NULL)
        return FALSE;
    if (request->body_length == 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "/: there is nothing to keep; right would be code in the body");
        return FALSE;
    }
    g_autoptr(GBytes) bytes = request_take_body(request);
    g_autofree char *sha256 = NULL;
    if (!code_store_put(store, tenant, bytes, &sha256, error))
        return FALSE;
    request_answer_json(request, MHD_HTTP_CREATED, code_to_json(sha256, g_bytes_get_size(bytes)));
    request->location = g_strconcat("/v1/code/", sha256, NULL);
    return TRUE;
}

gboolean handle_code_get(struct request *request, GError **error)
{
    const char *sha256 = request->target.segments[2];
    struct code_store *store = code_get_store(request, error);
    const char *tenant = store != NULL ? code_get_tenant(request, error) : NULL;
    if (tenant == NULL)
        return FALSE;
    if (!program_is_digest(sha256)) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "the path does not name code; right would be its SHA-256 in 64 lower-case hexadecimal digits");
        return FALSE;
    }
    g_autoptr(GBytes) bytes = code_store_get(store, tenant, sha256);
    if (bytes == NULL) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "code %s is not kept here for the tenant %s", sha256, tenant);
        return FALSE;
    }
    request_answer_json(request, MHD_HTTP_OK, code_to_json(sha256, g_bytes_get_size(bytes)));
    return TRUE;
}
