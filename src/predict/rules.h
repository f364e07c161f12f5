/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

/* The prediction for code without history, from the policy's scored rule table. Pure functions.
 *
 * The score is the sum of the points of all rules that match, at least 0 and at most 100; its class gives the demand to begin with. Then the effects
 * of all matching rules apply, in this order: factors (their product), memory per input, minimums (the highest). The order of the rules
 * does not matter. Where the demand has grown out of its class's profile, class and score follow the demand (score.h). */

/* Never fails: a new demand with its reasons. Free with demand_free. */
struct demand *rules_predict(const struct policy *policy, const struct code_metadata *code);

/* GPUs alone, which no history tells. */
guint rules_gpus(const struct policy *policy, const struct code_metadata *code);

/* The same without words. */
struct rules_said {
    struct demand demand;                               /* amounts and GPUs alone */
    double vcpus_min, memory_mib_min, network_mbps_min; /* of them, what the matching rules say that it is at least */
};

void rules_say(const struct policy *policy, const struct code_metadata *code, struct rules_said *ret_said);

/* Raises the demand to what it is at least. */
void rules_raise(const struct rules_said *said, struct demand *demand);
