/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Paths that came from the host or lie where code of a stranger ran: resolved step by step, without symbolic links. */

#include "wire/bytes.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * Opens the directory that holds `path`, which is relative to `dir_fd` and may not leave it, and copies the last component
 * to `ret_base` (256 bytes). Missing directories are made for `owner` when `create`. The fd, or -1 with errno.
 */
int path_open_parent(int dir_fd, struct wire_slice path, bool create, uid_t owner, char *ret_base);

/* Opens the directory that holds the absolute `path`, symbolic links allowed: the guest's own tree. */
int path_open_absolute_parent(struct wire_slice path, char *ret_base);

/* Writes a new file below `dir_fd`. 0, or -1 with errno; EEXIST when it is there. */
int path_write_file(int dir_fd, struct wire_slice path, struct wire_slice content, mode_t mode, uid_t owner);

/* Removes everything below the directory `name` of `dir_fd`, and it. Bounded depth; 0, or -1 with errno. */
int path_remove_tree(int dir_fd, const char *name);
