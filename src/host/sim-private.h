/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "host/sim-run.h"
#include "host/sim.h"

/* What the files of the simulated hypervisor share. Everything that happens is a step in one queue, ordered by time and then by the order of
 * making; commands are steps too, so that submitting posts nothing and changes nothing. */

struct sim_shaping {
    guint64 serial;
    struct vm_shape target;
};

enum sim_state { SIM_BOOTING, SIM_READY, SIM_DESTROYING };

struct sim_instance {
    char *id, *owner;
    enum sim_state state;
    guint64 epoch; /* steps of an earlier one have lost their meaning */
    struct vm_shape shape, maximum;
    GArray *shapings; /* struct sim_shaping under way */
    gint64 sample_interval_us;
    GPtrArray *runs;     /* struct sim_run */
    gint64 settled_at;   /* the runs have been advanced up to here */
    guint64 tick_number; /* the one tick that counts */
    gboolean is_sampled;
    gint64 sampled_at;
    struct sim_usage usage; /* since then */
};

struct sim {
    struct hypervisor head;
    struct sim_model model;
    double cpu_overcommit, memory_overcommit;
    GRand *random;
    gint64 now;
    GSequence *steps; /* struct sim_step */
    guint64 step_count;
    GHashTable *instances; /* id -> struct sim_instance */
    gboolean is_wanted;    /* between COMMAND_HOST_CONNECT and COMMAND_HOST_DISCONNECT */
    gboolean is_down, has_connected;
    guint64 connection; /* counts; steps of an earlier one are dropped */
};

/* One thing to do at a time. */
struct sim_step {
    gint64 at;
    guint64 order;
    void (*handle)(struct sim *sim, struct sim_instance *instance, struct sim_step *step);
    char *instance_id; /* NULL: `instance` is NULL too */
    guint64 epoch;     /* of the instance */
    guint64 number;
    char *execution_id;
    struct event *event;
    struct command *command;
};

typedef void (*sim_handler)(struct sim *sim, struct sim_instance *instance, struct sim_step *step);
typedef void (*sim_command_handler)(struct sim *sim, struct command *command);

/* A step `delay_us` from now, for the instance as it is now (may be NULL); the caller may fill in more. */
struct sim_step *sim_plan(struct sim *sim, struct sim_instance *instance, gint64 delay_us, sim_handler handle);

/* An event of this host; `id` may be NULL. */
struct event *sim_event(const struct sim *sim, enum event_kind kind, const char *id);

/* Posts it now (taken), unless nobody is connected. */
void sim_post(struct sim *sim, struct event *event);

gboolean sim_is_up(const struct sim *sim);
GError *sim_down_error(const struct sim *sim);

/* All instances, by id. Free with g_list_free. */
GList *sim_sorted_instances(struct sim *sim);

/* sim-instance.c */
void sim_instance_free(gpointer instance);
void sim_boot(struct sim *sim, struct command *command);
void sim_adopt(struct sim *sim, struct command *command);
void sim_shape(struct sim *sim, struct command *command);
void sim_destroy(struct sim *sim, struct command *command);
/* Its domain is gone for this reason (taken): all that waits for it is answered, and it is told. Frees it. */
void sim_instance_die(struct sim *sim, struct sim_instance *instance, GError *reason);
/* The connection to it is lost. Frees it when it does not outlive that. */
void sim_instance_lose(struct sim *sim, struct sim_instance *instance);
/* The connection is back: what could not be destroyed is destroyed now. */
void sim_instance_return(struct sim *sim, struct sim_instance *instance);

/* sim-guest.c */
void sim_guest_run(struct sim *sim, struct command *command);
void sim_guest_stdin(struct sim *sim, struct command *command);
void sim_guest_credit(struct sim *sim, struct command *command);
void sim_guest_cancel(struct sim *sim, struct command *command);
/* Lets the runs go on up to now; before anything that changes what they want or have. */
void sim_guest_catch_up(struct sim *sim, struct sim_instance *instance);
/* After it: does what is due and plans the next. FALSE when the VM died of it (and is freed). */
gboolean sim_guest_settle(struct sim *sim, struct sim_instance *instance);
/* All runs end: their VM, or the way to it, is lost. */
void sim_guest_lose(struct sim *sim, struct sim_instance *instance, const char *message);
