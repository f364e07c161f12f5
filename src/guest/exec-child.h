/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What stands between fork and exec: the child gives up everything that belongs to the agent, step by step, and runs the
 * program. A step that fails is told through a pipe, by name.
 */

#include <stdbool.h>
#include <sys/types.h>

struct exec_child {
    char **argv;
    char **envp;
    const char *cwd;
    int work_fd;
    int cgroup_fd; /* -1: none */
    int stdin_fd, stdout_fd, stderr_fd;
    bool drop_user;
    uid_t user;
};

/* What is written to the error pipe when a step fails. */
struct exec_child_failure {
    int error;
    char step[28];
};

/* The child's pid, and in `ret_error_fd` a pipe: end of file says that the program runs, else a struct exec_child_failure. */
pid_t exec_child_spawn(const struct exec_child *child, int *ret_error_fd);
