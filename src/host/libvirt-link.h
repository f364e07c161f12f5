/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/inbox.h"

#include <libvirt/libvirt.h>

/* The connections to one libvirt: four of them, since libvirt serves at most five calls of a connection at a time and one hung domain must
 * not keep the others waiting. Reference counted; any thread. The last reference closes them on a thread of its own, because closing asks
 * a libvirtd that may hang. */

enum link_lane {
    LINK_CONTROL, /* boots and shapes; events */
    LINK_MONITOR, /* figures and lists */
    LINK_SLOW,    /* destroys */
    LINK_AGENT,   /* qemu-guest-agent */
    LINK_LANES
};

/* What libvirt told when it was opened. */
struct link_facts {
    guint cpus, memory_mib;
    gulong libvirt_version, qemu_version; /* major * 1000000 + minor * 1000 + release */
};

/* Where libvirt's events go: each is called on the inbox's owner and takes its data. */
struct link_watch {
    void (*closed)(gpointer owner, gpointer data);    /* struct link_event */
    void (*lifecycle)(gpointer owner, gpointer data); /* struct link_event: detail is virDomainEventStoppedDetailType */
    void (*agent)(gpointer owner,
                  gpointer data); /* struct link_event: event is virConnectDomainEventAgentLifecycleState */
    void (*memory)(gpointer owner, gpointer data);         /* struct link_event: text is the alias, size_kib */
    void (*device_removed)(gpointer owner, gpointer data); /* struct link_event: text is the alias */
};

struct link_event {
    guint generation; /* of the link */
    char *uuid, *text;
    int event, detail;
    guint64 size_kib;
};

void link_event_free(gpointer event);

struct link {
    gint references;
    guint generation;
    virConnectPtr connections[LINK_LANES];
    struct link_facts facts;
    int callbacks[4];
    struct link_events *events;
};

/* Opens all and registers for events. Blocks: a worker's work. NULL with an error. */
struct link *link_open(const char *uri, guint generation, const struct link_watch *watch, struct inbox *inbox,
                       GError **error);
struct link *link_ref(struct link *link);
void link_unref(gpointer link);

/* Waits until all links without references are closed. FALSE when a hung host has kept one open for so long. */
gboolean link_wait_closed(gint64 timeout_ms);

/* The domain of that uuid, NULL with an error (HBR_ERROR_NOT_FOUND). Blocks. */
virDomainPtr link_find(const struct link *link, enum link_lane lane, const char *uuid, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)
