/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt-calls.h"

#include "base/error.h"
#include "host/libvirt-error.h"
#include "host/machine-speed.h"
#include "wire/message.h"

#include <libvirt/virterror.h>
#include <string.h>

gboolean connect_call_run(gpointer data, GError **error)
{
    struct connect_call *call = data;
    call->link = link_open(call->uri, call->generation, &call->watch, call->inbox, error);
    if (call->link != NULL && call->wants_speed)
        call->speed = machine_speed();
    return call->link != NULL;
}

void connect_call_free(gpointer data)
{
    struct connect_call *call = data;
    link_unref(call->link);
    inbox_unref(call->inbox);
    g_free(call->uri);
    g_free(call);
}

gboolean kvm_call_run(gpointer data, GError **error)
{
    struct kvm_call *call = data;
    (void)error;
    char *capabilities =
        virConnectGetDomainCapabilities(call->link->connections[LINK_SLOW], NULL, NULL, NULL, "kvm", 0);
    call->is_offered = capabilities != NULL;
    free(capabilities);
    return TRUE;
}

void kvm_call_free(gpointer data)
{
    struct kvm_call *call = data;
    link_unref(call->link);
    g_free(call);
}

static gboolean change_with(gpointer data, GError **error, int (*change)(virDomainPtr, const struct change_call *),
                            const char *what)
{
    const struct change_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_CONTROL, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    return change(domain, call) >= 0 || libvirt_fail(error, what);
}

gboolean change_vcpus_run(gpointer data, GError **error)
{
    struct change_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_CONTROL, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    if (virDomainSetVcpusFlags(domain, call->vcpus, VIR_DOMAIN_AFFECT_LIVE) >= 0)
        return TRUE;
    libvirt_fail(error, "add vCPUs");
    call->vcpus_present = (guint)MAX(virDomainGetVcpusFlags(domain, VIR_DOMAIN_AFFECT_LIVE), 0);
    return FALSE;
}

static int set_memory(virDomainPtr domain, const struct change_call *call)
{
    return virDomainUpdateDeviceFlags(domain, call->memory_xml, VIR_DOMAIN_AFFECT_LIVE);
}

gboolean change_memory_run(gpointer data, GError **error)
{
    return change_with(data, error, set_memory, "plug memory");
}

static int set_bandwidth(virDomainPtr domain, const struct change_call *call)
{
    virTypedParameterPtr parameters = NULL;
    int count = 0, limit = 0;
    const guint rate = domain_bandwidth_kib(call->network_mbps);
    virTypedParamsAddUInt(&parameters, &count, &limit, VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, rate);
    virTypedParamsAddUInt(&parameters, &count, &limit, VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, rate);
    const int status =
        virDomainSetInterfaceParameters(domain, call->nic_device, parameters, count, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(parameters, count);
    return status;
}

gboolean change_bandwidth_run(gpointer data, GError **error)
{
    return change_with(data, error, set_bandwidth, "limit the network's bandwidth");
}

static int set_quota(virDomainPtr domain, const struct change_call *call)
{
    virTypedParameterPtr parameters = NULL;
    int count = 0, limit = 0;
    const gint64 quota = call->cpu_percent == 0 ? -1 : (gint64)call->cpu_percent * DOMAIN_QUOTA_PERIOD_US / 100;
    virTypedParamsAddULLong(&parameters, &count, &limit, VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD, DOMAIN_QUOTA_PERIOD_US);
    virTypedParamsAddLLong(&parameters, &count, &limit, VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, quota);
    const int status = virDomainSetSchedulerParametersFlags(domain, parameters, count, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(parameters, count);
    return status;
}

gboolean change_quota_run(gpointer data, GError **error)
{
    return change_with(data, error, set_quota, "cap the CPU time");
}

static int set_disk(virDomainPtr domain, const struct change_call *call)
{
    virTypedParameterPtr parameters = NULL;
    int count = 0, limit = 0;
    const guint64 bytes = (guint64)call->disk_mbps * DOMAIN_DISK_MB;
    virTypedParamsAddULLong(&parameters, &count, &limit, VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, bytes);
    virTypedParamsAddULLong(&parameters, &count, &limit, VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, bytes);
    const int status = virDomainSetBlockIoTune(domain, call->disk_device, parameters, count, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(parameters, count);
    return status;
}

gboolean change_disk_run(gpointer data, GError **error)
{
    return change_with(data, error, set_disk, "limit the disk's bandwidth");
}

/* FACTS: libvirt and QEMU tell changes of memory at most once a second. */
#define LOOK_MS 100

/* Looks until `is_there` says so, or for wait_ms. */
static gboolean change_wait(struct change_call *call, virDomainPtr domain, guint (*look)(virDomainPtr),
                            gboolean (*is_there)(const struct change_call *))
{
    const gint64 until = g_get_monotonic_time() + call->wait_ms * 1000;
    for (;;) {
        const guint present = look(domain);
        call->memory_present = present > 0 ? present : call->memory_present;
        if (present > 0 && is_there(call))
            return TRUE;
        if (g_get_monotonic_time() >= until)
            return FALSE;
        g_poll(NULL, 0, LOOK_MS);
    }
}

static guint look_balloon(virDomainPtr domain)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    const int count = virDomainMemoryStats(domain, stats, G_N_ELEMENTS(stats), 0);
    for (int i = 0; i < count; i++)
        if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON)
            return (guint)MIN((stats[i].val + 1023) / 1024, G_MAXUINT);
    return 0;
}

static gboolean is_equal(const struct change_call *call)
{
    return call->memory_present == call->memory_mib;
}

gboolean change_balloon_run(gpointer data, GError **error)
{
    struct change_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    if (virDomainSetMemoryFlags(domain, (gulong)call->memory_mib * 1024, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return libvirt_fail(error, "set the memory balloon");
    if (change_wait(call, domain, look_balloon, is_equal))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_TIMEOUT, "by its balloon the guest has %u MiB, not %u", call->memory_present,
                  call->memory_mib);
    return FALSE;
}

static guint look_plugged(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(domain_live_auto) live = xml == NULL ? NULL : domain_live_parse(xml, WIRE_CHANNEL_NAME, NULL);
    free(xml);
    return live == NULL ? 0 : live->boot_memory_mib + live->plugged_mib;
}

static gboolean is_taken(const struct change_call *call)
{
    return call->memory_present <= call->memory_mib;
}

gboolean memory_taken_run(gpointer data, GError **error)
{
    struct change_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    if (change_wait(call, domain, look_plugged, is_taken))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_GUEST, "the guest holds %u MiB, and should hold %u", call->memory_present,
                  call->memory_mib);
    return FALSE;
}

gboolean unplug_vcpus_run(gpointer data, GError **error)
{
    struct change_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    const gboolean is_done =
        virDomainSetVcpusFlags(domain, call->vcpus, VIR_DOMAIN_AFFECT_LIVE) >= 0 || libvirt_fail(error, "unplug vCPUs");
    call->vcpus_present = is_done ? call->vcpus : 0;
    return is_done;
}

static enum gpu_presence look_gpu(virDomainPtr domain, const char *address)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(domain_live_auto) live = xml == NULL ? NULL : domain_live_parse(xml, WIRE_CHANNEL_NAME, NULL);
    g_autofree char *alias = domain_gpu_alias(address);
    free(xml);
    if (live == NULL)
        return GPU_UNKNOWN;
    for (char **gpu = live->gpus; *gpu != NULL; gpu++) {
        g_autofree char *other = domain_gpu_alias(*gpu);
        if (strcmp(other, alias) == 0)
            return GPU_PRESENT;
    }
    return GPU_ABSENT;
}

gboolean attach_gpu_run(gpointer data, GError **error)
{
    struct change_call *call = data;
    g_autofree char *xml = domain_gpu_xml(call->gpu, error);
    g_autoptr(virDomain) domain = xml == NULL ? NULL : link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    call->gpu_presence = GPU_PRESENT;
    if (virDomainAttachDeviceFlags(domain, xml, VIR_DOMAIN_AFFECT_LIVE) >= 0)
        return TRUE;
    libvirt_fail(error, "attach a GPU");
    call->gpu_presence = look_gpu(domain, call->gpu);
    return FALSE;
}

gboolean detach_gpu_run(gpointer data, GError **error)
{
    struct change_call *call = data;
    g_autofree char *xml = domain_gpu_xml(call->gpu, error);
    g_autoptr(virDomain) domain = xml == NULL ? NULL : link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    const gboolean is_asked =
        virDomainDetachDeviceFlags(domain, xml, VIR_DOMAIN_AFFECT_LIVE) >= 0 || libvirt_fail(error, "detach a GPU");
    call->gpu_presence = look_gpu(domain, call->gpu);
    if (!is_asked && call->gpu_presence == GPU_ABSENT)
        g_clear_error(error);
    return is_asked || call->gpu_presence == GPU_ABSENT;
}

void change_call_free(gpointer data)
{
    struct change_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call->memory_xml);
    g_free(call->nic_device);
    g_free(call->disk_device);
    g_free(call->gpu);
    g_free(call);
}

static guint64 stats_kib(const virDomainStatsRecord *record, const char *name)
{
    unsigned long long value = 0;
    virTypedParamsGetULLong(record->params, record->nparams, name, &value);
    return value;
}

/* FACTS: with NOWAIT a QEMU that hangs in another call is passed over. */
static void sample_memory(struct sample_call *call, virDomainPtr domain)
{
    virDomainPtr domains[] = {domain, NULL};
    virDomainStatsRecordPtr *records = NULL;
    if (virDomainListGetStats(domains, VIR_DOMAIN_STATS_BALLOON, &records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT) ==
        1) {
        const guint64 total_kib = stats_kib(records[0], "balloon.available");
        const guint64 usable_kib = stats_kib(records[0], "balloon.usable");
        const guint64 free_kib = usable_kib > 0 ? usable_kib : stats_kib(records[0], "balloon.unused");
        call->memory_total_mib = (guint)MIN(total_kib / 1024, G_MAXUINT);
        call->memory_used_mib = (guint)MIN((total_kib - MIN(total_kib, free_kib)) / 1024, G_MAXUINT);
    }
    if (records != NULL)
        virDomainStatsRecordListFree(records);
}

gboolean sample_call_run(gpointer data, GError **error)
{
    struct sample_call *call = data;
    virDomainInfo info;
    virDomainInterfaceStatsStruct network;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_MONITOR, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    if (virDomainGetInfo(domain, &info) < 0)
        return libvirt_fail(error, "look at the domain");
    call->at = g_get_monotonic_time();
    call->cpu_time_ns = info.cpuTime;
    if (call->wants_memory)
        sample_memory(call, domain);
    if (call->nic_device == NULL || virDomainInterfaceStats(domain, call->nic_device, &network, sizeof network) < 0)
        return TRUE;
    call->has_network = TRUE;
    call->rx_bytes = network.rx_bytes;
    call->tx_bytes = network.tx_bytes;
    return TRUE;
}

void sample_call_free(gpointer data)
{
    struct sample_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call->nic_device);
    g_free(call);
}

gboolean look_call_run(gpointer data, GError **error)
{
    struct look_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_CONTROL, call->uuid, error);
    int state = 0;
    if (domain != NULL && virDomainGetState(domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
        virDomainResume(domain) < 0)
        return libvirt_fail(error, "resume the domain");
    char *xml = domain == NULL ? NULL : virDomainGetXMLDesc(domain, 0);
    if (xml == NULL)
        return domain == NULL ? FALSE : libvirt_fail(error, "read the domain");
    call->live = domain_live_parse(xml, WIRE_CHANNEL_NAME, error);
    free(xml);
    return call->live != NULL;
}

void look_call_free(gpointer data)
{
    struct look_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    domain_live_free(call->live);
    g_free(call);
}

static gboolean power_with(gpointer data, int (*change)(virDomainPtr), int wanted, const char *what, GError **error)
{
    const struct power_call *call = data;
    int state = 0;
    g_autoptr(virDomain) domain = link_find(call->link, call->lane, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    if (change(domain) >= 0)
        return TRUE;
    libvirt_fail(error, what);
    if (virDomainGetState(domain, &state, NULL, 0) < 0 || state != wanted)
        return FALSE;
    g_clear_error(error);
    return TRUE;
}

gboolean suspend_call_run(gpointer data, GError **error)
{
    return power_with(data, virDomainSuspend, VIR_DOMAIN_PAUSED, "suspend the domain", error);
}

gboolean resume_call_run(gpointer data, GError **error)
{
    return power_with(data, virDomainResume, VIR_DOMAIN_RUNNING, "resume the domain", error);
}

void power_call_free(gpointer data)
{
    struct power_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call);
}

gboolean metadata_call_run(gpointer data, GError **error)
{
    const struct metadata_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, call->text, DOMAIN_METADATA_PREFIX,
                                DOMAIN_METADATA_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
           libvirt_fail(error, "write the metadata of the domain");
}

void metadata_call_free(gpointer data)
{
    struct metadata_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call->text);
    g_free(call);
}

gboolean domain_read_metadata(virDomainPtr domain, char **ret_instance_id, char **ret_owner)
{
    char *text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DOMAIN_METADATA_NAMESPACE, 0);
    const gboolean is_ours = text != NULL && domain_metadata_parse(text, ret_instance_id, ret_owner);
    free(text);
    return is_ours;
}

static void found_domain_free(gpointer data)
{
    struct found_domain *found = data;
    g_free(found->uuid);
    g_free(found->instance_id);
    g_free(found->owner);
    g_free(found);
}

/* A domain without our metadata is no business of ours. */
static void inventory_look(struct inventory_call *call, virDomainPtr domain)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    g_autofree char *instance_id = NULL;
    g_autofree char *owner = NULL;
    if (!domain_read_metadata(domain, &instance_id, &owner) || virDomainGetUUIDString(domain, uuid) < 0)
        return;
    struct found_domain *found = g_new0(struct found_domain, 1);
    found->uuid = g_strdup(uuid);
    found->instance_id = g_steal_pointer(&instance_id);
    found->owner = g_steal_pointer(&owner);
    found->is_running = virDomainIsActive(domain) == 1;
    g_ptr_array_add(call->found, found);
}

gboolean inventory_call_run(gpointer data, GError **error)
{
    struct inventory_call *call = data;
    virDomainPtr *domains = NULL;
    const int count = virConnectListAllDomains(call->link->connections[LINK_MONITOR], &domains, 0);
    if (count < 0)
        return libvirt_fail(error, "list the domains");
    call->found = g_ptr_array_new_with_free_func(found_domain_free);
    for (int i = 0; i < count; i++) {
        inventory_look(call, domains[i]);
        virDomainFree(domains[i]);
    }
    free(domains);
    call->saved = call->saved_dir == NULL ? g_ptr_array_new_with_free_func((GDestroyNotify)saved_state_free)
                                          : saved_list(call->saved_dir, call->owner, &call->origin, call->saved_since);
    return TRUE;
}

void inventory_call_free(gpointer data)
{
    struct inventory_call *call = data;
    link_unref(call->link);
    g_clear_pointer(&call->found, g_ptr_array_unref);
    g_clear_pointer(&call->saved, g_ptr_array_unref);
    saved_origin_clear(&call->origin);
    g_free(call->saved_dir);
    g_free(call->owner);
    g_free(call);
}
