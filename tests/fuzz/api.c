/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/frame.h"
#include "api/route.h"
#include "api/target.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first line is a request target, the rest the output of a program, cut where its first byte says. Whatever they are: targets are taken apart
 * or refused with an error, and output comes out of its lines as it went in. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_target(const char *line)
{
    static const char *const methods[] = {"GET", "POST", "DELETE", "HEAD", "PUT"};
    g_autofree char *uri = g_strdup(line);
    g_autoptr(GError) error = NULL;
    struct target target;
    if (!target_parse(&target, uri, &error)) {
        g_assert(error != NULL);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_autoptr(GError) refusal = NULL;
        g_autofree char *allow = NULL;
        const struct route *route = route_find(methods[i], &target, &allow, &refusal);
        g_assert((route != NULL) + (allow != NULL) + (refusal != NULL) == 1);
        if (route != NULL && !route_check_parameters(route, &target, &refusal))
            g_assert(refusal != NULL);
    }
}

static void collect_line(const char *line, GByteArray *out)
{
    json_auto_t *json = json_loads(line, 0, NULL);
    g_assert(json != NULL);
    const json_t *text = json_object_get(json, "data");
    if (text != NULL) {
        g_byte_array_append(out, (const guint8 *)json_string_value(text), (guint)json_string_length(text));
        return;
    }
    gsize length;
    g_autofree guchar *raw = g_base64_decode(json_string_value(json_object_get(json, "data_base64")), &length);
    g_byte_array_append(out, raw, (guint)length);
}

static void try_frames(const uint8_t *data, size_t size)
{
    const size_t step = size > 0 ? (size_t)data[0] % 17 + 1 : 1;
    struct frame_stream stream = {0};
    g_autoptr(GString) lines = g_string_new(NULL);
    for (size_t at = 0; at < size; at += step)
        frame_append(&stream, "stdout", data + at, MIN(step, size - at), lines);
    frame_finish(&stream, "stdout", lines);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_auto(GStrv) each = g_strsplit(lines->str, "\n", -1);
    for (guint i = 0; each[i] != NULL && each[i][0] != '\0'; i++)
        collect_line(each[i], out);
    g_assert(out->len == size && (size == 0 || memcmp(out->data, data, size) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    const size_t length = end != NULL ? (size_t)(end - data) : size;
    g_autofree char *line = g_strndup((const char *)data, length);
    try_target(line);
    if (end != NULL)
        try_frames(end + 1, size - length - 1);
    return 0;
}
