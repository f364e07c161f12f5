/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harbinger/harbinger.h"

#include <glib.h>

/* Ctrl-C (SIGINT) and SIGTERM while an execution runs: the first cancels the execution, the second leaves at once. One at a time
 * in a process; a thread of its own sends the cancellation. */

struct interrupt;

/* `running` is in hbr_execute(); `other` is a client of the interrupt's own, which is freed with it. */
struct interrupt *interrupt_begin(struct hbr_client *running, struct hbr_client *other);

/* The id of the execution as soon as it is known: until then there is nothing to cancel but the request. */
void interrupt_set_execution(struct interrupt *interrupt, const char *id);

/* How often it was pressed. */
guint interrupt_count(const struct interrupt *interrupt);

/* Gives the signals back. Returns how often it was pressed. */
guint interrupt_end(struct interrupt *interrupt);
