/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* Recorded data that benches measure with, from $HBR_DATA_DIR (../shared/data from the source directory without it). */

/* A file of it, unpacked where its name ends in ".gz". NULL with an error that says what is missing. */
GDataInputStream *data_open(const char *name, GError **error);

/* The cells of the next line, at least `columns` of them. NULL at the end, and with an error that names file and line for a line of fewer. Free with
 * g_strfreev. */
char **data_read_cells(GDataInputStream *stream, const char *name, guint columns, GError **error);
