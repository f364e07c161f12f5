/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/boot.h"

#include "guest/boot-root.h"
#include "guest/network.h"
#include "guest/system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULE_DIRECTORY "/lib/harbinger-modules"

static const struct {
    const char *type, *target, *options;
    unsigned long flags;
} mounts[] = {
    {"devtmpfs", "/dev", "mode=0755", MS_NOSUID},
    {"proc", "/proc", "hidepid=2", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"devpts", "/dev/pts", "mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV},
    {"tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV},
};

static void mount_kernel_file_systems(void)
{
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        mkdir(mounts[i].target, 0755);
        if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].options) != 0 &&
            errno != EBUSY)
            log_line("mount %s: %s", mounts[i].target, strerror(errno));
    }
}

static void load_module(const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", MODULE_DIRECTORY, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
        log_line("module %s: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* The image's builder wrote down the order; a kernel without modules has no such file. */
static void load_modules(const char *order_path)
{
    char list[4096], *rest = NULL;
    if (system_read(order_path, list, sizeof(list)) <= 0)
        return;
    for (char *name = strtok_r(list, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest))
        load_module(name);
}

/* An initramfs without /dev/console starts its init with no open files: nothing of ours may become 0, 1 or 2. */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int boot_open_uevents(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void boot_wait_for_device(int uevent_fd, int timeout_ms)
{
    char text[2048];
    struct pollfd wait = {.fd = uevent_fd, .events = POLLIN};
    poll(&wait, 1, timeout_ms);
    while (recv(uevent_fd, text, sizeof(text), 0) > 0)
        continue;
}

void boot_run(struct boot_result *ret_result)
{
    char command_line[2048];
    ret_result->trouble[0] = '\0';
    umask(022);
    mount_kernel_file_systems();
    open_standard_streams();
    load_modules(MODULE_DIRECTORY "/order");
    network_start_loopback();

    system_read("/proc/cmdline", command_line, sizeof(command_line));
    if (strstr(command_line, "harbinger.root=squashfs")) {
        bool on_disk = strstr(command_line, "harbinger.overlay=disk") != NULL;
        load_modules(MODULE_DIRECTORY "/order-root");
        boot_root_switch(on_disk, ret_result->trouble, sizeof(ret_result->trouble));
    }
    if (ret_result->trouble[0])
        log_line("%s", ret_result->trouble);

    chmod("/", 0755);
    mkdir(BOOT_WORK_DIR, 0755);
    mkdir("/tmp", 01777);
    chmod("/tmp", 01777);
}
