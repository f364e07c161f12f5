/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/command.h"

/* Help made from the tables. */

/* All groups with their commands. */
void help_print_overview(struct output *output);
void help_print_group(struct output *output, const struct command_group *group);
void help_print_command(struct output *output, const struct command *command);

/* "notify FUNCTION [--arrival-in DURATION] ...": the whole command line. Free with g_free. */
char *help_usage(const struct command *command);
