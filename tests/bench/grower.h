/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "world.h"

/* What the benchmarks of scaling have in common: small VMs with room to grow, and a program in them that touches memory at a steady rate. */

/* A policy whose VMs have 1 vCPU and 256 MiB, may grow to 4 vCPUs and 2 GiB, and of which little is expected; `scaling` is the section's inside. */
char *grower_policy(const char *scaling);

/* Runs tests/bench/touch in a VM of the function that stands ready for it. */
void grower_touch(struct world *world, const char *function, guint rate_mib, guint total_mib,
                  struct world_run *ret_run);
