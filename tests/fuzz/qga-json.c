/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers of a hostile qemu-guest-agent: each is a value or an error, and what is read from a value is within its bounds.
 */
#include "host/qga-json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(gboolean holds)
{
    if (!holds)
        abort();
}

static void check_count(const json_t *value, int (*count)(const json_t *value, json_t **ret_offline))
{
    json_t *offline = NULL;
    const int online = count(value, &offline);
    check(online >= -1 && (online >= 0) == json_is_array(value));
    check(offline == NULL || (json_array_size(offline) > 0 && json_array_size(offline) <= json_array_size(value)));
    json_decref(offline);
}

static void check_status(const json_t *value)
{
    struct qga_status status = {0};
    g_autoptr(GError) error = NULL;
    if (qga_status_parse(value, &status, &error))
        check(status.exit_code <= G_MAXINT && status.signal <= G_MAXINT);
    else
        check(error != NULL);
    qga_status_clear(&status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    json_t *value = qga_parse(text, &error);
    check((value == NULL) == (error != NULL));
    if (value == NULL)
        return 0;
    check_status(value);
    check_count(value, qga_count_vcpus);
    check_count(value, qga_count_blocks);
    json_decref(value);
    return 0;
}
