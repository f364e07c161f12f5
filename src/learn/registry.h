/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The models on disk, and which of them serves. A directory (mode 0700) has for each version
 *
 *     NNNNNN.model     what model_save() made; of the newest MODELS_KEPT that have served, and as many that have not
 *     NNNNNN.record    struct model_record in JSON; also of those that were refused, for a while
 *     NNNNNN.damaged   a model file that could not be read, moved aside
 *
 * and "serving", the version that serves ("7", or "7 held"). Each is written under another name, flushed and renamed, so that a crash leaves the old or
 * the new one. Versions are never used again. The shipped model is version 0 and lies elsewhere.
 *
 * One thread changes it; any may read. */

struct registry;
struct model;
struct model_record;

#define MODELS_KEPT 10
#define MODEL_CONTENT_MAX (64 * 1024 * 1024)

struct registry_settings {
    const char *dir;
    const char *prior; /* file of the shipped model; it need not exist. NULL: none */
};

/* Makes the directory, and loads what serves: the version last chosen; when that is damaged, which is logged, the newest older one that ever served; then
 * the shipped one; then none. NULL with HBR_ERROR_STORE when the directory cannot be used. */
struct registry *registry_open(const struct registry_settings *settings, GError **error);
void registry_free(struct registry *registry);

/* The shipped model; NULL: none. Unref it. */
struct model *registry_get_prior(struct registry *registry);

/* The model that serves; NULL: none. Unref it. */
struct model *registry_get_serving(struct registry *registry);

/* Somebody chose the one that serves: see struct model_record. */
gboolean registry_is_held(struct registry *registry);

/* For the next model. */
guint registry_take_version(struct registry *registry);

/* Writes the model under its version, with its record (taken), in any case. Then, or FALSE with HBR_ERROR_STORE (the disk is full) and nothing is
 * changed. */
gboolean registry_keep(struct registry *registry, struct model *model, struct model_record *record, GError **error);

/* Lists one that was refused: takes the record. */
void registry_note_refused(struct registry *registry, struct model_record *record);

/* A kept model serves from now on, also after a restart. FALSE with HBR_ERROR_STORE: the one before serves on. */
gboolean registry_adopt(struct registry *registry, struct model *model, gboolean is_held, gint64 now, GError **error);

/* The same with a version from disk. Returns it (unref it). NULL with HBR_ERROR_NOT_FOUND, HBR_ERROR_CONFLICT (it was refused), HBR_ERROR_INVALID
 * (it is damaged; it is moved aside) or HBR_ERROR_STORE: the one before serves on. */
struct model *registry_serve(struct registry *registry, guint version, gboolean is_held, gint64 now, GError **error);

/* The one that serves is held no more. */
gboolean registry_release(struct registry *registry, GError **error);

/* The newest version that ever served, else the shipped one. FALSE when there is none. */
gboolean registry_find_newest(struct registry *registry, guint *ret_version);

/* Appends {"models":[...]}, struct model_record in JSON, the newest first. */
void registry_write_list(struct registry *registry, GString *text);

/* One of them, in JSON. Free with g_free. NULL with HBR_ERROR_NOT_FOUND. */
char *registry_describe(struct registry *registry, guint version, GError **error);

/* Its file. NULL with HBR_ERROR_NOT_FOUND, HBR_ERROR_CONFLICT when it is not kept, or is damaged or gone, which is told of it from then on, or
 * HBR_ERROR_STORE. */
GBytes *registry_read(struct registry *registry, guint version, GError **error);
