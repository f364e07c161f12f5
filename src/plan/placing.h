/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/host.h"
#include "model/reservation.h"

/* Which host. Pure functions over the hosts as they stand. */

/* What a host may promise in all: its machine times overcommit, less the reserve. GPUs are never overcommitted; the network is not
 * counted. */
struct vm_shape placing_capacity(const struct host *host);

/* TRUE when the host, were it empty and up, could hold `shape` and carries all `labels`. A host that was never up counts as able: what it has
 * is not known. */
gboolean placing_could_ever(const struct host *host, const struct vm_shape *shape, char **labels);

/* TRUE when the host is up, could hold the shape if it were empty, and has not the vCPUs or the memory now. */
gboolean placing_is_full(const struct host *host, const struct vm_shape *shape, char **labels);

struct placing_candidate {
    const struct host *host;
    guint boots;     /* instances being started there */
    gboolean failed; /* this reservation was tried there in vain */
};

/* The host to start `shape` on: up, labelled, with room and below `boots_max`; of these the one that is least committed afterwards, those where it
 * failed before last. Returns its index, -1 when there is none; `*ret_placements` (may be NULL) gets one struct placement for each
 * candidate. */
int placing_choose(const struct placing_candidate *candidates, guint count, const struct vm_shape *shape, char **labels,
                   guint boots_max, GPtrArray **ret_placements);
