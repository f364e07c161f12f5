/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt-host.h"

/* One instance on a libvirt host. On the host's thread. */

enum vm_state {
    VM_CREATING, /* the domain is being started */
    VM_WAKING,   /* its agent has not answered, or not confirmed the shape */
    VM_READY,
    VM_ENDING, /* being destroyed, or waiting for a connection to be destroyed through */
};

/* Which event tells the core that it has ended. */
enum vm_end {
    VM_END_FAILED,    /* the start failed */
    VM_END_GONE,      /* it was lost */
    VM_END_DESTROYED, /* the core asked for it */
};

/* One COMMAND_SHAPE under way: calls to libvirt, and the guest's word. */
struct shaping {
    struct vm *vm;
    guint64 serial, ticket;
    guint vcpus, memory_mib; /* that it asks for; 0: as they are, or asked for by another one */
    gint references;         /* steps that have not answered */
    gboolean awaits_guest;
    GError *error; /* of the first step that failed */
};

struct vm_sampling {
    gint64 interval_ms;
    gboolean is_on, is_subscribed, is_pending;
    GSource *start_timer;
    GSource *watchdog; /* the guest has not told its usage in time */
    gint64 at;         /* monotonic; of the last look from outside, 0: none */
    guint64 cpu_time_ns;
    gint64 rx_bytes, tx_bytes;
    struct guest_usage usage; /* the last word of the guest */
    gint64 usage_at;
    guint64 usage_rx_bytes, usage_tx_bytes; /* at the last sample */
    gint64 usage_sampled_at;
    double runnable_sum;
    guint runnable_count;
};

struct vm {
    struct libvirt_host *host;
    char *id, *uuid;
    enum vm_state state;
    enum vm_end end;
    gboolean is_proof, is_calling; /* a create or destroy call is under way */
    GError *end_error;
    gint64 began_at; /* its domain is there since */
    gint64 hail_ms;  /* between the last hail and the next */
    struct boot_spec boot;
    enum template_agent agent;
    struct domain_live *live;
    struct channel *channel;
    struct guest *guest;
    char **gpus;
    gboolean is_prepared, is_shaped, has_bandwidth;
    struct vm_shape asked; /* what libvirt has, or is being asked for: that is not asked for again */
    struct vm_shape shape; /* vCPUs and memory as the guest confirms them, limits as they are in force (0: none) */
    struct vm_shape held;  /* vCPUs and memory that libvirt may have given, whether the guest has taken them or not */
    guint64 next_ticket, boot_ticket;
    GPtrArray *shapings;
    GHashTable *runs; /* ids of open executions */
    GSource *boot_timer, *hail_timer, *heart_timer, *cancel_timer, *warm_timer;
    struct vm_sampling sampling;
};

/* vm.c. vm_boot and vm_adopt take nothing of the spec but copies. */
void vm_boot(struct libvirt_host *host, const struct boot_spec *boot);
void vm_adopt(struct libvirt_host *host, const struct boot_spec *boot);
void vm_prove_kvm(struct libvirt_host *host);
void vm_destroy(struct libvirt_host *host, const char *id);
void vm_free(gpointer vm);

/* It ended by itself, or something about it is beyond repair: executions are reported lost, its domain and files removed, and the core is
 * told. */
void vm_lose(struct vm *vm, const GError *error);

/* An inventory did not have it. */
void vm_missing(struct vm *vm);

void vm_shaped_at_boot(struct vm *vm, const struct guest_facts *facts, const GError *error);

/* vm-channel.c: gives it its agent, by the local socket or through libvirt; vm_has_guest() or vm_lose() follows. */
void vm_open_guest(struct vm *vm, const struct guest_watch *watch);
void vm_has_guest(struct vm *vm);

/* qga-guest.c: an agent of the other kind. */
#define QGA_LACKS                                                                                             \
    "qemu-guest-agent: no output before the end, no standard input while it runs, no peak memory, no limits " \
    "of memory and processes, no host name and machine id of its own"
struct guest *qga_guest_new(struct vm *vm, const struct guest_watch *watch);

/* vm-shape.c */
void vm_reshape(struct vm *vm, guint64 serial, const struct vm_shape *shape, gint64 confirm_ms);
void vm_on_shaped(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error);
void vm_forget_shapings(struct vm *vm, const GError *error);

/* The guest has confirmed its first shape; limits are read from the domain. */
void vm_shape_begin(struct vm *vm, const struct guest_facts *facts);

/* vm-run.c. vm_run takes the run. */
void vm_run(struct libvirt_host *host, const char *id, struct run_spec *run);
void vm_stdin(struct libvirt_host *host, struct command *command);
void vm_credit(struct libvirt_host *host, const struct command *command);
void vm_cancel(struct libvirt_host *host, const struct command *command);
void vm_lose_runs(struct vm *vm, const GError *error);
void vm_on_run_started(gpointer owner, const char *execution_id);
void vm_on_run_output(gpointer owner, const char *execution_id, guint stream, GBytes *bytes);
void vm_on_run_exit(gpointer owner, const char *execution_id, struct run_result *result);
void vm_on_stdin_taken(gpointer owner, const char *execution_id, guint64 request, GError *error);

/* vm-warm.c: programs of our own that make the first one of the user as fast as a later one. vm_warm_up begins when the instance has
 * nothing to do, vm_warm_stop makes way for the user's. */
void vm_warm_up(struct vm *vm);
void vm_warm_stop(struct vm *vm);

/* vm-sample.c */
void vm_sampling_start(struct vm *vm);
void vm_sampling_stop(struct vm *vm);
void vm_on_used(gpointer owner, const struct guest_usage *usage);
