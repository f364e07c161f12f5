/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/model-dir.h"

#include "base/error.h"
#include "base/log.h"
#include "learn/registry.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define RECORD_FILE_MAX (256 * 1024)
#define SERVING_FILE_MAX 64
#define SERVING_NAME "serving"

enum file_kind { FILE_MODEL, FILE_RECORD, FILE_DAMAGED, FILE_KIND_COUNT };

static const char *const file_suffixes[FILE_KIND_COUNT] = {"model", "record", "damaged"};

struct model_dir {
    char *path, *prior;
};

static char *model_dir_file(const struct model_dir *dir, guint version, enum file_kind kind)
{
    if (version == 0)
        return g_strdup(dir->prior);
    char name[32];
    g_snprintf(name, sizeof name, "%06u.%s", version, file_suffixes[kind]);
    return g_build_filename(dir->path, name, NULL);
}

struct model_dir *model_dir_open(const char *path, const char *prior, GError **error)
{
    if (g_mkdir_with_parents(path, 0700) < 0 || chmod(path, 0700) < 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "cannot make the directory for models %s: %s", path, g_strerror(errno));
        return NULL;
    }
    struct model_dir *dir = g_new0(struct model_dir, 1);
    dir->path = g_strdup(path);
    dir->prior = g_strdup(prior);
    return dir;
}

void model_dir_free(struct model_dir *dir)
{
    if (dir == NULL)
        return;
    g_free(dir->path);
    g_free(dir->prior);
    g_free(dir);
}

static gboolean file_write(const char *path, const void *data, gsize length, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (g_file_set_contents_full(path, data, (gssize)length,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, &problem))
        return TRUE;
    hbr_error_set(error, HBR_ERROR_STORE, "cannot write %s: %s", path, problem->message);
    return FALSE;
}

static GBytes *file_read(const char *path, gint64 max, GError **error)
{
    g_autoptr(GError) problem = NULL;
    struct stat info;
    char *text = NULL;
    gsize length;
    if (g_stat(path, &info) < 0) {
        const int os_error = errno;
        hbr_error_set(error, os_error == ENOENT ? HBR_ERROR_INVALID : HBR_ERROR_STORE, "%s: %s", path,
                      g_strerror(os_error));
        return NULL;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > max) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: is no file of at most %" G_GINT64_FORMAT " bytes", path, max);
        return NULL;
    }
    if (g_file_get_contents(path, &text, &length, &problem))
        return g_bytes_new_take(text, length);
    hbr_error_set(error, HBR_ERROR_STORE, "%s: %s", path, problem->message);
    return NULL;
}

/* As it is, whole or not. */
static GBytes *model_dir_read_any(struct model_dir *dir, guint version, GError **error)
{
    g_autofree char *path = model_dir_file(dir, version, FILE_MODEL);
    return file_read(path, MODEL_CONTENT_MAX, error);
}

static void model_dir_fail(struct model_dir *dir, guint version, const GError *problem, GError **error)
{
    g_autofree char *path = model_dir_file(dir, version, FILE_MODEL);
    hbr_error_set(error, HBR_ERROR_INVALID, "%s: %s", path, problem->message);
}

GBytes *model_dir_read(struct model_dir *dir, guint version, GError **error)
{
    g_autoptr(GBytes) content = model_dir_read_any(dir, version, error);
    g_autoptr(GError) problem = NULL;
    if (content == NULL || model_check(content, &problem))
        return g_steal_pointer(&content);
    model_dir_fail(dir, version, problem, error);
    return NULL;
}

/* Whatever its file says of itself, it goes by the name of the file. */
struct model *model_dir_load(struct model_dir *dir, guint version, GError **error)
{
    g_autoptr(GBytes) content = model_dir_read_any(dir, version, error);
    g_autoptr(GError) problem = NULL;
    g_autoptr(model_auto) model = content != NULL ? model_load(content, &problem) : NULL;
    if (content == NULL)
        return NULL;
    if (model == NULL) {
        model_dir_fail(dir, version, problem, error);
        return NULL;
    }
    const char *origin = version == 0 ? "shipped" : model_get_info(model)->origin;
    return model_rename(model, version, origin);
}

void model_dir_note(struct model_dir *dir, const struct model_record *record)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = model_dir_file(dir, record->version, FILE_RECORD);
    g_autofree char *text = codec_encode_text(&model_record_codec, record, CODEC_STORE);
    if (!file_write(path, text, strlen(text), &error))
        log_warning("learn", "%s", error->message);
}

gboolean model_dir_write(struct model_dir *dir, struct model *model, const struct model_record *record, GError **error)
{
    g_autoptr(GBytes) content = model_save(model, error);
    if (content == NULL)
        return FALSE;
    gsize length;
    const void *data = g_bytes_get_data(content, &length);
    if (length > MODEL_CONTENT_MAX) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE, "the model has %" G_GSIZE_FORMAT " bytes, at most %d can be kept",
                      length, MODEL_CONTENT_MAX);
        return FALSE;
    }
    g_autofree char *path = model_dir_file(dir, record->version, FILE_MODEL);
    g_autofree char *record_path = model_dir_file(dir, record->version, FILE_RECORD);
    g_autofree char *text = codec_encode_text(&model_record_codec, record, CODEC_STORE);
    if (file_write(path, data, length, error) && file_write(record_path, text, strlen(text), error))
        return TRUE;
    g_unlink(path);
    return FALSE;
}

void model_dir_set_aside(struct model_dir *dir, const struct model_record *record)
{
    g_autofree char *path = model_dir_file(dir, record->version, FILE_MODEL);
    g_autofree char *aside = model_dir_file(dir, record->version, FILE_DAMAGED);
    if (g_rename(path, aside) == 0)
        log_warning("learn", "%s is moved aside as %s", path, aside);
    else if (errno != ENOENT)
        log_warning("learn", "%s cannot be moved aside: %s", path, g_strerror(errno));
    model_dir_note(dir, record);
}

void model_dir_remove(struct model_dir *dir, guint version)
{
    for (guint kind = 0; kind < FILE_KIND_COUNT; kind++) {
        g_autofree char *path = model_dir_file(dir, version, (enum file_kind)kind);
        if (g_unlink(path) < 0 && errno != ENOENT)
            log_warning("learn", "cannot remove %s: %s", path, g_strerror(errno));
    }
}

gboolean model_dir_write_serving(struct model_dir *dir, guint version, gboolean is_held, GError **error)
{
    g_autofree char *path = g_build_filename(dir->path, SERVING_NAME, NULL);
    g_autofree char *text = g_strdup_printf("%u%s\n", version, is_held ? " held" : "");
    return file_write(path, text, strlen(text), error);
}

gboolean model_dir_read_serving(struct model_dir *dir, guint *ret_version, gboolean *ret_is_held)
{
    g_autofree char *path = g_build_filename(dir->path, SERVING_NAME, NULL);
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return FALSE;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) content = file_read(path, SERVING_FILE_MAX, &error);
    if (content == NULL) {
        log_error("learn", "%s", error->message);
        return FALSE;
    }
    g_autofree char *text = g_strndup(g_bytes_get_data(content, NULL), g_bytes_get_size(content));
    g_auto(GStrv) words = g_strsplit(g_strchomp(text), " ", 3);
    const guint count = g_strv_length(words);
    guint64 version;
    const gboolean is_held = count == 2 && strcmp(words[1], "held") == 0;
    if ((count != 1 && !is_held) || !g_ascii_string_to_unsigned(words[0], 10, 0, G_MAXINT32, &version, NULL)) {
        log_error("learn", "%s: \"%s\" is no version; right would be a number, or a number and \"held\"", path, text);
        return FALSE;
    }
    *ret_version = (guint)version;
    *ret_is_held = is_held;
    return TRUE;
}

/* g_file_set_contents() adds a point and six characters; what an operator laid beside ours stays. */
static gboolean name_is_half_written(const char *name)
{
    const char *point = strrchr(name, '.');
    return point != NULL && strlen(point) == 7;
}

/* Which files a version has: a bit for each kind. */
static void scan_file(struct model_dir *dir, const char *name, GHashTable *versions)
{
    g_auto(GStrv) parts = g_strsplit(name, ".", 2);
    guint64 version;
    const gboolean is_ours =
        parts[0] != NULL && parts[1] != NULL && g_ascii_string_to_unsigned(parts[0], 10, 1, G_MAXINT32, &version, NULL);
    for (guint kind = 0; is_ours && kind < FILE_KIND_COUNT; kind++) {
        gpointer key = GUINT_TO_POINTER((guint)version);
        if (strcmp(parts[1], file_suffixes[kind]) != 0)
            continue;
        const guint bits = GPOINTER_TO_UINT(g_hash_table_lookup(versions, key)) | 1U << kind;
        g_hash_table_insert(versions, key, GUINT_TO_POINTER(bits));
        return;
    }
    if ((!is_ours && !g_str_has_prefix(name, SERVING_NAME ".")) || !name_is_half_written(name))
        return;
    g_autofree char *path = g_build_filename(dir->path, name, NULL);
    g_unlink(path); /* what was being written when an earlier daemon died */
}

static struct model_record *scan_read_record(struct model_dir *dir, guint version)
{
    g_autofree char *path = model_dir_file(dir, version, FILE_RECORD);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) content = file_read(path, RECORD_FILE_MAX, &error);
    struct model_record *record =
        content != NULL ? codec_decode_text(&model_record_codec, g_bytes_get_data(content, NULL),
                                            g_bytes_get_size(content), RECORD_FILE_MAX, CODEC_STORE, &error)
                        : NULL;
    if (record == NULL)
        log_warning("learn", "%s: %s", path, error->message);
    else
        record->version = version;
    return record;
}

/* From the model itself, which says less. */
static struct model_record *scan_make_record(struct model_dir *dir, guint version)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(model_auto) model = model_dir_load(dir, version, &error);
    if (model != NULL)
        return model_record_new(model_get_info(model));
    log_error("learn", "%s", error->message);
    struct model_record *record = g_new0(struct model_record, 1);
    record->version = version;
    record->state = MODEL_DAMAGED;
    record->why = g_strdup(error->message);
    model_dir_set_aside(dir, record);
    return record;
}

/* A file goes before what its record says. NULL when nothing is worth telling. */
static struct model_record *scan_version(struct model_dir *dir, guint version, guint files)
{
    const gboolean has_model = (files & 1U << FILE_MODEL) != 0;
    struct model_record *record = (files & 1U << FILE_RECORD) != 0 ? scan_read_record(dir, version) : NULL;
    if (record == NULL && has_model)
        return scan_make_record(dir, version);
    if (record == NULL)
        return NULL;
    if (has_model) {
        record->state = MODEL_KEPT;
    } else if (record->state != MODEL_REFUSED && record->state != MODEL_DAMAGED) {
        record->state = MODEL_DAMAGED;
        g_free(record->why);
        record->why = g_strdup("its file is gone");
    }
    return record;
}

static int version_compare(gconstpointer a, gconstpointer b)
{
    const guint left = GPOINTER_TO_UINT(a), right = GPOINTER_TO_UINT(b);
    return left < right ? -1 : left > right;
}

static void scan_prior(struct model_dir *dir, GPtrArray *records)
{
    if (dir->prior == NULL || *dir->prior == '\0')
        return;
    if (!g_file_test(dir->prior, G_FILE_TEST_EXISTS)) {
        log_info("learn", "there is no shipped model %s", dir->prior);
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(model_auto) model = model_dir_load(dir, 0, &error);
    if (model != NULL)
        g_ptr_array_add(records, model_record_new(model_get_info(model)));
    else
        log_error("learn", "the shipped model cannot be used: %s", error->message);
}

guint model_dir_scan(struct model_dir *dir, GPtrArray *records)
{
    g_autoptr(GHashTable) versions = g_hash_table_new(NULL, NULL);
    g_autoptr(GDir) names = g_dir_open(dir->path, 0, NULL);
    for (const char *name; names != NULL && (name = g_dir_read_name(names)) != NULL;)
        scan_file(dir, name, versions);
    g_autoptr(GList) sorted = g_list_sort(g_hash_table_get_keys(versions), version_compare);
    guint last = 0;
    scan_prior(dir, records);
    for (const GList *link = sorted; link != NULL; link = link->next) {
        last = GPOINTER_TO_UINT(link->data);
        struct model_record *record =
            scan_version(dir, last, GPOINTER_TO_UINT(g_hash_table_lookup(versions, link->data)));
        if (record != NULL)
            g_ptr_array_add(records, record);
    }
    return last;
}
