/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A request target (RFC 9112 section 3.2, origin form) taken apart: path segments and query parameters, percent-decoded. Pure; any
 * thread. */

#define TARGET_SEGMENTS_MAX 8
#define TARGET_PARAMETERS_MAX 16

struct target {
    const char *segments[TARGET_SEGMENTS_MAX];
    guint segment_count;
    struct target_parameter {
        const char *name, *value;
    } parameters[TARGET_PARAMETERS_MAX];
    guint parameter_count;
};

/* Takes `uri` apart in place; the strings of `target` lie in it. Each is UTF-8 without control characters. FALSE with HBR_ERROR_INVALID
 * for anything but "/segment/segment?name=value&...", no name twice. */
gboolean target_parse(struct target *target, char *uri, GError **error);

/* Value of a parameter, NULL when it is not there. */
const char *target_get(const struct target *target, const char *name);
