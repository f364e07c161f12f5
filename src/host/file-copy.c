/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/file-copy.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (1024 * 1024)
#define BLOCK_BYTES (64 * 1024)

static gboolean file_fail(GError **error, const char *what, const char *path)
{
    const int code = errno;
    hbr_error_set(error, code == ENOENT ? HBR_ERROR_NOT_FOUND : HBR_ERROR_HYPERVISOR, "%s %s: %s", what, path,
                  g_strerror(code));
    return FALSE;
}

static int file_open(const char *path, GError **error)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        file_fail(error, "open", path);
    return fd;
}

static gboolean write_all(int fd, const guint8 *data, gsize size)
{
    while (size > 0) {
        const gssize n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FALSE;
        data += n;
        size -= (gsize)n;
    }
    return TRUE;
}

/* Copies through our memory; both files stand where they are to be read and written. */
static gboolean copy_through(int from, int to, gint64 count)
{
    g_autofree guint8 *chunk = g_malloc(CHUNK_BYTES);
    while (count > 0) {
        const gssize n = read(from, chunk, (gsize)MIN(count, CHUNK_BYTES));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n > 0 && !write_all(to, chunk, (gsize)n)))
            return FALSE;
        if (n == 0)
            break;
        count -= n;
    }
    return TRUE;
}

static gboolean copy_count(int from, int to, gint64 count)
{
    gboolean has_begun = FALSE;
    while (count > 0) {
        const gssize n = copy_file_range(from, NULL, to, NULL, (gsize)count, 0);
        if (n < 0 && !has_begun)
            return copy_through(from, to, count); /* between file systems, or by an old kernel */
        if (n < 0)
            return FALSE;
        if (n == 0)
            break;
        has_begun = TRUE;
        count -= n;
    }
    return TRUE;
}

gboolean file_copy_tail(int from, gint64 offset, int to, const char *path, GError **error)
{
    const off_t end = lseek(from, 0, SEEK_END);
    if (end < 0 || lseek(from, offset, SEEK_SET) < 0 || !copy_count(from, to, end - offset))
        return file_fail(error, "copy", path);
    return TRUE;
}

/* The next stretch of data from `at` on. FALSE at the end. */
static gboolean next_data(int fd, gint64 at, gint64 size, gint64 *ret_begin, gint64 *ret_end)
{
    const off_t begin = lseek(fd, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO)
        return FALSE;
    const off_t end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
    *ret_begin = begin < 0 ? at : begin;
    *ret_end = end < 0 ? size : end;
    return *ret_begin < size;
}

static gboolean copy_stretches(int from, int to)
{
    const gint64 size = lseek(from, 0, SEEK_END);
    gint64 begin = 0, end = 0;
    if (size < 0 || ftruncate(to, size) != 0)
        return FALSE;
    for (gint64 at = 0; next_data(from, at, size, &begin, &end); at = end) {
        if (lseek(from, begin, SEEK_SET) < 0 || lseek(to, begin, SEEK_SET) < 0 || !copy_count(from, to, end - begin))
            return FALSE;
    }
    return TRUE;
}

gboolean file_copy_sparse(const char *from, const char *to, GError **error)
{
    const int from_fd = file_open(from, error);
    if (from_fd < 0)
        return FALSE;
    const int to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const gboolean is_copied = to_fd >= 0 && copy_stretches(from_fd, to_fd);
    if (!is_copied)
        file_fail(error, "copy to", to);
    if (to_fd >= 0)
        close(to_fd);
    close(from_fd);
    return is_copied;
}

static gboolean digest_whole(int fd, GChecksum *checksum)
{
    g_autofree guint8 *chunk = g_malloc(CHUNK_BYTES);
    for (;;) {
        const gssize n = read(fd, chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        g_checksum_update(checksum, chunk, n);
    }
}

static void digest_number(GChecksum *checksum, gint64 number)
{
    const gint64 bytes = GINT64_TO_LE(number);
    g_checksum_update(checksum, (const guchar *)&bytes, sizeof bytes);
}

static gboolean digest_blocks(int fd, GChecksum *checksum)
{
    static const guint8 zeros[BLOCK_BYTES];
    g_autofree guint8 *block = g_malloc(BLOCK_BYTES);
    const gint64 size = lseek(fd, 0, SEEK_END);
    gint64 begin = 0, end = 0;
    digest_number(checksum, size);
    for (gint64 at = 0; next_data(fd, at, size, &begin, &end);
         at = (end + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES) {
        for (gint64 offset = MAX(at, begin / BLOCK_BYTES * BLOCK_BYTES); offset < end; offset += BLOCK_BYTES) {
            const gssize n = pread(fd, block, BLOCK_BYTES, offset);
            if (n < 0)
                return FALSE;
            if (memcmp(block, zeros, (gsize)n) == 0)
                continue;
            digest_number(checksum, offset);
            g_checksum_update(checksum, block, n);
        }
    }
    return TRUE;
}

static char *digest_by(const char *path, gboolean (*digest)(int fd, GChecksum *checksum), GError **error)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    const int fd = file_open(path, error);
    if (fd < 0)
        return NULL;
    const gboolean is_read = digest(fd, checksum);
    if (!is_read)
        file_fail(error, "read", path);
    close(fd);
    return is_read ? g_strdup(g_checksum_get_string(checksum)) : NULL;
}

char *file_digest(const char *path, GError **error)
{
    return digest_by(path, digest_whole, error);
}

char *file_digest_sparse(const char *path, GError **error)
{
    return digest_by(path, digest_blocks, error);
}

gboolean file_sync(const char *path, GError **error)
{
    const int fd = file_open(path, error);
    if (fd < 0)
        return FALSE;
    const gboolean is_synced = fsync(fd) == 0;
    if (!is_synced)
        file_fail(error, "sync", path);
    close(fd);
    return is_synced;
}
