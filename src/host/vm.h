/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt-host.h"
#include "host/process.h"

/* One instance on a libvirt host. On the host's thread. */

enum vm_state {
    VM_CREATING, /* the domain is being started */
    VM_WAKING,   /* its agent has not answered, or not confirmed the shape; also of a warm one that is being claimed */
    VM_READY,
    VM_PAUSED,    /* suspended, or being so */
    VM_MIGRATING, /* on its way to another host: nobody speaks with its agent */
    VM_ENDING,    /* being destroyed, or waiting for a connection to be destroyed through */
};

/* Which event tells the core that it has ended. */
enum vm_end {
    VM_END_FAILED,    /* the start failed */
    VM_END_GONE,      /* it was lost */
    VM_END_DESTROYED, /* the core asked for it */
    VM_END_SAVED,     /* its state was to be saved */
};

/* What is to be done with a warm instance once it is warmed up. */
enum vm_wish { VM_WISH_NONE, VM_WISH_PAUSE, VM_WISH_SAVE };

/* One COMMAND_SHAPE under way: calls to libvirt, and the guest's word. */
struct shaping {
    struct vm *vm;
    guint64 serial, ticket;
    guint vcpus, memory_mib; /* that it asks for; 0: as they are, or asked for by another one */
    gint64 confirm_ms;       /* that the guest has for each of its answers */
    gint references;         /* steps that have not answered */
    gboolean is_shrink;      /* with the guest's consent */
    gboolean takes_memory;   /* it has consented: libvirt was asked to take memory from it */
    gboolean is_binding;     /* not by COMMAND_SHAPE, but part of a claim, or of the start of a clone */
    gboolean awaits_guest;
    gboolean changes_gpus;
    gint64 stepped_at;     /* libvirt has answered the last of its calls */
    GSource *deadline;     /* of the guest's answer: its agent has a clock of its own, but it may lie */
    GSource *gpu_deadline; /* the guest is to have let go of its GPUs by then */
    GError *error;         /* of the first step that failed */
};

/* A GPU of the host that an instance has, or may have. */
struct vm_gpu {
    char *address, *alias;
    guint64 awaited_by; /* the ticket of the shaping that waits until the guest has let go of it; 0: none */
};

struct vm_sampling {
    gint64 interval_ms;
    gint64 pressed_at; /* monotonic; its agent spoke up, and for what since then */
    guint pressed_causes;
    gboolean is_on, is_subscribed, is_pending;
    GSource *start_timer;
    gint64 silent_at; /* monotonic; it is looked at without the guest's word by then */
    gint64 at;        /* monotonic; of the last look from outside, 0: none */
    struct process_figures outside;
    struct guest_usage usage, sampled; /* the last word of the guest, and that of the last sample */
    gint64 usage_at, sampled_at;       /* monotonic; 0: none */
};

struct vm {
    struct libvirt_host *host;
    char *id, *uuid;
    enum vm_state state;
    enum vm_end end;
    gboolean is_proof, is_calling; /* a create, save or destroy call is under way */
    gboolean is_suspending, is_resuming;
    gboolean is_claim; /* VM_WAKING: it was warm before */
    gboolean is_held;  /* a warm-up that stands still for a claim */
    enum vm_wish wish;
    struct saved_state *saved; /* what COMMAND_SAVE asked for; then, what came of it */
    char *saved_id;            /* of that state, until the core is told */
    char *fingerprint;         /* of what it was made of; NULL: not known, or no instance of a pool */
    guint64 capabilities;      /* of its guest */
    GError *end_error;
    gint64 began_at;    /* its domain is there since */
    gint64 hail_ms;     /* between the last hail and the next */
    gboolean has_heart; /* signs of life of its agent are asked for */
    struct boot_spec boot;
    enum template_agent agent;
    struct domain_live *live;
    struct channel *channel;
    struct guest *guest;
    GPtrArray *gpus;        /* struct vm_gpu; NULL: none yet */
    char *migrating_to;     /* name of the target */
    GSource *migrate_timer; /* its time is up */
    gboolean is_prepared, is_shaped, has_bandwidth;
    struct vm_shape asked; /* what libvirt has, or is being asked for: that is not asked for again */
    struct vm_shape shape; /* vCPUs and memory as the guest confirms them, limits as they are in force (0: none) */
    struct vm_shape held;  /* vCPUs and memory that libvirt may have given, whether the guest has taken them or not */
    guint vcpus_known;     /* so many were once online: they are plugged */
    guint
        vcpus_offered; /* after a shrink: the guest keeps those beyond offline until it is asked for them; 0: it takes all */
    guint64 next_ticket, boot_ticket;
    struct process *process; /* its QEMU; NULL: not looked for, or not to be read */
    guint process_vcpus;     /* held when it was opened */
    GPtrArray *shapings;
    GHashTable *runs; /* ids of open executions */
    GSource *boot_timer, *hail_timer, *cancel_timer, *warm_timer;
    gint64 clock_sent_at; /* monotonic; the guest was told the time */
    guint clock_tries;
    guint warm_step;          /* the next program that warms it up */
    const char *warm_running; /* the id of the one that runs */
    struct vm_sampling sampling;
};

/* vm.c. vm_boot and vm_adopt take nothing of the spec but copies. */
void vm_boot(struct libvirt_host *host, const struct boot_spec *boot);
void vm_adopt(struct libvirt_host *host, const struct boot_spec *boot);
void vm_prove_kvm(struct libvirt_host *host);
void vm_destroy(struct libvirt_host *host, const char *id);
void vm_free(gpointer vm);
void vm_end(struct vm *vm, enum vm_end end, const GError *error);
void vm_progress(struct vm *vm, const char *text);

/* A call for which vm_end() has waited returned. */
void vm_called(struct vm *vm);

/* Its agent is let go of; `state` is its state from now on. */
void vm_let_go(struct vm *vm, enum vm_state state);

/* The call that moved it has returned: who adopts it, here or there, begins anew. */
void vm_migrated(struct vm *vm);

/* The time that it has to become ready in begins. */
void vm_time_start(struct vm *vm);

/* Signs of life of its agent are asked for, or not. */
void vm_heart_start(struct vm *vm);
void vm_heart_stop(struct vm *vm);
void vm_check_ready(struct vm *vm);

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
void vm_on_shrunk(gpointer owner, guint64 ticket, const struct guest_facts *facts, const GError *error);
void vm_forget_shapings(struct vm *vm, const GError *error);

/* The guest has confirmed its first shape; limits are read from the domain. */
void vm_shape_begin(struct vm *vm, const struct guest_facts *facts);

/* The same of a clone, which has the shape of what it was made from. */
void vm_shape_restored(struct vm *vm, const struct guest_facts *facts);

/* Gives it what it lacks of boot.shape and has the guest confirm all of it; is_shaped and vm_check_ready(), or vm_lose(), follow. */
void vm_shape_bind(struct vm *vm);

/* Of vm-shape.c, for vm-gpu.c. The last step that is released ends the shaping. */
struct shaping *shaping_find(const struct vm *vm, guint64 ticket);
void shaping_fail(struct shaping *shaping, const GError *error);
void shaping_release(struct shaping *shaping);

/* vm-gpu.c: which GPUs of the host an instance has. One is its own from before libvirt is asked for it until it is known to be gone, so
 * that no other instance is given it meanwhile. */
guint vm_gpu_count(const struct vm *vm);

/* So many more that are free. FALSE: there are not so many, and none was taken. */
gboolean vm_take_gpus(struct vm *vm, guint count);
guint host_free_gpu_count(const struct libvirt_host *host);
char **vm_gpu_addresses(const struct vm *vm);

/* Those that its domain was found with. */
void vm_adopt_gpus(struct vm *vm);

/* Of a running one: attaches or detaches as many as it takes; shape_obstacle() has been asked. */
void shaping_begin_gpus(struct shaping *shaping, guint gpus);
void vm_gpu_removed(struct vm *vm, const char *alias);
void vm_free_gpus(struct vm *vm);

/* vm-run.c. vm_run and vm_stage take the run. */
void vm_run(struct libvirt_host *host, const char *id, struct run_spec *run);
void vm_stage(struct libvirt_host *host, const char *id, struct run_spec *run);
void vm_stdin(struct libvirt_host *host, struct command *command);
void vm_credit(struct libvirt_host *host, const struct command *command);
void vm_cancel(struct libvirt_host *host, const struct command *command);
void vm_lose_runs(struct vm *vm, const GError *error);
void vm_on_run_started(gpointer owner, const char *execution_id);
void vm_on_run_output(gpointer owner, const char *execution_id, guint stream, GBytes *bytes);
void vm_on_run_exit(gpointer owner, const char *execution_id, struct run_result *result);
void vm_on_staged(gpointer owner, const char *execution_id, gint64 latency_us, GError *error);
void vm_on_stdin_taken(gpointer owner, const char *execution_id, guint64 request, GError *error);

/* vm-warm.c: programs of our own that make the first one of the user as fast as a later one. vm_warm_up begins when the instance has
 * nothing to do, vm_warm_stop makes way for the user's. */
void vm_warm_up(struct vm *vm);
void vm_warm_stop(struct vm *vm);
gboolean vm_is_warming(const struct vm *vm);
void vm_on_warm_exit(gpointer owner, const char *execution_id, struct run_result *result);

/* vm-pause.c. vm_claim takes nothing of the spec but copies. */
void vm_pause(struct libvirt_host *host, const char *id);
void vm_claim(struct libvirt_host *host, const struct boot_spec *boot);

/* A call of libvirt that suspends or resumes it; `done` is the caller's to set, its context is the id. */
struct job vm_power_job(const struct vm *vm, guint lane, gboolean (*run)(gpointer call, GError **error));

/* vm-hold.c: instances that nobody waits for stand still while others are being claimed, on a host whose CPUs they fill. host_hold_warmups() when a claim
 * begins, host_claim_ended() when one is over; vm_let_run() lets one run again by itself. */
void host_hold_warmups(struct libvirt_host *host);
void host_claim_ended(struct libvirt_host *host);

/* All run again; also after a connection was lost, when those that stood still then do so still. */
void host_end_hold(struct libvirt_host *host);
void vm_let_run(struct vm *vm);

/* What speaks against pausing, claiming or saving it, or NULL. */
const char *vm_use(const struct vm *vm);

/* The warm-up is over: what was waiting for it begins. Or it never will be. */
void vm_grant_wish(struct vm *vm);
void vm_refuse_wish(struct vm *vm, const char *reason);

/* Sends the guest who it is. */
void vm_prepare(struct vm *vm);

/* Its acknowledgement came so late that its clock may be wrong: the time was sent once more, and another acknowledgement will come. */
gboolean vm_clock_again(struct vm *vm);

/* Whose it is now is written on the domain, whenever libvirt comes to it. */
void vm_write_metadata(struct vm *vm);

/* vm-migrate.c */
void vm_migrate(struct libvirt_host *host, const char *id, const struct host_spec *target, gint64 timeout_ms);
void vm_migrate_abort(const struct vm *vm);

/* vm-save.c */
void vm_save(struct libvirt_host *host, const char *id, const struct saved_state *state);
void vm_save_begin(struct vm *vm);
void vm_forget_saved(struct libvirt_host *host, const char *saved_id);
char *host_saved_dir(const struct libvirt_host *host);
struct saved_origin host_saved_origin(const struct libvirt_host *host);

/* vm-sample.c */
void vm_sampling_start(struct vm *vm);
void vm_sampling_stop(struct vm *vm);
void vm_on_used(gpointer owner, const struct guest_usage *usage);
void vm_on_pressed(gpointer owner, guint causes, const struct guest_usage *usage);
void vm_set_alarm(struct libvirt_host *host, const char *id, const struct guest_alarm *alarm);
