/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks of agent-client on a guest with hotplug devices: it speaks up when memory gets short, and consents to have less, or refuses. */

#include "guest-machine.h"

/* The machine has `boot_mib` and one CPU, and has so again afterwards. */
void pressure_check_all(struct machine *machine, unsigned boot_mib, void (*check)(bool ok, const char *rule));

/* Prints how soon the agent speaks up, how soon memory is usable, and what rates survive. */
bool pressure_measure(struct machine *machine, unsigned boot_mib);
