/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/save-image.h"

#include "base/error.h"

#include <string.h>

#define MAGIC "LibvirtQemudSave"
#define MAGIC_PARTIAL "LibvirtQemudPart"
#define MAGIC_SIZE 16
#define FORMAT_VERSION 2u
#define FORMAT_RAW 0u

/* Offsets of the fixed part's numbers, 32 bits each; what follows them is reserved. */
enum { AT_VERSION = 16, AT_DATA_SIZE = 20, AT_WAS_RUNNING = 24, AT_FORMAT = 28, AT_COOKIE = 32 };

static guint32 number_at(const guint8 *data, gsize at)
{
    guint32 number;
    memcpy(&number, data + at, sizeof number);
    return number;
}

static void put_number(guint8 *data, gsize at, guint32 number)
{
    memcpy(data + at, &number, sizeof number);
}

static gboolean fixed_check(const guint8 *data, gsize size, GError **error)
{
    const gboolean is_long = size >= SAVE_IMAGE_FIXED_SIZE;
    if (is_long && memcmp(data, MAGIC_PARTIAL, MAGIC_SIZE) == 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the saved state is not complete");
    } else if (!is_long || memcmp(data, MAGIC, MAGIC_SIZE) != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the file is not a saved state of libvirt's");
    } else if (number_at(data, AT_VERSION) != FORMAT_VERSION) {
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED,
                      "libvirt's saved state has version %u of its format, and only version %u is known here",
                      number_at(data, AT_VERSION), FORMAT_VERSION);
    } else if (number_at(data, AT_FORMAT) != FORMAT_RAW) {
        hbr_error_set(
            error, HBR_ERROR_UNSUPPORTED,
            "libvirt's saved state is compressed or sparse (%u); save_image_format in qemu.conf must be \"raw\"",
            number_at(data, AT_FORMAT));
    } else {
        return TRUE;
    }
    return FALSE;
}

gsize save_image_head_size(const guint8 *data, gsize size, GError **error)
{
    if (!fixed_check(data, size, error))
        return 0;
    const guint32 data_size = number_at(data, AT_DATA_SIZE);
    if (data_size > 0 && data_size <= SAVE_IMAGE_DATA_MAX)
        return SAVE_IMAGE_FIXED_SIZE + (gsize)data_size;
    hbr_error_set(error, HBR_ERROR_INVALID, "the saved state says that its XML has %u bytes", data_size);
    return 0;
}

gboolean save_image_parse(const guint8 *data, gsize size, struct save_image *ret_image, GError **error)
{
    const gsize head_size = save_image_head_size(data, size, error);
    if (head_size == 0)
        return FALSE;
    const guint32 cookie_at = number_at(data, AT_COOKIE);
    const gsize data_size = head_size - SAVE_IMAGE_FIXED_SIZE;
    const gsize xml_size = cookie_at == 0 ? data_size : cookie_at;
    const char *xml = (const char *)data + SAVE_IMAGE_FIXED_SIZE;
    if (size < head_size || cookie_at >= data_size || memchr(xml, '\0', xml_size) == NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the head of the saved state is cut off or contradicts itself");
        return FALSE;
    }
    *ret_image = (struct save_image){
        .xml = xml,
        .cookie = cookie_at == 0 ? NULL : data + SAVE_IMAGE_FIXED_SIZE + cookie_at,
        .cookie_size = cookie_at == 0 ? 0 : data_size - cookie_at,
        .stream_at = head_size,
        .was_running = number_at(data, AT_WAS_RUNNING) != 0,
        .fixed = data,
    };
    return TRUE;
}

GBytes *save_image_build(const struct save_image *image, const char *xml, GError **error)
{
    const gsize xml_size = strlen(xml) + 1;
    const gsize data_size = xml_size + image->cookie_size;
    if (data_size > SAVE_IMAGE_DATA_MAX) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE, "the XML of the clone has %" G_GSIZE_FORMAT " bytes", xml_size);
        return NULL;
    }
    guint8 *head = g_malloc(SAVE_IMAGE_FIXED_SIZE + data_size);
    memcpy(head, image->fixed, SAVE_IMAGE_FIXED_SIZE);
    put_number(head, AT_DATA_SIZE, (guint32)data_size);
    put_number(head, AT_WAS_RUNNING, 1);
    put_number(head, AT_COOKIE, image->cookie == NULL ? 0 : (guint32)xml_size);
    memcpy(head + SAVE_IMAGE_FIXED_SIZE, xml, xml_size);
    if (image->cookie != NULL)
        memcpy(head + SAVE_IMAGE_FIXED_SIZE + xml_size, image->cookie, image->cookie_size);
    return g_bytes_new_take(head, SAVE_IMAGE_FIXED_SIZE + data_size);
}
