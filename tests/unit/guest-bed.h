/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The agent over a socket pair, in a child process, without cgroups: what holds on any machine. A fixture of Check; what it fills is here for
 * the tests to use. */

#include "guest-peer.h"

#define PATIENCE_MS 10000

extern struct peer peer;
extern struct wire_hello hello;
extern struct peer_run run;
extern struct wire_frame frame;
extern char work_dir[64];
extern const char *cgroup_mount; /* NULL: none; set before bed_setup() */

void bed_setup(void);

/* The agent ends with its channel, and leaves nothing behind. */
void bed_teardown(void);

struct wire_exec shell(const char *script);
void run_shell(uint32_t stream, const char *script);
void expect_error(uint32_t stream, enum wire_fault fault);
void expect_alive(void);
