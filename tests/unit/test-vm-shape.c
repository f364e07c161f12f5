/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/vm.h"

#include <check.h>
#include <dlfcn.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

/* Changes of shape on libvirt's test driver, with a guest that is played by the test. That driver sets vCPUs and a NIC's bandwidth, and refuses
 * a quota of CPU time and changes of a memory device: the failures that are wanted here. Its balloon obeys at once. Devices it does not
 * know at all: GPUs are played by the test too. */

#define UUID "3f1b6f6e-6a0f-4d56-8a5e-0c3f5b7a9d10"

static const char domain_xml[] =
    "<domain type='test'><name>harbinger-vm-1</name><uuid>" UUID "</uuid><memory unit='MiB'>512</memory>"
    "<vcpu current='1'>4</vcpu><os><type arch='i686'>hvm</type></os><devices><interface type='network'>"
    "<source network='default'/><target dev='nic0'/></interface><memballoon model='virtio'/><disk type='file' device='disk'><source file='/d'/><target dev='vdb'/></disk></devices></domain>";

static const char memory_xml[] = "<memory model='virtio-mem'><target><size unit='MiB'>1024</size><node>0</node>"
                                 "<block unit='MiB'>2</block><requested unit='MiB'>0</requested></target></memory>";

struct world {
    struct libvirt_host host;
    struct link link;
    struct guest guest;
    struct vm *vm;
    GQueue events;
    guint64 ticket; /* of the last wait */
    guint waits, shrinks, vcpus, memory_mib, memory_max_mib;
    gint64 timeout_ms;
};

static struct world *world;

static void on_event(struct event *event, gpointer data)
{
    (void)data;
    g_queue_push_tail(&world->events, event);
}

static void wait_shape(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, guint memory_max_mib,
                       gint64 timeout_ms)
{
    (void)guest;
    world->memory_max_mib = memory_max_mib;
    world->waits++;
    world->ticket = ticket;
    world->vcpus = vcpus;
    world->memory_mib = memory_mib;
    world->timeout_ms = timeout_ms;
}

static void shrink(struct guest *guest, guint64 ticket, guint vcpus, guint memory_mib, gint64 timeout_ms)
{
    (void)guest;
    world->shrinks++;
    world->ticket = ticket;
    world->vcpus = vcpus;
    world->memory_mib = memory_mib;
    world->timeout_ms = timeout_ms;
}

static void guest_stays(struct guest *guest)
{
    (void)guest;
}

static const struct guest_class guest_class = {.wait_shape = wait_shape, .shrink = shrink, .free = guest_stays};

static void ignore_error(void *data, virErrorPtr error)
{
    (void)data, (void)error;
}

static void host_setup(struct libvirt_host *host)
{
    host->base = (struct hypervisor){.name = (char *)"test", .sink = on_event};
    host->settings.call_ms = 20000;
    host->is_system = TRUE;
    host->context = g_main_context_new();
    host->inbox = inbox_new();
    host->inbox_source = inbox_attach(host->inbox, host, host->context);
    host->workers = workers_new(host, host->inbox, host->context, host_lane_limits, HOST_LANES);
    host->vms = g_hash_table_new(g_str_hash, g_str_equal);
    host->link = &world->link;
}

static void setup(void)
{
    world = g_new0(struct world, 1);
    virSetErrorFunc(NULL, ignore_error);
    g_queue_init(&world->events);
    host_setup(&world->host);
    world->link.references = 1;
    for (guint lane = 0; lane < LINK_LANES; lane++) {
        world->link.connections[lane] = virConnectOpen("test:///default");
        ck_assert_ptr_nonnull(world->link.connections[lane]);
    }
    virDomainPtr domain = virDomainCreateXML(world->link.connections[LINK_CONTROL], domain_xml, 0);
    ck_assert_ptr_nonnull(domain);
    virDomainFree(domain);
    struct vm *vm = world->vm = g_new0(struct vm, 1);
    vm->host = &world->host;
    vm->id = g_strdup("vm-1");
    vm->uuid = g_strdup(UUID);
    vm->state = VM_READY;
    vm->has_bandwidth = TRUE;
    vm->boot.shape = (struct vm_shape){.vcpus = 1, .memory_mib = 512};
    vm->boot.maximum = (struct vm_shape){.vcpus = 8, .memory_mib = 8192};
    vm->live = domain_live_parse(domain_xml, "none", NULL);
    vm->live->memory_xml = g_strdup(memory_xml);
    vm->live->boot_memory_mib = 512;
    vm->guest = &world->guest;
    world->guest.klass = &guest_class;
    vm->shapings = g_ptr_array_new();
    vm->runs = g_hash_table_new(g_str_hash, g_str_equal);
    g_hash_table_insert(world->host.vms, vm->id, vm);
    vm_shape_begin(vm, &(struct guest_facts){.vcpus = 1, .memory_mib = 512});
}

static void teardown(void)
{
    struct libvirt_host *host = &world->host;
    ck_assert(g_queue_is_empty(&world->events));
    g_hash_table_remove(host->vms, world->vm->id);        /* what still comes for it finds nobody */
    while (g_atomic_int_get(&world->link.references) > 1) /* calls under way hold the link, which is ours here */
        g_main_context_iteration(host->context, FALSE);
    vm_free(world->vm);
    workers_free(host->workers);
    inbox_close(host->inbox);
    timer_cancel(&host->inbox_source);
    inbox_unref(host->inbox);
    g_main_context_unref(host->context);
    g_hash_table_unref(host->vms);
    for (guint lane = 0; lane < LINK_LANES; lane++)
        virConnectClose(world->link.connections[lane]);
    g_free(world);
}

static struct event *next_event(void)
{
    while (g_queue_is_empty(&world->events))
        g_main_context_iteration(world->host.context, TRUE);
    struct event *event = g_queue_pop_head(&world->events);
    ck_assert_int_eq(event->kind, EVENT_INSTANCE_SHAPED);
    return event;
}

static struct event *reshape(const struct vm_shape *shape)
{
    static guint64 serial;
    vm_reshape(world->vm, ++serial, shape, 0);
    struct event *event = next_event();
    ck_assert_uint_eq(event->serial, serial);
    return event;
}

/* Waits for libvirt's part of what is under way. */
static void settle_calls(void)
{
    const struct shaping *shaping = world->vm->shapings->pdata[0];
    while (shaping->references > 1)
        g_main_context_iteration(world->host.context, TRUE);
}

static guint vcpus_of_domain(void)
{
    virDomainPtr domain = virDomainLookupByUUIDString(world->link.connections[LINK_CONTROL], UUID);
    const int vcpus = virDomainGetVcpusFlags(domain, VIR_DOMAIN_AFFECT_LIVE);
    virDomainFree(domain);
    return (guint)vcpus;
}

static const struct vm_shape capped = {.vcpus = 1, .memory_mib = 512, .network_mbps = 20, .cpu_percent = 50};

/* A limit that libvirt has refused is not in force: the next change asks for it again, and one that it has taken is kept. */
START_TEST(test_limit_refused)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr(event_auto) event = reshape(&capped);
        ck_assert_ptr_nonnull(event->error);
        ck_assert_uint_eq(event->shape.cpu_percent, 0);
        ck_assert_uint_eq(event->shape.network_mbps, 20);
    }
    g_autoptr(event_auto) other = reshape(&(struct vm_shape){.vcpus = 1, .memory_mib = 512, .network_mbps = 30});
    ck_assert_ptr_null(other->error);
    ck_assert_uint_eq(other->shape.network_mbps, 30);
    ck_assert_uint_eq(world->waits, 0);
}
END_TEST

static void lose_link(void)
{
    world->host.link = NULL;
}

static void be_session(void)
{
    world->host.is_system = world->vm->has_bandwidth = FALSE;
}

static void lose_tc(void)
{
    world->vm->has_bandwidth = FALSE;
}

static void lose_memory(void)
{
    g_clear_pointer(&world->vm->live->memory_xml, g_free);
}

static void lose_disk(void)
{
    g_clear_pointer(&world->vm->live->disk_device, g_free);
}

static void lose_nothing(void)
{
}

static const struct {
    void (*spoil)(void);
    struct vm_shape shape;
    int code;
    const char *message;
} obstacles[] = {
    {be_session, {.vcpus = 1, .memory_mib = 512, .cpu_percent = 50}, HBR_ERROR_UNSUPPORTED, "cannot cap CPU time"},
    {be_session, {.vcpus = 1, .memory_mib = 512, .network_mbps = 9}, HBR_ERROR_UNSUPPORTED, "session libvirt"},
    {lose_tc, {.vcpus = 1, .memory_mib = 512, .network_mbps = 9}, HBR_ERROR_UNSUPPORTED, "tc cannot"},
    {lose_nothing, {.vcpus = 1, .memory_mib = 512, .gpus = 1}, HBR_ERROR_EXHAUSTED, "no GPU"},
    {lose_disk, {.vcpus = 1, .memory_mib = 512, .disk_mbps = 9}, HBR_ERROR_UNSUPPORTED, "no disk of its own"},
    {lose_nothing, {.vcpus = 1, .memory_mib = 500}, HBR_ERROR_UNSUPPORTED, "than it was booted with"},
    {lose_memory, {.vcpus = 2, .memory_mib = 1024}, HBR_ERROR_UNSUPPORTED, "without a device for more memory"},
    {lose_link, {.vcpus = 2, .memory_mib = 512}, HBR_ERROR_UNAVAILABLE, "down"},
};

/* That driver refuses a disk's bandwidth too: it is not in force, and is read from the domain's XML where it is. */
START_TEST(test_disk)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr(event_auto) event = reshape(&(struct vm_shape){.vcpus = 1, .memory_mib = 512, .disk_mbps = 9});
        ck_assert(event->error != NULL && event->shape.disk_mbps == 0);
    }
    g_autoptr(domain_live_auto) live = domain_live_parse(
        "<domain><devices><disk><target dev='vda'/><readonly/></disk><disk><target dev='vdb'/><iotune>"
        "<read_bytes_sec>9000000</read_bytes_sec><write_bytes_sec>9000000</write_bytes_sec></iotune></disk>"
        "<memory model='virtio-mem'><target><size unit='KiB'>1048576</size><requested unit='KiB'>524288</requested>"
        "<current unit='KiB'>262144</current></target></memory></devices></domain>",
        "none", NULL);
    ck_assert_str_eq(live->disk_device, "vdb");
    ck_assert(live->disk_mbps == 9 && live->requested_mib == 512 && live->plugged_mib == 256);
}
END_TEST

/* What the host cannot do is refused as a whole, with the reason, and nothing is in force of it. */
START_TEST(test_obstacle)
{
    obstacles[_i].spoil();
    g_autoptr(event_auto) event = reshape(&obstacles[_i].shape);
    ck_assert_ptr_nonnull(event->error);
    ck_assert_int_eq(event->error->code, obstacles[_i].code);
    ck_assert_msg(strstr(event->error->message, obstacles[_i].message) != NULL, "%s", event->error->message);
    ck_assert(vm_shape_equal(&event->shape, &world->vm->boot.shape));
    ck_assert_uint_eq(vcpus_of_domain(), 1);
}
END_TEST

/* Limits of the start that are not in force do not stop the growth of something else. */
START_TEST(test_unmet_since_boot)
{
    be_session();
    world->vm->boot.shape = capped;
    vm_reshape(world->vm, 1, &(struct vm_shape){.vcpus = 2, .memory_mib = 512, .network_mbps = 20, .cpu_percent = 50},
               0);
    vm_on_shaped(world->vm, world->ticket, &(struct guest_facts){.vcpus = 2, .memory_mib = 512}, NULL);
    g_autoptr(event_auto) event = next_event();
    ck_assert_ptr_null(event->error);
    ck_assert(vm_shape_equal(&event->shape, &(struct vm_shape){.vcpus = 2, .memory_mib = 512}));
}
END_TEST

static const struct guest_facts as_before = {.vcpus = 1, .memory_mib = 512};

/* vCPUs that the guest has not taken in time are told as held, never unplugged, and waited for again at the next try. */
START_TEST(test_vcpus_unconfirmed)
{
    g_autoptr(GError) late = hbr_error_new(HBR_ERROR_TIMEOUT, "not yet");
    vm_reshape(world->vm, 1, &(struct vm_shape){.vcpus = 3, .memory_mib = 512}, 1234);
    ck_assert(world->waits == 1 && world->vcpus == 3 && world->memory_mib == 0 && world->timeout_ms == 1234);
    settle_calls();
    vm_on_shaped(world->vm, world->ticket, &as_before, late);
    g_autoptr(event_auto) failed = next_event();
    ck_assert_int_eq(failed->error->code, HBR_ERROR_TIMEOUT);
    ck_assert_uint_eq(failed->shape.vcpus, 3);
    vm_reshape(world->vm, 2, &(struct vm_shape){.vcpus = 2, .memory_mib = 512}, 0);
    ck_assert(world->waits == 2 && world->vcpus == 2 && world->timeout_ms == 10000);
    settle_calls();
    ck_assert_uint_eq(vcpus_of_domain(), 3);
    vm_on_shaped(world->vm, world->ticket, &(struct guest_facts){.vcpus = 3, .memory_mib = 512}, NULL);
    g_autoptr(event_auto) event = next_event();
    ck_assert_ptr_null(event->error);
    ck_assert_uint_eq(event->shape.vcpus, 3);
}
END_TEST

struct hang {
    GMutex lock;
    guint left;
};

static gboolean hang_run(gpointer call, GError **error)
{
    struct hang *hang = call;
    (void)error;
    g_mutex_lock(&hang->lock);
    g_mutex_unlock(&hang->lock);
    return TRUE;
}

static void hang_done(gpointer owner, gpointer context, gpointer call, const GError *error)
{
    (void)owner, (void)context;
    ck_assert_ptr_null(error);
    ((struct hang *)call)->left--;
}

/* Nor are those unplugged that an earlier life of the daemon has plugged. */
START_TEST(test_vcpus_adopted)
{
    virDomainPtr domain = virDomainLookupByUUIDString(world->link.connections[LINK_CONTROL], UUID);
    ck_assert_int_eq(virDomainSetVcpusFlags(domain, 4, VIR_DOMAIN_AFFECT_LIVE), 0);
    virDomainFree(domain);
    world->vm->live->vcpus = 4;
    vm_shape_begin(world->vm, &as_before);
    vm_reshape(world->vm, 1, &(struct vm_shape){.vcpus = 2, .memory_mib = 512}, 0);
    settle_calls();
    ck_assert_uint_eq(vcpus_of_domain(), 4);
    vm_on_shaped(world->vm, world->ticket, &(struct guest_facts){.vcpus = 4, .memory_mib = 512}, NULL);
    g_autoptr(event_auto) event = next_event();
    ck_assert(event->error == NULL && event->shape.vcpus == 4);
}
END_TEST

/* A call that failed is told at once, without the guest, and is made again at the next try. */
START_TEST(test_call_refused)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr(event_auto) memory = reshape(&(struct vm_shape){.vcpus = 1, .memory_mib = 1024});
        ck_assert_ptr_nonnull(memory->error);
        ck_assert_uint_eq(memory->shape.memory_mib, 512);
        g_autoptr(event_auto) vcpus = reshape(&(struct vm_shape){.vcpus = 9, .memory_mib = 512});
        ck_assert_ptr_nonnull(vcpus->error);
        ck_assert_uint_eq(vcpus->shape.vcpus, 1);
    }
    ck_assert_uint_eq(world->waits, 4);
    vm_on_shaped(world->vm, world->ticket, &as_before, NULL);
}
END_TEST

/* Boots that hang in libvirt do not hold changes up, and both together are no more than libvirt serves on one connection. */
START_TEST(test_boots_hang)
{
    struct hang hang;
    g_mutex_init(&hang.lock);
    g_mutex_lock(&hang.lock);
    for (guint i = 0; i < 8; i++) {
        struct job job = host_job(&world->host, HOST_LANE_BOOT);
        job.run = hang_run;
        job.call = &hang;
        job.done = hang_done;
        workers_submit(world->host.workers, &job);
    }
    g_autoptr(event_auto) event = reshape(&(struct vm_shape){.vcpus = 1, .memory_mib = 512, .network_mbps = 30});
    ck_assert(event->error == NULL && event->shape.network_mbps == 30);
    ck_assert_uint_le(host_lane_limits[HOST_LANE_BOOT] + host_lane_limits[LINK_CONTROL], 5);
    hang.left = 8;
    g_mutex_unlock(&hang.lock);
    while (hang.left > 0)
        g_main_context_iteration(world->host.context, TRUE);
    g_mutex_clear(&hang.lock);
}
END_TEST

static struct event *shrink_begin_answer(const struct vm_shape *shape, const struct guest_facts *facts,
                                         const GError *error)
{
    vm_reshape(world->vm, 1, shape, 4321);
    ck_assert(world->shrinks > 0 && world->timeout_ms == 4321);
    vm_on_shrunk(world->vm, world->ticket, facts, error);
    return next_event();
}

/* A guest that refuses keeps all that it has, and so does the host's book. */
START_TEST(test_shrink_vetoed)
{
    g_autoptr(GError) veto = hbr_error_new(HBR_ERROR_CONFLICT, "the guest refuses: busy");
    vm_shape_begin(world->vm, &(struct guest_facts){.vcpus = 3, .memory_mib = 512});
    g_autoptr(event_auto) event = shrink_begin_answer(&(struct vm_shape){.vcpus = 2, .memory_mib = 512},
                                                      &(struct guest_facts){.vcpus = 3, .memory_mib = 512}, veto);
    ck_assert(world->vcpus == 2 && world->memory_mib == 0 && world->waits == 0);
    ck_assert_int_eq(event->error->code, HBR_ERROR_CONFLICT);
    ck_assert(event->shape.vcpus == 3 && event->shape.memory_mib == 512 && world->vm->asked.vcpus == 3);
}
END_TEST

static void plug_three(void)
{
    virDomainPtr domain = virDomainLookupByUUIDString(world->link.connections[LINK_CONTROL], UUID);
    ck_assert_int_eq(virDomainSetVcpusFlags(domain, 3, VIR_DOMAIN_AFFECT_LIVE), 0);
    virDomainFree(domain);
    world->vm->live->vcpus = 3;
    vm_shape_begin(world->vm, &(struct guest_facts){.vcpus = 3, .memory_mib = 512});
}

static const struct guest_facts two = {.vcpus = 2, .memory_mib = 512}, three = {.vcpus = 3, .memory_mib = 512};

/* vCPUs given back stay plugged; what comes next is told without them, and having them again is the guest's doing alone. */
START_TEST(test_shrink_vcpus)
{
    plug_three();
    g_autoptr(event_auto) event = shrink_begin_answer(&(struct vm_shape){.vcpus = 2, .memory_mib = 512}, &two, NULL);
    ck_assert(event->error == NULL && event->shape.vcpus == 2 && vcpus_of_domain() == 3);
    g_autoptr(event_auto) other = reshape(&(struct vm_shape){.vcpus = 2, .memory_mib = 512, .cpu_percent = 50});
    ck_assert(other->error != NULL && other->shape.vcpus == 2);
    vm_reshape(world->vm, 2, &(struct vm_shape){.vcpus = 3, .memory_mib = 512}, 0);
    ck_assert(((struct shaping *)world->vm->shapings->pdata[0])->references == 1 && world->vcpus == 3);
    vm_on_shaped(world->vm, world->ticket, &three, NULL);
    g_autoptr(event_auto) again = next_event();
    ck_assert(again->error == NULL && again->shape.vcpus == 3);
}
END_TEST

/* Consent that is not followed by the deed is no consent, and one that comes too late is taken back. */
START_TEST(test_shrink_lies)
{
    plug_three();
    g_autoptr(event_auto) event = shrink_begin_answer(&(struct vm_shape){.vcpus = 2, .memory_mib = 512}, &three, NULL);
    ck_assert(event->error->code == HBR_ERROR_GUEST && event->shape.vcpus == 3);
    vm_on_shrunk(world->vm, world->ticket, &two, NULL);
    ck_assert(world->waits == 1 && world->vcpus == 3);
}
END_TEST

/* Nor does a guest that says nothing keep anybody waiting. */
START_TEST(test_shrink_silent)
{
    plug_three();
    vm_reshape(world->vm, 1, &(struct vm_shape){.vcpus = 2, .memory_mib = 512}, 1);
    g_autoptr(event_auto) event = next_event();
    ck_assert(event->error->code == HBR_ERROR_TIMEOUT && event->shape.vcpus == 3);
}
END_TEST

/* Without a device for memory its balloon takes memory, and gives it back up to what it was booted with. */
START_TEST(test_balloon)
{
    lose_memory();
    const struct vm_shape less = {.vcpus = 1, .memory_mib = 256};
    g_autoptr(event_auto) event = shrink_begin_answer(&less, &as_before, NULL);
    ck_assert(event->error == NULL && event->shape.memory_mib == 256 && world->memory_mib == 256);
    g_autoptr(event_auto) back = reshape(&(struct vm_shape){.vcpus = 1, .memory_mib = 512});
    ck_assert(back->error == NULL && back->shape.memory_mib == 512 && world->waits == 0);
}
END_TEST

/* What libvirt does not take stays the guest's, on all sides. */
START_TEST(test_shrink_refused)
{
    vm_shape_begin(world->vm, &(struct guest_facts){.vcpus = 1, .memory_mib = 1024});
    vm_reshape(world->vm, 1, &(struct vm_shape){.vcpus = 1, .memory_mib = 100}, 0);
    ck_assert_uint_eq(world->memory_mib, 512); /* what it was booted with */
    vm_on_shrunk(world->vm, world->ticket, &(struct guest_facts){.vcpus = 1, .memory_mib = 1024}, NULL);
    ck_assert(world->waits == 1 && world->memory_max_mib == 512);
    g_autoptr(event_auto) event = next_event();
    ck_assert(event->error != NULL && event->shape.memory_mib == 1024 && world->vm->asked.memory_mib == 1024);
}
END_TEST

/* An instance that ends answers for what is under way. */
START_TEST(test_ends)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_INTERRUPTED, "gone");
    vm_reshape(world->vm, 7, &(struct vm_shape){.vcpus = 2, .memory_mib = 512}, 0);
    vm_forget_shapings(world->vm, error);
    g_autoptr(event_auto) event = next_event();
    ck_assert(event->serial == 7 && event->error->code == HBR_ERROR_INTERRUPTED);
}
END_TEST

/* libvirt's side of GPUs, in the calls' workers: what it does with them, and which it has attached. */
static struct {
    GMutex lock;
    gboolean is_played, is_unreadable; /* is_unreadable: nobody can tell what it has */
    guint attaches;                    /* that succeed before the test driver refuses the next */
    gboolean lets_go;                  /* the guest does when it is asked */
    GHashTable *attached;              /* XML, of which the alias is a part */
} cards;

static gpointer real_call(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

int virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    int (*refuse)(virDomainPtr, const char *, unsigned int) = real_call("virDomainAttachDeviceFlags");
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&cards.lock);
    if (cards.attaches == 0)
        return refuse(domain, xml, flags);
    cards.attaches--;
    g_hash_table_add(cards.attached, g_strdup(xml));
    return 0;
}

int virDomainDetachDeviceFlags(virDomainPtr domain, const char *xml, unsigned int flags)
{
    int (*refuse)(virDomainPtr, const char *, unsigned int) = real_call("virDomainDetachDeviceFlags");
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&cards.lock);
    if (!g_hash_table_contains(cards.attached, xml))
        return refuse(domain, xml, flags);
    if (cards.lets_go)
        g_hash_table_remove(cards.attached, xml);
    return 0;
}

char *virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    char *(*read)(virDomainPtr, unsigned int) = real_call("virDomainGetXMLDesc");
    if (!cards.is_played)
        return read(domain, flags);
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&cards.lock);
    if (cards.is_unreadable)
        return NULL;
    g_autoptr(GString) text = g_string_new("<domain><devices>");
    GHashTableIter iter;
    gpointer xml;
    g_hash_table_iter_init(&iter, cards.attached);
    while (g_hash_table_iter_next(&iter, &xml, NULL))
        g_string_append(text, strchr(strchr(xml, '?') == NULL ? xml : strchr(xml, '>') + 1, '<'));
    g_string_append(text, "</devices></domain>");
    return strdup(text->str);
}

static char *gpu_list[] = {(char *)"0000:65:00.0", (char *)"0:66:0.0", NULL};
static struct host_spec gpu_spec = {.gpus = gpu_list};
static const char first_gpu[] = "ua-gpu-0000-65-00-0", second_gpu[] = "ua-gpu-0000-66-00-0";

static void setup_gpus(void)
{
    setup();
    cards.is_played = TRUE;
    cards.is_unreadable = cards.lets_go = FALSE;
    cards.attaches = G_MAXUINT;
    cards.attached = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    world->host.spec = &gpu_spec;
}

static void teardown_gpus(void)
{
    teardown();
    cards.is_played = FALSE;
    g_clear_pointer(&cards.attached, g_hash_table_unref);
}

static const struct vm_shape with[] = {{.vcpus = 1, .memory_mib = 512},
                                       {.vcpus = 1, .memory_mib = 512, .gpus = 1},
                                       {.vcpus = 1, .memory_mib = 512, .gpus = 2}};

/* Asks for so many. The answer says how many it has, and that all others are free. */
static void expect_gpus(guint wanted, int code, guint has)
{
    g_autoptr(event_auto) event = reshape(&with[wanted]);
    ck_assert_int_eq(event->error == NULL ? -1 : event->error->code, code);
    ck_assert_uint_eq(event->shape.gpus, has);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 2 - has);
    ck_assert_uint_eq(world->waits + world->shrinks, 0); /* the agent has no say in it */
}

#define FINE (-1)

/* Rule: what libvirt has attached is the instance's, and nobody else's; what it refuses stays free, and may be asked for again. */
START_TEST(test_gpu_attach)
{
    expect_gpus(1, FINE, 1);
    expect_gpus(1, FINE, 1); /* nothing to do */
    cards.attaches = 0;
    expect_gpus(2, HBR_ERROR_UNSUPPORTED, 1);
    expect_gpus(2, HBR_ERROR_UNSUPPORTED, 1);
    cards.attaches = 1;
    expect_gpus(2, FINE, 2);
    ck_assert_uint_eq(g_hash_table_size(cards.attached), 2);
}
END_TEST

/* Rule: of several, those that came stay, and are told. */
START_TEST(test_gpu_partly)
{
    cards.attaches = 1;
    expect_gpus(2, HBR_ERROR_UNSUPPORTED, 1);
    cards.attaches = 1;
    expect_gpus(2, FINE, 2);
}
END_TEST

/* Rule: a GPU is not given twice. */
START_TEST(test_gpu_taken)
{
    struct vm other = {.host = &world->host};
    g_hash_table_insert(world->host.vms, (gpointer) "vm-2", &other);
    ck_assert(vm_take_gpus(&other, 1) && !vm_take_gpus(&other, 2) && vm_gpu_count(&other) == 1);
    g_autoptr(event_auto) full = reshape(&with[2]);
    ck_assert(full->error->code == HBR_ERROR_EXHAUSTED && full->shape.gpus == 0);
    g_autoptr(event_auto) event = reshape(&with[1]);
    ck_assert(event->error == NULL && event->shape.gpus == 1 && host_free_gpu_count(&world->host) == 0);
    g_auto(GStrv) addresses = vm_gpu_addresses(world->vm);
    ck_assert_str_eq(addresses[0], gpu_list[1]);
    g_hash_table_remove(world->host.vms, "vm-2");
    vm_free_gpus(&other);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 1);
}
END_TEST

static struct shaping *detach_begin(guint left, gint64 confirm_ms)
{
    expect_gpus(2, FINE, 2);
    vm_reshape(world->vm, 77, &with[left], confirm_ms);
    struct shaping *shaping = world->vm->shapings->pdata[0];
    return shaping;
}

static void expect_detached(guint64 serial, int code, guint has)
{
    g_autoptr(event_auto) event = next_event();
    ck_assert_uint_eq(event->serial, serial);
    ck_assert_int_eq(event->error == NULL ? -1 : event->error->code, code);
    ck_assert_uint_eq(event->shape.gpus, has);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 2 - has);
}

/* Rule: one is free again when the guest has let go of it, not when it was asked to. The newest goes. */
START_TEST(test_gpu_detach)
{
    const struct shaping *shaping = detach_begin(1, 0);
    while (shaping->gpu_deadline == NULL)
        g_main_context_iteration(world->host.context, TRUE);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 0);
    vm_gpu_removed(world->vm, "balloon0");
    ck_assert(g_queue_is_empty(&world->events));
    vm_gpu_removed(world->vm, second_gpu);
    expect_detached(77, FINE, 1);
}
END_TEST

/* Rule: the event may come before the call has returned, and all may be done when it returns. */
START_TEST(test_gpu_detach_early)
{
    detach_begin(1, 0);
    vm_gpu_removed(world->vm, second_gpu);
    expect_detached(77, FINE, 1);
    cards.lets_go = TRUE;
    expect_gpus(0, FINE, 0);
}
END_TEST

/* Rule: a guest that holds on keeps it, on all books; when it lets go after all, the core is told unasked. */
START_TEST(test_gpu_detach_late)
{
    detach_begin(0, 1);
    expect_detached(77, HBR_ERROR_TIMEOUT, 2);
    vm_gpu_removed(world->vm, first_gpu);
    expect_detached(0, FINE, 1);
    ck_assert_uint_eq(world->vm->asked.gpus, 1);
    /* an event that was lost with the connection: libvirt does not have it any more */
    g_hash_table_remove_all(cards.attached);
    expect_gpus(0, FINE, 0);
    expect_gpus(1, FINE, 1);
}
END_TEST

/* Rule: what nobody can tell of stays the instance's until it is known to be gone. */
START_TEST(test_gpu_unknown)
{
    cards.attaches = 0;
    cards.is_unreadable = TRUE;
    expect_gpus(1, HBR_ERROR_UNSUPPORTED, 1);
    expect_gpus(0, HBR_ERROR_UNSUPPORTED, 1);
    cards.is_unreadable = FALSE;
    expect_gpus(0, FINE, 0);
}
END_TEST

/* Rule: an instance that ends holds what it had until its domain is gone, and nobody is told of it any more. */
START_TEST(test_gpu_ends)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_INTERRUPTED, "gone");
    detach_begin(1, 0);
    vm_forget_shapings(world->vm, error);
    world->vm->state = VM_ENDING;
    expect_detached(77, HBR_ERROR_INTERRUPTED, 2);
    while (g_atomic_int_get(&world->link.references) > 1)
        g_main_context_iteration(world->host.context, TRUE);
    vm_gpu_removed(world->vm, second_gpu);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 1);
    g_hash_table_remove(world->host.vms, world->vm->id);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 2);
}
END_TEST

/* Rule: a change of something else leaves the GPUs alone, and so does an adopted instance's first shape. */
START_TEST(test_gpu_adopted)
{
    g_strfreev(world->vm->live->gpus);
    world->vm->live->gpus = g_strsplit("0000:66:00.0", " ", -1);
    vm_adopt_gpus(world->vm);
    vm_shape_begin(world->vm, &as_before);
    ck_assert_uint_eq(host_free_gpu_count(&world->host), 1);
    g_autoptr(event_auto) event =
        reshape(&(struct vm_shape){.vcpus = 1, .memory_mib = 512, .network_mbps = 30, .gpus = 1});
    ck_assert(event->error == NULL && event->shape.gpus == 1 && g_hash_table_size(cards.attached) == 0);
}
END_TEST

/* Rule: libvirt understands what it is asked to attach, and keeps the name that its events will carry. */
START_TEST(test_gpu_xml)
{
    g_autofree char *device = domain_gpu_xml(gpu_list[1], NULL);
    const char *hostdev = strstr(device, "<hostdev");
    g_autofree char *xml =
        g_strdup_printf("<domain type='test'><name>gpu</name><memory>1024</memory><os><type>hvm</type>"
                        "</os><devices>%s</devices></domain>",
                        hostdev);
    cards.is_played = FALSE;
    virDomainPtr domain = virDomainDefineXML(world->link.connections[LINK_CONTROL], xml);
    ck_assert_msg(domain != NULL, "%s", virGetLastErrorMessage());
    char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    g_autoptr(domain_live_auto) live = domain_live_parse(text, "none", NULL);
    ck_assert_str_eq(live->gpus[0], "0000:66:00.0");
    ck_assert(strstr(text, second_gpu) != NULL && strstr(text, "managed='yes'") != NULL);
    free(text);
    virDomainFree(domain);
    ck_assert_ptr_null(domain_gpu_xml("66:00", NULL));
}
END_TEST

static TCase *gpu_cases(void)
{
    TCase *tests = tcase_create("gpus");
    tcase_add_checked_fixture(tests, setup_gpus, teardown_gpus);
    tcase_add_test(tests, test_gpu_attach);
    tcase_add_test(tests, test_gpu_partly);
    tcase_add_test(tests, test_gpu_taken);
    tcase_add_test(tests, test_gpu_detach);
    tcase_add_test(tests, test_gpu_detach_early);
    tcase_add_test(tests, test_gpu_detach_late);
    tcase_add_test(tests, test_gpu_unknown);
    tcase_add_test(tests, test_gpu_ends);
    tcase_add_test(tests, test_gpu_adopted);
    tcase_add_test(tests, test_gpu_xml);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("vm-shape");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_limit_refused);
    tcase_add_test(tests, test_disk);
    tcase_add_loop_test(tests, test_obstacle, 0, G_N_ELEMENTS(obstacles));
    tcase_add_test(tests, test_unmet_since_boot);
    tcase_add_test(tests, test_vcpus_unconfirmed);
    tcase_add_test(tests, test_vcpus_adopted);
    tcase_add_test(tests, test_call_refused);
    tcase_add_test(tests, test_boots_hang);
    tcase_add_test(tests, test_shrink_vetoed);
    tcase_add_test(tests, test_shrink_vcpus);
    tcase_add_test(tests, test_shrink_lies);
    tcase_add_test(tests, test_shrink_silent);
    tcase_add_test(tests, test_balloon);
    tcase_add_test(tests, test_shrink_refused);
    tcase_add_test(tests, test_ends);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, gpu_cases());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
