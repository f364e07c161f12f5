/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/helper.h"

#include "guest/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct helper {
    struct helper *next;
    pid_t pid;
    void *argument;
    void (*on_done)(struct agent *agent, void *argument, bool succeeded);
};

static bool helper_reaped(struct agent *agent, pid_t pid, int status)
{
    for (struct helper **at = &agent->helpers; *at; at = &(*at)->next) {
        struct helper *helper = *at;
        if (helper->pid != pid)
            continue;
        *at = helper->next;
        helper->on_done(agent, helper->argument, WIFEXITED(status) && WEXITSTATUS(status) == 0);
        free(helper);
        return true;
    }
    return false;
}

static void on_child(void *owner, uint32_t events)
{
    struct agent *agent = owner;
    struct signalfd_siginfo info;
    struct rusage usage;
    int status;
    (void)events;

    while (read(agent->child_source.fd, &info, sizeof(info)) > 0)
        continue;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
        if (!helper_reaped(agent, pid, status))
            exec_reaped(agent, pid, status, &usage);
    }
}

int helper_reaper_start(struct agent *agent)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);

    agent->child_source = (struct loop_source){.fd = -1, .on_ready = on_child, .owner = agent};
    int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -1 : loop_watch(&agent->loop, &agent->child_source, fd, EPOLLIN);
}

void helper_reaper_stop(struct agent *agent)
{
    int fd = agent->child_source.fd;
    loop_unwatch(&agent->loop, &agent->child_source);
    if (fd >= 0)
        close(fd);
    while (agent->helpers) {
        struct helper *helper = agent->helpers;
        agent->helpers = helper->next;
        kill(helper->pid, SIGKILL);
        waitpid(helper->pid, NULL, 0);
        free(helper);
    }
}

struct helper *helper_run(struct agent *agent, int (*work)(void *argument), void *argument,
                          void (*on_done)(struct agent *agent, void *argument, bool succeeded))
{
    struct helper *helper = calloc(1, sizeof(*helper));
    if (!helper)
        return NULL;
    helper->argument = argument;
    helper->on_done = on_done;
    helper->pid = fork();
    if (helper->pid == 0)
        _exit(work(argument) == 0 ? 0 : 1);
    if (helper->pid < 0) {
        free(helper);
        return NULL;
    }
    helper->next = agent->helpers;
    agent->helpers = helper;
    return helper;
}
