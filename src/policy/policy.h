/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"
#include "model/notification.h"
#include "model/pool.h"
#include "model/shape.h"
#include "model/usage.h"

/* What the operator wants, checked and immutable. Reference counted (atomically): the core holds one version for new
 * work and older ones for the reservations made under them. Any thread may read. */

/* A named VM shape. A VM starts with `initial` and may grow to `maximum`; it has as many GPUs as the demand asks for, at most
 * `maximum.gpus`. `maximum` covers `initial`. */
struct policy_profile {
    char *name;
    char *template;
    struct vm_shape initial, maximum;
};

/* A class of complexity: scores above the previous class's `score_max` up to its own. `demand` is the need that is assumed of code
 * of this class before rules change it. */
struct policy_class {
    char *name;
    double score_max;
    char *profile;
    struct demand demand; /* only the quantiles and `gpus` are used */
};

/* One row of the scored rule table: when all conditions that are set hold, its effects apply. NULL and negative: not set. A size, depth or
 * parallelism that was not told (0) meets no condition on it. */
struct policy_rule {
    char *name;
    char **languages, **libraries, **algorithms, **functions, **tenants; /* any of these words; glob(7) patterns */
    gint64 code_bytes_min, code_bytes_max;
    gint64 payload_bytes_min, payload_bytes_max;
    gint64 input_bytes_min, input_bytes_max;
    gint64 payload_items_min, payload_items_max;
    gint64 payload_depth_min, payload_depth_max;
    gint64 parallelism_min, parallelism_max;
    int gpu;                                                             /* -1: not set, 0: false, 1: true */
    double score;                                                        /* points added */
    double vcpus_factor, memory_factor, network_factor, duration_factor; /* 1: none */
    double vcpus_min, memory_mib_min, network_mbps_min;                  /* demand is at least this; 0: none */
    double memory_per_input;      /* MiB of memory per MiB of input_bytes + payload_bytes, added to all quantiles */
    double vcpus_per_parallelism; /* demand is at least this many vCPUs for each thread or process; 0: none */
    guint gpus;
};

enum policy_sizing {
    SIZING_PROFILE, /* a VM starts with its profile's initial shape, or the demand with headroom where that is larger */
    SIZING_DEMAND,  /* a VM starts with the demand with headroom: whole vCPUs, memory in steps */
};

extern const struct codec_words policy_sizing_words;

/* For a run, of each unit: a vCPU, a GiB, 100 Mbit/s, 100 MB/s. Both are above 0. */
struct policy_price {
    double shortage; /* that it needed and did not have */
    double waste;    /* that it had and did not need */
};

struct policy_provisioning {
    struct policy_price prices[RESOURCE_COUNT];
    enum policy_sizing sizing;
    double headroom; /* memory and network above the demand */
    guint memory_min_mib, memory_step_mib;
    gint64 margin_ms;        /* an instance is ready this long before the expected arrival */
    gint64 boot_estimate_ms; /* p95 of the boot path before anything was learned */
    gint64 no_show_ms;       /* a reservation expires this long after the expected arrival, or its readiness if later */
    gint64 boot_timeout_ms;  /* an instance that is not ready by then is given up */
    guint boot_attempts;
};

enum policy_controller {
    CONTROLLER_DEEP,   /* by the expected cost of shortage and waste, up and down; see plan/scaler.h */
    CONTROLLER_SIMPLE, /* above the prediction x grow_above to the prediction x grow_to, up only */
};

extern const struct codec_words policy_controller_words;

struct policy_scaling {
    gboolean enabled;
    enum policy_controller controller;
    gint64 sample_interval_ms;
    double grow_above; /* of the prediction: 1.2 */
    double grow_to;    /* of the prediction: 1.5 */
    double step_max;   /* one step at most multiplies a resource by this */
    double pressure;   /* usage above this share of what the VM has counts as crossing the threshold too */
    gint64 confirm_timeout_ms;
    double cpu_shortage, memory_shortage_mib, network_shortage_mbps,
        disk_shortage_mbps; /* scaler_settings.shortage_cost of each */
    gint64 false_alarms_ms; /* between two false alarms of the drift test, on average */
    gboolean shrink;
    double hysteresis;             /* an amount shrinks to what is wanted and this share more */
    gint64 dwell_ms, dwell_max_ms; /* see plan/governor.h */
    gint64 grow_pause_ms, shrink_pause_ms;
    guint changes_per_minute;      /* of one resource of an instance; 0: any number */
    guint host_changes_per_minute; /* of all instances of a host, pressure excepted; 0: any number */
    double stall; /* the guest tells when a task stood still for want of a resource for this share of stall_window */
    gint64 stall_window_ms;
    gboolean migrate; /* ready instances make room on a full host for running ones */
};

struct policy_limits {
    gint64 wall_ms; /* of one execution */
    gint64 output_bytes;
    guint pids;
    gint64 queue_ms;                        /* an execution without a deadline waits at most this long for room */
    guint reservations_max, executions_max; /* open ones */
    guint boots_per_host_max;               /* instances being started at a time */
    guint boots_per_tenant_max;             /* the same, over all hosts */
    guint vcpus_per_tenant, memory_per_tenant_mib; /* that instances of a tenant may grow to have together; 0: any */
    gint64 code_bytes, code_fetch_ms; /* of a program that is fetched: its size, and the time that it may take */
    guint finished_kept;   /* finished objects that the daemon keeps in memory; older ones are read from the history */
    gint64 idempotency_ms; /* how long a key is remembered */
};

struct policy_history {
    guint samples_min;        /* so many executions, and history is preferred to the rules */
    guint samples_max;        /* of a function that are looked at */
    double half_life_samples; /* an observation this many executions old weighs half */
};

/* Instances of a template kept warm on each host that carries all labels. */
struct policy_pool {
    char *name;
    char *template;
    char **labels;             /* NULL: every host */
    struct vm_shape shape;     /* of a warm instance: one small shape serves many profiles */
    struct vm_shape maximum;   /* what it may grow to, at the claim and later */
    struct pool_stock floor;   /* that is always there */
    struct pool_stock ceiling; /* that registered reservations and misses may raise it to */
    gint64 max_age_ms;         /* an instance older than this is replaced; 0: never */
    guint idle_budget_mib;     /* MiB-hours per hour that its warm instances may hold while they wait; 0: not bounded */
};

/* Higher floors at certain times of the week. */
struct policy_window {
    char *name;
    char *pool;
    char **days;     /* "mon" to "sun"; NULL: every day */
    char *from, *to; /* "08:00", "24:00"; a window that ends before it begins goes over midnight */
    char *time_zone; /* of the IANA database; NULL: UTC */
    struct pool_stock floor;
};

/* What is allowed for the code of some functions beyond the rest. The first that matches counts. */
struct policy_function {
    char *name;
    char **functions, **tenants, **languages; /* patterns; NULL: any */
    guint reuse_max;            /* executions of the same function and tenant in one instance; 1: none is used again */
    gint64 reuse_keep_ms;       /* how long an instance waits for the next one */
    gboolean stage;             /* code that is known before the request is put in place */
    gboolean preload_libraries; /* the libraries of the notification are imported before the request */
    char **preload;             /* so are these */
    gboolean share_code;        /* the cache may serve it to other tenants, by its digest */
    gboolean
        retry_out_of_memory; /* run once more, with more memory, when it ran out of it before it had put out anything; not when it ran into its own limit */
    double retry_memory;     /* of what the first one had: 1.5 */
};

/* How one of the ways to an instance is chosen. */
struct policy_paths {
    double confidence; /* that the instance is ready by the expected arrival */
    gint64 running_estimate_ms, paused_estimate_ms,
        saved_estimate_ms; /* before anything was learned; boot: boot_estimate_ms */
    double overrun;        /* a path that takes longer than this times its prediction is helped by the next one */
    gint64 half_life_ms;   /* a duration weighs half after this time */
    double memory_cost;    /* of a GiB-hour held while waiting */
    double cpu_cost;       /* of a CPU-second spent */
    double running_cost, paused_cost; /* of an instance taken out of the stock */
};

/* Pacing of warm-ups, which yield to all other starts. */
struct policy_warming {
    guint warmups_max, warmups_per_host; /* at a time */
    gint64 lead_ms;                      /* a registered reservation raises the target this long before its arrival */
    gint64 miss_half_life_ms;            /* a miss raises it, and is half forgotten after this */
    gint64 retry_ms;                     /* after a warm-up that failed */
};

struct policy {
    gint ref_count;
    guint version;        /* number in the policy database; 0: not loaded yet */
    GPtrArray *profiles;  /* struct policy_profile, smallest first */
    GPtrArray *classes;   /* struct policy_class, by score_max */
    GPtrArray *rules;     /* struct policy_rule, in the order of the files */
    GPtrArray *pools;     /* struct policy_pool */
    GPtrArray *windows;   /* struct policy_window */
    GPtrArray *functions; /* struct policy_function, in the order of the files */
    struct policy_provisioning provisioning;
    struct policy_scaling scaling;
    struct policy_limits limits;
    struct policy_history history;
    struct policy_paths paths;
    struct policy_warming warming;
};

struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);
typedef struct policy policy_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(policy_auto, policy_unref)

/* A copy of which only the version differs. */
struct policy *policy_with_version(const struct policy *policy, guint version);

/* One file of a policy, as text. */
struct policy_source {
    char *name; /* file name, for messages */
    char *text;
};

CODEC_DECLARE(policy_source)

/* The policy of all sources together (struct policy_source in `sources`). Profiles, classes and rules add up, their names are unique;
 * a section that is given twice is an error. NULL with HBR_ERROR_INVALID "file:line: what is wrong; what would be right". */
struct policy *policy_parse(const GPtrArray *sources, GError **error);

/* All *.yaml files of a directory, in the order of their names, or one file. Free with g_ptr_array_unref (its elements free
 * themselves). */
GPtrArray *policy_sources_read(const char *path, GError **error);

/* The whole policy as JSON, defaults filled in: what policy-show prints. It is itself a policy file (JSON is YAML): parsing it gives the
 * same policy. */
json_t *policy_to_json(const struct policy *policy);

/* {"profiles": [{"name", "template", "initial", "maximum"}], "classes": [{"name", "score_max", "profile", "demand"}]} with shapes and
 * demands in the numbers of the API. */
json_t *policy_profiles_to_json(const struct policy *policy);

const struct policy_pool *policy_find_pool(const struct policy *policy, const char *name);

/* What is allowed for the code: the first of policy->functions that matches, or one with the defaults. Never NULL. */
const struct policy_function *policy_function_of(const struct policy *policy, const struct code_metadata *code);

/* The pool's floor at that time: its own, or of the open windows where they are higher. `*ret_window` (may be NULL) names the window that counts
 * most, or is NULL. */
struct pool_stock policy_pool_floor(const struct policy *policy, const struct policy_pool *pool, gint64 now,
                                    const char **ret_window);

/* When a window of the pool next opens or closes; CLOCK_NEVER without windows. At most a day ahead: ask again then. */
gint64 policy_pool_changes_at(const struct policy *policy, const struct policy_pool *pool, gint64 now);

const struct policy_profile *policy_find_profile(const struct policy *policy, const char *name);

/* The class of a score: the first whose score_max is not below it. Never NULL (a checked policy ends with 100). */
const struct policy_class *policy_class_of_score(const struct policy *policy, double score);

/* The first class whose profile's initial shape covers such an amount (GPUs: its maximum), the last when none does. Never NULL. */
const struct policy_class *policy_class_of_shape(const struct policy *policy, const struct vm_shape *need);

/* The share of runs that gets all that it needs of a resource: the critical ratio of its prices, shortage / (shortage + waste), at which the
 * expected cost of both is least (Arrow, Harris and Marschak, Optimal Inventory Policy, Econometrica 19, 1951, 250-272); from 0.5, since nothing is
 * known below the median, to 0.999. */
double policy_quantile(const struct policy *policy, enum resource resource);

/* What is provided for of a demand: its amount at that quantile, in vCPUs, MiB or Mbit/s. */
double policy_need(const struct policy *policy, const struct demand *demand, enum resource resource);

/* Whole vCPUs for a need of CPUs kept busy: at least 1, rounded up once it exceeds a whole number by more than a quarter, because
 * even code with one thread is seen to keep a few percent more than one CPU busy. */
guint policy_whole_vcpus(double need);

gboolean policy_rule_matches(const struct policy_rule *rule, const struct code_metadata *code);
