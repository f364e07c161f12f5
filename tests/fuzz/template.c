/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Templates of any content: each is refused with the place and the reason, or makes a domain, or is refused when it is to make one.
 */
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

static void check_build(struct template *template)
{
    static char id[] = "vm-1", uuid[] = "00000000-0000-4000-8000-000000000001", owner[] = "fuzz", base[] = "base";
    const struct boot_spec boot = {
        .instance_id = id,
        .uuid = uuid,
        .owner = owner,
        .template = base,
        .shape = {.vcpus = 1, .memory_mib = 512, .network_mbps = 10, .cpu_percent = 50},
        .maximum = {.vcpus = 4, .memory_mib = 2048},
    };
    const struct domain_plan plan = {
        .boot = &boot,
        .image_dir = "/images",
        .network = "bridge=br0",
        .disk_path = template->has_disk ? "/disks/vm-1.raw" : NULL,
        .drop_cpu_check = TRUE,
        .has_bandwidth = TRUE,
        .has_quota = TRUE,
    };
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = domain_xml_build(template, &plan, &error);
    check((xml == NULL) == (error != NULL));
    g_autoptr(domain_live_auto) live = xml == NULL ? NULL : domain_live_parse(xml, "none", NULL);
    check(xml == NULL || live != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(template_auto) template = template_parse("fuzz.xml", (const char *)data, size, &error);
    check((template == NULL) == (error != NULL));
    check(error == NULL || g_str_has_prefix(error->message, "fuzz.xml:"));
    if (template != NULL)
        check_build(template);
    return 0;
}
