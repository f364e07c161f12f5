/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/vm.h"
#include "wire/message.h"

#include <check.h>
#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

/* Pausing, claiming, holding, saving and moving on libvirt's test driver, with a guest that is played by the test. */

#define UUID "3f1b6f6e-6a0f-4d56-8a5e-0c3f5b7a9d10"
#define ID "vm-1"
#define OWNER "me"

static const char domain_xml[] =
    "<domain type='test'><name>harbinger-" ID "</name><uuid>" UUID "</uuid><memory unit='MiB'>512</memory>"
    "<metadata><h:instance xmlns:h='urn:harbinger:instance:1' id='" ID "' owner='" OWNER "'/></metadata>"
    "<vcpu current='1'>4</vcpu><os><type arch='i686'>hvm</type></os><devices/></domain>";

struct world {
    struct libvirt_host host;
    struct host_spec spec;
    struct link link;
    struct guest guest;
    struct vm *vm;
    char *state_dir;
    GQueue events;
    GString *said; /* to the guest */
    char *hostname, *machine_id, *mac;
    guint64 ticket; /* of the last wait */
    guint vcpus, memory_mib;
};

static struct world *world;

static void on_event(struct event *event, gpointer data)
{
    (void)data;
    g_queue_push_tail(&world->events, event);
}

static void play_prepare(struct guest *guest, const struct guest_identity *identity, gint64 now)
{
    (void)guest;
    ck_assert_int_ne(now, 0);
    if (identity->hostname == NULL) {
        ck_assert(identity->machine_id == NULL && identity->mac == NULL);
        g_string_append(world->said, "clock ");
        return;
    }
    g_string_append(world->said, "prepare ");
    g_free(world->hostname);
    g_free(world->machine_id);
    g_free(world->mac);
    world->hostname = g_strdup(identity->hostname);
    world->machine_id = g_strdup(identity->machine_id);
    world->mac = g_strdup(identity->mac);
}

static void play_wait_shape(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, guint memory_max_mib,
                            gint64 timeout_ms)
{
    (void)guest, (void)memory_max_mib, (void)timeout_ms;
    g_string_append(world->said, "wait ");
    world->ticket = ticket;
    world->vcpus = vcpus;
    world->memory_mib = memory_mib;
}

static void play_run(struct guest *guest, struct run_spec *run)
{
    (void)guest;
    g_string_append_printf(world->said, "%s ", run->execution_id);
    run_spec_free(run);
}

static void play_cancel(struct guest *guest, const char *execution_id)
{
    (void)guest;
    g_string_append_printf(world->said, "cancel-%s ", execution_id);
}

static void play_nothing(struct guest *guest)
{
    (void)guest;
}

static const struct guest_class guest_class = {.prepare = play_prepare,
                                               .wait_shape = play_wait_shape,
                                               .run = play_run,
                                               .cancel = play_cancel,
                                               .ping = play_nothing,
                                               .free = play_nothing};

static void ignore_error(void *data, virErrorPtr error)
{
    (void)data, (void)error;
}

static void host_setup(struct libvirt_host *host)
{
    host->base = (struct hypervisor){.name = (char *)"test", .sink = on_event};
    host->spec = &world->spec;
    host->settings = (struct hypervisor_settings){.call_ms = 20000,
                                                  .heartbeat_ms = 10,
                                                  .silence_ms = 60000,
                                                  .owner = (char *)OWNER,
                                                  .state_dir = world->state_dir,
                                                  .template_dir = world->state_dir,
                                                  .image_dir = world->state_dir};
    host->context = g_main_context_new();
    host->inbox = inbox_new();
    host->inbox_source = inbox_attach(host->inbox, host, host->context);
    host->workers = workers_new(host, host->inbox, host->context, host_lane_limits, HOST_LANES);
    host->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, vm_free);
    host->by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
    host->link = &world->link;
    host->disk_dir = g_build_filename(world->state_dir, "instances", NULL);
}

static void vm_setup(struct vm *vm)
{
    static const struct vm_shape shape = {.vcpus = 1, .memory_mib = 512};
    vm->host = &world->host;
    vm->id = g_strdup(ID);
    vm->uuid = g_strdup(UUID);
    vm->state = VM_READY;
    vm->boot.shape = vm->boot.maximum = shape;
    vm->boot.template = g_strdup("base");
    vm->live = domain_live_parse(domain_xml, "none", NULL);
    vm->guest = &world->guest;
    vm->shapings = g_ptr_array_new();
    vm->runs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_insert(world->host.vms, vm->id, vm);
    g_hash_table_insert(world->host.by_uuid, vm->uuid, vm);
    vm_shape_begin(vm, &(struct guest_facts){.vcpus = 1, .memory_mib = 512});
    vm_heart_start(vm);
}

static void setup(void)
{
    world = g_new0(struct world, 1);
    virSetErrorFunc(NULL, ignore_error);
    g_queue_init(&world->events);
    world->said = g_string_new(NULL);
    world->state_dir = g_dir_make_tmp("hbr-pause.XXXXXX", NULL);
    host_setup(&world->host);
    world->link.references = 1;
    world->link.facts.libvirt_version = 9000000;
    for (guint lane = 0; lane < LINK_LANES; lane++) {
        world->link.connections[lane] = virConnectOpen("test:///default");
        ck_assert_ptr_nonnull(world->link.connections[lane]);
    }
    virDomainPtr domain = virDomainCreateXML(world->link.connections[LINK_CONTROL], domain_xml, 0);
    ck_assert_ptr_nonnull(domain);
    virDomainFree(domain);
    world->guest.klass = &guest_class;
    world->vm = g_new0(struct vm, 1);
    vm_setup(world->vm);
}

static void teardown(void)
{
    struct libvirt_host *host = &world->host;
    ck_assert(g_queue_is_empty(&world->events));
    g_hash_table_remove_all(host->by_uuid);
    g_hash_table_remove_all(host->vms);
    while (g_atomic_int_get(&world->link.references) > 1)
        g_main_context_iteration(host->context, FALSE);
    workers_free(host->workers);
    inbox_close(host->inbox);
    timer_cancel(&host->heart_timer);
    timer_cancel(&host->hold_timer);
    timer_cancel(&host->inbox_source);
    inbox_unref(host->inbox);
    g_main_context_unref(host->context);
    g_hash_table_unref(host->vms);
    g_hash_table_unref(host->by_uuid);
    for (guint lane = 0; lane < LINK_LANES; lane++)
        virConnectClose(world->link.connections[lane]);
    const char *const remove[] = {"rm", "-rf", world->state_dir, NULL};
    ck_assert(g_spawn_sync(NULL, (char **)remove, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_string_free(world->said, TRUE);
    g_free(host->disk_dir);
    g_free(world->state_dir);
    g_free(world->hostname);
    g_free(world->machine_id);
    g_free(world->mac);
    g_free(world);
}

static struct event *next_event(enum event_kind kind)
{
    for (;;) {
        while (g_queue_is_empty(&world->events))
            g_main_context_iteration(world->host.context, TRUE);
        struct event *event = g_queue_pop_head(&world->events);
        if (event->kind != EVENT_INSTANCE_PROGRESS) {
            ck_assert_int_eq(event->kind, kind);
            return event;
        }
        event_free(event);
    }
}

/* The next event, of that kind, with an error of that code; -1: with none. */
static void expect(enum event_kind kind, int code)
{
    g_autoptr(event_auto) event = next_event(kind);
    ck_assert_msg((code < 0) == (event->error == NULL), "%s",
                  event->error != NULL ? event->error->message : "no error");
    ck_assert(code < 0 || event->error->code == code);
}

static int domain_state_of(const char *uuid)
{
    virDomainPtr domain = virDomainLookupByUUIDString(world->link.connections[LINK_CONTROL], uuid);
    int state = -1;
    if (domain == NULL)
        return -1;
    virDomainGetState(domain, &state, NULL, 0);
    virDomainFree(domain);
    return state;
}

static int domain_state(void)
{
    return domain_state_of(UUID);
}

static void claim(gint64 timeout_ms)
{
    const struct boot_spec boot = {.instance_id = (char *)ID,
                                   .uuid = (char *)UUID,
                                   .owner = (char *)"core",
                                   .reservation_id = (char *)"res-1",
                                   .profile = (char *)"low",
                                   .shape = {.vcpus = 2, .memory_mib = 512},
                                   .maximum = {.vcpus = 4, .memory_mib = 512},
                                   .timeout_ms = timeout_ms};
    vm_claim(&world->host, &boot);
}

static void until_said(const char *text)
{
    while (strstr(world->said->str, text) == NULL)
        g_main_context_iteration(world->host.context, TRUE);
}

/* The guest says that it is who it is to be, and has what it is to have. */
static void confirm(void)
{
    until_said("prepare wait ");
    world->vm->is_prepared = TRUE;
    vm_on_shaped(world->vm, world->ticket, &(struct guest_facts){.vcpus = 2, .memory_mib = 512}, NULL);
}

static void pause_it(void)
{
    vm_pause(&world->host, ID);
    expect(EVENT_INSTANCE_PAUSED, -1);
    ck_assert(domain_state() == VIR_DOMAIN_PAUSED && world->vm->state == VM_PAUSED);
}

static void be_warming(void)
{
    world->vm->warm_running = "warm-up-sh";
}

static void have_run(void)
{
    g_hash_table_insert(world->vm->runs, g_strdup("exec-1"), NULL);
}

static void be_paused(void)
{
    pause_it();
}

static void be_down(void)
{
    world->host.link = NULL;
}

static void be_waking(void)
{
    world->vm->state = VM_WAKING;
}

static const struct {
    void (*prepare)(void);
    int code;
} refusals[] = {{have_run, HBR_ERROR_CONFLICT},
                {be_paused, HBR_ERROR_CONFLICT},
                {be_waking, HBR_ERROR_CONFLICT},
                {be_down, HBR_ERROR_UNAVAILABLE}};

/* Only an idle, ready instance is paused. */
START_TEST(test_pause_refused)
{
    refusals[_i].prepare();
    const enum vm_state before = world->vm->state;
    vm_pause(&world->host, ID);
    expect(EVENT_INSTANCE_PAUSED, refusals[_i].code);
    ck_assert_int_eq(world->vm->state, before);
    world->host.link = &world->link;
    vm_pause(&world->host, "vm-none");
    expect(EVENT_INSTANCE_PAUSED, HBR_ERROR_CONFLICT);
}
END_TEST

/* No sign of life is asked for while it cannot give one. */
START_TEST(test_pause_is_quiet)
{
    pause_it();
    ck_assert(!world->vm->has_heart);
    claim(10000);
    confirm();
    expect(EVENT_INSTANCE_READY, -1);
    ck_assert(world->vm->has_heart);
}
END_TEST

/* A claim resumes, gives a fresh identity and what is lacking of the shape, and is done when the guest has said so. */
START_TEST(test_claim)
{
    if (_i == 0)
        pause_it();
    claim(10000);
    until_said("prepare wait ");
    ck_assert_str_eq(world->hostname, "res-1");
    ck_assert(strlen(world->machine_id) == 32 && strcmp(world->machine_id, "3f1b6f6e6a0f4d568a5e0c3f5b7a9d10") != 0);
    ck_assert_ptr_null(world->mac);
    ck_assert(world->vcpus == 2 && world->memory_mib == 512);
    ck_assert_int_eq(domain_state(), VIR_DOMAIN_RUNNING);
    confirm();
    g_autoptr(event_auto) ready = next_event(EVENT_INSTANCE_READY);
    ck_assert(ready->shape.vcpus == 2 && world->vm->state == VM_READY);
    while (g_atomic_int_get(&world->link.references) > 1)
        g_main_context_iteration(world->host.context, FALSE);
    virDomainPtr domain = virDomainLookupByUUIDString(world->link.connections[LINK_CONTROL], UUID);
    char *metadata = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DOMAIN_METADATA_NAMESPACE, 0);
    ck_assert_ptr_nonnull(strstr(metadata, "res-1"));
    ck_assert_ptr_nonnull(strstr(metadata, "owner=\"" OWNER "\""));
    free(metadata);
    virDomainFree(domain);
}
END_TEST

/* The warm-up is not cut short by a pause, and the pause is not lost by it. */
START_TEST(test_pause_waits)
{
    be_warming();
    vm_pause(&world->host, ID);
    ck_assert_int_eq(world->vm->state, VM_READY);
    vm_on_warm_exit(world->vm, "warm-up-sh", g_new0(struct run_result, 1));
    until_said("warm-up-sh"); /* the first of the list: this one was begun by the test */
    vm_on_warm_exit(world->vm, "warm-up-sh", g_new0(struct run_result, 1));
    expect(EVENT_INSTANCE_PAUSED, -1);
}
END_TEST

/* In a pool all interpreters are warmed up that the guest has, elsewhere the one that is expected. */
START_TEST(test_warm_up)
{
    struct vm *vm = world->vm;
    vm->capabilities = WIRE_CAN_RUN_SH | WIRE_CAN_RUN_LUA | WIRE_CAN_RUN_PYTHON;
    if (_i == 0)
        vm->boot.pool = g_strdup("base@here");
    else
        vm->boot.language = g_strdup("Lua");
    vm_warm_up(vm);
    static const char *const wanted[2][4] = {{"warm-up-sh", "warm-up-python", "warm-up-lua"},
                                             {"warm-up-sh", "warm-up-lua"}};
    for (guint i = 0; wanted[_i][i] != NULL; i++) {
        until_said(wanted[_i][i]);
        ck_assert(vm_is_warming(vm));
        vm_on_warm_exit(vm, wanted[_i][i], g_new0(struct run_result, 1));
    }
    ck_assert(!vm_is_warming(vm));
    ck_assert_str_eq(world->said->str, _i == 0 ? "warm-up-sh warm-up-python warm-up-lua " : "warm-up-sh warm-up-lua ");
}
END_TEST

/* A claim ends the warm-up, and a pause that was waiting for it. */
START_TEST(test_claim_while_warming)
{
    be_warming();
    vm_pause(&world->host, ID);
    claim(10000);
    expect(EVENT_INSTANCE_PAUSED, HBR_ERROR_CONFLICT);
    ck_assert(g_str_has_prefix(world->said->str, "cancel-warm-up-sh prepare wait "));
    confirm();
    expect(EVENT_INSTANCE_READY, -1);
    ck_assert_int_eq(domain_state(), VIR_DOMAIN_RUNNING);
}
END_TEST

/* A claim that meets a pause under way waits for libvirt; neither is lost, and the instance runs in the end. */
START_TEST(test_claim_crosses)
{
    vm_pause(&world->host, ID);
    claim(10000);
    ck_assert_str_eq(world->said->str, "");
    expect(EVENT_INSTANCE_PAUSED, -1);
    confirm();
    expect(EVENT_INSTANCE_READY, -1);
    ck_assert_int_eq(domain_state(), VIR_DOMAIN_RUNNING);
}
END_TEST

/* A guest that took long to acknowledge may have set its clock late: it is told the time again until it is quick, but not for ever. */
START_TEST(test_clock)
{
    struct vm *vm = world->vm;
    claim(10000);
    ck_assert(!vm_clock_again(vm));
    for (guint i = 0; i < 10; i++) {
        vm->clock_sent_at -= 1000000;
        ck_assert(vm_clock_again(vm));
        ck_assert(g_str_has_suffix(world->said->str, "clock "));
    }
    vm->clock_sent_at -= 1000000;
    ck_assert(!vm_clock_again(vm));
    confirm();
    expect(EVENT_INSTANCE_READY, -1);
}
END_TEST

static void lose(void)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_INTERRUPTED, "its channel was closed");
    vm_lose(world->vm, error);
}

/* The end of a paused instance is told as such, that of a claimed one as the failure of its claim; nothing remains of either. */
START_TEST(test_lost)
{
    pause_it();
    if (_i == 1)
        claim(10000);
    lose();
    if (_i == 2)
        claim(10000); /* the core did not know yet */
    expect(_i == 0 ? EVENT_INSTANCE_GONE : EVENT_INSTANCE_FAILED, HBR_ERROR_INTERRUPTED);
    ck_assert_int_eq(domain_state(), -1);
    claim(10000);
    expect(EVENT_INSTANCE_FAILED, HBR_ERROR_NOT_FOUND);
}
END_TEST

/* A guest that does not answer a claim in time, or says no, has failed; so has one in which code runs. */
START_TEST(test_claim_fails)
{
    g_autoptr(GError) no = hbr_error_new(HBR_ERROR_GUEST, "no");
    if (_i == 2)
        have_run();
    claim(_i == 0 ? 20 : 10000);
    if (_i == 1) {
        until_said("prepare wait ");
        vm_on_shaped(world->vm, world->ticket, NULL, no);
    }
    if (_i == 2) {
        g_autoptr(event_auto) lost = next_event(EVENT_RUN_EXIT);
        ck_assert_int_eq(lost->result->reason, EXIT_LOST);
    }
    static const int codes[] = {HBR_ERROR_TIMEOUT, HBR_ERROR_GUEST, HBR_ERROR_CONFLICT};
    expect(EVENT_INSTANCE_FAILED, codes[_i]);
    ck_assert_int_eq(domain_state(), -1);
}
END_TEST

static void save(void)
{
    const struct saved_state state = {.id = (char *)"saved-1", .template = (char *)"base"};
    vm_save(&world->host, ID, &state);
}

static void be_remote(void)
{
    g_clear_pointer(&world->host.disk_dir, g_free);
}

static void be_old(void)
{
    world->link.facts.libvirt_version = 8000000;
}

static void have_qga(void)
{
    world->vm->agent = TEMPLATE_AGENT_QEMU;
}

static void have_gpu(void)
{
    g_strfreev(world->vm->live->gpus);
    world->vm->live->gpus = g_strsplit("0000:65:00.0", " ", -1);
    vm_adopt_gpus(world->vm);
}

/* One with a GPU keeps running: it would hold it for nobody. */
START_TEST(test_pause_gpu)
{
    have_gpu();
    vm_pause(&world->host, ID);
    expect(EVENT_INSTANCE_PAUSED, HBR_ERROR_CONFLICT);
    ck_assert_int_eq(world->vm->state, VM_READY);
}
END_TEST

static void have_changed(void)
{
    g_autofree char *path = g_build_filename(world->state_dir, "base.xml", NULL);
    ck_assert(g_file_set_contents(path, "<domain/>", -1, NULL));
}

/* The test driver refuses to save in the way that is asked for. */
static void have_template(void)
{
    have_changed();
    struct saved_origin origin = host_saved_origin(&world->host);
    world->vm->fingerprint = saved_fingerprint(&origin, "base", NULL);
    saved_origin_clear(&origin);
}

static void nothing(void)
{
}

static const struct {
    void (*prepare)(void);
    int code;
} save_refusals[] = {{be_remote, HBR_ERROR_UNSUPPORTED},    {be_old, HBR_ERROR_UNSUPPORTED},
                     {have_qga, HBR_ERROR_UNSUPPORTED},     {have_gpu, HBR_ERROR_UNSUPPORTED},
                     {have_template, HBR_ERROR_HYPERVISOR}, {have_changed, HBR_ERROR_CONFLICT},
                     {nothing, HBR_ERROR_NOT_FOUND}};

/* What cannot be saved is told why; the instance is gone, and no file of it is left. */
START_TEST(test_save_refused)
{
    save_refusals[_i].prepare();
    save();
    expect(EVENT_INSTANCE_SAVED, save_refusals[_i].code);
    ck_assert_int_eq(domain_state(), -1);
    g_autofree char *directory = host_saved_dir(&world->host);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    ck_assert(dir == NULL || g_dir_read_name(dir) == NULL);
}
END_TEST

static void migrate(void)
{
    const struct host_spec target = {.name = (char *)"other", .uri = (char *)"test:///default"};
    vm_migrate(&world->host, ID, &target, 20000);
}

static void have_disk(void)
{
    world->vm->live->disk_device = g_strdup("vdb");
}

static const struct {
    void (*prepare)(void);
    int code;
} migrate_refusals[] = {{have_run, HBR_ERROR_CONFLICT},    {be_paused, HBR_ERROR_CONFLICT},
                        {be_waking, HBR_ERROR_CONFLICT},   {be_down, HBR_ERROR_UNAVAILABLE},
                        {have_gpu, HBR_ERROR_UNSUPPORTED}, {have_disk, HBR_ERROR_UNSUPPORTED}};

/* Only what is idle and bound to nothing of its host is moved; the others stay as they are. */
START_TEST(test_migrate_refused)
{
    migrate_refusals[_i].prepare();
    const enum vm_state before = world->vm->state;
    migrate();
    expect(EVENT_INSTANCE_MIGRATED, migrate_refusals[_i].code);
    ck_assert_int_eq(world->vm->state, before);
    world->host.link = &world->link;
}
END_TEST

/* One that is adopted and ready is told to be so at once: as after a migration that was refused. */
START_TEST(test_adopt_again)
{
    const struct boot_spec boot = {.instance_id = (char *)ID, .uuid = (char *)UUID};
    vm_adopt(&world->host, &boot);
    expect(EVENT_INSTANCE_READY, -1);
}
END_TEST

/* Where it has come to, it keeps who it is; its clock may have stood still. */
START_TEST(test_migrated_keeps_identity)
{
    world->vm->boot.is_migrated = TRUE;
    vm_prepare(world->vm);
    ck_assert_str_eq(world->said->str, "clock ");
}
END_TEST

/* A migration that fails leaves the domain as it was, to be adopted anew. */
START_TEST(test_migrate_fails)
{
    migrate();
    ck_assert(world->vm->state == VM_MIGRATING && world->vm->guest == NULL);
    g_autoptr(event_auto) event = next_event(EVENT_INSTANCE_MIGRATED);
    ck_assert_ptr_nonnull(event->error);
    ck_assert_str_eq(event->text, "other");
    ck_assert_ptr_null(g_hash_table_lookup(world->host.vms, ID));
    ck_assert_int_eq(domain_state(), VIR_DOMAIN_RUNNING);
}
END_TEST

/* One that is destroyed meanwhile answers both. */
START_TEST(test_migrate_destroyed)
{
    migrate();
    vm_destroy(&world->host, ID);
    g_autoptr(event_auto) event = next_event(EVENT_INSTANCE_MIGRATED);
    expect(EVENT_INSTANCE_DESTROYED, -1);
    ck_assert_int_eq(domain_state(), -1);
}
END_TEST

#define OTHER_UUID "3f1b6f6e-6a0f-4d56-8a5e-0c3f5b7a9d20"

/* Another instance that boots on the host, for the stock of a pool. */
static struct vm *add_warmup(void)
{
    static const char xml[] = "<domain type='test'><name>harbinger-vm-2</name><uuid>" OTHER_UUID
                              "</uuid><memory unit='MiB'>512</memory><metadata><h:instance "
                              "xmlns:h='urn:harbinger:instance:1' id='vm-2' owner='" OWNER
                              "'/></metadata><os><type arch='i686'>hvm</type></os><devices/></domain>";
    virDomainPtr domain = virDomainCreateXML(world->link.connections[LINK_CONTROL], xml, 0);
    ck_assert_ptr_nonnull(domain);
    virDomainFree(domain);
    struct vm *vm = g_new0(struct vm, 1);
    vm->host = &world->host;
    vm->id = g_strdup("vm-2");
    vm->uuid = g_strdup(OTHER_UUID);
    vm->state = VM_WAKING;
    vm->boot.shape = (struct vm_shape){.vcpus = 1, .memory_mib = 512};
    vm->boot.pool = g_strdup("base@here");
    vm->guest = &world->guest;
    vm->shapings = g_ptr_array_new();
    vm->runs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_hash_table_insert(world->host.vms, vm->id, vm);
    g_hash_table_insert(world->host.by_uuid, vm->uuid, vm);
    world->link.facts.cpus = 2;
    return vm;
}

static void until_other(int state)
{
    while (domain_state_of(OTHER_UUID) != state)
        g_main_context_iteration(world->host.context, FALSE);
}

/* A warm-up stands still while an instance is being claimed, and goes on when that is over, well or not. */
START_TEST(test_hold)
{
    const struct vm *warmup = add_warmup();
    pause_it();
    claim(_i == 2 ? 50 : 10000);
    until_other(VIR_DOMAIN_PAUSED);
    ck_assert(warmup->is_held);
    if (_i == 0) {
        confirm();
        expect(EVENT_INSTANCE_READY, -1);
    } else if (_i == 1) {
        lose();
        expect(EVENT_INSTANCE_FAILED, HBR_ERROR_INTERRUPTED);
    } else {
        expect(EVENT_INSTANCE_FAILED, HBR_ERROR_TIMEOUT);
    }
    until_other(VIR_DOMAIN_RUNNING);
    ck_assert(!warmup->is_held && warmup->state == VM_WAKING);
}
END_TEST

/* However long claims take and however many there are, a warm-up has its share of the time. */
START_TEST(test_hold_ends)
{
    const struct vm *warmup = add_warmup();
    pause_it();
    claim(10000);
    until_other(VIR_DOMAIN_PAUSED);
    until_other(VIR_DOMAIN_RUNNING);
    ck_assert_int_eq(world->vm->state, VM_WAKING);
    host_hold_warmups(&world->host); /* as the next claim would */
    ck_assert(!warmup->is_held);
    world->host.hold_ended_at -= G_USEC_PER_SEC;
    host_hold_warmups(&world->host);
    ck_assert(warmup->is_held);
    until_other(VIR_DOMAIN_PAUSED);
    confirm();
    expect(EVENT_INSTANCE_READY, -1);
    until_other(VIR_DOMAIN_RUNNING);
}
END_TEST

static void be_reserved(struct vm *vm)
{
    vm->boot.reservation_id = g_strdup("res-2");
}

static void be_ready(struct vm *vm)
{
    vm->state = VM_READY;
}

static void be_claimed(struct vm *vm)
{
    vm->is_claim = TRUE;
}

static void have_room(struct vm *vm)
{
    vm->host->link->facts.cpus = 16;
}

static void (*const unheld[])(struct vm *vm) = {be_reserved, be_ready, be_claimed, have_room};

/* What somebody waits for does not stand still, nor what does nothing or has CPUs to itself. */
START_TEST(test_hold_not)
{
    struct vm *other = add_warmup();
    unheld[_i](other);
    claim(10000);
    ck_assert(!other->is_held);
    confirm();
    expect(EVENT_INSTANCE_READY, -1);
    ck_assert_int_eq(domain_state_of(OTHER_UUID), VIR_DOMAIN_RUNNING);
}
END_TEST

/* One that stands still and is to be paused then stays so when the claim is over. */
START_TEST(test_hold_paused)
{
    struct vm *other = add_warmup();
    other->state = VM_READY;
    other->warm_running = "warm-up-sh";
    other->warm_step = G_MAXUINT;
    vm_pause(&world->host, other->id);
    host_hold_warmups(&world->host);
    vm_on_warm_exit(other, "warm-up-sh", g_new0(struct run_result, 1)); /* it was on its way */
    expect(EVENT_INSTANCE_PAUSED, -1);
    while (world->host.hold_timer != NULL)
        g_main_context_iteration(world->host.context, TRUE);
    while (g_atomic_int_get(&world->link.references) > 1)
        g_main_context_iteration(world->host.context, FALSE);
    ck_assert_int_eq(other->state, VM_PAUSED);
    ck_assert_int_eq(domain_state_of(OTHER_UUID), VIR_DOMAIN_PAUSED);
}
END_TEST

/* One that stands still runs when it is claimed itself. */
START_TEST(test_hold_claimed)
{
    struct vm *other = add_warmup();
    other->state = VM_READY;
    other->warm_running = "warm-up-sh";
    host_hold_warmups(&world->host);
    until_other(VIR_DOMAIN_PAUSED);
    const struct boot_spec boot = {.instance_id = other->id, .uuid = other->uuid, .timeout_ms = 10000};
    vm_claim(&world->host, &boot);
    until_other(VIR_DOMAIN_RUNNING);
    ck_assert(!other->is_held && other->state == VM_WAKING);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vm-pause");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_pause_refused, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(tests, test_pause_gpu);
    tcase_add_test(tests, test_pause_is_quiet);
    tcase_add_loop_test(tests, test_claim, 0, 2);
    tcase_add_test(tests, test_pause_waits);
    tcase_add_loop_test(tests, test_warm_up, 0, 2);
    tcase_add_test(tests, test_claim_while_warming);
    tcase_add_test(tests, test_claim_crosses);
    tcase_add_test(tests, test_clock);
    tcase_add_loop_test(tests, test_lost, 0, 3);
    tcase_add_loop_test(tests, test_claim_fails, 0, 3);
    tcase_add_loop_test(tests, test_save_refused, 0, G_N_ELEMENTS(save_refusals));
    tcase_add_loop_test(tests, test_migrate_refused, 0, G_N_ELEMENTS(migrate_refusals));
    tcase_add_test(tests, test_adopt_again);
    tcase_add_test(tests, test_migrated_keeps_identity);
    tcase_add_test(tests, test_migrate_fails);
    tcase_add_test(tests, test_migrate_destroyed);
    tcase_add_loop_test(tests, test_hold, 0, 3);
    tcase_add_test(tests, test_hold_ends);
    tcase_add_loop_test(tests, test_hold_not, 0, G_N_ELEMENTS(unheld));
    tcase_add_test(tests, test_hold_paused);
    tcase_add_test(tests, test_hold_claimed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
