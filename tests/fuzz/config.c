/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A configuration file of the daemon: it is refused with its name and what would be right, or all of it is usable. */
#include "daemon/config.h"

#include "base/error.h"
#include "base/id.h"
#include "model/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const struct config *config)
{
    const char *const texts[] = {config->socket,       config->state_dir, config->image_dir,
                                 config->template_dir, config->policy,    config->log_level};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        if (texts[i] == NULL || !g_utf8_validate(texts[i], -1, NULL))
            abort();
    for (guint i = 0; i < config->hosts->len; i++) {
        const struct host_spec *spec = config->hosts->pdata[i];
        if (!id_is_valid_name(spec->name, MODEL_NAME_MAX) || spec->uri == NULL || !(spec->cpu_overcommit >= 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int fd = memfd_create("config", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    GError *error = NULL;
    struct config *config = config_load(path, &error);
    if ((config != NULL) == (error != NULL))
        abort();
    if (error != NULL && (!g_error_matches(error, HBR_ERROR, HBR_ERROR_INVALID) ||
                          !g_str_has_prefix(error->message, path) || !g_utf8_validate(error->message, -1, NULL)))
        abort();
    if (config != NULL)
        check_config(config);
    config_free(config);
    g_clear_error(&error);
    g_free(path);
    close(fd);
    return 0;
}
