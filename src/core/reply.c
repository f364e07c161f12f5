/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include <string.h>

void core_reply_error(struct core *core, guint64 request, GError *error)
{
    if (request == 0) { /* the daemon itself asked */
        log_warning("core", "%s", error->message);
        g_error_free(error);
        return;
    }
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = request;
    reply->error = error;
    core_emit(core, reply);
}

/* Frees with libc's free, which is what jansson allocates with. */
static void json_text_free(gpointer text)
{
    free(text);
}

GBytes *core_json_bytes(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(json);
    return g_bytes_new_with_free_func(text, strlen(text), json_text_free, text);
}

void core_reply_object(struct core *core, guint64 request, guint status, const char *member, const struct codec *codec,
                       gconstpointer object)
{
    if (request == 0)
        return;
    GString *text = g_string_sized_new(1024);
    if (member != NULL)
        g_string_append_printf(text, "{\"%s\":", member);
    codec_write(text, codec, object, CODEC_CLIENT);
    if (member != NULL)
        g_string_append_c(text, '}');
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = request;
    reply->status = status;
    reply->body = g_string_free_to_bytes(text);
    core_emit(core, reply);
}

struct command *core_receipt_new(guint64 request, const char *reservation_id)
{
    struct command *receipt = command_new(COMMAND_REPLY);
    receipt->request = request;
    receipt->status = 202;
    receipt->id = g_strdup(reservation_id);
    return receipt;
}

void core_receipt_fill(struct command *receipt, const struct reservation *doc)
{
    GString *text = g_string_sized_new(1024);
    g_string_append(text, "{\"reservation\":");
    codec_write(text, &reservation_receipt_codec, doc, CODEC_CLIENT);
    g_string_append_c(text, '}');
    receipt->body = g_string_free_to_bytes(text);
}

struct command *core_line_new(guint64 request, const char *event, const char *member, const struct codec *codec,
                              gconstpointer object)
{
    GString *text = g_string_sized_new(1024);
    g_string_append_printf(text, "{\"event\":\"%s\",\"%s\":", event, member);
    codec_write(text, codec, object, CODEC_CLIENT);
    g_string_append_c(text, '}');
    struct command *line = command_new(COMMAND_STREAM);
    line->request = request;
    line->body = g_string_free_to_bytes(text);
    return line;
}

void core_stream_event(struct core *core, struct execution_entry *entry, const char *event)
{
    if (entry->request != 0)
        core_emit(core, core_line_new(entry->request, event, "execution", &execution_codec, entry->doc));
}
