/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/session.h"

/* Lines from a terminal: libedit with history and completion. Returns at end of file or when session->done. One thread. */
void editor_run(struct session *session, void (*run_line)(struct session *session, const char *line));
