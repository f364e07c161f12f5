/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/exec-child.h"

#include "guest/hold.h"
#include "guest/system.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPEN_FILES_MAX 4096

static __attribute__((noreturn)) void child_fail(int line_fd, const char *step)
{
    struct exec_child_failure failure = {.kind = HOLD_FAILED, .error = errno};
    snprintf(failure.step, sizeof(failure.step), "%s", step);
    ssize_t written = write(line_fd, &failure, sizeof(failure));
    (void)written;
    _exit(127);
}

/* Born inside its cgroup, so that no moment of its life is unaccounted. Kernels before 5.7 get an ordinary fork. */
static pid_t fork_into(int cgroup_fd)
{
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    if (cgroup_fd < 0)
        return fork();
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = (uint64_t)cgroup_fd;
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* A /tmp and /dev/shm of its own. Best effort: a kernel without namespaces still runs the program. */
static void isolate_mounts(void)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC) != 0)
        return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return;
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

static void set_limits(void)
{
    struct rlimit none = {0}, files;
    setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_max = files.rlim_max < OPEN_FILES_MAX ? files.rlim_max : OPEN_FILES_MAX;
        files.rlim_cur = files.rlim_max < 1024 ? files.rlim_max : 1024;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void reset_signals(void)
{
    sigset_t none;
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Leaves the three standard streams, the line, moved to 3, and the working directory, and closes the rest. */
static int take_streams(const struct exec_child *child, int line_fd)
{
    int in = fcntl(child->stdin_fd, F_DUPFD, 10), out = fcntl(child->stdout_fd, F_DUPFD, 10);
    int err = fcntl(child->stderr_fd, F_DUPFD, 10), work = fcntl(child->work_fd, F_DUPFD, 10);
    int line = fcntl(line_fd, F_DUPFD, 10);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    dup3(line, HOLD_LINE_FD, O_CLOEXEC);
    dup3(work, 4, O_CLOEXEC);
    syscall(SYS_close_range, 5u, ~0u, 0u);
    return HOLD_LINE_FD;
}

static void drop_user(const struct exec_child *child, int line_fd)
{
    if (!child->drop_user)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(child->user, child->user, child->user) != 0 ||
        setresuid(child->user, child->user, child->user) != 0)
        child_fail(line_fd, "change of user");
}

/* Nobody says go any more when the agent is gone. */
static void wait_for_go(int line_fd)
{
    static const char held = HOLD_HELD;
    char go = 0;
    if (write(line_fd, &held, 1) != 1 || read(line_fd, &go, 1) != 1)
        _exit(127);
    if (go != HOLD_GO_WITHOUT_STDIN)
        return;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        child_fail(line_fd, "standard input");
    close(null);
}

static __attribute__((noreturn)) void child_run(const struct exec_child *child, int given_fd)
{
    int line_fd = take_streams(child, given_fd);
    setsid();
    reset_signals();
    system_write("/proc/self/oom_score_adj", "0");
    if (child->drop_user)
        isolate_mounts();
    set_limits();
    umask(022);
    drop_user(child, line_fd);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        child_fail(line_fd, "no_new_privs");
    if (fchdir(4) != 0 || (child->cwd[0] && chdir(child->cwd) != 0))
        child_fail(line_fd, "working directory");
    if (child->waits)
        wait_for_go(line_fd);
    if (child->hands_line && fcntl(line_fd, F_SETFD, 0) != 0)
        child_fail(line_fd, "line");
    execvpe(child->argv[0], child->argv, child->envp);
    child_fail(line_fd, child->argv[0]);
}

pid_t exec_child_spawn(const struct exec_child *child, int *ret_line_fd)
{
    int line[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0)
        return -1;
    pid_t pid = fork_into(child->cgroup_fd);
    if (pid == 0)
        child_run(child, line[1]);

    int error = errno;
    close(line[1]);
    if (pid < 0)
        close(line[0]);
    else
        *ret_line_fd = line[0];
    errno = error;
    return pid;
}
