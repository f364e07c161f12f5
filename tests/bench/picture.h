/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/svg.h"

/* Pictures of benchmarks. */

/* Writes $HBR_BUILD_DIR/bench/`name`.svg; says where, or why not. */
gboolean picture_save(struct svg *svg, const char *name);
