/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/model.h"

/* What the tests of the learner share. */

/* A run that took exp(`level`) of everything, give or take what `i` says. */
void support_make_sample(struct sample *ret_sample, guint i, double level, gint64 at);

/* A new directory, removed by the second, which frees `path`. */
char *support_make_directory(void);
void support_remove_directory(char *path);

/* A file's content, and the other way round. */
GBytes *support_read(const char *directory, const char *name);
void support_write(const char *directory, const char *name, gconstpointer data, gsize length);
gboolean support_has(const char *directory, const char *name);
