/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/program.h"

/* What the form of a program cannot say: which of its members go together. Pure; any thread. */

/* FALSE with HBR_ERROR_INVALID and a message that begins with the JSON pointer of the culprit, below "/program". */
gboolean program_check(const struct program *program, GError **error);

/* The same for the program of a notification, which is put in place before its input exists. */
gboolean program_check_announced(const struct program *program, GError **error);

/* TRUE for 64 lower-case hexadecimal digits. */
gboolean program_is_digest(const char *text);
