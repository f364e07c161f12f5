/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Sends notifications over keep-alive connections, one at a time on each, and measures. One thread. An address is the path of a UNIX socket, or
 * ":PORT" on this machine. */

struct load {
    guint rate; /* requests a second; 0: each connection sends the next when one is answered */
    void (*write_code)(guint64 number,
                       GString *code); /* appends the code of a notification; NULL: a hundred functions */
    GArray *latencies;                 /* double, milliseconds */
    gint64 elapsed_us;
    guint failures; /* answers other than 202 */
};

/* Adds `requests` requests of `clients` connections to `load` (zeros at first, but for rate and write_code). Ends the process when the server cannot be talked to. */
void load_run(struct load *load, const char *address, guint clients, guint requests);
void load_clear(struct load *load);

gboolean load_can_connect(const char *address);

/* Requests a second, and a percentile of their times. */
double load_rate(const struct load *load);
double load_percentile_ms(const struct load *load, guint percentile);
