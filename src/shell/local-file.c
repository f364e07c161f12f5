/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/local-file.h"

#include "shell/failure.h"
#include "shell/units.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP (64 * 1024)
#define NEW_FILE_MODE 0666 /* before the umask */

static gboolean local_file_fail(const char *path, int os_error, GError **error)
{
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_FILE, "%s: %s", path, g_strerror(os_error));
    return FALSE;
}

static gboolean local_file_fail_size(const char *path, gsize max, GError **error)
{
    g_autofree char *bound = units_format_bytes((gint64)max);
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_TOO_LARGE, "%s: is too large, at most %s can be sent", path, bound);
    return FALSE;
}

static gboolean local_file_drain(int fd, const char *path, gsize max, GByteArray *content, GError **error)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (gsize)status.st_size > max)
        return local_file_fail_size(path, max, error);
    for (;;) {
        const gsize before = content->len, step = MIN(READ_STEP, max + 1 - before);
        g_byte_array_set_size(content, (guint)(before + step));
        const gssize count = read(fd, content->data + before, step);
        g_byte_array_set_size(content, (guint)(before + (gsize)MAX(count, 0)));
        if (count < 0 && errno != EINTR)
            return local_file_fail(path, errno, error);
        if (count == 0)
            return TRUE;
        if (content->len > max)
            return local_file_fail_size(path, max, error);
    }
}

GBytes *local_file_read(const char *path, gsize max, GError **error)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_FILE, "%s: is a directory", path);
        return NULL;
    }
    const int fd = g_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        local_file_fail(path, errno, error);
        return NULL;
    }
    g_autoptr(GByteArray) content = g_byte_array_new();
    const gboolean is_read = local_file_drain(fd, path, max, content, error);
    close(fd);
    return is_read ? g_byte_array_free_to_bytes(g_steal_pointer(&content)) : NULL;
}

/* Closes it. FALSE with errno. */
static gboolean local_file_fill(int fd, gboolean is_flushed, const void *data, gsize length)
{
    const char *at = data, *end = at + length;
    while (at < end) {
        const gssize count = write(fd, at, (gsize)(end - at));
        if (count >= 0)
            at += count;
        else if (errno != EINTR)
            break;
    }
    const int os_error = at < end || (is_flushed && fsync(fd) < 0) ? errno : 0;
    if (close(fd) < 0 && os_error == 0)
        return FALSE;
    errno = os_error;
    return os_error == 0;
}

/* FALSE with errno. */
static gboolean local_file_replace(const char *path, int mode, const void *data, gsize length)
{
    g_autofree char *beside = g_strconcat(path, ".XXXXXX", NULL);
    const int fd = g_mkstemp_full(beside, O_WRONLY | O_CLOEXEC, mode);
    if (fd < 0)
        return FALSE;
    if (local_file_fill(fd, TRUE, data, length) && g_rename(beside, path) == 0)
        return TRUE;
    const int os_error = errno;
    g_unlink(beside);
    errno = os_error;
    return FALSE;
}

static gboolean local_file_overwrite(const char *path, const void *data, gsize length)
{
    const int fd = g_open(path, O_WRONLY | O_CLOEXEC, 0);
    return fd >= 0 && local_file_fill(fd, FALSE, data, length);
}

gboolean local_file_write(const char *path, const void *data, gsize length, GError **error)
{
    struct stat status;
    const gboolean is_there = stat(path, &status) == 0;
    char *target = is_there ? realpath(path, NULL) : NULL; /* what a symbolic link leads to */
    gboolean is_written;
    if (is_there && !S_ISREG(status.st_mode))
        is_written = local_file_overwrite(path, data, length);
    else
        is_written = local_file_replace(target != NULL ? target : path,
                                        is_there ? status.st_mode & 0777 : NEW_FILE_MODE, data, length);
    const int os_error = errno;
    free(target);
    return is_written || local_file_fail(path, os_error, error);
}
