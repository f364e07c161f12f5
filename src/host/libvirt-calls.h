/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/domain-xml.h"
#include "host/libvirt-link.h"
#include "host/saved-store.h"

/* The blocking calls to libvirt, one function each, in the form of struct job's `run`: a worker's work. A call owns what it points to and
 * shares nothing. */

/* Connecting. */
struct connect_call {
    char *uri;
    guint generation;
    struct link_watch watch;
    struct inbox *inbox;
    gboolean wants_speed; /* of this machine */
    struct link *link;    /* result */
    double speed;         /* result */
};
gboolean connect_call_run(gpointer call, GError **error);
void connect_call_free(gpointer call);

/* Whether libvirt offers KVM at all. */
struct kvm_call {
    struct link *link;
    gboolean is_offered; /* result */
};
gboolean kvm_call_run(gpointer call, GError **error);
void kvm_call_free(gpointer call);

/* Starting an instance. */
struct create_call {
    struct link *link;
    struct boot_spec boot; /* owned strings */
    char *template_dir, *image_dir, *network;
    char *disk_dir;  /* where sparse disks are made; NULL: not on this host */
    char *saved_dir; /* where the saved states are */
    struct saved_origin origin;
    char **gpus;
    gboolean use_kvm, drop_cpu_check, has_bandwidth, has_quota, is_local;
    /* results */
    struct domain_live *live;
    enum template_agent agent;
    char *fingerprint; /* of what an instance of a pool was made of, as it was before: its saved state goes by it */
    gboolean bandwidth_failed; /* started without a limit, since this host's tc cannot set one */
    gboolean is_saved_lost;    /* the saved state is damaged or not there: what is left of it was removed */
};
gboolean create_call_run(gpointer call, GError **error);
void create_call_free(gpointer call);
void boot_spec_copy_to(const struct boot_spec *boot, struct boot_spec *ret_copy);
void boot_spec_clear(struct boot_spec *boot);

/* Of these calls: paths of an instance's files in disk_dir. Free with g_free. */
char *instance_disk_path(const char *disk_dir, const char *instance_id);
char *instance_state_path(const char *disk_dir, const char *instance_id);

/* What tc says on a kernel without the queueing disciplines that libvirt uses. */
gboolean error_is_of_tc(const char *message);

/* libvirt-clone.c: the one way of cloning: starts the instance as a copy of the saved state call->boot.saved. NULL with an error:
 * HBR_ERROR_UNSUPPORTED where this host cannot do that at all. */
virDomainPtr clone_domain(struct create_call *call, GError **error);

/* Whether saved states can be made and cloned there. */
gboolean clone_is_supported(const struct link_facts *facts, const char *disk_dir, GError **error);

/* The first bytes of a saved state, as many as its head has. NULL with an error. Free with g_bytes_unref. */
GBytes *saved_read_head(int fd, const char *path, GError **error);

/* libvirt-save.c: writing the state of an instance to files; its domain ends by that. */
struct save_call {
    struct link *link;
    char *uuid, *instance_id, *owner, *disk_dir, *saved_dir;
    struct saved_origin origin;
    char *fingerprint;         /* of what the instance was made of; NULL: not known */
    gboolean is_running;       /* not suspended */
    struct saved_state *state; /* in: as asked for; result: with all that is known of it */
};
gboolean save_call_run(gpointer call, GError **error);
void save_call_free(gpointer call);

/* Removing the files of a saved state. */
struct forget_call {
    char *saved_dir, *id;
};
gboolean forget_call_run(gpointer call, GError **error);
void forget_call_free(gpointer call);

/* Suspending and resuming. Neither fails for a domain that is in that state already. */
struct power_call {
    struct link *link;
    enum link_lane lane;
    char *uuid;
};
gboolean suspend_call_run(gpointer call, GError **error);
gboolean resume_call_run(gpointer call, GError **error);
void power_call_free(gpointer call);

/* libvirt-migrate.c: moving one to another host while it runs. */
struct migrate_call {
    struct link *link;
    char *uuid, *target_uri;
    char *address; /* of the target for QEMU; NULL: as the libvirt there offers it */
};
gboolean migrate_call_run(gpointer call, GError **error);
void migrate_call_free(gpointer call);

/* struct power_call: ends a migration that is under way, which returns with an error then. */
gboolean abort_call_run(gpointer call, GError **error);

/* Writing our metadata anew. */
struct metadata_call {
    struct link *link;
    char *uuid, *text;
};
gboolean metadata_call_run(gpointer call, GError **error);
void metadata_call_free(gpointer call);

/* Ending one: also its disk. Succeeds when there was nothing. Refuses a domain that is not the owner's. */
struct destroy_call {
    struct link *link;
    char *instance_id, *owner, *disk_dir;
};
gboolean destroy_call_run(gpointer call, GError **error);
void destroy_call_free(gpointer call);

/* What a domain is made of that somebody else started: an earlier life of the daemon. One that it had suspended is resumed. */
struct look_call {
    struct link *link;
    char *uuid;
    struct domain_live *live; /* result */
};
gboolean look_call_run(gpointer call, GError **error);
void look_call_free(gpointer call);

/* Whether a domain has a GPU, by its XML. */
enum gpu_presence {
    GPU_UNTOUCHED, /* libvirt has not been asked: it is as before */
    GPU_ABSENT,
    GPU_PRESENT,
    GPU_UNKNOWN,
};

/* Changing one. Only the fields of its kind are set. */
struct change_call {
    struct link *link;
    char *uuid;
    guint vcpus;      /* change_vcpus_run */
    char *memory_xml; /* change_memory_run */
    char *nic_device; /* change_bandwidth_run: both ways */
    guint network_mbps;
    guint cpu_percent; /* change_quota_run: 0 lifts it */
    char *disk_device; /* change_disk_run: both ways, 0 lifts it */
    guint disk_mbps;
    guint memory_mib; /* memory_taken_run, change_balloon_run */
    char *gpu;        /* attach_gpu_run, detach_gpu_run: its PCI address */
    gint64 wait_ms;   /* of the same: for so long QEMU may have another figure */
    /* results */
    guint vcpus_present;  /* of change_vcpus_run after a failure, and of unplug_vcpus_run; 0: not known */
    guint memory_present; /* MiB that QEMU gives, of memory_taken_run and change_balloon_run; 0: not known */
    enum gpu_presence gpu_presence;
};
gboolean change_vcpus_run(gpointer call, GError **error);
gboolean change_memory_run(gpointer call, GError **error);
gboolean change_bandwidth_run(gpointer call, GError **error);
gboolean change_quota_run(gpointer call, GError **error);
gboolean change_disk_run(gpointer call, GError **error);

/* By the balloon, for a domain without a device for memory: sets it, and waits until it is so. Within what it was booted with. */
gboolean change_balloon_run(gpointer call, GError **error);

/* Waits until QEMU, not the guest, says that of its memory device no more is plugged than is wanted. */
gboolean memory_taken_run(gpointer call, GError **error);

/* Hands a GPU of the host to the guest, or asks the guest to let go of one. Of the latter success is that it was asked, or that the guest does
 * not have it (any more): gpu_presence says which. */
gboolean attach_gpu_run(gpointer call, GError **error);
gboolean detach_gpu_run(gpointer call, GError **error);

/* Takes vCPUs that the guest has offline out of QEMU. After a time-out libvirt does not know. */
gboolean unplug_vcpus_run(gpointer call, GError **error);
void change_call_free(gpointer call);

/* Looking at one from outside. Its QEMU is asked only where the guest does not tell its memory itself. */
struct sample_call {
    struct link *link;
    char *uuid, *nic_device;
    gboolean wants_memory;
    /* results */
    guint64 cpu_time_ns;
    gint64 at; /* monotonic, us */
    gboolean has_network;
    gint64 rx_bytes, tx_bytes;               /* as the guest sees it */
    guint memory_used_mib, memory_total_mib; /* of the balloon's statistics; total 0: there are none */
};
gboolean sample_call_run(gpointer call, GError **error);
void sample_call_free(gpointer call);

/* Id and owner written on a domain. FALSE: it carries none of ours. Blocks. */
gboolean domain_read_metadata(virDomainPtr domain, char **ret_instance_id, char **ret_owner);

/* All domains with our metadata. */
struct found_domain {
    char *uuid, *instance_id, *owner;
    gboolean is_running;
};
struct inventory_call {
    struct link *link;
    gint64 at;               /* when it was begun */
    char *owner, *saved_dir; /* saved_dir: NULL: there are no saved states */
    struct saved_origin origin;
    gint64 saved_since; /* microseconds since the epoch: files of saved states that are younger may be in the making */
    GPtrArray *found;   /* result: struct found_domain */
    GPtrArray *saved;   /* result: struct saved_state */
};
gboolean inventory_call_run(gpointer call, GError **error);
void inventory_call_free(gpointer call);
