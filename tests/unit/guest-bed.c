/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-bed.h"

#include "guest/agent.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer peer;
struct wire_hello hello;
struct peer_run run;
struct wire_frame frame;
char work_dir[64];
const char *cgroup_mount;
static pid_t agent_pid;

static void run_agent(int fd)
{
    static struct agent agent;
    struct agent_options options = {
        .work_dir = work_dir, .cgroup_mount = cgroup_mount, .may_drop_user = geteuid() == 0};
    if (agent_start(&agent, &options, fd, false) != 0)
        _exit(2);
    loop_run(&agent.loop);
    agent_clear(&agent);
    _exit(0);
}

void bed_setup(void)
{
    int fds[2];
    snprintf(work_dir, sizeof(work_dir), "/var/tmp/test-guest-agent-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(work_dir));
    ck_assert_int_eq(chmod(work_dir, 0755), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    agent_pid = fork();
    if (agent_pid == 0) {
        close(fds[0]);
        run_agent(fds[1]);
    }
    close(fds[1]);
    peer_open(&peer, fds[0]);
    ck_assert(peer_hello(&peer, 1000, PATIENCE_MS, &hello));
}

void bed_teardown(void)
{
    int status = -1;
    peer_close(&peer);
    ck_assert_int_eq(waitpid(agent_pid, &status, 0), agent_pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the agent ended with status %#x", (unsigned)status);
    ck_assert_msg(rmdir(work_dir) == 0, "%s is not empty", work_dir);
}

struct wire_exec shell(const char *script)
{
    return (struct wire_exec){.interpreter = wire_text("sh"), .code = wire_text(script)};
}

void run_shell(uint32_t stream, const char *script)
{
    struct wire_exec exec = shell(script);
    peer_run(&peer, stream, &exec, PATIENCE_MS, &run);
    ck_assert(!run.gone);
}

void expect_error(uint32_t stream, enum wire_fault fault)
{
    struct wire_failure failure;
    ck_assert(peer_expect(&peer, WIRE_TYPE_ERROR, stream, PATIENCE_MS, &frame));
    ck_assert(wire_failure_read(&frame, &failure, NULL));
    ck_assert_uint_eq(failure.fault, fault);
    ck_assert_uint_gt(failure.text.size, 0);
}

void expect_alive(void)
{
    struct wire_ping ping = {.cookie = 77};
    ck_assert(peer_send(&peer, WIRE_TYPE_PING, 0, 0, &ping));
    ck_assert(peer_expect(&peer, WIRE_TYPE_PONG, 0, PATIENCE_MS, &frame));
    ck_assert(wire_ping_read(&frame, &ping, NULL));
    ck_assert_uint_eq(ping.cookie, 77);
}
