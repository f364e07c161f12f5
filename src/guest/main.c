/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harbinger-guest: as init of a Harbinger guest it boots it; on any other Linux it serves the port that it finds; with
 * --fd it serves a descriptor that it inherited, which is how tests and debuggers run it.
 */
#include "guest/agent.h"
#include "guest/boot.h"
#include "guest/system.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_WAIT_TRIES 100

struct settings {
    const char *port;
    const char *work_dir;
    const char *cgroup_mount;
    int fd;
};

static void usage(FILE *stream)
{
    fputs("Usage: harbinger-guest [--port NAME | --fd N] [--work-dir DIR] [--cgroup-mount DIR]\n"
          "  --port NAME         virtio-serial port to serve (default " WIRE_CHANNEL_NAME ")\n"
          "  --fd N              serve an inherited descriptor instead, and end when it is closed\n"
          "  --work-dir DIR      where executions get their directories (default " BOOT_WORK_DIR ")\n"
          "  --cgroup-mount DIR  cgroup v2, or \"none\" (default " BOOT_CGROUP_MOUNT ")\n"
          "  --version, --help\n",
          stream);
}

static bool parse_options(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"fd", required_argument, NULL, 'f'},
        {"work-dir", required_argument, NULL, 'w'},
        {"cgroup-mount", required_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'p':
            settings->port = optarg;
            break;
        case 'f':
            settings->fd = (int)strtol(optarg, NULL, 10);
            break;
        case 'w':
            settings->work_dir = optarg;
            break;
        case 'c':
            settings->cgroup_mount = strcmp(optarg, "none") == 0 ? NULL : optarg;
            break;
        case 'V':
            puts("harbinger-guest " PACKAGE_VERSION);
            exit(EXIT_SUCCESS);
        case 'h':
            usage(stdout);
            exit(EXIT_SUCCESS);
        default:
            usage(stderr);
            return false;
        }
    }
    return true;
}

/* The executions may eat all memory; the agent must still be able to say so. */
static void protect_from_oom(void)
{
    system_write("/proc/self/oom_score_adj", "-1000");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        log_line("mlockall: %s", strerror(errno));
}

static int open_port(const char *name)
{
    int uevent_fd = boot_open_uevents();
    int fd = channel_open_port(name);
    for (int i = 0; fd < 0 && i < PORT_WAIT_TRIES; i++) {
        boot_wait_for_device(uevent_fd, 100);
        fd = channel_open_port(name);
    }
    if (uevent_fd >= 0)
        close(uevent_fd);
    return fd;
}

static int serve(const struct settings *settings, const char *trouble)
{
    static struct agent agent;
    bool is_port = settings->fd < 0;
    struct agent_options options = {
        .work_dir = settings->work_dir,
        .cgroup_mount = settings->cgroup_mount,
        .is_init = getpid() == 1,
        .may_drop_user = geteuid() == 0,
        .trouble = trouble,
    };
    int fd = is_port ? open_port(settings->port) : settings->fd;
    if (fd < 0) {
        log_line("port %s: %s", settings->port, strerror(errno));
        return EXIT_FAILURE;
    }
    if (agent_start(&agent, &options, fd, is_port) != 0) {
        log_line("start: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    if (is_port) {
        protect_from_oom();
        system_hurry();
    }
    loop_run(&agent.loop);
    agent_clear(&agent);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct boot_result booted;
    struct settings settings = {
        .port = WIRE_CHANNEL_NAME, .work_dir = BOOT_WORK_DIR, .cgroup_mount = BOOT_CGROUP_MOUNT, .fd = -1};
    bool is_init = getpid() == 1;
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    /* The kernel hands words of its command line to init: they are not ours. */
    if (!is_init && !parse_options(argc, argv, &settings))
        return EXIT_FAILURE;
    if (is_init)
        boot_run(&booted);
    else
        mkdir(settings.work_dir, 0755);

    int status = serve(&settings, booted.trouble[0] ? booted.trouble : NULL);
    /* The kernel panics when its init ends; with no port there is no host to hear of it in any other way. */
    return status;
}
