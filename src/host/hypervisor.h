/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"

/* One host, behind one interface with two kinds: `libvirt` (the real thing) and `sim` (modelled latency, capacity and faults on virtual
 * time). Commands go in by hypervisor_submit(), which never blocks; what became of them comes out as events. Called on the core's thread;
 * the libvirt kind posts its events from its own threads. */

struct hypervisor;

struct hypervisor_class {
    void (*submit)(struct hypervisor *hypervisor, gint64 now, struct command *command);
    gint64 (*next_at)(struct hypervisor *hypervisor);           /* NULL: it has threads of its own */
    void (*advance)(struct hypervisor *hypervisor, gint64 now); /* posts all events due by `now` */
    void (*free)(struct hypervisor *hypervisor);
};

/* The head of each kind's own struct. */
struct hypervisor {
    const struct hypervisor_class *klass;
    char *name;
    event_sink sink;
    gpointer sink_data;
};

/* What all hosts have in common. */
struct hypervisor_settings {
    char *template_dir; /* *.xml */
    char *image_dir;    /* kernels, initramfs, root images; a host_spec may name another */
    char *state_dir;    /* per-instance disks, the proof of KVM */
    char *owner;        /* this Harbinger's id */

    /* Of the libvirt kind alone. 0 is the default of each. */
    enum acceleration acceleration; /* ACCELERATION_UNKNOWN: KVM once a guest was seen to boot with it, else TCG */
    gint64 kvm_proof_ms;            /* how long that guest may take: 10 s */
    gint64 heartbeat_ms;            /* an agent is asked for a sign of life this often: 2 s */
    gint64 silence_ms;              /* and given up when it was silent for so long: 8 s */
    gint64 call_ms;                 /* deadline of an ordinary libvirt call: 10 s */
    gint64 inventory_ms;            /* time between two inventories: 30 s */
    gboolean use_streams;           /* reach agents through libvirt even where their sockets can be opened */
    gboolean
        unplug_vcpus; /* take vCPUs that a guest gave back out of QEMU, where that is safe: on KVM, from QEMU 8 on */
    gboolean keep_cpu_check; /* let libvirt before 12 ask QEMU for each CPU property, 250 ms for each start */
};

/* By the scheme of spec->uri: "sim:" or libvirt's. NULL with an error when the URI is of neither kind. */
struct hypervisor *hypervisor_new(const struct host_spec *spec, const struct hypervisor_settings *settings,
                                  event_sink sink, gpointer sink_data, GError **error);

/* Takes the command. */
void hypervisor_submit(struct hypervisor *hypervisor, gint64 now, struct command *command);

/* When the next modelled event is due; CLOCK_NEVER for the libvirt kind. */
gint64 hypervisor_next_at(struct hypervisor *hypervisor);
void hypervisor_advance(struct hypervisor *hypervisor, gint64 now);

/* Ends its threads; instances keep running. No event is posted after it returns. */
void hypervisor_free(struct hypervisor *hypervisor);

/* Reads every template of a directory. FALSE with the first error, "file:line: what is wrong". */
gboolean hypervisor_check_templates(const char *directory, GError **error);
