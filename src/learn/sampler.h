/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "predict/sample.h"

/* The runs that a model is trained with: at most `samples_max` of all that came. Pure, one thread.
 *
 * When it is full, the lightest make room. The i-th newest run of a function weighs 2^(-age / half_life) / sqrt(i), its age being counted from the
 * newest run of all: among functions that run now each keeps as many as the others, so that a hot one takes only what they leave, and old runs go
 * first. The newest SAMPLER_NEWEST runs of every function are kept whatever their age, in half of the room, of which each tenant has an equal part.
 * A tenant has at most a third of the whole room while there are runs of three tenants or more.
 *
 * That is done for an eighth of the room at a time, so that a run costs O(log n). */

#define SAMPLER_NEWEST 3

struct sampler;

/* `samples_max`: 1 and more. `half_life`: microseconds; 0: age does not count. */
struct sampler *sampler_new(guint samples_max, gint64 half_life);
void sampler_free(struct sampler *sampler);

void sampler_add(struct sampler *sampler, const struct sample *sample);

/* Runs that it has now; sampler_take() may find that some have to go. */
guint sampler_count(const struct sampler *sampler);

/* Those from after `at`. */
guint sampler_count_since(const struct sampler *sampler, gint64 at);

/* A copy of what is kept: struct sample, the oldest first. Free with g_array_unref. */
GArray *sampler_take(struct sampler *sampler);
