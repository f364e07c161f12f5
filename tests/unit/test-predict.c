/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of prediction: history before rules, quantiles in order, every reason told, a class means the same for every source. */
#include "predict/history.h"
#include "predict/predictor.h"
#include "predict/sample.h"
#include "predict/score.h"

#include "policy-fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct policy *policy;
static struct predictor *predictor;

static void setup(void)
{
    policy = policy_shipped("quickstart.yaml");
    predictor = predictor_new(100);
}

static void teardown(void)
{
    predictor_free(predictor);
    policy_unref(policy);
}

static struct code_metadata code_of(const char *function)
{
    return (struct code_metadata){.function = (char *)function, .language = (char *)"python"};
}

static struct observation observation_of(const char *function, double vcpus, double memory_mib)
{
    return (struct observation){
        .code = code_of(function),
        .reason = EXIT_EXITED,
        .vcpus = vcpus,
        .memory_mib = memory_mib,
        .network_mbps = 1,
        .duration_ms = 2000,
        .cpu_seconds = vcpus * 2,
        .shape = {.vcpus = 4, .memory_mib = 2048},
    };
}

static void observe(const char *function, double vcpus, double memory_mib)
{
    const struct observation observation = observation_of(function, vcpus, memory_mib);
    predictor_observe(predictor, policy, &observation);
}

static struct demand *predict(const char *function)
{
    const struct code_metadata code = code_of(function);
    return predictor_predict(predictor, policy, &code, 0);
}

static gboolean has_reason(const struct demand *demand, const char *rule, const char *part)
{
    for (guint i = 0; i < demand->reasons->len; i++) {
        const struct demand_reason *reason = g_ptr_array_index(demand->reasons, i);
        if (strcmp(reason->rule, rule) == 0 && strstr(reason->effect, part) != NULL)
            return TRUE;
    }
    return FALSE;
}

/* Ten runs of MiB; what the next one is said to use, NAN: no more than the most of them, and what is told. */
static const struct {
    double runs_mib[10], next_mib;
    gint64 input_growth;   /* bytes from run to run; 0: none is told */
    guint short_of_memory; /* how many of them, the newest */
    const char *told;
} trends[] = {
    {{200, 220, 242, 266.2, 292.8, 322.1, 354.3, 389.7, 428.7, 471.6}, 518.7, 0, 0, "memory rises by 10.0 % a run"},
    {{471.6, 428.7, 389.7, 354.3, 322.1, 292.8, 266.2, 242, 220, 200}, 181.8, 0, 0, "memory falls by 9.1 % a run"},
    {{200, 220, 242, 266.2, 292.8, 304.5, 316.7, 329.4, 342.6, 356.3},
     370.5,
     0,
     0,
     "memory rises by 4."}, /* it becomes flatter */
    {{200, 230, 190, 215, 240, 205, 185, 225, 210, 200}, NAN, 0, 0, NULL},
    {{200, 205, 195, 200, 202, 400, 405, 395, 400, 402}, NAN, 0, 0, NULL}, /* a step */
    {{200, 220, 242, 266.2, 292.8, 322.1, 354.3, 389.7, 428.7, 471.6}, NAN, 1 << 20, 0, NULL},
    {{100, 100, 100, 150, 225, 337, 506, 759, 1139, 1708}, 2600, 0, 7, "7 of 10 ran out of memory"},
};

START_TEST(a_trend_goes_on)
{
    struct code_metadata code = code_of("f");
    double most = 0;
    for (guint run = 0; run < 10; run++) {
        struct observation observation = observation_of("f", 1, trends[_i].runs_mib[run]);
        observation.code.input_bytes = (run + 1) * trends[_i].input_growth;
        if (run >= 10 - trends[_i].short_of_memory) {
            observation.reason = EXIT_OUT_OF_MEMORY;
            observation.shape.memory_mib = (guint)trends[_i].runs_mib[run];
        }
        most = MAX(most, observation.memory_mib);
        predictor_observe(predictor, policy, &observation);
    }
    code.input_bytes = 11 * trends[_i].input_growth;
    g_autoptr(demand_auto) demand = predictor_explain(predictor, policy, &code, 0);
    if (isnan(trends[_i].next_mib))
        ck_assert_double_le(demand->memory_mib.p50, most);
    else if (trends[_i].short_of_memory > 0)
        ck_assert_double_le(demand->memory_mib.p50, trends[_i].next_mib);
    else
        ck_assert_double_eq_tol(demand->memory_mib.p50, trends[_i].next_mib, 0.02 * trends[_i].next_mib);
    if (trends[_i].told != NULL)
        ck_assert_double_ge(demand->memory_mib.p90, 0.999 * trends[_i].runs_mib[9]);
    ck_assert(has_reason(demand, "history: runs", trends[_i].told != NULL ? trends[_i].told : " MiB"));
    ck_assert(has_reason(demand, "history: runs", " a run") ==
              (trends[_i].told != NULL && trends[_i].short_of_memory == 0));
}
END_TEST

static void assert_ordered(const struct quantiles *quantiles)
{
    ck_assert(isfinite(quantiles->p50) && isfinite(quantiles->p90) && isfinite(quantiles->p99));
    ck_assert_double_ge(quantiles->p50, 0);
    ck_assert_double_le(quantiles->p50, quantiles->p90);
    ck_assert_double_le(quantiles->p90, quantiles->p99);
    ck_assert_double_le(quantiles->p99, 1e12);
}

static void assert_sound(const struct demand *demand)
{
    assert_ordered(&demand->vcpus);
    assert_ordered(&demand->memory_mib);
    assert_ordered(&demand->network_mbps);
    assert_ordered(&demand->duration_ms);
    ck_assert(demand->score >= 0 && demand->score <= 100);
    ck_assert_ptr_nonnull(demand->class_name);
    ck_assert_str_eq(demand->class_name, policy_class_of_score(policy, demand->score)->name);
    ck_assert(demand->reasons != NULL && demand->reasons->len > 0);
}

START_TEST(the_second_notification_is_predicted_better_than_the_first)
{
    g_autoptr(demand_auto) first = predict("report");
    ck_assert_int_eq(first->source, DEMAND_RULES);
    ck_assert_double_eq(first->vcpus.p90, 1);
    ck_assert_double_eq(first->memory_mib.p90, 256);
    observe("report", 3, 900);
    g_autoptr(demand_auto) second = predict("report");
    assert_sound(second);
    ck_assert_int_eq(second->source, DEMAND_HISTORY);
    ck_assert_uint_eq(second->sample_count, 1);
    ck_assert_double_eq_tol(second->memory_mib.p50, 900, 0.1);
    ck_assert(second->memory_mib.p90 > 950 && second->memory_mib.p90 < 1100);
    ck_assert(second->vcpus.p90 > 3.05 && second->vcpus.p90 < 3.5);
    ck_assert_str_eq(second->class_name, "large");
    ck_assert(has_reason(second, "history", "1 execution"));
}
END_TEST

/* The figures that history.h promises. */
START_TEST(one_execution_is_widened_as_the_header_says)
{
    observe("f", 2, 1000);
    g_autoptr(demand_auto) demand = predict("f");
    ck_assert_double_eq_tol(demand->vcpus.p90 / 2, 1.07, 0.006);
    ck_assert_double_eq_tol(demand->vcpus.p99 / 2, 1.19, 0.01);
    ck_assert_double_eq_tol(demand->memory_mib.p90 / 1000, 1.15, 0.01);
    ck_assert_double_eq_tol(demand->memory_mib.p99 / 1000, 1.40, 0.01);
}
END_TEST

START_TEST(code_with_one_thread_stays_on_one_vcpu)
{
    observe("single", 1.02, 100);
    g_autoptr(demand_auto) demand = predict("single");
    ck_assert_uint_eq(policy_whole_vcpus(demand->vcpus.p90), 1);
    ck_assert_str_eq(demand->class_name, "small");
}
END_TEST

START_TEST(many_equal_executions_leave_little_doubt)
{
    double before = G_MAXDOUBLE;
    for (guint n = 1; n <= 32; n *= 2) {
        for (guint i = 0; i < n; i++)
            observe("steady", 1, 500);
        g_autoptr(demand_auto) demand = predict("steady");
        assert_sound(demand);
        ck_assert_double_le(demand->memory_mib.p90, before + 1e-6);
        before = demand->memory_mib.p90;
    }
    ck_assert(before > 500 && before < 530);
}
END_TEST

START_TEST(a_spread_in_the_history_is_in_the_quantiles)
{
    for (guint i = 0; i < 64; i++)
        observe("varied", 1 + (i % 4), 100 + 100 * (i % 10));
    g_autoptr(demand_auto) demand = predict("varied");
    assert_sound(demand);
    ck_assert(demand->memory_mib.p50 > 350 && demand->memory_mib.p50 < 750);
    ck_assert(demand->memory_mib.p90 > 850 && demand->memory_mib.p90 < 1500);
    ck_assert(demand->vcpus.p90 > 3.5 && demand->vcpus.p90 < 6);
}
END_TEST

START_TEST(newer_executions_weigh_more)
{
    for (guint i = 0; i < 40; i++)
        observe("grown", 1, 100);
    for (guint i = 0; i < 16; i++)
        observe("grown", 1, 1000);
    g_autoptr(demand_auto) demand = predict("grown");
    ck_assert_double_eq_tol(demand->memory_mib.p50, 1000, 1);
}
END_TEST

START_TEST(only_the_newest_samples_max_count)
{
    for (guint i = 0; i < 200; i++)
        observe("bounded", 1, 100);
    g_autoptr(demand_auto) demand = predict("bounded");
    ck_assert_uint_eq(demand->sample_count, 64);
    struct policy smaller = *policy;
    smaller.history.samples_max = 3;
    const struct observation observation = observation_of("bounded", 1, 800);
    for (guint i = 0; i < 3; i++)
        predictor_observe(predictor, &smaller, &observation);
    g_autoptr(demand_auto) trimmed = predict("bounded");
    ck_assert_uint_eq(trimmed->sample_count, 3);
    ck_assert_double_eq_tol(trimmed->memory_mib.p50, 800, 0.1);
}
END_TEST

START_TEST(history_is_kept_by_tenant_and_function)
{
    struct observation observation = observation_of("f", 2, 700);
    observation.code.tenant = (char *)"a";
    predictor_observe(predictor, policy, &observation);
    struct code_metadata code = code_of("f");
    g_autoptr(demand_auto) of_nobody = predictor_predict(predictor, policy, &code, 0);
    code.tenant = (char *)"a";
    g_autoptr(demand_auto) of_a = predictor_predict(predictor, policy, &code, 0);
    ck_assert_int_eq(of_nobody->source, DEMAND_RULES);
    ck_assert_int_eq(of_a->source, DEMAND_HISTORY);
    observe("g", 1, 100);
    code = code_of("g");
    code.tenant = (char *)"default";
    g_autoptr(demand_auto) of_default = predictor_predict(predictor, policy, &code, 0);
    ck_assert_int_eq(of_default->source, DEMAND_HISTORY);
}
END_TEST

START_TEST(fewer_executions_than_asked_for_leave_it_to_the_rules)
{
    struct policy patient = *policy;
    patient.history.samples_min = 2;
    observe("f", 3, 900);
    const struct code_metadata code = code_of("f");
    g_autoptr(demand_auto) one = predictor_predict(predictor, &patient, &code, 0);
    ck_assert_int_eq(one->source, DEMAND_RULES);
    ck_assert_uint_eq(one->sample_count, 1);
    ck_assert(has_reason(one, "history", "2 are asked for"));
}
END_TEST

START_TEST(out_of_memory_means_at_least_what_it_had)
{
    struct observation observation = observation_of("hungry", 1, 480);
    observation.reason = EXIT_OUT_OF_MEMORY;
    observation.shape.memory_mib = 512;
    predictor_observe(predictor, policy, &observation);
    g_autoptr(demand_auto) demand = predict("hungry");
    ck_assert_double_eq_tol(demand->memory_mib.p50, 512 * policy->scaling.grow_to, 0.1);
}
END_TEST

START_TEST(out_of_memory_means_at_least_the_smaller_of_limit_and_vm)
{
    static const guint limits[] = {0, 64, 512, 4096};
    static const double least[] = {512, 64, 512, 512};
    struct observation observation = observation_of("hungry", 1, 60);
    observation.reason = EXIT_OUT_OF_MEMORY;
    observation.shape.memory_mib = 512;
    observation.memory_limit_mib = limits[_i];
    ck_assert_double_eq(observation_memory_mib(&observation), least[_i]);
    struct sample sample;
    ck_assert(sample_of_observation(&sample, &observation));
    ck_assert_double_eq_tol(sample.targets[TARGET_MEMORY], target_log(TARGET_MEMORY, least[_i]), 1e-4);
    observation.reason = EXIT_SIGNALLED;
    ck_assert_double_eq(observation_memory_mib(&observation), 60);
}
END_TEST

START_TEST(a_run_that_was_cut_short_never_lowers_a_prediction)
{
    static const enum exit_reason reasons[] = {EXIT_SIGNALLED, EXIT_WALL_CLOCK, EXIT_OUTPUT_LIMIT};
    observe("f", 2, 600);
    struct observation observation = observation_of("f", 0.1, 10);
    observation.duration_ms = 5;
    observation.reason = reasons[_i];
    for (guint i = 0; i < 10; i++)
        predictor_observe(predictor, policy, &observation);
    g_autoptr(demand_auto) demand = predict("f");
    ck_assert_double_ge(demand->memory_mib.p50, 599.9);
    ck_assert_double_ge(demand->duration_ms.p50, 1999);
}
END_TEST

START_TEST(runs_that_were_all_cut_short_leave_the_rules_their_word)
{
    static const enum exit_reason reasons[] = {EXIT_SIGNALLED, EXIT_WALL_CLOCK, EXIT_OUTPUT_LIMIT, EXIT_OUT_OF_MEMORY};
    g_autoptr(demand_auto) before = predict("f");
    struct observation observation = observation_of("f", 0.01, 6);
    observation.duration_ms = 5;
    observation.cpu_seconds = 0.00005;
    observation.network_mbps = 0;
    observation.shape.memory_mib = 8;
    observation.reason = reasons[_i];
    for (guint i = 0; i < 10; i++)
        predictor_observe(predictor, policy, &observation);
    g_autoptr(demand_auto) after = predict("f");
    assert_sound(after);
    ck_assert_int_eq(after->source, DEMAND_RULES);
    ck_assert_uint_eq(after->sample_count, 10);
    ck_assert(has_reason(after, "history", "cut short"));
    ck_assert_double_eq(after->score, before->score);
    ck_assert_mem_eq(&after->vcpus, &before->vcpus, sizeof before->vcpus);
    ck_assert_mem_eq(&after->memory_mib, &before->memory_mib, sizeof before->memory_mib);
    ck_assert_mem_eq(&after->network_mbps, &before->network_mbps, sizeof before->network_mbps);
    ck_assert_mem_eq(&after->duration_ms, &before->duration_ms, sizeof before->duration_ms);
}
END_TEST

START_TEST(runs_that_were_all_cut_short_raise_what_the_rules_say)
{
    static const double used[] = {700, 900, 30};
    struct observation observation = observation_of("f", 3, 0);
    observation.reason = EXIT_WALL_CLOCK;
    g_autoptr(demand_auto) before = predict("f");
    for (guint i = 0; i < G_N_ELEMENTS(used); i++) {
        observation.memory_mib = used[i];
        predictor_observe(predictor, policy, &observation);
    }
    g_autoptr(demand_auto) after = predict("f");
    assert_sound(after);
    ck_assert_double_eq_tol(after->memory_mib.p50, 900, 0.1);
    ck_assert_double_ge(after->vcpus.p50, 2.999);
    ck_assert_double_ge(after->duration_ms.p99, before->duration_ms.p99);
}
END_TEST

START_TEST(a_run_that_was_cut_short_is_no_need_once_one_came_through)
{
    struct observation observation = observation_of("f", 0.1, 10);
    observation.duration_ms = 300;
    observation.reason = EXIT_WALL_CLOCK;
    for (guint i = 0; i < 3; i++)
        predictor_observe(predictor, policy, &observation);
    observe("f", 2, 600);
    observe("alone", 2, 600);
    g_autoptr(demand_auto) demand = predict("f"), alone = predict("alone");
    ck_assert_int_eq(demand->source, DEMAND_HISTORY);
    ck_assert_mem_eq(&demand->memory_mib, &alone->memory_mib, sizeof alone->memory_mib);
    ck_assert_mem_eq(&demand->duration_ms, &alone->duration_ms, sizeof alone->duration_ms);
}
END_TEST

START_TEST(runs_that_tell_nothing_teach_nothing)
{
    static const enum exit_reason reasons[] = {EXIT_CANCELLED, EXIT_LOST, EXIT_REFUSED};
    struct observation observation = observation_of("f", 3, 900);
    observation.reason = reasons[_i];
    predictor_observe(predictor, policy, &observation);
    g_autoptr(demand_auto) demand = predict("f");
    ck_assert_int_eq(demand->source, DEMAND_RULES);
    ck_assert_uint_eq(demand->sample_count, 0);
}
END_TEST

START_TEST(an_amount_that_was_not_told_stays_as_the_rules_say)
{
    observe("f", 2, 0);
    g_autoptr(demand_auto) demand = predict("f");
    ck_assert_double_eq(demand->memory_mib.p90, 256);
    ck_assert_double_eq_tol(demand->vcpus.p50, 2, 1e-6);
}
END_TEST

START_TEST(absurd_observations_stay_finite)
{
    static const double absurd[] = {0, -1, 1e300, INFINITY, -INFINITY, NAN, 1e-300};
    for (guint i = 0; i < G_N_ELEMENTS(absurd); i++) {
        struct observation observation = observation_of("f", absurd[i], absurd[i]);
        observation.network_mbps = observation.duration_ms = observation.cpu_seconds = absurd[i];
        predictor_observe(predictor, policy, &observation);
        g_autoptr(demand_auto) demand = predict("f");
        assert_sound(demand);
    }
}
END_TEST

START_TEST(the_function_unused_for_longest_is_forgotten)
{
    predictor_free(predictor);
    predictor = predictor_new(2);
    observe("a", 1, 100);
    observe("b", 1, 100);
    demand_free(predict("a"));
    observe("c", 1, 100);
    g_autoptr(demand_auto) a = predict("a"), b = predict("b"), c = predict("c");
    ck_assert_int_eq(a->source, DEMAND_HISTORY);
    ck_assert_int_eq(b->source, DEMAND_RULES);
    ck_assert_int_eq(c->source, DEMAND_HISTORY);
}
END_TEST

START_TEST(a_new_policy_counts_at_once)
{
    observe("f", 1, 300);
    g_autoptr(demand_auto) before = predict("f");
    ck_assert_str_eq(before->class_name, "small");
    g_autoptr(policy_auto) other = policy_shipped("default.yaml");
    const struct code_metadata code = code_of("f");
    g_autoptr(demand_auto) after = predictor_predict(predictor, other, &code, 0);
    ck_assert_str_eq(after->class_name, "low");
    ck_assert_double_eq(after->memory_mib.p90, before->memory_mib.p90);
}
END_TEST

START_TEST(code_without_any_match_is_told_so)
{
    const struct code_metadata code = {.function = (char *)"f", .language = (char *)"cobol"};
    g_autoptr(demand_auto) demand = predictor_predict(predictor, policy, &code, 0);
    assert_sound(demand);
    ck_assert(has_reason(demand, "none", "no rule matched"));
}
END_TEST

static const char rules_text[] =
    "profiles:\n"
    "  - { name: s, template: t, vcpus: 1, memory: 1 GiB, maximum: { vcpus: 4, memory: 4 GiB } }\n"
    "  - { name: l, template: t, vcpus: 8, memory: 8 GiB, gpus: 2 }\n"
    "classes:\n"
    "  - name: s\n"
    "    score_max: 50\n"
    "    profile: s\n"
    "    demand: { vcpus: { p50: 0.5, p90: 1, p99: 2 },\n"
    "              memory: { p50: 100 MiB, p90: 200 MiB, p99: 400 MiB } }\n"
    "  - name: l\n"
    "    score_max: 100\n"
    "    profile: l\n"
    "    demand: { vcpus: { p50: 2, p90: 4, p99: 8 },\n"
    "              memory: { p50: 1 GiB, p90: 2 GiB, p99: 4 GiB } }\n"
    "rules:\n"
    "  - { name: a, when: { language: a }, then: { score: 20, memory_factor: 2, vcpus_factor: 0.5 } }\n"
    "  - { name: b, when: { libraries: b }, then: { score: 25, memory_factor: 1.5, memory_min: 250 MiB } }\n"
    "  - { name: c, when: { libraries: c }, then: { score: 30 } }\n"
    "  - { name: d, when: { input_min: 1 MiB }, then: { memory_per_input: 3 MiB } }\n"
    "  - { name: e, when: { parallelism_min: 2 }, then: { vcpus_per_parallelism: 1 } }\n"
    "  - { name: f, when: { libraries: f }, then: { score: -90 } }\n"
    "  - { name: g, when: { gpu: true }, then: { gpus: 2 } }\n";

/* One row: what is known of the code, and the demand that follows. */
static const struct rule_row {
    const char *language;
    const char *libraries[4];
    gint64 input_mib;
    guint parallelism;
    gboolean gpu;
    double score;
    const char *class_name;
    double vcpus_p90, memory_p50, memory_p90;
} rule_rows[] = {
    {"x", {NULL}, 0, 0, FALSE, 0, "s", 1, 100, 200},
    {"a", {NULL}, 0, 0, FALSE, 20, "s", 0.5, 200, 400},
    {"A", {"B"}, 0, 0, FALSE, 45, "s", 0.5, 300, 600},
    {"x", {"q", "b"}, 0, 0, FALSE, 25, "s", 1, 250, 300},
    {"a", {"b", "c"}, 0, 0, FALSE, 75, "l", 2, 3072, 6144},
    {"x", {NULL}, 10, 0, FALSE, 0, "s", 1, 130, 230},
    /* 200 MiB + 3 x 600 MiB do not fit in 1 GiB any more: the share of 8 GiB, at 4 / 4.125 of the runs, places it within class l */
    {"x", {NULL}, 600, 0, FALSE, 50 + 50 * 2111.5192 / 8192, "l", 1, 1900, 2000},
    {"x", {NULL}, 0, 4, FALSE, 50 + 50 * 4.0 / 8, "l", 4, 100, 200},
    {"x", {NULL}, 0, 1, FALSE, 0, "s", 1, 100, 200},
    {"x", {"f"}, 0, 0, FALSE, 0, "s", 1, 100, 200},
    {"x", {NULL}, 0, 0, TRUE, 50 + 50 * 1.0 / 8, "l", 1, 100, 200},
};

START_TEST(the_rule_table_gives_the_demand)
{
    const struct rule_row *row = &rule_rows[_i];
    g_autoptr(GError) error = NULL;
    g_autoptr(policy_auto) rules = policy_of_text("rules.yaml", rules_text, &error);
    ck_assert_msg(rules != NULL, "%s", error != NULL ? error->message : "");
    const struct code_metadata code = {
        .function = (char *)"f",
        .language = (char *)row->language,
        .libraries = row->libraries[0] != NULL ? (char **)row->libraries : NULL,
        .input_bytes = row->input_mib * 1048576,
        .parallelism = row->parallelism,
        .gpu = row->gpu,
    };
    g_autoptr(demand_auto) demand = predictor_predict(predictor, rules, &code, 0);
    ck_assert_double_eq_tol(demand->score, row->score, 1e-3);
    ck_assert_str_eq(demand->class_name, row->class_name);
    ck_assert_double_eq_tol(demand->vcpus.p90, row->vcpus_p90, 1e-6);
    ck_assert_double_eq_tol(demand->memory_mib.p50, row->memory_p50, 1e-6);
    ck_assert_double_eq_tol(demand->memory_mib.p90, row->memory_p90, 1e-6);
    ck_assert_uint_eq(demand->gpus, row->gpu ? 2 : 0);
}
END_TEST

START_TEST(every_rule_that_matched_is_a_reason)
{
    const char *libraries[] = {"numpy", NULL};
    struct code_metadata code = code_of("f");
    code.libraries = (char **)libraries;
    g_autoptr(demand_auto) demand = predictor_predict(predictor, policy, &code, 0);
    ck_assert(has_reason(demand, "interpreted", "score +10"));
    ck_assert(has_reason(demand, "numeric-libraries", "score +30, memory x 1.5, 5 MiB memory per MiB of input"));
    ck_assert(has_reason(demand, "class", "class medium"));
}
END_TEST

START_TEST(a_gpu_is_asked_for_whatever_the_history_says)
{
    g_autoptr(policy_auto) shipped = policy_shipped("default.yaml");
    observe("f", 1, 100);
    struct code_metadata code = code_of("f");
    code.gpu = TRUE;
    g_autoptr(demand_auto) with = predictor_predict(predictor, shipped, &code, 0);
    ck_assert_int_eq(with->source, DEMAND_HISTORY);
    ck_assert_uint_eq(with->gpus, 1);
    ck_assert_str_eq(with->class_name, "high");
    code.gpu = FALSE;
    g_autoptr(demand_auto) without = predictor_predict(predictor, shipped, &code, 0);
    ck_assert_uint_eq(without->gpus, 0);
    ck_assert_str_eq(without->class_name, "low");
}
END_TEST

START_TEST(sizes_without_bound_stay_finite)
{
    g_autoptr(policy_auto) shipped = policy_shipped("default.yaml");
    struct code_metadata code = code_of("f");
    code.input_bytes = code.payload_bytes = code.payload_items = code.code_bytes = G_MAXINT64;
    code.parallelism = G_MAXUINT;
    g_autoptr(demand_auto) demand = predictor_predict(predictor, shipped, &code, 0);
    ck_assert_str_eq(demand->class_name, "high");
    assert_ordered(&demand->memory_mib);
    assert_ordered(&demand->vcpus);
    ck_assert(demand->score >= 0 && demand->score <= 100);
}
END_TEST

/* A class means the same whatever a prediction rests on: what the rules say of a class is, as history, of the same class. */
START_TEST(the_seeds_of_the_shipped_classes_belong_to_their_classes)
{
    static const char *const files[] = {"default.yaml", "quickstart.yaml"};
    g_autoptr(policy_auto) shipped = policy_shipped(files[_i]);
    for (guint i = 0; i < shipped->classes->len; i++) {
        const struct policy_class *class = g_ptr_array_index(shipped->classes, i);
        struct demand *demand = demand_copy(&class->demand);
        score_assign(shipped, demand);
        ck_assert_str_eq(demand->class_name, class->name);
        ck_assert_str_eq(policy_class_of_score(shipped, demand->score)->name, class->name);
        demand_free(demand);
    }
}
END_TEST

START_TEST(predictions_are_fast_enough_for_the_core_thread)
{
    enum { ROUNDS = 20000 };
    static const char *const libraries[] = {"numpy", "pandas", "requests", "pyarrow", "boto3", NULL};
    g_autoptr(policy_auto) shipped = policy_shipped("default.yaml");
    struct code_metadata code = code_of("known");
    code.libraries = (char **)libraries;
    observe("known", 1, 100);
    const gint64 begun_at = g_get_monotonic_time();
    for (guint i = 0; i < ROUNDS; i++) {
        code.function = (char *)(i % 2 != 0 ? "known" : "unknown");
        demand_free(predictor_predict(predictor, shipped, &code, 0));
    }
    const double each_us = (double)(g_get_monotonic_time() - begun_at) / ROUNDS;
    g_print("predict: %.2f us each\n", each_us);
    ck_assert_double_lt(each_us, 500); /* a bound for sanitizers on a busy machine; typical is below 10 */
}
END_TEST

static Suite *predict_suite(void)
{
    Suite *suite = suite_create("predict");
    TCase *history = tcase_create("history");
    tcase_add_checked_fixture(history, setup, teardown);
    tcase_add_test(history, the_second_notification_is_predicted_better_than_the_first);
    tcase_add_test(history, one_execution_is_widened_as_the_header_says);
    tcase_add_test(history, code_with_one_thread_stays_on_one_vcpu);
    tcase_add_test(history, many_equal_executions_leave_little_doubt);
    tcase_add_test(history, a_spread_in_the_history_is_in_the_quantiles);
    tcase_add_test(history, newer_executions_weigh_more);
    tcase_add_test(history, only_the_newest_samples_max_count);
    tcase_add_test(history, history_is_kept_by_tenant_and_function);
    tcase_add_test(history, fewer_executions_than_asked_for_leave_it_to_the_rules);
    tcase_add_test(history, out_of_memory_means_at_least_what_it_had);
    tcase_add_loop_test(history, out_of_memory_means_at_least_the_smaller_of_limit_and_vm, 0, 4);
    tcase_add_loop_test(history, a_run_that_was_cut_short_never_lowers_a_prediction, 0, 3);
    tcase_add_loop_test(history, runs_that_were_all_cut_short_leave_the_rules_their_word, 0, 4);
    tcase_add_test(history, runs_that_were_all_cut_short_raise_what_the_rules_say);
    tcase_add_test(history, a_run_that_was_cut_short_is_no_need_once_one_came_through);
    tcase_add_loop_test(history, runs_that_tell_nothing_teach_nothing, 0, 3);
    tcase_add_test(history, an_amount_that_was_not_told_stays_as_the_rules_say);
    tcase_add_test(history, absurd_observations_stay_finite);
    tcase_add_test(history, the_function_unused_for_longest_is_forgotten);
    tcase_add_test(history, a_new_policy_counts_at_once);
    suite_add_tcase(suite, history);

    TCase *rules = tcase_create("rules");
    tcase_add_checked_fixture(rules, setup, teardown);
    tcase_add_test(rules, code_without_any_match_is_told_so);
    tcase_add_loop_test(rules, the_rule_table_gives_the_demand, 0, G_N_ELEMENTS(rule_rows));
    tcase_add_test(rules, every_rule_that_matched_is_a_reason);
    tcase_add_test(rules, a_gpu_is_asked_for_whatever_the_history_says);
    tcase_add_test(rules, sizes_without_bound_stay_finite);
    tcase_add_loop_test(rules, the_seeds_of_the_shipped_classes_belong_to_their_classes, 0, 2);
    tcase_add_loop_test(rules, a_trend_goes_on, 0, G_N_ELEMENTS(trends));
    tcase_add_test(rules, predictions_are_fast_enough_for_the_core_thread);
    suite_add_tcase(suite, rules);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(predict_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
