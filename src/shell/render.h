/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/output.h"

/* How values of the daemon's objects look as text: the `render` of a field. Any thread. */

void render_text(const struct output *output, const json_t *value, struct cell *cell);
void render_words(const struct output *output, const json_t *value, struct cell *cell);    /* array of strings */
void render_count(const struct output *output, const json_t *value, struct cell *cell);    /* nothing for 0 */
void render_real(const struct output *output, const json_t *value, struct cell *cell);     /* two decimals */
void render_yes(const struct output *output, const json_t *value, struct cell *cell);      /* "yes", or nothing */
void render_state(const struct output *output, const json_t *value, struct cell *cell);    /* coloured */
void render_relative(const struct output *output, const json_t *value, struct cell *cell); /* "12 s ago" */
void render_moment(const struct output *output, const json_t *value, struct cell *cell);   /* date and relative */
void render_date(const struct output *output, const json_t *value, struct cell *cell);
void render_clock(const struct output *output, const json_t *value, struct cell *cell);
void render_bytes(const struct output *output, const json_t *value, struct cell *cell); /* nothing for 0 */
void render_mib(const struct output *output, const json_t *value, struct cell *cell);
void render_mbps(const struct output *output, const json_t *value, struct cell *cell);
void render_ms(const struct output *output, const json_t *value, struct cell *cell);
void render_us(const struct output *output, const json_t *value, struct cell *cell); /* nothing below 0: not known */
void render_shape(const struct output *output, const json_t *value, struct cell *cell);
void render_size(const struct output *output, const json_t *value, struct cell *cell);   /* a shape in short */
void render_tenant(const struct output *output, const json_t *value, struct cell *cell); /* nothing for "default" */
void render_error(const struct output *output, const json_t *value, struct cell *cell);

/* Of a whole execution or observation: "exit 0", "signal 9", "wall-clock-limit". */
void render_result(const struct output *output, const json_t *value, struct cell *cell);

/* Of a whole adjustment: "512 MiB -> 1 GiB". */
void render_change(const struct output *output, const json_t *value, struct cell *cell);

/* Whole adjustment: the times of its phases. How long from the signal until it was decided, and from then until libvirt had done its part, and until
 * the guest had confirmed. */
void render_decided(const struct output *output, const json_t *value, struct cell *cell);
void render_hypervisor(const struct output *output, const json_t *value, struct cell *cell);
void render_confirmed(const struct output *output, const json_t *value, struct cell *cell);

/* "1 vCPU, 512 MiB, 10 Mbit/s". Free with g_free. */
char *render_shape_text(const json_t *shape);
