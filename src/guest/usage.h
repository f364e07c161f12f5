/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the guest and its executions use: pushed to the host at the interval that it subscribed to. */

#include "guest/agent.h"

#define USAGE_INTERVAL_MIN_MS 20u

void usage_on_subscribe(struct agent *agent, const struct wire_frame *frame);
void usage_stop(struct agent *agent);

/* Threads of executions that run or wait for a CPU; where there are no cgroups, all but this one. */
uint32_t usage_count_runnable(const struct agent *agent);

/* Their mean in thousandths, over the last second or so where there is a subscription. */
uint32_t usage_mean_runnable(const struct agent *agent);

/* Bytes in swap, by the text of /proc/meminfo. */
uint64_t usage_read_swap(const char *meminfo);

/* Sums over all interfaces but the loopback. */
void usage_read_network(uint64_t *ret_rx_bytes, uint64_t *ret_tx_bytes);
