/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/option.h"

/* Options that stand before the command. */
extern const struct command_option global_options[];
extern const guint global_option_count;

/* The whole program: parses the global options, then runs the command, or the interactive shell when there is none. Returns the
 * exit status. */
int global_main(int argc, char **argv);
