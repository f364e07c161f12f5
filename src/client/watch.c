/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "client/lines.h"
#include "client/problem.h"

#include <string.h>

/* One hbr_watch(). */
struct watch {
    hbr_watch_callback callback;
    void *user_data;
    bool has_ended; /* the daemon said so */
};

static gboolean watch_on_line(const char *event, const char *line, const json_t *json G_GNUC_UNUSED, gpointer user_data)
{
    struct watch *watch = user_data;
    watch->has_ended = strcmp(event, "end") == 0;
    return watch->callback(event, line, watch->user_data);
}

static bool watch_run(struct hbr_client *client, const struct transfer *transfer, struct lines *lines,
                      struct hbr_error *error)
{
    const struct watch *watch = lines->user_data;
    while (!transfer->done)
        if (!transfer_wait(client, -1, NULL, error))
            return false;
    if (lines_take_problem(lines, error))
        return false;
    if (transfer->stopped || watch->has_ended)
        return true;
    return transfer_check(transfer, error) &&
           problem_set(error, HBR_ERROR_INTERRUPTED, "the daemon ended the connection");
}

bool hbr_watch(struct hbr_client *client, const char *object, const char *id, hbr_watch_callback callback,
               void *user_data, struct hbr_error *error)
{
    struct watch watch = {.callback = callback, .user_data = user_data};
    struct lines lines;
    g_autofree char *object_text = object != NULL ? hbr_escape(object) : NULL;
    g_autofree char *id_text = id != NULL ? hbr_escape(id) : NULL;
    g_autofree char *path =
        g_strconcat("/v1/events", object != NULL ? "?object=" : "", object != NULL ? object_text : "",
                    id == NULL       ? ""
                    : object != NULL ? "&id="
                                     : "?id=",
                    id != NULL ? id_text : "", NULL);
    const struct transfer_spec spec = {.method = "GET", .path = path, .sink = lines_feed, .sink_data = &lines};
    lines_init(&lines, watch_on_line, &watch);
    struct transfer *transfer = transfer_begin(client, &spec, error);
    const bool done = transfer != NULL && watch_run(client, transfer, &lines, error);
    transfer_free(transfer);
    lines_clear(&lines);
    return done;
}
