/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include <string.h>

void core_reply_error(struct core *core, guint64 request, GError *error)
{
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
    json_t *json = codec_encode(codec, object, CODEC_CLIENT);
    if (member != NULL)
        json = json_pack("{s:o}", member, json);
    struct command *reply = command_new(COMMAND_REPLY);
    reply->request = request;
    reply->status = status;
    reply->body = core_json_bytes(json);
    core_emit(core, reply);
}

void core_stream_json(struct core *core, struct execution_entry *entry, json_t *json, gboolean end)
{
    if (entry->request == 0) {
        json_decref(json);
        return;
    }
    struct command *line = command_new(COMMAND_STREAM);
    line->request = entry->request;
    line->body = core_json_bytes(json);
    line->end = end;
    core_emit(core, line);
    entry->headed = TRUE;
}

void core_stream_event(struct core *core, struct execution_entry *entry, const char *event)
{
    if (entry->request != 0)
        core_stream_json(core, entry,
                         json_pack("{s:s, s:o}", "event", event, "execution",
                                   codec_encode(&execution_codec, entry->doc, CODEC_CLIENT)),
                         FALSE);
}
