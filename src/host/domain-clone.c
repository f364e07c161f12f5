/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/domain-xml.h"
#include "wire/message.h"

#include <string.h>

/* FACTS: libvirt refuses another name, uuid or MAC in the XML that a restore is given, and takes all of them from the head of the file. What the
 * guest was born with has to stay as it is: devices, their addresses, vCPUs, memory. */

/* Of the instance that was saved: its id names its disk. */
static char *saved_instance_id(const xmlNode *root)
{
    for (const xmlNode *node = xml_path(root, "metadata/instance"); node != NULL; node = xml_next(node)) {
        if (node->ns != NULL && strcmp((const char *)node->ns->href, DOMAIN_METADATA_NAMESPACE) == 0)
            return xml_attribute(node, "id");
    }
    return NULL;
}

static gboolean clone_fail(GError **error, const char *what)
{
    hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "a domain %s cannot be cloned", what);
    return FALSE;
}

static gboolean clone_nic(const struct domain_plan *plan, const xmlNode *devices, GError **error)
{
    const xmlNode *nic = xml_child(devices, "interface");
    if (nic == NULL)
        return TRUE;
    if (xml_next(nic) != NULL)
        return clone_fail(error, "with more than one NIC");
    xmlNode *mac = xml_child(nic, "mac");
    g_autofree char *address = domain_mac(plan->boot->uuid);
    g_autofree char *type = xml_attribute(nic, "type");
    if (mac == NULL)
        return clone_fail(error, "whose NIC has no address");
    xml_set_attribute(mac, "address", address);
    xml_remove_children((xmlNode *)nic, "target"); /* the name of the tap */
    xml_remove_children((xmlNode *)nic, "bandwidth");
    if (plan->has_bandwidth && plan->boot->shape.network_mbps > 0 && g_strcmp0(type, "user") != 0)
        domain_set_bandwidth((xmlNode *)nic, plan->boot->shape.network_mbps);
    return TRUE;
}

/* libvirt makes a socket of its own for each. */
static void clone_channels(const xmlNode *devices)
{
    for (const xmlNode *channel = xml_child(devices, "channel"); channel != NULL; channel = xml_next(channel)) {
        g_autofree char *name = xml_attribute(xml_child(channel, "target"), "name");
        if (g_strcmp0(name, WIRE_CHANNEL_NAME) == 0)
            xml_remove_children((xmlNode *)channel, "source");
    }
}

static gboolean clone_disk(const struct domain_plan *plan, const char *saved_id, const xmlNode *devices, GError **error)
{
    g_autofree char *own = g_strdup_printf("%s.raw", saved_id);
    guint found = 0;
    for (xmlNode *disk = xml_child(devices, "disk"); disk != NULL; disk = xml_next(disk)) {
        xmlNode *source = xml_child(disk, "source");
        g_autofree char *path = xml_attribute(source, "file");
        g_autofree char *base = path == NULL ? NULL : g_path_get_basename(path);
        if (g_strcmp0(base, own) == 0 && plan->disk_path != NULL) {
            xml_set_attribute(source, "file", plan->disk_path);
            domain_set_disk_limit(disk, plan->boot->shape.disk_mbps);
            found++;
        } else if (xml_child(disk, "readonly") == NULL) {
            return clone_fail(error, "with a writable disk that is not the instance's own");
        }
    }
    return found == (plan->disk_path == NULL ? 0 : 1) || clone_fail(error, "whose own disk is not found");
}

static void clone_quota(const struct domain_plan *plan, xmlNode *root)
{
    xmlNode *cputune = xml_child(root, "cputune");
    if (cputune != NULL) {
        xml_remove_children(cputune, "global_period");
        xml_remove_children(cputune, "global_quota");
    }
    if (plan->has_quota && plan->boot->shape.cpu_percent > 0)
        domain_set_quota(plan->boot, root);
}

char *domain_clone_xml(const char *saved_xml, const struct domain_plan *plan, GError **error)
{
    g_autoptr(xmlDoc) doc = domain_document(saved_xml);
    xmlNode *root = doc == NULL ? NULL : xmlDocGetRootElement(doc);
    g_autofree char *saved_id = root == NULL ? NULL : saved_instance_id(root);
    const xmlNode *devices = root == NULL ? NULL : xml_child(root, "devices");
    if (saved_id == NULL || devices == NULL || strcmp((const char *)root->name, "domain") != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the saved state is not of a domain of ours");
        return NULL;
    }
    if (xml_child(devices, "hostdev") != NULL) {
        clone_fail(error, "with a device of the host");
        return NULL;
    }
    if (!clone_nic(plan, devices, error) || !clone_disk(plan, saved_id, devices, error))
        return NULL;
    g_autofree char *name = domain_name(plan->boot->instance_id);
    xml_set(root, "name", name);
    xml_set(root, "uuid", plan->boot->uuid);
    clone_channels(devices);
    clone_quota(plan, root);
    domain_set_metadata(plan->boot, root);
    return xml_to_string(doc);
}
