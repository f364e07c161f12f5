/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/system.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t system_read_at(int dir_fd, const char *path, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;

    size_t length = 0;
    ssize_t n = 0;
    while (length < size - 1 && (n = read(fd, ret_text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    int error = errno;
    close(fd);
    ret_text[length] = '\0';
    errno = error;
    return n < 0 ? -1 : (ssize_t)length;
}

ssize_t system_read(const char *path, char *ret_text, size_t size)
{
    return system_read_at(AT_FDCWD, path, ret_text, size);
}

int system_write_at(int dir_fd, const char *path, const char *text)
{
    int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    int error = errno;
    close(fd);
    errno = error;
    return n < 0 ? -1 : 0;
}

int system_write(const char *path, const char *text)
{
    return system_write_at(AT_FDCWD, path, text);
}

int system_write_number_at(int dir_fd, const char *path, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    return system_write_at(dir_fd, path, text);
}

uint64_t system_number_at(int dir_fd, const char *path, uint64_t otherwise)
{
    char text[32];
    if (system_read_at(dir_fd, path, text, sizeof(text)) <= 0 || !isdigit((unsigned char)text[0]))
        return otherwise;
    return strtoull(text, NULL, 10);
}

uint64_t text_number_after(const char *text, const char *key, uint64_t otherwise)
{
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) != 0)
            continue;
        const char *number = line + length + strspn(line + length, " \t:");
        return isdigit((unsigned char)*number) ? strtoull(number, NULL, 10) : otherwise;
    }
    return otherwise;
}

unsigned text_count_list(const char *list)
{
    unsigned count = 0;
    const char *at = list;
    while (isdigit((unsigned char)*at)) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (last >= first && last - first < 65536)
            count += (unsigned)(last - first + 1);
        at = end + (*end == ',');
    }
    return count;
}

char *text_trim(char *text)
{
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

void log_line(const char *format, ...)
{
    char line[512];
    va_list arguments;
    char message[400];
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    snprintf(line, sizeof(line), "%sharbinger-guest: %s\n", getpid() == 1 ? "<6>" : "", message);

    int fd = getpid() == 1 ? open("/dev/kmsg", O_WRONLY | O_CLOEXEC) : STDERR_FILENO;
    if (fd < 0)
        return;
    ssize_t written = write(fd, line, strlen(line));
    (void)written;
    if (fd != STDERR_FILENO)
        close(fd);
}

void system_hurry(void)
{
    const struct sched_param first = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
}
