/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who this guest is: name, machine id, random seed, clock, network. Clones of one template get it before they are used. */

#include "guest/agent.h"

void identity_on_frame(struct agent *agent, const struct wire_frame *frame);

/* What HELLO says; each text is empty when the guest does not know. */
struct identity {
    char machine_id[64];
    char boot_id[64];
    char kernel[128];
    uint64_t uptime_ms;
};

void identity_read(struct identity *ret_identity);
