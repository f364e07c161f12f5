/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <harbinger/harbinger.h>
#include <jansson.h>

/* The real harbingerd of the build tree, as a process of its own with a directory of its own: configuration, policy, state and socket. What is
 * waited for is an event: the daemon's READY=1 or its end. */

struct daemon_bed {
    char *directory, *config, *policy, *socket, *database, *log;
    char *keys; /* more lines for [daemon]; NULL: none */
    int notify_fd;
    GPid pid; /* 0: none runs */
    struct hbr_client *client;
};

void daemon_bed_init(struct daemon_bed *bed);

/* Kills what still runs, and removes the directory. */
void daemon_bed_clear(struct daemon_bed *bed);

/* A policy in which an execution may take `wall_s` seconds. Free with g_free. */
char *daemon_bed_policy(guint wall_s);
void daemon_bed_write_policy(struct daemon_bed *bed, const char *text);

/* Starts the daemon with the configured host "a", a model. TRUE when it is ready, FALSE when it ended before (its status is *ret_status). */
gboolean daemon_bed_try(struct daemon_bed *bed, int *ret_status);

/* The same, which must work, and the host must come up. */
void daemon_bed_start(struct daemon_bed *bed);

/* Its status in the form of waitpid(), once it has ended. */
int daemon_bed_wait(struct daemon_bed *bed);

/* Sends the signal and waits for the end. */
int daemon_bed_stop(struct daemon_bed *bed, int signal_number);

/* What it has logged since the bed was made. Free with g_free. */
char *daemon_bed_log(const struct daemon_bed *bed);

/* Another database connection, for what a daemon never writes. The daemon must not run. */
void daemon_bed_sql(struct daemon_bed *bed, const char *sql);

/* Calls of the API, which must work; JSON values are the caller's. */
json_t *daemon_bed_notify(struct daemon_bed *bed, const char *function, const char *key, gint64 arrival_in_ms);
json_t *daemon_bed_get(struct daemon_bed *bed, enum hbr_kind kind, const char *id);
guint daemon_bed_load_policy(struct daemon_bed *bed, const char *text);
