/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/amount.h"
#include "model/demand.h"
#include "policy/policy.h"

/* From demand to shape. Pure functions. */

/* What the guest's own kernel and agent need beside the code: a guest of 256 MiB offers 173 to 238 MiB (FACTS.md section 4). */
#define SIZING_GUEST_MIB 128

#define SIZING_COST_MAX 1e12

struct sizing {
    const struct policy_profile *profile; /* of the policy */
    struct vm_shape shape, maximum;
};

/* The profile for a demand, and the shape to start with. The profile is the smallest, from that of the demand's class on, of which `maximum`
 * covers policy_need() of the demand, with headroom (the last one when none does). */
void sizing_choose(const struct policy *policy, const struct demand *demand, struct sizing *ret_sizing);

/* Memory that a VM needs so that its code can use `used_mib`, in the policy's steps. */
guint sizing_memory_mib(const struct policy *policy, double used_mib);

/* What a run is expected to cost that has `amount` (vCPUs, MiB or Mbit/s) of CPU, memory or network, in the unit of the policy's prices: waste x E[(a - X)+] +
 * shortage x E[(X - a)+], where X is the demand with headroom and `a` what the guest's own kernel leaves of the amount. Never negative; at most
 * SIZING_COST_MAX. Not for the hot path: it takes some microseconds. */
double sizing_cost(const struct policy *policy, const struct demand *demand, enum resource resource, guint amount);

/* Why `shape`, which sizing_choose() gave, has what it has: struct amount_choice of CPU and memory, and of the network where that is limited. The next lower
 * and higher amounts are those of a vCPU, of the policy's memory_step and of a quarter of the network rate. Free its elements with amount_choice_free. */
GPtrArray *sizing_weigh(const struct policy *policy, const struct demand *demand, const char *profile,
                        const struct vm_shape *shape);
