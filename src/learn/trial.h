/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* Models from elsewhere are tried in a process of their own before one is read in the daemon's: XGBoost believes what a file says of its trees, and one
 * made for it can end the process that reads it, or keep it busy for ever. */

#define TRIAL_SECONDS 20 /* below what clients wait for an answer */

/* Runs `argv`, whose standard input is the model's content and which does trial_take(); waits for its end. FALSE with HBR_ERROR_INVALID when the model
 * was refused there, or ended the process; with HBR_ERROR_CANCELLED, and the process ended, when that was asked for; with HBR_ERROR_INTERNAL when it cannot be run. Any
 * thread. */
gboolean trial_run(const char *const *argv, GBytes *content, GCancellable *cancellable, GError **error);

/* In that process: bounds its time to TRIAL_SECONDS, and its memory, and reads and uses the model at `fd` as the daemon would. FALSE with
 * HBR_ERROR_INVALID or HBR_ERROR_TOO_LARGE. */
gboolean trial_take(int fd, GError **error);
