/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/qga-call.h"

#include "base/error.h"
#include "host/libvirt-error.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

#define ANSWER_SECONDS 5
#define HELPER_POLLS 2000 /* each is a round trip of a millisecond or more */
#define WORK_DIRECTORY "/tmp/harbinger-"

static void line_clear(struct qga_line *line)
{
    link_unref(line->link);
    g_free(line->uuid);
}

/* One command, one answer. Takes the command. */
static json_t *line_ask(const struct qga_line *line, char *command, GError **error)
{
    g_autofree char *text = command;
    g_autoptr(virDomain) domain = link_find(line->link, LINK_AGENT, line->uuid, error);
    if (domain == NULL)
        return NULL;
    char *answer = virDomainQemuAgentCommand(domain, text, ANSWER_SECONDS, 0);
    if (answer == NULL) {
        libvirt_fail(error, "ask the guest agent");
        return NULL;
    }
    json_t *value = qga_parse(answer, error);
    free(answer);
    return value;
}

/* For commands whose answer says nothing. */
static gboolean line_tell(const struct qga_line *line, char *command, GError **error)
{
    json_t *value = line_ask(line, command, error);
    json_decref(value);
    return value != NULL;
}

gboolean qga_ping_run(gpointer data, GError **error)
{
    const struct qga_ping *call = data;
    if (call->clock_ns == 0)
        return line_tell(&call->line, qga_command("guest-ping", NULL), error);
    return line_tell(&call->line, qga_command("guest-set-time", json_pack("{s:I}", "time", (json_int_t)call->clock_ns)),
                     error);
}

void qga_ping_free(gpointer data)
{
    struct qga_ping *call = data;
    line_clear(&call->line);
    g_free(call);
}

static gboolean look_at_vcpus(struct qga_look *call, GError **error)
{
    json_t *offline = NULL;
    json_t *value = line_ask(&call->line, qga_command("guest-get-vcpus", NULL), error);
    const int online = qga_count_vcpus(value, &offline);
    json_decref(value);
    if (offline != NULL)
        line_tell(&call->line, qga_command("guest-set-vcpus", json_pack("{s:o}", "vcpus", offline)), NULL);
    if (online < 0 && error != NULL && *error == NULL)
        hbr_error_set(error, HBR_ERROR_GUEST, "the guest agent does not list the vCPUs");
    call->vcpus = (guint)MAX(online, 0);
    return online >= 0;
}

/* An agent that cannot tell about memory is not in error: that is said by a size of 0. */
static void look_at_memory(struct qga_look *call)
{
    json_t *offline = NULL;
    json_t *info = line_ask(&call->line, qga_command("guest-get-memory-block-info", NULL), NULL);
    json_t *blocks = info == NULL ? NULL : line_ask(&call->line, qga_command("guest-get-memory-blocks", NULL), NULL);
    const gint64 size_mib = json_integer_value(json_object_get(info, "size")) >> 20;
    const int online = qga_count_blocks(blocks, &offline);
    json_decref(info);
    json_decref(blocks);
    if (offline != NULL)
        line_tell(&call->line, qga_command("guest-set-memory-blocks", json_pack("{s:o}", "mem-blks", offline)), NULL);
    call->memory_mib = online > 0 && size_mib > 0 ? (guint)MIN(size_mib * online, G_MAXINT) : 0;
}

gboolean qga_look_run(gpointer data, GError **error)
{
    struct qga_look *call = data;
    if (!look_at_vcpus(call, error))
        return FALSE;
    look_at_memory(call);
    return TRUE;
}

void qga_look_free(gpointer data)
{
    struct qga_look *call = data;
    line_clear(&call->line);
    g_free(call);
}

/* Starts a program; its process id, or -1. */
static gint64 line_exec(const struct qga_line *line, const char *const *argv, char **env, GBytes *input, GError **error)
{
    json_t *value = line_ask(line, qga_exec(argv, env, input), error);
    const json_t *pid = json_object_get(value, "pid");
    const gint64 number = json_is_integer(pid) ? json_integer_value(pid) : -1;
    if (value != NULL && number < 0)
        hbr_error_set(error, HBR_ERROR_GUEST, "the guest agent does not name the process that it started");
    json_decref(value);
    return number;
}

static gboolean line_status(const struct qga_line *line, gint64 pid, struct qga_status *ret_status, GError **error)
{
    json_t *value = line_ask(line, qga_command("guest-exec-status", json_pack("{s:I}", "pid", (json_int_t)pid)), error);
    const gboolean is_told = value != NULL && qga_status_parse(value, ret_status, error);
    json_decref(value);
    return is_told;
}

/* Runs a short helper to its end. */
static gboolean line_help(const struct qga_line *line, const char *const *argv, GError **error)
{
    const gint64 pid = line_exec(line, argv, NULL, NULL, error);
    for (guint i = 0; pid >= 0 && i < HELPER_POLLS; i++) {
        struct qga_status status;
        if (!line_status(line, pid, &status, error))
            return FALSE;
        qga_status_clear(&status);
        if (!status.has_exited)
            continue;
        if (status.exit_code == 0 && status.signal == 0)
            return TRUE;
        hbr_error_set(error, HBR_ERROR_GUEST, "the working directory could not be prepared in the guest");
        return FALSE;
    }
    if (pid >= 0)
        hbr_error_set(error, HBR_ERROR_TIMEOUT, "a helper in the guest does not end");
    return FALSE;
}

static gboolean file_write_all(const struct qga_line *line, json_int_t handle, const guint8 *data, gsize size,
                               GError **error)
{
    for (gsize at = 0; at < size; at += QGA_CHUNK_MAX) {
        g_autofree char *text = g_base64_encode(data + at, MIN(size - at, QGA_CHUNK_MAX));
        json_t *arguments = json_pack("{s:I, s:s}", "handle", handle, "buf-b64", text);
        if (!line_tell(line, qga_command("guest-file-write", arguments), error))
            return FALSE;
    }
    return TRUE;
}

static gboolean file_put(const struct qga_line *line, const char *path, gconstpointer data, gsize size, GError **error)
{
    json_t *opened =
        line_ask(line, qga_command("guest-file-open", json_pack("{s:s, s:s}", "path", path, "mode", "w")), error);
    if (opened == NULL)
        return FALSE;
    const json_int_t handle = json_integer_value(opened);
    json_decref(opened);
    const gboolean is_written = file_write_all(line, handle, data, size, error);
    return line_tell(line, qga_command("guest-file-close", json_pack("{s:I}", "handle", handle)),
                     is_written ? error : NULL) &&
           is_written;
}

static gboolean start_put_file(const struct qga_line *line, const char *directory, const struct program_file *file,
                               GError **error)
{
    g_autofree char *path = g_build_filename(directory, file->path, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *mode = g_strdup_printf("%o", file->mode != 0 ? file->mode & 0777 : 0644);
    const char *const make[] = {"/bin/sh", "-c", "mkdir -p \"$1\"", "sh", parent, NULL};
    const char *const change[] = {"/bin/sh", "-c", "chmod \"$1\" \"$2\"", "sh", mode, path, NULL};
    gsize size = 0;
    const void *data = file->content == NULL ? NULL : g_bytes_get_data(file->content, &size);
    return line_help(line, make, error) && file_put(line, path, data, size, error) && line_help(line, change, error);
}

static gboolean start_put_files(const struct qga_start *call, const char *directory, GError **error)
{
    const struct program *program = &call->run->program;
    const char *const make[] = {"/bin/sh", "-c", "mkdir -p \"$1\"", "sh", directory, NULL};
    if (!line_help(&call->line, make, error))
        return FALSE;
    for (guint i = 0; program->files != NULL && i < program->files->len; i++) {
        if (!start_put_file(&call->line, directory, program->files->pdata[i], error))
            return FALSE;
    }
    if (program->source == NULL)
        return TRUE;
    g_autofree char *path = g_build_filename(directory, ".harbinger-code", NULL);
    return file_put(&call->line, path, program->source, strlen(program->source), error);
}

/* A session of its own, so that a kill reaches all of it. */
static const char start_script[] =
    "cd \"$1\" && shift && if command -v setsid >/dev/null; then exec setsid \"$@\"; else exec \"$@\"; fi";

static gint64 start_program(const struct qga_start *call, const char *directory, GError **error)
{
    const struct program *program = &call->run->program;
    g_autofree char *code = g_build_filename(directory, ".harbinger-code", NULL);
    g_autofree char *cwd = program->cwd == NULL               ? g_strdup(directory)
                           : g_path_is_absolute(program->cwd) ? g_strdup(program->cwd)
                                                              : g_build_filename(directory, program->cwd, NULL);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *const head[] = {"/bin/sh", "-c", start_script, "sh", cwd};
    for (gsize i = 0; i < G_N_ELEMENTS(head); i++)
        g_ptr_array_add(argv, (gpointer)head[i]);
    if (program->interpreter != NULL)
        g_ptr_array_add(argv, program->interpreter);
    if (program->source != NULL)
        g_ptr_array_add(argv, code);
    for (char **argument = program->argv; argument != NULL && *argument != NULL; argument++)
        g_ptr_array_add(argv, *argument);
    g_ptr_array_add(argv, NULL);
    return line_exec(&call->line, (const char *const *)argv->pdata, program->env, program->stdin_bytes, error);
}

gboolean qga_start_run(gpointer data, GError **error)
{
    struct qga_start *call = data;
    g_autofree char *directory = g_strconcat(WORK_DIRECTORY, call->run->execution_id, NULL);
    if (!start_put_files(call, directory, error))
        return FALSE;
    call->pid = start_program(call, directory, error);
    return call->pid >= 0;
}

void qga_start_free(gpointer data)
{
    struct qga_start *call = data;
    line_clear(&call->line);
    run_spec_free(call->run);
    g_free(call);
}

gboolean qga_poll_run(gpointer data, GError **error)
{
    struct qga_poll *call = data;
    if (call->kills) {
        g_autofree char *pid = g_strdup_printf("%" G_GINT64_FORMAT, call->pid);
        const char *const kill[] = {
            "/bin/sh", "-c", "kill -9 -- -\"$1\" 2>/dev/null || kill -9 \"$1\" 2>/dev/null || true", "sh", pid, NULL};
        if (!line_help(&call->line, kill, error))
            return FALSE;
    }
    return line_status(&call->line, call->pid, &call->status, error);
}

void qga_poll_free(gpointer data)
{
    struct qga_poll *call = data;
    line_clear(&call->line);
    qga_status_clear(&call->status);
    g_free(call);
}
