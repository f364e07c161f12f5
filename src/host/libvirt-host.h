/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/channel.h"
#include "host/hypervisor.h"
#include "host/libvirt-calls.h"
#include "host/workers.h"

/* A libvirt host from the inside: what its files share. One thread owns all of it, instances and their channels too; commands, results of
 * workers and libvirt's events reach it through the inbox, and it alone posts to the core. */

enum host_link_state {
    LINK_DOWN, /* not asked to connect, or waiting to try again */
    LINK_CONNECTING,
    LINK_PROVING, /* connected; a guest is booted to see whether KVM works */
    LINK_UP,
};

/* Lanes of the workers: those of the connections, and one for boots, which go through LINK_CONTROL too. A boot may take seconds, and code that
 * runs waits for its growth. */
enum { HOST_LANE_BOOT = LINK_LANES, HOST_LANES };

/* How many calls of each lane run at a time. */
extern const guint host_lane_limits[HOST_LANES];

struct libvirt_host {
    struct hypervisor base;
    struct host_spec *spec;
    struct hypervisor_settings settings;
    gboolean is_local, is_system;
    char *disk_dir; /* NULL: the host's files are not ours to make */
    gint64 born_at; /* by the wall clock: what is older in our directories is of an earlier life */

    GThread *thread;
    GMainContext *context;
    GMainLoop *loop;
    struct inbox *inbox;
    GSource *inbox_source;
    struct workers *workers;
    struct channels *channels;

    gboolean is_wanted;
    enum host_link_state state;
    struct link *link;
    guint generation;
    gint64 backoff_ms;
    char *down_reason; /* as the core knows it */
    GSource *reconnect_timer, *inventory_timer;
    GSource *heart_timer; /* while signs of life of agents are asked for */
    GSource *look_timer;  /* of the next look at instances in which code runs; NULL: at none */
    gint64 look_at;       /* monotonic; of that */
    GSource *hold_timer;  /* while warm-ups stand still for a claim; NULL: they run */
    gint64 hold_ended_at; /* monotonic; the last time that they did */

    enum acceleration acceleration; /* ACCELERATION_UNKNOWN: not decided yet */
    char *acceleration_reason;
    double speed;              /* of its CPUs, as machine_speed() tells of them; 0: not known */
    gboolean bandwidth_failed; /* tc of this host cannot limit a NIC */

    GHashTable *vms;     /* id -> struct vm, owned */
    GHashTable *by_uuid; /* uuid -> struct vm */
};

/* libvirt-host.c */
struct hypervisor *libvirt_hypervisor_new(const struct host_spec *spec, const struct hypervisor_settings *settings,
                                          event_sink sink, gpointer sink_data, GError **error);
/* "qemu:///session" and "qemu+unix:///system" speak of this machine, "qemu+ssh://other/system" of another. */
gboolean uri_is_local(const char *uri);
struct event *host_event(const struct libvirt_host *host, enum event_kind kind, const char *id);
void host_post(const struct libvirt_host *host, struct event *event);

/* A one-shot timer on the host's thread: the callback returns G_SOURCE_REMOVE after it has called timer_done(). */
GSource *host_timer(const struct libvirt_host *host, gint64 after_ms, GSourceFunc callback, gpointer data);
void timer_cancel(GSource **timer);

/* A job with this host's ordinary deadline, to be filled. */
struct job host_job(const struct libvirt_host *host, guint lane);

/* libvirt-connect.c */
void host_connect(struct libvirt_host *host);
void host_disconnect(struct libvirt_host *host);

/* Gives the connection up after too many calls of it were lost. */
void host_check_lost(struct libvirt_host *host);
void host_proof_done(struct libvirt_host *host, const GError *error);
void host_take_inventory(struct libvirt_host *host);
