/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/event.h"

#include "predict/model.h"

CODEC_WORDS_DEFINE(event_kind_words, "notify", "execute", "stdin", "query", "remove", "policy-load", "explain",
                   "host-attach", "pool-set", "pool-drain", "instance-shape", "model-train", "model-serve",
                   "model-import", "watch", "client-gone", "output-consumed", "host-up", "host-down", "host-inventory",
                   "instance-progress", "instance-ready", "instance-failed", "instance-gone", "instance-destroyed",
                   "instance-shaped", "instance-paused", "instance-saved", "instance-migrated", "saved-lost", "staged",
                   "sample", "run-started", "run-output", "run-exit", "stdin-taken", "committed", "commit-failed",
                   "code", "model", "model-answer", "tick", "shutdown");

CODEC_WORDS_DEFINE(watched_kind_words, "reservation", "execution", "instance", "host");

CODEC_WORDS_DEFINE(object_kind_words, "reservation", "execution", "instance", "host", "policy", "pool");

G_STATIC_ASSERT(G_N_ELEMENTS(event_kind_words_list) == EVENT_KIND_COUNT);
G_STATIC_ASSERT(G_N_ELEMENTS(object_kind_words_list) == OBJECT_KIND_COUNT);

struct event *event_new(enum event_kind kind)
{
    struct event *event = g_new0(struct event, 1);
    event->kind = kind;
    return event;
}

void query_free(struct query *query)
{
    if (query == NULL)
        return;
    g_free(query->id);
    g_free(query->function);
    g_free(query->tenant);
    g_free(query->state);
    g_free(query);
}

void inventory_item_free(struct inventory_item *item)
{
    if (item == NULL)
        return;
    g_free(item->instance_id);
    g_free(item->owner);
    g_free(item);
}

static void host_report_free(struct host_report *report)
{
    if (report == NULL)
        return;
    g_free(report->acceleration_reason);
    g_free(report->version);
    g_free(report);
}

void event_free(struct event *event)
{
    if (event == NULL)
        return;
    g_free(event->host);
    g_free(event->id);
    g_free(event->execution_id);
    g_free(event->text);
    g_clear_pointer(&event->bytes, g_bytes_unref);
    g_clear_error(&event->error);
    notification_free(event->notification);
    execution_request_free(event->execution_request);
    code_metadata_free(event->guess);
    query_free(event->query);
    policy_unref(event->policy);
    g_clear_pointer(&event->policy_sources, g_ptr_array_unref);
    host_spec_free(event->host_spec);
    host_report_free(event->host_report);
    g_clear_pointer(&event->inventory, g_ptr_array_unref);
    g_clear_pointer(&event->saved_states, g_ptr_array_unref);
    saved_state_free(event->saved);
    g_free(event->pool_setting);
    g_clear_pointer(&event->records, g_ptr_array_unref);
    usage_sample_free(event->sample);
    run_result_free(event->result);
    g_clear_pointer(&event->model, model_unref);
    g_free(event);
}
