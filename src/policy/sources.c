/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include "base/error.h"
#include "model/limits.h"
#include "policy/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct codec_field policy_source_fields[] = {
    {"name", CODEC_STRING, G_STRUCT_OFFSET(struct policy_source, name), CODEC_REQUIRED, 0, MODEL_NAME_MAX, NULL, NULL},
    {"text", CODEC_STRING, G_STRUCT_OFFSET(struct policy_source, text), CODEC_REQUIRED, 0, YAML_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(policy_source, policy_source_fields)

static gboolean source_fail(const char *path, int problem, GError **error)
{
    hbr_error_set(error, problem == ENOENT ? HBR_ERROR_NOT_FOUND : HBR_ERROR_INVALID,
                  "%s: %s; right would be a readable policy file, or a directory of them", path, g_strerror(problem));
    return FALSE;
}

/* Not g_file_get_contents: a FIFO must not block, nor a huge file be read to its end. */
static gboolean source_read(int fd, const char *path, GString *text, GError **error)
{
    char buffer[16384];
    for (;;) {
        const ssize_t length = read(fd, buffer, sizeof buffer);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return source_fail(path, errno, error);
        if (length == 0)
            break;
        g_string_append_len(text, buffer, length);
        if (text->len > YAML_TEXT_MAX) {
            hbr_error_set(error, HBR_ERROR_TOO_LARGE, "%s: has more than %d bytes; right would be fewer", path,
                          YAML_TEXT_MAX);
            return FALSE;
        }
    }
    const char *nul = memchr(text->str, '\0', text->len);
    if (nul == NULL)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_INVALID, "%s: contains a NUL character; right would be YAML text", path);
    return FALSE;
}

static gboolean source_add(GPtrArray *sources, const char *path, GError **error)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return source_fail(path, errno, error);
    struct stat status;
    const gboolean is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    g_autoptr(GString) text = g_string_new(NULL);
    const gboolean is_read = is_file ? source_read(fd, path, text, error) : source_fail(path, EINVAL, error);
    close(fd);
    if (!is_read)
        return FALSE;
    struct policy_source *source = g_new0(struct policy_source, 1);
    source->name = g_path_get_basename(path);
    source->text = g_strndup(text->str, text->len);
    g_ptr_array_add(sources, source);
    return TRUE;
}

static gint name_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *directory_names(const char *path, GError **error)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    if (directory == NULL) {
        source_fail(path, EACCES, error);
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(directory)) != NULL;)
        if (name[0] != '.' && g_str_has_suffix(name, ".yaml"))
            g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, name_compare);
    return names;
}

static gboolean directory_add(GPtrArray *sources, const char *path, GError **error)
{
    g_autoptr(GPtrArray) names = directory_names(path, error);
    if (names == NULL)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *file = g_build_filename(path, g_ptr_array_index(names, i), NULL);
        if (!source_add(sources, file, error))
            return FALSE;
    }
    if (sources->len > 0)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_NOT_FOUND, "%s: holds no policy file; right would be at least one file *.yaml",
                  path);
    return FALSE;
}

GPtrArray *policy_sources_read(const char *path, GError **error)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func((GDestroyNotify)policy_source_free);
    const gboolean is_read =
        g_file_test(path, G_FILE_TEST_IS_DIR) ? directory_add(sources, path, error) : source_add(sources, path, error);
    return is_read ? g_steal_pointer(&sources) : NULL;
}
