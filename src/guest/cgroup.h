/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * cgroup v2: one parent group that leaves the agent a memory reserve, one group per execution below it. Where cgroup v2 is
 * absent, or a controller is, everything here does nothing and says so in its result.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The parent of all executions. */
struct cgroup_root {
    int fd; /* -1: no cgroups */
    bool has_memory, has_pids, has_cpu;
};

struct cgroup {
    int fd; /* -1: none */
    char name[48];
};

/* Zero: no limit. */
struct cgroup_limits {
    uint32_t memory_mib;
    uint32_t pids;
    uint32_t cpu_permille;
};

struct cgroup_usage {
    uint64_t cpu_us, cpu_user_us, cpu_system_us, throttled_us;
    uint64_t memory_bytes, memory_peak_bytes;
    uint64_t io_read_bytes, io_write_bytes;
    uint32_t pids, pids_peak; /* peak: 0 where the kernel does not keep it */
    uint64_t oom_kills;
};

/* Opens or makes "harbinger" below `mount_point` (NULL: no cgroups) and switches its controllers on. */
void cgroup_root_init(struct cgroup_root *root, const char *mount_point);
void cgroup_root_clear(struct cgroup_root *root);

/* Bounds all executions together. */
void cgroup_root_limit_memory(struct cgroup_root *root, uint64_t bytes);

/* A fresh group. False (and fd -1) without cgroups or on failure. */
bool cgroup_create(struct cgroup_root *root, struct cgroup *group, const char *name);

/* Sets all three, no limit included. False with errno when the kernel refuses one that was asked for. */
bool cgroup_limit(struct cgroup_root *root, struct cgroup *group, const struct cgroup_limits *limits);

/* Kills every process in the group, forking ones included. False without a group. */
bool cgroup_kill(struct cgroup *group);

/* False when there is no group to read; what is not accounted stays zero. */
bool cgroup_read_usage(struct cgroup *group, struct cgroup_usage *ret_usage);

/* The CPU time alone. */
void cgroup_read_cpu(struct cgroup *group, struct cgroup_usage *usage);

/* How many of the group's threads are running or want to (the first 128 are looked at). */
uint32_t cgroup_count_runnable(struct cgroup *group);

/* Removes the group. False while it still has members: try again. */
bool cgroup_remove(struct cgroup_root *root, struct cgroup *group);
