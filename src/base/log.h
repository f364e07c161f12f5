/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Log lines with a topic, "core", "host", "store" and so on, written by GLib's log writer: to the journal when
 * standard error is the journal, else to standard error. Any thread. */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are dropped. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Level of a word "error", "warning", "info" or "debug". FALSE with HBR_ERROR_INVALID for any other. */
gboolean log_level_from_string(const char *word, enum log_level *ret_level, GError **error);

void log_write(enum log_level level, const char *topic, const char *format, ...) G_GNUC_PRINTF(3, 4);

#define log_error(topic, ...) log_write(LOG_LEVEL_ERROR, topic, __VA_ARGS__)
#define log_warning(topic, ...) log_write(LOG_LEVEL_WARNING, topic, __VA_ARGS__)
#define log_info(topic, ...) log_write(LOG_LEVEL_INFO, topic, __VA_ARGS__)
#define log_debug(topic, ...) log_write(LOG_LEVEL_DEBUG, topic, __VA_ARGS__)
