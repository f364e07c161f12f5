/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/demand.h"
#include "policy/policy.h"

/* From demand to shape. Pure functions. */

/* What the guest's own kernel and agent need beside the code: a guest of 256 MiB offers 173 to 238 MiB (FACTS.md section 4). */
#define SIZING_GUEST_MIB 128

struct sizing {
    const struct policy_profile *profile; /* of the policy */
    struct vm_shape shape, maximum;
};

/* The profile for a demand, and the shape to start with. The profile is the smallest, from that of the demand's class on, of which `maximum`
 * covers policy_need() of the demand, with headroom (the last one when none does). */
void sizing_choose(const struct policy *policy, const struct demand *demand, struct sizing *ret_sizing);

/* Memory that a VM needs so that its code can use `used_mib`, in the policy's steps. */
guint sizing_memory_mib(const struct policy *policy, double used_mib);
