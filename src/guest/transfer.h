/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files to and from the guest, one stream each, under flow control. A file appears under its name only when it is whole. */

#include "guest/agent.h"

void transfer_on_put(struct agent *agent, const struct wire_frame *frame);
void transfer_on_get(struct agent *agent, const struct wire_frame *frame);

/* DATA and WINDOW of transfers; false when no transfer has that stream. */
bool transfer_on_frame(struct agent *agent, const struct wire_frame *frame);
bool transfer_has_stream(struct agent *agent, uint32_t stream);

/* The channel has room again. */
void transfer_resume_all(struct agent *agent);

/* A new session, or the end: half-written files are removed. */
void transfer_end_all(struct agent *agent);
