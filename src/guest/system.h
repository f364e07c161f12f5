/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small reads and writes of /proc, /sys and cgroup files, and the agent's log. Bounded, never follow a path of the peer's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads at most `size` - 1 bytes of a file and ends them with NUL. Length, or -1 with errno and an empty string. */
ssize_t system_read_at(int dir_fd, const char *path, char *ret_text, size_t size);
ssize_t system_read(const char *path, char *ret_text, size_t size);

/* Writes `text` in one write(). 0, or -1 with errno. */
int system_write_at(int dir_fd, const char *path, const char *text);
int system_write(const char *path, const char *text);
int system_write_number_at(int dir_fd, const char *path, uint64_t number);

/* The number in a file that holds nothing else; `otherwise` when there is none. */
uint64_t system_number_at(int dir_fd, const char *path, uint64_t otherwise);

/* The number after `key` at the beginning of a line: "MemTotal:  1024 kB", "oom_kill 3". */
uint64_t text_number_after(const char *text, const char *key, uint64_t otherwise);

/* How many members a list like "0-3,8" has. */
unsigned text_count_list(const char *list);

/* The text without white space at its end, in place. */
char *text_trim(char *text);

/* One line to the kernel's log when the agent is init, to standard error otherwise. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* This process runs before whatever else wants a CPU, its children do not: an agent answers, and brings CPUs online, however busy
 * the executions are. Best effort. */
void system_hurry(void);
