/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/views.h"

#define HOST_OVERCOMMIT_MAX 1000

static const struct command_option attach_options[] = {
    {"name", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "NAME", "what the host is called from now on", 0, 0,
     NULL},
    {"uri", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "URI", "libvirt's URI of it, or sim:...", 0, 0,
     NULL},
    {"label", 0, OPTION_STRING, OPTION_REPEATED, "LABEL", "a label, by which code chooses hosts", 0, 0, NULL},
    {"cpu-overcommit", 0, OPTION_REAL, 0, "FACTOR", "vCPUs promised for each CPU (4)", 0, HOST_OVERCOMMIT_MAX, NULL},
    {"memory-overcommit", 0, OPTION_REAL, 0, "FACTOR", "memory promised for each byte of memory (1)", 0,
     HOST_OVERCOMMIT_MAX, NULL},
    {"memory-reserve", 0, OPTION_SIZE, 0, "SIZE", "memory kept for the host itself", 0, G_GINT64_CONSTANT(1) << 46,
     NULL},
    {"network", 0, OPTION_STRING, 0, "NETWORK", "none (default), user, bridge=NAME or network=NAME", 0, 0, NULL},
    {"images", 0, OPTION_STRING, 0, "DIR", "directory of the guest images on that host (the daemon's)", 0, 0, NULL},
    {"gpu", 0, OPTION_STRING, OPTION_REPEATED, "ADDRESS", "PCI address of a GPU that guests may have", 0, 0, NULL},
    {"wait", 'w', OPTION_DURATION, 0, "DURATION", "wait until it is up, at most this long", 1, 31622400000, NULL},
};

static const struct command_option list_options[] = {
    {"state", 's', OPTION_STRING, 0, "STATE", "in this state: up, down, connecting", 0, 0, NULL},
};

static const struct command_option name_options[] = {
    {"name", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "NAME", "name of the host", 0, 0, complete_host},
};

static void host_add_strings(json_t *spec, const char *member, const char *const *strings)
{
    if (strings[0] == NULL)
        return;
    json_t *array = json_array();
    for (guint i = 0; strings[i] != NULL; i++)
        json_array_append_new(array, json_string(strings[i]));
    json_object_set_new(spec, member, array);
}

static void host_add_string(json_t *spec, const char *member, const struct arguments *arguments, const char *option)
{
    if (arguments_has(arguments, option))
        json_object_set_new(spec, member, json_string(arguments_string(arguments, option)));
}

static json_t *host_spec_new(const struct arguments *arguments)
{
    json_t *spec = json_object();
    host_add_string(spec, "name", arguments, "name");
    host_add_string(spec, "uri", arguments, "uri");
    host_add_strings(spec, "labels", arguments_strings(arguments, "label"));
    if (arguments_has(arguments, "cpu-overcommit"))
        json_object_set_new(spec, "cpu_overcommit", json_real(arguments_real(arguments, "cpu-overcommit")));
    if (arguments_has(arguments, "memory-overcommit"))
        json_object_set_new(spec, "memory_overcommit", json_real(arguments_real(arguments, "memory-overcommit")));
    if (arguments_has(arguments, "memory-reserve"))
        json_object_set_new(spec, "memory_reserve_mib",
                            json_integer(arguments_number(arguments, "memory-reserve") >> 20));
    host_add_string(spec, "network", arguments, "network");
    host_add_string(spec, "images", arguments, "images");
    host_add_strings(spec, "gpus", arguments_strings(arguments, "gpu"));
    return spec;
}

static void host_print_state(struct session *session, const json_t *host)
{
    const char *name = output_string_at(host, "spec/name");
    const char *cause = output_string_at(host, "error");
    output_result(&session->output, host, name, "%s: %s%s%s", name, output_string_at(host, "state"),
                  cause != NULL ? ": " : "", cause != NULL ? cause : "");
}

static gboolean host_check_up(const json_t *host, GError **error)
{
    const char *state = output_string_at(host, "state"), *cause = output_string_at(host, "error");
    if (g_strcmp0(state, "up") == 0)
        return TRUE;
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_ANSWER, "%s is attached, but %s%s%s",
                output_string_at(host, "spec/name"), state, cause != NULL ? ": " : "", cause != NULL ? cause : "");
    return FALSE;
}

static gboolean host_attach_run(struct session *session, const struct arguments *arguments, GError **error)
{
    g_autoptr(json_auto) spec = host_spec_new(arguments);
    g_autoptr(json_auto) host = session_send(session, hbr_host_attach, spec, error);
    if (host == NULL)
        return FALSE;
    if (!arguments_has(arguments, "wait")) {
        host_print_state(session, host);
        return TRUE;
    }
    g_autoptr(json_auto) up = session_wait(session, HBR_HOST, arguments_string(arguments, "name"), "up",
                                           arguments_number(arguments, "wait"), error);
    if (up == NULL || !host_check_up(up, error))
        return FALSE;
    host_print_state(session, up);
    return TRUE;
}

static gboolean host_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    struct hbr_filter filter = {.state = arguments_string(arguments, "state")};
    g_autoptr(json_auto) answer = session_list(session, HBR_HOST, &filter, error);
    if (answer == NULL)
        return FALSE;
    output_list(&session->output, &host_list_view, answer);
    return TRUE;
}

static gboolean host_info_run(struct session *session, const struct arguments *arguments, GError **error)
{
    g_autoptr(json_auto) host = session_get(session, HBR_HOST, arguments_string(arguments, "name"), error);
    if (host == NULL)
        return FALSE;
    output_object(&session->output, &host_view, host);
    return TRUE;
}

static gboolean host_detach_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *name = arguments_string(arguments, "name");
    g_autoptr(json_auto) host = session_delete(session, HBR_HOST, name, error);
    if (host == NULL)
        return FALSE;
    output_result(&session->output, host, name, "%s: detached", name);
    return TRUE;
}

static const struct command host_commands[] = {
    {"host-attach", "give Harbinger a hypervisor",
     "The host is reached through its libvirt URI (qemu:///system, qemu:///session, qemu+ssh://user@host/system). It is "
     "remembered until host-detach.",
     host_attach_run, COMMAND_OPTIONS(attach_options), FALSE},
    {"host-list", "list hosts", "With what is promised of each: vCPUs, memory and GPUs.", host_list_run,
     COMMAND_OPTIONS(list_options), FALSE},
    {"host-info", "show a host", NULL, host_info_run, COMMAND_OPTIONS(name_options), FALSE},
    {"host-detach", "take a hypervisor away", "Refused while instances of Harbinger's run there.", host_detach_run,
     COMMAND_OPTIONS(name_options), FALSE},
};

const struct command_group host_group = {"hosts", "Hosts", host_commands, G_N_ELEMENTS(host_commands)};
