/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The bounds of everything that comes from outside. They are part of the API: the manual lists them. */

#define MODEL_NAME_MAX 128
#define MODEL_TEXT_MAX 1024
#define MODEL_KEY_MAX 200
#define MODEL_LIBRARIES_MAX 256
#define MODEL_LABELS_MAX 64
#define MODEL_CODE_MAX (4 * 1024 * 1024)
#define MODEL_STDIN_MAX (8 * 1024 * 1024)
#define MODEL_FILES_MAX 256
#define MODEL_FILE_MAX (8 * 1024 * 1024)
#define MODEL_ARGS_MAX 1024
#define MODEL_ARGUMENT_MAX G_GINT64_CONSTANT(1000000000000000)
#define MODEL_DOCUMENT_MAX (24 * 1024 * 1024) /* an execution request with its files, in JSON */
#define MODEL_NOTIFICATION_MAX (64 * 1024)    /* a notification without code, in JSON */
#define MODEL_TIMELINE_MAX 256
#define MODEL_ADJUSTMENTS_MAX 1024

#define MODEL_VCPUS_MAX 1024
#define MODEL_MEMORY_MIB_MAX (64 * 1024 * 1024)
#define MODEL_NETWORK_MBPS_MAX 1000000
#define MODEL_DISK_MBPS_MAX 1000000
#define MODEL_GPUS_MAX 16
