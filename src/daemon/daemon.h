/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/config.h"

/* harbingerd as a library: one core on the calling thread's main loop, its adapters around it. */

/* Runs until it is told to stop (SIGTERM, SIGINT) and has put away what is its own. FALSE with an error when it could not start. */
gboolean daemon_run(const struct config *config, GError **error);

/* Checks everything that a start would need of configuration, policies and templates, without starting. */
gboolean daemon_check(const struct config *config, GError **error);
