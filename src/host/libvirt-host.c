/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt-host.h"

#include "base/error.h"
#include "base/log.h"
#include "host/libvirt-error.h"
#include "host/libvirt-link.h"
#include "host/vm.h"

#include <string.h>

/* FACTS: libvirt serves five calls of a connection at a time, and more than ten slow ones stall all of its clients. */
const guint host_lane_limits[HOST_LANES] = {
    [LINK_CONTROL] = 2, [HOST_LANE_BOOT] = 3, [LINK_MONITOR] = 2, [LINK_SLOW] = 4, [LINK_AGENT] = 3};

struct event *host_event(const struct libvirt_host *host, enum event_kind kind, const char *id)
{
    struct event *event = event_new(kind);
    event->host = g_strdup(host->base.name);
    event->id = g_strdup(id);
    return event;
}

void host_post(const struct libvirt_host *host, struct event *event)
{
    host->base.sink(event, host->base.sink_data);
}

/* Those of whole seconds wake the thread together, up to a second late. */
#define TOGETHER_MS 2000

GSource *host_timer(const struct libvirt_host *host, gint64 after_ms, GSourceFunc callback, gpointer data)
{
    const guint bounded_ms = (guint)CLAMP(after_ms, 0, G_MAXINT);
    GSource *timer = bounded_ms >= TOGETHER_MS && bounded_ms % 1000 == 0
                         ? g_timeout_source_new_seconds(bounded_ms / 1000)
                         : g_timeout_source_new(bounded_ms);
    g_source_set_callback(timer, callback, data, NULL);
    g_source_attach(timer, host->context);
    return timer;
}

void timer_cancel(GSource **timer)
{
    if (*timer == NULL)
        return;
    g_source_destroy(*timer);
    g_clear_pointer(timer, g_source_unref);
}

struct job host_job(const struct libvirt_host *host, guint lane)
{
    return (struct job){.lane = lane, .timeout_ms = host->settings.call_ms};
}

static void do_connect(struct libvirt_host *host, struct command *command)
{
    (void)command;
    host_connect(host);
}

static void do_disconnect(struct libvirt_host *host, struct command *command)
{
    (void)command;
    host_disconnect(host);
}

static void do_boot(struct libvirt_host *host, struct command *command)
{
    vm_boot(host, command->boot);
}

static void do_adopt(struct libvirt_host *host, struct command *command)
{
    vm_adopt(host, command->boot);
}

static void do_shape(struct libvirt_host *host, struct command *command)
{
    struct vm *vm = g_hash_table_lookup(host->vms, command->id);
    if (vm != NULL && vm->state == VM_READY) {
        vm_reshape(vm, command->serial, &command->shape, command->count);
        return;
    }
    struct event *event = host_event(host, EVENT_INSTANCE_SHAPED, command->id);
    event->serial = command->serial;
    event->error = hbr_error_new(HBR_ERROR_CONFLICT, "the instance is not there or not ready");
    host_post(host, event);
}

static void do_alarm(struct libvirt_host *host, struct command *command)
{
    vm_set_alarm(host, command->id, &command->alarm);
}

static void do_run(struct libvirt_host *host, struct command *command)
{
    vm_run(host, command->id, g_steal_pointer(&command->run));
}

static void do_stage(struct libvirt_host *host, struct command *command)
{
    vm_stage(host, command->id, g_steal_pointer(&command->run));
}

static void do_stdin(struct libvirt_host *host, struct command *command)
{
    vm_stdin(host, command);
}

static void do_credit(struct libvirt_host *host, struct command *command)
{
    vm_credit(host, command);
}

static void do_cancel(struct libvirt_host *host, struct command *command)
{
    vm_cancel(host, command);
}

static void do_pause(struct libvirt_host *host, struct command *command)
{
    vm_pause(host, command->id);
}

static void do_claim(struct libvirt_host *host, struct command *command)
{
    vm_claim(host, command->boot);
}

static void do_save(struct libvirt_host *host, struct command *command)
{
    vm_save(host, command->id, command->saved);
}

static void do_forget_saved(struct libvirt_host *host, struct command *command)
{
    vm_forget_saved(host, command->saved->id);
}

static void do_migrate(struct libvirt_host *host, struct command *command)
{
    vm_migrate(host, command->id, command->host_spec, command->count);
}

static void do_destroy(struct libvirt_host *host, struct command *command)
{
    vm_destroy(host, command->id);
}

static void (*const host_commands[COMMAND_KIND_COUNT])(struct libvirt_host *host, struct command *command) = {
    [COMMAND_HOST_CONNECT] = do_connect,
    [COMMAND_HOST_DISCONNECT] = do_disconnect,
    [COMMAND_BOOT] = do_boot,
    [COMMAND_ADOPT] = do_adopt,
    [COMMAND_SHAPE] = do_shape,
    [COMMAND_ALARM] = do_alarm,
    [COMMAND_RUN] = do_run,
    [COMMAND_STAGE] = do_stage,
    [COMMAND_STDIN] = do_stdin,
    [COMMAND_OUTPUT_CREDIT] = do_credit,
    [COMMAND_CANCEL_RUN] = do_cancel,
    [COMMAND_PAUSE] = do_pause,
    [COMMAND_CLAIM] = do_claim,
    [COMMAND_SAVE] = do_save,
    [COMMAND_FORGET_SAVED] = do_forget_saved,
    [COMMAND_MIGRATE] = do_migrate,
    [COMMAND_DESTROY] = do_destroy,
};

static void host_on_command(gpointer owner, gpointer data)
{
    g_autoptr(command_auto) command = data;
    if (host_commands[command->kind] != NULL)
        host_commands[command->kind](owner, command);
}

static void command_free_note(gpointer command)
{
    command_free(command);
}

static void libvirt_submit(struct hypervisor *hypervisor, gint64 now, struct command *command)
{
    struct libvirt_host *host = (struct libvirt_host *)hypervisor;
    (void)now;
    inbox_post(host->inbox, host_on_command, command, command_free_note);
}

static void host_on_quit(gpointer owner, gpointer data)
{
    struct libvirt_host *host = owner;
    (void)data;
    g_main_loop_quit(host->loop);
}

/* On the host's thread, since sessions and timers belong to it. */
static void host_tear_down(struct libvirt_host *host)
{
    timer_cancel(&host->reconnect_timer);
    timer_cancel(&host->inventory_timer);
    timer_cancel(&host->heart_timer);
    timer_cancel(&host->look_timer);
    timer_cancel(&host->hold_timer);
    g_hash_table_remove_all(host->by_uuid);
    g_hash_table_remove_all(host->vms);
    channels_free(host->channels);
    workers_free(host->workers);
    inbox_close(host->inbox);
    link_unref(g_steal_pointer(&host->link));
    timer_cancel(&host->inbox_source);
}

static gpointer host_run(gpointer data)
{
    struct libvirt_host *host = data;
    g_main_context_push_thread_default(host->context);
    g_main_loop_run(host->loop);
    host_tear_down(host);
    g_main_context_pop_thread_default(host->context);
    return NULL;
}

static void settings_clear(struct hypervisor_settings *settings)
{
    g_free(settings->template_dir);
    g_free(settings->image_dir);
    g_free(settings->state_dir);
    g_free(settings->owner);
}

static void default_ms(gint64 *value, gint64 fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void settings_copy(const struct hypervisor_settings *settings, struct hypervisor_settings *ret_copy)
{
    *ret_copy = *settings;
    ret_copy->template_dir = g_strdup(settings->template_dir);
    ret_copy->image_dir = g_strdup(settings->image_dir);
    ret_copy->state_dir = g_strdup(settings->state_dir);
    ret_copy->owner = g_strdup(settings->owner);
    default_ms(&ret_copy->kvm_proof_ms, 10000);
    default_ms(&ret_copy->heartbeat_ms, 2000);
    default_ms(&ret_copy->silence_ms, 8000);
    default_ms(&ret_copy->call_ms, 10000);
    default_ms(&ret_copy->inventory_ms, 30000);
}

#define CLOSE_TIMEOUT_MS 2000

static void libvirt_free(struct hypervisor *hypervisor)
{
    struct libvirt_host *host = (struct libvirt_host *)hypervisor;
    inbox_post(host->inbox, host_on_quit, NULL, NULL);
    g_thread_join(host->thread);
    if (!link_wait_closed(CLOSE_TIMEOUT_MS))
        log_warning("host", "%s: libvirt does not let go of a connection", host->base.name);
    g_hash_table_unref(host->by_uuid);
    g_hash_table_unref(host->vms);
    inbox_unref(host->inbox);
    g_main_loop_unref(host->loop);
    g_main_context_unref(host->context);
    settings_clear(&host->settings);
    host_spec_free(host->spec);
    g_free(host->acceleration_reason);
    g_free(host->down_reason);
    g_free(host->disk_dir);
    g_free(host->base.name);
    g_free(host);
}

static const struct hypervisor_class libvirt_class = {.submit = libvirt_submit, .free = libvirt_free};

gboolean uri_is_local(const char *uri)
{
    const char *authority = strstr(uri, "://");
    return authority != NULL && authority[3] == '/';
}

struct hypervisor *libvirt_hypervisor_new(const struct host_spec *spec, const struct hypervisor_settings *settings,
                                          event_sink sink, gpointer sink_data, GError **error)
{
    if (!g_str_has_prefix(spec->uri, "qemu:") && !g_str_has_prefix(spec->uri, "qemu+")) {
        hbr_error_set(
            error, HBR_ERROR_INVALID,
            "host %s: \"%s\" is not a URI of a hypervisor; \"qemu:///system\", \"qemu+ssh://HOST/system\" and "
            "\"sim:NAME\" are",
            spec->name, spec->uri);
        return NULL;
    }
    libvirt_init();
    struct libvirt_host *host = g_new0(struct libvirt_host, 1);
    host->base = (struct hypervisor){
        .klass = &libvirt_class, .name = g_strdup(spec->name), .sink = sink, .sink_data = sink_data};
    host->spec = host_spec_copy(spec);
    settings_copy(settings, &host->settings);
    host->is_local = uri_is_local(spec->uri);
    host->is_system = strstr(spec->uri, "/system") != NULL;
    host->disk_dir = host->is_local ? g_build_filename(settings->state_dir, "instances", NULL) : NULL;
    host->acceleration = settings->acceleration;
    host->born_at = g_get_real_time();
    host->context = g_main_context_new();
    host->loop = g_main_loop_new(host->context, FALSE);
    host->inbox = inbox_new();
    host->inbox_source = inbox_attach(host->inbox, host, host->context);
    host->workers = workers_new(host, host->inbox, host->context, host_lane_limits, HOST_LANES);
    host->channels = channels_new(host->context);
    host->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_free);
    host->by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
    host->thread = g_thread_new("host", host_run, host);
    return &host->base;
}
