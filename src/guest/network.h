/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The guest's network interface: hardware address, IPv4 address or DHCP, gateway, name server. */

#include "wire/message.h"

#include <stdbool.h>

/* False with errno when any of what was asked for failed. DHCP goes on in the background after this returns. */
bool network_configure(const struct wire_identity *request);

/* Brings the loopback interface up. */
void network_start_loopback(void);
