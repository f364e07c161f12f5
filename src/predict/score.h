/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

/* From demand to score and class, so that a class means the same for every language and every source of a prediction. Pure functions.
 *
 * The class is the first whose profile's initial shape covers policy_need() of the demand (GPUs: the profile's maximum), the last when
 * none does. The score lies between the class's bounds as the largest share of that shape that the demand uses: with classes up to 33 and
 * 66, a demand of half the memory and a tenth of the CPUs of the second's profile has the score 33 + 0.5 x 33. */

/* Index in policy->classes. */
guint score_class_index(const struct policy *policy, const struct demand *demand);

/* Sets score and class_name, and adds the reason. */
void score_assign(const struct policy *policy, struct demand *demand);
