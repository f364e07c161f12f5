/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>

/* The language of qemu-guest-agent: commands and answers in JSON. An agent is a stranger's program: its answers are decoded with bounds.
 * Pure functions. */

/* FACTS: a command above 128 KiB hangs until its time-out or arrives broken. In raw bytes, before base64. */
#define QGA_CHUNK_MAX (90u * 1024)

/* {"execute": ..., "arguments": ...}; the arguments (may be NULL) are taken. Free with g_free. */
char *qga_command(const char *execute, json_t *arguments);

/* What an answer returns; NULL with HBR_ERROR_GUEST: the agent's error, or what is wrong with the answer. */
json_t *qga_parse(const char *answer, GError **error);

/* The command that starts a program: guest-exec with its output captured. `input` may be NULL. */
char *qga_exec(const char *const *argv, char **env, GBytes *input);

/* What guest-exec-status says. */
struct qga_status {
    gboolean has_exited, is_truncated;
    guint exit_code, signal;
    GBytes *output, *errors; /* NULL: none */
};

gboolean qga_status_parse(const json_t *value, struct qga_status *ret_status, GError **error);
void qga_status_clear(struct qga_status *status);

/* How many vCPUs guest-get-vcpus lists as online; *ret_offline is an array for guest-set-vcpus that brings the others online, NULL when there
 * are none. -1: not a list of vCPUs. */
int qga_count_vcpus(const json_t *value, json_t **ret_offline);

/* The same of guest-get-memory-blocks. */
int qga_count_blocks(const json_t *value, json_t **ret_offline);
