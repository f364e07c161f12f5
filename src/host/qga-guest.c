/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "host/qga-call.h"
#include "host/vm.h"

#include <string.h>

/* The other kind of guest: an operator's image with qemu-guest-agent. It is asked through libvirt, so that everything takes a worker. What it
 * cannot do: output comes when the program has ended, at most 3 MB of it; standard input is given at the start, at most 90 KiB; limits of
 * memory and processes, and figures of usage, do not exist. What is asked for and cannot be is refused; what only the policy says, and
 * that is a limit of processes, is told with the result. */

#define CALL_MS 20000
#define START_MS 120000 /* large files go in pieces of 90 KiB, 3 MB a second */
#define POLL_FIRST_MS 20
#define POLL_LAST_MS 250
#define LOOK_MS 100
#define CHUNK_BYTES 65536u
#define CREDIT_INITIAL 262144

struct qga_guest {
    struct guest guest;
    struct vm *vm;
    guint64 serial, next_item;
    gboolean has_answered, is_pinging;
    GHashTable *runs;  /* item -> struct qga_run */
    GHashTable *waits; /* item -> struct qga_wait */
};

struct qga_run {
    struct qga_guest *owner;
    guint64 item;
    char *execution_id;
    struct run_limits limits;
    gint64 pid; /* 0: not started yet */
    gint64 started_at, credit, poll_ms;
    GSource *poll_timer, *wall_timer;
    gboolean wants_kill, is_polling;
    enum exit_reason ended_by; /* EXIT_EXITED: by itself */
    GQueue output;             /* struct qga_piece, waiting for credit */
    struct run_result *result; /* set: told when the output is out */
};

struct qga_piece {
    guint stream;
    GBytes *bytes;
};

struct qga_wait {
    struct qga_guest *owner;
    guint64 item, ticket;
    guint vcpus, memory_mib, memory_max_mib;
    gint64 until;
    GSource *timer;
};

/* Finds its way back from a worker to a guest that may be gone. */
struct qga_context {
    char *vm_id;
    guint64 serial, item;
};

static const struct guest_class qga_class;

static void context_free(gpointer data)
{
    struct qga_context *context = data;
    g_free(context->vm_id);
    g_free(context);
}

static struct qga_guest *context_find(struct libvirt_host *host, const struct qga_context *context)
{
    const struct vm *vm = g_hash_table_lookup(host->vms, context->vm_id);
    if (vm == NULL || vm->guest == NULL || vm->guest->klass != &qga_class)
        return NULL;
    struct qga_guest *qga = (struct qga_guest *)vm->guest;
    return qga->serial == context->serial ? qga : NULL;
}

static void piece_free(gpointer data)
{
    struct qga_piece *piece = data;
    g_bytes_unref(piece->bytes);
    g_free(piece);
}

static void run_free(gpointer data)
{
    struct qga_run *run = data;
    timer_cancel(&run->poll_timer);
    timer_cancel(&run->wall_timer);
    g_queue_clear_full(&run->output, piece_free);
    run_result_free(run->result);
    g_free(run->execution_id);
    g_free(run);
}

static void wait_free(gpointer data)
{
    struct qga_wait *wait = data;
    timer_cancel(&wait->timer);
    g_free(wait);
}

static struct qga_line line_new(const struct qga_guest *qga)
{
    return (struct qga_line){.link = link_ref(qga->vm->host->link), .uuid = g_strdup(qga->vm->uuid)};
}

/* Jobs of one agent run one after another: it serves one command at a time. FALSE: there is no connection. */
static gboolean qga_submit(struct qga_guest *qga, guint64 item, const struct job *like)
{
    struct job job = *like;
    struct qga_context *context = g_new0(struct qga_context, 1);
    context->vm_id = g_strdup(qga->vm->id);
    context->serial = qga->serial;
    context->item = item;
    job.lane = LINK_AGENT;
    job.key = g_strdup(qga->vm->id);
    job.context = context;
    job.context_free = context_free;
    workers_submit(qga->vm->host->workers, &job);
    return TRUE;
}

static gboolean qga_has_link(const struct qga_guest *qga)
{
    return qga->vm->host->link != NULL;
}

static void on_pinged(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct qga_guest *qga = context_find(owner, context);
    (void)call;
    if (qga == NULL)
        return;
    qga->is_pinging = FALSE;
    if (error != NULL)
        return;
    qga->guest.heard_at = g_get_monotonic_time();
    if (qga->has_answered)
        return;
    qga->has_answered = TRUE;
    const struct guest_facts facts = {.vcpus = 0, .memory_mib = 0, .version = (char *)"qemu-guest-agent"};
    qga->guest.watch->answered(qga->guest.owner, &facts);
}

static gboolean qga_is_starting(const struct qga_guest *qga)
{
    GHashTableIter iter;
    gpointer run;
    g_hash_table_iter_init(&iter, qga->runs);
    while (g_hash_table_iter_next(&iter, NULL, &run)) {
        if (((struct qga_run *)run)->pid == 0)
            return TRUE;
    }
    return FALSE;
}

static void qga_ping(struct guest *guest)
{
    struct qga_guest *qga = (struct qga_guest *)guest;
    /* The silence is libvirt's, or the agent is kept busy with files, which has a deadline of its own. */
    if (!qga_has_link(qga) || qga_is_starting(qga))
        guest->heard_at = g_get_monotonic_time();
    if (qga->is_pinging || !qga_has_link(qga))
        return;
    struct qga_ping *call = g_new0(struct qga_ping, 1);
    call->line = line_new(qga);
    qga->is_pinging = TRUE;
    qga_submit(
        qga, 0,
        &(struct job){
            .timeout_ms = CALL_MS, .run = qga_ping_run, .call = call, .call_free = qga_ping_free, .done = on_pinged});
}

static void on_prepared(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    struct qga_guest *qga = context_find(owner, context);
    (void)call;
    if (qga == NULL)
        return;
    if (error != NULL)
        log_info("host", "%s: its clock was not set: %s", qga->vm->id, error->message);
    qga->guest.watch->prepared(qga->guest.owner, NULL);
}

static void qga_prepare(struct guest *guest, const struct guest_identity *identity, gint64 now)
{
    struct qga_guest *qga = (struct qga_guest *)guest;
    (void)identity; /* the operator's image names itself; QGA_LACKS says so */
    if (!qga_has_link(qga))
        return;
    struct qga_ping *call = g_new0(struct qga_ping, 1);
    call->line = line_new(qga);
    call->clock_ns = now * 1000;
    qga_submit(
        qga, 0,
        &(struct job){
            .timeout_ms = CALL_MS, .run = qga_ping_run, .call = call, .call_free = qga_ping_free, .done = on_prepared});
}

static void wait_look(struct qga_wait *wait);

static gboolean wait_on_timer(gpointer data)
{
    struct qga_wait *wait = data;
    timer_cancel(&wait->timer);
    wait_look(wait);
    return G_SOURCE_REMOVE;
}

static void wait_end(struct qga_wait *wait, const struct guest_facts *facts, const GError *error)
{
    struct qga_guest *qga = wait->owner;
    const guint64 ticket = wait->ticket;
    g_hash_table_remove(qga->waits, &wait->item);
    qga->guest.watch->shaped(qga->guest.owner, ticket, facts, error);
}

static void wait_judge(struct qga_wait *wait, const struct guest_facts *facts)
{
    const gboolean has_memory = (wait->memory_mib == 0 || facts->memory_mib >= wait->memory_mib) &&
                                (wait->memory_max_mib == 0 || facts->memory_mib <= wait->memory_max_mib);
    if (wait->memory_mib > 0 && facts->memory_mib == 0) {
        g_autoptr(GError) error =
            hbr_error_new(HBR_ERROR_UNSUPPORTED, "this guest agent cannot tell how much memory is online");
        wait_end(wait, NULL, error);
    } else if (facts->vcpus >= wait->vcpus && has_memory) {
        wait_end(wait, facts, NULL);
    } else if (g_get_monotonic_time() >= wait->until) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_TIMEOUT, "the guest has %u vCPU and %u MiB online",
                                                facts->vcpus, facts->memory_mib);
        wait_end(wait, facts, error);
    } else {
        wait->timer = host_timer(wait->owner->vm->host, LOOK_MS, wait_on_timer, wait);
    }
}

static void on_looked(gpointer owner, gpointer data, gpointer result, const GError *error)
{
    const struct qga_context *context = data;
    struct qga_guest *qga = context_find(owner, context);
    struct qga_wait *wait = qga == NULL ? NULL : g_hash_table_lookup(qga->waits, &context->item);
    const struct qga_look *call = result;
    if (wait == NULL)
        return;
    if (error != NULL) {
        wait_end(wait, NULL, error);
        return;
    }
    const struct guest_facts facts = {.vcpus = call->vcpus, .memory_mib = call->memory_mib};
    wait_judge(wait, &facts);
}

static void wait_look(struct qga_wait *wait)
{
    if (!qga_has_link(wait->owner)) {
        g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the host is down");
        wait_end(wait, NULL, error);
        return;
    }
    struct qga_look *call = g_new0(struct qga_look, 1);
    call->line = line_new(wait->owner);
    qga_submit(
        wait->owner, wait->item,
        &(struct job){
            .timeout_ms = CALL_MS, .run = qga_look_run, .call = call, .call_free = qga_look_free, .done = on_looked});
}

static void qga_wait_shape(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, guint memory_max_mib,
                           gint64 timeout_ms)
{
    struct qga_guest *qga = (struct qga_guest *)guest;
    struct qga_wait *wait = g_new0(struct qga_wait, 1);
    *wait = (struct qga_wait){
        .owner = qga,
        .item = ++qga->next_item,
        .ticket = ticket,
        .vcpus = vcpus,
        .memory_mib = memory_mib,
        .memory_max_mib = memory_max_mib,
        .until = g_get_monotonic_time() + timeout_ms * 1000,
    };
    g_hash_table_insert(qga->waits, &wait->item, wait);
    wait_look(wait);
}

static void qga_shrink(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, gint64 timeout_ms)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNSUPPORTED, "qemu-guest-agent cannot be asked to have less");
    (void)vcpus, (void)memory_mib, (void)timeout_ms;
    guest->watch->shrunk(guest->owner, ticket, NULL, error);
}

static void qga_set_alarm(struct guest *guest, const struct guest_alarm *alarm)
{
    (void)guest, (void)alarm; /* it never speaks up by itself */
}

/* There are no figures to subscribe to: samples hold what is seen from outside. */
static void qga_subscribe(struct guest *guest, gint64 interval_ms)
{
    (void)guest, (void)interval_ms;
}

/* Hands out as much as there is credit for, and the end after the last of it. */
static void run_pump(struct qga_run *run)
{
    struct qga_guest *qga = run->owner;
    const struct guest_watch *watch = qga->guest.watch;
    for (struct qga_piece *piece; (piece = g_queue_peek_head(&run->output)) != NULL;) {
        const gsize size = g_bytes_get_size(piece->bytes);
        if ((gint64)size > run->credit)
            return;
        run->credit -= (gint64)size;
        g_queue_pop_head(&run->output);
        watch->run_output(qga->guest.owner, run->execution_id, piece->stream, g_bytes_ref(piece->bytes));
        piece_free(piece);
    }
    if (run->result == NULL)
        return;
    watch->run_exit(qga->guest.owner, run->execution_id, g_steal_pointer(&run->result));
    g_hash_table_remove(qga->runs, &run->item);
}

/* Cuts output into pieces that credit can be given for; FALSE when it was cut short at the limit. */
static gboolean run_queue(struct qga_run *run, guint stream, GBytes *bytes, gint64 *left)
{
    const gsize size = bytes == NULL ? 0 : g_bytes_get_size(bytes);
    const gsize allowed = (gsize)MIN((gint64)size, *left);
    for (gsize at = 0; at < allowed; at += CHUNK_BYTES) {
        struct qga_piece *piece = g_new0(struct qga_piece, 1);
        piece->stream = stream;
        piece->bytes = g_bytes_new_from_bytes(bytes, at, MIN(CHUNK_BYTES, allowed - at));
        g_queue_push_tail(&run->output, piece);
    }
    *left -= (gint64)allowed;
    return allowed == size;
}

static struct run_result *result_new(const struct qga_run *run, enum exit_reason reason, guint status,
                                     const char *message)
{
    struct run_result *result = g_new0(struct run_result, 1);
    *result = (struct run_result){
        .reason = reason,
        .status = status,
        .message = g_strdup(message),
        .wall_us = run->started_at == 0 ? 0 : g_get_monotonic_time() - run->started_at,
        .cpu_user_us = -1,
        .cpu_system_us = -1,
        .memory_peak_bytes = -1,
        .io_read_bytes = -1,
        .io_write_bytes = -1,
        .network_rx_bytes = -1,
        .network_tx_bytes = -1,
    };
    return result;
}

/* What the result has to say beside how it ended: free with g_free. */
static char *run_remark(const struct qga_run *run)
{
    if (run->limits.pids == 0)
        return NULL;
    return g_strdup_printf("qemu-guest-agent cannot limit processes: the limit of %u was not kept", run->limits.pids);
}

static void run_finish(struct qga_run *run, const struct qga_status *status)
{
    gint64 left = run->limits.output_bytes > 0 ? run->limits.output_bytes : G_MAXINT64;
    g_autofree char *remark = run_remark(run);
    gboolean is_whole = run_queue(run, 1, status->output, &left);
    is_whole = run_queue(run, 2, status->errors, &left) && is_whole;
    enum exit_reason reason = status->signal != 0 ? EXIT_SIGNALLED : EXIT_EXITED;
    if (run->ended_by != EXIT_EXITED)
        reason = run->ended_by;
    else if (!is_whole || status->is_truncated)
        reason = EXIT_OUTPUT_LIMIT;
    timer_cancel(&run->wall_timer);
    run->result = result_new(run, reason, status->signal != 0 ? status->signal : status->exit_code, remark);
    run_pump(run);
}

static void run_refuse(struct qga_run *run, enum exit_reason reason, const char *message)
{
    run->result = result_new(run, reason, 0, message);
    run_pump(run);
}

static void run_poll(struct qga_run *run);

static gboolean run_on_poll_timer(gpointer data)
{
    struct qga_run *run = data;
    timer_cancel(&run->poll_timer);
    run_poll(run);
    return G_SOURCE_REMOVE;
}

static void run_poll_later(struct qga_run *run)
{
    timer_cancel(&run->poll_timer);
    run->poll_timer = host_timer(run->owner->vm->host, run->wants_kill ? 0 : run->poll_ms, run_on_poll_timer, run);
    run->poll_ms = MIN(run->poll_ms * 2, POLL_LAST_MS);
}

static void on_polled(gpointer owner, gpointer data, gpointer result, const GError *error)
{
    const struct qga_context *context = data;
    struct qga_guest *qga = context_find(owner, context);
    struct qga_run *run = qga == NULL ? NULL : g_hash_table_lookup(qga->runs, &context->item);
    const struct qga_poll *call = result;
    if (run == NULL)
        return;
    run->is_polling = FALSE;
    if (error == NULL)
        qga->guest.heard_at = g_get_monotonic_time();
    if (error == NULL && call->status.has_exited)
        run_finish(run, &call->status);
    else if (error != NULL && error->code == HBR_ERROR_GUEST)
        run_refuse(run, EXIT_LOST, error->message);
    else
        run_poll_later(run);
}

static void run_poll(struct qga_run *run)
{
    struct qga_guest *qga = run->owner;
    if (!qga_has_link(qga)) {
        run_poll_later(run);
        return;
    }
    struct qga_poll *call = g_new0(struct qga_poll, 1);
    call->line = line_new(qga);
    call->pid = run->pid;
    call->kills = run->wants_kill;
    run->wants_kill = FALSE;
    run->is_polling = TRUE;
    qga_submit(
        qga, run->item,
        &(struct job){
            .timeout_ms = CALL_MS, .run = qga_poll_run, .call = call, .call_free = qga_poll_free, .done = on_polled});
}

static void run_kill(struct qga_run *run, enum exit_reason reason)
{
    if (run->ended_by == EXIT_EXITED)
        run->ended_by = reason;
    run->wants_kill = TRUE;
    if (run->pid != 0 && !run->is_polling)
        run_poll_later(run);
}

static gboolean run_on_wall_clock(gpointer data)
{
    struct qga_run *run = data;
    timer_cancel(&run->wall_timer);
    run_kill(run, EXIT_WALL_CLOCK);
    return G_SOURCE_REMOVE;
}

static void on_started(gpointer owner, gpointer data, gpointer result, const GError *error)
{
    const struct qga_context *context = data;
    struct qga_guest *qga = context_find(owner, context);
    struct qga_run *run = qga == NULL ? NULL : g_hash_table_lookup(qga->runs, &context->item);
    const struct qga_start *call = result;
    if (run == NULL)
        return;
    if (error != NULL) {
        run_refuse(run, run->ended_by != EXIT_EXITED ? run->ended_by : EXIT_REFUSED, error->message);
        return;
    }
    run->pid = call->pid;
    run->started_at = g_get_monotonic_time();
    if (run->limits.wall_ms > 0)
        run->wall_timer = host_timer(qga->vm->host, run->limits.wall_ms, run_on_wall_clock, run);
    qga->guest.watch->run_started(qga->guest.owner, run->execution_id);
    run_poll_later(run);
}

static const char *run_obstacle(const struct qga_guest *qga, const struct program *program,
                                const struct run_limits *limits)
{
    if (!qga_has_link(qga))
        return "the host is down";
    if (program->stdin_open)
        return "qemu-guest-agent cannot stream standard input: send it with the request";
    if (program->stdin_bytes != NULL && g_bytes_get_size(program->stdin_bytes) > QGA_CHUNK_MAX)
        return "qemu-guest-agent takes at most 90 KiB of standard input";
    if (limits->memory_mib > 0)
        return "qemu-guest-agent cannot limit the memory of a program: leave limits.memory out, the VM's own is the limit";
    return NULL;
}

static void qga_run(struct guest *guest, struct run_spec *spec)
{
    struct qga_guest *qga = (struct qga_guest *)guest;
    struct qga_run *run = g_new0(struct qga_run, 1);
    const char *obstacle = run_obstacle(qga, &spec->program, &spec->limits);
    run->owner = qga;
    run->item = ++qga->next_item;
    run->execution_id = g_strdup(spec->execution_id);
    run->limits = spec->limits;
    run->credit = CREDIT_INITIAL;
    run->poll_ms = POLL_FIRST_MS;
    g_queue_init(&run->output);
    g_hash_table_insert(qga->runs, &run->item, run);
    if (obstacle != NULL) {
        run_spec_free(spec);
        run_refuse(run, EXIT_REFUSED, obstacle);
        return;
    }
    struct qga_start *call = g_new0(struct qga_start, 1);
    call->line = line_new(qga);
    call->run = spec;
    qga_submit(qga, run->item,
               &(struct job){.timeout_ms = START_MS,
                             .run = qga_start_run,
                             .call = call,
                             .call_free = qga_start_free,
                             .done = on_started});
}

static void qga_stage(struct guest *guest, struct run_spec *spec)
{
    guest->watch->staged(guest->owner, spec->execution_id, 0,
                         hbr_error_new(HBR_ERROR_UNSUPPORTED, "qemu-guest-agent cannot hold a program ready"));
    run_spec_free(spec);
}

static struct qga_run *run_find(const struct qga_guest *qga, const char *execution_id)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, qga->runs);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (strcmp(((struct qga_run *)value)->execution_id, execution_id) == 0)
            return value;
    }
    return NULL;
}

static void qga_stdin(struct guest *guest, const char *execution_id, guint64 request, GBytes *bytes, gboolean eof)
{
    (void)bytes, (void)eof;
    guest->watch->stdin_taken(guest->owner, execution_id, request,
                              hbr_error_new(HBR_ERROR_UNSUPPORTED, "qemu-guest-agent cannot stream standard input"));
}

static void qga_credit(struct guest *guest, const char *execution_id, gint64 count)
{
    struct qga_run *run = run_find((struct qga_guest *)guest, execution_id);
    if (run == NULL || count <= 0)
        return;
    run->credit += MIN(count, G_MAXINT64 - run->credit);
    run_pump(run);
}

static void qga_cancel(struct guest *guest, const char *execution_id)
{
    struct qga_run *run = run_find((struct qga_guest *)guest, execution_id);
    if (run != NULL)
        run_kill(run, EXIT_CANCELLED);
}

static void qga_free(struct guest *guest)
{
    struct qga_guest *qga = (struct qga_guest *)guest;
    g_hash_table_unref(qga->runs);
    g_hash_table_unref(qga->waits);
    g_free(qga);
}

static const struct guest_class qga_class = {
    .hail = qga_ping,
    .prepare = qga_prepare,
    .wait_shape = qga_wait_shape,
    .shrink = qga_shrink,
    .subscribe = qga_subscribe,
    .set_alarm = qga_set_alarm,
    .run = qga_run,
    .stage = qga_stage,
    .stdin = qga_stdin,
    .credit = qga_credit,
    .cancel = qga_cancel,
    .ping = qga_ping,
    .free = qga_free,
};

struct guest *qga_guest_new(struct vm *vm, const struct guest_watch *watch)
{
    static guint64 serials; /* hosts have threads of their own */
    struct qga_guest *qga = g_new0(struct qga_guest, 1);
    qga->guest = (struct guest){.klass = &qga_class, .watch = watch, .owner = vm};
    qga->guest.heard_at = g_get_monotonic_time();
    qga->vm = vm;
    qga->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    qga->runs = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, run_free);
    qga->waits = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, wait_free);
    return &qga->guest;
}
