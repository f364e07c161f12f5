/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/private.h"

#include "plan/placing.h"

/* Notification -> demand -> profile -> host -> start time -> reservation. */

#define INTAKE_LATE_MS 5000 /* an arrival so little in the past is one that is due now */

static gboolean intake_check_times(const struct core *core, struct notification *notification, GError **error)
{
    if (notification->arrival_at != 0 && notification->arrival_in_ms != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/arrival_in_ms: is given beside arrival_at; right would be one of them");
        return FALSE;
    }
    if (notification->arrival_at != 0 && notification->arrival_at < core->now - INTAKE_LATE_MS * CLOCK_MS) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/arrival_at: is %" G_GINT64_FORMAT
                      " s in the past; right would be a time to come, or none for now",
                      (core->now - notification->arrival_at) / CLOCK_SECOND);
        return FALSE;
    }
    if (notification->arrival_at > core->now + CORE_HORIZON || notification->deadline_at > core->now + CORE_HORIZON) {
        hbr_error_set(error, HBR_ERROR_INVALID, "/%s: is more than 366 days away",
                      notification->arrival_at > core->now + CORE_HORIZON ? "arrival_at" : "deadline_at");
        return FALSE;
    }
    if (notification->arrival_in_ms != 0)
        notification->arrival_at = core->now + notification->arrival_in_ms * CLOCK_MS;
    const gint64 arrival_at = MAX(notification->arrival_at, core->now);
    if (notification->deadline_at != 0 && notification->deadline_at <= arrival_at) {
        hbr_error_set(error, HBR_ERROR_INVALID, "/deadline_at: is before the %s; right would be a later time",
                      notification->arrival_at > core->now ? "expected arrival" : "present");
        return FALSE;
    }
    return TRUE;
}

gboolean core_check_satisfiable(struct core *core, const struct vm_shape *shape, char **labels, const char *profile,
                                GError **error)
{
    GHashTableIter iter;
    gpointer entry;
    guint able = 0;
    g_hash_table_iter_init(&iter, core->hosts);
    while (g_hash_table_iter_next(&iter, NULL, &entry))
        able += placing_could_ever(((struct host_entry *)entry)->doc, shape, labels) ? 1 : 0;
    if (able > 0 || g_hash_table_size(core->hosts) == 0)
        return TRUE;
    g_autofree char *text = vm_shape_to_string(shape);
    g_autofree char *wanted = labels != NULL && labels[0] != NULL ? g_strjoinv(", ", labels) : NULL;
    hbr_error_set(
        error, HBR_ERROR_UNSATISFIABLE,
        "%sprofile %s needs %s%s%s, and none of the %u hosts could hold that even when empty; attach a larger host or change the policy",
        wanted != NULL ? "/code/labels: " : "", profile, text, wanted != NULL ? " on a host labelled " : "",
        wanted != NULL ? wanted : "", g_hash_table_size(core->hosts));
    return FALSE;
}

static struct demand *intake_predict(struct core *core, const struct notification *notification)
{
    gint64 (*const stopwatch)(void) = core->settings.stopwatch;
    const gint64 begin = stopwatch != NULL ? stopwatch() : 0;
    struct demand *demand =
        predictor_predict(core->predictor, core->policy, &notification->code, MAX(notification->arrival_at, core->now));
    if (stopwatch != NULL)
        core_count_prediction(core, stopwatch() - begin);
    return demand;
}

static struct reservation *intake_reservation_new(struct core *core, struct notification *notification)
{
    const struct policy *policy = core->policy;
    struct reservation *doc = g_new0(struct reservation, 1);
    doc->notification = notification;
    doc->demand = intake_predict(core, notification);
    struct sizing sizing;
    sizing_choose(policy, doc->demand, &sizing);
    doc->profile = g_strdup(sizing.profile->name);
    doc->template =
        g_strdup(notification->code.template != NULL ? notification->code.template : sizing.profile->template);
    doc->shape = sizing.shape;
    doc->maximum = sizing.maximum;
    doc->policy_version = policy->version;
    doc->created_at = core->now;
    doc->arrival_at = MAX(notification->arrival_at, core->now);
    doc->expires_at = doc->arrival_at + policy->provisioning.no_show_ms * CLOCK_MS;
    return doc;
}

struct reservation_entry *core_plan_reservation(struct core *core, struct notification *notification, GError **error)
{
    if (notification->code.tenant == NULL)
        notification->code.tenant = g_strdup("default");
    notification->received_at = core->now;
    struct reservation_entry *entry = g_new0(struct reservation_entry, 1);
    entry->doc = intake_reservation_new(core, notification);
    entry->policy = policy_ref(core->policy);
    entry->failed_hosts = g_ptr_array_new_with_free_func(g_free);
    entry->rank_at = notification->deadline_at != 0 ? notification->deadline_at : entry->doc->arrival_at;
    if (notification->code.gpu && entry->doc->shape.gpus == 0) {
        hbr_error_set(error, HBR_ERROR_UNSATISFIABLE,
                      "/code/gpu: profile %s gives no GPU; right would be a policy with one that does, or code without",
                      entry->doc->profile);
        reservation_entry_free(entry);
        return NULL;
    }
    if (!core_check_satisfiable(core, &entry->doc->shape, notification->code.labels, entry->doc->profile, error)) {
        reservation_entry_free(entry);
        return NULL;
    }
    stage_look(entry);
    ladder_plan(core, entry);
    return entry;
}

void core_admit_reservation(struct core *core, struct reservation_entry *entry)
{
    struct reservation *doc = entry->doc;
    doc->id = id_new("res", core->now, core->random);
    core->open_reservations++;
    g_hash_table_insert(core->reservations, doc->id, entry);
    reservation_index(core, entry);
    core_touch_reservation(core, entry);
    stage_begin(core, entry);
    if (doc->start_at <= core->now) {
        reservation_start(core, entry);
        return;
    }
    core_wake_at(core, doc->start_at, OBJECT_RESERVATION, doc->id);
    ladder_register(core, entry);
}

/* The reservation that a repeated notification stands for, or NULL. */
static struct reservation_entry *intake_find_repeat(struct core *core, const struct notification *notification,
                                                    char **ret_key)
{
    const char *tenant = notification->code.tenant != NULL ? notification->code.tenant : "default";
    g_autofree char *key = core_key("n", tenant, notification->idempotency_key);
    const char *id = g_hash_table_lookup(core->keys, key);
    struct reservation_entry *entry = id != NULL ? g_hash_table_lookup(core->reservations, id) : NULL;
    if (entry != NULL && entry->doc->created_at + core->policy->limits.idempotency_ms * CLOCK_MS < core->now)
        entry = NULL;
    if (entry == NULL)
        *ret_key = g_steal_pointer(&key);
    return entry;
}

static void intake_answer_repeat(struct core *core, struct event *event, struct reservation_entry *entry)
{
    core->counters[COUNTER_NOTIFICATIONS_REPEATED]++;
    if (g_strcmp0(entry->doc->notification->code.function, event->notification->code.function) != 0) {
        core_reply_error(
            core, event->request,
            hbr_error_new(HBR_ERROR_CONFLICT,
                          "/idempotency_key: stands for a notification of function %s already (reservation %s)",
                          entry->doc->notification->code.function, entry->doc->id));
        return;
    }
    if (entry->is_durable) {
        struct command *receipt = core_receipt_new(event->request, entry->doc->id);
        core_receipt_fill(receipt, entry->doc);
        core_emit(core, receipt);
        return;
    }
    /* its first write is still under way: answer with a commit, too */
    if (entry->notify_request != 0)
        core_flush(core);
    entry->notify_request = event->request;
    core_touch_reservation(core, entry);
}

static GError *intake_objection(const struct core *core)
{
    if (core->shutting_down)
        return hbr_error_new(HBR_ERROR_UNAVAILABLE, "the daemon is shutting down");
    if (core->open_reservations >= core->policy->limits.reservations_max)
        return hbr_error_new(HBR_ERROR_EXHAUSTED,
                             "%u reservations are open, the policy's limits.reservations_max; try later",
                             core->open_reservations);
    return NULL;
}

static gboolean intake_accept(struct core *core, struct event *event, char **key, GError **error)
{
    GError *objection = intake_objection(core);
    if (objection != NULL) {
        g_propagate_error(error, objection);
        return FALSE;
    }
    if (!intake_check_times(core, event->notification, error))
        return FALSE;
    struct reservation_entry *entry = core_plan_reservation(core, g_steal_pointer(&event->notification), error);
    if (entry == NULL)
        return FALSE;
    entry->doc->notification->id = id_new("not", core->now, core->random);
    entry->notify_request = event->request;
    core_admit_reservation(core, entry);
    if (*key != NULL)
        g_hash_table_insert(core->keys, g_steal_pointer(key), g_strdup(entry->doc->id));
    core->counters[COUNTER_NOTIFICATIONS]++;
    return TRUE;
}

void core_notify(struct core *core, struct event *event)
{
    g_autofree char *key = NULL;
    struct reservation_entry *repeat =
        event->notification->idempotency_key != NULL ? intake_find_repeat(core, event->notification, &key) : NULL;
    if (repeat != NULL) {
        intake_answer_repeat(core, event, repeat);
        return;
    }
    GError *error = NULL;
    if (intake_accept(core, event, &key, &error))
        return;
    core->counters[COUNTER_NOTIFICATIONS_REFUSED]++;
    core_reply_error(core, event->request, error);
}

void core_explain(struct core *core, struct event *event)
{
    GError *error = NULL;
    struct reservation_entry *entry = NULL;
    if (intake_check_times(core, event->notification, &error))
        entry = core_plan_reservation(core, g_steal_pointer(&event->notification), &error);
    if (entry == NULL) {
        core_reply_error(core, event->request, error);
        return;
    }
    struct reservation *doc = entry->doc;
    demand_free(doc->demand);
    doc->demand = predictor_explain(core->predictor, core->policy, &doc->notification->code, doc->arrival_at);
    struct ladder ladder;
    ladder_choose(core, entry, &ladder);
    ladder_clear(&ladder);
    reservation_weigh(entry);
    core_reply_object(core, event->request, 200, "reservation", &reservation_codec, entry->doc);
    reservation_entry_free(entry);
}
