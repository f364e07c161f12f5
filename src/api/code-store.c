/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/code-store.h"

#include "api/program-check.h"
#include "base/error.h"
#include "base/log.h"
#include "model/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_ENTRIES_MAX 16384
#define STORE_SHARED "shared"
#define STORE_TENANT "tenant-"

/* One file: DIR/shared/SHA256, or DIR/tenant-DIGEST OF THE TENANT'S NAME/SHA256. When it was last used is its modification time, so that a restart
 * keeps the order. */
struct code_entry {
    char *name; /* below DIR */
    guint64 bytes;
    gint64 used_at;
    GList link; /* in `used` */
};

struct code_store {
    char *dir;
    guint64 bytes_max;
    guint entries_max;
    pthread_mutex_t lock;
    GHashTable *entries; /* by name */
    GQueue used;         /* struct code_entry, the longest unused first */
    guint64 bytes;
};

static void code_entry_free(gpointer data)
{
    struct code_entry *entry = data;
    g_free(entry->name);
    g_free(entry);
}

/* Names of tenants hold slashes and may be longer than those of files. */
static char *code_store_folder(const char *tenant)
{
    if (tenant == NULL)
        return g_strdup(STORE_SHARED);
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, tenant, -1);
    return g_strconcat(STORE_TENANT, digest, NULL);
}

static char *code_store_path(const struct code_store *store, const char *name)
{
    return g_build_filename(store->dir, name, NULL);
}

static void code_store_forget(struct code_store *store, struct code_entry *entry)
{
    store->bytes -= entry->bytes;
    g_queue_unlink(&store->used, &entry->link);
    g_hash_table_remove(store->entries, entry->name);
}

static void code_store_remove(struct code_store *store, struct code_entry *entry)
{
    g_autofree char *path = code_store_path(store, entry->name);
    if (g_unlink(path) < 0 && errno != ENOENT)
        log_warning("code", "cannot remove %s: %s", path, g_strerror(errno));
    g_autofree char *folder = g_path_get_dirname(path);
    g_rmdir(folder); /* when it was its last */
    code_store_forget(store, entry);
}

static gboolean code_store_is_full(const struct code_store *store)
{
    return store->bytes > store->bytes_max || g_hash_table_size(store->entries) > store->entries_max;
}

static void code_store_evict(struct code_store *store)
{
    while (code_store_is_full(store) && store->used.head != NULL)
        code_store_remove(store, store->used.head->data);
}

static struct code_entry *code_store_add(struct code_store *store, const char *name, guint64 bytes, gint64 used_at)
{
    struct code_entry *entry = g_new0(struct code_entry, 1);
    entry->name = g_strdup(name);
    entry->bytes = bytes;
    entry->used_at = used_at;
    entry->link.data = entry;
    g_hash_table_insert(store->entries, entry->name, entry);
    g_queue_push_tail_link(&store->used, &entry->link);
    store->bytes += bytes;
    return entry;
}

static void code_store_touch(struct code_store *store, struct code_entry *entry)
{
    g_autofree char *path = code_store_path(store, entry->name);
    g_queue_unlink(&store->used, &entry->link);
    g_queue_push_tail_link(&store->used, &entry->link);
    if (utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        log_debug("code", "cannot note the use of %s: %s", path, g_strerror(errno));
}

/* What was being written when an earlier daemon died is in nobody's way, but would stay for ever. */
static void code_store_scan_file(struct code_store *store, const char *folder, const char *file)
{
    g_autofree char *name = g_build_filename(folder, file, NULL);
    g_autofree char *path = code_store_path(store, name);
    struct stat info;
    if (!program_is_digest(file))
        g_unlink(path);
    else if (lstat(path, &info) == 0 && S_ISREG(info.st_mode))
        code_store_add(store, name, (guint64)info.st_size,
                       (gint64)info.st_mtim.tv_sec * G_USEC_PER_SEC + info.st_mtim.tv_nsec / 1000);
}

static void code_store_scan_folder(struct code_store *store, const char *folder)
{
    g_autofree char *path = code_store_path(store, folder);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;)
        code_store_scan_file(store, folder, file);
}

static int code_entry_compare(gconstpointer a, gconstpointer b, gpointer data G_GNUC_UNUSED)
{
    const struct code_entry *left = a, *right = b;
    return left->used_at < right->used_at ? -1 : left->used_at > right->used_at;
}

static gboolean code_store_scan(struct code_store *store, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) dir = g_dir_open(store->dir, 0, &problem);
    if (dir == NULL) {
        hbr_error_set(error, HBR_ERROR_STORE, "cannot read the directory for code: %s", problem->message);
        return FALSE;
    }
    for (const char *folder; (folder = g_dir_read_name(dir)) != NULL;)
        if (strcmp(folder, STORE_SHARED) == 0 || g_str_has_prefix(folder, STORE_TENANT))
            code_store_scan_folder(store, folder);
    g_queue_sort(&store->used, code_entry_compare, NULL);
    code_store_evict(store);
    return TRUE;
}

static gboolean code_store_make_folder(const char *path, GError **error)
{
    if (g_mkdir_with_parents(path, 0700) == 0 && chmod(path, 0700) == 0)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_STORE, "cannot make the directory for code %s: %s", path, g_strerror(errno));
    return FALSE;
}

struct code_store *code_store_open(const struct code_store_settings *settings, GError **error)
{
    struct code_store *store = g_new0(struct code_store, 1);
    store->dir = g_strdup(settings->dir);
    store->bytes_max = settings->bytes_max;
    store->entries_max = settings->entries_max > 0 ? settings->entries_max : STORE_ENTRIES_MAX;
    pthread_mutex_init(&store->lock, NULL);
    store->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, code_entry_free);
    g_queue_init(&store->used);
    if (code_store_make_folder(store->dir, error) && code_store_scan(store, error))
        return store;
    code_store_free(store);
    return NULL;
}

void code_store_free(struct code_store *store)
{
    if (store == NULL)
        return;
    g_hash_table_unref(store->entries); /* the links of `used` lie in the entries */
    pthread_mutex_destroy(&store->lock);
    g_free(store->dir);
    g_free(store);
}

/* Never more than a program may have; NULL when it cannot be read. */
static GBytes *code_read(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat info;
    if (fd < 0)
        return NULL;
    GBytes *bytes = NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= MODEL_CODE_MAX) {
        const gsize size = (gsize)info.st_size;
        guint8 *data = g_malloc(size + 1);
        gsize length = 0;
        for (ssize_t count = 1; count > 0 && length<size; length += count> 0 ? (gsize)count : 0)
            count = read(fd, data + length, size - length);
        bytes = g_bytes_new_take(data, length);
    }
    close(fd);
    return bytes;
}

static gboolean code_is(GBytes *bytes, const char *sha256)
{
    g_autofree char *digest = bytes != NULL ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes) : NULL;
    return g_strcmp0(digest, sha256) == 0;
}

/* Under the lock. */
static GBytes *code_store_get_locked(struct code_store *store, const char *tenant, const char *sha256)
{
    g_autofree char *folder = code_store_folder(tenant);
    g_autofree char *name = g_build_filename(folder, sha256, NULL);
    struct code_entry *entry = g_hash_table_lookup(store->entries, name);
    if (entry == NULL)
        return NULL;
    g_autofree char *path = code_store_path(store, name);
    g_autoptr(GBytes) bytes = code_read(path);
    if (code_is(bytes, sha256)) {
        code_store_touch(store, entry);
        return g_steal_pointer(&bytes);
    }
    log_warning("code", "%s is not what it was: it is removed, and fetched again when it is needed", path);
    code_store_remove(store, entry);
    return NULL;
}

GBytes *code_store_get(struct code_store *store, const char *tenant, const char *sha256)
{
    pthread_mutex_lock(&store->lock);
    GBytes *bytes = code_store_get_locked(store, tenant, sha256);
    pthread_mutex_unlock(&store->lock);
    return bytes;
}

gboolean code_check_text(GBytes *bytes, GError **error)
{
    gsize length;
    const char *text = g_bytes_get_data(bytes, &length), *end = text;
    if (length == 0 || g_utf8_validate_len(text, length, &end))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "byte %td is %s; right would be text in UTF-8 without NUL", end - text,
                  *end == '\0' ? "a NUL" : "not UTF-8");
    return FALSE;
}

/* A file that a crash leaves half written under its last name is found out when it is read, so nothing is flushed here. */
static gboolean code_store_write(const char *path, GBytes *bytes, GError **error)
{
    g_autoptr(GError) problem = NULL;
    gsize length;
    const char *data = g_bytes_get_data(bytes, &length);
    if (g_file_set_contents_full(path, length > 0 ? data : "", (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
                                 &problem))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_STORE, "cannot keep code: %s", problem->message);
    return FALSE;
}

/* Under the lock. */
static gboolean code_store_put_locked(struct code_store *store, const char *tenant, const char *sha256, GBytes *bytes,
                                      GError **error)
{
    g_autofree char *folder = code_store_folder(tenant);
    g_autofree char *folder_path = code_store_path(store, folder);
    g_autofree char *name = g_build_filename(folder, sha256, NULL);
    g_autofree char *path = code_store_path(store, name);
    struct code_entry *known = g_hash_table_lookup(store->entries, name);
    if (!code_store_make_folder(folder_path, error) || !code_store_write(path, bytes, error))
        return FALSE;
    if (known != NULL)
        code_store_forget(store, known);
    code_store_add(store, name, g_bytes_get_size(bytes), g_get_real_time());
    code_store_evict(store);
    return TRUE;
}

gboolean code_store_put(struct code_store *store, const char *tenant, GBytes *bytes, char **ret_sha256, GError **error)
{
    if (!code_check_text(bytes, error))
        return FALSE;
    if (g_bytes_get_size(bytes) > MIN(store->bytes_max, MODEL_CODE_MAX)) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE,
                      "the code has %" G_GSIZE_FORMAT " bytes, at most %" G_GUINT64_FORMAT " can be kept",
                      g_bytes_get_size(bytes), MIN(store->bytes_max, MODEL_CODE_MAX));
        return FALSE;
    }
    g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    pthread_mutex_lock(&store->lock);
    const gboolean is_kept = code_store_put_locked(store, tenant, sha256, bytes, error);
    pthread_mutex_unlock(&store->lock);
    if (is_kept && ret_sha256 != NULL)
        *ret_sha256 = g_steal_pointer(&sha256);
    return is_kept;
}

guint64 code_store_bytes(struct code_store *store)
{
    pthread_mutex_lock(&store->lock);
    const guint64 bytes = store->bytes;
    pthread_mutex_unlock(&store->lock);
    return bytes;
}

guint code_store_entries(struct code_store *store)
{
    pthread_mutex_lock(&store->lock);
    const guint entries = g_hash_table_size(store->entries);
    pthread_mutex_unlock(&store->lock);
    return entries;
}
