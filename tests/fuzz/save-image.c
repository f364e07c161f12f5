/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Heads of saved states, as a disk may have spoilt them: refused, or rewritten for a clone into one that is read back as the same.
 */
#include "host/save-image.h"
#include "base/error.h"
#include "host/domain-xml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(gboolean holds)
{
    if (!holds)
        abort();
}

static void check_rewritten(const struct save_image *image, const char *xml)
{
    g_autoptr(GBytes) head = save_image_build(image, xml, NULL);
    if (head == NULL)
        return;
    gsize size;
    struct save_image again;
    const guint8 *bytes = g_bytes_get_data(head, &size);
    check(save_image_parse(bytes, size, &again, NULL));
    check(strcmp(again.xml, xml) == 0 && again.was_running && again.stream_at == size);
    check(again.cookie_size == image->cookie_size);
    check(again.cookie_size == 0 || memcmp(again.cookie, image->cookie, again.cookie_size) == 0);
}

static void check_clone(const struct save_image *image)
{
    static char id[] = "vm-2", uuid[] = "00000000-0000-4000-8000-000000000002", owner[] = "fuzz";
    const struct boot_spec boot = {
        .instance_id = id,
        .uuid = uuid,
        .owner = owner,
        .shape = {.vcpus = 1, .memory_mib = 256, .network_mbps = 10, .cpu_percent = 50},
    };
    for (guint i = 0; i < 2; i++) {
        const struct domain_plan plan = {
            .boot = &boot, .disk_path = i == 0 ? NULL : "/disks/vm-2.raw", .has_bandwidth = TRUE, .has_quota = TRUE};
        g_autoptr(GError) error = NULL;
        g_autofree char *xml = domain_clone_xml(image->xml, &plan, &error);
        check((xml == NULL) == (error != NULL));
        if (xml != NULL)
            check_rewritten(image, xml);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) none = NULL;
    struct save_image image;
    const gsize head_size = save_image_head_size(data, size, &none);
    const gboolean is_one = save_image_parse(data, size, &image, &error);
    check((head_size == 0) == (none != NULL) && is_one == (error == NULL));
    check(!is_one || (head_size == image.stream_at && head_size <= size));
    if (!is_one)
        return 0;
    check_rewritten(&image, "<domain/>");
    check_clone(&image);
    return 0;
}
