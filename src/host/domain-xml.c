/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/domain-xml.h"

#include "base/error.h"
#include "wire/message.h"

#include <string.h>

#define IMPLIED_DEVICES 2          /* that libvirt adds: a controller of USB, a balloon */
#define GPU_ALIAS_PREFIX "ua-gpu-" /* libvirt keeps the names that begin with "ua-" */
#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"
#define QGA_CHANNEL_NAME "org.qemu.guest_agent.0"
#define BOOT_MEMORY_DEFAULT 256u
/* The kernel keeps its book of hotplugged pages (1/64 of them) and all that cannot be moved in the memory that it booted with. */
#define BOOT_MEMORY_SHARE 16u

char *domain_name(const char *instance_id)
{
    return g_strconcat(DOMAIN_NAME_PREFIX, instance_id, NULL);
}

static guint round_up(guint value, guint unit)
{
    return (value + unit - 1) / unit * unit;
}

guint domain_boot_memory_mib(guint template_mib, const struct vm_shape *shape, const struct vm_shape *maximum)
{
    const guint wanted = MAX(template_mib, maximum->memory_mib / BOOT_MEMORY_SHARE);
    return round_up(MIN(wanted, shape->memory_mib), DOMAIN_MEMORY_BLOCK_MIB);
}

guint domain_requested_mib(guint boot_mib, const struct vm_shape *shape)
{
    return shape->memory_mib <= boot_mib ? 0 : round_up(shape->memory_mib - boot_mib, DOMAIN_MEMORY_BLOCK_MIB);
}

char *domain_mac(const char *uuid)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize length = sizeof digest;
    g_checksum_update(checksum, (const guchar *)uuid, -1);
    g_checksum_get_digest(checksum, digest, &length);
    return g_strdup_printf("52:54:00:%02x:%02x:%02x", digest[0], digest[1], digest[2]);
}

guint domain_bandwidth_kib(guint network_mbps)
{
    return (guint)((guint64)network_mbps * 1000000 / 8 / 1024);
}

guint domain_bandwidth_mbps(guint64 kib)
{
    return (guint)((MIN(kib, G_MAXUINT32) * 1024 * 8 + 500000) / 1000000);
}

static xmlNode *xml_append_mib(xmlNode *parent, const char *name, guint mib)
{
    g_autofree char *text = g_strdup_printf("%u", mib);
    xmlNode *node = xml_append(parent, name, text);
    xml_set_attribute(node, "unit", "MiB");
    return node;
}

static guint memory_of(const xmlNode *node, guint fallback)
{
    g_autofree char *text = xml_text(node);
    g_autofree char *unit = xml_attribute(node, "unit");
    guint64 value;
    if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXUINT32, &value, NULL))
        return fallback;
    if (unit == NULL || strcmp(unit, "KiB") == 0)
        return (guint)(value / 1024);
    return (guint)(strcmp(unit, "GiB") == 0 ? value * 1024 : value);
}

/* Makes a file named in the template absolute, and sees that it is there. */
static gboolean image_resolve(const struct template *template, const struct domain_plan *plan, const xmlNode *node,
                              char **path, GError **error)
{
    if (!g_path_is_absolute(*path)) {
        char *full = g_build_filename(plan->image_dir, *path, NULL);
        g_free(*path);
        *path = full;
    }
    if (!plan->is_local || g_file_test(*path, G_FILE_TEST_EXISTS))
        return TRUE;
    hbr_error_set(
        error, HBR_ERROR_NOT_FOUND,
        "the image %s, named by %s:%ld, is missing; contrib/guest-image/build makes it (or set the image directory)",
        *path, template->path, xmlGetLineNo(node));
    return FALSE;
}

static gboolean image_resolve_text(const struct template *template, const struct domain_plan *plan, xmlNode *node,
                                   GError **error)
{
    g_autofree char *path = xml_text(node);
    if (path == NULL)
        return TRUE;
    if (!image_resolve(template, plan, node, &path, error))
        return FALSE;
    xml_set_text(node, path);
    return TRUE;
}

static gboolean fill_images(const struct template *template, const struct domain_plan *plan, xmlNode *root,
                            GError **error)
{
    if (!image_resolve_text(template, plan, xml_path(root, "os/kernel"), error) ||
        !image_resolve_text(template, plan, xml_path(root, "os/initrd"), error))
        return FALSE;
    for (xmlNode *disk = xml_path(root, "devices/disk"); disk != NULL; disk = xml_next(disk)) {
        xmlNode *source = xml_child(disk, "source");
        g_autofree char *path = xml_attribute(source, "file");
        if (path == NULL)
            continue;
        if (!image_resolve(template, plan, source, &path, error))
            return FALSE;
        xml_set_attribute(source, "file", path);
    }
    return TRUE;
}

/* The instance's own disk is the one that the template leaves without a source. */
static gboolean fill_disk(const struct template *template, const struct domain_plan *plan, xmlNode *root,
                          GError **error)
{
    for (xmlNode *disk = xml_path(root, "devices/disk"); disk != NULL; disk = xml_next(disk)) {
        if (xml_child(disk, "source") != NULL)
            continue;
        if (plan->disk_path == NULL)
            break;
        xml_set_attribute(xml_append(disk, "source", NULL), "file", plan->disk_path);
        domain_set_disk_limit(disk, plan->boot->shape.disk_mbps);
        return TRUE;
    }
    if (plan->disk_path == NULL)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID,
                  "%s:1: disk='sparse' needs a <disk type='file'> without <source> for the instance's own disk",
                  template->path);
    return FALSE;
}

static void fill_vcpus(const struct boot_spec *boot, xmlNode *root)
{
    g_autofree char *maximum = g_strdup_printf("%u", boot->maximum.vcpus);
    xmlNode *vcpu = xml_set(root, "vcpu", maximum);
    xml_set_attribute(vcpu, "placement", "static");
    xml_set_attribute_uint(vcpu, "current", boot->shape.vcpus);
}

void domain_set_quota(const struct boot_spec *boot, xmlNode *root)
{
    xmlNode *cputune = xml_ensure(root, "cputune");
    g_autofree char *period = g_strdup_printf("%d", DOMAIN_QUOTA_PERIOD_US);
    g_autofree char *quota = g_strdup_printf("%u", boot->shape.cpu_percent * (DOMAIN_QUOTA_PERIOD_US / 100));
    xml_set(cputune, "global_period", period);
    xml_set(cputune, "global_quota", quota);
}

static void fill_numa(const struct boot_spec *boot, xmlNode *root, guint boot_mib)
{
    xmlNode *numa = xml_ensure(xml_ensure(root, "cpu"), "numa");
    xml_remove_children(numa, "cell");
    xmlNode *cell = xml_append(numa, "cell", NULL);
    g_autofree char *cpus = boot->maximum.vcpus > 1 ? g_strdup_printf("0-%u", boot->maximum.vcpus - 1) : g_strdup("0");
    xml_set_attribute_uint(cell, "id", 0);
    xml_set_attribute(cell, "cpus", cpus);
    xml_set_attribute_uint(cell, "memory", boot_mib);
    xml_set_attribute(cell, "unit", "MiB");
}

static void add_memory_device(const struct boot_spec *boot, xmlNode *devices, guint boot_mib)
{
    xmlNode *memory = xml_append(devices, "memory", NULL);
    xml_set_attribute(memory, "model", "virtio-mem");
    xmlNode *target = xml_append(memory, "target", NULL);
    xml_append_mib(target, "size", domain_requested_mib(boot_mib, &boot->maximum));
    xml_append(target, "node", "0");
    xml_append_mib(target, "block", DOMAIN_MEMORY_BLOCK_MIB);
    xml_append_mib(target, "requested", domain_requested_mib(boot_mib, &boot->shape));
}

static void fill_memory(const struct boot_spec *boot, xmlNode *root)
{
    const guint boot_mib =
        domain_boot_memory_mib(memory_of(xml_child(root, "memory"), BOOT_MEMORY_DEFAULT), &boot->shape, &boot->maximum);
    const guint growth_mib = domain_requested_mib(boot_mib, &boot->maximum);
    xml_remove_children(root, "memory");
    xml_remove_children(root, "currentMemory");
    xml_remove_children(root, "maxMemory");
    if (growth_mib > 0)
        xml_set_attribute(xml_append_mib(root, "maxMemory", boot_mib + growth_mib), "slots", "1");
    xml_append_mib(root, "memory", boot_mib + growth_mib);
    fill_numa(boot, root, boot_mib);
    if (growth_mib > 0)
        add_memory_device(boot, xml_ensure(root, "devices"), boot_mib);
}

static void add_channel(xmlNode *devices, const char *name)
{
    xmlNode *channel = xml_append(devices, "channel", NULL);
    xml_set_attribute(channel, "type", "unix");
    xmlNode *target = xml_append(channel, "target", NULL);
    xml_set_attribute(target, "type", "virtio");
    xml_set_attribute(target, "name", name);
}

void domain_set_bandwidth(xmlNode *nic, guint network_mbps)
{
    xmlNode *bandwidth = xml_append(nic, "bandwidth", NULL);
    xml_set_attribute_uint(xml_append(bandwidth, "inbound", NULL), "average", domain_bandwidth_kib(network_mbps));
    xml_set_attribute_uint(xml_append(bandwidth, "outbound", NULL), "average", domain_bandwidth_kib(network_mbps));
}

/* 0 lifts it. */
void domain_set_disk_limit(xmlNode *disk, guint disk_mbps)
{
    static const char *const ways[] = {"read_bytes_sec", "write_bytes_sec"};
    xml_remove_children(disk, "iotune");
    if (disk_mbps == 0)
        return;
    xmlNode *limits = xml_append(disk, "iotune", NULL);
    g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)disk_mbps * DOMAIN_DISK_MB);
    for (gsize i = 0; i < G_N_ELEMENTS(ways); i++)
        xml_append(limits, ways[i], bytes);
}

static gboolean add_nic(const struct domain_plan *plan, xmlNode *devices, GError **error)
{
    const char *network = plan->network == NULL ? "none" : plan->network;
    if (strcmp(network, "none") == 0)
        return TRUE;
    const char *equals = strchr(network, '=');
    g_autofree char *type = equals == NULL ? g_strdup(network) : g_strndup(network, (gsize)(equals - network));
    if (strcmp(type, equals == NULL ? "user" : "bridge") != 0 && (equals == NULL || strcmp(type, "network") != 0)) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "network \"%s\" of the host: it is \"none\", \"user\", \"bridge=NAME\" or \"network=NAME\"",
                      network);
        return FALSE;
    }
    g_autofree char *mac = domain_mac(plan->boot->uuid);
    xmlNode *nic = xml_append(devices, "interface", NULL);
    xml_set_attribute(nic, "type", type);
    xml_set_attribute(xml_append(nic, "mac", NULL), "address", mac);
    if (equals != NULL)
        xml_set_attribute(xml_append(nic, "source", NULL), type, equals + 1);
    xml_set_attribute(xml_append(nic, "model", NULL), "type", "virtio");
    if (equals != NULL && plan->has_bandwidth && plan->boot->shape.network_mbps > 0)
        domain_set_bandwidth(nic, plan->boot->shape.network_mbps);
    return TRUE;
}

struct pci_address {
    unsigned int domain, bus, slot, function;
};

static gboolean pci_address_parse(const char *text, struct pci_address *ret)
{
    return sscanf(text, "%x:%x:%x.%x", &ret->domain, &ret->bus, &ret->slot, &ret->function) == 4;
}

char *domain_gpu_alias(const char *address)
{
    struct pci_address pci;
    if (!pci_address_parse(address, &pci))
        return g_strdup(address);
    return g_strdup_printf(GPU_ALIAS_PREFIX "%04x-%02x-%02x-%x", pci.domain, pci.bus, pci.slot, pci.function);
}

static void fill_gpu(xmlNode *hostdev, const char *address, const struct pci_address *pci)
{
    g_autofree char *alias = domain_gpu_alias(address);
    xml_set_attribute(hostdev, "mode", "subsystem");
    xml_set_attribute(hostdev, "type", "pci");
    xml_set_attribute(hostdev, "managed", "yes");
    xmlNode *source = xml_append(xml_append(hostdev, "source", NULL), "address", NULL);
    const char *const names[] = {"domain", "bus", "slot", "function"};
    const unsigned int values[] = {pci->domain, pci->bus, pci->slot, pci->function};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *text = g_strdup_printf("0x%02x", values[i]);
        xml_set_attribute(source, names[i], text);
    }
    xml_set_attribute(xml_append(hostdev, "alias", NULL), "name", alias);
}

static gboolean gpu_address_parse(const char *address, struct pci_address *ret, GError **error)
{
    if (pci_address_parse(address, ret))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "GPU \"%s\" of the host: a PCI address looks like 0000:01:00.0", address);
    return FALSE;
}

static gboolean add_gpu(xmlNode *devices, const char *address, GError **error)
{
    struct pci_address pci;
    if (!gpu_address_parse(address, &pci, error))
        return FALSE;
    fill_gpu(xml_append(devices, "hostdev", NULL), address, &pci);
    return TRUE;
}

char *domain_gpu_xml(const char *address, GError **error)
{
    struct pci_address pci;
    if (!gpu_address_parse(address, &pci, error))
        return NULL;
    g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *hostdev = xmlNewDocNode(doc, NULL, (const xmlChar *)"hostdev", NULL);
    xmlDocSetRootElement(doc, hostdev);
    fill_gpu(hostdev, address, &pci);
    return xml_to_string(doc);
}

static guint first_free_index(const xmlNode *devices)
{
    guint next = 1; /* 0 is the root's */
    for (const xmlNode *node = xml_child(devices, "controller"); node != NULL; node = xml_next(node)) {
        g_autofree char *type = xml_attribute(node, "type");
        g_autofree char *index = xml_attribute(node, "index");
        guint64 value;
        if (g_strcmp0(type, "pci") == 0 && index != NULL &&
            g_ascii_string_to_unsigned(index, 10, 0, G_MAXUINT8, &value, NULL))
            next = MAX(next, (guint)value + 1);
    }
    return next;
}

/* On q35 a device can only come to a running guest where a port waits for it. libvirt makes one to spare at most, and puts the devices of the
 * start into those that there are, so there is one for each of these too. */
static void add_gpu_ports(const struct boot_spec *boot, const xmlNode *root, xmlNode *devices)
{
    g_autofree char *machine = xml_attribute(xml_path(root, "os/type"), "machine");
    if (boot->maximum.gpus <= boot->shape.gpus || machine == NULL || strstr(machine, "q35") == NULL)
        return;
    const guint count = (guint)xmlChildElementCount(devices) + IMPLIED_DEVICES + boot->maximum.gpus - boot->shape.gpus;
    const guint first = first_free_index(devices);
    for (guint i = 0; i < count; i++) {
        xmlNode *port = xml_append(devices, "controller", NULL);
        xml_set_attribute(port, "type", "pci");
        xml_set_attribute_uint(port, "index", first + i);
        xml_set_attribute(port, "model", "pcie-root-port");
    }
}

static gboolean fill_devices(const struct template *template, const struct domain_plan *plan, xmlNode *root,
                             GError **error)
{
    xmlNode *devices = xml_ensure(root, "devices");
    add_channel(devices, template->agent == TEMPLATE_AGENT_QEMU ? QGA_CHANNEL_NAME : WIRE_CHANNEL_NAME);
    if (!add_nic(plan, devices, error))
        return FALSE;
    for (char **gpu = plan->gpus; gpu != NULL && *gpu != NULL; gpu++) {
        if (!add_gpu(devices, *gpu, error))
            return FALSE;
    }
    add_gpu_ports(plan->boot, root, devices);
    return TRUE;
}

static void metadata_fill(const struct boot_spec *boot, xmlNode *instance)
{
    const struct {
        const char *name, *value;
    } attributes[] = {
        {"id", boot->instance_id},  {"owner", boot->owner}, {"reservation", boot->reservation_id},
        {"profile", boot->profile}, {"pool", boot->pool},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++) {
        if (attributes[i].value != NULL)
            xml_set_attribute(instance, attributes[i].name, attributes[i].value);
    }
}

void domain_set_metadata(const struct boot_spec *boot, xmlNode *root)
{
    xmlNode *metadata = xml_ensure(root, "metadata");
    for (xmlNode *node = xml_child(metadata, "instance"), *next; node != NULL; node = next) {
        next = xml_next(node);
        if (node->ns != NULL && strcmp((const char *)node->ns->href, DOMAIN_METADATA_NAMESPACE) == 0)
            xml_remove(node);
    }
    xmlNode *instance = xmlNewChild(metadata, NULL, (const xmlChar *)"instance", NULL);
    xmlSetNs(instance,
             xmlNewNs(instance, (const xmlChar *)DOMAIN_METADATA_NAMESPACE, (const xmlChar *)DOMAIN_METADATA_PREFIX));
    metadata_fill(boot, instance);
}

char *domain_metadata_text(const struct boot_spec *boot)
{
    g_autoptr(xmlDoc) doc = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *instance = xmlNewDocNode(doc, NULL, (const xmlChar *)"instance", NULL);
    xmlDocSetRootElement(doc, instance);
    metadata_fill(boot, instance);
    return xml_to_string(doc);
}

static void drop_cpu_check(xmlNode *root)
{
    xmlNs *ns = xmlNewNs(root, (const xmlChar *)QEMU_NAMESPACE, (const xmlChar *)"qemu");
    xmlNode *capabilities = xmlNewChild(root, ns, (const xmlChar *)"capabilities", NULL);
    xmlNode *removed = xmlNewChild(capabilities, ns, (const xmlChar *)"del", NULL);
    xml_set_attribute(removed, "capability", "cpu-unavailable-features");
}

/* Nothing survives its instance: whatever ends the guest removes the domain. */
static void fill_lifecycle(xmlNode *root)
{
    xml_set(root, "on_poweroff", "destroy");
    xml_set(root, "on_reboot", "destroy");
    xml_set(root, "on_crash", "destroy");
}

static void fill_cpu(const struct domain_plan *plan, xmlNode *root)
{
    xmlNode *cpu = xml_ensure(root, "cpu");
    g_autofree char *mode = xml_attribute(cpu, "mode");
    if (plan->use_kvm && mode == NULL)
        xml_set_attribute(cpu, "mode", "host-passthrough");
}

char *domain_xml_build(struct template *template, const struct domain_plan *plan, GError **error)
{
    const struct boot_spec *boot = plan->boot;
    xmlNode *root = xmlDocGetRootElement(template->doc);
    g_autofree char *name = domain_name(boot->instance_id);
    xml_set_attribute(root, "type", plan->use_kvm ? "kvm" : "qemu");
    xml_set(root, "name", name);
    xml_set(root, "uuid", boot->uuid);
    fill_vcpus(boot, root);
    if (plan->has_quota && boot->shape.cpu_percent > 0)
        domain_set_quota(boot, root);
    fill_memory(boot, root);
    fill_cpu(plan, root);
    fill_lifecycle(root);
    if (!fill_images(template, plan, root, error) || !fill_disk(template, plan, root, error) ||
        !fill_devices(template, plan, root, error))
        return NULL;
    domain_set_metadata(boot, root);
    if (plan->drop_cpu_check)
        drop_cpu_check(root);
    return xml_to_string(template->doc);
}
