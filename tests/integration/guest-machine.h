/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A guest booted by plain QEMU under TCG, without libvirt: what a test of the images and the agent needs, and no more. */

#include "guest-peer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct machine {
    pid_t pid;
    char directory[64];
    int qmp_fd;
    int64_t started_us;
    struct peer peer;
};

struct machine_options {
    const char *images; /* directory with vmlinuz, base.initrd and images.env */
    const char *root;   /* NULL: the base image; "tmpfs" or "disk": the runtimes image with that overlay */
    unsigned memory_mib;
    bool hotplug; /* 4 CPUs and 1 GiB of virtio-mem may be added */
};

/* Starts QEMU and connects the channel and QMP. False with a message on standard error. */
bool machine_start(struct machine *machine, const struct machine_options *options);

/* Kills QEMU and removes its directory. */
void machine_stop(struct machine *machine);

/* Waits for QEMU's end by itself. */
bool machine_wait_end(struct machine *machine, int timeout_ms);

/* Disconnects from the channel and connects again, as a daemon that was restarted. */
bool machine_reconnect(struct machine *machine);

/* A QMP command without arguments that matter to the answer; false when the answer is an error. */
bool machine_qmp(struct machine *machine, const char *command);
