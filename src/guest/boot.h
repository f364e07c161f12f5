/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the agent does when it is the first process of a guest: kernel file systems, modules, and the root that the kernel
 * command line asks for (harbinger.root=squashfs, harbinger.overlay=tmpfs or disk). It never exits: without a root it says
 * so to the host and goes on from the initramfs.
 */

#include <stdbool.h>

struct boot_result {
    char trouble[256]; /* empty: all went well */
};

/* The executions' directory and the cgroup mount of a booted guest. */
#define BOOT_WORK_DIR "/work"
#define BOOT_CGROUP_MOUNT "/sys/fs/cgroup"

void boot_run(struct boot_result *ret_result);

/* Waits until the kernel announces a device again, or `timeout_ms`. For devices that are still being probed. */
void boot_wait_for_device(int uevent_fd, int timeout_ms);

/* A socket for boot_wait_for_device(); open it before looking, so that no announcement is missed. -1 on failure. */
int boot_open_uevents(void);
