/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/saved-store.h"

#include "base/error.h"
#include "base/log.h"
#include "host/file-copy.h"
#include "host/save-image.h"
#include "model/limits.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_BYTES_MAX 65536
#define PART ".part"

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

static const struct codec_field saved_record_fields[] = {
    {"state", CODEC_OBJECT, AT(saved_record, state), CODEC_REQUIRED, 0, 0, &saved_state_codec, NULL},
    {"owner", CODEC_STRING, AT(saved_record, owner), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"format", CODEC_STRING, AT(saved_record, format), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"sha256", CODEC_STRING, AT(saved_record, sha256), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"disk_sha256", CODEC_STRING, AT(saved_record, disk_sha256), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"state_bytes", CODEC_INT64, AT(saved_record, state_bytes), CODEC_REQUIRED, 0, G_MAXINT64, NULL, NULL},
};

CODEC_DEFINE(saved_record, saved_record_fields)

char *saved_path(const char *directory, const char *id, const char *suffix)
{
    g_autofree char *file = g_strconcat(id, suffix, NULL);
    return g_build_filename(directory, file, NULL);
}

gboolean saved_id_check(const char *id, GError **error)
{
    if (id != NULL && id[0] != '\0' && id[0] != '.' && strchr(id, '/') == NULL)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "\"%s\" is no id of a saved state", id != NULL ? id : "");
    return FALSE;
}

gboolean saved_prepare(const char *directory, GError **error)
{
    if (g_mkdir_with_parents(directory, 0700) == 0)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_HYPERVISOR, "make %s: %s", directory, g_strerror(errno));
    return FALSE;
}

/* Files as they were when their checksum was found right: path -> a text of size, time and so on. */
static GMutex verified_lock;
static GHashTable *verified;

static char *file_mark(const char *path, gint64 *ret_bytes)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return NULL;
    *ret_bytes = info.st_size;
    return g_strdup_printf("%ju %ju %jd %jd.%09ld %jd.%09ld", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino,
                           (intmax_t)info.st_size, (intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                           (intmax_t)info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
}

static gboolean verified_has(const char *path, const char *mark)
{
    g_mutex_lock(&verified_lock);
    const gboolean has = verified != NULL && g_strcmp0(g_hash_table_lookup(verified, path), mark) == 0;
    g_mutex_unlock(&verified_lock);
    return has;
}

static void verified_put(const char *path, const char *mark)
{
    g_mutex_lock(&verified_lock);
    if (verified == NULL)
        verified = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (mark != NULL)
        g_hash_table_insert(verified, g_strdup(path), g_strdup(mark));
    else
        g_hash_table_remove(verified, path);
    g_mutex_unlock(&verified_lock);
}

static void remove_file(const char *directory, const char *id, const char *suffix)
{
    g_autofree char *path = saved_path(directory, id, suffix);
    g_unlink(path);
    verified_put(path, NULL);
}

void saved_remove(const char *directory, const char *id)
{
    static const char *const suffixes[] = {".json", ".state", ".disk", ".json" PART, ".state" PART, ".disk" PART};
    if (!saved_id_check(id, NULL))
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++)
        remove_file(directory, id, suffixes[i]);
}

void saved_disown(const char *directory, const char *id)
{
    if (saved_id_check(id, NULL))
        remove_file(directory, id, ".json");
}

static gboolean finish_file(const char *directory, const char *id, const char *suffix, GError **error)
{
    g_autofree char *path = saved_path(directory, id, suffix);
    g_autofree char *part = g_strconcat(path, PART, NULL);
    gint64 bytes;
    if (!file_sync(part, error))
        return FALSE;
    if (g_chmod(part, 0600) != 0 || g_rename(part, path) != 0) {
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "keep %s: %s", path, g_strerror(errno));
        return FALSE;
    }
    g_autofree char *mark = file_mark(path, &bytes);
    verified_put(path, mark);
    return TRUE;
}

static gboolean write_record(const char *directory, const struct saved_record *record, GError **error)
{
    g_autofree char *part = saved_path(directory, record->state->id, ".json" PART);
    g_autofree char *text = codec_encode_text(&saved_record_codec, record, CODEC_STORE);
    g_autoptr(GError) why = NULL;
    if (!g_file_set_contents_full(part, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, &why)) {
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "%s", why->message);
        return FALSE;
    }
    return finish_file(directory, record->state->id, ".json", error) && file_sync(directory, error);
}

static gboolean measure(const char *directory, struct saved_record *record, gboolean has_disk, GError **error)
{
    g_autofree char *state = saved_path(directory, record->state->id, ".state" PART);
    g_autofree char *disk = saved_path(directory, record->state->id, ".disk" PART);
    struct stat info;
    if (stat(state, &info) != 0) {
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "look at %s: %s", state, g_strerror(errno));
        return FALSE;
    }
    record->state_bytes = record->state->bytes = info.st_size;
    if (has_disk && stat(disk, &info) == 0)
        record->state->bytes += (gint64)info.st_blocks * 512;
    record->format = g_strdup(SAVE_IMAGE_FORMAT);
    record->sha256 = file_digest(state, error);
    if (record->sha256 == NULL)
        return FALSE;
    record->disk_sha256 = has_disk ? file_digest_sparse(disk, error) : NULL;
    return !has_disk || record->disk_sha256 != NULL;
}

gboolean saved_commit(const char *directory, struct saved_record *record, gboolean has_disk, GError **error)
{
    const char *id = record->state->id;
    if (measure(directory, record, has_disk, error) && (!has_disk || finish_file(directory, id, ".disk", error)) &&
        finish_file(directory, id, ".state", error) && write_record(directory, record, error))
        return TRUE;
    saved_remove(directory, id);
    return FALSE;
}

static struct saved_record *read_record(const char *directory, const char *id, GError **error)
{
    if (!saved_id_check(id, error))
        return NULL;
    g_autofree char *path = saved_path(directory, id, ".json");
    g_autofree char *text = NULL;
    gsize length;
    struct stat info;
    if (stat(path, &info) != 0 || info.st_size > RECORD_BYTES_MAX || !g_file_get_contents(path, &text, &length, NULL)) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "there is no saved state %s", id);
        return NULL;
    }
    g_autoptr(saved_record_auto) record =
        codec_decode_text(&saved_record_codec, text, length, RECORD_BYTES_MAX, CODEC_STORE, error);
    if (record == NULL) {
        g_prefix_error(error, "%s: ", path);
    } else if (strcmp(record->state->id, id) != 0 || strcmp(record->format, SAVE_IMAGE_FORMAT) != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s is not about that state, or of a format that is not known here",
                      path);
        return NULL;
    }
    return g_steal_pointer(&record);
}

static gboolean verify_file(const char *path, const char *sha256, char *(*digest)(const char *path, GError **error),
                            GError **error)
{
    gint64 bytes;
    g_autofree char *mark = file_mark(path, &bytes);
    if (mark != NULL && verified_has(path, mark))
        return TRUE;
    g_autofree char *found = digest(path, error);
    if (found == NULL)
        return FALSE;
    if (strcmp(found, sha256) != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s is damaged: its checksum is not the one that was written down",
                      path);
        return FALSE;
    }
    verified_put(path, mark);
    return TRUE;
}

/* Cheap: the files are there, and as long as they were. */
static gboolean look_whole(const char *directory, const struct saved_record *record, GError **error)
{
    g_autofree char *state = saved_path(directory, record->state->id, ".state");
    g_autofree char *disk = saved_path(directory, record->state->id, ".disk");
    struct stat info;
    if (stat(state, &info) == 0 && info.st_size == record->state_bytes &&
        (record->disk_sha256 == NULL || stat(disk, &info) == 0))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "%s is cut off, or a file of it is missing", state);
    return FALSE;
}

struct saved_record *saved_verify(const char *directory, const char *id, GError **error)
{
    g_autoptr(saved_record_auto) record = read_record(directory, id, error);
    if (record == NULL || !look_whole(directory, record, error))
        return NULL;
    g_autofree char *state = saved_path(directory, id, ".state");
    g_autofree char *disk = saved_path(directory, id, ".disk");
    if (!verify_file(state, record->sha256, file_digest, error) ||
        (record->disk_sha256 != NULL && !verify_file(disk, record->disk_sha256, file_digest_sparse, error)))
        return NULL;
    return g_steal_pointer(&record);
}

static struct saved_state *usable_state(const char *directory, const char *id, const char *owner,
                                        const struct saved_origin *origin, GError **error)
{
    g_autoptr(saved_record_auto) record = read_record(directory, id, error);
    if (record == NULL || !look_whole(directory, record, error))
        return NULL;
    g_autofree char *fingerprint = saved_fingerprint(origin, record->state->template, error);
    if (fingerprint == NULL)
        return NULL;
    if (strcmp(record->owner, owner) != 0 || strcmp(record->state->fingerprint, fingerprint) != 0) {
        hbr_error_set(error, HBR_ERROR_CONFLICT, "it was made %s",
                      strcmp(record->owner, owner) != 0 ? "by another Harbinger"
                                                        : "from another template, image, libvirt or QEMU");
        return NULL;
    }
    return g_steal_pointer(&record->state);
}

/* "saved-1.state.part" -> "saved-1". An id may have dots, our suffixes are known. */
static char *id_of_file(const char *file)
{
    static const char *const suffixes[] = {PART, ".json", ".state", ".disk"};
    char *id = g_strdup(file);
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        if (g_str_has_suffix(id, suffixes[i]))
            id[strlen(id) - strlen(suffixes[i])] = '\0';
    }
    return id;
}

static gint64 changed_at(const struct stat *info)
{
    return (gint64)info->st_ctim.tv_sec * G_USEC_PER_SEC + info->st_ctim.tv_nsec / 1000;
}

/* What belongs to no state and lies there since before `since`. */
static void remove_strays(const char *directory, GHashTable *kept, gint64 since)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *id = id_of_file(file);
        g_autofree char *path = g_build_filename(directory, file, NULL);
        struct stat info;
        if (g_hash_table_contains(kept, id) || lstat(path, &info) != 0 || changed_at(&info) >= since)
            continue;
        log_info("host", "%s belongs to no saved state: removed", path);
        g_unlink(path);
    }
}

GPtrArray *saved_list(const char *directory, const char *owner, const struct saved_origin *origin, gint64 since)
{
    GPtrArray *states = g_ptr_array_new_with_free_func((GDestroyNotify)saved_state_free);
    g_autoptr(GHashTable) kept = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;) {
        if (!g_str_has_suffix(file, ".json"))
            continue;
        g_autofree char *id = id_of_file(file);
        g_autoptr(GError) error = NULL;
        struct saved_state *state = usable_state(directory, id, owner, origin, &error);
        if (state != NULL) {
            g_ptr_array_add(states, state);
            g_hash_table_add(kept, state->id);
            continue;
        }
        log_warning("host", "the saved state %s is removed: %s", id, error->message);
        saved_remove(directory, id);
    }
    remove_strays(directory, kept, since);
    return states;
}
