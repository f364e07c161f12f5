/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The conversation with one host: HELLO, and each frame to the part of the agent that it is for. */

#include "guest/agent.h"

/* Sets the channel's call-backs. */
void session_attach(struct agent *agent);
