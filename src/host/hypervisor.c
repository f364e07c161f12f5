/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/hypervisor.h"

#include "base/clock.h"
#include "base/error.h"
#include "host/libvirt-host.h"
#include "host/sim.h"
#include "host/template.h"

#include <string.h>

struct hypervisor *hypervisor_new(const struct host_spec *spec, const struct hypervisor_settings *settings,
                                  event_sink sink, gpointer sink_data, GError **error)
{
    if (g_str_has_prefix(spec->uri, "sim:"))
        return sim_hypervisor_new(spec, sink, sink_data, error);
    return libvirt_hypervisor_new(spec, settings, sink, sink_data, error);
}

void hypervisor_submit(struct hypervisor *hypervisor, gint64 now, struct command *command)
{
    hypervisor->klass->submit(hypervisor, now, command);
}

gint64 hypervisor_next_at(struct hypervisor *hypervisor)
{
    return hypervisor->klass->next_at != NULL ? hypervisor->klass->next_at(hypervisor) : CLOCK_NEVER;
}

void hypervisor_advance(struct hypervisor *hypervisor, gint64 now)
{
    if (hypervisor->klass->advance != NULL)
        hypervisor->klass->advance(hypervisor, now);
}

void hypervisor_free(struct hypervisor *hypervisor)
{
    if (hypervisor != NULL)
        hypervisor->klass->free(hypervisor);
}

gboolean hypervisor_check_templates(const char *directory, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) entries = g_dir_open(directory, 0, &problem);
    if (entries == NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s", problem->message);
        return FALSE;
    }
    for (const char *file; (file = g_dir_read_name(entries)) != NULL;) {
        if (!g_str_has_suffix(file, ".xml"))
            continue;
        g_autofree char *name = g_strndup(file, strlen(file) - strlen(".xml"));
        g_autoptr(template_auto) template = template_load(directory, name, error);
        if (template == NULL)
            return FALSE;
    }
    return TRUE;
}
