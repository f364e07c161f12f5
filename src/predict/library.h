/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a library is for, and so what code that uses it mostly costs. Pure; any thread. */

/* The one of the libraries that tells most of the cost: of the heaviest family; of several in it, the first by name. NULL when there is none besides what
 * belongs to the language. Names as they are installed or imported, "torch-geometric" is of "torch". It is one of `libraries`. */
const char *library_principal(char *const *libraries);

/* NULL for one that is in no family known here. Static string. */
const char *library_family(const char *library);

/* It comes with the language, and tells nothing. */
gboolean library_is_standard(const char *library);
