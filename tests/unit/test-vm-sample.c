/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/vm.h"

#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* When instances are looked at, by the words of guests that are played by the test. Nothing is known of them from outside: the host is down, and
 * its samples hold the guests' figures alone. */

#define VMS 3
#define INTERVAL_MS 100

static struct world {
    struct libvirt_host host;
    struct guest guest;
    struct vm vms[VMS];
    GQueue events;
} * world;

static void on_event(struct event *event, gpointer data)
{
    (void)data;
    g_queue_push_tail(&world->events, event);
}

static void play_subscribe(struct guest *guest, gint64 interval_ms)
{
    (void)guest, (void)interval_ms;
}

/* The events of one turn of the thread: what has come by then comes together. */
static guint turn_with_events(void)
{
    while (g_queue_is_empty(&world->events))
        g_main_context_iteration(world->host.context, TRUE);
    return g_queue_get_length(&world->events);
}

static void forget_events(void)
{
    g_queue_clear_full(&world->events, (GDestroyNotify)event_free);
}

/* The next sample of that one. */
static struct usage_sample wait_sample(guint vm)
{
    for (;;) {
        turn_with_events();
        g_autoptr(event_auto) event = g_queue_pop_head(&world->events);
        ck_assert_int_eq(event->kind, EVENT_SAMPLE);
        if (g_str_equal(event->id, world->vms[vm].id))
            return *event->sample;
    }
}

static void tell(guint vm, guint memory_mib)
{
    vm_on_used(&world->vms[vm], &(struct guest_usage){.memory_used_mib = memory_mib});
}

/* As if the last sample with its word was made so long ago. */
static void set_age(guint vm, gint64 age_ms)
{
    struct vm_sampling *sampling = &world->vms[vm].sampling;
    sampling->usage_at = sampling->sampled_at = g_get_monotonic_time() - age_ms * 1000;
}

/* Code runs in all of them, they have been looked at without a word, and told what the next is compared with. */
static void setup(void)
{
    static const struct guest_class klass = {.subscribe = play_subscribe};
    world = g_new0(struct world, 1);
    world->guest.klass = &klass;
    world->host.base = (struct hypervisor){.name = (char *)"test", .sink = on_event};
    world->host.context = g_main_context_new();
    world->host.channels = channels_new(world->host.context);
    world->host.vms = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&world->events);
    for (guint i = 0; i < VMS; i++) {
        struct vm *vm = &world->vms[i];
        *vm = (struct vm){
            .host = &world->host, .id = g_strdup_printf("vm-%u", i), .state = VM_READY, .guest = &world->guest};
        vm->sampling.interval_ms = INTERVAL_MS;
        g_hash_table_insert(world->host.vms, vm->id, vm);
        vm_sampling_start(vm);
        ck_assert(!wait_sample(i).has_guest);
        tell(i, 1);
        set_age(i, INTERVAL_MS);
    }
    forget_events();
}

static void teardown(void)
{
    timer_cancel(&world->host.look_timer);
    forget_events();
    for (guint i = 0; i < VMS; i++) {
        vm_sampling_stop(&world->vms[i]);
        g_free(world->vms[i].id);
    }
    channels_free(world->host.channels);
    g_hash_table_unref(world->host.vms);
    g_main_context_unref(world->host.context);
    g_free(world);
}

/* Those that tell at about the same time are looked at together, each with its own word. */
START_TEST(test_gather)
{
    guint sum = 0;
    for (guint i = 0; i < VMS; i++)
        tell(i, 10u << i);
    ck_assert(g_queue_is_empty(&world->events));
    ck_assert_uint_eq(turn_with_events(), VMS);
    for (struct event *event; (event = g_queue_pop_head(&world->events)) != NULL; event_free(event)) {
        ck_assert(event->sample->has_guest);
        sum += event->sample->memory_used_mib;
    }
    ck_assert_uint_eq(sum, 10 + 20 + 40);
}
END_TEST

/* It is not the guest that says how often it is looked at. */
START_TEST(test_too_soon)
{
    tell(0, 10);
    ck_assert_uint_eq(wait_sample(0).memory_used_mib, 10);
    set_age(0, 0);
    tell(0, 20);
    ck_assert_int_eq(world->vms[0].sampling.usage_at, world->vms[0].sampling.sampled_at);
    set_age(0, INTERVAL_MS);
    tell(0, 30);
    ck_assert_uint_eq(wait_sample(0).memory_used_mib, 30);
}
END_TEST

/* A guest that falls silent is looked at without its word, and keeps no other waiting. */
START_TEST(test_silent)
{
    const gint64 silent_at = world->vms[0].sampling.silent_at;
    tell(1, 10);
    ck_assert(wait_sample(1).has_guest);
    ck_assert(!wait_sample(0).has_guest);
    ck_assert_int_ge(g_get_monotonic_time(), silent_at);
}
END_TEST

/* What it speaks up about waits for nobody. */
START_TEST(test_pressed)
{
    tell(0, 10);
    vm_on_pressed(&world->vms[1], PRESSURE_MEMORY, &(struct guest_usage){.memory_used_mib = 99});
    ck_assert_uint_eq(g_queue_get_length(&world->events), 1);
    const struct usage_sample sample = wait_sample(1);
    ck_assert_uint_eq(sample.pressure, PRESSURE_MEMORY);
    ck_assert_uint_eq(sample.memory_used_mib, 99);
}
END_TEST

static void on_lost(gpointer owner, const GError *error)
{
    (void)error;
    *(gboolean *)owner = TRUE;
}

/* For the words of others the channels rest a little while: what is said meanwhile is heard after it, and only after it. */
START_TEST(test_rest)
{
    static const struct guest_watch watch = {.lost = on_lost};
    gboolean is_lost = FALSE;
    int sockets[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    struct channel *channel = channel_new(world->host.channels, sockets[0], &watch, &is_lost);
    const gint64 until = g_get_monotonic_time() + 50000;
    channels_rest(world->host.channels, until);
    close(sockets[1]);
    while (!is_lost)
        g_main_context_iteration(world->host.context, TRUE);
    ck_assert_int_ge(g_get_monotonic_time(), until);
    channel_free(channel);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vm-sample");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_gather);
    tcase_add_test(tests, test_too_soon);
    tcase_add_test(tests, test_silent);
    tcase_add_test(tests, test_pressed);
    tcase_add_test(tests, test_rest);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
