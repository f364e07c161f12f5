/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE_SIZE 256
#define PATH_SIZE 1100
#define TREE_DEPTH_MAX 64

static int fail(int error)
{
    errno = error;
    return -1;
}

static bool is_plain_component(const char *component)
{
    return component[0] && strcmp(component, ".") != 0 && strcmp(component, "..") != 0;
}

/* Closes `dir_fd` unless it is `keep_fd`. */
static int step_into(int dir_fd, int keep_fd, const char *component, bool create, uid_t owner)
{
    if (create && mkdirat(dir_fd, component, 0755) == 0 && owner != 0 &&
        fchownat(dir_fd, component, owner, owner, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    int next_fd = openat(dir_fd, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    if (dir_fd != keep_fd)
        close(dir_fd);
    errno = error;
    return next_fd;
}

int path_open_parent(int dir_fd, struct wire_slice path, bool create, uid_t owner, char *ret_base)
{
    char text[PATH_SIZE];
    if (path.size == 0 || path.size >= sizeof(text) || memchr(path.data, 0, path.size))
        return fail(EINVAL);
    memcpy(text, path.data, path.size);
    text[path.size] = '\0';
    if (text[0] == '/')
        return fail(EINVAL);

    int at_fd = dir_fd;
    char *component = text;
    for (char *slash; (slash = strchr(component, '/')); component = slash + 1) {
        *slash = '\0';
        if (!is_plain_component(component) || strlen(component) >= BASE_SIZE) {
            if (at_fd != dir_fd)
                close(at_fd);
            return fail(EINVAL);
        }
        at_fd = step_into(at_fd, dir_fd, component, create, owner);
        if (at_fd < 0)
            return -1;
    }
    if (!is_plain_component(component) || strlen(component) >= BASE_SIZE) {
        if (at_fd != dir_fd)
            close(at_fd);
        return fail(EINVAL);
    }
    snprintf(ret_base, BASE_SIZE, "%s", component);
    return at_fd == dir_fd ? fcntl(dir_fd, F_DUPFD_CLOEXEC, 3) : at_fd;
}

int path_open_absolute_parent(struct wire_slice path, char *ret_base)
{
    char text[PATH_SIZE];
    if (path.size == 0 || path.size >= sizeof(text) || memchr(path.data, 0, path.size))
        return fail(EINVAL);
    memcpy(text, path.data, path.size);
    text[path.size] = '\0';

    char *base = strrchr(text, '/');
    if (text[0] != '/' || !is_plain_component(base + 1) || strlen(base + 1) >= BASE_SIZE)
        return fail(EINVAL);
    snprintf(ret_base, BASE_SIZE, "%s", base + 1);
    *base = '\0';
    return open(text[0] ? text : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int write_all(int fd, struct wire_slice content)
{
    const char *data = content.data;
    size_t left = content.size;
    while (left > 0) {
        ssize_t n = write(fd, data, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        left -= (size_t)n;
    }
    return 0;
}

int path_write_file(int dir_fd, struct wire_slice path, struct wire_slice content, mode_t mode, uid_t owner)
{
    char base[BASE_SIZE];
    int parent_fd = path_open_parent(dir_fd, path, true, owner, base);
    if (parent_fd < 0)
        return -1;
    int fd = openat(parent_fd, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = fd < 0 ? -1 : write_all(fd, content);
    if (result == 0 && owner != 0)
        result = fchown(fd, owner, owner);
    if (result == 0)
        result = fchmod(fd, mode & 0777);
    int error = errno;
    if (fd >= 0)
        close(fd);
    close(parent_fd);
    errno = error;
    return result;
}

static int remove_tree(int dir_fd, const char *name, int depth)
{
    int fd =
        depth > TREE_DEPTH_MAX ? fail(ELOOP) : openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return fail(error);
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) != 0 && (errno == EISDIR || errno == EPERM))
            remove_tree(fd, entry->d_name, depth + 1);
    }
    closedir(directory);
    return unlinkat(dir_fd, name, AT_REMOVEDIR);
}

int path_remove_tree(int dir_fd, const char *name)
{
    return remove_tree(dir_fd, name, 0);
}
