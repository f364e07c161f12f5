/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/shape.h"

/* What the operator says of a host. */
struct host_spec {
    char *name;
    char *uri;     /* libvirt's ("qemu:///system", "qemu+ssh://..."), or "sim:NAME?vcpus=8&memory_mib=16384..." */
    char **labels; /* "gpu", "zone=a" */
    double cpu_overcommit;    /* vCPUs promised per CPU; 0: the default, 4 */
    double memory_overcommit; /* 0: the default, 1 */
    guint memory_reserve_mib; /* kept for the host itself */
    char *network;            /* "none" (default), "user", "bridge=NAME", "network=NAME" */
    char *images;             /* directory of the guest images on that host; NULL: the daemon's */
    char **gpus;              /* PCI addresses that may be handed to guests */
};

CODEC_DECLARE(host_spec)

enum host_state { HOST_CONNECTING, HOST_UP, HOST_DOWN, HOST_STATE_COUNT };

extern const struct codec_words host_state_words;

/* How guests run on it. */
enum acceleration { ACCELERATION_UNKNOWN, ACCELERATION_KVM, ACCELERATION_TCG, ACCELERATION_MODEL };

extern const struct codec_words acceleration_words;

/* One hypervisor as it stands. */
struct host {
    struct host_spec *spec;
    enum host_state state;
    char *error;     /* why it is down */
    gint64 since_at; /* in this state since */
    guint cpus;      /* of the machine */
    guint memory_mib;
    guint committed_vcpus; /* promised to instances */
    guint committed_memory_mib;
    guint committed_gpus;
    guint instance_count;
    enum acceleration acceleration;
    char *acceleration_reason; /* what was proven, and how */
    char *version;             /* "libvirt 9.0.0, QEMU 7.2.22" */
    double speed;              /* of one of its CPUs in a guest, 1: Intel Core i5-3330; 0: not known */
};

CODEC_DECLARE(host)
