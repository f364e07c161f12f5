/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grower.h"

#include <stdlib.h>

char *grower_policy(const char *scaling)
{
    return g_strdup_printf(
        "profiles:\n"
        "  - { name: small, template: base, vcpus: 1, memory: 256 MiB, maximum: { vcpus: 4, memory: 2 GiB } }\n"
        "classes:\n"
        "  - { name: small, score_max: 100, profile: small,"
        " demand: { vcpus: { p50: 0.5, p90: 1, p99: 1 }, memory: { p50: 40 MiB, p90: 80 MiB, p99: 100 MiB } } }\n"
        "provisioning: { sizing: demand, memory_min: 256 MiB, memory_step: 128 MiB, no_show: 5 min, boot_timeout: 2 min }\n"
        "scaling: { %s }\n",
        scaling);
}

static char *touch_base64(void)
{
    g_autofree char *path = g_build_filename(g_getenv("HBR_BUILD_DIR"), "tests/bench/touch", NULL), *text = NULL;
    gsize length;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &text, &length, &error))
        g_error("%s", error->message);
    return g_base64_encode((const guchar *)text, length);
}

void grower_touch(struct world *world, const char *function, guint rate_mib, guint total_mib, struct world_run *ret_run)
{
    g_autofree char *reservation = world_reserve(world, function), *program = touch_base64();
    g_autofree char *rate = g_strdup_printf("%u", rate_mib), *total = g_strdup_printf("%u", total_mib);
    json_auto_t *request = json_pack("{s:{s:s}, s:{s:[s, s, s], s:[{s:s, s:i, s:s}]}, s:s}", "code", "function",
                                     function, "program", "argv", "./touch", rate, total, "files", "path", "touch",
                                     "mode", 0755, "content_base64", program, "reservation_id", reservation);
    char *text = json_dumps(request, JSON_COMPACT);
    world_let_stand();
    world_execute_request(world, text, ret_run);
    free(text);
}
