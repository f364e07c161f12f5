/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt-link.h"
#include "host/qga-json.h"

#include "core/command.h"

/* Conversations with qemu-guest-agent through libvirt, each a worker's work in the form of struct job's `run`. */

/* The agent's answer to one command: what each conversation has in common. */
struct qga_line {
    struct link *link;
    char *uuid;
};

/* A sign of life. */
struct qga_ping {
    struct qga_line line;
    gint64 clock_ns; /* not 0: the guest's clock is set to it */
};
gboolean qga_ping_run(gpointer call, GError **error);
void qga_ping_free(gpointer call);

/* Brings present vCPUs and memory blocks online and counts them. */
struct qga_look {
    struct qga_line line;
    guint vcpus, memory_mib; /* results; memory 0: this agent cannot tell */
};
gboolean qga_look_run(gpointer call, GError **error);
void qga_look_free(gpointer call);

/* Lays down code and files, and starts the program. */
struct qga_start {
    struct qga_line line;
    struct run_spec *run;
    gint64 pid; /* result */
};
gboolean qga_start_run(gpointer call, GError **error);
void qga_start_free(gpointer call);

/* Asks how the program does; with `kills`, ends it and all of its session first. */
struct qga_poll {
    struct qga_line line;
    gint64 pid;
    gboolean kills;
    struct qga_status status; /* result */
};
gboolean qga_poll_run(gpointer call, GError **error);
void qga_poll_free(gpointer call);
