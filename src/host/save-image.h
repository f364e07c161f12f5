/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The head of the file that virDomainSave writes with QEMU's driver: the one place that knows this format, which is libvirt's own and not
 * promised by it (FACTS: the same in 9.0, 11.3 and 12.8). A fixed part, the domain's XML, a cookie of libvirt's; the rest of the file is QEMU's
 * stream. In the byte order of the host. Pure. */

#define SAVE_IMAGE_FIXED_SIZE 92
#define SAVE_IMAGE_DATA_MAX (4u * 1024 * 1024)
#define SAVE_IMAGE_FORMAT "libvirt-2-raw"

struct save_image {
    const char *xml;      /* ends with NUL; in the bytes that were parsed, as all of this is */
    const guint8 *cookie; /* NULL: none */
    gsize cookie_size;
    gsize stream_at; /* where QEMU's stream begins */
    gboolean was_running;
    const guint8 *fixed; /* SAVE_IMAGE_FIXED_SIZE bytes */
};

/* How many bytes from the file's beginning save_image_parse() wants; `data` are the first SAVE_IMAGE_FIXED_SIZE of them, or more. 0 with
 * HBR_ERROR_UNSUPPORTED for another version or format, HBR_ERROR_INVALID for what is no such file or not a whole one. */
gsize save_image_head_size(const guint8 *data, gsize size, GError **error);

/* FALSE with the same errors. */
gboolean save_image_parse(const guint8 *data, gsize size, struct save_image *ret_image, GError **error);

/* The head of a file that holds the same stream for another domain, which runs as soon as it is restored. The stream follows it at once. NULL with
 * HBR_ERROR_TOO_LARGE. */
GBytes *save_image_build(const struct save_image *image, const char *xml, GError **error);
