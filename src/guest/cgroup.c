/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/cgroup.h"

#include "guest/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARENT_NAME "harbinger"
#define CPU_PERIOD_US 20000u
/* Of the executions together, where the kernel's own threads have 100 each: what brings memory and CPUs online must get its turn. */
#define CPU_WEIGHT "10"

static int open_directory(int dir_fd, const char *path)
{
    return openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool enable_controller(int top_fd, int parent_fd, const char *controller)
{
    return system_write_at(top_fd, "cgroup.subtree_control", controller) == 0 &&
           system_write_at(parent_fd, "cgroup.subtree_control", controller) == 0;
}

void cgroup_root_init(struct cgroup_root *root, const char *mount_point)
{
    *root = (struct cgroup_root){.fd = -1};
    int top_fd = mount_point ? open_directory(AT_FDCWD, mount_point) : -1;
    if (top_fd < 0)
        return;
    if (faccessat(top_fd, "cgroup.controllers", R_OK, 0) == 0 &&
        (mkdirat(top_fd, PARENT_NAME, 0755) == 0 || errno == EEXIST))
        root->fd = open_directory(top_fd, PARENT_NAME);
    if (root->fd >= 0) {
        root->has_memory = enable_controller(top_fd, root->fd, "+memory");
        root->has_pids = enable_controller(top_fd, root->fd, "+pids");
        root->has_cpu = enable_controller(top_fd, root->fd, "+cpu");
        enable_controller(top_fd, root->fd, "+io");
        system_write_at(root->fd, "cpu.weight", CPU_WEIGHT);
    }
    close(top_fd);
}

void cgroup_root_clear(struct cgroup_root *root)
{
    if (root->fd >= 0)
        close(root->fd);
    root->fd = -1;
}

void cgroup_root_limit_memory(struct cgroup_root *root, uint64_t bytes)
{
    if (!root->has_memory)
        return;
    uint64_t current = bytes < root->memory_limit ? system_number_at(root->fd, "memory.current", 0) : 0;
    root->memory_limit = bytes > current ? bytes : current;
    system_write_number_at(root->fd, "memory.max", root->memory_limit);
}

bool cgroup_root_hold_back(struct cgroup_root *root, uint64_t bytes)
{
    if (!root->has_memory)
        return false;
    return (bytes == UINT64_MAX ? system_write_at(root->fd, "memory.high", "max")
                                : system_write_number_at(root->fd, "memory.high", bytes)) == 0;
}

bool cgroup_root_read_memory(struct cgroup_root *root, struct cgroup_memory *ret_memory)
{
    char text[4096];
    *ret_memory = (struct cgroup_memory){0};
    if (!root->has_memory)
        return false;
    ret_memory->current = ret_memory->used = system_number_at(root->fd, "memory.current", 0);
    system_read_at(root->fd, "memory.stat", text, sizeof(text));
    uint64_t idle = text_number_after(text, "inactive_file ", 0);
    ret_memory->used -= idle < ret_memory->used ? idle : ret_memory->used;
    return true;
}

int cgroup_root_open_events(struct cgroup_root *root)
{
    return root->has_memory ? openat(root->fd, "memory.events", O_RDONLY | O_CLOEXEC) : -1;
}

bool cgroup_create(struct cgroup_root *root, struct cgroup *group, const char *name)
{
    group->fd = -1;
    snprintf(group->name, sizeof(group->name), "%s", name);
    if (root->fd < 0 || (mkdirat(root->fd, group->name, 0755) != 0 && errno != EEXIST))
        return false;
    group->fd = open_directory(root->fd, group->name);
    if (group->fd < 0)
        return false;
    system_write_at(group->fd, "memory.oom.group", "1");
    return true;
}

static bool write_limit(struct cgroup *group, bool available, const char *file, uint64_t limit)
{
    if (!available)
        return limit == 0;
    int result = limit ? system_write_number_at(group->fd, file, limit) : system_write_at(group->fd, file, "max");
    return result == 0;
}

static bool write_cpu_limit(struct cgroup *group, bool available, uint32_t cpu_permille)
{
    char text[48];
    if (!available)
        return cpu_permille == 0;
    if (cpu_permille == 0)
        return system_write_at(group->fd, "cpu.max", "max") == 0;
    uint64_t quota_us = (uint64_t)cpu_permille * CPU_PERIOD_US / 1000;
    snprintf(text, sizeof(text), "%llu %u", (unsigned long long)(quota_us < 1000 ? 1000 : quota_us), CPU_PERIOD_US);
    return system_write_at(group->fd, "cpu.max", text) == 0;
}

bool cgroup_limit(struct cgroup_root *root, struct cgroup *group, const struct cgroup_limits *limits)
{
    if (group->fd < 0) {
        errno = ENOTSUP;
        return limits->memory_mib == 0 && limits->cpu_permille == 0;
    }
    errno = ENOTSUP;
    return write_limit(group, root->has_memory, "memory.max", (uint64_t)limits->memory_mib << 20) &&
           write_limit(group, root->has_pids, "pids.max", limits->pids) &&
           write_cpu_limit(group, root->has_cpu, limits->cpu_permille);
}

bool cgroup_kill(struct cgroup *group)
{
    return group->fd >= 0 && system_write_at(group->fd, "cgroup.kill", "1") == 0;
}

void cgroup_read_cpu(struct cgroup *group, struct cgroup_usage *usage)
{
    char text[1024];
    if (group->fd < 0 || system_read_at(group->fd, "cpu.stat", text, sizeof(text)) < 0)
        return;
    usage->cpu_us = text_number_after(text, "usage_usec", 0);
    usage->cpu_user_us = text_number_after(text, "user_usec", 0);
    usage->cpu_system_us = text_number_after(text, "system_usec", 0);
    usage->throttled_us = text_number_after(text, "throttled_usec", 0);
}

/* "253:0 rbytes=1 wbytes=2 rios=..." per device. */
static void read_io(struct cgroup *group, struct cgroup_usage *usage)
{
    char text[4096];
    if (system_read_at(group->fd, "io.stat", text, sizeof(text)) < 0)
        return;
    for (const char *at = text; (at = strstr(at, "rbytes=")); at++)
        usage->io_read_bytes += strtoull(at + strlen("rbytes="), NULL, 10);
    for (const char *at = text; (at = strstr(at, "wbytes=")); at++)
        usage->io_write_bytes += strtoull(at + strlen("wbytes="), NULL, 10);
}

bool cgroup_read_usage(struct cgroup *group, struct cgroup_usage *ret_usage)
{
    char text[512];
    *ret_usage = (struct cgroup_usage){0};
    if (group->fd < 0)
        return false;
    cgroup_read_cpu(group, ret_usage);
    read_io(group, ret_usage);
    ret_usage->memory_bytes = system_number_at(group->fd, "memory.current", 0);
    ret_usage->memory_peak_bytes = system_number_at(group->fd, "memory.peak", ret_usage->memory_bytes);
    ret_usage->pids = (uint32_t)system_number_at(group->fd, "pids.current", 0);
    ret_usage->pids_peak = (uint32_t)system_number_at(group->fd, "pids.peak", 0);
    if (system_read_at(group->fd, "memory.events", text, sizeof(text)) > 0)
        ret_usage->oom_kills = text_number_after(text, "oom_kill ", 0);
    return true;
}

static bool thread_is_runnable(unsigned long thread)
{
    char path[48], text[512];
    snprintf(path, sizeof(path), "/proc/%lu/stat", thread);
    if (system_read(path, text, sizeof(text)) <= 0)
        return false;
    const char *after_name = strrchr(text, ')');
    return after_name && after_name[1] == ' ' && after_name[2] == 'R';
}

uint32_t cgroup_count_runnable(struct cgroup *group)
{
    char text[1024];
    uint32_t count = 0;
    if (group->fd < 0 || system_read_at(group->fd, "cgroup.threads", text, sizeof(text)) < 0)
        return 0;
    const char *at = text;
    for (int i = 0; i < 128 && *at; i++) {
        char *end;
        unsigned long thread = strtoul(at, &end, 10);
        if (end == at || *end != '\n')
            break;
        count += thread_is_runnable(thread);
        at = end + 1;
    }
    return count;
}

bool cgroup_remove(struct cgroup_root *root, struct cgroup *group)
{
    if (group->fd < 0)
        return true;
    if (unlinkat(root->fd, group->name, AT_REMOVEDIR) != 0 && errno == EBUSY)
        return false;
    close(group->fd);
    group->fd = -1;
    return true;
}
