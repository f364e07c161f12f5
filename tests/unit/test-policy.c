/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of policy files: nothing wrong is accepted, every refusal says where and what would be right, and what is dumped is what was read. */
#include "policy/quantity.h"
#include "policy/sections.h"

#include "base/clock.h"
#include "base/error.h"
#include "golden.h"
#include "policy-fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The least valid policy in lines 1 to 4. */
#define LEAST                                                 \
    "profiles:\n"                                             \
    "  - { name: p, template: t, vcpus: 2, memory: 1 GiB }\n" \
    "classes:\n"                                              \
    "  - { name: c, score_max: 100, profile: p, demand: " DEMAND " }\n"
#define DEMAND "{ vcpus: { p50: 1, p90: 1, p99: 2 }, memory: { p50: 64 MiB, p90: 256 MiB, p99: 512 MiB } }"

#define POOL LEAST "pools:\n  - { name: a, template: t, vcpus: 1, memory: 1 GiB }\n"

#define PROFILE(text) "profiles:\n  - { name: p, template: t, " text " }\n"
#define CLASSES(text)                                         \
    "profiles:\n"                                             \
    "  - { name: p, template: t, vcpus: 2, memory: 1 GiB }\n" \
    "  - { name: q, template: t, vcpus: 1, memory: 2 GiB }\n" \
    "classes:\n" text

/* One row: a file "x.yaml", and the message that it gets. */
static const struct refusal {
    const char *text;
    const char *message;
} refusals[] = {
    /* pools and windows */
    {LEAST "pools:\n  - { name: a, template: t, vcpus: 2, memory: 1 GiB, maximum: { vcpus: 1 } }\n",
     "x.yaml:6: maximum of pool \"a\" is below what its instances start with; right would be at least 2 vCPU, 1024 MiB"},
    {LEAST
     "pools:\n  - { name: a, template: t, vcpus: 1, memory: 1 GiB, floor: { paused: 3 }, ceiling: { paused: 2 } }\n",
     "x.yaml:6: ceiling of paused of pool \"a\" is below its floor of 3; right would be 3 or more"},
    {LEAST "windows:\n  - { name: w, pool: a, from: \"08:00\", to: \"18:00\", floor: { running: 1 } }\n",
     "x.yaml:6: window \"w\" names pool \"a\", which is not defined; right would be one of the section pools"},
    {POOL "windows:\n  - { name: w, pool: a, days: [mon, sunday], from: \"08:00\", to: \"18:00\", floor: {} }\n",
     "x.yaml:8: \"sunday\" is no day; right would be mon, tue, wed, thu, fri, sat or sun"},
    {POOL "windows:\n  - { name: w, pool: a, from: \"8:00\", to: \"18:00\", floor: {} }\n",
     "x.yaml:8: \"8:00\" is no time of the day; right would be such as \"08:00\""},
    {POOL "windows:\n  - { name: w, pool: a, from: \"08:00\", to: \"24:01\", floor: {} }\n",
     "x.yaml:8: \"24:01\" is no time of the day; right would be such as \"08:00\""},
    {POOL "windows:\n  - { name: w, pool: a, from: \"08:00\", to: \"08:00\", floor: {} }\n",
     "x.yaml:8: window \"w\" ends when it begins; right would be \"00:00\" to \"24:00\" for the whole day"},
    {POOL "windows:\n  - { name: w, pool: a, from: \"08:00\", to: \"18:00\", time_zone: Berlin, floor: {} }\n",
     "x.yaml:8: \"Berlin\" is no time zone that this system knows; right would be such as Europe/Berlin"},
    {POOL "windows:\n  - { name: w, pool: a, from: \"08:00\", to: \"18:00\", time_zone: zone.tab, floor: {} }\n",
     "x.yaml:8: \"zone.tab\" is no time zone that this system knows; right would be such as Europe/Berlin"},
    {LEAST "pools:\n  - { name: a@b, template: t, vcpus: 1, memory: 1 GiB }\n",
     "x.yaml:6: \"a@b\" is no name of a pool; right would be one without @, which stands between it and its host"},
    /* the form */
    {"profiles: [", "x.yaml:2: not valid YAML: while parsing a flow node, did not find expected node content; "
                    "right would be YAML 1.1 in UTF-8"},
    {"a: 1\n b: 2\n",
     "x.yaml:2: not valid YAML: mapping values are not allowed in this context; right would be YAML 1.1 in UTF-8"},
    {"limits:\n\tpids: 3\n",
     "x.yaml:2: not valid YAML: while scanning for the next token, found character that cannot start any token; "
     "right would be YAML 1.1 in UTF-8"},
    {"limits: \"\xff\"\n", "x.yaml:1: not valid YAML: invalid leading UTF-8 octet; right would be YAML 1.1 in UTF-8"},
    {"", "x.yaml:1: there is no profile; right would be a section \"profiles\" with at least one"},
    {"# nothing\n", "x.yaml:2: there is no profile; right would be a section \"profiles\" with at least one"},
    {"- a\n", "x.yaml:1: the file is a list; right would be sections such as profiles, classes and rules"},
    {"text\n", "x.yaml:1: the file is a single value; right would be sections such as profiles, classes and rules"},
    {LEAST "---\na: 1\n", "x.yaml:5: a second document begins here; right would be one document in a file"},
    {"limits: &a { pids: 3 }\n", "x.yaml:1: anchors are not accepted; right would be the value written out "
                                 "(text that begins with & stands in quotes)"},
    {"limits: *a\n", "x.yaml:1: aliases are not accepted; right would be the value written out "
                     "(a pattern that begins with * stands in quotes)"},
    {"limits:\n  pids: !!int 3\n", "x.yaml:2: tags are not accepted; right would be the value alone "
                                   "(text that begins with ! stands in quotes)"},
    {"? [a]\n: 1\n", "x.yaml:1: a key is a list or a mapping; right would be a word"},
    {"limits: [[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]\n",
     "x.yaml:1: nested too deeply; right would be at most 16 levels"},
    {"limits: \"a\\0b\"\n", "x.yaml:1: text contains a NUL character; right would be text without it"},

    /* keys */
    {"profile:\n", "x.yaml:1: a policy has no key \"profile\"; did you mean \"profiles\"?"},
    {"rule: {}\n", "x.yaml:1: a policy has no key \"rule\"; did you mean \"rules\"?"},
    {"warm: {}\n", "x.yaml:1: a policy has no key \"warm\"; right would be one of: profiles, classes, rules, pools, "
                   "windows, functions, provisioning, scaling, limits, history, paths, warming"},
    {"limits:\n  wall: 1 h\nlimits:\n  wall: 2 h\n",
     "x.yaml:3: \"limits\" is given twice, first in line 1; right would be to give it once"},
    {"limits:\n  wall: 1 h\n  pids: 3\n  wall: 2 h\n",
     "x.yaml:4: \"wall\" is given twice, first in line 2; right would be to give it once"},
    {LEAST "limits:\n  wal: 1 h\n", "x.yaml:6: limits has no key \"wal\"; did you mean \"wall\"?"},
    {LEAST "scaling:\n  enable: true\n", "x.yaml:6: scaling has no key \"enable\"; did you mean \"enabled\"?"},
    {"profiles:\n  - name: p\n    vcpus: 1\n", "x.yaml:2: profile has no template; right would be a name"},
    {"profiles:\n  - name: p\n    template: t\n    vcpus: 1\n",
     "x.yaml:2: profile has no memory; right would be 64 MiB to 64 TiB"},
    {"limits:\n", "x.yaml:1: limits is a single value; right would be a mapping of keys to values"},
    {"limits:\n  pids:\n", "x.yaml:2: pids has no value; right would be 1 to 4194304"},
    {"limits:\n  pids: ~\n", "x.yaml:2: pids has no value; right would be 1 to 4194304"},

    /* types and units */
    {"profiles: { name: p }\n",
     "x.yaml:1: profiles is a mapping; right would be a list, each item beginning with \"- name:\""},
    {"profiles: [p]\n", "x.yaml:1: profile is a single value; right would be a mapping of keys to values"},
    {"limits: [1]\n", "x.yaml:1: limits is a list; right would be a mapping of keys to values"},
    {"limits: { pids: [1] }\n", "x.yaml:1: pids is a list; right would be 1 to 4194304"},
    {"limits: { pids: many }\n", "x.yaml:1: pids is \"many\"; right would be a whole number such as \"4\""},
    {"limits: { pids: 1.5 }\n", "x.yaml:1: pids is \"1.5\"; right would be a whole number such as \"4\""},
    {"limits: { pids: 0x10 }\n", "x.yaml:1: pids is \"0x10\"; right would be a whole number such as \"4\""},
    {"limits: { pids: nan }\n", "x.yaml:1: pids is \"nan\"; right would be a whole number such as \"4\""},
    {"limits: { pids: 1e999 }\n", "x.yaml:1: pids is \"1e999\"; right would be a whole number such as \"4\""},
    {"limits: { pids: 3 s }\n", "x.yaml:1: pids is \"3 s\"; right would be a whole number such as \"4\""},
    {"limits: { pids: 0 }\n", "x.yaml:1: pids is \"0\"; right would be 1 to 4194304"},
    {"limits: { pids: -1 }\n", "x.yaml:1: pids is \"-1\"; right would be 1 to 4194304"},
    {"limits: { wall: 3600 }\n",
     "x.yaml:1: wall is \"3600\", without a unit; right would be a duration such as \"30 s\" "
     "(units: ms, s, min, h, d)"},
    {"limits: { wall: 1 hour }\n",
     "x.yaml:1: wall is \"1 hour\"; right would be a duration such as \"30 s\" (units: ms, s, min, h, d)"},
    {"limits: { wall: 1.0001 ms }\n", "x.yaml:1: wall is \"1.0001 ms\"; right would be 100 ms to 366 d"},
    {"limits: { wall: 100.5 ms }\n", "x.yaml:1: wall is \"100.5 ms\"; right would be a whole number of ms"},
    {"limits: { output: 64 MB }\n", "x.yaml:1: output is \"64 MB\"; right would be a size such as \"64 MiB\" "
                                    "(units: B, KiB, MiB, GiB, TiB)"},
    {PROFILE("vcpus: 1, memory: 2 GB"),
     "x.yaml:2: memory is \"2 GB\"; right would be a size such as \"2 GiB\" (units: MiB, GiB, TiB)"},
    {PROFILE("vcpus: 1, memory: 2048"),
     "x.yaml:2: memory is \"2048\", without a unit; right would be a size such as \"2 GiB\" "
     "(units: MiB, GiB, TiB)"},
    {PROFILE("vcpus: 1, memory: 1 GiB, network: 10 MB/s"),
     "x.yaml:2: network is \"10 MB/s\"; right would be a rate such as "
     "\"10 Mbit/s\" (units: kbit/s, Mbit/s, Gbit/s)"},
    {PROFILE("vcpus: 0, memory: 1 GiB"), "x.yaml:2: vcpus is \"0\"; right would be 1 to 1024"},
    {PROFILE("vcpus: 1, memory: 1 MiB"), "x.yaml:2: memory is \"1 MiB\"; right would be 64 MiB to 64 TiB"},
    {"profiles:\n  - { name: \"a b\" }\n",
     "x.yaml:2: name is \"a b\"; right would be a name of letters, digits and ._:/@+- "
     "that begins with a letter or digit and holds no \"..\""},
    {"profiles:\n  - { name: [a] }\n", "x.yaml:2: name is a list; right would be a name"},
    {"scaling: { enabled: yes }\n", "x.yaml:1: enabled is \"yes\"; right would be true or false"},
    {"scaling: { enabled: \"true\" }\n", "x.yaml:1: enabled is \"true\"; right would be true or false"},
    {"scaling: { pressure: 90 }\n", "x.yaml:1: pressure is \"90\"; right would be 10 % to 100 %"},
    {"scaling: { pressure: 90 percent }\n",
     "x.yaml:1: pressure is \"90 percent\"; right would be a share such as \"90 %\" (units: %)"},
    {"provisioning: { sizing: small }\n", "x.yaml:1: sizing is \"small\"; right would be profile or demand"},
    {"provisioning: { prices: { cpu: { waste: 0 } } }\n", "x.yaml:1: waste is \"0\"; right would be 0.001 to 1000000"},
    {"provisioning:\n  prices:\n    memory: { short: 1 }\n",
     "x.yaml:3: memory price has no key \"short\"; right would be one of: shortage, waste"},
    {"provisioning: { prices: { memory: 4 } }\n",
     "x.yaml:1: memory price is a single value; right would be a mapping of keys to values"},
    {"provisioning: { prices: { gpu: { waste: 1 } } }\n", "x.yaml:1: prices has no key \"gpu\"; did you mean \"cpu\"?"},
    {"rules:\n  - { name: r, when: { libraries: [] }, then: { score: 1 } }\n",
     "x.yaml:2: libraries is an empty list; right would be a "
     "pattern, or a list of at most 256 of them"},
    {"rules:\n  - { name: r, when: { libraries: { a: b } }, then: { score: 1 } }\n",
     "x.yaml:2: libraries is a mapping; right would be a "
     "pattern, or a list of at most 256 of them"},
    {"rules:\n  - { name: r, when: { libraries: [[a]] }, then: { score: 1 } }\n",
     "x.yaml:2: libraries is a list; right would be a pattern"},
    {"rules:\n  - { name: r, when: { language: \"\" }, then: { score: 1 } }\n",
     "x.yaml:2: language has a pattern of 0 bytes; right would be 1 to 128"},
    {"rules:\n  - { name: r, then: { score: 101 } }\n", "x.yaml:2: score is \"101\"; right would be -100 to 100"},

    /* contradictions */
    {PROFILE("vcpus: 2, memory: 1 GiB, maximum: { vcpus: 1 }"),
     "x.yaml:2: maximum of vcpus is below what profile \"p\" starts with; "
     "right would be 2 or more"},
    {PROFILE("vcpus: 2, memory: 2 GiB,\n      maximum: { memory: 1 GiB }"),
     "x.yaml:3: maximum of memory is below what profile \"p\" "
     "starts with; right would be 2 GiB or more"},
    {PROFILE("vcpus: 2, memory: 1 GiB, maximum: { network: 1 Gbit/s }"),
     "x.yaml:2: maximum of network is below what profile \"p\" starts "
     "with; right would be to leave it out: it starts without a limit"},
    {PROFILE("vcpus: 1, memory: 1 GiB"),
     "x.yaml:1: there is no class; right would be a section \"classes\" with at least one"},
    {PROFILE("vcpus: 1, memory: 1 GiB") "  - { name: p, template: u, vcpus: 1, memory: 1 GiB }\n",
     "x.yaml:3: profile \"p\" is defined in x.yaml:2 "
     "already; right would be another name"},
    {CLASSES("  - { name: c, score_max: 100, profile: r, demand: " DEMAND " }\n"),
     "x.yaml:5: class \"c\" names profile \"r\", which is not "
     "defined; right would be one of: p, q"},
    {CLASSES("  - { name: c, score_max: 90, profile: p, demand: " DEMAND " }\n"),
     "x.yaml:5: the highest score_max, of class \"c\", is 90; right "
     "would be 100, so that every score has a class"},
    {CLASSES("  - { name: c, score_max: 100, profile: p, demand: " DEMAND " }\n"
             "  - { name: d, score_max: 50, profile: p, demand: " DEMAND " }\n"),
     "x.yaml:6: score_max of class \"d\" is not above the 100 of class \"c\"; right would be classes in the order of their scores, no two with "
     "the same"},
    {CLASSES("  - { name: c, score_max: 50, profile: p, demand: " DEMAND " }\n"
             "  - { name: d, score_max: 100, profile: q, demand: " DEMAND " }\n"),
     "x.yaml:6: class \"d\" stands above class \"c\", but its profile \"q\" is smaller in some way than \"p\"; right would be a profile with at "
     "least as much of everything"},
    {CLASSES("  - name: c\n    score_max: 100\n    profile: p\n    demand:\n      vcpus: { p50: 2, p90: 1, p99: 3 }\n"
             "      memory: { p50: 1 MiB, p90: 2 MiB, p99: 3 MiB }\n"),
     "x.yaml:9: vcpus of class \"c\" falls from one quantile to the next; right would be p50 <= p90 <= p99"},
    {CLASSES("  - name: c\n    score_max: 100\n    profile: p\n    demand:\n      vcpus: { p50: 1, p90: 1, p99: 3 }\n"
             "      memory: { p50: 1 GiB, p90: 2 GiB, p99: 3 GiB }\n"),
     "x.yaml:9: the demand of class \"c\", at the quantiles that the prices choose (1 vCPU, 2579 MiB), is more than its profile \"p\" may grow "
     "to (2 vCPU, 1024 MiB); right would be a smaller demand or a larger profile"},
    {LEAST "rules:\n  - name: r\n    when: { input_min: 2 MiB, input_max: 1 MiB }\n    then: { score: 1 }\n",
     "x.yaml:7: input_max of rule \"r\" is below its input_min, so that it never applies; right would be input_min <= input_max"},
    {LEAST "rules:\n  - { name: r, then: {} }\n",
     "x.yaml:6: rule \"r\" has no effect; right would be a key under \"then\" that changes something"},
    {LEAST "rules:\n  - { name: r, then: { score: 0, memory_factor: 1, network_min: 0 Mbit/s } }\n",
     "x.yaml:6: rule \"r\" has no effect; right would be a key under \"then\" that changes something"},
    {LEAST "rules:\n  - { name: r, when: { gpu: true } }\n", "x.yaml:6: rule has no then; right would be a mapping"},
    {LEAST "scaling:\n  grow_above: 1.5\n  grow_to: 1.5\n",
     "x.yaml:7: grow_to (1.5) is not above grow_above (1.5), so that growing would not "
     "help; right would be grow_above < grow_to"},
    {LEAST "scaling:\n  grow_above: 2\n",
     "x.yaml:6: grow_to (1.5) is not above grow_above (2), so that growing would not help; right would be "
     "grow_above < grow_to"},
    {LEAST "history: { samples_min: 9, samples_max: 8 }\n",
     "x.yaml:5: samples_min (9) is above samples_max (8); right would be samples_min <= "
     "samples_max"},
    {LEAST "provisioning: { boot_timeout: 1 s }\n",
     "x.yaml:5: boot_estimate is above boot_timeout; right would be boot_estimate <= boot_timeout"},
    {LEAST "provisioning: { sizing: demand, memory_min: 2 GiB }\n",
     "x.yaml:5: memory_min (2048 MiB) is above the memory that profile \"p\" starts "
     "with; right would be 1024 MiB or less"},
};

START_TEST(a_bad_file_is_refused_with_its_line_and_what_would_be_right)
{
    const struct refusal *refusal = &refusals[_i];
    g_autoptr(GError) error = NULL;
    struct policy *policy = policy_of_text("x.yaml", refusal->text, &error);
    ck_assert_msg(policy == NULL, "accepted:\n%s", refusal->text);
    ck_assert_str_eq(error->message, refusal->message);
    ck_assert(error->domain == HBR_ERROR && (error->code == HBR_ERROR_INVALID || error->code == HBR_ERROR_TOO_LARGE));
}
END_TEST

START_TEST(the_least_policy_has_the_documented_defaults)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(policy_auto) policy = policy_of_text("x.yaml", LEAST, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_double_eq(policy_quantile(policy, RESOURCE_CPU), 0.9);
    ck_assert_double_eq_tol(policy_quantile(policy, RESOURCE_MEMORY), 0.97, 0.001);
    ck_assert_double_eq(policy_quantile(policy, RESOURCE_NETWORK), 0.9);
    ck_assert_double_eq(policy_quantile(policy, RESOURCE_DISK), 0.9);
    ck_assert_int_eq(policy->provisioning.sizing, SIZING_PROFILE);
    ck_assert_double_eq(policy->provisioning.headroom, 1.25);
    ck_assert_int_eq(policy->provisioning.boot_estimate_ms, 5000);
    ck_assert_int_eq(policy->scaling.enabled, TRUE);
    ck_assert_double_eq(policy->scaling.grow_above, 1.2);
    ck_assert_double_eq(policy->scaling.grow_to, 1.5);
    ck_assert_int_eq(policy->limits.wall_ms, 3600000);
    ck_assert_int_eq(policy->limits.output_bytes, 64 * 1024 * 1024);
    ck_assert_uint_eq(policy->limits.reservations_max, 200000);
    ck_assert_uint_eq(policy->history.samples_max, 64);
    const struct policy_profile *profile = policy_find_profile(policy, "p");
    ck_assert_mem_eq(&profile->initial, &profile->maximum, sizeof profile->initial);
    ck_assert_ptr_null(policy_find_profile(policy, "q"));
}
END_TEST

static const struct {
    const char *price;
    double quantile;
} prices[] = {
    {"shortage: 9, waste: 1", 0.9},       {"shortage: 0.9, waste: 0.1", 0.9},
    {"shortage: 9000, waste: 1000", 0.9}, {"shortage: 1, waste: 1", 0.5},
    {"shortage: 1, waste: 2", 0.5}, /* nothing is known below the median */
    {"shortage: 999, waste: 1", 0.999},   {"shortage: 1000000, waste: 0.001", 0.999},
};

START_TEST(the_quantile_is_the_critical_ratio_of_the_prices)
{
    g_autofree char *text = g_strdup_printf(LEAST "provisioning: { prices: { network: { %s } } }\n", prices[_i].price);
    g_autoptr(policy_auto) policy = policy_of_text("x.yaml", text, NULL);
    ck_assert_double_eq_tol(policy_quantile(policy, RESOURCE_NETWORK), prices[_i].quantile, 1e-12);
    ck_assert_double_eq(policy_quantile(policy, RESOURCE_CPU), 0.9);
    const struct demand demand = {.network_mbps = {1, 2, 3}, .vcpus = {4, 5, 6}};
    ck_assert_double_eq(policy_need(policy, &demand, RESOURCE_NETWORK),
                        quantiles_at(&demand.network_mbps, policy_quantile(policy, RESOURCE_NETWORK)));
    ck_assert_double_eq(policy_need(policy, &demand, RESOURCE_CPU), 5);
}
END_TEST

static char *effective_text(const struct policy *policy)
{
    json_t *json = policy_to_json(policy);
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(json);
    return text;
}

static const char *const shipped_files[] = {"default.yaml", "quickstart.yaml"};

START_TEST(the_effective_shipped_policies_are_known)
{
    g_autoptr(policy_auto) policy = policy_shipped(shipped_files[_i]);
    char *text = effective_text(policy);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    g_autofree char *name = g_strdup_printf("test-policy/%s.json", shipped_files[_i]);
    golden_check(name, line);
    free(text);
}
END_TEST

START_TEST(what_is_dumped_is_a_policy_file_that_gives_the_same)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(policy_auto) policy = policy_shipped(shipped_files[_i]);
    char *text = effective_text(policy);
    g_autoptr(policy_auto) again = policy_of_text("dump.json", text, &error);
    ck_assert_msg(again != NULL, "%s", error != NULL ? error->message : "");
    char *second = effective_text(again);
    ck_assert_str_eq(text, second);
    free(text);
    free(second);
}
END_TEST

START_TEST(the_default_policy_has_the_three_classes_of_the_mission)
{
    static const struct {
        const char *name;
        struct vm_shape initial;
        guint gpus_max;
    } expected[] = {
        {"low", {1, 2048, 10, 0, 0}, 0},
        {"medium", {4, 8192, 50, 0, 0}, 0},
        {"high", {8, 16384, 100, 0, 0}, 1},
    };
    g_autoptr(policy_auto) policy = policy_shipped("default.yaml");
    ck_assert_uint_eq(policy->profiles->len, 3);
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        const struct policy_profile *profile = g_ptr_array_index(policy->profiles, i);
        const struct policy_class *class = g_ptr_array_index(policy->classes, i);
        ck_assert_str_eq(profile->name, expected[i].name);
        ck_assert_str_eq(class->name, expected[i].name);
        ck_assert_str_eq(class->profile, expected[i].name);
        ck_assert(vm_shape_equal(&profile->initial, &expected[i].initial));
        ck_assert(vm_shape_covers(&profile->maximum, &profile->initial));
        ck_assert_uint_eq(profile->maximum.gpus, expected[i].gpus_max);
    }
}
END_TEST

static struct policy *policy_of_two(const char *first, const char *second, GError **error)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    struct policy_source a = {(char *)"a.yaml", (char *)first}, b = {(char *)"b.yaml", (char *)second};
    g_ptr_array_add(sources, &a);
    g_ptr_array_add(sources, &b);
    return policy_parse(sources, error);
}

START_TEST(files_add_up_and_classes_are_sorted_by_score)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(policy_auto) policy = policy_of_two(
        LEAST, "classes:\n  - { name: d, score_max: 50, profile: p, demand: " DEMAND " }\nlimits: { pids: 9 }\n",
        &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_str_eq(policy_class_of_score(policy, 0)->name, "d");
    ck_assert_str_eq(policy_class_of_score(policy, 50)->name, "d");
    ck_assert_str_eq(policy_class_of_score(policy, 50.01)->name, "c");
    ck_assert_str_eq(policy_class_of_score(policy, 100)->name, "c");
    ck_assert_str_eq(policy_class_of_score(policy, 1000)->name, "c");
    ck_assert_uint_eq(policy->limits.pids, 9);
}
END_TEST

static const struct {
    const char *first, *second, *message;
} conflicts[] = {
    {LEAST, "profiles:\n\n  - { name: p, template: t, vcpus: 1, memory: 1 GiB }\n",
     "b.yaml:3: profile \"p\" is defined in a.yaml:2 already; right would be another name"},
    {LEAST "rules:\n  - { name: r, then: { score: 1 } }\n", "rules:\n  - { name: r, then: { score: 2 } }\n",
     "b.yaml:2: rule \"r\" is defined in a.yaml:6 already; right would be another name"},
    {LEAST "limits: { pids: 9 }\n", "limits: { pids: 8 }\n",
     "b.yaml:1: limits is given in a.yaml:5 already; right would be to give a section once"},
    {LEAST, "classes:\n  - { name: d, score_max: 100, profile: p, demand: " DEMAND " }\n",
     "b.yaml:2: score_max of class \"d\" is not above the 100 of class \"c\"; right would be classes in the order of their scores, no two "
     "with the same"},
};

START_TEST(two_files_that_contradict_each_other_are_refused)
{
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(policy_of_two(conflicts[_i].first, conflicts[_i].second, &error));
    ck_assert_str_eq(error->message, conflicts[_i].message);
}
END_TEST

START_TEST(a_file_over_its_bounds_is_refused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *long_text = g_strnfill(1024 * 1024 + 1, '#');
    ck_assert_ptr_null(policy_of_text("x.yaml", long_text, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_TOO_LARGE);
    g_clear_error(&error);
    g_autoptr(GString) many = g_string_new("rules: [");
    for (guint i = 0; i < 100001; i++)
        g_string_append(many, "a,");
    ck_assert_ptr_null(policy_of_text("x.yaml", many->str, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_TOO_LARGE);
    g_clear_error(&error);
    g_autoptr(GString) rules = g_string_new(LEAST "rules:\n");
    for (guint i = 0; i < 1001; i++)
        g_string_append_printf(rules, "  - { name: r%u, then: { score: 1 } }\n", i);
    ck_assert_ptr_null(policy_of_text("x.yaml", rules->str, &error));
    ck_assert_str_eq(error->message, "x.yaml:6: rules has more than 1000 items; right would be fewer");
    g_clear_error(&error);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    ck_assert_ptr_null(policy_parse(none, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
}
END_TEST

START_TEST(another_version_shares_all_but_the_version)
{
    struct policy *policy = policy_shipped("default.yaml");
    g_autoptr(policy_auto) copy = policy_with_version(policy, 7);
    ck_assert_uint_eq(copy->version, 7);
    ck_assert_uint_eq(policy->version, 0);
    char *before = effective_text(policy);
    policy_unref(policy_ref(policy));
    policy_unref(policy);
    char *after = effective_text(copy);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

static const struct {
    enum quantity quantity;
    const char *text;
    double value;
    const char *formatted;
} quantities[] = {
    {QUANTITY_MEMORY, "2 GiB", 2048, "2 GiB"},
    {QUANTITY_MEMORY, "2GiB", 2048, "2 GiB"},
    {QUANTITY_MEMORY, "1.5 GiB", 1536, "1536 MiB"},
    {QUANTITY_MEMORY, "0 MiB", 0, "0 MiB"},
    {QUANTITY_BYTES, "64 MiB", 67108864, "64 MiB"},
    {QUANTITY_BYTES, "1 B", 1, "1 B"},
    {QUANTITY_RATE, "10 Mbit/s", 10, "10 Mbit/s"},
    {QUANTITY_RATE, "1 Gbit/s", 1000, "1 Gbit/s"},
    {QUANTITY_RATE, "100 kbit/s", 0.1, "100 kbit/s"},
    {QUANTITY_RATE, "1.5 Mbit/s", 1.5, "1500 kbit/s"},
    {QUANTITY_RATE, "0 Mbit/s", 0, "0 Mbit/s"},
    {QUANTITY_DURATION, "500 ms", 500, "500 ms"},
    {QUANTITY_DURATION, "30 s", 30000, "30 s"},
    {QUANTITY_DURATION, "90 s", 90000, "90 s"},
    {QUANTITY_DURATION, "24 h", 86400000, "1 d"},
    {QUANTITY_SHARE, "90 %", 0.9, "90 %"},
    {QUANTITY_SHARE, "0.9", 0.9, "90 %"},
    {QUANTITY_SHARE, "7 %", 0.07, "7 %"},
    {QUANTITY_SHARE, "33.3%", 0.333, "33.3 %"},
    {QUANTITY_PERCENT, "150 %", 150, "150 %"},
    {QUANTITY_NUMBER, "1.25", 1.25, "1.25"},
    {QUANTITY_NUMBER, "-3", -3, "-3"},
    {QUANTITY_NUMBER, "100", 100, "100"},
    {QUANTITY_COUNT, "200000", 200000, "200000"},
};

START_TEST(an_amount_is_read_and_written_with_its_unit)
{
    double value = -1;
    ck_assert(quantity_parse(quantities[_i].quantity, quantities[_i].text, &value, NULL));
    ck_assert_double_eq_tol(value, quantities[_i].value, 1e-12);
    g_autofree char *text = quantity_format(quantities[_i].quantity, value);
    ck_assert_str_eq(text, quantities[_i].formatted);
    double again = -1;
    ck_assert(quantity_parse(quantities[_i].quantity, text, &again, NULL));
    ck_assert(again == value);
}
END_TEST

static const char *const libraries[] = {"numpy", "TensorFlow-gpu", NULL};
static const struct code_metadata known = {
    .function = (char *)"Report",
    .tenant = (char *)"acme",
    .language = (char *)"Python",
    .libraries = (char **)libraries,
    .algorithm = (char *)"sort",
    .code_bytes = 1024,
    .payload_bytes = 1048576,
    .payload_items = 10,
    .payload_depth = 3,
    .parallelism = 4,
};

static const struct {
    const char *when;
    gboolean matches;
} matches[] = {
    {"language: python", TRUE},
    {"language: PYTHON", TRUE},
    {"language: [perl, \"py*\"]", TRUE},
    {"language: pytho", FALSE},
    {"language: \"[pq]ython\"", TRUE},
    {"language: \"?ython\"", TRUE},
    {"language: \"*\"", TRUE},
    {"libraries: numpy", TRUE},
    {"libraries: [pandas, \"tensorflow*\"]", TRUE},
    {"libraries: pandas", FALSE},
    {"libraries: \"\\\\numpy\"", TRUE},
    {"algorithm: [matrix, sort]", TRUE},
    {"function: Report", TRUE},
    {"function: report", FALSE},
    {"tenant: acme", TRUE},
    {"tenant: default", FALSE},
    {"code_min: 1 KiB", TRUE},
    {"code_min: 1025 B", FALSE},
    {"code_max: 1 KiB", TRUE},
    {"code_max: 1023 B", FALSE},
    {"payload_min: 1 KiB, payload_max: 1 MiB", TRUE},
    {"input_min: 0 B", FALSE}, /* not told */
    {"input_max: 1 TiB", FALSE},
    {"items_min: 10, items_max: 10", TRUE},
    {"depth_max: 2", FALSE},
    {"parallelism_min: 4", TRUE},
    {"parallelism_min: 5", FALSE},
    {"gpu: false", TRUE},
    {"gpu: true", FALSE},
    {"language: python, libraries: pandas", FALSE},
    {"language: python, libraries: numpy, gpu: false", TRUE},
};

START_TEST(a_rule_matches_when_all_of_its_conditions_hold)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text =
        g_strdup_printf(LEAST "rules:\n  - { name: r, when: { %s }, then: { score: 1 } }\n", matches[_i].when);
    g_autoptr(policy_auto) policy = policy_of_text("x.yaml", text, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    const struct policy_rule *rule = g_ptr_array_index(policy->rules, 0);
    ck_assert_int_eq(policy_rule_matches(rule, &known), matches[_i].matches);
    const struct code_metadata unknown = {.function = (char *)"f"};
    const gboolean is_open =
        strcmp(matches[_i].when, "gpu: false") == 0 || strcmp(matches[_i].when, "tenant: default") == 0;
    ck_assert_int_eq(policy_rule_matches(rule, &unknown), is_open);
}
END_TEST

START_TEST(a_word_longer_than_a_name_matches_no_pattern)
{
    g_autoptr(policy_auto) policy = policy_of_text(
        "x.yaml", LEAST "rules:\n  - { name: r, when: { libraries: \"*a*a*a*a*b\" }, then: { score: 1 } }\n", NULL);
    g_autofree char *long_word = g_strnfill(65536, 'a');
    char *words[] = {long_word, NULL};
    const struct code_metadata code = {.function = (char *)"f", .libraries = words};
    ck_assert(!policy_rule_matches(g_ptr_array_index(policy->rules, 0), &code));
}
END_TEST

static char *directory;

static void make_directory(void)
{
    directory = g_dir_make_tmp("harbinger-policy-XXXXXX", NULL);
    ck_assert_ptr_nonnull(directory);
}

static void remove_directory(void)
{
    static const char *const names[] = {"20-b.yaml", "10-a.yaml", "30-c.yml", ".hidden.yaml", "fifo.yaml", "dir.yaml"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(directory, names[i], NULL);
        if (unlink(path) != 0)
            rmdir(path);
    }
    ck_assert_int_eq(rmdir(directory), 0);
    g_clear_pointer(&directory, g_free);
}

static char *directory_file(const char *name, const char *text)
{
    char *path = g_build_filename(directory, name, NULL);
    if (text != NULL)
        ck_assert(g_file_set_contents(path, text, -1, NULL));
    return path;
}

START_TEST(the_yaml_files_of_a_directory_are_read_in_the_order_of_their_names)
{
    g_autofree char *c = directory_file("30-c.yml", "c");
    g_free(directory_file("20-b.yaml", "b"));
    g_free(directory_file("10-a.yaml", "a"));
    g_free(directory_file(".hidden.yaml", "h"));
    g_autoptr(GPtrArray) sources = policy_sources_read(directory, NULL);
    ck_assert_uint_eq(sources->len, 2);
    const struct policy_source *first = g_ptr_array_index(sources, 0), *second = g_ptr_array_index(sources, 1);
    ck_assert_str_eq(first->name, "10-a.yaml");
    ck_assert_str_eq(first->text, "a");
    ck_assert_str_eq(second->name, "20-b.yaml");
    g_autoptr(GPtrArray) one = policy_sources_read(c, NULL);
    ck_assert_uint_eq(one->len, 1);
}
END_TEST

START_TEST(what_is_no_readable_file_is_refused_and_never_waited_for)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *fifo = directory_file("fifo.yaml", NULL), *missing = directory_file("missing.yaml", NULL);
    ck_assert_ptr_null(policy_sources_read(directory, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_NOT_FOUND);
    g_clear_error(&error);
    ck_assert_ptr_null(policy_sources_read(missing, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_NOT_FOUND);
    g_clear_error(&error);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_ptr_null(policy_sources_read(directory, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
    g_clear_error(&error);
    ck_assert_ptr_null(policy_sources_read("/dev/zero", &error));
    ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
}
END_TEST

START_TEST(a_file_that_is_too_large_or_binary_is_refused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strnfill(1024 * 1024 + 1, '#'), *large = directory_file("10-a.yaml", text);
    ck_assert_ptr_null(policy_sources_read(large, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_TOO_LARGE);
    g_clear_error(&error);
    g_autofree char *binary = directory_file("20-b.yaml", NULL);
    ck_assert(g_file_set_contents(binary, "a\0b", 3, NULL));
    ck_assert_ptr_null(policy_sources_read(binary, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
}
END_TEST

START_TEST(profiles_are_told_in_the_numbers_of_the_api)
{
    g_autoptr(policy_auto) policy = policy_shipped("default.yaml");
    json_t *json = policy_profiles_to_json(policy);
    const json_t *profile = json_array_get(json_object_get(json, "profiles"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(profile, "name")), "medium");
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(profile, "initial"), "memory_mib")), 8192);
    const json_t *class = json_array_get(json_object_get(json, "classes"), 0);
    const json_t *memory = json_object_get(json_object_get(class, "demand"), "memory_mib");
    ck_assert_double_eq(json_number_value(json_object_get(memory, "p90")), 512);
    json_decref(json);
}
END_TEST

#define WINDOWS                                                                                                     \
    POOL "windows:\n"                                                                                               \
         "  - { name: office, pool: a, days: [mon, fri], from: \"08:00\", to: \"18:00\", time_zone: Europe/Berlin," \
         " floor: { running: 3 } }\n"                                                                               \
         "  - { name: night, pool: a, days: fri, from: \"22:00\", to: \"02:00\", floor: { paused: 2 } }\n"

static const struct {
    const char *at;
    guint running, paused;
    const char *window, *changes_at;
} moments[] = {
    {"2026-11-20T06:59:59Z", 0, 0, NULL, "2026-11-20T07:00:00Z"}, /* a Friday; Berlin is an hour ahead */
    {"2026-11-20T07:00:00Z", 3, 0, "office", "2026-11-20T17:00:00Z"},
    {"2026-11-20T16:59:30Z", 3, 0, "office", "2026-11-20T17:00:00Z"},
    {"2026-11-20T17:00:00Z", 0, 0, NULL, "2026-11-20T22:00:00Z"},
    {"2026-11-20T23:30:00Z", 0, 2, "night", "2026-11-21T02:00:00Z"},
    {"2026-11-21T01:59:59Z", 0, 2, "night", "2026-11-21T02:00:00Z"},  /* over midnight */
    {"2026-11-21T10:00:00Z", 0, 0, NULL, "2026-11-21T17:00:00Z"},     /* a Saturday: it is looked again, in vain */
    {"2026-07-17T06:00:00Z", 3, 0, "office", "2026-07-17T16:00:00Z"}, /* summer time: two hours ahead */
};

START_TEST(windows_open_and_close_by_the_clock_on_the_wall)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(policy_auto) policy = policy_of_text("x.yaml", WINDOWS, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    gint64 at, changes_at;
    ck_assert(clock_from_rfc3339(moments[_i].at, &at, NULL) &&
              clock_from_rfc3339(moments[_i].changes_at, &changes_at, NULL));
    const struct policy_pool *pool = policy_find_pool(policy, "a");
    const char *window;
    const struct pool_stock floor = policy_pool_floor(policy, pool, at, &window);
    ck_assert_uint_eq(floor.running, moments[_i].running);
    ck_assert_uint_eq(floor.paused, moments[_i].paused);
    ck_assert_pstr_eq(window, moments[_i].window);
    ck_assert_int_eq(policy_pool_changes_at(policy, pool, at), changes_at);
}
END_TEST

START_TEST(the_warm_pool_that_is_shipped_serves_the_quickstart)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    static const char *const files[] = {"quickstart.yaml", "warm.yaml"};
    g_autofree char *path = policy_shipped_path(files[0]), *warm_path = policy_shipped_path(files[1]);
    g_autoptr(GPtrArray) sources = policy_sources_read(path, &error);
    g_autoptr(GPtrArray) warm = policy_sources_read(warm_path, &error);
    g_ptr_array_extend(all, sources, NULL, NULL);
    g_ptr_array_extend(all, warm, NULL, NULL);
    g_autoptr(policy_auto) policy = policy_parse(all, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    const struct policy_pool *pool = policy->pools->pdata[0];
    for (guint i = 0; i < policy->profiles->len; i++) {
        const struct policy_profile *profile = policy->profiles->pdata[i];
        ck_assert_str_eq(profile->template, pool->template);
        ck_assert(vm_shape_covers(&pool->maximum, &profile->maximum));
    }
}
END_TEST

START_TEST(the_first_function_that_matches_counts)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(policy_auto) policy =
        policy_of_text("x.yaml",
                       LEAST "functions:\n  - { name: a, function: \"a*\", tenant: t, reuse_max: 5 }\n"
                             "  - { name: b, language: Python, stage: false }\n",
                       &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    const struct code_metadata a = {.function = (char *)"ab", .tenant = (char *)"t", .language = (char *)"python"};
    const struct code_metadata b = {.function = (char *)"ab", .language = (char *)"python"};
    const struct code_metadata c = {.function = (char *)"c"};
    ck_assert_uint_eq(policy_function_of(policy, &a)->reuse_max, 5);
    ck_assert(!policy_function_of(policy, &b)->stage);
    ck_assert(policy_function_of(policy, &c)->stage);
    ck_assert_uint_eq(policy_function_of(policy, &c)->reuse_max, 1);
}
END_TEST

/* The manual: what it says of each key is what the table says. */

static void manual_append_key(GString *text, const struct policy_key *key)
{
    g_autofree char *range = policy_key_range(key), *fallback = policy_key_default(key);
    g_string_append_printf(text, "\n**%s** (%s%s%s%s)\n  %s\n", key->name, range,
                           (key->flags & POLICY_REQUIRED) != 0 ? "; required" : "",
                           fallback != NULL ? "; default " : "", fallback != NULL ? fallback : "", key->help);
}

/* Puts the block of a section, and of those in it, in place of what stands between its marks. */
static void manual_update(GString *manual, const struct policy_section *section)
{
    g_autofree char *mark = g_strdup_printf("\n.. keys: %s\n", section->what);
    const char *begin = strstr(manual->str, mark);
    if (begin != NULL) {
        const gsize from = (gsize)(begin - manual->str) + strlen(mark);
        const char *end = strstr(manual->str + from, "\n.. end\n");
        ck_assert_msg(end != NULL, "%s has no end", mark);
        g_autoptr(GString) block = g_string_new(NULL);
        for (guint i = 0; i < section->key_count; i++)
            manual_append_key(block, &section->keys[i]);
        const gsize length = (gsize)(end - manual->str) - from;
        g_string_erase(manual, (gssize)from, (gssize)length);
        g_string_insert(manual, (gssize)from, block->str);
    } else {
        /* the quantiles are shown once */
        ck_assert_msg(section->key_count == 3 && strcmp(section->keys[0].name, "p50") == 0, "no block for %s",
                      section->what);
    }
    for (guint i = 0; i < section->key_count; i++)
        if (section->keys[i].nested != NULL)
            manual_update(manual, section->keys[i].nested);
}

START_TEST(the_manual_says_of_every_key_what_the_table_says)
{
    const char *root = g_getenv("HBR_SOURCE_DIR");
    g_autofree char *path = g_build_filename(root != NULL ? root : ".", "contrib/man/harbinger-policy.5.rst", NULL);
    g_autofree char *text = NULL;
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    g_autoptr(GString) manual = g_string_new(text);
    for (guint i = 0; i < policy_top_count; i++)
        manual_update(manual, policy_tops[i].section);
    if (g_strcmp0(g_getenv("HBR_REGENERATE"), "1") == 0)
        ck_assert(g_file_set_contents(path, manual->str, -1, NULL));
    else
        ck_assert_msg(g_str_equal(manual->str, text), "%s differs from the tables; HBR_REGENERATE=1 updates it", path);
}
END_TEST

static void add_file_tests(Suite *suite)
{
    TCase *files = tcase_create("files");
    tcase_add_loop_test(files, a_bad_file_is_refused_with_its_line_and_what_would_be_right, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(files, the_least_policy_has_the_documented_defaults);
    tcase_add_loop_test(files, the_quantile_is_the_critical_ratio_of_the_prices, 0, G_N_ELEMENTS(prices));
    tcase_add_loop_test(files, the_effective_shipped_policies_are_known, 0, G_N_ELEMENTS(shipped_files));
    tcase_add_loop_test(files, what_is_dumped_is_a_policy_file_that_gives_the_same, 0, G_N_ELEMENTS(shipped_files));
    tcase_add_test(files, the_default_policy_has_the_three_classes_of_the_mission);
    tcase_add_test(files, files_add_up_and_classes_are_sorted_by_score);
    tcase_add_loop_test(files, two_files_that_contradict_each_other_are_refused, 0, G_N_ELEMENTS(conflicts));
    tcase_add_test(files, a_file_over_its_bounds_is_refused);
    tcase_add_test(files, another_version_shares_all_but_the_version);
    tcase_add_loop_test(files, an_amount_is_read_and_written_with_its_unit, 0, G_N_ELEMENTS(quantities));
    tcase_add_test(files, profiles_are_told_in_the_numbers_of_the_api);
    tcase_add_loop_test(files, windows_open_and_close_by_the_clock_on_the_wall, 0, G_N_ELEMENTS(moments));
    tcase_add_test(files, the_first_function_that_matches_counts);
    tcase_add_test(files, the_warm_pool_that_is_shipped_serves_the_quickstart);
    tcase_add_test(files, the_manual_says_of_every_key_what_the_table_says);
    suite_add_tcase(suite, files);
}

static Suite *policy_suite(void)
{
    Suite *suite = suite_create("policy");
    add_file_tests(suite);

    TCase *rules = tcase_create("rules");
    tcase_add_loop_test(rules, a_rule_matches_when_all_of_its_conditions_hold, 0, G_N_ELEMENTS(matches));
    tcase_add_test(rules, a_word_longer_than_a_name_matches_no_pattern);
    suite_add_tcase(suite, rules);

    TCase *sources = tcase_create("sources");
    tcase_add_checked_fixture(sources, make_directory, remove_directory);
    tcase_add_test(sources, the_yaml_files_of_a_directory_are_read_in_the_order_of_their_names);
    tcase_add_test(sources, what_is_no_readable_file_is_refused_and_never_waited_for);
    tcase_add_test(sources, a_file_that_is_too_large_or_binary_is_refused);
    suite_add_tcase(suite, sources);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(policy_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
