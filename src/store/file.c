/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/file.h"

#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean store_file_check_directory(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    struct stat info;
    if (stat(directory, &info) != 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s: the database's directory %s cannot be used: %s", path, directory,
                      g_strerror(errno));
        return FALSE;
    }
    if (!S_ISDIR(info.st_mode)) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s: %s is not a directory", path, directory);
        return FALSE;
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (info.st_mode & S_ISVTX) == 0) {
        hbr_error_set(error, HBR_ERROR_STORE,
                      "%s: others may write to the directory %s (mode %04o); right would be 0700 or 0755", path,
                      directory, info.st_mode & 07777);
        return FALSE;
    }
    return TRUE;
}

/* Who holds the lock, as it wrote itself into the file; for the message only. */
static char *store_file_read_holder(int fd)
{
    char text[32] = "";
    const ssize_t length = pread(fd, text, sizeof text - 1, 0);
    return length > 0 ? g_strdup(g_strchomp(text)) : g_strdup("unknown");
}

static void store_file_write_holder(int fd)
{
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, strlen(text), 0) < 0)
        log_debug("store", "the lock file does not take our process id: %s", g_strerror(errno));
}

int store_file_lock(const char *path, GError **error)
{
    if (!store_file_check_directory(path, error))
        return -1;
    g_autofree char *lock_path = g_strconcat(path, ".lock", NULL);
    const int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s cannot be opened: %s", lock_path, g_strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int saved_errno = errno;
        g_autofree char *holder = store_file_read_holder(fd);
        if (saved_errno == EWOULDBLOCK)
            hbr_error_set(error, HBR_ERROR_STORE,
                          "%s is in use by another harbingerd (process %s); each daemon needs a database of its own",
                          path, holder);
        else
            hbr_error_set(error, HBR_ERROR_STORE, "%s cannot be locked: %s", lock_path, g_strerror(saved_errno));
        close(fd);
        return -1;
    }
    store_file_write_holder(fd);
    return fd;
}

static gboolean store_file_check(const char *path, int fd, GError **error)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s cannot be looked at: %s", path, g_strerror(errno));
        return FALSE;
    }
    if (!S_ISREG(info.st_mode)) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s is not a regular file", path);
        return FALSE;
    }
    if ((info.st_mode & 07777) == 0600)
        return TRUE;
    if (fchmod(fd, 0600) != 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s has mode %04o and cannot be given 0600: %s", path,
                      info.st_mode & 07777, g_strerror(errno));
        return FALSE;
    }
    log_warning("store", "%s had mode %04o; it has 0600 now", path, info.st_mode & 07777);
    return TRUE;
}

gboolean store_file_prepare(const char *path, GError **error)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        hbr_error_set(error, HBR_ERROR_STORE, "%s cannot be opened: %s", path, g_strerror(errno));
        return FALSE;
    }
    const gboolean fine = store_file_check(path, fd, error);
    close(fd);
    return fine;
}
