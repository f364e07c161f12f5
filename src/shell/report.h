/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/command.h"

/* The handlers of timeline, history and accuracy; their table is in cmd-explain.c. One thread. */

gboolean timeline_run(struct session *session, const struct arguments *arguments, GError **error);
gboolean history_run(struct session *session, const struct arguments *arguments, GError **error);
gboolean accuracy_run(struct session *session, const struct arguments *arguments, GError **error);
