/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "learn/record.h"

/* The files of learn/registry.h, without what they mean. One thread; model_dir_read() alone may be called on any. */

struct model_dir;

/* NULL with HBR_ERROR_STORE. */
struct model_dir *model_dir_open(const char *path, const char *prior, GError **error);
void model_dir_free(struct model_dir *dir);

/* Adds a record for each version that there is, the oldest first, the shipped one included, in MODEL_KEPT, MODEL_REFUSED or MODEL_DAMAGED. Removes what an
 * earlier daemon had not written to its end. Returns the highest version that was ever used. */
guint model_dir_scan(struct model_dir *dir, GPtrArray *records);

/* NULL with HBR_ERROR_INVALID for what is damaged, HBR_ERROR_STORE for what cannot be read now. The message begins with the path. */
struct model *model_dir_load(struct model_dir *dir, guint version, GError **error);

/* Its file, of which model_check() is TRUE. NULL as above. */
GBytes *model_dir_read(struct model_dir *dir, guint version, GError **error);

/* Both files or, with HBR_ERROR_STORE, neither. */
gboolean model_dir_write(struct model_dir *dir, struct model *model, const struct model_record *record, GError **error);

/* The record alone; what cannot be written is logged. */
void model_dir_note(struct model_dir *dir, const struct model_record *record);

/* The model file becomes a damaged one, and the record is written. */
void model_dir_set_aside(struct model_dir *dir, const struct model_record *record);

/* All files of the version. */
void model_dir_remove(struct model_dir *dir, guint version);

/* FALSE when none is told: then both are untouched. */
gboolean model_dir_read_serving(struct model_dir *dir, guint *ret_version, gboolean *ret_is_held);
gboolean model_dir_write_serving(struct model_dir *dir, guint version, gboolean is_held, GError **error);
