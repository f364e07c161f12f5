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
    uint64_t memory_limit; /* bytes that all together may use; 0: no limit was set */
};

/* What all executions together hold. */
struct cgroup_memory {
    uint64_t current; /* as the kernel counts it against limits */
    uint64_t used;    /* without file cache that is not in active use, which the kernel drops before anything suffers */
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

/* Bounds all executions together. A bound below what they hold would kill: it is set to what they hold, and may be tried again. */
void cgroup_root_limit_memory(struct cgroup_root *root, uint64_t bytes);

/* Beyond so much (UINT64_MAX: never) the kernel reclaims from whoever allocates, and makes it wait. Below what they hold, this
 * waits for the kernel to reclaim what it can. */
bool cgroup_root_hold_back(struct cgroup_root *root, uint64_t bytes);

/* False when memory is not accounted. */
bool cgroup_root_read_memory(struct cgroup_root *root, struct cgroup_memory *ret_memory);

/* memory.events of all executions together, to be watched for EPOLLPRI and read anew each time; -1 when there is none. */
int cgroup_root_open_events(struct cgroup_root *root);

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
