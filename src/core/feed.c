/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

/* What happens, told to whoever watches: each entry of a timeline once it is written down, each adjustment, each host that comes or goes. A watcher
 * is told what happens from its first line on; who wants to know what was before asks for the objects. */

#define WATCHERS_MAX 64

struct watcher {
    guint64 request;
    gint64 since_at;
    enum object_kind object; /* OBJECT_KIND_COUNT: all */
    char *id;                /* NULL: all */
};

void watcher_free(gpointer data)
{
    struct watcher *watcher = data;
    g_free(watcher->id);
    g_free(watcher);
}

/* What a line is of. */
struct subject {
    enum object_kind object;
    const char *id, *function; /* function NULL: it has none */
    const char *instance_id;   /* NULL: no other is concerned */
};

static gboolean watcher_minds(const struct watcher *watcher, const struct subject *subject, gint64 at)
{
    if (at < watcher->since_at || (watcher->object != OBJECT_KIND_COUNT && watcher->object != subject->object))
        return FALSE;
    return watcher->id == NULL || g_str_equal(watcher->id, subject->id) ||
           g_strcmp0(watcher->id, subject->instance_id) == 0;
}

static void feed_send(struct core *core, guint64 request, GBytes *line, gboolean end)
{
    struct command *command = command_new(COMMAND_STREAM);
    command->request = request;
    command->body = g_bytes_ref(line);
    command->end = end;
    core_emit(core, command);
}

/* {"event": event, "object": kind, "id": ..., member: document} */
static GBytes *feed_line_new(const char *event, const struct subject *subject, const struct codec *codec,
                             gconstpointer document)
{
    GString *text = g_string_sized_new(512);
    g_string_append_printf(text, "{\"event\":\"%s\",\"object\":\"%s\",\"id\":\"%s\"", event,
                           codec_word(&object_kind_words, subject->object), subject->id);
    if (subject->function != NULL)
        g_string_append_printf(text, ",\"function\":\"%s\"", subject->function);
    if (subject->instance_id != NULL)
        g_string_append_printf(text, ",\"instance_id\":\"%s\"", subject->instance_id);
    g_string_append_printf(text, ",\"%s\":", event);
    codec_write(text, codec, document, CODEC_CLIENT);
    g_string_append_c(text, '}');
    return g_string_free_to_bytes(text);
}

static void feed_tell(struct core *core, const char *event, const struct subject *subject, gint64 at,
                      const struct codec *codec, gconstpointer document)
{
    g_autoptr(GBytes) line = NULL;
    for (guint i = 0; i < core->watchers->len; i++) {
        const struct watcher *watcher = core->watchers->pdata[i];
        if (!watcher_minds(watcher, subject, at))
            continue;
        if (line == NULL)
            line = feed_line_new(event, subject, codec, document);
        feed_send(core, watcher->request, line, FALSE);
    }
}

void core_watch(struct core *core, struct event *event)
{
    if (core->watchers->len >= WATCHERS_MAX) {
        core_reply_error(
            core, event->request,
            hbr_error_new(HBR_ERROR_EXHAUSTED, "%u watch already, which is the most; try later", core->watchers->len));
        return;
    }
    struct watcher *watcher = g_new0(struct watcher, 1);
    *watcher = (struct watcher){event->request, core->now, event->object, g_steal_pointer(&event->id)};
    g_ptr_array_add(core->watchers, watcher);
    g_autoptr(GBytes) line = core_json_bytes(json_pack("{s:s}", "event", "watching"));
    feed_send(core, watcher->request, line, FALSE);
}

void feed_client_gone(struct core *core, guint64 request)
{
    for (guint i = core->watchers->len; i > 0; i--)
        if (((const struct watcher *)core->watchers->pdata[i - 1])->request == request)
            g_ptr_array_remove_index_fast(core->watchers, i - 1);
}

void feed_end(struct core *core)
{
    g_autoptr(GBytes) line = core_json_bytes(json_pack("{s:s}", "event", "end"));
    for (guint i = 0; i < core->watchers->len; i++)
        feed_send(core, ((const struct watcher *)core->watchers->pdata[i])->request, line, TRUE);
    g_ptr_array_set_size(core->watchers, 0);
}

/* Those entries of a timeline that came since `*told` of them. */
static void feed_tell_timeline(struct core *core, const struct subject *subject, const GPtrArray *timeline, guint *told)
{
    const guint count = timeline != NULL ? timeline->len : 0;
    for (; *told < count && core->watchers->len > 0; (*told)++) {
        const struct timeline_entry *entry = timeline->pdata[*told];
        feed_tell(core, "timeline", subject, entry->at, &timeline_entry_codec, entry);
    }
    *told = count;
}

static void feed_tell_host(struct core *core, struct host_entry *entry)
{
    const struct host *doc = entry->doc;
    const struct subject subject = {.object = OBJECT_HOST, .id = doc->spec->name};
    const char *what = entry->is_detached ? "detached" : codec_word(&host_state_words, doc->state);
    if (g_strcmp0(entry->told, what) == 0)
        return;
    entry->told = what;
    const struct timeline_entry now = {.at = core->now, .what = (char *)what, .detail = doc->error};
    feed_tell(core, "timeline", &subject, core->now, &timeline_entry_codec, &now);
}

static void feed_tell_reservation(struct core *core, struct reservation_entry *entry)
{
    const struct reservation *doc = entry->doc;
    const struct subject subject = {OBJECT_RESERVATION, doc->id, doc->notification->code.function, NULL};
    if (core->watchers->len > 0)
        reservation_begin_timeline(entry);
    feed_tell_timeline(core, &subject, doc->timeline, &entry->told);
}

void feed_tell_dirty(struct core *core)
{
    for (guint i = 0; i < core->dirty_hosts->len; i++)
        feed_tell_host(core, core->dirty_hosts->pdata[i]);
    for (guint i = 0; i < core->dirty_reservations->len; i++)
        feed_tell_reservation(core, core->dirty_reservations->pdata[i]);
    for (guint i = 0; i < core->dirty_instances->len; i++) {
        struct instance_entry *entry = core->dirty_instances->pdata[i];
        const struct subject subject = {.object = OBJECT_INSTANCE, .id = entry->doc->id};
        feed_tell_timeline(core, &subject, entry->doc->timeline, &entry->told);
    }
    for (guint i = 0; i < core->dirty_executions->len; i++) {
        struct execution_entry *entry = core->dirty_executions->pdata[i];
        const struct subject subject = {OBJECT_EXECUTION, entry->doc->id, entry->doc->code.function, NULL};
        feed_tell_timeline(core, &subject, entry->doc->timeline, &entry->told);
    }
}

void feed_tell_adjustment(struct core *core, const struct execution_entry *entry, const struct instance_entry *instance,
                          const struct adjustment *adjustment)
{
    struct subject subject = {.object = OBJECT_INSTANCE, .id = instance->doc->id};
    if (entry != NULL)
        subject = (struct subject){OBJECT_EXECUTION, entry->doc->id, entry->doc->code.function, instance->doc->id};
    feed_tell(core, "adjustment", &subject, core->now, &adjustment_codec, adjustment);
}
