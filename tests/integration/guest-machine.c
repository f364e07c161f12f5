/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECT_MS 10000
#define COMMAND_MS 10000
#define ARGS_MAX 64
#define OVERLAY_MIB 256

/* The value of a variable of images.env, without its quotes. */
static bool read_env(const char *images, const char *name, char *ret_value, size_t size)
{
    char path[512], line[1024];
    size_t length = strlen(name);
    bool found = false;
    snprintf(path, sizeof(path), "%s/images.env", images);
    FILE *file = fopen(path, "r");
    while (file && !found && fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, length) != 0 || line[length] != '=')
            continue;
        char *value = line + length + 1;
        value += *value == '"';
        value[strcspn(value, "\"\n")] = '\0';
        snprintf(ret_value, size, "%s", value);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

struct command {
    const char *argv[ARGS_MAX];
    int n;
    char texts[8][1200];
    int n_texts;
};

static void add(struct command *command, const char *argument)
{
    command->argv[command->n++] = argument;
    command->argv[command->n] = NULL;
}

static __attribute__((format(printf, 3, 4))) void add_pair(struct command *command, const char *option,
                                                           const char *format, ...)
{
    char *text = command->texts[command->n_texts++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(command->texts[0]), format, arguments);
    va_end(arguments);
    add(command, option);
    add(command, text);
}

static bool make_overlay_disk(const struct machine *machine)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/overlay", machine->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && ftruncate(fd, (off_t)OVERLAY_MIB << 20) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void add_disks(struct command *command, const struct machine *machine, const struct machine_options *options)
{
    if (!options->root)
        return;
    add_pair(command, "-drive", "file=%s/runtimes.squashfs,if=none,id=lower,format=raw,readonly=on", options->images);
    add(command, "-device");
    add(command, "virtio-blk-pci,drive=lower");
    if (strcmp(options->root, "disk") != 0)
        return;
    add_pair(command, "-drive", "file=%s/overlay,if=none,id=upper,format=raw,cache=unsafe", machine->directory);
    add(command, "-device");
    add(command, "virtio-blk-pci,drive=upper");
}

static void add_shape(struct command *command, const struct machine_options *options)
{
    static char memory[64], backend[64];
    snprintf(memory, sizeof(memory), "%u%s", options->memory_mib, options->hotplug ? ",slots=2,maxmem=8G" : "");
    snprintf(backend, sizeof(backend), "memory-backend-ram,id=boot,size=%uM", options->memory_mib);
    add(command, "-m");
    add(command, memory);
    if (!options->hotplug)
        return;
    static const char *const arguments[] = {
        "-smp",    "1,sockets=4,maxcpus=4",
        "-object", backend,
        "-numa",   "node,memdev=boot",
        "-object", "memory-backend-ram,id=more,size=1G,reserve=off",
        "-device", "virtio-mem-pci,id=vmem,memdev=more,node=0,requested-size=0",
    };
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++)
        add(command, arguments[i]);
}

static void build_command(struct command *command, const struct machine *machine, const struct machine_options *options)
{
    static const char *const fixed[] = {
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-machine",
        "q35",
        "-cpu",
        "max",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-device",
        "virtio-serial-pci",
        "-device",
        ("virtserialport,chardev=channel,name=" WIRE_CHANNEL_NAME),
        "-device",
        "virtio-rng-pci",
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net",
    };
    char name[64], line[1000] = "";
    memset(command, 0, sizeof(*command));
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        /* The channel must be known before the device that uses it. */
        if (i == 14)
            add_pair(command, "-chardev", "socket,id=channel,path=%s/channel,server=on,wait=off", machine->directory);
        add(command, fixed[i]);
    }
    snprintf(name, sizeof(name), "HARBINGER_CMDLINE%s%s", options->root ? "_RUNTIMES_" : "",
             !options->root                       ? ""
             : strcmp(options->root, "disk") == 0 ? "DISK"
                                                  : "TMPFS");
    read_env(options->images, name, line, sizeof(line));
    add_pair(command, "-kernel", "%s/vmlinuz", options->images);
    add_pair(command, "-initrd", "%s/base.initrd", options->images);
    add_pair(command, "-append", "%s%s", line, getenv("HARBINGER_TEST_CONSOLE") ? " console=ttyS0 loglevel=7" : "");
    add_pair(command, "-qmp", "unix:%s/qmp,server=on,wait=off", machine->directory);
    add_shape(command, options);
    add_disks(command, machine, options);
    if (getenv("HARBINGER_TEST_CONSOLE")) {
        add(command, "-serial");
        add(command, "file:/dev/stderr");
    }
}

static int connect_unix(const char *directory, const char *name, pid_t pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int64_t until_us = peer_now_us() + (int64_t)CONNECT_MS * 1000;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (peer_now_us() > until_us || waitpid(pid, NULL, WNOHANG) == pid) {
            close(fd);
            return -1;
        }
        poll(NULL, 0, 2);
    }
    return fd;
}

/* The next line of QMP; events are lines too. */
static bool qmp_line(struct machine *machine, char *ret_line, size_t size, int64_t until_us)
{
    size_t length = 0;
    while (length < size - 1) {
        struct pollfd wait = {.fd = machine->qmp_fd, .events = POLLIN};
        int64_t left_us = until_us - peer_now_us();
        if (left_us <= 0 || poll(&wait, 1, (int)(left_us / 1000 + 1)) != 1 ||
            read(machine->qmp_fd, ret_line + length, 1) != 1)
            return false;
        if (ret_line[length++] == '\n')
            break;
    }
    ret_line[length] = '\0';
    return true;
}

bool machine_qmp(struct machine *machine, const char *command)
{
    char line[8192];
    int64_t until_us = peer_now_us() + (int64_t)COMMAND_MS * 1000;
    if (write(machine->qmp_fd, command, strlen(command)) != (ssize_t)strlen(command))
        return false;
    while (qmp_line(machine, line, sizeof(line), until_us)) {
        if (strncmp(line, "{\"return\"", 9) == 0)
            return true;
        if (strncmp(line, "{\"error\"", 8) == 0) {
            fprintf(stderr, "%s: %s", command, line);
            return false;
        }
    }
    return false;
}

bool machine_reconnect(struct machine *machine)
{
    peer_close(&machine->peer);
    int fd = connect_unix(machine->directory, "channel", machine->pid);
    if (fd < 0)
        return false;
    peer_open(&machine->peer, fd);
    return true;
}

static bool machine_connect(struct machine *machine)
{
    int fd = connect_unix(machine->directory, "channel", machine->pid);
    machine->qmp_fd = connect_unix(machine->directory, "qmp", machine->pid);
    if (fd < 0 || machine->qmp_fd < 0) {
        fprintf(stderr, "QEMU does not answer\n");
        return false;
    }
    peer_open(&machine->peer, fd);
    return machine_qmp(machine, "{\"execute\":\"qmp_capabilities\"}");
}

bool machine_start(struct machine *machine, const struct machine_options *options)
{
    static struct command command;
    memset(machine, 0, sizeof(*machine));
    machine->qmp_fd = machine->peer.fd = -1;
    snprintf(machine->directory, sizeof(machine->directory), "/tmp/hbr-guest-XXXXXX");
    if (!mkdtemp(machine->directory) || !make_overlay_disk(machine))
        return false;
    build_command(&command, machine, options);
    machine->started_us = peer_now_us();
    machine->pid = fork();
    if (machine->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(command.argv[0], (char **)command.argv);
        perror(command.argv[0]);
        _exit(127);
    }
    return machine->pid > 0 && machine_connect(machine);
}

bool machine_wait_end(struct machine *machine, int timeout_ms)
{
    int64_t until_us = peer_now_us() + (int64_t)timeout_ms * 1000;
    while (peer_now_us() < until_us) {
        if (waitpid(machine->pid, NULL, WNOHANG) == machine->pid) {
            machine->pid = 0;
            return true;
        }
        poll(NULL, 0, 10);
    }
    return false;
}

void machine_stop(struct machine *machine)
{
    static const char *const files[] = {"channel", "qmp", "overlay"};
    char path[128];
    if (machine->pid > 0) {
        kill(machine->pid, SIGKILL);
        waitpid(machine->pid, NULL, 0);
    }
    if (machine->qmp_fd >= 0)
        close(machine->qmp_fd);
    peer_close(&machine->peer);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", machine->directory, files[i]);
        unlink(path);
    }
    rmdir(machine->directory);
}
