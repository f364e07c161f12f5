/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VCPUS_MAX 64 /* whose waiting is looked at */
#define PATH_SIZE 64

/* Its files stay open: they stay those of this process when another one gets its number, and to open them costs more than to read them. */
struct process {
    clockid_t clock; /* its CPU time */
    int statm, io;
    int device_rx, device_tx; /* -1: it has no NIC */
    guint vcpu_count;
    int vcpus[VCPUS_MAX]; /* schedstat of their threads */
};

static gssize read_again(int fd, char *text, gsize size)
{
    const gssize length = fd < 0 ? -1 : pread(fd, text, size - 1, 0);
    text[MAX(length, 0)] = '\0';
    return length;
}

/* The start of a small file; -1 when it cannot be read. */
static gssize read_at(int directory, const char *path, char *text, gsize size)
{
    const int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    const gssize length = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[MAX(length, 0)] = '\0';
    return length;
}

static gboolean is_domain(int directory, const char *uuid)
{
    char text[32768];
    const gssize length = read_at(directory, "cmdline", text, sizeof text);
    for (gssize at = 0; at < length; at += (gssize)strlen(text + at) + 1)
        if (strcmp(text + at, "-uuid") == 0 && at + 6 < length && strcmp(text + at + 6, uuid) == 0)
            return TRUE;
    return FALSE;
}

/* QEMU calls them "CPU 0/TCG" and "CPU 0/KVM". */
static gboolean is_vcpu(int directory, const char *thread)
{
    char path[PATH_SIZE], text[32];
    g_snprintf(path, sizeof path, "task/%s/comm", thread);
    return read_at(directory, path, text, sizeof text) > 0 && g_str_has_prefix(text, "CPU ");
}

static int open_vcpu(int directory, const char *thread)
{
    char path[PATH_SIZE];
    g_snprintf(path, sizeof path, "task/%s/schedstat", thread);
    return openat(directory, path, O_RDONLY | O_CLOEXEC);
}

static void find_vcpus(struct process *process, int directory)
{
    const int fd = openat(directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    if (tasks == NULL && fd >= 0)
        close(fd);
    for (const struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;)
        if (g_ascii_isdigit(task->d_name[0]) && process->vcpu_count < VCPUS_MAX && is_vcpu(directory, task->d_name))
            process->vcpus[process->vcpu_count++] = open_vcpu(directory, task->d_name);
    if (tasks != NULL)
        closedir(tasks);
}

static int open_counter(const char *device, const char *name)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/statistics/%s", device, name);
    return device == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

struct process *process_open(const char *pid_path, const char *uuid, const char *device)
{
    char text[32], path[PATH_SIZE];
    clockid_t clock;
    if (read_at(AT_FDCWD, pid_path, text, sizeof text) <= 0)
        return NULL;
    const pid_t pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
    g_snprintf(path, sizeof path, "/proc/%d", (int)pid);
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return NULL;
    if (!is_domain(directory, uuid) || clock_getcpuclockid(pid, &clock) != 0) {
        close(directory);
        return NULL;
    }
    struct process *process = g_new0(struct process, 1);
    process->clock = clock;
    process->statm = openat(directory, "statm", O_RDONLY | O_CLOEXEC);
    process->io = openat(directory, "io", O_RDONLY | O_CLOEXEC);
    process->device_rx = open_counter(device, "rx_bytes");
    process->device_tx = open_counter(device, "tx_bytes");
    find_vcpus(process, directory);
    close(directory);
    return process;
}

static void close_file(int fd)
{
    if (fd >= 0)
        close(fd);
}

void process_free(struct process *process)
{
    if (process == NULL)
        return;
    close_file(process->statm);
    close_file(process->io);
    close_file(process->device_rx);
    close_file(process->device_tx);
    for (guint i = 0; i < process->vcpu_count; i++)
        close_file(process->vcpus[i]);
    g_free(process);
}

static guint64 number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at == NULL ? 0 : g_ascii_strtoull(at + strlen(name), NULL, 10);
}

/* The number after the first one. */
static guint64 second_number(const char *text)
{
    const char *blank = strchr(text, ' ');
    return blank == NULL ? 0 : g_ascii_strtoull(blank, NULL, 10);
}

/* The clock goes by the number of the process, and is its own because its file can be read after it. */
static gboolean look_itself(const struct process *process, struct process_figures *figures)
{
    char text[128];
    struct timespec used;
    if (clock_gettime(process->clock, &used) != 0 || read_again(process->statm, text, sizeof text) <= 0)
        return FALSE;
    figures->cpu_us = (guint64)used.tv_sec * G_USEC_PER_SEC + (guint64)used.tv_nsec / 1000;
    figures->rss_mib =
        (guint)(second_number(text) * (guint64)sysconf(_SC_PAGESIZE) >> 20); /* proc(5): size, resident */
    return TRUE;
}

static guint64 look_waited_us(const struct process *process)
{
    char text[128];
    guint64 waited_ns = 0;
    for (guint i = 0; i < process->vcpu_count; i++)
        if (read_again(process->vcpus[i], text, sizeof text) > 0)
            waited_ns += second_number(text);
    return waited_ns / 1000;
}

/* What the host receives is what the guest sends. */
static void look_device(const struct process *process, struct process_figures *figures)
{
    char rx[32], tx[32];
    figures->has_network =
        read_again(process->device_rx, rx, sizeof rx) > 0 && read_again(process->device_tx, tx, sizeof tx) > 0;
    if (!figures->has_network)
        return;
    figures->rx_bytes = g_ascii_strtoull(tx, NULL, 10);
    figures->tx_bytes = g_ascii_strtoull(rx, NULL, 10);
}

gboolean process_look(const struct process *process, gboolean has_disk, struct process_figures *ret_figures)
{
    char text[512];
    struct process_figures figures = {0};
    if (!look_itself(process, &figures))
        return FALSE;
    figures.waited_us = look_waited_us(process);
    look_device(process, &figures);
    if (has_disk && read_again(process->io, text, sizeof text) > 0) {
        figures.read_bytes = number_after(text, "\nread_bytes: ");
        figures.written_bytes = number_after(text, "\nwrite_bytes: ");
    }
    *ret_figures = figures;
    return TRUE;
}

char *process_pid_path(const char *domain_name, gboolean is_system)
{
    return is_system ? g_strdup_printf("/run/libvirt/qemu/%s.pid", domain_name)
                     : g_strdup_printf("%s/libvirt/qemu/run/%s.pid", g_get_user_runtime_dir(), domain_name);
}
