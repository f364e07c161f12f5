/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What the kernel of this machine tells of a QEMU: FACTS: the same figures by libvirt cost ten times as much. Nothing here waits for the QEMU, or
 * for libvirt. A process that was opened is never mistaken for a later one of its number. Any thread, one at a time. */

struct process;

/* Counters since its start. */
struct process_figures {
    guint64 cpu_us;
    guint64 waited_us; /* its vCPUs were runnable, and the host's CPUs were busy */
    guint rss_mib;
    guint64 read_bytes, written_bytes; /* of the host's storage */
    gboolean has_network;
    guint64 rx_bytes, tx_bytes; /* as the guest sees it */
};

/* The QEMU of that domain, by libvirt's file of its process id. NULL where that is not to be read, or names something else. `device`: its tap;
 * NULL: it has none. */
struct process *process_open(const char *pid_path, const char *uuid, const char *device);
void process_free(struct process *process);

/* FALSE when it is gone. `has_disk`: read_bytes and written_bytes are wanted. */
gboolean process_look(const struct process *process, gboolean has_disk, struct process_figures *ret_figures);

/* libvirt's file for a domain of that name. Free with g_free. */
char *process_pid_path(const char *domain_name, gboolean is_system);
