/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"
#include "core/core.h"
#include "host/sim.h"
#include "plan/placing.h"
#include "policy-fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Deep scaling through the whole core and a simulated host, in virtual time: it comes to rest, keeps code alive that grows, and its book is right
 * whatever guests do. Scaling is as the policy has it by default. */

#define POLICY                                                                                           \
    "profiles:\n"                                                                                        \
    "  - { name: p, template: base, vcpus: 1, memory: 512 MiB, maximum: { vcpus: 4, memory: 2 GiB } }\n" \
    "classes:\n"                                                                                         \
    "  - { name: c, score_max: 100, profile: p, demand: { vcpus: { p50: 0.5, p90: 0.8, p99: 1 },\n"      \
    "      memory: { p50: 100 MiB, p90: 150 MiB, p99: 200 MiB } } }\n"                                   \
    "limits: { wall: 24 h }\n"
#define ROOMY "vcpus=64&memory_mib=65536"

struct bed {
    struct core *core;
    struct hypervisor *host;
    struct policy *policy;
    GQueue events; /* posted by the host and the store */
    gint64 now, began_at;
    guint64 request;
    GHashTable *told; /* instance id: struct vm_shape, what it has as the core was told */
    guint under_way, failed, started, exited, badly;
    struct changes {
        guint count, turns; /* a turn is a change in the other direction than the one before */
        int direction;
    } changes[RESOURCE_COUNT]; /* as they came about */
    GString *trace;            /* every change, and what came of it */
};

static gint64 bed_ms(const struct bed *bed)
{
    return (bed->now - bed->began_at) / CLOCK_MS;
}

static void bed_trace(struct bed *bed, const char *what, const char *id, const struct vm_shape *shape,
                      const GError *error)
{
    g_autofree char *text = vm_shape_to_string(shape);
    g_string_append_printf(bed->trace, "%" G_GINT64_FORMAT " %s %s %s %s\n", bed_ms(bed), what, id, text,
                           error != NULL ? error->message : "");
}

static void changes_note(struct changes *changes, guint before, guint after)
{
    const int direction = (after > before) - (after < before);
    if (direction == 0)
        return;
    changes->count++;
    changes->turns += changes->direction == -direction;
    changes->direction = direction;
}

/* The end of it, for messages. */
static const char *bed_tail(const struct bed *bed)
{
    const gsize most = 2000;
    return bed->trace->str + (bed->trace->len > most ? bed->trace->len - most : 0);
}

static void bed_tell(struct bed *bed, const struct event *event)
{
    const struct vm_shape *before = g_hash_table_lookup(bed->told, event->id);
    if (before != NULL) {
        changes_note(&bed->changes[RESOURCE_CPU], before->vcpus, event->shape.vcpus);
        changes_note(&bed->changes[RESOURCE_MEMORY], before->memory_mib, event->shape.memory_mib);
    }
    g_hash_table_insert(bed->told, g_strdup(event->id), g_memdup2(&event->shape, sizeof event->shape));
}

/* As the host and the store tell it: seen here before the core sees it. */
static void bed_post(struct event *event, gpointer data)
{
    struct bed *bed = data;
    if (event->kind == EVENT_INSTANCE_READY)
        bed_tell(bed, event);
    if (event->kind == EVENT_INSTANCE_SHAPED) {
        bed_tell(bed, event);
        bed_trace(bed, "has", event->id, &event->shape, event->error);
        bed->under_way--;
        bed->failed += event->error != NULL;
    }
    bed->started += event->kind == EVENT_RUN_STARTED;
    if (event->kind == EVENT_RUN_EXIT) {
        g_string_append_printf(bed->trace, "%" G_GINT64_FORMAT " exit %s %s\n", bed_ms(bed), event->id,
                               event->result->message != NULL ? event->result->message : "");
        bed->exited++;
        bed->badly += event->result->reason != EXIT_EXITED || event->result->status != 0;
    }
    g_queue_push_tail(&bed->events, event);
}

static void bed_connect(struct bed *bed, const struct command *command)
{
    g_autoptr(GError) error = NULL;
    bed->host = sim_hypervisor_new(command->host_spec, bed_post, bed, &error);
    ck_assert_msg(bed->host != NULL, "%s", error != NULL ? error->message : "");
}

static void bed_sink(struct command *command, gpointer data)
{
    struct bed *bed = data;
    switch (command->kind) {
    case COMMAND_PERSIST: {
        struct event *event = event_new(EVENT_COMMITTED);
        event->serial = command->serial;
        bed_post(event, bed);
        command_free(command);
        return;
    }
    case COMMAND_REPLY:
    case COMMAND_STREAM:
    case COMMAND_CODE_KEEP:
    case COMMAND_CODE_FETCH:
        command_free(command);
        return;
    case COMMAND_HOST_CONNECT:
        bed_connect(bed, command);
        break;
    case COMMAND_SHAPE:
        bed_trace(bed, "shape", command->id, &command->shape, NULL);
        bed->under_way++;
        break;
    default:
        break;
    }
    hypervisor_submit(bed->host, bed->now, command);
}

static void add_shape(gpointer key G_GNUC_UNUSED, gpointer value, gpointer data)
{
    const struct vm_shape *shape = value;
    struct vm_shape *sum = data;
    sum->vcpus += shape->vcpus;
    sum->memory_mib += shape->memory_mib;
}

/* The book is never overdrawn nor short of what instances have; and while nothing is under way, it is exactly that. */
static void bed_check_book(struct bed *bed)
{
    const struct host *host = core_host(bed->core, "h");
    const struct vm_shape capacity = placing_capacity(host);
    struct vm_shape sum = {0};
    ck_assert_uint_le(host->committed_vcpus, capacity.vcpus);
    ck_assert_uint_le(host->committed_memory_mib, capacity.memory_mib);
    if (!g_queue_is_empty(&bed->events) || bed->exited > 0)
        return;
    g_hash_table_foreach(bed->told, add_shape, &sum);
    ck_assert_uint_ge(host->committed_vcpus, sum.vcpus);
    ck_assert_uint_ge(host->committed_memory_mib, sum.memory_mib);
    if (bed->under_way > 0 || bed->started < bed->request)
        return;
    ck_assert_uint_eq(host->committed_vcpus, sum.vcpus);
    ck_assert_uint_eq(host->committed_memory_mib, sum.memory_mib);
}

static void bed_drain(struct bed *bed)
{
    for (struct event *event; (event = g_queue_pop_head(&bed->events)) != NULL;) {
        core_handle(bed->core, event, bed->now);
        bed_check_book(bed);
    }
}

static gint64 bed_next_at(struct bed *bed)
{
    return MIN(core_next_at(bed->core), bed->host != NULL ? hypervisor_next_at(bed->host) : CLOCK_NEVER);
}

static void bed_pass(struct bed *bed, gint64 seconds)
{
    const gint64 until = bed->now + seconds * CLOCK_SECOND;
    for (bed_drain(bed); bed_next_at(bed) <= until; bed_drain(bed)) {
        bed->now = MAX(bed->now, bed_next_at(bed));
        hypervisor_advance(bed->host, bed->now);
        bed_post(event_new(EVENT_TICK), bed);
    }
    bed->now = until;
}

static void bed_init(struct bed *bed, const char *query)
{
    g_autoptr(GError) error = NULL;
    *bed = (struct bed){.now = 1700000000 * CLOCK_SECOND, .began_at = 1700000000 * CLOCK_SECOND};
    bed->policy = policy_of_text("test.yaml", POLICY, &error);
    ck_assert_msg(bed->policy != NULL, "%s", error != NULL ? error->message : "");
    bed->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    bed->trace = g_string_new(NULL);
    const struct core_settings settings = {.owner = "sim", .seed = 1, .sink = bed_sink, .sink_data = bed};
    bed->core = core_new(&settings, bed->policy, bed->now);
    struct event *event = event_new(EVENT_HOST_ATTACH);
    event->host_spec = g_new0(struct host_spec, 1);
    event->host_spec->name = g_strdup("h");
    event->host_spec->uri = g_strdup_printf("sim:h?%s", query);
    bed_post(event, bed);
    bed_pass(bed, 1);
}

static void bed_clear(struct bed *bed)
{
    hypervisor_free(bed->host);
    core_free(bed->core);
    g_queue_clear_full(&bed->events, (GDestroyNotify)event_free);
    policy_unref(bed->policy);
    g_hash_table_unref(bed->told);
    g_string_free(bed->trace, TRUE);
}

/* Each function has its own name: nothing is known of any. Returns when all run. */
static void bed_execute(struct bed *bed, const char *source)
{
    struct event *event = event_new(EVENT_EXECUTE);
    event->request = ++bed->request;
    event->execution_request = g_new0(struct execution_request, 1);
    event->execution_request->code.function = g_strdup_printf("f%" G_GUINT64_FORMAT, bed->request);
    event->execution_request->program.interpreter = g_strdup("sh");
    event->execution_request->program.source = g_strdup(source);
    bed_post(event, bed);
    for (guint i = 0; i < 60 && bed->started < bed->request; i++)
        bed_pass(bed, 1);
    ck_assert_uint_eq(bed->started, bed->request);
}

static void add_phase(GString *source, double seconds, double cpu, guint memory_mib, double ramp_s)
{
    char cpu_text[G_ASCII_DTOSTR_BUF_SIZE], ramp_text[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append_printf(source, "# sim: duration_ms=%.0f cpu=%s memory_mib=%u ramp_ms=%s\n", seconds * 1000,
                           g_ascii_formatd(cpu_text, sizeof cpu_text, "%.3f", cpu), memory_mib,
                           g_ascii_formatd(ramp_text, sizeof ramp_text, "%.0f", ramp_s * 1000));
}

static void bed_forget_changes(struct bed *bed)
{
    memset(bed->changes, 0, sizeof bed->changes);
    bed->failed = 0;
}

/* About so much, by chance, each second. */
static const struct threshold {
    double cpu, cpu_spread;
    guint memory_mib, memory_spread;
} thresholds[] = {
    /* of CPUs: whole ones, and a quarter more, from where on another one is given */
    {1, 0.02, 100, 0},
    {1, 0.2, 100, 0},
    {2, 0.02, 100, 0},
    {2, 0.3, 100, 0},
    {3, 0.1, 100, 0},
    {1.25, 0.05, 100, 0},
    {2.25, 0.02, 100, 0},
    /* of memory: what 512 MiB leave for code, and nine tenths of it, from where on the guest speaks up */
    {0.5, 0, 420, 4},
    {0.5, 0, 440, 30},
    {0.5, 0, 460, 6},
    {0.5, 0, 560, 60},
    /* of both */
    {0.95, 0.05, 448, 5},
    {1.9, 0.1, 580, 10},
    {1.05, 0.01, 461, 1},
};

#define SETTLING_S 60 /* nothing is known of the code before */

/* Rule: under a load that sits on a threshold for ten minutes the shape changes twice at most, and a guest that refuses is left alone for longer each
 * time. */
START_TEST(test_threshold)
{
    const struct threshold *threshold = &thresholds[_i];
    g_autoptr(GString) source = g_string_new(NULL);
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)_i + 1);
    struct bed bed;
    for (guint i = 0; i < 700; i++)
        add_phase(source, 1, threshold->cpu + threshold->cpu_spread * g_rand_double_range(random, -1, 1),
                  threshold->memory_mib + (guint)(threshold->memory_spread * g_rand_double(random)), 0.2);
    bed_init(&bed, ROOMY);
    bed_execute(&bed, source->str);
    bed_pass(&bed, SETTLING_S);
    bed_forget_changes(&bed);
    bed_pass(&bed, 600);
    ck_assert_uint_eq(bed.exited, 0);
    ck_assert_msg(bed.changes[RESOURCE_CPU].count <= 2, "%s", bed_tail(&bed));
    ck_assert_msg(bed.changes[RESOURCE_MEMORY].count <= 2, "%s", bed_tail(&bed));
    ck_assert_msg(bed.failed <= 6, "%s", bed_tail(&bed));
    bed_clear(&bed);
}
END_TEST

static const guint periods_s[] = {1, 2, 3, 5, 8, 12, 15, 20, 30, 45, 60, 90, 120, 200, 300, 450, 600};

#define WAVES 24
#define WAVES_MIN_S 600

/* Rule: whatever the period of a load that goes up and down, the shape goes up and down no more often than the load, and rests where the load is faster
 * than the policy's dwell time; the code is never without the memory. */
START_TEST(test_square_wave)
{
    const guint period_s = periods_s[_i], waves = MAX(WAVES, WAVES_MIN_S / period_s);
    const double half_s = period_s / 2.0;
    g_autoptr(GString) source = g_string_new(NULL);
    struct bed bed;
    for (guint i = 0; i < waves; i++) {
        add_phase(source, half_s, 2.8, 900, MIN(half_s, 5));
        add_phase(source, half_s, 0.3, 100, 0);
    }
    bed_init(&bed, ROOMY);
    bed_execute(&bed, source->str);
    bed_pass(&bed, waves * period_s / 2);
    bed_forget_changes(&bed);
    bed_pass(&bed, waves * period_s / 2 - 5);
    const guint most = period_s <= bed.policy->scaling.dwell_ms / 1000 ? 2 : waves;
    for (guint i = RESOURCE_CPU; i <= RESOURCE_MEMORY; i++)
        ck_assert_msg(bed.changes[i].turns <= most, "%u turns\n%s", bed.changes[i].turns, bed_tail(&bed));
    ck_assert_uint_eq(bed.badly, 0);
    bed_clear(&bed);
}
END_TEST

static const struct ramp {
    guint step_mib;
    double every_s, ramp_s;
} ramps[] = {
    {16, 1, 1},      {64, 1, 1},   {64, 2, 0.25}, {128, 5, 0.5},   {128, 1, 0.5},
    {256, 30, 0.25}, {512, 60, 1}, {1024, 60, 2}, {1600, 60, 1.5}, {50, 0.1, 0.1},
};

/* Rule: code whose memory grows is not killed while the host has room, however much comes at a time. */
START_TEST(test_ramp)
{
    const struct ramp *ramp = &ramps[_i];
    g_autoptr(GString) source = g_string_new(NULL);
    struct bed bed;
    for (guint mib = 100; mib < 1700; mib = MIN(mib + ramp->step_mib, 1700))
        add_phase(source, ramp->every_s, 0.5, mib, ramp->ramp_s);
    add_phase(source, 10, 0.5, 1700, ramp->ramp_s);
    bed_init(&bed, ROOMY);
    bed_execute(&bed, source->str);
    bed_pass(&bed, 1000);
    ck_assert_uint_eq(bed.exited, 1);
    ck_assert_msg(bed.badly == 0, "%s", bed_tail(&bed));
    ck_assert_uint_ge(bed.changes[RESOURCE_MEMORY].count, 2);
    bed_clear(&bed);
}
END_TEST

static char *random_course(GRand *random)
{
    GString *source = g_string_new(NULL);
    for (guint i = 0; i < 1000; i++) {
        const double seconds = g_rand_double_range(random, 5, 60);
        const double cpu = g_rand_double_range(random, 0.1, 3.9);
        const guint memory_mib = (guint)g_rand_int_range(random, 50, 1500);
        add_phase(source, seconds, cpu, memory_mib, MIN(seconds, 10));
    }
    return g_string_free(source, FALSE);
}

#define FAULTS "&refuse_shrink=0.2&hang_shrink=0.1&lie_shrink=0.2"
#define FAULTY_GUESTS 6
#define FAULTY_S (300 * 60)

static void run_faulty(struct bed *bed, const char *query)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);
    bed_init(bed, query);
    for (guint i = 0; i < FAULTY_GUESTS; i++) {
        g_autofree char *source = random_course(random);
        bed_execute(bed, source);
    }
    bed_pass(bed, FAULTY_S);
}

static void assert_all_faults(const struct bed *bed)
{
    static const char *const faults[] = {"the guest refuses\n", "the guest has not answered\n",
                                         "has as much as before\n"};
    for (guint i = 0; i < G_N_ELEMENTS(faults); i++)
        ck_assert_msg(strstr(bed->trace->str, faults[i]) != NULL, "no fault: %s", faults[i]);
    ck_assert_uint_gt(bed->changes[RESOURCE_CPU].turns, FAULTY_GUESTS);
    ck_assert_uint_gt(bed->changes[RESOURCE_MEMORY].turns, FAULTY_GUESTS);
}

/* With room for all of them, and with CPUs for a few. */
static const char *const faulty_hosts[] = {ROOMY FAULTS, "vcpus=10&memory_mib=65536" FAULTS};

/* Rule: guests that refuse, hang and lie cost room, and nothing else: the book is right at every moment (bed_check_book), and no code fails by it. */
START_TEST(test_faulty_guests)
{
    struct bed bed;
    run_faulty(&bed, faulty_hosts[_i]);
    ck_assert_msg(bed.exited == 0, "%s", bed_tail(&bed));
    assert_all_faults(&bed);
    bed_clear(&bed);
}
END_TEST

/* Rule: on a host without the memory for all of them code may fail, but nothing is promised twice. */
START_TEST(test_faulty_guests_without_room)
{
    struct bed bed;
    run_faulty(&bed, "vcpus=8&memory_mib=6144" FAULTS);
    ck_assert_uint_gt(bed.changes[RESOURCE_MEMORY].count, FAULTY_GUESTS);
    bed_clear(&bed);
}
END_TEST

/* Rule: the same seed gives the same changes at the same moments, and another seed others. */
START_TEST(test_determinism)
{
    struct bed first, second, other;
    run_faulty(&first, ROOMY FAULTS "&seed=3");
    run_faulty(&second, ROOMY FAULTS "&seed=3");
    run_faulty(&other, ROOMY FAULTS "&seed=4");
    ck_assert(g_string_equal(first.trace, second.trace));
    ck_assert(!g_string_equal(first.trace, other.trace));
    bed_clear(&first);
    bed_clear(&second);
    bed_clear(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scale-sim");
    TCase *cases = tcase_create("scale-sim");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, test_threshold, 0, G_N_ELEMENTS(thresholds));
    tcase_add_loop_test(cases, test_square_wave, 0, G_N_ELEMENTS(periods_s));
    tcase_add_loop_test(cases, test_ramp, 0, G_N_ELEMENTS(ramps));
    tcase_add_loop_test(cases, test_faulty_guests, 0, G_N_ELEMENTS(faulty_hosts));
    tcase_add_test(cases, test_faulty_guests_without_room);
    tcase_add_test(cases, test_determinism);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
