/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The runtimes image: a squashfs shared by all guests under an overlay whose upper layer is memory or a disk of this guest. */

#include <stdbool.h>
#include <stddef.h>

/* Finds the disks by what is on them, mounts, and makes the overlay the root. What failed is written to `ret_trouble`. */
bool boot_root_switch(bool overlay_on_disk, char *ret_trouble, size_t size);
