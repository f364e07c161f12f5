/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/usage.h"

/* One resource of a shape as it stood when the shape was chosen: what its amount is expected to cost a run, and what the next lower and the next higher one
 * would have. Amounts are in vCPUs, MiB or Mbit/s, costs in the unit of the policy's prices. */
struct amount_choice {
    enum resource resource;
    double quantile; /* of the demand that the policy's prices choose */
    guint amount;
    double cost;
    guint less, more; /* 0: there is none */
    double less_cost, more_cost;
    char *verdict; /* "covers the demand", "least of profile low", "most of profile low" */
};

CODEC_DECLARE(amount_choice)
