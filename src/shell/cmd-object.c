/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/render.h"
#include "shell/views.h"

/* Reservations, executions and instances: the same commands for each. */

#define FUNCTION_OPTIONS                                                                      \
    {"function", 'f', OPTION_STRING, 0, "NAME", "of this function", 0, 0, complete_function}, \
    {                                                                                         \
        "tenant", 't', OPTION_STRING, 0, "NAME", "of this tenant", 0, 0, NULL                 \
    }

#define LIST_OPTIONS(states)                                                                 \
    {"all", 'a', OPTION_BOOL, 0, NULL, "those that have ended, too", 0, 0, NULL},            \
        {"state", 's', OPTION_STRING, 0, "STATE", "in this state", 0, 0, states},            \
    {                                                                                        \
        "limit", 'n', OPTION_INT, 0, "COUNT", "at most so many, the newest", 1, 100000, NULL \
    }

#define ID_OPTION(completer)                                                                         \
    {                                                                                                \
        "id", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "ID", "its id", 0, 0, completer \
    }

static const struct command_option reservation_list_options[] = {FUNCTION_OPTIONS,
                                                                 LIST_OPTIONS(complete_reservation_state)};
static const struct command_option execution_list_options[] = {FUNCTION_OPTIONS,
                                                               LIST_OPTIONS(complete_execution_state)};
static const struct command_option instance_list_options[] = {LIST_OPTIONS(complete_instance_state)};
static const struct command_option reservation_options[] = {ID_OPTION(complete_reservation)};
static const struct command_option execution_options[] = {ID_OPTION(complete_execution)};
static const struct command_option instance_options[] = {ID_OPTION(complete_instance)};

#define SHAPE_VCPUS_MAX 1024
#define SHAPE_PERCENT_MAX (SHAPE_VCPUS_MAX * 100)
#define SHAPE_MBPS_MAX 1000000
#define SHAPE_GPUS_MAX 16

static const struct command_option instance_shape_options[] = {
    ID_OPTION(complete_instance),
    {"vcpus", 'c', OPTION_INT, 0, "COUNT", "vCPUs online in the guest", 1, SHAPE_VCPUS_MAX, NULL},
    {"memory", 'm', OPTION_SIZE, 0, "SIZE", "memory, in whole MiB", 1 << 20, G_GINT64_CONSTANT(1) << 46, NULL},
    {"network", 'n', OPTION_INT, 0, "MBIT", "limit of its network rate, each way, in Mbit/s", 1, SHAPE_MBPS_MAX, NULL},
    {"disk", 'd', OPTION_INT, 0, "MB", "limit of its own disk's throughput, each way, in MB/s", 1, SHAPE_MBPS_MAX,
     NULL},
    {"cpu-percent", 'p', OPTION_INT, 0, "PERCENT", "cap on its CPU time, in percent of one CPU", 1, SHAPE_PERCENT_MAX,
     NULL},
    {"gpus", 'g', OPTION_INT, 0, "COUNT", "GPUs of the host, 0 for none", 0, SHAPE_GPUS_MAX, NULL},
};

static gboolean object_list(struct session *session, const struct arguments *arguments, enum hbr_kind kind,
                            const struct view *view, GError **error)
{
    struct hbr_filter filter = {.state = arguments_string(arguments, "state"),
                                .all = arguments_has(arguments, "all") || arguments_has(arguments, "state"),
                                .limit = (unsigned)arguments_number(arguments, "limit")};
    if (kind != HBR_INSTANCE) {
        filter.function = arguments_string(arguments, "function");
        filter.tenant = arguments_string(arguments, "tenant");
    }
    g_autoptr(json_auto) answer = session_list(session, kind, &filter, error);
    if (answer == NULL)
        return FALSE;
    output_list(&session->output, view, answer);
    return TRUE;
}

static gboolean object_info(struct session *session, const struct arguments *arguments, enum hbr_kind kind,
                            const struct view *view, GError **error)
{
    g_autoptr(json_auto) object = session_get(session, kind, arguments_string(arguments, "id"), error);
    if (object == NULL)
        return FALSE;
    output_object(&session->output, view, object);
    return TRUE;
}

static gboolean object_delete(struct session *session, const struct arguments *arguments, enum hbr_kind kind,
                              GError **error)
{
    const char *id = arguments_string(arguments, "id");
    g_autoptr(json_auto) object = session_delete(session, kind, id, error);
    if (object == NULL)
        return FALSE;
    const char *state = output_string_at(object, "state");
    output_result(&session->output, object, id, "%s: %s", id, state != NULL ? state : "done");
    return TRUE;
}

static gboolean reservation_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_list(session, arguments, HBR_RESERVATION, &reservation_list_view, error);
}

static gboolean reservation_info_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_info(session, arguments, HBR_RESERVATION, &reservation_view, error);
}

static gboolean reservation_cancel_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_delete(session, arguments, HBR_RESERVATION, error);
}

static gboolean execution_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_list(session, arguments, HBR_EXECUTION, &execution_list_view, error);
}

static gboolean execution_info_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_info(session, arguments, HBR_EXECUTION, &execution_view, error);
}

static gboolean execution_cancel_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_delete(session, arguments, HBR_EXECUTION, error);
}

static gboolean instance_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_list(session, arguments, HBR_INSTANCE, &instance_list_view, error);
}

static gboolean instance_info_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_info(session, arguments, HBR_INSTANCE, &instance_view, error);
}

static gboolean instance_destroy_run(struct session *session, const struct arguments *arguments, GError **error)
{
    return object_delete(session, arguments, HBR_INSTANCE, error);
}

/* NULL with SHELL_ERROR_USAGE. */
static json_t *instance_shape_new(const struct arguments *arguments, GError **error)
{
    static const struct {
        const char *option, *member;
        gint64 unit;
    } amounts[] = {{"vcpus", "vcpus", 1},    {"memory", "memory_mib", 1 << 20}, {"network", "network_mbps", 1},
                   {"disk", "disk_mbps", 1}, {"cpu-percent", "cpu_percent", 1}, {"gpus", "gpus", 1}};
    g_autoptr(json_auto) shape = json_object();
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++)
        if (arguments_has(arguments, amounts[i].option))
            json_object_set_new(shape, amounts[i].member,
                                json_integer(arguments_number(arguments, amounts[i].option) / amounts[i].unit));
    if (json_object_size(shape) > 0)
        return g_steal_pointer(&shape);
    failure_usage(error,
                  "there is nothing to change: give --vcpus, --memory, --network, --disk, --cpu-percent or --gpus");
    return NULL;
}

static gboolean instance_shape_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *id = arguments_string(arguments, "id");
    g_autoptr(json_auto) shape = instance_shape_new(arguments, error);
    struct hbr_client *client = shape != NULL ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL, *json = json_dumps(shape, JSON_COMPACT);
    const bool done = hbr_instance_shape(client, id, json, &text, &remote);
    free(json);
    if (!done)
        return failure_take(&remote, error);
    g_autoptr(json_auto) instance = session_parse(text, error);
    if (instance == NULL)
        return FALSE;
    g_autofree char *now = render_shape_text(json_object_get(instance, "shape"));
    output_result(&session->output, instance, id, "%s: %s", id, now);
    return TRUE;
}

static const struct command object_commands[] = {
    {"reservation-list", "list reservations",
     "Those that are open, the newest first; with --all or --state the others too.", reservation_list_run,
     COMMAND_OPTIONS(reservation_list_options), FALSE},
    {"reservation-info", "show a reservation", NULL, reservation_info_run, COMMAND_OPTIONS(reservation_options), FALSE},
    {"reservation-cancel", "cancel a reservation", "Its instance is destroyed, unless code runs in it.",
     reservation_cancel_run, COMMAND_OPTIONS(reservation_options), FALSE},
    {"execution-list", "list executions",
     "Those that have not ended, the newest first; with --all or --state the others too.", execution_list_run,
     COMMAND_OPTIONS(execution_list_options), FALSE},
    {"execution-info", "show an execution", NULL, execution_info_run, COMMAND_OPTIONS(execution_options), FALSE},
    {"execution-cancel", "cancel an execution", "Its program is killed.", execution_cancel_run,
     COMMAND_OPTIONS(execution_options), FALSE},
    {"instance-list", "list instances, the VMs",
     "Those that run, the newest first; with --all or --state the others too.", instance_list_run,
     COMMAND_OPTIONS(instance_list_options), FALSE},
    {"instance-info", "show an instance", NULL, instance_info_run, COMMAND_OPTIONS(instance_options), FALSE},
    {"instance-shape", "give a running instance another shape",
     "What the controller does, by hand and in the same way: more is booked on the host before, less needs the guest's consent. It returns when "
     "the guest has confirmed. The controller goes on from there.",
     instance_shape_run, COMMAND_OPTIONS(instance_shape_options), FALSE},
    {"instance-destroy", "destroy an instance", "What runs in it is lost.", instance_destroy_run,
     COMMAND_OPTIONS(instance_options), FALSE},
};

const struct command_group object_group = {"objects", "Reservations, executions, instances", object_commands,
                                           G_N_ELEMENTS(object_commands)};
