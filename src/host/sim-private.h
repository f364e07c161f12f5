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
    struct vm_shape before, target; /* what is equal in both is not asked for */
};

enum sim_state {
    SIM_BOOTING, /* or being cloned */
    SIM_READY,
    SIM_PAUSING,
    SIM_PAUSED,
    SIM_CLAIMING,
    SIM_SAVING,
    SIM_MIGRATING,
    SIM_DESTROYING,
    SIM_STATE_COUNT
};

struct sim_instance {
    char *id, *owner, *template;
    enum sim_state state;
    guint64 epoch; /* steps of an earlier one have lost their meaning */
    struct vm_shape shape, maximum;
    struct vm_shape target; /* that its start, or claim, ends with */
    gint64 paused_at;       /* SIM_PAUSING: it will be then */
    struct saved_state *saving;
    char *migrating_to; /* name of the target */
    char *staging_id,
        *staging_digest; /* the program that is being staged: the execution_id that came with it, and which it is */
    char *staged_digest; /* the one that stands staged */
    GArray *shapings;    /* struct sim_shaping under way */
    gint64 sample_interval_us;
    GPtrArray *runs;     /* struct sim_run */
    gint64 settled_at;   /* the runs have been advanced up to here */
    guint64 tick_number; /* the one tick that counts */
    struct guest_alarm alarm;
    gint64 pressed_at; /* its memory passed the mark, and is beyond it; 0: it is not */
    gboolean is_held;  /* what wants more memory stands still */
    gint64 stalled_at; /* its runs want more CPUs than it has since; 0: they do not */
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
    GHashTable *saved;     /* id -> struct saved_state */
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
void sim_destroy(struct sim *sim, struct command *command);
/* "the domain is being started", ...: why something else cannot be done with it. Static string. */
const char *sim_instance_condition(const struct sim_instance *instance);
/* NULL, or why the host cannot do something with it (it may be NULL) that is for these states: bits 1u << SIM_... */
GError *sim_check_state(const struct sim *sim, const struct sim_instance *instance, const char *id, guint states);
/* Steps planned for it have lost their meaning. */
void sim_instance_turn(struct sim_instance *instance);
/* Its domain is gone for this reason (taken): all that waits for it is answered, and it is told. Frees it. */
void sim_instance_die(struct sim *sim, struct sim_instance *instance, GError *reason);
/* The connection to it is lost. Frees it when it does not outlive that. */
void sim_instance_lose(struct sim *sim, struct sim_instance *instance);
/* The connection is back: what could not be destroyed is destroyed now. */
void sim_instance_return(struct sim *sim, struct sim_instance *instance);

/* sim-start.c */
struct sim_milestone {
    const char *text;
    gint64 after_us;
};

/* How an instance becomes ready, or fails to. */
struct sim_start {
    gint64 length_us;
    double fail, hang;
    gint64 timeout_ms;                  /* 0: none */
    struct sim_milestone milestones[4]; /* up to the first without a text */
};

/* Plans EVENT_INSTANCE_READY with instance->target, or EVENT_INSTANCE_FAILED that frees it. */
void sim_start_plan(struct sim *sim, struct sim_instance *instance, const struct sim_start *start);
/* As sim_draw_us, for what begins now in this instance: boots, clones and saves of others may slow it down. */
gint64 sim_draw_work_us(struct sim *sim, const struct sim_instance *instance, double median_ms, double sigma);
void sim_post_ready(struct sim *sim, const struct sim_instance *instance);
/* Takes `error`. */
void sim_post_failed(struct sim *sim, const char *id, GError *error);

/* sim-alarm.c */
void sim_alarm(struct sim *sim, struct command *command);
/* After anything that changes what the runs want or have. */
void sim_alarm_check(struct sim *sim, struct sim_instance *instance);
/* The mark that its memory has yet to pass; INFINITY: none. */
double sim_alarm_next_mib(const struct sim_instance *instance);

/* sim-shape.c */
void sim_shape(struct sim *sim, struct command *command);
/* All changes of its shape end with this error. */
void sim_shape_lose(struct sim *sim, struct sim_instance *instance, const GError *reason);
/* NULL, or why a VM defined for `maximum` cannot have `shape`. */
GError *sim_check_maximum(const char *id, const struct vm_shape *shape, const struct vm_shape *maximum);
/* NULL, or an error when the machine has no room for `more` beside all that is promised. */
GError *sim_check_room(const struct sim *sim, guint64 more_vcpus, guint64 more_memory_mib);
/* The same, for what `to` has beyond what is promised to the instance. */
GError *sim_check_growth(const struct sim *sim, const struct sim_instance *instance, const struct vm_shape *to);
/* What becomes of a VM of shape `there` when `wanted` is asked for at its handing over: CPUs and memory only grow, limits are set. */
struct vm_shape sim_shape_fit(const struct vm_shape *there, const struct vm_shape *wanted);
/* How long it takes from the shape that the instance has to its target; 0 when they are equal. */
gint64 sim_draw_fit_us(struct sim *sim, const struct sim_instance *instance);

/* sim-warm.c */
void sim_pause(struct sim *sim, struct command *command);
void sim_claim(struct sim *sim, struct command *command);
/* As sim_check_state, and nothing may be under way in it. */
GError *sim_check_idle(const struct sim *sim, const struct sim_instance *instance, const char *id, guint states);
/* A pause under way ends with this error. */
void sim_pause_lose(struct sim *sim, struct sim_instance *instance, const GError *reason);

/* sim-saved.c */
void sim_saved_free(gpointer saved);
void sim_save(struct sim *sim, struct command *command);
void sim_forget_saved(struct sim *sim, struct command *command);
/* Takes `error`: its saving ended with that. */
void sim_post_save_failed(struct sim *sim, struct sim_instance *instance, GError *error);
/* The saved state to make a clone from. When it is unknown or damaged: NULL with an error, and it is told that it is lost. */
const struct saved_state *sim_saved_open(struct sim *sim, const char *id, GError **error);
/* struct saved_state, by id; freed with g_ptr_array_unref. */
GPtrArray *sim_saved_list(const struct sim *sim);

/* sim-migrate.c */
void sim_migrate(struct sim *sim, struct command *command);
/* A migration under way ends with this error. */
void sim_migrate_lose(struct sim *sim, struct sim_instance *instance, const GError *reason);

/* sim-stage.c */
void sim_stage(struct sim *sim, struct command *command);
/* What is being staged ends with this error; what stands staged is gone. */
void sim_stage_lose(struct sim *sim, struct sim_instance *instance, const GError *reason);
/* TRUE when that program stands staged. It does not any more: it is to be started. */
gboolean sim_stage_take(struct sim_instance *instance, const struct program *program);

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
