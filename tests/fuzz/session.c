/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes of a hostile agent to the host's end of a session with an execution, a shape wait, a shrink, an alarm, a subscription and a staged program open: whatever comes, call-backs
 * are well formed, and after the session is lost there are none.
 */
#include "host/session.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean is_lost;

static void check(gboolean holds)
{
    if (!holds || is_lost)
        abort();
}

static struct run_spec *run_new(const char *execution_id, gboolean is_staged)
{
    struct run_spec *run = g_new0(struct run_spec, 1);
    run->execution_id = g_strdup(execution_id);
    run->program.interpreter = g_strdup("sh");
    run->program.source = g_strdup("true");
    run->program.stdin_bytes = g_bytes_new_static("in", 2);
    run->limits.pids = is_staged;
    run->is_staged = is_staged;
    return run;
}

static void on_answered(gpointer owner, const struct guest_facts *facts)
{
    struct session **session = owner;
    check(facts->version != NULL);
    guest_run(&(*session)->guest, run_new("exec", FALSE));
    guest_prepare(&(*session)->guest,
                  &(struct guest_identity){.hostname = "vm", .machine_id = "00000000000000000000000000000000"}, 1);
    guest_wait_shape(&(*session)->guest, 1, 1, 1, 0, 1);
    guest_subscribe(&(*session)->guest, 100);
    guest_stage(&(*session)->guest, run_new("stage", FALSE));
    guest_shrink(&(*session)->guest, 2, 1, 1, 1);
    guest_set_alarm(&(*session)->guest, &(struct guest_alarm){.memory_share = 0.5});
}

static void on_prepared(gpointer owner, const GError *error)
{
    (void)owner, (void)error;
    check(TRUE);
}

static void on_shaped(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error)
{
    (void)owner;
    check(ticket == 1 && (facts != NULL || error != NULL));
}

static void on_used(gpointer owner, const struct guest_usage *usage)
{
    (void)owner;
    check(usage->runnable >= 0);
}

static void on_started(gpointer owner, const char *execution_id)
{
    (void)owner;
    check(execution_id[0] == 'e');
}

static void on_output(gpointer owner, const char *execution_id, guint stream, GBytes *bytes)
{
    (void)owner, (void)execution_id;
    check((stream == 1 || stream == 2) && g_bytes_get_size(bytes) > 0);
    g_bytes_unref(bytes);
}

static void on_exit_told(gpointer owner, const char *execution_id, struct run_result *result)
{
    (void)owner, (void)execution_id;
    check(result->message == NULL || g_utf8_validate(result->message, -1, NULL));
    run_result_free(result);
}

static void on_taken(gpointer owner, const char *execution_id, guint64 request, GError *error)
{
    (void)owner, (void)execution_id, (void)request;
    g_clear_error(&error);
}

static void on_staged(gpointer owner, const char *execution_id, gint64 latency_us, GError *error)
{
    struct session **session = owner;
    check(execution_id[0] == 's' && latency_us >= 0);
    if (error == NULL)
        guest_run(&(*session)->guest, run_new("exec-staged", TRUE));
    g_clear_error(&error);
}

static void on_lost(gpointer owner, const GError *error)
{
    (void)owner;
    check(error != NULL);
    is_lost = TRUE;
}

static void on_pressed(gpointer owner, guint causes, const struct guest_usage *usage)
{
    (void)owner, (void)causes, (void)usage;
}

static const struct guest_watch watch = {on_answered, on_prepared, on_shaped,    on_used,  on_pressed, on_shaped,
                                         on_started,  on_output,   on_exit_told, on_taken, on_staged,  on_lost};

static void on_send(gpointer data)
{
    struct session *const *session = data;
    wire_buffer_reset(session_out(*session));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *session = NULL;
    is_lost = FALSE;
    session = session_new(&watch, &session, &(struct session_io){on_send, &session});
    guest_hail(&session->guest);
    session->nonce = 0x0102030405060708; /* known to the corpus */
    session_feed(session, data, size);
    session_free(session);
    return 0;
}
