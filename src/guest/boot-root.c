/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/boot-root.h"

#include "guest/boot.h"
#include "guest/loop.h"
#include "guest/path.h"
#include "guest/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISK_WAIT_US INT64_C(5000000)
#define LOWER "/mnt/lower"
#define UPPER "/mnt/upper"
#define ROOT "/mnt/root"

enum content {
    CONTENT_OTHER,
    CONTENT_BLANK,
    CONTENT_SQUASHFS,
    CONTENT_EXT,
};

/* By the superblocks' magic numbers; "blank" is a first page of zeros. */
static enum content disk_content(const char *path)
{
    static const uint8_t zeros[4096];
    uint8_t head[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
    if (fd >= 0)
        close(fd);
    if (n != (ssize_t)sizeof(head))
        return CONTENT_OTHER;
    if (memcmp(head, "hsqs", 4) == 0)
        return CONTENT_SQUASHFS;
    if (head[1080] == 0x53 && head[1081] == 0xef)
        return CONTENT_EXT;
    return memcmp(head, zeros, sizeof(head)) == 0 ? CONTENT_BLANK : CONTENT_OTHER;
}

static bool find_disk(enum content wanted, char *ret_path, size_t size)
{
    DIR *disks = opendir("/sys/block");
    bool found = false;
    if (!disks)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(disks));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(ret_path, size, "/dev/%s", entry->d_name);
        found = disk_content(ret_path) == wanted;
    }
    closedir(disks);
    return found;
}

static bool wait_for_disk(enum content wanted, char *ret_path, size_t size)
{
    int uevent_fd = boot_open_uevents();
    int64_t until_us = loop_now_us() + DISK_WAIT_US;
    bool found = find_disk(wanted, ret_path, size);
    while (!found && loop_now_us() < until_us) {
        boot_wait_for_device(uevent_fd, 100);
        found = find_disk(wanted, ret_path, size);
    }
    if (uevent_fd >= 0)
        close(uevent_fd);
    return found;
}

/* A blank disk is this guest's to format: nothing can be lost. */
static bool format_disk(const char *path)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/busybox", "busybox", "mke2fs", "-m", "0", path, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool mount_upper_disk(char *ret_trouble, size_t size)
{
    char path[300];
    if (find_disk(CONTENT_EXT, path, sizeof(path)) == false) {
        if (!wait_for_disk(CONTENT_BLANK, path, sizeof(path))) {
            snprintf(ret_trouble, size, "harbinger.overlay=disk: no disk is blank or holds ext4");
            return false;
        }
        if (!format_disk(path)) {
            snprintf(ret_trouble, size, "harbinger.overlay=disk: %s cannot be formatted", path);
            return false;
        }
    }
    if (mount(path, UPPER, "ext4", MS_NOATIME, NULL) == 0)
        return true;
    snprintf(ret_trouble, size, "harbinger.overlay=disk: %s: %s", path, strerror(errno));
    return false;
}

static bool mount_layers(bool overlay_on_disk, char *ret_trouble, size_t size)
{
    char path[300];
    if (!wait_for_disk(CONTENT_SQUASHFS, path, sizeof(path))) {
        snprintf(ret_trouble, size, "harbinger.root=squashfs: no disk holds a squashfs");
        return false;
    }
    if (mount(path, LOWER, "squashfs", MS_RDONLY, NULL) != 0) {
        snprintf(ret_trouble, size, "harbinger.root=squashfs: %s: %s", path, strerror(errno));
        return false;
    }
    /* Bounded by the cgroup that writes, not by the memory that the guest happened to boot with. */
    if (!overlay_on_disk && mount("tmpfs", UPPER, "tmpfs", 0, "size=0,nr_inodes=0,mode=0755") != 0) {
        snprintf(ret_trouble, size, "overlay in memory: %s", strerror(errno));
        return false;
    }
    if (overlay_on_disk && !mount_upper_disk(ret_trouble, size))
        return false;
    mkdir(UPPER "/upper", 0755);
    mkdir(UPPER "/work", 0755);
    if (mount("overlay", ROOT, "overlay", 0, "lowerdir=" LOWER ",upperdir=" UPPER "/upper,workdir=" UPPER "/work") == 0)
        return true;
    snprintf(ret_trouble, size, "overlay: %s", strerror(errno));
    return false;
}

/* The initramfs is memory: give back what only the first moments needed. */
static void remove_initramfs(void)
{
    static const char *const trees[] = {"bin", "lib", "etc", "usr", "sbin"};
    int root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; root_fd >= 0 && i < sizeof(trees) / sizeof(trees[0]); i++)
        path_remove_tree(root_fd, trees[i]);
    if (root_fd >= 0) {
        unlinkat(root_fd, "init", 0);
        close(root_fd);
    }
}

static bool move_root(char *ret_trouble, size_t size)
{
    static const char *const moved[] = {"/dev", "/proc", "/sys", "/run"};
    char target[64];
    for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
        snprintf(target, sizeof(target), ROOT "%s", moved[i]);
        mkdir(target, 0755);
        if (mount(moved[i], target, NULL, MS_MOVE, NULL) != 0) {
            snprintf(ret_trouble, size, "move of %s: %s", moved[i], strerror(errno));
            return false;
        }
    }
    remove_initramfs();
    if (chdir(ROOT) == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 && chdir("/") == 0)
        return true;
    snprintf(ret_trouble, size, "switch of root: %s", strerror(errno));
    return false;
}

bool boot_root_switch(bool overlay_on_disk, char *ret_trouble, size_t size)
{
    mkdir("/mnt", 0755);
    mkdir(LOWER, 0755);
    mkdir(UPPER, 0755);
    mkdir(ROOT, 0755);
    return mount_layers(overlay_on_disk, ret_trouble, size) && move_root(ret_trouble, size);
}
