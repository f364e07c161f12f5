/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <harbinger/harbinger.h>
#include <jansson.h>

/* What the benchmarks with real guests have in common: a private libvirt, a harbingerd of their own on it, and series of times. One
 * thread. Whatever fails ends the program with a message. */

/* A program that is not run beside a private session libvirt yet is run there (tests/integration/with-session-libvirt). First in main(). */
void world_enter(char **argv);

struct world {
    char *root, *socket;
    gboolean is_simulated;
    GPid daemon;
    struct hbr_client *client;
};

/* Set before world_new(): vCPUs for each CPU of the host. */
extern guint world_cpu_overcommit;

/* Set before world_new(): fills the state directory, before the daemon starts. */
extern void (*world_prepare)(const char *state_dir, gpointer data);
extern gpointer world_prepare_data;

/* A daemon with the policy, and its host up; images: $HARBINGER_IMAGES or the build tree's. */
struct world *world_new(const char *policy);

/* The same with a host of another URI, "sim:...". */
struct world *world_new_on(const char *policy, const char *uri);

/* Stops the daemon, which removes its VMs. */
void world_free(struct world *world);

/* Announces the function and waits until its VM is ready. Free the id with g_free. */
char *world_reserve(struct world *world, const char *function);

/* Sends the notification (JSON) and waits until its VM is ready; `*ret_ms` (may be NULL) is the time for both, at the client. The reservation; free
 * with json_decref. */
json_t *world_announce(struct world *world, const char *notification, double *ret_ms);

/* Sends the notification alone. The reservation's id; free with g_free. */
char *world_notify(struct world *world, const char *notification);

/* Waits until it is ready, or has ended otherwise. The reservation; free with json_decref. */
json_t *world_wait_reservation(struct world *world, const char *id);

/* A time of an object, in microseconds since the epoch, and the time between two. */
gint64 world_time_us(const json_t *object, const char *member);
double world_span_ms(const json_t *object, const char *from, const char *to);

/* Cancels it, and waits until its VM is gone. */
void world_cancel(struct world *world, const json_t *reservation);

/* Waits until the pool has what it is to have, and nothing is under way. The pool; free with json_decref. */
json_t *world_wait_stock(struct world *world, const char *pool);

/* An object by its path under /v1/. Free with json_decref. */
json_t *world_get(struct world *world, const char *path);
void world_post(struct world *world, const char *path, const char *body);

struct world_run {
    double first_output_ms; /* from the request to the first byte of output, at the client; -1: there was none */
    json_t *execution;      /* as it ended */
    char *output;           /* both streams, as they came */
};

/* Runs a shell script; `reservation_id` NULL: on demand, a VM is booted for it. Clear with world_run_clear. */
void world_execute(struct world *world, const char *function, const char *reservation_id, const char *source,
                   struct world_run *ret_run);

/* The same by another interpreter. */
void world_execute_by(struct world *world, const char *function, const char *reservation_id, const char *interpreter,
                      const char *source, struct world_run *ret_run);
/* Sends the request (JSON) as it is; the program may fail. */
void world_execute_request(struct world *world, const char *request, struct world_run *ret_run);

/* It ran to its end, with status 0. */
gboolean world_run_succeeded(const struct world_run *run);
void world_run_clear(struct world_run *run);

/* Waits until the execution's VM is gone, so that its end does not disturb the next measurement. */
void world_wait_gone(struct world *world, const struct world_run *run);

/* A reservation stands for a while before its request comes; here for as long as the policy's default margin. */
void world_let_stand(void);

struct series {
    const char *name;
    GArray *values_ms;
};

struct series *series_new(const char *name);
void series_free(struct series *series);
void series_add(struct series *series, double value_ms);
guint series_count(const struct series *series);
double series_median(struct series *series);
double series_p99(struct series *series);
double series_quantile(struct series *series, double share); /* by nearest rank */
void series_print_head(void);
void series_print(struct series *series);

/* Says whether the target was met; it decides nothing. */
void target_print(const char *what, double value, gboolean at_most, double target);
