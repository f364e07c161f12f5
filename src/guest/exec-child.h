/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What stands between fork and exec: the child gives up everything that belongs to the agent, step by step, and runs the
 * program. Until then it is heard on a line, a socket that keeps messages apart: a step that fails is told by name.
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
    bool waits;      /* before it becomes the program, as hold.h says */
    bool hands_line; /* the program is an interpreter with a hook, which waits itself */
};

/* What is said when a step fails. */
struct exec_child_failure {
    char kind; /* HOLD_FAILED */
    int error;
    char step[28];
};

/* The child's pid, and in `ret_line_fd` the line: its end says that the program runs. */
pid_t exec_child_spawn(const struct exec_child *child, int *ret_line_fd);
