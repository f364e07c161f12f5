/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim-support.h"

#include "base/error.h"

#include <check.h>
#include <string.h>

static void log_saved(GString *log, const struct event *event)
{
    g_autofree char *shape = vm_shape_to_string(&event->saved->shape);
    g_string_append_printf(log, " %s", event->saved->id);
    if (event->error == NULL)
        g_string_append_printf(log, " of %s in %" G_GINT64_FORMAT " MiB", shape, event->saved->bytes >> 20);
}

static void log_inventory(GString *log, const struct event *event)
{
    for (guint i = 0; i < event->inventory->len; i++) {
        const struct inventory_item *item = g_ptr_array_index(event->inventory, i);
        g_string_append_printf(log, " %s", item->instance_id);
    }
    for (guint i = 0; i < event->saved_states->len; i++) {
        const struct saved_state *saved = g_ptr_array_index(event->saved_states, i);
        g_string_append_printf(log, " +%s", saved->id);
    }
}

static void log_detail(GString *log, const struct event *event)
{
    g_autofree char *shape = vm_shape_to_string(&event->shape);
    switch (event->kind) {
    case EVENT_INSTANCE_READY:
        g_string_append_printf(log, " %s", shape);
        break;
    case EVENT_INSTANCE_SHAPED:
        g_string_append_printf(log, " #%" G_GUINT64_FORMAT " %s", event->serial, shape);
        break;
    case EVENT_INSTANCE_SAVED:
        log_saved(log, event);
        break;
    case EVENT_STAGED:
        if (event->error == NULL)
            g_string_append_printf(log, " in %" G_GINT64_FORMAT " us", event->count);
        break;
    case EVENT_INSTANCE_PROGRESS:
        g_string_append_printf(log, " %s", event->text);
        break;
    case EVENT_HOST_INVENTORY:
        log_inventory(log, event);
        break;
    case EVENT_RUN_OUTPUT:
        g_string_append_printf(log, " %u:", event->stream);
        g_string_append_len(log, g_bytes_get_data(event->bytes, NULL), MIN(20, (gssize)g_bytes_get_size(event->bytes)));
        if (log->str[log->len - 1] == '\n')
            g_string_truncate(log, log->len - 1);
        break;
    case EVENT_RUN_EXIT:
        g_string_append_printf(log, " %s %u", codec_word(&exit_reason_words, event->result->reason),
                               event->result->status);
        break;
    case EVENT_SAMPLE:
        g_string_append_printf(log, " cpu %.2f runnable %.2f memory %u/%u tx %.1f", event->sample->cpu_used,
                               event->sample->runnable, event->sample->memory_used_mib, event->sample->memory_total_mib,
                               event->sample->network_tx_mbps);
        break;
    default:
        break;
    }
}

static void keep_saved(struct sim_bed *bed, const struct event *event)
{
    saved_state_free(bed->saved);
    bed->saved = event->saved_states->len > 0 ? saved_state_copy(g_ptr_array_index(event->saved_states, 0)) : NULL;
}

static void take_event(struct event *event, gpointer data)
{
    struct sim_bed *bed = data;
    bed->counts[event->kind]++;
    ck_assert_str_eq(event->host, "h");
    ck_assert_int_eq(event->at, bed->now);
    if (event->kind == EVENT_HOST_INVENTORY)
        keep_saved(bed, event);
    if (!bed->quiet || (event->kind != EVENT_SAMPLE && event->kind != EVENT_INSTANCE_PROGRESS)) {
        g_string_append_printf(bed->log, "%.0f %s", (double)(event->at - SIM_START) / CLOCK_MS,
                               codec_word(&event_kind_words, event->kind));
        if (event->execution_id != NULL || event->id != NULL)
            g_string_append_printf(bed->log, " %s", event->execution_id != NULL ? event->execution_id : event->id);
        log_detail(bed->log, event);
        if (event->error != NULL)
            g_string_append_printf(bed->log, " !%s", hbr_error_id(event->error->code));
        g_string_append_c(bed->log, '\n');
    }
    event_free(event);
}

static void submit(struct sim_bed *bed, struct command *command)
{
    bed->host->klass->submit(bed->host, bed->now, command);
}

void sim_bed_init(struct sim_bed *bed, const char *query)
{
    g_autofree char *uri =
        g_strdup_printf("sim:h?boot_sigma=0&warm_sigma=0&shape_sigma=0&connect_ms=0&inventory_s=0&%s", query);
    const struct host_spec spec = {.name = (char *)"h", .uri = uri};
    g_autoptr(GError) error = NULL;
    *bed = (struct sim_bed){.log = g_string_new(NULL), .now = SIM_START, .quiet = TRUE};
    bed->host = sim_hypervisor_new(&spec, take_event, bed, &error);
    ck_assert_msg(bed->host != NULL, "%s", error != NULL ? error->message : "");
    sim_bed_send(bed, COMMAND_HOST_CONNECT, NULL, NULL, 0);
    sim_bed_go(bed, 0);
    sim_bed_expect(bed, "0 host-up\n0 host-inventory\n");
}

void sim_bed_clear(struct sim_bed *bed)
{
    bed->host->klass->free(bed->host);
    g_string_free(bed->log, TRUE);
    g_clear_pointer(&bed->saved, saved_state_free);
}

void sim_bed_go(struct sim_bed *bed, gint64 until_ms)
{
    const gint64 until = SIM_START + until_ms * CLOCK_MS;
    for (gint64 next_at; (next_at = bed->host->klass->next_at(bed->host)) <= until;) {
        bed->now = MAX(bed->now, next_at);
        bed->host->klass->advance(bed->host, bed->now);
    }
    bed->now = until;
}

void sim_bed_expect(struct sim_bed *bed, const char *lines)
{
    ck_assert_str_eq(bed->log->str, lines);
    g_string_truncate(bed->log, 0);
}

void sim_bed_send(struct sim_bed *bed, enum command_kind kind, const char *id, const char *execution_id, gint64 count)
{
    struct command *command = command_new(kind);
    command->host = g_strdup("h");
    command->id = g_strdup(id);
    command->execution_id = g_strdup(execution_id);
    command->count = count;
    submit(bed, command);
}

static void submit_boot(struct sim_bed *bed, enum command_kind kind, const char *id, const char *saved, guint vcpus,
                        guint memory_mib, gint64 timeout_ms)
{
    struct command *command = command_new(kind);
    command->id = g_strdup(id);
    command->boot = g_new0(struct boot_spec, 1);
    command->boot->instance_id = g_strdup(id);
    command->boot->owner = g_strdup("me");
    command->boot->template = g_strdup("base");
    command->boot->shape = (struct vm_shape){.vcpus = vcpus, .memory_mib = memory_mib, .network_mbps = 10};
    command->boot->maximum = (struct vm_shape){.vcpus = 4, .memory_mib = 4096};
    command->boot->sample_interval_ms = 1000;
    command->boot->timeout_ms = timeout_ms;
    command->boot->saved = g_strdup(saved);
    submit(bed, command);
}

void sim_bed_boot(struct sim_bed *bed, const char *id, guint vcpus, guint memory_mib, gint64 timeout_ms)
{
    submit_boot(bed, COMMAND_BOOT, id, NULL, vcpus, memory_mib, timeout_ms);
}

void sim_bed_clone(struct sim_bed *bed, const char *id, const char *saved, guint vcpus, guint memory_mib,
                   gint64 timeout_ms)
{
    submit_boot(bed, COMMAND_BOOT, id, saved, vcpus, memory_mib, timeout_ms);
}

void sim_bed_claim(struct sim_bed *bed, const char *id, guint vcpus, guint memory_mib, gint64 timeout_ms)
{
    submit_boot(bed, COMMAND_CLAIM, id, NULL, vcpus, memory_mib, timeout_ms);
}

void sim_bed_saved(struct sim_bed *bed, enum command_kind kind, const char *id, const char *saved)
{
    struct command *command = command_new(kind);
    command->id = g_strdup(id);
    command->saved = g_new0(struct saved_state, 1);
    command->saved->id = g_strdup(saved);
    submit(bed, command);
}

void sim_bed_shape(struct sim_bed *bed, const char *id, guint64 serial, struct vm_shape shape)
{
    struct command *command = command_new(COMMAND_SHAPE);
    command->id = g_strdup(id);
    command->serial = serial;
    command->shape = shape;
    submit(bed, command);
}

static struct command *run_command_new(enum command_kind kind, const char *id, const char *execution_id,
                                       const char *source)
{
    struct command *command = command_new(kind);
    command->id = g_strdup(id);
    command->run = g_new0(struct run_spec, 1);
    command->run->execution_id = g_strdup(execution_id);
    command->run->program.source = g_strdup(source);
    return command;
}

void sim_bed_run(struct sim_bed *bed, const char *id, const char *execution_id, const char *source,
                 struct run_limits limits)
{
    struct command *command = run_command_new(COMMAND_RUN, id, execution_id, source);
    command->run->program.stdin_open = TRUE;
    command->run->limits = limits;
    submit(bed, command);
}

void sim_bed_stage(struct sim_bed *bed, const char *id, const char *execution_id, const char *source)
{
    submit(bed, run_command_new(COMMAND_STAGE, id, execution_id, source));
}

void sim_bed_run_staged(struct sim_bed *bed, const char *id, const char *execution_id, const char *source)
{
    struct command *command = run_command_new(COMMAND_RUN, id, execution_id, source);
    command->run->is_staged = TRUE;
    command->run->program.stdin_bytes = g_bytes_new_static("input", 5);
    submit(bed, command);
}

void sim_bed_stdin(struct sim_bed *bed, const char *id, const char *execution_id, const char *text, gboolean eof)
{
    struct command *command = command_new(COMMAND_STDIN);
    command->id = g_strdup(id);
    command->execution_id = g_strdup(execution_id);
    command->bytes = text != NULL ? g_bytes_new(text, strlen(text)) : NULL;
    command->eof = eof;
    submit(bed, command);
}
