/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/host.h"
#include "model/pool.h"

/* The directory of a host's saved states, readable by its owner alone. Three files each: ID.state as libvirt wrote it, ID.disk where the
 * instance has a disk of its own, and ID.json, which is written last: without it the others are nothing. It blocks: a worker's work. Any
 * thread; what was verified is remembered for the process. */

/* What ID.json says. */
struct saved_record {
    struct saved_state *state;
    char *owner;                /* of this Harbinger */
    char *format;               /* of ID.state */
    char *sha256, *disk_sha256; /* disk: of its blocks that are not zero; NULL: there is none */
    gint64 state_bytes;
};

CODEC_DECLARE(saved_record)

/* What a state depends on beside its template's name. */
struct saved_origin {
    char *template_dir, *image_dir, *network;
    gulong libvirt_version, qemu_version;
    enum acceleration acceleration;
};

void saved_origin_copy_to(const struct saved_origin *origin, struct saved_origin *ret_copy);
void saved_origin_clear(struct saved_origin *origin);

/* A digest over all of that: the template's text, its image files by path, size and time of change. NULL with an error when one of them is
 * missing. Free with g_free. */
char *saved_fingerprint(const struct saved_origin *origin, const char *template, GError **error);

/* DIRECTORY/ID.SUFFIX. Free with g_free. */
char *saved_path(const char *directory, const char *id, const char *suffix);

/* An id that is no name of a file is none of ours. */
gboolean saved_id_check(const char *id, GError **error);

/* Makes the directory. */
gboolean saved_prepare(const char *directory, GError **error);

/* DIRECTORY/ID.state.part, and ID.disk.part where record->disk_sha256 is to be set, are complete: takes their checksums, fills `record`, makes all
 * durable and valid. On failure nothing is left of them. */
gboolean saved_commit(const char *directory, struct saved_record *record, gboolean has_disk, GError **error);

/* The record of a state that is whole: files of the right size, and, once in the process and after each change of them, of the right checksum. NULL
 * with HBR_ERROR_NOT_FOUND, or HBR_ERROR_INVALID for a damaged one. Free with saved_record_free. */
struct saved_record *saved_verify(const char *directory, const char *id, GError **error);

/* All states of that owner which fit `origin` and look whole (checksums are looked at before use). What else lies there is removed, but for files
 * younger than `since` (microseconds since the epoch), which somebody may be writing. Elements are struct saved_state. */
GPtrArray *saved_list(const char *directory, const char *owner, const struct saved_origin *origin, gint64 since);

void saved_remove(const char *directory, const char *id);

/* Makes a state one that nobody can use any more, at once; its large files are left for saved_remove(). */
void saved_disown(const char *directory, const char *id);
