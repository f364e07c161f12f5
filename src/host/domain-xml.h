/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"
#include "host/template.h"

/* The libvirt domain XML of one instance, made from a template, and what Harbinger reads from the XML of a running domain. Pure but
 * for the look whether image files exist. Any thread. */

#define DOMAIN_METADATA_NAMESPACE "urn:harbinger:instance:1"
#define DOMAIN_NAME_PREFIX "harbinger-"
#define DOMAIN_QUOTA_PERIOD_US 20000 /* FACTS: of the periods tried, it costs the least latency at the same share */
#define DOMAIN_MEMORY_BLOCK_MIB 2    /* virtio-mem plugs in units of one huge page */

/* What is decided about one instance before its XML is written. */
struct domain_plan {
    const struct boot_spec *boot;
    const char *image_dir;
    const char *network;   /* of host_spec */
    const char *disk_path; /* the instance's own disk; NULL: none */
    char **gpus;           /* PCI addresses handed to it; NULL: none */
    gboolean use_kvm;
    gboolean drop_cpu_check; /* FACTS: libvirt before 12 asks QEMU for each of 400 CPU properties at each start */
    gboolean has_bandwidth;  /* this libvirt can limit a NIC */
    gboolean has_quota;      /* and CPU time: not in a session, which has no cgroups */
    gboolean is_local;       /* image files are looked for here */
};

/* "harbinger-vm-...". Free with g_free. */
char *domain_name(const char *instance_id);

/* Changes template->doc into the instance's domain and returns it as text. NULL with HBR_ERROR_NOT_FOUND for a missing image,
 * HBR_ERROR_INVALID for a template that lacks what it needs. */
char *domain_xml_build(struct template *template, const struct domain_plan *plan, GError **error);

/* The XML of a domain that was saved, changed into that of the instance plan->boot, its clone: name, uuid, metadata, the address of its NIC, its own
 * disk, limits. Of the plan, disk_path, has_bandwidth and has_quota matter. NULL with HBR_ERROR_INVALID for what is not such XML,
 * HBR_ERROR_UNSUPPORTED for a domain that cannot be there twice. Free with g_free. */
char *domain_clone_xml(const char *saved_xml, const struct domain_plan *plan, GError **error);

/* What names a GPU in the domain: "ua-gpu-0000-65-00-0", however its PCI address is written. Free with g_free. */
char *domain_gpu_alias(const char *address);

/* The device of a GPU, for attaching and detaching. NULL with HBR_ERROR_INVALID for what is no PCI address. Free with g_free. */
char *domain_gpu_xml(const char *address, GError **error);

/* Parts of both. */
void domain_set_metadata(const struct boot_spec *boot, xmlNode *root);
void domain_set_quota(const struct boot_spec *boot, xmlNode *root);
void domain_set_bandwidth(xmlNode *nic, guint network_mbps);
void domain_set_disk_limit(xmlNode *disk, guint disk_mbps);
#define DOMAIN_DISK_MB 1000000

/* A document of libvirt's; NULL when it is none. Free with xmlFreeDoc. */
xmlDoc *domain_document(const char *text);

/* Our metadata for virDomainSetMetadata(). Free with g_free. */
char *domain_metadata_text(const struct boot_spec *boot);
#define DOMAIN_METADATA_PREFIX "harbinger"

/* Memory that the guest boots with; the rest comes by virtio-mem. `template_mib` is the template's. */
guint domain_boot_memory_mib(guint template_mib, const struct vm_shape *shape, const struct vm_shape *maximum);

/* virtio-mem's `requested` for a shape that was booted with `boot_mib`. */
guint domain_requested_mib(guint boot_mib, const struct vm_shape *shape);

/* "52:54:00:..." from the uuid, so that an instance keeps its address. Free with g_free. */
char *domain_mac(const char *uuid);

/* The <bandwidth> rate of libvirt, in KiB/s. */
guint domain_bandwidth_kib(guint network_mbps);

/* And back, to the nearest. */
guint domain_bandwidth_mbps(guint64 kib);

/* What a running domain's XML says. */
struct domain_live {
    char *channel_path;    /* UNIX socket of the agent's channel; NULL: it has none */
    char *memory_xml;      /* the virtio-mem device as libvirt has it; NULL: none */
    guint memory_size_mib; /* the most that it can plug */
    guint boot_memory_mib;
    guint requested_mib;
    guint plugged_mib; /* what the guest has taken of that */
    guint vcpus, vcpus_max;
    char *nic_device;          /* tap on the host; NULL: none whose bandwidth could be limited */
    char *mac;                 /* of its first NIC; NULL: it has none */
    guint network_mbps;        /* the limit of both ways of that NIC; 0: none */
    guint cpu_percent;         /* the cap of CPU time; 0: none */
    char *disk_device;         /* "vdb": its own disk; NULL: it has none */
    guint disk_mbps;           /* the limit of both ways of that; 0: none */
    char **gpus;               /* PCI addresses; never NULL */
    char *instance_id, *owner; /* of our metadata; NULL: not ours */
};

/* NULL with HBR_ERROR_HYPERVISOR when it is not domain XML. */
struct domain_live *domain_live_parse(const char *xml, const char *channel_name, GError **error);
void domain_live_free(struct domain_live *live);
typedef struct domain_live domain_live_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(domain_live_auto, domain_live_free)

/* Id and owner from our metadata as virDomainGetMetadata() gives it. FALSE: they are not in it. Free both with g_free. */
gboolean domain_metadata_parse(const char *text, char **ret_instance_id, char **ret_owner);

/* The device XML for virDomainUpdateDeviceFlags that makes virtio-mem plug `requested_mib`. Free with g_free. */
char *domain_memory_xml(const struct domain_live *live, guint requested_mib);
