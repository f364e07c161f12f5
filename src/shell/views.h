/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/output.h"

/* How the daemon's objects are shown: one view for the list of each kind and one for a single object. */

extern const struct view reservation_list_view, reservation_view;
extern const struct view execution_list_view, execution_view;
extern const struct view instance_list_view, instance_view;
extern const struct view host_list_view, host_view;
extern const struct view pool_list_view, pool_view;

/* The timeline of one object, with offsets from its first entry. */
void views_print_timeline(struct output *output, const json_t *entries);

/* The quantiles of a demand, one row for each resource. */
void views_print_demand(struct output *output, const json_t *demand);

/* The table of adjustments. */
void views_print_adjustments(struct output *output, const json_t *adjustments);
