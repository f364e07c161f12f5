/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Held programs in a booted guest of the runtimes image. */

#include "guest-machine.h"

typedef void (*hold_check)(bool ok, const char *rule);

void hold_check_all(struct machine *machine, hold_check check);

/* Prints how long programs take to their first byte from nothing, and held. False: one did not run. */
bool hold_measure(struct machine *machine, bool is_brief);
