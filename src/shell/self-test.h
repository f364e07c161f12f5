/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Checks every table of commands and options. Returns the findings, one line each ("notify: --gpu: has no help"); empty when all is
 * well. Free with g_ptr_array_unref. */
GPtrArray *self_test_run(void);
