/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/sections.h"

#include "model/limits.h"
#include "policy/policy.h"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

#define SECTION(name, text) \
    static const struct policy_section name##_section = {text, name##_keys, G_N_ELEMENTS(name##_keys)}

/* Bounds of what only has to be finite. */
#define BYTES_MAX 1099511627776000.0 /* 1000 TiB */
#define ITEMS_MAX 1e12
#define DURATION_MAX (366.0 * 86400 * 1000)

CODEC_WORDS_DEFINE(policy_sizing_words, "profile", "demand");
CODEC_WORDS_DEFINE(policy_controller_words, "deep", "simple");

#define SHAPE_KEYS(owner, member, vcpus_flags, vcpus_default, memory_flags)                                    \
    {"vcpus",       "vCPUs", POLICY_UINT,    QUANTITY_COUNT, vcpus_flags, AT(owner, member.vcpus),             \
     vcpus_default, 1,       MODEL_VCPUS_MAX},                                                                 \
        {"memory", "memory", POLICY_UINT,         QUANTITY_MEMORY, memory_flags, AT(owner, member.memory_mib), \
         0,        64,       MODEL_MEMORY_MIB_MAX},                                                            \
        {"network",                                                                                            \
         "network bandwidth each way; not limited when absent",                                                \
         POLICY_UINT,                                                                                          \
         QUANTITY_RATE,                                                                                        \
         POLICY_SPARSE,                                                                                        \
         AT(owner, member.network_mbps),                                                                       \
         0,                                                                                                    \
         1,                                                                                                    \
         MODEL_NETWORK_MBPS_MAX},                                                                              \
        {"disk",                                                                                               \
         "bandwidth of its own disk each way; not limited when absent",                                        \
         POLICY_UINT,                                                                                          \
         QUANTITY_THROUGHPUT,                                                                                  \
         POLICY_SPARSE,                                                                                        \
         AT(owner, member.disk_mbps),                                                                          \
         0,                                                                                                    \
         1,                                                                                                    \
         MODEL_DISK_MBPS_MAX},                                                                                 \
    {                                                                                                          \
        "cpu_cap", "cap on CPU time over all vCPUs, in percent of one CPU; none when absent", POLICY_UINT,     \
            QUANTITY_PERCENT, POLICY_SPARSE, AT(owner, member.cpu_percent), 0, 1, MODEL_VCPUS_MAX * 100        \
    }

/* clang-format off */
static const struct policy_key maximum_keys[] = {
    SHAPE_KEYS(policy_profile, maximum, POLICY_SPARSE, 0, POLICY_SPARSE),
};
SECTION(maximum, "maximum");

static const struct policy_key profile_keys[] = {
    { "name", "what classes and people call it", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_profile, name) },
    { "template", "domain template that its VMs are defined from", POLICY_NAME, .flags = POLICY_REQUIRED,
      .offset = AT(policy_profile, template) },
    SHAPE_KEYS(policy_profile, initial, POLICY_REQUIRED, 1, POLICY_REQUIRED),
    { "gpus", "GPUs that a VM may have; it gets as many as the demand asks for", POLICY_UINT, QUANTITY_COUNT, POLICY_SPARSE,
      AT(policy_profile, maximum.gpus), 0, 0, MODEL_GPUS_MAX },
    { "maximum", "what a VM may grow to; what is absent stays as above", POLICY_SECTION, .nested = &maximum_section },
};
SECTION(profile, "profile");

#define QUANTILES(name, quantity, max) \
    static const struct policy_key name##_keys[] = { \
        { "p50", "exceeded in half of the cases", POLICY_DOUBLE, quantity, POLICY_REQUIRED, AT(quantiles, p50), 0, 0, max }, \
        { "p90", "exceeded in one case of ten", POLICY_DOUBLE, quantity, POLICY_REQUIRED, AT(quantiles, p90), 0, 0, max }, \
        { "p99", "exceeded in one case of a hundred", POLICY_DOUBLE, quantity, POLICY_REQUIRED, AT(quantiles, p99), 0, 0, max }, \
    }
QUANTILES(vcpus, QUANTITY_NUMBER, MODEL_VCPUS_MAX);
SECTION(vcpus, "vcpus");
QUANTILES(memory, QUANTITY_MEMORY, MODEL_MEMORY_MIB_MAX);
SECTION(memory, "memory");
QUANTILES(network, QUANTITY_RATE, MODEL_NETWORK_MBPS_MAX);
SECTION(network, "network");
QUANTILES(duration, QUANTITY_DURATION, DURATION_MAX);
SECTION(duration, "duration");

static const struct policy_key demand_keys[] = {
    { "vcpus", "CPUs kept busy", POLICY_SECTION, .flags = POLICY_REQUIRED, .offset = AT(policy_class, demand.vcpus),
      .nested = &vcpus_section },
    { "memory", "memory used by the code", POLICY_SECTION, .flags = POLICY_REQUIRED, .offset = AT(policy_class, demand.memory_mib),
      .nested = &memory_section },
    { "network", "network rate; none when absent", POLICY_SECTION, .offset = AT(policy_class, demand.network_mbps), .nested = &network_section },
    { "duration", "run time; not known when absent", POLICY_SECTION, .offset = AT(policy_class, demand.duration_ms), .nested = &duration_section },
    { "gpus", "GPUs", POLICY_UINT, QUANTITY_COUNT, POLICY_SPARSE, AT(policy_class, demand.gpus), 0, 0, MODEL_GPUS_MAX },
};
SECTION(demand, "demand");

static const struct policy_key class_keys[] = {
    { "name", "what people call it", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_class, name) },
    { "score_max", "highest score of the class; that of the last class is 100", POLICY_DOUBLE, QUANTITY_NUMBER, POLICY_REQUIRED,
      AT(policy_class, score_max), 0, 0, 100 },
    { "profile", "profile of its VMs", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_class, profile) },
    { "demand", "need assumed of code of the class, before the effects of rules", POLICY_SECTION, .flags = POLICY_REQUIRED, .nested = &demand_section },
};
SECTION(class, "class");

#define WORDS(name, help, member) { name, help, POLICY_WORDS, .offset = AT(policy_rule, member) }
#define BOUND(name, help, quantity, member, max) \
    { name, help, POLICY_INT64, quantity, POLICY_SPARSE, AT(policy_rule, member), -1, 0, max }
static const struct policy_key when_keys[] = {
    WORDS("language", "the language; case does not matter", languages),
    WORDS("libraries", "any of the libraries; case does not matter", libraries),
    WORDS("algorithm", "the kind of algorithm; case does not matter", algorithms),
    WORDS("function", "the function", functions),
    WORDS("tenant", "the tenant (\"default\" when none was told)", tenants),
    BOUND("code_min", "size of the code, at least", QUANTITY_BYTES, code_bytes_min, BYTES_MAX),
    BOUND("code_max", "size of the code, at most", QUANTITY_BYTES, code_bytes_max, BYTES_MAX),
    BOUND("payload_min", "size of the payload, at least", QUANTITY_BYTES, payload_bytes_min, BYTES_MAX),
    BOUND("payload_max", "size of the payload, at most", QUANTITY_BYTES, payload_bytes_max, BYTES_MAX),
    BOUND("input_min", "size of the input data, at least", QUANTITY_BYTES, input_bytes_min, BYTES_MAX),
    BOUND("input_max", "size of the input data, at most", QUANTITY_BYTES, input_bytes_max, BYTES_MAX),
    BOUND("items_min", "items of the payload, at least", QUANTITY_COUNT, payload_items_min, ITEMS_MAX),
    BOUND("items_max", "items of the payload, at most", QUANTITY_COUNT, payload_items_max, ITEMS_MAX),
    BOUND("depth_min", "depth of the payload, at least", QUANTITY_COUNT, payload_depth_min, ITEMS_MAX),
    BOUND("depth_max", "depth of the payload, at most", QUANTITY_COUNT, payload_depth_max, ITEMS_MAX),
    BOUND("parallelism_min", "threads or processes, at least", QUANTITY_COUNT, parallelism_min, MODEL_VCPUS_MAX),
    BOUND("parallelism_max", "threads or processes, at most", QUANTITY_COUNT, parallelism_max, MODEL_VCPUS_MAX),
    { "gpu", "whether the code says that it uses a GPU", POLICY_BOOL, .flags = POLICY_SPARSE, .offset = AT(policy_rule, gpu), .fallback = -1 },
};
SECTION(when, "when");

#define EFFECT(name, help, quantity, member, fallback, min, max) \
    { name, help, POLICY_DOUBLE, quantity, POLICY_SPARSE, AT(policy_rule, member), fallback, min, max }
static const struct policy_key then_keys[] = {
    EFFECT("score", "points added", QUANTITY_NUMBER, score, 0, -100, 100),
    EFFECT("vcpus_factor", "multiplies the vCPUs", QUANTITY_NUMBER, vcpus_factor, 1, 0.01, 100),
    EFFECT("memory_factor", "multiplies the memory", QUANTITY_NUMBER, memory_factor, 1, 0.01, 100),
    EFFECT("network_factor", "multiplies the network rate", QUANTITY_NUMBER, network_factor, 1, 0.01, 100),
    EFFECT("duration_factor", "multiplies the run time", QUANTITY_NUMBER, duration_factor, 1, 0.001, 1000),
    EFFECT("memory_per_input", "memory added for each MiB of input and payload", QUANTITY_MEMORY, memory_per_input, 0, 0, 1024),
    EFFECT("vcpus_per_parallelism", "vCPUs for each thread or process that the code says it uses, at least", QUANTITY_NUMBER,
           vcpus_per_parallelism, 0, 0, 16),
    EFFECT("vcpus_min", "vCPUs, at least", QUANTITY_NUMBER, vcpus_min, 0, 0, MODEL_VCPUS_MAX),
    EFFECT("memory_min", "memory, at least", QUANTITY_MEMORY, memory_mib_min, 0, 0, MODEL_MEMORY_MIB_MAX),
    EFFECT("network_min", "network rate, at least", QUANTITY_RATE, network_mbps_min, 0, 0, MODEL_NETWORK_MBPS_MAX),
    { "gpus", "GPUs, at least", POLICY_UINT, QUANTITY_COUNT, POLICY_SPARSE, AT(policy_rule, gpus), 0, 0, MODEL_GPUS_MAX },
};
SECTION(then, "then");

static const struct policy_key rule_keys[] = {
    { "name", "named in the reasons of a prediction", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_rule, name) },
    { "when", "conditions, which must all hold; always when absent", POLICY_SECTION, .nested = &when_section },
    { "then", "effects", POLICY_SECTION, .flags = POLICY_REQUIRED, .nested = &then_section },
};
SECTION(rule, "rule");

#define STOCK_KEYS(owner, member) \
    { "running", "instances that run idle", POLICY_UINT, QUANTITY_COUNT, POLICY_SPARSE, AT(owner, member.running), 0, 0, 10000 }, \
    { "paused", "suspended instances", POLICY_UINT, QUANTITY_COUNT, POLICY_SPARSE, AT(owner, member.paused), 0, 0, 10000 }, \
    { "saved", "1: a saved state is kept, from which any number of clones is made", POLICY_UINT, QUANTITY_COUNT, POLICY_SPARSE, AT(owner, member.saved), 0, 0, 1 }

static const struct policy_key pool_maximum_keys[] = {
    SHAPE_KEYS(policy_pool, maximum, POLICY_SPARSE, 0, POLICY_SPARSE),
};
static const struct policy_section pool_maximum_section = {"maximum", pool_maximum_keys, G_N_ELEMENTS(pool_maximum_keys)};

static const struct policy_key pool_floor_keys[] = { STOCK_KEYS(policy_pool, floor) };
static const struct policy_section pool_floor_section = {"floor", pool_floor_keys, G_N_ELEMENTS(pool_floor_keys)};

static const struct policy_key pool_ceiling_keys[] = { STOCK_KEYS(policy_pool, ceiling) };
static const struct policy_section pool_ceiling_section = {"ceiling", pool_ceiling_keys, G_N_ELEMENTS(pool_ceiling_keys)};

static const struct policy_key pool_keys[] = {
    { "name", "what windows and people call it", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_pool, name) },
    { "template", "domain template of its instances", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_pool, template) },
    { "labels", "what a host must carry to have the pool; every host has it when absent", POLICY_WORDS, .offset = AT(policy_pool, labels) },
    SHAPE_KEYS(policy_pool, shape, POLICY_REQUIRED, 1, POLICY_REQUIRED),
    { "maximum", "what an instance may grow to, when it is claimed and later; what is absent stays as above", POLICY_SECTION,
      .nested = &pool_maximum_section },
    { "floor", "stock that is always kept", POLICY_SECTION, .nested = &pool_floor_section },
    { "ceiling", "stock that registered reservations and misses may raise it to; what is absent or 0 is the floor", POLICY_SECTION,
      .nested = &pool_ceiling_section },
    { "max_age", "an instance older than this is replaced", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_pool, max_age_ms), 24 * 3600e3, 1000, DURATION_MAX },
    { "idle_budget", "memory that waiting instances may hold, in MiB-hours per hour; not bounded when absent", POLICY_UINT, QUANTITY_MEMORY,
      POLICY_SPARSE, AT(policy_pool, idle_budget_mib), 0, 1, MODEL_MEMORY_MIB_MAX },
};
SECTION(pool, "pool");

static const struct policy_key window_floor_keys[] = { STOCK_KEYS(policy_window, floor) };
static const struct policy_section window_floor_section = {"floor", window_floor_keys, G_N_ELEMENTS(window_floor_keys)};

static const struct policy_key window_keys[] = {
    { "name", "named as the reason of a target", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_window, name) },
    { "pool", "the pool", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_window, pool) },
    { "days", "mon, tue, wed, thu, fri, sat, sun, on which it begins; every day when absent", POLICY_WORDS, .offset = AT(policy_window, days) },
    { "from", "time of the day, such as \"08:00\"", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_window, from) },
    { "to", "time of the day, up to \"24:00\"; before \"from\": on the next day", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_window, to) },
    { "time_zone", "of both, such as Europe/Berlin; UTC when absent", POLICY_NAME, .flags = POLICY_SPARSE, .offset = AT(policy_window, time_zone) },
    { "floor", "stock that is kept meanwhile", POLICY_SECTION, .flags = POLICY_REQUIRED, .nested = &window_floor_section },
};
SECTION(window, "window");

static const struct policy_key function_keys[] = {
    { "name", "what people call it", POLICY_NAME, .flags = POLICY_REQUIRED, .offset = AT(policy_function, name) },
    { "function", "the functions; any when absent", POLICY_WORDS, .offset = AT(policy_function, functions) },
    { "tenant", "their tenants; any when absent", POLICY_WORDS, .offset = AT(policy_function, tenants) },
    { "language", "their languages; any when absent", POLICY_WORDS, .offset = AT(policy_function, languages) },
    { "reuse_max", "executions of the same function and tenant that may run in one instance, one after another", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_function, reuse_max), 1, 1, 1000000 },
    { "reuse_keep", "how long an instance waits for the next of them", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_function, reuse_keep_ms), 60e3, 100, DURATION_MAX },
    { "stage", "whether code that is known before the request is put in place", POLICY_BOOL, .offset = AT(policy_function, stage), .fallback = TRUE },
    { "preload_libraries", "whether the interpreter imports the libraries of the notification before the request", POLICY_BOOL,
      .offset = AT(policy_function, preload_libraries), .fallback = FALSE },
    { "preload", "modules that it imports besides", POLICY_WORDS, .offset = AT(policy_function, preload) },
    { "share_code", "whether cached code may be used by other tenants that know its digest", POLICY_BOOL, .offset = AT(policy_function, share_code), .fallback = FALSE },
    { "retry_out_of_memory", "whether a run that ran out of memory before it put out anything is run once more, with more memory", POLICY_BOOL,
      .offset = AT(policy_function, retry_out_of_memory), .fallback = FALSE },
    { "retry_memory", "the memory of the second run, by that of the first", POLICY_DOUBLE, QUANTITY_NUMBER, 0, AT(policy_function, retry_memory), 1.5, 1.1, 10 },
};
SECTION(function, "function");

static const struct policy_key paths_keys[] = {
    { "confidence", "that an instance is ready by the expected arrival", POLICY_DOUBLE, QUANTITY_SHARE, 0, AT(policy_paths, confidence), 0.95, 0.5, 0.99 },
    { "running_estimate", "time that a claim of a running instance takes, before anything was learned", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_paths, running_estimate_ms), 100, 1, 3600e3 },
    { "paused_estimate", "the same of a paused one", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_paths, paused_estimate_ms), 150, 1, 3600e3 },
    { "saved_estimate", "the same of a clone of a saved state", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_paths, saved_estimate_ms), 1000, 1, 3600e3 },
    { "overrun", "a path that takes this many times as long as predicted gets the next one beside it", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_paths, overrun), 2, 1, 100 },
    { "half_life", "a duration that was seen weighs half after this time", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_paths, half_life_ms), 6 * 3600e3, 1000, DURATION_MAX },
    { "memory_cost", "cost of a GiB held for an hour before it is used", POLICY_DOUBLE, QUANTITY_NUMBER, 0, AT(policy_paths, memory_cost), 1, 0, 1e6 },
    { "cpu_cost", "cost of a second of CPU time spent on the way", POLICY_DOUBLE, QUANTITY_NUMBER, 0, AT(policy_paths, cpu_cost), 0.01, 0, 1e6 },
    { "running_cost", "cost of taking a running instance from its pool", POLICY_DOUBLE, QUANTITY_NUMBER, 0, AT(policy_paths, running_cost), 0.05, 0, 1e6 },
    { "paused_cost", "the same of a paused one", POLICY_DOUBLE, QUANTITY_NUMBER, 0, AT(policy_paths, paused_cost), 0.03, 0, 1e6 },
};
SECTION(paths, "paths");

static const struct policy_key warming_keys[] = {
    { "warmups", "most instances being warmed up at a time", POLICY_UINT, QUANTITY_COUNT, 0, AT(policy_warming, warmups_max), 4, 1, 10000 },
    { "warmups_per_host", "the same on one host", POLICY_UINT, QUANTITY_COUNT, 0, AT(policy_warming, warmups_per_host), 1, 1, 1000 },
    { "lead", "a registered reservation raises the target so long before it is due", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_warming, lead_ms), 60e3, 0, DURATION_MAX },
    { "miss_half_life", "a miss raises the target, and is half forgotten after this time", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_warming, miss_half_life_ms), 600e3, 1000, DURATION_MAX },
    { "retry", "pause after a warm-up that failed", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_warming, retry_ms), 10e3, 100, 3600e3 },
};
SECTION(warming, "warming");

#define PRICE(name, unit, shortage_default, waste_default) \
    static const struct policy_key name##_price_keys[] = { \
        { "shortage", "price of " unit " that a run needs and does not have", POLICY_DOUBLE, QUANTITY_NUMBER, 0, \
          AT(policy_price, shortage), shortage_default, 0.001, 1e6 }, \
        { "waste", "price of " unit " that it has and does not need", POLICY_DOUBLE, QUANTITY_NUMBER, 0, \
          AT(policy_price, waste), waste_default, 0.001, 1e6 }, \
    }; \
    static const struct policy_section name##_price_section = {#name " price", name##_price_keys, G_N_ELEMENTS(name##_price_keys)}
PRICE(cpu, "a vCPU", 9, 1);
PRICE(memory, "a GiB", 4, 0.125);
PRICE(network, "100 Mbit/s", 0.9, 0.1);
PRICE(disk, "100 MB/s", 0.9, 0.1);

static const struct policy_key prices_keys[] = {
    { "cpu", "of vCPUs", POLICY_SECTION, .offset = AT(policy_provisioning, prices[RESOURCE_CPU]), .nested = &cpu_price_section },
    { "memory", "of memory", POLICY_SECTION, .offset = AT(policy_provisioning, prices[RESOURCE_MEMORY]), .nested = &memory_price_section },
    { "network", "of the network rate", POLICY_SECTION, .offset = AT(policy_provisioning, prices[RESOURCE_NETWORK]), .nested = &network_price_section },
    { "disk", "of the disk throughput, which the simple controller begins with", POLICY_SECTION,
      .offset = AT(policy_provisioning, prices[RESOURCE_DISK]), .nested = &disk_price_section },
};
SECTION(prices, "prices");

static const struct policy_key provisioning_keys[] = {
    { "prices", "of shortage and waste, which choose the quantile of the demand that is provided for", POLICY_SECTION, .nested = &prices_section },
    { "sizing", "profile: a VM starts with its profile's shape, or its demand's where that is larger; demand: with its demand's alone", POLICY_CHOICE,
      .offset = AT(policy_provisioning, sizing), .fallback = SIZING_PROFILE, .words = &policy_sizing_words },
    { "headroom", "factor on the memory and network of the demand; what the guest itself needs comes on top", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_provisioning, headroom), 1.25, 1, 10 },
    { "memory_min", "least memory of a VM sized by its demand", POLICY_UINT, QUANTITY_MEMORY, 0,
      AT(policy_provisioning, memory_min_mib), 256, 64, MODEL_MEMORY_MIB_MAX },
    { "memory_step", "the memory of such a VM is a multiple of this", POLICY_UINT, QUANTITY_MEMORY, 0,
      AT(policy_provisioning, memory_step_mib), 128, 2, 65536 },
    { "margin", "an instance is ready this long before the expected arrival", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_provisioning, margin_ms), 500, 0, 3600e3 },
    { "boot_estimate", "time that a start takes, before anything was learned", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_provisioning, boot_estimate_ms), 5e3, 1, 3600e3 },
    { "no_show", "a reservation expires this long after the expected arrival, or its readiness if that is later", POLICY_INT64,
      QUANTITY_DURATION, 0, AT(policy_provisioning, no_show_ms), 60e3, 100, DURATION_MAX },
    { "boot_timeout", "an instance that is not ready by then is given up", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_provisioning, boot_timeout_ms), 60e3, 100, 3600e3 },
    { "boot_attempts", "instances tried for a reservation or execution", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_provisioning, boot_attempts), 2, 1, 100 },
};
SECTION(provisioning, "provisioning");

static const struct policy_key scaling_keys[] = {
    { "enabled", "whether running instances grow", POLICY_BOOL, .offset = AT(policy_scaling, enabled), .fallback = TRUE },
    { "sample_interval", "how often usage is looked at", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, sample_interval_ms), 1e3, 50, 3600e3 },
    { "grow_above", "usage of a resource above this multiple of its prediction makes the instance grow", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_scaling, grow_above), 1.2, 1, 100 },
    { "grow_to", "the resource then grows to this multiple, which is the prediction from then on", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_scaling, grow_to), 1.5, 1, 100 },
    { "step_max", "one step multiplies a resource by at most this", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_scaling, step_max), 2, 1.1, 100 },
    { "pressure", "usage above this share of what the VM has makes it grow, too", POLICY_DOUBLE, QUANTITY_SHARE, 0,
      AT(policy_scaling, pressure), 0.9, 0.1, 1 },
    { "confirm_timeout", "a change that the guest has not confirmed by then has failed", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, confirm_timeout_ms), 5e3, 100, 600e3 },
    { "controller", "deep: by the expected cost of shortage and waste, up and down; simple: by grow_above and grow_to alone, up only", POLICY_CHOICE,
      .offset = AT(policy_scaling, controller), .fallback = CONTROLLER_DEEP, .words = &policy_controller_words },
    { "cpu_shortage", "a second short of CPU costs as much as so many CPUs held for a second for nothing", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_scaling, cpu_shortage), 2, 0.01, 1e6 },
    { "memory_shortage", "a second short of memory costs as much as so much held for a second for nothing", POLICY_DOUBLE, QUANTITY_MEMORY, 0,
      AT(policy_scaling, memory_shortage_mib), 2048, 1, 1e9 },
    { "network_shortage", "a second short of network rate costs as much as so much held for a second for nothing", POLICY_DOUBLE, QUANTITY_RATE, 0,
      AT(policy_scaling, network_shortage_mbps), 100, 0.01, 1e6 },
    { "disk_shortage", "a second short of disk throughput costs as much as so much held for a second for nothing", POLICY_DOUBLE,
      QUANTITY_THROUGHPUT, 0, AT(policy_scaling, disk_shortage_mbps), 100, 0.01, 1e6 },
    { "false_alarms", "usage as predicted is taken for a drift once in this time, on average", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, false_alarms_ms), 3600e3, 1000, DURATION_MAX },
    { "shrink", "whether running instances shrink", POLICY_BOOL, .offset = AT(policy_scaling, shrink), .fallback = TRUE },
    { "hysteresis", "a resource shrinks to what is wanted and this share more", POLICY_DOUBLE, QUANTITY_SHARE, 0,
      AT(policy_scaling, hysteresis), 0.1, 0, 1 },
    { "dwell", "less must be wanted for so long before a resource shrinks", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, dwell_ms), 10e3, 0, DURATION_MAX },
    { "dwell_max", "the longest that it becomes, as it doubles each time that a growth follows a shrink soon", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, dwell_max_ms), 600e3, 0, DURATION_MAX },
    { "grow_pause", "between a change of a resource and its next growth, unless the guest is under pressure", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, grow_pause_ms), 0, 0, DURATION_MAX },
    { "shrink_pause", "between a change of a resource and its next shrinking", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, shrink_pause_ms), 5e3, 0, DURATION_MAX },
    { "changes_per_minute", "most changes of one resource of an instance in a minute, at most 16; 0: any number", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_scaling, changes_per_minute), 12, 0, 16 },
    { "host_changes_per_minute", "most changes on a host in a minute, those under pressure not counted; 0: any number", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_scaling, host_changes_per_minute), 600, 0, 1e6 },
    { "stall", "the guest tells at once when tasks stood still for CPU, memory or disk for this share of stall_window; 0: it does not", POLICY_DOUBLE,
      QUANTITY_SHARE, 0, AT(policy_scaling, stall), 0.2, 0, 1 },
    { "stall_window", "the time over which stalls are counted", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_scaling, stall_window_ms), 500, 500, 10000 },
    { "migrate", "whether ready instances are moved from a full host to make room for running ones", POLICY_BOOL, .offset = AT(policy_scaling, migrate), .fallback = FALSE },
};
SECTION(scaling, "scaling");

static const struct policy_key limits_keys[] = {
    { "wall", "longest run of one execution", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_limits, wall_ms), 3600e3, 100, DURATION_MAX },
    { "output", "most output of one execution", POLICY_INT64, QUANTITY_BYTES, 0, AT(policy_limits, output_bytes), 67108864, 4096, 1e13 },
    { "pids", "most processes and threads of one execution", POLICY_UINT, QUANTITY_COUNT, 0, AT(policy_limits, pids), 512, 1, 4194304 },
    { "queue", "an execution without a deadline waits at most this long for room", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_limits, queue_ms), 60e3, 0, DURATION_MAX },
    { "reservations", "most open reservations", POLICY_UINT, QUANTITY_COUNT, 0, AT(policy_limits, reservations_max), 200000, 1, 10e6 },
    { "executions", "most open executions", POLICY_UINT, QUANTITY_COUNT, 0, AT(policy_limits, executions_max), 10000, 1, 1e6 },
    { "boots_per_host", "most instances being started on a host at a time", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_limits, boots_per_host_max), 4, 1, 1000 },
    { "boots_per_tenant", "most instances being started for one tenant at a time", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_limits, boots_per_tenant_max), 64, 1, 10000 },
    { "vcpus_per_tenant", "vCPUs that the instances of a tenant may grow to have together; 0: any number", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_limits, vcpus_per_tenant), 0, 0, 1e6 },
    { "memory_per_tenant", "memory that they may grow to have together; 0: any amount", POLICY_UINT, QUANTITY_MEMORY, 0,
      AT(policy_limits, memory_per_tenant_mib), 0, 0, 4e9 },
    { "code", "largest program that is fetched", POLICY_INT64, QUANTITY_BYTES, 0, AT(policy_limits, code_bytes), 4194304, 1, 4194304 },
    { "code_fetch", "longest time that fetching a program may take", POLICY_INT64, QUANTITY_DURATION, 0, AT(policy_limits, code_fetch_ms), 10e3, 100, 600e3 },
    { "finished_kept", "finished objects kept in memory; older ones are read from the database", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_limits, finished_kept), 10000, 0, 1e6 },
    { "idempotency", "how long an idempotency key is remembered", POLICY_INT64, QUANTITY_DURATION, 0,
      AT(policy_limits, idempotency_ms), 86400e3, 1000, DURATION_MAX },
};
SECTION(limits, "limits");

static const struct policy_key history_keys[] = {
    { "samples_min", "so many executions of a function, and its history is preferred to the rules", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_history, samples_min), 1, 1, 1024 },
    { "samples_max", "newest executions of a function that are looked at", POLICY_UINT, QUANTITY_COUNT, 0,
      AT(policy_history, samples_max), 64, 1, 1024 },
    { "half_life", "an execution weighs half when so many newer ones are known", POLICY_DOUBLE, QUANTITY_NUMBER, 0,
      AT(policy_history, half_life_samples), 8, 0.1, 10000 },
};
SECTION(history, "history");
/* clang-format on */

const struct policy_top policy_tops[] = {
    {"profiles", &profile_section, TRUE, AT(policy, profiles), sizeof(struct policy_profile)},
    {"classes", &class_section, TRUE, AT(policy, classes), sizeof(struct policy_class)},
    {"rules", &rule_section, TRUE, AT(policy, rules), sizeof(struct policy_rule)},
    {"pools", &pool_section, TRUE, AT(policy, pools), sizeof(struct policy_pool)},
    {"windows", &window_section, TRUE, AT(policy, windows), sizeof(struct policy_window)},
    {"functions", &function_section, TRUE, AT(policy, functions), sizeof(struct policy_function)},
    {"provisioning", &provisioning_section, FALSE, AT(policy, provisioning), sizeof(struct policy_provisioning)},
    {"scaling", &scaling_section, FALSE, AT(policy, scaling), sizeof(struct policy_scaling)},
    {"limits", &limits_section, FALSE, AT(policy, limits), sizeof(struct policy_limits)},
    {"history", &history_section, FALSE, AT(policy, history), sizeof(struct policy_history)},
    {"paths", &paths_section, FALSE, AT(policy, paths), sizeof(struct policy_paths)},
    {"warming", &warming_section, FALSE, AT(policy, warming), sizeof(struct policy_warming)},
};
const guint policy_top_count = G_N_ELEMENTS(policy_tops);
