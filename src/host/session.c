/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/session.h"

#include "base/error.h"
#include "base/log.h"
#include "model/limits.h"
#include "wire/message.h"

#include <sys/random.h>

/* Requests are bounded by the credit of their streams; this holds any that may be open at once. */
#define OUT_MAX (32u * 1024 * 1024)
#define SEED_SIZE 64

static char *slice_text(struct wire_slice slice)
{
    return g_utf8_make_valid(slice.data != NULL ? slice.data : "", slice.size);
}

static guint whole_mib(guint64 bytes)
{
    return (guint)MIN(bytes >> 20, MODEL_MEMORY_MIB_MAX - 1); /* one more may be added */
}

void session_fail(struct session *session, const GError *error)
{
    if (session->is_lost)
        return;
    session->is_lost = TRUE;
    session->guest.watch->lost(session->guest.owner, error);
}

static void session_violation(struct session *session, const char *what)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_GUEST, "the agent broke the guest protocol: %s", what);
    session_fail(session, error);
}

struct wire_buffer *session_out(struct session *session)
{
    return &session->out;
}

void session_flush(struct session *session)
{
    if (session->out.size > 0 && !session->is_lost)
        session->io.send(session->io.data);
}

guint32 session_next_stream(struct session *session)
{
    return ++session->next_stream;
}

void session_send(struct session *session, guint16 type, guint16 flags, guint32 stream, gconstpointer message)
{
    if (!session->is_lost && !wire_message_write(&session->out, type, flags, stream, message))
        session_violation(session, "it does not take what it is sent");
}

void session_send_data(struct session *session, guint16 type, guint16 flags, guint32 stream, gconstpointer data,
                       gsize size)
{
    if (!session->is_lost && !wire_frame_write(&session->out, type, flags, stream, data, size))
        session_violation(session, "it does not take what it is sent");
}

static void session_hail(struct guest *guest)
{
    struct session *session = (struct session *)guest;
    if (session->has_answered)
        return;
    if (session->hails == 0 && getrandom(&session->nonce, sizeof session->nonce, 0) != (gssize)sizeof session->nonce)
        session->nonce = (guint64)g_get_monotonic_time();
    session->hails++;
    const struct wire_hello hello = {
        .version_min = WIRE_VERSION_MIN, .version_max = WIRE_VERSION_MAX, .nonce = session->nonce};
    session_send(session, WIRE_TYPE_HELLO, 0, WIRE_STREAM_CONTROL, &hello);
    session_flush(session);
}

static struct wire_slice optional_text(const char *text)
{
    return wire_text(text != NULL ? text : "");
}

static void session_prepare(struct guest *guest, const struct guest_identity *wanted, gint64 now)
{
    struct session *session = (struct session *)guest;
    guint8 seed[SEED_SIZE];
    const gssize seeded = wanted->hostname == NULL ? 0 : getrandom(seed, sizeof seed, 0);
    const struct wire_identity identity = {
        .hostname = optional_text(wanted->hostname),
        .machine_id = optional_text(wanted->machine_id),
        .seed = wire_slice(seed, seeded > 0 ? (gsize)seeded : 0),
        .clock_realtime_ns = (guint64)now * 1000,
        .mac = optional_text(wanted->mac),
    };
    session->identity_stream = session_next_stream(session);
    session_send(session, WIRE_TYPE_IDENTITY, 0, session->identity_stream, &identity);
    session_flush(session);
}

/* A change of its shape that the agent has not answered yet, and who is told. */
struct session_wait {
    guint64 ticket;
    void (*answer)(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error);
};

static guint32 session_await(struct session *session, guint64 ticket,
                             void (*answer)(gpointer, guint64, const struct guest_facts *, const GError *))
{
    const guint32 stream = session_next_stream(session);
    const struct session_wait wait = {ticket, answer};
    g_hash_table_insert(session->waits, GUINT_TO_POINTER(stream), g_memdup2(&wait, sizeof wait));
    return stream;
}

/* FALSE when nobody waits there. */
static gboolean session_answer(struct session *session, guint32 stream, const struct guest_facts *facts,
                               const GError *error)
{
    const struct session_wait *found = g_hash_table_lookup(session->waits, GUINT_TO_POINTER(stream));
    if (found == NULL)
        return FALSE;
    const struct session_wait wait = *found;
    g_hash_table_remove(session->waits, GUINT_TO_POINTER(stream));
    wait.answer(session->guest.owner, wait.ticket, facts, error);
    return TRUE;
}

static void session_wait_shape(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, guint memory_max_mib,
                               gint64 timeout_ms)
{
    struct session *session = (struct session *)guest;
    const struct wire_shape_wait wait = {
        .vcpus = vcpus, .memory_mib = memory_mib, .memory_max_mib = memory_max_mib, .timeout_ms = (guint32)timeout_ms};
    const guint32 stream = session_await(session, ticket, guest->watch->shaped);
    session_send(session, WIRE_TYPE_SHAPE_WAIT, 0, stream, &wait);
    session_flush(session);
}

static void session_shrink(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, gint64 timeout_ms)
{
    struct session *session = (struct session *)guest;
    const struct wire_shrink shrink = {.vcpus = vcpus, .memory_mib = memory_mib, .timeout_ms = (guint32)timeout_ms};
    const guint32 stream = session_await(session, ticket, guest->watch->shrunk);
    session_send(session, WIRE_TYPE_SHRINK, 0, stream, &shrink);
    session_flush(session);
}

static void session_subscribe(struct guest *guest, gint64 interval_ms)
{
    struct session *session = (struct session *)guest;
    const struct wire_usage_subscribe subscribe = {.interval_ms = (guint32)interval_ms};
    session->usage_stream = session_next_stream(session);
    session_send(session, WIRE_TYPE_USAGE_SUBSCRIBE, 0, session->usage_stream, &subscribe);
    session_flush(session);
}

static void session_set_alarm(struct guest *guest, const struct guest_alarm *alarm)
{
    struct session *session = (struct session *)guest;
    const struct wire_alarm message = {
        .memory_permille = (guint32)(alarm->memory_share * 1000),
        .memory_stall_us = (guint32)alarm->memory_stall_us,
        .cpu_stall_us = (guint32)alarm->cpu_stall_us,
        .io_stall_us = (guint32)alarm->io_stall_us,
        .window_us = (guint32)alarm->window_us,
        .memory_most_mib = alarm->memory_most_mib,
    };
    session->alarm_stream = session_next_stream(session);
    session_send(session, WIRE_TYPE_ALARM, 0, session->alarm_stream, &message);
    session_flush(session);
}

static void session_ping(struct guest *guest)
{
    struct session *session = (struct session *)guest;
    const struct wire_ping ping = {.cookie = 1};
    session_send(session, WIRE_TYPE_PING, 0, WIRE_STREAM_CONTROL, &ping);
    session_flush(session);
}

static void session_run(struct guest *guest, struct run_spec *run)
{
    session_run_start((struct session *)guest, run);
}

static void session_stage(struct guest *guest, struct run_spec *run)
{
    session_run_stage((struct session *)guest, run);
}

static void session_stdin(struct guest *guest, const char *execution_id, guint64 request, GBytes *bytes, gboolean eof)
{
    session_run_stdin((struct session *)guest, execution_id, request, bytes, eof);
}

static void session_credit(struct guest *guest, const char *execution_id, gint64 count)
{
    session_run_credit((struct session *)guest, execution_id, count);
}

static void session_cancel(struct guest *guest, const char *execution_id)
{
    session_run_cancel((struct session *)guest, execution_id);
}

static void session_class_free(struct guest *guest)
{
    session_free((struct session *)guest);
}

static const struct guest_class session_class = {
    .hail = session_hail,
    .prepare = session_prepare,
    .wait_shape = session_wait_shape,
    .shrink = session_shrink,
    .subscribe = session_subscribe,
    .set_alarm = session_set_alarm,
    .run = session_run,
    .stage = session_stage,
    .stdin = session_stdin,
    .credit = session_credit,
    .cancel = session_cancel,
    .ping = session_ping,
    .free = session_class_free,
};

struct session *session_new(const struct guest_watch *watch, gpointer owner, const struct session_io *io)
{
    struct session *session = g_new0(struct session, 1);
    session->guest = (struct guest){.klass = &session_class, .watch = watch, .owner = owner};
    session->guest.heard_at = g_get_monotonic_time();
    session->io = *io;
    wire_reader_init(&session->reader);
    wire_buffer_init(&session->out, OUT_MAX);
    session->runs = g_hash_table_new_full(NULL, NULL, NULL, session_run_free);
    session->waits = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    g_hash_table_unref(session->runs);
    g_hash_table_unref(session->waits);
    wire_reader_clear(&session->reader);
    wire_buffer_clear(&session->out);
    g_free(session);
}

/* Decodes or ends the session. */
static gboolean session_read(struct session *session, const struct wire_frame *frame, gpointer ret_message)
{
    struct wire_error error;
    if (wire_message_read(frame, ret_message, &error))
        return TRUE;
    g_autofree char *what = g_strdup_printf("%s: %s, field %u at byte %u", wire_type_name(frame->type),
                                            wire_status_text(error.status), error.tag, error.offset);
    session_violation(session, what);
    return FALSE;
}

static void on_hello(struct session *session, const struct wire_frame *frame)
{
    struct wire_hello hello;
    if (!session_read(session, frame, &hello))
        return;
    const gboolean is_answer = hello.nonce == session->nonce && session->hails > 0;
    if (session->has_answered && !is_answer) {
        session_violation(session, "it began a new session: the agent or its guest was restarted");
        return;
    }
    session->hails -= is_answer ? 1 : 0;
    if (session->has_answered || !is_answer)
        return; /* to a hail that was not waited for, or to an earlier daemon's */
    if (hello.version_min > WIRE_VERSION_MAX || hello.version_max < WIRE_VERSION_MIN) {
        session_violation(session, "it speaks no version of the protocol that we speak");
        return;
    }
    g_autofree char *version = slice_text(hello.agent_version);
    const struct guest_facts facts = {.vcpus = hello.vcpus_online,
                                      .memory_mib = hello.memory_mib,
                                      .version = version,
                                      .capabilities = hello.capabilities};
    session->has_answered = TRUE;
    session->can_hold = (hello.capabilities & WIRE_CAN_HOLD) != 0;
    session->guest.watch->answered(session->guest.owner, &facts);
}

static void on_ping(struct session *session, const struct wire_frame *frame)
{
    struct wire_ping ping;
    if (!session_read(session, frame, &ping))
        return;
    session_send(session, WIRE_TYPE_PONG, 0, frame->stream, &ping);
    session_flush(session);
}

static void on_pong(struct session *session, const struct wire_frame *frame)
{
    (void)session, (void)frame;
}

static gboolean fail_wait(struct session *session, guint32 stream, int code, const char *text)
{
    g_autoptr(GError) error = hbr_error_new(code, "%s", text);
    return session_answer(session, stream, NULL, error);
}

static void on_error(struct session *session, const struct wire_frame *frame)
{
    struct wire_failure failure;
    if (!session_read(session, frame, &failure))
        return;
    g_autofree char *text = slice_text(failure.text);
    if (failure.fault == WIRE_FAULT_VERSION || failure.fault == WIRE_FAULT_PROTOCOL)
        session_violation(session, text);
    else if (!session_run_on_failure(session, failure.stream, text) &&
             !fail_wait(session, failure.stream, HBR_ERROR_GUEST, text))
        log_warning("host", "the agent says: %s", text);
}

static void on_identity_ack(struct session *session, const struct wire_frame *frame)
{
    struct wire_identity_ack ack;
    if (!session_read(session, frame, &ack) || frame->stream != session->identity_stream)
        return;
    g_autoptr(GError) error = NULL;
    if (ack.failed != 0) {
        g_autofree char *text = slice_text(ack.text);
        error = hbr_error_new(HBR_ERROR_GUEST, "the guest could not take its identity: %s", text);
    }
    session->identity_stream = 0;
    session->guest.watch->prepared(session->guest.owner, error);
}

static void on_shape(struct session *session, const struct wire_frame *frame)
{
    struct wire_shape shape;
    if (!session_read(session, frame, &shape))
        return;
    const struct guest_facts facts = {.vcpus = shape.vcpus_online, .memory_mib = shape.memory_mib};
    g_autoptr(GError) error = NULL;
    if (!shape.satisfied)
        error = hbr_error_new(HBR_ERROR_TIMEOUT, "the guest has %u vCPU and %u MiB online (%u vCPU present)",
                              shape.vcpus_online, shape.memory_mib, shape.vcpus_present);
    session_answer(session, frame->stream, &facts, error);
}

static void on_shrink_ack(struct session *session, const struct wire_frame *frame)
{
    struct wire_shrink_ack ack;
    if (!session_read(session, frame, &ack))
        return;
    const struct guest_facts facts = {.vcpus = ack.vcpus_online, .memory_mib = ack.memory_mib};
    g_autofree char *text = slice_text(ack.text);
    g_autoptr(GError) error = ack.vetoed == 0 ? NULL : hbr_error_new(HBR_ERROR_CONFLICT, "the guest refuses: %s", text);
    session_answer(session, frame->stream, &facts, error);
}

/* The causes are the same bits in both. */
G_STATIC_ASSERT((guint)PRESSURE_OOM == (guint)WIRE_PRESSURE_OOM);
G_STATIC_ASSERT((guint)PRESSURE_CPU_STALL == (guint)WIRE_PRESSURE_CPU_STALL);

static void on_pressure(struct session *session, const struct wire_frame *frame)
{
    struct wire_pressure pressure;
    if (!session_read(session, frame, &pressure) || frame->stream != session->alarm_stream)
        return;
    const struct guest_usage usage = {
        .runnable = pressure.runnable,
        .memory_used_mib = whole_mib(pressure.memory_used_bytes) + 1,
        .memory_total_mib = whole_mib(pressure.memory_total_bytes),
        .memory_limit_mib = whole_mib(pressure.memory_limit_bytes),
        .swap_mib = whole_mib(pressure.swap_used_bytes),
        .vcpus = MIN(pressure.vcpus_online, MODEL_VCPUS_MAX),
        .oom_kills = pressure.oom_kills,
    };
    const guint causes = pressure.causes & (PRESSURE_OOM * 2 - 1);
    if (causes != 0)
        session->guest.watch->pressed(session->guest.owner, causes, &usage);
}

static void on_usage(struct session *session, const struct wire_frame *frame)
{
    static _Thread_local struct wire_usage usage; /* it is large */
    if (!session_read(session, frame, &usage) || frame->stream != session->usage_stream)
        return;
    struct guest_usage figures = {
        .runnable = usage.runnable,
        .cpu_busy_us = usage.cpu_busy_us,
        .memory_total_mib = whole_mib(usage.memory_total_bytes),
        .vcpus = MIN(usage.vcpus_online, MODEL_VCPUS_MAX),
        .memory_limit_mib = whole_mib(usage.memory_limit_bytes),
        .swap_mib = whole_mib(usage.swap_used_bytes),
        .cpu_stalled_us = usage.cpu_some_us,
        .memory_stalled_us = usage.memory_some_us,
        .io_stalled_us = usage.io_some_us,
        .network_rx_bytes = usage.net_rx_bytes,
        .network_tx_bytes = usage.net_tx_bytes,
    };
    guint64 memory = 0, runnable = 0;
    for (guint i = 0; i < usage.n_execs; i++) {
        memory += usage.execs[i].memory_bytes;
        runnable += usage.execs[i].runnable;
        figures.oom_kills += usage.execs[i].oom_kills;
    }
    if (usage.n_execs > 0)
        figures.runnable = usage.runnable_permille > 0 ? usage.runnable_permille / 1000.0 : (double)runnable;
    if (usage.n_execs == 0 || memory == 0)
        memory = usage.memory_total_bytes - MIN(usage.memory_total_bytes, usage.memory_available_bytes);
    figures.memory_used_mib = whole_mib(memory) + 1;
    session->guest.watch->used(session->guest.owner, &figures);
}

static const struct {
    guint16 type;
    void (*handle)(struct session *session, const struct wire_frame *frame);
} session_handlers[] = {
    {WIRE_TYPE_HELLO, on_hello}, {WIRE_TYPE_PING, on_ping},         {WIRE_TYPE_PONG, on_pong},
    {WIRE_TYPE_ERROR, on_error}, {WIRE_TYPE_SHAPE, on_shape},       {WIRE_TYPE_IDENTITY_ACK, on_identity_ack},
    {WIRE_TYPE_USAGE, on_usage}, {WIRE_TYPE_PRESSURE, on_pressure}, {WIRE_TYPE_SHRINK_ACK, on_shrink_ack},
};

static void session_on_frame(struct session *session, const struct wire_frame *frame)
{
    session->guest.heard_at = g_get_monotonic_time();
    for (gsize i = 0; i < G_N_ELEMENTS(session_handlers); i++) {
        if (session_handlers[i].type == frame->type) {
            session_handlers[i].handle(session, frame);
            return;
        }
    }
    if (wire_type_name(frame->type) == NULL) {
        session_violation(session, "an unknown type of frame");
        return;
    }
    if (!session_run_on_frame(session, frame))
        log_debug("host", "a late %s frame of the agent", wire_type_name(frame->type));
}

static void session_dispatch(struct session *session)
{
    struct wire_frame frame;
    while (!session->is_lost) {
        switch (wire_reader_next(&session->reader, &frame)) {
        case WIRE_NEXT_MORE:
            return;
        case WIRE_NEXT_FRAME:
            session_on_frame(session, &frame);
            break;
        case WIRE_NEXT_VIOLATION:
            session_violation(session, "not a frame");
            break;
        }
    }
}

void session_feed(struct session *session, const guint8 *data, gsize size)
{
    while (size > 0 && !session->is_lost) {
        const gsize taken = wire_reader_feed(&session->reader, data, size);
        data += taken;
        size -= taken;
        session_dispatch(session);
        if (taken == 0 && size > 0)
            session_violation(session, "a frame that never ends");
    }
}
