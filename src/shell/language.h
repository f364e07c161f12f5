/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Languages and what runs them, guessed from a file name or a "#!" line. Any thread. */

/* Name of the language number `index`, NULL after the last. */
const char *language_name(guint index);

/* The language of a file name's extension; NULL when it is not known. Static string. */
const char *language_of_file(const char *path);

/* The language that an interpreter runs ("python" for "python3.11"); NULL when it is not known. Static string. */
const char *language_of_interpreter(const char *interpreter);

/* How the language is spelt here ("python" for "PYTHON"); one that is not known as it is. */
const char *language_canonical(const char *language);

/* The interpreter of a language; NULL when it is not known. Static string. */
const char *language_interpreter(const char *language);

/* What is started for a language that somebody named: its interpreter, else a program of that very name. */
const char *language_program(const char *language);

/* The interpreter of a source's "#!" line: "python3" for "#!/usr/bin/env python3". NULL when there is none. Free with g_free. */
char *language_shebang(const char *source, gsize length);
