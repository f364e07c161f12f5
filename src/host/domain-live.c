/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/domain-xml.h"

#include <libxml/parser.h>
#include <string.h>

/* libvirt writes no document type: what has one, and with it entities, is not libvirt's. */
xmlDoc *domain_document(const char *text)
{
    xmlDoc *doc =
        xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc != NULL && doc->intSubset != NULL)
        g_clear_pointer(&doc, xmlFreeDoc);
    return doc;
}

static guint live_mib(const xmlNode *node)
{
    g_autofree char *text = xml_text(node);
    g_autofree char *unit = xml_attribute(node, "unit");
    const guint64 value = text == NULL ? 0 : g_ascii_strtoull(text, NULL, 10);
    return (guint)(unit != NULL && strcmp(unit, "MiB") == 0 ? value : value / 1024);
}

static gboolean attribute_is(const xmlNode *node, const char *name, const char *value)
{
    g_autofree char *text = xml_attribute(node, name);
    return g_strcmp0(text, value) == 0;
}

static void live_read_channel(struct domain_live *live, const xmlNode *devices, const char *channel_name)
{
    for (const xmlNode *channel = xml_child(devices, "channel"); channel != NULL; channel = xml_next(channel)) {
        if (live->channel_path == NULL && attribute_is(xml_child(channel, "target"), "name", channel_name))
            live->channel_path = xml_attribute(xml_child(channel, "source"), "path");
    }
}

static char *node_to_string(const xmlNode *node)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlNodeDump(buffer, node->doc, (xmlNode *)node, 0, 0);
    char *text = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

static void live_read_memory(struct domain_live *live, const xmlNode *root, const xmlNode *devices)
{
    for (const xmlNode *memory = xml_child(devices, "memory"); memory != NULL; memory = xml_next(memory)) {
        if (!attribute_is(memory, "model", "virtio-mem") || xml_path(memory, "target/requested") == NULL)
            continue;
        live->memory_xml = node_to_string(memory);
        live->memory_size_mib = live_mib(xml_path(memory, "target/size"));
        live->requested_mib = live_mib(xml_path(memory, "target/requested"));
        live->plugged_mib = live_mib(xml_path(memory, "target/current"));
        break;
    }
    const guint total = live_mib(xml_child(root, "memory"));
    live->boot_memory_mib = total - MIN(total, live->memory_size_mib);
}

static void live_read_vcpus(struct domain_live *live, const xmlNode *root)
{
    const xmlNode *vcpu = xml_child(root, "vcpu");
    g_autofree char *maximum = xml_text(vcpu);
    g_autofree char *current = xml_attribute(vcpu, "current");
    live->vcpus_max = maximum == NULL ? 0 : (guint)g_ascii_strtoull(maximum, NULL, 10);
    live->vcpus = current == NULL ? live->vcpus_max : (guint)g_ascii_strtoull(current, NULL, 10);
}

static guint64 live_number(char *text)
{
    g_autofree char *owned = text;
    return owned == NULL ? 0 : g_ascii_strtoull(owned, NULL, 10);
}

static void live_read_nic(struct domain_live *live, const xmlNode *devices)
{
    const xmlNode *nic = xml_child(devices, "interface");
    live->mac = xml_attribute(xml_child(nic, "mac"), "address");
    while (nic != NULL && (live->nic_device = xml_attribute(xml_child(nic, "target"), "dev")) == NULL)
        nic = xml_next(nic);
    if (nic == NULL)
        return;
    const guint64 in_kib = live_number(xml_attribute(xml_path(nic, "bandwidth/inbound"), "average"));
    const guint64 out_kib = live_number(xml_attribute(xml_path(nic, "bandwidth/outbound"), "average"));
    live->network_mbps = in_kib == 0 || out_kib == 0 ? 0 : domain_bandwidth_mbps(MAX(in_kib, out_kib));
}

static void live_read_disk(struct domain_live *live, const xmlNode *devices)
{
    const xmlNode *disk = xml_child(devices, "disk");
    while (disk != NULL && xml_child(disk, "readonly") != NULL)
        disk = xml_next(disk);
    if (disk == NULL)
        return;
    live->disk_device = xml_attribute(xml_child(disk, "target"), "dev");
    const guint64 read = live_number(xml_text(xml_path(disk, "iotune/read_bytes_sec")));
    const guint64 written = live_number(xml_text(xml_path(disk, "iotune/write_bytes_sec")));
    const guint64 most = read == 0 || written == 0 ? 0 : MAX(read, written);
    live->disk_mbps = (guint)MIN((most + DOMAIN_DISK_MB / 2) / DOMAIN_DISK_MB, G_MAXUINT);
}

static void live_read_quota(struct domain_live *live, const xmlNode *root)
{
    const guint64 period_us = live_number(xml_text(xml_path(root, "cputune/global_period")));
    g_autofree char *quota = xml_text(xml_path(root, "cputune/global_quota"));
    guint64 quota_us;
    if (period_us == 0 || quota == NULL || !g_ascii_string_to_unsigned(quota, 10, 1, G_MAXUINT32, &quota_us, NULL))
        return; /* no quota is -1 */
    live->cpu_percent = (guint)((quota_us * 100 + period_us / 2) / period_us);
}

static guint live_hex(const xmlNode *node, const char *name)
{
    g_autofree char *text = xml_attribute(node, name);
    return text == NULL ? 0 : (guint)g_ascii_strtoull(text, NULL, 16);
}

static void live_read_gpus(struct domain_live *live, const xmlNode *devices)
{
    g_autoptr(GStrvBuilder) gpus = g_strv_builder_new();
    for (const xmlNode *hostdev = xml_child(devices, "hostdev"); hostdev != NULL; hostdev = xml_next(hostdev)) {
        const xmlNode *address = xml_path(hostdev, "source/address");
        if (address == NULL || !attribute_is(hostdev, "type", "pci"))
            continue;
        g_autofree char *text =
            g_strdup_printf("%04x:%02x:%02x.%x", live_hex(address, "domain"), live_hex(address, "bus"),
                            live_hex(address, "slot"), live_hex(address, "function"));
        g_strv_builder_add(gpus, text);
    }
    live->gpus = g_strv_builder_end(gpus);
}

gboolean domain_metadata_parse(const char *text, char **ret_instance_id, char **ret_owner)
{
    g_autoptr(xmlDoc) doc = domain_document(text);
    if (doc == NULL)
        return FALSE;
    g_autofree char *instance_id = xml_attribute(xmlDocGetRootElement(doc), "id");
    g_autofree char *owner = xml_attribute(xmlDocGetRootElement(doc), "owner");
    if (instance_id == NULL || owner == NULL)
        return FALSE;
    *ret_instance_id = g_steal_pointer(&instance_id);
    *ret_owner = g_steal_pointer(&owner);
    return TRUE;
}

static void live_read_metadata(struct domain_live *live, const xmlNode *root)
{
    for (const xmlNode *node = xml_path(root, "metadata/instance"); node != NULL; node = xml_next(node)) {
        if (node->ns == NULL || strcmp((const char *)node->ns->href, DOMAIN_METADATA_NAMESPACE) != 0)
            continue;
        live->instance_id = xml_attribute(node, "id");
        live->owner = xml_attribute(node, "owner");
        return;
    }
}

struct domain_live *domain_live_parse(const char *xml, const char *channel_name, GError **error)
{
    g_autoptr(xmlDoc) doc = domain_document(xml);
    if (doc == NULL) {
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "libvirt's domain XML is not well-formed");
        return NULL;
    }
    struct domain_live *live = g_new0(struct domain_live, 1);
    const xmlNode *root = xmlDocGetRootElement(doc);
    const xmlNode *devices = xml_child(root, "devices");
    live_read_channel(live, devices, channel_name);
    live_read_memory(live, root, devices);
    live_read_vcpus(live, root);
    live_read_nic(live, devices);
    live_read_disk(live, devices);
    live_read_quota(live, root);
    live_read_gpus(live, devices);
    live_read_metadata(live, root);
    return live;
}

void domain_live_free(struct domain_live *live)
{
    if (live == NULL)
        return;
    g_free(live->channel_path);
    g_free(live->memory_xml);
    g_free(live->nic_device);
    g_free(live->mac);
    g_free(live->disk_device);
    g_strfreev(live->gpus);
    g_free(live->instance_id);
    g_free(live->owner);
    g_free(live);
}

/* libvirt looks the device up by all of its definition, address included, so that everything but `requested` stays as it is. */
char *domain_memory_xml(const struct domain_live *live, guint requested_mib)
{
    g_autoptr(xmlDoc) doc = domain_document(live->memory_xml);
    xmlNode *requested = xml_path(xmlDocGetRootElement(doc), "target/requested");
    g_autofree char *text = g_strdup_printf("%u", requested_mib);
    xml_set_text(requested, text);
    xml_set_attribute(requested, "unit", "MiB");
    return xml_to_string(doc);
}
