/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"

/* What an instance asks of the agent in its guest, and what it hears from it. Two kinds: Harbinger's own agent on its channel, and
 * qemu-guest-agent. Nothing blocks. All on the thread of the host; a call-back may free the guest only from `lost`'s caller, never
 * itself: the owner notes the loss and frees it later. */

/* The guest's own word for what it has. */
struct guest_facts {
    guint vcpus, memory_mib;
    char *version;
    guint64 capabilities; /* enum wire_capability; 0: it does not say */
};

/* Who a guest is to be. What is NULL stays as it is. */
struct guest_identity {
    const char *hostname;   /* with it comes a random seed */
    const char *machine_id; /* 32 hexadecimal digits */
    const char *mac;
};

/* The guest's figures; counters since its boot. */
struct guest_usage {
    double runnable; /* tasks running or waiting for a CPU */
    guint64 cpu_busy_us;
    guint memory_used_mib, memory_total_mib, vcpus;
    guint memory_limit_mib; /* what executions may use; 0: not known */
    guint swap_mib;
    guint64 network_rx_bytes, network_tx_bytes;
    guint64 cpu_stalled_us, memory_stalled_us, io_stalled_us; /* some task stood still for want of it */
    guint64 oom_kills;
};

struct guest_watch {
    void (*answered)(gpointer owner, const struct guest_facts *facts); /* it speaks: once */
    void (*prepared)(gpointer owner, const GError *error);             /* answer of guest_prepare() */
    void (*shaped)(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error);
    void (*used)(gpointer owner, const struct guest_usage *usage);
    void (*pressed)(gpointer owner, guint causes,
                    const struct guest_usage *usage); /* enum pressure; without counters */
    void (*shrunk)(gpointer owner, guint64 ticket, const struct guest_facts *facts,
                   const GError *error); /* answer of guest_shrink() */
    void (*run_started)(gpointer owner, const char *execution_id);
    void (*run_output)(gpointer owner, const char *execution_id, guint stream, GBytes *bytes);     /* takes bytes */
    void (*run_exit)(gpointer owner, const char *execution_id, struct run_result *result);         /* takes result */
    void (*stdin_taken)(gpointer owner, const char *execution_id, guint64 request, GError *error); /* takes error */
    void (*staged)(gpointer owner, const char *execution_id, gint64 latency_us,
                   GError *error); /* answer of guest_stage(); takes error */
    void (*lost)(gpointer owner,
                 const GError *error); /* it broke the protocol, closed its channel or fell silent: once, the last */
};

struct guest;

struct guest_class {
    void (*hail)(struct guest *guest);
    void (*prepare)(struct guest *guest, const struct guest_identity *identity, gint64 now);
    void (*wait_shape)(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, guint memory_max_mib,
                       gint64 timeout_ms);
    void (*shrink)(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, gint64 timeout_ms);
    void (*subscribe)(struct guest *guest, gint64 interval_ms);
    void (*set_alarm)(struct guest *guest, const struct guest_alarm *alarm);
    void (*run)(struct guest *guest, struct run_spec *run);
    void (*stage)(struct guest *guest, struct run_spec *run);
    void (*stdin)(struct guest *guest, const char *execution_id, guint64 request, GBytes *bytes, gboolean eof);
    void (*credit)(struct guest *guest, const char *execution_id, gint64 count);
    void (*cancel)(struct guest *guest, const char *execution_id);
    void (*ping)(struct guest *guest);
    void (*free)(struct guest *guest);
};

/* The head of each kind's own struct. */
struct guest {
    const struct guest_class *klass;
    const struct guest_watch *watch;
    gpointer owner;
    gint64 heard_at; /* g_get_monotonic_time() of its last sign of life */
};

/* Asks for a sign of life until `answered`; to be repeated every second or two, since a booting guest may miss one. */
static inline void guest_hail(struct guest *guest)
{
    guest->klass->hail(guest);
}

/* Makes a guest itself: host name, machine id, random seed, boot id, clock. */
static inline void guest_prepare(struct guest *guest, const struct guest_identity *identity, gint64 now)
{
    guest->klass->prepare(guest, identity, now);
}

/* Waits until the guest has at least so many vCPUs and so much memory online, and no more than `memory_max_mib` (0: any); answered by `shaped`
 * with the ticket. */
static inline void guest_wait_shape(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib,
                                    guint memory_max_mib, gint64 timeout_ms)
{
    guest->klass->wait_shape(guest, ticket, vcpus, memory_mib, memory_max_mib, timeout_ms);
}

/* Asks for its consent to have less (0: as it is); answered by `shrunk` with the ticket. HBR_ERROR_CONFLICT: it refuses, and nothing has
 * changed. After the consent its vCPUs are offline, and it waits for `timeout_ms` for the memory to be taken. */
static inline void guest_shrink(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, gint64 timeout_ms)
{
    guest->klass->shrink(guest, ticket, vcpus, memory_mib, timeout_ms);
}

/* What it is to speak up about, by `pressed`; in place of what it was before. */
static inline void guest_set_alarm(struct guest *guest, const struct guest_alarm *alarm)
{
    guest->klass->set_alarm(guest, alarm);
}

/* Usage each interval; 0 ends it. */
static inline void guest_subscribe(struct guest *guest, gint64 interval_ms)
{
    guest->klass->subscribe(guest, interval_ms);
}

/* Takes the run. Answered by run_started, run_output, and run_exit as the last. With run->is_staged, what stands ready is let go; when
 * nothing does, and without, it starts from nothing. */
static inline void guest_run(struct guest *guest, struct run_spec *run)
{
    guest->klass->run(guest, run);
}

/* Takes the run. Puts its program into the guest, ready to be let go by a guest_run(), which then has an execution id of its own. One at a
 * time: what was staged before is thrown away. Answered by staged; with an error, nothing stands ready. */
static inline void guest_stage(struct guest *guest, struct run_spec *run)
{
    guest->klass->stage(guest, run);
}

/* Borrows the bytes (may be NULL); always answered by stdin_taken. */
static inline void guest_stdin(struct guest *guest, const char *execution_id, guint64 request, GBytes *bytes,
                               gboolean eof)
{
    guest->klass->stdin(guest, execution_id, request, bytes, eof);
}

/* So many bytes of output were taken: the guest may send more. */
static inline void guest_credit(struct guest *guest, const char *execution_id, gint64 count)
{
    guest->klass->credit(guest, execution_id, count);
}

static inline void guest_cancel(struct guest *guest, const char *execution_id)
{
    guest->klass->cancel(guest, execution_id);
}

static inline void guest_ping(struct guest *guest)
{
    guest->klass->ping(guest);
}

/* Runs that are open end without a call-back. NULL is accepted. */
static inline void guest_free(struct guest *guest)
{
    if (guest != NULL)
        guest->klass->free(guest);
}
