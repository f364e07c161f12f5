/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "core/core.h"
#include "core/state.h"
#include "model/limits.h"
#include "plan/latency.h"
#include "plan/path.h"
#include "plan/scaler.h"
#include "plan/sizing.h"

/* What the files of the core share. Entries hold a model object and what the core alone knows of it. */

#define CORE_HORIZON (366 * 24 * CLOCK_HOUR) /* no arrival or deadline may be farther away */

/* A queued GET ... ?wait= */
struct waiter {
    enum object_kind object;
    guint64 request;
    char *state; /* wanted; NULL: a final one */
    gint64 until_at;
};

/* How far the program of a notification has come. */
enum code_state {
    CODE_UNKNOWN,  /* none was announced, or it is not to be put in place */
    CODE_FETCHING, /* named by its digest, and not here yet */
    CODE_KNOWN,    /* here; waits for the instance */
    CODE_STAGING,  /* being put into the instance */
    CODE_STAGED,
    CODE_LOST, /* it could not be fetched or not be staged */
};

struct reservation_entry {
    struct reservation *doc;
    struct policy *policy;
    GPtrArray *failed_hosts; /* names; owned */
    guint tried_paths;       /* a bit for each enum path that failed or overran since the reservation was placed */
    char *rival_id;          /* a second instance, started when the first overran: who is ready first wins */
    gint64 overrun_at;       /* when the path under way has taken too long; 0: it has a rival, or none is left */
    char *due_pool;          /* id of the pool that it is planned to take an instance of */
    gboolean is_due;         /* and whose target it raises by now */
    gboolean is_planned;     /* it is counted there */
    gboolean is_planning;    /* nothing is taken yet: what others are planned to take is not offered */
    enum code_state code_state;
    char *code_digest; /* program_digest() of what was announced */
    char *source;      /* of it, once it is known */
    guint told;
    gboolean is_durable;          /* the database has it, its sender was told */
    guint64 notify_request;       /* answered at the commit */
    gint64 rank_at;               /* order in the queue: deadline, else arrival */
    GSequenceIter *place_in_line; /* in core->waiting, or NULL */
    GList *sibling_link;
    GQueue *siblings; /* the queue of core->by_function that it stands in, or NULL */
    gboolean is_dirty, is_on_demand;
};

/* A pool on a host. */
struct pool_entry {
    struct pool *doc;
    GPtrArray *members;        /* struct instance_entry: warming, running and paused, the oldest first; not owned */
    struct saved_state *saved; /* NULL: none */
    char *saving_id;           /* instance whose state is being saved, a member no more; NULL: none */
    guint clone_failures;      /* one after another, of the saved state */
    gboolean cannot_save;      /* on this host, for good */
    struct pool_setting setting;
    guint setting_version; /* of the policy in whose place it stands */
    guint planned;         /* reservations that are planned to take an instance of it */
    guint due;             /* of these, those that raise its target by now */
    double missed;         /* as of missed_at */
    gint64 missed_at, retry_at;
    gint64 counted_at; /* idle memory is accounted for up to then */
    gint64 wake_at;    /* a timer is set for then */
    struct latency durations[PATH_COUNT];
};

struct instance_entry {
    struct instance *doc;
    struct pool_entry *pool;       /* of which it is a member, or NULL */
    gboolean is_evicted;           /* destroyed to make room: counted until it is gone */
    gint64 saving_until_at;        /* its state is being saved, and nothing else is to be asked of it until then */
    gint64 predicted_ms;           /* of the start or claim under way */
    gboolean is_pausing;           /* COMMAND_PAUSE is under way */
    gint64 taken_at;               /* its start, or its claim, was asked for */
    guint vcpus_added;             /* that are plugged in by the start or claim under way */
    guint policy_version;          /* that it was warmed up under */
    gint64 kept_until_at;          /* kept for more executions of its function; 0: not */
    guint64 shaping[RESOURCE_ALL]; /* serial of the COMMAND_SHAPE under way; 0: none */
    struct adjustment *adjusting[RESOURCE_ALL]; /* it, or NULL */
    struct shape_wish *wish;                    /* a shape asked for by hand, or NULL */
    struct vm_shape promised; /* on the host's book: doc->shape, and what is being grown or not yet given back */
    struct vm_shape aimed;    /* what it is to have when all changes under way are confirmed: see adjust_aimed() */
    guint floor_mib;          /* memory that it started with: it cannot have less */
    char *migrating_to;       /* name of the host that it is on its way to; NULL: it is on none */
    gboolean is_migrating;    /* on its way, or not proven since: it is ready, but handed to nobody */
    gboolean is_pinned;       /* a migration of it failed: it is not tried again */
    guint floor_network_mbps,
        floor_disk_mbps;  /* limits that its code began with: to lower them gives nobody anything */
    gboolean is_adopting; /* found again after a restart, not proven yet */
    guint told;
    gboolean is_dirty;
};

/* A shape that somebody asked for by hand: what is left of it to be done. 0: as it is. */
struct shape_wish {
    struct vm_shape shape;
    guint64 request;
    gint64 confirm_timeout_ms;
    GError *error; /* nothing more is done after it */
};

struct scaling; /* scale.c */

struct execution_entry {
    struct execution *doc;
    struct policy *policy;
    struct program program; /* until it is sent */
    gboolean awaits_code;   /* its program was named by a digest, and is being fetched */
    char *code_digest;      /* program_digest() */
    gsize program_bytes;
    guint64 request; /* its stream; 0: nobody listens */
    gboolean detach, cancelled, is_dirty;
    gint64 unconsumed;       /* output sent to the client that it has not taken */
    const char *kill_reason; /* static; why we destroyed its VM */
    struct scaling *scaling; /* while it runs; NULL: the policy does not scale it */
    gint64 give_up_at;       /* queued no longer than this; running: the agent should have ended it by then */

    guint told;                  /* entries of its timeline that those who watch were told; so in other entries */
    struct vm_shape start_shape; /* of the instance when it was sent there */
};

struct host_entry {
    struct host *doc;
    guint boots;          /* instances being started for reservations */
    guint claims;         /* warm instances being made ready for reservations */
    guint evictions;      /* idle ones being destroyed to make room */
    guint warmups;        /* instances being started for pools */
    guint migrations;     /* of instances, to and from it */
    guint64 epoch;        /* counts its connections: with a new one, what failed before is worth a try */
    const char *told;     /* static; what was last told of it to those who watch */
    gint64 changes_since; /* a minute of adjustments began */
    guint changes;        /* in it */
    gboolean is_dirty, is_detached;
};

/* Of the adjustments of one resource that were confirmed, in sum. */
struct adjust_times {
    guint64 count;
    gint64 decide_us, hypervisor_us, confirm_us;
};

/* Of predictions for notifications: how many took at most as long as each of the bounds in metrics.c, and all of them. */
#define PREDICTION_BOUNDS 16

struct prediction_times {
    guint64 counts[PREDICTION_BOUNDS], count;
    gint64 sum_us;
};

struct timer {
    gint64 at;
    enum object_kind object;
    char *id;
};

/* What waits for a commit. */
struct pending_commit {
    GPtrArray *replies;    /* struct command, sent when it is durable; see core_receipt_new() */
    struct policy *policy; /* takes effect with the commit */
};

enum counter {
    COUNTER_NOTIFICATIONS,
    COUNTER_NOTIFICATIONS_REPEATED,
    COUNTER_NOTIFICATIONS_REFUSED,
    COUNTER_NO_SHOWS,
    COUNTER_UNPLACED,
    COUNTER_EXECUTIONS,
    COUNTER_EXECUTIONS_LOST,
    COUNTER_RETRIES,
    COUNTER_BOOTS,
    COUNTER_BOOTS_FAILED,
    COUNTER_INSTANCES_LOST,
    COUNTER_ADJUSTMENTS,
    COUNTER_ADJUSTMENTS_FAILED,
    COUNTER_MIGRATIONS,
    COUNTER_MIGRATIONS_FAILED,
    COUNTER_COMMITS_FAILED,
    COUNTER_ORPHANS,
    COUNTER_COUNT
};

struct core {
    struct core_settings settings;
    char *owner;
    GRand *random;
    gint64 now;
    struct policy *policy; /* for new work */
    struct predictor *predictor;
    GHashTable *latencies;    /* see core_latency() */
    GHashTable *pools;        /* "name@host" -> struct pool_entry */
    GHashTable *kept;         /* "tenant function" -> GQueue of struct instance_entry that wait for more of the same */
    GHashTable *tenant_boots; /* tenant -> instances being started for it */
    gboolean pools_changed;   /* stock or targets may have */
    guint warmups;            /* under way, on all hosts */
    GHashTable *hosts;        /* name -> struct host_entry */
    GHashTable *instances;    /* id -> ... */
    GHashTable *reservations;
    GHashTable *executions;
    GHashTable *keys; /* "tenant key" with a letter for the kind -> id; the idempotency keys of what is kept */
    GHashTable
        *by_function;    /* "tenant function" -> GQueue of struct reservation_entry that an execution may still claim */
    GSequence *waiting;  /* struct reservation_entry in RESERVATION_WAITING, by rank */
    GHashTable *streams; /* request -> struct execution_entry */
    GHashTable *waiters; /* id of an object -> GPtrArray of struct waiter */
    GHashTable *waiter_ids; /* request -> id of the object it waits for */
    GPtrArray *watchers;    /* struct watcher: feed.c */
    GSequence *timers;
    GPtrArray *dirty_reservations, *dirty_instances, *dirty_executions,
        *dirty_hosts;             /* entries touched since the last core_flush() */
    GPtrArray *unwritten_records; /* struct record of failed writes that no object stands for */
    GPtrArray *unwritten;         /* "kind:id" of objects whose last write failed */
    GHashTable *commits;          /* serial -> struct pending_commit */
    guint64 serial;
    GQueue finished; /* "kind:id" of ended objects that are kept, oldest first */
    guint open_reservations, open_executions;
    gsize program_bytes; /* of programs that wait for their instance */
    guint64 counters[COUNTER_COUNT];
    guint64 matches[8], exits[16];
    guint64 paths_taken[PATH_COUNT], paths_kept[PATH_COUNT], path_overruns[PATH_COUNT];
    guint64 code_places[8];
    guint64 adjustments[8], drifts[4]; /* by their reason; looks by what the drift test found */
    struct adjust_times adjust_times[RESOURCE_ALL];
    struct prediction_times prediction_times;
    GHashTable *short_executions; /* ids of those that wait for room to grow */
    gboolean place_again;         /* room may have appeared */
    gboolean shutting_down;
    gboolean policy_loading;   /* one policy version at a time is on its way to the store */
    GPtrArray *commit_replies; /* struct command collected for the next commit */
    GPtrArray *commit_records; /* struct record collected for it beside the dirty objects */
    struct policy *commit_policy;
};

/* core.c */
void core_set_string(char **slot, const char *value);
void core_emit(struct core *core, struct command *command);
struct command *core_command_for(const char *host, enum command_kind kind, const char *id);
void core_wake_at(struct core *core, gint64 at, enum object_kind object, const char *id);

/* What is known of a path of a template on a host, where so many vCPUs are plugged in on the way, which is the slow part of it. */
const struct latency *core_stage_latency(const struct core *core, const char *template, const char *host);
void core_stage_latency_add(struct core *core, const char *template, const char *host, gint64 duration_ms);

const struct latency *core_latency(const struct core *core, enum path path, const char *template, const char *host,
                                   guint vcpus_added); /* NULL: none */
void core_latency_add(struct core *core, enum path path, const char *template, const char *host, guint vcpus_added,
                      gint64 duration_ms, gint64 at);
char *core_key(const char *kind, const char *tenant, const char *key);

/* reply.c: answers to the API */
void core_reply_error(struct core *core, guint64 request, GError *error); /* takes the error */
void core_reply_object(struct core *core, guint64 request, guint status, const char *member, const struct codec *codec,
                       gconstpointer object);
/* The answer to a notification. Its id is that of the reservation, which is withdrawn when the commit that it waits for fails. */
struct command *core_receipt_new(guint64 request, const char *reservation_id);
void core_receipt_fill(struct command *receipt, const struct reservation *doc);
void core_stream_event(struct core *core, struct execution_entry *entry, const char *event);
/* A line of an execution's stream, {"event": event, member: object}. */
struct command *core_line_new(guint64 request, const char *event, const char *member, const struct codec *codec,
                              gconstpointer object);
GBytes *core_json_bytes(json_t *json); /* takes the reference */

/* persist.c */
void core_touch_reservation(struct core *core, struct reservation_entry *entry);
void core_touch_instance(struct core *core, struct instance_entry *entry);
void core_touch_execution(struct core *core, struct execution_entry *entry);
void core_touch_host(struct core *core, struct host_entry *entry);
void core_flush(struct core *core);
void core_committed(struct core *core, const struct event *event);
void core_commit_failed(struct core *core, struct event *event);
void core_write_again(struct core *core);
void core_retain_finished(struct core *core, enum object_kind object, const char *id);

/* feed.c */
void watcher_free(gpointer watcher);
void core_watch(struct core *core, struct event *event);
void feed_client_gone(struct core *core, guint64 request);
void feed_end(struct core *core);        /* nobody is told any more */
void feed_tell_dirty(struct core *core); /* what is new of the entries touched */
void feed_tell_adjustment(struct core *core, const struct execution_entry *entry, const struct instance_entry *instance,
                          const struct adjustment *adjustment); /* that has an end; `entry` NULL: no code runs */

/* metrics.c */
void core_count_prediction(struct core *core, gint64 took_us);

/* intake.c: notifications */
struct reservation_entry *core_plan_reservation(struct core *core, struct notification *notification, GError **error);
void core_admit_reservation(struct core *core, struct reservation_entry *entry);
void core_notify(struct core *core, struct event *event);
void core_explain(struct core *core, struct event *event);
gboolean core_check_satisfiable(struct core *core, const struct vm_shape *shape, char **labels, const char *profile,
                                GError **error);

/* reservation.c */
void reservation_entry_free(struct reservation_entry *entry);
gboolean reservation_step(struct core *core, struct reservation_entry *entry, enum reservation_step step,
                          const char *what, char *detail);
/* What a timeline begins with follows from the reservation: it is told when something comes after it, or somebody asks. Until then, nothing has
 * happened to the reservation. */
void reservation_begin_timeline(struct reservation_entry *entry);
/* What its amounts are expected to cost: worked out when somebody asks, by the policy that it was made under; nothing when that one is lost. */
void reservation_weigh(struct reservation_entry *entry);
void reservation_note(struct core *core, struct reservation_entry *entry, const char *what,
                      char *detail); /* for its timeline; takes the detail */
void reservation_start(struct core *core, struct reservation_entry *entry);
void reservation_instance_ready(struct core *core, struct reservation_entry *entry);
void reservation_instance_lost(struct core *core, struct reservation_entry *entry, const struct instance_entry *lost,
                               const char *reason);
void reservation_cancel(struct core *core, struct reservation_entry *entry, const char *reason);
void reservation_tick(struct core *core, struct reservation_entry *entry);
void reservation_index(struct core *core, struct reservation_entry *entry);
void reservation_rank(struct core *core, struct reservation_entry *entry, gint64 rank_at);
void reservation_unindex(struct core *core, struct reservation_entry *entry);
struct host_entry *reservation_choose_host(struct core *core, struct reservation_entry *entry);
void core_place_waiting(struct core *core);

/* instance.c */
void instance_entry_free(struct instance_entry *entry);

/* Starts an instance for a reservation, as a clone of `saved` or by booting it (NULL). */
struct instance_entry *instance_start(struct core *core, struct reservation_entry *reservation, struct host_entry *host,
                                      const struct saved_state *saved);

/* Starts one for a pool. */
struct instance_entry *instance_warm_up(struct core *core, struct pool_entry *pool, struct host_entry *host);

/* Takes a warm one for a reservation. */
void instance_take(struct core *core, struct instance_entry *entry, struct reservation_entry *reservation);

/* FALSE when it cannot be kept for more executions of the same function. */
gboolean instance_keep(struct core *core, struct instance_entry *entry, const struct execution_entry *execution);
gboolean instance_step(struct core *core, struct instance_entry *entry, enum instance_step step, const char *what,
                       char *detail); /* takes the detail */
void instance_tick(struct core *core, struct instance_entry *entry);
void instance_destroy(struct core *core, struct instance_entry *entry, const char *reason);
void instance_on_host(struct core *core, const struct event *event);
void instance_book(struct core *core, struct instance_entry *entry, const struct vm_shape *promised);
void instance_gone(struct core *core, struct instance_entry *entry, const char *reason);
void instance_adopt(struct core *core, struct instance_entry *entry);
void instance_claim(struct core *core, struct instance_entry *entry, const char *execution_id);

/* execution.c */
void execution_entry_free(struct execution_entry *entry);
void core_execute(struct core *core, struct event *event);
void core_stdin(struct core *core, struct event *event);
void core_stdin_taken(struct core *core, struct event *event);
void execution_send(struct core *core, struct execution_entry *entry, struct instance_entry *instance);

/* Its program has come: it is sent when its instance is ready, too. */
void execution_go_on(struct core *core, struct execution_entry *entry);
void execution_lost(struct core *core, struct execution_entry *entry, const char *reason);
void execution_fail(struct core *core, struct execution_entry *entry, const char *format, ...) G_GNUC_PRINTF(3, 4);
void execution_cancel(struct core *core, struct execution_entry *entry, const char *reason);
void execution_interrupt(struct core *core, struct execution_entry *entry, const char *reason);
void execution_on_run(struct core *core, struct event *event);
void execution_client_gone(struct core *core, guint64 request);
void execution_output_consumed(struct core *core, guint64 request, gint64 count);
void execution_tick(struct core *core, struct execution_entry *entry);

/* scale.c: the deep-scaling controller */
void scale_begin(struct core *core, struct execution_entry *entry, struct instance_entry *instance);
void scale_sample(struct core *core, struct instance_entry *instance, const struct usage_sample *sample);
/* A change of its instance came to its end. */
void scale_settled(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                   const struct adjustment *adjustment, const GError *error);
/* How much of the resource it could give away now, as of a fresh look; 0: nothing. */
guint scale_slack(struct core *core, const struct execution_entry *entry, struct instance_entry *instance,
                  enum resource resource);
/* There is slack. */
void scale_give_up(struct core *core, struct execution_entry *entry, struct instance_entry *instance,
                   enum resource resource);
/* There may be room for what it was short of. TRUE when it is short of nothing any more. */
gboolean scale_retry(struct core *core, struct execution_entry *entry, struct instance_entry *instance);
void scaling_free(struct scaling *scaling);

/* adjust.c: changes of running instances' shapes */
gboolean adjust_is_under_way(const struct instance_entry *instance, enum resource resource);
/* A shrink is alone: the guest's consent is for what it has then. */
gboolean adjust_is_shrinking(const struct instance_entry *instance);
gboolean adjust_is_quiet(const struct instance_entry *instance);
/* What it is to have when all changes under way are confirmed. Borrowed. */
const struct vm_shape *adjust_aimed(struct instance_entry *instance);
/* The host's book has room for it. */
gboolean adjust_fits(struct core *core, const struct instance_entry *instance, const struct vm_shape *after);
/* So does its tenant's limit, over all its instances in which code runs. */
#define ADJUST_TENANT_FULL "the tenant's limit in the policy is reached"
gboolean adjust_tenant_allows(struct core *core, const struct policy_limits *limits,
                              const struct instance_entry *instance, const struct vm_shape *after);
/* Does it: takes the adjustment, which changes one resource. It must fit. */
void adjust_change(struct core *core, struct instance_entry *instance, struct adjustment *adjustment,
                   gint64 confirm_timeout_ms);
/* Records that it is not done, for adjustment->error; takes it. */
void adjust_refused(struct core *core, struct instance_entry *instance, struct adjustment *adjustment);
void adjust_shaped(struct core *core, const struct event *event);
void adjust_by_hand(struct core *core, struct event *event);
/* The instance is gone. */
void adjust_forget(struct core *core, struct instance_entry *instance);
void shape_wish_free(struct shape_wish *wish);

/* relief.c: room on a full host for running code */
/* Lowers `after` to what fits. */
void relief_fit(struct core *core, const struct instance_entry *instance, struct vm_shape *after);
/* Begins to make room for it. */
void relief_make_room(struct core *core, const struct instance_entry *instance, const struct vm_shape *after);
void relief_queue(struct core *core, struct execution_entry *entry);
/* Room was given back: those who wait for it try again, by deadline. */
void relief_serve(struct core *core);

/* migrate.c: the last resort on a full host */
/* Begins to move one that waits for its request to another host, so that there is room for `after`. */
void migrate_make_room(struct core *core, const struct instance_entry *needy, const struct vm_shape *after);
void migrate_on_event(struct core *core, struct event *event);
/* It is ready, where it is now. FALSE: that is not the end of a migration. */
gboolean migrate_proven(struct core *core, struct instance_entry *entry);
/* The instance is gone. */
void migrate_forget(struct core *core, struct instance_entry *entry);

/* host.c */
void host_entry_free(struct host_entry *entry);
struct host_entry *host_add(struct core *core, struct host_spec *spec); /* takes the spec */
void host_attach(struct core *core, struct event *event);
void host_detach(struct core *core, struct event *event);
void host_on_event(struct core *core, struct event *event);
GPtrArray *host_entries_sorted(struct core *core);

/* pool.c: what is kept warm */
void pool_entry_free(struct pool_entry *pool);
GPtrArray *pools_sorted(struct core *core); /* struct pool_entry, by id */

/* Makes the pools be those of the policy and of the hosts that are up. */
void pools_sync(struct core *core);

/* Compares stocks with targets, and does what is to be done about it; once after all events that came together. */
void pools_maintain(struct core *core);
void pool_add(struct core *core, struct pool_entry *pool, struct instance_entry *entry);
void pool_remove(struct core *core, struct instance_entry *entry);
void pool_account(struct core *core, struct pool_entry *pool);
void pool_miss(struct core *core, struct pool_entry *pool, const char *reason); /* NULL pool: nothing */

/* A clone of the pool's saved state did or did not come to be: after some that did not, the state is given up and made anew. */
void pool_note_clone(struct core *core, const struct instance *clone, gboolean is_ready);

/* The pool that could best have served: of the template, able to grow as far, preferably on that host (NULL: any); or NULL. */
struct pool_entry *pool_for(struct core *core, const struct reservation *doc, const char *host);
void pool_on_event(struct core *core, struct event *event); /* paused, saved, saved-lost, host inventory */
void pool_set(struct core *core, struct event *event);
void pool_drain(struct core *core, struct event *event);

/* Frees room that warm instances take for a reservation that finds none. */
void pools_make_room(struct core *core, const struct reservation_entry *reservation);

/* The same on one host, for one that runs. FALSE when nothing there is idle. */
gboolean pools_make_room_on(struct core *core, struct host_entry *host, const char *reason);

/* ladder.c: the way to an instance */
struct ladder {
    struct path_question question;
    struct instance_entry *warm[PATH_SAVED]; /* of PATH_RUNNING and PATH_PAUSED: the best match */
    struct pool_entry *saved;
    struct host_entry *host; /* for a boot */
    gboolean is_pooled;      /* there is a pool of the template */
    char *reason;            /* why nothing warm serves */
};

/* Looks what there is, and chooses. -1: nothing can be done now. */
int ladder_choose(struct core *core, struct reservation_entry *reservation, struct ladder *ret_ladder);
void ladder_clear(struct ladder *ladder);
void ladder_plan(struct core *core, struct reservation_entry *reservation);

/* A reservation that is planned to take a warm instance raises the target of its pool from some time before its start on, until it starts. */
void ladder_register(struct core *core, struct reservation_entry *reservation);
void ladder_tick(struct core *core, struct reservation_entry *reservation);
void ladder_unregister(struct core *core, struct reservation_entry *reservation);

/* Goes that way. */
void ladder_take(struct core *core, struct reservation_entry *reservation, const struct ladder *ladder, enum path path);

/* The path under way has taken too long: the next one is started beside it. */
void ladder_overrun(struct core *core, struct reservation_entry *reservation);

/* An instance of the reservation is ready, first or second. */
void ladder_arrived(struct core *core, struct reservation_entry *reservation, struct instance_entry *instance);
gboolean reservation_owns(const struct reservation_entry *reservation, const struct instance_entry *instance);

/* stage.c: the program in place before the request */
void stage_look(struct reservation_entry *reservation);                     /* at planning: nothing is done yet */
void stage_begin(struct core *core, struct reservation_entry *reservation); /* at admission */
void stage_proceed(struct core *core,
                   struct reservation_entry *reservation);   /* its instance is ready, or its program came */
void stage_on_event(struct core *core, struct event *event); /* code, staged */
void stage_match(struct core *core, struct execution_entry *execution, struct reservation_entry *reservation,
                 struct command *run);
#define STAGE_ESTIMATE_MS 100 /* before anything was learned */
gint64 stage_latency(struct core *core, const struct reservation_entry *reservation, const char *template,
                     const char *host);
void stage_fetch_for(struct core *core, struct execution_entry *execution);

/* query.c */
void core_query(struct core *core, struct event *event);
void core_notify_waiters(struct core *core, enum object_kind object, const char *id);
void core_tick_waiters(struct core *core, const char *id);
void core_answer_vanished(struct core *core, const char *id);
void core_waiter_gone(struct core *core, guint64 request);
void waiter_free(struct waiter *waiter);

/* learn.c: what goes to the learner, and comes from it */
void core_teach(struct core *core, const struct observation *observation);
void core_teach_speed(struct core *core, double speed);
void core_model_ask(struct core *core, struct event *event);
void core_model_take(struct core *core, struct event *event);
void core_model_answer(struct core *core, struct event *event);

/* rebuild.c has only core_rebuild() */
