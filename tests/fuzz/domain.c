/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * XML of domains that anybody on the host may have defined, as libvirt hands it over: metadata are ours or not, and what is read of a domain
 * can be used.
 */
#include "host/domain-xml.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(gboolean holds)
{
    if (!holds)
        abort();
}

static void check_metadata(const char *text)
{
    g_autofree char *id = NULL;
    g_autofree char *owner = NULL;
    const gboolean is_ours = domain_metadata_parse(text, &id, &owner);
    check(is_ours == (id != NULL) && is_ours == (owner != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(GError) error = NULL;
    check_metadata(text);
    g_autoptr(domain_live_auto) live = domain_live_parse(text, "io.example.agent.0", &error);
    check((live == NULL) == (error != NULL));
    if (live == NULL)
        return 0;
    check(live->gpus != NULL);
    if (live->memory_xml != NULL) {
        g_autofree char *update = domain_memory_xml(live, 1024);
        check(update != NULL);
    }
    return 0;
}
